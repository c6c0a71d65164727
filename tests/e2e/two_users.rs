//! Caches that two users share: whose use Go cannot mark, what that means for
//! a trim, and the numbers of one that was refused.
//!
//! Files of another user are made by root alone: run as root, or let `sudo`
//! work without a password.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{Caches, Project, Run, assert_untouched, build_cache, snapshot};

const NOBODY: u32 = 65534;

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Gives `paths` to the user that runs `go` and the program, or to root.
fn give(to_root: bool, recursive: bool, paths: &[&Path]) {
    let user = match (to_root, is_root()) {
        (true, _) => "0:0".to_owned(),
        (false, true) => format!("{NOBODY}:{NOBODY}"),
        // It is this user's already.
        (false, false) => return,
    };
    let mut line: Vec<&OsStr> = Vec::new();
    if !is_root() {
        line.extend(["sudo", "-n"].map(OsStr::new));
    }
    line.push("chown".as_ref());
    line.extend(recursive.then_some(OsStr::new("-R")));
    line.push(user.as_ref());
    line.extend(paths.iter().map(|path| path.as_os_str()));
    let given = Command::new(line[0]).args(&line[1..]).status();
    assert!(
        given.is_ok_and(|status| status.success()),
        "this test makes files of another user: run it as root, or with a `sudo` that asks for no password"
    );
}

/// Hello's caches, which another user made. All may enter and write everywhere
/// in the build cache.
fn of_another_user() -> Caches {
    let caches = build_cache(Project::Hello);
    let dir = caches.env.dir();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in walkdir::WalkDir::new(&caches.gocache) {
        let entry = entry.unwrap();
        if entry.file_type().is_dir() {
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o777)).unwrap();
        }
    }
    let ours = ["home", "src"].map(|name| dir.join(name));
    let ours: Vec<&Path> = ours.iter().map(PathBuf::as_path).collect();
    give(false, true, &ours);
    give(false, false, &[dir, &caches.modcache.join("cache")]);
    give(true, true, &[&caches.gocache]);
    caches
}

/// Runs `go` as the other user; what it says on stderr.
fn go(caches: &Caches, args: &[&str]) -> String {
    let mut command = caches.env.command(&caches.project, args);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.env("GOPROXY", "off").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

fn program(caches: &Caches, args: &[&str]) -> Run {
    let dir = caches.env.dir();
    let run = caches.env.gocachevet().args(args);
    let run = match args.first() {
        Some(&"mark") => run,
        _ => run.arg("--project").arg(&caches.project),
    };
    run.by_nobody(dir)
        .env("HOME", &caches.env.home)
        .env("TMPDIR", dir)
        .env("GOMODCACHE", &caches.modcache)
        .env("GOCACHE", &caches.gocache)
        .env("GOENV", "off")
        .run()
}

fn entries(gocache: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(gocache)
        .sort_by_file_name()
        .into_iter();
    entries
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.to_str().unwrap().ends_with("-a"))
        .collect()
}

#[test]
fn what_go_cannot_touch_is_not_taken_for_unused() {
    let caches = of_another_user();
    let marked = program(&caches, &["mark"]).expect_code(0);
    assert!(
        marked.stdout.contains("entries will not be seen"),
        "{marked}"
    );
    let before = snapshot(&caches.gocache);
    // It reads all that it needs and compiles nothing, but leaves no trace.
    assert_eq!(go(&caches, &["build", "-v", "./..."]), "");
    assert_untouched(&before, &caches.gocache);

    let args = [
        "check",
        "--format=json",
        "--verify=off",
        "--min-hit-rate=90%",
    ];
    let report = program(&caches, &args).expect_code(0).json();
    assert_eq!(report["usage"]["buildcache"], Value::Null);
    let why = report["usage_unknown"]["buildcache"].as_str().unwrap();
    assert!(why.contains("of another user"), "{why}");

    let args = [
        "trim",
        "--unused",
        "--grace=0",
        "--format=json",
        "--verify=quick",
    ];
    let run = program(&caches, &args).expect_code(0);
    assert_eq!(run.json()["outcome"]["removed"], 0, "{run}");
    assert_untouched(&before, &caches.gocache);
    // By their times, too, all of them look idle.
    let args = [
        "trim",
        "--max-age=0",
        "--grace=0",
        "--format=json",
        "--quiet",
    ];
    let run = program(&caches, &args).expect_code(0);
    assert_eq!(run.json()["outcome"]["removed"], 0, "{run}");
    assert_untouched(&before, &caches.gocache);
}

