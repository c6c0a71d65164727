//! How go.sum and go.work.sum fit the module graphs.

use super::situation::{SumLines, WorkspaceSite};
use crate::formats::gosum::GoSum;
use crate::formats::module::ModuleVersion;
use crate::graph;
use crate::locate::{GoSumFile, Project};
use std::collections::BTreeSet;
use std::path::Path;

/// How a project's go.sum fits the graph. Not told for vendored projects, which
/// do not use it to build. What a member of a workspace lacks is the matter of
/// its workspace, where all members' sums count.
pub(super) fn sum_lines(project: &Project, modcache: &Path) -> Option<SumLines> {
    if project.vendored {
        return None;
    }
    let own = module_graph(&project.dir.join("go.mod"), modcache)?;
    let listed = listed(project.go_sum.iter().filter(|file| !is_work_sum(file)));
    let Some(workspace) = &project.workspace else {
        return Some(SumLines {
            missing: missing(&own, &listed),
            unused: unused(&[&own], &listed),
        });
    };
    let whole = module_graph(&workspace.path, modcache)?;
    Some(SumLines {
        missing: Vec::new(),
        unused: unused(&[&own, &whole], &listed),
    })
}

/// How the sums of each workspace fit its graph, if all its members are known.
pub(super) fn workspaces(projects: &[Project], modcache: &Path) -> Vec<WorkspaceSite> {
    let mut sites: Vec<WorkspaceSite> = Vec::new();
    for workspace in projects.iter().filter_map(|p| p.workspace.as_ref()) {
        let members = projects
            .iter()
            .filter(|project| project.workspace.as_ref() == Some(workspace));
        let members: Vec<&Project> = members.collect();
        let known = sites.iter().any(|site| site.file == workspace.path);
        let vendored = members.iter().any(|member| member.vendored);
        if known || vendored || members.len() < workspace.members.len() {
            continue;
        }
        let sums = || members.iter().flat_map(|member| &member.go_sum);
        let Some(whole) = module_graph(&workspace.path, modcache) else {
            continue;
        };
        let all = listed(sums());
        let own = listed(sums().filter(|file| is_work_sum(file)));
        sites.push(WorkspaceSite {
            file: workspace.path.clone(),
            sum_lines: SumLines {
                missing: missing(&whole, &all),
                unused: unused(&[&whole], &own),
            },
        });
    }
    sites
}

fn is_work_sum(file: &GoSumFile) -> bool {
    !file.path.ends_with("go.sum")
}

/// The graph of a go.mod or go.work file.
fn module_graph(file: &Path, modcache: &Path) -> Option<graph::Graph> {
    let project = graph::MainModules::read(file).ok()?;
    graph::load(&project, &graph::CachedGoMods::new(modcache)).ok()
}

/// The lines of several go.sum files.
pub(super) fn listed<'a>(files: impl Iterator<Item = &'a GoSumFile>) -> GoSum {
    let mut listed = GoSum::default();
    for file in files {
        listed.zips.extend(file.sums.zips.clone());
        listed.go_mods.extend(file.sums.go_mods.clone());
    }
    listed
}

/// Versions whose go.mod a graph needs and no line lists.
fn missing(graph: &graph::Graph, listed: &GoSum) -> Vec<ModuleVersion> {
    let needed = graph.needed_go_mods().iter();
    needed
        .filter(|module| listed.go_mod(module).is_empty())
        .cloned()
        .collect()
}

/// Versions that are listed and that none of the graphs knows; none if a graph
/// is known in part only.
fn unused(graphs: &[&graph::Graph], listed: &GoSum) -> Vec<ModuleVersion> {
    if !graphs.iter().all(|graph| graph.is_complete()) {
        return Vec::new();
    }
    let selected: BTreeSet<_> = graphs
        .iter()
        .flat_map(|graph| graph.build_list())
        .filter_map(|module| module.cached())
        .collect();
    let known = |module: &ModuleVersion| {
        let needed = |graph: &&graph::Graph| graph.needed_go_mods().contains(module);
        selected.contains(module) || graphs.iter().any(needed)
    };
    let all: BTreeSet<_> = listed.zips.keys().chain(listed.go_mods.keys()).collect();
    all.into_iter()
        .filter(|module| !known(module))
        .cloned()
        .collect()
}
