//! The real program against the service on loopback.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::client::some;
use crate::fake::{Fake, TOKEN, Vice, entry};

fn program(fake: &Fake, dir: &Path, args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_gocachevet"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .env("GITHUB_API_URL", fake.url())
        .env("GITHUB_TOKEN", TOKEN)
        .output()
        .unwrap();
    for text in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains(TOKEN), "the token is shown: {text}");
    }
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

const TRIM: [&str; 6] = [
    "remote",
    "trim",
    "--repo",
    "o/r",
    "--prefix",
    "${{ runner.os }}-go-",
];

fn trim(more: &[&'static str]) -> Vec<&'static str> {
    TRIM.into_iter().chain(more.iter().copied()).collect()
}

#[test]
fn a_trim_is_a_dry_run_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::start(some());
    let rules = [
        "--superseded",
        "--closed-prs",
        "--keep-ref",
        "refs/heads/feature/*",
    ];
    let dry = program(&fake, dir.path(), &trim(&rules));
    assert_eq!(
        dry.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&dry.stderr)
    );
    let text = stdout(&dry);
    for line in [
        "remove 11 Linux-go-a: superseded by Linux-go-b (12)",
        "remove 13 Linux-go-a: pull request 7 is closed",
        "remove 15 Linux-go-a: refs/heads/gone is gone",
        "would remove: 3 entries, 18.0 kB; 12.0 kB stay",
    ] {
        assert!(text.contains(line), "{line:?} in:\n{text}");
    }
    assert_eq!(fake.ids("o/r").len(), 5);

    let wet = program(&fake, dir.path(), &trim(&[&rules[..], &["--yes"]].concat()));
    assert_eq!(wet.status.code(), Some(0));
    assert!(
        stdout(&wet).contains("removed: 3 entries, 18.0 kB"),
        "{}",
        stdout(&wet)
    );
    assert_eq!(fake.ids("o/r"), [12, 14]);
    let deletions: Vec<_> = fake
        .log()
        .into_iter()
        .filter(|line| line.starts_with("DELETE"))
        .collect();
    assert_eq!(
        deletions,
        [11, 13, 15].map(|id| format!("DELETE /repos/o/r/actions/caches/{id} 204"))
    );
}

#[test]
fn some_refused_some_vanished_the_rest_goes() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = some();
    state.vanishing.push(12);
    let fake = Fake::start(state);
    fake.fault(
        "DELETE /repos/o/r/actions/caches/13",
        Vice::Status(403, "Locked", vec![]),
        9,
    );
    fake.fault(
        "DELETE /repos/o/r/actions/caches/14",
        Vice::Status(500, "Oops", vec![]),
        99,
    );
    let args = trim(&[
        "--cutoff-days",
        "1",
        "--yes",
        "--format",
        "json",
        "--patience",
        "3s",
    ]);
    let output = program(&fake, dir.path(), &args);
    assert_eq!(output.status.code(), Some(3));
    let report = json(&output);
    let outcome = &report["repositories"][0]["outcome"];
    assert_eq!(
        (&outcome["removed"], &outcome["vanished"]),
        (&2.into(), &1.into())
    );
    let failed: Vec<_> = outcome["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["id"].clone())
        .collect();
    assert_eq!(failed, [13, 14]);
    assert_eq!(fake.ids("o/r"), [13, 14]);
}

#[test]
fn a_token_without_the_permission_is_not_tried_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::start(some());
    let refused = Vice::Status(403, "Resource not accessible by integration", vec![]);
    fake.fault("DELETE ", refused, 99);
    let output = program(&fake, dir.path(), &trim(&["--cutoff-days", "1", "--yes"]));
    assert_eq!(output.status.code(), Some(3));
    // Lines are wrapped.
    let text = stdout(&output)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(
        text.matches("add `actions: write` under `permissions:`")
            .count(),
        5,
        "{text}"
    );
    assert_eq!(
        fake.log()
            .iter()
            .filter(|line| line.starts_with("DELETE"))
            .count(),
        1
    );
}

#[test]
fn size_is_met_or_the_run_fails() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::start(some());
    let output = program(&fake, dir.path(), &trim(&["--max-size", "13kB", "--yes"]));
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    // All are cold: the longest unused go first.
    assert_eq!(fake.ids("o/r"), [11, 14]);
    let kept = program(
        &fake,
        dir.path(),
        &trim(&["--max-size", "1kB", "--keep", "Linux-*", "--yes"]),
    );
    assert_eq!(kept.status.code(), Some(1));
    assert!(
        stdout(&kept).contains("still over the limit by 10.0 kB"),
        "{}",
        stdout(&kept)
    );
    let share = program(&fake, dir.path(), &trim(&["--quota-share", "80%"]));
    assert_eq!(share.status.code(), Some(0));
}

