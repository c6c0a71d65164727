//! One module version: are its pieces complete, and are they what they should be?

use super::archive::{Archive, ZipError};
use super::tree::{self, Buffers, Copies, Copy};
use super::{Proof, Source, VersionProof};
use crate::config::VerifyLevel;
use crate::findings::{Finding, Rule};
use crate::folder::Folder;
use crate::formats::gosum::MergedSums;
use crate::formats::h1::{H1, h1_of_go_mod};
use crate::formats::info::{MAX_INFO_BYTES, RevInfo};
use crate::formats::module::PieceKind;
use crate::formats::modzip;
use crate::formats::ziphash::{MAX_ZIPHASH_BYTES, ZipHash, parse_ziphash};
use crate::scan::{Measure, ModCache, Version, VersionKind};
use crate::sorting;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Go refuses longer go.mod files (`x/mod/zip.MaxGoMod`).
pub(super) const MAX_GO_MOD: u64 = 16 << 20;

/// What all versions are checked against.
pub(super) struct Checker<'a> {
    pub(super) cache: &'a ModCache,
    pub(super) sums: &'a MergedSums,
    pub(super) level: VerifyLevel,
    /// Zips of up to so many bytes are read into memory whole.
    pub(super) in_memory: u64,
}

/// What one version's check brought.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) proof: VersionProof,
    pub(super) findings: Vec<Finding>,
    /// The tree's size, if it was read.
    pub(super) measure: Option<Measure>,
    pub(super) hashed: u64,
    pub(super) proven: u64,
}

/// The hashes that different witnesses give for a version's content.
struct Witnesses {
    go_sum: Vec<H1>,
    ziphash: Option<H1>,
    zip: Option<H1>,
    tree: Option<H1>,
}

