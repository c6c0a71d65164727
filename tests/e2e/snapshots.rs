//! `save` and `restore`: caches that the real go filled, moved to where there are
//! none, and built from; and stores that somebody tampered with.

// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{GoEnv, Project, Run, add_package, complaints, make_writable};

/// A project and a store, and caches that are always in the same place, as CI has
/// them.
struct Job {
    env: GoEnv,
    project: PathBuf,
    store: PathBuf,
}

impl Job {
    /// The caches have what the compiler of the standard library left, and the
    /// modules.
    fn new() -> Job {
        let mut env = GoEnv::new();
        env.set("GOFLAGS", "-buildvcs=false -trimpath").with_std();
        let project = env.project(Project::Hello);
        env.go(&project, ["mod", "download"]);
        let store = env.dir().join("store");
        Job {
            env,
            project,
            store,
        }
    }

    /// One whose first job built, tested and saved.
    fn saved() -> Job {
        let job = Job::new();
        job.restore();
        job.work();
        let saved = job.save();
        assert_eq!(saved["kind"], "base", "{saved}");
        job
    }

    fn command(&self, command: &str, args: &[&str]) -> support::Gocachevet {
        let run = self.env.gocachevet().dir(&self.project);
        run.env("GOFLAGS", "-buildvcs=false -trimpath")
            .arg(command)
            .arg("--store")
            .arg(&self.store)
            .args(["--key", "test", "-f", "json"])
            .arg("--state")
            .arg(self.state())
            .args(args)
    }

    fn state(&self) -> PathBuf {
        self.env.dir().join("state")
    }

    fn run(&self, command: &str, args: &[&str]) -> Run {
        self.command(command, args).run()
    }

    #[track_caller]
    fn restore(&self) -> Value {
        self.run("restore", &[]).expect_code(0).json()
    }

    /// What `save` says it saved.
    #[track_caller]
    fn save(&self) -> Value {
        let report = self.run("save", &[]).expect_code(0).json();
        report["snapshot"]["saved"].clone()
    }

    /// Builds, vets and tests with what is there and no proxy. Gives what was
    /// compiled or run anew.
    #[track_caller]
    fn work(&self) -> Vec<String> {
        let mut anew = Vec::new();
        for args in [
            ["build", "-v", "./..."],
            ["vet", "-v", "./..."],
            ["test", "-v", "./..."],
        ] {
            let mut command = self.env.command(&self.project, args);
            let output = command.env("GOPROXY", "off").output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{args:?}: {said}");
            anew.extend(said.lines().map(str::to_owned));
            let told = String::from_utf8_lossy(&output.stdout);
            let ran = told.lines().filter(|line| line.starts_with("ok "));
            let ran = ran.filter(|line| !line.contains("(cached)"));
            anew.extend(ran.map(str::to_owned));
        }
        anew
    }

    /// What a plain check says of both caches.
    fn check(&self) -> Value {
        let run = self.env.gocachevet().dir(&self.project);
        let run = run.args(["check", "-f", "json", "--state"]);
        run.arg(self.state()).run().json()
    }

    fn bundles(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.store.join("bundles")).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }

    fn only_bundle(&self) -> PathBuf {
        let bundles = self.bundles();
        assert_eq!(bundles.len(), 1, "{bundles:?}");
        bundles[0].clone()
    }
}

#[test]
fn what_a_job_used_serves_the_next_one_without_a_network() {
    let job = Job::new();
    let cold = job.restore();
    assert_eq!(cold["snapshot"]["restored"], Value::Null);
    assert!(cold["notes"].to_string().contains("starts cold"), "{cold}");
    assert_ne!(job.work(), Vec::<String>::new());
    assert_eq!(job.save()["kind"], "base");

    job.env.forget_caches();
    let warm = job.restore();
    let restored = &warm["snapshot"]["restored"];
    assert_eq!(complaints(&warm), Vec::<String>::new());
    assert_eq!(restored["skipped"], 0);
    assert_eq!(warm["verification"]["proven_by"]["go_sum"], 3);
    assert_eq!(warm["verification"]["unproven"], 0);
    // What Go finds is as if Go had put it there.
    let check = job.check();
    assert_eq!(complaints(&check), Vec::<String>::new(), "{check:#}");
    assert_eq!(check["verification"]["proven_by"]["go_sum"], 3);
    let tree = job.env.modcache.join("gopkg.in/yaml.v3@v3.0.1");
    assert!(fs::metadata(&tree).unwrap().permissions().readonly());
    assert!(
        fs::metadata(tree.join("yaml.go"))
            .unwrap()
            .permissions()
            .readonly()
    );

    assert_eq!(job.work(), Vec::<String>::new(), "compiled or run again");
    job.env.go_offline(&job.project, ["mod", "verify"]);
    // Which asks for each zip.
    job.env.go_offline(&job.project, ["mod", "download"]);
    let used = &job.check()["usage"];
    assert_eq!(used["buildcache"]["archives"]["misses"], 0, "{used:#}");
    assert_eq!(used["modcache"]["misses"], 0, "{used:#}");
    let saved = job.save();
    assert_eq!(saved["kind"], "none", "{saved}");
    assert_eq!(saved["reason"], "nothing new was used");
    job.only_bundle();
}

