//! What goes and what stays: retention rules become a plan. Pure; the current
//! time is a parameter.
//!
//! The rules are weighed in the order of `docs/retention.md`, the first that
//! decides wins: damage and residue, forced keep, what is needed, time,
//! references, removal, size. Every unit gets a [`Fate`], so that a keep can be
//! explained as well as a removal.

mod builds;
mod modules;
mod reason;
mod rules;
mod size;
mod uses;

pub use reason::{Cause, Keep};
pub use rules::RetentionRules;
pub use uses::Uses;

use crate::findings::display_path;
use crate::formats::module::PieceKind;
use crate::needs::Needs;
use crate::report;
use crate::scan::{
    Action, BuildCache, Inventory, ModCache, Output, Residue, VcsClone, Version, VersionKind,
};
use crate::verify::Evidence;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What the caches hold.
    pub inventory: &'a Inventory,
    /// What is known of it.
    pub evidence: &'a Evidence,
    /// What projects need: those of this run and those the ledger knows.
    pub needs: &'a [Needs],
    /// What was used and when.
    pub uses: &'a Uses,
    /// What was asked for.
    pub rules: &'a RetentionRules,
    /// The current time.
    pub now: DateTime<Utc>,
}

/// What happens to a unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate<'a> {
    /// It stays, and why.
    Keep(Keep<'a>),
    /// It goes, or a part of a module version does.
    Remove(Part, Cause),
}

/// What of a unit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A half extracted tree with its `.partial` marker, or the marker alone.
    HalfTree,
    /// A `.ziphash` with neither zip nor tree.
    ZipHash,
    /// Only the extracted tree.
    Tree,
    /// Only the zip.
    Zip,
    /// Zip, `.ziphash` and tree; `.mod` and `.info` stay for the module graph.
    Source,
    /// All of it.
    Whole,
}

/// What a step removes, and from which cache.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// Something of the module cache.
    Modules(&'a ModCache, InModules<'a>),
    /// Something of the build cache.
    Builds(&'a BuildCache, InBuilds<'a>),
}

/// What can go from the module cache.
#[derive(Clone, Copy, Debug)]
pub enum InModules<'a> {
    /// A module version, or a part of it.
    Version(&'a Version, Part),
    /// A version-control clone.
    Vcs(&'a VcsClone),
    /// What a broken download or extraction left.
    Residue(&'a Residue),
    /// A damaged file of the checksum database.
    Sumdb(&'a PathBuf),
    /// A symbolic link.
    Link(&'a PathBuf),
}

/// What can go from the build cache.
#[derive(Clone, Copy, Debug)]
pub enum InBuilds<'a> {
    /// An action entry.
    Action(&'a Action),
    /// A build output.
    Output(&'a Output),
    /// A symbolic link.
    Link(&'a PathBuf),
}

/// One removal.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// What goes.
    pub target: Target<'a>,
    /// What it frees.
    pub bytes: u64,
    /// Why.
    pub cause: Cause,
}

/// What a trim does.
#[derive(Clone, Debug, Default)]
pub struct Plan<'a> {
    /// Every removal: the module cache's, then action entries, then outputs.
    pub steps: Vec<Step<'a>>,
    /// Every module version and its fate, in the inventory's order.
    pub versions: Vec<(&'a Version, Fate<'a>)>,
    /// Every action entry and its fate, in the inventory's order.
    pub actions: Vec<(&'a Action, Fate<'a>)>,
    /// Bytes of both caches before.
    pub total: u64,
    /// Bytes that would go too, but for the grace.
    pub in_grace: u64,
    /// What could not be done as asked, for the report.
    pub notes: Vec<String>,
}

/// Weighs everything. Takes a second for some million units.
pub fn plan<'a>(inputs: &Inputs<'a>) -> Plan<'a> {
    let rules = inputs.rules;
    let bytes_without_grace = (!rules.all && !rules.grace.is_zero()).then(|| {
        let graceless = RetentionRules {
            grace: Duration::ZERO,
            ..rules.clone()
        };
        let rules = &graceless;
        weigh(&Inputs { rules, ..*inputs }).bytes()
    });
    let mut plan = weigh(inputs);
    plan.in_grace = bytes_without_grace.map_or(0, |bytes| bytes.saturating_sub(plan.bytes()));
    for (version, fate) in &plan.versions {
        match fate {
            Fate::Remove(part, cause) => tracing::debug!("{}: {part:?} goes: {cause}", version.id),
            Fate::Keep(reason) => tracing::trace!("{} stays: {reason}", version.id),
        }
    }
    for (action, fate) in &plan.actions {
        match fate {
            Fate::Remove(_, cause) => tracing::trace!("action {} goes: {cause}", action.id),
            Fate::Keep(reason) => tracing::trace!("action {} stays: {reason}", action.id),
        }
    }
    plan
}

fn weigh<'a>(inputs: &Inputs<'a>) -> Plan<'a> {
    let mut plan = Plan {
        total: report::bytes(inputs.inventory),
        ..Plan::default()
    };
    if inputs.rules.repair {
        links(inputs.inventory, &mut plan);
    }
    let mut versions = modules::draft(inputs, &mut plan);
    let stale = modules::stale_indexes(&versions, inputs);
    let mut builds = builds::draft(inputs, &stale, &mut plan);
    size::fit(inputs, &mut versions, &mut builds, &mut plan);
    modules::finish(versions, inputs, &mut plan);
    builds.finish(inputs, &mut plan);
    plan
}

