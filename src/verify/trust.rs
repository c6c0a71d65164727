//! Who vouches for what a build reads, and what nobody vouches for.
//!
//! Proof comes from outside the caches alone; [`reads`](super::reads) lists what
//! Go opens, and what proves each. `.ziphash` lies beside what it speaks for and
//! vouches for nothing.

use super::{Evidence, Witness};
use crate::findings::{Finding, Level, Rule, display_path};
use crate::formats::gosum::{MergedSums, SumClaim, agreed};
use crate::formats::h1::H1;
use crate::formats::module::ModuleVersion;
use crate::report::Unproven;
use crate::scan::{ModCache, Version, VersionKind};
use crate::sumdb::{self, Sumdb};
use crate::text::human;
use crate::values::shard::Shard;

/// Who vouches for a module version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vouched {
    /// For its zip and tree.
    pub content: Option<Witness>,
    /// For its `.mod` file.
    pub go_mod: Option<Witness>,
}

/// What go.sum vouches for.
pub(super) fn by_go_sum(version: &Version, sums: &MergedSums) -> Vouched {
    let by_lines = |claims: &[SumClaim]| agreed(claims).map(|_| Witness::GoSum);
    match version.kind {
        VersionKind::Module => Vouched {
            content: by_lines(sums.zip(&version.id)),
            go_mod: by_lines(sums.go_mod(&version.id)),
        },
        VersionKind::Toolchain | VersionKind::Fips140 => Vouched::default(),
    }
}

/// Lines of go.sum files that differ about one version.
pub(super) fn conflicts(sums: &MergedSums, sumdb: &Sumdb) -> Vec<Finding> {
    let record = |id: &ModuleVersion| match sumdb.check(id, None, None) {
        sumdb::RecordProof::Proven(sums) => Some(sums),
        _ => None,
    };
    let zips = sums.zips().map(|(id, claims)| (id, claims, false));
    let go_mods = sums.go_mods().map(|(id, claims)| (id, claims, true));
    zips.chain(go_mods)
        .filter(|(_, claims, _)| claims.len() > 1)
        .map(|(id, claims, go_mod)| {
            let proven = record(id).and_then(|sums| if go_mod { sums.go_mod } else { sums.zip });
            conflict(id, claims, go_mod, proven, sums)
        })
        .collect()
}

/// Whether the database's hash decides which of several claims is right.
pub(super) fn settles(claims: &[SumClaim], proven: Option<H1>) -> bool {
    claims.len() > 1 && claims.iter().any(|claim| Some(claim.h1) == proven)
}

fn conflict(
    id: &ModuleVersion,
    claims: &[SumClaim],
    go_mod: bool,
    proven: Option<H1>,
    sums: &MergedSums,
) -> Finding {
    let said: Vec<String> = claims
        .iter()
        .map(|claim| format!("{} in {}", claim.h1, sums.places(claim)))
        .collect();
    let what = if go_mod { "go.mod" } else { "module" };
    let said = said.join("; ");
    let settled = proven.filter(|_| settles(claims, proven));
    let end = match settled {
        Some(h1) => {
            format!("the checksum database proves {h1}, and Go may still stop at another line")
        }
        None => "nothing tells which is right, so none of them proves anything".to_owned(),
    };
    let message = format!("the lines for this {what} differ: {said}; {end}");
    let mut finding = Finding::new(Rule::ConflictingClaims, id.to_string(), message);
    if settled.is_some() {
        finding.level = Level::Warn;
        finding = finding
            .advise("Remove the lines with another hash than the checksum database's from go.sum.");
    }
    finding
}

/// Go takes go.sum's word for a toolchain before it asks the checksum database,
/// where it reads go.sum before it switches (`go get`).
pub(super) fn toolchain_lines(sums: &MergedSums) -> Vec<Finding> {
    let lines = sums.zips().chain(sums.go_mods());
    let lines = lines.filter(|(id, _)| id.is_toolchain());
    lines
        .flat_map(|(id, claims)| claims.iter().map(move |claim| (id, claim)))
        .map(|(id, claim)| {
            let message = format!(
                "{} lists a toolchain, which only `go get` of one writes; Go may take it for proof before it asks the checksum database",
                sums.places(claim)
            );
            let mut finding = Finding::new(Rule::ToolchainUnproven, id.to_string(), message)
                .advise("Remove the line from go.sum; Go verifies toolchains by the checksum database.");
            finding.level = Level::Warn;
            finding
        })
        .collect()
}

