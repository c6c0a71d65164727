//! What was used, as far as marks, the ledger and module indexes tell.

use super::Needs;
use crate::formats::action::ActionId;
use crate::formats::modindex::module_index_action;
use crate::formats::module::ModuleVersion;
use crate::scan::{Action, BuildCache, ModCache};
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
    /// What the projects that the ledger knows need.
    pub projects: Vec<Needs>,
}

/// Each extracted version's module indexes in the build cache, one for every Go
/// version that may have made it. Go looks them up whenever it consults the
/// version's source, so that their times tell of that; and it believes them,
/// since their names hold the path of the tree and not what is in it.
pub fn indexes<'a>(
    modules: &ModCache,
    builds: &'a BuildCache,
    go_versions: &[String],
) -> HashMap<ModuleVersion, Vec<&'a Action>> {
    let mut indexes = HashMap::new();
    for version in modules.versions.iter().filter(|v| v.tree.is_some()) {
        let tree = modules.tree_path(&version.id);
        let found: Vec<&Action> = go_versions
            .iter()
            .filter_map(|go| {
                let id = module_index_action(go, tree.as_os_str().as_encoded_bytes());
                let found = builds.actions.binary_search_by_key(&id, |action| action.id);
                builds.actions.get(found.ok()?)
            })
            .collect();
        if !found.is_empty() {
            indexes.insert(version.id.clone(), found);
        }
    }
    indexes
}
