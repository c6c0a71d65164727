//! The module cache's part of a plan.

use super::policy::in_words;
use super::{Cause, Fate, Inputs, Keep, Needs, Part, Plan, Policy, Step, Target};
use crate::formats::action::ActionId;
use crate::formats::module::ModuleVersion;
use crate::scan::{ModCache, Version, VersionKind};
use crate::settings::Slim;
use crate::text::human::counted;
use crate::verify::{Proof, VersionProof};
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

/// Every version's fate, before it has to fit.
pub(super) struct Draft {
    pub(super) fates: Vec<Fate>,
    pub(super) last_uses: Vec<DateTime<Utc>>,
    /// The most of each version that may go: its source, where the module
    /// graph needs the rest.
    pub(super) most: Vec<Part>,
    /// Steps for what is no version.
    others: Vec<Step>,
}

/// Projects that a note names.
const NAMED: usize = 5;

/// What the projects need of a version, over all of them.
#[derive(Clone, Copy, Default)]
struct Need {
    /// The first project of this run that needs its source.
    source: Option<usize>,
    /// The first that needs its `.mod`.
    go_mod: Option<usize>,
    /// Projects, known ones included, that need its source.
    source_count: u64,
    /// The same for source or `.mod`.
    any_count: u64,
}

pub(super) fn draft(inputs: &Inputs<'_>, plan: &mut Plan) -> Draft {
    let mut draft = Draft {
        fates: Vec::new(),
        last_uses: Vec::new(),
        most: Vec::new(),
        others: Vec::new(),
    };
    let Some(cache) = &inputs.inventory.modcache else {
        return draft;
    };
    let unknown: Vec<String> = inputs
        .needs
        .iter()
        .filter(|project| !forgotten(project, inputs))
        .filter_map(|project| {
            Some(format!(
                "{}: {}",
                project.project,
                project.unknown.as_ref()?
            ))
        })
        .collect();
    let judge = Judge {
        inputs,
        policy: inputs.policy,
        needs: needs(inputs),
        named: named_toolchains(inputs),
        all_needs_known: unknown.is_empty(),
    };
    if inputs.policy.by_need() && !inputs.policy.all && !unknown.is_empty() {
        let more = unknown.len().saturating_sub(NAMED);
        let named = unknown.iter().take(NAMED).cloned().collect::<Vec<_>>();
        let more = match more {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        plan.notes.push(format!(
            "nothing of the module cache goes for being unused, since not all needs are known: {}{more}",
            named.join("; ")
        ));
    } else if inputs.policy.unused
        && !inputs.policy.all
        && let Some(why) = &inputs.uses.unknown_modules
    {
        plan.notes.push(format!(
            "nothing of the module cache goes for being unused: its use is unknown: {why}"
        ));
    }
    let mut observed = 0;
    let mut unproven = 0;
    let mut young = 0;
    for (index, version) in cache.versions.iter().enumerate() {
        let proof = inputs.evidence.versions.get(index).copied();
        let last_use = judge.last_use(version);
        let fate = judge.decide(version, &proof.unwrap_or_default(), last_use);
        if let Some(observe) = inputs.policy.tier.and_then(|tier| tier.observe)
            && matches!(fate, Fate::Keep(Keep::Young(age)) if age >= observe.0)
        {
            observed += 1;
        }
        unproven += usize::from(fate == Fate::Keep(Keep::Unproven));
        let is_residue = judge.policy.residue && residue(version).is_some();
        young += usize::from(is_residue && matches!(fate, Fate::Keep(Keep::Grace(_))));
        match fate {
            Fate::Remove(part, cause) => tracing::debug!("{}: {part:?} goes: {cause}", version.id),
            Fate::Keep(reason) => tracing::trace!("{} stays: {reason}", version.id),
        }
        draft.fates.push(fate);
        draft.last_uses.push(last_use);
        draft
            .most
            .push(match judge.needs.contains_key(&version.id) {
                true => Part::Source,
                false => Part::Whole,
            });
    }
    if observed > 0 {
        plan.notes.push(format!(
            "{observed} module versions are past the observe step of the tier"
        ));
    }
    if unproven > 0 {
        plan.notes.push(format!(
            "{unproven} module versions keep both copies: the one that would stay was not proven by its hash in this run"
        ));
    }
    young += judge.others(cache, &mut draft.others, &mut plan.sumdb);
    if young > 0 {
        let grace = in_words(judge.policy.grace);
        let pieces = counted(young as u64, "piece", "pieces");
        plan.notes.push(format!(
            "{pieces} of residue stayed, being younger than the grace ({grace}): a go command may be writing there; if none runs, `gocachevet trim --grace 0` removes it"
        ));
    }
    draft
}

impl Draft {
    /// The module indexes of trees that a repair removes. Go would hold the tree
    /// that comes in their place for what the index says.
    pub(super) fn stale_indexes(&self, inputs: &Inputs<'_>) -> HashSet<ActionId> {
        let versions = inputs.inventory.modcache.iter();
        versions
            .flat_map(|cache| cache.versions.iter().zip(&self.fates))
            .filter(|(_, fate)| matches!(fate, Fate::Remove(_, Cause::Damaged)))
            .filter_map(|(version, _)| inputs.uses.indexes.get(&version.id))
            .flatten()
            .copied()
            .collect()
    }

    pub(super) fn finish(self, inputs: &Inputs<'_>, plan: &mut Plan) {
        plan.steps.extend(self.others);
        if let Some(cache) = &inputs.inventory.modcache {
            for (index, (version, fate)) in cache.versions.iter().zip(&self.fates).enumerate() {
                if let Fate::Remove(part, cause) = *fate {
                    plan.steps.push(Step {
                        target: Target::Version(index, part),
                        bytes: part_bytes(version, part),
                        cause,
                    });
                }
            }
        }
        plan.versions = self.fates;
    }
}

/// What a part of a version frees. The lock stays.
pub(super) fn part_bytes(version: &Version, part: Part) -> u64 {
    let bytes = |piece: Option<crate::scan::Piece>| piece.map_or(0, |piece| piece.bytes);
    let tree = version.tree_bytes();
    let source = tree + bytes(version.zip) + bytes(version.ziphash) + bytes(version.partial);
    match part {
        Part::HalfTree => tree + bytes(version.partial),
        Part::ZipHash => bytes(version.ziphash),
        Part::Tree => tree,
        Part::Zip => bytes(version.zip),
        Part::Source => source,
        Part::Whole => source + bytes(version.info) + bytes(version.go_mod),
    }
}

fn needs<'a>(inputs: &Inputs<'a>) -> HashMap<&'a ModuleVersion, Need> {
    let mut all: HashMap<&ModuleVersion, Need> = HashMap::new();
    for (index, project) in inputs.needs.iter().enumerate() {
        if forgotten(project, inputs) {
            continue;
        }
        let given = project.last_seen.is_none().then_some(index);
        for id in &project.source {
            let need = all.entry(id).or_default();
            need.source = need.source.or(given);
            need.go_mod = need.go_mod.or(given);
            need.source_count += 1;
            need.any_count += 1;
        }
        for id in project.go_mods.difference(&project.source) {
            let need = all.entry(id).or_default();
            need.go_mod = need.go_mod.or(given);
            need.any_count += 1;
        }
    }
    all
}

