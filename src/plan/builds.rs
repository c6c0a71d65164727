//! The build cache's part of a plan: action entries, and the outputs that no
//! remaining entry names.

use super::modules::age;
use super::{Cause, Fate, InBuilds, Inputs, Keep, Part, Plan, Target};
use crate::formats::action::{ActionId, OutputId};
use crate::scan::{Action, Output};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashSet};

/// The build cache, before it has to fit.
#[derive(Default)]
pub(super) struct Draft<'a> {
    pub(super) outputs: BTreeMap<OutputId, Named<'a>>,
    /// Entries whose output is not there.
    lost: Vec<Entry<'a>>,
}

/// An action entry.
pub(super) struct Entry<'a> {
    pub(super) action: &'a Action,
    pub(super) last_use: DateTime<Utc>,
    pub(super) fate: Fate<'a>,
}

/// An output, and the entries that name it.
pub(super) struct Named<'a> {
    pub(super) output: &'a Output,
    pub(super) by: Vec<Entry<'a>>,
}

pub(super) fn draft<'a>(
    inputs: &Inputs<'a>,
    stale_indexes: &HashSet<ActionId>,
    plan: &mut Plan<'a>,
) -> Draft<'a> {
    let mut draft = Draft::default();
    let Some(cache) = &inputs.inventory.buildcache else {
        return draft;
    };
    if !cache.actions.is_empty() {
        plan.notes.extend(left_alone(inputs));
    }
    let outputs = cache.outputs.iter();
    draft.outputs.extend(outputs.map(|output| {
        let by = Vec::new();
        (output.id, Named { output, by })
    }));
    for action in &cache.actions {
        let entry = action.entry;
        let named = entry.and_then(|entry| draft.outputs.get_mut(&entry.output));
        let last_use = last_use(inputs, action);
        let entry = Entry {
            action,
            last_use,
            fate: match stale_indexes.contains(&action.id) {
                true => Fate::Remove(Part::Whole, Cause::StaleIndex),
                false => decide(inputs, action, named.is_some(), last_use),
            },
        };
        match named {
            Some(named) => named.by.push(entry),
            None => draft.lost.push(entry),
        }
    }
    draft
}

/// Why nothing goes for being unused, where that was asked for.
fn left_alone(inputs: &Inputs<'_>) -> Option<String> {
    let (rules, uses) = (inputs.rules, inputs.uses);
    match &uses.unknown_builds {
        _ if !rules.unused => None,
        Some(why) if !rules.all => Some(format!(
            "nothing of the build cache goes for being unused: its use is unknown: {why}"
        )),
        _ if uses.since.is_none() => Some(
            "the build cache is left alone by `unused`: without a mark at the start of the job nobody knows what it used (run `gocachevet mark` first)".to_owned(),
        ),
        _ => None,
    }
}

fn last_use(inputs: &Inputs<'_>, action: &Action) -> DateTime<Utc> {
    let true_time = inputs.uses.true_times.get(&action.id).copied();
    true_time.map_or(action.modified, |time| time.max(action.modified))
}

fn decide<'a>(
    inputs: &Inputs<'a>,
    action: &Action,
    has_output: bool,
    last_use: DateTime<Utc>,
) -> Fate<'a> {
    let rules = inputs.rules;
    let remove = |cause| Fate::Remove(Part::Whole, cause);
    if rules.all {
        return remove(Cause::All);
    }
    let damaged = match action.entry {
        None => true,
        Some(entry) => inputs.evidence.damaged_outputs.contains(&entry.output),
    };
    if rules.repair && damaged {
        return remove(Cause::Damaged);
    }
    let age = age(last_use, inputs.now);
    if age < rules.grace {
        return Fate::Keep(Keep::Grace(age));
    }
    if rules.residue && !has_output && action.entry.is_some() {
        return remove(Cause::Orphan);
    }
    if inputs.uses.actions.contains(&action.id) {
        return Fate::Keep(Keep::UsedByJobs);
    }
    if rules.keep_since.is_some_and(|since| age < since) {
        return Fate::Keep(Keep::Since(age));
    }
    // Its time says nothing of its use, or this job's use is not known at all.
    let by_use = rules.unused || rules.max_age.is_some() || rules.tier.is_some();
    if by_use && (action.foreign || inputs.uses.unseen.contains(&action.id)) {
        return Fate::Keep(Keep::UseUnknown);
    }
    if rules.unused && inputs.uses.unknown_builds.is_none() && inputs.uses.since.is_some() {
        return remove(Cause::Idle);
    }
    if let Some(limit) = rules.max_age
        && age > limit
    {
        return remove(Cause::MaxAge(limit));
    }
    // Entries have no cheaper copy to fall back to: only the last step counts.
    if let Some(purge) = rules.tier.and_then(|tier| tier.purge)
        && age >= purge.0
    {
        return remove(Cause::Purged(purge.0));
    }
    if rules.max_age.is_some() || rules.tier.is_some() {
        return Fate::Keep(Keep::Young(age));
    }
    Fate::Keep(match rules.unused {
        true if inputs.uses.unknown_builds.is_some() => Keep::UseUnknown,
        true => Keep::NoMark,
        false => Keep::NotAsked,
    })
}

impl<'a> Draft<'a> {
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry<'a>> {
        let named = self.outputs.values().flat_map(|named| &named.by);
        named.chain(&self.lost)
    }

    pub(super) fn finish(self, inputs: &Inputs<'a>, plan: &mut Plan<'a>) {
        let Some(cache) = &inputs.inventory.buildcache else {
            return;
        };
        let mut entries: Vec<&Entry<'a>> = self.entries().collect();
        entries.sort_by_key(|entry| entry.action.id);
        for Entry { action, fate, .. } in entries {
            if let Fate::Remove(_, cause) = *fate {
                let target = Target::Builds(cache, InBuilds::Action(action));
                plan.add(target, action.bytes, cause);
            }
            plan.actions.push((action, *fate));
        }
        for named in self.outputs.values() {
            if let Some(cause) = output_cause(inputs, named) {
                let output = named.output;
                let target = Target::Builds(cache, InBuilds::Output(output));
                plan.add(target, output.bytes, cause);
            }
        }
    }
}

/// Why an output goes: it lives as long as an entry names it.
fn output_cause(inputs: &Inputs<'_>, named: &Named<'_>) -> Option<Cause> {
    let (rules, output) = (inputs.rules, named.output);
    if rules.all {
        return Some(Cause::All);
    }
    if rules.repair && inputs.evidence.damaged_outputs.contains(&output.id) {
        return Some(Cause::Damaged);
    }
    if age(output.modified, inputs.now) < rules.grace {
        return None;
    }
    let mut first = None;
    for entry in &named.by {
        match entry.fate {
            Fate::Keep(_) => return None,
            Fate::Remove(_, cause) => first = first.or(Some(cause)),
        }
    }
    first.or(rules.residue.then_some(Cause::Orphan))
}
