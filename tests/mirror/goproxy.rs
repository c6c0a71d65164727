//! The tree that `file://` serves.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{self, GoEnv, Project};

/// A copy of the local proxy's tree, to do with as we like.
fn storage(env: &GoEnv) -> PathBuf {
    let (url, _) = support::proxy();
    let copy = env.dir().join("proxy");
    support::copy_tree(Path::new(url.strip_prefix("file://").unwrap()), &copy);
    support::make_writable(&copy);
    copy
}

/// Whatever no project needs goes; what is left serves the projects.
#[test]
fn a_trimmed_tree_still_serves_the_projects() {
    let mut env = GoEnv::new();
    let storage = storage(&env);
    let projects = [Project::Hello, Project::Legacy].map(|project| env.project(project));
    let trim = |more: &[&str]| {
        let mut run = env.gocachevet().args(["mirror", "trim"]).arg(&storage);
        for project in &projects {
            run = run.arg("--project").arg(project);
        }
        run.args(["--max-size", "1", "--format", "json"])
            .args(more)
            .run()
            .expect_code(1)
            .json()
    };
    let dry = trim(&[]);
    assert_eq!(dry["layout"], "goproxy");
    assert_eq!(dry["outcome"], Value::Null);
    let removals = dry["plan"]["removals"].as_u64().unwrap();
    assert!(removals > 3, "{dry:#}");
    assert!(
        storage
            .join("github.com/google/uuid/@v/v1.6.0.zip")
            .exists()
    );

    let wet = trim(&["--yes"]);
    assert_eq!(wet["outcome"]["removed"], removals, "{wet:#}");
    assert_eq!(wet["outcome"]["failed"], serde_json::json!([]));
    let needed = wet["versions"].as_array().unwrap().iter();
    let needed = needed.filter(|version| version["needed"] == "version");
    assert!(needed.clone().count() > 3);
    for version in needed {
        assert_eq!(version["remove"], Value::Null, "{version}");
    }

    env.set("GOPROXY", format!("file://{}", storage.display()));
    for project in &projects {
        env.go(project, ["mod", "download"]);
        env.go(project, ["build", "./..."]);
    }
    // Nothing is listed that cannot be had.
    let lists = walkdir::WalkDir::new(&storage).into_iter().flatten();
    for list in lists.filter(|entry| entry.file_name() == "list") {
        for version in fs::read_to_string(list.path()).unwrap().lines() {
            let go_mod = list.path().with_file_name(format!("{version}.mod"));
            assert!(go_mod.exists(), "{} lists {version}", list.path().display());
        }
    }
}

#[test]
fn heat_from_the_log_decides_who_stays() {
    let env = GoEnv::new();
    let storage = storage(&env);
    let now = chrono::Utc::now().format("%d/%b/%Y:%H:%M:%S +0000");
    let line =
        format!("::1 - - [{now}] \"GET /github.com/google/uuid/@v/v1.6.0.zip HTTP/1.1\" 200 1\n");
    fs::write(env.dir().join("access.log"), line.repeat(50)).unwrap();
    let report = env
        .gocachevet()
        .args([
            "mirror",
            "list",
            "--verify",
            "off",
            "--format",
            "json",
            "--access-log",
            "access.log",
        ])
        .arg(&storage)
        .run()
        .expect_code(0)
        .json();
    let hottest = report["versions"].as_array().unwrap().last().unwrap();
    assert_eq!(hottest["module"], "github.com/google/uuid");
    assert_eq!(hottest["accesses"], 51);
}

