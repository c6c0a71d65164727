//! Snapshots: what jobs use of the caches, moved to the next job, and proven
//! while it is unpacked.
//!
//! - [`store`]: where they lie: bundles by their digests, and a head for each key
//!   and branch that names a base and a few deltas, each on all that is below it.
//! - [`restore`]: a snapshot, frame by frame. `place`: how a proven file gets its
//!   name in a cache. `trust`: what proves one.
//! - [`save`]: what is worth keeping, as a delta or a new base.
//! - [`seal`]: which seals count, and what a job may seal. `held`: caches on disk
//!   against the sealed manifests that restored them.

pub(crate) mod held;
pub(crate) mod place;
pub(crate) mod restore;
pub(crate) mod save;
pub(crate) mod seal;
pub(crate) mod store;
pub(crate) mod trust;

use crate::bundle::Shape;
use crate::bundle::manifest::File;
use crate::formats::action::ActionId;
use crate::formats::module::{ModuleVersion, piece_name};
use chrono::{DateTime, Utc};
use seal::Terms;
use std::collections::HashMap;
use std::iter;
use std::path::{Path, PathBuf};
use store::Bundle;

/// A base and the deltas on it, each on all that is below it; opened.
pub(crate) struct Snapshot {
    pub(crate) base: Bundle,
    pub(crate) deltas: Vec<Bundle>,
}

/// A file of a snapshot that is still kept.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'a> {
    bundle: &'a Bundle,
    pub(crate) file: &'a File,
    /// When a job last used it, in seconds since 1970.
    pub(crate) used: i64,
}

impl Kept<'_> {
    /// Whether it is a file of this one of the snapshot's bundles.
    pub(crate) fn is_in(&self, bundle: &Bundle) -> bool {
        std::ptr::eq(self.bundle, bundle)
    }
}

impl Snapshot {
    /// The base, then the deltas.
    pub(crate) fn bundles(&self) -> impl Iterator<Item = &Bundle> {
        iter::once(&self.base).chain(&self.deltas)
    }

    /// The newest of its bundles, which speaks for all of it.
    pub(crate) fn newest(&self) -> &Bundle {
        self.deltas.last().unwrap_or(&self.base)
    }

    /// All that it holds, by name: what the newest bundle has, and of those below what
    /// it does not drop.
    pub(crate) fn kept(&self) -> HashMap<&str, Kept<'_>> {
        let mut kept = HashMap::new();
        for (place, bundle) in self.bundles().enumerate() {
            let below = self.newest().said.below.get(place);
            for (at, file) in bundle.manifest.files.iter().enumerate() {
                let used = match below {
                    Some(below) => below.used.get(at).copied(),
                    None => file.used,
                };
                let used = used.unwrap_or_default();
                if used > 0 {
                    kept.insert(file.path.as_str(), Kept { bundle, file, used });
                }
            }
        }
        kept
    }
}

fn version_path(id: &ModuleVersion, suffix: &str) -> String {
    let name = piece_name(id, suffix).unwrap_or_default();
    format!("{}{name}", Shape::Modcache.prefix())
}

fn action_path(id: ActionId) -> String {
    format!("gocache/{}/{id}-a", id.shard())
}

/// What a run of `restore` leaves for the `save` at the job's end.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub(crate) struct RestoreRecord {
    /// The key.
    pub(crate) key: String,
    /// The digests of its bundles, the base first.
    pub(crate) bundles: Vec<String>,
    /// Files that were damaged, and so left out.
    pub(crate) left_out: Vec<String>,
    /// The job, as CI names it, and when it was marked.
    pub(crate) run: String,
    pub(crate) since: DateTime<Utc>,
    /// The terms that the snapshot's seals had to meet, and its counter if they did.
    pub(crate) terms: Option<Terms>,
    pub(crate) counter: Option<u64>,
    /// The zips, go.mod files and action entries that were put in place, and that a
    /// seal, go.sum or the checksum database proved.
    pub(crate) vouched: Vec<String>,
}

/// What [`RestoreRecord`] is kept as, beside the mark's state.
pub(crate) const RECORD: &str = ".restored";

/// A file that belongs to the mark's state: of its name, and an end of its own.
pub(crate) fn beside(state: &Path, end: &str) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(end);
    name.into()
}
