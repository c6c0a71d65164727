//! A cache service on loopback with a memory, and with vices.
//!
//! Every request is checked against the published description, and so is
//! every answer but those that lie on purpose.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::spec::Spec;

pub const TOKEN: &str = "ghs_secretsecretsecret";

/// A way to misbehave.
#[derive(Clone)]
pub enum Vice {
    /// A status with the common error, and these headers.
    Status(u16, &'static str, Vec<(&'static str, String)>),
    /// The first half of the true body, at its full announced length.
    Truncated,
    /// Half of the JSON, as if that were all.
    HalfJson,
    /// This body with status 200.
    Body(Value),
    /// Full pages of new entries, for ever.
    Endless,
    /// The same full page, for ever.
    Circle,
    /// A redirect.
    Redirect(u16, String),
    /// Nothing within the time.
    Silent(Duration),
    /// So many megabytes of blanks.
    Huge(usize),
    /// The connection closes without a word.
    Hangup,
}

/// Misbehaves on requests that begin so, a number of times.
pub struct Fault {
    pub request: &'static str,
    pub vice: Vice,
    pub times: usize,
}

#[derive(Default)]
pub struct State {
    pub repositories: BTreeMap<String, Vec<Value>>,
    pub branches: Vec<String>,
    pub pulls: BTreeMap<u64, &'static str>,
    pub quota_gb: Option<u64>,
    pub faults: Vec<Fault>,
    /// Ids that vanish just before they are deleted.
    pub vanishing: Vec<u64>,
    /// What was asked, with the status given.
    pub log: Vec<String>,
    pub violations: Vec<String>,
}

pub struct Fake {
    pub address: SocketAddr,
    pub state: Arc<Mutex<State>>,
}

struct Asked {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Fake {
    pub fn start(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            let spec = Arc::new(Spec::load());
            for stream in listener.incoming().flatten() {
                let (state, spec) = (Arc::clone(&shared), Arc::clone(&spec));
                thread::spawn(move || {
                    // A client that gave up is no failure of the server.
                    let _ = serve(stream, &state, &spec);
                });
            }
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }

    pub fn ids(&self, repository: &str) -> Vec<u64> {
        let state = self.state.lock().unwrap();
        state.repositories[repository]
            .iter()
            .filter_map(|entry| entry["id"].as_u64())
            .collect()
    }

    pub fn fault(&self, request: &'static str, vice: Vice, times: usize) {
        self.state.lock().unwrap().faults.push(Fault {
            request,
            vice,
            times,
        });
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if !thread::panicking() {
            let violations = self.state.lock().unwrap().violations.clone();
            assert!(
                violations.is_empty(),
                "against the published description: {violations:#?}"
            );
        }
    }
}

/// An entry in the service's own words.
pub fn entry(
    id: u64,
    key: &str,
    git_ref: &str,
    bytes: u64,
    created: &str,
    accessed: &str,
) -> Value {
    json!({
        "id": id, "ref": git_ref, "key": key, "version": "73885106f58cc52a",
        "last_accessed_at": accessed, "created_at": created, "size_in_bytes": bytes,
    })
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, spec: &Spec) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut asked = Asked {
        method: method.into(),
        path: path.into(),
        query: query.into(),
        headers: BTreeMap::new(),
    };
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        asked
            .headers
            .insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = asked
        .headers
        .get("content-length")
        .and_then(|text| text.parse().ok());
    reader
        .take(length.unwrap_or(0))
        .read_to_end(&mut Vec::new())?;