fn named_toolchains<'a>(inputs: &Inputs<'a>) -> Vec<&'a str> {
    inputs
        .needs
        .iter()
        .filter(|project| !forgotten(project, inputs))
        .flat_map(|project| &project.toolchains)
        .map(String::as_str)
        .collect()
}

fn forgotten(project: &Needs, inputs: &Inputs<'_>) -> bool {
    project.last_seen.is_some_and(|seen| {
        inputs.policy.min_ref_count == 0 || age(seen, inputs.now) > inputs.policy.forget_after
    })
}

/// Time since `then`; none at all if that is yet to come.
pub(super) fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (now - then).to_std().unwrap_or_default()
}

struct Judge<'a> {
    inputs: &'a Inputs<'a>,
    policy: &'a Policy,
    needs: HashMap<&'a ModuleVersion, Need>,
    named: Vec<&'a str>,
    /// Whether it is known of every project what it needs.
    all_needs_known: bool,
}

impl Judge<'_> {
    /// The newest sign of use. A version of which only an `.info` is left is as
    /// old as that.
    fn last_use(&self, version: &Version) -> DateTime<Utc> {
        let uses = self.inputs.uses;
        [
            version.last_use(),
            version.partial.map(|piece| piece.modified),
            uses.version_times.get(&version.id).copied(),
        ]
        .into_iter()
        .flatten()
        .max()
        .or(version.info.map(|piece| piece.modified))
        .unwrap_or_default()
    }

    fn decide(&self, version: &Version, proof: &VersionProof, last_use: DateTime<Utc>) -> Fate {
        let fate = self.weigh(version, proof, last_use);
        match self.policy.slim {
            Some(slim) => self.slim(version, proof, fate, slim),
            None => fate,
        }
    }

    fn weigh(&self, version: &Version, proof: &VersionProof, last_use: DateTime<Utc>) -> Fate {
        let policy = self.policy;
        if is_gone(version) {
            return Fate::Keep(Keep::NotAsked);
        }
        if policy.all {
            return Fate::Remove(Part::Whole, Cause::All);
        }
        if policy.repair && proof.damaged {
            let part = match (proof.mends_from_zip(), version.partial) {
                (true, Some(_)) => Part::HalfTree,
                (true, None) => Part::Tree,
                (false, _) => Part::Whole,
            };
            return Fate::Remove(part, Cause::Damaged);
        }
        let age = age(last_use, self.inputs.now);
        let in_grace = age < policy.grace;
        if policy.residue
            && !in_grace
            && let Some(part) = residue(version)
        {
            return Fate::Remove(part, Cause::Residue);
        }
        if let Some(index) = policy.pattern(&version.id) {
            return Fate::Keep(Keep::Pattern(index));
        }
        if in_grace {
            return Fate::Keep(Keep::Grace(age));
        }
        let need = self.needs.get(&version.id).copied().unwrap_or_default();
        if let Some(project) = need.source {
            return Fate::Keep(Keep::Needed(project));
        }
        if version.kind == VersionKind::Toolchain && self.is_named(&version.id) {
            return Fate::Keep(Keep::ToolchainNamed);
        }
        if self.inputs.uses.versions.contains(&version.id) {
            return Fate::Keep(Keep::UsedByJobs);
        }
        if policy.keep_since.is_some_and(|since| age < since) {
            return Fate::Keep(Keep::Since(age));
        }
        if policy.min_ref_count > 0 && need.source_count >= policy.min_ref_count {
            return Fate::Keep(Keep::Referenced(need.source_count));
        }
        // What is left may go, but for the `.mod` and `.info` of what is needed
        // for the graph alone.
        let whole = match need.go_mod {
            Some(project) => {
                if !has_source_pieces(version) {
                    return Fate::Keep(Keep::GoModNeeded(project));
                }
                Part::Source
            }
            None if policy.min_ref_count > 0 && need.any_count >= policy.min_ref_count => {
                if !has_source_pieces(version) {
                    return Fate::Keep(Keep::Referenced(need.any_count));
                }
                Part::Source
            }
            None => Part::Whole,
        };
        // Some project may need it, whatever its age.
        if policy.by_need() && !self.all_needs_known {
            return Fate::Keep(Keep::NeedsUnknown);
        }
        if policy.toolchains && version.kind == VersionKind::Toolchain {
            return Fate::Remove(whole, Cause::Toolchain);
        }
        let use_known = self.inputs.uses.unknown_modules.is_none();
        if policy.unused && use_known {
            let cause = match whole {
                Part::Source => Cause::OnlyGoMod,
                _ => Cause::Unused,
            };
            return Fate::Remove(whole, cause);
        }
        if let Some(limit) = policy.max_age
            && age > limit
        {
            return Fate::Remove(whole, Cause::MaxAge(limit));
        }
        if let Some(tier) = policy.tier {
            return tiered(version, proof, age, whole, tier);
        }
        Fate::Keep(match policy.max_age {
            Some(_) => Keep::Young(age),
            None if policy.unused => Keep::UseUnknown,
            None => Keep::NotAsked,
        })
    }

    /// Drops one of two copies of what stays. What a running build may read, or
    /// a pattern keeps, is left as it is.
    fn slim(&self, version: &Version, proof: &VersionProof, fate: Fate, slim: Slim) -> Fate {
        let Fate::Keep(keep) = fate else { return fate };
        if matches!(keep, Keep::Pattern(_) | Keep::Grace(_)) {
            return fate;
        }
        // Without its `.ziphash` Go takes neither copy for whole.
        let both = version.zip.is_some() && version.tree.is_some() && version.ziphash.is_some();
        if !both {
            return fate;
        }
        let (part, stays) = match slim {
            Slim::Extracted => (Part::Tree, proof.zip),
            Slim::Archive => (Part::Zip, proof.tree),
        };
        match stays {
            Proof::Proven(_) => Fate::Remove(part, Cause::Slim),
            _ => Fate::Keep(Keep::Unproven),
        }
    }

    fn is_named(&self, id: &ModuleVersion) -> bool {
        let Some(name) = toolchain_name(id) else {
            return false;
        };
        self.named.iter().any(|named| {
            name.strip_prefix(named).is_some_and(|rest| {
                // `go1.24` is any of the 1.24 releases, but not 1.240.
                rest.is_empty() || rest.starts_with('.') && named.matches('.').count() == 1
            })
        })
    }

    /// Residue, clones and the checksum database. Returns how much residue only
    /// the grace keeps.
    fn others(&self, cache: &ModCache, steps: &mut Vec<Step>, sumdb: &mut Vec<PathBuf>) -> usize {
        let policy = self.policy;
        let mut young = 0;
        let idle = |modified| age(modified, self.inputs.now) >= policy.grace;
        for (index, left) in cache.residue.iter().enumerate() {
            // A tree under such a name was renamed aside to be deleted: Go no
            // longer makes them, and nothing can be using it.
            let trash = left.path.file_name().is_some_and(|name| {
                let name = name.as_encoded_bytes();
                name.contains(&b'@') && name.windows(5).any(|part| part == b".tmp-")
            });
            let cause = match policy.all {
                true => Cause::All,
                false => Cause::Residue,
            };
            if policy.all || policy.residue && (trash || idle(left.modified)) {
                steps.push(Step {
                    target: Target::Residue(index),
                    bytes: left.measure.bytes,
                    cause,
                });
            } else {
                young += usize::from(policy.residue);
            }
        }
        let evidence = self.inputs.evidence;
        for (index, clone) in cache.vcs.iter().enumerate() {
            let cause = if policy.all {
                Cause::All
            } else if policy.repair && evidence.unsafe_clones.contains(&index) {
                Cause::Damaged
            } else if policy.repair && evidence.stale_clones.contains(&index) {
                Cause::StaleClone
            } else if policy.vcs && idle(clone.modified) {
                Cause::Vcs
            } else {
                continue;
            };
            steps.push(Step {
                target: Target::Vcs(index),
                bytes: clone.measure.bytes,
                cause,
            });
        }
        if policy.repair && !policy.all {
            for path in &evidence.damaged_sumdb {
                steps.push(Step {
                    target: Target::Sumdb(sumdb.len()),
                    // Known when it is removed: a tile has 8 kB at most.
                    bytes: 0,
                    cause: Cause::Damaged,
                });
                sumdb.push(path.clone());
            }
        }
        young
    }
}

