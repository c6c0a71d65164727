//! What goes and what stays: retention rules become a plan. Pure; the current
//! time is a parameter.
//!
//! The rules are weighed in the order of `docs/retention.md`, the first that
//! decides wins: damage and residue, forced keep, what is needed, time,
//! references, removal, size. Every unit gets a [`Fate`], so that a keep can be
//! explained as well as a removal.

mod builds;
mod modules;
mod needs;
mod policy;
mod reason;
mod size;
mod uses;

pub(crate) use needs::graph_of;
pub use needs::{Needs, needs_of};
pub use policy::Policy;
pub use reason::{Cause, Keep};
pub use uses::{Uses, indexes};

use crate::findings::display_path;
use crate::formats::module::PieceKind;
use crate::report;
use crate::scan::{Inventory, ModCache, Version, VersionKind};
use crate::verify::Evidence;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
    pub policy: &'a Policy,
    /// The current time.
    pub now: DateTime<Utc>,
}

/// What happens to a unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// It stays, and why.
    Keep(Keep),
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

/// What a step removes, by index into the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A module version, or a part of it.
    Version(usize, Part),
    /// A version-control clone.
    Vcs(usize),
    /// What a broken download or extraction left.
    Residue(usize),
    /// A damaged file of the checksum database, by index into [`Plan::sumdb`].
    Sumdb(usize),
    /// A symbolic link in the module cache, by index into its links.
    ModuleLink(usize),
    /// A symbolic link in the build cache, by index into its links.
    BuildLink(usize),
    /// An action entry.
    Action(usize),
    /// A build output.
    Output(usize),
}

/// One removal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// What goes.
    pub target: Target,
    /// What it frees.
    pub bytes: u64,
    /// Why.
    pub cause: Cause,
}

/// What a trim does.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Every removal: the module cache's, then action entries, then outputs.
    pub steps: Vec<Step>,
    /// Damaged files of the checksum database that go.
    pub sumdb: Vec<PathBuf>,
    /// The fate of every module version, in the inventory's order.
    pub versions: Vec<Fate>,
    /// The fate of every action entry, in the inventory's order.
    pub actions: Vec<Fate>,
    /// Bytes of both caches before.
    pub total: u64,
    /// What could not be done as asked, for the report.
    pub notes: Vec<String>,
}

/// Weighs everything. Takes a second for some million units.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let mut plan = Plan {
        total: report::bytes(inputs.inventory),
        ..Plan::default()
    };
    links(inputs, &mut plan);
    let mut draft = modules::draft(inputs, &mut plan);
    let stale = draft.stale_indexes(inputs);
    let mut builds = builds::draft(inputs, &stale, &mut plan);
    size::fit(inputs, &mut draft, &mut builds, &mut plan);
    draft.finish(inputs, &mut plan);
    builds.finish(inputs, &mut plan);
    plan
}

/// Links that Go would follow go by a repair: to Go it is as if what they stand
/// for had never been there.
fn links(inputs: &Inputs<'_>, plan: &mut Plan) {
    if !inputs.policy.repair {
        return;
    }
    let mods = inputs.inventory.modcache.as_ref();
    let builds = inputs.inventory.buildcache.as_ref();
    let in_modules = 0..mods.map_or(0, |cache| cache.links.len());
    let in_builds = 0..builds.map_or(0, |cache| cache.links.len());
    let targets = in_modules
        .map(Target::ModuleLink)
        .chain(in_builds.map(Target::BuildLink));
    plan.steps.extend(targets.map(|target| Step {
        target,
        bytes: 0,
        cause: Cause::Damaged,
    }));
}

impl Plan {
    /// Where the unit of a step lies; nothing for module versions, which lie in
    /// several places, and for what is not there.
    pub fn path_of(&self, target: Target, inventory: &Inventory) -> Option<PathBuf> {
        let modules = inventory.modcache.as_ref();
        let builds = inventory.buildcache.as_ref();
        match target {
            Target::Version(..) => None,
            Target::Vcs(index) => Some(modules?.vcs.get(index)?.path.clone()),
            Target::Residue(index) => Some(modules?.residue.get(index)?.path.clone()),
            Target::Sumdb(index) => self.sumdb.get(index).cloned(),
            Target::ModuleLink(index) => modules?.links.get(index).cloned(),
            Target::BuildLink(index) => builds?.links.get(index).cloned(),
            Target::Action(index) => {
                let cache = builds?;
                Some(cache.action_path(cache.actions.get(index)?))
            }
            Target::Output(index) => {
                let cache = builds?;
                Some(cache.output_path(cache.outputs.get(index)?.id))
            }
        }
    }

    /// The plan as the report shows it: one or two lines a step.
    pub fn for_report(&self, inventory: &Inventory) -> report::Plan {
        self.shown(inventory, |_| true)
    }

    /// What of it was done, step by step: a failed removal has removed nothing.
    pub fn done<T, E>(&self, inventory: &Inventory, results: &[Result<T, E>]) -> report::Plan {
        self.shown(inventory, |step| {
            results.get(step).is_some_and(Result::is_ok)
        })
    }

    fn shown(&self, inventory: &Inventory, which: impl Fn(usize) -> bool) -> report::Plan {
        let steps = self.steps.iter().enumerate();
        let steps: Vec<&Step> = steps
            .filter(|(at, _)| which(*at))
            .map(|(_, step)| step)
            .collect();
        let bytes = steps.iter().map(|step| step.bytes).sum();
        report::Plan {
            removals: steps
                .iter()
                .flat_map(|step| self.removals(inventory, step))
                .collect(),
            bytes,
            kept_bytes: self.total.saturating_sub(bytes),
            kept: self.kept(inventory),
        }
    }

