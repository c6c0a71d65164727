//! One module version: are its pieces complete, and are they what they should be?

use super::archive::{Archive, ZipError};
use super::tree::{self, Buffers, Copies};
use super::{Hashes, Proof, VersionProof, Witness};
use crate::findings::{Finding, Level, Rule};
use crate::formats::gosum::{self, MergedSums};
use crate::formats::h1::{H1, H1Error, h1_of_go_mod};
use crate::formats::info::{MAX_INFO_BYTES, RevInfo};
use crate::formats::module::PieceKind;
use crate::formats::ziphash::{MAX_ZIPHASH_BYTES, ZipHash, parse_ziphash};
use crate::scan::{Measure, ModCache, Pieces, Version, VersionKind, link_in_cache};
use crate::settings::VerifyLevel;
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
}

/// The hashes that different witnesses give for a version's content.
struct Witnesses {
    /// What go.sum has. Several hashes contradict each other, and prove nothing.
    go_sum: Vec<H1>,
    ziphash: Option<H1>,
    zip: Option<H1>,
    tree: Option<H1>,
    /// The tree was not hashed, as a file in it is longer than it can be.
    too_long: bool,
}

impl Checked {
    /// A build may read another copy than the one that was hashed.
    fn proves_nothing(&mut self) {
        let VersionProof {
            zip, tree, go_mod, ..
        } = &mut self.proof;
        for proof in [zip, tree, go_mod] {
            if matches!(proof, Proof::Proven(_)) {
                *proof = Proof::Unknown;
            }
        }
        self.proof.hashes = Hashes::default();
    }
}

