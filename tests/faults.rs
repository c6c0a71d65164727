//! One call of the system goes wrong, wherever it is: nothing panics, nothing that a
//! build needs is lost, and damage that could not be looked at is not called sound.
//!
//! A few places by default, some hundred with `GOCACHEVET_CAMPAIGN=full`.

// A test fails by panicking, also in what tests share; figures go to standard output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::{Caches, Project, build_cache, make_writable};

/// How a cache is looked at, and how it is changed.
const READS: &str = "openat,read,pread64,getdents64,newfstatat,statx,fstat,readlink";
const WRITES: &str =
    "write,pwrite64,openat,renameat,renameat2,mkdirat,unlinkat,linkat,fchmod,utimensat";

const ERRORS: [&str; 3] = ["EIO", "EACCES", "ENOSPC"];

/// A run of the program under strace, with something done to its calls.
fn traced(caches: &Caches, args: &[&str], calls: &str, inject: &str, log: &Path) -> Output {
    let command = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(log)
        .args(["-e", &format!("trace={calls}"), "-e", inject])
        .arg(env!("CARGO_BIN_EXE_gocachevet"))
        .args(args)
        .args(["-q", "--no-project-config", "--project"])
        .arg(&caches.project)
        .env("HOME", &caches.env.home)
        .env("GOPATH", &caches.env.gopath)
        .env("GOMODCACHE", &caches.modcache)
        .env("GOCACHE", &caches.gocache)
        .env("GOENV", "off")
        .output();
    command.expect("this test needs strace: tests/tools/install strace")
}

/// Places to strike at, from the run's first call that has to do with a cache to its
/// last. strace counts for each thread and call alone.
fn places(caches: &Caches, args: &[&str], calls: &str) -> Vec<usize> {
    let log = caches.env.dir().join("calls");
    traced(caches, args, calls, &format!("trace={calls}"), &log);
    let mut counted: HashMap<(&str, &str), usize> = HashMap::new();
    let lines = fs::read_to_string(log).unwrap();
    for line in lines.lines().filter(|line| !line.contains("resumed>")) {
        let (thread, call) = line.split_once(' ').unwrap();
        let name = call.trim_start().split('(').next().unwrap_or_default();
        *counted.entry((thread, name)).or_default() += 1;
    }
    let calls = counted.into_values().max().unwrap();
    let asked = match std::env::var_os("GOCACHEVET_CAMPAIGN") {
        Some(_) => 100,
        None => 5,
    };
    let places = asked.min(calls);
    assert!(places > 1, "{calls} calls");
    let mut places: Vec<usize> = (0..places)
        .map(|place| 1 + place * (calls - 1) / (places - 1))
        .collect();
    places.dedup();
    places
}

/// Strikes at each place with each error, and hands out the exit code.
fn strike(
    caches: &Caches,
    args: &[&str],
    calls: &str,
    mut before: impl FnMut(),
    mut after: impl FnMut(&str, i32),
) {
    before();
    for call in places(caches, args, calls) {
        for error in ERRORS {
            before();
            let inject = format!("inject={calls}:error={error}:when={call}");
            let output = traced(caches, args, calls, &inject, Path::new("/dev/null"));
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!said.contains("panicked"), "{inject}: {said}");
            let code = output.status.code();
            // Before the program begins, its loader reads libraries.
            let begun = code != Some(127);
            let code = code.unwrap_or_else(|| panic!("{inject}: {output:?}"));
            assert!(!begun || (0..=3).contains(&code), "{inject}: {output:?}");
            if code == 2 || code == 3 {
                assert!(!said.is_empty(), "{inject}: it says nothing");
            }
            after(&inject, code);
        }
    }
}

fn tree_file(caches: &Caches) -> PathBuf {
    caches
        .modcache
        .join("github.com/cespare/xxhash/v2@v2.3.0/xxhash.go")
}

#[test]
fn damage_that_could_not_be_looked_at_is_never_called_sound() {
    let caches = build_cache(Project::Hello);
    let file = tree_file(&caches);
    make_writable(&caches.modcache);
    let content = fs::read_to_string(&file).unwrap();
    fs::write(&file, content + "// planted\n").unwrap();
    let mut codes = [0; 4];
    strike(
        &caches,
        &["check"],
        READS,
        || (),
        |inject, code| {
            assert_ne!(code, 0, "{inject}: the damage passed");
            if let Some(count) = codes.get_mut(code as usize) {
                *count += 1;
            }
        },
    );
    println!(
        "denied {}, input {}, failed {}",
        codes[1], codes[2], codes[3]
    );
    assert!(codes[1] > 0);
}

