//! What the checksum database's cached records add to the evidence.
//!
//! The other checks hold the content against go.sum, or where that has no line
//! against `.ziphash`, which is only the cache's own word. A record of the
//! checksum database outranks both: it is signed.

use super::{Evidence, Proof, Witness, trust};
use crate::findings::{Finding, Rule};
use crate::formats::gosum::{MergedSums, SumClaim, agreed};
use crate::formats::h1::{H1, h1_of_go_mod};
use crate::formats::module::PieceKind;
use crate::formats::ziphash::{MAX_ZIPHASH_BYTES, ZipHash, parse_ziphash};
use crate::scan::{ModCache, Version, VersionKind};
use crate::sumdb::database::Sums;
use crate::sumdb::{self, Contradiction, Sumdb};
use crate::text::human;
use crate::values::shard::Shard;

/// Weighs what was found in `shard` against the cached records. `exempt` tells the module
/// paths for which Go asks no database (`GONOSUMDB`).
pub fn weigh(
    cache: &ModCache,
    sums: &MergedSums,
    sumdb: &Sumdb,
    exempt: impl Fn(&str) -> bool,
    shard: Shard,
    evidence: &mut Evidence,
) {
    evidence.overall.extend(sumdb.findings().cloned());
    evidence.overall.extend(trust::conflicts(sums, sumdb));
    evidence.overall.extend(trust::toolchain_lines(sums));
    evidence.damaged_sumdb = sumdb.damaged().collect();
    let (mut known, mut unproven) = (0_u64, 0_u64);
    for version in &cache.versions {
        let private = exempt(&version.id.path) && !version.id.is_toolchain();
        if private || version.kind == VersionKind::Fips140 {
            continue;
        }
        let weighing = Weighing {
            cache,
            version,
            sums,
            sumdb,
        };
        known += u64::from(version.has_source());
        if let (Some(record), Some(proof)) =
            (weighing.record(), evidence.versions.get_mut(&version.id))
        {
            let vouched = &mut proof.vouched;
            vouched.content = vouched.content.or(record.zip.map(|_| Witness::Sumdb));
            vouched.go_mod = vouched.go_mod.or(record.go_mod.map(|_| Witness::Sumdb));
        }
        let has_record = match shard.has_module(&version.id.path) {
            true => weighing.weigh(evidence),
            false => weighing.has_record(),
        };
        if !has_record {
            unproven += u64::from(version.has_source());
        }
    }
    // Where go.sum was complete from the start Go never asks, and there is
    // nothing to say.
    if unproven > 0 && sumdb.has_records() {
        let subject = human::counted(unproven, "version", "versions");
        let message = format!(
            "{subject} of {} cannot be proven by the checksum database: no record is cached",
            human::count(known)
        );
        evidence
            .overall
            .push(Finding::new(Rule::SumdbUnproven, subject, message));
    }
}

struct Weighing<'a> {
    cache: &'a ModCache,
    version: &'a Version,
    sums: &'a MergedSums,
    sumdb: &'a Sumdb,
}