    /// What stays, counted by reason, in the order of the units and reasons.
    fn kept(&self, inventory: &Inventory) -> Vec<report::Kept> {
        let versions = inventory.modcache.iter().flat_map(|cache| &cache.versions);
        let versions = versions.zip(&self.versions).map(|(version, fate)| {
            let unit = match version.kind {
                VersionKind::Toolchain => report::Unit::Toolchain,
                _ => report::Unit::Version,
            };
            (unit, fate)
        });
        let actions = self.actions.iter().map(|fate| (report::Unit::Action, fate));
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

    /// A step as the report shows it. Zip and tree that go while `.mod` and
    /// `.info` stay are two removals.
    pub fn removals(&self, inventory: &Inventory, step: &Step) -> Vec<report::Removal> {
        let one = |unit, subject: String, path: &Path| {
            vec![report::Removal {
                unit,
                subject,
                path: display_path(path),
                bytes: step.bytes,
                reason: step.cause.to_string(),
            }]
        };
        let mods = inventory.modcache.as_ref();
        let builds = inventory.buildcache.as_ref();
        match step.target {
            Target::Version(index, part) => mods
                .and_then(|cache| Some((cache, cache.versions.get(index)?)))
                .map_or_else(Vec::new, |(cache, version)| {
                    version_removals(cache, version, part, step)
                }),
            Target::Vcs(index) => {
                mods.and_then(|cache| cache.vcs.get(index))
                    .map_or_else(Vec::new, |clone| {
                        let name =
                            || display_path(Path::new(clone.path.file_name().unwrap_or_default()));
                        let subject = clone.url.clone().unwrap_or_else(name);
                        one(report::Unit::Vcs, subject, &clone.path)
                    })
            }
            Target::Residue(index) => mods
                .and_then(|cache| Some((cache, cache.residue.get(index)?)))
                .map_or_else(Vec::new, |(cache, left)| {
                    let subject = below(&cache.root, &left.path);
                    one(report::Unit::Residue, subject, &left.path)
                }),
            Target::Sumdb(index) => self
                .sumdb
                .get(index)
                .zip(mods)
                .map_or_else(Vec::new, |(path, cache)| {
                    one(report::Unit::Residue, below(&cache.root, path), path)
                }),
            Target::ModuleLink(index) => mods
                .and_then(|cache| Some((&cache.root, cache.links.get(index)?)))
                .map_or_else(Vec::new, |(root, link)| {
                    one(report::Unit::Residue, below(root, link), link)
                }),
            Target::BuildLink(index) => builds
                .and_then(|cache| Some((&cache.root, cache.links.get(index)?)))
                .map_or_else(Vec::new, |(root, link)| {
                    one(report::Unit::Residue, below(root, link), link)
                }),
            Target::Action(index) => builds
                .and_then(|cache| Some((cache, cache.actions.get(index)?)))
                .map_or_else(Vec::new, |(cache, action)| {
                    let path = cache.action_path(action);
                    one(report::Unit::Action, action.id.to_string(), &path)
                }),
            Target::Output(index) => builds
                .and_then(|cache| Some((cache, cache.outputs.get(index)?)))
                .map_or_else(Vec::new, |(cache, output)| {
                    let path = cache.output_path(output.id);
                    one(report::Unit::Output, output.id.to_string(), &path)
                }),
        }
    }
}

fn version_removals(
    cache: &ModCache,
    version: &Version,
    part: Part,
    step: &Step,
) -> Vec<report::Removal> {
    let removal = |unit, path: &Path, bytes| report::Removal {
        unit,
        subject: version.id.to_string(),
        path: display_path(path),
        bytes,
        reason: step.cause.to_string(),
    };
    let tree = cache.tree_path(&version.id);
    let zip = cache.piece_path(&version.id, PieceKind::Zip);
    match part {
        Part::HalfTree if version.tree.is_some() => {
            vec![removal(report::Unit::Residue, &tree, step.bytes)]
        }
        Part::HalfTree => {
            let partial = cache.piece_path(&version.id, PieceKind::Partial);
            vec![removal(report::Unit::Residue, &partial, step.bytes)]
        }
        Part::ZipHash => {
            let ziphash = cache.piece_path(&version.id, PieceKind::ZipHash);
            vec![removal(report::Unit::Residue, &ziphash, step.bytes)]
        }
        Part::Tree => vec![removal(report::Unit::Extracted, &tree, step.bytes)],
        Part::Zip => vec![removal(report::Unit::Archive, &zip, step.bytes)],
        Part::Source => {
            let tree_bytes = version.tree_bytes();
            let mut removals = Vec::new();
            if version.tree.is_some() {
                removals.push(removal(report::Unit::Extracted, &tree, tree_bytes));
            }
            if version.zip.is_some() || version.tree.is_none() {
                let rest = step.bytes.saturating_sub(tree_bytes);
                removals.push(removal(report::Unit::Archive, &zip, rest));
            } else if let Some(extracted) = removals.first_mut() {
                // The `.ziphash` goes with the tree.
                extracted.bytes = step.bytes;
            }
            removals
        }
        Part::Whole => {
            let unit = match version.kind {
                VersionKind::Toolchain => report::Unit::Toolchain,
                _ => report::Unit::Version,
            };
            let path = match (version.tree.is_some(), version.zip.is_some()) {
                (true, _) => tree,
                (false, true) => zip,
                (false, false) => cache.piece_path(&version.id, PieceKind::Mod),
            };
            vec![removal(unit, &path, step.bytes)]
        }
    }
}

/// A path below a cache's root, as the report names it.
fn below(root: &Path, path: &Path) -> String {
    display_path(path.strip_prefix(root).unwrap_or(path))
}

#[cfg(test)]
mod tests;
