//! Is what the caches hold what it should be? [`Inventory`](crate::scan::Inventory)
//! and trust become [`Evidence`].

mod archive;
mod batch;
mod lanes;
mod outputs;
pub mod reads;
mod settle;
mod sumdb;
mod tree;
mod version;

use crate::config::VerifyLevel;
use crate::findings::{Finding, Rule, display_path};
use crate::formats::action::OutputId;
use crate::formats::gosum::MergedSums;
use crate::formats::h1::H1;
use crate::formats::module::ModuleVersion;
use crate::formats::modzip::ZipRules;
use crate::parallel;
use crate::report::Verification;
use crate::scan::{Inventory, ModCache, Version, VersionKind};
use crate::shard::Shard;
use crate::sorting;
use archive::Archive;
use settle::Now;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
pub use sumdb::weigh;
pub(crate) use tree::Buffers;
pub(crate) use version::read_up_to;
use version::{Checked, Checker};

/// The h1 of a module zip that stands alone, as in a proxy's storage.
///
/// # Errors
/// When the zip breaks a rule of Go's or cannot be read, in words.
pub fn zip_h1(id: &ModuleVersion, file: File) -> Result<H1, String> {
    zip_h1_with(id, file, &mut Buffers::new(1))
}

/// [`zip_h1`] with buffers that are kept from zip to zip.
pub(crate) fn zip_h1_with(
    id: &ModuleVersion,
    file: File,
    buffers: &mut Buffers,
) -> Result<H1, String> {
    let archive = Archive::open(file, 0).map_err(|error| error.to_string())?;
    archive_h1(id, &archive, buffers)
}

/// The h1 of a module zip that is in memory.
///
/// # Errors
/// As of [`zip_h1`].
#[cfg(feature = "remote")]
pub(crate) fn zip_h1_of(id: &ModuleVersion, content: Vec<u8>) -> Result<H1, String> {
    let archive = Archive::in_memory(content).map_err(|error| error.to_string())?;
    archive_h1(id, &archive, &mut Buffers::new(1))
}

fn archive_h1(id: &ModuleVersion, archive: &Archive, buffers: &mut Buffers) -> Result<H1, String> {
    let mut rules = ZipRules::new(id, archive.bytes);
    for member in &archive.members {
        rules.add(&member.name, member.size, member.irregular);
    }
    if let Some(broken) = rules.finish().violations.first() {
        let name = String::from_utf8_lossy(&broken.name);
        return Err(format!(
            "the zip breaks a rule of Go's: {name}: {}",
            broken.problem
        ));
    }
    let copies = tree::read_zip(archive, buffers);
    match copies.zip_error {
        Some(error) => Err(error.to_string()),
        None => copies.zip.h1([]).map_err(|error| error.to_string()),
    }
}

/// The h1 of an extracted tree that stands alone; `None` if it cannot be read or
/// holds what Go does not extract.
pub(crate) fn tree_h1(id: &ModuleVersion, path: &Path) -> Option<H1> {
    let mut buffers = Buffers::new(1);
    let prefix = id.zip_prefix();
    let copies = tree::read_tree(path, &prefix, None, id.is_toolchain(), &mut buffers);
    let whole = copies.unreadable.is_empty() && copies.foreign.is_empty();
    copies.tree.h1([]).ok().filter(|_| whole)
}

