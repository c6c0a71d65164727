//! `trim` on caches that the real `go` command made: what stays builds without
//! a network, what goes goes whole, and nothing else is touched.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use support::{
    Caches, GoEnv, Project, Run, Scratch, assert_untouched, build_cache, copy_tree, full_campaign,
    gocachevet, snapshot,
};

/// A module that no project of these tests needs.
const FOREIGN: &str = "github.com/google/uuid@v1.6.0";

/// A version that the project does not need.
fn stranger(project: Project) -> &'static str {
    match project {
        Project::Hello | Project::Legacy => FOREIGN,
        Project::Work => "github.com/pkg/errors@v0.9.1",
    }
}

fn trim(caches: &Caches, args: &[&str]) -> Run {
    trim_in(&caches.env, &caches.project, args)
}

fn trim_in(env: &GoEnv, project: &Path, args: &[&str]) -> Run {
    env.gocachevet()
        .args(["trim", "--format=json", "--no-project-config", "--quiet"])
        .args(["--project".as_ref(), project])
        .args(args)
        .run()
}

/// Sets every time in a tree to so long ago.
fn grow_old(root: &Path, age: Duration) {
    let then = SystemTime::now() - age;
    let times = fs::FileTimes::new().set_accessed(then).set_modified(then);
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.unwrap();
        if !entry.file_type().is_symlink() {
            fs::File::open(entry.path())
                .unwrap()
                .set_times(times)
                .unwrap();
        }
    }
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3600)
}

/// Unit and subject of each removal.
fn removals(report: &Value) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    report["plan"]["removals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|removal| (text(&removal["unit"]), text(&removal["subject"])))
        .collect()
}

fn pair(unit: &str, subject: &str) -> (String, String) {
    (unit.to_owned(), subject.to_owned())
}

fn bytes_of(root: &Path) -> u64 {
    walkdir::WalkDir::new(root)
        .into_iter()
        .map(Result::unwrap)
        // The ledger grows while the caches shrink.
        .filter(|entry| entry.file_name() != "gocachevet-ledger.json")
        .map(|entry| entry.metadata().unwrap())
        .filter(|meta| meta.is_file())
        .map(|meta| meta.len())
        .sum()
}

fn exists(env: &GoEnv, path: &str) -> bool {
    env.modcache.join(path).exists()
}

/// Makes the builds prove that both caches serve: with a cold build cache Go
/// has to read every source file.
fn builds_offline_from_source(caches: &Caches) {
    caches.build_offline();
    let cold = caches.env.dir().join("cold");
    let mut env = caches.env.command(
        &caches.project,
        [&["build"], caches.kind.packages()].concat(),
    );
    let std = support::std_cache(false);
    let _ = fs::remove_dir_all(&cold);
    support::copy_tree_fresh(&std, &cold);
    let output = env
        .env("GOPROXY", "off")
        .env("GOCACHE", &cold)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn three_projects_build_offline_after_every_kind_of_trim() {
    let kinds: &[&[&str]] = &[
        &[],
        &["--unused"],
        &["--unused", "--live=build-list"],
        &["--max-age=1d"],
        &["--tier=observe=1h,demote=1d,purge=5d"],
        &["--trim-to=1"],
        &["--slim=extracted"],
        &["--slim=archive"],
        &["--repair"],
        &["--residue", "--vcs", "--toolchains"],
    ];
    for (turn, project) in Project::ALL.into_iter().enumerate() {
        let fresh = build_cache(project);
        fresh.env.download(&[stranger(project)]);
        grow_old(&fresh.modcache, days(3));
        grow_old(&fresh.gocache, days(3));
        let (kept_mc, kept_gc) = (fresh.env.dir().join("mc"), fresh.env.dir().join("gc"));
        copy_tree(&fresh.modcache, &kept_mc);
        copy_tree(&fresh.gocache, &kept_gc);
        // In short each project has a third of the kinds.
        let step = if full_campaign() {
            1
        } else {
            Project::ALL.len()
        };
        for args in kinds.iter().skip(turn % step).step_by(step) {
            for (kept, at) in [(&kept_mc, &fresh.modcache), (&kept_gc, &fresh.gocache)] {
                remove_all(at);
                copy_tree(kept, at);
            }
            let run = trim(&fresh, args).expect_code(0);
            builds_offline_from_source(&fresh);
            let report = run.json();
            assert_eq!(report["outcome"]["failed"], Value::Array(vec![]), "{run}");
            let foreign_goes = args.iter().any(|arg| {
                arg.starts_with("--unused")
                    || arg.starts_with("--max-age")
                    || arg.starts_with("--trim-to")
            });
            let goes = removals(&report).contains(&pair("version", stranger(project)));
            assert_eq!(goes, foreign_goes, "{run}");
        }
    }
}

fn remove_all(tree: &Path) {
    support::make_writable(tree);
    fs::remove_dir_all(tree).unwrap();
}

#[test]
fn a_plain_trim_removes_residue_and_nothing_else() {
    let caches = build_cache(Project::Hello);
    let env = &caches.env;
    env.download(&[FOREIGN]);
    let at_v = caches.modcache.join("cache/download/gopkg.in/yaml.v3/@v");
    fs::write(at_v.join("v3.0.1.zip123.tmp"), "half").unwrap();
    fs::write(at_v.join("v3.0.1.info77.tmp"), "half").unwrap();
    let aside = caches.modcache.join("gopkg.in/yaml.v3@v3.0.1.tmp-42");
    fs::create_dir(&aside).unwrap();
    fs::write(aside.join("left.go"), "package left").unwrap();
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o555)).unwrap();
    let before = snapshot(&caches.modcache);
    grow_old(&at_v, days(2));
    let run = trim(&caches, &[]).expect_code(0);
    assert_eq!(
        removals(&run.json()),
        BTreeSet::from([
            pair(
                "residue",
                "cache/download/gopkg.in/yaml.v3/@v/v3.0.1.info77.tmp"
            ),
            pair(
                "residue",
                "cache/download/gopkg.in/yaml.v3/@v/v3.0.1.zip123.tmp"
            ),
            pair("residue", "gopkg.in/yaml.v3@v3.0.1.tmp-42"),
        ])
    );
    // What no go.sum lists stays, and is named.
    let complaints = support::complaints(&run.json());
    let rules: Vec<&Value> = complaints.iter().map(|finding| &finding["rule"]).collect();
    assert_eq!(rules, ["unproven"], "{run}");
    let after = snapshot(&caches.modcache);
    for path in before.keys() {
        let gone = path.to_string_lossy().contains("tmp");
        assert_eq!(after.contains_key(path), !gone, "{}", path.display());
    }
}

