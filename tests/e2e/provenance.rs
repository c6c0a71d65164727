//! `gocachevet list --why` for entries of a build cache that real `go` filled.

// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use support::{Project, Run, build_cache, gocachevet};

fn why(gocache: &Path, text: &str) -> Run {
    let run = gocachevet()
        .env("HOME", "/none")
        .env("GOENV", "off")
        .env("GOCACHE", gocache);
    run.args(["list", "--format", "json", "--why", text]).run()
}

/// Every output of a build cache.
fn outputs(gocache: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(gocache)
        .min_depth(2)
        .max_depth(2)
        .into_iter();
    let paths = files.map(|entry| entry.unwrap().into_path());
    paths
        .filter(|path| path.to_str().unwrap().ends_with("-d"))
        .collect()
}

#[test]
fn a_build_output_tells_where_it_comes_from() {
    let caches = build_cache(Project::Hello);
    caches.env.go_offline(&caches.project, ["test", "./..."]);
    let said = caches.env.go(&caches.project, ["list", "-m"]);
    let main = said.trim();
    let content = |path: &PathBuf| fs::read(path).unwrap_or_default();
    let holds = |path: &&PathBuf, text: &str| {
        content(path)
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    let all = outputs(&caches.gocache);
    let archive = all.iter().find(|path| {
        content(path).starts_with(b"!<arch>") && holds(path, "go:cuinfo.producer.github.com/")
    });
    let archive = archive.expect("a compiled dependency");

    let run = why(&caches.gocache, archive.to_str().unwrap()).expect_code(0);
    let found = run.json();
    assert_eq!(found["kind"], "package");
    assert_eq!(found["intact"], true);
    assert!(
        found["details"][0]
            .as_str()
            .unwrap()
            .starts_with("import path github.com/"),
        "{run}"
    );
    let actions = found["actions"].as_array().unwrap();
    assert!(
        actions.iter().any(|action| action["compiled_it"] == true),
        "{run}"
    );

    // By its ID and by its action's it is the same.
    let by_id = why(&caches.gocache, found["id"].as_str().unwrap());
    let by_action = why(&caches.gocache, actions[0]["id"].as_str().unwrap());
    assert_eq!(by_id.json()["path"], found["path"]);
    assert_eq!(by_action.json()["path"], found["path"]);

    let result = all
        .iter()
        .find(|path| path.is_file() && holds(path, &format!("ok  \t{main}")))
        .expect("a test result of the project");
    let found = why(&caches.gocache, result.to_str().unwrap()).json();
    assert_eq!(found["kind"], "test result");
    assert!(
        found["details"][0]
            .as_str()
            .unwrap()
            .starts_with(&format!("of package {main}"))
    );

    // One byte changed: no longer what its name says.
    let mut bytes = content(archive);
    *bytes.last_mut().unwrap() ^= 1;
    fs::set_permissions(archive, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(archive, bytes).unwrap();
    let found = why(&caches.gocache, archive.to_str().unwrap()).json();
    assert_eq!(found["intact"], false);
    assert_ne!(found["sha256"], found["id"]);

    let unknown = why(&caches.gocache, &"0".repeat(64)).expect_code(2);
    assert!(unknown.stderr.contains("no output"), "{unknown}");
}
