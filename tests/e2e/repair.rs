//! What a repair removes, and that Go works again after it: no more than is
//! wrong, and all that would bring it back.

// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Caches, GoEnv, Project, Run, build_cache, copy_tree_fresh, std_cache};

const TOML: &str = "github.com/!burnt!sushi/toml";
const ID: &str = "github.com/BurntSushi/toml@v1.4.0";
const ERRORS: &str = "github.com/pkg/errors@v0.9.1";

fn tree(caches: &Caches) -> PathBuf {
    caches.modcache.join(format!("{TOML}@v1.4.0"))
}

fn piece(modcache: &Path, kind: &str) -> PathBuf {
    modcache.join(format!("cache/download/{TOML}/@v/v1.4.0.{kind}"))
}

/// The module cache beside an empty build cache: that one is not meant here, and
/// hashing the standard library takes its time.
fn gocachevet(caches: &Caches) -> support::Gocachevet {
    let empty = caches.env.dir().join("empty");
    fs::create_dir_all(&empty).unwrap();
    let gocachevet = caches.env.gocachevet().dir(&caches.project);
    gocachevet.env("GOCACHE", empty)
}

fn check(caches: &Caches) -> Run {
    gocachevet(caches).args(["check", "--format", "json"]).run()
}

fn trim(caches: &Caches, more: &[&str]) -> Run {
    let args = [&["trim", "--format", "json"], more].concat();
    gocachevet(caches).args(args).run()
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

/// Unit and subject of every removal.
fn removals(run: &Run) -> Vec<(String, String)> {
    let report = run.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut removals: Vec<(String, String)> = report["plan"]["removals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|removal| (text(&removal["unit"]), text(&removal["subject"])))
        .collect();
    removals.sort();
    removals
}

fn notes(run: &Run) -> String {
    run.json()["notes"].to_string()
}

fn writable(file: &Path) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
}

/// What the project prints, built from what the caches hold.
fn run_offline(caches: &Caches) -> String {
    let mut command = caches.env.command(&caches.project, ["run", "."]);
    let output = command.env("GOPROXY", "off").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Plants code in the tree and lets Go build it and index the tree anew.
fn plant(caches: &Caches) {
    support::make_writable(&tree(caches));
    let source = "package toml\n\nfunc init() { println(\"planted\") }\n";
    fs::write(tree(caches).join("planted.go"), source).unwrap();
    fs::remove_dir_all(&caches.gocache).unwrap();
    copy_tree_fresh(&std_cache(false), &caches.gocache);
    assert!(run_offline(caches).contains("planted"));
}

#[test]
fn of_an_edited_tree_beside_a_proven_zip_only_the_tree_goes() {
    let caches = build_cache(Project::Hello);
    plant(&caches);
    assert_eq!(
        findings(&check(&caches), "extracted-hash-mismatch").len(),
        1
    );
    let args = ["trim", "--repair", "--format", "json"];
    let whole = caches.env.gocachevet().dir(&caches.project).args(args);
    let run = whole.run().expect_code(0);
    let removals = removals(&run);
    // The index of the tree names `planted.go`; Go would look for it for ever.
    let units: Vec<&str> = removals.iter().map(|(unit, _)| unit.as_str()).collect();
    assert_eq!(units, ["action", "extracted"], "{run}");
    assert_eq!(removals[1].1, ID);
    assert!(!tree(&caches).exists());
    assert!(piece(&caches.modcache, "zip").exists() && piece(&caches.modcache, "ziphash").exists());
    assert!(!run_offline(&caches).contains("planted"));
    check(&caches).expect_code(0);
}

#[test]
fn so_it_does_where_files_are_missing_or_the_extraction_broke_off() {
    let caches = build_cache(Project::Hello);
    support::make_writable(&tree(&caches));
    fs::remove_file(tree(&caches).join("decode.go")).unwrap();
    check(&caches).expect_code(1);
    let run = trim(&caches, &["--repair"]).expect_code(0);
    assert!(
        removals(&run).contains(&("extracted".to_owned(), ID.to_owned())),
        "{run}"
    );
    caches.build_offline();
    check(&caches).expect_code(0);

    fs::write(piece(&caches.modcache, "partial"), "").unwrap();
    check(&caches).expect_code(1);
    let run = trim(&caches, &["--repair"]).expect_code(0);
    assert!(
        removals(&run).contains(&("residue".to_owned(), ID.to_owned())),
        "{run}"
    );
    assert!(piece(&caches.modcache, "zip").exists());
    caches.build_offline();
    check(&caches).expect_code(0);
}

#[test]
fn without_a_proof_of_the_zip_the_version_goes_whole() {
    let whole = [("version".to_owned(), ID.to_owned())];
    // The .ziphash sides with the tree.
    let caches = build_cache(Project::Hello);
    support::make_writable(&tree(&caches));
    fs::write(tree(&caches).join("planted.go"), "package toml\n").unwrap();
    let found = findings(&check(&caches), "extracted-hash-mismatch");
    let ziphash = piece(&caches.modcache, "ziphash");
    writable(&ziphash);
    fs::write(&ziphash, found[0]["actual"].as_str().unwrap()).unwrap();
    let run = trim(&caches, &["--repair"]).expect_code(0);
    assert_eq!(removals(&run), whole, "{run}");
    assert!(!piece(&caches.modcache, "zip").exists());
    caches.env.go(&caches.project, ["build", "./..."]);
    check(&caches).expect_code(0);

    // Only the .ziphash speaks for the zip.
    support::make_writable(&tree(&caches));
    fs::write(tree(&caches).join("planted.go"), "package toml\n").unwrap();
    let elsewhere = caches.env.dir().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let args = ["trim", "--repair", "--format", "json"];
    let run = gocachevet(&caches).dir(&elsewhere).args(args).run();
    assert_eq!(removals(&run), whole, "{run}");
}

/// A module cache for which Go asked the checksum database.
fn looked_up() -> GoEnv {
    let mut env = GoEnv::new();
    env.with_sumdb();
    env.download(&[ERRORS]);
    env
}

/// Lets Go look the version up again, with nothing but the database's files.
fn look_up(env: &GoEnv) -> std::process::Output {
    let download = env.modcache.join("cache/download/github.com/pkg/errors");
    support::make_writable(&download);
    let _ = fs::remove_dir_all(download);
    env.try_go(env.dir(), ["mod", "download", ERRORS])
}

#[test]
fn damaged_files_of_the_checksum_database_go() {
    let env = looked_up();
    let folder = env.modcache.join("cache/download/sumdb/sum.golang.org");
    let files: Vec<PathBuf> = walkdir::WalkDir::new(&folder)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file())
        .collect();
    let is_lookup = |path: &&PathBuf| path.starts_with(folder.join("lookup"));
    let lookup = files.iter().find(is_lookup).unwrap();
    let tile = files
        .iter()
        .find(|path| !is_lookup(path) && fs::metadata(path).unwrap().len() == 8192)
        .expect("Go cached a full tile");
    let check = || {
        let args = ["check", "--format", "json"];
        env.gocachevet().args(args).run()
    };
    for (file, cut) in [(lookup, false), (lookup, true), (tile, false), (tile, true)] {
        let whole = fs::read(file).unwrap();
        let mut damaged = whole.clone();
        match cut {
            true => damaged.truncate(100),
            false => damaged[100] ^= 1,
        }
        fs::write(file, damaged).unwrap();
        let fails = !look_up(&env).status.success();
        // A cut record may still have its first line; what counts is that the
        // files that Go fails at are those that are told.
        assert!(fails, "{}: Go did not need it", file.display());
        let denied = findings(&check().expect_code(1), "sumdb-mismatch");
        let help = denied[0]["help"].as_str().unwrap();
        assert!(help.contains("trim --repair"), "{help}");

        let args = ["trim", "--repair", "--format", "json"];
        let run = env.gocachevet().args(args).run().expect_code(0);
        let path = file.strip_prefix(&env.modcache).unwrap().to_str().unwrap();
        let gone = removals(&run);
        assert!(
            gone.contains(&("residue".to_owned(), path.to_owned())),
            "{run}"
        );
        assert!(findings(&run, "sumdb-mismatch").is_empty(), "{run}");
        let again = look_up(&env);
        assert!(again.status.success(), "{}: {again:?}", file.display());
        check().expect_code(0);
        // Where Go fetched a narrower tile instead.
        fs::write(file, whole).unwrap();
    }
}

#[test]
fn a_damaged_note_of_the_newest_tree_is_named_for_deletion() {
    let env = looked_up();
    let latest = env.gopath.join("pkg/sumdb/sum.golang.org/latest");
    fs::write(&latest, "garbage\n").unwrap();
    assert!(!look_up(&env).status.success());
    let args = ["check", "--format", "json"];
    let run = env.gocachevet().args(args).run().expect_code(1);
    let [finding] = &findings(&run, "sumdb-mismatch")[..] else {
        panic!("one finding in {run}")
    };
    // The advice, as printed.
    let help = finding["help"].as_str().unwrap();
    let command = help.split('`').nth(1).unwrap();
    assert!(command.starts_with("rm "), "{help}");
    let done = Command::new("sh").args(["-c", command]).status().unwrap();
    assert!(done.success() && !latest.exists());
    let again = look_up(&env);
    assert!(again.status.success(), "{again:?}");
    env.gocachevet().args(args).run().expect_code(0);
}

#[test]
fn a_list_with_another_name_elsewhere_is_not_written_to() {
    let env = GoEnv::new();
    env.download(&["golang.org/x/sync@v0.6.0", "golang.org/x/sync@v0.7.0"]);
    let list = env
        .modcache
        .join("cache/download/golang.org/x/sync/@v/list");
    let elsewhere = env.dir().join("elsewhere");
    fs::hard_link(&list, &elsewhere).unwrap();
    let project = env.dir().join("project");
    fs::create_dir(&project).unwrap();
    fs::write(
        project.join("go.mod"),
        "module example.com/p\n\ngo 1.21\n\nrequire golang.org/x/sync v0.7.0\n",
    )
    .unwrap();
    fs::write(
        project.join("main.go"),
        "package main\n\nimport _ \"golang.org/x/sync/errgroup\"\n\nfunc main() {}\n",
    )
    .unwrap();
    env.go(&project, ["mod", "tidy"]);
    let args = ["trim", "--unused", "--grace", "0", "--format", "json"];
    let run = env
        .gocachevet()
        .dir(&project)
        .args(args)
        .run()
        .expect_code(0);
    assert!(
        removals(&run)
            .iter()
            .any(|(_, subject)| subject.ends_with("v0.6.0")),
        "{run}"
    );
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "v0.6.0\nv0.7.0\n");
    assert_eq!(fs::read_to_string(&list).unwrap(), "v0.7.0\n");
    // One that is nobody else's is written in place, under Go's lock of it.
    env.download(&["golang.org/x/sync@v0.6.0"]);
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(&list);
    env.gocachevet()
        .dir(&project)
        .args(args)
        .run()
        .expect_code(0);
    assert_eq!(fs::read_to_string(&list).unwrap(), "v0.7.0\n");
    assert_eq!(inode(&list), before);
}