#[test]
fn usage_counts_what_is_of_no_use() {
    let dir = tempfile::tempdir().unwrap();
    let workflows = dir.path().join(".github/workflows");
    std::fs::create_dir_all(&workflows).unwrap();
    std::fs::write(
        workflows.join("ci.yml"),
        "steps:\n  - with:\n      restore-keys: |\n        Linux-go-\n",
    )
    .unwrap();
    let mut state = some();
    state.quota_gb = Some(1);
    let fake = Fake::start(state);
    let output = program(
        &fake,
        dir.path(),
        &["remote", "usage", "--repo", "o/r", "--format", "json"],
    );
    assert_eq!(output.status.code(), Some(0));
    let report = json(&output);
    let repository = &report["repositories"][0];
    assert_eq!(report["schema"], "gocachevet.remote/1");
    assert_eq!(
        repository["all"],
        serde_json::json!({"entries": 5, "bytes": 30_000})
    );
    assert_eq!(
        repository["superseded"],
        serde_json::json!({"entries": 1, "bytes": 4000})
    );
    assert_eq!(
        repository["unreachable"],
        serde_json::json!({"entries": 2, "bytes": 14_000})
    );
    assert_eq!(repository["never_accessed"]["entries"], 3);
    assert_eq!(repository["quota_bytes"], 1 << 30);
    assert_eq!(
        repository["duplicates"][0]["ids"],
        serde_json::json!([15, 14, 13, 11])
    );
    let over = program(
        &fake,
        dir.path(),
        &["remote", "usage", "--repo", "o/r", "--max-size", "29kB"],
    );
    assert_eq!(over.status.code(), Some(1));
}

#[test]
fn samples_make_counts() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::start(some());
    let args = [
        "remote",
        "list",
        "--repo",
        "o/r",
        "--history",
        "history.json",
        "--format",
        "json",
    ];
    assert_eq!(program(&fake, dir.path(), &args).status.code(), Some(0));
    let now = chrono::Utc::now();
    let times = [3, 2, 1].map(|hours| (now - chrono::TimeDelta::hours(hours)).to_rfc3339());
    for time in &times {
        fake.state
            .lock()
            .unwrap()
            .repositories
            .get_mut("o/r")
            .unwrap()[0]["last_accessed_at"] = time.as_str().into();
        assert_eq!(program(&fake, dir.path(), &args).status.code(), Some(0));
    }
    let output = program(&fake, dir.path(), &args);
    let report = json(&output);
    assert_eq!(report["repositories"][0]["entries"][0]["accesses"], 3);
    // Nothing changed since the last run: nothing was sent again.
    assert!(
        fake.log()
            .iter()
            .rev()
            .take(2)
            .any(|line| line.ends_with(" 304")),
        "{:#?}",
        fake.log()
    );
    let text = std::fs::read_to_string(dir.path().join("history.json")).unwrap();
    assert!(!text.contains(TOKEN));
}

#[test]
fn an_organisation_in_one_run_where_one_repository_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = some();
    let time = "2026-01-01T00:00:00Z";
    state.repositories.insert(
        "o/b".into(),
        vec![entry(7, "\u{1b}[31mk", "refs/heads/main", 5, time, time)],
    );
    let fake = Fake::start(state);
    fake.fault("GET /repos/o/r/actions/caches", Vice::HalfJson, 9);
    let output = program(&fake, dir.path(), &["remote", "list", "--org", "o"]);
    assert_eq!(output.status.code(), Some(3));
    let text = stdout(&output);
    assert!(
        text.contains("o/b\n") && text.contains("1 entry, 5 B"),
        "{text}"
    );
    assert!(
        text.contains("unknown: entries: answer not understood"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "hostile keys are escaped");
}

#[test]
fn wrong_usage_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::start(some());
    for (args, words) in [
        (&["remote", "list"][..], "which repository?"),
        (
            &["remote", "list", "--repo", "o/r/../x"],
            "is not a repository",
        ),
        (
            &[
                "remote",
                "list",
                "--repo",
                "o/r",
                "--api-url",
                "http://ghe.example",
            ],
            "not an https address",
        ),
        (
            &["remote", "trim", "--repo", "o/r", "--superseded"],
            "needs a --prefix",
        ),
        (
            &["remote", "trim", "--repo", "o/r", "--yes", "--dry-run"],
            "cannot be used with",
        ),
        (
            &["remote", "list", "--repo", "o/r", "--prefix", "${{ x }}"],
            "would match every key",
        ),
        (
            &["remote", "list", "--repo", "o/r", "--format", "sarif"],
            "possible values: text, json",
        ),
    ] {
        let output = program(&fake, dir.path(), args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(words), "{args:?}: {error}");
    }
    assert_eq!(fake.log(), [""; 0]);
}

