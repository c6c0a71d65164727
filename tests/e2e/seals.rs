//! Sealed snapshots: what somebody who can write to the store, or to a machine's
//! caches, plants in them; and that the real go builds the same program all the same.

// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use support::seals::{IN_THE_STORE, Job, KEY, pair, swap_output};
use support::{Run, complaints, copy_tree, make_writable};

#[track_caller]
fn assert_says(run: &Run, rule: &str) {
    let report = run.json();
    let findings = report["findings"].as_array().unwrap();
    let said = findings.iter().any(|finding| finding["rule"] == rule);
    assert!(said, "{rule} is not in {run}");
}

#[test]
fn a_sealed_snapshot_serves_the_next_job_and_grows_by_sealed_deltas() {
    let job = Job::sealed();
    job.env.forget_caches();
    let report = job.restore(&[]).expect_code(0).json();
    let restored = &report["snapshot"]["restored"];
    assert_eq!(restored["sealed_by"], "ci.example/1");
    assert_eq!(complaints(&report), Vec::<String>::new());
    let verification = &report["verification"];
    assert_eq!(verification["bytes_consistent"], 0, "{report:#}");
    assert!(verification["bytes_proven"].as_u64().unwrap() > 1_000_000);
    assert_eq!(job.compiled(), "");
    assert_eq!(job.save(&[])["reason"], "nothing new was used");
    job.edit("one");
    let saved = job.save(&[]);
    assert_eq!(
        (&saved["kind"], &saved["sealed_by"]),
        (&json!("delta"), &json!("ci.example/1"))
    );
    job.env.forget_caches();
    let report = job.restore(&[]).expect_code(0).json();
    assert!(report["snapshot"]["restored"]["delta"].is_string());
    assert_eq!(job.compiled(), "");
    // By hand as well.
    let dir = job.env.dir().join("by-hand");
    fs::create_dir(&dir).unwrap();
    let mut tar = Command::new("tar");
    let tar = tar
        .arg("--zstd")
        .arg("-xmf")
        .arg(job.bundle(&job.digests()[0]));
    assert!(tar.current_dir(&dir).status().unwrap().success());
    assert!(dir.join("gocache/00").exists());
}

#[test]
fn the_secret_key_shows_nowhere() {
    let job = Job::new();
    job.restore(&[]).expect_code(0);
    job.build();
    // The key itself may have a `+`, too.
    let secret = job.keys.secret.splitn(5, '+').nth(4).unwrap().to_owned();
    let not_said = |run: &Run| {
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(&secret));
    };
    let run = job.moved("save", &["-vv", "--seal-key-env", KEY]).run();
    not_said(&run.expect_code(0));
    for entry in walkdir::WalkDir::new(job.env.dir()) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let content = fs::read(entry.path()).unwrap();
            let found = content
                .windows(secret.len())
                .any(|it| it == secret.as_bytes());
            assert!(!found, "{}", entry.path().display());
        }
    }
    let run = job
        .moved("save", &["--seal-key-env", &job.keys.secret])
        .run();
    not_said(&run.expect_code(2));
    let broken = job.keys.secret.replace("PRIVATE", "PUBLIC");
    let run = job
        .moved("save", &["--seal-key-env", KEY])
        .env(KEY, broken)
        .run();
    assert!(run.stderr.contains("malformed key"), "{run}");
    not_said(&run.expect_code(2));
    // By another way, where no environment has it.
    job.edit("one");
    let run = job.moved("save", &["--seal-key-fd", "0"]).env(KEY, "");
    let run = run.stdin(job.keys.secret.clone()).run().expect_code(0);
    assert_eq!(run.json()["snapshot"]["saved"]["sealed_by"], "ci.example/1");
    not_said(&run);
}

