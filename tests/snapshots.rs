//! `save` and `restore`: caches that the real go filled, moved to where there are
//! none, and built from; and stores that somebody tampered with.

// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{GoEnv, Project, Run, copy_tree, make_writable};

/// A job's machine: caches of its own at the same paths for all of a store's jobs,
/// as CI has them.
struct Job {
    env: GoEnv,
    project: PathBuf,
    store: PathBuf,
}

impl Job {
    fn new() -> Job {
        let mut env = GoEnv::new();
        env.set("GOFLAGS", "-buildvcs=false -trimpath");
        let project = env.project(Project::Hello);
        let store = env.dir().join("store");
        Job {
            env,
            project,
            store,
        }
    }

    fn run(&self, command: &str, args: &[&str]) -> Run {
        let run = self.env.gocachevet().dir(&self.project);
        run.arg(command)
            .arg("--store")
            .arg(&self.store)
            .args(["--key", "test", "-f", "json"])
            .arg("--state")
            .arg(self.env.dir().join("state"))
            .args(args)
            .run()
    }

    #[track_caller]
    fn restore(&self) -> Value {
        self.run("restore", &[]).expect_code(0).json()
    }

    #[track_caller]
    fn save(&self) -> Value {
        self.run("save", &[]).expect_code(0).json()
    }

    /// The next job's machine has nothing.
    fn forget_caches(&self) {
        for cache in [&self.env.modcache, &self.env.gocache] {
            if cache.exists() {
                make_writable(cache);
                fs::remove_dir_all(cache).unwrap();
            }
        }
    }

    fn go(&self, args: &[&str]) -> String {
        self.env.go(&self.project, args)
    }

    fn go_offline(&self, args: &[&str]) -> String {
        self.env.go_offline(&self.project, args)
    }
}

#[test]
fn what_a_job_used_serves_the_next_one() {
    let mut job = Job::new();
    job.env.with_std();
    let report = job.restore();
    assert_eq!(report["snapshot"]["restored"], Value::Null);
    job.go(&["build", "./..."]);
    job.go(&["vet", "./..."]);
    job.go(&["test", "./..."]);
    let saved = job.save();
    eprintln!("{saved:#}");
    assert_eq!(saved["snapshot"]["saved"]["kind"], "base");
    job.forget_caches();
    let report = job.restore();
    eprintln!("{report:#}");
    assert_eq!(report["findings"], serde_json::json!([]));
    for args in [
        &["build", "./..."][..],
        &["vet", "./..."],
        &["test", "./..."],
        &["mod", "verify"],
        &["mod", "download"],
    ] {
        let said = job.go_offline(args);
        eprintln!("{args:?}: {said}");
    }
    let check = job.env.gocachevet().dir(&job.project);
    let report = check
        .args(["-f", "json", "--state"])
        .arg(job.env.dir().join("state"))
        .run()
        .expect_code(0)
        .json();
    eprintln!("{report:#}");
}