#[test]
fn a_few_entries_of_another_user_are_kept_and_the_rest_is_judged() {
    let caches = of_another_user();
    give(false, true, &[&caches.gocache]);
    let all = entries(&caches.gocache);
    let foreign: Vec<&Path> = all.iter().take(3).map(PathBuf::as_path).collect();
    give(true, false, &foreign);
    let marked = program(&caches, &["mark"]).expect_code(0);
    assert!(marked.stdout.contains("the use of 3 of these"), "{marked}");
    go(&caches, &["build", "./greet"]);
    let args = [
        "trim",
        "--unused",
        "--grace=0",
        "--format=json",
        "--verify=quick",
    ];
    let run = program(&caches, &args).expect_code(0);
    let report = run.json();
    assert_eq!(report["usage"]["buildcache"]["unseen"], 3, "{run}");
    assert!(
        report["usage"]["buildcache"]["hits"].as_u64() > Some(0),
        "{run}"
    );
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("use of 3 build-cache entries is unknown"),
        "{run}"
    );
    assert!(foreign.iter().all(|path| path.exists()), "{run}");
    assert!(entries(&caches.gocache).len() < all.len(), "{run}");
    go(&caches, &["build", "./greet"]);
}

#[test]
fn a_trim_that_was_refused_says_so_in_its_numbers() {
    let caches = of_another_user();
    for entry in walkdir::WalkDir::new(&caches.gocache) {
        let entry = entry.unwrap();
        if entry.file_type().is_dir() {
            // As Go makes them; only their owner, or root, may.
            if is_root() {
                fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o755)).unwrap();
            } else {
                let mut chmod = Command::new("sudo");
                chmod.args(["-n", "chmod", "755"]).arg(entry.path());
                assert!(chmod.status().unwrap().success());
            }
        }
    }
    let before = snapshot(&caches.gocache);
    let only_builds = ["--trim-gocache-to=1B", "--all"];
    for how in only_builds {
        let args = ["trim", how, "--grace=0", "--force", "--verify=quick"];
        // A module cache without modules; emptied, it has no folders left.
        let no_modules = caches.env.dir().join("none");
        let modcache = format!("--modcache={}", no_modules.display());
        let make = || {
            fs::create_dir_all(no_modules.join("cache/download")).unwrap();
            give(false, true, &[&no_modules]);
        };
        make();
        let line = [&args[..], &[&modcache, "--format=json"]].concat();
        let run = program(&caches, &line).expect_code(3);
        let report = run.json();
        assert_eq!(report["verdict"], "fail", "{run}");
        let outcome = &report["outcome"];
        assert_eq!(
            (&outcome["removed"], &outcome["bytes"]),
            (&0.into(), &0.into()),
            "{how}"
        );
        assert_eq!(report["plan"]["removals"], serde_json::json!([]), "{how}");
        let failed = outcome["failed"].as_array().unwrap();
        let (mut refused, mut named) = (0, 0);
        for failure in failed {
            let error = failure["error"].as_str().unwrap();
            refused += usize::from(error.contains("Permission denied"));
            named += usize::from(error.contains("an action entry that could not be removed"));
            assert!(
                !error.contains("in use") && !error.contains("changed"),
                "{error}"
            );
        }
        assert!(refused > 0 && refused + named == failed.len(), "{how}");
        let all = failed.len();
        let said = format!("{all} of {all} removals failed");
        assert!(run.stderr.contains(&said), "{run}");
        assert!(!run.stdout.contains("in use or changed meanwhile"), "{run}");

        make();
        let line = [&args[..], &[&modcache, "--format=text"]].concat();
        let text = program(&caches, &line).expect_code(3).stdout;
        assert!(
            text.contains("Size unchanged") && text.contains("FAIL"),
            "{text}"
        );
        assert!(!text.contains("build outputs  "), "{text}");
        assert_untouched(&before, &caches.gocache);
    }
}
