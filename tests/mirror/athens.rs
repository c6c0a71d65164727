//! Athens, built from its source through the module proxy, on loopback.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{GoEnv, Project};

/// The program: the one that `GOCACHEVET_ATHENS` names, or built here.
fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("GOCACHEVET_ATHENS") {
        return path.into();
    }
    let top = Path::new(env!("CARGO_TARGET_TMPDIR")).join("athens");
    let path = top.join("athens");
    if !path.exists() {
        let status = Command::new("go")
            .args(["build", "-o"])
            .arg(&path)
            .arg("github.com/gomods/athens/cmd/proxy")
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mirror/athens"))
            .env("GOPATH", top.join("gopath"))
            .env("GOMODCACHE", top.join("modcache"))
            .env("GOCACHE", top.join("gocache"))
            .env("GOFLAGS", "-modcacherw")
            .status()
            .expect("this test needs the `go` command in PATH");
        assert!(status.success(), "Athens does not build");
    }
    path
}

struct Athens {
    child: Child,
    url: String,
}

impl Athens {
    /// Starts it on `storage`. `upstream` is where it fetches what it does not
    /// have; with none it has to do with what is there.
    fn start(env: &GoEnv, storage: &Path, upstream: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        std::fs::create_dir_all(storage).unwrap();
        let log = std::fs::File::create(env.dir().join("athens.log")).unwrap();
        let mut command = Command::new(program());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", &env.home)
            .env("GO_BINARY_PATH", "go")
            .env("ATHENS_PORT", address.to_string())
            .env("ATHENS_STORAGE_TYPE", "disk")
            .env("ATHENS_DISK_STORAGE_ROOT", storage)
            .env(
                "ATHENS_GO_BINARY_ENV_VARS",
                format!(
                    "GOPROXY={};GOSUMDB=off;GOFLAGS=-modcacherw",
                    upstream.unwrap_or("off")
                ),
            )
            .env(
                "ATHENS_DOWNLOAD_MODE",
                if upstream.is_some() { "sync" } else { "none" },
            )
            .env(
                "ATHENS_NETWORK_MODE",
                if upstream.is_some() {
                    "strict"
                } else {
                    "offline"
                },
            )
            .env("ATHENS_TRACE_EXPORTER", "")
            .env("ATHENS_STATS_EXPORTER", "")
            .current_dir(env.dir())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        for _ in 0..600 {
            if TcpStream::connect(address).is_ok() {
                return Self {
                    child,
                    url: format!("http://{address}"),
                };
            }
            assert!(
                child.try_wait().unwrap().is_none(),
                "Athens ended; see {}",
                env.dir().join("athens.log").display()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("Athens does not listen");
    }
}

impl Drop for Athens {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs Athens: run it by `./test athens`"]
fn athens_still_serves_what_the_projects_need() {
    let mut env = GoEnv::new();
    let storage = env.dir().join("storage");
    let projects = [Project::Hello, Project::Legacy].map(|project| env.project(project));
    // Athens fetches versions whole where `go` asks for a `.mod` alone; the
    // local copy of a few modules does not have them all.
    let upstream = Command::new("go")
        .args(["env", "GOPROXY"])
        .output()
        .unwrap();
    let upstream = String::from_utf8(upstream.stdout).unwrap();
    {
        let athens = Athens::start(&env, &storage, Some(upstream.trim()));
        env.set("GOPROXY", &athens.url);
        // Upper case in a path, +incompatible, and what no project needs.
        env.download(&[
            "github.com/google/uuid@v1.6.0",
            "github.com/pkg/errors@v0.9.1",
            "golang.org/x/sync@v0.7.0",
        ]);
        for project in &projects {
            env.go(project, ["mod", "download"]);
            env.go(project, ["build", "./..."]);
        }
    }
    assert!(
        storage
            .join("github.com/google/uuid/v1.6.0/source.zip")
            .exists()
    );

    let mirror = |command: &str, more: &[&str]| {
        let mut run = env.gocachevet().args(["mirror", command]).arg(&storage);
        for project in &projects {
            run = run.arg("--project").arg(project);
        }
        run.args(["--format", "json"]).args(more).run()
    };
    let list = mirror("list", &[]).expect_code(0).json();
    assert_eq!(list["layout"], "athens");
    assert_eq!(list["findings"], serde_json::json!([]));
    assert!(list["verified"]["proven"].as_u64().unwrap() > 5, "{list:#}");
    let before = list["bytes"].as_u64().unwrap();

    let trim = mirror("trim", &["--max-size", "1", "--yes"])
        .expect_code(1)
        .json();
    assert_eq!(trim["outcome"]["failed"], serde_json::json!([]), "{trim:#}");
    assert!(trim["outcome"]["removed"].as_u64().unwrap() > 0, "{trim:#}");
    let after = mirror("list", &[]).expect_code(0).json();
    assert!(after["bytes"].as_u64().unwrap() < before);
    assert!(!storage.join("github.com/google/uuid/v1.6.0").exists());

    // A fresh machine builds through the trimmed proxy, which is cut off from
    // the world and has nothing but its storage.
    let mut fresh = GoEnv::new();
    let athens = Athens::start(&fresh, &storage, None);
    fresh.set("GOPROXY", &athens.url);
    for project in [Project::Hello, Project::Legacy] {
        let dir = fresh.project(project);
        fresh.go(&dir, ["mod", "download"]);
        fresh.go(&dir, ["build", "./..."]);
    }
    let gone = fresh.try_go(
        fresh.dir(),
        ["mod", "download", "github.com/google/uuid@v1.6.0"],
    );
    assert!(!gone.status.success(), "evicted, and still served");
}
