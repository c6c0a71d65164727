//! Nothing is called proven that only the cache itself speaks for: each test
//! plants what Go would use in a cache that the real `go` made, shows that it
//! does use it, and that `check` denies it or names it as unproven.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gocachevet::tested::formats::h1_of;
use serde_json::Value;
use sha2::{Digest, Sha256};
use support::{GoEnv, Run, Scratch, TOOLCHAIN, make_writable, toolchain_cache};

const ERRORS: &str = "github.com/pkg/errors";
const PLANTED: &str = "\nfunc init() { println(\"planted\") }\n";

/// A project that runs code of `github.com/pkg/errors`, built once.
struct App {
    env: GoEnv,
    dir: PathBuf,
}

fn app() -> App {
    app_in(GoEnv::new())
}

fn app_in(mut env: GoEnv) -> App {
    env.with_std();
    let dir = env.dir().join("app");
    project(&env, &dir);
    env.go(&dir, ["build", "-o", "/dev/null", "."]);
    App { env, dir }
}

fn project(env: &GoEnv, dir: &Path) {
    fs::create_dir(dir).unwrap();
    let go_mod = "module example.com/app\n\ngo 1.21\n\nrequire github.com/pkg/errors v0.9.1\n";
    fs::write(dir.join("go.mod"), go_mod).unwrap();
    let main = "package main\n\nimport \"github.com/pkg/errors\"\n\nfunc main() { println(errors.New(\"an error\").Error()) }\n";
    fs::write(dir.join("main.go"), main).unwrap();
    env.go(dir, ["mod", "tidy"]);
}

impl App {
    fn piece(&self, suffix: &str) -> PathBuf {
        let at_v = self.env.modcache.join("cache/download").join(ERRORS);
        at_v.join(format!("@v/v0.9.1.{suffix}"))
    }

    fn tree(&self) -> PathBuf {
        let tree = self.env.modcache.join(format!("{ERRORS}@v0.9.1"));
        make_writable(&tree);
        tree
    }

    fn edit_tree(&self) {
        append(&self.tree().join("errors.go"), PLANTED);
    }

    /// Tree, zip and `.ziphash` made anew with planted code, so that they agree
    /// with each other. The h1 of it.
    fn poison(&self) -> String {
        self.edit_tree();
        let h1 = tree_h1(&self.tree(), &format!("{ERRORS}@v0.9.1/"));
        zip_tree(
            &self.tree(),
            &format!("{ERRORS}@v0.9.1/"),
            &self.piece("zip"),
        );
        overwrite(&self.piece("ziphash"), &h1);
        h1
    }

    /// The two lines of go.sum, with another hash for the module.
    fn go_sum_with(&self, h1: &str) -> String {
        let text = fs::read_to_string(self.dir.join("go.sum")).unwrap();
        let line = text.lines().find(|line| line.contains("/go.mod ")).unwrap();
        format!("{ERRORS} v0.9.1 {h1}\n{line}\n")
    }

    fn run(&self, dir: &Path) -> Output {
        self.env.try_go(dir, ["run", "."])
    }

    /// The build cache is left out: it is large, and another matter.
    fn check(&self, args: &[&str]) -> Run {
        let run = self.env.gocachevet().env("GOCACHE", self.dir.join("none"));
        let run = run.args(["check", "--format=json"]);
        run.args(args).run()
    }

    fn check_project(&self, args: &[&str]) -> Run {
        let dir = self.dir.to_str().unwrap();
        self.check(&[&["--project", dir], args].concat())
    }
}

fn append(path: &Path, text: &str) {
    let content = fs::read_to_string(path).unwrap();
    overwrite(path, &(content + text));
}

fn overwrite(path: &Path, content: &str) {
    let _ = fs::remove_file(path);
    fs::write(path, content).unwrap();
}

/// The h1 of a tree, as `dirhash.HashDir` makes it.
fn tree_h1(tree: &Path, prefix: &str) -> String {
    let files = walkdir::WalkDir::new(tree).into_iter().map(Result::unwrap);
    let files: Vec<(String, [u8; 32])> = files
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let name = entry.path().strip_prefix(tree).unwrap();
            let content = fs::read(entry.path()).unwrap();
            (
                format!("{prefix}{}", name.display()),
                Sha256::digest(content).into(),
            )
        })
        .collect();
    let files = files
        .iter()
        .map(|(name, sha256)| (name.as_bytes(), *sha256));
    h1_of(files.collect()).unwrap().to_string()
}

