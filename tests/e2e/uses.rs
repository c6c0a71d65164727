//! Use and needs that are not known are not taken for "unused": what a trim
//! keeps where a job used nothing, where times tell nothing, and where not all
//! is known that projects need.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use support::{Caches, Gocachevet, Project, Run, assert_untouched, build_cache, snapshot};

/// A module that no project of these tests needs.
const FOREIGN: &str = "github.com/google/uuid@v1.6.0";

/// Hello, built, with a module that nobody needs. Its sources are a minute old:
/// Go does not index packages with files younger than two seconds.
fn warm() -> Caches {
    let caches = build_cache(Project::Hello);
    caches.env.download(&[FOREIGN]);
    let old = SystemTime::now() - Duration::from_secs(60);
    for entry in walkdir::WalkDir::new(&caches.project) {
        set_modified(entry.unwrap().path(), old);
    }
    caches
}

fn set_modified(path: &Path, time: SystemTime) {
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

fn program(caches: &Caches) -> Gocachevet {
    caches
        .env
        .gocachevet()
        .env("TMPDIR", caches.env.dir())
        .dir(&caches.project)
}

fn mark(caches: &Caches) -> Run {
    program(caches).arg("mark").run().expect_code(0)
}

/// `trim --unused` without a grace.
fn trim(caches: &Caches) -> Gocachevet {
    program(caches).args([
        "trim",
        "--unused",
        "--grace=0",
        "--format=json",
        "--verify=quick",
    ])
}

/// The action entries.
fn entries(gocache: &Path) -> BTreeSet<PathBuf> {
    walkdir::WalkDir::new(gocache)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.to_str().unwrap().ends_with("-a"))
        .collect()
}

fn notes(report: &Value) -> String {
    let notes = report["notes"].as_array().unwrap().iter();
    notes
        .map(|note| format!("{}\n", note.as_str().unwrap()))
        .collect()
}

fn findings(report: &Value, rule: &str) -> Vec<(String, String)> {
    let findings = report["findings"].as_array().unwrap().iter();
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    findings
        .filter(|finding| finding["rule"] == rule)
        .map(|finding| (text(finding, "level"), text(finding, "message")))
        .collect()
}

