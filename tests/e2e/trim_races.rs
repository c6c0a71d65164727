//! `trim` killed at random moments, and beside running `go` commands.
//!
//! Short by default. In full, with figures:
//! `GOCACHEVET_CAMPAIGN=full cargo test --test e2e trim_races:: -- --nocapture --test-threads=1`
// A test fails by panicking, also in what tests share; figures go to standard error.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

use crate::support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use support::{
    Caches, Dice, Project, add_package, build_cache, copy_tree_fresh, full_campaign, std_cache,
};

const FOREIGN: [&str; 4] = [
    "github.com/google/uuid@v1.6.0",
    "golang.org/x/sync@v0.7.0",
    "github.com/pkg/errors@v0.9.1",
    "golang.org/x/exp@v0.0.0-20240719175910-8a7402abbf56",
];

fn trim(caches: &Caches, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gocachevet"));
    command
        .args(["trim", "--no-project-config", "--quiet", "--verify=quick"])
        .args(["--project".as_ref(), caches.project.as_path()])
        .args(args)
        .env("HOME", &caches.env.home)
        .env("GOPATH", &caches.env.gopath)
        .env("GOMODCACHE", &caches.modcache)
        .env("GOCACHE", &caches.gocache)
        .env("GOENV", "off")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[test]
fn a_kill_at_any_moment_leaves_sound_caches() {
    let kills = if full_campaign() { 600 } else { 4 };
    let caches = build_cache(Project::Hello);
    // Needs no compiled standard library, which takes long to make anew.
    add_package(&caches.project, "bare");
    let start = Instant::now();
    let mut dice = Dice::new("trim_races");
    let mut struck = 0;
    // How long a trim of each kind takes at most, as far as is known.
    let mut longest = [Duration::from_secs(1); 3];
    for round in 0..kills {
        let longest = &mut longest[round % 3];
        caches.env.download(&FOREIGN);
        // A build cache with something to remove, a module cache likewise.
        fs::remove_dir_all(&caches.gocache).unwrap();
        copy_tree_fresh(&std_cache(false), &caches.gocache);
        let args: &[&str] = match round % 3 {
            0 => &["--unused", "--grace=0", "--max-age=0"],
            1 => &["--unused", "--grace=0", "--trim-gocache-to=1MB"],
            _ => &["--all", "--force"],
        };
        let began = Instant::now();
        let mut child = trim(&caches, args).spawn().unwrap();
        std::thread::sleep(longest.mul_f64(dice.roll(1000) as f64 / 1000.0));
        let _ = child.kill();
        match child.wait().unwrap().code() {
            None => struck += 1,
            Some(_) => *longest = began.elapsed().min(*longest),
        }
        if round % 3 == 2 {
            caches.env.go(&caches.project, ["mod", "download"]);
        }
        // What it needs of the modules is there, and the build cache serves.
        let go = |args: &[&str]| caches.env.go_offline(&caches.project, args);
        go(&["list", "-deps", "./..."]);
        go(&["build", "./bare"]);
        if round % 50 == 0 {
            caches.build_offline();
        }
        // The next trim finishes the work, and finds nothing wrong.
        let status = trim(&caches, &[]).status().unwrap();
        assert_eq!(status.code(), Some(0), "round {round}");
        let left = walkdir::WalkDir::new(&caches.modcache)
            .into_iter()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .contains(".tmp-")
            })
            .count();
        assert_eq!(left, 0, "round {round}");
        let check = caches
            .env
            .gocachevet()
            .args(["check", "--quiet", "--no-project-config", "--project"])
            .arg(&caches.project)
            .run();
        assert_eq!(check.code, Some(0), "round {round}: {check}");
    }
    println!(
        "{kills} kills, {struck} struck a running trim, in {:?}",
        start.elapsed()
    );
    assert!(struck > 0, "no kill came in time");
}

