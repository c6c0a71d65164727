//! `check --compare`: caches filled from two proxies that disagree.

// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{GoEnv, Run, Scratch};

const MODULE: &str = "example.com/lib";
const COMMITS: [&str; 2] = [
    "1111111111111111111111111111111111111111",
    "2222222222222222222222222222222222222222",
];

/// A folder that `go` takes as a proxy, with one module version in it.
fn proxy(root: &Path, source: &str, commit: Option<&str>) -> String {
    let dir = root.join(MODULE).join("@v");
    fs::create_dir_all(&dir).unwrap();
    let go_mod = format!("module {MODULE}\n");
    let origin =
        commit.map(|commit| format!(",\"Origin\":{{\"VCS\":\"git\",\"Hash\":\"{commit}\"}}"));
    let info = format!(
        "{{\"Version\":\"v1.0.0\",\"Time\":\"2024-01-01T00:00:00Z\"{}}}",
        origin.unwrap_or_default()
    );
    fs::write(dir.join("list"), "v1.0.0\n").unwrap();
    fs::write(dir.join("v1.0.0.info"), info).unwrap();
    fs::write(dir.join("v1.0.0.mod"), &go_mod).unwrap();
    let files = [("go.mod", go_mod.as_str()), ("lib.go", source)];
    fs::write(dir.join("v1.0.0.zip"), zip(&files)).unwrap();
    format!("file://{}", root.display())
}

/// A module zip without compression (APPNOTE.TXT of PKWARE, 4.3).
fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let name = format!("{MODULE}@v1.0.0/{name}");
        let mut crc = flate2::Crc::new();
        crc.update(content.as_bytes());
        let (len, at) = (content.len() as u32, out.len() as u32);
        let mut common = Vec::new();
        common.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]); // version, flags, method, time, date
        common.extend(crc.sum().to_le_bytes());
        common.extend(len.to_le_bytes());
        common.extend(len.to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]); // no extra field
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(content.as_bytes());
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]); // comment, disk, attributes
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, count) = (out.len() as u32, (files.len() as u16).to_le_bytes());
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count, count].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// A module cache filled from a proxy of its own.
fn cache(scratch: &Scratch, name: &str, source: &str, commit: Option<&str>) -> GoEnv {
    let mut env = GoEnv::new();
    env.set("GOPROXY", proxy(&scratch.path().join(name), source, commit));
    env.download(&[&format!("{MODULE}@v1.0.0")]);
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
