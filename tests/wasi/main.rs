//! The WASI module in three runtimes, and the sandbox around it: what the
//! native program says of a cache, all of them say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod runtime;
#[path = "../support/mod.rs"]
mod support;

use runtime::Runtime;
use serde_json::Value;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{
    Caches, Gocachevet, Project, Run, Scratch, assert_untouched, build_cache, copy_tree,
    gocachevet, make_writable, snapshot,
};

/// A report without what tells when and by which build it was made.
fn timeless(run: &Run) -> Value {
    let mut report = run.json();
    report["tool"]["target"].take();
    report["generated_at"].take();
    report["verification"]["seconds"].take();
    for finding in report["findings"].as_array_mut().unwrap() {
        // wasmtime does not tell where an absolute link leads.
        if finding["rule"] == "link-in-cache" {
            let message = finding["message"].as_str().unwrap();
            let (_, reads) = message.split_once(": Go follows it").unwrap();
            finding["message"] = reads.into();
        }
    }
    for threshold in report["thresholds"].as_array_mut().unwrap() {
        // An age counts from now.
        if threshold["name"] == "max-age" {
            threshold["actual"].take();
        }
    }
    report
}

fn arguments<'a>(caches: &[&'a Path; 3], more: &[&'a str]) -> Vec<&'a str> {
    let [modcache, gocache, project] = caches.map(|path| path.to_str().unwrap());
    let mut args = vec!["check", "--modcache", modcache, "--gocache", gocache];
    args.extend(["--project", project]);
    args.extend(more);
    if !more.iter().any(|arg| arg.starts_with("--format")) {
        args.push("--format=json");
    }
    args
}

/// Checks natively and in every runtime, and fails unless all say the same.
#[track_caller]
fn same_everywhere(caches: [&Path; 3], more: &[&str], code: i32) -> Value {
    let args = arguments(&caches, more);
    let native = timeless(&gocachevet().args(&args).run().expect_code(code));
    for runtime in Runtime::ALL {
        let run = runtime.run(&caches, &args).expect_code(code);
        assert_eq!(run.json()["tool"]["target"], "wasm32-wasi");
        assert_eq!(timeless(&run), native, "{runtime:?}");
    }
    native
}

fn paths(caches: &Caches) -> [&Path; 3] {
    [&caches.modcache, &caches.gocache, &caches.project]
}

/// A copy of fresh caches that can be damaged.
struct Copy {
    _scratch: Scratch,
    modcache: PathBuf,
    gocache: PathBuf,
    project: PathBuf,
}

impl Copy {
    fn new() -> Copy {
        let caches = build_cache(Project::Hello);
        let scratch = Scratch::new();
        let [modcache, gocache, project] =
            ["modcache", "gocache", "project"].map(|name| scratch.path().join(name));
        for (from, to) in paths(&caches)
            .into_iter()
            .zip([&modcache, &gocache, &project])
        {
            copy_tree(from, to);
        }
        make_writable(&modcache);
        Copy {
            _scratch: scratch,
            modcache,
            gocache,
            project,
        }
    }

    fn paths(&self) -> [&Path; 3] {
        [&self.modcache, &self.gocache, &self.project]
    }

    fn outside(&self) -> PathBuf {
        self._scratch.path().join("outside")
    }

    /// The first file, in the order of their names, that ends like this.
    fn file(&self, root: &Path, ending: &str) -> PathBuf {
        let file = snapshot(root)
            .into_iter()
            .find(|(path, entry)| entry.size > 0 && path.to_str().unwrap().ends_with(ending))
            .unwrap_or_else(|| panic!("nothing ends with {ending}"))
            .0;
        root.join(file)
    }
}

fn rules(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|finding| finding["rule"].as_str().unwrap())
        // Every cache has that note.
        .filter(|rule| *rule != "info-unproven")
        .collect()
}

#[test]
fn a_sound_cache_is_the_same_everywhere() {
    let caches = build_cache(Project::Work);
    for level in ["off", "quick", "used", "full"] {
        let report = same_everywhere(paths(&caches), &["--verify", level], 0);
        assert_eq!(report["verification"]["level"], level);
        assert_eq!(report["verdict"], "pass");
    }
}

