//! Each command takes exactly its own options: one that it does not have is
//! wrong usage, and one that it has is no decoration.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use support::{Project, Run, build_cache, gocachevet};

const CACHES: &[&str] = &["modcache", "gocache"];
const PROJECTS: &[&str] = &["project", "projects-under"];
const CONFIG: &[&str] = &["config", "no-project-config"];
const USE: &[&str] = &["state", "goroot", "path-map"];
const JUDGE: &[&str] = &[
    "strict",
    "no-strict",
    "baseline",
    "write-baseline",
    "restore-rate",
    "restore-took",
];
const SIZES: &[&str] = &[
    "max-size",
    "max-modcache-size",
    "max-gocache-size",
    "max-age",
];
const LIMITS: &[&str] = &[
    "max-findings",
    "min-hit-rate",
    "min-modcache-hit-rate",
    "min-gocache-hit-rate",
    "max-idle",
    "max-growth",
];
const RETENTION: &[&str] = &[
    "keep",
    "grace",
    "keep-since",
    "min-ref-count",
    "idle-runs",
    "forget-after",
    "unused",
    "no-unused",
    "tier",
    "trim-to",
    "trim-modcache-to",
    "trim-gocache-to",
    "force",
    "no-force",
    "slim",
    "prove",
    "repair",
    "no-repair",
    "residue",
    "no-residue",
    "vcs",
    "no-vcs",
    "toolchains",
    "no-toolchains",
    "all",
    "no-all",
];
const POLICY: &[&str] = &["policy", "sandbox-memory", "sandbox-time"];
const MIRROR: &[&str] = &[
    "layout",
    "artifactory",
    "artifactory-repo",
    "access-log",
    "ledger",
    "private",
    "verify",
    "format",
];
const REMOTE: &[&str] = &[
    "repo",
    "org",
    "api-url",
    "prefix",
    "workflows",
    "history",
    "timeout",
    "patience",
    "format",
];

