//! A server on loopback that answers as Artifactory's REST interface does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{GoEnv, Project};

const TOKEN: &str = "cmVmdGtuOnNlY3JldA";

#[derive(Default)]
struct State {
    /// By path: size, downloads, last download.
    files: BTreeMap<String, (u64, u64, Option<String>)>,
    log: Vec<String>,
    down: bool,
}

fn start(state: State) -> (String, Arc<Mutex<State>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/artifactory", listener.local_addr().unwrap());
    let state = Arc::new(Mutex::new(state));
    let shared = Arc::clone(&state);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut request = String::new();
            let _ = reader.read_line(&mut request);
            let (mut length, mut authorized) = (0, false);
            loop {
                let mut header = String::new();
                let _ = reader.read_line(&mut header);
                let Some((name, value)) = header.trim_end().split_once(": ") else {
                    break;
                };
                match name.to_lowercase().as_str() {
                    "content-length" => length = value.parse().unwrap(),
                    "authorization" => authorized = value == format!("Bearer {TOKEN}"),
                    _ => {}
                }
            }
            let mut body = String::new();
            let _ = reader.take(length).read_to_string(&mut body);
            let words: Vec<&str> = request.split_whitespace().take(2).collect();
            let mut state = shared.lock().unwrap();
            state.log.push(words.join(" "));
            let (status, answer) = match &words[..] {
                _ if !authorized => (401, json!({"errors": [{"status": 401}]})),
                _ if state.down => (503, json!({"errors": [{"status": 503}]})),
                ["POST", "/artifactory/api/search/aql"] => (200, state.query(&body)),
                ["DELETE", path] => match path.strip_prefix("/artifactory/artifactory-go/") {
                    Some(path)
                        if state
                            .files
                            .remove(&path.replace("%21", "!").replace("%40", "@"))
                            .is_some() =>
                    {
                        (204, Value::Null)
                    }
                    _ => (404, json!({"errors": [{"status": 404}]})),
                },
                _ => (405, Value::Null),
            };
            let body = if answer.is_null() {
                String::new()
            } else {
                answer.to_string()
            };
            let head = format!(
                "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    (url, state)
}

impl State {
    /// Answers the one query that is asked, and no other.
    fn query(&self, query: &str) -> Value {
        let expected = "items.find({\"repo\":\"artifactory-go\",\"type\":\"file\"}).include(\"path\",\"name\",\"size\",\"created\",\"stat.downloads\",\"stat.downloaded\").sort({\"$asc\":[\"path\",\"name\"]}).offset(";
        let rest = query
            .strip_prefix(expected)
            .unwrap_or_else(|| panic!("{query}"));
        let (offset, rest) = rest.split_once(").limit(").unwrap();
        let limit: usize = rest.trim_end_matches(')').parse().unwrap();
        let page = self.files.iter().skip(offset.parse().unwrap()).take(limit);
        let results: Vec<Value> = page
            .map(|(file, (size, downloads, last))| {
                let (path, name) = file.rsplit_once('/').unwrap();
                let mut stats = json!({"downloads": downloads});
                if let Some(last) = last {
                    stats["downloaded"] = json!(last);
                }
                json!({"path": path, "name": name, "size": size, "created": "2020-01-01T00:00:00.000Z", "stats": [stats]})
            })
            .collect();
        json!({"results": results, "range": {"start_pos": 0, "end_pos": results.len(), "total": results.len()}})
    }

    fn add(&mut self, module: &str, version: &str, zip: u64, downloads: u64, last: Option<String>) {
        for (ending, size) in [("info", 10), ("mod", 20), ("zip", zip)] {
            let path = format!("{module}/@v/{version}.{ending}");
            self.files.insert(path, (size, downloads, last.clone()));
        }
    }
}

fn some() -> State {
    let mut state = State::default();
    let hour_ago = (chrono::Utc::now() - chrono::TimeDelta::hours(1)).to_rfc3339();
    state.add("github.com/!burnt!sushi/toml", "v1.0.0", 5000, 0, None);
    state.add("golang.org/x/hot", "v0.1.0", 7000, 90_000, Some(hour_ago));
    state.add(
        "golang.org/x/once",
        "v0.1.0",
        6000,
        3,
        Some("2021-01-01T00:00:00.000Z".into()),
    );
    state
        .files
        .insert("golang.org/x/once/readme.txt".into(), (1, 0, None));
    state
}

fn mirror(url: &str, args: &[&str]) -> crate::support::Run {
    let env = GoEnv::new();
    let project = env.project(Project::Hello);
    let run = env
        .gocachevet()
        .env("ARTIFACTORY_TOKEN", TOKEN)
        .args(&args[..2]);
    let run = run
        .args([
            "--artifactory",
            url,
            "--artifactory-repo",
            "artifactory-go",
            "--project",
        ])
        .arg(project);
    let run = run.args(&args[2..]).run();
    assert!(!(run.stdout.clone() + &run.stderr).contains(TOKEN));
    run
}

#[test]
fn the_server_tells_what_is_hot_and_the_cold_goes() {
    let (url, state) = start(some());
    let list = mirror(&url, &["mirror", "list", "--format", "json"])
        .expect_code(0)
        .json();
    let order: Vec<_> = list["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["module"].clone())
        .collect();
    assert_eq!(
        order,
        [
            "github.com/BurntSushi/toml",
            "golang.org/x/once",
            "golang.org/x/hot"
        ]
    );
    let dry = mirror(
        &url,
        &["mirror", "trim", "--max-size", "8kB", "--format", "json"],
    )
    .expect_code(0)
    .json();
    assert_eq!(
        (&dry["plan"]["removals"], &dry["plan"]["bytes"]),
        (&json!(2), &json!(11_060))
    );
    assert_eq!(state.lock().unwrap().files.len(), 10);
    mirror(&url, &["mirror", "trim", "--max-size", "8kB", "--yes"]).expect_code(0);
    let left: Vec<_> = state.lock().unwrap().files.keys().cloned().collect();
    assert_eq!(
        left,
        [
            "golang.org/x/hot/@v/v0.1.0.info",
            "golang.org/x/hot/@v/v0.1.0.mod",
            "golang.org/x/hot/@v/v0.1.0.zip",
            "golang.org/x/once/readme.txt",
        ]
    );
}

#[test]
fn all_pages_are_asked_for() {
    let mut state = State::default();
    for minor in 0..800 {
        state.add("golang.org/x/many", &format!("v0.{minor}.0"), 1, 0, None);
    }
    let (url, state) = start(state);
    let list = mirror(&url, &["mirror", "list", "--format", "json"])
        .expect_code(0)
        .json();
    assert_eq!(list["versions"].as_array().unwrap().len(), 800);
    assert_eq!(state.lock().unwrap().log.len(), 3);
}

#[test]
fn a_server_that_is_down_is_said_to_be() {
    let (url, state) = start(some());
    state.lock().unwrap().down = true;
    let run = mirror(&url, &["mirror", "trim", "--cutoff-days", "1", "--yes"]).expect_code(3);
    assert!(
        run.stderr
            .contains("artifactory-go: failed with status 503"),
        "{}",
        run.stderr
    );
    assert_eq!(state.lock().unwrap().files.len(), 10);
}
