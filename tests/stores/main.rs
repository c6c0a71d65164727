//! Snapshots in an object store: a real S3 server on loopback, which is stopped,
//! refuses, loses and changes what it holds.

// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

use std::collections::HashSet;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{GoEnv, Gocachevet, Project, Run, add_package, complaints};

const ID: &str = "AKIDOFTHETESTS";
const SECRET: &str = "the-secret-of-the-tests";

/// A server whose objects are files, so that a test can change them.
struct Server {
    process: Child,
    address: SocketAddr,
    top: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("bucket")).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let process = Server::serve(&top, address);
        Server {
            process,
            address,
            top,
        }
    }

    fn serve(top: &tempfile::TempDir, address: SocketAddr) -> Child {
        let program = std::env::var_os("GOCACHEVET_VERSITYGW");
        let program = program.unwrap_or_else(|| "versitygw".into());
        let process = Command::new(&program)
            .args(["--access", ID, "--secret", SECRET, "--port"])
            .arg(address.to_string())
            .arg("posix")
            .arg(top.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut process = process.expect("versitygw is needed: tests/tools/install versitygw");
        for _ in 0..200 {
            if TcpStream::connect(address).is_ok() {
                return process;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = process.kill();
        let _ = process.wait();
        panic!("versitygw does not answer on {address}");
    }

    fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.process = Server::serve(&self.top, self.address);
    }

    /// The files that hold the bundles.
    fn bundles(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.top.path().join("bucket/team/bundles")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_file()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A job with caches and a project of its own.
struct Job {
    env: GoEnv,
    project: PathBuf,
    endpoint: String,
}

impl Job {
    fn new(server: &Server) -> Job {
        let mut env = GoEnv::new();
        env.set("GOFLAGS", "-buildvcs=false -trimpath").with_std();
        let project = env.project(Project::Hello);
        env.go(&project, ["mod", "download"]);
        Job {
            env,
            project,
            endpoint: format!("http://{}", server.address),
        }
    }

    fn saved(server: &Server) -> Job {
        let job = Job::new(server);
        job.restore();
        job.work();
        assert_eq!(job.save()["kind"], "base");
        job
    }

    fn command(&self, command: &str) -> Gocachevet {
        let run = self.env.gocachevet().dir(&self.project);
        run.env("GOFLAGS", "-buildvcs=false -trimpath")
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .args([command, "--store", "s3://bucket/team", "--key", "test"])
            .args(["-f", "json", "-vv", "--state"])
            .arg(self.state())
    }

    fn state(&self) -> PathBuf {
        self.env.dir().join("state")
    }

    #[track_caller]
    fn run(&self, command: &str, code: i32) -> Run {
        let run = self.command(command).run().expect_code(code);
        assert_secret_stays(&run);
        run
    }

    #[track_caller]
    fn restore(&self) -> Value {
        self.run("restore", 0).json()
    }

    #[track_caller]
    fn save(&self) -> Value {
        self.run("save", 0).json()["snapshot"]["saved"].clone()
    }

    /// Builds with what is there; gives what was compiled.
    #[track_caller]
    fn work(&self) -> Vec<String> {
        let mut command = self.env.command(&self.project, ["build", "-v", "./..."]);
        let output = command.env("GOPROXY", "off").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        said.lines().map(str::to_owned).collect()
    }

    /// Nothing of the store is left here.
    fn leaves_nothing(&self) -> bool {
        !Path::new(&format!("{}.bundles", self.state().display())).exists()
    }
}

#[track_caller]
fn assert_secret_stays(run: &Run) {
    assert!(!run.stdout.contains(SECRET), "{run}");
    assert!(!run.stderr.contains(SECRET), "{run}");
    assert!(!run.stderr.contains("Signature="), "{run}");
    // What the client itself logs could hold one.
    assert!(!run.stderr.contains("connect"), "{run}");
}

#[test]
fn jobs_share_a_snapshot_in_an_object_store() {
    let server = Server::start();
    let job = Job::saved(&server);
    assert!(job.leaves_nothing());
    job.env.forget_caches();
    let warm = job.restore();
    assert_eq!(complaints(&warm), Vec::<String>::new());
    assert_eq!(job.work(), Vec::<String>::new(), "compiled again");
    assert_eq!(job.save()["kind"], "none");
    assert_eq!(server.bundles().len(), 1);

    add_package(&job.project, "one");
    assert_ne!(job.work(), Vec::<String>::new());
    assert_eq!(job.save()["kind"], "delta");
    job.env.forget_caches();
    let both = job.restore();
    assert!(both["snapshot"]["restored"]["delta"].is_string());
    assert_eq!(job.work(), Vec::<String>::new());
    // What no head names any more goes.
    for name in ["two", "three", "four"] {
        add_package(&job.project, name);
        job.work();
        job.save();
    }
    let head = fs::read(server.top.path().join("bucket/team/keys/test/main")).unwrap();
    let head: Value = serde_json::from_slice(&head).unwrap();
    let lists = ["bundles", "before"].map(|name| head[name].as_array().unwrap().clone());
    let named: HashSet<Value> = lists.into_iter().flatten().collect();
    assert_eq!(server.bundles().len(), named.len(), "{head}");
}

#[test]
fn jobs_that_save_at_once_add_up() {
    let server = Server::start();
    let job = Job::saved(&server);
    let other = Job::new(&server);
    other.env.forget_caches();
    other.restore();
    for (job, name) in [(&job, "one"), (&other, "two")] {
        add_package(&job.project, name);
        assert_ne!(job.work(), Vec::<String>::new());
    }
    std::thread::scope(|scope| {
        for job in [&job, &other] {
            scope.spawn(|| assert_eq!(job.save()["kind"], "delta"));
        }
    });
    add_package(&job.project, "two");
    job.env.forget_caches();
    job.restore();
    assert_eq!(job.work(), Vec::<String>::new());
}

#[test]
fn a_bundle_that_was_changed_or_is_gone_means_a_cold_start() {
    let server = Server::start();
    let job = Job::saved(&server);
    let bundle = server.bundles().remove(0);
    let whole = fs::read(&bundle).unwrap();
    let mut changed = whole.clone();
    changed[100] ^= 1;
    for content in [Some(&changed[..]), Some(&whole[..whole.len() / 2]), None] {
        match content {
            Some(content) => fs::write(&bundle, content).unwrap(),
            None => fs::remove_file(&bundle).unwrap(),
        }
        job.env.forget_caches();
        let report = job.restore();
        assert_eq!(report["snapshot"]["restored"], Value::Null);
        let notes = report["notes"].to_string();
        assert!(notes.contains("the snapshot's bundle"), "{notes}");
    }
    job.env.go(&job.project, ["mod", "download"]);
    job.work();
    assert_eq!(job.save()["kind"], "base");
}

#[test]
fn a_store_that_refuses_or_is_gone_is_told_and_nothing_is_lost() {
    let mut server = Server::start();
    let job = Job::saved(&server);
    let refused = job
        .command("restore")
        .env("AWS_SECRET_ACCESS_KEY", "another-secret")
        .run()
        .expect_code(3);
    assert!(
        refused.stderr.contains("refuses these credentials"),
        "{refused}"
    );
    assert!(!refused.stderr.contains("another-secret"), "{refused}");
    let nameless = job
        .command("restore")
        .env("AWS_ENDPOINT_URL", "")
        .run()
        .expect_code(2);
    assert!(nameless.stderr.contains("AWS_REGION"), "{nameless}");

    add_package(&job.project, "one");
    job.work();
    server.stop();
    for command in ["save", "restore"] {
        let gone = job.run(command, 3);
        assert!(gone.stderr.contains("cannot be reached"), "{gone}");
        assert!(
            gone.stderr.contains("s3://bucket/team/keys/test/main"),
            "{gone}"
        );
    }
    // The caches are as they were, and so is the store.
    assert_eq!(job.work(), Vec::<String>::new());
    server.start_again();
    job.env.forget_caches();
    assert!(job.restore()["snapshot"]["restored"].is_object());
    job.work();
    assert_eq!(job.save()["kind"], "delta");
}

/// A door to the server that is shut after so many bytes.
fn door(server: &Server, bytes: usize) -> SocketAddr {
    use std::io::{Read, Write};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, inside) = (listener.local_addr().unwrap(), server.address);
    let passed = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let Ok(server) = TcpStream::connect(inside) else {
                continue;
            };
            let ways = [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ];
            for (mut from, mut to) in ways {
                let passed = Arc::clone(&passed);
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(read @ 1..) = from.read(&mut buffer) {
                        let so_far = passed.fetch_add(read, Ordering::SeqCst);
                        if so_far > bytes || to.write_all(&buffer[..read]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(std::net::Shutdown::Both);
                    let _ = from.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    address
}

#[test]
fn a_line_that_breaks_half_way_loses_nothing() {
    let server = Server::start();
    let job = Job::saved(&server);
    let whole = fs::metadata(server.bundles().remove(0)).unwrap().len();
    let half = usize::try_from(whole / 2).unwrap();
    job.env.forget_caches();
    let broken = job
        .command("restore")
        .env(
            "AWS_ENDPOINT_URL",
            format!("http://{}", door(&server, half)),
        )
        .run()
        .expect_code(3);
    assert!(broken.stderr.contains("/bundles/"), "{broken}");
    assert!(!job.env.modcache.join("cache/download/gopkg.in").exists());
    job.restore();
    assert_eq!(job.work(), Vec::<String>::new());

    // A new base, which takes as many bytes as the last one.
    fs::remove_file(server.bundles().remove(0)).unwrap();
    let broken = job
        .command("save")
        .env(
            "AWS_ENDPOINT_URL",
            format!("http://{}", door(&server, half)),
        )
        .run()
        .expect_code(3);
    assert!(broken.stderr.contains("/bundles/"), "{broken}");
    // Whatever came of it there, no head names it.
    assert_eq!(job.save()["kind"], "base");
    job.env.forget_caches();
    job.restore();
    assert_eq!(job.work(), Vec::<String>::new());
}