/// Runs `go` commands in a loop until told to stop, and counts them.
fn loop_of(
    stop: &AtomicBool,
    runs: &AtomicU32,
    failures: &AtomicU32,
    mut command: impl FnMut() -> Command,
) {
    while !stop.load(Ordering::Relaxed) {
        let output = command().output().unwrap();
        runs.fetch_add(1, Ordering::Relaxed);
        if !output.status.success() {
            failures.fetch_add(1, Ordering::Relaxed);
            eprintln!("failed: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn builds_beside_trims_of_what_they_do_not_use_never_fail() {
    let trims = if full_campaign() { 1000 } else { 8 };
    let caches = build_cache(Project::Hello);
    let stop = AtomicBool::new(false);
    let (builds, no_builds) = (AtomicU32::new(0), AtomicU32::new(0));
    let (downloads, no_downloads) = (AtomicU32::new(0), AtomicU32::new(0));
    let start = Instant::now();
    let go = |args: &[&str]| caches.env.command(&caches.project, args);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let kinds: [&[&str]; 3] = [
                &["build", "./..."],
                &["test", "./..."],
                &["list", "-deps", "./..."],
            ];
            let mut round = 0;
            loop_of(&stop, &builds, &no_builds, || {
                round += 1;
                let mut command = go(kinds[round % 3]);
                // What the policy keeps is enough.
                command.env("GOPROXY", "off");
                command
            });
        });
        scope.spawn(|| {
            let mut round = 0;
            loop_of(&stop, &downloads, &no_downloads, || {
                round += 1;
                caches
                    .env
                    .command(caches.env.dir(), ["mod", "download", FOREIGN[round % 4]])
            });
        });
        let mut codes = Vec::new();
        for round in 0..trims {
            let args: &[&str] = match round % 4 {
                0 => &["--unused"],
                // A build uses build-cache entries that are no older than the grace.
                1 => &["--unused", "--grace=0"],
                2 => &["--unused", "--max-age=1h", "--grace=1h"],
                _ => &["--unused", "--grace=0", "--slim=archive"],
            };
            let mut trim = trim(&caches, args);
            let output = trim.stdout(Stdio::piped()).output().unwrap();
            if output.status.code() != Some(0) {
                eprintln!("trim: {}", String::from_utf8_lossy(&output.stdout));
            }
            codes.push(output.status.code());
        }
        stop.store(true, Ordering::Relaxed);
        assert!(codes.iter().all(|code| *code == Some(0)), "{codes:?}");
    });
    let (builds, no_builds) = (builds.into_inner(), no_builds.into_inner());
    let (downloads, no_downloads) = (downloads.into_inner(), no_downloads.into_inner());
    println!(
        "{trims} trims beside {builds} builds, {no_builds} failed, and {downloads} downloads, {no_downloads} failed, in {:?}",
        start.elapsed()
    );
    assert!(builds > 0 && downloads > 0);
    assert_eq!(no_builds, 0);
    // Without a grace they ask for what goes at that moment.
    assert!(no_downloads <= downloads / MISSES, "{no_downloads}");
}

/// Of go runs that ask for what goes at that moment, one in so many may fail: Go looks
/// whether a zip is there before it takes the lock, and opens it later.
const MISSES: u32 = 780;

