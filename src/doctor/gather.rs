//! The one door through which a [`Situation`] comes in. Nothing is written.

use super::situation::{
    CacheSite, ProjectSite, Situation, SourceTimes, SumLines, Toolchains, Unmakeable, WorkspaceSite,
};
use super::{mounts, vcs_ignore};
use crate::findings::Finding;
use crate::folder::Folder;
use crate::folder::ordinary;
use crate::formats::action::OutputId;
use crate::formats::gosum::GoSum;
use crate::formats::modindex::parse_go_version_file;
use crate::formats::module::ModuleVersion;
use crate::formats::output_kind::{OutputKind, output_kind};
use crate::graph;
use crate::locate::{self, Caches, GoSumFile, Located, Project};
use crate::scan::{self, BuildCache, Inventory, ModCache, Scan, Version, VersionKind};
use crate::settings::{ConfigError, Environment, Options};
use crate::values::shard::Shard;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Longest settings file that is read: `VERSION`, `.gitignore`, mount tables.
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
) -> Result<Gathered, ConfigError> {
    let mut situation = Situation {
        environment: environment.clone(),
        go: locate::go_settings(environment),
        ..Situation::default()
    };
    let caches = locate::caches_so_far(environment, options).unwrap_or_else(|error| {
        situation.refused = Some(error.to_string());
        Caches::default()
    });
    if let Ok(places) = locate::expected(environment, options) {
        for (key, place) in [("GOMODCACHE", places.0), ("GOCACHE", places.1)] {
            match place {
                Err(why) => situation.unlocated.push((key, why)),
                Ok(path) => situation.unmakeable.extend(unmakeable(key, path)),
            }
        }
    }
    let located = locate::projects(environment, options)?;
    let (projects, findings) = (located.list, located.findings);
    let mut inventory = scan::scan(Scan {
        modcache: crate::run::root_of(caches.modcache.as_ref()),
        gocache: crate::run::root_of(caches.gocache.as_ref()),
        jobs,
        read_actions: true,
    });
    if let Some(goroot) = &situation.go.goroot {
        let version = read_text(&goroot.join("VERSION")).unwrap_or_default();
        situation.installed = parse_go_version_file(version.as_bytes()).map(str::to_owned);
    }
    situation.modcache = caches.modcache.as_ref().map(site);
    situation.gocache = caches.gocache.as_ref().map(site);
    if let Some(cache) = &mut inventory.modcache {
        let _ = scan::measure_trees(cache, Shard::WHOLE, jobs); // what is unreadable, `check` tells
        situation.cached = cache
            .versions
            .iter()
            .map(|version| version.id.clone())
            .collect();
        situation.cached.retain(|module| !module.is_toolchain());
        situation.version_bytes = version_bytes(cache);
        situation.clones = cache
            .vcs
            .iter()
            .filter_map(|clone| clone.url.clone())
            .collect();
        situation.toolchains = toolchains(cache);
    }
    if let Some(cache) = &inventory.buildcache {
        situation.trimmed = cache.trimmed;
        situation.entry_times = cache.actions.iter().map(|action| action.modified).collect();
        situation.tests_with_files = tests_with_files(cache);
    }
    let sites: Vec<PathBuf> = situation
        .sites()
        .map(|(_, _, site)| site.path.clone())
        .collect();
    let modcache = caches
        .modcache
        .as_ref()
        .map(|located| located.path.as_path());
    let known: BTreeSet<ModuleVersion> = situation.cached.iter().cloned().collect();
    situation.projects = projects
        .iter()
        .map(|project| project_site(project, &sites, modcache, &known))
        .collect();
    walk_projects(&projects, &sites, &mut situation.projects);
    if let Some(modcache) = modcache {
        situation.workspaces = workspaces(&projects, modcache);
    }
    Ok(Gathered {
        situation,
        caches,
        projects,
        inventory,
        findings,
    })
}

/// A folder that is not there and cannot be made below the nearest one that is.
fn unmakeable(key: &'static str, path: PathBuf) -> Option<Unmakeable> {
    let unmakeable = |why: String| Unmakeable {
        key,
        path: path.clone(),
        why,
    };
    if path.is_dir() {
        return None;
    }
    let there = path
        .ancestors()
        .find(|dir| dir.symlink_metadata().is_ok())?;
    let name = crate::findings::display_path(there);
    if !there.is_dir() {
        return Some(unmakeable(format!("{name} is not a folder")));
    }
    (writable(there) == Some(false)).then(|| unmakeable(format!("{name} may not be written to")))
}