#[test]
fn a_dry_run_shows_the_plan_and_touches_nothing() {
    let caches = build_cache(Project::Legacy);
    caches.env.download(&[FOREIGN]);
    let args = ["--unused", "--grace=0", "--slim=archive", "--max-age=0"];
    let before = (snapshot(&caches.modcache), snapshot(&caches.gocache));
    let dry = trim(&caches, &[&args[..], &["--dry-run"]].concat())
        .expect_code(0)
        .json();
    assert_untouched(&before.0, &caches.modcache);
    assert_untouched(&before.1, &caches.gocache);
    assert_eq!(dry["outcome"], Value::Null);
    assert!(removals(&dry).len() > 100);
    let real = trim(&caches, &args).expect_code(0).json();
    assert_eq!(dry["plan"], real["plan"]);
    assert_eq!(
        real["outcome"]["removed"],
        dry["plan"]["removals"].as_array().unwrap().len()
    );
}

#[test]
fn the_bytes_said_are_the_bytes_freed() {
    let caches = build_cache(Project::Work);
    caches.env.download(&[stranger(Project::Work)]);
    let before = bytes_of(&caches.modcache) + bytes_of(&caches.gocache);
    let report = trim(&caches, &["--unused", "--grace=0"])
        .expect_code(0)
        .json();
    let after = bytes_of(&caches.modcache) + bytes_of(&caches.gocache);
    // Lines taken off `@v/list` come on top.
    let freed = before - after;
    let said = report["outcome"]["bytes"].as_u64().unwrap();
    assert!(said > 10_000, "{said}");
    assert!(
        said <= freed && freed - said < 200,
        "{said} said, {freed} freed"
    );
    assert_eq!(report["plan"]["bytes"], said);
    assert_eq!(
        report["plan"]["kept_bytes"].as_u64().unwrap(),
        before - said
    );
}

#[test]
fn what_was_just_used_is_no_candidate() {
    let caches = build_cache(Project::Hello);
    caches.env.download(&[FOREIGN]);
    for args in [
        &["--unused"][..],
        &["--max-age=0"],
        &["--trim-to=0", "--force"],
    ] {
        let report = trim(&caches, args).expect_code(0).json();
        assert_eq!(removals(&report), BTreeSet::new(), "{args:?}");
    }
    let refused = trim(&caches, &["--all"]).expect_code(3);
    assert!(refused.stderr.contains("within the grace"), "{refused}");
}

#[test]
fn go_sum_keeps_go_mods_that_only_the_graph_needs() {
    let caches = build_cache(Project::Hello);
    let id = FOREIGN;
    let said = caches
        .env
        .go(caches.env.dir(), ["mod", "download", "-json", id]);
    let said: Value = serde_json::from_str(&said).unwrap();
    let line = format!(
        "github.com/google/uuid v1.6.0/go.mod {}\n",
        said["GoModSum"].as_str().unwrap()
    );
    let go_sum = caches.project.join("go.sum");
    let sums = fs::read_to_string(&go_sum).unwrap() + &line;
    fs::write(&go_sum, sums).unwrap();
    caches.env.go(&caches.project, ["mod", "graph"]);
    let at_v = "cache/download/github.com/google/uuid/@v/v1.6.0";
    assert!(exists(&caches.env, &format!("{at_v}.zip")));
    let run = trim(&caches, &["--unused", "--grace=0"]).expect_code(0);
    assert!(
        removals(&run.json()).contains(&pair("archive", id)),
        "{run}"
    );
    assert!(!exists(&caches.env, &format!("{at_v}.zip")));
    assert!(!exists(&caches.env, &format!("{at_v}.ziphash")));
    assert!(exists(&caches.env, &format!("{at_v}.mod")));
    assert!(exists(&caches.env, &format!("{at_v}.lock")));
    builds_offline_from_source(&caches);
    caches.env.go_offline(&caches.project, ["mod", "graph"]);
}