#[test]
fn a_new_secret_key_is_a_file_of_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let seal = || {
        support::gocachevet()
            .dir(dir.path())
            .args(["seal", "--new-key", "a"])
    };
    let run = seal().args(["--secret-file", "k"]).run().expect_code(0);
    let file = dir.path().join("k");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let secret = fs::read_to_string(&file).unwrap();
    assert!(secret.starts_with("PRIVATE+KEY+a+") && run.stdout.starts_with("a+"));
    assert!(!run.stdout.contains("PRIVATE"));
    seal().args(["--secret-file", "k"]).run().expect_code(3);
    assert_eq!(fs::read_to_string(&file).unwrap(), secret);
    support::gocachevet()
        .args(["seal", "--new-key", "a b"])
        .run()
        .expect_code(2);
    support::gocachevet().arg("seal").run().expect_code(2);
}

#[test]
fn without_a_seal_nothing_comes_that_nothing_proves() {
    let job = Job::new();
    job.restore_anything();
    let good = job.build();
    assert_eq!(job.save_unsealed()["sealed_by"], Value::Null);
    job.env.forget_caches();
    assert_says(&job.restore(&[]).expect_code(1), "seal-missing");
    assert!(!job.env.modcache.join("cache").exists());
    assert!(!job.env.gocache.join("00").exists());
    let report = job
        .restore(&["--on-unsealed", "warn"])
        .expect_code(0)
        .json();
    assert_eq!(report["verdict"], "warn");
    assert!(job.env.gocache.join("00").exists());
    // What such a job makes is sealed by nobody.
    job.edit("one");
    let run = job
        .moved("save", &["--seal-key-env", KEY])
        .run()
        .expect_code(1);
    assert_says(&run, "seal-missing");
    job.env.forget_caches();
    let report = job
        .restore(&["--on-unsealed", "skip"])
        .expect_code(0)
        .json();
    assert_eq!(
        report["verification"]["proven_by"]["go_sum"], 3,
        "{report:#}"
    );
    assert_eq!(report["verification"]["bytes_consistent"], 0);
    assert!(!job.env.gocache.join("00").exists());
    let versions = job.env.modcache.join("cache/download/gopkg.in/yaml.v3/@v");
    assert!(versions.join("v3.0.1.zip").exists());
    assert!(!versions.join("v3.0.1.info").exists());
    // The modules are proven and the rest was made here: from now on it is sealed.
    assert_eq!(job.build(), good);
    assert_eq!(job.save(&[])["kind"], "base");
    job.env.forget_caches();
    assert_eq!(
        complaints(&job.restore(&[]).expect_code(0).json()),
        Vec::<String>::new()
    );
    assert_eq!(job.build(), good);
}

#[test]
fn jobs_without_the_key_restore_what_is_sealed_and_save_nothing_sealed() {
    let job = Job::sealed();
    job.env.forget_caches();
    job.restore(&["--ref", "pull/1"]).expect_code(0);
    job.edit("one");
    let args = ["--ref", "pull/1", "--seal-key-env", KEY];
    let run = job.moved("save", &args).env(KEY, "").run().expect_code(0);
    assert_eq!(run.json()["snapshot"]["saved"]["kind"], "none");
    // Nor is a branch's unsealed delta in the way of what is sealed.
    let run = job.moved("save", &["--ref", "pull/1"]).run().expect_code(0);
    assert_eq!(run.json()["snapshot"]["saved"]["kind"], "delta");
    job.env.forget_caches();
    let report = job.restore(&["--ref", "pull/1"]).expect_code(0).json();
    assert_eq!(report["verdict"], "warn");
    assert_eq!(report["snapshot"]["restored"]["ref"], "main");
}

#[test]
fn a_manifest_that_another_key_signed_is_refused() {
    let job = Job::sealed();
    let other = pair("ci.example/1");
    let run = job.moved("restore", &["--sealed-by", &other.public]).run();
    assert_says(&run.expect_code(1), "seal-invalid");
    // While keys are changed both are named.
    job.env.forget_caches();
    job.restore(&["--sealed-by", &other.public]).expect_code(0);
    let run = job.moved("restore", &["--sealed-by", "nonsense"]).run();
    assert!(run.expect_code(2).stderr.contains("malformed key"));
}

