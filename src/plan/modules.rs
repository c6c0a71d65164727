//! The module cache's part of a plan.

use super::rules::in_words;
use super::{Cause, Fate, InModules, Inputs, Keep, Part, Plan, RetentionRules, Target};
use crate::formats::action::ActionId;
use crate::formats::module::ModuleVersion;
use crate::needs::Needs;
use crate::scan::{ModCache, Piece, Version, VersionKind};
use crate::settings::{Slim, Tier};
use crate::text::human::counted;
use crate::verify::{Proof, VersionProof};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// A version, before the caches have to fit.
pub(super) struct Draft<'a> {
    pub(super) version: &'a Version,
    pub(super) proof: VersionProof,
    pub(super) last_use: DateTime<Utc>,
    /// The most of it that may go: its source, where the module graph needs the
    /// rest.
    pub(super) most: Part,
    pub(super) fate: Fate<'a>,
}

/// All versions, in the inventory's order.
pub(super) type Drafts<'a> = BTreeMap<&'a ModuleVersion, Draft<'a>>;

/// Projects that a note names.
const NAMED: usize = 5;

/// What the projects need of a version, over all of them.
#[derive(Clone, Copy, Default)]
struct Need<'a> {
    /// The first project of this run that needs its source.
    source: Option<&'a str>,
    /// The first that needs its `.mod`.
    go_mod: Option<&'a str>,
    /// Projects, known ones included, that need its source.
    source_count: u64,
    /// The same for source or `.mod`.
    any_count: u64,
}

pub(super) fn draft<'a>(inputs: &Inputs<'a>, plan: &mut Plan<'a>) -> Drafts<'a> {
    let Some(cache) = &inputs.inventory.modcache else {
        return Drafts::new();
    };
    let needs = inputs.needs.iter();
    let counted_in: Vec<&Needs> = needs.filter(|needs| !forgotten(needs, inputs)).collect();
    let gaps = counted_in.iter();
    let gaps = gaps.filter_map(|it| Some(format!("{}: {}", it.project, it.unknown.as_ref()?)));
    let weighing = Weighing {
        inputs: *inputs,
        rules: inputs.rules,
        by_version: by_version(&counted_in),
        gaps: gaps.collect(),
        needs: counted_in,
    };
    plan.notes.extend(weighing.left_alone());
    let versions = cache.versions.iter();
    let drafts: Drafts<'a> = versions.map(|it| (&it.id, weighing.draft(it))).collect();
    weighing.note_kept(&drafts, plan);
    let young = weighing.young(&drafts) + weighing.residue(cache, plan);
    if young > 0 {
        let grace = in_words(weighing.rules.grace);
        let pieces = counted(young as u64, "piece", "pieces");
        plan.notes.push(format!(
            "{pieces} of residue stayed, being younger than the grace ({grace}): a go command may be writing there; if none runs, `gocachevet trim --grace 0` removes it"
        ));
    }
    weighing.clones(cache, plan);
    if weighing.rules.repair && !weighing.rules.all {
        for path in &inputs.evidence.damaged_sumdb {
            // Known when it is removed: a tile has 8 kB at most.
            let bytes = 0;
            let target = Target::Modules(cache, InModules::Sumdb(path));
            plan.add(target, bytes, Cause::Damaged);
        }
    }
    drafts
}

/// The module indexes of trees that a repair removes. Go would hold the tree
/// that comes in their place for what the index says.
pub(super) fn stale_indexes(drafts: &Drafts<'_>, inputs: &Inputs<'_>) -> HashSet<ActionId> {
    let damaged = drafts
        .values()
        .filter(|draft| matches!(draft.fate, Fate::Remove(_, Cause::Damaged)));
    damaged
        .filter_map(|draft| inputs.uses.indexes.get(&draft.version.id))
        .flatten()
        .copied()
        .collect()
}