    let operation = spec.request(&asked.method, &asked.path, &asked.query);
    let vice = {
        let mut state = state.lock().unwrap();
        if let Err(violation) = &operation {
            state.violations.push(violation.clone());
        }
        let request = format!("{method} {path}");
        let fault = (state.faults.iter_mut())
            .find(|fault| fault.times > 0 && request.starts_with(fault.request));
        fault.map(|fault| {
            fault.times -= 1;
            fault.vice.clone()
        })
    };
    let honest = |state: &mut State| {
        let answer = state.answer(&asked, spec);
        if let Ok(operation) = &operation
            && let Err(violation) = spec.answer(operation, answer.status, &answer.body)
        {
            state
                .violations
                .push(format!("{method} {path}: {violation}"));
        }
        answer
    };
    let mut announced = None;
    let answer = match vice {
        None => honest(&mut state.lock().unwrap()),
        Some(Vice::Status(status, message, headers)) => {
            let mut answer = error(status, message);
            if status == 304 {
                answer.body.clear();
            }
            if let Ok(operation) = &operation
                && let Err(violation) = spec.answer(operation, status, &answer.body)
            {
                state.lock().unwrap().violations.push(violation);
            }
            answer.headers.extend(headers);
            answer
        }
        Some(Vice::Truncated) => {
            let mut answer = honest(&mut state.lock().unwrap());
            announced = Some(answer.body.len());
            answer.body.truncate(announced.unwrap_or(0) / 2);
            answer
        }
        Some(Vice::HalfJson) => {
            let mut answer = honest(&mut state.lock().unwrap());
            let half = answer.body.len() / 2;
            answer.body.truncate(half);
            answer
        }
        Some(Vice::Body(body)) => ok(&body),
        Some(Vice::Endless) => {
            let page = state.lock().unwrap().log.len() as u64 * 1000;
            ok(&full_page(page))
        }
        Some(Vice::Circle) => ok(&full_page(0)),
        Some(Vice::Redirect(status, to)) => {
            let mut answer = error(status, "Moved Permanently");
            answer.headers.push(("location", to));
            answer
        }
        Some(Vice::Silent(time)) => {
            thread::sleep(time);
            return Ok(());
        }
        Some(Vice::Huge(megabytes)) => Answer {
            status: 200,
            headers: Vec::new(),
            body: vec![b' '; megabytes << 20],
        },
        Some(Vice::Hangup) => {
            state
                .lock()
                .unwrap()
                .log
                .push(format!("{method} {target} hung up"));
            return Ok(());
        }
    };
    state
        .lock()
        .unwrap()
        .log
        .push(format!("{method} {target} {}", answer.status));
    let length = announced.unwrap_or(answer.body.len());
    write!(
        stream,
        "HTTP/1.1 {} x\r\nconnection: close\r\n",
        answer.status
    )?;
    for (name, value) in &answer.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    if answer.status != 204 && answer.status != 304 {
        write!(
            stream,
            "content-type: application/json\r\ncontent-length: {length}\r\n"
        )?;
    }
    write!(stream, "\r\n")?;
    stream.write_all(&answer.body)
}

fn full_page(first: u64) -> Value {
    let time = "2026-01-01T00:00:00Z";
    let entries: Vec<_> = (first..first + 100)
        .map(|id| entry(id, "k", "refs/heads/main", 1, time, time))
        .collect();
    json!({"total_count": 1_000_000, "actions_caches": entries})
}

fn ok(body: &Value) -> Answer {
    Answer {
        status: 200,
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    }
}

fn error(status: u16, message: &str) -> Answer {
    let body = json!({"message": message, "documentation_url": "https://docs.github.com/rest"});
    Answer {
        status,
        ..ok(&body)
    }
}