#[test]
fn seals_of_another_branch_or_time_do_not_count() {
    let job = Job::sealed();
    job.env.forget_caches();
    let run = job.restore(&["--sealed-ref", "release/*"]).expect_code(1);
    assert_says(&run, "seal-wrong-ref");
    let run = job.restore(&["--seal-max-age", "0s"]);
    std::thread::sleep(std::time::Duration::from_secs(2));
    let run = match run.code {
        Some(1) => run,
        _ => job.restore(&["--seal-max-age", "0s"]).expect_code(1),
    };
    assert_says(&run, "seal-expired");
    let args = ["--sealed-by", &job.keys.public];
    let here = |name| {
        job.moved("restore", &args)
            .env("GITHUB_REPOSITORY", name)
            .run()
    };
    assert!(!job.env.gocache.join("00").exists());
    here("o/r").expect_code(0);
    job.edit("one");
    let run = job.moved("save", &["--seal-key-env", KEY]);
    run.env("GITHUB_REPOSITORY", "o/r").run().expect_code(0);
    job.env.forget_caches();
    assert_says(&here("o/other").expect_code(1), "seal-wrong-ref");
    here("o/r").expect_code(0);
    let fitting = [
        "--sealed-ref",
        "ma*",
        "--seal-max-age",
        "1h",
        "--seal-min-counter",
        "1",
    ];
    job.env.forget_caches();
    job.restore(&fitting).expect_code(0);
}

#[test]
fn an_older_sealed_snapshot_is_told_by_its_counter() {
    let job = Job::sealed();
    let older = job.digests();
    job.edit("one");
    job.save(&[]);
    job.set_head(&older);
    job.env.forget_caches();
    let run = job.restore(&["--seal-min-counter", "1"]).expect_code(1);
    assert_says(&run, "seal-rolled-back");
    // By nothing else.
    job.restore(&[]).expect_code(0);
}

#[test]
fn caches_on_disk_are_held_against_what_was_sealed() {
    let job = Job::sealed();
    // Into these nothing was restored.
    assert_says(&job.check().expect_code(1), "seal-missing");
    job.env.forget_caches();
    job.restore(&[]).expect_code(0);
    job.check().expect_code(0);
    let tree = job.env.modcache.join("github.com/cespare/xxhash/v2@v2.3.0");
    make_writable(&tree);
    fs::write(tree.join("more.go"), "package xxhash\n").unwrap();
    assert_says(&job.check().expect_code(1), "seal-broken-unit");
    fs::remove_file(tree.join("more.go")).unwrap();
    job.check().expect_code(0);
    // What a build makes is told as such.
    job.edit("one");
    let run = job.check();
    assert!(
        run.stdout.contains("made since the sealed snapshot"),
        "{run}"
    );
    job.poison();
    let run = job.check().expect_code(1);
    assert_says(&run, "seal-broken-unit");
    let other = pair("other");
    let run = job.command("check", &["--sealed-by", &other.public]).run();
    assert_says(&run.expect_code(1), "seal-invalid");
    // Units that were there before.
    job.env.forget_caches();
    job.edit("two");
    job.restore(&[]).expect_code(0);
    assert_says(&job.check().expect_code(1), "seal-missing");
}

#[test]
fn the_bundle_of_a_digest_is_restored_and_no_other() {
    let job = Job::sealed();
    job.edit("one");
    job.save(&[]);
    let digests = job.digests();
    job.set_head(&digests[..1]);
    job.env.forget_caches();
    let run = job.moved("restore", &["--digest", &digests[1]]).run();
    let report = run.expect_code(0).json();
    let restored = &report["snapshot"]["restored"];
    assert_eq!(restored["base"], *digests[0]);
    assert_eq!(restored["delta"], *digests[1]);
    assert_eq!(job.compiled(), "");
    job.env.forget_caches();
    fs::write(
        job.bundle(&digests[1]),
        fs::read(job.bundle(&digests[0])).unwrap(),
    )
    .unwrap();
    let run = job.moved("restore", &["--digest", &digests[1]]).run();
    assert_says(&run.expect_code(1), "seal-missing");
    assert!(!job.env.gocache.join("00").exists());
}

