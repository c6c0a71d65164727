//! The caches now, held against the mark.

use super::builds;
use super::modules::{self, Indexes};
use super::state::{State, nanos};
use crate::formats::action::ActionId;
use crate::formats::module::ModuleVersion;
use crate::report::{self, Usage, UsageUnknown};
use crate::scan::Inventory;
use chrono::{DateTime, Utc};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

/// What bears on observing, beside caches and state.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Why nothing of the build cache can be observed, nor which modules it
    /// indexed: `GOCACHEPROG` keeps build outputs elsewhere.
    pub cache_elsewhere: Option<&'static str>,
    /// Why use of modules leaves no trace: all projects are vendored, or
    /// `GODEBUG=goindex=0`.
    pub modules_unseen: Option<&'static str>,
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
    /// For the report; `None` in it where use is not known.
    pub usage: Usage,
    /// Why not.
    pub unknown: UsageUnknown,
    /// Action entries of which it is not known whether they were used.
    pub unseen: Vec<ActionId>,
    /// Why not, where there are any.
    pub why_unseen: Option<String>,
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
        .filter(|_| context.cache_elsewhere.is_none());
    let builds = buildcache.map(|cache| builds::observe(cache, state, context.jobs));
    let mut growth = buildcache.map_or(0, |cache| {
        let now = report::BuildCache::from(cache).bytes;
        signed(now) - signed(state.head.gocache_bytes)
    });
    let mut versions = Vec::new();
    let mut unknown = UsageUnknown::default();
    let modcache = inventory.modcache.as_ref().and_then(|cache| {
        let mut go_versions = context.go_versions.clone();
        if let Some(builds) = &builds {
            go_versions.extend(builds.go_versions.iter().cloned());
        }
        if let Some(cache) = buildcache {
            go_versions.extend(builds::compilers(cache, context.jobs));
        }
        let indexes = Indexes {
            builds: buildcache.filter(|_| context.modules_unseen.is_none()),
            root: context.modcache.as_deref().unwrap_or(&cache.root),
            go_versions: &go_versions,
        };
        let modules = modules::observe(cache, state, &indexes, context.needed.as_ref());
        growth = growth.saturating_add(modules.growth);
        versions = modules.used;
        let by_setting = context.modules_unseen.or(context.cache_elsewhere);
        unknown.modcache = by_setting.map(str::to_owned).or(modules.unknown);
        // What came in is known all the same.
        let came_in = [modules.usage.misses, modules.usage.go_mod_misses];
        let is_told = unknown.modcache.is_none() || came_in.iter().flatten().any(|&n| n > 0);
        is_told.then_some(modules.usage)
    });
    let entries = buildcache.into_iter().flat_map(|cache| &cache.actions);
    let true_times = entries
        .filter_map(|action| {
            let marked = state.action(action.id)?;
            let is_set = marked.set != marked.used && nanos(action.modified) == marked.set;
            is_set.then(|| (action.id, DateTime::from_timestamp_nanos(marked.used)))
        })
        .collect();
    let mut build_usage = None;
    let (mut actions, mut unseen, mut why_unseen) = (Vec::new(), Vec::new(), None);
    if let Some(builds) = builds {
        unknown.buildcache = builds.unknown;
        build_usage = Some(builds.usage).filter(|_| unknown.buildcache.is_none());
        (actions, unseen, why_unseen) = (builds.used, builds.unseen, builds.why_unseen);
    } else if inventory.buildcache.is_some() {
        unknown.buildcache = context.cache_elsewhere.map(str::to_owned);
    }
    Observed {
        usage: Usage {
            since: state.head.since,
            modcache,
            buildcache: build_usage,
        },
        unknown,
        unseen,
        why_unseen,
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
