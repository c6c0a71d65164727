//! What a project needs of the module cache.

use crate::findings::display_path;
use crate::formats::module::ModuleVersion;
use crate::locate::{Gap, Project};
use chrono::{DateTime, Utc};
use std::collections::{BTreeSet, HashSet};

/// What one project needs.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// What to call it: its folder, or its name in the ledger.
    pub project: String,
    /// Versions whose source is needed.
    pub source: HashSet<ModuleVersion>,
    /// Versions whose `.mod` and `.info` are needed.
    pub go_mods: HashSet<ModuleVersion>,
    /// Toolchains that it names, such as `go1.24.1`; `go1.24` is any of that.
    pub toolchains: BTreeSet<String>,
    /// When the ledger saw it last; `None` for a project of this run.
    pub last_seen: Option<DateTime<Utc>>,
    /// Why this is not all that it needs, if so: then nothing of the module
    /// cache goes for being unused.
    pub unknown: Option<String>,
}

impl Needs {
    /// What a project's go.sum files say that it needs.
    pub fn of(project: &Project) -> Needs {
        let mut needs = Needs {
            project: display_path(&project.dir),
            toolchains: project.toolchains.iter().cloned().collect(),
            unknown: project.gap.as_ref().map(Gap::to_string),
            ..Needs::default()
        };
        for file in &project.go_sum {
            needs.source.extend(file.sums.zips.keys().cloned());
            needs.go_mods.extend(file.sums.go_mods.keys().cloned());
        }
        needs
    }
}
