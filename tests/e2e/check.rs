//! `check` on caches that the real `go` command made: clean ones are found
//! clean, and each way of breaking one is found as exactly the rule it breaks.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use support::{
    Caches, GoEnv, MODULES, Project, Run, Scratch, assert_untouched, build_cache, complaints,
    copy_tree, gocachevet, snapshot,
};

/// The rules of a report's complaints, each with how often it was found.
fn rules(report: &Value) -> BTreeMap<String, usize> {
    let mut rules = BTreeMap::new();
    for finding in complaints(report) {
        *rules
            .entry(finding["rule"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    rules
}

/// A folder for a cache that holds nothing yet: one that an option names has to be there.
fn empty(dir: &Path) -> PathBuf {
    let dir = dir.join("none");
    fs::create_dir(&dir).unwrap();
    dir
}

fn check(modcache: &Path, gocache: &Path, project: &Path) -> Run {
    fs::create_dir_all(gocache).unwrap();
    gocachevet()
        .args(["check", "--format=json", "--no-project-config"])
        .args([
            "--modcache".as_ref(),
            modcache,
            "--gocache".as_ref(),
            gocache,
        ])
        .args(["--project".as_ref(), project])
        .run()
}

#[test]
fn caches_that_go_made_are_clean_at_every_level() {
    for project in Project::ALL {
        let caches = build_cache(project);
        let before = (snapshot(&caches.modcache), snapshot(&caches.gocache));
        for level in ["off", "quick", "used", "full"] {
            let run = caches
                .env
                .gocachevet()
                .args(["check", "--format=json", "--verify", level])
                .args(["--project".as_ref(), caches.project.as_path()])
                .run()
                .expect_code(0);
            let report = run.json();
            assert_eq!(
                complaints(&report),
                Vec::<Value>::new(),
                "{project:?} at {level}"
            );
            assert_eq!(report["verdict"], "pass");
            assert_eq!(report["verification"]["level"], level);
        }
        assert_untouched(&before.0, &caches.modcache);
        assert_untouched(&before.1, &caches.gocache);
    }
}

#[test]
fn the_figures_are_those_of_the_file_system() {
    let caches = build_cache(Project::Hello);
    let report = check(&caches.modcache, &caches.gocache, &caches.project)
        .expect_code(0)
        .json();
    for (name, root) in [
        ("modcache", &caches.modcache),
        ("buildcache", &caches.gocache),
    ] {
        let files: Vec<u64> = walkdir::WalkDir::new(root)
            .into_iter()
            .map(|entry| entry.unwrap().metadata().unwrap())
            .filter(|metadata| !metadata.is_dir())
            .map(|metadata| metadata.len())
            .collect();
        assert_eq!(report[name]["bytes"], files.iter().sum::<u64>(), "{name}");
        assert_eq!(report[name]["files"], files.len(), "{name}");
    }
    // Three versions with source, all of them in go.sum; both copies proven.
    assert_eq!(report["modcache"]["versions"], 3);
    assert_eq!(report["verification"]["proven_by"]["go_sum"], 3);
    assert_eq!(report["verification"]["failed"], 0);
    let proven = report["verification"]["bytes_proven"].as_u64().unwrap();
    let extracted = report["modcache"]["extracted_bytes"].as_u64().unwrap();
    assert!(proven > extracted);
    // Build outputs are no more than consistent.
    let downloads = report["modcache"]["download_bytes"].as_u64().unwrap();
    assert!(proven <= extracted + downloads);
    let consistent = report["verification"]["bytes_consistent"].as_u64();
    assert!(consistent.unwrap() > report["buildcache"]["bytes"].as_u64().unwrap() / 2);
    assert_eq!(report["verification"]["unproven"], 0);
    let actions = count(&caches.gocache, |name| name.ends_with("-a"));
    assert_eq!(report["buildcache"]["actions"], actions);
}

fn count(root: &Path, wanted: impl Fn(&str) -> bool) -> usize {
    walkdir::WalkDir::new(root)
        .into_iter()
        .filter(|entry| wanted(entry.as_ref().unwrap().file_name().to_str().unwrap()))
        .count()
}

#[test]
fn odd_but_sound_module_versions_give_no_finding() {
    let env = GoEnv::new();
    let names: Vec<&str> = MODULES.iter().map(|(module, _)| *module).collect();
    env.download(&names);
    let project = env.project(Project::Hello);
    let report = check(&env.modcache, &empty(env.dir()), &project)
        .expect_code(0)
        .json();
    // Versions that go.sum does not list are intact by their .ziphash, and unproven.
    let unproven = BTreeMap::from([("unproven".to_owned(), 1)]);
    assert_eq!(rules(&report), unproven, "{report:#}");
    assert_eq!(report["modcache"]["versions"], names.len());
    let proven = &report["verification"]["proven_by"];
    let by = |source: &str| proven[source].as_u64().unwrap();
    assert_eq!(by("go_sum") + by("ziphash"), names.len() as u64);
    assert!(by("ziphash") > 0 && by("go_sum") > 0);
    assert_eq!(report["verification"]["unproven"], by("ziphash"));
}

/// A fault, and the one rule it breaks. `None` is no finding.
struct Fault {
    name: &'static str,
    rule: Option<&'static str>,
    break_it: fn(&Broken),
}

/// Copies of real caches, to be broken.
struct Broken {
    scratch: Scratch,
    modcache: PathBuf,
    gocache: PathBuf,
    project: PathBuf,
}

const TOML: &str = "github.com/!burnt!sushi/toml";

fn pristine() -> &'static Caches {
    static PRISTINE: OnceLock<Caches> = OnceLock::new();
    PRISTINE.get_or_init(|| build_cache(Project::Hello))
}

impl Broken {
    fn new() -> Broken {
        let pristine = pristine();
        let scratch = Scratch::new();
        let [modcache, gocache, project] =
            ["mc", "gc", "project"].map(|name| scratch.path().join(name));
        copy_tree(&pristine.modcache, &modcache);
        copy_tree(&pristine.project, &project);
        fs::create_dir(&gocache).unwrap();
        Broken {
            scratch,
            modcache,
            gocache,
            project,
        }
    }

    /// The build cache is large, and only what is to be broken is copied.
    fn copy_gocache(&self) {
        // Only while it is still empty.
        if fs::remove_dir(&self.gocache).is_ok() {
            copy_tree(&pristine().gocache, &self.gocache);
        }
    }

    /// A piece of the module that all faults are planted in.
    fn piece(&self, suffix: &str) -> PathBuf {
        self.modcache
            .join(format!("cache/download/{TOML}/@v/v1.4.0.{suffix}"))
    }

    fn tree(&self) -> PathBuf {
        let tree = self.modcache.join(format!("{TOML}@v1.4.0"));
        support::make_writable(&tree);
        tree
    }

    fn report(&self) -> Value {
        check(&self.modcache, &self.gocache, &self.project).json()
    }

    /// An output file of more than 1,000 bytes.
    fn output(&self) -> PathBuf {
        self.copy_gocache();
        self.entry(|name, bytes| name.ends_with("-d") && bytes > 1000)
    }

    fn entry(&self, wanted: impl Fn(&str, u64) -> bool) -> PathBuf {
        let mut found: Vec<PathBuf> = walkdir::WalkDir::new(&self.gocache)
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| {
                entry.file_type().is_file()
                    && wanted(
                        entry.file_name().to_str().unwrap(),
                        entry.metadata().unwrap().len(),
                    )
            })
            .map(walkdir::DirEntry::into_path)
            .collect();
        found.sort();
        found.swap_remove(0)
    }

    /// go.sum without the line of the broken module, so that the cache alone
    /// has to tell.
    fn forget_go_sum(&self) {
        let file = self.project.join("go.sum");
        let text = fs::read_to_string(&file).unwrap();
        let kept: Vec<&str> = text
            .lines()
            .filter(|line| !line.contains("BurntSushi"))
            .collect();
        fs::write(file, kept.join("\n") + "\n").unwrap();
    }
}

fn append(path: &Path, bytes: &[u8]) {
    writable(path);
    OpenOptions::new()
        .append(true)
        .open(path)
        .unwrap()
        .write_all(bytes)
        .unwrap();
}

fn writable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

fn flip(path: &Path, at: u64) {
    writable(path);
    let byte = fs::read(path).unwrap()[usize::try_from(at).unwrap()];
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte ^ 1]).unwrap();
}