#[test]
fn a_broken_cache_is_the_same_everywhere() {
    let copy = Copy::new();
    let zip = copy.file(&copy.modcache, ".zip");
    fs::write(&zip, &fs::read(&zip).unwrap()[..100]).unwrap();
    let output = copy.file(&copy.gocache, "-d");
    let mut content = fs::read(&output).unwrap();
    content[0] ^= 1;
    fs::write(&output, content).unwrap();
    let info = copy.file(&copy.modcache, ".info");
    fs::write(info, "{").unwrap();
    fs::write(copy.modcache.join("cache/download/stray"), "stray").unwrap();
    let report = same_everywhere(copy.paths(), &[], 1);
    for rule in [
        "zip-invalid",
        "output-hash-mismatch",
        "info-invalid",
        "unexpected-file",
    ] {
        assert!(
            rules(&report).contains(&rule),
            "{rule}: {:?}",
            rules(&report)
        );
    }
}

#[test]
fn thresholds_and_the_configuration_hold_everywhere() {
    let copy = Copy::new();
    fs::write(
        copy.project.join("gocachevet.toml"),
        "max-size = '1kB'\n[rules]\ndrift = 'warn'\n",
    )
    .unwrap();
    let report = same_everywhere(copy.paths(), &["--verify=off"], 1);
    assert_eq!(report["verdict"], "fail");
    assert!(
        report["policy"]["config"]
            .as_str()
            .unwrap()
            .ends_with("gocachevet.toml")
    );
}

#[test]
fn lists_and_explanations_are_the_same_everywhere() {
    let caches = build_cache(Project::Hello);
    let list = |by: &'static str| {
        let mut args = arguments(&paths(&caches), &["--by", by]);
        args[0] = "list";
        args
    };
    for args in [
        list("module"),
        list("version"),
        list("output"),
        vec!["explain", "drift"],
    ] {
        let said = |run: Run| match run.stdout.starts_with('{') {
            true => {
                let mut list = run.json();
                list["generated_at"].take();
                // What an output is of, only the native program tells.
                for output in list["outputs"].as_array_mut().into_iter().flatten() {
                    output["kind"].take();
                    output["of"].take();
                }
                list.to_string()
            }
            false => run.stdout,
        };
        let native = said(gocachevet().args(&args).run().expect_code(0));
        for runtime in Runtime::ALL {
            let run = runtime.run(&paths(&caches), &args).expect_code(0);
            assert_eq!(said(run), native, "{runtime:?} {args:?}");
        }
    }
}

#[test]
fn exit_codes_are_the_same_everywhere() {
    let empty = Scratch::new();
    let folder = empty.path().to_str().unwrap();
    for (args, code) in [
        (vec!["--no-such-option"], 2),
        (vec!["explain", "no-such-rule"], 2),
        (vec!["check", "--modcache", folder], 0),
        (vec!["check", "--modcache", folder, "--project", folder], 2),
        (
            vec![
                "check",
                "--modcache",
                "/not/there",
                "--gocache",
                "/not/there",
            ],
            3,
        ),
    ] {
        gocachevet().args(&args).run().expect_code(code);
        for runtime in Runtime::ALL {
            runtime.run(&[empty.path()], &args).expect_code(code);
        }
    }
}

/// wazero follows every link, Node those in the middle of a path: the program
/// itself does not, so that a cache cannot show what lies outside.
#[test]
fn links_are_followed_in_no_runtime() {
    let copy = Copy::new();
    fs::create_dir_all(copy.outside().join("deep")).unwrap();
    fs::write(copy.outside().join("secret"), "s".repeat(12_345)).unwrap();
    fs::write(copy.outside().join("deep/secret"), "s".repeat(12_345)).unwrap();
    let inside = same_everywhere(copy.paths(), &[], 0);
    // A folder in each region, and a file, absolute and relative.
    let download = copy.modcache.join("cache/download");
    symlink(copy.outside(), copy.modcache.join("example.com")).unwrap();
    symlink(copy.outside(), download.join("example.com")).unwrap();
    symlink("../../../outside/deep", download.join("relative")).unwrap();
    symlink(copy.outside(), copy.gocache.join("link")).unwrap();
    let shard = copy.file(&copy.gocache, "-d").parent().unwrap().to_owned();
    symlink(
        copy.outside().join("secret"),
        shard.join(format!("{}-d", "0".repeat(64))),
    )
    .unwrap();
    let report = same_everywhere(copy.paths(), &[], 1);
    for cache in ["modcache", "buildcache"] {
        let grown =
            report[cache]["bytes"].as_u64().unwrap() - inside[cache]["bytes"].as_u64().unwrap();
        assert!(grown < 2_000, "{cache} grew by {grown}");
    }
    let mut rules = rules(&report);
    rules.sort();
    // Of the five only the one at the top of the build cache is nothing to Go.
    let [links, odd] = [["link-in-cache"; 4].as_slice(), &["unexpected-file"]];
    assert_eq!(rules, [links, odd].concat());
}