#[test]
fn a_version_in_use_is_skipped_and_said_so() {
    let caches = build_cache(Project::Hello);
    caches.env.download(&[FOREIGN]);
    let lock = caches
        .modcache
        .join("cache/download/github.com/google/uuid/@v/v1.6.0.lock");
    let held = fs::File::options().write(true).open(lock).unwrap();
    held.lock().unwrap();
    let run = trim(&caches, &["--unused", "--grace=0"]).expect_code(0);
    let report = run.json();
    assert_eq!(report["verdict"], "warn", "{run}");
    assert_eq!(report["outcome"]["failed"][0]["subject"], FOREIGN, "{run}");
    assert!(exists(&caches.env, "github.com/google/uuid@v1.6.0/uuid.go"));
    // A whole clean respects it as well.
    trim(&caches, &["--all", "--force"]).expect_code(0);
    assert!(exists(&caches.env, "github.com/google/uuid@v1.6.0/uuid.go"));
    assert!(!exists(&caches.env, "gopkg.in/yaml.v3@v3.0.1"));
    drop(held);
    trim(&caches, &["--unused", "--grace=0"]).expect_code(0);
    assert!(!exists(&caches.env, "github.com/google/uuid@v1.6.0"));
}

#[test]
fn repair_removes_the_damage_and_go_brings_it_back() {
    let caches = build_cache(Project::Hello);
    let victim = caches.modcache.join("gopkg.in/yaml.v3@v3.0.1/yaml.go");
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&victim, "package yaml // changed\n").unwrap();
    let (output, _) = archive_of(&caches.gocache);
    let mut content = fs::read(&output).unwrap();
    let last = content.len() - 1;
    content[last] ^= 1;
    fs::write(&output, content).unwrap();

    trim(&caches, &[]).expect_code(1);
    assert!(victim.exists());
    let run = trim(&caches, &["--repair"]).expect_code(0);
    let units = removals(&run.json());
    // The zip is proven by go.sum, and stays.
    assert!(
        units.contains(&pair("extracted", "gopkg.in/yaml.v3@v3.0.1")),
        "{run}"
    );
    let name = output.file_name().unwrap().to_str().unwrap();
    assert!(
        units.contains(&pair("output", name.trim_end_matches("-d"))),
        "{run}"
    );
    assert!(!victim.exists() && !output.exists());
    caches.build_offline();
    assert!(fs::read_to_string(&victim).unwrap().len() > 1000);
    trim(&caches, &["--dry-run"]).expect_code(0);
}

/// The largest compiled package of a build cache.
fn archive_of(gocache: &Path) -> (PathBuf, u64) {
    walkdir::WalkDir::new(gocache)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.path().to_string_lossy().ends_with("-d"))
        .map(|entry| (entry.path().to_owned(), entry.metadata().unwrap().len()))
        .max_by_key(|(_, bytes)| *bytes)
        .unwrap()
}

#[test]
fn slim_drops_a_copy_only_where_the_other_is_proven() {
    let caches = build_cache(Project::Hello);
    let zip = caches
        .modcache
        .join("cache/download/gopkg.in/yaml.v3/@v/v3.0.1.zip");
    let mut content = fs::read(&zip).unwrap();
    content.truncate(1000);
    fs::write(&zip, content).unwrap();
    let run = trim(&caches, &["--slim=extracted", "--grace=0"]).expect_code(1);
    assert!(
        exists(&caches.env, "gopkg.in/yaml.v3@v3.0.1/yaml.go"),
        "{run}"
    );
    assert!(!exists(&caches.env, "github.com/cespare/xxhash/v2@v2.3.0"));
    caches.build_offline();
    // Without hashing, nothing is proven.
    let caches = build_cache(Project::Hello);
    let run = trim(&caches, &["--slim=archive", "--grace=0", "--verify=quick"]).expect_code(0);
    assert_eq!(removals(&run.json()), BTreeSet::new());
    assert!(
        run.json()["notes"].to_string().contains("not proven"),
        "{run}"
    );
}

#[test]
fn size_takes_the_longest_unused_first_and_the_needed_last() {
    let caches = build_cache(Project::Hello);
    caches.env.download(&[FOREIGN, "golang.org/x/sync@v0.7.0"]);
    grow_old(&caches.modcache, days(3));
    grow_old(&caches.gocache, days(3));
    for path in ["github.com/google", "cache/download/github.com/google"] {
        grow_old(&caches.modcache.join(path), days(9));
    }
    let now = bytes_of(&caches.modcache);
    let limit = format!("--trim-modcache-to={}", now - 1);
    let run = trim(&caches, &[&limit]).expect_code(0);
    assert_eq!(
        removals(&run.json()),
        BTreeSet::from([pair("extracted", FOREIGN)]),
        "{run}"
    );
    // All that is not needed goes, no more, and the run says that it does not fit.
    let run = trim(&caches, &["--trim-modcache-to=0"]).expect_code(0);
    assert!(
        run.json()["notes"].to_string().contains("cannot be shrunk"),
        "{run}"
    );
    caches.build_offline();
    trim(&caches, &["--trim-modcache-to=0", "--force", "--grace=0"]).expect_code(0);
    assert!(!exists(&caches.env, "gopkg.in/yaml.v3@v3.0.1"));
    caches.env.go(&caches.project, ["build", "./..."]);
}

#[test]
fn build_cache_entries_go_with_the_outputs_that_nothing_names() {
    let caches = build_cache(Project::Hello);
    grow_old(&caches.gocache, days(3));
    let run = trim(&caches, &["--max-age=2d"]).expect_code(0);
    let left: Vec<_> = walkdir::WalkDir::new(&caches.gocache)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.depth() == 2)
        .collect();
    assert!(left.is_empty(), "{run}");
    assert!(caches.gocache.join("README").exists());
    assert!(caches.gocache.join("trim.txt").exists());
    builds_offline_from_source(&caches);
}

