//! A project: its main modules and what their files say about the graph as a whole.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::folder::ordinary;
use crate::formats::gomod::{self, GoMod, MAX_BYTES, ParseError, Replacement};
use crate::formats::gowork::{self, GoWork};
use crate::formats::module::ModuleVersion;
use crate::settings::clean;

/// A module that is being worked on, or the members of a workspace.
#[derive(Debug)]
pub struct MainModules {
    mains: Vec<Main>,
    work: Option<GoWork>,
    /// By path, and by version where only that is replaced.
    replacements: HashMap<(String, Option<String>), Substitute>,
    excluded: HashSet<ModuleVersion>,
}

/// A main module.
#[derive(Clone, Debug)]
pub struct Main {
    /// The module's path.
    pub path: String,
    /// The folder of its `go.mod`.
    pub dir: PathBuf,
    /// What its `go.mod` says.
    pub file: GoMod,
}

/// A replacement, and the folder it leads to if it leads to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Substitute {
    pub(super) with: Replacement,
    pub(super) dir: Option<PathBuf>,
}

/// Why a project's own files make no project.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// A file could not be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is malformed.
    #[error("{}: {error}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: ParseError,
    },
    /// A `go.mod` does not name its module, or gives it a reserved name.
    #[error("{}: no usable module line", .0.display())]
    NoModule(PathBuf),
    /// Two members of a workspace are the same module.
    #[error("module {0} appears more than once in the workspace")]
    TwiceInWorkspace(String),
    /// Two replacements for one module contradict each other.
    #[error("conflicting replacements for module {0}")]
    Conflict(String),
}

impl MainModules {
    /// A single module from its folder and its `go.mod`.
    pub fn module(dir: PathBuf, file: GoMod) -> Result<Self, ProjectError> {
        Self::new(vec![(dir, file)], None)
    }

    /// A workspace from the folder of its `go.work`, that file, and the folder and `go.mod` of each
    /// member that it uses.
    pub fn workspace(
        dir: &Path,
        work: GoWork,
        members: Vec<(PathBuf, GoMod)>,
    ) -> Result<Self, ProjectError> {
        Self::new(members, Some((dir, work)))
    }

    /// Reads a project from its `go.mod`, or from its `go.work` and the members' `go.mod` files.
    pub fn read(path: &Path) -> Result<Self, ProjectError> {
        let dir = path.parent().unwrap_or(Path::new("")).to_owned();
        if path.extension().is_none_or(|extension| extension != "work") {
            return Self::module(dir, parsed(path, gomod::parse)?);
        }
        let work = parsed(path, gowork::parse)?;
        let members = work.uses.iter().map(|member| {
            let dir = clean(&dir.join(member));
            let file = parsed(&dir.join("go.mod"), gomod::parse)?;
            Ok((dir, file))
        });
        let members = members.collect::<Result<_, _>>()?;
        Self::workspace(&dir, work, members)
    }

    /// The main modules: one, or the members of the workspace in the order of its `go.work`.
    pub fn mains(&self) -> &[Main] {
        &self.mains
    }

    /// The `go.work` file's content, if this is a workspace.
    pub fn work(&self) -> Option<&GoWork> {
        self.work.as_ref()
    }

    /// What stands in for a required module version.
    pub fn replacement(&self, module: &ModuleVersion) -> Option<&Replacement> {
        self.substitute(module).map(|substitute| &substitute.with)
    }

    pub(super) fn substitute(&self, module: &ModuleVersion) -> Option<&Substitute> {
        if module.version.is_empty() {
            return None;
        }
        let key = |version| (module.path.clone(), version);
        let exact = self.replacements.get(&key(Some(module.version.clone())));
        exact.or_else(|| self.replacements.get(&key(None)))
    }

    pub(super) fn excludes(&self, module: &ModuleVersion) -> bool {
        self.excluded.contains(module)
    }

    fn new(
        files: Vec<(PathBuf, GoMod)>,
        work: Option<(&Path, GoWork)>,
    ) -> Result<Self, ProjectError> {
        let mut mains: Vec<Main> = Vec::with_capacity(files.len());
        let mut paths = HashSet::new();
        for (dir, file) in files {
            let named = file.module.as_ref().filter(|path| !is_pseudo(path));
            let Some(path) = named.filter(|path| !path.is_empty()).cloned() else {
                return Err(ProjectError::NoModule(dir.join("go.mod")));
            };
            if !paths.insert(path.clone()) {
                return Err(ProjectError::TwiceInWorkspace(path));
            }
            mains.push(Main { path, dir, file });
        }
        let mut replacements = HashMap::new();
        let mut ruled_by_work = HashSet::new();
        if let Some((dir, work)) = &work {
            for replace in &work.replace {
                ruled_by_work.insert(replace.path.clone());
                add_replacement(&mut replacements, dir, replace)?;
            }
        }
        for main in &mains {
            let rest = main
                .file
                .replace
                .iter()
                .filter(|r| !ruled_by_work.contains(&r.path));
            for replace in rest {
                add_replacement(&mut replacements, &main.dir, replace)?;
            }
        }
        let excluded = mains
            .iter()
            .flat_map(|main| main.file.exclude.iter().cloned())
            .collect();
        Ok(Self {
            mains,
            work: work.map(|(_, work)| work),
            replacements,
            excluded,
        })
    }
}

