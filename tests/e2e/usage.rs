//! Use of the caches as `mark` and `check` tell it, held against what the real
//! `go` command did: a second run of the same command on a copy of the build
//! cache in which every entry is old, so that Go itself marks what it uses, and
//! `go`'s own action graph and test log.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use support::{Caches, GoEnv, Project, build_cache, copy_tree, make_writable};

/// A cache that was filled, and a job that uses it.
struct Job {
    env: GoEnv,
    project: PathBuf,
    /// Folder for this test's own files.
    aside: PathBuf,
}

impl Job {
    fn of(caches: Caches) -> Job {
        let job = Job {
            aside: caches.env.dir().join("aside"),
            project: caches.project,
            env: caches.env,
        };
        fs::create_dir(&job.aside).unwrap();
        job.settle();
        job
    }

    /// Hello, built.
    fn warm() -> Job {
        Job::of(build_cache(Project::Hello))
    }

    /// Gives the project's files times of a minute ago: Go does not index
    /// packages with files younger than two seconds.
    fn settle(&self) {
        let old = SystemTime::now() - Duration::from_secs(60);
        for entry in walkdir::WalkDir::new(&self.project) {
            set_modified(entry.unwrap().path(), old);
        }
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.project.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}: {text}");
        fs::write(&path, text.replace(from, to)).unwrap();
        self.settle();
    }

    fn mark(&self) {
        self.env
            .gocachevet()
            .arg("mark")
            .env("TMPDIR", &self.aside)
            .run()
            .expect_code(0);
    }

    /// What `check` reports as usage.
    fn usage(&self) -> Value {
        let run = self
            .env
            .gocachevet()
            .args(["check", "--format=json", "--verify=off"])
            .args(["--project".as_ref(), self.project.as_path()])
            .env("TMPDIR", &self.aside)
            .run();
        run.json()["usage"].clone()
    }

    /// Marks, runs `go args`, and holds the report against the truth.
    fn runs(&mut self, args: &[&str]) -> (Value, Truth) {
        let start_builds = self.aside.join("gocache");
        let start_modules = self.aside.join("modcache");
        // Go may write go.sum, and then leave the project's package without an
        // index while that is young.
        let start_project = self.aside.join("project");
        for (cache, copy) in [
            (&self.env.gocache, &start_builds),
            (&self.env.modcache, &start_modules),
            (&self.project, &start_project),
        ] {
            if cache.exists() {
                copy_tree(cache, copy);
            } else {
                fs::create_dir_all(copy).unwrap();
            }
        }
        self.mark();
        let graph = self.aside.join("graph.json");
        let mut line = vec![args[0].to_owned()];
        line.push(format!("-debug-actiongraph={}", graph.display()));
        line.extend(args[1..].iter().map(|arg| (*arg).to_owned()));
        let output = self.env.go(&self.project, &line);
        let usage = self.usage();
        let sources = source_versions(&self.env.modcache);
        let misses = sources.difference(&source_versions(&start_modules)).count();

        // The same once more, from the same start, on a build cache in which
        // all is old.
        remove(&self.env.modcache);
        copy_tree(&start_modules, &self.env.modcache);
        remove(&self.project);
        copy_tree(&start_project, &self.project);
        let counted = self.aside.join("counted");
        copy_tree(&start_builds, &counted);
        let old = SystemTime::now() - Duration::from_secs(2 * 3600);
        let before: BTreeMap<String, Vec<u8>> = actions(&counted);
        for name in before.keys() {
            set_modified(&counted.join(&name[..2]).join(name), old);
        }
        let gocache = std::mem::replace(&mut self.env.gocache, counted.clone());
        self.env.go(&self.project, &line);
        self.env.gocache = gocache;
        let mut truth = Truth {
            module_misses: misses,
            ..Truth::default()
        };
        for (name, content) in actions(&counted) {
            let path = counted.join(&name[..2]).join(&name);
            let used = fs::metadata(&path).unwrap().modified().unwrap() > old;
            match before.get(&name) {
                None => truth.misses += 1,
                Some(was) if *was != content => truth.rewritten += 1,
                Some(_) if used => truth.hits += 1,
                Some(_) => truth.idle += 1,
            }
        }
        truth.read_graph(&graph);
        truth.read_tests(&output);
        remove(&start_builds);
        remove(&start_modules);
        remove(&start_project);
        remove(&counted);
        (usage, truth)
    }

    /// The modules whose packages a build of `patterns` reads.
    fn modules_used(&self, args: &[&str]) -> usize {
        let format = "{{with .Module}}{{if not .Main}}{{.Path}}@{{.Version}}{{end}}{{end}}";
        let list = [&["list", "-deps", "-f", format], args].concat();
        let modules = self.env.go(&self.project, list);
        modules
            .lines()
            .filter(|line| !line.is_empty())
            .collect::<BTreeSet<_>>()
            .len()
    }
}

