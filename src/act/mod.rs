//! The only place that changes a cache. It does what a
//! [`Plan`](crate::plan::Plan) lists and nothing else.
//!
//! # Safety beside a running `go`
//!
//! A module version is removed under Go's own lock of it, which is taken
//! without waiting, in the order that leaves Go the least room to fail: first
//! the `.ziphash`, whose absence sends every newcomer to the lock, then the tree
//! by one rename (where a container's image holds it and it cannot be renamed, it
//! is deleted behind Go's `.partial` mark), then the rest. At every moment, and
//! after a kill at any, Go finds a state from which it extracts or downloads
//! again. A tree under its new name (`<tree>.tmp-<n>`, beside it) is what Go
//! itself takes for the residue of an extraction and deletes. Locks are never
//! unlinked: a waiter would hold a file that nobody else can lock any more.
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
use crate::formats::module::ModuleVersion;
use crate::parallel;
use crate::plan::{InBuilds, InModules, Plan, Step, Target};
use crate::scan::ModCache;
use readers::Readers;
use std::collections::BTreeMap;
use std::io;

/// Why a unit is still there.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
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
        io::ErrorKind::CrossesDevices => "a container's image holds it, so it cannot be moved: ",
        _ => "",
    }
}

impl StepError {
    /// Whether it was left for good reason; else the removal failed.
    pub fn is_skip(&self) -> bool {
        matches!(
            self,
            StepError::Busy | StepError::Changed | StepError::InUse
        )
    }
}

/// What became of a step: the bytes freed, or why not.
pub type Result = std::result::Result<u64, StepError>;

/// A step, and what became of it.
#[derive(Debug)]
pub struct Done<'a> {
    /// The step; once it is done, with the bytes that it freed.
    pub step: Step<'a>,
    /// The bytes freed, or why not.
    pub result: Result,
}

impl<'a> Done<'a> {
    fn new(step: &Step<'a>, result: Result) -> Done<'a> {
        let bytes = *result.as_ref().unwrap_or(&step.bytes);
        let step = Step { bytes, ..*step };
        Done { step, result }
    }
}

/// Does what a plan lists.
pub fn act<'a>(plan: &Plan<'a>, jobs: usize) -> Vec<Done<'a>> {
    let mut done = Vec::new();
    let (mut modules, mut builds) = (Vec::new(), None);
    for step in &plan.steps {
        match step.target {
            // Links before anything else: with them there Go would find what they
            // lead to in place of what is removed here.
            Target::Modules(_, InModules::Link(_)) | Target::Builds(_, InBuilds::Link(_)) => {
                done.push(Done::new(step, link(step)));
            }
            Target::Modules(cache, unit) => modules.push((*step, cache, unit)),
            Target::Builds(cache, _) => builds = Some(cache),
        }
    }
    if let Some(&(_, cache, _)) = modules.first() {
        let steps = modules.into_iter().map(|(step, _, unit)| (step, unit));
        match cache.folders() {
            Ok(root) => done.extend(remove_modules(root, cache, steps.collect(), jobs)),
            Err(error) => {
                done.extend(steps.map(|(step, _)| Done::new(&step, Err(copy_of(&error)))))
            }
        }
    }
    if let Some(cache) = builds {
        done.extend(builds::remove(cache, &plan.steps, jobs));
    }
    done
}

/// Versions whose locks are held at the same time. Each takes three open files.
const BATCH: usize = 64;

/// The steps that take the lock of one version, or one that takes no version's.
type Group<'a> = Vec<(Step<'a>, InModules<'a>)>;