#[test]
fn a_planted_output_is_linked_where_no_seal_is_asked_for() {
    let job = Job::sealed();
    swap_output(&job);
    job.env.forget_caches();
    assert_eq!(complaints(&job.restore_anything()), Vec::<String>::new());
    job.build();
    assert!(job.says().contains("planted"), "{}", job.says());
}

#[test]
fn nothing_that_is_planted_in_the_store_reaches_the_program() {
    let job = Job::sealed();
    let good = job.build();
    let whole = job.env.dir().join("whole");
    copy_tree(&job.store, &whole);
    let asked = ["--sealed-ref", "main", "--seal-min-counter"];
    for (name, plant) in IN_THE_STORE {
        job.env.forget_caches();
        fs::remove_dir_all(&job.store).unwrap();
        copy_tree(&whole, &job.store);
        job.restore(&[&asked[..], &["0"]].concat()).expect_code(0);
        job.build();
        plant(&job);
        job.env.forget_caches();
        // What is older than one that was seen is told by its counter.
        let least = match *name {
            "an older sealed snapshot" => "1",
            _ => "0",
        };
        let asked = [&asked[..], &[least]].concat();
        let run = job.restore(&asked);
        let restored = run.json()["snapshot"]["restored"].clone();
        let is_stopped = run.code == Some(1);
        let is_left_out = run.code == Some(0)
            && (restored.is_null() || restored["skipped"].as_u64().unwrap() > 0);
        assert!(is_stopped || is_left_out, "{name}: {run}");
        assert!(!is_stopped || restored.is_null(), "{name}: {run}");
        if is_stopped {
            let skip = [&asked[..], &["--on-unsealed", "skip"]].concat();
            job.restore(&skip).expect_code(0);
        }
        let planted = job
            .env
            .modcache
            .join("cache/download/example.com/planted/@v/v1.0.0.zip");
        assert!(!planted.exists(), "{name}");
        assert!(job.build() == good, "{name}: another program comes out");
        assert!(!job.says().contains("planted"), "{name}");
    }
}

#[test]
fn a_job_that_holds_the_key_seals_nothing_that_was_planted() {
    let job = Job::sealed();
    let (good, head) = (job.build(), fs::read(job.head()).unwrap());
    let refused = |what: &str| {
        job.edit(what);
        let run = job.moved("save", &["--seal-key-env", KEY]).run();
        assert_says(&run.expect_code(1), "seal-missing");
        assert_eq!(fs::read(job.head()).unwrap(), head, "{what}");
    };
    // A restore that asked for no seal brought it.
    job.env.forget_caches();
    job.restore(&[]).expect_code(0);
    job.build();
    job.poison();
    job.save_unsealed();
    fs::write(job.head(), &head).unwrap();
    job.env.forget_caches();
    job.restore_anything();
    refused("one");
    // It was on the machine already, and the restore left it as it was.
    job.env.forget_caches();
    job.build();
    job.poison();
    job.restore(&[]).expect_code(0);
    refused("two");
    // Another job of this machine made it, after this one's restore of long ago.
    job.env.forget_caches();
    let restore = job.moved("restore", &["--sealed-by", &job.keys.public]);
    restore.env("GITHUB_RUN_ID", "1").run().expect_code(0);
    refused("three");
    // Somebody's unsealed delta is not merged.
    job.env.forget_caches();
    job.restore(&[]).expect_code(0);
    job.edit("four");
    job.poison();
    assert_eq!(job.save_unsealed()["kind"], "delta");
    let planted = job.digests();
    fs::write(job.head(), &head).unwrap();
    job.env.forget_caches();
    job.restore(&[]).expect_code(0);
    job.set_head(&planted);
    job.edit("five");
    let saved = job.save(&[]);
    assert_eq!(saved["kind"], "base", "{saved}");
    job.env.forget_caches();
    job.restore(&[]).expect_code(0);
    assert!(job.build() == good, "another program comes out");
}
