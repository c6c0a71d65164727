//! The one door through which a [`Situation`] comes in. Nothing is written.

use super::site::{self, real};
use super::situation::{ProjectSite, Situation};
use super::vcs_ignore::seen_by_git;
use super::walk::walk;
use super::{sums, test_logs};
use crate::error::CommandError;
use crate::findings::Finding;
use crate::folder::ordinary;
use crate::formats::modindex::parse_go_version_file;
use crate::formats::module::ModuleVersion;
use crate::locate::{self, Caches, Project};
use crate::scan::{self, Inventory, ModCache, Scan, Version, VersionKind};
use crate::settings::{Environment, Options};
use crate::values::shard::Shard;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest settings file that is read: `VERSION`, `.gitignore`.
const MAX_TEXT: u64 = 1 << 20;

/// A situation, and what was located and scanned on the way.
#[derive(Debug)]
pub struct Gathered {
    /// The situation.
    pub situation: Situation,
    /// Where the caches are.
    pub caches: Caches,
    /// The projects.
    pub projects: Vec<Project>,
    /// What the caches hold.
    pub inventory: Inventory,
    /// What was odd about the projects.
    pub findings: Vec<Finding>,
}

/// Takes the situation from the machine. `jobs` is the number of threads.
///
/// # Errors
///
/// Projects that cannot be read. Settings of the caches that Go refuses are no
/// error here: they are part of the situation.
pub fn gather(
    environment: &Environment,
    options: &Options,
    jobs: usize,
) -> Result<Gathered, CommandError> {
    let mut situation = Situation {
        environment: environment.clone(),
        go: locate::go_settings(environment),
        ..Situation::default()
    };
    let caches = locate::caches_so_far(environment, options).unwrap_or_else(|refused| {
        tracing::debug!(%refused, "Go refuses these settings, and no cache is looked at");
        situation.refused = Some(refused);
        Caches::default()
    });
    look_for_places(&mut situation, options);
    let located = locate::projects(environment, options)?;
    let mut inventory = scan::scan(Scan {
        modcache: crate::run::root_of(caches.modcache.as_ref()),
        gocache: crate::run::root_of(caches.gocache.as_ref()),
        jobs,
        read_actions: true,
    });
    if let Some(goroot) = &situation.go.goroot {
        let version = read_text(&goroot.join("VERSION")).unwrap_or_default();
        situation.installed = parse_go_version_file(version.as_bytes()).map(str::to_owned);
        let installed = &situation.installed;
        tracing::debug!(goroot = %goroot.display(), ?installed, "found the Go installation");
    }
    situation.modcache = caches.modcache.as_ref().map(site::of);
    situation.gocache = caches.gocache.as_ref().map(site::of);
    if let Some(cache) = &mut inventory.modcache {
        let _ = scan::measure_trees(cache, Shard::WHOLE, jobs); // what is unreadable, `check` tells
        look_at_modules(&mut situation, cache);
    }
    let builds = inventory.buildcache.as_ref();
    situation.tests_with_files = builds.and_then(test_logs::tests_with_files);
    let modcache = caches.modcache.as_ref().map(|located| &*located.path);
    look_at_projects(&mut situation, &located.list, modcache);
    Ok(Gathered {
        situation,
        caches,
        projects: located.list,
        inventory,
        findings: located.findings,
    })
}

/// Caches that are not there: is there a place for them, and can it be made?
fn look_for_places(situation: &mut Situation, options: &Options) {
    let Ok((modcache, gocache)) = locate::expected(&situation.environment, options) else {
        return;
    };
    for (key, place) in [("GOMODCACHE", modcache), ("GOCACHE", gocache)] {
        match place {
            Err(why) => situation.unlocated.push((key, why.to_string())),
            Ok(path) => situation.unmakeable.extend(site::unmakeable(key, path)),
        }
    }
}

fn look_at_modules(situation: &mut Situation, cache: &ModCache) {
    let clones = cache.vcs.iter();
    situation.clones = clones.filter_map(|clone| clone.url.clone()).collect();
    let bytes = |version: &Version| version.download_bytes() + version.tree_bytes();
    let found = &mut situation.toolchains;
    found.of_bytes = cache.vcs.iter().map(|clone| clone.measure.bytes).sum();
    let (mut sources, mut source_bytes) = (0, 0);
    for version in &cache.versions {
        found.of_bytes += bytes(version);
        match version.kind {
            VersionKind::Toolchain => {
                found.bytes += bytes(version);
                let name = version.id.version.trim_start_matches("v0.0.1-");
                found.names.push(name.to_owned());
            }
            VersionKind::Module if version.has_source() => {
                sources += 1;
                source_bytes += bytes(version);
            }
            _ => {}
        }
        if !version.id.is_toolchain() {
            situation.cached.push(version.id.clone());
        }
    }
    situation.version_bytes = u64::checked_div(source_bytes, sources);
}

fn look_at_projects(situation: &mut Situation, projects: &[Project], modcache: Option<&Path>) {
    let caches: Vec<PathBuf> = situation
        .sites()
        .map(|(_, _, site)| site.path.clone())
        .collect();
    let cached: BTreeSet<ModuleVersion> = situation.cached.iter().cloned().collect();
    let counted: BTreeSet<PathBuf> = projects.iter().map(|project| real(&project.dir)).collect();
    for project in projects {
        let mut site = project_site(project, &caches, modcache, &cached);
        walk(&mut site, &counted, &caches);
        tracing::debug!(
            project = %site.dir.display(),
            sums = site.sum_lines.is_some(),
            "looked at a project"
        );
        situation.projects.push(site);
    }
    if let Some(modcache) = modcache {
        situation.workspaces = sums::workspaces(projects, modcache);
    }
}

fn project_site(
    project: &Project,
    caches: &[PathBuf],
    modcache: Option<&Path>,
    cached: &BTreeSet<ModuleVersion>,
) -> ProjectSite {
    let dir = real(&project.dir);
    let file = &project.go_mod;
    let replaced: BTreeSet<&str> = file
        .replace
        .iter()
        .map(|replace| replace.path.as_str())
        .collect();
    let required = file.require.iter().map(|require| require.module.clone());
    let required = required.filter(|module| !replaced.contains(module.path.as_str()));
    let inside = caches
        .iter()
        .filter(|path| path.starts_with(&dir) && **path != dir);
    ProjectSite {
        module: project.module.clone(),
        required: required.collect(),
        toolchains: project.toolchains.clone(),
        ignored_by_go: file.ignore.clone(),
        sum_lines: modcache.and_then(|modcache| sums::sum_lines(project, modcache)),
        seen_by_git: inside.filter(|path| seen_by_git(path)).cloned().collect(),
        to_download: to_download(project, cached),
        dir,
        ..ProjectSite::default()
    }
}

/// Versions that go.sum lists with their source and that are not cached.
fn to_download(project: &Project, cached: &BTreeSet<ModuleVersion>) -> usize {
    if project.vendored {
        return 0;
    }
    let sums = sums::listed(project.go_sum.iter());
    let missing = sums.zips.keys().filter(|module| !cached.contains(module));
    missing.count()
}

/// A text file of moderate length; bytes that are not UTF-8 are replaced.
pub(super) fn read_text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    ordinary::open(path)
        .ok()?
        .take(MAX_TEXT)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
