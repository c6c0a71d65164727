//! Clones in `cache/vcs`: what git would act on in them is denied, and a repair
//! removes the clone.

// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{GoEnv, Run};

const MODULE: &str = "example.com/team/m.git";
const URL: &str = "https://example.com/team/m";

/// A private module, fetched by git from a repository on this machine: git is
/// told by the home's settings that its address leads there.
struct Private {
    env: GoEnv,
    /// Where the module is written.
    work: PathBuf,
    project: PathBuf,
}

impl Private {
    /// Its version v1.0.0 is downloaded, v1.1.0 is not.
    fn new() -> Private {
        let mut env = GoEnv::new();
        env.set("GOPROXY", "direct").set("GOPRIVATE", "example.com");
        let work = env.dir().join("work");
        let bare = env.dir().join("m.git");
        fs::create_dir(&work).unwrap();
        let private = Private {
            project: env.dir().join("project"),
            work,
            env,
        };
        let from = format!("[url \"{}\"]\n\tinsteadOf = {URL}\n", bare.display());
        fs::write(private.env.home.join(".gitconfig"), from).unwrap();
        private.git(&["init", "-q", "-b", "main"]);
        fs::write(
            private.work.join("go.mod"),
            format!("module {MODULE}\n\ngo 1.21\n"),
        )
        .unwrap();
        private.release("v1.0.0", "old");
        private.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
        fs::create_dir(&private.project).unwrap();
        private.require("v1.0.0");
        let main =
            format!("package main\n\nimport m \"{MODULE}\"\n\nfunc main() {{ println(m.V()) }}\n");
        fs::write(private.project.join("main.go"), main).unwrap();
        private.env.go(&private.project, ["mod", "tidy"]);
        // Only now, so that the next version has to be fetched.
        private.release("v1.1.0", "new");
        private.publish();
        private
    }

    fn publish(&self) {
        self.git(&["push", "-q", "-f", "--tags", "../m.git", "main"]);
    }

    /// Requires a version and knows no sums.
    fn require(&self, version: &str) {
        let go_mod = format!("module example.com/p\n\ngo 1.21\n\nrequire {MODULE} {version}\n");
        fs::write(self.project.join("go.mod"), go_mod).unwrap();
        let _ = fs::remove_file(self.project.join("go.sum"));
    }

    #[track_caller]
    fn git(&self, args: &[&str]) {
        let output = Command::new("git")
            .args(["-c", "user.name=n", "-c", "user.email=n@example.com"])
            .args(args)
            .current_dir(&self.work)
            .env("HOME", &self.env.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("this test needs git in PATH");
        assert!(output.status.success(), "{args:?}: {output:?}");
    }

    fn release(&self, version: &str, says: &str) {
        let source = format!("package m\n\nfunc V() string {{ return \"{says}\" }}\n");
        fs::write(self.work.join("m.go"), source).unwrap();
        self.git(&["add", "."]);
        self.git(&["commit", "-q", "-m", says]);
        self.git(&["tag", "-f", version]);
    }

    fn clone_dir(&self) -> PathBuf {
        let vcs = self.env.modcache.join("cache/vcs");
        let entries = fs::read_dir(vcs).unwrap();
        let mut folders: Vec<PathBuf> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir() || path.is_symlink())
            .collect();
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders.remove(0)
    }

    fn check(&self) -> Run {
        let args = ["check", "--format", "json"];
        self.env.gocachevet().dir(&self.project).args(args).run()
    }

    fn repair(&self) -> Run {
        let args = ["trim", "--repair", "--format", "json"];
        self.env.gocachevet().dir(&self.project).args(args).run()
    }

    /// What the module says in a version, once Go has downloaded it.
    #[track_caller]
    fn downloaded(&self, version: &str) -> String {
        self.env.go(&self.project, ["mod", "download"]);
        let tree = self.env.modcache.join(format!("{MODULE}@{version}"));
        fs::read_to_string(tree.join("m.go")).unwrap()
    }
}

fn findings(run: &Run, rule: &str) -> Vec<serde_json::Value> {
    let report = run.json();
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .filter(|finding| finding["rule"] == rule)
        .cloned()
        .collect()
}

fn append(file: &Path, text: &str) {
    let mut content = fs::read_to_string(file).unwrap();
    content.push_str(text);
    fs::write(file, content).unwrap();
}

