//! Symbolic links in caches that the real `go` made: what Go would follow is
//! denied and nothing behind it is opened; what people link on purpose works.
//! And locks: whoever holds one hides nothing by it.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(target_os = "linux")]

use crate::support;

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::inotify;
use serde_json::Value;
use support::{
    Caches, GoEnv, Project, Run, assert_untouched, build_cache, make_writable, snapshot,
};
use walkdir::WalkDir;

/// A module that the project does not need.
const FOREIGN: &str = "github.com/google/uuid@v1.6.0";

const YAML: &str = "gopkg.in/yaml.v3@v3.0.1";
const YAML_AT_V: &str = "cache/download/gopkg.in/yaml.v3/@v";

fn check(caches: &Caches, args: &[&str]) -> Run {
    run(caches, "check", args)
}

fn run(caches: &Caches, command: &str, args: &[&str]) -> Run {
    caches
        .env
        .gocachevet()
        .args([command, "--format=json", "--no-project-config", "--quiet"])
        .args(["--project".as_ref(), caches.project.as_path()])
        .args(args)
        .run()
}

fn proven(report: &Value) -> u64 {
    report["verification"]["proven_by"]["go_sum"]
        .as_u64()
        .unwrap()
}

/// The findings of a rule.
fn findings<'a>(report: &'a Value, rule: &str) -> Vec<&'a Value> {
    let all = report["findings"].as_array().unwrap();
    all.iter().filter(|it| it["rule"] == rule).collect()
}

fn has_note(report: &Value, of: &Path, to: &Path) -> bool {
    let note = format!("{} is a link to {}", of.display(), to.display());
    report["notes"]
        .as_array()
        .unwrap()
        .iter()
        .any(|said| said == &note)
}

/// Sees every file and folder below a folder that anybody opens.
struct Watched(OwnedFd);

impl Watched {
    fn new(root: &Path) -> Self {
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        for entry in WalkDir::new(root) {
            let entry = entry.unwrap();
            if entry.file_type().is_dir() {
                inotify::add_watch(&watch, entry.path(), inotify::WatchFlags::OPEN).unwrap();
            }
        }
        let watched = Self(watch);
        // The walk itself has opened them.
        watched.opens();
        watched
    }

    /// How often since it was asked last.
    fn opens(&self) -> usize {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.0, &mut buffer);
        let mut count = 0;
        while events.next().is_ok() {
            count += 1;
        }
        count
    }
}

/// Moves something out of a cache and puts a link in its place; puts it back.
struct Moved {
    path: PathBuf,
    to: PathBuf,
}

impl Moved {
    fn new(path: PathBuf, outside: &Path) -> Self {
        let to = outside.join("moved");
        // A folder that is moved to another one has to be writable.
        make_writable(&path);
        fs::rename(&path, &to).unwrap();
        symlink(&to, &path).unwrap();
        Self { path, to }
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::rename(&self.to, &self.path);
    }
}

struct Kind {
    /// Below the cache.
    path: String,
    /// Versions that are proven nevertheless.
    proven: u64,
    /// Whether a build with warm caches goes through it.
    built: bool,
    /// What the message says Go would read.
    reads: &'static str,
}

#[track_caller]
fn assert_denied(caches: &Caches, root: &Path, kind: &Kind, outside: &Path, args: &[&str]) {
    let moved = Moved::new(root.join(&kind.path), outside);
    let watched = Watched::new(outside);
    let report = check(caches, args).expect_code(1).json();
    assert_eq!(watched.opens(), 0, "behind {}: {report:#}", kind.path);
    let links = findings(&report, "link-in-cache");
    assert_eq!(links.len(), 1, "{}: {report:#}", kind.path);
    let [link] = links[..] else { unreachable!() };
    assert_eq!(link["path"], moved.path.to_str().unwrap(), "{link}");
    assert_eq!(link["level"], "deny");
    let message = link["message"].as_str().unwrap();
    assert!(message.contains(moved.to.to_str().unwrap()), "{message}");
    assert!(message.contains(kind.reads), "{message}");
    assert_eq!(proven(&report), kind.proven, "{}: {report:#}", kind.path);
    if kind.built {
        caches.build_offline();
        assert!(watched.opens() > 0, "Go does not follow {}", kind.path);
    }
}