/// What the `go` command did.
#[derive(Clone, Debug, Default)]
struct Truth {
    hits: u64,
    misses: u64,
    rewritten: u64,
    idle: u64,
    compiled: u64,
    reused: u64,
    tests_cached: u64,
    tests_run: u64,
    module_misses: usize,
}

impl Truth {
    /// An action of mode `build` that ran a command compiled a package.
    fn read_graph(&mut self, graph: &Path) {
        let graph: Vec<Value> = serde_json::from_slice(&fs::read(graph).unwrap()).unwrap();
        let mut seen = BTreeSet::new();
        for action in graph {
            let id = action["ActionID"].as_str().unwrap_or_default().to_owned();
            if action["Mode"] != "build" || id.is_empty() || !seen.insert(id) {
                continue;
            }
            match action["Cmd"].is_null() {
                true => self.reused += 1,
                false => self.compiled += 1,
            }
        }
    }

    fn read_tests(&mut self, output: &str) {
        for line in output.lines().filter(|line| line.starts_with("ok  \t")) {
            match line.ends_with("(cached)") {
                true => self.tests_cached += 1,
                false => self.tests_run += 1,
            }
        }
    }

    /// What Go says of vetting: its plan names packages that it then does not
    /// need compiled, so the plan is no truth for archives.
    #[track_caller]
    fn equals_but_for_archives(&self, usage: &Value) {
        let archives = &usage["buildcache"]["archives"];
        let count = |name: &str| archives[name].as_u64().unwrap();
        let mut truth = self.clone();
        assert_eq!(count("misses"), truth.compiled, "{usage:#}");
        assert!(count("hits") <= truth.reused, "{usage:#}");
        truth.reused = count("hits");
        truth.equals(usage);
    }

    #[track_caller]
    fn equals(&self, usage: &Value) {
        let builds = &usage["buildcache"];
        let got = json!({
            "hits": builds["hits"], "misses": builds["misses"],
            "rewritten": builds["rewritten"], "idle": builds["idle"],
            "archives": builds["archives"], "tests": builds["tests"],
            "module misses": usage["modcache"]["misses"],
        });
        let truth = json!({
            "hits": self.hits, "misses": self.misses,
            "rewritten": self.rewritten, "idle": self.idle,
            "archives": {"hits": self.reused, "misses": self.compiled},
            "tests": {"hits": self.tests_cached, "misses": self.tests_run},
            "module misses": self.module_misses,
        });
        assert_eq!(got, truth);
    }
}

/// The action entries of a build cache and what they hold.
fn actions(gocache: &Path) -> BTreeMap<String, Vec<u8>> {
    walkdir::WalkDir::new(gocache)
        .into_iter()
        .map(Result::unwrap)
        .filter_map(|entry| {
            let name = entry.file_name().to_str().unwrap().to_owned();
            (entry.depth() == 2 && name.ends_with("-a"))
                .then(|| (name, fs::read(entry.path()).unwrap()))
        })
        .collect()
}

/// The zips of a module cache.
fn source_versions(modcache: &Path) -> BTreeSet<PathBuf> {
    walkdir::WalkDir::new(modcache.join("cache/download"))
        .into_iter()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "zip"))
        .map(|entry| entry.path().strip_prefix(modcache).unwrap().to_owned())
        .collect()
}