#[test]
fn tar_and_zstd_open_a_snapshot_and_go_builds_from_it() {
    let mut job = Job::saved();
    let by_hand = job.env.dir().join("by-hand");
    fs::create_dir(&by_hand).unwrap();
    let mut tar = Command::new("tar");
    // With the times of today (-m): Go trims what looks older than five days.
    let tar = tar.arg("--zstd").arg("-xmf").arg(job.only_bundle());
    assert!(tar.current_dir(&by_hand).status().unwrap().success());
    job.env.forget_caches();
    fs::rename(by_hand.join("gocache"), &job.env.gocache).unwrap();
    fs::rename(by_hand.join("modcache"), &job.env.modcache).unwrap();
    job.env.set("GOPROXY", "off");
    assert_eq!(job.work(), Vec::<String>::new());
}

#[test]
fn what_is_new_is_added_as_a_delta_and_the_next_one_has_both() {
    let job = Job::saved();
    let base = job.only_bundle();
    let base_bytes = fs::metadata(&base).unwrap().len();
    for name in ["one", "two"] {
        job.env.forget_caches();
        job.restore();
        add_package(&job.project, name);
        assert!(!job.work().is_empty());
        let saved = job.save();
        assert_eq!(saved["kind"], "delta", "{saved}");
        let bytes = saved["bytes"].as_u64().unwrap();
        assert!(bytes < base_bytes / 20, "{bytes} of {base_bytes}");
    }
    job.env.forget_caches();
    let report = job.restore();
    assert!(report["snapshot"]["restored"]["delta"].is_string());
    assert_eq!(job.work(), Vec::<String>::new());
    assert!(base.exists());
}

#[test]
fn deltas_are_few_most_of_them_small_and_what_no_head_names_goes() {
    let job = Job::saved();
    let base = job.only_bundle();
    let base = base.file_name().unwrap().to_str().unwrap();
    let mut written = Vec::new();
    for number in 1..=12 {
        add_package(&job.project, &format!("p{number}"));
        assert!(!job.work().is_empty());
        let saved = job.save();
        assert_eq!(saved["kind"], "delta", "{saved}");
        written.push(saved["bytes"].as_u64().unwrap());
        let head = fs::read(job.store.join("keys/test/main")).unwrap();
        let head: Value = serde_json::from_slice(&head).unwrap();
        let list = |name: &str| -> BTreeSet<String> {
            serde_json::from_value(head[name].clone()).unwrap()
        };
        assert_eq!(head["bundles"][0], base, "{written:?}");
        assert!(list("bundles").len() <= 7, "{head}");
        // Those of the head before are for who is restoring them.
        let named: BTreeSet<String> = &list("bundles") | &list("before");
        let there = job.bundles().into_iter();
        let there = there.map(|it| it.file_name().unwrap().to_str().unwrap().to_owned());
        assert_eq!(there.collect::<BTreeSet<_>>(), named);
    }
    let smallest = *written.iter().min().unwrap();
    let small = written.iter().filter(|bytes| **bytes < 3 * smallest);
    assert!(small.count() * 2 >= written.len(), "{written:?}");
    job.env.forget_caches();
    job.restore();
    assert_eq!(job.work(), Vec::<String>::new());
}

#[test]
fn two_jobs_that_save_at_once_add_up() {
    let job = Job::saved();
    // Both see the base alone.
    let mut other = Job::new();
    other.store.clone_from(&job.store);
    other.env.forget_caches();
    other.restore();
    for (job, name) in [(&job, "one"), (&other, "two")] {
        add_package(&job.project, name);
        assert!(!job.work().is_empty());
    }
    std::thread::scope(|scope| {
        for job in [&job, &other] {
            scope.spawn(|| assert_ne!(job.save()["kind"], "none"));
        }
    });
    add_package(&job.project, "two");
    job.env.forget_caches();
    job.restore();
    assert_eq!(job.work(), Vec::<String>::new());
}

