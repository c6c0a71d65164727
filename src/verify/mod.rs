//! Is what the caches hold what it should be? [`Inventory`](crate::scan::Inventory)
//! and trust become [`Evidence`].

mod archive;
mod batch;
mod fips;
mod lanes;
mod outputs;
pub mod provenance;
pub mod reads;
mod settle;
mod sumdb;
mod tree;
mod trust;
mod vcs;
mod version;

use crate::findings::{Finding, Rule, display_path};
use crate::folder::Folder;
use crate::formats::action::OutputId;
use crate::formats::gosum::MergedSums;
use crate::formats::h1::{H1, h1_of_sorted};
use crate::formats::module::ModuleVersion;
use crate::parallel;
use crate::report::Verification;
use crate::scan::{Inventory, ModCache, Residue, Version, VersionKind};
use crate::settings::VerifyLevel;
use crate::values::shard::Shard;
use archive::Archive;
pub use archive::ZipError;
pub(crate) use batch::digests;
pub use fips::snapshots;
use settle::{Now, Patience};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;
pub use sumdb::weigh;
pub(crate) use tree::Buffers;
pub use trust::{Unvouched, Vouched, tally, unvouched};
pub use vcs::{stale_clones, unproven as unproven_clones};
use version::Checker;

/// The h1 of a module zip that stands alone, as in a proxy's storage.
///
/// # Errors
/// When the zip breaks a rule of Go's or cannot be read.
pub fn zip_h1(id: &ModuleVersion, file: File) -> Result<H1, ZipError> {
    zip_h1_with(id, file, &mut Buffers::new(1))
}

/// [`zip_h1`] with buffers that are kept from zip to zip.
pub(crate) fn zip_h1_with(
    id: &ModuleVersion,
    file: File,
    buffers: &mut Buffers,
) -> Result<H1, ZipError> {
    archive_h1(Archive::open(id, file, 0)?, buffers)
}

/// The h1 of a module zip that is in memory.
///
/// # Errors
/// As of [`zip_h1`].
#[cfg(any(test, feature = "remote", not(unix)))]
pub(crate) fn zip_h1_of(id: &ModuleVersion, content: Vec<u8>) -> Result<H1, ZipError> {
    archive_h1(Archive::in_memory(id, content)?, &mut Buffers::new(1))
}

fn archive_h1(mut archive: Archive, buffers: &mut Buffers) -> Result<H1, ZipError> {
    let copies = tree::read_zip(&mut archive, buffers);
    match copies.zip_error {
        Some(error) => Err(error),
        None => Ok(copies.zip_h1(&archive)?),
    }
}

/// A member up to this long is inflated whole.
const WHOLE: u32 = 8 << 20;

/// What unpacking needs, kept from zip to zip.
pub(crate) struct Unzipper {
    inflater: archive::Inflater,
    batch: batch::Batch<usize>,
}

impl Unzipper {
    pub(crate) fn new() -> Unzipper {
        Unzipper {
            inflater: archive::Inflater::new(),
            batch: batch::Batch::new(WHOLE as usize),
        }
    }