/// Hands out the files of a module zip that are `wanted`, by their paths in the
/// module, and of each no more than its first `head` bytes.
///
/// # Errors
/// When the zip cannot be read, in words.
pub(crate) fn each_source(
    id: &ModuleVersion,
    file: File,
    head: usize,
    wanted: impl Fn(&str) -> bool,
    mut each: impl FnMut(&str, &[u8]),
) -> Result<(), String> {
    let archive = Archive::open(file, 0).map_err(|error| error.to_string())?;
    let mut inflater = archive::Inflater::new();
    let prefix = id.zip_prefix();
    let mut content = Vec::new();
    for member in &archive.members {
        let name = std::str::from_utf8(&member.name).ok();
        let Some(path) = name.and_then(|name| name.strip_prefix(&prefix)) else {
            continue;
        };
        if !wanted(path) {
            continue;
        }
        content.clear();
        let take = |chunk: &[u8]| {
            let room = head.saturating_sub(content.len()).min(chunk.len());
            content.extend_from_slice(chunk.get(..room).unwrap_or_default());
        };
        archive
            .inflate(member, &mut inflater, take)
            .map_err(|error| error.to_string())?;
        each(path, &content);
    }
    Ok(())
}

/// What proved a piece of a module version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A go.sum (or go.work.sum) line.
    GoSum,
    /// A record of the checksum database.
    Sumdb,
    /// Only the `.ziphash` beside it.
    Ziphash,
}

/// What is known of one copy of a module version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// Not there, or not looked at.
    #[default]
    Unknown,
    /// Shown equal to what is trusted, by hashing its bytes in this run.
    Proven(Source),
    /// Shown to differ, or unreadable.
    Damaged,
}

/// What is known of a module version, in the order of `ModCache::versions`.
#[derive(Clone, Copy, Debug, Default)]
pub struct VersionProof {
    /// The zip.
    pub zip: Proof,
    /// The extracted tree.
    pub tree: Proof,
    /// The `.mod` file.
    pub go_mod: Proof,
    /// Some piece of it broke a `deny` rule that a repair removes it for.
    pub damaged: bool,
}

/// The result of verification.
#[derive(Debug, Default)]
pub struct Evidence {
    /// What is wrong with the things looked at.
    pub findings: Vec<Finding>,
    /// What is wrong with the caches as a whole: every shard finds the same.
    pub overall: Vec<Finding>,
    /// Counts for the report.
    pub verification: Verification,
    /// One per module version, in the inventory's order.
    pub versions: Vec<VersionProof>,
    /// Build outputs whose content or size is wrong.
    pub damaged_outputs: BTreeSet<OutputId>,
    /// What a running `go` was downloading or extracting at that moment, and
    /// what was therefore not judged.
    pub in_progress: BTreeSet<ModuleVersion>,
    /// Files of the checksum database that do not hold and that Go would fetch again.
    pub damaged_sumdb: Vec<PathBuf>,
}

/// Checks everything in `shard` that `level` asks for. Trees that are read on the way get
/// their sizes filled in.
pub fn verify(
    inventory: &mut Inventory,
    sums: &MergedSums,
    level: VerifyLevel,
    shard: Shard,
    jobs: usize,
    tick: &(impl Fn() + Sync),
) -> Evidence {
    let start = std::time::Instant::now();
    let mut evidence = Evidence::default();
    evidence.verification.level = level.name().to_owned();
    if let Some(cache) = &mut inventory.modcache {
        versions(cache, sums, level, shard, jobs, tick, &mut evidence);
        residue(cache, &mut inventory.findings, &mut evidence);
    }
    if let Some(cache) = &inventory.buildcache {
        outputs::verify(cache, level, shard, jobs, tick, &mut evidence);
    }
    let damaged = evidence
        .versions
        .iter()
        .filter(|proof| proof.damaged)
        .count();
    evidence.verification.failed = (damaged + evidence.damaged_outputs.len()) as u64;
    evidence.verification.seconds = start.elapsed().as_secs_f64();
    evidence
}