/// Removes module versions that a build asks for at that moment, by `remove`;
/// which tells whether it did; returns the go runs, how many of them failed, and
/// the removals.
fn adversary(
    caches: &Caches,
    wanted: u32,
    mut remove: impl FnMut(usize) -> bool,
) -> (u32, u32, u32) {
    let stop = AtomicBool::new(false);
    let (runs, failures) = (AtomicU32::new(0), AtomicU32::new(0));
    let mut tries = 0;
    let mut removals = 0;
    std::thread::scope(|scope| {
        for args in [["build", "./..."], ["list", "-deps"]] {
            let (stop, runs, failures) = (&stop, &runs, &failures);
            scope.spawn(move || {
                loop_of(stop, runs, failures, || {
                    caches.env.command(&caches.project, args)
                });
            });
        }
        // One removal for every three go runs, whatever the machine's speed.
        while runs.load(Ordering::Relaxed) < wanted {
            removals += u32::from(remove(tries as usize % VICTIMS.len()));
            tries += 1;
            while runs.load(Ordering::Relaxed) < 3 * tries {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    (runs.into_inner(), failures.into_inner(), removals)
}

#[test]
fn builds_that_ask_for_what_is_removed_do_not_fail_as_beside_rm() {
    let wanted = if full_campaign() { 2000 } else { 60 };
    let caches = build_cache(Project::Hello);
    let trimmed = adversary(&caches, wanted, |victim| {
        let args = ["--trim-modcache-to=0", "--force", "--grace=0"];
        let mut command = trim(&caches, &args);
        for (index, (module, _)) in VICTIMS.iter().enumerate() {
            if index != victim {
                command.args(["--keep", module]);
            }
        }
        let output = command.arg("--format=json").stdout(Stdio::piped());
        let output = output.output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["outcome"]["removed"].as_u64() > Some(0)
    });
    println!(
        "trim: {} go runs, {} failed, {} removals",
        trimmed.0, trimmed.1, trimmed.2
    );
    assert!(trimmed.2 > 0, "nothing was removed");
    assert!(trimmed.1 <= 1 + trimmed.0 / MISSES, "{trimmed:?}");
    if !full_campaign() {
        return;
    }
    let plain = adversary(&caches, wanted / 4, |victim| {
        plain_rm(&caches.modcache, victim);
        true
    });
    println!(
        "rm:   {} go runs, {} failed, {} removals",
        plain.0, plain.1, plain.2
    );
    let rate = |(runs, failures, _): (u32, u32, u32)| f64::from(failures) / f64::from(runs);
    // The best order that is known, without waiting: one in 800.
    assert!(rate(trimmed) <= rate(plain) / 10.0);
}

/// What the build asks for: modules, and the names of their pieces.
const VICTIMS: [(&str, &str); 3] = [
    ("gopkg.in/yaml.v3", "gopkg.in/yaml.v3 v3.0.1"),
    (
        "github.com/BurntSushi/toml",
        "github.com/!burnt!sushi/toml v1.4.0",
    ),
    (
        "github.com/cespare/xxhash/v2",
        "github.com/cespare/xxhash/v2 v2.3.0",
    ),
];

/// The plain order: tree, zip, the rest; no lock.
fn plain_rm(modcache: &Path, victim: usize) {
    let (path, version) = VICTIMS[victim].1.split_once(' ').unwrap();
    let tree = modcache.join(format!("{path}@{version}"));
    support::make_writable(&tree);
    let _ = fs::remove_dir_all(&tree);
    for piece in ["zip", "ziphash", "info", "mod"] {
        let piece = format!("cache/download/{path}/@v/{version}.{piece}");
        let _ = fs::remove_file(modcache.join(piece));
    }
}

#[test]
fn two_trims_at_once_do_not_mind_each_other() {
    let rounds = if full_campaign() { 30 } else { 3 };
    let caches = build_cache(Project::Hello);
    for round in 0..rounds {
        caches.env.download(&FOREIGN);
        let args = ["--unused", "--grace=0"];
        let mut both = [0, 1].map(|_| trim(&caches, &args).spawn().unwrap());
        for child in &mut both {
            assert_eq!(child.wait().unwrap().code(), Some(0), "round {round}");
        }
        let again = trim(&caches, &args).status().unwrap();
        assert_eq!(again.code(), Some(0), "round {round}");
        for module in FOREIGN {
            assert!(
                !caches.modcache.join(module).exists(),
                "round {round}: {module}"
            );
        }
        caches.build_offline();
    }
    let cold = caches.env.dir().join("cold");
    copy_tree_fresh(&std_cache(false), &cold);
    let mut build = caches.env.command(&caches.project, ["build", "./..."]);
    let build = build.env("GOCACHE", cold).env("GOPROXY", "off");
    assert!(build.status().unwrap().success());
}

#[test]
fn an_extraction_that_is_going_on_is_no_finding() {
    let caches = build_cache(Project::Hello);
    let piece = |kind: &str| {
        let (path, version) = VICTIMS[0].1.split_once(' ').unwrap();
        let name = format!("cache/download/{path}/@v/{version}.{kind}");
        caches.modcache.join(name)
    };
    let tree = caches.modcache.join("gopkg.in/yaml.v3@v3.0.1");
    // What Go leaves while it extracts and another download runs.
    support::make_writable(&tree);
    fs::remove_file(tree.join("decode.go")).unwrap();
    fs::write(piece("partial"), "").unwrap();
    fs::write(piece("zip12345.tmp"), "half").unwrap();
    let check = || {
        let check = caches.env.gocachevet();
        check
            .args(["check", "--format=json", "--no-project-config", "--project"])
            .arg(&caches.project)
            .run()
    };
    let rules = |report: &serde_json::Value| -> Vec<String> {
        let findings = support::complaints(report);
        let findings = findings.iter();
        let rule = findings.map(|finding| finding["rule"].as_str().unwrap().to_owned());
        rule.collect()
    };
    let lock = fs::File::open(piece("lock")).unwrap();
    lock.lock().unwrap();
    let report = check().expect_code(0).json();
    assert_eq!(rules(&report), [""; 0]);
    let said = report["notes"].to_string();
    assert!(
        said.contains("1 module version was not judged: a go command is"),
        "{said}"
    );
    let args = ["--grace=0", "--repair"];
    assert_eq!(trim(&caches, &args).status().unwrap().code(), Some(0));
    assert!(tree.exists() && piece("zip12345.tmp").exists());
    // Killed, it has left damage and residue.
    drop(lock);
    let report = check().expect_code(1).json();
    let mut found = rules(&report);
    found.sort();
    assert_eq!(found, ["extracted-incomplete", "partial-download"]);
    // The build extracts what is missing.
    caches.build_offline();
    let check = check().expect_code(0);
    assert_eq!(rules(&check.json()), ["partial-download"], "{check}");
}
