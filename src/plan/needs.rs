//! What projects need of the module cache.

use crate::findings::display_path;
use crate::formats::module::ModuleVersion;
use crate::graph::{self, ModFiles};
use crate::locate::{Gap, Project};
use crate::settings::Live;
use crate::usage::Needs;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

/// What the projects of this run need: what their go.sum files list, or their
/// exact build lists. A project whose graph is not complete in the cache needs
/// what its go.sum lists; a note says so.
pub fn needs_of(
    projects: &[Project],
    live: Live,
    files: &dyn ModFiles,
    notes: &mut Vec<String>,
) -> Vec<Needs> {
    let mut lists: BTreeMap<PathBuf, Option<Lists>> = BTreeMap::new();
    let mut all = Vec::new();
    for project in projects {
        let mut needs = Needs::of(project);
        if live == Live::BuildList {
            let key = match &project.workspace {
                Some(workspace) => &workspace.path,
                None => &project.dir,
            };
            let lists = lists.entry(key.clone()).or_insert_with(|| {
                let loaded = load(project, projects, files);
                let told = |why| {
                    notes.push(format!(
                        "{}: {why}; what its go.sum lists is kept instead of its build list",
                        display_path(&project.dir)
                    ));
                };
                loaded.map_err(told).ok()
            });
            if let Some(lists) = lists {
                (needs.source, needs.go_mods) = (lists.source.clone(), lists.go_mods.clone());
                // The build list needs no go.sum.
                if project.gap.as_ref().is_some_and(Gap::is_of_go_sum) {
                    needs.unknown = None;
                }
            }
        }
        all.push(needs);
    }
    all
}

struct Lists {
    source: HashSet<ModuleVersion>,
    go_mods: HashSet<ModuleVersion>,
}

/// Why a project's module graph is not known.
#[derive(Debug, thiserror::Error)]
pub enum GraphUnknown {
    /// It lacks `.mod` files.
    #[error("its module graph is not complete in the cache")]
    Incomplete,
    /// A member of its workspace was not located.
    #[error("{} was not found", display_path(.0))]
    Member(PathBuf),
    /// Its own files tell none.
    #[error(transparent)]
    Project(#[from] graph::ProjectError),
    /// It cannot be worked out.
    #[error(transparent)]
    Graph(#[from] graph::GraphError),
}

fn load(project: &Project, all: &[Project], files: &dyn ModFiles) -> Result<Lists, GraphUnknown> {
    let graph = graph_of(project, all, files)?;
    if !graph.is_complete() {
        return Err(GraphUnknown::Incomplete);
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
) -> Result<graph::Graph, GraphUnknown> {
    let loaded = match &project.workspace {
        None => graph::Project::module(project.dir.clone(), project.go_mod.clone())?,
        Some(workspace) => {
            let mut members = Vec::new();
            for dir in &workspace.members {
                let member = all.iter().find(|other| other.dir == *dir);
                let member = member.ok_or_else(|| GraphUnknown::Member(dir.clone()))?;
                members.push((member.dir.clone(), member.go_mod.clone()));
            }
            let top = workspace.path.parent().unwrap_or(&project.dir);
            graph::Project::workspace(top, workspace.go_work.clone(), members)?
        }
    };
    Ok(graph::load(&loaded, files)?)
}
