//! `gocachevet doctor` on settings, projects and caches that are real.

// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;

use serde_json::Value;
use support::{GoEnv, Project, Run, assert_untouched, build_cache, snapshot};

fn rules(run: &Run) -> Vec<String> {
    let report = run.json();
    let findings = report["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings.map(|finding| text(&finding["rule"])).collect()
}

#[test]
fn a_healthy_setup_gets_a_clean_bill_and_nothing_is_written() {
    for project in Project::ALL {
        let caches = build_cache(project);
        let before = [snapshot(&caches.modcache), snapshot(&caches.gocache)];
        let run = support::gocachevet()
            .env("HOME", caches.project.join("no-home"))
            .env("GOENV", "off")
            .env("GOMODCACHE", &caches.modcache)
            .env("GOCACHE", &caches.gocache)
            .env("GOTOOLCHAIN", "local")
            .dir(&caches.project)
            .args(["doctor", "--format", "json"])
            .run()
            .expect_code(0);
        let mut rules = rules(&run);
        // What the machine is like is not the project's doing.
        rules.retain(|rule| {
            !["disk-low", "no-access-times", "case-folding"].contains(&rule.as_str())
        });
        assert_eq!(rules, Vec::<String>::new(), "{project:?}: {run}");
        assert_untouched(&before[0], &caches.modcache);
        assert_untouched(&before[1], &caches.gocache);
    }
}

#[test]
fn lines_missing_from_go_sum_and_unused_ones_are_told() {
    let caches = build_cache(Project::Hello);
    let file = caches.project.join("go.sum");
    let sums = fs::read_to_string(&file).unwrap();
    let (gone, kept) = sums.split_once('\n').unwrap();
    let module = gone.split(' ').next().unwrap();
    let kept: String = kept
        .lines()
        .filter(|line| !line.starts_with(module))
        .map(|line| format!("{line}\n"))
        .collect();
    let sum = support::MODULES[0].1;
    fs::write(&file, format!("{kept}example.com/left v1.0.0 {sum}\n")).unwrap();
    let run = support::gocachevet()
        .env("HOME", "/none")
        .env("GOENV", "off")
        .env("GOMODCACHE", &caches.modcache)
        .env("GOCACHE", &caches.gocache)
        .dir(&caches.project)
        .args(["doctor", "--format", "json"])
        .run();
    let report = run.json();
    let message = |rule: &str| {
        let findings = report["findings"].as_array().unwrap();
        let found = findings.iter().find(|finding| finding["rule"] == rule);
        found.unwrap_or_else(|| panic!("no {rule} in {run}"))["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(message("go-sum-missing").contains(module));
    assert!(message("go-sum-unused").contains("example.com/left@v1.0.0"));
}

#[test]
fn the_sums_of_a_workspace_are_its_members_and_its_own() {
    let caches = build_cache(Project::Work);
    let sums = caches.project.join("go.work.sum");
    let healthy = fs::read_to_string(&sums).unwrap();
    let doctor = || {
        let run = support::gocachevet()
            .env("HOME", "/none")
            .env("GOENV", "off")
            .env("GOMODCACHE", &caches.modcache)
            .env("GOCACHE", &caches.gocache)
            .dir(&caches.project)
            .args(["doctor", "--format", "json"])
            .run();
        let findings = run.json()["findings"].as_array().unwrap().clone();
        let told = findings.iter().map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            (text("rule"), text("message"))
        });
        told.filter(|(rule, _)| rule.starts_with("go-sum"))
            .collect::<Vec<_>>()
    };
    let told = |rule: &str, module: &str| {
        let told = doctor();
        assert!(
            told.iter()
                .any(|(found, message)| found == rule && message.contains(module)),
            "no {rule} for {module} in {told:?}"
        );
    };
    assert_eq!(doctor(), []);

    // Each go.mod file's line of each file in its turn: those that a build adds
    // to go.work.sum are missed, and no others.
    let mut missed = 0;
    for file in [sums.clone(), caches.project.join("app/go.sum")] {
        let whole = fs::read_to_string(&file).unwrap();
        for gone in whole.lines().filter(|line| line.contains("/go.mod ")) {
            let kept: Vec<_> = whole.lines().filter(|line| *line != gone).collect();
            fs::write(&file, kept.join("\n") + "\n").unwrap();
            let before = doctor();
            caches
                .env
                .go(&caches.project, ["build", "./app/...", "./lib/..."]);
            let is_back = fs::read_to_string(&sums).unwrap().contains(gone);
            assert_eq!(!before.is_empty(), is_back, "without {gone}: {before:?}");
            missed += usize::from(is_back);
            assert_eq!(doctor(), []);
            fs::write(&file, &whole).unwrap();
            fs::write(&sums, &healthy).unwrap();
        }
    }
    assert!(missed > 0, "go adds no line");

    let sum = support::MODULES[0].1;
    fs::write(&sums, format!("{healthy}example.com/left v1.0.0 {sum}\n")).unwrap();
    told("go-sum-unused", "example.com/left@v1.0.0");
    fs::remove_file(&sums).unwrap();
    caches.env.go(&caches.project, ["mod", "download"]);
    assert_eq!(doctor(), []);

    // A line of one member that neither it nor the workspace needs.
    let member = caches.project.join("lib/go.sum");
    let lines = fs::read_to_string(&member).unwrap();
    fs::write(&member, format!("{lines}example.com/left v1.1.0 {sum}\n")).unwrap();
    told("go-sum-unused", "example.com/left@v1.1.0");
}

#[test]
fn the_env_file_that_go_wrote_is_read() {
    let mut env = GoEnv::new();
    let file = env.dir().join("env");
    env.set("GOENV", &file);
    // As `go env -w` writes it.
    env.go(
        env.dir(),
        ["env", "-w", "GONOSUMDB=*", "GOFLAGS=-modcacherw"],
    );
    env.download(&["github.com/pkg/errors@v0.9.1"]);
    let doctor = |name: &str, value: &str| {
        env.gocachevet()
            .env("GOENV", &file)
            .env(name, value)
            .args(["doctor", "--format", "json"])
            .run()
    };
    let run = doctor("X", "");
    let found = rules(&run.expect_code(0));
    for rule in ["sumdb-skipped", "modcache-writable"] {
        assert!(found.iter().any(|found| found == rule), "{rule}: {found:?}");
    }
    let run = doctor("GONOSUMDB", "corp.example");
    assert!(
        !rules(&run).iter().any(|found| found == "sumdb-skipped"),
        "{run}"
    );
}

#[test]
fn a_setting_that_go_refuses_fails_the_run() {
    let env = GoEnv::new();
    let run = env
        .gocachevet()
        .env("GOCACHE", "off")
        .args(["doctor", "--format", "json"])
        .run()
        .expect_code(1);
    assert_eq!(rules(&run)[0], "setting-invalid");
    // Go agrees.
    let mut command = env.command(env.dir(), ["build", "errors"]);
    let said = command.env("GOCACHE", "off").output().unwrap();
    assert!(!said.status.success());
}

#[test]
fn diagnoses_come_in_every_format() {
    let env = GoEnv::new();
    for (format, part) in [
        ("text", "proxy-fallback"),
        ("markdown", "proxy-fallback"),
        ("github", "::warning"),
        ("sarif", "\"ruleId\": \"proxy-fallback\""),
    ] {
        let run = env
            .gocachevet()
            .env("GOPROXY", "https://p.example|direct")
            .args(["doctor", "--format", format]);
        let run = run.run().expect_code(0);
        let compact = |text: &str| text.replace(": ", ":");
        assert!(
            compact(&run.stdout).contains(&compact(part)),
            "{format}: {run}"
        );
    }
}

/// What a person reads: the settings, where each comes from and what it does, then
/// what is wrong. Nothing is told of what the caches hold.
#[test]
fn the_settings_are_told_first() {
    let scratch = support::Scratch::for_everyone();
    for format in ["text", "markdown"] {
        let run = support::gocachevet()
            .args(["doctor", "--format", format])
            .by_nobody(scratch.path())
            .env("HOME", "/home/nobody-at-all")
            .env("GOENV", "off")
            .env("GOROOT", "/none")
            .env("GOPROXY", "https://user:secret@p.example|direct")
            .env("GOPRIVATE", "git.corp.example")
            .env("GOFLAGS", "-modcacherw -trimpath")
            .env("GOTOOLCHAIN", "local")
            .env("GOWORK", "off")
            .run()
            .expect_code(1);
        let told = run.stdout.lines();
        let told = told.filter(|line| !line.starts_with("gocachevet ")); // version and time
        insta::assert_snapshot!(
            format!("settings_{format}"),
            told.collect::<Vec<_>>().join("\n")
        );
    }
}

#[cfg(not(feature = "remote"))]
#[test]
fn a_build_without_network_says_which_one_has_it() {
    let env = GoEnv::new();
    let run = env.gocachevet().args(["doctor", "--online"]).run();
    let run = run.expect_code(2);
    assert!(run.stderr.contains("feature `remote`"), "{run}");
}

/// A user without a home: `go build` ends at once, and the doctor says why.
#[test]
fn a_cache_that_cannot_be_made_is_denied() {
    let scratch = support::Scratch::for_everyone();
    let run = support::gocachevet()
        .args(["doctor", "--format", "json"])
        .by_nobody(scratch.path())
        .env("HOME", "/home/nobody-at-all")
        .run()
        .expect_code(1);
    let report = run.json();
    let findings = report["findings"].as_array().unwrap();
    let told: Vec<(&str, &str, &str)> = findings
        .iter()
        .filter(|finding| finding["rule"] == "cache-unwritable")
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap();
            (text("subject"), text("level"), text("path"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("GOCACHE", "deny", "/home/nobody-at-all/.cache/go-build"),
            ("GOMODCACHE", "warn", "/home/nobody-at-all/go/pkg/mod"),
        ]
    );
}

/// `check` tells a cache of another user, too: Go cannot mark use in it.
#[test]
fn a_check_tells_whose_the_cache_is() {
    use std::os::unix::fs::{MetadataExt, chown};
    let caches = build_cache(Project::Hello);
    let check = || {
        let args = ["check", "--format", "json", "--verify", "off"];
        let run = caches
            .env
            .gocachevet()
            .dir(&caches.project)
            .args(args)
            .run();
        let mut told = rules(&run.expect_code(0));
        told.retain(|rule| rule == "cache-owner");
        told.len()
    };
    assert_eq!(check(), 0);
    // Only root can give a folder away; one of them is enough.
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        chown(caches.gocache.join("07"), Some(65534), Some(65534)).unwrap();
        assert_eq!(check(), 1);
    }
}