    /// Hands out the files of a module zip in the order of their names, large
    /// ones in parts, and gives the zip's h1, which is made on the way. `each`
    /// is told a file's name, whether this is its first part, and the part.
    ///
    /// # Errors
    /// Those of `each`; the inner ones say what is wrong with the zip.
    pub(crate) fn unzip(
        &mut self,
        id: &ModuleVersion,
        file: File,
        mut each: impl FnMut(&str, bool, &[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<Result<H1, ZipError>> {
        let mut archive = match Archive::open(id, file, WHOLE.into()) {
            Ok(archive) => archive,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = archive.locate() {
            return Ok(Err(error));
        }
        let order = archive.by_name();
        let mut sha256s = vec![[0; 32]; order.len()];
        // What a zip left behind that did not hold is of no use.
        self.batch.finish(|_, _| ());
        for (&index, at) in order.iter().zip(0..) {
            let index = index as usize;
            let Some(member) = archive.members().get(index) else {
                continue;
            };
            let name = String::from_utf8_lossy(archive.name(index));
            let mut done = Ok(());
            let inflated = if member.is_folder() {
                put(&mut sha256s, at, Sha256::digest([]).into());
                archive.inflate(index, &mut self.inflater, |_| ())
            } else if member.size <= WHOLE {
                if self.batch.is_due() {
                    self.batch
                        .finish(|at, sha256| put(&mut sha256s, at, sha256));
                }
                let size = member.size as usize;
                let whole = self.batch.room().get_mut(..size).unwrap_or_default();
                let inflated = archive.inflate_whole(index, &mut self.inflater, whole);
                if inflated.is_ok() {
                    done = each(&name, true, whole);
                    self.batch.push(size, at);
                }
                inflated
            } else {
                let (mut first, mut sha256) = (true, Sha256::new());
                let inflated = archive.inflate(index, &mut self.inflater, |part| {
                    sha256.update(part);
                    if done.is_ok() {
                        done = each(&name, std::mem::take(&mut first), part);
                    }
                });
                put(&mut sha256s, at, sha256.finalize().into());
                inflated
            };
            done?;
            if let Err(error) = inflated {
                return Ok(Err(error));
            }
        }
        self.batch
            .finish(|at, sha256| put(&mut sha256s, at, sha256));
        let names = order.iter().map(|&index| archive.name(index as usize));
        Ok(h1_of_sorted(archive.prefix(), names.zip(sha256s)).map_err(ZipError::from))
    }
}

fn put(sha256s: &mut [[u8; 32]], at: usize, sha256: [u8; 32]) {
    if let Some(place) = sha256s.get_mut(at) {
        *place = sha256;
    }
}

/// The h1 of an extracted tree that stands alone; `None` if it cannot be read or
/// holds what Go does not extract.
pub(crate) fn tree_h1(id: &ModuleVersion, tree: Folder) -> Option<H1> {
    let copies = tree::read_tree(id, Ok(tree), Path::new(""), None, &mut Buffers::new(1));
    let h1 = copies.tree_h1(id, None, false).ok();
    h1.filter(|_| copies.is_whole() && copies.too_long.is_none())
}

/// Hands out the files of a module zip that are `wanted`, by their paths in the
/// module, and of each no more than its first `head` bytes.
///
/// # Errors
/// When the zip cannot be read.
pub(crate) fn each_source(
    id: &ModuleVersion,
    file: File,
    head: usize,
    wanted: impl Fn(&str) -> bool,
    mut each: impl FnMut(&str, &[u8]),
) -> Result<(), ZipError> {
    let mut archive = Archive::open(id, file, 0)?;
    archive.locate()?;
    let mut inflater = archive::Inflater::new();
    let mut content = Vec::new();
    for index in 0..archive.members().len() {
        let Ok(path) = std::str::from_utf8(archive.name(index)) else {
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
        archive.inflate(index, &mut inflater, take)?;
        each(path, &content);
    }
    Ok(())
}

/// What proved a piece of a module version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// A go.sum (or go.work.sum) line.
    GoSum,
    /// A record of the checksum database.
    Sumdb,
    /// The Go installation, which has the zips of FIPS 140 snapshots.
    Goroot,
    /// Only the `.ziphash` beside it, which proves nothing: whoever changed the
    /// one could change the other.
    Ziphash,
}

/// What is known of one copy of a module version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// Not there, or not looked at.
    #[default]
    Unknown,
    /// Shown equal to what the source says, by hashing its bytes in this run.
    Proven(Witness),
    /// Shown to differ, or unreadable.
    Damaged,
}

impl Proof {
    /// Whether something outside the cache proved it: a `.ziphash`, which lies
    /// beside what it speaks for, proves nothing.
    pub fn holds(self) -> bool {
        matches!(self, Proof::Proven(source) if source != Witness::Ziphash)
    }
}

/// What is known of a module version.
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
    /// All that is damaged is the tree: the `.ziphash` says what the zip is.
    pub only_tree: bool,
    /// It was another content than go.sum's already when it was downloaded.
    pub download_differs: bool,
    /// What was read of it.
    pub hashes: Hashes,
    /// Who vouches for it.
    pub vouched: Vouched,
}

/// The h1 of a module version's copies, of those that were read whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hashes {
    /// Of the zip.
    pub zip: Option<H1>,
    /// Of the extracted tree.
    pub tree: Option<H1>,
    /// Of the `.mod` file.
    pub go_mod: Option<H1>,
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
    /// All module versions; none if nothing was asked.
    pub versions: BTreeMap<ModuleVersion, VersionProof>,
    /// Build outputs whose content or size is wrong.
    pub damaged_outputs: BTreeSet<OutputId>,
    /// What a running `go` was downloading or extracting at that moment, and
    /// what was therefore not judged.
    pub in_progress: BTreeSet<ModuleVersion>,
    /// Files of the checksum database that do not hold and that Go would fetch again.
    pub damaged_sumdb: Vec<PathBuf>,
    /// Clones, by their folders, with something in them that would be acted on.
    pub unsafe_clones: BTreeSet<PathBuf>,
    /// Clones from which Go would make a damaged version again.
    pub stale_clones: BTreeSet<PathBuf>,
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
    evidence.verification.leaves_open = level.leaves_open().map(str::to_owned);
    if let Some(cache) = &mut inventory.modcache {
        let patience = Patience::new(PATIENCE);
        let parts = Parts { level, shard, jobs };
        versions(cache, sums, parts, &patience, tick, &mut evidence);
        residue(cache, &mut inventory.findings, &patience, &mut evidence);
        if level > VerifyLevel::Off {
            vcs::verify(cache, &mut evidence);
        }
    }
    if let Some(cache) = &inventory.buildcache {
        outputs::verify(cache, level, shard, jobs, tick, &mut evidence);
    }
    let damaged = evidence
        .versions
        .values()
        .filter(|proof| proof.damaged)
        .count();
    evidence.verification.failed += damaged as u64;
    evidence.verification.seconds = start.elapsed().as_secs_f64();
    evidence
}

/// How long a check waits for `go` commands that are downloading, in all.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is checked, and by how many.
#[derive(Clone, Copy)]
struct Parts {
    level: VerifyLevel,
    shard: Shard,
    jobs: usize,
}

fn versions(
    cache: &mut ModCache,
    sums: &MergedSums,
    Parts { level, shard, jobs }: Parts,
    patience: &Patience,
    tick: &(impl Fn() + Sync),
    evidence: &mut Evidence,
) {
    if level == VerifyLevel::Off {
        return;
    }
    let unread = |version: &Version| VersionProof {
        vouched: trust::by_go_sum(version, sums),
        ..VersionProof::default()
    };
    let all = cache.versions.iter();
    evidence.versions = all.map(|it| (it.id.clone(), unread(it))).collect();
    // The largest first, so that no thread is left alone with one at the end.
    let all = cache.versions.iter();
    let mut order: Vec<&Version> = all.filter(|it| shard.has_module(&it.id.path)).collect();
    order.sort_by_key(|version| std::cmp::Reverse(weight(version)));
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
        let version = order[index];
        let id = version.id.clone();
        let checked = checker.check(version, buffers);
        if checked.findings.is_empty() {
            return (id, (checked, Now::Same, false));
        }
        // The lock is kept until it has been checked again.
        let (now, _lock) = settle::look_again(cache, version, patience);
        let settled = match now {
            Now::Same => (checked, now, false),
            Now::Changed(ref version) => (checker.check(version, buffers), now, false),
            Now::InProgress(mut version) => {
                let (checked, excused) = settle::beside_go(&checker, &mut version, buffers);
                (checked, Now::InProgress(version), excused)
            }
        };
        (id, settled)
    });
    let mut results: BTreeMap<ModuleVersion, _> = results.into_iter().collect();
    for version in &mut cache.versions {
        let Some((checked, now, excused)) = results.remove(&version.id) else {
            continue;
        };
        match now {
            Now::Same => {}
            Now::Changed(now) | Now::InProgress(now) => *version = *now,
        }
        if excused {
            evidence.in_progress.insert(version.id.clone());
        }
        if let (Some(tree), Some(measure)) = (&mut version.tree, checked.measure) {
            tree.measure = Some(measure);
        }
        let verification = &mut evidence.verification;
        verification.versions_checked += u64::from(version.has_source());
        verification.bytes_hashed += checked.hashed;
        if let Some(proof) = evidence.versions.get_mut(&version.id) {
            let vouched = proof.vouched;
            *proof = VersionProof {
                vouched,
                ..checked.proof
            };
        }
        evidence.findings.extend(checked.findings);
    }
}