impl Weighing<'_> {
    /// Whether there is a record, whatever it says.
    fn has_record(&self) -> bool {
        let proof = self.sumdb.check(&self.version.id, None, None);
        !matches!(proof, sumdb::RecordProof::Unproven(_))
    }

    /// What a signed tree says of the version.
    fn record(&self) -> Option<Sums> {
        match self.sumdb.check(&self.version.id, None, None) {
            sumdb::RecordProof::Proven(sums) => Some(sums),
            _ => None,
        }
    }

    /// Holds the version against its record, and says whether there is one.
    fn weigh(&self, evidence: &mut Evidence) -> bool {
        let id = &self.version.id;
        let Some(record) = self.record() else {
            // What contradicts itself is said by a finding about the database's files.
            return self.has_record();
        };
        let (zips, go_mods) = (self.sums.zip(id), self.sums.go_mod(id));
        // What go.sum says, whatever the cache holds. Of lines that differ, one
        // of them right, a finding of its own tells.
        let mut edited = false;
        if !trust::settles(zips, record.zip) {
            for claim in zips {
                edited |= self.claim(claim, Some(claim.h1), None, evidence);
            }
        }
        if !trust::settles(go_mods, record.go_mod) {
            for claim in go_mods {
                edited |= self.claim(claim, None, Some(claim.h1), evidence);
            }
        }
        if edited {
            evidence.verification.failed += 1;
            if let Some(proof) = evidence.versions.get_mut(id) {
                for copy in [&mut proof.zip, &mut proof.tree, &mut proof.go_mod] {
                    if *copy == Proof::Proven(Witness::GoSum) {
                        *copy = Proof::Unknown;
                    }
                }
            }
            return true;
        }
        let mut poisoned = false;
        if agreed(zips).is_none() || id.is_toolchain() {
            poisoned |= self.content(record, evidence);
        }
        if agreed(go_mods).is_none() {
            poisoned |= self.go_mod(evidence);
        }
        if poisoned && let Some(proof) = evidence.versions.get_mut(id) {
            evidence.verification.failed += u64::from(!proof.damaged);
            proof.damaged = true;
        }
        true
    }

    fn claim(
        &self,
        claim: &SumClaim,
        zip: Option<H1>,
        go_mod: Option<H1>,
        evidence: &mut Evidence,
    ) -> bool {
        let what = if go_mod.is_some() { "go.mod" } else { "module" };
        let message = format!(
            "the {what} hash in {} is not the one in the signed checksum database: go.sum was edited, or made from a changed copy",
            self.sums.places(claim)
        );
        self.contradiction(zip, go_mod, message, None, evidence)
    }

    /// Zip and tree, where no line of go.sum can prove them.
    fn content(&self, record: Sums, evidence: &mut Evidence) -> bool {
        let message = "the module in the cache is not the one in the signed checksum database, and no go.sum line stopped it";
        if let Some(ziphash) = self.ziphash()
            && self.contradiction(
                Some(ziphash),
                None,
                message.to_owned(),
                Some(PieceKind::ZipHash),
                evidence,
            )
        {
            return true;
        }
        let proof = evidence.versions.get_mut(&self.version.id);
        let (Some(proven), Some(proof)) = (record.zip, proof) else {
            return false;
        };
        let hashes = proof.hashes;
        let mut poisoned = false;
        for (what, hash) in [("zip", hashes.zip), ("extracted tree", hashes.tree)] {
            let Some(h1) = hash else {
                continue;
            };
            let (copy, path) = match what {
                "zip" => (
                    &mut proof.zip,
                    self.cache.piece_path(&self.version.id, PieceKind::Zip),
                ),
                _ => (&mut proof.tree, self.cache.tree_path(&self.version.id)),
            };
            // What was found damaged already has its finding.
            if *copy == Proof::Damaged {
                continue;
            }
            if h1 == proven {
                *copy = Proof::Proven(Witness::Sumdb);
                continue;
            }
            *copy = Proof::Damaged;
            poisoned = true;
            let message = format!("the {what} is not the one in the signed checksum database");
            let finding = Finding::new(Rule::SumdbMismatch, self.version.id.to_string(), message);
            evidence
                .findings
                .push(finding.at(&path).differs(proven, h1));
        }
        poisoned
    }

    /// The `.mod` file, which no other check looks at without go.sum.
    fn go_mod(&self, evidence: &mut Evidence) -> bool {
        let Some(piece) = self.version.go_mod else {
            return false;
        };
        let path = self.cache.piece_path(&self.version.id, PieceKind::Mod);
        let pieces = self.cache.pieces(&self.version.id);
        let content = match pieces.read(PieceKind::Mod, super::version::MAX_GO_MOD) {
            Ok(content) => content,
            Err(error) => {
                evidence
                    .findings
                    .push(crate::scan::unreadable(&path, &error));
                return false;
            }
        };
        evidence.verification.bytes_hashed += piece.bytes;
        let message = "the .mod file is not the one in the signed checksum database, and no go.sum line stopped it";
        let actual = h1_of_go_mod(&content);
        let differs = self.contradiction(
            None,
            Some(actual),
            message.to_owned(),
            Some(PieceKind::Mod),
            evidence,
        );
        if let Some(proof) = evidence.versions.get_mut(&self.version.id) {
            proof.go_mod = match differs {
                true => Proof::Damaged,
                false if self.version.linked => Proof::Unknown,
                false => Proof::Proven(Witness::Sumdb),
            };
        }
        differs
    }

    fn ziphash(&self) -> Option<H1> {
        self.version.ziphash?;
        let pieces = self.cache.pieces(&self.version.id);
        let content = pieces.read(PieceKind::ZipHash, MAX_ZIPHASH_BYTES);
        // What cannot be read, or says nothing, has been reported.
        match parse_ziphash(&content.ok()?) {
            ZipHash::Sum(h1) => Some(h1),
            _ => None,
        }
    }

    fn contradiction(
        &self,
        zip: Option<H1>,
        go_mod: Option<H1>,
        message: String,
        piece: Option<PieceKind>,
        evidence: &mut Evidence,
    ) -> bool {
        let id = &self.version.id;
        let sumdb::RecordProof::Contradicted(Contradiction::Hash {
            expected, actual, ..
        }) = self.sumdb.check(id, zip, go_mod)
        else {
            return false;
        };
        let mut finding =
            Finding::new(Rule::SumdbMismatch, id.to_string(), message).differs(expected, actual);
        if let Some(piece) = piece {
            finding = finding.at(&self.cache.piece_path(id, piece));
        }
        evidence.findings.push(finding);
        true
    }
}