#[test]
fn a_trim_that_a_call_fails_loses_nothing_that_builds_need() {
    let caches = build_cache(Project::Hello);
    // The build cache stays: compiling all of it anew takes long.
    let limit = "--trim-modcache-to=1kB";
    let args = ["trim", "--grace=0", limit, "--repair", "--verify=quick"];
    let foreign = ["github.com/google/uuid@v1.6.0", "golang.org/x/sync@v0.7.0"];
    let fill = || caches.env.download(&foreign);
    let mut struck = 0;
    strike(&caches, &args, WRITES, fill, |inject, code| {
        struck += 1;
        caches.env.go(&caches.project, ["build", "./..."]);
        let trim = Command::new(env!("CARGO_BIN_EXE_gocachevet"))
            .args(["trim", "-q", "--no-project-config", "--project"])
            .arg(&caches.project)
            .env("HOME", &caches.env.home)
            .env("GOMODCACHE", &caches.modcache)
            .env("GOCACHE", &caches.gocache)
            .output()
            .unwrap();
        assert!(trim.status.success(), "{inject} ({code}): {trim:?}");
        let check =
            caches
                .env
                .gocachevet()
                .args(["check", "-q", "--no-project-config", "--project"]);
        let check = check.arg(&caches.project).run();
        assert_eq!(check.code, Some(0), "{inject} ({code}): {check}");
    });
    println!("{struck} faults");
    let uuid = caches.modcache.join("github.com/google/uuid@v1.6.0");
    assert!(!uuid.exists(), "nothing was ever trimmed");
}

/// A library that is loaded before the system's own: every read and write does only a
/// part of what it was asked for, and the clock is wrong.
fn preload(caches: &Caches) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/preload.c");
    let library = caches.env.dir().join("preload.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .status();
    assert!(built.expect("this test needs a C compiler, cc").success());
    library
}

fn under(caches: &Caches, library: &Path, args: &[&str], (name, value): (&str, &str)) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gocachevet"));
    command
        .args(args)
        .args(["-q", "--no-project-config", "--project"])
        .arg(&caches.project)
        .env("HOME", &caches.env.home)
        .env("GOPATH", &caches.env.gopath)
        .env("GOMODCACHE", &caches.modcache)
        .env("GOCACHE", &caches.gocache)
        .env("GOENV", "off")
        .env("LD_PRELOAD", library)
        .env(name, value);
    command.output().unwrap()
}

#[test]
fn reads_that_give_less_than_was_asked_for_change_no_verdict() {
    let caches = build_cache(Project::Hello);
    let library = preload(&caches);
    for most in ["97", "1000"] {
        let check = || under(&caches, &library, &["check"], ("PRELOAD_MOST", most));
        let sound = check();
        assert_eq!(sound.status.code(), Some(0), "{sound:?}");
        let file = tree_file(&caches);
        make_writable(&caches.modcache);
        let content = fs::read(&file).unwrap();
        fs::write(&file, [&content[..], b"// planted\n"].concat()).unwrap();
        let planted = check();
        assert_eq!(planted.status.code(), Some(1), "{planted:?}");
        fs::write(&file, content).unwrap();
    }
}

#[test]
fn a_clock_that_is_wrong_loses_nothing_that_builds_need() {
    let caches = build_cache(Project::Hello);
    let (library, year) = (preload(&caches), 365 * 24 * 3600);
    for shift in [-30 * year, -year, year, 30 * year] {
        let shift = shift.to_string();
        let var = ("PRELOAD_CLOCK", shift.as_str());
        for args in [
            &["mark"][..],
            &["check"],
            &["trim", "--unused", "--grace=0"],
            &["trim", "--repair"],
        ] {
            let output = under(&caches, &library, args, var);
            assert_eq!(
                output.status.code(),
                Some(0),
                "{shift} {args:?}: {output:?}"
            );
        }
        caches.build_offline();
    }
}

/// A script in which mounts are its own.
fn with_mounts(caches: &Caches, script: &str) -> Output {
    Command::new("unshare")
        .args(["-rm", "sh", "-euc", script])
        .env("PROGRAM", env!("CARGO_BIN_EXE_gocachevet"))
        .env("PROJECT", &caches.project)
        .env("HOME", &caches.env.home)
        .env("GOMODCACHE", &caches.modcache)
        .env("GOCACHE", &caches.gocache)
        .env("GOENV", "off")
        .output()
        .expect("unshare(1), of util-linux, is needed")
}

#[test]
fn caches_on_read_only_mounts_and_in_memory_are_checked_and_refuse_to_be_changed() {
    let caches = build_cache(Project::Hello);
    caches.env.download(&["github.com/google/uuid@v1.6.0"]);
    let before = support::snapshot(&caches.modcache);
    let read_only = "
        for cache in \"$GOMODCACHE\" \"$GOCACHE\"; do
            mount --bind \"$cache\" \"$cache\"
            mount -o remount,bind,ro \"$cache\"
        done
        \"$PROGRAM\" check -q --no-project-config --project \"$PROJECT\" >&2
        code=0
        \"$PROGRAM\" trim -q --no-project-config --project \"$PROJECT\" --all --force >/dev/null || code=$?
        echo $code";
    let output = with_mounts(&caches, read_only);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3\n", "{said}");
    support::assert_untouched(&before, &caches.modcache);
    let in_memory = "
        mount -t tmpfs none /mnt
        cp -a \"$GOMODCACHE\" /mnt/modcache
        cp -a \"$GOCACHE\" /mnt/gocache
        export GOMODCACHE=/mnt/modcache GOCACHE=/mnt/gocache
        \"$PROGRAM\" check -q --no-project-config --project \"$PROJECT\" >&2
        \"$PROGRAM\" trim -q --no-project-config --project \"$PROJECT\" --all --force >&2
        find /mnt -name '*.zip'";
    let output = with_mounts(&caches, in_memory);
    assert!(
        output.status.success() && output.stdout.is_empty(),
        "{output:?}"
    );
}