/// wasmtime cannot list a folder with such a name in it, wazero cannot look at
/// what has it: that is said and no pass.
#[test]
fn a_name_that_is_not_utf8_is_never_a_pass() {
    let copy = Copy::new();
    let odd = std::ffi::OsStr::from_bytes(b"odd-\xff-name");
    fs::write(copy.modcache.join("cache/download").join(odd), "x").unwrap();
    let args = arguments(&copy.paths(), &["--verify=off"]);
    let native = gocachevet().args(&args).run().expect_code(0);
    assert_eq!(rules(&native.json()), ["unexpected-file"]);
    assert!(native.stdout.contains(r"odd-\\xff-name"), "{native}");
    let run = Runtime::Node.run(&copy.paths(), &args).expect_code(0);
    assert_eq!(timeless(&run), timeless(&native), "{run}");
    for (runtime, path) in [
        (Runtime::Wazero, r"cache/download/odd-\xff-name"),
        (Runtime::Wasmtime, "cache/download"),
    ] {
        let run = runtime.run(&copy.paths(), &args).expect_code(1);
        let finding = &run.json()["findings"][0];
        assert_eq!(finding["rule"], "unreadable", "{run}");
        assert!(finding["path"].as_str().unwrap().ends_with(path), "{run}");
    }
}

#[test]
fn times_are_read_to_the_nanosecond_everywhere() {
    let copy = Copy::new();
    let entry = copy.file(&copy.gocache, "-a");
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    let times = fs::FileTimes::new().set_modified(time).set_accessed(time);
    fs::File::open(entry).unwrap().set_times(times).unwrap();
    let report = same_everywhere(copy.paths(), &["--verify=off"], 0);
    assert_eq!(
        report["buildcache"]["oldest"],
        "2001-09-09T01:46:40.123456789Z"
    );
}

// Trimming

const EVERYTHING: [&str; 2] = ["--unused", "--grace=0s"];

fn trim<'a>(caches: &[&'a Path; 3]) -> Vec<&'a str> {
    let mut args = arguments(caches, &EVERYTHING);
    args[0] = "trim";
    args
}

/// A project that needs nothing.
fn needs_nothing(copy: &Copy) {
    fs::write(copy.project.join("go.mod"), "module example.com/m\n").unwrap();
    fs::remove_file(copy.project.join("go.sum")).unwrap();
}

/// Unlinking while listing loses entries under Node and wasmtime: 5000 files in
/// a folder go, as natively.
#[test]
fn a_trim_removes_under_wasi_what_it_removes_natively() {
    let copies = [Copy::new(), Copy::new(), Copy::new()];
    let [native, others @ ..] = copies.each_ref().map(|copy| {
        needs_nothing(copy);
        let residue = copy.modcache.join("example.com/m@v1.0.0.tmp-123");
        fs::create_dir_all(&residue).unwrap();
        for number in 0..5000 {
            fs::write(residue.join(format!("file-{number}")), "x").unwrap();
        }
        copy.paths()
    });
    let run = gocachevet().args(trim(&native)).run().expect_code(0);
    let removed = &run.json()["outcome"]["removed"];
    // The versions, and the residue.
    assert_eq!(removed.as_u64(), Some(5), "{run}");
    for (runtime, caches) in Runtime::WRITING.into_iter().zip(others) {
        let other = runtime.run_writing(&caches, &trim(&caches)).expect_code(0);
        assert_eq!(&other.json()["outcome"]["removed"], removed);
        let names = |root| snapshot(root).into_keys().collect::<Vec<_>>();
        assert_eq!(names(native[0]), names(caches[0]), "{runtime:?}");
        let residue = caches[0].join("example.com/m@v1.0.0.tmp-123");
        assert!(!residue.exists());
    }
}