/// A script that leaves a file, and the file.
fn script(private: &Private) -> (PathBuf, PathBuf) {
    let (script, ran) = (
        private.env.dir().join("planted.sh"),
        private.env.dir().join("ran"),
    );
    fs::write(&script, format!("#!/bin/sh\ntouch '{}'\n", ran.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    (script, ran)
}

#[test]
fn a_clone_as_go_left_it_passes_and_is_called_unproven() {
    let private = Private::new();
    let run = private.check().expect_code(0);
    assert_eq!(run.json()["verdict"], "pass", "{run}");
    let [note] = &findings(&run, "vcs-unproven")[..] else {
        panic!("one finding in {run}")
    };
    assert_eq!(
        (&note["level"], &note["subject"]),
        (&"note".into(), &"1 clone".into())
    );
    // The whole history, and what a fetch of it leaves, is no other matter.
    let output = private.env.try_go(
        &private.project,
        ["mod", "download", &format!("{MODULE}@main")],
    );
    assert!(output.status.success(), "{output:?}");
    assert!(findings(&private.check(), "vcs-unsafe").is_empty());
}

/// Plants something in the clone by which git runs the script.
type Plant = fn(&Path, &Path);

/// Whatever makes git run something when Go fetches the next version.
const RUNS: &[(&str, &str, Plant)] = &[
    (
        "an address that is a command",
        "fetches from ext::",
        |clone, script| {
            let config = clone.join("config");
            let text = fs::read_to_string(&config).unwrap();
            let address = format!("url = ext::{}", script.display());
            fs::write(&config, text.replace(&format!("url = {URL}"), &address)).unwrap();
            append(&config, "[protocol \"ext\"]\n\tallow = always\n");
        },
    ),
    ("a hook", "is a hook", |clone, script| {
        fs::copy(script, clone.join("hooks/reference-transaction")).unwrap();
    }),
    (
        "a folder of hooks elsewhere",
        "core.hookspath",
        |clone, script| {
            let hooks = script.with_file_name("hooks");
            fs::create_dir_all(&hooks).unwrap();
            fs::copy(script, hooks.join("reference-transaction")).unwrap();
            append(
                &clone.join("config"),
                &format!("[core]\n\thooksPath = {}\n", hooks.display()),
            );
        },
    ),
    (
        "a command at the other end",
        "remote.origin.uploadpack",
        |clone, script| {
            append(
                &clone.join("config"),
                &format!("[remote \"origin\"]\n\tuploadpack = {}\n", script.display()),
            );
        },
    ),
    ("an included file", "include.path", |clone, script| {
        let included = script.with_extension("conf");
        let text = format!("[remote \"origin\"]\n\tuploadpack = {}\n", script.display());
        fs::write(&included, text).unwrap();
        append(
            &clone.join("config"),
            &format!("[include]\n\tpath = {}\n", included.display()),
        );
    }),
    (
        "another repository's settings",
        "commondir",
        |clone, script| {
            let other = script.with_file_name("other");
            fs::create_dir_all(&other).unwrap();
            for name in ["objects", "refs", "info"] {
                fs::create_dir_all(other.join(name)).unwrap();
            }
            fs::write(other.join("HEAD"), "ref: refs/heads/main\n").unwrap();
            let config = fs::read_to_string(clone.join("config")).unwrap();
            let text = format!("{config}\tuploadpack = {}\n", script.display());
            fs::write(other.join("config"), text).unwrap();
            fs::write(clone.join("commondir"), other.to_str().unwrap()).unwrap();
        },
    ),
    (
        "a link to settings elsewhere",
        "is a link",
        |clone, script| {
            let config = clone.join("config");
            let elsewhere = script.with_extension("config");
            let text = fs::read_to_string(&config).unwrap();
            fs::write(
                &elsewhere,
                format!("{text}\tuploadpack = {}\n", script.display()),
            )
            .unwrap();
            fs::remove_file(&config).unwrap();
            symlink(&elsewhere, &config).unwrap();
        },
    ),
    (
        "a link in the clone's place",
        "is a link",
        |clone, script| {
            let elsewhere = script.with_file_name("elsewhere");
            fs::rename(clone, &elsewhere).unwrap();
            append(
                &elsewhere.join("config"),
                &format!("[remote \"origin\"]\n\tuploadpack = {}\n", script.display()),
            );
            symlink(&elsewhere, clone).unwrap();
        },
    ),
];

#[test]
fn what_git_would_run_is_denied_and_repaired() {
    for (name, told, plant) in RUNS {
        let private = Private::new();
        let (script, ran) = script(&private);
        let clone = private.clone_dir();
        plant(&clone, &script);

        // Go does run it.
        let other = private.env.dir().join("kept");
        support::copy_tree(&private.env.modcache, &other);
        private.require("v1.1.0");
        let output = private.env.try_go(&private.project, ["mod", "download"]);
        assert!(
            ran.exists(),
            "{name}: git did not run it, so this shows nothing: {output:?}"
        );
        fs::remove_file(&ran).unwrap();
        support::make_writable(&private.env.modcache);
        fs::remove_dir_all(&private.env.modcache).unwrap();
        fs::rename(&other, &private.env.modcache).unwrap();
        private.require("v1.0.0");
        private.env.go_offline(&private.project, ["mod", "tidy"]);

        let run = private.check().expect_code(1);
        let denied = findings(&run, "vcs-unsafe");
        assert!(!denied.is_empty(), "{name}: {run}");
        let told_of = |finding: &serde_json::Value| {
            let text = format!("{} {}", finding["path"], finding["message"]);
            finding["level"] == "deny" && finding["subject"] == URL && text.contains(told)
        };
        assert!(denied.iter().any(told_of), "{name}: {denied:#?}");
        assert!(!ran.exists(), "{name}: the check ran it");

        let run = private.repair().expect_code(0);
        let report = run.json();
        assert_eq!(
            report["plan"]["removals"][0]["unit"], "vcs",
            "{name}: {run}"
        );
        let removals = report["plan"]["removals"].as_array().unwrap();
        assert_eq!(removals.len(), 1, "{name}: {run}");
        assert!(!clone.exists() && !clone.is_symlink(), "{name}");
        assert!(findings(&run, "vcs-unproven").is_empty(), "{name}: {run}");
        private.check().expect_code(0);
        private.require("v1.1.0");
        assert!(private.downloaded("v1.1.0").contains("new"), "{name}");
        assert!(!ran.exists(), "{name}: it was run after the repair");
        private.check().expect_code(0);
    }
}

/// What leads git elsewhere or changes what it makes, one by one.
#[test]
fn what_leads_git_elsewhere_is_denied() {
    let private = Private::new();
    let clone = private.clone_dir();
    let whole = private.env.dir().join("whole");
    support::copy_tree(&clone, &whole);
    type Planted = (&'static str, fn(&Path));
    let plants: &[Planted] = &[
        ("elsewhere", |clone| {
            fs::write(clone.join("objects/info/alternates"), "/tmp\n").unwrap();
        }),
        ("elsewhere", |clone| {
            fs::write(clone.join("objects/info/http-alternates"), "http://x\n").unwrap();
        }),
        ("elsewhere", |clone| {
            fs::rename(clone.join("objects/info"), clone.join("objects/Info")).unwrap();
            fs::write(clone.join("objects/Info/Alternates"), "/tmp\n").unwrap();
        }),
        ("config.worktree", |clone| {
            fs::write(clone.join("config.worktree"), "").unwrap();
        }),
        ("another remote", |clone| {
            fs::write(clone.join("branches/origin"), "/tmp\n").unwrap();
        }),
        ("may be acted on", |clone| {
            fs::create_dir(clone.join("remotes")).unwrap();
        }),
        ("attributes", |clone| {
            append(&clone.join("info/attributes"), "* filter=x\n");
        }),
        ("may be acted on", |clone| {
            fs::write(clone.join("info/grafts"), "").unwrap();
        }),
        ("fetches from https://example.com/else", |clone| {
            let config = clone.join("config");
            let text = fs::read_to_string(&config).unwrap();
            fs::write(&config, text.replace("team/m", "else")).unwrap();
        }),
        ("another repository", |clone| {
            fs::write(
                clone.with_extension("info"),
                "git3:https://example.com/else",
            )
            .unwrap();
        }),
        ("longer than", |clone| {
            append(&clone.join("config"), &"\n".repeat(70_000));
        }),
        ("not an ordinary file", |clone| {
            fs::remove_file(clone.with_extension("lock")).unwrap();
            symlink("/tmp/nowhere", clone.with_extension("lock")).unwrap();
        }),
        ("neither a file nor a folder", |clone| {
            let made = Command::new("mkfifo")
                .arg(clone.join("packed-refs"))
                .status();
            assert!(made.unwrap().success());
        }),
    ];
    for (told, plant) in plants {
        plant(&clone);
        let run = private.check().expect_code(1);
        let [finding] = &findings(&run, "vcs-unsafe")[..] else {
            panic!("{told}: one finding in {run}")
        };
        let text = format!("{} {}", finding["path"], finding["message"]);
        assert!(text.contains(told), "{told}: {text}");
        private.repair().expect_code(0);
        private.check().expect_code(0);
        // As before.
        assert!(!clone.exists(), "{told}");
        support::copy_tree(&whole, &clone);
        fs::write(clone.with_extension("info"), format!("git3:{URL}")).unwrap();
    }
}

#[test]
fn other_programs_clones_are_looked_at_as_well() {
    use sha2::{Digest, Sha256};
    let env = GoEnv::new();
    let vcs = env.modcache.join("cache/vcs");
    let place = |key: &str| {
        let name: String = Sha256::digest(key)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        fs::create_dir_all(vcs.join(&name)).unwrap();
        fs::write(vcs.join(format!("{name}.info")), key).unwrap();
        vcs.join(name)
    };
    let hg = place("vcs1.hg:https://example.com/hg");
    fs::create_dir_all(hg.join(".hg/store")).unwrap();
    fs::write(hg.join(".hg/requires"), "share-safe\n").unwrap();
    fs::write(
        hg.join(".hg/hgrc"),
        "[paths]\ndefault = https://example.com/hg\n",
    )
    .unwrap();
    let fossil = place("vcs1.fossil:https://example.com/fossil");
    fs::write(
        fossil.join(".fossil"),
        b"SQLite format 3\0 \x03\x31\x01last-sync-url",
    )
    .unwrap();
    let bzr = place("vcs1.bzr:https://example.com/bzr");
    fs::create_dir_all(bzr.join(".bzr/branch")).unwrap();
    let conf = bzr.join(".bzr/branch/branch.conf");
    fs::write(&conf, "parent_location = https://example.com/bzr/\n").unwrap();
    let check = || {
        let args = ["check", "--format", "json"];
        env.gocachevet().args(args).run()
    };
    let run = check().expect_code(0);
    assert_eq!(
        findings(&run, "vcs-unproven")[0]["subject"],
        "3 clones",
        "{run}"
    );

    append(&hg.join(".hg/hgrc"), "[hooks]\npretxnopen = /tmp/x\n");
    fs::write(hg.join(".hg/hgrc-not-shared"), "").unwrap();
    append(&hg.join(".hg/requires"), "shared\n");
    fs::write(
        fossil.join(".fossil"),
        b"SQLite format 3\0 \x03\x23\x01ssh-command",
    )
    .unwrap();
    append(&conf, "stacked_on_location = /tmp/x\n");
    let run = check().expect_code(1);
    let mut told: Vec<String> = findings(&run, "vcs-unsafe")
        .iter()
        .map(|finding| {
            finding["path"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            ".fossil",
            "branch.conf",
            "hgrc",
            "hgrc-not-shared",
            "requires"
        ]
    );
}

/// A tag that moved: go.sum has the new commit's hash, Go keeps a clone with the
/// old one and takes the tag for known.
#[test]
fn the_clone_that_a_damaged_version_came_from_goes_too() {
    let private = Private::new();
    private.release("v1.0.0", "moved");
    private.publish();
    let fresh = {
        let mut other = GoEnv::new();
        other
            .set("GOPROXY", "direct")
            .set("GOPRIVATE", "example.com");
        let config = fs::read(private.env.home.join(".gitconfig")).unwrap();
        fs::write(other.home.join(".gitconfig"), config).unwrap();
        let project = other.dir().join("project");
        support::copy_tree(&private.project, &project);
        fs::remove_file(project.join("go.sum")).unwrap();
        other.go(&project, ["mod", "tidy"]);
        fs::read(project.join("go.sum")).unwrap()
    };
    fs::write(private.project.join("go.sum"), fresh).unwrap();
    let output = private.env.try_go(&private.project, ["mod", "download"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("SECURITY ERROR"), "{said}");
    private.check().expect_code(1);

    let run = private.repair().expect_code(0);
    let removals = run.json()["plan"]["removals"].clone();
    let mut units: Vec<&str> = removals
        .as_array()
        .unwrap()
        .iter()
        .map(|removal| removal["unit"].as_str().unwrap())
        .collect();
    units.sort_unstable();
    // Go's index of the tree is another one's matter.
    units.retain(|unit| *unit != "action");
    assert_eq!(units, ["vcs", "version"], "{run}");
    assert!(private.downloaded("v1.0.0").contains("moved"));
    private.check().expect_code(0);

    // What was right when it was downloaded is made again from the clone.
    let at_v = "cache/download/example.com/team/m.git/@v/v1.0.0.zip";
    let zip = private.env.modcache.join(at_v);
    fs::set_permissions(&zip, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&zip, "").unwrap();
    let run = private.repair().expect_code(0);
    let removals = run.json()["plan"]["removals"].to_string();
    assert!(
        removals.contains("version") && !removals.contains("vcs"),
        "{run}"
    );
    assert!(private.downloaded("v1.0.0").contains("moved"));
    private.check().expect_code(0);
}