#[test]
fn twenty_bygone_sets_leave_what_a_fresh_build_makes() {
    let caches = build_cache(Project::Hello);
    let sizes = || [bytes_of(&caches.modcache), bytes_of(&caches.gocache)];
    // Freshly built: the build cache that is shared by the tests holds more.
    fs::remove_dir_all(&caches.gocache).unwrap();
    caches.env.go(&caches.project, ["build", "./..."]);
    let fresh = sizes();
    for job in 1..=20 {
        let dir = caches.env.dir().join(format!("bygone-{job}"));
        fs::create_dir(&dir).unwrap();
        let go_mod = format!(
            "module example.com/bygone\n\ngo 1.21\n\nrequire golang.org/x/sync v0.{job}.0\n"
        );
        fs::write(dir.join("go.mod"), go_mod).unwrap();
        let source = "package bygone\n\nimport _ \"golang.org/x/sync/errgroup\"\n";
        fs::write(dir.join("bygone.go"), source).unwrap();
        caches.env.go(&dir, ["mod", "tidy"]);
        // Other build tags, other entries.
        let tags = format!("-tags=job{job}");
        caches.env.go(&dir, ["build", &tags, "./..."]);
        caches.env.go(&caches.project, ["vet", &tags, "."]);
    }
    for (grown, fresh) in sizes().into_iter().zip(fresh) {
        assert!(grown > fresh + fresh / 40, "{grown}, {fresh} when fresh");
    }
    grow_old(&caches.modcache, days(3));
    grow_old(&caches.gocache, days(3));
    // What the present builds use has new times, and the rest goes.
    caches.env.go(&caches.project, ["build", "./..."]);
    trim(&caches, &["--unused", "--max-age=1d"]).expect_code(0);
    for (left, fresh) in sizes().into_iter().zip(fresh) {
        let off = left.abs_diff(fresh) as f64 / fresh as f64;
        assert!(off < 0.02, "{left} left, {fresh} when fresh");
    }
    builds_offline_from_source(&caches);
}

#[test]
fn all_leaves_locks_and_what_go_keeps_beside_its_entries() {
    let caches = build_cache(Project::Hello);
    fs::create_dir_all(caches.gocache.join("fuzz/x")).unwrap();
    fs::write(caches.gocache.join("fuzz/x/seed"), "go test fuzz v1\n").unwrap();
    let run = trim(&caches, &["--all", "--force"]).expect_code(0);
    let left: BTreeSet<String> = [&caches.modcache, &caches.gocache]
        .into_iter()
        .flat_map(walkdir::WalkDir::new)
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let expected = [
        "README",
        "gocachevet-ledger.json",
        "seed",
        "trim.txt",
        "v1.4.0.lock",
        "v2.3.0.lock",
        "v3.0.1.lock",
    ];
    let left: BTreeSet<&str> = left
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "lock")
        .collect();
    assert_eq!(left, BTreeSet::from(expected), "{run}");
    assert!(!caches.modcache.join("gopkg.in").exists());
    caches.env.go(&caches.project, ["build", "./..."]);
}

#[test]
fn roots_homes_projects_and_other_folders_are_refused() {
    let scratch = Scratch::new();
    let other = scratch.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("precious"), "").unwrap();
    let home = scratch.path().join("home");
    fs::create_dir_all(home.join("cache/download")).unwrap();
    let project = scratch.path().join("project");
    fs::create_dir_all(project.join("cache/download")).unwrap();
    fs::write(project.join("go.mod"), "module a.b/c\n").unwrap();
    let link = scratch.path().join("link");
    symlink(&home, &link).unwrap();
    let before = snapshot(scratch.path());
    let refused = |modcache: &Path, why: &str| {
        for args in [&["--all", "--force"][..], &["--dry-run"], &[]] {
            let run = gocachevet()
                .env("HOME", &home)
                .env("GOENV", "off")
                .env("GOCACHE", scratch.path().join("none"))
                .args(["trim".as_ref(), "--modcache".as_ref(), modcache])
                .args(args)
                .run()
                .expect_code(3);
            assert!(run.stderr.contains(why), "{run}");
        }
    };
    refused(Path::new("/"), "root of the file system");
    refused(&home, "home folder");
    refused(scratch.path(), "home folder");
    refused(&other, "not a Go module cache");
    refused(&project, "a project");
    refused(&link, "home folder");
    assert_untouched(&before, scratch.path());
    let run = gocachevet()
        .env("HOME", &home)
        .env("GOENV", "off")
        .env("GOMODCACHE", scratch.path().join("none"))
        .args(["trim".as_ref(), "--gocache".as_ref(), other.as_path()])
        .run()
        .expect_code(3);
    assert!(run.stderr.contains("no Go build cache"), "{run}");
}

#[test]
fn links_in_a_cache_lead_nowhere() {
    let caches = build_cache(Project::Hello);
    let outside = caches.env.dir().join("outside");
    fs::create_dir_all(outside.join("@v")).unwrap();
    fs::write(outside.join("precious"), "").unwrap();
    fs::write(outside.join("@v/v1.0.0.zip"), "").unwrap();
    let root = &caches.modcache;
    symlink(&outside, root.join("example.org")).unwrap();
    symlink(&outside, root.join("gopkg.in/linked@v1.0.0")).unwrap();
    symlink(&outside, root.join("cache/download/example.org")).unwrap();
    symlink(outside.join("@v"), root.join("cache/download/gopkg.in/@v")).unwrap();
    symlink(
        outside.join("precious"),
        root.join("cache/download/gopkg.in/yaml.v3/@v/v9.0.0.zip"),
    )
    .unwrap();
    symlink(&outside, root.join("gopkg.in/yaml.v3@v3.0.1.tmp-1")).unwrap();
    symlink(&outside, caches.gocache.join("zz")).unwrap();
    let shard = caches.gocache.join("00");
    let _ = fs::remove_dir_all(&shard);
    symlink(&outside, &shard).unwrap();
    let before = snapshot(&outside);
    trim(
        &caches,
        &["--unused", "--grace=0", "--max-age=0", "--repair", "--vcs"],
    );
    assert_untouched(&before, &outside);
    trim(&caches, &["--all", "--force"]);
    assert_untouched(&before, &outside);
}