/// Makes the zip of the module anew with one file changed, as whoever poisons a
/// cache would.
fn poison_zip(broken: &Broken) {
    let script = r"
import sys, zipfile
old = zipfile.ZipFile(sys.argv[1])
entries = [(info, old.read(info)) for info in old.infolist()]
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as new:
    for info, content in entries:
        new.writestr(info.filename, content + (b'\n' if info.filename.endswith('decode.go') else b''))
";
    let zip = broken.piece("zip");
    writable(&zip);
    let done = Command::new("python3")
        .args(["-c", script])
        .arg(&zip)
        .status();
    assert!(done.expect("python3 is needed to write zips").success());
}

fn other_h1() -> &'static str {
    "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "nothing",
        rule: None,
        break_it: |_| {},
    },
    Fault {
        name: "a .mod without .info is whole",
        rule: None,
        break_it: |b| fs::remove_file(b.piece("info")).unwrap(),
    },
    Fault {
        name: "a tree and .ziphash without zip are whole",
        rule: None,
        break_it: |b| fs::remove_file(b.piece("zip")).unwrap(),
    },
    Fault {
        name: "a zip without tree is whole",
        rule: None,
        break_it: |b| fs::remove_dir_all(b.tree()).unwrap(),
    },
    Fault {
        name: "zip changed",
        rule: Some("zip-hash-mismatch"),
        break_it: poison_zip,
    },
    Fault {
        name: "zip changed, no go.sum line",
        rule: Some("zip-hash-mismatch"),
        break_it: |b| {
            b.forget_go_sum();
            poison_zip(b);
        },
    },
    Fault {
        name: "zip changed, no tree",
        rule: Some("zip-hash-mismatch"),
        break_it: |b| {
            fs::remove_dir_all(b.tree()).unwrap();
            poison_zip(b);
        },
    },
    Fault {
        name: "file in tree changed",
        rule: Some("extracted-hash-mismatch"),
        break_it: |b| append(&b.tree().join("decode.go"), b"\n"),
    },
    Fault {
        name: "file in tree changed, no go.sum line",
        rule: Some("extracted-hash-mismatch"),
        break_it: |b| {
            b.forget_go_sum();
            append(&b.tree().join("decode.go"), b"\n");
        },
    },
    Fault {
        name: "file in tree changed, no zip",
        rule: Some("extracted-hash-mismatch"),
        break_it: |b| {
            fs::remove_file(b.piece("zip")).unwrap();
            append(&b.tree().join("decode.go"), b"\n");
        },
    },
    Fault {
        name: "file added to tree",
        rule: Some("extracted-hash-mismatch"),
        break_it: |b| fs::write(b.tree().join("evil.go"), "package toml\n").unwrap(),
    },
    Fault {
        name: "file removed from tree",
        rule: Some("extracted-hash-mismatch"),
        break_it: |b| fs::remove_file(b.tree().join("decode.go")).unwrap(),
    },
    Fault {
        name: "file in tree replaced by a link to the same content",
        rule: Some("link-in-cache"),
        break_it: |b| {
            let file = b.tree().join("decode.go");
            let elsewhere = b.scratch.path().join("decode.go");
            fs::rename(&file, &elsewhere).unwrap();
            symlink(elsewhere, file).unwrap();
        },
    },
    Fault {
        name: "go.mod changed",
        rule: Some("mod-hash-mismatch"),
        break_it: |b| append(&b.piece("mod"), b"// changed\n"),
    },
    Fault {
        name: "ziphash of something else",
        rule: Some("ziphash-mismatch"),
        break_it: |b| {
            writable(&b.piece("ziphash"));
            fs::write(b.piece("ziphash"), other_h1()).unwrap();
        },
    },
    Fault {
        name: "ziphash of something else, no go.sum line",
        rule: Some("ziphash-mismatch"),
        break_it: |b| {
            b.forget_go_sum();
            writable(&b.piece("ziphash"));
            fs::write(b.piece("ziphash"), other_h1()).unwrap();
        },
    },
    Fault {
        name: "ziphash empty",
        rule: Some("ziphash-mismatch"),
        break_it: |b| fs::write(b.piece("ziphash"), "").unwrap(),
    },
    Fault {
        name: "ziphash of zero bytes",
        rule: Some("ziphash-mismatch"),
        break_it: |b| fs::write(b.piece("ziphash"), [0; 47]).unwrap(),
    },
    Fault {
        name: "zip truncated",
        rule: Some("zip-invalid"),
        break_it: |b| {
            writable(&b.piece("zip"));
            OpenOptions::new()
                .write(true)
                .open(b.piece("zip"))
                .unwrap()
                .set_len(1000)
                .unwrap();
        },
    },
    Fault {
        name: "zip empty",
        rule: Some("zip-invalid"),
        break_it: |b| fs::write(b.piece("zip"), "").unwrap(),
    },
    Fault {
        name: "zip with bytes behind its end",
        rule: Some("zip-invalid"),
        break_it: |b| append(&b.piece("zip"), b"more"),
    },
    Fault {
        name: "zip member damaged",
        rule: Some("zip-invalid"),
        break_it: |b| {
            flip(
                &b.piece("zip"),
                fs::metadata(b.piece("zip")).unwrap().len() / 2,
            )
        },
    },
    Fault {
        name: "extraction broke off",
        rule: Some("extracted-incomplete"),
        break_it: |b| {
            fs::remove_file(b.tree().join("decode.go")).unwrap();
            fs::write(b.piece("partial"), "").unwrap();
        },
    },
    Fault {
        name: "tree alone",
        rule: Some("extracted-incomplete"),
        break_it: |b| {
            fs::remove_file(b.piece("zip")).unwrap();
            fs::remove_file(b.piece("ziphash")).unwrap();
        },
    },
    Fault {
        name: "info of another version",
        rule: Some("info-invalid"),
        break_it: |b| {
            let text = fs::read_to_string(b.piece("info")).unwrap();
            fs::write(b.piece("info"), text.replace("v1.4.0", "v1.3.0")).unwrap();
        },
    },
    Fault {
        name: "info malformed",
        rule: Some("info-invalid"),
        break_it: |b| fs::write(b.piece("info"), "{").unwrap(),
    },
    Fault {
        name: "partial without tree",
        rule: Some("partial-download"),
        break_it: |b| {
            fs::remove_dir_all(b.tree()).unwrap();
            fs::write(b.piece("partial"), "").unwrap();
        },
    },
    Fault {
        name: "temporary file",
        rule: Some("partial-download"),
        break_it: |b| fs::write(b.piece("zip123456.tmp"), "half").unwrap(),
    },
    Fault {
        name: "half extracted tree of an old Go",
        rule: Some("partial-download"),
        break_it: |b| {
            let tree = b.modcache.join(format!("{TOML}@v1.4.0.tmp-1234"));
            fs::create_dir(&tree).unwrap();
            fs::write(tree.join("a.go"), "").unwrap();
        },
    },
    Fault {
        name: "ziphash alone",
        rule: Some("orphan-file"),
        break_it: |b| {
            fs::remove_dir_all(b.tree()).unwrap();
            fs::remove_file(b.piece("zip")).unwrap();
        },
    },
    Fault {
        name: "source without .mod",
        rule: Some("orphan-file"),
        break_it: |b| fs::remove_file(b.piece("mod")).unwrap(),
    },
    Fault {
        name: "foreign file in cache/download",
        rule: Some("unexpected-file"),
        break_it: |b| fs::write(b.piece("exe"), "MZ").unwrap(),
    },
    Fault {
        name: "link in the module cache",
        rule: Some("link-in-cache"),
        break_it: |b| symlink("/", b.modcache.join("example.com")).unwrap(),
    },
    Fault {
        name: "name with control characters",
        rule: Some("unexpected-file"),
        break_it: |b| fs::write(b.modcache.join("\u{1b}[31m\n::error::x"), "").unwrap(),
    },
    Fault {
        name: "name that is not UTF-8",
        rule: Some("unexpected-file"),
        break_it: |b| {
            use std::os::unix::ffi::OsStrExt;
            fs::create_dir(b.modcache.join(std::ffi::OsStr::from_bytes(b"\xff\xfe"))).unwrap();
        },
    },
    Fault {
        name: "lock alone",
        rule: Some("lone-lock"),
        break_it: |b| {
            let folder = b.modcache.join("cache/download/example.com/none/@v");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("v1.0.0.lock"), "").unwrap();
        },
    },
    Fault {
        name: "output changed, size kept",
        rule: Some("output-hash-mismatch"),
        break_it: |b| flip(&b.output(), 500),
    },
    Fault {
        name: "output truncated",
        rule: Some("output-size-mismatch"),
        break_it: |b| {
            writable(&b.output());
            OpenOptions::new()
                .write(true)
                .open(b.output())
                .unwrap()
                .set_len(500)
                .unwrap();
        },
    },
    Fault {
        name: "action entry damaged",
        rule: Some("action-invalid"),
        break_it: |b| {
            let (action, _) = b.shared_output();
            fs::write(action, "v1 nonsense").unwrap();
        },
    },
    Fault {
        name: "output gone",
        rule: Some("output-missing"),
        break_it: |b| fs::remove_file(b.output()).unwrap(),
    },
    Fault {
        name: "output that no action names",
        rule: Some("output-orphan"),
        break_it: |b| {
            b.copy_gocache();
            let content = b"nobody made this";
            let id = {
                use sha2::{Digest, Sha256};
                Sha256::digest(content)
                    .iter()
                    .map(|b| format!("{b:02x}"))
                    .collect::<String>()
            };
            fs::write(b.gocache.join(&id[..2]).join(format!("{id}-d")), content).unwrap();
        },
    },
    Fault {
        name: "foreign file in the build cache",
        rule: Some("unexpected-file"),
        break_it: |b| {
            b.copy_gocache();
            fs::write(b.gocache.join("00/notes.txt"), "").unwrap();
        },
    },
];