pub(super) fn finish<'a>(drafts: Drafts<'a>, inputs: &Inputs<'a>, plan: &mut Plan<'a>) {
    let Some(cache) = &inputs.inventory.modcache else {
        return;
    };
    for Draft { version, fate, .. } in drafts.into_values() {
        if let Fate::Remove(part, cause) = fate {
            let target = Target::Modules(cache, InModules::Version(version, part));
            plan.add(target, part_bytes(version, part), cause);
        }
        plan.versions.push((version, fate));
    }
}

/// What a part of a version frees. The lock stays.
pub(super) fn part_bytes(version: &Version, part: Part) -> u64 {
    let bytes = |piece: Option<Piece>| piece.map_or(0, |piece| piece.bytes);
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

fn by_version<'a>(projects: &[&'a Needs]) -> HashMap<&'a ModuleVersion, Need<'a>> {
    let mut all: HashMap<&ModuleVersion, Need> = HashMap::new();
    for project in projects {
        let is_given = project.last_seen.is_none();
        let given = is_given.then_some(project.project.as_str());
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

fn forgotten(project: &Needs, inputs: &Inputs<'_>) -> bool {
    project.last_seen.is_some_and(|seen| {
        inputs.rules.min_ref_count == 0 || age(seen, inputs.now) > inputs.rules.forget_after
    })
}

/// Time since `then`; none at all if that is yet to come.
pub(super) fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (now - then).to_std().unwrap_or_default()
}

/// What decides about the module cache.
struct Weighing<'a> {
    inputs: Inputs<'a>,
    rules: &'a RetentionRules,
    /// What the projects that count need.
    needs: Vec<&'a Needs>,
    by_version: HashMap<&'a ModuleVersion, Need<'a>>,
    /// Why it is not known of some projects what they need.
    gaps: Vec<String>,
}

impl<'a> Weighing<'a> {
    /// Why nothing goes for being unused, where that was asked for.
    fn left_alone(&self) -> Option<String> {
        let rules = self.rules;
        if rules.all {
            return None;
        }
        if rules.by_need() && !self.gaps.is_empty() {
            let named = self.gaps.iter().take(NAMED).cloned().collect::<Vec<_>>();
            let more = match self.gaps.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            return Some(format!(
                "nothing of the module cache goes for being unused, since not all needs are known: {}{more}",
                named.join("; ")
            ));
        }
        let why = self.inputs.uses.unknown_modules.as_ref();
        why.filter(|_| rules.unused).map(|why| {
            format!("nothing of the module cache goes for being unused: its use is unknown: {why}")
        })
    }