#[test]
fn unused_needs_a_project() {
    let env = GoEnv::new();
    env.download(&[FOREIGN]);
    let run = env
        .gocachevet()
        .args(["trim", "--unused", "--grace=0"])
        .run()
        .expect_code(2);
    assert!(run.stderr.contains("no project is known"), "{run}");
    assert!(exists(&env, "github.com/google/uuid@v1.6.0"));
}

#[test]
fn patterns_keep_and_why_explains() {
    let caches = build_cache(Project::Hello);
    caches.env.download(&[FOREIGN, "golang.org/x/sync@v0.7.0"]);
    let why = |asked: &str| {
        caches
            .env
            .gocachevet()
            .args(["list", "--why", asked, "--unused", "--grace=0"])
            .args([
                "--keep",
                "github.com/google/**",
                "--keep",
                "golang.org/x/*@v0.6.*",
            ])
            .args(["--project".as_ref(), caches.project.as_path()])
            .run()
            .expect_code(0)
            .stdout
    };
    assert!(
        why("github.com/google/uuid")
            .contains("stays: a keep pattern names it (github.com/google/**)")
    );
    assert!(why("golang.org/x/sync@v0.7.0").contains("goes: unused: no project needs it"));
    let needed = why("gopkg.in/yaml.v3");
    assert!(needed.contains("stays: a project needs it"), "{needed}");
    assert!(
        needed.contains("example.com/hello -> gopkg.in/yaml.v3@v3.0.1"),
        "{needed}"
    );
    let args = ["--unused", "--grace=0", "--keep=github.com/google/**"];
    let report = trim(&caches, &args).expect_code(0).json();
    assert_eq!(
        removals(&report),
        BTreeSet::from([pair("version", "golang.org/x/sync@v0.7.0")])
    );
}

#[test]
fn a_shared_cache_keeps_what_any_project_needs() {
    let caches = build_cache(Project::Hello);
    let env = &caches.env;
    let src = env.dir().join("src");
    for project in [Project::Work, Project::Legacy] {
        let dir = env.project(project);
        env.go(&dir, ["mod", "download"]);
        env.go(&dir, [&["build"], project.packages()].concat());
    }
    for (name, requires, import) in [
        (
            "four",
            "github.com/google/uuid v1.6.0",
            "github.com/google/uuid",
        ),
        (
            "five",
            "golang.org/x/sync v0.7.0",
            "golang.org/x/sync/errgroup",
        ),
    ] {
        let dir = src.join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(
            dir.join("go.mod"),
            format!("module example.com/{name}\n\ngo 1.21\n\nrequire {requires}\n"),
        )
        .unwrap();
        fs::write(
            dir.join("main.go"),
            format!("package main\n\nimport _ \"{import}\"\n\nfunc main() {{}}\n"),
        )
        .unwrap();
        env.go(&dir, ["mod", "tidy"]);
        env.go(&dir, ["build", "-o", "/dev/null", "."]);
    }
    // The projects need all that the local proxy has.
    let foreign = "example.org/old@v1.0.0";
    let at_v = env.modcache.join("cache/download/example.org/old/@v");
    fs::create_dir_all(&at_v).unwrap();
    fs::write(at_v.join("v1.0.0.mod"), "module example.org/old\n").unwrap();
    fs::create_dir_all(env.modcache.join(foreign)).unwrap();
    fs::write(env.modcache.join(foreign).join("old.go"), "package old\n").unwrap();
    grow_old(&env.modcache, days(3));
    grow_old(&env.gocache, days(3));
    let report = env
        .gocachevet()
        .args(["trim", "--format=json", "--unused", "--projects-under"])
        .arg(&src)
        .run()
        .expect_code(0)
        .json();
    assert_eq!(
        removals(&report),
        BTreeSet::from([pair("version", foreign)])
    );
    for project in Project::ALL {
        let args = [&["build"], project.packages()].concat();
        env.go_offline(&src.join(project.name()), args);
    }
    for name in ["four", "five"] {
        env.go_offline(&src.join(name), ["build", "-o", "/dev/null", "."]);
    }
}

