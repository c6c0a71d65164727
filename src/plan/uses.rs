//! What was used, as far as marks, the ledger and module indexes tell.

use crate::formats::action::ActionId;
use crate::formats::modindex::module_index_action;
use crate::formats::module::ModuleVersion;
use crate::scan::{BuildCache, ModCache};
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};

/// What is known of use beyond the times in the cache. The default is that
/// nothing is known.
#[derive(Clone, Debug, Default)]
pub struct Uses {
    /// When the mark was set; without one nobody knows which build-cache
    /// entries this job did not use.
    pub since: Option<DateTime<Utc>>,
    /// Why it is not known what this job used of the module cache: then nothing
    /// of it goes for being unused.
    pub unknown_modules: Option<String>,
    /// The same for the build cache.
    pub unknown_builds: Option<String>,
    /// Action entries of which it is not known whether they were used.
    pub unseen: HashSet<ActionId>,
    /// Action entries that this job or one of the last marked ones used.
    pub actions: HashSet<ActionId>,
    /// Module versions that this job or one of the last marked ones used.
    pub versions: HashSet<ModuleVersion>,
    /// The true last use of action entries whose times a mark set back.
    pub true_times: HashMap<ActionId, DateTime<Utc>>,
    /// Last uses of module versions beyond their own files' times.
    pub version_times: HashMap<ModuleVersion, DateTime<Utc>>,
    /// The entries of each version's module index in the build cache.
    pub indexes: HashMap<ModuleVersion, Vec<ActionId>>,
}

impl Uses {
    /// Takes up each extracted version's module indexes in the build cache, one
    /// for every Go version that may have made it. Go looks them up whenever it
    /// consults the version's source, so that their times tell of that; and it
    /// believes them, since their names hold the path of the tree and not what is
    /// in it.
    pub fn take_indexes(
        &mut self,
        modules: &ModCache,
        builds: &BuildCache,
        go_versions: &[String],
    ) {
        for version in modules.versions.iter().filter(|v| v.tree.is_some()) {
            let tree = modules.tree_path(&version.id);
            for go in go_versions {
                let id = module_index_action(go, tree.as_os_str().as_encoded_bytes());
                let Some(action) = builds.action(id) else {
                    continue;
                };
                let indexes = self.indexes.entry(version.id.clone()).or_default();
                indexes.push(id);
                let times = &mut self.version_times;
                let time = times.entry(version.id.clone()).or_insert(action.modified);
                *time = action.modified.max(*time);
            }
        }
    }
}
