//! What the projects' builds read of the module cache.

use super::Platform;
use crate::cli::CliError;
use crate::findings::display_path;
use crate::formats::gomod;
use crate::formats::gosum::{GoSum, MergedSums};
use crate::formats::gover;
use crate::formats::h1::H1;
use crate::formats::module::ModuleVersion;
use crate::graph::{Graph, ModCache, Selected};
use crate::locate::Project;
use crate::plan::graph_of;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

/// The toolchain's module: one version per Go version and system.
pub(super) const TOOLCHAIN: &str = "golang.org/toolchain";

/// What the projects' builds read.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Versions whose zip is needed, and the hashes that are trusted for it;
    /// none for a toolchain.
    pub(super) zips: BTreeMap<ModuleVersion, BTreeSet<H1>>,
    /// Versions whose `.mod` file is needed, and the hashes that are trusted for it.
    pub(super) go_mods: BTreeMap<ModuleVersion, BTreeSet<H1>>,
    /// The module paths of the projects.
    pub(super) projects: BTreeSet<String>,
    /// Requirements between modules of the build lists, by what a build takes
    /// for each; for the SBOM.
    pub(super) requires: BTreeMap<String, BTreeSet<String>>,
    /// `.mod` files that are there and of no use.
    pub(super) broken: BTreeMap<ModuleVersion, String>,
    /// Things to know.
    pub(super) notes: Vec<String>,
}

/// Weighs every project's module graph; a workspace's once.
pub(super) fn of(projects: &[Project], cache: &ModCache) -> Result<Needs, CliError> {
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
            .map_err(|why| CliError::Work(format!("{}: {why}", display_path(&first.dir))))?;
        let mut sums = MergedSums::new();
        for file in members.iter().flat_map(|project| &project.go_sum) {
            let parsed = GoSum::parse(&file.bytes).map_err(|error| {
                CliError::Usage(format!("{}: {error}", display_path(&file.path)))
            })?;
            sums.add(display_path(&file.path), &parsed);
        }
        needs.add(&graph, &sums, &Named::of(members)?);
    }
    Ok(needs)
}

impl Needs {
    fn add(&mut self, graph: &Graph, sums: &MergedSums, named: &Named) {
        // A line for a zip is what `go mod tidy` leaves where any build or test,
        // on any system, reads the module's sources; but also where only `tidy`
        // itself does. Lines of versions that are no longer selected may be left
        // over, too.
        let selected = graph.build_list().iter();
        let selected = selected.filter(|selected| named.has(&selected.module.path));
        for id in selected.filter_map(Selected::cached) {
            let claims = sums.zip(id);
            if !claims.is_empty() {
                let hashes = self.zips.entry(id.clone()).or_default();
                hashes.extend(claims.iter().map(|claim| claim.h1));
                self.need_go_mod(id, sums);
            }
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
    pub(super) fn add_toolchains(
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
    fn of(members: &[&Project]) -> Result<Named, CliError> {
        let mut paths = HashSet::new();
        for project in members {
            let file = gomod::parse(&project.go_mod).map_err(|error| {
                let path = display_path(&project.dir.join("go.mod"));
                CliError::Usage(format!("{path}: {error}"))
            })?;
            let go = file.go.as_deref().unwrap_or("1.16");
            if gover::compare(go, "1.17").is_lt() {
                return Ok(Named::All);
            }
            let required = file.require.into_iter();
            paths.extend(required.map(|require| require.module.path));
        }
        Ok(Named::These(paths))
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