/// The frames of a bundle, as its manifest lists them, and where the first begins.
fn frames(bundle: &Path) -> (usize, Vec<usize>) {
    let mut tar = Command::new("tar");
    let tar = tar
        .arg("--zstd")
        .arg("-xOf")
        .arg(bundle)
        .arg("gocachevet-pack.json");
    let manifest: Value = serde_json::from_slice(&tar.output().unwrap().stdout).unwrap();
    let frames = manifest["frames"].as_array().unwrap();
    let lengths: Vec<usize> = frames
        .iter()
        .map(|frame| frame["bytes"].as_u64().unwrap().try_into().unwrap())
        .collect();
    let all = usize::try_from(fs::metadata(bundle).unwrap().len()).unwrap();
    (all - lengths.iter().sum::<usize>(), lengths)
}

#[test]
fn a_tampered_frame_is_left_out_and_the_next_save_replaces_it() {
    let job = Job::saved();
    let bundle = job.only_bundle();
    let whole = fs::read(&bundle).unwrap();
    let (mut at, lengths) = frames(&bundle);
    for (frame, length) in lengths.iter().enumerate() {
        let mut changed = whole.clone();
        changed[at + length / 2] ^= 1;
        at += length;
        if frame == lengths.len() - 1 {
            break; // the tar's end, which nothing is restored of
        }
        fs::write(&bundle, &changed).unwrap();
        job.env.forget_caches();
        let run = job.run("restore", &["--on-corrupt", "fail"]).expect_code(1);
        assert!(run.stdout.contains("snapshot-damaged"), "{run}");
        job.env.forget_caches();
        let report = job.restore();
        assert_eq!(report["verdict"], "warn");
        assert!(report["snapshot"]["restored"]["skipped"].as_u64().unwrap() > 0);
        // What is there is whole.
        let check = job.check();
        assert_eq!(check["verification"]["failed"], 0, "{check:#}");
    }
    job.env.go(&job.project, ["mod", "download"]);
    job.work();
    let saved = job.save();
    assert_eq!(saved["kind"], "base");
    assert_eq!(saved["reason"], "a part of the snapshot was damaged");
    job.env.forget_caches();
    assert_eq!(complaints(&job.restore()), Vec::<String>::new());
    assert_eq!(job.work(), Vec::<String>::new());
}

#[test]
fn a_tampered_manifest_and_a_bundle_that_is_gone_mean_a_cold_start() {
    let job = Job::saved();
    let bundle = job.only_bundle();
    let whole = fs::read(&bundle).unwrap();
    let mut changed = whole.clone();
    changed[100] ^= 1;
    for content in [
        Some(&changed[..]),
        Some(&whole[..whole.len() - 1]),
        Some(b"x"),
        None,
    ] {
        match content {
            Some(content) => fs::write(&bundle, content).unwrap(),
            None => fs::remove_file(&bundle).unwrap(),
        }
        job.env.forget_caches();
        let report = job.restore();
        assert_eq!(report["snapshot"]["restored"], Value::Null);
        let notes = report["notes"].to_string();
        assert!(notes.contains("the snapshot's bundle"), "{notes}");
        assert!(!job.env.modcache.join("cache").exists());
    }
    job.env.go(&job.project, ["mod", "download"]);
    job.work();
    assert_eq!(job.save()["kind"], "base");
    job.env.forget_caches();
    assert!(job.restore()["snapshot"]["restored"].is_object());
}

#[test]
fn a_snapshot_whose_modules_are_not_what_go_sum_says_brings_none_of_them() {
    let job = Job::saved();
    let sums = job.project.join("go.sum");
    let text = fs::read_to_string(&sums).unwrap();
    // Another module of that name was saved than the project means.
    let line = text
        .lines()
        .find(|line| line.starts_with("gopkg.in/yaml.v3 v3.0.1 h1:"));
    let h1 = line.unwrap().rsplit_once(' ').unwrap().1;
    let other = h1.replace(&h1[10..14], "AAAA");
    fs::write(&sums, text.replace(h1, &other)).unwrap();
    job.env.forget_caches();
    let report = job.restore();
    assert_eq!(report["verdict"], "warn");
    let finding = &report["findings"][0];
    assert_eq!(finding["rule"], "zip-hash-mismatch", "{report:#}");
    assert_eq!(finding["subject"], "gopkg.in/yaml.v3@v3.0.1");
    assert_eq!(finding["expected"], other);
    assert_eq!(finding["actual"], h1);
    let versions = job.env.modcache.join("cache/download/gopkg.in/yaml.v3/@v");
    assert!(!versions.join("v3.0.1.zip").exists());
    assert!(!versions.join("v3.0.1.ziphash").exists());
    let trees = fs::read_dir(job.env.modcache.join("gopkg.in")).unwrap();
    assert_eq!(trees.count(), 0, "nothing is left of its tree");
    fs::write(&sums, text).unwrap();
    job.env.go(&job.project, ["mod", "download"]);
    job.work();
    job.env.go_offline(&job.project, ["mod", "verify"]);
}