fn zip_tree(tree: &Path, prefix: &str, zip: &Path) {
    let script = r"
import os, sys, zipfile
tree, prefix, path = sys.argv[1:]
with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as new:
    for top, _, names in os.walk(tree):
        for name in names:
            file = os.path.join(top, name)
            new.writestr(prefix + os.path.relpath(file, tree), open(file, 'rb').read())
";
    let _ = fs::remove_file(zip);
    let mut python = Command::new("python3");
    let done = python.args(["-c", script]).arg(tree).arg(prefix).arg(zip);
    let done = done.status().expect("python3 is needed to write zips");
    assert!(done.success());
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn assert_planted(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
    assert!(said(output).contains("planted"), "{}", said(output));
}

#[track_caller]
fn assert_security_error(output: &Output) {
    assert!(!output.status.success());
    assert!(said(output).contains("SECURITY ERROR"), "{}", said(output));
}

/// The rules of a report's findings with their levels.
fn levels(report: &Value) -> BTreeMap<String, String> {
    let findings = report["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings
        .map(|finding| (text(&finding["rule"]), text(&finding["level"])))
        .collect()
}

#[track_caller]
fn finding<'a>(report: &'a Value, rule: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    let of_rule: Vec<&Value> = findings.iter().filter(|f| f["rule"] == rule).collect();
    match of_rule[..] {
        [one] => one,
        _ => panic!("{rule} {} times: {:#}", of_rule.len(), report["findings"]),
    }
}

#[track_caller]
fn message<'a>(report: &'a Value, rule: &str) -> &'a str {
    finding(report, rule)["message"].as_str().unwrap()
}

fn proven(report: &Value, by: &str) -> u64 {
    report["verification"]["proven_by"][by].as_u64().unwrap()
}