#[test]
fn every_link_that_go_would_follow_is_denied_and_not_followed() {
    let caches = build_cache(Project::Hello);
    caches.env.go(&caches.project, ["run", "."]);
    let outside = caches.env.dir().join("outside");
    fs::create_dir(&outside).unwrap();
    let whole = check(&caches, &["--verify=full"]).expect_code(0).json();
    assert_eq!(proven(&whole), 3, "{whole:#}");

    let empty = caches.env.dir().join("empty");
    fs::create_dir(&empty).unwrap();
    let none = format!("--gocache={}", empty.display());
    let args = ["--verify=full", &none];
    fs::write(caches.modcache.join("cache/lock"), "").unwrap();
    fs::create_dir_all(caches.modcache.join("cache/vcs")).unwrap();
    fs::create_dir_all(
        caches
            .modcache
            .join("cache/download/sumdb/sum.golang.org/lookup"),
    )
    .unwrap();
    let piece = |piece: &str| format!("{YAML_AT_V}/v3.0.1.{piece}");
    let kind = |path: &str, proven, built, reads| Kind {
        path: path.to_owned(),
        proven,
        built,
        reads,
    };
    for kind in [
        kind(YAML, 2, true, "the source of this version"),
        kind(&format!("{YAML}/yaml.go"), 2, true, "the module's source"),
        kind(
            "github.com/!burnt!sushi/toml@v1.4.0/internal",
            2,
            false,
            "the module's source",
        ),
        kind("gopkg.in", 2, true, "every extracted tree below it"),
        kind("github.com", 1, false, "every extracted tree below it"),
        kind(&piece("zip"), 2, false, "the version's .zip"),
        kind(&piece("mod"), 2, true, "the version's .mod"),
        kind(&piece("info"), 2, false, "the version's .info"),
        kind(&piece("ziphash"), 2, true, "the version's .ziphash"),
        kind(&piece("lock"), 2, false, "the version's .lock"),
        kind(
            &format!("{YAML_AT_V}/list"),
            3,
            false,
            "the list of versions",
        ),
        kind(YAML_AT_V, 2, true, "every downloaded piece of this module"),
        kind(
            "cache/download/gopkg.in",
            2,
            true,
            "every download below it",
        ),
        kind(
            "cache/download/github.com",
            1,
            false,
            "every download below it",
        ),
        kind("cache/download/sumdb", 3, false, "checksum database"),
        kind(
            "cache/download/sumdb/sum.golang.org/lookup",
            3,
            false,
            "checksum database",
        ),
        kind("cache/vcs", 3, false, "every version-control clone"),
        kind("cache/lock", 3, false, "the lock of the whole cache"),
    ] {
        if caches.modcache.join(&kind.path).symlink_metadata().is_ok() {
            assert_denied(&caches, &caches.modcache, &kind, &outside, &args);
        } else {
            // Go has not made it: at least these it has.
            assert!(kind.path.ends_with("list"), "{} is not there", kind.path);
        }
    }

    let none = format!("--modcache={}", empty.display());
    let args = ["--verify=full", &none];
    let below = |path: &Path| {
        let path = path.strip_prefix(&caches.gocache).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let entry = |wanted: &dyn Fn(&Path) -> bool| {
        let entries = WalkDir::new(&caches.gocache).min_depth(2).max_depth(2);
        let mut entries = entries.into_iter().map(|entry| entry.unwrap().into_path());
        entries.find(|path| wanted(path)).unwrap()
    };
    let ends = |path: &Path, suffix: &str| path.to_str().unwrap().ends_with(suffix);
    let executable = entry(&|path| ends(path, "-d") && path.is_dir());
    let inner = fs::read_dir(&executable).unwrap().next().unwrap().unwrap();
    for (path, reads) in [
        (entry(&|path| ends(path, "-a")), "the action entry"),
        (
            entry(&|path| ends(path, "-d") && path.is_file()),
            "the build output",
        ),
        (executable.clone(), "the build output"),
        (inner.path(), "the executable"),
        (executable.parent().unwrap().to_owned(), "build outputs"),
        (caches.gocache.join("trim.txt"), "when it last trimmed"),
    ] {
        let kind = Kind {
            path: below(&path),
            proven: 0,
            built: false,
            reads,
        };
        assert_denied(&caches, &caches.gocache, &kind, &outside, &args);
    }
    check(&caches, &["--verify=full"]).expect_code(0);
}

/// All shards of the build cache behind links: Go builds from what is there.
#[test]
fn go_follows_a_shard_that_is_a_link_and_check_does_not() {
    let caches = build_cache(Project::Hello);
    let outside = caches.env.dir().join("outside");
    fs::create_dir(&outside).unwrap();
    for shard in 0..256 {
        let name = format!("{shard:02x}");
        fs::rename(caches.gocache.join(&name), outside.join(&name)).unwrap();
        symlink(outside.join(&name), caches.gocache.join(&name)).unwrap();
    }
    let watched = Watched::new(&outside);
    caches.build_offline();
    assert!(watched.opens() > 0);
    let report = check(&caches, &["--verify=full"]).expect_code(1).json();
    assert_eq!(watched.opens(), 0);
    assert_eq!(findings(&report, "link-in-cache").len(), 256);
    assert_eq!(report["buildcache"]["outputs"], 0);
    // Neither does a mark set times behind them, nor does a trim remove there.
    let before = snapshot(&outside);
    let state = caches.env.dir().join("state");
    let args = ["mark", "--quiet", "--state"];
    caches.env.gocachevet().args(args).arg(&state).run();
    run(&caches, "trim", &["--unused", "--grace=0", "--repair"]);
    assert_untouched(&before, &outside);
}

/// Code that was planted behind a link runs, and the other copy, which is
/// sound, does not vouch for it; nor does it matter that the link leads to
/// another place of the same cache.
#[test]
fn planted_code_behind_a_link_runs_and_is_denied() {
    for back_into_the_cache in [false, true] {
        let caches = build_cache(Project::Hello);
        let tree = caches.modcache.join("github.com/cespare/xxhash/v2@v2.3.0");
        let place = match back_into_the_cache {
            true => caches.modcache.join("github.com/cespare/xxhash"),
            false => caches.env.dir().join("outside"),
        };
        fs::create_dir_all(&place).unwrap();
        let planted = place.join("v9@v9.9.9");
        make_writable(&tree);
        fs::rename(&tree, &planted).unwrap();
        symlink(&planted, &tree).unwrap();
        let source = planted.join("xxhash.go");
        let mut text = fs::read_to_string(&source).unwrap();
        text.push_str("\nfunc init() { println(\"planted\") }\n");
        let _ = fs::remove_file(&source);
        fs::write(&source, text).unwrap();
        let ran = caches.env.try_go(&caches.project, ["run", "."]);
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(said.contains("planted"), "{said}");

        let report = check(&caches, &["--verify=full"]).expect_code(1).json();
        let links = findings(&report, "link-in-cache");
        assert_eq!(links.len(), 1, "{report:#}");
        assert_eq!(links[0]["subject"], "github.com/cespare/xxhash/v2@v2.3.0");
        assert_eq!(proven(&report), 2, "the zip proves nothing: {report:#}");

        // The link goes, what it leads to does not, and the sound zip heals.
        run(&caches, "trim", &["--repair"]);
        assert!(tree.symlink_metadata().is_err());
        // In the cache it is a tree that nothing vouches for.
        assert_eq!(source.exists(), !back_into_the_cache);
        let ran = caches.env.go_offline(&caches.project, ["run", "."]);
        assert!(ran.contains("hello"), "{ran}");
        assert!(
            !fs::read_to_string(tree.join("xxhash.go"))
                .unwrap()
                .contains("planted")
        );
        if !back_into_the_cache {
            let report = check(&caches, &["--verify=full"]).expect_code(0).json();
            assert_eq!(proven(&report), 3);
        }
    }
}

#[test]
fn a_repair_removes_links_everywhere_and_builds_go_on() {
    let caches = build_cache(Project::Hello);
    let outside = caches.env.dir().join("outside");
    fs::create_dir(&outside).unwrap();
    let shard = fs::read_dir(&caches.gocache).unwrap();
    let shard = shard.map(|entry| entry.unwrap().path());
    let shard = shard
        .filter(|path| path.is_dir())
        .max_by_key(|path| fs::read_dir(path).unwrap().count())
        .unwrap();
    let links = [
        caches.modcache.join("github.com/cespare"),
        caches.modcache.join("cache/download/github.com/cespare"),
        caches.modcache.join(format!("{YAML_AT_V}/v3.0.1.zip")),
        shard,
    ];
    for (number, link) in links.iter().enumerate() {
        let to = outside.join(number.to_string());
        make_writable(link);
        fs::rename(link, &to).unwrap();
        symlink(&to, link).unwrap();
    }
    // Go makes trees read-only: the link in one has to go all the same.
    let tree = caches.modcache.join("github.com/!burnt!sushi/toml@v1.4.0");
    make_writable(&tree);
    fs::rename(tree.join("decode.go"), outside.join("decode.go")).unwrap();
    symlink(outside.join("decode.go"), tree.join("decode.go")).unwrap();
    let before = snapshot(&outside);
    let report = check(&caches, &["--verify=full"]).expect_code(1).json();
    assert_eq!(findings(&report, "link-in-cache").len(), 5, "{report:#}");
    let dry = run(&caches, "trim", &["--repair", "--dry-run"]);
    assert!(dry.stdout.contains("github.com/cespare"), "{dry}");
    assert!(links[0].symlink_metadata().unwrap().is_symlink());

    let trimmed = run(&caches, "trim", &["--repair"]).expect_code(0);
    assert_untouched(&before, &outside);
    for link in links.iter().chain([&tree]) {
        assert!(link.symlink_metadata().is_err(), "{trimmed}");
    }
    caches.env.go(&caches.project, ["build", "./..."]);
    let report = check(&caches, &["--verify=full"]).expect_code(0).json();
    assert_eq!(proven(&report), 3, "{report:#}");
}

/// The set-ups that people use: the cache, its `cache`, its `cache/download`,
/// and all of them, on another disk.
#[test]
fn linked_roots_and_downloads_work_as_if_they_were_not() {
    for parts in [&["cache/download"][..], &["cache/download", "cache", ""]] {
        let mut env = GoEnv::new();
        env.with_sumdb().with_std();
        let project = env.project(Project::Hello);
        env.go(&project, ["mod", "download"]);
        env.go(&project, ["build", "-o", "/dev/null", "."]);
        env.set("GOSUMDB", "off").download(&[FOREIGN]);
        let caches = Caches {
            modcache: env.modcache.clone(),
            gocache: env.gocache.clone(),
            project,
            kind: Project::Hello,
            env,
        };
        let straight = check(&caches, &["--verify=full"]).expect_code(0).json();
        let far = caches.env.dir().join("far");
        fs::create_dir(&far).unwrap();
        let far = far.canonicalize().unwrap();
        let mut moved = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let place = match part.is_empty() {
                true => caches.modcache.clone(),
                false => caches.modcache.join(part),
            };
            let to = far.join(number.to_string());
            fs::rename(&place, &to).unwrap();
            symlink(&to, &place).unwrap();
            moved.push((place, to));
        }
        let report = check(&caches, &["--verify=full"]).expect_code(0).json();
        for part in ["modcache", "verification"] {
            for field in [
                "bytes",
                "versions",
                "download_bytes",
                "bytes_proven",
                "proven_by",
            ] {
                assert_eq!(
                    report[part][field], straight[part][field],
                    "{parts:?} {field}"
                );
            }
        }
        assert_eq!(report["findings"], straight["findings"], "{parts:?}");
        for (place, to) in &moved {
            assert!(has_note(&report, place, to), "{parts:?}: {report:#}");
        }

        let list = caches
            .env
            .gocachevet()
            .args(["list", "--format=json"])
            .run();
        assert!(list.expect_code(0).stdout.contains("gopkg.in/yaml.v3"));
        let bundle = caches.env.dir().join("bundle.tar");
        let packed = caches.env.gocachevet().args(["pack", "-o"]).arg(&bundle);
        let packed = packed.args(["--project".as_ref(), caches.project.as_path()]);
        packed.run().expect_code(0);
        let state = caches.env.dir().join("state");
        let state = format!("--state={}", state.display());
        let marked = caches.env.gocachevet().args(["mark", &state]).run();
        marked.expect_code(0);

        // The ledger lies where `cache` really is, and nowhere else.
        check(&caches, &["--record", &state]).expect_code(0);
        let ledger = caches.modcache.join("cache/gocachevet-ledger.json");
        assert!(ledger.canonicalize().is_ok(), "{parts:?}");
        let ledgers = WalkDir::new(caches.env.dir()).into_iter().flatten();
        let ledgers = ledgers.filter(|it| it.file_name() == "gocachevet-ledger.json");
        assert_eq!(ledgers.count(), 1, "{parts:?}");

        // A trim removes behind the links and leaves them.
        let uuid = caches.modcache.join("github.com/google/uuid@v1.6.0");
        let zip = caches
            .modcache
            .join("cache/download/github.com/google/uuid/@v/v1.6.0.zip");
        assert!(uuid.exists() && zip.exists());
        run(&caches, "trim", &["--unused", "--grace=0"]).expect_code(0);
        assert!(!uuid.exists() && !zip.exists(), "{parts:?}");
        caches.build_offline();
        check(&caches, &["--verify=full"]).expect_code(0);
        // What else lies where a link leads is nobody's business here.
        let album = moved[0].1.join("album");
        fs::create_dir_all(album.join("empty")).unwrap();
        fs::write(album.join("photo"), "precious").unwrap();
        let precious = snapshot(&album);
        run(&caches, "trim", &["--all", "--force"]).expect_code(0);
        assert_untouched(&precious, &album);
        fs::remove_dir_all(&album).unwrap();
        for (place, to) in &moved {
            assert!(place.symlink_metadata().unwrap().is_symlink(), "{parts:?}");
            assert!(to.is_dir(), "{parts:?}");
        }
        let left = WalkDir::new(&far).into_iter().flatten();
        let left = left.filter(|entry| entry.file_name().to_str().unwrap().ends_with(".zip"));
        assert_eq!(left.count(), 0, "{parts:?}");
        caches.env.go(&caches.project, ["build", "./..."]);
        check(&caches, &["--verify=full"]).expect_code(0);
    }
}