impl Checker<'_> {
    pub(super) fn check(&self, version: &Version, buffers: &mut Buffers) -> Checked {
        let mut checked = Checked::default();
        self.structure(version, &mut checked);
        let ziphash = self.ziphash(version, &mut checked);
        if self.level >= VerifyLevel::Used {
            self.go_mod(version, &mut checked);
        }
        self.content(version, ziphash, buffers, &mut checked);
        checked.proof.damaged = checked
            .findings
            .iter()
            .any(|finding| repairable(finding.rule));
        checked
    }

    fn piece(&self, version: &Version, piece: PieceKind) -> PathBuf {
        self.cache.piece_path(&version.id, piece)
    }

    /// Are the pieces there that belong together?
    fn structure(&self, version: &Version, checked: &mut Checked) {
        let id = &version.id;
        let mut find = |rule, piece, message: &str| {
            let path = self.piece(version, piece);
            checked
                .findings
                .push(Finding::new(rule, id.to_string(), message).at(&path));
        };
        let (zip, tree, ziphash) = (
            version.zip.is_some(),
            version.tree.is_some(),
            version.ziphash.is_some(),
        );
        if version.partial.is_some() {
            if tree {
                let message = "an extraction was begun and never finished: the tree may be half";
                find(Rule::ExtractedIncomplete, PieceKind::Partial, message);
            } else {
                let message = "an extraction was begun and left nothing but its marker";
                find(Rule::PartialDownload, PieceKind::Partial, message);
            }
        }
        if version.kind == VersionKind::Module {
            if (zip || tree) && version.go_mod.is_none() {
                let message = "has source but no .mod, without which Go cannot load it";
                find(Rule::OrphanFile, PieceKind::Mod, message);
            }
            self.info(version, checked);
        }
        let mut find = |rule, path: &Path, message: &str| {
            checked
                .findings
                .push(Finding::new(rule, id.to_string(), message).at(path));
        };
        match (zip, tree, ziphash) {
            (false, true, false) if version.kind != VersionKind::Fips140 => find(
                Rule::ExtractedIncomplete,
                &self.cache.tree_path(id),
                "has a tree with neither .ziphash nor zip: no command of Go's ever verifies it",
            ),
            (true, _, false) => find(
                Rule::OrphanFile,
                &self.piece(version, PieceKind::Zip),
                "has a zip without its .ziphash",
            ),
            (false, false, true) => find(
                Rule::OrphanFile,
                &self.piece(version, PieceKind::ZipHash),
                "has a .ziphash with neither zip nor tree",
            ),
            (false, false, false)
                if version.lock.is_some()
                    && version.info.is_none()
                    && version.go_mod.is_none()
                    && version.partial.is_none() =>
            {
                find(
                    Rule::LoneLock,
                    &self.piece(version, PieceKind::Lock),
                    "has a lock and nothing else",
                );
            }
            _ => {}
        }
        if zip || tree {
            let help = format!("Go fetches it, or makes it from the zip: `go mod download {id}`.");
            let orphans = checked.findings.iter_mut();
            for finding in orphans.filter(|finding| finding.rule == Rule::OrphanFile) {
                finding.help.clone_from(&help);
            }
        }
    }

    fn info(&self, version: &Version, checked: &mut Checked) {
        if version.info.is_none() {
            return;
        }
        let path = self.piece(version, PieceKind::Info);
        let problem = match read_up_to(&path, MAX_INFO_BYTES as u64) {
            Ok(content) => match RevInfo::parse_for(&version.id.version, &content) {
                Ok(_) => return,
                Err(error) => {
                    Finding::new(Rule::InfoInvalid, version.id.to_string(), error.to_string())
                }
            },
            Err(error) => {
                return checked
                    .findings
                    .push(crate::scan::unreadable(&path, &error));
            }
        };
        checked.findings.push(problem.at(&path));
    }

    /// The `.ziphash`, if there is one that says anything.
    fn ziphash(&self, version: &Version, checked: &mut Checked) -> Option<H1> {
        version.ziphash?;
        let path = self.piece(version, PieceKind::ZipHash);
        let content = match read_up_to(&path, MAX_ZIPHASH_BYTES) {
            Ok(content) => content,
            Err(error) => {
                checked
                    .findings
                    .push(crate::scan::unreadable(&path, &error));
                return None;
            }
        };
        let message = match parse_ziphash(&content) {
            ZipHash::Sum(h1) => return Some(h1),
            ZipHash::Empty => "is empty: its writing was interrupted",
            ZipHash::Nuls => "holds only zero bytes: its writing was interrupted",
            ZipHash::Malformed => "holds no h1 hash",
        };
        let message = format!("the .ziphash {message}");
        checked
            .findings
            .push(Finding::new(Rule::ZiphashMismatch, version.id.to_string(), message).at(&path));
        None
    }

    fn go_mod(&self, version: &Version, checked: &mut Checked) {
        let Some(piece) = version.go_mod else { return };
        let claims = self.sums.go_mod(&version.id);
        if claims.is_empty() {
            return;
        }
        let path = self.piece(version, PieceKind::Mod);
        match read_up_to(&path, MAX_GO_MOD) {
            Ok(content) => {
                checked.hashed += piece.bytes;
                let actual = h1_of_go_mod(&content);
                if claims.iter().any(|claim| claim.h1 == actual) {
                    checked.proof.go_mod = Proof::Proven(Source::GoSum);
                    checked.proven += piece.bytes;
                } else {
                    checked.proof.go_mod = Proof::Damaged;
                    let message = "the .mod file is not the one that go.sum lists";
                    let expected = list(claims.iter().map(|claim| claim.h1));
                    checked.findings.push(
                        Finding::new(Rule::ModHashMismatch, version.id.to_string(), message)
                            .at(&path)
                            .differs(expected, actual),
                    );
                }
            }
            Err(error) => {
                checked.proof.go_mod = Proof::Damaged;
                checked
                    .findings
                    .push(crate::scan::unreadable(&path, &error));
            }
        }
    }

    /// Zip and tree, as far as the level asks.
    fn content(
        &self,
        version: &Version,
        ziphash: Option<H1>,
        buffers: &mut Buffers,
        checked: &mut Checked,
    ) {
        let archive = self.open_zip(version, checked);
        let whole_tree = version.tree.is_some() && version.partial.is_none();
        let read_tree = whole_tree && self.level >= VerifyLevel::Used;
        let read_zip = match self.level {
            VerifyLevel::Off | VerifyLevel::Quick => false,
            VerifyLevel::Used => !whole_tree,
            VerifyLevel::Full => true,
        };
        let zip = archive.as_ref().filter(|_| read_zip);
        let go_sum = self
            .sums
            .zip(&version.id)
            .iter()
            .map(|claim| claim.h1)
            .collect();
        let mut witnesses = Witnesses {
            go_sum,
            ziphash,
            zip: None,
            tree: None,
        };
        let mut copies = self.read(version, zip, read_tree, buffers);
        checked.hashed += copies.hashed;
        if read_tree {
            checked.measure = Some(copies.measure);
        }
        let zip_ok = zip.is_some() && copies.zip_error.is_none();
        if zip_ok {
            witnesses.zip = self.h1(version, &copies.zip, checked, PieceKind::Zip);
        }
        if let Some(error) = copies.zip_error.take() {
            checked.proof.zip = Proof::Damaged;
            checked.findings.push(self.zip_finding(version, &error));
        }
        if read_tree {
            self.report_foreign(version, &copies, checked);
            if copies.unreadable.is_empty() && copies.foreign.is_empty() {
                witnesses.tree =
                    self.tree_h1(version, &copies.tree, archive.as_ref(), &witnesses, checked);
            } else {
                checked.proof.tree = Proof::Damaged;
            }
            // Only the zip can say which files of a damaged tree are meant.
            let wrong = witnesses.tree.is_some_and(|tree| !witnesses.trusts(tree));
            if wrong
                && zip.is_none()
                && let Some(archive) = &archive
            {
                copies = self.read(version, Some(archive), true, buffers);
            }
        }
        self.judge(version, &witnesses, &copies, archive.as_ref(), checked);
    }

    fn open_zip(&self, version: &Version, checked: &mut Checked) -> Option<Archive> {
        version.zip?;
        let path = self.piece(version, PieceKind::Zip);
        let whole = self.level == VerifyLevel::Full
            || (self.level == VerifyLevel::Used && version.tree.is_none());
        let in_memory = if whole { self.in_memory } else { 0 };
        let opened = open_regular(&path)
            .map_err(ZipError::Io)
            .and_then(|file| Archive::open(file, in_memory));
        let archive = match opened {
            Ok(archive) => archive,
            Err(error) => {
                checked.proof.zip = Proof::Damaged;
                checked.findings.push(self.zip_finding(version, &error));
                return None;
            }
        };
        let mut rules = modzip::ZipRules::new(&version.id, archive.bytes);
        for member in &archive.members {
            rules.add(&member.name, member.size, member.irregular);
        }
        let review = rules.finish();
        if let Some(first) = review.violations.first() {
            checked.proof.zip = Proof::Damaged;
            let more = match review.violations.len() - 1 + review.more {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            let finding = Finding::new(
                Rule::ZipInvalid,
                version.id.to_string(),
                format!(
                    "the zip breaks a rule of Go's: {}: {}{more}",
                    String::from_utf8_lossy(&first.name),
                    first.problem
                ),
            );
            checked.findings.push(finding.at(&path));
        }
        Some(archive)
    }

    fn read(
        &self,
        version: &Version,
        zip: Option<&Archive>,
        tree: bool,
        buffers: &mut Buffers,
    ) -> Copies {
        match (tree, zip) {
            (true, zip) => tree::read_tree(
                &self.cache.tree_path(&version.id),
                &version.id.zip_prefix(),
                zip,
                version.kind == VersionKind::Toolchain,
                buffers,
            ),
            (false, Some(zip)) => tree::read_zip(zip, buffers),
            (false, None) => Copies::default(),
        }
    }

    fn h1(
        &self,
        version: &Version,
        copy: &Copy,
        checked: &mut Checked,
        piece: PieceKind,
    ) -> Option<H1> {
        match copy.h1([]) {
            Ok(h1) => Some(h1),
            Err(error) => {
                let (rule, path) = match piece {
                    PieceKind::Zip => (Rule::ZipInvalid, self.piece(version, piece)),
                    _ => (
                        Rule::ExtractedHashMismatch,
                        self.cache.tree_path(&version.id),
                    ),
                };
                checked
                    .findings
                    .push(Finding::new(rule, version.id.to_string(), error.to_string()).at(&path));
                None
            }
        }
    }

    /// The tree's h1. Folder entries of the zip count in go.sum's hash and
    /// cannot exist in a tree; where they make the difference there is none.
    fn tree_h1(
        &self,
        version: &Version,
        tree: &Copy,
        archive: Option<&Archive>,
        witnesses: &Witnesses,
        checked: &mut Checked,
    ) -> Option<H1> {
        let h1 = self.h1(version, tree, checked, PieceKind::Info)?;
        if witnesses.trusts(h1) {
            return Some(h1);
        }
        let folders = archive.into_iter().flat_map(|archive| &archive.members);
        let folders = folders
            .filter(|member| member.is_folder())
            .map(|member| &*member.name);
        match tree.h1(folders) {
            Ok(with_folders) if witnesses.trusts(with_folders) => Some(with_folders),
            _ => Some(h1),
        }
    }

    fn report_foreign(&self, version: &Version, copies: &Copies, checked: &mut Checked) {
        for path in copies.foreign.iter().take(10) {
            let message = "the extracted tree holds a link or a device; Go extracts only files";
            checked.findings.push(
                Finding::new(Rule::ExtractedHashMismatch, version.id.to_string(), message).at(path),
            );
        }
        for (path, error) in copies.unreadable.iter().take(10) {
            checked.findings.push(crate::scan::unreadable(path, error));
        }
    }

    fn zip_finding(&self, version: &Version, error: &ZipError) -> Finding {
        let path = self.piece(version, PieceKind::Zip);
        match error {
            ZipError::Io(error) => crate::scan::unreadable(&path, error),
            ZipError::Invalid(message) => Finding::new(
                Rule::ZipInvalid,
                version.id.to_string(),
                format!("the zip {message}"),
            )
            .at(&path),
        }
    }

    /// Lays the witnesses side by side.
    fn judge(
        &self,
        version: &Version,
        witnesses: &Witnesses,
        copies: &Copies,
        archive: Option<&Archive>,
        checked: &mut Checked,
    ) {
        let id = version.id.to_string();
        let trusted = witnesses.trusted();
        let source = if witnesses.go_sum.is_empty() {
            Source::Ziphash
        } else {
            Source::GoSum
        };
        let ziphash_is_odd = witnesses.ziphash_is_odd();
        if ziphash_is_odd {
            let actual = witnesses.ziphash.map_or(String::new(), |h1| h1.to_string());
            let expected = match witnesses.go_sum.as_slice() {
                [] => list(witnesses.zip),
                sums => list(sums.iter().copied()),
            };
            let message = format!("the .ziphash is wrong: {}", witnesses.cause());
            checked.findings.push(
                Finding::new(Rule::ZiphashMismatch, id.clone(), message)
                    .at(&self.piece(version, PieceKind::ZipHash))
                    .differs(expected, actual),
            );
        }
        let odd_only = ziphash_is_odd && witnesses.go_sum.is_empty();
        let mut copy = |h1: H1, rule, path: PathBuf, what: &str, bytes| {
            if witnesses.trusts(h1) {
                checked.proven += bytes;
                return Proof::Proven(source);
            }
            if trusted.is_empty() || odd_only {
                return Proof::Unknown;
            }
            let message = format!("the {what} differs: {}", witnesses.cause());
            checked.findings.push(
                Finding::new(rule, id.clone(), message)
                    .at(&path)
                    .differs(list(trusted.iter().copied()), h1),
            );
            Proof::Damaged
        };
        let zip_bytes = version.zip.map_or(0, |piece| piece.bytes);
        if let Some(h1) = witnesses.zip {
            let path = self.piece(version, PieceKind::Zip);
            let proof = copy(h1, Rule::ZipHashMismatch, path, "zip", zip_bytes);
            if checked.proof.zip != Proof::Damaged {
                checked.proof.zip = proof;
            }
        }
        if let Some(h1) = witnesses.tree {
            let path = self.cache.tree_path(&version.id);
            let what = format!("extracted tree{}", described(&copies.differences, archive));
            let mut proof = copy(
                h1,
                Rule::ExtractedHashMismatch,
                path.clone(),
                &what,
                copies.measure.bytes,
            );
            // Without any trust the copies can still contradict each other.
            if proof == Proof::Unknown
                && let Some(zip) = witnesses.zip
                && zip != h1
                && !odd_only
            {
                let message =
                    format!("the {what} differs from its zip, and nothing tells which is right");
                checked.findings.push(
                    Finding::new(Rule::ExtractedHashMismatch, version.id.to_string(), message)
                        .at(&path)
                        .differs(zip, h1),
                );
                proof = Proof::Damaged;
            }
            checked.proof.tree = proof;
        }
    }
}