/// Every command with every option that it takes, besides those of the terminal.
fn expected() -> Vec<(&'static str, Vec<&'static str>)> {
    let of = |groups: &[&[&'static str]]| groups.concat();
    vec![
        (
            "check",
            of(&[
                CACHES,
                PROJECTS,
                CONFIG,
                USE,
                JUDGE,
                SIZES,
                LIMITS,
                POLICY,
                &["verify", "jobs", "live", "format", "output"],
                &["sandbox", "no-sandbox", "shard", "record", "compare"],
                &["accounts", "remote", "remote-key", "sealed-by"],
            ]),
        ),
        (
            "trim",
            of(&[
                CACHES,
                PROJECTS,
                CONFIG,
                USE,
                JUDGE,
                SIZES,
                LIMITS,
                RETENTION,
                &["verify", "jobs", "live", "format", "output", "dry-run"],
            ]),
        ),
        ("mark", of(&[CACHES, PROJECTS, CONFIG, &["state", "jobs"]])),
        (
            "list",
            of(&[
                CACHES,
                PROJECTS,
                CONFIG,
                USE,
                SIZES,
                RETENTION,
                &["verify", "jobs", "live", "format"],
                &["top", "by", "why"],
            ]),
        ),
        (
            "pack",
            of(&[
                CACHES,
                PROJECTS,
                CONFIG,
                USE,
                &["jobs", "format", "bundle", "check", "into", "digest"],
                &["shape", "platform", "toolchain", "with-gocache"],
            ]),
        ),
        (
            "doctor",
            of(&[
                CACHES,
                PROJECTS,
                CONFIG,
                &["jobs", "format", "output", "baseline", "write-baseline"],
                &["online", "sample", "timeout", "patience"],
            ]),
        ),
        ("report", of(&[CONFIG, POLICY, &["format", "output"]])),
        ("explain", Vec::new()),
        ("mirror list", of(&[PROJECTS, MIRROR, &["top"]])),
        (
            "mirror trim",
            of(&[
                PROJECTS,
                MIRROR,
                &["max-size", "keep", "keep-since", "cutoff-days"],
                &["min-hit-count", "force", "dry-run", "yes"],
            ]),
        ),
        ("remote list", REMOTE.to_vec()),
        ("remote usage", of(&[REMOTE, &["max-size", "quota-share"]])),
        (
            "remote trim",
            of(&[
                REMOTE,
                &["max-size", "quota-share", "keep", "keep-ref", "keep-since"],
                &["superseded", "closed-prs", "cutoff-days"],
                &["min-hit-count", "dry-run", "yes"],
            ]),
        ),
    ]
}

/// Of every command.
const TERMINAL: [&str; 4] = ["quiet", "verbose", "color", "help"];

fn call(command: &str, more: &[&str]) -> Run {
    gocachevet().args(command.split(' ')).args(more).run()
}

/// The options in a command's help, each with whether it takes a value.
fn told(command: &str) -> BTreeMap<String, bool> {
    let help = call(command, &["--help"]).expect_code(0).stdout;
    let lines = help.lines().map(str::trim_start);
    lines
        .filter(|line| line.starts_with('-'))
        .filter_map(|line| line.split_once("--"))
        .map(|(_, rest)| {
            let end = rest.find(|c: char| c != '-' && !c.is_ascii_lowercase());
            let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
            (name.to_owned(), rest.starts_with(" <"))
        })
        .collect()
}

#[test]
fn every_command_tells_of_its_own_options_and_refuses_all_others() {
    let expected = expected();
    let mut all: BTreeMap<String, bool> = BTreeMap::new();
    for (command, options) in &expected {
        let told = told(command);
        let names: BTreeSet<&str> = told.keys().map(String::as_str).collect();
        let wanted: BTreeSet<&str> = options.iter().copied().chain(TERMINAL).collect();
        assert_eq!(names, wanted, "{command}");
        all.extend(told);
    }
    assert!(all.len() > 90, "{all:?}");
    for (command, options) in &expected {
        for (name, takes_value) in &all {
            if options.contains(&name.as_str()) || TERMINAL.contains(&name.as_str()) {
                continue;
            }
            let value = if *takes_value { "=1" } else { "" };
            let run = call(command, &[&format!("--{name}{value}")]).expect_code(2);
            let refused = format!("unexpected argument '--{name}' found");
            assert!(run.stderr.contains(&refused), "{run}");
            assert_eq!(run.stdout, "", "{run}");
        }
    }
}

#[test]
fn what_did_nothing_is_refused_with_its_name() {
    for (command, option) in [
        ("trim", "--sandbox"),
        ("trim", "--policy=p.wasm"),
        ("doctor", "--policy=p.wasm"),
        ("list", "-o=json=r.json"),
        ("mark", "-o=json=r.json"),
        ("mirror list d", "-o=json=r.json"),
        ("pack", "--output=json=r.json"),
        ("trim", "--compare=x"),
        ("doctor", "--accounts"),
        ("trim", "--record"),
        ("list", "--remote=o/n"),
        ("report r.json", "--record"),
        ("trim", "--shard=1/2"),
        ("explain drift", "--modcache=x"),
        // Of a list, retention answers `--why` and nothing else.
        ("list", "--unused"),
        ("check", "--remote-key=k"),
    ] {
        let run = call(command, &[option]).expect_code(2);
        let name = option.split('=').next().unwrap();
        assert!(
            run.stderr.contains(name)
                || run.stderr.contains("--why")
                || run.stderr.contains("--remote"),
            "{run}"
        );
        // As good as before the command.
        let mut line = vec![option];
        line.extend(command.split(' '));
        gocachevet().args(line).run().expect_code(2);
    }
}

#[test]
fn a_screen_shows_what_is_asked_for_every_day() {
    for (command, _) in expected() {
        let short = call(command, &["-h"]).expect_code(0).stdout;
        let lines = short.lines().count();
        assert!(lines <= 40, "{command}: {lines} lines\n{short}");
    }
    let all = gocachevet().arg("-h").run().expect_code(0).stdout;
    assert!(
        all.lines().count() <= 40 && all.contains("(the default)"),
        "{all}"
    );
}

#[test]
fn options_may_stand_before_and_after_the_command_and_without_one_it_checks() {
    let caches = build_cache(Project::Hello);
    let project = caches.project.to_str().unwrap();
    let lines: [&[&str]; 5] = [
        &["--project", project, "--format", "json", "--verify=quick"],
        &[
            "check",
            "--project",
            project,
            "-f",
            "json",
            "--verify=quick",
        ],
        &["--project", project, "check", "-fjson", "--verify", "quick"],
        &[
            "-q",
            "--format=json",
            "--verify",
            "quick",
            "check",
            "--project",
            project,
        ],
        &[
            "--verify=quick",
            "--project",
            project,
            "-f",
            "json",
            "trim",
            "--dry-run",
        ],
    ];
    for line in lines {
        let report = caches
            .env
            .gocachevet()
            .args(line)
            .run()
            .expect_code(0)
            .json();
        assert_eq!(report["verification"]["level"], "quick", "{line:?}");
        assert_eq!(report["projects"].as_array().unwrap().len(), 1, "{line:?}");
        assert_eq!(
            report["plan"].is_null(),
            !line.contains(&"trim"),
            "{line:?}"
        );
    }
    let run = gocachevet()
        .args(["chekc", "--jobs", "2"])
        .run()
        .expect_code(2);
    assert!(run.stderr.contains("check"), "{run}");
}

#[test]
fn a_switch_takes_back_what_the_configuration_sets() {
    let caches = build_cache(Project::Hello);
    let file = caches.env.dir().join("policy.toml");
    fs::write(&file, "unused = true\ngrace = '0'\n").unwrap();
    let planned = |more: &[&str]| {
        let run = caches
            .env
            .gocachevet()
            .args(["trim", "--dry-run", "--format=json", "--verify=quick"])
            .args(["--config".as_ref(), file.as_path()])
            // A project that needs nothing, so that all is unused.
            .args([
                "--project".as_ref(),
                empty_project(caches.env.dir()).as_path(),
            ])
            .args(more)
            .run()
            .expect_code(0)
            .json();
        run["plan"]["removals"].as_array().unwrap().len()
    };
    assert!(planned(&[]) > 0);
    assert_eq!(planned(&["--no-unused"]), 0);
    assert!(planned(&["--unused"]) > 0);
}

fn empty_project(dir: &Path) -> std::path::PathBuf {
    let project = dir.join("needs-nothing");
    fs::create_dir_all(&project).unwrap();
    fs::write(project.join("go.mod"), "module none\n\ngo 1.21\n").unwrap();
    fs::write(project.join("go.sum"), "").unwrap();
    project
}

#[cfg(target_os = "linux")]
#[test]
fn a_path_that_is_not_utf_8_goes_with_a_configuration() {
    use std::os::unix::ffi::OsStrExt;
    let caches = build_cache(Project::Hello);
    let odd = caches
        .env
        .dir()
        .join(std::ffi::OsStr::from_bytes(b"odd\xff"));
    fs::create_dir(&odd).unwrap();
    fs::write(odd.join("gocachevet.toml"), "verify = 'quick'\n").unwrap();
    fs::write(odd.join("go.mod"), "module odd\n\ngo 1.21\n").unwrap();
    let report = caches
        .env
        .gocachevet()
        .args(["check", "--format=json"])
        .args(["--project".as_ref(), odd.as_path()])
        .run()
        .expect_code(0)
        .json();
    assert_eq!(report["verification"]["level"], "quick");
    assert_eq!(report["configuration"]["origin"], "project");
}

#[test]
fn v_tells_what_is_decided_and_vv_what_is_read_as_well() {
    let caches = support::build_cache(support::Project::Hello);
    let said = |args: &[&str]| {
        let command = caches.env.gocachevet().dir(&caches.project);
        let args = [&["trim", "--dry-run", "--unused", "--grace=0"], args].concat();
        command.args(args).run().expect_code(0).stderr
    };
    let module = "github.com/cespare/xxhash/v2@v2.3.0";
    let (decided, read) = (said(&["-v"]), said(&["-vv"]));
    let cache = format!("gocachevet: cache {}", caches.modcache.display());
    for log in [&decided, &read] {
        assert!(log.contains(&cache), "{log}");
        assert!(log.contains("no configuration rules"), "{log}");
    }
    for (detail, log) in [("stays: a project needs it", &read), ("reading ", &read)] {
        assert!(log.contains(detail) && !decided.contains(detail), "{log}");
    }
    assert!(read.contains(module), "{read}");
    assert_eq!(said(&[]), "");
}
