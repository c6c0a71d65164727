//! What keeps it from being known all that a project needs. Nothing of the
//! module cache goes for being unused then.

use super::Project;
use crate::findings::display_path;
use crate::formats::goenv::split_quoted;
use crate::formats::gomod::{GoMod, Replacement};
use crate::formats::module::ModuleVersion;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// Why what a project needs cannot be read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// It requires modules and has no go.sum.
    NoGoSum,
    /// Its go.sum has no line of so many modules that it requires; the first.
    NoLine(usize, String),
    /// `GOFLAGS` has Go read this file and its go.sum instead.
    OtherModfile(String),
    /// A file or a folder could not be read, and why.
    Unread(String),
    /// More files lie below the folder than are looked at.
    TooMuch(usize),
}

impl Gap {
    /// Whether it is the go.sum alone that does not say all.
    pub fn is_of_go_sum(&self) -> bool {
        matches!(self, Gap::NoGoSum | Gap::NoLine(..))
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gap::NoGoSum => f.write_str(
                "it requires modules and has no go.sum (run `go mod tidy` and commit it)",
            ),
            Gap::NoLine(count, first) => write!(
                f,
                "its go.sum has no line of {count} modules that it requires, such as {first} (run `go mod tidy`)"
            ),
            Gap::OtherModfile(path) => {
                write!(
                    f,
                    "GOFLAGS has Go read {path} in place of its go.mod and go.sum"
                )
            }
            Gap::Unread(why) => f.write_str(why),
            Gap::TooMuch(limit) => write!(
                f,
                "it holds more than {limit} files, and modules among the others were not counted (name the folders that count with --projects-under)"
            ),
        }
    }
}

/// A folder that is a project, or may hold some, and was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The folder.
    pub dir: PathBuf,
    /// Why not.
    pub gap: Gap,
}

/// Notes of each project whether its go.sum files speak of all that it
/// requires.
pub(super) fn find(projects: &mut [Project], goflags: &OsStr) {
    let modfile = modfile(&goflags.to_string_lossy());
    let groups = Groups::of(projects);
    for project in projects.iter_mut() {
        let by_flag = modfile.clone().map(Gap::OtherModfile);
        let gap = by_flag.or_else(|| groups.gap(project));
        project.gap = project.gap.take().or(gap);
    }
}

/// The go.mod that `-modfile` in `GOFLAGS` names.
fn modfile(goflags: &str) -> Option<String> {
    let flags = split_quoted(goflags).unwrap_or_default();
    let named = flags.iter().rev().find_map(|flag| {
        let flag = flag.strip_prefix("--").or(flag.strip_prefix('-'))?;
        flag.strip_prefix("modfile=")
    })?;
    Some(display_path(Path::new(named))).filter(|name| !name.is_empty())
}

/// What the modules that are built together have in common, by their
/// workspace's go.work or by their own folder.
struct Groups(BTreeMap<PathBuf, Group>);

#[derive(Default)]
struct Group {
    /// Versions of which a go.sum line speaks.
    told: HashSet<ModuleVersion>,
    /// The modules that are worked on: no version of them is needed.
    mains: HashSet<String>,
    /// Their go.mod files, and what go.work replaces.
    files: Vec<GoMod>,
}

impl Groups {
    fn of(projects: &[Project]) -> Groups {
        let mut groups: BTreeMap<PathBuf, Group> = BTreeMap::new();
        for project in projects {
            let is_new = !groups.contains_key(project.built_by());
            let group = groups.entry(project.built_by().to_owned()).or_default();
            for file in &project.go_sum {
                group.told.extend(file.sums.modules().cloned());
            }
            group.mains.extend(project.module.clone());
            group.files.push(project.go_mod.clone());
            let workspace = project.workspace.as_ref().filter(|_| is_new);
            group.files.extend(workspace.map(|workspace| GoMod {
                replace: workspace.go_work.replace.clone(),
                ..GoMod::default()
            }));
        }
        Groups(groups)
    }

    fn gap(&self, project: &Project) -> Option<Gap> {
        // Builds that read `vendor` read no go.sum and no module cache.
        if project.vendored {
            return None;
        }
        let group = self.0.get(project.built_by())?;
        let required = project.go_mod.require.iter().map(|require| &require.module);
        let mut untold = required
            .filter(|module| !group.mains.contains(&module.path))
            .filter(|module| !group.files.iter().any(|file| file.exclude.contains(module)))
            .filter_map(|module| group.stands_for(module))
            .filter(|module| !group.told.contains(module));
        let first = untold.next()?;
        Some(match group.told.is_empty() {
            true => Gap::NoGoSum,
            false => Gap::NoLine(1 + untold.count(), first.to_string()),
        })
    }
}