    fn draft(&self, version: &'a Version) -> Draft<'a> {
        // An emptying verifies nothing.
        let proof = self.inputs.evidence.versions.get(&version.id).copied();
        let proof = proof.unwrap_or_default();
        let last_use = self.last_use(version);
        let mut fate = self.weigh(version, &proof, last_use);
        if let (Some(slim), Fate::Keep(reason)) = (self.rules.slim, fate) {
            fate = slimmed(version, &proof, reason, slim);
        }
        Draft {
            version,
            proof,
            last_use,
            most: match self.by_version.contains_key(&version.id) {
                true => Part::Source,
                false => Part::Whole,
            },
            fate,
        }
    }

    fn note_kept(&self, drafts: &Drafts<'_>, plan: &mut Plan<'_>) {
        let count =
            |is: &dyn Fn(&Fate<'_>) -> bool| drafts.values().filter(|it| is(&it.fate)).count();
        let observe = self.rules.tier.and_then(|tier| tier.observe);
        let observed = count(&|fate| match (fate, observe) {
            (Fate::Keep(Keep::Young(age)), Some(observe)) => *age >= observe.0,
            _ => false,
        });
        if observed > 0 {
            plan.notes.push(format!(
                "{observed} module versions are past the observe step of the tier"
            ));
        }
        let unproven = count(&|fate| *fate == Fate::Keep(Keep::Unproven));
        if unproven > 0 {
            plan.notes.push(format!(
                "{unproven} module versions keep both copies: the one that would stay was not proven by its hash in this run"
            ));
        }
    }

    /// How many versions are residue that only the grace keeps.
    fn young(&self, drafts: &Drafts<'_>) -> usize {
        let is_young = |draft: &&Draft<'_>| {
            matches!(draft.fate, Fate::Keep(Keep::Grace(_))) && residue(draft.version).is_some()
        };
        match self.rules.residue {
            true => drafts.values().filter(is_young).count(),
            false => 0,
        }
    }

    /// The newest sign of use. A version of which only an `.info` is left is as
    /// old as that.
    fn last_use(&self, version: &Version) -> DateTime<Utc> {
        [
            version.last_use(),
            version.partial.map(|piece| piece.modified),
            self.inputs.uses.version_times.get(&version.id).copied(),
        ]
        .into_iter()
        .flatten()
        .max()
        .or(version.info.map(|piece| piece.modified))
        .unwrap_or_default()
    }

    fn weigh(&self, version: &Version, proof: &VersionProof, last_use: DateTime<Utc>) -> Fate<'a> {
        let rules = self.rules;
        if !has_source_pieces(version) && version.info.is_none() && version.go_mod.is_none() {
            return Fate::Keep(Keep::NotAsked);
        }
        if rules.all {
            return Fate::Remove(Part::Whole, Cause::All);
        }
        if rules.repair && proof.damaged {
            let part = match (proof.mends_from_zip(), version.partial) {
                (true, Some(_)) => Part::HalfTree,
                (true, None) => Part::Tree,
                (false, _) => Part::Whole,
            };
            return Fate::Remove(part, Cause::Damaged);
        }
        let age = age(last_use, self.inputs.now);
        if rules.residue
            && age >= rules.grace
            && let Some(part) = residue(version)
        {
            return Fate::Remove(part, Cause::Residue);
        }
        let need = self
            .by_version
            .get(&version.id)
            .copied()
            .unwrap_or_default();
        if let Some(reason) = self.kept(version, &need, age) {
            return Fate::Keep(reason);
        }
        // What is left may go, but for the `.mod` and `.info` of what is needed
        // for the graph alone.
        let is_referenced = rules.min_ref_count > 0 && need.any_count >= rules.min_ref_count;
        let part = match (need.go_mod, is_referenced) {
            (None, false) => Part::Whole,
            _ if has_source_pieces(version) => Part::Source,
            (Some(project), _) => return Fate::Keep(Keep::GoModNeeded(project)),
            (None, true) => return Fate::Keep(Keep::Referenced(need.any_count)),
        };
        // Some project may need it, whatever its age.
        if rules.by_need() && !self.gaps.is_empty() {
            return Fate::Keep(Keep::NeedsUnknown);
        }
        self.asked_for(version, proof, age, part)
    }

    /// What keeps a version whole, whatever removals were asked for.
    fn kept(&self, version: &Version, need: &Need<'a>, age: Duration) -> Option<Keep<'a>> {
        let rules = self.rules;
        if let Some(pattern) = rules.pattern(&version.id) {
            return Some(Keep::Pattern(pattern));
        }
        if age < rules.grace {
            return Some(Keep::Grace(age));
        }
        if let Some(project) = need.source {
            return Some(Keep::Needed(project));
        }
        if self.needs.iter().any(|needs| needs.names(&version.id)) {
            return Some(Keep::ToolchainNamed);
        }
        if self.inputs.uses.versions.contains(&version.id) {
            return Some(Keep::UsedByJobs);
        }
        if rules.keep_since.is_some_and(|since| age < since) {
            return Some(Keep::Since(age));
        }
        let is_referenced = rules.min_ref_count > 0 && need.source_count >= rules.min_ref_count;
        is_referenced.then_some(Keep::Referenced(need.source_count))
    }

    /// What removes a part of a version that nothing keeps.
    fn asked_for(
        &self,
        version: &Version,
        proof: &VersionProof,
        age: Duration,
        part: Part,
    ) -> Fate<'a> {
        let rules = self.rules;
        if rules.toolchains && version.kind == VersionKind::Toolchain {
            return Fate::Remove(part, Cause::Toolchain);
        }
        if rules.unused && self.inputs.uses.unknown_modules.is_none() {
            let cause = match part {
                Part::Source => Cause::OnlyGoMod,
                _ => Cause::Unused,
            };
            return Fate::Remove(part, cause);
        }
        if let Some(limit) = rules.max_age
            && age > limit
        {
            return Fate::Remove(part, Cause::MaxAge(limit));
        }
        if let Some(tier) = rules.tier {
            return tiered(version, proof, age, part, tier);
        }
        Fate::Keep(match rules.max_age {
            Some(_) => Keep::Young(age),
            None if rules.unused => Keep::UseUnknown,
            None => Keep::NotAsked,
        })
    }