impl Witnesses {
    /// The hashes to measure by: go.sum's, else the `.ziphash`.
    fn trusted(&self) -> Vec<H1> {
        match self.go_sum.is_empty() {
            false => self.go_sum.clone(),
            true => self.ziphash.into_iter().collect(),
        }
    }

    fn trusts(&self, h1: H1) -> bool {
        match self.go_sum.is_empty() {
            false => self.go_sum.contains(&h1),
            true => self.ziphash == Some(h1),
        }
    }

    /// Whether the `.ziphash` is the odd one out. Where it only repeats what a
    /// replaced zip or tree hashes to, that copy is the finding.
    fn ziphash_is_odd(&self) -> bool {
        let Some(ziphash) = self.ziphash else {
            return false;
        };
        if self.go_sum.is_empty() {
            self.zip.is_some() && self.zip == self.tree && self.zip != self.ziphash
        } else {
            !self.go_sum.contains(&ziphash)
                && self.zip != Some(ziphash)
                && self.tree != Some(ziphash)
        }
    }

    /// Who agrees with whom, and what most likely happened.
    fn cause(&self) -> &'static str {
        let in_sum = |h1: Option<H1>| h1.map(|h1| self.go_sum.contains(&h1));
        if self.go_sum.is_empty() {
            return match (self.zip, self.tree) {
                (Some(zip), Some(tree)) if zip == tree => {
                    "zip and tree agree with each other and not with the .ziphash, which was damaged or edited"
                }
                (Some(zip), Some(_)) if Some(zip) == self.ziphash => {
                    "zip and .ziphash agree, so the tree was edited after extraction"
                }
                (Some(_), Some(tree)) if Some(tree) == self.ziphash => {
                    "tree and .ziphash agree, so the zip was changed after it was downloaded"
                }
                (Some(_), Some(_)) => {
                    "zip, tree and .ziphash all disagree, so the cache is damaged"
                }
                _ => "it disagrees with the .ziphash, and no go.sum line says which is right",
            };
        }
        match (in_sum(self.ziphash), in_sum(self.zip), in_sum(self.tree)) {
            (Some(true), Some(true), Some(false)) | (Some(true), None, Some(false)) => {
                "go.sum and .ziphash agree, so the tree was edited after extraction"
            }
            (Some(true), Some(false), _) => {
                "go.sum and .ziphash agree, so the zip was changed after it was downloaded"
            }
            (Some(false), Some(true), _) | (Some(false), None, Some(true)) => {
                "go.sum and the content agree, so the .ziphash was damaged or edited"
            }
            (Some(false), zip, tree)
                if zip != Some(true)
                    && tree != Some(true)
                    && self.zip.is_none_or(|h1| Some(h1) == self.ziphash)
                    && self.tree.is_none_or(|h1| Some(h1) == self.ziphash) =>
            {
                "everything in the cache agrees and go.sum does not: the version was replaced in the cache (poisoned), or go.sum was edited"
            }
            _ => "the cache does not hold what go.sum lists",
        }
    }
}