/// What the jobs of a cache used counts as asked for, as its ledger has it.
#[test]
fn heat_from_a_cache_s_ledger_decides_who_stays() {
    let mut env = GoEnv::new();
    let storage = storage(&env);
    env.set("GOPROXY", format!("file://{}", storage.display()));
    let project = env.project(Project::Hello);
    let step = |args: &[&str]| {
        let run = env.gocachevet().dir(&project).args(args).run();
        run.expect_code(0);
    };
    for _ in 0..3 {
        step(&["mark"]);
        env.go(&project, ["build", "./..."]);
        step(&["check", "--verify=off", "--record"]);
    }
    let ledger = env.modcache.join("cache/gocachevet-ledger.json");
    let list = |ledger: &Path| {
        let run = env.gocachevet();
        let run = run.args([
            "mirror",
            "list",
            "--verify=off",
            "--format=json",
            "--ledger",
        ]);
        run.arg(ledger).arg(&storage).run()
    };
    let report = list(&ledger).expect_code(0).json();
    let accesses = |module: &str| {
        let versions = report["versions"].as_array().unwrap().iter();
        let mut known = versions.filter(|version| version["module"] == module);
        known.next_back().unwrap()["accesses"].as_u64().unwrap()
    };
    // Being stored counts as one, each job as another.
    assert_eq!(accesses("github.com/BurntSushi/toml"), 4, "{report:#}");
    assert_eq!(accesses("github.com/google/uuid"), 1, "{report:#}");
    let hottest = report["versions"].as_array().unwrap().last().unwrap();
    assert_eq!(hottest["accesses"], 4, "{report:#}");

    for (content, message) in [(None, "No such file"), (Some("{"), "is damaged")] {
        let file = env.dir().join("odd.json");
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        let run = list(&file).expect_code(3);
        assert!(run.stderr.contains(message), "{run}");
    }
}

#[test]
fn a_zip_that_is_not_what_go_sum_says_is_found() {
    let env = GoEnv::new();
    let storage = storage(&env);
    let project = env.project(Project::Hello);
    let list = || {
        env.gocachevet()
            .args(["mirror", "list", "--format", "json", "--project"])
            .arg(&project)
            .arg(&storage)
            .run()
    };
    let sound = list().expect_code(0).json();
    assert!(
        sound["verified"]["proven"].as_u64().unwrap() > 4,
        "{sound:#}"
    );
    // One whose path is its own escaped form.
    let plain = |text: &Value| {
        !text
            .as_str()
            .unwrap()
            .contains(|c: char| c.is_ascii_uppercase())
    };
    let mut versions = sound["versions"].as_array().unwrap().iter();
    let needed = versions
        .find(|version| version["needed"] == "version" && plain(&version["module"]))
        .unwrap();
    let module = needed["module"].as_str().unwrap();
    let at_v = storage.join(module).join("@v");
    let zip = at_v.join(format!("{}.zip", needed["version"].as_str().unwrap()));
    // A sound zip, but another module's.
    fs::copy(storage.join("github.com/google/uuid/@v/v1.6.0.zip"), &zip).unwrap();
    let report = list().expect_code(1).json();
    let finding = &report["findings"][0];
    assert_eq!(finding["rule"], "zip-invalid", "{report:#}");
    assert!(finding["subject"].as_str().unwrap().starts_with(module));
    // The go.mod of another version.
    fs::write(
        at_v.join(format!("{}.mod", needed["version"].as_str().unwrap())),
        "module evil\n",
    )
    .unwrap();
    let report = list().expect_code(1).json();
    assert!(
        report["findings"].to_string().contains("mod-hash-mismatch"),
        "{report:#}"
    );
}

#[test]
fn private_modules_stay_unless_forced() {
    let env = GoEnv::new();
    let storage = storage(&env);
    let trim = |more: &[&str]| {
        let run = env
            .gocachevet()
            .env("GOPRIVATE", "github.com/google")
            .args(["mirror", "trim"]);
        run.arg(&storage)
            .args(["--max-size", "1", "--format", "json"])
            .args(more)
            .run()
    };
    let removed = |report: &Value| {
        let mut versions = report["versions"].as_array().unwrap().iter();
        versions
            .find(|version| version["module"] == "github.com/google/uuid")
            .unwrap()["remove"]
            .clone()
    };
    assert_eq!(removed(&trim(&[]).expect_code(1).json()), Value::Null);
    assert_eq!(
        removed(&trim(&["--force"]).expect_code(0).json()),
        "version"
    );
}

#[cfg(not(feature = "remote"))]
#[test]
fn a_build_without_the_network_says_so() {
    let env = GoEnv::new();
    for args in [
        &["remote", "list", "--repo", "o/r"][..],
        &[
            "mirror",
            "list",
            "--artifactory",
            "https://x/artifactory",
            "--artifactory-repo",
            "go",
        ],
        &["check", "--remote", "o/r", "--modcache", "."],
    ] {
        let run = env.gocachevet().args(args).run().expect_code(2);
        assert!(run.stderr.contains("feature `remote`"), "{}", run.stderr);
    }
}
