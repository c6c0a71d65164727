//! Caches filled from two proxies that disagree: side by side (`check --compare`),
//! and one after the other (the ledger).

// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{GoEnv, LIB as MODULE, Run, Scratch, lib_proxy, serve};

const COMMITS: [&str; 2] = [
    "1111111111111111111111111111111111111111",
    "2222222222222222222222222222222222222222",
];

/// A module cache filled by `go` from a proxy of its own on loopback.
fn cache(scratch: &Scratch, name: &str, source: &str, commit: Option<&str>) -> GoEnv {
    let mut env = GoEnv::new();
    let folder = scratch.path().join(name);
    lib_proxy(&folder, source, commit);
    let proxy = serve(&folder);
    env.set("GOPROXY", &proxy.address);
    env.download(&[&format!("{MODULE}@v1.0.0")]);
    assert!(!proxy.asked().is_empty());
    env
}

fn compare(env: &GoEnv, dir: &Path, other: &Path) -> Run {
    let args = ["check", "--format", "json", "--compare"];
    env.gocachevet().dir(dir).args(args).arg(other).run()
}

fn drift(run: &Run) -> Vec<String> {
    let report = run.json();
    let findings = report["findings"].as_array().unwrap().iter();
    let drift = findings.filter(|finding| finding["rule"] == "drift");
    drift
        .map(|finding| finding["message"].as_str().unwrap().to_owned())
        .collect()
}

fn project(env: &GoEnv, go_sum: &str) -> PathBuf {
    let dir = env.dir().join("project");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("go.mod"), "module example.com/p\n\ngo 1.21\n").unwrap();
    fs::write(dir.join("go.sum"), go_sum).unwrap();
    dir
}

fn ziphash(env: &GoEnv) -> String {
    let file = env
        .modcache
        .join("cache/download")
        .join(MODULE)
        .join("@v/v1.0.0.ziphash");
    fs::read_to_string(file).unwrap()
}

#[test]
fn two_proxies_that_disagree_are_told_apart() {
    let scratch = Scratch::new();
    let ours = cache(&scratch, "ours", "package lib\n", None);
    let same = cache(&scratch, "same", "package lib\n", None);
    let theirs = cache(&scratch, "theirs", "package lib // changed\n", None);

    let run = compare(&ours, ours.dir(), &same.modcache).expect_code(0);
    assert_eq!(drift(&run), Vec::<String>::new());
    let notes = run.json()["notes"].to_string();
    assert!(notes.contains("1 consistent, 0 drifted"), "{notes}");

    // Nobody to say who is right.
    let run = compare(&ours, ours.dir(), &theirs.modcache);
    let found = drift(&run);
    assert!(
        found.len() == 1
            && found[0].starts_with("proxy changed: of the module, this cache says h1:"),
        "{run}"
    );

    // go.sum says it, one way or the other.
    let line = |env: &GoEnv| format!("{MODULE} v1.0.0 {}\n", ziphash(env));
    let dir = project(&ours, &line(&ours));
    let found = drift(&compare(&ours, &dir, &theirs.modcache));
    assert!(found[0].starts_with("damage in the other one"), "{found:?}");
    let dir = project(&ours, &line(&theirs));
    let found = drift(&compare(&ours, &dir, &theirs.modcache));
    assert!(
        found[0].starts_with("local damage") && found[0].contains("and go.sum say"),
        "{found:?}"
    );
    let found = drift(&compare(&ours, &dir, &same.modcache));
    assert!(found[0].starts_with("go.sum edited"), "{found:?}");
}

#[test]
fn a_moved_tag_is_told_by_its_commit() {
    let scratch = Scratch::new();
    let ours = cache(&scratch, "ours", "package lib\n", Some(COMMITS[0]));
    let theirs = cache(
        &scratch,
        "theirs",
        "package lib // moved\n",
        Some(COMMITS[1]),
    );
    let found = drift(&compare(&ours, ours.dir(), &theirs.modcache));
    assert!(found[0].starts_with("retagged upstream"), "{found:?}");
}