fn removed_modules(report: &Value) -> Vec<String> {
    let removals = report["plan"]["removals"].as_array().unwrap().iter();
    removals
        .filter(|removal| removal["unit"] == "version")
        .map(|removal| removal["subject"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_job_that_builds_nothing_keeps_both_caches() {
    let caches = warm();
    mark(&caches);
    let before = entries(&caches.gocache);
    let modules = snapshot(&caches.modcache.join("cache/download"));
    // In the words of both summaries.
    for format in ["text", "markdown"] {
        let args = [
            "trim",
            "--unused",
            "--grace=0",
            "--verify=quick",
            "--dry-run",
        ];
        let run = program(&caches).args(args).args(["--format", format]).run();
        let said = run.expect_code(0).stdout;
        for cache in ["build", "module"] {
            let why = format!(
                "nothing of the {cache} cache goes for being unused: its use is unknown: no go command used it since the mark"
            );
            let words: Vec<&str> = said.split_whitespace().collect();
            assert!(words.join(" ").contains(&why), "{said}");
        }
    }
    let report = trim(&caches).run().expect_code(0).json();
    assert_eq!(report["usage"]["buildcache"], Value::Null);
    assert_eq!(report["usage"]["modcache"], Value::Null);
    for cache in ["modcache", "buildcache"] {
        let why = report["usage_unknown"][cache].as_str().unwrap();
        assert!(why.contains("no hit and no miss"), "{why}");
    }
    assert_eq!(report["outcome"]["removed"], 0);
    assert_eq!(entries(&caches.gocache), before);
    assert_untouched(&modules, &caches.modcache.join("cache/download"));
    let output = caches.env.try_go(&caches.project, ["build", "-v", "./..."]);
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "",
        "was compiled anew"
    );

    // The same caches after a job that used them.
    mark(&caches);
    caches.env.go(&caches.project, ["build", "./greet"]);
    let report = trim(&caches).run().expect_code(0).json();
    assert_eq!(report["usage_unknown"], Value::Null);
    assert!(report["usage"]["buildcache"]["hits"].as_u64() > Some(0));
    assert_eq!(removed_modules(&report), [FOREIGN]);
    assert!(entries(&caches.gocache).len() < before.len());
}

#[test]
fn a_download_is_use_of_the_module_cache_alone() {
    let caches = warm();
    mark(&caches);
    let before = entries(&caches.gocache);
    caches.env.download(&["github.com/pkg/errors@v0.9.1"]);
    let report = trim(&caches).run().expect_code(0).json();
    assert_eq!(report["usage"]["modcache"]["misses"], 1);
    assert_eq!(report["usage"]["buildcache"], Value::Null);
    assert_eq!(entries(&caches.gocache), before);
    assert_eq!(removed_modules(&report), [FOREIGN]);
}

#[test]
fn entries_dated_in_the_future_are_kept_and_the_rest_is_judged() {
    let caches = warm();
    let later = SystemTime::now() + Duration::from_secs(10 * 3600);
    let all = entries(&caches.gocache);
    let some: BTreeSet<PathBuf> = all.iter().take(3).cloned().collect();
    for path in &some {
        set_modified(path, later);
    }
    let said = mark(&caches).stdout;
    assert!(
        said.contains("the use of 3 of these entries will not be seen"),
        "{said}"
    );
    caches.env.go(&caches.project, ["build", "./greet"]);
    let run = trim(&caches).run().expect_code(0);
    let report = run.json();
    assert_eq!(report["usage"]["buildcache"]["unseen"], 3);
    assert!(
        notes(&report).contains("use of 3 build-cache entries is unknown"),
        "{run}"
    );
    let left = entries(&caches.gocache);
    assert!(left.is_superset(&some) && left.len() < all.len(), "{run}");

    // And where that is so of most of them.
    for path in &left {
        set_modified(path, later);
    }
    mark(&caches);
    caches.env.go(&caches.project, ["build", "./greet"]);
    let report = trim(&caches).run().expect_code(0).json();
    assert_eq!(report["usage"]["buildcache"], Value::Null);
    let why = report["usage_unknown"]["buildcache"].as_str().unwrap();
    assert!(why.contains("dated in the future"), "{why}");
    assert_eq!(entries(&caches.gocache), left);
}

/// Marks, runs `go` and trims as a CI job of this name; the hit rate.
fn ci_job(caches: &Caches, name: &str, args: &[&str], trim_args: &[&str]) -> f64 {
    mark(caches);
    if !args.is_empty() {
        caches.env.go(&caches.project, args);
    }
    let report = trim(caches)
        .args(trim_args)
        .env("GITHUB_WORKFLOW", "ci")
        .env("GITHUB_JOB", name)
        .run()
        .expect_code(0)
        .json();
    let rate = &report["usage"]["buildcache"]["hit_rate"];
    rate.as_f64().unwrap_or(f64::NAN)
}

const TEST: &[&str] = &["test", "./..."];
const VET: &[&str] = &["vet", "./..."];

#[test]
fn jobs_that_share_a_cache_leave_each_other_what_they_use() {
    let caches = warm();
    ci_job(&caches, "test", TEST, &[]);
    ci_job(&caches, "vet", VET, &[]);
    assert_eq!(ci_job(&caches, "test", TEST, &[]), 1.0);
    assert_eq!(ci_job(&caches, "vet", VET, &[]), 1.0);
    // One of each name, however often the other ran, and but for those that
    // used nothing.
    let one = ["--idle-runs=1"];
    assert_eq!(ci_job(&caches, "vet", VET, &one), 1.0);
    assert!(ci_job(&caches, "docs", &[], &one).is_nan());
    assert_eq!(ci_job(&caches, "test", TEST, &one), 1.0);
    // Without what earlier jobs used they evict each other.
    let only_own = ["--idle-runs=0"];
    ci_job(&caches, "vet", VET, &only_own);
    let rate = ci_job(&caches, "test", TEST, &only_own);
    assert!(rate < 1.0, "{rate}");
}

/// What a trim says where not all needs are known: nothing of the module cache
/// goes, and the note names the project and the reason.
#[track_caller]
fn keeps_all_modules(caches: &Caches, run: &Run, project: &Path, why: &str) {
    let report = run.json();
    assert_eq!(removed_modules(&report), [""; 0], "{run}");
    assert!(caches.modcache.join(FOREIGN).exists(), "{run}");
    let notes = notes(&report);
    let named = notes
        .lines()
        .find(|note| note.contains("since not all needs are known"));
    let named = named.unwrap_or_else(|| panic!("no such note: {run}"));
    let project = project.display().to_string();
    assert!(named.contains(&project) && named.contains(why), "{named}");
}

#[test]
fn needs_without_a_whole_go_sum_are_not_known() {
    let mut caches = warm();
    let sum = caches.project.join("go.sum");
    let whole = fs::read_to_string(&sum).unwrap();
    fs::remove_file(&sum).unwrap();
    let run = trim(&caches).run().expect_code(0);
    keeps_all_modules(&caches, &run, &caches.project, "has no go.sum");
    assert!(run.json()["projects"][0]["needs_unknown"].is_string());

    // A part of it: the lines of one module are gone.
    let part: Vec<&str> = whole
        .lines()
        .filter(|line| !line.contains("xxhash"))
        .collect();
    fs::write(&sum, part.join("\n")).unwrap();
    let run = trim(&caches).run().expect_code(0);
    let why = "no line of 1 modules that it requires, such as github.com/cespare/xxhash/v2@v2.3.0";
    keeps_all_modules(&caches, &run, &caches.project, why);
    // So go by age and by kind, too: some project may need it.
    for how in ["--max-age=0", "--tier=purge=0", "--toolchains"] {
        let args = ["trim", "--grace=0", "--format=json", "--verify=quick", how];
        let run = program(&caches).args(args).run();
        keeps_all_modules(&caches, &run, &caches.project, why);
    }
    // A build that fills the gap by itself finds all it needs.
    caches.env.set("GOFLAGS", "-mod=mod");
    caches.build_offline();
    let run = trim(&caches).run().expect_code(0);
    assert_eq!(removed_modules(&run.json()), [FOREIGN], "{run}");
}

#[test]
fn another_modfile_has_other_needs() {
    let mut caches = warm();
    let (own, other) = (caches.project.join("go.mod"), caches.project.join("ci.mod"));
    fs::copy(&own, &other).unwrap();
    fs::rename(caches.project.join("go.sum"), caches.project.join("ci.sum")).unwrap();
    fs::write(&own, "module example.com/hello\n\ngo 1.21\n").unwrap();
    let flags = format!("-modfile={}", other.display());
    let run = trim(&caches).env("GOFLAGS", &flags).run().expect_code(0);
    keeps_all_modules(&caches, &run, &caches.project, "GOFLAGS has Go read");
    caches.env.set("GOFLAGS", &flags);
    caches.build_offline();
}

#[test]
fn a_trim_from_one_folder_counts_the_modules_of_the_repository() {
    let caches = warm();
    let env = &caches.env;
    let src = caches.project.parent().unwrap();
    fs::create_dir(src.join(".git")).unwrap();
    let legacy = env.project(Project::Legacy);
    env.go(&legacy, ["mod", "download"]);
    env.go(&legacy, [&["build"], Project::Legacy.packages()].concat());
    // Where no project of its own is looked for.
    for no_project in ["vendor/a", "testdata/b", "node_modules/c"] {
        fs::create_dir_all(src.join(no_project)).unwrap();
        fs::write(src.join(no_project).join("go.mod"), "<<<<<<< HEAD").unwrap();
    }
    let run = trim(&caches).run().expect_code(0);
    assert_eq!(removed_modules(&run.json()), [FOREIGN], "{run}");
    assert_eq!(run.json()["projects"].as_array().unwrap().len(), 2, "{run}");
    env.go_offline(&legacy, [&["build"], Project::Legacy.packages()].concat());
    caches.build_offline();

    // One that is broken stops nobody, but what it needs is not known.
    env.download(&[FOREIGN]);
    let broken = src.join("fixtures/broken");
    fs::create_dir_all(&broken).unwrap();
    fs::write(broken.join("go.mod"), "module x\n<<<<<<< HEAD\n").unwrap();
    let run = trim(&caches).run().expect_code(0);
    keeps_all_modules(&caches, &run, &broken, "line 2");
    let told = findings(&run.json(), "project-file");
    assert_eq!(told.len(), 1, "{run}");
    assert!(
        told[0].0 == "warn" && told[0].1.contains("line 2"),
        "{told:?}"
    );
}

#[test]
fn in_ci_the_projects_below_the_workspace_are_found() {
    let caches = warm();
    let src = caches.project.parent().unwrap();
    let sub = src.join("hello/greet");
    let check = |ci: &[(&str, &Path)]| {
        let mut run = program(&caches)
            .dir(src)
            .args(["check", "--format=json", "--verify=off"]);
        for (name, value) in ci {
            run = run.env(name, value);
        }
        run.run().json()
    };
    assert_eq!(check(&[])["projects"].as_array().unwrap().len(), 0);
    let yes = Path::new("true");
    let report = check(&[("CI", yes)]);
    assert_eq!(report["projects"].as_array().unwrap().len(), 1);
    assert_eq!(report["projects"][0]["module"], "example.com/hello");
    // From a folder of the workspace as well.
    let tools = src.join("tools");
    fs::create_dir(&tools).unwrap();
    fs::write(tools.join("go.mod"), "module example.com/tools\n").unwrap();
    let run = program(&caches)
        .dir(&sub)
        .args(["check", "--format=json", "--verify=off"]);
    let report = run.env("CI", "1").env("GITHUB_WORKSPACE", src).run().json();
    assert_eq!(report["projects"].as_array().unwrap().len(), 2, "{report}");
    let run = program(&caches)
        .dir(&sub)
        .args(["check", "--format=json", "--verify=off"]);
    let report = run
        .env("CI", "false")
        .env("GITHUB_WORKSPACE", src)
        .run()
        .json();
    assert_eq!(report["projects"].as_array().unwrap().len(), 1, "{report}");
}

#[test]
fn a_project_file_that_is_no_ordinary_file_is_told() {
    let caches = warm();
    let src = caches.project.parent().unwrap();
    fs::create_dir(src.join(".git")).unwrap();
    let sum = caches.project.join("go.sum");
    let inside = src.join("outer.sum");
    fs::rename(&sum, &inside).unwrap();
    let check = |level: &str| {
        let run = program(&caches).args(["check", "--format=json", "--verify"]);
        run.arg(level).run()
    };

    // Go follows a link, and so does the check, inside the repository.
    symlink("../outer.sum", &sum).unwrap();
    caches.build_offline();
    let run = check("full").expect_code(0);
    let told = findings(&run.json(), "project-file");
    assert!(
        told[0].0 == "warn" && told[0].1.contains("outer.sum"),
        "{run}"
    );
    assert_eq!(
        run.json()["verification"]["proven_by"]["go_sum"],
        3,
        "{run}"
    );

    // It leads outside: whoever made it chose what is trusted.
    let outside = caches.env.dir().join("outside.sum");
    fs::copy(&inside, &outside).unwrap();
    let gone = caches.env.dir().join("gone.sum");
    let pipe = caches.env.dir().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let go_mod = caches.project.join("go.mod");
    let kept = fs::read(&go_mod).unwrap();
    for file in [&sum, &go_mod] {
        for (leads, why) in [
            (Some(&outside), "is not followed"),
            (Some(&gone), "leads nowhere"),
            (Some(&pipe), "is not followed"),
            (None, "is not an ordinary file"),
        ] {
            fs::remove_file(file).unwrap();
            match leads {
                Some(to) => symlink(to, file).unwrap(),
                None => assert!(Command::new("mkfifo").arg(file).status().unwrap().success()),
            }
            let run = check("off").expect_code(1);
            let told = findings(&run.json(), "unreadable");
            assert!(told[0].0 == "deny" && told[0].1.contains(why), "{run}");
            let run = trim(&caches).run();
            keeps_all_modules(&caches, &run, &caches.project, why);
        }
        fs::remove_file(file).unwrap();
        match file == &go_mod {
            true => fs::write(file, &kept).unwrap(),
            false => fs::rename(&inside, file).unwrap(),
        }
    }
    check("off").expect_code(0);
}

#[test]
fn needs_that_another_project_left_unknown_are_remembered() {
    let caches = warm();
    let env = &caches.env;
    let legacy = env.project(Project::Legacy);
    fs::remove_file(legacy.join("go.sum")).unwrap();
    let args = ["check", "--record", "--verify=off", "--project"];
    program(&caches)
        .args(args)
        .arg(&legacy)
        .run()
        .expect_code(0);
    let run = trim(&caches).run().expect_code(0);
    keeps_all_modules(
        &caches,
        &run,
        Path::new("example.com/legacy"),
        "has no go.sum",
    );
    let run = trim(&caches).arg("--min-ref-count=0").run().expect_code(0);
    assert_eq!(removed_modules(&run.json()), [FOREIGN], "{run}");
}