impl State {
    fn answer(&mut self, asked: &Asked, spec: &Spec) -> Answer {
        if asked.headers.get("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return error(401, "Bad credentials");
        }
        let segments: Vec<&str> = asked.path.split('/').skip(1).collect();
        let mut answer = match (asked.method.as_str(), segments.as_slice()) {
            ("GET", ["repos", owner, name, "actions", "caches"]) => {
                self.list(&format!("{owner}/{name}"), asked)
            }
            ("DELETE", ["repos", owner, name, "actions", "caches", id]) => {
                self.delete(&format!("{owner}/{name}"), id.parse().unwrap_or(0))
            }
            ("GET", ["repos", owner, name, "actions", "cache", "usage"]) => self
                .usage(&format!("{owner}/{name}"))
                .map_or(error(404, "Not Found"), |usage| ok(&usage)),
            ("GET", ["repos", _, _, "actions", "cache", "storage-limit"]) => match self.quota_gb {
                Some(gb) => ok(&json!({"max_cache_size_gb": gb})),
                None => error(403, "Resource not accessible by integration"),
            },
            ("GET", ["orgs", org, "actions", "cache", "usage-by-repository"]) => {
                let names: Vec<_> = self.repositories.keys().cloned().collect();
                let own = names
                    .iter()
                    .filter(|name| name.starts_with(&format!("{org}/")));
                let usages: Vec<_> = own.filter_map(|name| self.usage(name)).collect();
                ok(&json!({"total_count": usages.len(), "repository_cache_usages": usages}))
            }
            ("GET", ["repos", _, _, "pulls", number]) => {
                match self.pulls.get(&number.parse().unwrap_or(0)) {
                    None => error(404, "Not Found"),
                    Some(pull_state) => {
                        let mut pull = spec.example("pull-request");
                        pull["state"] = json!(pull_state);
                        // The published example breaks the published schema here.
                        pull["requested_teams"] = json!([]);
                        ok(&pull)
                    }
                }
            }
            ("GET", ["repos", _, _, "git", "matching-refs", rest @ ..]) => {
                let prefix = format!("refs/{}", rest.join("/"));
                let found = self
                    .branches
                    .iter()
                    .filter(|branch| branch.starts_with(&prefix));
                let shape = spec.example("git-ref-items")[0].clone();
                let found: Vec<_> = found
                    .map(|branch| {
                        let mut item = shape.clone();
                        item["ref"] = json!(branch);
                        item
                    })
                    .collect();
                ok(&json!(found))
            }
            _ => error(404, "Not Found"),
        };
        if answer.status == 200 {
            let sum = answer
                .body
                .iter()
                .fold(7u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
            let etag = format!("W/\"{sum:x}\"");
            if asked.headers.get("if-none-match") == Some(&etag) {
                return Answer {
                    status: 304,
                    headers: vec![("etag", etag)],
                    body: Vec::new(),
                };
            }
            answer.headers.push(("etag", etag));
        }
        answer
    }

    fn list(&self, repository: &str, asked: &Asked) -> Answer {
        let Some(entries) = self.repositories.get(repository) else {
            return error(404, "Not Found");
        };
        let parameter = |name: &str, default: usize| {
            let pairs = asked
                .query
                .split('&')
                .filter_map(|pair| pair.split_once('='));
            let value = pairs
                .filter(|(key, _)| *key == name)
                .map(|(_, value)| value)
                .next();
            value
                .and_then(|value| value.parse().ok())
                .unwrap_or(default)
        };
        let size = parameter("per_page", 30).min(100);
        let mut sorted = entries.clone();
        sorted.sort_by_key(|entry| entry["created_at"].as_str().map(str::to_owned));
        let page: Vec<_> = sorted
            .into_iter()
            .skip((parameter("page", 1) - 1) * size)
            .take(size)
            .collect();
        ok(&json!({"total_count": entries.len(), "actions_caches": page}))
    }

    fn delete(&mut self, repository: &str, id: u64) -> Answer {
        let Some(entries) = self.repositories.get_mut(repository) else {
            return error(404, "Not Found");
        };
        let before = entries.len();
        entries.retain(|entry| entry["id"] != id);
        if entries.len() == before || self.vanishing.contains(&id) {
            return error(404, "Not Found");
        }
        Answer {
            status: 204,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn usage(&self, repository: &str) -> Option<Value> {
        let entries = self.repositories.get(repository)?;
        let bytes: u64 = entries
            .iter()
            .filter_map(|entry| entry["size_in_bytes"].as_u64())
            .sum();
        Some(json!({
            "full_name": repository,
            "active_caches_size_in_bytes": bytes,
            "active_caches_count": entries.len(),
        }))
    }
}
