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
        "max-size = '1kB'\n[rules]\nover-threshold = 'warn'\n",
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
    let report = same_everywhere(copy.paths(), &[], 0);
    for cache in ["modcache", "buildcache"] {
        let grown =
            report[cache]["bytes"].as_u64().unwrap() - inside[cache]["bytes"].as_u64().unwrap();
        assert!(grown < 2_000, "{cache} grew by {grown}");
    }
    assert_eq!(rules(&report), ["unexpected-file"; 5]);
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
    let copies = [Copy::new(), Copy::new()];
    let [native, node] = copies.each_ref().map(|copy| {
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
    let other = Runtime::Node.run(&node, &trim(&node)).expect_code(0);
    assert_eq!(&other.json()["outcome"]["removed"], removed);
    let names = |root| snapshot(root).into_keys().collect::<Vec<_>>();
    assert_eq!(names(native[0]), names(node[0]));
    let residue = node[0].join("example.com/m@v1.0.0.tmp-123");
    assert!(!residue.exists());
}

/// WASI cannot make Go's read-only trees writable, nor tell that they are not.
#[test]
fn a_trim_of_read_only_trees_is_refused_before_the_first_removal() {
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
    let runs = [
        runtime::node_as_nobody(scratch.path(), &caches, &trim(&caches)),
        // Their folders are read-only as a whole.
        Runtime::Wazero.run(&caches, &trim(&caches)),
        Runtime::Wasmtime.run(&caches, &trim(&caches)),
    ];
    for run in runs {
        let run = run.expect_code(3);
        assert!(
            run.stderr
                .contains("is read-only, and WASI cannot make it writable"),
            "{run}"
        );
        for (before, cache) in before.iter().zip(caches) {
            assert_untouched(before, cache);
        }
    }
    // To know what would go needs no right to remove it.
    let dry = [&trim(&caches)[..], &["--dry-run"]].concat();
    Runtime::Node.run(&caches, &dry).expect_code(0);
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
        .current_dir(root.join("examples/policy"));
    // Where wasm/build had to make a compiler, that one.
    let made = root.join(".tools/wasi/rustc");
    if made.exists() {
        cargo.env("RUSTC", made);
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
    assert_eq!(run.json()["findings"], Value::Array(vec![]), "{run}");
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
