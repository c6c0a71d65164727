//! The tests' own support works: what it claims is so.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use support::{
    GoEnv, MODULES, Project, Scratch, assert_untouched, build_cache, copy_tree, gocachevet,
    snapshot,
};

#[test]
fn each_project_builds_and_builds_again_offline() {
    for project in Project::ALL {
        let caches = build_cache(project);
        assert!(caches.modcache.join("cache/download").is_dir());
        assert!(caches.gocache.join("00").is_dir());
        caches.build_offline();
        // Nothing is compiled a second time, so there is nothing new in the
        // cache (Go does write some records again, with a new time in them).
        let names = || snapshot(&caches.gocache).into_keys().collect::<Vec<_>>();
        let before = names();
        caches.build_offline();
        assert_eq!(names(), before);
    }
}

#[test]
fn every_listed_module_can_be_downloaded_from_the_local_proxy() {
    let env = GoEnv::new();
    let names: Vec<&str> = MODULES.iter().map(|(module, _)| *module).collect();
    env.download(&names);
    for name in [
        "github.com/!burnt!sushi/toml/@v/v1.4.0.zip",
        "golang.org/x/exp/@v/list",
    ] {
        assert!(
            env.modcache.join("cache/download").join(name).is_file(),
            "{name}"
        );
    }
    // Extracted trees are read-only, as on a user's machine.
    let tree = env.modcache.join("github.com/pkg/errors@v0.9.1");
    assert_eq!(fs::metadata(tree).unwrap().permissions().mode() & 0o222, 0);
}

#[test]
fn the_checksum_database_answers_from_the_local_proxy() {
    let mut env = GoEnv::new();
    env.with_sumdb();
    env.download(&["github.com/pkg/errors@v0.9.1"]);
    let sumdb = env.modcache.join("cache/download/sumdb");
    let found = snapshot(&sumdb);
    let lookup = |path: &&PathBuf| path.ends_with("github.com/pkg/errors@v0.9.1");
    assert!(found.keys().any(|path| lookup(&path)), "{found:?}");
}

#[test]
#[should_panic(expected = "was touched")]
fn a_changed_time_is_noticed() {
    let scratch = Scratch::new();
    let file = scratch.path().join("a");
    fs::write(&file, "x").unwrap();
    let before = snapshot(scratch.path());
    let file = fs::File::options().write(true).open(file).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_untouched(&before, scratch.path());
}

#[test]
fn a_copy_keeps_times_modes_and_links() {
    let env = GoEnv::new();
    env.download(&["github.com/pkg/errors@v0.9.1"]);
    std::os::unix::fs::symlink("nowhere", env.modcache.join("link")).unwrap();
    let copy = env.dir().join("deep/copy");
    copy_tree(&env.modcache, &copy);
    let (mut old, mut new) = (snapshot(&env.modcache), snapshot(&copy));
    // A symlink's own time is the one thing that is not kept.
    assert_eq!(old.remove(Path::new("link")).unwrap().content, "nowhere");
    assert_eq!(new.remove(Path::new("link")).unwrap().content, "nowhere");
    assert_eq!(old, new);
}

#[test]
fn a_read_only_tree_goes_away() {
    let scratch = Scratch::new();
    let path = scratch.path().join("ro");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("file"), "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).unwrap();
    drop(scratch);
    assert!(!path.exists());
}

#[test]
fn the_binary_runs_without_this_machines_environment() {
    let run = gocachevet().arg("--version").run().expect_code(0);
    assert_eq!(run.stderr, "");
}