#[test]
fn a_build_cache_is_trimmed_where_it_can_be_written_to() {
    let [native, node, wazero] = [Copy::new(), Copy::new(), Copy::new()];
    // A module cache with nothing in it.
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path().join("cache/download")).unwrap();
    let empty = scratch.path().to_str().unwrap();
    let line = |copy: &Copy, more: &[&str]| -> Vec<String> {
        let gocache = copy.gocache.to_str().unwrap();
        let mut args = vec!["trim", "--format=json", "--verify=off"];
        args.extend(["--gocache", gocache, "--modcache", empty]);
        args.extend(["--trim-to=1kB", "--grace=0s"]);
        args.iter()
            .chain(more)
            .map(|arg| (*arg).to_owned())
            .collect()
    };
    let run = |runtime: Runtime, copy: &Copy, mode: &str, more: &[&str]| {
        let args = line(copy, more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let gocache = copy.gocache.to_str().unwrap();
        runtime.run_with(
            &[(&copy.gocache, gocache), (scratch.path(), empty)],
            mode,
            &args,
        )
    };
    let removed = |run: &Run| run.json()["outcome"]["removed"].clone();
    let expected = gocachevet().args(line(&native, &[])).run().expect_code(0);
    assert!(removed(&expected).as_u64().unwrap() > 10, "{expected}");

    // What would go is known also where nothing can be removed.
    let before = snapshot(&wazero.gocache);
    run(Runtime::Wazero, &wazero, ":ro", &["--dry-run"]).expect_code(0);
    run(Runtime::Wasmtime, &wazero, "", &["--dry-run"]).expect_code(0);
    for (runtime, mode) in [(Runtime::Wazero, ":ro"), (Runtime::Wasmtime, "")] {
        let refused = run(runtime, &wazero, mode, &[]).expect_code(3);
        assert!(!refused.stderr.is_empty(), "{refused}");
        assert_untouched(&before, &wazero.gocache);
    }
    for (runtime, copy) in [(Runtime::Node, &node), (Runtime::Wazero, &wazero)] {
        let run = run(runtime, copy, "", &[]).expect_code(0);
        assert_eq!(removed(&run), removed(&expected), "{run}");
        let names = |copy: &Copy| snapshot(&copy.gocache).into_keys().collect::<Vec<_>>();
        assert_eq!(names(copy), names(&native), "{runtime:?}");
    }
}

// Use

/// Node sets whole seconds only: a mark is of whole seconds wherever it is made.
#[test]
fn a_mark_made_under_wasi_tells_use_as_a_native_one_does() {
    for runtime in Runtime::WRITING {
        let copy = Copy::new();
        let state = copy._scratch.path().join("state");
        fs::create_dir(&state).unwrap();
        let file = state.join("mark");
        let folders = [&*copy.modcache, &copy.gocache, &copy.project, &state];
        let args = |command: &'static str| {
            let mut args = arguments(&copy.paths(), &[]);
            args.retain(|arg| command == "check" || !arg.starts_with("--format"));
            args[0] = command;
            args.extend(["--state", file.to_str().unwrap()]);
            args.extend((command == "check").then_some("--verify=off"));
            args
        };
        let marked = runtime.run_writing(&folders, &args("mark")).expect_code(0);
        assert!(marked.stdout.starts_with("marked "), "{marked}");
        let used = || {
            let native = gocachevet().args(args("check")).run().expect_code(0);
            let other = runtime.run(&folders, &args("check")).expect_code(0);
            assert_eq!(other.json()["usage"], native.json()["usage"], "{other}");
            let actions = &native.json()["usage"]["buildcache"];
            (actions["hits"].clone(), actions["misses"].clone())
        };
        // Where nothing was used, nothing is known.
        assert_eq!(used(), (Value::Null, Value::Null), "{runtime:?}");
        // As Go marks what it uses.
        let entry = copy.file(&copy.gocache, "-a");
        let now = fs::FileTimes::new().set_modified(std::time::SystemTime::now());
        let entry = fs::File::options().append(true).open(entry).unwrap();
        entry.set_times(now).unwrap();
        assert_eq!(used(), (1.into(), 0.into()), "{runtime:?}");
    }
}

#[test]
fn a_mark_that_cannot_be_kept_is_an_error_and_changes_nothing() {
    let copy = Copy::new();
    let state = copy._scratch.path().join("state");
    fs::create_dir(&state).unwrap();
    let before = snapshot(&copy.gocache);
    let mut args = arguments(&copy.paths(), &["--format=text"]);
    args.pop();
    args[0] = "mark";
    let file = state.join("mark");
    args.extend(["--state", file.to_str().unwrap()]);
    let folders = [&*copy.modcache, &copy.gocache, &copy.project, &state];
    for runtime in [Runtime::Wazero, Runtime::Wasmtime] {
        let run = runtime.run(&folders, &args).expect_code(3);
        assert!(run.stderr.contains(file.to_str().unwrap()), "{run}");
        assert_untouched(&before, &copy.gocache);
    }
}

