//! The only place that changes a cache. It does what a
//! [`Plan`](crate::plan::Plan) lists and nothing else.
//!
//! # Safety beside a running `go`
//!
//! A module version is removed under Go's own lock of it, which is taken
//! without waiting, in the order that leaves Go the least room to fail: first
//! the `.ziphash`, whose absence sends every newcomer to the lock, then the tree
//! by one rename, then the rest. At every moment, and after a kill at any, Go
//! finds a state from which it extracts or downloads again. A tree under its new
//! name (`<tree>.tmp-<n>`, beside it) is what Go itself takes for the residue of
//! an extraction and deletes. Locks are never unlinked: a waiter would hold a
//! file that nobody else can lock any more.
//!
//! Before anything goes it is looked at once more, under the lock: what changed
//! since it was scanned stays. After the `.ziphash` went, builds that were
//! running then are waited for (see `readers`), since they may read the tree
//! without a lock.
//!
//! # Safety in a hostile tree
//!
//! Every name is reached from the cache's root by descriptors that follow no
//! link (see [`Root`]), so that nothing outside is ever removed.

mod all;
mod builds;
mod door;
mod prove;
mod readers;
mod tree;
mod vcs;
mod version;

pub use door::refuse;
pub use prove::{hold, put_back_interrupted};
#[cfg(target_os = "linux")]
pub(crate) use tree::remove_tree;

use crate::folder::{Kind, Root};
use crate::parallel;
use crate::plan::{Part, Plan, Step, Target};
use crate::scan::{Inventory, Version};
use readers::Readers;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// Why a unit is still there.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A running `go` holds its lock.
    #[error("in use: a go command holds its lock")]
    Busy,
    /// It is not what was scanned any more.
    #[error("changed since it was looked at")]
    Changed,
    /// An action entry that was used meanwhile names it.
    #[error("in use: an action entry that was used meanwhile names it")]
    InUse,
    /// An action entry names it that should have gone first.
    #[error("an action entry that could not be removed names it")]
    Named,
    /// The file system refused.
    #[error("{}{_0}", refused(.0))]
    Io(#[from] io::Error),
}

/// What the system means by its few words.
fn refused(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "this user may not change it or its folder: ",
        _ => "",
    }
}

impl Fault {
    /// Whether it was left for good reason; else the removal failed.
    pub fn is_skip(&self) -> bool {
        matches!(self, Fault::Busy | Fault::Changed | Fault::InUse)
    }
}

/// What became of a step: the bytes freed, or why not.
pub type Result = std::result::Result<u64, Fault>;

/// Does what a plan lists; the results are in the order of its steps.
pub fn act(plan: &Plan, inventory: &Inventory, jobs: usize) -> Vec<Result> {
    let mut results: Vec<Option<Result>> = Vec::new();
    results.resize_with(plan.steps.len(), || None);
    links(plan, inventory, &mut results);
    if let Some(cache) = &inventory.modcache {
        match cache.folders() {
            Ok(root) => {
                let groups = by_version(plan, inventory);
                let mut readers = Readers::of(&cache.root);
                let mut rest = groups.as_slice();
                while !rest.is_empty() {
                    // Beside builds one by one: who waits for the lock of one
                    // version may be about to read another.
                    let size = if readers.any() { 1 } else { BATCH };
                    let (batch, behind) = rest.split_at(size.min(rest.len()));
                    rest = behind;
                    let work = Work {
                        root,
                        plan,
                        inventory,
                        jobs,
                    };
                    for (at, result) in work.batch(batch, &mut readers) {
                        set(&mut results, at, result);
                    }
                }
            }
            Err(error) => fail_all(&mut results, plan, &error, is_module_step),
        }
    }
    if let Some(cache) = &inventory.buildcache {
        match cache.folders() {
            Ok(root) => {
                for (at, result) in builds::remove(root.top(), cache, plan, jobs) {
                    set(&mut results, at, result);
                }
            }
            Err(error) => fail_all(&mut results, plan, &error, |step| !is_module_step(step)),
        }
    }
    results
        .into_iter()
        .map(|result| result.unwrap_or_else(|| Err(Fault::Io(missing()))))
        .collect()
}

