//! Which modules the builds for some systems reach, from import to import.
//!
//! Source: `cmd/go/internal/modload/{load,import}.go`. Go looks for a package in
//! every module of the build list whose path begins the import path, so that
//! all of these are needed, not only the one that has it.

use super::gather::{Root, Roots};
use super::{Platform, imports};
use crate::formats::module::{ModuleVersion, piece_name};
use crate::verify::each_source;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Packages of a module, by their folder in it: what they import.
type Packages = HashMap<String, Vec<String>>;

/// A graph's build list as far as packages are concerned.
#[derive(Debug, Default)]
pub(super) struct Ground {
    /// The folders of the main modules.
    pub(super) mains: Vec<PathBuf>,
    /// Import paths of tools that they name.
    pub(super) tools: Vec<String>,
    /// By module path: the version whose zip a build may read.
    pub(super) modules: BTreeMap<String, ModuleVersion>,
}

/// The versions that builds and tests of the main modules reach. A zip that is
/// not there, or of no use, reaches nothing; that it is missing is told elsewhere.
pub(super) fn reached(
    ground: &Ground,
    roots: &Roots,
    platforms: &[Platform],
) -> io::Result<BTreeSet<ModuleVersion>> {
    let mut queue: Vec<String> = ground.tools.clone();
    for dir in &ground.mains {
        own_imports(dir, platforms, &mut queue)?;
    }
    let mut seen: HashSet<String> = queue.iter().cloned().collect();
    let mut packages: HashMap<&str, Packages> = HashMap::new();
    let mut reached = BTreeSet::new();
    while let Some(import) = queue.pop() {
        for (path, folder) in prefixes(&import) {
            let Some((path, id)) = ground.modules.get_key_value(path) else {
                continue;
            };
            reached.insert(id.clone());
            let packages = packages
                .entry(path)
                .or_insert_with(|| packages_of(id, roots, platforms));
            for import in packages.get(folder).into_iter().flatten() {
                if seen.insert(import.clone()) {
                    queue.push(import.clone());
                }
            }
        }
    }
    Ok(reached)
}

/// Every module path that may begin an import path, with the folder that is left.
fn prefixes(import: &str) -> impl Iterator<Item = (&str, &str)> {
    let ends = import.match_indices('/').map(|(at, _)| at);
    let parts = ends.filter_map(|at| Some((import.get(..at)?, import.get(at + 1..)?)));
    parts.chain([(import, "")])
}

fn packages_of(id: &ModuleVersion, roots: &Roots, platforms: &[Platform]) -> Packages {
    let mut packages = Packages::new();
    let Ok(name) = piece_name(id, "zip") else {
        return packages;
    };
    let path = Path::new("cache/download").join(name);
    let Ok(file) = roots.open(Root::Modules, &path) else {
        return packages;
    };
    let wanted = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        is_source(name) && !name.ends_with("_test.go") && imports::name_fits(name, platforms)
    };
    // What it could not read it says when the zip is hashed.
    let _ = each_source(id, file, imports::HEAD, wanted, |path, content| {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if let Some(imports) = imports::of(content, platforms) {
            let known = packages.entry(folder.to_owned()).or_default();
            known.extend(imports);
        }
    });
    packages
}

/// Go passes over names that begin like this.
fn is_source(name: &str) -> bool {
    name.ends_with(".go") && !name.starts_with(['_', '.'])
}

/// What a main module's own packages and tests import.
fn own_imports(dir: &Path, platforms: &[Platform], queue: &mut Vec<String>) -> io::Result<()> {
    let mut walk = WalkDir::new(dir).follow_links(false).into_iter();
    while let Some(entry) = walk.next() {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if entry.file_type().is_dir() {
            let passed_over =
                name.starts_with(['_', '.']) || name == "testdata" || name == "vendor";
            let is_other = || entry.path().join("go.mod").exists();
            if entry.depth() > 0 && (passed_over || is_other()) {
                walk.skip_current_dir();
            }
            continue;
        }
        // Links to files are followed, as Go does: they are the project's own.
        if !is_source(&name) || !imports::name_fits(&name, platforms) {
            continue;
        }
        let mut content = Vec::new();
        std::fs::File::open(entry.path())?
            .take(imports::HEAD as u64)
            .read_to_end(&mut content)?;
        queue.extend(imports::of(&content, platforms).into_iter().flatten());
    }
    Ok(())
}
