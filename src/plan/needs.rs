//! What projects need of the module cache.

use crate::findings::display_path;
use crate::formats::module::ModuleVersion;
use crate::graph::{self, ModFiles};
use crate::locate::{Gap, Project};
use crate::settings::Live;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

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
    pub toolchains: Vec<String>,
    /// When the ledger saw it last; `None` for a project of this run.
    pub last_seen: Option<DateTime<Utc>>,
    /// Why this is not all that it needs, if so: then nothing of the module
    /// cache goes for being unused.
    pub unknown: Option<String>,
}

/// What the projects of this run need: what their go.sum files list, or their
/// exact build lists. A project whose graph is not complete in the cache needs
/// what its go.sum lists; a note says so.
pub fn needs_of(
    projects: &[Project],
    live: Live,
    files: &dyn ModFiles,
    notes: &mut Vec<String>,
) -> Vec<Needs> {
    let mut lists: BTreeMap<PathBuf, Result<Lists, String>> = BTreeMap::new();
    projects
        .iter()
        .map(|project| {
            let mut needs = Needs {
                project: display_path(&project.dir),
                toolchains: project.toolchains.clone(),
                unknown: project.gap.as_ref().map(Gap::to_string),
                ..Needs::default()
            };
            if live == Live::BuildList {
                let key = match &project.workspace {
                    Some(workspace) => workspace.path.clone(),
                    None => project.dir.clone(),
                };
                let lists = lists.entry(key).or_insert_with(|| {
                    let loaded = load(project, projects, files);
                    if let Err(why) = &loaded {
                        notes.push(format!(
                            "{}: {why}; what its go.sum lists is kept instead of its build list",
                            display_path(&project.dir)
                        ));
                    }
                    loaded
                });
                if let Ok(lists) = lists {
                    needs.source = lists.source.clone();
                    needs.go_mods = lists.go_mods.clone();
                    // The build list needs no go.sum.
                    if project.gap.as_ref().is_some_and(Gap::is_of_go_sum) {
                        needs.unknown = None;
                    }
                    return needs;
                }
            }
            for file in &project.go_sum {
                needs.source.extend(file.sums.zips.keys().cloned());
                needs.go_mods.extend(file.sums.go_mods.keys().cloned());
            }
            needs
        })
        .collect()
}

struct Lists {
    source: HashSet<ModuleVersion>,
    go_mods: HashSet<ModuleVersion>,
}

fn load(project: &Project, all: &[Project], files: &dyn ModFiles) -> Result<Lists, String> {
    let graph = graph_of(project, all, files)?;
    if !graph.is_complete() {
        return Err("its module graph is not complete in the cache".to_owned());
    }
    let source: HashSet<ModuleVersion> = graph
        .build_list()
        .iter()
        .filter_map(|selected| selected.cached().cloned())
        .collect();
    let mut go_mods: HashSet<ModuleVersion> = graph.needed_go_mods().iter().cloned().collect();
    go_mods.extend(source.iter().cloned());
    Ok(Lists { source, go_mods })
}

/// A project's module graph, with the other members of its workspace.
pub(crate) fn graph_of(
    project: &Project,
    all: &[Project],
    files: &dyn ModFiles,
) -> Result<graph::Graph, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let loaded = match &project.workspace {
        None => graph::Project::module(project.dir.clone(), project.go_mod.clone())
            .map_err(|error| text(&error))?,
        Some(workspace) => {
            let mut members = Vec::new();
            for dir in &workspace.members {
                let member = all
                    .iter()
                    .find(|other| other.dir == *dir)
                    .ok_or_else(|| format!("{} was not found", display_path(dir)))?;
                members.push((member.dir.clone(), member.go_mod.clone()));
            }
            let top = workspace.path.parent().unwrap_or(&project.dir);
            graph::Project::workspace(top, workspace.go_work.clone(), members)
                .map_err(|error| text(&error))?
        }
    };
    graph::load(&loaded, files).map_err(|error| text(&error))
}