#[test]
fn what_projects_of_earlier_jobs_need_stays_until_they_are_forgotten() {
    let caches = build_cache(Project::Hello);
    let env = &caches.env;
    let legacy = env.project(Project::Legacy);
    env.go(&legacy, ["mod", "download"]);
    env.go(&legacy, [&["build"], Project::Legacy.packages()].concat());
    env.gocachevet()
        .args(["check", "--record", "--verify=off", "--project"])
        .arg(&legacy)
        .run()
        .expect_code(0);
    grow_old(&env.modcache, days(3));
    let planned = |args: &[&str]| {
        let dry = ["--unused", "--dry-run"];
        let run = trim(&caches, &[&dry, args].concat()).expect_code(0);
        removals(&run.json())
            .into_iter()
            .filter(|(unit, _)| unit == "version")
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(planned(&[]), BTreeSet::new());
    let gone = planned(&["--min-ref-count=0"]);
    assert!(!gone.is_empty());
    assert_eq!(planned(&["--forget-after=0s"]), gone);
    assert_eq!(planned(&["--min-ref-count=2"]), gone);

    // The other project's job trims: this one still builds, without a network.
    trim(&caches, &["--unused"]).expect_code(0);
    env.go_offline(&legacy, [&["build"], Project::Legacy.packages()].concat());
    caches.build_offline();
    trim(&caches, &["--unused", "--min-ref-count=0"]).expect_code(0);
    caches.build_offline();
    for (_, version) in gone {
        assert!(!env.modcache.join(&version).exists(), "{version}");
    }
}

#[test]
fn another_user_than_root_trims_read_only_trees() {
    let caches = build_cache(Project::Hello);
    caches.env.download(&[FOREIGN]);
    let mut line = Command::new("setpriv");
    let owner = Command::new("id").arg("-u").output().unwrap();
    let root = String::from_utf8_lossy(&owner.stdout).trim() == "0";
    let command = if root {
        let status = Command::new("chown")
            .args(["-R", "65534:65534"])
            .arg(caches.env.dir())
            .status()
            .unwrap();
        assert!(status.success());
        line.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        let copy = caches.env.dir().join("gocachevet");
        fs::copy(env!("CARGO_BIN_EXE_gocachevet"), &copy).unwrap();
        line.arg(copy);
        line
    } else {
        Command::new(env!("CARGO_BIN_EXE_gocachevet"))
    };
    let mut command = command;
    let output = command
        .args([
            "trim",
            "--unused",
            "--grace=0",
            "--format=json",
            "--no-project-config",
        ])
        .args(["--project".as_ref(), caches.project.as_path()])
        .env("HOME", &caches.env.home)
        .env("GOMODCACHE", &caches.modcache)
        .env("GOCACHE", &caches.gocache)
        .env("GOENV", "off")
        .current_dir(caches.env.dir())
        .output()
        .expect("this test needs `setpriv` (util-linux) when it runs as root");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!exists(&caches.env, "github.com/google/uuid@v1.6.0"));
    assert!(!exists(
        &caches.env,
        "cache/download/github.com/google/uuid/@v/v1.6.0.zip"
    ));
    let trash = fs::read_dir(caches.modcache.join("github.com/google"))
        .unwrap()
        .count();
    assert_eq!(trash, 0);
    caches.build_offline();
}

#[test]
fn a_trimmed_cache_survives_tar() {
    let caches = build_cache(Project::Legacy);
    caches.env.download(&[FOREIGN]);
    trim(&caches, &["--unused", "--grace=0", "--slim=archive"]).expect_code(0);
    let tar = caches.env.dir().join("cache.tar");
    let run = |args: &[&std::ffi::OsStr]| {
        let status = Command::new("tar").args(args).status().unwrap();
        assert!(status.success(), "this test needs `tar`");
    };
    run(&[
        "-C".as_ref(),
        caches.env.dir().as_ref(),
        "-cf".as_ref(),
        tar.as_ref(),
        "modcache".as_ref(),
        "gocache".as_ref(),
    ]);
    let mut elsewhere = GoEnv::new();
    run(&[
        "-C".as_ref(),
        elsewhere.dir().as_ref(),
        "-xpf".as_ref(),
        tar.as_ref(),
    ]);
    elsewhere.set("GOPROXY", "off");
    let project = elsewhere.project(Project::Legacy);
    elsewhere.go_offline(&project, ["build", "./..."]);
}

#[test]
fn trees_that_cannot_be_removed_are_named() {
    // Only a file system's own refusal stops root: an immutable folder, which
    // not every file system has. A plain user is stopped by a foreign owner.
    let caches = build_cache(Project::Hello);
    caches.env.download(&[FOREIGN, "golang.org/x/sync@v0.7.0"]);
    let at_v = caches
        .modcache
        .join("cache/download/github.com/google/uuid/@v");
    let zip = at_v.join("v1.6.0.lock");
    fs::remove_file(&zip).unwrap();
    // A folder in the lock's place: it cannot be taken.
    fs::create_dir(&zip).unwrap();
    let run = trim(&caches, &["--unused", "--grace=0"]).expect_code(3);
    assert!(exists(&caches.env, "github.com/google/uuid@v1.6.0"));
    assert_eq!(
        run.json()["outcome"]["failed"][0]["subject"],
        FOREIGN,
        "{run}"
    );
    assert!(
        !exists(&caches.env, "golang.org/x/sync@v0.7.0"),
        "the rest goes on"
    );
}

#[test]
fn a_proof_that_passes_commits_and_one_that_fails_puts_back() {
    let caches = build_cache(Project::Hello);
    caches.env.download(&[FOREIGN]);
    grow_old(&caches.modcache, days(3));
    grow_old(&caches.gocache, days(3));
    let proof = |args: &[&str], command: &str| {
        caches
            .env
            .gocachevet()
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-buildvcs=false")
            .env("GOSUMDB", "off")
            .args([
                "trim",
                "--format=json",
                "--no-project-config",
                "--prove",
                command,
            ])
            .args(["--project".as_ref(), caches.project.as_path()])
            .args(args)
            .run()
    };
    // The whole build list goes, which the build misses.
    let before = snapshot(&caches.modcache);
    let run = proof(&["--trim-modcache-to=0", "--force"], "go vet ./...").expect_code(3);
    assert!(run.stderr.contains("everything was put back"), "{run}");
    assert!(run.stderr.contains("gopkg.in/yaml.v3@v3.0.1"), "{run}");
    let after = snapshot(&caches.modcache);
    for (path, entry) in &before {
        // Folders of the pieces have new times, `.lock` files may be new.
        if entry.kind == "file" {
            assert_eq!(after.get(path), Some(entry), "{}", path.display());
        }
    }
    caches.build_offline();
    // Used within the grace now, and refused for that.
    let run = proof(&["--unused"], "true").expect_code(3);
    assert!(run.stderr.contains("to itself"), "{run}");
    let run = proof(&["--unused", "--grace=0"], "go build ./...").expect_code(0);
    assert!(
        removals(&run.json()).contains(&pair("version", FOREIGN)),
        "{run}"
    );
    assert!(!exists(&caches.env, "github.com/google/uuid@v1.6.0"));
    assert_eq!(aside(&caches), 0);
    builds_offline_from_source(&caches);
}