impl Broken {
    /// An action whose output has other actions too, and that output: without
    /// the action the output is still named.
    fn shared_output(&self) -> (PathBuf, String) {
        self.copy_gocache();
        let mut actions: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for entry in walkdir::WalkDir::new(&self.gocache) {
            let entry = entry.unwrap();
            if entry.file_name().to_str().unwrap().ends_with("-a") {
                let text = fs::read_to_string(entry.path()).unwrap();
                let output = text.split(' ').nth(2).unwrap().to_owned();
                actions.entry(output).or_default().push(entry.into_path());
            }
        }
        let (output, mut of) = actions.into_iter().find(|(_, of)| of.len() > 1).unwrap();
        (of.swap_remove(0), output)
    }
}

#[test]
fn every_fault_is_found_as_its_own_rule() {
    for fault in FAULTS {
        let broken = Broken::new();
        (fault.break_it)(&broken);
        let report = broken.report();
        let unproven = fault.name.ends_with("no go.sum line").then_some("unproven");
        let expected: BTreeMap<String, usize> = fault
            .rule
            .into_iter()
            .chain(unproven)
            .map(|rule| (rule.to_owned(), 1))
            .collect();
        assert_eq!(
            rules(&report),
            expected,
            "{}: {:#}",
            fault.name,
            report["findings"]
        );
        let level = report["findings"][0]["level"].as_str();
        let verdict = match level {
            Some("deny") => "fail",
            Some("warn") => "warn",
            _ => "pass",
        };
        assert_eq!(report["verdict"], verdict, "{}", fault.name);
    }
}