/// Links that Go would follow go by a repair: to Go it is as if what they stand
/// for had never been there.
fn links<'a>(inventory: &'a Inventory, plan: &mut Plan<'a>) {
    if let Some(cache) = &inventory.modcache {
        for link in &cache.links {
            let target = Target::Modules(cache, InModules::Link(link));
            plan.add(target, 0, Cause::Damaged);
        }
    }
    if let Some(cache) = &inventory.buildcache {
        for link in &cache.links {
            let target = Target::Builds(cache, InBuilds::Link(link));
            plan.add(target, 0, Cause::Damaged);
        }
    }
}

impl<'a> Plan<'a> {
    fn add(&mut self, target: Target<'a>, bytes: u64, cause: Cause) {
        self.steps.push(Step {
            target,
            bytes,
            cause,
        });
    }

    fn bytes(&self) -> u64 {
        self.steps.iter().map(|step| step.bytes).sum()
    }

    /// The plan as the report shows it, with these of its steps; `listed` one by one,
    /// which takes the memory of many words for each.
    pub fn shown<'s>(
        &self,
        steps: impl Iterator<Item = &'s Step<'s>> + Clone,
        listed: bool,
    ) -> report::Plan {
        let bytes = steps.clone().map(|step| step.bytes).sum();
        report::Plan {
            removed: removed(steps.clone()),
            removals: match listed {
                true => steps.flat_map(Step::removals).collect(),
                false => Vec::new(),
            },
            bytes,
            kept_bytes: self.total.saturating_sub(bytes),
            kept: self.kept(),
        }
    }

    /// What stays, counted by reason, in the order of the units and reasons.
    fn kept(&self) -> Vec<report::Kept> {
        let versions = self.versions.iter();
        let versions = versions.map(|(version, fate)| (version_unit(version), fate));
        let actions = self.actions.iter();
        let actions = actions.map(|(_, fate)| (report::Unit::Action, fate));
        let mut counts = BTreeMap::new();
        for (unit, fate) in versions.chain(actions) {
            if let Fate::Keep(reason) = fate {
                *counts.entry((unit, reason.shared())).or_insert(0) += 1;
            }
        }
        let told = |((unit, reason), units): ((_, &str), _)| report::Kept {
            unit,
            reason: reason.to_owned(),
            units,
        };
        counts.into_iter().map(told).collect()
    }
}

/// What goes, counted by unit and reason, most bytes first.
fn removed<'s>(steps: impl Iterator<Item = &'s Step<'s>>) -> Vec<report::Removed> {
    let mut sums = BTreeMap::<(report::Unit, Cause), (u64, u64)>::new();
    for step in steps {
        for (unit, bytes) in step.units() {
            let sum = sums.entry((unit, step.cause)).or_default();
            *sum = (sum.0 + 1, sum.1.saturating_add(bytes));
        }
    }
    let told = |((unit, cause), (units, bytes)): ((_, Cause), _)| report::Removed {
        unit,
        reason: cause.to_string(),
        units,
        bytes,
    };
    let mut removed: Vec<_> = sums.into_iter().map(told).collect();
    removed.sort_by_key(|removed| std::cmp::Reverse(removed.bytes));
    removed
}

