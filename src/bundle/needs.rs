//! What the projects' builds read of the module cache.

use super::Platform;
use super::gather::Roots;
use super::reach::{self, Ground};
use crate::error::CommandError;
use crate::findings::display_path;
use crate::formats::gomod::Replacement;
use crate::formats::gosum::MergedSums;
use crate::formats::gover;
use crate::formats::h1::H1;
use crate::formats::module::ModuleVersion;
use crate::graph::{Graph, ModCache};
use crate::locate::Project;
use crate::plan::graph_of;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

/// The toolchain's module: one version per Go version and system.
pub(super) const TOOLCHAIN: &str = "golang.org/toolchain";

/// What the projects' builds read.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Versions whose zip is needed, and the hashes that are trusted for it;
    /// none for a toolchain.
    pub(super) zips: BTreeMap<ModuleVersion, BTreeSet<H1>>,
    /// Versions whose `.mod` file is needed, and the hashes that are trusted for it.
    pub(super) go_mods: BTreeMap<ModuleVersion, BTreeSet<H1>>,
    /// The module paths of the projects.
    pub(crate) projects: BTreeSet<String>,
    /// Requirements between modules of the build lists, by what a build takes
    /// for each; for the SBOM.
    pub(super) requires: BTreeMap<String, BTreeSet<String>>,
    /// `.mod` files that are there and of no use.
    pub(super) broken: BTreeMap<ModuleVersion, String>,
    /// Things to know.
    pub(crate) notes: Vec<String>,
}

/// Weighs every project's module graph; a workspace's once. Without platforms
/// for builds on every system.
pub(crate) fn of(
    projects: &[Project],
    roots: &Roots,
    platforms: &[Platform],
) -> Result<Needs, CommandError> {
    let cache = &ModCache::of(roots.modules.clone());
    let mut needs = Needs::default();
    let mut groups: BTreeMap<PathBuf, Vec<&Project>> = BTreeMap::new();
    for project in projects {
        needs.projects.extend(project.module.clone());
        if project.vendored {
            let dir = display_path(&project.dir);
            needs.notes.push(format!(
                "{dir} builds from its vendor folder and needs nothing of the cache"
            ));
            continue;
        }
        let key = match &project.workspace {
            Some(workspace) => workspace.path.clone(),
            None => project.dir.clone(),
        };
        groups.entry(key).or_default().push(project);
    }
    for members in groups.values() {
        let Some(first) = members.first() else {
            continue;
        };
        let graph = graph_of(first, projects, cache)
            .map_err(CommandError::failed(display_path(&first.dir)))?;
        let mut sums = MergedSums::new();
        for file in members.iter().flat_map(|project| &project.go_sum) {
            sums.add(display_path(&file.path), &file.sums);
        }
        let named = Named::of(members);
        let mut zips = zips_of(&graph, &sums, &named);
        if !platforms.is_empty() {
            needs.narrow(&mut zips, members, &graph, roots, platforms)?;
        }
        needs.add(&graph, &sums, zips);
    }
    Ok(needs)
}

impl Needs {
    /// These versions, whatever the projects' graphs say.
    #[cfg(target_os = "linux")]
    pub(crate) fn of_versions(
        zips: &BTreeSet<ModuleVersion>,
        go_mods: &BTreeSet<ModuleVersion>,
        sums: &MergedSums,
    ) -> Needs {
        let mut needs = Needs::default();
        for id in zips {
            let hashes = sums.zip(id).iter().map(|claim| claim.h1);
            needs.zips.insert(id.clone(), hashes.collect());
        }
        for id in go_mods {
            needs.need_go_mod(id, sums);
        }
        needs
    }

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

    fn add(&mut self, graph: &Graph, sums: &MergedSums, zips: BTreeMap<String, ModuleVersion>) {
        for id in zips.into_values() {
            self.need_go_mod(&id, sums);
            let hashes = sums.zip(&id).iter().map(|claim| claim.h1);
            self.zips.entry(id).or_default().extend(hashes);
        }
        for id in graph.needed_go_mods() {
            self.need_go_mod(id, sums);
        }
        for problem in graph.problems() {
            self.broken
                .insert(problem.module.clone(), problem.problem.clone());
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

    fn need_go_mod(&mut self, id: &ModuleVersion, sums: &MergedSums) {
        let hashes = self.go_mods.entry(id.clone()).or_default();
        hashes.extend(sums.go_mod(id).iter().map(|claim| claim.h1));
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
                self.zips
                    .entry(ModuleVersion::new(TOOLCHAIN, version))
                    .or_default();
            }
        }
    }
}

/// The versions whose zips builds and tests on any system read, by module path.
fn zips_of(graph: &Graph, sums: &MergedSums, named: &Named) -> BTreeMap<String, ModuleVersion> {
    // A line for a zip is what `go mod tidy` leaves where any build or test, on
    // any system, reads the module's sources; but also where only `tidy` itself
    // does. Lines of versions that are no longer selected may be left over, too.
    let selected = graph.build_list().iter();
    selected
        .filter(|selected| named.has(&selected.module.path))
        .filter_map(|selected| Some((selected.module.path.clone(), selected.cached()?.clone())))
        .filter(|(_, id)| !sums.zip(id).is_empty())
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