/// Every content rule of the table has a fault above that breaks it.
#[test]
fn every_rule_about_content_is_shown() {
    for name in CONTENT {
        assert!(
            FAULTS.iter().any(|fault| fault.rule == Some(name)),
            "{name} is not shown"
        );
    }
}

/// The rules about the two caches' contents. The others need the checksum
/// database, a ledger, a threshold, or a user who may not read.
const CONTENT: &[&str] = &[
    "zip-hash-mismatch",
    "extracted-hash-mismatch",
    "mod-hash-mismatch",
    "ziphash-mismatch",
    "zip-invalid",
    "extracted-incomplete",
    "info-invalid",
    "link-in-cache",
    "partial-download",
    "orphan-file",
    "unexpected-file",
    "lone-lock",
    "output-hash-mismatch",
    "output-size-mismatch",
    "action-invalid",
    "output-missing",
    "output-orphan",
];

#[test]
fn a_replaced_version_is_laid_beside_go_sum() {
    let broken = Broken::new();
    poison_zip(&broken);
    fs::remove_dir_all(broken.tree()).unwrap();
    // Go writes the .ziphash of whatever zip it finds.
    fs::remove_file(broken.piece("ziphash")).unwrap();
    let env = GoEnv::new();
    let h1 = check(&broken.modcache, &env.gocache, &broken.project).json()["findings"][0]["actual"]
        .as_str()
        .unwrap()
        .to_owned();
    fs::write(broken.piece("ziphash"), &h1).unwrap();
    let report = broken.report();
    assert_eq!(
        rules(&report),
        BTreeMap::from([("zip-hash-mismatch".to_owned(), 1)])
    );
    let finding = &report["findings"][0];
    assert_eq!(finding["actual"], *h1);
    assert!(finding["expected"].as_str().unwrap().starts_with("h1:"));
    let message = finding["message"].as_str().unwrap();
    assert!(message.contains("poisoned"), "{message}");
}