/// Versions whose locks are held at the same time. Each takes three open files.
const BATCH: usize = 64;

struct Work<'a> {
    root: &'a Root,
    plan: &'a Plan,
    inventory: &'a Inventory,
    jobs: usize,
}

impl Work<'_> {
    /// Does the steps of some versions: all are begun, then who may still be
    /// reading them is waited for, then they go.
    fn batch(&self, groups: &[Vec<usize>], readers: &mut Readers) -> Vec<(usize, Result)> {
        let versions: Vec<(usize, &Version, Part)> = groups
            .iter()
            .flatten()
            .filter_map(|&at| {
                let target = self.plan.steps.get(at)?.target;
                let Target::Version(index, part) = target else {
                    return None;
                };
                let cache = self.inventory.modcache.as_ref()?;
                Some((at, cache.versions.get(index)?, part))
            })
            .collect();
        let begun = parallel::map(
            self.jobs,
            versions.len(),
            || (),
            |(), index| {
                let (_, version, part) = versions.get(index).ok_or_else(missing)?;
                version::begin(self.root, version, *part)
            },
        );
        let takes_tree = |begun: &&std::result::Result<version::Begun, Fault>, part: Part| {
            begun.is_ok() && (part == Part::Tree || part >= Part::Source)
        };
        let parts = versions.iter().map(|(.., part)| *part);
        if begun
            .iter()
            .zip(parts)
            .any(|(begun, part)| takes_tree(&begun, part))
        {
            let open = begun.iter().filter_map(|begun| begun.as_ref().ok());
            readers.wait(open.filter_map(version::Begun::lock));
        }
        let finished = parallel::map(
            self.jobs,
            versions.len(),
            || (),
            |(), index| {
                let (at, version, part) = *versions.get(index)?;
                let begun = begun.get(index)?.as_ref().ok()?;
                let cause = self.plan.steps.get(at)?.cause;
                Some(version::finish(begun, version, part, cause))
            },
        );
        let mut done: Vec<(usize, Result)> = versions
            .iter()
            .zip(begun.into_iter().zip(finished))
            .map(|((at, ..), (begun, finished))| {
                let result = match (begun, finished) {
                    (Ok(_), Some(result)) => result,
                    (Ok(_), None) => Err(Fault::Io(missing())),
                    (Err(fault), _) => Err(fault),
                };
                (*at, result)
            })
            .collect();
        // Residue is removed under the lock of its version, which is free now.
        let done_at: BTreeSet<usize> = done.iter().map(|(at, _)| *at).collect();
        let others: Vec<usize> = groups.iter().flatten().copied().collect();
        let others: Vec<usize> = others
            .into_iter()
            .filter(|at| !done_at.contains(at))
            .collect();
        done.extend(parallel::map(
            self.jobs,
            others.len(),
            || (),
            |(), index| {
                let at = others.get(index).copied().unwrap_or_default();
                (at, module_step(self.root, self.plan, self.inventory, at))
            },
        ));
        done
    }
}

pub use all::{Kept, sweep};

fn set(results: &mut [Option<Result>], at: usize, result: Result) {
    if let Some(slot) = results.get_mut(at) {
        *slot = Some(result);
    }
}

fn fail_all(
    results: &mut [Option<Result>],
    plan: &Plan,
    error: &io::Error,
    which: impl Fn(&Step) -> bool,
) {
    for (at, step) in plan.steps.iter().enumerate() {
        if which(step) {
            set(results, at, Err(copy_of(error)));
        }
    }
}

fn copy_of(error: &io::Error) -> Fault {
    Fault::Io(io::Error::new(error.kind(), error.to_string()))
}

fn is_module_step(step: &Step) -> bool {
    !matches!(
        step.target,
        Target::Action(_) | Target::Output(_) | Target::BuildLink(_)
    )
}