/// What a download that is going on writes is no residue. Go removes what earlier
/// ones left before it begins (`modfetch/fetch.go:downloadZip`), so that of a
/// version whose lock is held only the newest can be its.
fn residue(
    cache: &mut ModCache,
    findings: &mut Vec<Finding>,
    patience: &Patience,
    evidence: &mut Evidence,
) {
    let mut held: BTreeMap<ModuleVersion, bool> = BTreeMap::new();
    let mut written: BTreeMap<ModuleVersion, Residue> = BTreeMap::new();
    let (mut no_residue, mut beside_go) = (BTreeSet::new(), BTreeSet::new());
    for left in std::mem::take(&mut cache.residue) {
        let Some(id) = left.version.clone() else {
            cache.residue.push(left);
            continue;
        };
        let held = *held
            .entry(id.clone())
            .or_insert_with(|| settle::in_progress(cache, &id, patience));
        if settle::is_gone(cache, &left.path) {
            no_residue.insert(display_path(&left.path));
        } else if !held {
            cache.residue.push(left);
        } else {
            let older = match written.remove(&id) {
                Some(other) if other.modified > left.modified => {
                    written.insert(id, other);
                    Some(left)
                }
                other => {
                    written.insert(id, left);
                    other
                }
            };
            if let Some(older) = older {
                beside_go.insert(display_path(&older.path));
                cache.residue.push(older);
            }
        }
    }
    for (id, left) in written {
        evidence.in_progress.insert(id);
        no_residue.insert(display_path(&left.path));
        cache.other_download += left.measure;
    }
    findings.retain_mut(|finding| {
        let path = finding.path.as_ref();
        let path = path.filter(|_| finding.rule == Rule::PartialDownload);
        if path.is_some_and(|path| beside_go.contains(path)) {
            finding.message.push_str(settle::HELD);
            return true;
        }
        path.is_none_or(|path| !no_residue.contains(path))
    });
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
    pub fn proven_by(&self) -> Option<Witness> {
        match (self.zip, self.tree) {
            (Proof::Proven(source), Proof::Proven(_) | Proof::Unknown)
            | (Proof::Unknown, Proof::Proven(source)) => Some(source),
            _ => None,
        }
    }

    /// Whether only the tree has to go for a repair: the zip is proven by more
    /// than the cache's own word, so that Go extracts it again without a network.
    pub fn mends_from_zip(&self) -> bool {
        self.damaged && self.only_tree && self.zip.holds()
    }
}