fn remove_modules<'a>(
    root: &Root,
    cache: &ModCache,
    steps: Group<'a>,
    jobs: usize,
) -> Vec<Done<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut by_version: BTreeMap<&ModuleVersion, Group<'a>> = BTreeMap::new();
    for (step, unit) in steps {
        let id = match unit {
            InModules::Version(version, _) => Some(&version.id),
            InModules::Residue(left) => left.version.as_ref(),
            _ => None,
        };
        match id {
            Some(id) => by_version.entry(id).or_default().push((step, unit)),
            None => groups.push(vec![(step, unit)]),
        }
    }
    groups.extend(by_version.into_values());
    let mut done = Vec::new();
    let mut readers = Readers::of(&cache.root);
    let mut rest = groups.as_slice();
    while !rest.is_empty() {
        // Beside builds one by one: who waits for the lock of one version may be
        // about to read another.
        let size = if readers.any() { 1 } else { BATCH };
        let (batch, behind) = rest.split_at(size.min(rest.len()));
        rest = behind;
        done.extend(remove_batch(root, cache, batch, &mut readers, jobs));
    }
    done
}

/// Does the steps of some versions: all are begun, then who may still be
/// reading them is waited for, then they go.
fn remove_batch<'a>(
    root: &Root,
    cache: &ModCache,
    groups: &[Group<'a>],
    readers: &mut Readers,
    jobs: usize,
) -> Vec<Done<'a>> {
    let mut versions = Vec::new();
    for &(step, unit) in groups.iter().flatten() {
        if let InModules::Version(version, part) = unit {
            versions.push((step, version, part));
        }
    }
    let begun = parallel::each(jobs, &versions, |&(step, version, part)| {
        (step, version::begin(root, version, part))
    });
    let (mut done, mut open) = (Vec::new(), Vec::new());
    for (step, begun) in begun {
        match begun {
            Ok(begun) => open.push((step, begun)),
            Err(fault) => done.push(Done::new(&step, Err(fault))),
        }
    }
    if open.iter().any(|(_, begun)| begun.takes_tree()) {
        readers.wait(open.iter().filter_map(|(_, begun)| begun.lock()));
    }
    done.extend(parallel::each(jobs, &open, |(step, begun)| {
        Done::new(step, version::finish(begun, step.cause))
    }));
    drop(open);
    // Residue is removed under the lock of its version, which is free now. Two
    // pieces of one version would find it held by each other.
    let others = parallel::each(jobs, groups, |group| {
        let others = group
            .iter()
            .filter(|(_, unit)| !matches!(unit, InModules::Version(..)));
        let removed = others.map(|(step, unit)| Done::new(step, remove_other(root, cache, *unit)));
        removed.collect::<Vec<_>>()
    });
    done.extend(others.into_iter().flatten());
    done
}

pub use all::sweep;

fn copy_of(error: &io::Error) -> StepError {
    StepError::Io(io::Error::new(error.kind(), error.to_string()))
}

/// Unlinks a link, never what it leads to.
fn link(step: &Step<'_>) -> Result {
    let path = step.path().unwrap_or_default();
    let (root, path) = match step.target {
        Target::Modules(cache, _) => (cache.folders()?, cache.relative(&path)?),
        Target::Builds(cache, _) => {
            let below = path.strip_prefix(&cache.root).map_err(io::Error::other)?;
            (cache.folders()?, below)
        }
    };
    let (folder, name) = root.parent(path)?;
    match folder.stat(&name) {
        Ok(stat) if stat.kind == Kind::Link => {
            gone_is_fine(tree::writable(&folder, || folder.unlink(&name)))?;
        }
        Ok(_) => return Err(io::Error::other("is a link no more").into()),
        other => gone_is_fine(other.map(drop))?,
    }
    Ok(step.bytes)
}

/// Removes what is no version.
fn remove_other(root: &Root, cache: &ModCache, unit: InModules<'_>) -> Result {
    match unit {
        InModules::Residue(left) => {
            version::remove_residue(root, cache.relative(&left.path)?, left)
        }
        InModules::Vcs(clone) => vcs::remove(root, clone),
        InModules::Sumdb(path) => {
            let (folder, name) = root.parent(cache.relative(path)?)?;
            let bytes = folder.stat(&name)?.bytes;
            folder.unlink(&name)?;
            Ok(bytes)
        }
        // Gone already.
        InModules::Version(..) | InModules::Link(_) => Ok(0),
    }
}

/// Removing what is not there any more is no failure.
fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