/// A `cache` that leads back into the cache, or nowhere, is no such set-up; and
/// no ledger is written through it.
#[test]
fn a_cache_folder_that_leads_back_is_denied() {
    let caches = build_cache(Project::Hello);
    let cache = caches.modcache.join("cache");
    let inside = caches.modcache.join("inside");
    fs::rename(&cache, &inside).unwrap();
    symlink("inside", &cache).unwrap();
    caches.build_offline();
    let before = snapshot(&caches.modcache);
    let report = check(&caches, &["--verify=full", "--record"]);
    let report = report.expect_code(1).json();
    assert_untouched(&before, &caches.modcache);
    assert_eq!(findings(&report, "link-in-cache").len(), 1, "{report:#}");
    assert_eq!(proven(&report), 0, "{report:#}");

    fs::remove_file(&cache).unwrap();
    symlink("nowhere", &cache).unwrap();
    let report = check(&caches, &["--verify=full"]).expect_code(1).json();
    assert_eq!(findings(&report, "link-in-cache").len(), 1, "{report:#}");
    assert_eq!(proven(&report), 0, "{report:#}");
}

/// Nor is a home folder emptied because a cache links to it.
#[test]
fn a_download_folder_that_is_the_home_is_refused() {
    let env = GoEnv::new();
    fs::create_dir_all(env.modcache.join("cache")).unwrap();
    fs::write(env.modcache.join("cache/lock"), "").unwrap();
    symlink(&env.home, env.modcache.join("cache/download")).unwrap();
    let args = ["trim", "--all", "--force"];
    let trimmed = env.gocachevet().args(args).run().expect_code(3);
    assert!(trimmed.stderr.contains("home folder"), "{trimmed}");
}