#[test]
fn pieces_that_go_can_use_are_made_whole_by_what_the_advice_says() {
    let caches = build_cache(Project::Hello);
    let follow = |finding: &serde_json::Value, offline: bool| {
        let help = finding["help"].as_str().unwrap();
        let command = help.split('`').nth(1).unwrap();
        let words = command.strip_prefix("go ").unwrap().split(' ');
        match offline {
            true => caches.env.go_offline(&caches.project, words),
            false => caches.env.go(&caches.project, words),
        };
    };
    fs::remove_file(piece(&caches.modcache, "ziphash")).unwrap();
    let run = check(&caches).expect_code(0);
    assert_eq!(run.json()["verdict"], "pass", "{run}");
    let orphans = findings(&run, "orphan-file");
    assert_eq!(orphans[0]["level"], "note", "{run}");
    assert!(removals(&trim(&caches, &["--grace", "0"])).is_empty());
    follow(&orphans[0], true);
    assert!(findings(&check(&caches), "orphan-file").is_empty());

    fs::remove_file(piece(&caches.modcache, "mod")).unwrap();
    let orphans = findings(&check(&caches), "orphan-file");
    assert_eq!(orphans[0]["level"], "note");
    let output = caches
        .env
        .command(&caches.project, ["build", "./..."])
        .env("GOPROXY", "off")
        .output();
    assert!(!output.unwrap().status.success());
    follow(&orphans[0], false);
    assert!(findings(&check(&caches), "orphan-file").is_empty());
    caches.build_offline();
}