/// Things that a proof moved aside.
fn aside(caches: &Caches) -> usize {
    [&caches.modcache, &caches.gocache]
        .into_iter()
        .flat_map(walkdir::WalkDir::new)
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name().to_string_lossy();
            name.contains("gocachevet") && name != "gocachevet-ledger.json"
        })
        .count()
}

#[test]
fn an_interrupted_proof_is_rolled_back_by_the_next_trim() {
    let caches = build_cache(Project::Hello);
    grow_old(&caches.modcache, days(3));
    grow_old(&caches.gocache, days(3));
    let before = snapshot(&caches.modcache);
    let started = caches.env.dir().join("started");
    let mut child = Command::new(env!("CARGO_BIN_EXE_gocachevet"))
        .args([
            "trim",
            "--no-project-config",
            "--quiet",
            "--max-age=1d",
            "--trim-to=0",
            "--force",
        ])
        .arg("--prove")
        .arg(format!("touch {}; exec sleep 5", started.display()))
        .args(["--project".as_ref(), caches.project.as_path()])
        .env("HOME", &caches.env.home)
        .env("GOMODCACHE", &caches.modcache)
        .env("GOCACHE", &caches.gocache)
        .env("GOENV", "off")
        .spawn()
        .unwrap();
    while !started.exists() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before the proof"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(aside(&caches) > 100);
    // Beside a proof that is going on nothing is done.
    let run = trim(&caches, &[]).expect_code(3);
    assert!(run.stderr.contains("another proof"), "{run}");
    child.kill().unwrap();
    child.wait().unwrap();
    let run = trim(&caches, &[]).expect_code(0);
    assert!(
        run.json()["notes"].to_string().contains("rolled back"),
        "{run}"
    );
    assert_eq!(aside(&caches), 0);
    let after = snapshot(&caches.modcache);
    for (path, entry) in before.iter().filter(|(_, entry)| entry.kind == "file") {
        assert_eq!(after.get(path), Some(entry), "{}", path.display());
    }
    caches.build_offline();
}

#[test]
fn what_go_made_anew_during_a_failed_proof_wins_if_it_is_sound() {
    let caches = build_cache(Project::Hello);
    grow_old(&caches.modcache, days(3));
    grow_old(&caches.gocache, days(3));
    let (proxy, _) = support::proxy();
    // Everything is downloaded again; then one tree and one zip are damaged.
    let yaml = "gopkg.in/yaml.v3@v3.0.1";
    let xxhash = "cache/download/github.com/cespare/xxhash/v2/@v/v2.3.0.zip";
    let command = format!(
        "GOPROXY={proxy} go build ./... && chmod -R u+w $GOMODCACHE/{yaml} \
         && echo '// changed' >> $GOMODCACHE/{yaml}/yaml.go \
         && echo more >> $GOMODCACHE/{xxhash} && exit 1"
    );
    let run = caches.env.gocachevet();
    let run = run
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-buildvcs=false")
        .env("GOSUMDB", "off")
        .args(["trim", "--trim-modcache-to=0", "--force"])
        .args(["--no-project-config", "--prove", &command, "--project"])
        .arg(&caches.project)
        .run()
        .expect_code(3);
    assert!(run.stderr.contains("everything was put back"), "{run}");
    assert_eq!(aside(&caches), 0);
    let is_new = |path: &str| {
        let meta = caches.modcache.join(path).metadata().unwrap();
        meta.modified().unwrap().elapsed().unwrap() < days(1)
    };
    let toml = "github.com/!burnt!sushi/toml";
    for piece in ["zip", "ziphash"] {
        let piece = format!("cache/download/{toml}/@v/v1.4.0.{piece}");
        assert!(is_new(&piece), "{piece}");
    }
    assert!(is_new(&format!("{toml}@v1.4.0/decode.go")));
    assert!(!is_new(&format!("{yaml}/yaml.go")));
    assert!(!is_new(xxhash));
    let check = caches.env.gocachevet();
    let check = check.args(["check", "--verify=full", "--no-project-config", "--project"]);
    check.arg(&caches.project).run().expect_code(0);
    builds_offline_from_source(&caches);
}