/// ` (2 files changed: a.go, b.go; 1 added: c.go)`, where the zip could tell.
fn described(differences: &tree::Differences, archive: Option<&Archive>) -> String {
    if archive.is_none() {
        return String::new();
    }
    let part = |names: &[String], what: &str| match names {
        [] => None,
        names => {
            let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
            sorting::sort(&mut names);
            let more = names.len().saturating_sub(3);
            let shown = names[..names.len() - more].join(", ");
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            Some(format!("{what}: {shown}{more}"))
        }
    };
    let parts: Vec<String> = [
        part(&differences.changed, "changed"),
        part(&differences.added, "added"),
        part(&differences.missing, "missing"),
    ]
    .into_iter()
    .flatten()
    .collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!(" ({})", parts.join("; ")),
    }
}

fn list(hashes: impl IntoIterator<Item = H1>) -> String {
    let hashes: Vec<String> = hashes.into_iter().map(|h1| h1.to_string()).collect();
    hashes.join(" or ")
}

/// Damage that a repair mends by removing the version.
fn repairable(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::ZipHashMismatch
            | Rule::ExtractedHashMismatch
            | Rule::ModHashMismatch
            | Rule::ZiphashMismatch
            | Rule::ZipInvalid
            | Rule::ExtractedIncomplete
            | Rule::InfoInvalid
    )
}

/// Opens a file in its folder without following a link in its place.
fn open_regular(path: &Path) -> io::Result<File> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    };
    Folder::open_no_follow(parent)?.file(name)
}

/// Reads a small file; one that is longer than `limit` is an error.
pub(crate) fn read_up_to(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open_regular(path)?
        .take(limit + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        let message = format!("is longer than {limit} bytes, which Go never writes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(content)
}
