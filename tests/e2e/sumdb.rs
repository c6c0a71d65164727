//! Proof from checksum-database files that the real `go` command cached.

// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gocachevet::tested::formats::ModuleVersion;
use gocachevet::tested::sumdb::GoSumdb;
use gocachevet::tested::sumdb::{Database, HeadStanding, Standpoint, examine};
use gocachevet::tested::sumdb::{Files, Listing, SumdbFolder};
use gocachevet::tested::sumdb::{RecordProof, Sumdb};
use support::{GoEnv, MODULES};

const ERRORS: &str = "github.com/pkg/errors@v0.9.1";

/// A module cache for which Go asked the checksum database about `modules`.
fn looked_up(modules: &[&str]) -> GoEnv {
    let mut env = GoEnv::new();
    env.with_sumdb();
    env.download(modules);
    env
}

fn setting() -> GoSumdb {
    GoSumdb::parse("sum.golang.org").unwrap()
}

#[test]
fn what_go_cached_is_proven() {
    let modules: Vec<&str> = MODULES.iter().map(|(module, _)| *module).collect();
    let env = looked_up(&modules);
    let download = env.modcache.join("cache/download");
    let latest = env.gopath.join("pkg/sumdb");
    let folder = download.join("sumdb");
    let opened = gocachevet::tested::Folder::open(&folder);
    let sumdb = Sumdb::open(folder, opened, Some(&latest), &setting());
    assert_eq!(sumdb.findings().count(), 0);
    for (module, h1) in MODULES {
        let id: ModuleVersion = module.parse().unwrap();
        let RecordProof::Proven(sums) = sumdb.check(&id, Some(h1.parse().unwrap()), None) else {
            panic!("{module}: {:?}", sumdb.check(&id, None, None))
        };
        assert!(sums.go_mod.is_some());
    }
    let [database] = sumdb.databases() else {
        panic!("one database")
    };
    assert!(database.heads.len() > 1);
    let linked = |standing: &HeadStanding| {
        matches!(standing, HeadStanding::Newest | HeadStanding::Consistent)
    };
    assert!(
        database.heads.iter().all(|head| linked(&head.standing)),
        "{:?}",
        database.heads
    );
}

/// Files in memory, one of which can be changed.
struct Changed {
    files: BTreeMap<String, Vec<u8>>,
}

impl Files for Changed {
    fn list(&self) -> Listing {
        let sizes = self.files.iter();
        Listing {
            files: sizes
                .map(|(name, bytes)| (name.clone(), bytes.len() as u64))
                .collect(),
            ..Listing::default()
        }
    }

    fn read(&self, file: &str, limit: usize) -> std::io::Result<Option<Vec<u8>>> {
        let bytes = self.files.get(file);
        Ok(bytes.map(|bytes| bytes[..bytes.len().min(limit + 1)].to_vec()))
    }
}

impl Changed {
    fn examine(&self) -> Database {
        let GoSumdb::Use(database) = setting() else {
            panic!("off")
        };
        examine(self, Path::new("db"), &[], &database.verifier)
    }
}

/// Every byte of the record and its signed note, and every hash of every tile
/// that Go cached for one look-up.
#[test]
fn any_change_of_a_real_proof_is_refused() {
    let env = looked_up(&[ERRORS]);
    let folder = env.modcache.join("cache/download/sumdb/sum.golang.org");
    let folder = SumdbFolder(gocachevet::tested::Folder::open(&folder));
    let mut proof = Changed {
        files: BTreeMap::new(),
    };
    for (file, bytes) in folder.list().files {
        let limit = usize::try_from(bytes).unwrap();
        let content = folder.read(&file, limit).unwrap().unwrap();
        proof.files.insert(file, content);
    }
    let id: ModuleVersion = ERRORS.parse().unwrap();
    let whole = proof.examine();
    assert!(matches!(whole.records[&id], Standpoint::Proven(_)));
    assert!(whole.findings.is_empty());

    let names: Vec<String> = proof.files.keys().cloned().collect();
    let mut changes = 0;
    for name in names {
        let is_record = name.starts_with("lookup/");
        // In a tile the hashes are what counts; the byte moves from one to the next.
        let step = if is_record { 1 } else { 33 };
        for at in (0..proof.files[&name].len()).step_by(step) {
            proof.files.get_mut(&name).unwrap()[at] ^= 0x04;
            let database = proof.examine();
            let proven = matches!(database.records.get(&id), Some(Standpoint::Proven(_)));
            // A tile may be cached in two widths, of which a proof needs one:
            // then the version may stay proven, but the change is not missed.
            let told = database.findings.iter().any(|f| {
                f.message.contains(&name)
                    || f.path.as_deref().is_some_and(|path| path.ends_with(&name))
            });
            assert!(!proven || !is_record, "{name} at {at}: still proven");
            assert!(told || !proven, "{name} at {at}: not noticed");
            proof.files.get_mut(&name).unwrap()[at] ^= 0x04;
            changes += 1;
        }
    }
    assert!(changes > 1000, "{changes}");
}