/// Runs a shell script that may mount, in a mount namespace of its own, with the
/// caches' variables. `$TRIM` is a trim of what the project does not need.
fn with_mounts(caches: &Caches, script: &str) -> std::process::Output {
    let ways: [&[&str]; 3] = [
        &["unshare", "-m"],
        &["unshare", "-rm"],
        &["sudo", "-n", "-E", "unshare", "-m"],
    ];
    let works = |way: &&&[&str]| {
        let mut probe = Command::new(way[0]);
        probe.args(&way[1..]).arg("true");
        probe.output().is_ok_and(|output| output.status.success())
    };
    let way = ways.iter().find(works);
    let way = way.expect("this test needs `unshare -rm` (util-linux), or root's `unshare -m`");
    let trim = format!(
        "{} trim --unused --grace=0 --jobs=1 --format=json --no-project-config --quiet --project {}",
        env!("CARGO_BIN_EXE_gocachevet"),
        caches.project.display()
    );
    Command::new(way[0])
        .args(&way[1..])
        .args(["sh", "-euc", script])
        .env("TRIM", trim)
        .env("HOME", &caches.env.home)
        .env("GOMODCACHE", &caches.modcache)
        .env("GOCACHE", &caches.gocache)
        .env("GOENV", "off")
        .env("DIR", caches.env.dir())
        .current_dir(caches.env.dir())
        .output()
        .unwrap()
}

/// Subject and error of each failed removal.
fn failures(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let failed = report["outcome"]["failed"].as_array().unwrap().iter();
    failed
        .map(|failure| (text(&failure["subject"]), text(&failure["error"])))
        .collect()
}

#[test]
fn on_a_full_disk_what_fails_is_named_and_the_rest_goes() {
    let caches = build_cache(Project::Hello);
    caches.env.download(&[FOREIGN, "golang.org/x/sync@v0.7.0"]);
    // A cache that was restored without locks: Go's lock has to be made.
    let lock = "cache/download/github.com/google/uuid/@v/v1.6.0.lock";
    fs::remove_file(caches.modcache.join(lock)).unwrap();
    let output = with_mounts(
        &caches,
        r#"
        mkdir full; mount -t tmpfs -o size=64m tmpfs full
        cp -a "$GOMODCACHE" full/modcache
        used=$(($(stat -fc %c full) - $(stat -fc %d full)))
        mount -o remount,nr_inodes=$used full
        code=0; GOMODCACHE=$DIR/full/modcache $TRIM || code=$?
        ls full/modcache/github.com/google full/modcache/golang.org/x >&2
        exit $code
        "#,
    );
    let left = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{left}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let failed = failures(&report);
    assert_eq!(failed.len(), 1, "{report}");
    assert_eq!(failed[0].0, FOREIGN);
    assert!(failed[0].1.contains("No space left"), "{failed:?}");
    assert!(left.contains("uuid@v1.6.0"), "{left}");
    assert!(!left.contains("sync@v0.7.0"), "{left}");
}

#[test]
fn on_a_read_only_file_system_each_unit_is_named_and_the_other_cache_goes() {
    let caches = build_cache(Project::Hello);
    caches.env.download(&[FOREIGN, "golang.org/x/sync@v0.7.0"]);
    grow_old(&caches.gocache, days(3));
    let before = snapshot(&caches.modcache);
    let output = with_mounts(
        &caches,
        r#"
        mount --bind "$GOMODCACHE" "$GOMODCACHE"
        mount -o remount,bind,ro "$GOMODCACHE"
        $TRIM --max-age=1d
        "#,
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let failed = failures(&report);
    let subjects: Vec<&str> = failed.iter().map(|(subject, _)| &**subject).collect();
    assert_eq!(subjects, [FOREIGN, "golang.org/x/sync@v0.7.0"]);
    let refused = |(_, error): &(String, String)| error.contains("Read-only file system");
    assert!(failed.iter().all(refused), "{failed:?}");
    assert!(report["outcome"]["removed"].as_u64() > Some(100));
    assert_untouched(&before, &caches.modcache);
    assert_eq!(report["buildcache"]["actions"], 0, "{report}");
}

#[test]
fn what_belongs_to_another_user_is_named_and_the_rest_goes() {
    let caches = build_cache(Project::Hello);
    caches.env.download(&[FOREIGN, "golang.org/x/sync@v0.7.0"]);
    let pieces = "cache/download/github.com/google/uuid/@v";
    let pieces = caches.modcache.join(pieces);
    if Command::new("id").arg("-u").output().unwrap().stdout == b"0\n" {
        for (owner, tree) in [("65534:65534", caches.env.dir()), ("0:0", &pieces)] {
            let chown = Command::new("chown").args(["-R", owner]).arg(tree).status();
            assert!(chown.unwrap().success());
        }
    }
    // Without being root nobody makes files of another user; nor does a plain
    // user change a folder that may not be written to.
    fs::set_permissions(&pieces, fs::Permissions::from_mode(0o555)).unwrap();
    let before = snapshot(&pieces);
    let run = caches.env.gocachevet();
    let run = run
        .args(["trim", "--unused", "--grace=0", "--format=json", "--quiet"])
        .args(["--no-project-config", "--project"])
        .arg(&caches.project)
        .by_nobody(caches.env.dir())
        .env("HOME", &caches.env.home)
        .env("GOMODCACHE", &caches.modcache)
        .env("GOCACHE", &caches.gocache)
        .env("GOENV", "off")
        .run()
        .expect_code(3);
    let failed = failures(&run.json());
    assert_eq!(failed.len(), 1, "{run}");
    assert_eq!(failed[0].0, FOREIGN, "{run}");
    assert!(failed[0].1.contains("Permission denied"), "{run}");
    assert_untouched(&before, &pieces);
    assert!(exists(&caches.env, "github.com/google/uuid@v1.6.0/uuid.go"));
    assert!(!exists(&caches.env, "golang.org/x/sync@v0.7.0"));
    fs::set_permissions(&pieces, fs::Permissions::from_mode(0o755)).unwrap();
    caches.build_offline();
}