#[test]
fn lines_that_differ_prove_nothing() {
    let app = app();
    let h1 = app.poison();
    // Another project that uses the cache says what was planted.
    let other = app.env.dir().join("other");
    project_copy(&app, &other, &app.go_sum_with(&h1));
    assert_planted(&app.run(&other));
    let both = ["--project", other.to_str().unwrap()];
    let report = app.check_project(&both).expect_code(1).json();
    assert_eq!(levels(&report)["conflicting-claims"], "deny");
    let told = message(&report, "conflicting-claims");
    for part in [
        "app/go.sum line 1",
        "other/go.sum line 1",
        h1.as_str(),
        "proves anything",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(proven(&report, "go_sum"), 0, "{report:#}");
    // The .mod file, of which both say the same, is all that is proven.
    let go_mod = fs::metadata(app.piece("mod")).unwrap().len();
    assert_eq!(report["verification"]["bytes_proven"], go_mod);

    // Two lines of one file: Go takes the first and never sees the second.
    let first = app.go_sum_with(&h1);
    let second = fs::read_to_string(app.dir.join("go.sum")).unwrap();
    overwrite(&app.dir.join("go.sum"), &(first + &second));
    assert_planted(&app.run(&app.dir));
    let report = app.check_project(&[]).expect_code(1).json();
    let told = message(&report, "conflicting-claims");
    assert!(
        told.contains("app/go.sum line 1") && told.contains("app/go.sum line 3"),
        "{told}"
    );
    assert_eq!(proven(&report, "go_sum"), 0);

    // Nor does a bundle take what any of the lines says.
    let bundle = app.env.dir().join("bundle.tar");
    let pack = app
        .env
        .gocachevet()
        .dir(&app.dir)
        .args(["pack", "--bundle"]);
    let run = pack.arg(&bundle).run();
    assert_ne!(run.code, Some(0), "{run}");
    let told = format!("{}{}", run.stdout, run.stderr);
    assert!(told.contains("lines of go.sum files differ"), "{run}");
    assert!(!bundle.exists());
}

fn project_copy(app: &App, to: &Path, go_sum: &str) {
    fs::create_dir(to).unwrap();
    for name in ["go.mod", "main.go"] {
        fs::copy(app.dir.join(name), to.join(name)).unwrap();
    }
    fs::write(to.join("go.sum"), go_sum).unwrap();
}

#[test]
fn lines_for_a_go_mod_that_differ_prove_nothing_either() {
    let app = app();
    let other = app.env.dir().join("other");
    let text = fs::read_to_string(app.dir.join("go.sum")).unwrap();
    let h1 = text.split_whitespace().nth(2).unwrap();
    let edited = format!("{ERRORS} v0.9.1 {h1}\n{ERRORS} v0.9.1/go.mod {h1}\n");
    project_copy(&app, &other, &edited);
    assert_security_error(&app.run(&other));
    let both = ["--project", other.to_str().unwrap()];
    let report = app.check_project(&both).expect_code(1).json();
    let told = message(&report, "conflicting-claims");
    assert!(
        told.contains("app/go.sum line 2") && told.contains("other/go.sum line 2"),
        "{told}"
    );
    assert!(told.contains("go.mod differ"), "{told}");
}

#[test]
fn the_checksum_database_settles_lines_that_differ() {
    let mut env = GoEnv::new();
    env.with_sumdb();
    let app = app_in(env);
    let other = app.env.dir().join("other");
    let wrong = format!("h1:{}=", "A".repeat(43));
    project_copy(&app, &other, &app.go_sum_with(&wrong));
    assert_security_error(&app.run(&other));
    let both = ["--project", other.to_str().unwrap()];
    let report = app.check_project(&both).expect_code(0).json();
    assert_eq!(levels(&report)["conflicting-claims"], "warn", "{report:#}");
    assert!(!levels(&report).contains_key("sumdb-mismatch"));
    assert_eq!(proven(&report, "sumdb"), 1);

    // What is in the cache is held against the database, not against any line.
    let h1 = app.poison();
    overwrite(&other.join("go.sum"), &app.go_sum_with(&h1));
    assert_planted(&app.run(&other));
    let report = app.check_project(&both).expect_code(1).json();
    assert_eq!(levels(&report)["conflicting-claims"], "warn");
    assert_eq!(levels(&report)["sumdb-mismatch"], "deny");
    assert_eq!(proven(&report, "sumdb") + proven(&report, "go_sum"), 0);
}

#[test]
fn a_poisoned_cache_that_agrees_with_itself_is_unproven() {
    let app = app();
    app.poison();
    // Without a go.sum, and the database switched off, Go takes what is there.
    let loose = app.env.dir().join("loose");
    project_copy(&app, &loose, "");
    assert_planted(&app.env.try_go(&loose, ["run", "-mod=mod", "."]));

    // No project where the check is started.
    let run = app.check(&[]).expect_code(0);
    let report = run.json();
    assert_eq!(report["verdict"], "warn", "{run}");
    assert_eq!(levels(&report)["no-trust"], "warn");
    assert_eq!(levels(&report)["unproven"], "note");
    let told = message(&report, "no-trust");
    assert!(told.contains(app.env.dir().to_str().unwrap()), "{told}");
    assert!(message(&report, "unproven").contains("github.com/pkg/errors@v0.9.1"));
    let verification = &report["verification"];
    assert_eq!(verification["unproven"], 1);
    assert_eq!(verification["bytes_proven"], 0);
    assert!(verification["bytes_unproven"].as_u64().unwrap() > 10_000);
    let subjects: Vec<&str> = report["unproven"]
        .as_array()
        .unwrap()
        .iter()
        .map(|unproven| unproven["subject"].as_str().unwrap())
        .collect();
    let name = "github.com/pkg/errors@v0.9.1";
    for subject in [
        name.to_owned(),
        format!("{name}/go.mod"),
        format!("{name}.info"),
    ] {
        assert!(
            subjects.contains(&subject.as_str()),
            "{subject}: {subjects:?}"
        );
    }
    let text = app
        .env
        .gocachevet()
        .arg("check")
        .run()
        .expect_code(0)
        .stdout;
    assert!(text.contains("1 version unproven"), "{text}");
    assert!(!text.contains("of modules proven"), "{text}");

    // The advice as it stands, on the sound cache of a project.
    let report = app.check_project(&[]).expect_code(1).json();
    assert!(!levels(&report).contains_key("no-trust"));
}

/// An action entry may name any output, so that an output which is what its name
/// says proves nothing of what a build links.
#[test]
fn build_outputs_are_consistent_and_never_proven() {
    let app = app();
    let exported = || {
        let list = ["list", "-export", "-f", "{{.Export}}", ERRORS];
        PathBuf::from(app.env.go(&app.dir, list).trim())
    };
    let clean = exported();
    let errors = app.tree().join("errors.go");
    let text = fs::read_to_string(&errors).unwrap();
    app.edit_tree();
    let planted = exported();
    overwrite(&errors, &text);
    assert_ne!(clean, planted);
    // The entry of the sound package names the other output.
    let id = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.strip_suffix("-d").unwrap().to_owned()
    };
    let size = format!("{:20}", fs::metadata(&planted).unwrap().len());
    for entry in walkdir::WalkDir::new(&app.env.gocache) {
        let entry = entry.unwrap();
        if !entry.file_name().to_str().unwrap().ends_with("-a") {
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap();
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields[2] == id(&clean) {
            let time = format!("{:>20}", fields[4]);
            let text = format!("v1 {} {} {size} {time}\n", fields[1], id(&planted));
            overwrite(entry.path(), &text);
        }
    }
    assert_planted(&app.run(&app.dir));

    let run = app.env.gocachevet().args(["check", "--format=json"]);
    let report = run.args(["--project".as_ref(), app.dir.as_os_str()]).run();
    let verification = &report.expect_code(0).json()["verification"];
    let source = fs::metadata(app.piece("zip")).unwrap().len();
    let tree: u64 = walkdir::WalkDir::new(app.tree())
        .into_iter()
        .map(|entry| entry.unwrap().metadata().unwrap())
        .filter(fs::Metadata::is_file)
        .map(|metadata| metadata.len())
        .sum();
    let go_mod = fs::metadata(app.piece("mod")).unwrap().len();
    assert_eq!(verification["bytes_proven"], source + tree + go_mod);
    assert!(verification["bytes_consistent"].as_u64().unwrap() > 1_000_000);
    let text = app.env.gocachevet().arg("check").run().stdout;
    assert!(text.contains("of build outputs consistent"), "{text}");
}

#[test]
fn strict_denies_the_unproven_unless_its_rule_has_a_level() {
    let app = app();
    app.check_project(&[]).expect_code(0);
    let report = app.check_project(&["--strict"]).expect_code(1).json();
    assert_eq!(
        levels(&report),
        BTreeMap::from([("info-unproven".to_owned(), "deny".to_owned())])
    );
    let config = app.env.dir().join("policy.toml");
    let with = ["--config", config.to_str().unwrap()];
    fs::write(&config, "strict = true\n[rules]\ninfo-unproven = 'note'\n").unwrap();
    app.check_project(&with).expect_code(0);
    // What no project lists: a tool run by version.
    app.env.download(&["golang.org/x/sync@v0.7.0"]);
    let report = app.check_project(&with).expect_code(1).json();
    assert_eq!(levels(&report)["unproven"], "deny");
    let told = message(&report, "unproven");
    assert!(
        told.contains("golang.org/x/sync@v0.7.0") && !told.contains(ERRORS),
        "{told}"
    );
    let trim = [
        "trim",
        "--dry-run",
        "--strict",
        "--format=json",
        "--project",
    ];
    let trim = app.env.gocachevet().args(trim).arg(&app.dir);
    trim.run().expect_code(1);
}

#[test]
fn a_go_mod_without_its_line_is_told() {
    let app = app();
    let text = fs::read_to_string(app.dir.join("go.sum")).unwrap();
    let kept = text
        .lines()
        .find(|line| !line.contains("/go.mod "))
        .unwrap();
    fs::write(app.dir.join("go.sum"), format!("{kept}\n")).unwrap();
    let refused = app.run(&app.dir);
    assert!(!refused.status.success());
    assert!(
        said(&refused).contains("missing go.sum entry"),
        "{}",
        said(&refused)
    );
    let report = app.check_project(&[]).expect_code(0).json();
    assert_eq!(levels(&report)["mod-unproven"], "warn");
    assert!(message(&report, "mod-unproven").contains("missing go.sum entry"));
    // The advice, followed.
    app.env.go(&app.dir, ["mod", "tidy"]);
    let report = app.check_project(&[]).expect_code(0).json();
    assert!(!levels(&report).contains_key("mod-unproven"));
}

/// What is said that Go does is what Go does.
#[test]
fn what_a_message_says_of_go_is_so() {
    // An edited tree is compiled.
    let app = app();
    app.edit_tree();
    assert_planted(&app.run(&app.dir));
    let report = app.check_project(&[]).expect_code(1).json();
    let told = message(&report, "extracted-hash-mismatch");
    assert!(told.contains("changed: errors.go"), "{told}");
    assert!(told.contains("edited after extraction"), "{told}");
    assert!(told.contains("Go compiles it"), "{told}");

    // The same in the zip, once the tree is gone.
    zip_tree(&app.tree(), &format!("{ERRORS}@v0.9.1/"), &app.piece("zip"));
    fs::remove_dir_all(app.tree()).unwrap();
    let report = app.check_project(&[]).expect_code(1).json();
    let told = message(&report, "zip-hash-mismatch");
    assert!(
        told.contains("the next build unpacks and compiles it"),
        "{told}"
    );
    assert_planted(&app.run(&app.dir));
}

#[test]
fn an_incomplete_tree_is_told_from_an_edited_one() {
    let app = app();
    let tree = app.tree();
    fs::remove_file(tree.join("README.md")).unwrap();
    assert!(app.run(&app.dir).status.success(), "not needed");
    fs::remove_file(tree.join("errors.go")).unwrap();
    assert!(!app.run(&app.dir).status.success(), "needed");
    let report = app.check_project(&[]).expect_code(1).json();
    let told = message(&report, "extracted-hash-mismatch");
    assert!(
        told.contains("incomplete (missing: README.md, errors.go)"),
        "{told}"
    );
    assert!(
        told.contains("lost files") && !told.contains("edited"),
        "{told}"
    );
    assert!(
        told.contains("a build that needs the missing files fails"),
        "{told}"
    );
}

#[test]
fn a_version_published_anew_is_told_from_damage() {
    let app = app();
    app.poison();
    assert_security_error(&app.run(&app.dir));
    let report = app.check_project(&[]).expect_code(1).json();
    for rule in ["zip-hash-mismatch", "extracted-hash-mismatch"] {
        let told = message(&report, rule);
        assert!(
            told.contains("a moved tag") && told.contains("poisoned"),
            "{told}"
        );
        assert!(
            told.contains("Go stops at it with SECURITY ERROR"),
            "{told}"
        );
        assert!(!told.contains("compiles"), "{told}");
        let help = finding(&report, rule)["help"].as_str().unwrap();
        assert!(help.contains("tag was moved"), "{help}");
    }
    // Only the tree and the .ziphash: Go stops before it reads the tree.
    let sound = self::app();
    sound.edit_tree();
    overwrite(&sound.piece("ziphash"), &format!("h1:{}=", "A".repeat(43)));
    assert_security_error(&sound.run(&sound.dir));
    let report = sound.check_project(&[]).expect_code(1).json();
    let told = message(&report, "extracted-hash-mismatch");
    assert!(
        told.contains("SECURITY ERROR") && !told.contains("compiles"),
        "{told}"
    );
}

#[test]
fn quick_finds_an_empty_tree_and_says_what_it_leaves_open() {
    let app = app();
    let quick = ["--verify", "quick"];
    let report = app.check_project(&quick).expect_code(0).json();
    let open = report["verification"]["leaves_open"].as_str().unwrap();
    assert!(open.contains("trees"), "{open}");
    let tree = app.tree();
    for entry in fs::read_dir(&tree).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fs::create_dir(tree.join("empty")).unwrap();
    assert!(!app.run(&app.dir).status.success());
    let report = app.check_project(&quick).expect_code(1).json();
    assert_eq!(levels(&report)["extracted-incomplete"], "deny");
    for (level, first) in [
        ("quick", Some("--verify quick leaves open")),
        ("used", Some("--verify used leaves open")),
        ("full", None),
    ] {
        for format in ["text", "markdown"] {
            let run = app.env.gocachevet().env("GOCACHE", app.dir.join("none"));
            let run = run.args(["--verify", level, "--format", format]);
            let run = run.run().stdout;
            let lines: Vec<&str> = run
                .lines()
                .filter(|line| !line.is_empty())
                .take(2)
                .collect();
            let said = lines.join(" ").replace('`', "");
            match first {
                Some(first) => assert!(said.contains(first), "{level} {format}: {said}"),
                None => assert!(!said.contains("leaves open"), "{level} {format}: {said}"),
            }
        }
    }
}

/// A toolchain in the shape that Go unpacks, of a few bytes.
fn plant_toolchain(modcache: &Path, platform: &str) -> (String, String) {
    let version = format!("v0.0.1-{TOOLCHAIN}.{platform}");
    let name = format!("golang.org/toolchain@{version}");
    let tree = modcache.join(&name);
    fs::create_dir_all(tree.join("bin")).unwrap();
    fs::create_dir_all(tree.join("src")).unwrap();
    fs::write(tree.join("src/_go.mod"), "module std\n").unwrap();
    fs::write(tree.join("bin/go"), "#!/bin/sh\necho planted >&2\n").unwrap();
    let h1 = tree_h1(&tree, &format!("{name}/"));
    fs::write(tree.join("src/go.mod"), "module std\n").unwrap();
    fs::set_permissions(tree.join("bin/go"), fs::Permissions::from_mode(0o755)).unwrap();
    let at_v = modcache.join("cache/download/golang.org/toolchain/@v");
    fs::create_dir_all(&at_v).unwrap();
    fs::write(at_v.join(format!("{version}.ziphash")), &h1).unwrap();
    fs::write(at_v.join(format!("{version}.lock")), "").unwrap();
    (name, format!("golang.org/toolchain {version} {h1}\n"))
}

fn platform(env: &GoEnv) -> String {
    let said = env.go(env.dir(), ["env", "GOHOSTOS", "GOHOSTARCH"]);
    said.split_whitespace().collect::<Vec<_>>().join("-")
}

#[test]
fn a_toolchain_is_proven_by_the_checksum_database_alone() {
    let app = app();
    let here = platform(&app.env);
    let (name, line) = plant_toolchain(&app.env.modcache, &here);
    let mut switch = app.env.command(&app.dir, ["version"]);
    let switched = switch.env("GOTOOLCHAIN", TOOLCHAIN).output().unwrap();
    assert_planted(&switched);

    let report = app.check_project(&[]).expect_code(1).json();
    assert_eq!(levels(&report)["toolchain-unproven"], "deny");
    assert_eq!(finding(&report, "toolchain-unproven")["subject"], name);
    // Neither a go.sum line nor the .ziphash proves it.
    append(&app.dir.join("go.sum"), &line);
    let report = app.check_project(&[]).expect_code(1).json();
    let of_it: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["rule"] == "toolchain-unproven")
        .map(|finding| finding["level"].as_str().unwrap())
        .collect();
    assert_eq!(of_it, ["deny", "warn"], "{report:#}");
    assert_eq!(proven(&report, "go_sum"), 1, "the module's own line");
    let unproven = report["unproven"].as_array().unwrap();
    assert!(unproven.iter().any(|unproven| unproven["subject"] == name));
    // A site that turned the database off lowers the rule.
    let config = app.env.dir().join("policy.toml");
    fs::write(&config, "[rules]\ntoolchain-unproven = 'note'\n").unwrap();
    app.check_project(&["--config", config.to_str().unwrap()])
        .expect_code(0);
}