/// A trim never takes a part of the module cache that lies in the build cache.
#[test]
fn a_download_folder_in_the_build_cache_is_refused() {
    let caches = build_cache(Project::Hello);
    let to = caches.gocache.join("download");
    let download = caches.modcache.join("cache/download");
    fs::rename(&download, &to).unwrap();
    symlink(&to, &download).unwrap();
    let trimmed = run(&caches, "trim", &["--all", "--force"]).expect_code(3);
    assert!(
        trimmed.stderr.contains("lies in the other cache"),
        "{trimmed}"
    );
    caches.build_offline();
}

/// Takes a version's lock as anybody can, for reading.
fn hold(caches: &Caches, at_v: &str, version: &str) -> fs::File {
    let lock = caches.modcache.join(at_v).join(format!("{version}.lock"));
    let held = fs::File::open(lock).unwrap();
    held.lock_shared().unwrap();
    held
}

#[test]
fn a_held_lock_hides_no_tampering() {
    let caches = build_cache(Project::Hello);
    let held = hold(&caches, YAML_AT_V, "v3.0.1");
    check(&caches, &["--verify=full"]).expect_code(0);
    // The tree, from which the build goes on undisturbed.
    let victim = caches.modcache.join(YAML).join("yaml.go");
    make_writable(&caches.modcache.join(YAML));
    let mut text = fs::read_to_string(&victim).unwrap();
    text.push_str("\nfunc init() { println(\"planted\") }\n");
    let _ = fs::remove_file(&victim);
    fs::write(&victim, text).unwrap();
    let ran = caches.env.try_go(&caches.project, ["run", "."]);
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(said.contains("planted"), "{said}");
    let report = check(&caches, &["--verify=full"]).expect_code(1).json();
    let found = findings(&report, "extracted-hash-mismatch");
    assert_eq!(found.len(), 1, "{report:#}");
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("holds the version's lock"), "{message}");
    assert_eq!(proven(&report), 2, "{report:#}");

    // The zip, beside a tree that is gone.
    let tree = caches.modcache.join(YAML);
    fs::remove_dir_all(&tree).unwrap();
    let zip = caches.modcache.join(YAML_AT_V).join("v3.0.1.zip");
    let other = "cache/download/github.com/cespare/xxhash/v2/@v/v2.3.0.zip";
    let _ = fs::remove_file(&zip);
    fs::copy(caches.modcache.join(other), &zip).unwrap();
    let report = check(&caches, &["--verify=full"]).expect_code(1).json();
    assert_eq!(proven(&report), 2, "{report:#}");
    let all = report["findings"].as_array().unwrap();
    let denied = all.iter().filter(|it| it["level"] == "deny").count();
    assert!(denied > 0, "{report:#}");
    drop(held);
}

