//! The caches now, held against the mark.

use super::builds;
use super::modules::{self, Indexes};
use super::state::{State, nanos};
use crate::formats::action::ActionId;
use crate::formats::module::ModuleVersion;
use crate::report::{self, Usage};
use crate::scan::Inventory;
use chrono::{DateTime, Utc};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

/// What bears on observing, beside caches and state.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// `GOCACHEPROG` keeps build outputs elsewhere: nothing of the build cache
    /// can be observed, nor which modules it indexed.
    pub cache_elsewhere: bool,
    /// Use of modules leaves no trace: all projects are vendored, or
    /// `GODEBUG=goindex=0`.
    pub modules_unseen: bool,
    /// Go versions that may have run, such as `go1.26.8`.
    pub go_versions: BTreeSet<String>,
    /// The module cache's path as Go knew it, where that is another one.
    pub modcache: Option<PathBuf>,
    /// Versions that the projects need; `None` without projects.
    pub needed: Option<HashSet<ModuleVersion>>,
    /// Threads.
    pub jobs: usize,
}

/// What a job used of the caches.
#[derive(Clone, Debug)]
pub struct Observed {
    /// For the report.
    pub usage: Usage,
    /// Action entries that were used or made.
    pub actions: Vec<ActionId>,
    /// Module versions that were used or downloaded.
    pub versions: Vec<ModuleVersion>,
    /// The true last use of entries that the mark set back and nobody used since.
    pub true_times: HashMap<ActionId, DateTime<Utc>>,
    /// How many bytes both caches grew by; less than 0 if they shrank.
    pub growth: i64,
    /// `trim.txt` at the mark.
    pub trimmed: Option<DateTime<Utc>>,
}

/// Holds what the caches have now against the mark. Action entries have to have
/// been read.
pub fn observe(inventory: &Inventory, state: &State, context: &Context) -> Observed {
    let buildcache = inventory
        .buildcache
        .as_ref()
        .filter(|_| !context.cache_elsewhere);
    let builds = buildcache.map(|cache| builds::observe(cache, state, context.jobs));
    let mut growth = buildcache.map_or(0, |cache| {
        let now = report::BuildCache::from(cache).bytes;
        signed(now) - signed(state.head.gocache_bytes)
    });
    let mut versions = Vec::new();
    let modcache = inventory.modcache.as_ref().map(|cache| {
        let mut go_versions = context.go_versions.clone();
        if let Some(builds) = &builds {
            go_versions.extend(builds.go_versions.iter().cloned());
        }
        if let Some(cache) = buildcache {
            go_versions.extend(builds::compilers(cache, context.jobs));
        }
        let indexes = Indexes {
            builds: buildcache.filter(|_| !context.modules_unseen),
            root: context.modcache.as_deref().unwrap_or(&cache.root),
            go_versions: &go_versions,
        };
        let modules = modules::observe(cache, state, &indexes, context.needed.as_ref());
        growth = growth.saturating_add(modules.growth);
        versions = modules.used;
        modules.usage
    });
    let entries = buildcache.into_iter().flat_map(|cache| &cache.actions);
    let true_times = entries
        .filter_map(|action| {
            let marked = state.action(action.id)?;
            let is_set = marked.set != marked.used && nanos(action.modified) == marked.set;
            is_set.then(|| (action.id, DateTime::from_timestamp_nanos(marked.used)))
        })
        .collect();
    let (build_usage, actions) = match builds {
        Some(builds) => (Some(builds.usage), builds.used),
        None => (None, Vec::new()),
    };
    Observed {
        usage: Usage {
            since: state.head.since,
            modcache,
            buildcache: build_usage,
        },
        actions,
        versions,
        true_times,
        growth,
        trimmed: state.head.trimmed,
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
