//! The module graphs of projects.

use crate::findings::display_path;
use crate::graph::{self, Graph, GraphError, ModFiles, ProjectError};
use crate::locate::Project;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Projects that are built together: the members of a workspace that were
/// located, or one module.
pub(crate) struct Group<'a> {
    pub(crate) first: &'a Project,
    /// All of them, the first too.
    pub(crate) members: Vec<&'a Project>,
    all: &'a [Project],
}

/// The projects by what they are built with, in the order of its path.
pub(crate) fn groups(all: &[Project]) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<&Path, Group> = BTreeMap::new();
    for project in all {
        let group = groups.entry(project.built_by()).or_insert_with(|| Group {
            first: project,
            members: Vec::new(),
            all,
        });
        group.members.push(project);
    }
    groups.into_values().collect()
}

/// Why a project's module graph is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GraphUnknown {
    /// A member of its workspace was not located.
    #[error("{} was not found", display_path(.0))]
    Member(PathBuf),
    /// Its own files tell none.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// It cannot be worked out.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl Group<'_> {
    /// Their module graph, with the other members of their workspace.
    pub(crate) fn graph(&self, files: &dyn ModFiles) -> Result<Graph, GraphUnknown> {
        let project = self.first;
        let loaded = match &project.workspace {
            None => graph::MainModules::module(project.dir.clone(), project.go_mod.clone())?,
            Some(workspace) => {
                let mut members = Vec::new();
                for dir in &workspace.members {
                    let member = self.all.iter().find(|other| other.dir == *dir);
                    let member = member.ok_or_else(|| GraphUnknown::Member(dir.clone()))?;
                    members.push((member.dir.clone(), member.go_mod.clone()));
                }
                let top = workspace.path.parent().unwrap_or(&project.dir);
                graph::MainModules::workspace(top, workspace.go_work.clone(), members)?
            }
        };
        Ok(graph::load(&loaded, files)?)
    }
}