fn set_modified(path: &Path, time: SystemTime) {
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

fn remove(path: &Path) {
    if path.exists() {
        make_writable(path);
        fs::remove_dir_all(path).unwrap();
    }
}

#[test]
fn a_cold_cache_has_misses_alone() {
    let mut env = GoEnv::new();
    let project = env.project(Project::Hello);
    env.with_std();
    let aside = env.dir().join("aside");
    fs::create_dir(&aside).unwrap();
    let mut job = Job {
        env,
        project,
        aside,
    };
    job.settle();
    let (usage, truth) = job.runs(&["build", "./..."]);
    truth.equals(&usage);
    assert_eq!(usage["modcache"]["misses"], 3);
    assert_eq!(usage["modcache"]["hits"], 0);
    assert_eq!(usage["modcache"]["hit_rate"], 0.0);
    assert!(truth.compiled >= 5, "{truth:?}");
}

#[test]
fn a_warm_cache_has_hits_alone() {
    let mut job = Job::warm();
    let (usage, truth) = job.runs(&["build", "./..."]);
    truth.equals(&usage);
    let modules = &usage["modcache"];
    assert_eq!(
        (&modules["hits"], &modules["misses"]),
        (&json!(3), &json!(0))
    );
    assert_eq!(modules["hit_rate"], 1.0);
    assert_eq!(job.modules_used(&["./..."]), 3);
    // Go indexes the project's own packages now that they are old enough.
    assert_eq!((modules["needed"].as_u64(), truth.compiled), (Some(3), 0));
}

#[test]
fn a_changed_file_is_compiled_anew() {
    let mut job = Job::warm();
    job.edit("greet/greet.go", "reads a greeting", "takes a greeting");
    let (usage, truth) = job.runs(&["build", "./..."]);
    truth.equals(&usage);
    assert!(truth.compiled >= 1 && truth.reused > 10, "{truth:?}");
}

#[test]
fn a_bumped_dependency_is_a_miss_and_the_old_one_idle() {
    let mut job = Job::warm();
    job.env.go(
        &job.project,
        ["mod", "edit", "-require=github.com/BurntSushi/toml@v1.3.2"],
    );
    job.env.set("GOFLAGS", "-buildvcs=false -mod=mod");
    job.settle();
    let (usage, truth) = job.runs(&["build", "./..."]);
    truth.equals(&usage);
    let modules = &usage["modcache"];
    assert_eq!(
        (&modules["hits"], &modules["misses"], &modules["idle"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert!(modules["idle_bytes"].as_u64() > Some(100_000));
}

#[test]
fn tests_run_and_are_reused() {
    let mut job = Job::warm();
    let (usage, truth) = job.runs(&["test", "./..."]);
    truth.equals(&usage);
    assert_eq!((truth.tests_run, truth.tests_cached), (1, 0));
    let (usage, truth) = job.runs(&["test", "./..."]);
    truth.equals(&usage);
    assert_eq!((truth.tests_run, truth.tests_cached), (0, 1));
}

#[test]
fn vet_uses_what_it_knows_of_packages() {
    let mut job = Job::warm();
    let (usage, truth) = job.runs(&["vet", "./..."]);
    truth.equals_but_for_archives(&usage);
    let (usage, truth) = job.runs(&["vet", "./..."]);
    truth.equals_but_for_archives(&usage);
    assert_eq!((truth.compiled, truth.misses), (0, 0));
}

#[test]
fn the_race_detector_shares_no_package() {
    let mut job = Job::warm();
    // The race detector needs a C compiler; `go` says so if there is none.
    job.env.set("CGO_ENABLED", "1");
    let (usage, truth) = job.runs(&["build", "-race", "./greet"]);
    truth.equals(&usage);
    assert!(truth.compiled > 10, "{truth:?}");
    let (usage, truth) = job.runs(&["build", "-race", "./greet"]);
    truth.equals(&usage);
    assert!(truth.reused > 10 && truth.compiled == 0, "{truth:?}");
}

#[test]
fn use_that_cannot_be_observed_is_unknown() {
    let job = Job::warm();
    job.mark();
    job.env.go(&job.project, ["build", "./..."]);
    let told = |name: &str, value: &str| {
        let run = job
            .env
            .gocachevet()
            .args(["check", "--format=json", "--verify=off"])
            .args(["--project".as_ref(), job.project.as_path()])
            .env("TMPDIR", &job.aside)
            .env(name, value)
            .run();
        run.json()["usage"].clone()
    };
    let usage = told("GOFLAGS", "-mod=vendor");
    assert_eq!(usage["modcache"]["hits"], Value::Null);
    assert_eq!(usage["modcache"]["idle"], Value::Null);
    assert!(usage["buildcache"].is_object());
    let usage = told("GOCACHEPROG", "cacher");
    assert_eq!(usage["modcache"]["hit_rate"], Value::Null);
    assert_eq!(usage["buildcache"], Value::Null);
}

fn tar(args: &[&std::ffi::OsStr]) {
    let status = std::process::Command::new("tar").args(args).status();
    let status = status.expect("this test needs `tar` in PATH");
    assert!(status.success());
}

#[test]
fn a_ledger_travels_through_ten_jobs_and_restores() {
    let mut job = Job::warm();
    let ledger = job.env.modcache.join("cache/gocachevet-ledger.json");
    let check = |job: &Job| {
        job.env
            .gocachevet()
            .args(["check", "--format=json", "--verify=off", "--record"])
            .args(["--project".as_ref(), job.project.as_path()])
            .env("TMPDIR", &job.aside)
            .run()
            .expect_code(0)
            .json()
    };
    for number in 1..=10 {
        if number > 1 {
            // Saved at the end of the last job and restored a moment ago.
            restore(&job);
        }
        if number == 9 {
            let (usage, truth) = job.runs(&["build", "./..."]);
            truth.equals(&usage);
        } else {
            job.mark();
            job.env.go(&job.project, ["build", "./..."]);
        }
        let report = check(&job);
        let trend = report["trend"].as_array().unwrap();
        assert_eq!(trend.len(), number, "{trend:?}");
        assert_eq!(trend[number - 1]["job"], number);
        assert!(trend[number - 1]["hit_rate"].as_f64() > Some(0.9));
    }
    let content: Value = serde_json::from_slice(&fs::read(&ledger).unwrap()).unwrap();
    let toml = &content["versions"]["github.com/BurntSushi/toml@v1.4.0"];
    assert_eq!(
        (&toml["job"], &toml["projects"]),
        (&json!(10), &json!(["example.com/hello"]))
    );
    assert!(toml["h1"].as_str().unwrap().starts_with("h1:"));
    let days = toml["days"].as_array().unwrap();
    let uses: u64 = days.iter().map(|day| day.as_u64().unwrap()).sum();
    assert!(uses >= 9, "{days:?}");

    // Cut short: set aside with a finding, and begun anew.
    fs::write(&ledger, &fs::read(&ledger).unwrap()[..500]).unwrap();
    job.mark();
    let report = check(&job);
    assert_eq!(report["findings"][0]["rule"], "ledger-invalid");
    assert_eq!(report["trend"].as_array().unwrap().len(), 1);
    assert!(
        ledger
            .with_file_name("gocachevet-ledger.set-aside.json")
            .exists()
    );
    assert_eq!(support::complaints(&check(&job)), Vec::<Value>::new());
}

/// Saves both caches to an archive and restores them from it.
fn restore(job: &Job) {
    let archive = job.aside.join("caches.tar");
    let root = job.env.dir();
    let folder: &std::ffi::OsStr = "-C".as_ref();
    let names = ["modcache", "gocache"].map(AsRef::<std::ffi::OsStr>::as_ref);
    let (file, root) = (archive.as_os_str(), root.as_os_str());
    tar(&["-cf".as_ref(), file, folder, root, names[0], names[1]]);
    remove(&job.env.modcache);
    remove(&job.env.gocache);
    tar(&["-xf".as_ref(), file, folder, root]);
}

#[test]
fn a_cache_saved_and_restored_a_minute_ago_tells_use_exactly() {
    let mut job = Job::warm();
    restore(&job);
    job.edit("greet/greet.go", "reads a greeting", "takes a greeting");
    let (usage, truth) = job.runs(&["build", "./..."]);
    truth.equals(&usage);
    assert!(truth.compiled >= 1 && truth.reused > 10, "{truth:?}");
    assert_eq!(usage["modcache"]["hits"], 3);
}

/// Names and times of the action entries.
fn times(gocache: &Path) -> BTreeMap<String, SystemTime> {
    actions(gocache)
        .into_keys()
        .map(|name| {
            let path = gocache.join(&name[..2]).join(&name);
            let modified = fs::metadata(path).unwrap().modified().unwrap();
            (name, modified)
        })
        .collect()
}

/// What the state says of the times before the mark.
fn true_times(state: &Path) -> BTreeMap<String, SystemTime> {
    let state = gocachevet::tested::State::read(state).unwrap();
    let time =
        |nanos: i64| SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanos).unwrap());
    let entries = state.actions.iter();
    entries
        .map(|entry| (format!("{}-a", entry.id), time(entry.used)))
        .collect()
}

#[test]
fn a_mark_that_was_killed_loses_no_time() {
    let job = Job::warm();
    let gocache = &job.env.gocache;
    let before = times(gocache);
    let state = job.aside.join("state");
    let mark = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gocachevet"));
        command.arg("mark").arg("--state").arg(&state);
        command
            .arg("--gocache")
            .arg(gocache)
            .arg("--modcache")
            .arg(&job.env.modcache);
        command.stdout(std::process::Stdio::null());
        command
    };
    // Whenever the kill comes, the next mark knows the true times.
    for delay in [0, 1, 2, 4, 8, 16, 32] {
        let mut child = mark().spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(mark().status().unwrap().success());
    assert_eq!(true_times(&state), before);
    let set = times(gocache);
    assert!(set.iter().any(|(name, time)| before[name] != *time));

    // Half way exactly: the state is written, every other time is set.
    for (name, time) in before.iter().step_by(2) {
        set_modified(&gocache.join(&name[..2]).join(name), *time);
    }
    assert!(mark().status().unwrap().success());
    assert_eq!(true_times(&state), before);
    assert_eq!(times(gocache).len(), set.len());
    let an_hour = SystemTime::now() - Duration::from_secs(3600);
    assert!(times(gocache).values().all(|time| *time < an_hour));
}

#[test]
fn limits_of_use_warn_and_fail() {
    let job = Job::warm();
    let ledger = job.env.modcache.join("cache/gocachevet-ledger.json");
    job.mark();
    job.edit("greet/greet.go", "reads a greeting", "takes a greeting");
    job.env.go(&job.project, ["build", "./..."]);
    let judged = |limit: &str| {
        let run = job
            .env
            .gocachevet()
            .args(["check", "--format=json", "--verify=off", limit])
            .args(["--project".as_ref(), job.project.as_path()])
            .env("TMPDIR", &job.aside)
            .run();
        let name = limit.trim_start_matches('-').split('=').next().unwrap();
        let report = run.json();
        let thresholds = report["thresholds"].as_array().unwrap();
        let threshold = thresholds.iter().find(|it| it["name"] == name).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let told = findings.iter().filter(|it| it["subject"] == name).count();
        let status = threshold["status"].as_str().unwrap().to_owned();
        assert_eq!(told, usize::from(status != "pass"), "{limit}: {report}");
        assert_eq!(run.code, Some(i32::from(status == "fail")), "{limit}");
        (status, threshold["actual"].as_f64())
    };
    // Each option with a value that passes, one that warns, and one that fails.
    for [pass, warn, fail] in [
        [
            "--min-hit-rate=0.5",
            "--min-hit-rate=warn=100%,fail=50%",
            "--min-hit-rate=fail=99.9%",
        ],
        [
            "--min-gocache-hit-rate=0.5",
            "--min-gocache-hit-rate=warn=1",
            "--min-gocache-hit-rate=1",
        ],
        ["--min-modcache-hit-rate=1", "", ""],
        [
            "--max-idle=100GB",
            "--max-idle=warn=1B",
            "--max-idle=warn=0B,fail=1B",
        ],
        [
            "--max-idle=99.9%",
            "--max-idle=warn=0.01%",
            "--max-idle=0.01%",
        ],
        [
            "--max-growth=1GB",
            "--max-growth=warn=1B,fail=1GB",
            "--max-growth=1B",
        ],
    ] {
        for (limit, status) in [(pass, "pass"), (warn, "warn"), (fail, "fail")] {
            if !limit.is_empty() {
                let (told, actual) = judged(limit);
                assert_eq!(told, status, "{limit}: {actual:?}");
                assert!(actual.is_some(), "{limit}");
            }
        }
    }
    // What a time in the cache says: modules unpacked a hundred days ago.
    let old = SystemTime::now() - Duration::from_secs(100 * 86_400);
    for name in actions(&job.env.gocache).keys().take(1) {
        set_modified(&job.env.gocache.join(&name[..2]).join(name), old);
    }
    assert_eq!(judged("--max-age=200d").0, "pass");
    assert_eq!(judged("--max-age=warn=90d,fail=200d").0, "warn");
    assert_eq!(judged("--max-age=90d").0, "fail");
    assert!(!ledger.exists());
}

#[test]
fn a_fresh_cache_passes_limits_of_use_with_a_note() {
    let caches = build_cache(Project::Hello);
    let report = caches
        .env
        .gocachevet()
        .args(["check", "--format=json", "--verify=off"])
        .args(["--min-hit-rate=99%", "--max-growth=1B", "--max-idle=1B"])
        .args(["--project".as_ref(), caches.project.as_path()])
        .env("TMPDIR", caches.env.dir())
        .run()
        .expect_code(0)
        .json();
    assert_eq!(report["verdict"], "pass");
    let notes = report["notes"].to_string();
    for name in ["min-hit-rate", "max-growth", "max-idle"] {
        assert!(
            notes.contains(&format!("`{name}` passed unmeasured")),
            "{notes}"
        );
    }
}

#[test]
fn a_restore_has_its_price_and_the_list_tells_use() {
    let job = Job::warm();
    job.mark();
    job.env.go(&job.project, ["build", "./greet"]);
    let run = |args: &[&str]| {
        job.env
            .gocachevet()
            .args(args)
            .args(["--project".as_ref(), job.project.as_path()])
            .env("TMPDIR", &job.aside)
            .run()
            .expect_code(0)
    };
    let check = [
        "check",
        "--format=json",
        "--verify=off",
        "--restore-rate=1MB",
        "--min-hit-rate=0",
    ];
    let report = run(&check).json();
    let number = |path: &str| report.pointer(path).unwrap().as_u64().unwrap();
    let bytes = number("/modcache/bytes") + number("/buildcache/bytes");
    let idle = number("/usage/modcache/idle_bytes") + number("/usage/buildcache/idle_bytes");
    assert!(idle > 0);
    let price = format!(
        "one restore of the caches costs about {:.1} s, {:.1} s of it for what this job did not use, at 1.0 MB per second",
        bytes as f64 / 1e6,
        idle as f64 / 1e6
    );
    assert!(
        report["notes"].as_array().unwrap().contains(&json!(price)),
        "{report}"
    );

    // A rate that is not given but measured.
    let mut measured = check;
    measured[3] = "--restore-took=2s 500ms";
    let notes = run(&measured).json()["notes"].to_string();
    assert!(
        notes.contains("one restore of the caches costs about 2.5 s, "),
        "{notes}"
    );
    let trim = [
        "trim",
        "--dry-run",
        "--all",
        "--force",
        "--verify=off",
        "--restore-took=10s",
    ];
    let text = run(&trim).stdout;
    assert!(text.contains("about 10.0 s less per restore"), "{text}");

    let list = run(&["list", "--format=json"]).json();
    assert_eq!(list["usage"]["buildcache"], report["usage"]["buildcache"]);
    assert_eq!(list["usage"]["modcache"], report["usage"]["modcache"]);
    let text = run(&["list"]).stdout;
    assert!(text.contains("Used by this job"), "{text}");
    let other = job.aside.join("none.state");
    let list = run(&["list", "--format=json", "--state", other.to_str().unwrap()]).json();
    assert!(list.get("usage").is_none(), "{list}");
}
