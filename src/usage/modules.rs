//! Use of module versions.
//!
//! Go asks the build cache for a module's index whenever a command consults its
//! source, so that the index's entry tells of use, whatever the mount does with
//! access times (`cmd/go/internal/modindex/read.go`: `GetModule`).

use super::builds::{self, Use};
use super::state::{MarkedVersion, State};
use crate::formats::modindex::module_index_action;
use crate::formats::module::{ModuleVersion, tree_dir_name};
use crate::report::ModUsage;
use crate::scan::{BuildCache, ModCache, Version, VersionKind};
use std::collections::{BTreeSet, HashSet};
use std::path::Path;

/// What tells whether a module's source was consulted.
pub(super) struct Indexes<'a> {
    /// The build cache that holds the indexes; `None` where use of the module
    /// cache cannot be observed.
    pub(super) builds: Option<&'a BuildCache>,
    /// The module cache's path as Go knew it.
    pub(super) root: &'a Path,
    /// Go versions that may have made the indexes; none if unknown.
    pub(super) go_versions: &'a BTreeSet<String>,
}

impl Indexes<'_> {
    /// What became of the entries of a version's index since the mark: one for
    /// each Go version that made one.
    fn of(&self, version: &Version, state: &State) -> Vec<Use> {
        let Ok(tree) = tree_dir_name(&version.id) else {
            return Vec::new();
        };
        let tree = self.root.join(tree);
        let entry = |go: &String| {
            let id = module_index_action(go, tree.as_os_str().as_encoded_bytes());
            Some(builds::of(self.builds?.action(id)?, state))
        };
        self.go_versions.iter().filter_map(entry).collect()
    }

    /// Whether this job used the build cache.
    fn job_built(&self, state: &State) -> bool {
        let in_use = |action| !matches!(builds::of(action, state), Use::Idle | Use::Unseen);
        self.builds
            .is_some_and(|builds| builds.actions.iter().any(in_use))
    }

    /// Whether they tell anything. Where this job used the build cache and no
    /// version at all has an index in it, another Go version or another path of
    /// the module cache named them.
    fn tell(&self, cache: &ModCache, state: &State) -> bool {
        if self.builds.is_none() {
            return false;
        }
        let mut trees = cache.versions.iter().filter(|v| v.tree.is_some());
        !self.job_built(state)
            || trees.clone().next().is_none()
            || trees.any(|version| !self.of(version, state).is_empty())
    }
}

/// The module cache's part of what was observed.
pub(super) struct Modules {
    pub(super) usage: ModUsage,
    /// Why it is not known what the job used, if so.
    pub(super) unknown: Option<String>,
    /// Versions that were used or downloaded.
    pub(super) used: Vec<ModuleVersion>,
    /// Bytes that came in.
    pub(super) growth: i64,
}

pub(super) fn observe(
    cache: &ModCache,
    state: &State,
    indexes: &Indexes<'_>,
    needed: Option<&HashSet<ModuleVersion>>,
) -> Modules {
    let known = indexes.tell(cache, state);
    let (mut hits, mut misses, mut go_mod_misses, mut idle) = (0, 0, 0, 0);
    let mut unseen = 0;
    let (mut idle_bytes, mut needed_count, mut idle_needed) = (0, 0, 0);
    let mut growth = 0_i64;
    let mut used = Vec::new();
    for version in &cache.versions {
        let before = state.head.versions.get(&version.id.to_string());
        growth = growth.saturating_add(grown(version, before));
        let source = |there: &MarkedVersion| there.zip || there.tree;
        if !version.has_source() {
            go_mod_misses += u64::from(version.go_mod.is_some() && before.is_none());
            continue;
        }
        let is_needed = needed.is_some_and(|needed| needed.contains(&version.id));
        needed_count += u64::from(is_needed);
        if !before.is_some_and(source) {
            misses += 1;
            used.push(version.id.clone());
            continue;
        }
        // Toolchains are run and FIPS modules come with Go: no index tells.
        if version.kind != VersionKind::Module {
            continue;
        }
        let index = indexes.of(version, state);
        let consulted = |what: &Use| !matches!(what, Use::Idle | Use::Unseen);
        if index.iter().any(consulted) {
            hits += 1;
            used.push(version.id.clone());
        } else if index.contains(&Use::Unseen) {
            unseen += 1;
            // Not known to be unused, so that it counts as used.
            used.push(version.id.clone());
        } else {
            idle += 1;
            idle_bytes += version.download_bytes() + version.tree_bytes();
            idle_needed += u64::from(is_needed);
        }
    }
    let untouched = hits + misses + go_mod_misses == 0 && !indexes.job_built(state);
    let unknown = if !known {
        Some("no module index in the build cache tells it".to_owned())
    } else if unseen > hits + idle {
        Some(format!(
            "the module indexes of {unseen} versions, by whose times use is seen, tell nothing"
        ))
    } else if untouched {
        Some("no go command used it since the mark: no hit and no miss".to_owned())
    } else {
        None
    };
    let known = unknown.is_none();
    let told = |number: u64| known.then_some(number);
    Modules {
        unknown,
        usage: ModUsage {
            hits: told(hits),
            misses: Some(misses),
            idle: told(idle),
            hit_rate: told(hits).and_then(|hits| builds::rate(hits, misses)),
            go_mod_misses: Some(go_mod_misses),
            idle_bytes: told(idle_bytes),
            needed: needed.map(|_| needed_count),
            idle_needed: needed.and(told(idle_needed)),
        },
        used,
        growth,
    }
}

fn grown(version: &Version, before: Option<&MarkedVersion>) -> i64 {
    let was = before.copied().unwrap_or_default();
    let tree = if was.tree { 0 } else { version.tree_bytes() };
    let now = version.download_bytes().saturating_add(tree);
    i64::try_from(now).unwrap_or(i64::MAX) - i64::try_from(was.bytes).unwrap_or(i64::MAX)
}