/// Go names a module's index after the module's real path, which only
/// `--path-map` tells where the caches are mounted elsewhere.
#[test]
fn the_use_of_modules_is_told_under_other_names_with_a_path_map() {
    let caches = build_cache(Project::Hello);
    let scratch = Scratch::new();
    let goroot = caches.env.go(&caches.project, ["env", "GOROOT"]);
    let real = caches.modcache.to_str().unwrap();
    let map = format!("/mc={real}");
    let folders = [
        (&*caches.modcache, "/mc"),
        (&*caches.gocache, "/gc"),
        (&*caches.project, "/src"),
        (Path::new(goroot.trim()), "/go"),
        (scratch.path(), "/state"),
    ];
    let args = |command, more: &[&'static str]| {
        let args = [command, "--modcache=/mc", "--gocache=/gc", "--project=/src"];
        let args = args.iter().chain(&["--state=/state/mark"]);
        let goroot = (command != "mark").then_some(&"--goroot=/go");
        args.chain(goroot)
            .chain(more)
            .copied()
            .collect::<Vec<&str>>()
    };
    let native = |command: &str, more: &[&str]| {
        let run = caches.env.gocachevet().arg(command).args(more);
        let run = run.arg("--project").arg(&caches.project);
        let state = scratch.path().join("native");
        run.arg("--state").arg(state).run().expect_code(0)
    };
    native("mark", &[]);
    Runtime::Node
        .run_with(&folders, "", &args("mark", &[]))
        .expect_code(0);
    caches.build_offline();
    let check = ["--format=json", "--verify=off"];
    let expected = native("check", &check).json()["usage"]["modcache"].clone();
    assert!(expected["hits"].as_u64() > Some(0), "{expected}");
    for runtime in Runtime::ALL {
        let usage = |more: &[&str]| {
            let args = args("check", &check);
            let args: Vec<&str> = args.iter().chain(more).copied().collect();
            let run = runtime.run_with(&folders, ":ro", &args).expect_code(0);
            run.json()["usage"]["modcache"].clone()
        };
        assert_eq!(usage(&["--path-map", &map]), expected, "{runtime:?}");
        assert_ne!(usage(&[]), expected, "{runtime:?}");
    }
}

// What the platform or the runtime lacks

#[test]
fn what_would_write_fails_where_nothing_can_be_written() {
    let copy = Copy::new();
    let report = copy.project.join("report.json");
    let baseline = copy.project.join("baseline.json");
    let output = format!("--output=json={}", report.display());
    let write_baseline = format!("--write-baseline={}", baseline.display());
    for option in ["--record", &output, &write_baseline] {
        let args = arguments(&copy.paths(), &["--verify=off", option]);
        let before = copy.paths().map(snapshot);
        for runtime in [Runtime::Wazero, Runtime::Wasmtime] {
            let run = runtime.run(&copy.paths(), &args).expect_code(3);
            let remedy = run.stderr.contains("hand it over writable");
            assert_eq!(remedy, runtime == Runtime::Wazero, "{run}");
            assert!(!run.stderr.is_empty(), "{run}");
            for (before, cache) in before.iter().zip(copy.paths()) {
                assert_untouched(before, cache);
            }
        }
        for runtime in Runtime::WRITING {
            runtime.run_writing(&copy.paths(), &args).expect_code(0);
        }
    }
    for file in [report, baseline] {
        serde_json::from_slice::<Value>(&fs::read(file).unwrap()).unwrap();
    }
}

#[test]
fn what_only_the_native_program_can_do_is_refused_by_name() {
    let empty = Scratch::new();
    let folder = empty.path().to_str().unwrap();
    for (args, message) in [
        (vec!["doctor"], "doctor: the WASI module does not have this"),
        (vec!["mirror", "list", folder], "mirror: the WASI module"),
        (vec!["remote", "trim", "--yes"], "remote: the WASI module"),
        (vec!["chekc"], "there is no command \"chekc\""),
        (
            vec!["check", "--modcache", folder, "--sandbox"],
            "--sandbox: ",
        ),
        (
            vec!["check", "--modcache", folder, "--policy=p.wasm"],
            "--policy: ",
        ),
        (
            vec!["check", "--modcache", folder, "--remote=o/r"],
            "this build has no network",
        ),
        (
            vec!["trim", "--modcache", folder, "--prove=build"],
            "--prove runs a command",
        ),
    ] {
        for runtime in Runtime::ALL {
            let run = runtime.run(&[empty.path()], &args).expect_code(2);
            assert!(run.stderr.contains(message), "{run}");
        }
    }
}

