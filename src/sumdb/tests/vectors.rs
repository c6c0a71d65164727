//! This year's holes in Go's own use of the checksum database, each tried here: what
//! fooled Go must not be called proven.

use super::*;
use crate::sumdb::tlog::{FULL_WIDTH, Hash, Tile, subtree_root};

fn is_proven(database: Database, module: &ModuleVersion, zip: Option<H1>) -> bool {
    matches!(
        Sumdb::of(vec![database]).check(module, zip, None),
        RecordProof::Proven(_)
    )
}

/// CVE-2026-42501: an answer that is signed and in the log, but holds no line of
/// the version that was asked for, was taken for its proof; toolchains came in so.
#[test]
fn an_answer_without_the_version_that_was_asked_for_proves_nothing() {
    let log = Log::new("sum.example.org", 1, 300);
    let mut files = MemoryFiles::new();
    log.look_up(&mut files, 7, 300);
    let answer = files.remove("lookup/example.com/m@v1.0.7").unwrap();
    let text = String::from_utf8(answer.clone()).unwrap();
    let (_, note) = text.split_once("\n\n").unwrap();
    let empty = format!("7\n\n{note}").into_bytes();
    let toolchain = ModuleVersion::new("golang.org/toolchain", "v0.0.1-go1.26.7.linux-amd64");
    for asked in [module(8), toolchain] {
        for answer in [&answer, &empty, &Vec::new()] {
            let mut files = files.clone();
            let name = format!("lookup/{}@{}", asked.path, asked.version);
            files.insert(name, answer.clone());
            for zip in [None, Some(h1(7, 0)), Some(h1(9, 9))] {
                assert!(!is_proven(open(&log, &files), &asked, zip), "{asked}");
            }
        }
    }
    // A record of the go.mod alone proves no zip.
    let mut of_go_mod = Log::new("sum.example.org", 1, 300);
    of_go_mod.rewrite(7, |text| {
        text.lines()
            .skip(1)
            .map(|line| format!("{line}\n"))
            .collect()
    });
    let mut files = MemoryFiles::new();
    of_go_mod.look_up(&mut files, 7, 300);
    assert!(is_proven(open(&of_go_mod, &files), &module(7), None));
    assert!(!is_proven(
        open(&of_go_mod, &files),
        &module(7),
        Some(h1(7, 0))
    ));
}

/// CVE-2026-56864: lines outside the record, in the note that signs the tree, were
/// read as the record's, though the log does not hold them.
#[test]
fn lines_of_the_tree_s_note_are_no_lines_of_the_record() {
    let log = Log::new("sum.example.org", 1, 300);
    let evil = h1(9, 9);
    let mut files = MemoryFiles::new();
    log.look_up(&mut files, 7, 300);
    let honest = String::from_utf8(files.remove("lookup/example.com/m@v1.0.7").unwrap()).unwrap();
    let (record, _) = honest.split_once("\n\n").unwrap();
    for asked in [7, 8] {
        let ModuleVersion { path, version } = module(asked);
        let head = log.head(300);
        let note = log.signer().sign(&format!(
            "go.sum database tree\n300\n{}\n{path} {version} {evil}\n",
            head.root
        ));
        let mut files = files.clone();
        files.insert(
            format!("lookup/{path}@{version}"),
            format!("{record}\n\n{note}").into_bytes(),
        );
        let database = open(&log, &files);
        assert!(!is_proven(database, &module(asked), Some(evil)), "{asked}");
        // The record itself still is what it is.
        let database = open(&log, &files);
        assert_eq!(
            is_proven(database, &module(asked), Some(h1(7, 0))),
            asked == 7
        );
    }
}

/// CVE-2026-56865: up to two forged tiles, consistent with one another, were never
/// held against their parents.
#[test]
fn forged_tiles_that_agree_with_one_another_prove_nothing() {
    for size in [5, 256, 300, 700, 256 * 256 + 256 + 3] {
        let log = Log::new("sum.example.org", 1, size);
        for id in [0, 3, size / 2, size - 1] {
            let mut forged = MemoryFiles::new();
            log.look_up(&mut forged, id, size);
            let name = format!("lookup/example.com/m@v1.0.{id}");
            let text = String::from_utf8(forged[&name].clone()).unwrap();
            let text = text.replace(&h1(id, 0).to_string(), &h1(id, 9).to_string());
            let (_, record) = text.split_once('\n').unwrap();
            let (record, _) = record.split_once("\n\n").unwrap();
            let mut hash = Hash::of_record(format!("{record}\n").as_bytes());
            forged.insert(name, text.into_bytes());
            let mut index = id;
            // One tile more each time, from the record upwards: the root stays signed.
            for level in 0..3 {
                let width = u64::from(FULL_WIDTH);
                let Some(tile) = Tile::in_tree(level, index / width, size) else {
                    break;
                };
                let bytes = forged.get_mut(&tile.path()).unwrap();
                let at = (index % width) as usize * 32;
                bytes[at..at + 32].copy_from_slice(&hash.0);
                let database = open(&log, &forged);
                let standpoint = &database.records[&module(id)];
                assert!(
                    matches!(standpoint, Standpoint::Contradicted(_)),
                    "record {id} of {size}, tiles up to {level}: {standpoint:?}"
                );
                if !tile.is_full() {
                    break;
                }
                let hashes: Vec<Hash> = hashes_of(&forged[&tile.path()]);
                hash = subtree_root(&hashes).unwrap();
                index /= width;
            }
        }
    }
}

fn hashes_of(tile: &[u8]) -> Vec<Hash> {
    tile.chunks_exact(32)
        .map(|hash| Hash(hash.try_into().unwrap()))
        .collect()
}