#[test]
fn nothing_that_is_there_is_replaced() {
    let job = Job::saved();
    let zip = job
        .env
        .modcache
        .join("cache/download/gopkg.in/yaml.v3/@v/v3.0.1.zip");
    fs::write(&zip, "mine").unwrap();
    let tree = job.env.modcache.join("github.com/cespare/xxhash/v2@v2.3.0");
    make_writable(&tree);
    fs::write(tree.join("more.go"), "package xxhash\n").unwrap();
    let before = support::snapshot(&job.env.modcache);
    let report = job.restore();
    let restored = &report["snapshot"]["restored"];
    assert_eq!(restored["files"], 0, "{restored:#}");
    assert!(restored["present"].as_u64().unwrap() > 1000);
    support::assert_untouched(&before, &job.env.modcache);
}

#[test]
fn outputs_of_another_go_stay_away() {
    let job = Job::saved();
    let goroot = job.env.dir().join("goroot");
    fs::create_dir(&goroot).unwrap();
    fs::write(goroot.join("VERSION"), "go1.99.1\n").unwrap();
    job.env.forget_caches();
    let goroot = goroot.to_str().unwrap();
    let run = job.run("restore", &["--goroot", goroot]).expect_code(0);
    let restored = &run.json()["snapshot"]["restored"];
    assert_eq!(restored["modules_only"], true, "{run}");
    let difference = &restored["differences"][0];
    assert_eq!(difference["name"], "go", "{run}");
    assert_eq!(difference["now"], "go1.99.1", "{run}");
    assert!(job.env.modcache.join("gopkg.in/yaml.v3@v3.0.1").exists());
    assert!(!job.env.gocache.join("00").exists());
}

#[test]
fn what_may_keep_go_from_its_outputs_is_told() {
    let job = Job::saved();
    job.env.forget_caches();
    let flags = "-buildvcs=false -trimpath -tags=other";
    let run = job.command("restore", &[]).env("GOFLAGS", flags).run();
    let report = run.expect_code(0).json();
    assert_eq!(
        report["snapshot"]["restored"]["differences"][0]["name"],
        "GOFLAGS"
    );
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("in the job that saved: Go may not find its build outputs"),
        "{notes}"
    );
}

#[test]
fn too_much_is_not_saved_and_what_is_idle_goes_first() {
    let job = Job::saved();
    job.env.forget_caches();
    job.restore();
    add_package(&job.project, "one");
    job.work();
    let report = job
        .run("save", &["--max-size", "1MB"])
        .expect_code(0)
        .json();
    assert_eq!(report["snapshot"]["saved"]["kind"], "none");
    let reason = report["snapshot"]["saved"]["reason"].to_string();
    assert!(reason.contains("--max-size"), "{reason}");
    let report = job.run("save", &["--rebase", "0%"]).expect_code(0).json();
    assert_eq!(report["snapshot"]["saved"]["kind"], "base", "{report:#}");
}

/// The calls by which a run changes what is on the disk.
const CALLS: &str = "write,pwrite64,renameat,renameat2,rename,mkdirat,unlinkat,fchmod,utimensat";

/// A save changes little: it is struck wherever it looks, too.
const SAVES: &str = "write,pwrite64,renameat,renameat2,rename,mkdirat,unlinkat,openat,read,pread64,newfstatat,statx,fstat,getdents64";

impl Job {
    /// Runs a command with something done to one of its calls, as strace says it.
    fn struck(&self, command: &str, calls: &str, inject: &str) -> Run {
        let command = self.command(command, &["-q"]);
        command
            .under_strace(calls, inject, Path::new("/dev/null"))
            .run()
    }

    /// Places to interrupt a command at.
    fn places(&self, command: &str, calls: &str) -> Vec<usize> {
        let (run, places) = self.command(command, &["-q"]).places(calls, 4, 200);
        run.expect_code(0);
        places
    }
}

