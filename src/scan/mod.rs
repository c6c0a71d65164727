//! The two trees, walked once each, as an [`Inventory`].
//!
//! Scanning never fails on odd content: what is odd becomes a finding. No link
//! is followed but the one the user may have named as the cache itself, and
//! those that put a module cache's `cache` or `cache/download` elsewhere.

mod buildcache;
mod inventory;
mod measure;
mod modcache;

pub use inventory::{
    Action, BuildCache, Inventory, Measure, ModCache, Output, Piece, Residue, Tree, VcsClone,
    Version, VersionKind,
};
pub use measure::trees as measure_trees;
pub(crate) use measure::{MAX_DEPTH, unreadable};
pub(crate) use modcache::Pieces;

use crate::findings::{Finding, Rule, display_path};
use std::io;
use std::path::{Path, PathBuf};

/// What a scan needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a> {
    /// `GOMODCACHE`.
    pub modcache: Option<&'a Path>,
    /// `GOCACHE`.
    pub gocache: Option<&'a Path>,
    /// Threads.
    pub jobs: usize,
    /// Read the build cache's action entries, not only their names. Takes an
    /// open and a read for each.
    pub read_actions: bool,
}

/// Walks the caches. Extracted trees are found but not yet walked: verification
/// measures those it reads, [`measure_trees`] the rest.
pub fn scan(what: Scan<'_>) -> Inventory {
    let mut findings = Vec::new();
    let modcache = what
        .modcache
        .map(|root| modcache::scan(root, &mut findings));
    let buildcache = what
        .gocache
        .map(|root| buildcache::scan(root, what.jobs, what.read_actions, &mut findings));
    Inventory {
        modcache,
        buildcache,
        findings,
    }
}

/// The finding for a link that Go would follow to read `what`. `target` is what
/// it says.
pub(crate) fn link_in_cache(
    subject: impl Into<String>,
    path: &Path,
    target: &io::Result<PathBuf>,
    what: &str,
) -> Finding {
    let to = match target {
        Ok(target) => display_path(target),
        Err(error) => format!("a place that cannot be told ({error})"),
    };
    let message =
        format!("is a symbolic link to {to}: Go follows it and would read {what} from there");
    Finding::new(Rule::LinkInCache, subject, message).at(path)
}