#[test]
fn another_project_s_go_sum_is_a_witness() {
    let scratch = Scratch::new();
    let ours = cache(&scratch, "ours", "package lib\n", None);
    let other = ours.dir().join("other.sum");
    fs::write(
        &other,
        format!("{MODULE} v1.0.0 {}\n", support::MODULES[0].1),
    )
    .unwrap();
    let found = drift(&compare(&ours, ours.dir(), &other));
    assert!(found[0].contains("other.sum says h1:"), "{found:?}");

    for wrong in ["none", "/dev/null/x"] {
        let run = compare(&ours, ours.dir(), Path::new(wrong)).expect_code(2);
        assert!(run.stderr.contains("--compare"), "{run}");
    }
}

#[test]
fn a_saved_report_is_a_witness_and_the_table_tells_who_says_what() {
    let scratch = Scratch::new();
    let ours = cache(&scratch, "ours", "package lib\n", None);
    let theirs = cache(&scratch, "theirs", "package lib // changed\n", None);
    let saved = theirs.dir().join("report.json");
    let run = theirs
        .gocachevet()
        .args(["check", "--accounts", "--format", "json"])
        .run()
        .expect_code(0);
    fs::write(&saved, &run.stdout).unwrap();

    let run = compare(&ours, ours.dir(), &saved);
    assert!(drift(&run)[0].starts_with("proxy changed"), "{run}");
    let report = run.json();
    let table = &report["drift"];
    assert_eq!(
        (&table["compared"], &table["consistent"]),
        (&1.into(), &0.into())
    );
    let row = &table["rows"][0];
    assert_eq!(row["verdict"], "proxy-changed");
    assert_eq!(row["says"][0]["by"][0], "this cache");
    assert_eq!(row["says"][0]["value"], ziphash(&ours).trim());
    assert_eq!(row["says"][1]["value"], ziphash(&theirs).trim());

    for format in ["text", "markdown"] {
        let args = ["check", "--format", format, "--compare"];
        let run = ours.gocachevet().args(args).arg(&saved).run();
        for part in ["Who says what", "proxy changed", ziphash(&theirs).trim()] {
            assert!(run.stdout.contains(part), "{format}: {part}: {run}");
        }
    }

    // A report that does not say it.
    let run = ours.gocachevet().args(["check", "--format", "json"]).run();
    fs::write(&saved, &run.stdout).unwrap();
    let run = compare(&ours, ours.dir(), &saved).expect_code(2);
    assert!(run.stderr.contains("--accounts"), "{run}");
}

/// The ledger travels with the cache, and remembers what each version was.
#[test]
fn a_version_that_is_not_what_it_was_at_the_last_job_is_told() {
    let scratch = Scratch::new();
    let mut ours = cache(&scratch, "then", "package lib\n", Some(COMMITS[0]));
    let check = |env: &GoEnv, more: &[&str]| {
        let args = ["check", "--format", "json", "--verify", "quick"];
        let call = env.gocachevet().dir(env.dir()).args(args).args(more);
        call.run().expect_code(0)
    };
    assert_eq!(drift(&check(&ours, &["--record"])), Vec::<String>::new());
    let run = check(&ours, &[]);
    assert_eq!(drift(&run), Vec::<String>::new());
    assert!(run.json()["drift"].is_null(), "{run}");
    let was = ziphash(&ours);

    // Removed by something, and downloaded anew by a job whose proxy says otherwise.
    let versions = ours.modcache.join("cache/download").join(MODULE);
    fs::remove_dir_all(versions).unwrap();
    let tree = format!("{MODULE}@v1.0.0");
    support::make_writable(&ours.modcache.join(&tree));
    fs::remove_dir_all(ours.modcache.join(&tree)).unwrap();
    let folder = scratch.path().join("now");
    lib_proxy(&folder, "package lib // moved\n", Some(COMMITS[1]));
    let proxy = serve(&folder);
    ours.set("GOPROXY", &proxy.address);
    ours.download(&[&tree]);
    assert_ne!(ziphash(&ours), was);

    for more in [&[][..], &["--shard=1/2"]] {
        let found = drift(&check(&ours, more));
        assert!(
            found.len() == 1
                && found[0].starts_with("retagged upstream: of the module, this cache says h1:")
                && found[0].ends_with(&format!("the ledger says {was}")),
            "{found:?}"
        );
    }
    assert_eq!(drift(&check(&ours, &["--shard=2/2"])), Vec::<String>::new());
    let table = check(&ours, &["--record"]).json()["drift"].clone();
    assert_eq!(table["rows"][0]["verdict"], "retagged", "{table}");
    // It was told, and is what is known from now on.
    assert_eq!(drift(&check(&ours, &[])), Vec::<String>::new());
}
