//! The policy: levels, silences, a baseline and limits, from flags and from
//! `gocachevet.toml`, and what they do to verdict and exit code.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use support::{Run, Scratch, copy_tree, gocachevet, snapshot};

/// The sample cache, with one denied finding, and a project to configure.
struct Sample {
    scratch: Scratch,
}

impl Sample {
    fn new() -> Sample {
        let scratch = Scratch::new();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sample-cache");
        copy_tree(&from, &scratch.path().join("sample"));
        Sample { scratch }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join("sample").join(name)
    }

    fn configure(&self, text: &str) {
        fs::write(self.path("project/gocachevet.toml"), text).unwrap();
    }

    fn check<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        gocachevet()
            .args(["--modcache".as_ref(), self.path("modcache").as_os_str()])
            .args(["--gocache".as_ref(), self.path("gocache").as_os_str()])
            .args(["--project".as_ref(), self.path("project").as_os_str()])
            .args(args)
            .run()
    }
}

fn findings(report: &Value) -> usize {
    support::complaints(report).len()
}

#[test]
fn levels_decide_what_a_finding_weighs() {
    let sample = Sample::new();
    for (level, code, verdict, count) in [
        ("deny", 1, "fail", 1),
        ("warn", 0, "warn", 1),
        ("note", 0, "pass", 1),
        ("allow", 0, "pass", 0),
    ] {
        sample.configure(&format!("[rules]\nextracted-hash-mismatch = '{level}'\n"));
        let report = sample.check(["--format=json"]).expect_code(code).json();
        assert_eq!(report["verdict"], verdict, "{level}");
        assert_eq!(findings(&report), count, "{level}");
        let config = report["policy"]["config"].as_str().unwrap();
        assert!(config.ends_with("gocachevet.toml"));
    }
    // Whoever wants none of the project's own policy says so.
    let report = sample
        .check(["--format=json", "--no-project-config"])
        .expect_code(1)
        .json();
    assert_eq!(report["policy"]["config"], Value::Null);
}

#[test]
fn a_silence_holds_until_its_day_and_needs_a_reason() {
    let sample = Sample::new();
    let silence = |rest: &str| {
        sample.configure(&format!(
            "[[silence]]\nrule = 'extracted-hash-mismatch'\nsubject = 'github.com/pkg/*'\n{rest}"
        ));
    };
    silence("reason = 'known'\nexpires = 2999-01-01\n");
    let report = sample.check(["--format=json"]).expect_code(0).json();
    assert_eq!(
        (findings(&report), &report["policy"]["silenced"]),
        (0, &Value::from(1))
    );
    silence("reason = 'known'\nexpires = 2001-01-01\n");
    let report = sample.check(["--format=json"]).expect_code(1).json();
    assert_eq!(findings(&report), 1);
    let notes = report["notes"].as_array().unwrap();
    assert!(
        notes
            .iter()
            .any(|note| note.as_str().unwrap().contains("2001-01-01")),
        "{notes:?}"
    );
    silence("");
    let run = sample.check(["--format=json"]).expect_code(2);
    assert!(run.stderr.contains("reason"), "{run}");
}

#[test]
fn a_baseline_lets_known_findings_pass_and_no_others() {
    let sample = Sample::new();
    let baseline = sample.path("baseline.json");
    sample
        .check(["--write-baseline".as_ref(), baseline.as_os_str()])
        .expect_code(1);
    let known = [
        "--format=json".as_ref(),
        "--baseline".as_ref(),
        baseline.as_os_str(),
    ];
    let report = sample.check(known).expect_code(0).json();
    assert_eq!(
        (findings(&report), &report["policy"]["baselined"]),
        // The planted one, and the note on .info files.
        (0, &Value::from(2))
    );
    fs::write(sample.path("modcache/cache/download/stray"), "").unwrap();
    let report = sample.check(known).expect_code(0).json();
    assert_eq!(report["findings"][0]["rule"], "unexpected-file");
    fs::write(&baseline, "{}").unwrap();
    let run = sample.check(known).expect_code(2);
    assert!(run.stderr.contains("baseline.json"), "{run}");
}