#[test]
fn a_toolchain_for_another_system_is_noted() {
    let app = app();
    plant_toolchain(&app.env.modcache, "plan9-386");
    let report = app.check_project(&[]).expect_code(0).json();
    assert_eq!(levels(&report)["toolchain-unproven"], "note");
    assert_eq!(report["verdict"], "pass");
    let told = message(&report, "toolchain-unproven");
    assert!(told.contains("plan9-386"), "{told}");
}

#[test]
fn a_toolchains_go_mod_is_the_copy_that_go_makes() {
    let scratch = Scratch::new();
    let modcache = scratch.path().join("modcache");
    let mut cp = Command::new("cp");
    let copied = cp.arg("-a").arg(toolchain_cache()).arg(&modcache);
    assert!(copied.status().unwrap().success());
    make_writable(&modcache.join("golang.org"));
    fs::create_dir(scratch.path().join("none")).unwrap();
    let check = || {
        let run = support::gocachevet()
            .env("HOME", "/none")
            .dir(scratch.path());
        let run = run.args(["check", "--format=json", "--verify=used", "--gocache"]);
        let run = run.arg(scratch.path().join("none")).arg("--modcache");
        run.arg(&modcache).run()
    };
    let report = check().expect_code(0).json();
    assert_eq!(proven(&report, "sumdb"), 1, "{report:#}");
    assert_eq!(levels(&report), BTreeMap::new());
    let src = walkdir::WalkDir::new(&modcache)
        .max_depth(4)
        .into_iter()
        .map(Result::unwrap);
    let src = src.filter(|entry| entry.path().ends_with("src") && entry.file_type().is_dir());
    let src = src.map(walkdir::DirEntry::into_path).next().unwrap();
    let go_mod = src.join("cmd/go.mod");
    let text = fs::read_to_string(&go_mod).unwrap();
    overwrite(&go_mod, &(text + "// edited\n"));
    let report = check().expect_code(1).json();
    assert_eq!(levels(&report)["extracted-hash-mismatch"], "deny");
    let told = message(&report, "extracted-hash-mismatch");
    assert!(told.contains("cmd/go.mod"), "{told}");
}