pub(super) fn site(located: &Located) -> CacheSite {
    let path = real(&located.path);
    CacheSite {
        lacks_folders: lacks_folders(&located.path),
        read_only: read_only(&path),
        source: located.source.clone(),
        filled: fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some()),
        owner_and_user: owner_and_user(&path),
        writable: writable(&path),
        folds_case: folds_case(&path),
        mount_options: read_text(Path::new("/proc/self/mountinfo"))
            .and_then(|info| mounts::options(&info, &path)),
        space: space(&path),
        path,
    }
}

fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn toolchains(cache: &ModCache) -> Toolchains {
    let bytes = |version: &Version| {
        let pieces = [version.zip, version.ziphash, version.info, version.go_mod];
        let tree = version
            .tree
            .as_ref()
            .and_then(|tree| tree.measure)
            .unwrap_or_default();
        pieces
            .into_iter()
            .flatten()
            .map(|piece| piece.bytes)
            .sum::<u64>()
            + tree.bytes
    };
    let (mut found, mut all) = (Toolchains::default(), 0);
    for version in &cache.versions {
        all += bytes(version);
        if version.kind == VersionKind::Toolchain {
            found.bytes += bytes(version);
            let name = version.id.version.trim_start_matches("v0.0.1-");
            found.names.push(name.to_owned());
        }
    }
    found.of_bytes = all
        + cache
            .vcs
            .iter()
            .map(|clone| clone.measure.bytes)
            .sum::<u64>();
    found
}

/// Whether Go would make folders in a build cache before it builds
/// (`cmd/go/internal/cache/cache.go:Open`).
fn lacks_folders(path: &Path) -> bool {
    let looks_like_one = path.join("00").is_dir() || path.join("README").is_file();
    let empty = || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    (looks_like_one || empty())
        && (0..=0xff_u32).any(|shard| !path.join(format!("{shard:02x}")).is_dir())
}

/// Bytes of an average version with its source.
fn version_bytes(cache: &ModCache) -> Option<u64> {
    let with_source = cache
        .versions
        .iter()
        .filter(|version| version.kind == VersionKind::Module && version.has_source());
    let sizes: Vec<u64> = with_source
        .map(|version| version.download_bytes() + version.tree_bytes())
        .collect();
    sizes.iter().sum::<u64>().checked_div(sizes.len() as u64)
}

/// Outputs whose heads are read in search of what tests read.
const MAX_LOGS: usize = 20_000;

/// Longest output that is taken for what a test read.
const MAX_LOG_BYTES: u64 = 1 << 20;

/// Tests that read files of their own module, and when the last of them ran:
/// what Go logs of a test names those files by paths from the package's folder.
fn tests_with_files(cache: &BuildCache) -> Option<(usize, DateTime<Utc>)> {
    let made: BTreeMap<OutputId, i64> = cache
        .actions
        .iter()
        .filter_map(|action| Some((action.entry?.output, action.entry?.time_nanos)))
        .collect();
    let small = cache
        .outputs
        .iter()
        .filter(|output| !output.executable && output.bytes <= MAX_LOG_BYTES);
    let root = Folder::open(&cache.root).ok()?;
    let mut found = (0, i64::MIN);
    for output in small.take(MAX_LOGS) {
        if let Some(&time) = made.get(&output.id)
            && let Ok(Some(log)) = test_log(&root, output.id)
            && names_own_files(&log)
        {
            found = (found.0 + 1, found.1.max(time));
        }
    }
    (found.0 > 0).then(|| (found.0, DateTime::from_timestamp_nanos(found.1)))
}