#[test]
fn a_changed_tree_names_its_files() {
    for level in ["used", "full"] {
        let broken = Broken::new();
        let tree = broken.tree();
        append(&tree.join("decode.go"), b"\n");
        fs::write(tree.join("evil.go"), "").unwrap();
        fs::remove_file(tree.join("meta.go")).unwrap();
        let report = gocachevet()
            .args(["--format=json", "--verify", level])
            .args(["--modcache".as_ref(), broken.modcache.as_path()])
            .args(["--gocache".as_ref(), broken.gocache.as_path()])
            .args(["--project".as_ref(), broken.project.as_path()])
            .run()
            .json();
        let message = report["findings"][0]["message"].as_str().unwrap();
        assert!(
            message.contains("changed: decode.go; added: evil.go; missing: meta.go"),
            "{level}: {message}"
        );
    }
}

#[test]
fn zips_with_folder_entries_are_no_damage() {
    // Go hashes such an entry as an empty file; a tree cannot show it.
    let env = GoEnv::new();
    let script = r"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as new:
    for name, content in [('go.mod', 'module example.com/m\n'), ('sub/', ''), ('sub/a.go', 'package sub\n')]:
        new.writestr('example.com/m@v1.0.0/' + name, content)
";
    let proxy = env.dir().join("proxy/example.com/m/@v");
    fs::create_dir_all(&proxy).unwrap();
    let zip = proxy.join("v1.0.0.zip");
    let done = Command::new("python3")
        .args(["-c", script])
        .arg(&zip)
        .status();
    assert!(done.expect("python3 is needed to write zips").success());
    fs::write(proxy.join("v1.0.0.info"), r#"{"Version":"v1.0.0"}"#).unwrap();
    fs::write(proxy.join("v1.0.0.mod"), "module example.com/m\n").unwrap();
    let mut env = env;
    env.set(
        "GOPROXY",
        format!("file://{}", env.dir().join("proxy").display()),
    );
    env.set("GONOSUMDB", "*")
        .set("GONOSUMCHECK", "1")
        .set("GOFLAGS", "-mod=mod");
    env.download(&["example.com/m@v1.0.0"]);
    // The modules' own project: go.sum gets the line from the zip with folders.
    let project = env.dir().join("user");
    fs::create_dir(&project).unwrap();
    fs::write(
        project.join("go.mod"),
        "module u\ngo 1.21\nrequire example.com/m v1.0.0\n",
    )
    .unwrap();
    fs::write(
        project.join("u.go"),
        "package u\nimport _ \"example.com/m/sub\"\n",
    )
    .unwrap();
    env.go(&project, ["mod", "tidy"]);
    let report = check(&env.modcache, &empty(env.dir()), &project)
        .expect_code(0)
        .json();
    assert_eq!(rules(&report), BTreeMap::new(), "{:#}", report["findings"]);
    assert_eq!(report["verification"]["proven_by"]["go_sum"], 1);
}

#[test]
fn an_unreadable_folder_is_a_finding() {
    let broken = Broken::new();
    // Root may read everything, so the check runs as somebody else, elsewhere.
    let scratch = Scratch::for_everyone();
    let modcache = scratch.path().join("mc");
    copy_tree(&broken.modcache, &modcache);
    let folder = modcache.join(format!("{TOML}@v1.4.0/internal"));
    assert!(folder.is_dir());
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).unwrap();
    let report = gocachevet()
        .args(["--format=json", "--no-project-config"])
        .args(["--modcache".as_ref(), modcache.as_path()])
        .args(["--gocache".as_ref(), empty(scratch.path()).as_path()])
        .by_nobody(scratch.path())
        .run()
        .expect_code(1)
        .json();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let found = report["findings"].as_array().unwrap();
    let unreadable: Vec<&Value> = found
        .iter()
        .filter(|finding| finding["rule"] == "unreadable")
        .collect();
    assert_eq!(unreadable.len(), 1, "{report:#}");
    let path = unreadable[0]["path"].as_str().unwrap();
    assert!(path.ends_with("toml@v1.4.0/internal"), "{path}");
}