/// A project that builds with a FIPS 140 snapshot.
fn fips() -> App {
    let mut env = GoEnv::new();
    env.set("GOFIPS140", "v1.0.0");
    let dir = env.dir().join("fips");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("go.mod"), "module example.com/fips\n\ngo 1.24\n").unwrap();
    let main = "package main\n\nimport \"crypto/sha256\"\n\nfunc main() { println(sha256.Sum256(nil)[0]) }\n";
    fs::write(dir.join("main.go"), main).unwrap();
    env.go(&dir, ["list", "-deps", "."]);
    App { env, dir }
}

fn snapshot_of(app: &App) -> PathBuf {
    let folder = fs::read_dir(app.env.modcache.join("golang.org")).unwrap();
    let mut trees = folder.map(|entry| entry.unwrap().path());
    trees
        .find(|path| path.to_str().unwrap().contains("fips140@"))
        .unwrap()
}

#[test]
fn a_fips_snapshot_is_held_against_the_go_installation() {
    let app = fips();
    let report = app.check_project(&[]).expect_code(0).json();
    assert_eq!(proven(&report, "goroot"), 1, "{report:#}");
    assert_eq!(levels(&report), BTreeMap::new());

    // No installation that has the zip.
    let dir = app.dir.to_str().unwrap();
    let without = || {
        let run = app.env.gocachevet().env("GOROOT", "/none");
        run.args(["check", "--format=json", "--project", dir])
    };
    let report = without().run().expect_code(0).json();
    assert_eq!(levels(&report)["fips-unproven"], "warn");
    // The advice.
    let goroot = app.env.go(&app.dir, ["env", "GOROOT"]).trim().to_owned();
    let report = without()
        .args(["--goroot", &goroot])
        .run()
        .expect_code(0)
        .json();
    assert_eq!(levels(&report), BTreeMap::new());

    // An installation whose zip is not what its own list says.
    let altered = app.env.dir().join("goroot");
    let lib = altered.join("lib/fips140");
    support::copy_tree(&Path::new(&goroot).join("lib/fips140"), &lib);
    fs::write(altered.join("VERSION"), "go1.26.8\n").unwrap();
    for entry in fs::read_dir(&lib).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "zip") {
            let mut bytes = fs::read(&path).unwrap();
            bytes.push(0);
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
        }
    }
    let altered = altered.to_str().unwrap();
    let report = without()
        .args(["--goroot", altered])
        .run()
        .expect_code(1)
        .json();
    assert_eq!(levels(&report)["zip-hash-mismatch"], "deny");
    assert_eq!(levels(&report)["fips-unproven"], "warn");

    // A changed tree, which Go compiles.
    let tree = snapshot_of(&app);
    make_writable(&tree);
    let version = tree
        .to_str()
        .unwrap()
        .rsplit_once('@')
        .unwrap()
        .1
        .to_owned();
    append(
        &tree.join("fips140").join(version).join("sha256/sha256.go"),
        PLANTED,
    );
    assert_planted(&app.run(&app.dir));
    let report = app.check_project(&[]).expect_code(1).json();
    assert_eq!(levels(&report)["extracted-hash-mismatch"], "deny");
    assert_eq!(proven(&report, "goroot"), 0);
}