impl Group {
    /// The version that is downloaded for a required one; none for a folder.
    fn stands_for<'a>(&'a self, module: &'a ModuleVersion) -> Option<&'a ModuleVersion> {
        let replaces = || self.files.iter().flat_map(|file| &file.replace);
        let mut of_path = replaces().filter(|replace| replace.path == module.path);
        let exact = |version: &Option<String>| version.as_ref() == Some(&module.version);
        let with = replaces()
            .filter(|replace| replace.path == module.path)
            .find(|replace| exact(&replace.version))
            .or_else(|| of_path.find(|replace| replace.version.is_none()));
        match with.map(|replace| &replace.with) {
            None => Some(module),
            Some(Replacement::Module(other)) => Some(other),
            Some(Replacement::Dir(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::gosum::GoSum;
    use crate::formats::{gomod, gowork};
    use crate::locate::GoSumFile;
    use crate::locate::projects::Workspace;

    const HASH: &str = "h1:GEKxXSrtTkxzN5ejVHWXmZo/IEJSdyJPSaDQ9JZP3bk=";

    fn project(go_mod: &str, told: &[&str]) -> Project {
        let lines: String = told.iter().map(|of| format!("{of} {HASH}\n")).collect();
        let sums = GoSumFile {
            path: "/p/go.sum".into(),
            sums: GoSum::parse(lines.as_bytes()).unwrap(),
            bytes: lines.into(),
        };
        Project {
            dir: "/p".into(),
            module: gomod::parse(go_mod.as_bytes()).unwrap().module,
            go_mod: gomod::parse(go_mod.as_bytes()).unwrap(),
            go_sum: Some(sums)
                .filter(|_| !told.is_empty())
                .into_iter()
                .collect(),
            ..Project::default()
        }
    }

    fn gap_of(project: Project, goflags: &str) -> Option<String> {
        let mut projects = [project];
        find(&mut projects, goflags.as_ref());
        let [project] = projects;
        project.gap.map(|gap| gap.to_string())
    }

    #[test]
    fn every_required_version_needs_a_line() {
        let requires = "module m\nrequire (\n\ta.b/c v1.0.0\n\ta.b/d v1.1.0 // indirect\n)\n";
        for (more, told, gap) in [
            ("", &[][..], "no go.sum"),
            (
                "",
                &["a.b/c v1.0.0"],
                "no line of 1 modules that it requires, such as a.b/d@v1.1.0",
            ),
            ("", &["a.b/c v1.0.0/go.mod", "a.b/x v1.0.0"], "a.b/d@v1.1.0"),
            ("", &["a.b/c v1.0.0", "a.b/d v1.1.0/go.mod"], ""),
            ("replace a.b/d => ../d\n", &["a.b/c v1.0.0"], ""),
            (
                "replace a.b/d v1.0.9 => ../d\n",
                &["a.b/c v1.0.0"],
                "a.b/d@v1.1.0",
            ),
            (
                "replace a.b/d => ../d\nreplace a.b/d v1.1.0 => a.b/e v1.0.0\n",
                &["a.b/c v1.0.0"],
                "a.b/e@v1.0.0",
            ),
            ("exclude a.b/d v1.1.0\n", &["a.b/c v1.0.0"], ""),
        ] {
            let found = gap_of(project(&format!("{requires}{more}"), told), "").unwrap_or_default();
            assert!(
                found.contains(gap) && gap.is_empty() == found.is_empty(),
                "{more}: {found}"
            );
        }
        assert_eq!(gap_of(project("module m\n", &[]), ""), None);
        let vendored = Project {
            vendored: true,
            ..project(requires, &[])
        };
        assert_eq!(gap_of(vendored, ""), None);
    }

    #[test]
    fn members_of_a_workspace_speak_for_each_other() {
        let workspace = Workspace {
            path: "/w/go.work".into(),
            go_work: gowork::parse(b"go 1.24\nuse ./a\nuse ./b\nreplace a.b/r => ./r\n").unwrap(),
            members: vec!["/w/a".into(), "/w/b".into()],
        };
        let member = |go_mod: &str, told: &[&str]| Project {
            workspace: Some(workspace.clone()),
            ..project(go_mod, told)
        };
        let mut projects = [
            member(
                "module m/a\nrequire (\n\tm/b v0.0.0\n\ta.b/c v1.0.0\n\ta.b/r v1.0.0\n)\n",
                &[],
            ),
            member("module m/b\n", &["a.b/c v1.0.0/go.mod"]),
        ];
        find(&mut projects, OsStr::new("-mod=mod"));
        assert!(projects.iter().all(|project| project.gap.is_none()));
    }

    #[test]
    fn another_modfile_is_named() {
        for (goflags, gap) in [
            ("-trimpath -modfile=/w/ci.mod", true),
            ("'--modfile=a b.mod'", true),
            ("-modfile=", false),
            ("-mod=mod", false),
        ] {
            let found = gap_of(project("module m\n", &[]), goflags);
            assert_eq!(found.is_some(), gap, "{goflags}: {found:?}");
        }
    }
}