fn versions(
    cache: &mut ModCache,
    sums: &MergedSums,
    level: VerifyLevel,
    shard: Shard,
    jobs: usize,
    tick: &(impl Fn() + Sync),
    evidence: &mut Evidence,
) {
    evidence.versions = vec![VersionProof::default(); cache.versions.len()];
    if level == VerifyLevel::Off {
        return;
    }
    // The largest first, so that no thread is left alone with one at the end.
    let mut order: Vec<usize> = (0..cache.versions.len())
        .filter(|&index| shard.has_module(&cache.versions[index].id.path))
        .collect();
    sorting::by_key(&mut order, |&index| {
        std::cmp::Reverse(weight(&cache.versions[index]))
    });
    let in_memory = (ZIPS_IN_MEMORY / jobs.max(1) as u64).max(1 << 20);
    let checker = Checker {
        cache,
        sums,
        level,
        in_memory,
    };
    let buffers = || Buffers::new(jobs);
    let results = parallel::map(jobs, order.len(), buffers, |buffers, index| {
        tick();
        let version = &cache.versions[order[index]];
        let checked = checker.check(version, buffers);
        if checked.findings.is_empty() {
            return (checked, Now::Same);
        }
        // The lock is kept until it has been checked again.
        let (now, _lock) = settle::look_again(cache, version);
        match now {
            Now::Same => (checked, now),
            Now::Changed(ref version) => (checker.check(version, buffers), now),
            Now::InProgress => (Checked::default(), now),
        }
    });
    let mut results: Vec<_> = order.into_iter().zip(results).collect();
    sorting::by_key(&mut results, |(index, _)| *index);
    for (index, (checked, now)) in results {
        let version = &mut cache.versions[index];
        match now {
            Now::Same => {}
            Now::Changed(now) => *version = *now,
            Now::InProgress => {
                evidence.in_progress.insert(version.id.clone());
            }
        }
        if let (Some(tree), Some(measure)) = (&mut version.tree, checked.measure) {
            tree.measure = Some(measure);
        }
        let verification = &mut evidence.verification;
        verification.versions_checked += u64::from(version.has_source());
        verification.bytes_hashed += checked.hashed;
        verification.bytes_proven += checked.proven;
        match checked.proof.proven_by() {
            Some(Source::GoSum) => verification.proven_by.go_sum += 1,
            Some(Source::Ziphash) => verification.proven_by.ziphash += 1,
            Some(Source::Sumdb) => verification.proven_by.sumdb += 1,
            None => {}
        }
        evidence.versions[index] = checked.proof;
        evidence.findings.extend(checked.findings);
    }
}

/// What a download that is going on writes is no residue.
fn residue(cache: &mut ModCache, findings: &mut Vec<Finding>, evidence: &mut Evidence) {
    let mut written = BTreeSet::new();
    for left in std::mem::take(&mut cache.residue) {
        match left.version.as_ref() {
            Some(id) if settle::in_progress(cache, id) => {
                evidence.in_progress.insert(id.clone());
                written.insert(display_path(&left.path));
                cache.other_download += left.measure;
            }
            _ => cache.residue.push(left),
        }
    }
    if !written.is_empty() {
        findings.retain(|finding| {
            finding.rule != Rule::PartialDownload
                || !finding
                    .path
                    .as_ref()
                    .is_some_and(|path| written.contains(path))
        });
    }
}

/// Zips that are read into memory whole, over all threads.
const ZIPS_IN_MEMORY: u64 = 32 << 20;

/// How long a version will take, roughly. A tree's size is not known yet where
/// there is no zip to tell; a toolchain's is the largest there is.
fn weight(version: &Version) -> u64 {
    match (version.kind, version.zip) {
        (VersionKind::Toolchain, _) => u64::MAX,
        (_, Some(zip)) => zip.bytes,
        (_, None) => u64::from(version.tree.is_some()) << 20,
    }
}

impl VersionProof {
    /// What proved this version's content: every copy that was looked at is
    /// proven, and by this.
    pub fn proven_by(&self) -> Option<Source> {
        match (self.zip, self.tree) {
            (Proof::Proven(source), Proof::Proven(_) | Proof::Unknown)
            | (Proof::Unknown, Proof::Proven(source)) => Some(source),
            _ => None,
        }
    }
}