/// Counts what was proven and what nothing vouches for. Trees have their sizes by now.
pub fn tally(cache: &ModCache, shard: Shard, evidence: &mut Evidence) {
    let Evidence {
        verification,
        versions,
        ..
    } = evidence;
    let mine = cache.versions.iter();
    for version in mine.filter(|version| shard.has_module(&version.id.path)) {
        let Some(proof) = versions.get(&version.id) else {
            continue;
        };
        let bytes = |piece: Option<crate::scan::Piece>| piece.map_or(0, |piece| piece.bytes);
        for (proof, bytes) in [
            (proof.zip, bytes(version.zip)),
            (proof.tree, version.tree_bytes()),
            (proof.go_mod, bytes(version.go_mod)),
        ] {
            if proof.holds() {
                verification.bytes_proven += bytes;
            }
        }
        match proof.proven_by() {
            Some(Witness::GoSum) => verification.proven_by.go_sum += 1,
            Some(Witness::Ziphash) => verification.proven_by.ziphash += 1,
            Some(Witness::Sumdb) => verification.proven_by.sumdb += 1,
            Some(Witness::Goroot) => verification.proven_by.goroot += 1,
            None => {}
        }
        let (content, go_mod) = (
            content_unvouched(version, proof.vouched),
            mod_unvouched(version, proof.vouched),
        );
        verification.unproven += u64::from(content || go_mod);
        if content {
            verification.bytes_unproven += bytes(version.zip) + version.tree_bytes();
        }
        if go_mod {
            verification.bytes_unproven += bytes(version.go_mod);
        }
    }
}

fn content_unvouched(version: &Version, vouched: Vouched) -> bool {
    version.has_source() && vouched.content.is_none()
}

fn mod_unvouched(version: &Version, vouched: Vouched) -> bool {
    version.go_mod.is_some() && vouched.go_mod.is_none()
}

/// What nothing outside the caches vouches for.
#[derive(Debug, Default)]
pub struct Unvouched {
    /// What there is to say: the same for every shard.
    pub findings: Vec<Finding>,
    /// One by one, of one shard.
    pub list: Vec<Unproven>,
}

/// Names what nothing outside the caches vouches for. `platform` is the system
/// and architecture whose toolchains would be run here, `looked` says where
/// somebody to vouch was looked for.
pub fn unvouched(
    cache: &ModCache,
    sums: &MergedSums,
    evidence: &Evidence,
    platform: Option<&str>,
    looked: &str,
    shard: Shard,
) -> Unvouched {
    let mut found = Unvouched::default();
    if evidence.versions.is_empty() {
        return found;
    }
    let (mut modules, mut vouched_for, mut infos) = (0_u64, 0_u64, 0_u64);
    let mut unproven: Vec<&Version> = Vec::new();
    for version in &cache.versions {
        let Some(vouched) = evidence.versions.get(&version.id).map(|it| it.vouched) else {
            continue;
        };
        let content = content_unvouched(version, vouched);
        let go_mod = mod_unvouched(version, vouched);
        let id = version.id.to_string();
        let mine = shard.has_module(&version.id.path);
        let mut list = |subject: String, reason: &str| {
            if mine {
                let reason = reason.to_owned();
                found.list.push(Unproven { subject, reason });
            }
        };
        if content {
            list(id.clone(), why(version, sums.zip(&version.id)));
        }
        if go_mod {
            let reason = why(version, sums.go_mod(&version.id));
            list(format!("{id}/go.mod"), reason);
        }
        if version.info.is_some() {
            infos += 1;
            list(format!("{id}.info"), "no checksum covers .info files");
        }
        if version.kind == VersionKind::Module {
            modules += u64::from(version.has_source());
            vouched_for += u64::from(version.has_source() && !content);
            if content || go_mod {
                unproven.push(version);
            }
        }
        found.findings.extend(match version.kind {
            VersionKind::Module if go_mod => mod_without_line(cache, version, sums),
            VersionKind::Toolchain if content => Some(toolchain(cache, version, platform)),
            VersionKind::Fips140 if content => Some(fips(cache, version)),
            _ => None,
        });
    }
    for clone in &cache.vcs {
        if shard.index == 1 && clone.measure.files > 0 {
            found.list.push(Unproven {
                subject: display_path(&clone.path),
                reason: "nothing vouches for a clone".to_owned(),
            });
        }
    }
    found
        .findings
        .extend(counted(modules, vouched_for, &unproven, infos, looked));
    found.list.sort();
    found
}