/// Whether a path is that of `go` or `toolchain`, which stand for the versions of Go itself.
pub(super) fn is_pseudo(path: &str) -> bool {
    matches!(path, "go" | "toolchain")
}

fn add_replacement(
    replacements: &mut HashMap<(String, Option<String>), Substitute>,
    base: &Path,
    replace: &gomod::Replace,
) -> Result<(), ProjectError> {
    let dir = match &replace.with {
        Replacement::Module(_) => None,
        Replacement::Dir(dir) => Some(clean(&base.join(dir))),
    };
    let key = (replace.path.clone(), replace.version.clone());
    let new = Substitute {
        with: replace.with.clone(),
        dir,
    };
    let same = |old: &Substitute| match (&old.dir, &new.dir) {
        (None, None) => old.with == new.with,
        (old, new) => old == new,
    };
    match replacements.get(&key) {
        Some(old) if !same(old) => Err(ProjectError::Conflict(replace.path.clone())),
        Some(_) => Ok(()),
        None => {
            replacements.insert(key, new);
            Ok(())
        }
    }
}

fn parsed<T>(
    path: &Path,
    parse: impl Fn(&[u8]) -> Result<T, ParseError>,
) -> Result<T, ProjectError> {
    let data = ordinary::open(path)
        .and_then(read_limited)
        .map_err(|error| ProjectError::Read {
            path: path.to_owned(),
            error,
        })?;
    parse(&data).map_err(|error| ProjectError::Parse {
        path: path.to_owned(),
        error,
    })
}

/// Reads a `go.mod` or `go.work` file; of one that is too long, one byte too many, which its parser
/// then refuses.
pub(super) fn read_limited(file: File) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut data)?;
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(text: &str) -> GoMod {
        gomod::parse(text.as_bytes()).unwrap()
    }

    fn mv(path: &str, version: &str) -> ModuleVersion {
        ModuleVersion::new(path, version)
    }

    #[test]
    fn the_replacement_of_one_version_goes_before_that_of_all() {
        let file = module("module m\nreplace a => ./all\nreplace a v1.0.0 => b v1.1.0\n");
        let project = MainModules::module("/p".into(), file).unwrap();
        let dir = project.substitute(&mv("a", "v1.0.1")).unwrap().dir.clone();
        assert_eq!(dir.unwrap(), Path::new("/p/all"));
        assert_eq!(
            project.replacement(&mv("a", "v1.0.0")),
            Some(&Replacement::Module(mv("b", "v1.1.0")))
        );
        assert_eq!(project.replacement(&mv("b", "v1.0.0")), None);
    }

    #[test]
    fn a_workspace_rules_over_its_members() {
        let work = gowork::parse(b"use ./x\nuse ./y\nreplace a => ./one\n").unwrap();
        let x = module("module x\nreplace a => ./other\nreplace c => ../c\n");
        let y = module("module y\nreplace c => ../c\n");
        let members = vec![("/w/x".into(), x), ("/w/y".into(), y)];
        let project = MainModules::workspace(Path::new("/w"), work, members).unwrap();
        let dir = |path| {
            project
                .substitute(&mv(path, "v1.0.0"))
                .unwrap()
                .dir
                .clone()
                .unwrap()
        };
        assert_eq!(dir("a"), Path::new("/w/one"));
        assert_eq!(dir("c"), Path::new("/w/c"));
    }

    #[test]
    fn contradictions_are_errors() {
        let conflict = module("module m\nreplace a => ./x\nreplace a => ./y\n");
        let error = MainModules::module("/p".into(), conflict).unwrap_err();
        assert_eq!(error.to_string(), "conflicting replacements for module a");

        let error = MainModules::module("/p".into(), module("go 1.20\n")).unwrap_err();
        assert!(matches!(error, ProjectError::NoModule(_)));
        let error = MainModules::module("/p".into(), module("module go\n")).unwrap_err();
        assert!(matches!(error, ProjectError::NoModule(_)));

        let work = gowork::parse(b"use ./x\nuse ./y\n").unwrap();
        let members = vec![
            ("/w/x".into(), module("module m")),
            ("/w/y".into(), module("module m")),
        ];
        let error = MainModules::workspace(Path::new("/w"), work, members).unwrap_err();
        assert_eq!(
            error.to_string(),
            "module m appears more than once in the workspace"
        );
    }
}