/// What Go logged of a test, if an output is that.
fn test_log(root: &Folder, id: OutputId) -> io::Result<Option<String>> {
    let name = format!("{id}-d");
    let mut file = root.folder(id.shard().as_ref())?.file(name.as_ref())?;
    let mut bytes = Vec::new();
    (&mut file).take(11).read_to_end(&mut bytes)?;
    if output_kind(&bytes, &bytes) != OutputKind::TestLog {
        return Ok(None);
    }
    file.take(MAX_LOG_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn names_own_files(log: &str) -> bool {
    let names = log.lines().filter_map(|line| line.split_once(' '));
    let mut files = names.filter(|(what, _)| matches!(*what, "open" | "stat"));
    files.any(|(_, name)| Path::new(name).is_relative())
}

/// Files and folders of a project that are looked at.
const MAX_WALKED: usize = 50_000;

/// Looks below the projects: at the times of their sources, and for modules
/// that are not among them.
fn walk_projects(projects: &[Project], caches: &[PathBuf], sites: &mut [ProjectSite]) {
    let counted: BTreeSet<PathBuf> = projects.iter().map(|project| real(&project.dir)).collect();
    for site in sites {
        let (mut times, mut uncounted) = (Times::default(), Vec::new());
        let skipped = |entry: &walkdir::DirEntry| {
            let name = entry.file_name().to_string_lossy();
            entry.file_type().is_dir()
                && entry.depth() > 0
                && (name.starts_with(['.', '_'])
                    || ["vendor", "node_modules", "testdata"].contains(&&*name)
                    || caches.iter().any(|cache| cache == entry.path()))
        };
        let mut walk = walkdir::WalkDir::new(&site.dir).into_iter();
        let mut left = MAX_WALKED;
        while let Some(entry) = walk.next() {
            left -= 1;
            if left == 0 {
                break;
            }
            let Ok(entry) = entry else { continue };
            let path = entry.path();
            if skipped(&entry) {
                walk.skip_current_dir();
            } else if entry.depth() > 0
                && entry.file_type().is_dir()
                && path.join("go.mod").is_file()
            {
                if !counted.contains(path) {
                    uncounted.push(path.to_owned());
                }
                walk.skip_current_dir(); // another module
            } else if entry.file_type().is_file()
                && path.extension().is_some_and(|ending| ending == "go")
                && let Ok(metadata) = entry.metadata()
            {
                times.add(&metadata);
            }
        }
        uncounted.sort();
        site.uncounted = uncounted;
        site.sources = times.told();
    }
}

/// The times of some files.
#[derive(Default)]
struct Times {
    files: usize,
    span: Option<(SystemTime, SystemTime)>,
    were_set: bool,
}

impl Times {
    fn add(&mut self, metadata: &fs::Metadata) {
        let Ok(time) = metadata.modified() else {
            return;
        };
        let (oldest, newest) = self.span.unwrap_or((time, time));
        let set = was_set(metadata);
        self.were_set = set && (self.files == 0 || self.were_set);
        self.span = Some((oldest.min(time), newest.max(time)));
        self.files += 1;
    }

    fn told(self) -> Option<SourceTimes> {
        let (oldest, newest) = self.span?;
        Some(SourceTimes {
            files: self.files,
            oldest: oldest.into(),
            newest: newest.into(),
            were_set: self.were_set,
        })
    }
}

/// Whether a file's time was set to a whole second: by writing alone it is that
/// of its last change, and what a copy keeps has a fraction.
#[cfg(unix)]
fn was_set(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.mtime_nsec() == 0 && metadata.ctime().abs_diff(metadata.mtime()) > 2
}

#[cfg(not(unix))]
fn was_set(_: &fs::Metadata) -> bool {
    false // the file systems there may keep whole seconds only
}

fn project_site(
    project: &Project,
    sites: &[PathBuf],
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
    let mut site = ProjectSite {
        module: project.module.clone(),
        required: required
            .filter(|module| !replaced.contains(module.path.as_str()))
            .collect(),
        toolchains: project.toolchains.clone(),
        ignored_by_go: file.ignore.clone(),
        sum_lines: modcache.and_then(|modcache| sum_lines(project, modcache)),
        seen_by_git: Vec::new(),
        sources: None,
        uncounted: Vec::new(),
        to_download: to_download(project, cached),
        dir,
    };
    let inside = sites
        .iter()
        .filter(|path| path.starts_with(&site.dir) && **path != site.dir);
    site.seen_by_git = inside.filter(|path| seen_by_git(path)).cloned().collect();
    site
}

/// Versions that go.sum lists with their source and that are not cached.
fn to_download(project: &Project, cached: &BTreeSet<ModuleVersion>) -> usize {
    if project.vendored {
        return 0;
    }
    let sums = listed(project.go_sum.iter());
    let missing = sums.zips.keys().filter(|module| !cached.contains(module));
    missing.count()
}

/// Is the folder in a git work tree, and not ignored?
fn seen_by_git(folder: &Path) -> bool {
    let Some(root) = folder
        .ancestors()
        .skip(1)
        .find(|dir| dir.join(".git").exists())
    else {
        return false;
    };
    let mut files = Vec::new();
    let mut add = |file: &Path, from: &Path| {
        let below = folder.strip_prefix(from).ok().and_then(Path::to_str);
        if let (Some(text), Some(below)) = (read_text(file), below) {
            files.push((text, below.replace(std::path::MAIN_SEPARATOR, "/")));
        }
    };
    add(&root.join(".git/info/exclude"), root);
    let mut way: Vec<&Path> = folder
        .ancestors()
        .skip(1)
        .take_while(|dir| dir.starts_with(root))
        .collect();
    way.reverse();
    for dir in way {
        add(&dir.join(".gitignore"), dir);
    }
    !vcs_ignore::ignores(&files)
}

/// How a project's go.sum fits the graph. Not told for vendored projects, which
/// do not use it to build. What a member of a workspace lacks is the matter of
/// its workspace, where all members' sums count.
fn sum_lines(project: &Project, modcache: &Path) -> Option<SumLines> {
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
fn workspaces(projects: &[Project], modcache: &Path) -> Vec<WorkspaceSite> {
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
    let project = graph::Project::read(file).ok()?;
    graph::load(&project, &graph::ModCache::new(modcache)).ok()
}

/// The lines of several go.sum files.
fn listed<'a>(files: impl Iterator<Item = &'a GoSumFile>) -> GoSum {
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

/// A text file of moderate length; bytes that are not UTF-8 are replaced.
fn read_text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    ordinary::open(path)
        .ok()?
        .take(MAX_TEXT)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether the folder is also there under its name in the other letter case.
fn folds_case(path: &Path) -> Option<bool> {
    let name = path.file_name()?.to_str()?;
    let swap = |c: char| {
        if c.is_ascii_lowercase() {
            c.to_ascii_uppercase()
        } else {
            c.to_ascii_lowercase()
        }
    };
    let other: String = name.chars().map(swap).collect();
    if other == name {
        return None;
    }
    let names: BTreeSet<_> = fs::read_dir(path.parent()?)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    let other = std::ffi::OsString::from(other);
    // Were it listed, it would be a folder of its own.
    Some(!names.contains(&other) && path.with_file_name(other).exists())
}

/// Who owns the cache and who this is. Where another user owns a folder in it,
/// that is who is told.
#[cfg(unix)]
fn owner_and_user(path: &Path) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::geteuid().as_raw();
    let own = fs::metadata(path).ok()?.uid();
    let below = fs::read_dir(path).ok().into_iter().flatten().flatten();
    let mut owners = below
        .take(MAX_FOLDERS)
        .filter_map(|entry| Some(entry.metadata().ok()?.uid()));
    let foreign = owners.find(|&owner| owner != user);
    let owner = if own == user {
        foreign.unwrap_or(own)
    } else {
        own
    };
    Some((owner, user))
}

/// Entries of a cache's top folder whose owner is asked for: a build cache has
/// 256 folders and some files.
#[cfg(unix)]
const MAX_FOLDERS: usize = 300;

#[cfg(not(unix))]
fn owner_and_user(_: &Path) -> Option<(u32, u32)> {
    None
}

#[cfg(unix)]
fn writable(path: &Path) -> Option<bool> {
    use rustix::fs::{Access, access};
    match access(path, Access::WRITE_OK) {
        Ok(()) => Some(true),
        Err(rustix::io::Errno::ACCESS | rustix::io::Errno::ROFS) => Some(false),
        Err(_) => None,
    }
}

#[cfg(not(unix))]
fn writable(_: &Path) -> Option<bool> {
    None
}

#[cfg(unix)]
fn read_only(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(path, Access::WRITE_OK) == Err(rustix::io::Errno::ROFS)
}

#[cfg(not(unix))]
fn read_only(_: &Path) -> bool {
    false
}

#[cfg(unix)]
fn space(path: &Path) -> Option<super::Space> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(super::Space {
        bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        files: stat.f_files,
        free_files: stat.f_favail,
    })
}

#[cfg(not(unix))]
fn space(_: &Path) -> Option<super::Space> {
    None
}
