//! FIPS 140 snapshots: `golang.org/fips140@…`, which a build with `GOFIPS140`
//! compiles. Go unpacks them from its own installation
//! (`cmd/go/internal/fips140.initDir`), where `lib/fips140/fips140.sum` has the
//! SHA-256 of each zip, and never looks at the tree again.

use super::tree::hash_file;
use super::{Evidence, Proof, Witness, ZipError, zip_h1};
use crate::findings::{Finding, Rule, display_path};
use crate::formats::h1::H1;
use crate::formats::module::ModuleVersion;
use crate::formats::modzip::MAX_ZIP_BYTES;
use crate::scan::{ModCache, Version, VersionKind};
use crate::values::shard::Shard;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The longest `fips140.sum` that is read.
const MAX_SUMS: u64 = 1 << 20;

/// Holds the trees of snapshots against the zips that the installations have.
/// An installation that lies in this cache, a toolchain, counts if it is proven.
pub fn snapshots(cache: &ModCache, goroots: &[PathBuf], shard: Shard, evidence: &mut Evidence) {
    let with_trees = cache.versions.iter().filter(|it| it.tree.is_some());
    let mut snapshots = with_trees
        .filter(|it| it.kind == VersionKind::Fips140)
        .peekable();
    if snapshots.peek().is_none() {
        return;
    }
    let goroots = proven_goroots(cache, goroots, shard, evidence);
    for Version { id, .. } in snapshots {
        let mine = shard.has_module(&id.path);
        let Some((zip, h1)) = goroots.iter().find_map(|goroot| match zip_of(goroot, id) {
            Some(Ok(found)) => Some(found),
            Some(Err(finding)) => {
                if mine {
                    evidence.findings.push(*finding);
                }
                None
            }
            None => None,
        }) else {
            continue;
        };
        let Some(proof) = evidence.versions.get_mut(id) else {
            continue;
        };
        proof.vouched.content = Some(Witness::Goroot);
        let (Some(tree), true) = (proof.hashes.tree, mine) else {
            continue;
        };
        if tree == h1 {
            if proof.tree != Proof::Damaged {
                proof.tree = Proof::Proven(Witness::Goroot);
            }
            continue;
        }
        let message = format!(
            "the extracted tree differs from its zip in the Go installation, {}: it was edited or lost files; Go compiles it without looking at its hash",
            display_path(&zip)
        );
        let finding = Finding::new(Rule::ExtractedHashMismatch, id.to_string(), message);
        evidence
            .findings
            .push(finding.at(&cache.tree_path(id)).differs(h1, tree));
        evidence.verification.failed += u64::from(!proof.damaged);
        (proof.tree, proof.damaged) = (Proof::Damaged, true);
    }
}

/// The installations outside this cache, and the toolchains in it that are
/// proven: here, or where another shard reads them.
fn proven_goroots(
    cache: &ModCache,
    goroots: &[PathBuf],
    shard: Shard,
    evidence: &Evidence,
) -> Vec<PathBuf> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let root = real(&cache.root);
    let outside = goroots.iter().filter(|path| !real(path).starts_with(&root));
    let is_proven = |id: &ModuleVersion| {
        let proof = evidence.versions.get(id);
        proof.is_some_and(|proof| match shard.has_module(&id.path) {
            true => proof.tree == Proof::Proven(Witness::Sumdb),
            false => proof.vouched.content == Some(Witness::Sumdb),
        })
    };
    let toolchains = cache.versions.iter().filter(|version| {
        version.kind == VersionKind::Toolchain && version.tree.is_some() && is_proven(&version.id)
    });
    outside
        .cloned()
        .chain(toolchains.map(|version| cache.tree_path(&version.id)))
        .collect()
}

/// A snapshot's zip in an installation, with its h1; nothing if it is not there
/// or `fips140.sum` does not list it.
fn zip_of(goroot: &Path, id: &ModuleVersion) -> Option<Result<(PathBuf, H1), Box<Finding>>> {
    let folder = goroot.join("lib/fips140");
    let name = format!("{}.zip", id.version);
    let path = folder.join(&name);
    let mut sums = String::new();
    let file = File::open(folder.join("fips140.sum")).ok()?;
    file.take(MAX_SUMS).read_to_string(&mut sums).ok()?;
    let listed = sums.lines().find_map(|line| {
        let (listed, sum) = line.split_once(' ')?;
        (listed == name).then(|| sum.trim().to_owned())
    })?;
    let mut zip = File::open(&path).ok()?;
    let found = |message: String| {
        let finding = Finding::new(Rule::ZipHashMismatch, id.to_string(), message);
        let finding = finding.at(&path);
        finding.advise("Install Go anew: its own copy of the snapshot is damaged or was changed.")
    };
    let actual = match hash_file(&mut zip, MAX_ZIP_BYTES, &mut vec![0; 64 << 10]) {
        Ok((sha256, _)) => sha256
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>(),
        Err(error) => return Some(Err(Box::new(crate::scan::unreadable(&path, &error)))),
    };
    if actual != listed {
        let message = "the Go installation's zip of this FIPS 140 snapshot is not the one that fips140.sum lists".to_owned();
        return Some(Err(Box::new(found(message).differs(listed, actual))));
    }
    let h1 = File::open(&path)
        .map_err(ZipError::from)
        .and_then(|file| zip_h1(id, file));
    Some(match h1 {
        Ok(h1) => Ok((path, h1)),
        Err(error) => Err(Box::new(found(format!(
            "the Go installation's zip of this FIPS 140 snapshot cannot be read: {error}"
        )))),
    })
}
