//! What goes into a bundle: what the projects' builds read of the module cache.

use super::Platform;
use super::gather::{Damaged, Roots};
use super::reach::{self, Ground};
use crate::error::CommandError;
use crate::findings::display_path;
use crate::formats::gomod::Replacement;
use crate::formats::gover;
use crate::formats::module::ModuleVersion;
use crate::graph::{CachedGoMods, Graph};
use crate::locate::Project;
use crate::needs::{self, Needs};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The toolchain's module: one version per Go version and system.
pub(super) const TOOLCHAIN: &str = "golang.org/toolchain";

/// What goes into a bundle.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// Versions whose zip or `.mod` file goes in.
    pub(crate) needs: Needs,
    /// The module paths of the projects.
    pub(crate) projects: BTreeSet<String>,
    /// Requirements between modules of the build lists, by what a build takes
    /// for each; for the SBOM.
    pub(super) requires: BTreeMap<String, BTreeSet<String>>,
    /// Things to know.
    pub(crate) notes: Vec<String>,
    /// `.mod` files that are there and of no use.
    pub(crate) damaged: BTreeSet<Damaged>,
}

/// Weighs every project's module graph; a workspace's once. Without platforms
/// for builds on every system.
pub(crate) fn choose(
    projects: &[Project],
    roots: &Roots,
    platforms: &[Platform],
) -> Result<Choice, CommandError> {
    let cache = &CachedGoMods::of(roots.modules.clone());
    let mut choice = Choice::default();
    choice
        .projects
        .extend(projects.iter().filter_map(|project| project.module.clone()));
    for mut group in needs::groups(projects) {
        group.members.retain(|project| {
            if project.vendored {
                let dir = display_path(&project.dir);
                choice.notes.push(format!(
                    "{dir} builds from its vendor folder and needs nothing of the cache"
                ));
            }
            !project.vendored
        });
        if group.members.is_empty() {
            continue;
        }
        let graph = group
            .graph(cache)
            .map_err(CommandError::failed(display_path(&group.first.dir)))?;
        let mut zips = zips_of(&graph, &group.members);
        if !platforms.is_empty() {
            choice.narrow(&mut zips, &group.members, &graph, roots, platforms)?;
        }
        choice.add(&graph, zips);
    }
    Ok(choice)
}

impl Choice {
    /// Drops what no build for these systems gets to.
    fn narrow(
        &mut self,
        zips: &mut BTreeMap<String, ModuleVersion>,
        members: &[&Project],
        graph: &Graph,
        roots: &Roots,
        platforms: &[Platform],
    ) -> Result<(), CommandError> {
        let replaced = graph.build_list().iter().find(|selected| {
            !selected.is_main() && matches!(selected.replacement, Some(Replacement::Dir(_)))
        });
        if let Some(selected) = replaced {
            self.notes.push(format!(
                "{} is replaced by a folder: what it imports is not looked at, and every system's modules are packed",
                selected.module.path
            ));
            return Ok(());
        }
        let mut tools = Vec::new();
        for project in members {
            tools.extend(project.go_mod.tool.iter().cloned());
        }
        let ground = Ground {
            mains: members.iter().map(|project| project.dir.clone()).collect(),
            tools,
            modules: zips.clone(),
        };
        let reached = reach::reached(&ground, roots, platforms)?;
        zips.retain(|_, id| reached.contains(id));
        Ok(())
    }

    fn add(&mut self, graph: &Graph, zips: BTreeMap<String, ModuleVersion>) {
        let go_mods = graph.needed_go_mods().iter().chain(zips.values());
        self.needs.go_mods.extend(go_mods.cloned());
        self.needs.source.extend(zips.into_values());
        for broken in graph.broken() {
            self.damaged.insert(Damaged {
                subject: format!("{}: its go.mod", broken.module),
                message: broken.error.to_string(),
            });
        }
        // What a build takes for each module; nothing for `go` and folders.
        let names: HashMap<&str, String> = graph
            .build_list()
            .iter()
            .filter_map(|selected| {
                let name = match selected.cached() {
                    Some(id) => id.to_string(),
                    None if selected.is_main() => selected.module.path.clone(),
                    None => return None,
                };
                Some((selected.module.path.as_str(), name))
            })
            .collect();
        for (from, to) in graph.edges() {
            let selected = graph.selected(&from.path) == Some(from.version.as_str());
            let ends = (names.get(from.path.as_str()), names.get(to.path.as_str()));
            if let (true, (Some(from), Some(to))) = (selected, ends) {
                self.requires
                    .entry(from.clone())
                    .or_default()
                    .insert(to.clone());
            }
        }
    }

    /// Adds toolchains: `name`, or with `auto` the newest that each project names.
    pub(crate) fn add_toolchains(
        &mut self,
        name: &str,
        projects: &[Project],
        platforms: &[Platform],
    ) {
        let names: BTreeSet<String> = match name {
            "auto" => projects.iter().filter_map(newest_toolchain).collect(),
            name => BTreeSet::from([name.to_owned()]),
        };
        for name in names {
            for platform in platforms {
                let version = format!("v0.0.1-{name}.{}-{}", platform.os, platform.arch);
                let toolchain = ModuleVersion::new(TOOLCHAIN, version);
                self.needs.source.insert(toolchain);
            }
        }
    }
}

/// The versions whose zips builds and tests on any system read, by module path.
fn zips_of(graph: &Graph, members: &[&Project]) -> BTreeMap<String, ModuleVersion> {
    let mut listed = Needs::default();
    listed.join(members.iter().map(|project| Needs::of(project)));
    let named = Named::of(members);
    // A line for a zip is what `go mod tidy` leaves where any build or test, on
    // any system, reads the module's sources; but also where only `tidy` itself
    // does. Lines of versions that are no longer selected may be left over, too.
    let selected = graph.build_list().iter();
    selected
        .filter(|selected| named.has(&selected.module.path))
        .filter_map(|selected| Some((selected.module.path.clone(), selected.cached()?.clone())))
        .filter(|(_, id)| listed.source.contains(id))
        .collect()
}

/// The modules whose packages the projects' builds and tests import.
///
/// From Go 1.17 on a go.mod names all of them; an older one only some, so that
/// any module of the build list may be meant
/// (<https://go.dev/ref/mod#go-mod-file-go>).
enum Named {
    All,
    These(HashSet<String>),
}

impl Named {
    fn of(members: &[&Project]) -> Named {
        let mut paths = HashSet::new();
        for project in members {
            let file = &project.go_mod;
            let go = file.go.as_deref().unwrap_or("1.16");
            if gover::compare(go, "1.17").is_lt() {
                return Named::All;
            }
            let required = file.require.iter();
            paths.extend(required.map(|require| require.module.path.clone()));
        }
        Named::These(paths)
    }

    fn has(&self, path: &str) -> bool {
        match self {
            Named::All => true,
            Named::These(paths) => paths.contains(path),
        }
    }
}

fn newest_toolchain(project: &Project) -> Option<String> {
    let newest = |a: &&String, b: &&String| gover::compare_toolchains(a, b);
    project.toolchains.iter().max_by(newest).cloned()
}