#[test]
fn neither_cache_is_exit_3_and_one_is_enough() {
    let scratch = Scratch::new();
    let [mc, gc] = ["mc", "gc"].map(|name| scratch.path().join(name));
    // Where Go itself would have them.
    let run = || {
        gocachevet()
            .args(["check", "--format=json"])
            .env("GOMODCACHE", &mc)
            .env("GOCACHE", &gc)
            .dir(scratch.path())
            .run()
    };
    let neither = run().expect_code(3);
    assert!(
        neither.stderr.contains("mc") && neither.stderr.contains("gc"),
        "{neither}"
    );
    assert_eq!(neither.stdout, "");
    fs::create_dir(&gc).unwrap();
    let run = run().expect_code(0);
    let report = run.json();
    assert_eq!(report["modcache"], Value::Null);
    assert_eq!(report["buildcache"]["files"], 0);
    assert!(
        report["notes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|note| { note.as_str().unwrap().contains("module cache") })
    );
}

#[test]
fn bad_input_is_a_clear_error_and_never_an_ok() {
    let broken = Broken::new();
    let go_sum = broken.project.join("go.sum");
    let good = fs::read(&go_sum).unwrap();
    fs::write(&go_sum, "<<<<<<< HEAD\n").unwrap();
    let run = check(&broken.modcache, &broken.gocache, &broken.project).expect_code(2);
    assert!(
        run.stderr.contains("go.sum") && run.stderr.contains("line 1"),
        "{run}"
    );

    fs::write(&go_sum, "").unwrap();
    let report = check(&broken.modcache, &broken.gocache, &broken.project)
        .expect_code(0)
        .json();
    assert_eq!(report["verification"]["proven_by"]["go_sum"], 0);
    assert_eq!(report["projects"][0]["go_sum_entries"], 0);
    fs::write(&go_sum, good).unwrap();

    let config = broken.project.join("gocachevet.toml");
    fs::write(&config, "max-sise = '1GB'\n").unwrap();
    let run = gocachevet()
        .args(["--modcache".as_ref(), broken.modcache.as_path()])
        .args(["--project".as_ref(), broken.project.as_path()])
        .run()
        .expect_code(2);
    assert!(run.stderr.contains("gocachevet.toml"), "{run}");
    assert!(
        run.stderr.contains("max-sise") && run.stderr.contains("`max-size`"),
        "{run}"
    );
}

#[test]
fn a_toolchain_that_go_switched_to_is_intact() {
    let modcache = support::toolchain_cache();
    // Go itself copied each `_go.mod` of it to `go.mod`.
    assert!(count(&modcache, |name| name == "_go.mod") > 0);
    let before = snapshot(&modcache.join("cache"));
    let none = Scratch::new();
    let report = check(&modcache, &none.path().join("gc"), &pristine().project)
        .expect_code(0)
        .json();
    assert_eq!(rules(&report), BTreeMap::new(), "{:#}", report["findings"]);
    assert_eq!(report["modcache"]["versions"], 1);
    assert_eq!(report["verification"]["failed"], 0);
    let bytes = |name: &str| report["modcache"][name].as_u64().unwrap();
    assert!(bytes("toolchain_bytes") > 200_000_000);
    assert_eq!((bytes("download_bytes"), bytes("extracted_bytes")), (0, 0));
    assert!(report["verification"]["bytes_proven"].as_u64().unwrap() > 200_000_000);
    assert_untouched(&before, &modcache.join("cache"));
}

#[test]
fn the_fips_module_is_no_broken_download() {
    // Go unpacks it from its own installation, without zip or .mod.
    let mut env = GoEnv::new();
    env.set("GOFIPS140", "v1.0.0");
    let project = env.dir().join("fips");
    fs::create_dir(&project).unwrap();
    fs::write(project.join("go.mod"), "module fips\n\ngo 1.24\n").unwrap();
    fs::write(
        project.join("f.go"),
        "package fips\n\nimport _ \"crypto/sha256\"\n",
    )
    .unwrap();
    env.go(&project, ["list", "-deps", "."]);
    assert!(count(&env.modcache, |name| name.starts_with("fips140@v1.0.0")) == 1);
    let report = check(&env.modcache, &env.gocache, &project)
        .expect_code(0)
        .json();
    assert_eq!(rules(&report), BTreeMap::new(), "{:#}", report["findings"]);
    assert_eq!(report["modcache"]["versions"], 1);
}

#[test]
fn the_sample_has_its_one_planted_fault() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sample-cache");
    let run = check(
        &sample.join("modcache"),
        &sample.join("gocache"),
        &sample.join("project"),
    );
    let report = run.expect_code(1).json();
    assert_eq!(
        rules(&report),
        BTreeMap::from([("extracted-hash-mismatch".to_owned(), 1)])
    );
    assert_eq!(
        report["findings"][0]["subject"],
        "github.com/pkg/errors@v0.9.1"
    );
}

