mod vectors;

use std::path::Path;

use super::database::{Database, HeadStanding, Standpoint, examine};
use super::testing::{Log, MemoryFiles, h1, module};
use super::*;
use crate::findings::Level;

fn open(log: &Log, files: &MemoryFiles) -> Database {
    examine(files, Path::new("db"), &[], &log.signer().verifier())
}

fn proven(database: &Database, id: u64) -> bool {
    matches!(
        database.records.get(&module(id)),
        Some(Standpoint::Proven(_))
    )
}

/// What a person reads of a database: heads, records that are not proven, findings.
fn summary(database: &Database) -> String {
    let mut lines = Vec::new();
    for head in &database.heads {
        let standing = match &head.standing {
            HeadStanding::Forked { with, .. } => format!("forked from {}", with.size),
            HeadStanding::Unlinked { missing } => format!("unlinked, lacks {missing}"),
            other => format!("{other:?}").to_lowercase(),
        };
        lines.push(format!("head {}: {standing}", head.tree.size));
    }
    let mut records: Vec<_> = database.records.iter().collect();
    records.sort_by_key(|(module, _)| *module);
    for (module, standpoint) in records {
        let state = match standpoint {
            Standpoint::Proven(_) => "proven".to_owned(),
            Standpoint::MissingTile(tile) => format!("lacks {tile}"),
            Standpoint::Contradicted(damage) => {
                format!("{} ({})", damage.message, damage.files.join(", "))
            }
        };
        lines.push(format!("{}: {state}", module.version));
    }
    for finding in &database.findings {
        lines.push(format!(
            "{} {}: {}",
            finding.rule, finding.subject, finding.message
        ));
    }
    lines.join("\n")
}

#[test]
fn records_of_trees_of_all_shapes_are_proven() {
    for size in [1, 2, 3, 255, 256, 257, 511, 512, 700] {
        let log = Log::new("sum.example.org", 1, size);
        for id in [0, size / 2, size - 1] {
            let mut files = MemoryFiles::new();
            log.look_up(&mut files, id, size);
            let database = open(&log, &files);
            assert!(
                proven(&database, id),
                "{id} of {size}: {}",
                summary(&database)
            );
            assert_eq!(database.findings, [], "{id} of {size}");
        }
    }
}

#[test]
fn trees_of_three_levels_are_proven() {
    let size = 256 * 256 + 256 + 3;
    let log = Log::new("sum.example.org", 1, size);
    let mut files = MemoryFiles::new();
    for id in [0, 70, 65535, 65536, size - 1] {
        log.look_up(&mut files, id, size);
    }
    let database = open(&log, &files);
    assert_eq!(database.findings, []);
    assert_eq!(database.records.len(), 5);
    assert!(
        database
            .records
            .values()
            .all(|record| matches!(record, Standpoint::Proven(_)))
    );
}

#[test]
fn the_record_s_hashes_are_compared() {
    let log = Log::new("sum.example.org", 1, 20);
    let mut files = MemoryFiles::new();
    log.look_up(&mut files, 7, 20);
    let sumdb = Sumdb {
        databases: vec![open(&log, &files)],
        ..Sumdb::default()
    };
    let (zip, go_mod) = (h1(7, 0), h1(7, 0x80));
    let sums = Sums {
        zip: Some(zip),
        go_mod: Some(go_mod),
    };
    assert_eq!(
        sumdb.check(&module(7), Some(zip), Some(go_mod)),
        RecordProof::Proven(sums)
    );
    assert_eq!(
        sumdb.check(&module(7), None, None),
        RecordProof::Proven(sums)
    );
    for (asked_zip, asked_mod, is_go_mod) in [
        (Some(go_mod), Some(go_mod), false),
        (Some(zip), Some(zip), true),
        (None, Some(zip), true),
    ] {
        let RecordProof::Contradicted(Contradiction::Hash {
            go_mod: which,
            expected,
            actual,
            ..
        }) = sumdb.check(&module(7), asked_zip, asked_mod)
        else {
            panic!("not contradicted")
        };
        assert_eq!(which, is_go_mod);
        assert_ne!(expected, actual);
    }
    assert_eq!(
        sumdb.check(&module(8), None, None),
        RecordProof::Unproven(Unproven::NoRecord)
    );
}