#[test]
fn what_a_download_explains_is_excused_while_the_lock_is_held() {
    let caches = build_cache(Project::Hello);
    let at_v = caches.modcache.join(YAML_AT_V);
    let tree = caches.modcache.join(YAML);
    make_writable(&tree);
    fs::remove_file(tree.join("yaml.go")).unwrap();
    fs::write(at_v.join("v3.0.1.partial"), "").unwrap();
    let report = check(&caches, &["--verify=full"]).expect_code(1).json();
    assert_eq!(findings(&report, "extracted-incomplete").len(), 1);
    let held = hold(&caches, YAML_AT_V, "v3.0.1");
    let report = check(&caches, &["--verify=full"]).expect_code(0).json();
    let notes = report["notes"].to_string();
    assert!(notes.contains("1 module version was not judged"), "{notes}");

    // Of what broken downloads left only the newest can be the one going on.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    for (name, time) in [("1", Some(old)), ("2", None)] {
        let file = fs::File::create(at_v.join(format!("v3.0.1.zip{name}.tmp"))).unwrap();
        if let Some(time) = time {
            file.set_modified(time).unwrap();
        }
    }
    let report = check(&caches, &["--verify=full"]).expect_code(0).json();
    let left = findings(&report, "partial-download");
    assert_eq!(left.len(), 1, "{report:#}");
    assert!(left[0]["path"].as_str().unwrap().ends_with("zip1.tmp"));
    drop(held);
    let report = check(&caches, &["--verify=full"]).expect_code(1).json();
    assert_eq!(findings(&report, "partial-download").len(), 2, "{report:#}");
}

/// A download that ends while it is waited for is seen as it is then.
#[test]
fn a_download_that_ends_soon_is_waited_for() {
    let caches = build_cache(Project::Hello);
    let at_v = caches.modcache.join(YAML_AT_V);
    let partial = at_v.join("v3.0.1.partial");
    fs::write(&partial, "").unwrap();
    let held = hold(&caches, YAML_AT_V, "v3.0.1");
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(700));
            fs::remove_file(&partial).unwrap();
            drop(held);
        });
        check(&caches, &["--verify=full"]).expect_code(0).json()
    });
    assert_eq!(support::complaints(&report), [Value::Null; 0], "{report:#}");
    assert_eq!(proven(&report), 3, "{report:#}");
}