#[test]
fn what_cannot_be_read_is_said_whatever_its_name() {
    use std::os::unix::ffi::OsStrExt;
    let broken = Broken::new();
    let scratch = Scratch::for_everyone();
    let modcache = scratch.path().join("mc");
    copy_tree(&broken.modcache, &modcache);
    let tree = modcache.join(format!("{TOML}@v1.4.0"));
    support::make_writable(&tree);
    let file = tree.join(std::ffi::OsStr::from_bytes(b"odd\xff.go"));
    fs::write(&file, "package toml\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let report = gocachevet()
        .args(["--format=json", "--no-project-config"])
        .args(["--modcache".as_ref(), modcache.as_path()])
        .args(["--gocache".as_ref(), empty(scratch.path()).as_path()])
        .by_nobody(scratch.path())
        .run()
        .expect_code(1)
        .json();
    assert_eq!(rules(&report).get("unreadable"), Some(&1), "{report:#}");
}

/// What is replaced again and again while it is read is never taken for sound:
/// at each moment there is either a damaged thing or a link to a sound one.
#[test]
fn what_is_replaced_while_it_is_read_never_passes() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let broken = Broken::new();
    let elsewhere = broken.scratch.path().join("elsewhere");
    let tree = broken.tree();
    copy_tree(&tree, &elsewhere.join("tree"));
    fs::copy(broken.piece("zip"), elsewhere.join("zip")).unwrap();
    // Each thing with the link that takes turns with it, beside it in the same
    // file system but out of the cache.
    let pairs = [
        (tree.join("decode.go"), elsewhere.join("tree/decode.go")),
        (tree.join("internal"), elsewhere.join("tree/internal")),
        (broken.piece("zip"), elsewhere.join("zip")),
    ]
    .map(|(thing, sound)| {
        let turn = broken
            .scratch
            .path()
            .join(format!("turn-{}", sound.file_name().unwrap().display()));
        symlink(&sound, &turn).unwrap();
        (thing, turn)
    });
    append(&tree.join("decode.go"), b"// poison\n");
    fs::write(tree.join("internal/added.go"), "package internal\n").unwrap();
    append(&broken.piece("zip"), b"poison");

    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let swaps = scope.spawn(|| {
            let mut swaps = 0;
            while !done.load(Ordering::Relaxed) {
                for (thing, turn) in &pairs {
                    renameat_with(CWD, thing, CWD, turn, RenameFlags::EXCHANGE).unwrap();
                    swaps += 1;
                }
            }
            swaps
        });
        let results: Vec<Run> = (0..25)
            .map(|_| check(&broken.modcache, &broken.gocache, &broken.project))
            .collect();
        done.store(true, Ordering::Relaxed);
        assert!(swaps.join().unwrap() > 1000);
        for run in results {
            let report = run.expect_code(1).json();
            assert_eq!(
                report["verification"]["proven_by"]["go_sum"], 2,
                "{report:#}"
            );
        }
    });
}
