//! The build cache's part of a plan: action entries, and the outputs that no
//! remaining entry names.

use super::modules::age;
use super::{Cause, Fate, InBuilds, Inputs, Keep, Part, Plan, Target};
use crate::formats::action::{ActionId, OutputId};
use crate::scan::{Action, Output};
use chrono::{DateTime, Utc};
use std::collections::HashSet;

/// The build cache, before it has to fit. A cache may hold a million units, so that
/// each takes a few words here, and nothing of its own.
#[derive(Default)]
pub(super) struct Draft<'a> {
    /// The action entries, by ID.
    pub(super) entries: Vec<Entry<'a>>,
    /// The outputs, by ID.
    pub(super) outputs: &'a [Output],
    /// Which entry names which output, as places in the two; by output.
    naming: Vec<(usize, usize)>,
}

/// An action entry and what happens to it.
pub(super) type Entry<'a> = (&'a Action, Fate<'a>);

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
    draft.outputs = &cache.outputs;
    let place = |id: OutputId| cache.outputs.binary_search_by_key(&id, |output| output.id);
    for (at, action) in cache.actions.iter().enumerate() {
        let output = action.entry.and_then(|entry| place(entry.output).ok());
        let fate = match stale_indexes.contains(&action.id) {
            true => Fate::Remove(Part::Whole, Cause::StaleIndex),
            false => decide(inputs, action, output.is_some()),
        };
        draft.entries.push((action, fate));
        draft.naming.extend(output.map(|output| (output, at)));
    }
    draft.naming.sort_unstable();
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

/// When an entry was last used.
pub(super) fn last_use(inputs: &Inputs<'_>, action: &Action) -> DateTime<Utc> {
    let true_time = inputs.uses.true_times.get(&action.id).copied();
    true_time.map_or(action.modified, |time| time.max(action.modified))
}

fn decide<'a>(inputs: &Inputs<'a>, action: &Action, has_output: bool) -> Fate<'a> {
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
    let age = age(last_use(inputs, action), inputs.now);
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
    /// The entries that name the output at this place, as places of theirs.
    pub(super) fn naming(&self, output: usize) -> impl Iterator<Item = usize> + '_ {
        let first = self.naming.partition_point(|&(named, _)| named < output);
        let naming = self.naming.get(first..).unwrap_or_default().iter();
        naming
            .take_while(move |&&(named, _)| named == output)
            .map(|&(_, entry)| entry)
    }

    /// The fates of the entries that name the output at this place.
    pub(super) fn fates(&self, output: usize) -> impl Iterator<Item = Fate<'a>> + '_ {
        let naming = self.naming(output);
        naming.filter_map(|entry| Some(self.entries.get(entry)?.1))
    }

    pub(super) fn finish(self, inputs: &Inputs<'a>, plan: &mut Plan<'a>) {
        let Some(cache) = &inputs.inventory.buildcache else {
            return;
        };
        for &(action, fate) in &self.entries {
            if let Fate::Remove(_, cause) = fate {
                let target = Target::Builds(cache, InBuilds::Action(action));
                plan.add(target, action.bytes, cause);
            }
        }
        for (place, output) in self.outputs.iter().enumerate() {
            if let Some(cause) = output_cause(inputs, output, self.fates(place)) {
                let target = Target::Builds(cache, InBuilds::Output(output));
                plan.add(target, output.bytes, cause);
            }
        }
        plan.actions = self.entries;
    }
}

/// Why an output goes: it lives as long as an entry names it.
fn output_cause<'a>(
    inputs: &Inputs<'_>,
    output: &Output,
    entries: impl Iterator<Item = Fate<'a>>,
) -> Option<Cause> {
    let rules = inputs.rules;
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
    for fate in entries {
        match fate {
            Fate::Keep(_) => return None,
            Fate::Remove(_, cause) => first = first.or(Some(cause)),
        }
    }
    first.or(rules.residue.then_some(Cause::Orphan))
}
