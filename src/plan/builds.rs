//! The build cache's part of a plan: action entries, and the outputs that no
//! remaining entry names.

use super::modules::age;
use super::{Cause, Fate, Inputs, Keep, Part, Plan, Step, Target};
use crate::formats::action::ActionId;
use crate::scan::{Action, BuildCache};
use chrono::{DateTime, Utc};
use std::collections::HashSet;

/// Every entry's fate, before it has to fit.
pub(super) struct Draft {
    pub(super) fates: Vec<Fate>,
    pub(super) last_uses: Vec<DateTime<Utc>>,
    /// The output that each action entry names, by its index.
    pub(super) named: Vec<Option<usize>>,
}

pub(super) fn draft(
    inputs: &Inputs<'_>,
    stale_indexes: &HashSet<ActionId>,
    plan: &mut Plan,
) -> Draft {
    let mut draft = Draft {
        fates: Vec::new(),
        last_uses: Vec::new(),
        named: Vec::new(),
    };
    let Some(cache) = &inputs.inventory.buildcache else {
        return draft;
    };
    let uses = inputs.uses;
    if inputs.policy.unused
        && !inputs.policy.all
        && !cache.actions.is_empty()
        && let Some(why) = &uses.unknown_builds
    {
        plan.notes.push(format!(
            "nothing of the build cache goes for being unused: its use is unknown: {why}"
        ));
    } else if inputs.policy.unused && uses.since.is_none() && !cache.actions.is_empty() {
        plan.notes.push(
            "the build cache is left alone by `unused`: without a mark at the start of the job nobody knows what it used (run `gocachevet mark` first)".to_owned(),
        );
    }
    for action in &cache.actions {
        let named = action
            .entry
            .and_then(|entry| output_index(cache, &entry.output));
        let last_use = last_use(inputs, action);
        let fate = match stale_indexes.contains(&action.id) {
            true => Fate::Remove(Part::Whole, Cause::StaleIndex),
            false => decide(inputs, action, named, last_use),
        };
        match fate {
            Fate::Remove(_, cause) => tracing::trace!("action {} goes: {cause}", action.id),
            Fate::Keep(reason) => tracing::trace!("action {} stays: {reason}", action.id),
        }
        draft.fates.push(fate);
        draft.last_uses.push(last_use);
        draft.named.push(named);
    }
    draft
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

fn decide(
    inputs: &Inputs<'_>,
    action: &Action,
    named: Option<usize>,
    last_use: DateTime<Utc>,
) -> Fate {
    let policy = inputs.policy;
    let remove = |cause| Fate::Remove(Part::Whole, cause);
    if policy.all {
        return remove(Cause::All);
    }
    let damaged = match action.entry {
        None => true,
        Some(entry) => inputs.evidence.damaged_outputs.contains(&entry.output),
    };
    if policy.repair && damaged {
        return remove(Cause::Damaged);
    }
    let age = age(last_use, inputs.now);
    if age < policy.grace {
        return Fate::Keep(Keep::Grace(age));
    }
    if policy.residue && named.is_none() && action.entry.is_some() {
        return remove(Cause::Orphan);
    }
    if inputs.uses.actions.contains(&action.id) {
        return Fate::Keep(Keep::UsedByJobs);
    }
    if policy.keep_since.is_some_and(|since| age < since) {
        return Fate::Keep(Keep::Since(age));
    }
    // Its time says nothing of its use, or this job's use is not known at all.
    let by_use = policy.unused || policy.max_age.is_some() || policy.tier.is_some();
    if by_use && (action.foreign || inputs.uses.unseen.contains(&action.id)) {
        return Fate::Keep(Keep::UseUnknown);
    }
    if policy.unused && inputs.uses.unknown_builds.is_none() && inputs.uses.since.is_some() {
        return remove(Cause::Idle);
    }
    if let Some(limit) = policy.max_age
        && age > limit
    {
        return remove(Cause::MaxAge(limit));
    }
    // Entries have no cheaper copy to fall back to: only the last step counts.
    if let Some(purge) = policy.tier.and_then(|tier| tier.purge)
        && age >= purge.0
    {
        return remove(Cause::Purged(purge.0));
    }
    if policy.max_age.is_some() || policy.tier.is_some() {
        return Fate::Keep(Keep::Young(age));
    }
    Fate::Keep(match policy.unused {
        true if inputs.uses.unknown_builds.is_some() => Keep::UseUnknown,
        true => Keep::NoMark,
        false => Keep::NotAsked,
    })
}

impl Draft {
    pub(super) fn finish(self, inputs: &Inputs<'_>, plan: &mut Plan) {
        let Some(cache) = &inputs.inventory.buildcache else {
            return;
        };
        // An output lives as long as an entry names it.
        let mut kept = vec![false; cache.outputs.len()];
        let mut causes: Vec<Option<Cause>> = vec![None; cache.outputs.len()];
        for (index, (fate, named)) in self.fates.iter().zip(&self.named).enumerate() {
            if let Fate::Remove(_, cause) = *fate {
                plan.steps.push(Step {
                    target: Target::Action(index),
                    bytes: cache.actions.get(index).map_or(0, |action| action.bytes),
                    cause,
                });
                if let Some(slot) = named.and_then(|named| causes.get_mut(named)) {
                    slot.get_or_insert(cause);
                }
            } else if let Some(slot) = named.and_then(|named| kept.get_mut(named)) {
                *slot = true;
            }
        }
        let policy = inputs.policy;
        for (index, output) in cache.outputs.iter().enumerate() {
            let damaged = inputs.evidence.damaged_outputs.contains(&output.id);
            let named = kept.get(index).copied().unwrap_or(true);
            let in_grace = age(output.modified, inputs.now) < policy.grace;
            let cause = if policy.all {
                Some(Cause::All)
            } else if policy.repair && damaged {
                Some(Cause::Damaged)
            } else if named || in_grace {
                None
            } else {
                let orphan = policy.residue.then_some(Cause::Orphan);
                causes.get(index).copied().flatten().or(orphan)
            };
            if let Some(cause) = cause {
                plan.steps.push(Step {
                    target: Target::Output(index),
                    bytes: output.bytes,
                    cause,
                });
            }
        }
        plan.actions = self.fates;
    }
}