fn rules(report: &serde_json::Value, rule: &str) -> Vec<serde_json::Value> {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .filter(|finding| finding["rule"] == rule)
        .cloned()
        .collect()
}

#[test]
fn check_counts_what_the_database_proves() {
    let env = looked_up(&[ERRORS, "golang.org/x/sync@v0.7.0"]);
    let run = env
        .gocachevet()
        .args(["check", "--format", "json"])
        .run()
        .expect_code(0);
    let report = run.json();
    assert_eq!(report["verification"]["proven_by"]["sumdb"], 2, "{run}");
    assert_eq!(report["verification"]["proven_by"]["ziphash"], 0);
    assert!(rules(&report, "sumdb-unproven").is_empty());

    // Without its record there is nothing to prove it by, and no harm done.
    let lookup = env
        .modcache
        .join("cache/download/sumdb/sum.golang.org/lookup");
    fs::remove_file(lookup.join(ERRORS)).unwrap();
    let check = || env.gocachevet().args(["check", "--format", "json"]);
    let report = check().run().expect_code(0).json();
    let proven_by = &report["verification"]["proven_by"];
    assert_eq!(
        (&proven_by["sumdb"], &proven_by["ziphash"]),
        (&1.into(), &1.into())
    );
    let [unproven] = &rules(&report, "sumdb-unproven")[..] else {
        panic!("one finding")
    };
    assert_eq!(unproven["subject"], "1 version");
    assert_eq!(unproven["level"], "note");

    // Nor is a record missed where Go is told not to ask, or never asked.
    let private = check().env("GOPRIVATE", "github.com/pkg").run().json();
    assert!(rules(&private, "sumdb-unproven").is_empty());
    fs::remove_dir_all(lookup).unwrap();
    assert!(rules(&check().run().json(), "sumdb-unproven").is_empty());
}

#[test]
fn an_edited_go_sum_is_found() {
    let env = looked_up(&[ERRORS]);
    let project = env.dir().join("project");
    fs::create_dir(&project).unwrap();
    fs::write(project.join("go.mod"), "module example.com/p\n\ngo 1.21\n").unwrap();
    let other = MODULES[0].1;
    fs::write(
        project.join("go.sum"),
        format!("github.com/pkg/errors v0.9.1/go.mod {other}\n"),
    )
    .unwrap();
    let run = env
        .gocachevet()
        .dir(&project)
        .args(["check", "--format", "json"])
        .run()
        .expect_code(1);
    let [finding] = &rules(&run.json(), "sumdb-mismatch")[..] else {
        panic!("{run}")
    };
    assert_eq!(finding["subject"], ERRORS);
    assert_eq!(finding["actual"], other);
    assert!(
        finding["message"]
            .as_str()
            .unwrap()
            .contains("go.sum was edited")
    );
}

#[test]
fn a_poisoned_cache_is_found_without_any_go_sum() {
    let env = looked_up(&[ERRORS]);
    let at_v = env.modcache.join("cache/download/github.com/pkg/errors/@v");
    let overwrite = |file: PathBuf, content: &str| {
        fs::remove_file(&file).unwrap();
        fs::write(file, content).unwrap();
    };
    let go_mod = fs::read_to_string(at_v.join("v0.9.1.mod")).unwrap();
    overwrite(
        at_v.join("v0.9.1.mod"),
        "module github.com/pkg/errors\n\ngo 1.99\n",
    );
    let run = env
        .gocachevet()
        .args(["check", "--format", "json"])
        .run()
        .expect_code(1);
    let [finding] = &rules(&run.json(), "sumdb-mismatch")[..] else {
        panic!("{run}")
    };
    assert!(finding["path"].as_str().unwrap().ends_with("v0.9.1.mod"));
    overwrite(at_v.join("v0.9.1.mod"), &go_mod);
    env.gocachevet().run().expect_code(0);

    // Another module's zip with its own, fitting .ziphash.
    overwrite(at_v.join("v0.9.1.ziphash"), MODULES[0].1);
    let run = env
        .gocachevet()
        .args(["check", "--format", "json"])
        .run()
        .expect_code(1);
    assert_eq!(rules(&run.json(), "sumdb-mismatch").len(), 1, "{run}");
}

#[test]
fn a_damaged_tile_is_named() {
    let env = looked_up(&[ERRORS]);
    let tiles = env
        .modcache
        .join("cache/download/sumdb/sum.golang.org/tile/8/0");
    let full = walkdir::WalkDir::new(tiles).into_iter().map(Result::unwrap);
    let full = full.filter(|entry| entry.file_type().is_file());
    let tile = full
        .map(walkdir::DirEntry::into_path)
        .find(|path| fs::metadata(path).unwrap().len() == 8192);
    let tile = tile.expect("Go cached a full tile");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[100] ^= 1;
    fs::write(&tile, bytes).unwrap();
    let run = env
        .gocachevet()
        .args(["check", "--format", "json"])
        .run()
        .expect_code(1);
    let [finding] = &rules(&run.json(), "sumdb-mismatch")[..] else {
        panic!("{run}")
    };
    assert_eq!(finding["path"], tile.to_str().unwrap());
}