#[test]
fn a_restore_that_is_killed_leaves_a_smaller_cache_that_builds() {
    let job = Job::saved();
    job.env.forget_caches();
    let places = job.places("restore", CALLS);
    let mut killed = 0;
    for call in &places {
        job.env.forget_caches();
        let run = job.struck(
            "restore",
            CALLS,
            &format!("{CALLS}:signal=KILL:when={call}"),
        );
        killed += usize::from(run.code != Some(0));
        for cache in [&job.env.modcache, &job.env.gocache] {
            fs::create_dir_all(cache).unwrap();
        }
        let check = job.check();
        assert_eq!(check["verification"]["failed"], 0, "call {call}: {check:#}");
        // The rest comes by a second try.
        let report = job.restore();
        assert_eq!(complaints(&report), Vec::<String>::new(), "call {call}");
        assert_eq!(job.work(), Vec::<String>::new(), "call {call}");
    }
    println!("restore: {killed} of {} kills struck", places.len());
    // Threads share the work differently each time.
    assert!(killed > places.len() / 2, "{killed} of {}", places.len());
}

#[test]
fn a_save_that_is_killed_leaves_a_store_that_serves() {
    let job = Job::saved();
    let whole = job.env.dir().join("whole");
    let copy = |from: &Path, to: &Path| {
        let _ = fs::remove_dir_all(to);
        let copied = Command::new("cp").arg("-a").args([from, to]).status();
        assert!(copied.unwrap().success());
    };
    copy(&job.store, &whole);
    add_package(&job.project, "one");
    job.work();
    let places = job.places("save", SAVES);
    let mut killed = 0;
    for call in &places {
        copy(&whole, &job.store);
        let run = job.struck("save", SAVES, &format!("{SAVES}:signal=KILL:when={call}"));
        killed += usize::from(run.code != Some(0));
        // What was saved before is there, or what was being saved is, whole.
        let saved = job.save();
        assert!(
            ["delta", "none"].contains(&saved["kind"].as_str().unwrap()),
            "call {call}: {saved}"
        );
        job.env.forget_caches();
        assert_eq!(
            complaints(&job.restore()),
            Vec::<String>::new(),
            "call {call}"
        );
        assert_eq!(job.work(), Vec::<String>::new(), "call {call}");
    }
    println!("save: {killed} of {} kills struck", places.len());
    assert!(killed > places.len() / 2, "{killed} of {}", places.len());
}

#[test]
fn a_disk_that_is_full_is_told_and_what_is_there_builds() {
    let job = Job::saved();
    job.env.forget_caches();
    let places = job.places("restore", CALLS);
    let mut refused = 0;
    for call in &places {
        job.env.forget_caches();
        let inject = format!("write,mkdirat:error=ENOSPC:when={call}+");
        let run = job.struck("restore", CALLS, &inject);
        if run.code != Some(0) {
            assert_eq!(run.code, Some(3), "call {call}: {run}");
            refused += 1;
        }
        for cache in [&job.env.modcache, &job.env.gocache] {
            fs::create_dir_all(cache).unwrap();
        }
        let check = job.check();
        assert_eq!(check["verification"]["failed"], 0, "call {call}: {check:#}");
        let report = job.restore();
        assert_eq!(complaints(&report), Vec::<String>::new(), "call {call}");
        assert_eq!(job.work(), Vec::<String>::new(), "call {call}");
    }
    assert!(refused > places.len() / 2, "{refused} of {}", places.len());
    // Standard error was on that disk as well; here it is not.
    job.env.forget_caches();
    let run = job.struck("restore", CALLS, "renameat2:error=ENOSPC:when=3+");
    assert!(run.stderr.contains("make room"), "{run}");
}

#[test]
fn keys_and_branches_keep_to_themselves() {
    let job = Job::saved();
    job.env.forget_caches();
    let restored = |args: &[&str]| {
        let report = job.run("restore", args).expect_code(0).json();
        report["snapshot"]["restored"]["ref"].clone()
    };
    assert_eq!(
        restored(&["--ref", "../../x", "--default-ref", "none"]),
        Value::Null
    );
    assert_eq!(restored(&["--ref", "feature/x"]), "main");
    add_package(&job.project, "one");
    job.work();
    let report = job
        .run("save", &["--ref", "feature/x"])
        .expect_code(0)
        .json();
    assert_eq!(report["snapshot"]["saved"]["kind"], "delta");
    job.env.forget_caches();
    assert_eq!(restored(&["--ref", "feature/x"]), "feature/x");
    assert_eq!(job.work(), Vec::<String>::new());
    job.env.forget_caches();
    assert_eq!(restored(&[]), "main");
    assert!(!job.work().is_empty());
}