/// WASI cannot make Go's read-only trees writable: Go sees none of them any more,
/// but their files stay, which fails the trim.
#[test]
fn a_trim_of_read_only_trees_fails_and_leaves_no_half_version() {
    let caches = build_cache(Project::Hello);
    let scratch = Scratch::for_everyone();
    let [modcache, gocache, project] =
        ["modcache", "gocache", "project"].map(|name| scratch.path().join(name));
    // With Go's own modes.
    copy_tree(&caches.modcache, &modcache);
    copy_tree(&caches.gocache, &gocache);
    fs::create_dir(&project).unwrap();
    fs::write(project.join("go.mod"), "module example.com/m\n").unwrap();
    let caches = [&*modcache, &*gocache, &*project];
    let before = caches.map(snapshot);
    let failed = "removals failed; the report names them";
    // Their folders are read-only as a whole.
    for runtime in [Runtime::Wazero, Runtime::Wasmtime] {
        let run = runtime.run(&caches, &trim(&caches)).expect_code(3);
        assert!(run.stderr.contains(failed), "{run}");
        for (before, cache) in before.iter().zip(caches) {
            assert_untouched(before, cache);
        }
    }
    // To know what would go needs no right to remove it.
    let dry = [&trim(&caches)[..], &["--dry-run"]].concat();
    Runtime::Node.run(&caches, &dry).expect_code(0);
    let run = runtime::node_as_nobody(scratch.path(), &caches, &trim(&caches)).expect_code(3);
    assert!(run.stderr.contains(failed), "{run}");
    let left = |path: &str| modcache.join(path).exists();
    assert!(!left("github.com/!burnt!sushi/toml@v1.4.0"), "{run}");
    let zip = "cache/download/github.com/!burnt!sushi/toml/@v/v1.4.0.zip";
    assert!(!left(zip), "{run}");
}

// Bundles and reports

#[test]
fn a_saved_report_reads_the_same_everywhere() {
    let copy = Copy::new();
    let zip = copy.file(&copy.modcache, ".zip");
    fs::write(&zip, "").unwrap();
    let output = format!("json={}", copy.project.join("report.json").display());
    let check = arguments(&copy.paths(), &["--max-size=1kB", "--output", &output]);
    gocachevet().args(check).run().expect_code(1);
    let file = copy.project.join("report.json");
    let file = file.to_str().unwrap();
    for format in [
        "text",
        "json",
        "markdown",
        "github",
        "sarif",
        "openmetrics",
        "codequality",
    ] {
        let args = ["report", file, "--format", format];
        let native = gocachevet().args(args).run().expect_code(1);
        assert!(!native.stdout.is_empty(), "{native}");
        for runtime in Runtime::ALL {
            let run = runtime.run(&[&copy.project], &args).expect_code(1);
            assert_eq!(run.stdout, native.stdout, "{runtime:?}");
        }
    }
}

#[test]
fn the_reports_of_shards_are_one_everywhere() {
    let copy = Copy::new();
    let parts = [1, 2].map(|part| copy.project.join(format!("part-{part}.json")));
    for (number, part) in parts.iter().enumerate() {
        let shard = format!("--shard={}/2", number + 1);
        let output = format!("json={}", part.display());
        let check = arguments(&copy.paths(), &[&shard, "--output", &output]);
        gocachevet().args(check).run().expect_code(0);
    }
    let [first, second] = parts.each_ref().map(|part| part.to_str().unwrap());
    let args = ["report", first, second, "--format=json"];
    let native = timeless(&gocachevet().args(args).run().expect_code(0));
    for runtime in Runtime::ALL {
        let run = runtime.run(&[&copy.project], &args).expect_code(0);
        assert_eq!(timeless(&run), native, "{runtime:?}");
    }
}