impl Step<'_> {
    /// What the report calls it, and the bytes. Zip and tree that go while `.mod` and
    /// `.info` stay are two units.
    pub fn units(&self) -> impl Iterator<Item = (report::Unit, u64)> {
        let mut second = None;
        let first = match self.target {
            Target::Modules(_, InModules::Version(version, part)) => match part {
                Part::HalfTree | Part::ZipHash => report::Unit::Residue,
                Part::Source if version.tree.is_some() && version.zip.is_some() => {
                    let rest = self.bytes.saturating_sub(version.tree_bytes());
                    second = Some((report::Unit::Archive, rest));
                    report::Unit::Extracted
                }
                // The `.ziphash` goes with the only copy.
                Part::Source if version.tree.is_some() => report::Unit::Extracted,
                Part::Tree => report::Unit::Extracted,
                Part::Zip | Part::Source => report::Unit::Archive,
                Part::Whole => version_unit(version),
            },
            Target::Modules(_, InModules::Vcs(_)) => report::Unit::Vcs,
            Target::Builds(_, InBuilds::Action(_)) => report::Unit::Action,
            Target::Builds(_, InBuilds::Output(_)) => report::Unit::Output,
            Target::Modules(..) | Target::Builds(_, InBuilds::Link(_)) => report::Unit::Residue,
        };
        let bytes = second.map_or(self.bytes, |(_, rest)| self.bytes - rest);
        [Some((first, bytes)), second].into_iter().flatten()
    }

    /// Where the unit lies; nothing for module versions, which lie in several
    /// places.
    pub fn path(&self) -> Option<PathBuf> {
        Some(match self.target {
            Target::Modules(_, InModules::Version(..)) => return None,
            Target::Modules(_, InModules::Vcs(clone)) => clone.path.clone(),
            Target::Modules(_, InModules::Residue(left)) => left.path.clone(),
            Target::Modules(_, InModules::Sumdb(path) | InModules::Link(path))
            | Target::Builds(_, InBuilds::Link(path)) => path.to_owned(),
            Target::Builds(cache, InBuilds::Action(action)) => cache.action_path(action),
            Target::Builds(cache, InBuilds::Output(output)) => cache.output_path(output.id),
        })
    }

    /// The step as the report shows it: each of its units.
    pub fn removals(&self) -> Vec<report::Removal> {
        let removal = |(unit, bytes)| {
            let (subject, path) = self.named(unit);
            report::Removal {
                unit,
                subject,
                path: display_path(&path),
                bytes,
                reason: self.cause.to_string(),
            }
        };
        self.units().map(removal).collect()
    }

    /// What one of its units is called, and where it lies.
    fn named(&self, unit: report::Unit) -> (String, PathBuf) {
        let path = self.path().unwrap_or_default();
        let subject = match self.target {
            Target::Modules(cache, InModules::Version(version, part)) => {
                let piece = |kind| cache.piece_path(&version.id, kind);
                let path = match part {
                    Part::ZipHash => piece(PieceKind::ZipHash),
                    _ if unit != report::Unit::Archive && version.tree.is_some() => {
                        cache.tree_path(&version.id)
                    }
                    Part::HalfTree => piece(PieceKind::Partial),
                    Part::Whole if version.zip.is_none() => piece(PieceKind::Mod),
                    _ => piece(PieceKind::Zip),
                };
                return (version.id.to_string(), path);
            }
            Target::Modules(_, InModules::Vcs(clone)) => {
                let name = || display_path(Path::new(path.file_name().unwrap_or_default()));
                clone.url.clone().unwrap_or_else(name)
            }
            Target::Modules(ModCache { root, .. }, _)
            | Target::Builds(BuildCache { root, .. }, InBuilds::Link(_)) => below(root, &path),
            Target::Builds(_, InBuilds::Action(action)) => action.id.to_string(),
            Target::Builds(_, InBuilds::Output(output)) => output.id.to_string(),
        };
        (subject, path)
    }
}

fn version_unit(version: &Version) -> report::Unit {
    match version.kind {
        VersionKind::Toolchain => report::Unit::Toolchain,
        _ => report::Unit::Version,
    }
}

/// A path below a cache's root, as the report names it.
fn below(root: &Path, path: &Path) -> String {
    display_path(path.strip_prefix(root).unwrap_or(path))
}

#[cfg(test)]
mod tests;
