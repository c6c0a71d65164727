//! The build cache's part of a plan: action entries, and the outputs that no
//! remaining entry names.

use super::modules::age;
use super::{Cause, Fate, InBuilds, Inputs, Keep, Part, Plan, Target};
use crate::formats::action::ActionId;
use crate::scan::{Action, BuildCache, Output};
use chrono::{DateTime, Utc};
use std::collections::HashSet;

/// The build cache, before it has to fit.
#[derive(Default)]
pub(super) struct Draft<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    pub(super) outputs: Vec<Named<'a>>,
}

/// An action entry.
pub(super) struct Entry<'a> {
    pub(super) action: &'a Action,
    pub(super) last_use: DateTime<Utc>,
    pub(super) fate: Fate<'a>,
}

/// An output, and the places of the entries that name it.
pub(super) struct Named<'a> {
    pub(super) output: &'a Output,
    pub(super) by: Vec<usize>,
}

impl Named<'_> {
    /// The entries that name it.
    pub(super) fn by<'d, 'a>(
        &self,
        entries: &'d [Entry<'a>],
    ) -> impl Iterator<Item = &'d Entry<'a>> + use<'_, 'd, 'a> {
        self.by.iter().filter_map(|&at| entries.get(at))
    }
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
    draft.outputs.extend(outputs.map(|output| Named {
        output,
        by: Vec::new(),
    }));
    for (at, action) in cache.actions.iter().enumerate() {
        let named = action
            .entry
            .and_then(|entry| output_index(cache, &entry.output));
        let named = named.and_then(|index| draft.outputs.get_mut(index));
        let last_use = last_use(inputs, action);
        draft.entries.push(Entry {
            action,
            last_use,
            fate: match stale_indexes.contains(&action.id) {
                true => Fate::Remove(Part::Whole, Cause::StaleIndex),
                false => decide(inputs, action, named.is_some(), last_use),
            },
        });
        if let Some(named) = named {
            named.by.push(at);
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

fn output_index(cache: &BuildCache, id: &crate::formats::action::OutputId) -> Option<usize> {
    cache
        .outputs
        .binary_search_by_key(id, |output| output.id)
        .ok()
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
    pub(super) fn finish(self, inputs: &Inputs<'a>, plan: &mut Plan<'a>) {
        let Some(cache) = &inputs.inventory.buildcache else {
            return;
        };
        for Entry { action, fate, .. } in &self.entries {
            if let Fate::Remove(_, cause) = *fate {
                let target = Target::Builds(cache, InBuilds::Action(action));
                plan.add(target, action.bytes, cause);
            }
            plan.actions.push((action, *fate));
        }
        for named in &self.outputs {
            if let Some(cause) = self.output_cause(inputs, named) {
                let output = named.output;
                let target = Target::Builds(cache, InBuilds::Output(output));
                plan.add(target, output.bytes, cause);
            }
        }
    }

    /// Why an output goes: it lives as long as an entry names it.
    fn output_cause(&self, inputs: &Inputs<'_>, named: &Named<'_>) -> Option<Cause> {
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
        for entry in named.by(&self.entries) {
            match entry.fate {
                Fate::Keep(_) => return None,
                Fate::Remove(_, cause) => first = first.or(Some(cause)),
            }
        }
        first.or(rules.residue.then_some(Cause::Orphan))
    }
}