/// A folder with both caches in it, so that there is something to check.
fn caches(dir: &Path) {
    std::fs::create_dir_all(dir.join("mod/cache/download")).unwrap();
    std::fs::create_dir_all(dir.join("build/00")).unwrap();
    std::fs::write(dir.join("mod/cache/lock"), "").unwrap();
}

#[test]
fn a_local_check_tells_what_saving_pushes_out() {
    let dir = tempfile::tempdir().unwrap();
    caches(dir.path());
    let workflows = dir.path().join(".github/workflows");
    std::fs::create_dir_all(&workflows).unwrap();
    let restore = "steps:\n  - with:\n      restore-keys: |\n        Linux-go-\n";
    std::fs::write(workflows.join("ci.yml"), restore).unwrap();
    // 30,000 bytes are there; this leaves 824 of the quota.
    let day = "2020-06-01T00:00:00Z";
    let big = entry(
        16,
        "other",
        "refs/heads/main",
        (1 << 30) - 30_824,
        day,
        "2020-06-30T00:00:00Z",
    );
    let mut state = some();
    state.repositories.get_mut("o/r").unwrap().push(big);
    state.quota_gb = Some(1);
    let fake = Fake::start(state);
    let args = [
        "--modcache",
        "mod",
        "--gocache",
        "build",
        "--remote",
        "o/r",
        "--remote-key",
        "Linux-go-z",
    ];
    let checked = program(
        &fake,
        dir.path(),
        &[&args[..], &["--format", "json"]].concat(),
    );
    let report = json(&checked);
    let repository = &report["remote"]["repositories"][0];
    assert_eq!(repository["all"]["entries"], 6, "{report:#}");
    let save = &repository["next_save"];
    assert_eq!(
        save["uncompressed_bytes"],
        report["modcache"]["bytes"].as_u64().unwrap()
            + report["buildcache"]["bytes"].as_u64().unwrap()
    );
    // As large as the newest of the same prefix, 15; the two that nobody
    // accessed for longest make room for it.
    assert_eq!(save["key"], "Linux-go-z");
    assert_eq!(save["expected_bytes"], 8000);
    assert_eq!(save["share"], 8000.0 / f64::from(1 << 30));
    let evicts: Vec<_> = save["evicts"].as_array().unwrap().iter().collect();
    let evicts: Vec<_> = evicts.iter().map(|gone| gone["id"].clone()).collect();
    assert_eq!(evicts, [12, 13]);
    let text = stdout(&program(&fake, dir.path(), &args));
    for line in [
        "this job will save about 8.00 kB, 0.0% of the quota",
        "which pushes out 2 entries, 11.0 kB",
        "5.00 kB Linux-go-b (refs/heads/main)",
        "6.00 kB Linux-go-a (refs/pull/7/merge)",
    ] {
        assert!(text.contains(line), "{line:?} in:\n{text}");
    }
    // Without a key the size before compression stands for it.
    let text = stdout(&program(&fake, dir.path(), &args[..6]));
    assert!(text.contains("this job will save up to "), "{text}");
    // A look changes nothing there.
    assert_eq!(fake.ids("o/r"), [11, 12, 13, 14, 15, 16]);
    let deletions = fake.log();
    assert!(!deletions.iter().any(|line| line.starts_with("DELETE")));
}

#[test]
fn a_local_check_goes_on_when_the_service_is_down() {
    let dir = tempfile::tempdir().unwrap();
    caches(dir.path());
    let fake = Fake::start(some());
    fake.fault("GET ", Vice::Status(500, "Oops", vec![]), usize::MAX);
    let args = [
        "--modcache",
        "mod",
        "--gocache",
        "build",
        "--format",
        "json",
    ];
    let alone = json(&program(&fake, dir.path(), &args));
    let both = program(
        &fake,
        dir.path(),
        &[&args[..], &["--remote", "o/r"]].concat(),
    );
    let report = json(&both);
    assert_eq!(report["modcache"], alone["modcache"]);
    assert_eq!(report["verdict"], alone["verdict"]);
    assert_eq!(
        report["remote"]["repositories"][0]["next_save"],
        Value::Null
    );
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("remote o/r: entries: failed with status 500"),
        "{notes}"
    );
}