/// A bundle has the same bytes wherever it was packed, and is checked and
/// unpacked by all.
#[test]
fn a_bundle_is_the_same_everywhere() {
    let copy = Copy::new();
    let out = copy._scratch.path().join("out");
    fs::create_dir(&out).unwrap();
    let folders = [&*copy.modcache, &copy.gocache, &copy.project, &out];
    let name = |name: &str| out.join(name).to_str().unwrap().to_owned();
    let pack = |bundle: &str| {
        let mut args: Vec<String> = arguments(&copy.paths(), &["-o", bundle])
            .into_iter()
            .map(str::to_owned)
            .collect();
        args[0] = "pack".to_owned();
        args
    };
    let bundle = name("native.tar");
    let native = gocachevet().args(pack(&bundle)).run().expect_code(0);
    for runtime in Runtime::WRITING {
        let other = name(&format!("{runtime:?}.tar"));
        let args = pack(&other);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let run = runtime.run_writing(&folders, &args).expect_code(0);
        assert_eq!(
            run.json()["digest"],
            native.json()["digest"],
            "{runtime:?}: {run}"
        );
        assert!(
            fs::read(&bundle).unwrap() == fs::read(&other).unwrap(),
            "{runtime:?} packed other bytes"
        );

        let into = name(&format!("{runtime:?}"));
        let unpack = ["pack", bundle.as_str(), "--into", into.as_str()];
        runtime.run_writing(&folders, &unpack).expect_code(0);
        let there = name(&format!("{runtime:?}-native"));
        gocachevet()
            .args(["pack", bundle.as_str(), "--into", there.as_str()])
            .run()
            .expect_code(0);
        let content = |folder: &str| {
            snapshot(Path::new(folder))
                .into_keys()
                .map(|path| {
                    let file = Path::new(folder).join(&path);
                    (path, fs::read(file).ok())
                })
                .collect::<Vec<_>>()
        };
        assert!(
            content(&into) == content(&there),
            "{runtime:?} unpacked something else"
        );

        let compressed = name(&format!("{runtime:?}.tar.zst"));
        let args = pack(&compressed);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let run = runtime.run_writing(&folders, &args).expect_code(2);
        assert!(
            run.stderr.contains("this build cannot read or write zstd"),
            "{run}"
        );
        assert!(!Path::new(&compressed).exists());
    }

    let check = ["pack", "--check", bundle.as_str()];
    for runtime in Runtime::ALL {
        runtime.run(&[&out], &check).expect_code(0);
    }
    // One changed byte in the middle of a zip.
    let mut bytes = fs::read(&bundle).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&bundle, bytes).unwrap();
    let refused = gocachevet().args(check).run().expect_code(1).stdout;
    for runtime in Runtime::ALL {
        let run = runtime.run(&[&out], &check).expect_code(1);
        assert_eq!(run.stdout, refused, "{runtime:?}");
    }
}

// The sandbox

fn sandboxed(caches: [&Path; 3], more: &[&str]) -> Gocachevet {
    gocachevet().args(arguments(&caches, more)).arg("--sandbox")
}

#[test]
fn the_sandbox_says_what_the_native_program_says_and_writes_nothing() {
    let caches = build_cache(Project::Work);
    let copy = Copy::new();
    let zip = copy.file(&copy.modcache, ".zip");
    fs::write(zip, "").unwrap();
    for (caches, code) in [(paths(&caches), 0), (copy.paths(), 1)] {
        let before = caches.map(snapshot);
        let native = gocachevet()
            .args(arguments(&caches, &[]))
            .run()
            .expect_code(code);
        let run = sandboxed(caches, &[]).run().expect_code(code);
        assert_eq!(timeless(&run), timeless(&native));
        assert_eq!(run.json()["tool"]["target"], "wasm32-wasi");
        for (before, cache) in before.iter().zip(caches) {
            assert_untouched(before, cache);
        }
    }
}

#[test]
fn the_sandbox_finds_what_the_environment_names() {
    let caches = build_cache(Project::Work);
    fs::write(
        caches.project.join("gocachevet.toml"),
        "[rules]\ndrift = 'deny'\n",
    )
    .unwrap();
    let call = |more: &[&str]| {
        let call = caches.env.gocachevet().dir(&caches.project);
        call.args(["check", "--format=json"]).args(more).run()
    };
    let native = call(&[]).expect_code(0);
    assert!(!native.json()["projects"].as_array().unwrap().is_empty());
    assert_eq!(
        timeless(&call(&["--sandbox"]).expect_code(0)),
        timeless(&native)
    );
}

#[test]
fn the_sandbox_writes_every_form_outside() {
    let caches = build_cache(Project::Hello);
    let file = caches.env.dir().join("report.json");
    let output = format!("json={}", file.display());
    let run = sandboxed(paths(&caches), &["--format=text", "--output", &output]);
    let text = run.run().expect_code(0).stdout;
    assert!(!text.starts_with('{'), "{text}");
    let report: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_eq!(report["tool"]["target"], "wasm32-wasi");
}