fn tiered(
    version: &Version,
    proof: &VersionProof,
    age: Duration,
    whole: Part,
    tier: crate::settings::Tier,
) -> Fate {
    if let Some(purge) = tier.purge
        && age >= purge.0
    {
        return Fate::Remove(whole, Cause::Purged(purge.0));
    }
    if let Some(demote) = tier.demote
        && age >= demote.0
        && version.tree.is_some()
    {
        return match (version.zip, proof.zip) {
            (Some(_), Proof::Proven(_)) => Fate::Remove(Part::Tree, Cause::Demoted(demote.0)),
            _ => Fate::Keep(Keep::Unproven),
        };
    }
    Fate::Keep(Keep::Young(age))
}

/// What a broken extraction left in place of a whole version.
fn residue(version: &Version) -> Option<Part> {
    if version.partial.is_some() {
        return Some(Part::HalfTree);
    }
    let alone = version.ziphash.is_some() && !version.has_source();
    // A toolchain's or module's hash without either copy serves nobody.
    alone.then_some(Part::ZipHash)
}

/// Nothing but the lock, which stays.
fn is_gone(version: &Version) -> bool {
    !has_source_pieces(version) && version.info.is_none() && version.go_mod.is_none()
}

fn has_source_pieces(version: &Version) -> bool {
    version.has_source() || version.ziphash.is_some() || version.partial.is_some()
}

/// `go1.24.1` of `golang.org/toolchain@v0.0.1-go1.24.1.linux-amd64`.
fn toolchain_name(id: &ModuleVersion) -> Option<&str> {
    let (name, _platform) = id.version.strip_prefix("v0.0.1-")?.rsplit_once('.')?;
    Some(name)
}