    fn is_idle(&self, modified: DateTime<Utc>) -> bool {
        age(modified, self.inputs.now) >= self.rules.grace
    }

    /// Residue outside of the versions. Returns how much of it only the grace
    /// keeps.
    fn residue(&self, cache: &'a ModCache, plan: &mut Plan<'a>) -> usize {
        let rules = self.rules;
        let mut young = 0;
        for left in &cache.residue {
            // A tree under such a name was renamed aside to be deleted: Go no
            // longer makes them, and nothing can be using it.
            let trash = left.path.file_name().is_some_and(|name| {
                let name = name.as_encoded_bytes();
                name.contains(&b'@') && name.windows(5).any(|part| part == b".tmp-")
            });
            let cause = match rules.all {
                true => Cause::All,
                false => Cause::Residue,
            };
            if rules.all || rules.residue && (trash || self.is_idle(left.modified)) {
                let target = Target::Modules(cache, InModules::Residue(left));
                plan.add(target, left.measure.bytes, cause);
            } else {
                young += usize::from(rules.residue);
            }
        }
        young
    }

    fn clones(&self, cache: &'a ModCache, plan: &mut Plan<'a>) {
        let (rules, evidence) = (self.rules, self.inputs.evidence);
        for clone in &cache.vcs {
            let cause = if rules.all {
                Cause::All
            } else if rules.repair && evidence.unsafe_clones.contains(&clone.path) {
                Cause::Damaged
            } else if rules.repair && evidence.stale_clones.contains(&clone.path) {
                Cause::StaleClone
            } else if rules.vcs && self.is_idle(clone.modified) {
                Cause::Vcs
            } else {
                continue;
            };
            let target = Target::Modules(cache, InModules::Vcs(clone));
            plan.add(target, clone.measure.bytes, cause);
        }
    }
}

/// Drops one of two copies of what stays. What a running build may read, or
/// a pattern keeps, is left as it is.
fn slimmed<'a>(version: &Version, proof: &VersionProof, reason: Keep<'a>, slim: Slim) -> Fate<'a> {
    // Without its `.ziphash` Go takes neither copy for whole.
    let has_both = version.zip.is_some() && version.tree.is_some() && version.ziphash.is_some();
    if !has_both || matches!(reason, Keep::Pattern(_) | Keep::Grace(_)) {
        return Fate::Keep(reason);
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

fn tiered<'a>(
    version: &Version,
    proof: &VersionProof,
    age: Duration,
    part: Part,
    tier: Tier,
) -> Fate<'a> {
    if let Some(purge) = tier.purge
        && age >= purge.0
    {
        return Fate::Remove(part, Cause::Purged(purge.0));
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

/// What of a version is residue.
fn residue(version: &Version) -> Option<Part> {
    if version.partial.is_some() {
        return Some(Part::HalfTree);
    }
    let alone = version.ziphash.is_some() && !version.has_source();
    // A toolchain's or module's hash without either copy serves nobody.
    alone.then_some(Part::ZipHash)
}

fn has_source_pieces(version: &Version) -> bool {
    version.has_source() || version.ziphash.is_some() || version.partial.is_some()
}