#[test]
fn young_residue_is_said_to_be_kept_and_goes_when_asked() {
    let caches = build_cache(Project::Hello);
    fs::write(piece(&caches.modcache, "zip123456.tmp"), "half").unwrap();
    let run = trim(&caches, &[]).expect_code(0);
    assert!(removals(&run).is_empty(), "{run}");
    let [finding] = &findings(&run, "partial-download")[..] else {
        panic!("one finding in {run}")
    };
    assert!(
        finding["help"]
            .as_str()
            .unwrap()
            .contains("`gocachevet trim --grace 0s`")
    );
    assert!(notes(&run).contains("1 piece of residue stayed"), "{run}");
    let run = trim(&caches, &["--grace", "0"]).expect_code(0);
    assert!(findings(&run, "partial-download").is_empty(), "{run}");
    assert!(!notes(&run).contains("residue stayed"), "{run}");
    assert!(!piece(&caches.modcache, "zip123456.tmp").exists());

    // What a trim leaves of a version is not put down to a failed lookup.
    fs::write(tree(&caches).join("planted.go"), "package toml\n").unwrap_or_default();
    let mod_file = piece(&caches.modcache, "mod");
    fs::write(&mod_file, "module x\n").unwrap();
    trim(&caches, &["--repair"]).expect_code(0);
    let lock = findings(&check(&caches), "lone-lock");
    assert!(
        lock[0]["help"].as_str().unwrap().contains("a trim"),
        "{lock:?}"
    );
}