impl Checker<'_> {
    pub(super) fn check(&self, version: &Version, buffers: &mut Buffers) -> Checked {
        let mut checked = Checked::default();
        let pieces = self.cache.pieces(&version.id);
        // Of what a link hides nobody can say that it is missing.
        if !version.linked {
            self.structure(version, &pieces, &mut checked);
        }
        let ziphash = self.ziphash(version, &pieces, &mut checked);
        if self.level >= VerifyLevel::Used {
            self.go_mod(version, &pieces, &mut checked);
        }
        self.content(version, &pieces, ziphash, buffers, &mut checked);
        if version.linked {
            checked.proves_nothing();
        }
        let mut damage = checked
            .findings
            .iter()
            .map(|finding| finding.rule)
            .filter(|rule| repairable(*rule))
            .peekable();
        checked.proof.damaged = damage.peek().is_some();
        checked.proof.only_tree &= damage.all(|rule| {
            matches!(
                rule,
                Rule::ExtractedHashMismatch | Rule::ExtractedIncomplete
            )
        });
        checked
    }

    fn piece(&self, version: &Version, piece: PieceKind) -> PathBuf {
        self.cache.piece_path(&version.id, piece)
    }

    /// Are the pieces there that belong together?
    fn structure(&self, version: &Version, pieces: &Pieces, checked: &mut Checked) {
        let id = &version.id;
        let (zip, tree, ziphash) = (
            version.zip.is_some(),
            version.tree.is_some(),
            version.ziphash.is_some(),
        );
        self.extraction(version, checked);
        if version.kind == VersionKind::Module {
            if (zip || tree) && version.go_mod.is_none() {
                // Go itself leaves it so where it only looked for a package in
                // the module (`modload.queryImport`), as pruned graphs let it.
                let message = "has source but no .mod: a build that needs it fetches the .mod first, and without a network cannot";
                let mut finding = Finding::new(Rule::OrphanFile, id.to_string(), message)
                    .at(&self.piece(version, PieceKind::Mod))
                    .advise(format!("Run `go mod download {id}`."));
                finding.level = Level::Note;
                checked.findings.push(finding);
            }
            self.info(version, pieces, checked);
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
            // No loss: to Go this is a zip that it has yet to hash.
            (true, _, false) => {
                let message = "has a zip without its .ziphash, which Go writes anew from the zip";
                let mut finding = Finding::new(Rule::OrphanFile, id.to_string(), message)
                    .at(&self.piece(version, PieceKind::Zip))
                    .advise(format!("Nothing to do, or run `go mod download {id}`."));
                finding.level = Level::Note;
                checked.findings.push(finding);
            }
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

    /// Was the tree extracted, and not half or emptied since?
    fn extraction(&self, version: &Version, checked: &mut Checked) {
        let id = &version.id;
        let mut find = |rule, path: &Path, message| {
            let finding = Finding::new(rule, id.to_string(), message);
            checked.findings.push(finding.at(path));
        };
        match (version.partial.is_some(), version.tree.is_some()) {
            (true, true) => find(
                Rule::ExtractedIncomplete,
                &self.piece(version, PieceKind::Partial),
                "an extraction was begun and never finished: the tree may be half",
            ),
            (true, false) => find(
                Rule::PartialDownload,
                &self.piece(version, PieceKind::Partial),
                "an extraction was begun and left nothing but its marker",
            ),
            // What cannot be read is told by whoever measures the tree.
            (false, true) if self.level == VerifyLevel::Quick => {
                let opened = self.cache.open_tree(id);
                if opened.is_ok_and(|tree| tree::is_empty(&tree).unwrap_or(false)) {
                    find(
                        Rule::ExtractedIncomplete,
                        &self.cache.tree_path(id),
                        "has a tree without a single file: it was emptied, or never filled",
                    );
                }
            }
            (false, _) => {}
        }
    }

    fn info(&self, version: &Version, pieces: &Pieces, checked: &mut Checked) {
        if version.info.is_none() {
            return;
        }
        let path = self.piece(version, PieceKind::Info);
        let problem = match pieces.read(PieceKind::Info, MAX_INFO_BYTES as u64) {
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
    fn ziphash(&self, version: &Version, pieces: &Pieces, checked: &mut Checked) -> Option<H1> {
        version.ziphash?;
        let path = self.piece(version, PieceKind::ZipHash);
        let content = match pieces.read(PieceKind::ZipHash, MAX_ZIPHASH_BYTES) {
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

    fn go_mod(&self, version: &Version, pieces: &Pieces, checked: &mut Checked) {
        let Some(piece) = version.go_mod else { return };
        let claims = self.sums.go_mod(&version.id);
        if claims.is_empty() {
            return;
        }
        let path = self.piece(version, PieceKind::Mod);
        match pieces.read(PieceKind::Mod, MAX_GO_MOD) {
            Ok(content) => {
                checked.hashed += piece.bytes;
                let actual = h1_of_go_mod(&content);
                checked.proof.hashes.go_mod = Some(actual);
                if gosum::agreed(claims) == Some(actual) {
                    checked.proof.go_mod = Proof::Proven(Witness::GoSum);
                } else if claims.iter().all(|claim| claim.h1 != actual) {
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
        pieces: &Pieces,
        ziphash: Option<H1>,
        buffers: &mut Buffers,
        checked: &mut Checked,
    ) {
        let mut archive = self.open_zip(version, pieces, checked);
        let whole_tree = version.tree.is_some() && version.partial.is_none();
        let read_tree = whole_tree && self.level >= VerifyLevel::Used;
        let read_zip = match self.level {
            VerifyLevel::Off | VerifyLevel::Quick => false,
            VerifyLevel::Used => !whole_tree,
            VerifyLevel::Full => true,
        };
        // Go itself never takes go.sum's word for a toolchain that it starts.
        let go_sum = match version.kind {
            VersionKind::Toolchain => Vec::new(),
            _ => {
                let claims = self.sums.zip(&version.id).iter();
                claims.map(|claim| claim.h1).collect()
            }
        };
        let mut witnesses = Witnesses {
            go_sum,
            ziphash,
            zip: None,
            tree: None,
            too_long: false,
        };
        let zip = archive.as_mut().filter(|_| read_zip);
        let with_zip = zip.is_some();
        let mut copies = self.read(version, zip, read_tree, buffers);
        checked.hashed += copies.hashed;
        if read_tree {
            checked.measure = Some(copies.measure);
        }
        if let Some(error) = copies.zip_error.take() {
            checked.proof.zip = Proof::Damaged;
            checked.findings.push(self.zip_finding(version, &error));
        } else if with_zip && let Some(archive) = &archive {
            witnesses.zip = self.h1(version, copies.zip_h1(archive), checked, PieceKind::Zip);
        }
        if read_tree {
            self.report_foreign(version, &copies, checked);
            witnesses.too_long = copies.too_long.is_some();
            if !copies.is_whole() {
                checked.proof.tree = Proof::Damaged;
            } else if !witnesses.too_long {
                witnesses.tree =
                    self.tree_h1(version, &copies, archive.as_ref(), &witnesses, checked);
            }
            // Only the zip can say which files of a damaged tree are meant.
            let wrong = witnesses.tree.is_some_and(|tree| !witnesses.trusts(tree));
            if (wrong || witnesses.too_long) && !with_zip && archive.is_some() {
                copies = self.read(version, archive.as_mut(), true, buffers);
                checked.hashed += copies.hashed;
            }
        }
        checked.proof.hashes.zip = witnesses.zip;
        checked.proof.hashes.tree = witnesses.tree;
        self.judge(version, &witnesses, &copies, archive.as_ref(), checked);
    }

    fn open_zip(
        &self,
        version: &Version,
        pieces: &Pieces,
        checked: &mut Checked,
    ) -> Option<Archive> {
        version.zip?;
        let whole = self.level == VerifyLevel::Full
            || (self.level == VerifyLevel::Used && version.tree.is_none());
        let in_memory = if whole { self.in_memory } else { 0 };
        let opened = pieces
            .open(PieceKind::Zip)
            .map_err(ZipError::Io)
            .and_then(|file| Archive::open(&version.id, file, in_memory));
        opened
            .inspect_err(|error| {
                checked.proof.zip = Proof::Damaged;
                checked.findings.push(self.zip_finding(version, error));
            })
            .ok()
    }

    fn read(
        &self,
        version: &Version,
        zip: Option<&mut Archive>,
        tree: bool,
        buffers: &mut Buffers,
    ) -> Copies {
        match (tree, zip) {
            (true, zip) => tree::read_tree(
                &version.id,
                self.cache.open_tree(&version.id),
                &self.cache.tree_path(&version.id),
                zip,
                buffers,
            ),
            (false, Some(zip)) => tree::read_zip(zip, buffers),
            (false, None) => Copies::default(),
        }
    }

    fn h1(
        &self,
        version: &Version,
        h1: Result<H1, H1Error>,
        checked: &mut Checked,
        piece: PieceKind,
    ) -> Option<H1> {
        match h1 {
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
        copies: &Copies,
        archive: Option<&Archive>,
        witnesses: &Witnesses,
        checked: &mut Checked,
    ) -> Option<H1> {
        let h1 = copies.tree_h1(&version.id, archive, false);
        let h1 = self.h1(version, h1, checked, PieceKind::Info)?;
        if witnesses.trusts(h1) {
            return Some(h1);
        }
        match copies.tree_h1(&version.id, archive, true) {
            Ok(with_folders) if witnesses.trusts(with_folders) => Some(with_folders),
            _ => Some(h1),
        }
    }

    fn report_foreign(&self, version: &Version, copies: &Copies, checked: &mut Checked) {
        for (path, target) in copies.links.iter().take(10) {
            let what = "a file or folder of the module's source";
            let finding = link_in_cache(version.id.to_string(), path, target, what);
            checked.findings.push(finding);
        }
        for path in copies.foreign.iter().take(10) {
            let message = "the extracted tree holds a device or a pipe; Go extracts only files";
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
            error => Finding::new(
                Rule::ZipInvalid,
                version.id.to_string(),
                format!("the zip {error}"),
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
        checked.proof.only_tree = witnesses.zip.is_some() && witnesses.zip == witnesses.ziphash;
        let in_sum = |ziphash| witnesses.go_sum.contains(&ziphash);
        checked.proof.download_differs =
            !witnesses.go_sum.is_empty() && !witnesses.ziphash.is_some_and(in_sum);
        if witnesses.ziphash_is_odd() {
            let finding = witnesses.odd_ziphash(&id);
            let path = self.piece(version, PieceKind::ZipHash);
            checked.findings.push(finding.at(&path));
        }
        if let Some(h1) = witnesses.zip {
            let follows = match version.tree {
                Some(_) => "; Go unpacks it, unchecked, once the tree is gone",
                None => "; the next build unpacks and compiles it, unchecked",
            };
            let copy = Suspect {
                h1,
                rule: Rule::ZipHashMismatch,
                path: self.piece(version, PieceKind::Zip),
                what: "the zip differs".to_owned(),
                incomplete: false,
                follows,
            };
            let proof = witnesses.weigh(&id, &copy, checked);
            if checked.proof.zip != Proof::Damaged {
                checked.proof.zip = proof;
            }
        }
        if let Some(h1) = witnesses.tree {
            checked.proof.tree = self.judge_tree(version, h1, witnesses, copies, archive, checked);
        }
        if let Some((name, bytes, most)) = &copies.too_long {
            let what = described(&copies.differences, archive);
            let (cause, follows) = (witnesses.cause(false), witnesses.follows(COMPILES));
            let message = format!("the extracted tree{what} differs: {cause}{follows}");
            let actual = format!(
                "{name} of {bytes} bytes, where at most {most} can be right: it was not hashed"
            );
            checked.findings.push(
                Finding::new(Rule::ExtractedHashMismatch, id, message)
                    .at(&self.cache.tree_path(&version.id))
                    .differs(list(witnesses.trusted()), actual),
            );
            checked.proof.tree = Proof::Damaged;
        }
    }

    fn judge_tree(
        &self,
        version: &Version,
        h1: H1,
        witnesses: &Witnesses,
        copies: &Copies,
        archive: Option<&Archive>,
        checked: &mut Checked,
    ) -> Proof {
        let id = version.id.to_string();
        let differences = &copies.differences;
        let incomplete = archive.is_some() && differences.only_missing();
        let parts = described(differences, archive);
        let (what, follows) = match incomplete {
            true => (
                format!("the extracted tree is incomplete{parts}"),
                "; a build that needs the missing files fails, another goes on without a word",
            ),
            false => (format!("the extracted tree{parts} differs"), COMPILES),
        };
        let copy = Suspect {
            h1,
            rule: Rule::ExtractedHashMismatch,
            path: self.cache.tree_path(&version.id),
            what,
            incomplete,
            follows,
        };
        let proof = witnesses.weigh(&id, &copy, checked);
        // Without any trust the copies can still contradict each other.
        let Some(zip) = witnesses.zip.filter(|zip| *zip != h1) else {
            return proof;
        };
        if proof != Proof::Unknown || witnesses.trusts(h1) || witnesses.only_ziphash_is_odd() {
            return proof;
        }
        let what = &copy.what;
        let message = format!("{what} from its zip, and nothing tells which is right");
        let finding = Finding::new(copy.rule, id, message).at(&copy.path);
        checked.findings.push(finding.differs(zip, h1));
        Proof::Damaged
    }
}

/// A copy of a version, as it is told of if it is not the right one.
struct Suspect {
    h1: H1,
    rule: Rule,
    path: PathBuf,
    what: String,
    /// Whether files are missing and nothing else is wrong.
    incomplete: bool,
    follows: &'static str,
}

/// What follows where the hash that Go looks at is not go.sum's
/// (`modfetch.checkMod`).
const STOPS: &str = "; Go stops at it with SECURITY ERROR";

/// What follows where Go looks at nothing but names.
const COMPILES: &str = "; Go compiles it without looking at its hash";

/// What to do where a tag may have been moved.
const REPUBLISHED: &str = "Ask the module's author whether the tag was moved. For what go.sum lists, run `gocachevet trim --repair` and build again; for the new content, take the version's two lines out of go.sum and run `go mod tidy`.";

impl Witnesses {
    /// What they make of a copy; one that is not what it should be is told.
    fn weigh(&self, id: &str, copy: &Suspect, checked: &mut Checked) -> Proof {
        if self.trusts(copy.h1) {
            return self.proof();
        }
        let trusted = self.trusted();
        if trusted.is_empty() || self.only_ziphash_is_odd() {
            return Proof::Unknown;
        }
        let (cause, follows) = (self.cause(copy.incomplete), self.follows(copy.follows));
        let message = format!("{}: {cause}{follows}", copy.what);
        let mut finding = Finding::new(copy.rule, id, message)
            .at(&copy.path)
            .differs(list(trusted), copy.h1);
        if self.only_go_sum_differs() {
            finding = finding.advise(REPUBLISHED);
        }
        checked.findings.push(finding);
        Proof::Damaged
    }

    fn only_ziphash_is_odd(&self) -> bool {
        self.ziphash_is_odd() && self.go_sum.is_empty()
    }

    fn odd_ziphash(&self, id: &str) -> Finding {
        let actual = self.ziphash.map_or(String::new(), |h1| h1.to_string());
        let expected = match self.go_sum.as_slice() {
            [] => list(self.zip),
            sums => list(sums.iter().copied()),
        };
        let mut message = format!("the .ziphash is wrong: {}", self.cause(false));
        if self.go_stops() {
            message.push_str(STOPS);
        }
        Finding::new(Rule::ZiphashMismatch, id, message).differs(expected, actual)
    }

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

    /// What a copy that [is trusted](Self::trusts) is shown to be.
    fn proof(&self) -> Proof {
        match self.go_sum.len() {
            0 => Proof::Proven(Witness::Ziphash),
            1 => Proof::Proven(Witness::GoSum),
            _ => Proof::Unknown,
        }
    }

    /// Whether Go stops before it reads anything: the `.ziphash`, or where that
    /// says nothing the zip, is not what go.sum has (`modfetch.checkMod`).
    fn go_stops(&self) -> bool {
        match (self.go_sum.as_slice(), self.ziphash.or(self.zip)) {
            ([sum], Some(h1)) => *sum != h1,
            _ => false,
        }
    }

    /// What Go does about a copy that differs, which is `otherwise` where
    /// nothing stops it.
    fn follows(&self, otherwise: &'static str) -> &'static str {
        match (self.go_stops(), self.go_sum.len()) {
            (true, _) => STOPS,
            (false, 1) => otherwise,
            // What Go does where go.sum says nothing depends on the command.
            (false, _) => "",
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

    /// Whether all that was read in the cache agrees, and go.sum does not.
    fn only_go_sum_differs(&self) -> bool {
        let Some(ziphash) = self.ziphash else {
            return false;
        };
        let same = |h1: Option<H1>| h1.is_none_or(|h1| h1 == ziphash);
        !self.go_sum.is_empty()
            && !self.too_long
            && !self.go_sum.contains(&ziphash)
            && (self.zip.is_some() || self.tree.is_some())
            && same(self.zip)
            && same(self.tree)
    }

    /// Who agrees with whom, and what most likely happened. `incomplete`: the
    /// tree has what its zip has, but not all of it.
    fn cause(&self, incomplete: bool) -> &'static str {
        let in_sum = |h1: Option<H1>| h1.map(|h1| self.go_sum.contains(&h1));
        if self.go_sum.is_empty() {
            return match (self.zip, self.tree) {
                (Some(zip), Some(tree)) if zip == tree => {
                    "zip and tree agree with each other and not with the .ziphash, which was damaged or edited"
                }
                (_, Some(_)) if incomplete => {
                    "zip and .ziphash agree, so the tree lost files after extraction"
                }
                (Some(zip), tree)
                    if Some(zip) == self.ziphash && (tree.is_some() || self.too_long) =>
                {
                    "zip and .ziphash agree, so the tree was edited after extraction"
                }
                (Some(_), Some(tree)) if Some(tree) == self.ziphash => {
                    "tree and .ziphash agree, so the zip was changed after it was downloaded"
                }
                (Some(_), Some(_)) => {
                    "zip, tree and .ziphash all disagree, so the cache is damaged"
                }
                _ => "it disagrees with the .ziphash, and nothing tells which is right",
            };
        }
        if self.only_go_sum_differs() {
            return "everything in the cache agrees and go.sum alone does not: the version was published anew after go.sum was written (a moved tag), or replaced in the cache (poisoned), or go.sum was edited";
        }
        let tree = match self.too_long {
            true => Some(false),
            false => in_sum(self.tree),
        };
        match (in_sum(self.ziphash), in_sum(self.zip), tree) {
            (Some(true), Some(true) | None, Some(false)) if incomplete => {
                "go.sum and .ziphash agree, so the tree lost files after extraction"
            }
            (Some(true), Some(true) | None, Some(false)) => {
                "go.sum and .ziphash agree, so the tree was edited after extraction"
            }
            (Some(true), Some(false), _) => {
                "go.sum and .ziphash agree, so the zip was changed after it was downloaded"
            }
            (Some(false), Some(true), _) | (Some(false), None, Some(true)) => {
                "go.sum and the content agree, so the .ziphash was damaged or edited"
            }
            (Some(false), None, None) => "it is not what go.sum has, and no content was read",
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
            names.sort();
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
pub(super) fn repairable(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::ZipHashMismatch
            | Rule::ExtractedHashMismatch
            | Rule::ModHashMismatch
            | Rule::ZiphashMismatch
            | Rule::ZipInvalid
            | Rule::ExtractedIncomplete
            | Rule::InfoInvalid
            | Rule::LinkInCache
    )
}