#[test]
fn a_breach_of_the_sandbox_is_an_error() {
    let caches = build_cache(Project::Hello);
    for (bound, message) in [
        ("--sandbox-memory=1MiB", "memory bound of 1.0 MiB"),
        ("--sandbox-time=1ms", "time bound of 1ms"),
    ] {
        let run = sandboxed(paths(&caches), &[bound]).run().expect_code(3);
        assert!(run.stderr.contains(message), "{run}");
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn what_would_write_is_refused_in_the_sandbox() {
    let caches = build_cache(Project::Hello);
    for option in ["--record", "--write-baseline=b.json"] {
        let run = sandboxed(paths(&caches), &[option]).run().expect_code(2);
        assert!(
            run.stderr.contains("nothing is written from inside"),
            "{run}"
        );
    }
}

// Policies

/// The example, built as its own documentation says.
fn example_policy() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("policy");
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--target=wasm32-wasip1",
            "--target-dir",
        ])
        .arg(&target)
        // It would bring a compiler of its own.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .current_dir(root.join("examples/policy"));
    // Where wasm/build had to make a compiler, that one.
    let made = root.join(".tools/wasi/rustc");
    if made.exists() {
        cargo
            .env("RUSTC", made)
            .env_remove("RUSTC_WORKSPACE_WRAPPER");
    }
    assert!(
        cargo.status().unwrap().success(),
        "the example policy does not build"
    );
    target.join("wasm32-wasip1/release/policy.wasm")
}

#[test]
fn the_example_policy_wants_proof_from_outside_the_cache() {
    let policy = example_policy();
    let policy = ["--policy", policy.to_str().unwrap()];
    let caches = build_cache(Project::Hello);
    let run = gocachevet()
        .args(arguments(&paths(&caches), &policy))
        .run()
        .expect_code(0);
    assert_eq!(
        support::complaints(&run.json()),
        Vec::<Value>::new(),
        "{run}"
    );
    // In the sandbox as well.
    sandboxed(paths(&caches), &policy).run().expect_code(0);

    let too_little = [&policy[..], &["--verify=quick"]].concat();
    let run = gocachevet()
        .args(arguments(&paths(&caches), &too_little))
        .run()
        .expect_code(1);
    let report = run.json();
    assert_eq!(report["verdict"], "fail");
    assert_eq!(report["findings"][0]["rule"], "policy");
    assert_eq!(
        report["findings"][0]["message"],
        "a release needs --verify used or full"
    );

    // Without a go.sum only the cache speaks for itself.
    let elsewhere = Scratch::new();
    fs::write(elsewhere.path().join("go.mod"), "module example.com/m\n").unwrap();
    let caches = [&*caches.modcache, &*caches.gocache, elsewhere.path()];
    let run = gocachevet()
        .args(arguments(&caches, &policy))
        .run()
        .expect_code(1);
    assert!(
        run.stdout
            .contains("proven by nothing but the cache itself"),
        "{run}"
    );
}

#[test]
fn a_policy_that_cannot_rule_fails_the_check() {
    let scratch = Scratch::new();
    let file = scratch.path().join("policy.wasm");
    let guests = [
        ("unreachable", "trapped"),
        ("(loop $again (br $again))", "time bound of 2s"),
        ("(loop $again (drop (memory.grow (i32.const 100))) (br $again))", "memory bound"),
        (
            "(i32.store (i32.const 4) (i32.const 60000)) (loop $again
             (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br $again))",
            "wrote more than 1048576 bytes",
        ),
        ("", "makes no sense"),
    ];
    fs::write(scratch.path().join("go.mod"), "module example.com/m\n").unwrap();
    let caches = [scratch.path(); 3];
    for (body, message) in guests {
        let module = format!(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_write"
                    (func $write (param i32 i32 i32 i32) (result i32)))
                (memory (export "memory") 1)
                (func (export "_start") {body}))"#
        );
        fs::write(&file, wat::parse_str(module).unwrap()).unwrap();
        let policy = [
            "--policy",
            file.to_str().unwrap(),
            "--sandbox-time=2s",
            "--verify=off",
        ];
        let run = gocachevet()
            .args(arguments(&caches, &policy))
            .run()
            .expect_code(3);
        assert!(run.stderr.contains(message), "{run}");
        let report = run.json();
        assert_eq!(report["verdict"], "fail");
        assert!(
            report["findings"][0]["message"]
                .as_str()
                .unwrap()
                .contains(message),
            "{run}"
        );
    }
    let policy = ["--policy", "not-there.wasm"];
    let run = gocachevet()
        .args(arguments(&caches, &policy))
        .run()
        .expect_code(2);
    assert!(run.stderr.contains("not-there.wasm"), "{run}");
}
