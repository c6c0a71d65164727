//! What projects need of the module cache: what their go.sum files list, or
//! their exact build lists, and the toolchains that go.mod and go.work name.

mod graphs;

pub(crate) use graphs::{Group, groups};

use crate::findings::display_path;
use crate::formats::gosum::MergedSums;
use crate::formats::module::ModuleVersion;
use crate::graph::{Graph, ModFiles};
use crate::locate::{Gap, Project, Unread};
use crate::settings::Live;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

/// What one project needs, or several together.
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

    /// What a complete module graph says that builds may read.
    pub fn of_graph(graph: &Graph) -> Needs {
        let selected = graph.build_list().iter();
        let source: HashSet<ModuleVersion> = selected
            .filter_map(|selected| selected.cached().cloned())
            .collect();
        let mut go_mods: HashSet<ModuleVersion> = graph.needed_go_mods().iter().cloned().collect();
        go_mods.extend(source.iter().cloned());
        Needs {
            source,
            go_mods,
            ..Needs::default()
        }
    }

    /// Takes up what others need.
    pub fn join(&mut self, others: impl IntoIterator<Item = Needs>) {
        for other in others {
            self.source.extend(other.source);
            self.go_mods.extend(other.go_mods);
            self.toolchains.extend(other.toolchains);
            self.unknown = self.unknown.take().or(other.unknown);
        }
    }

    /// Whether a toolchain is one that it names.
    pub fn names(&self, toolchain: &ModuleVersion) -> bool {
        let Some(name) = toolchain.toolchain_name() else {
            return false;
        };
        self.toolchains.iter().any(|named| {
            name.strip_prefix(named.as_str()).is_some_and(|rest| {
                // `go1.24` is any of the 1.24 releases, but not 1.240.
                rest.is_empty() || rest.starts_with('.') && named.matches('.').count() == 1
            })
        })
    }
}

impl From<&Unread> for Needs {
    fn from(unread: &Unread) -> Needs {
        Needs {
            project: display_path(&unread.dir),
            unknown: Some(unread.gap.to_string()),
            ..Needs::default()
        }
    }
}

/// What each of the projects of this run needs: what its go.sum files list, or
/// its exact build list. A project whose graph is not complete in the cache needs
/// what its go.sum lists; a note says so.
pub fn of_each(
    projects: &[Project],
    live: Live,
    files: &dyn ModFiles,
    notes: &mut Vec<String>,
) -> Vec<Needs> {
    let mut all = Vec::new();
    for group in groups(projects) {
        let list = match live {
            Live::GoSum => None,
            Live::BuildList => build_list(&group, files, notes),
        };
        for project in group.members {
            let mut needs = Needs::of(project);
            if let Some(list) = &list {
                needs.source.clone_from(&list.source);
                needs.go_mods.clone_from(&list.go_mods);
                // The build list needs no go.sum.
                if project.gap.as_ref().is_some_and(Gap::is_of_go_sum) {
                    needs.unknown = None;
                }
            }
            all.push(needs);
        }
    }
    all
}

fn build_list(group: &Group<'_>, files: &dyn ModFiles, notes: &mut Vec<String>) -> Option<Needs> {
    let why = match group.graph(files) {
        Ok(graph) if graph.is_complete() => return Some(Needs::of_graph(&graph)),
        Ok(_) => "its module graph is not complete in the cache".to_owned(),
        Err(error) => error.to_string(),
    };
    notes.push(format!(
        "{}: {why}; what its go.sum lists is kept instead of its build list",
        display_path(&group.first.dir)
    ));
    None
}

/// What the projects' go.sum files say that they need, by the module path that
/// they declare.
pub fn by_name(projects: &[Project]) -> Vec<Needs> {
    let mut by_name: BTreeMap<&String, Needs> = BTreeMap::new();
    for project in projects {
        if let Some(name) = &project.module {
            let needs = by_name.entry(name).or_default();
            needs.project.clone_from(name);
            needs.join([Needs::of(project)]);
        }
    }
    by_name.into_values().collect()
}

/// The hashes in all the projects' go.sum files.
pub fn sums_of(projects: &[Project]) -> MergedSums {
    let mut sums = MergedSums::new();
    // Members of a workspace share its go.work.sum.
    let mut seen: BTreeSet<&Path> = BTreeSet::new();
    for file in projects.iter().flat_map(|project| &project.go_sum) {
        if seen.insert(&file.path) {
            sums.add(display_path(&file.path), &file.sums);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_one_dot_is_any_release_of_it() {
        let named = |toolchain: &str, version: &str| {
            let needs = Needs {
                toolchains: [toolchain.to_owned()].into(),
                ..Needs::default()
            };
            needs.names(&ModuleVersion::new("golang.org/toolchain", version))
        };
        assert!(named("go1.24", "v0.0.1-go1.24.linux-amd64"));
        assert!(named("go1.24", "v0.0.1-go1.24.3.linux-amd64"));
        assert!(named("go1.24.3", "v0.0.1-go1.24.3.linux-amd64"));
        assert!(!named("go1.24", "v0.0.1-go1.240.linux-amd64"));
        assert!(!named("go1.24.3", "v0.0.1-go1.24.30.linux-amd64"));
        assert!(!named("go1.24.3", "v0.0.1-go1.24.linux-amd64"));
    }
}