/// What is said of all modules together: one finding for many.
fn counted(
    modules: u64,
    vouched_for: u64,
    unproven: &[&Version],
    infos: u64,
    looked: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if modules > 0 && vouched_for == 0 {
        let subject = human::counted(modules, "module version", "module versions");
        let message = format!("{subject} in the cache, and nothing that vouches for any: {looked}");
        findings.push(Finding::new(Rule::NoTrust, subject, message));
    }
    if !unproven.is_empty() {
        let subject = human::counted(unproven.len() as u64, "module version", "module versions");
        let message = format!(
            "nothing outside the cache vouches for {subject}: {}",
            names(unproven)
        );
        findings.push(Finding::new(Rule::Unproven, subject, message));
    }
    if infos > 0 {
        let subject = human::counted(infos, ".info file", ".info files");
        let message = "no checksum covers what they say of times and origins";
        findings.push(Finding::new(Rule::InfoUnproven, subject, message));
    }
    findings
}

/// Names that a finding shows; the report's list has them all.
const NAMED: usize = 5;

fn names(versions: &[&Version]) -> String {
    let name = |version: &&Version| match version.has_source() {
        true => version.id.to_string(),
        false => format!("{} (its go.mod)", version.id),
    };
    let named: Vec<String> = versions.iter().take(NAMED).map(name).collect();
    let more = versions.len().saturating_sub(NAMED);
    match more {
        0 => named.join(", "),
        more => format!(
            "{} and {} more",
            named.join(", "),
            human::count(more as u64)
        ),
    }
}

fn why(version: &Version, claims: &[SumClaim]) -> &'static str {
    match (version.kind, claims) {
        (VersionKind::Toolchain, _) => "no proof by the checksum database is cached",
        (VersionKind::Fips140, _) => "no proven Go installation has its zip",
        (VersionKind::Module, []) => {
            "no go.sum line, and no proof by the checksum database is cached"
        }
        (VersionKind::Module, _) => "the lines of go.sum files differ",
    }
}

/// Of a module whose `.mod` nothing vouches for, though go.sum lists the module. Go
/// refuses to load it: `missing go.sum entry` (`modload.checkSumForGoMod`).
fn mod_without_line(cache: &ModCache, version: &Version, sums: &MergedSums) -> Option<Finding> {
    let claims = sums.zip(&version.id).iter();
    let places: Vec<String> = claims.map(|claim| sums.places(claim)).collect();
    if places.is_empty() || !sums.go_mod(&version.id).is_empty() {
        return None;
    }
    let message = format!(
        "{} lists the module and no line its go.mod, so nothing vouches for the cached .mod and Go stops with \"missing go.sum entry\" where it needs it",
        places.join(", ")
    );
    let path = cache.piece_path(&version.id, crate::formats::module::PieceKind::Mod);
    Some(Finding::new(Rule::ModUnproven, version.id.to_string(), message).at(&path))
}

fn fips(cache: &ModCache, version: &Version) -> Finding {
    let message = "no Go installation that is known, and proven where it lies in this cache, has the zip of this FIPS 140 snapshot, so nothing tells whether its tree is right";
    let finding = Finding::new(Rule::FipsUnproven, version.id.to_string(), message);
    finding.at(&cache.tree_path(&version.id))
}

fn toolchain(cache: &ModCache, version: &Version, platform: Option<&str>) -> Finding {
    // What cannot be told may be run here.
    let foreign = platform.zip(version.id.toolchain_platform());
    let foreign = foreign.filter(|(here, its)| here != its);
    let id = version.id.to_string();
    let (message, level) = match foreign {
        None => (
            "a toolchain that Go would run here, and no proof by the checksum database is cached; go.sum and .ziphash prove nothing of a toolchain".to_owned(),
            Level::Deny,
        ),
        Some((here, its)) => (
            format!("a toolchain for {its}, which Go does not run on {here}; no proof by the checksum database is cached"),
            Level::Note,
        ),
    };
    let mut finding = Finding::new(Rule::ToolchainUnproven, id, message);
    finding.level = level;
    match version.tree {
        Some(_) => finding.at(&cache.tree_path(&version.id)),
        None => finding.at(&cache.piece_path(&version.id, crate::formats::module::PieceKind::Zip)),
    }
}