#[test]
fn a_record_under_another_version_s_name_is_refused() {
    let log = Log::new("sum.example.org", 1, 20);
    let mut files = MemoryFiles::new();
    log.look_up(&mut files, 7, 20);
    let record = files.remove("lookup/example.com/m@v1.0.7").unwrap();
    files.insert("lookup/example.com/m@v1.0.8".to_owned(), record);
    insta::assert_snapshot!(summary(&open(&log, &files)), @r"
    v1.0.8: record has no hash of this module version (lookup/example.com/m@v1.0.8)
    sumdb-mismatch example.com/m@v1.0.8: record has no hash of this module version
    ");
}

#[test]
fn heads_of_one_log_are_consistent_and_age_is_no_fault() {
    let log = Log::new("sum.example.org", 1, 700);
    let mut files = MemoryFiles::new();
    for (id, size) in [(3, 300), (299, 300), (300, 512), (600, 700)] {
        log.look_up(&mut files, id, size);
    }
    insta::assert_snapshot!(summary(&open(&log, &files)), @r"
    head 700: newest
    head 512: consistent
    head 300: consistent
    v1.0.3: proven
    v1.0.299: proven
    v1.0.300: proven
    v1.0.600: proven
    ");
}

#[test]
fn a_head_without_tiles_is_unlinked_not_forked() {
    let log = Log::new("sum.example.org", 1, 900);
    let mut files = MemoryFiles::new();
    log.look_up(&mut files, 3, 300);
    log.look_up(&mut files, 899, 900);
    // The newest tree knows the tile that ends the older one, but it is not cached.
    assert!(files.remove("tile/8/0/001").is_none());
    files.remove("tile/8/0/001.p/44");
    insta::assert_snapshot!(summary(&open(&log, &files)), @r"
    head 900: newest
    head 300: unlinked, lacks tile/8/0/001.p/44
    v1.0.3: proven
    v1.0.899: proven
    ");
}

#[test]
fn a_forked_log_is_found() {
    let mut log = Log::new("sum.example.org", 1, 40);
    let mut files = MemoryFiles::new();
    log.look_up(&mut files, 3, 30);
    log.look_up(&mut files, 35, 40);
    // Rolled back and grown again with other records.
    log.roll_back(32);
    log.grow(50, 1);
    log.look_up(&mut files, 45, 50);
    insta::assert_snapshot!(summary(&open(&log, &files)), @r"
    head 50: newest
    head 40: forked from 50
    head 30: consistent
    v1.0.3: proven
    v1.0.35: record came with a tree of 40 records that does not belong to the log of signed tree 50 (lookup/example.com/m@v1.0.35)
    v1.0.45: proven
    sumdb-mismatch example.com/m@v1.0.35: record came with a tree of 40 records that does not belong to the log of signed tree 50
    sumdb-mismatch sum.example.org: forked log: the signed tree of 50 records does not continue the signed tree of 40
    sumdb-mismatch sum.example.org: hash 32 of the tile is not the one in signed tree 50
    ");
}

#[test]
fn two_heads_of_one_size_are_a_fork() {
    let log = Log::new("sum.example.org", 1, 40);
    let mut other = Log::new("sum.example.org", 1, 20);
    other.grow(40, 1);
    let mut files = MemoryFiles::new();
    log.look_up(&mut files, 3, 40);
    let mut theirs = MemoryFiles::new();
    other.look_up(&mut theirs, 35, 40);
    theirs.retain(|file, _| file.starts_with("lookup"));
    files.extend(theirs);
    let database = open(&log, &files);
    assert_eq!(database.heads.len(), 2);
    assert!(!proven(&database, 35));
    assert!(
        database
            .heads
            .iter()
            .any(|head| matches!(head.standing, HeadStanding::Forked { .. })),
        "{}",
        summary(&database)
    );
}

#[test]
fn a_roll_back_is_no_fork_while_the_log_is_the_same() {
    let mut log = Log::new("sum.example.org", 1, 50);
    let newest = log.note(50);
    let mut files = MemoryFiles::new();
    log.cache_proof(&mut files, 49, 50);
    log.roll_back(40);
    log.look_up(&mut files, 35, 40);
    let latest = [(Path::new("latest"), newest.as_bytes())];
    let database = examine(&files, Path::new("db"), &latest, &log.signer().verifier());
    insta::assert_snapshot!(summary(&database), @r"
    head 50: newest
    head 40: consistent
    v1.0.35: proven
    ");
}

#[test]
fn the_remembered_head_counts() {
    let mut log = Log::new("sum.example.org", 1, 50);
    let mut files = MemoryFiles::new();
    log.look_up(&mut files, 49, 50);
    log.roll_back(30);
    log.grow(45, 1);
    let forked = log.note(45);
    let verifier = log.signer().verifier();
    let with = |note: &[u8]| {
        summary(&examine(
            &files,
            Path::new("db"),
            &[(Path::new("latest"), note)],
            &verifier,
        ))
    };
    insta::assert_snapshot!(with(forked.as_bytes()), @r"
    head 50: newest
    head 45: forked from 50
    v1.0.49: proven
    sumdb-mismatch sum.example.org: forked log: the signed tree of 50 records does not continue the signed tree of 45
    ");
    insta::assert_snapshot!(with(b"garbage"), @r"
    head 50: newest
    v1.0.49: proven
    sumdb-mismatch sum.example.org: remembered tree note: malformed signed note
    ");
    insta::assert_snapshot!(with(b""), @r"
    head 50: newest
    v1.0.49: proven
    ");
}

#[test]
fn records_signed_with_another_key_are_refused() {
    let log = Log::new("sum.example.org", 1, 20);
    let rogue = Log::new("sum.example.org", 2, 20);
    let mut files = MemoryFiles::new();
    rogue.look_up(&mut files, 7, 20);
    insta::assert_snapshot!(summary(&open(&log, &files)), @r"
    v1.0.7: record's tree note: not signed with the database's key (lookup/example.com/m@v1.0.7)
    sumdb-mismatch example.com/m@v1.0.7: record's tree note: not signed with the database's key
    ");
}

#[test]
fn empty_files_count_as_absent_and_strange_ones_are_told() {
    let log = Log::new("sum.example.org", 1, 20);
    let mut files = MemoryFiles::new();
    log.look_up(&mut files, 7, 20);
    for file in ["tile/8/0/000", "lookup/example.com/m@v1.0.8"] {
        files.insert(file.to_owned(), Vec::new());
    }
    for file in [
        "tile/8/0/x000/000",
        "lookup/Example.com/m@v1.0.0",
        "notes.txt",
    ] {
        files.insert(file.to_owned(), b"x".to_vec());
    }
    insta::assert_snapshot!(summary(&open(&log, &files)), @r"
    head 20: newest
    v1.0.7: proven
    unexpected-file lookup/Example.com/m@v1.0.0: neither a record nor a tile of a checksum database
    unexpected-file notes.txt: neither a record nor a tile of a checksum database
    unexpected-file tile/8/0/x000/000: neither a record nor a tile of a checksum database
    ");
}

#[test]
fn a_tile_that_no_record_needs_is_checked_all_the_same() {
    let log = Log::new("sum.example.org", 1, 700);
    let mut files = MemoryFiles::new();
    log.look_up(&mut files, 600, 700);
    log.cache_proof(&mut files, 3, 700);
    files.get_mut("tile/8/0/000").unwrap()[40] ^= 1;
    let database = open(&log, &files);
    assert!(proven(&database, 600));
    insta::assert_snapshot!(summary(&database), @r"
    head 700: newest
    v1.0.600: proven
    sumdb-mismatch sum.example.org: tile is not the one in signed tree 700
    ");
}

#[test]
fn several_databases_stand_side_by_side() {
    let public = Log::new("sum.example.org", 1, 20);
    let own = Log::new("sum.corp.example/go", 2, 20);
    let dir = tempfile::tempdir().unwrap();
    for (log, name, id) in [
        (&public, "sum.example.org", 3),
        (&own, "sum.corp.example/go", 4),
    ] {
        let mut files = MemoryFiles::new();
        log.look_up(&mut files, id, 20);
        for (file, bytes) in files {
            let path = dir.path().join("sumdb").join(name).join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
    let check = |setting: &str, id: u64| {
        let setting = GoSumdb::parse(setting).unwrap();
        let folder = dir.path().join("sumdb");
        let opened = crate::folder::Folder::open(&folder);
        let sumdb = Sumdb::open(folder, opened, None, &setting);
        assert_eq!(
            sumdb.findings().filter(|f| f.level == Level::Deny).count(),
            0
        );
        matches!(sumdb.check(&module(id), None, None), RecordProof::Proven(_))
    };
    let own_key = own.signer().verifier().to_string();
    let public_key = public.signer().verifier().to_string();
    assert!(check(&own_key, 4) && !check(&own_key, 3));
    assert!(check(&public_key, 3) && !check(&public_key, 4));
    assert!(!check("off", 3));
}

/// Changes single bytes of every file of the proof of record 17; each change
/// must be refused and what is damaged be named. Returns how many there were.
fn change_bytes(size: u64, full_tile_step: usize) -> usize {
    let log = Log::new("sum.example.org", 1, size);
    let mut files = MemoryFiles::new();
    log.look_up(&mut files, 17, size);
    assert!(proven(&open(&log, &files), 17));
    let names: Vec<String> = files.keys().cloned().collect();
    let mut changes = 0;
    for name in names {
        let len = files[&name].len();
        let step = if len == 8192 { full_tile_step } else { 1 };
        for at in (0..len).step_by(step) {
            let flip = 1 << (at % 8);
            files.get_mut(&name).unwrap()[at] ^= flip;
            let database = open(&log, &files);
            let state = &database.records[&module(17)];
            assert!(
                matches!(state, Standpoint::Contradicted(damage) if damage.files.contains(&name)),
                "{name} at {at}: {state:?}"
            );
            assert!(
                database
                    .findings
                    .iter()
                    .any(|f| f.rule == Rule::SumdbMismatch)
            );
            files.get_mut(&name).unwrap()[at] ^= flip;
            changes += 1;
        }
    }
    assert!(proven(&open(&log, &files), 17));
    changes
}

#[test]
fn every_changed_byte_of_a_proof_is_refused() {
    let changes = change_bytes(40, 1);
    assert!(changes > 40 * 32 + 300, "{changes}");
}

#[test]
fn changed_bytes_in_any_tile_of_a_deeper_proof_are_refused() {
    // One byte or more of each of the full tile's hashes.
    let changes = change_bytes(258, 31);
    assert!(changes > 256 + 300, "{changes}");
}

/// Files cut short or grown are refused as well.
#[test]
fn every_other_length_is_refused() {
    let log = Log::new("sum.example.org", 1, 258);
    let mut whole = MemoryFiles::new();
    log.look_up(&mut whole, 17, 258);
    for name in whole.keys() {
        for change in [-33_isize, -32, -1, 1, 32] {
            let mut files = whole.clone();
            let bytes = files.get_mut(name).unwrap();
            let len = bytes.len().saturating_add_signed(change);
            bytes.resize(len, 0);
            let database = open(&log, &files);
            assert!(!proven(&database, 17), "{name} {change:+}");
        }
    }
}