#[test]
fn limits_warn_and_fail() {
    let sample = Sample::new();
    let allow = "[rules]\nextracted-hash-mismatch = 'allow'\n";
    for (option, file, code, status) in [
        ("--max-size=1GB", "", 0, "pass"),
        ("--max-size=1KB", "", 1, "fail"),
        ("--max-size=warn=1KB,fail=1GB", "", 0, "warn"),
        ("--max-modcache-size=1KB", "", 1, "fail"),
        ("--max-gocache-size=1KB", "", 1, "fail"),
        ("--max-findings=0", "", 0, "pass"),
        ("--quiet", "max-size = '1KB'\n", 1, "fail"),
        // Flags win.
        ("--max-size=1GB", "max-size = '1KB'\n", 0, "pass"),
    ] {
        sample.configure(&format!("{file}{allow}"));
        let report = sample
            .check(["--format=json", option])
            .expect_code(code)
            .json();
        let limits = report["thresholds"].as_array().unwrap();
        let name = option.trim_start_matches("--").split('=').next().unwrap();
        let name = if name == "quiet" { "max-size" } else { name };
        let limit = limits.iter().find(|limit| limit["name"] == name).unwrap();
        assert_eq!(limit["status"], status, "{option} {file:?}");
        let crossed = report["findings"][0]["rule"] == "over-threshold";
        assert_eq!(crossed, status != "pass", "{option} {file:?}");
    }
    sample.configure(allow);
    let run = sample.check(["--max-size=lots"]).expect_code(2);
    assert!(run.stderr.contains("500MB"), "{run}");
    // One entry that was last used 400 days ago.
    let shard = fs::read_dir(sample.path("gocache"))
        .unwrap()
        .map(Result::unwrap);
    let entries = shard.filter(|entry| entry.file_name().len() == 2);
    let entry = entries.flat_map(|shard| fs::read_dir(shard.path()).unwrap());
    let entry = entry.map(|entry| entry.unwrap().path()).next().unwrap();
    let old = SystemTime::now() - Duration::from_secs(400 * 86_400);
    fs::File::options()
        .write(true)
        .open(entry)
        .unwrap()
        .set_modified(old)
        .unwrap();
    for (limit, code) in [("--max-age=500d", 0), ("--max-age=300d", 1)] {
        sample.check([limit]).expect_code(code);
    }
}

#[test]
fn one_run_writes_every_format() {
    let sample = Sample::new();
    let before = snapshot(&sample.path("modcache"));
    let names = [
        "text",
        "json",
        "markdown",
        "github",
        "openmetrics",
        "sarif",
        "codequality",
    ];
    let outputs = names.map(|name| format!("--output={name}={}", sample.path(name).display()));
    let run = sample.check(outputs).expect_code(1);
    assert!(run.stdout.starts_with("FAIL"), "{run}");
    let read = |name: &str| fs::read_to_string(sample.path(name)).unwrap();
    assert_eq!(read("text"), run.stdout);
    let report: Value = serde_json::from_str(&read("json")).unwrap();
    assert_eq!(report["schema"], "gocachevet.report/1");
    assert!(read("markdown").contains("```mermaid"));
    assert!(read("github").starts_with("::error title="));
    assert!(read("openmetrics").ends_with("# EOF\n"));
    let sarif: Value = serde_json::from_str(&read("sarif")).unwrap();
    assert_eq!(
        sarif["runs"][0]["results"][0]["ruleId"],
        "extracted-hash-mismatch"
    );
    let quality: Value = serde_json::from_str(&read("codequality")).unwrap();
    assert_eq!(quality[0]["check_name"], "extracted-hash-mismatch");
    assert_eq!(snapshot(&sample.path("modcache")), before);
    let run = sample
        .check(["--output=json=/no/such/folder/report"])
        .expect_code(3);
    assert!(run.stderr.contains("/no/such/folder/report"), "{run}");
}

#[test]
fn a_list_names_what_takes_the_space() {
    let sample = Sample::new();
    let list = |args: &[&str]| {
        let mut all = vec!["list"];
        all.extend_from_slice(args);
        sample.check(all).expect_code(0)
    };
    let text = list(&["--top", "1"]).stdout;
    assert!(
        text.contains("github.com/google/uuid") && !text.contains("pkg/errors"),
        "{text}"
    );
    let by_version = list(&["--by", "version", "--format", "json"]).json();
    assert_eq!(by_version["schema"], "gocachevet.list/1");
    let text = by_version.to_string();
    assert!(text.contains("v1.6.0") && text.contains("v0.9.1"), "{text}");
    let by_output = list(&["--by", "output"]).stdout;
    assert!(
        by_output.contains("package") && by_output.contains(" example.com/sample/greeting "),
        "{by_output}"
    );
}

#[test]
fn rules_explain_themselves() {
    let all = gocachevet().arg("explain").run().expect_code(0).stdout;
    for rule in gocachevet::tested::Rule::ALL {
        assert!(all.contains(rule.name()), "{rule}");
        let page = gocachevet()
            .args(["explain", rule.name()])
            .run()
            .expect_code(0)
            .stdout;
        assert!(
            page.starts_with(&format!("{rule}\n\nDefault level: `")),
            "{page}"
        );
        for part in ["**How it comes about.** ", "**What to do.** "] {
            let said = page.split(part).nth(1);
            assert!(said.is_some_and(|said| said.len() > 20), "{part}: {page}");
        }
    }
    let run = gocachevet()
        .args(["explain", "zip-hash-missmatch"])
        .run()
        .expect_code(2);
    assert!(run.stderr.contains("zip-hash-mismatch"), "{run}");
}
