//! The parsers, each with what has to hold for every input; each says whether it accepted it.

use std::fs;
use std::io::Read;

use super::fuzz;
use crate::bundle;
use crate::formats::{
    action, clone, goenv, gomod, gosum, gover, gowork, h1, info, modindex, module, modzip, semver,
    trim_marker, ziphash,
};
use crate::report::Report;
use crate::sumdb::{note, setting, tlog};
use crate::usage::ledger::Ledger;
use crate::usage::state::State;
use crate::{render, settings, verify};

macro_rules! targets {
    ($($test:ident: $target:literal, $parse:expr;)*) => {
        $(#[test]
        fn $test() {
            fuzz($target, &mut $parse);
        })*
    };
}

targets! {
    zips: "zip", zip;
    names_in_zips: "zip-names", zip_names;
    names_in_caches: "names", names;
    go_sum_files: "go.sum", go_sum;
    go_mod_files: "go.mod", go_mod;
    go_work_files: "go.work", go_work;
    info_files: "info", rev_info;
    action_entries: "action", action_entry;
    ziphash_trim_and_version_files: "markers", markers;
    environment_files: "go-env", go_env;
    clone_configurations: "clone", clones;
    ledgers: "ledger", ledger;
    marks: "mark", mark;
    signed_notes: "note", signed_note;
    database_records: "record", record;
    names_of_tiles: "tile-name", tile_name;
    reports: "report", report;
    manifests: "manifest", manifest;
    tars: "tar", tar_members;
    configurations: "config", configuration;
    patterns_and_versions: "patterns", patterns;
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// What the zips of the corpus are of.
fn corpus_module() -> module::ModuleVersion {
    module::ModuleVersion::new(
        "github.com/spaolacci/murmur3",
        "v0.0.0-20180118202830-f09979ecbc72",
    )
}

fn zip(bytes: &[u8]) -> bool {
    verify::zip_h1_of(&corpus_module(), bytes.to_vec()).is_ok()
}

fn zip_names(bytes: &[u8]) -> bool {
    let names: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    let entry = |at: usize| modzip::Entry {
        name: names[at],
        size: names[at].len() as u64,
        irregular: false,
    };
    let review = modzip::review(&corpus_module(), 0, names.len(), entry);
    let taken = review.violations.is_empty();
    if taken {
        for name in names.iter().filter(|name| !name.is_empty()) {
            let name = text(name).unwrap().trim_end_matches('/');
            assert!(module::check_file_path(name).is_ok(), "{name:?}");
        }
    }
    taken
}

/// A name that is read is written the same way.
fn names(bytes: &[u8]) -> bool {
    let Some(name) = text(bytes) else {
        return false;
    };
    let file = module::parse_at_v_name(name);
    if let module::AtVName::Piece(file) = &file {
        assert_eq!(file.file_name().unwrap(), name);
    }
    let tree = module::parse_tree_dir(name);
    if let Ok(module::TreeDir::Module(tree)) = &tree {
        assert_eq!(module::tree_dir_name(tree).unwrap(), name);
    }
    for (read, write) in [
        (
            module::unescape_path(name),
            module::escape_path as fn(&str) -> _,
        ),
        (module::unescape_version(name), module::escape_version),
    ] {
        if let Ok(plain) = read {
            assert_eq!(write(&plain).unwrap(), name);
        }
    }
    let _ = (
        action::parse_entry_name(name),
        action::parse_shard_name(name),
    );
    tree.is_ok() || file != module::AtVName::Unknown
}

/// Its hashes are still there when the file is written in another order.
fn go_sum(bytes: &[u8]) -> bool {
    let Ok(sums) = gosum::GoSum::parse(bytes) else {
        return false;
    };
    let mut again = String::new();
    for (of, suffix) in [(&sums.go_mods, "/go.mod"), (&sums.zips, "")] {
        for (id, all) in of {
            for sum in all {
                again += &format!("{} {}{suffix} {}\n", id.path, id.version, sum.h1);
            }
        }
    }
    let again = gosum::GoSum::parse(again.as_bytes()).unwrap();
    assert_eq!(again.len(), sums.len());
    sums.modules().for_each(|id| {
        let h1 = |sums: &[gosum::Sum]| sums.iter().map(|sum| sum.h1).collect::<Vec<_>>();
        assert_eq!(h1(sums.zip(id)), h1(again.zip(id)));
        assert_eq!(h1(sums.go_mod(id)), h1(again.go_mod(id)));
    });
    true
}

/// What is taken as the main module's is taken as a dependency's.
fn go_mod(bytes: &[u8]) -> bool {
    let main = gomod::parse(bytes);
    let dependency = gomod::parse_dependency(bytes);
    if let Ok(main) = &main {
        let dependency = dependency.unwrap();
        assert_eq!(main.module, dependency.module);
        assert_eq!(main.require, dependency.require);
    }
    main.is_ok()
}

fn go_work(bytes: &[u8]) -> bool {
    gowork::parse(bytes).is_ok()
}

fn rev_info(bytes: &[u8]) -> bool {
    let Ok(read) = info::RevInfo::parse(bytes) else {
        return false;
    };
    assert!(info::RevInfo::parse_for(&read.version, bytes).is_ok());
    true
}

fn action_entry(bytes: &[u8]) -> bool {
    let Ok(entry) = action::ActionEntry::parse(bytes) else {
        return false;
    };
    let written = entry.to_string();
    assert_eq!(action::ActionEntry::parse(written.as_bytes()), Ok(entry));
    true
}

fn markers(bytes: &[u8]) -> bool {
    let sum = ziphash::parse_ziphash(bytes);
    if let ziphash::ZipHash::Sum(h1) = &sum {
        assert_eq!(h1.to_string().parse(), Ok(*h1));
    }
    let version = modindex::parse_go_version_file(bytes).is_some();
    let time = trim_marker::parse_trim_txt(bytes).is_some();
    matches!(sum, ziphash::ZipHash::Sum(_)) || time || version
}

/// No file is refused; no value is made up.
fn go_env(bytes: &[u8]) -> bool {
    let file = goenv::EnvFile::parse(bytes);
    let shown = String::from_utf8_lossy(bytes);
    for (key, value) in file.iter() {
        assert!(shown.contains(&format!("{key}={value}")));
        if let Ok(words) = goenv::split_quoted(value) {
            assert!(words.iter().all(|word| value.contains(word)));
        }
    }
    true
}

fn clones(bytes: &[u8]) -> bool {
    let url = "https://example.com/r";
    let _ = clone::is_gos_attributes(bytes);
    let _ = (
        clone::is_gos_hgrc(bytes, url),
        clone::is_gos_branch_conf(bytes, url),
    );
    let _ = clone::fossil_settings(bytes);
    let info = text(bytes).is_some_and(|text| {
        let key = text.strip_suffix('\n').unwrap_or(text);
        clone::CloneOf::parse(&bundle::manifest::digest(key.as_bytes()), text).is_ok()
    });
    info || clone::git_config_problems(bytes, url).is_empty()
}

fn ledger(bytes: &[u8]) -> bool {
    let Ok(ledger) = Ledger::parse(bytes) else {
        return false;
    };
    let written = serde_json::to_vec(&ledger).unwrap();
    assert!(Ledger::parse(&written).unwrap() == ledger);
    true
}

fn mark(bytes: &[u8]) -> bool {
    let Ok(state) = State::parse(bytes) else {
        return false;
    };
    let written = state.to_bytes();
    assert_eq!(State::parse(&written).unwrap().to_bytes(), written);
    true
}

/// Nothing is taken that the database's key did not sign.
fn signed_note(bytes: &[u8]) -> bool {
    const KEY: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    const SIGNED: &str = include_str!("corpus/note/latest");
    let verifier = note::Verifier::parse(KEY).unwrap();
    let Ok(text) = verifier.open(bytes) else {
        return false;
    };
    assert!(SIGNED.starts_with(text));
    assert!(tlog::TreeHead::parse(text).is_some());
    true
}

fn record(bytes: &[u8]) -> bool {
    let Some(record) = tlog::Record::parse(bytes) else {
        return false;
    };
    let head = text(record.note).and_then(tlog::TreeHead::parse);
    if let Some(head) = head {
        assert!(head.size <= i64::MAX as u64);
    }
    let mut written = format!("{}\n{}\n", record.id, record.text).into_bytes();
    written.extend(record.note);
    assert_eq!(written, bytes);
    true
}

fn tile_name(bytes: &[u8]) -> bool {
    let Some(name) = text(bytes) else {
        return false;
    };
    let _ = setting::GoSumdb::parse(name);
    let Some(tile) = tlog::Tile::parse_path(name) else {
        return false;
    };
    assert_eq!(tile.path(), name);
    assert!(tile.bytes() <= 256 * 32);
    true
}

/// Whatever a saved report says, all formats tell it, and JSON tells it again.
fn report(bytes: &[u8]) -> bool {
    let Ok(report) = serde_json::from_slice::<Report>(bytes) else {
        return false;
    };
    let written = serde_json::to_vec(&report).unwrap();
    let again: Report = serde_json::from_slice(&written).unwrap();
    assert_eq!(serde_json::to_vec(&again).unwrap(), written);
    let shown = render::text(&report, false);
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!shown.contains(control), "{shown:?}");
    assert!(!render::github(&report).contains(control));
    let _ = (render::markdown(&report), render::openmetrics(&report));
    let _ = (render::sarif(&report), render::codequality(&report));
    true
}