/// Removes links, before anything else goes: with them there Go would find what
/// they lead to in place of what is removed here.
fn links(plan: &Plan, inventory: &Inventory, results: &mut [Option<Result>]) {
    for (at, step) in plan.steps.iter().enumerate() {
        if matches!(step.target, Target::ModuleLink(_) | Target::BuildLink(_)) {
            let result = link(inventory, step.target).map_err(Fault::Io);
            set(results, at, result.map(|()| step.bytes));
        }
    }
}

/// Unlinks a link, never what it leads to.
fn link(inventory: &Inventory, target: Target) -> io::Result<()> {
    let (root, path) = place_of_link(inventory, target)?;
    let (folder, name) = root.parent(path)?;
    match folder.stat(&name) {
        Ok(stat) if stat.kind == Kind::Link => {
            gone_is_fine(tree::writable(&folder, || folder.unlink(&name)))
        }
        Ok(_) => Err(io::Error::other("is a link no more")),
        other => gone_is_fine(other.map(drop)),
    }
}

/// The cache that a link stands in, and the link's path from its top folder.
fn place_of_link(inventory: &Inventory, target: Target) -> io::Result<(&Root, &Path)> {
    match target {
        Target::ModuleLink(index) => {
            let cache = inventory.modcache.as_ref().ok_or_else(missing)?;
            let path = cache.links.get(index).ok_or_else(missing)?;
            Ok((cache.folders()?, cache.relative(path)?))
        }
        Target::BuildLink(index) => {
            let cache = inventory.buildcache.as_ref().ok_or_else(missing)?;
            let path = cache.links.get(index).ok_or_else(missing)?;
            let below = path.strip_prefix(&cache.root).map_err(io::Error::other)?;
            Ok((cache.folders()?, below))
        }
        _ => Err(missing()),
    }
}

/// The module cache's steps; those of one version together, since they take the
/// same lock.
fn by_version(plan: &Plan, inventory: &Inventory) -> Vec<Vec<usize>> {
    let Some(cache) = &inventory.modcache else {
        return Vec::new();
    };
    let mut alone = Vec::new();
    let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (at, step) in plan.steps.iter().enumerate() {
        let id = match step.target {
            Target::Version(index, _) => cache.versions.get(index).map(|version| &version.id),
            Target::Residue(index) => cache
                .residue
                .get(index)
                .and_then(|left| left.version.as_ref()),
            Target::Vcs(_) | Target::Sumdb(_) => None,
            Target::Action(_)
            | Target::Output(_)
            | Target::ModuleLink(_)
            | Target::BuildLink(_) => {
                continue;
            }
        };
        match id {
            Some(id) => groups.entry(id).or_default().push(at),
            None => alone.push(vec![at]),
        }
    }
    alone.extend(groups.into_values());
    alone
}

fn module_step(root: &Root, plan: &Plan, inventory: &Inventory, at: usize) -> Result {
    let (Some(step), Some(cache)) = (plan.steps.get(at), &inventory.modcache) else {
        return Err(Fault::Io(missing()));
    };
    match step.target {
        Target::Residue(index) => {
            let left = cache.residue.get(index).ok_or_else(missing)?;
            version::remove_residue(root, cache.relative(&left.path)?, left)
        }
        Target::Vcs(index) => {
            let clone = cache.vcs.get(index).ok_or_else(missing)?;
            vcs::remove(root, clone)
        }
        Target::Sumdb(index) => {
            let path = plan.sumdb.get(index).ok_or_else(missing)?;
            let (folder, name) = root.parent(cache.relative(path)?)?;
            let bytes = folder.stat(&name)?.bytes;
            folder.unlink(&name)?;
            Ok(bytes)
        }
        Target::Version(..)
        | Target::Action(_)
        | Target::Output(_)
        | Target::ModuleLink(_)
        | Target::BuildLink(_) => Err(Fault::Io(missing())),
    }
}

fn missing() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "not in the inventory")
}

/// Removing what is not there any more is no failure.
fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