fn manifest(bytes: &[u8]) -> bool {
    let Ok((manifest, _)) = bundle::manifest::Manifest::read(bytes) else {
        return false;
    };
    let _ = bundle::layout::roles(&manifest);
    let written = manifest.to_bytes().unwrap();
    let (again, _) = bundle::manifest::Manifest::read(&*written).unwrap();
    assert_eq!(again.to_bytes().unwrap(), written);
    true
}

/// No member is longer than the archive.
fn tar_members(bytes: &[u8]) -> bool {
    let mut archive = tar::Archive::new(bytes);
    let mut regular = 0;
    let all = bundle::read::members(archive.entries().unwrap(), |_, member| {
        if let bundle::read::Member::File(_, _, content) = member {
            let mut read = Vec::new();
            content.take(1 << 20).read_to_end(&mut read)?;
            assert!(read.len() <= bytes.len());
            regular += 1;
        }
        Ok(())
    });
    all.is_ok() && regular > 0
}

/// A bundle is whole only if its digest, that of its manifest, is one that a sound one has
/// or its content is what its own manifest says; either way it is read to its end.
#[test]
fn bundles() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle");
    fuzz("bundle", &mut |bytes| {
        fs::write(&path, bytes).unwrap();
        let checked = bundle::read::check(&path, None, 1);
        checked.is_ok_and(|checked| checked.problems.is_empty() && checked.manifest.is_some())
    });
}

fn configuration(bytes: &[u8]) -> bool {
    text(bytes).is_some_and(|text| settings::parse(text).is_ok())
}

#[cfg(target_os = "linux")]
#[test]
fn heads_of_snapshots() {
    fuzz("head", &mut |bytes| {
        crate::snapshot::store::parse_head(bytes, "head").is_ok()
    });
}

/// Orders are orders, and what is canonical stays it.
fn patterns(bytes: &[u8]) -> bool {
    let Some((one, other)) = text(bytes).and_then(|text| text.split_once('\n')) else {
        return false;
    };
    let matched = module::match_prefix_patterns(one, other);
    assert_eq!(
        semver::compare(one, other),
        semver::compare(other, one).reverse()
    );
    assert_eq!(
        gover::compare(one, other),
        gover::compare(other, one).reverse()
    );
    let canonical = semver::canonical_module_version(one);
    if let Some(version) = &canonical {
        assert!(semver::is_canonical_module_version(version));
    }
    let _ = h1::h1_of_go_mod(bytes);
    matched || canonical.is_some()
}
