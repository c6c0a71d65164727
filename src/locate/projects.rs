//! The projects whose builds the caches serve.
//!
//! Source: `cmd/go/internal/modload/init.go` (`FindGoWork`,
//! `findWorkspaceFile`, `findModuleRoot`) and `cmd/go/internal/modfetch`
//! (which go.sum files a workspace reads: each member's and `go.work.sum`).

use super::gap::{self, Gap, Unread};
use super::{expected, go_settings};
use crate::error::CommandError;
use crate::findings::{Finding, Level, Rule, display_path};
use crate::folder::ordinary::read;
use crate::formats::gomod::{self, GoMod};
use crate::formats::gosum::{GoSum, MAX_GO_SUM_BYTES};
use crate::formats::gowork::{self, GoWork};
use crate::settings::{Environment, Options, clean};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// Folders and files that `--projects-under` looks at before it gives up.
const MAX_ENTRIES: usize = 2_000_000;

/// The same where nobody asked for the search.
const MAX_UNASKED: usize = 200_000;

/// How deep a search goes.
const MAX_DEPTH: usize = 64;

/// Folders in which no project of its own is looked for. `@v` holds what a
/// module cache downloaded; one that `go install` filled has no `cache/lock`.
const SKIPPED: [&str; 5] = ["vendor", "node_modules", ".git", "testdata", "@v"];

/// By this file a program says that a folder is a cache
/// (<https://bford.info/cachedir/>), and so no part of a checkout.
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// Where CI checked the sources out.
const WORKSPACES: [&str; 3] = [
    "GITHUB_WORKSPACE",
    "CI_PROJECT_DIR",
    "BUILDKITE_BUILD_CHECKOUT_PATH",
];

/// A module that is worked on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Project {
    /// Its folder.
    pub dir: PathBuf,
    /// The module path its go.mod declares.
    pub module: Option<String>,
    /// Its go.mod.
    pub go_mod: GoMod,
    /// Its go.sum, and its workspace's go.work.sum: those that are there.
    pub go_sum: Vec<GoSumFile>,
    /// Dependencies are in `vendor`, so that builds do not read the module cache.
    pub vendored: bool,
    /// Toolchains that go.mod or go.work names, such as `go1.24.1`.
    pub toolchains: Vec<String>,
    /// The `go` line of its go.mod, such as `1.24.1`.
    pub go: Option<String>,
    /// The workspace it is built in.
    pub workspace: Option<Workspace>,
    /// Why its files do not say all that it needs, if so.
    pub gap: Option<Gap>,
}

impl Project {
    /// What it is built by: its workspace's go.work, or its own folder. Projects
    /// with the same one are built together.
    pub fn built_by(&self) -> &Path {
        match &self.workspace {
            Some(workspace) => &workspace.path,
            None => &self.dir,
        }
    }
}

/// A go.work file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workspace {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub go_work: GoWork,
    /// The members' folders, in the file's order.
    pub members: Vec<PathBuf>,
}

/// A go.sum or go.work.sum file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoSumFile {
    /// The file.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
    /// What it says.
    pub sums: GoSum,
}

/// What a search for projects brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projects {
    /// The projects, those that were asked for first.
    pub list: Vec<Project>,
    /// What is a project, or may hold some, and was not read.
    pub unread: Vec<Unread>,
    /// What was odd about them.
    pub findings: Vec<Finding>,
    /// The folders that were searched.
    pub searched: Vec<PathBuf>,
}

/// Finds the projects: as the options say, else upward from the current folder
/// as Go would; then the other modules of their repositories, whose builds use
/// the same caches, and in CI all those of the workspace. None at all is no
/// error.
///
/// A go.mod, go.work or go.sum that does not parse is an error in a project
/// that was asked for. In others it is a finding, as are files that cannot be
/// read and members that are not there.
pub fn projects(environment: &Environment, options: &Options) -> Result<Projects, CommandError> {
    let caches = match expected(environment, options) {
        Ok((modcache, gocache)) => [modcache.ok(), gocache.ok()],
        Err(_) => [None, None],
    };
    let mut search = Search {
        gowork: gowork_setting(environment)?,
        caches: caches.into_iter().flatten().collect(),
        ..Search::default()
    };
    for dir in &options.projects.project {
        search.named(&environment.resolve(dir))?;
    }
    let mut tops = Vec::new();
    if options.projects.projects_under.is_empty() {
        if options.projects.project.is_empty() {
            search.upward(&environment.cwd)?;
            tops.extend(workspace_of_ci(environment));
        }
        let found = search.found.list.iter().map(|project| &project.dir);
        let found = found.chain(search.found.unread.iter().map(|unread| &unread.dir));
        tops.extend(found.filter_map(|dir| repository_of(dir)));
    }
    for dir in &options.projects.projects_under {
        search.under(&environment.resolve(dir))?;
    }
    // Not all that a home folder holds belongs to the project.
    let home = ["HOME", "USERPROFILE"].map(|name| environment.var(name).map(PathBuf::from));
    tops.retain(|top| top.parent().is_some() && !home.contains(&Some(top.clone())));
    tops.sort();
    tops.dedup_by(|inner, outer| inner.starts_with(outer));
    for top in tops {
        search.around(&top);
    }
    let mut found = search.found;
    gap::find(&mut found.list, &go_settings(environment).get("GOFLAGS").0);
    Ok(found)
}

/// What `GOWORK` asks for.
#[derive(Default)]
enum GoWorkSetting {
    #[default]
    Search,
    Off,
    File(PathBuf),
}

fn gowork_setting(environment: &Environment) -> Result<GoWorkSetting, CommandError> {
    let (value, _) = go_settings(environment).get("GOWORK");
    if value.is_empty() || value == "auto" {
        return Ok(GoWorkSetting::Search);
    }
    if value == "off" {
        return Ok(GoWorkSetting::Off);
    }
    if !environment.is_absolute(&value) {
        let path = display_path(Path::new(&value));
        return Err(CommandError::input("GOWORK")(format!(
            "not an absolute path: {path}"
        )));
    }
    Ok(GoWorkSetting::File(clean(Path::new(&value))))
}

/// In CI, the folder that the sources were checked out to.
fn workspace_of_ci(environment: &Environment) -> Option<PathBuf> {
    environment
        .var("CI")
        .filter(|value| *value != "false" && *value != "0")?;
    let named = WORKSPACES.iter().filter_map(|name| environment.var(name));
    let mut named = named.map(|value| environment.resolve(value.as_ref()));
    let around = named.find(|top| environment.cwd.starts_with(top));
    Some(around.unwrap_or_else(|| environment.cwd.clone()))
}

/// The top of the repository that a folder is checked out in. What lies in a
/// folder that is marked as a cache is no part of the checkout around that.
fn repository_of(dir: &Path) -> Option<PathBuf> {
    // In a work tree or a submodule it is a file.
    let is_top = |folder: &Path| folder.join(".git").exists();
    let top = dir.ancestors().find(|dir| is_top(dir) || is_cache(dir))?;
    is_top(top).then(|| top.to_owned())
}

/// Whether a folder is marked as a cache, or is a module cache or a module
/// version in one: the go.mod files in it are no projects. A cache that only
/// `go install` filled has no `cache/lock`.
fn is_cache(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    name.is_some_and(is_extracted)
        || folder.join(CACHE_TAG).is_file()
        || folder.join("cache/lock").is_file() && folder.join("cache/download").is_dir()
}

/// Whether a name is that of an extracted module version, such as `uuid@v1.6.0`.
fn is_extracted(name: &str) -> bool {
    let version = name.split_once("@v").map(|(_, version)| version);
    version.is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
}

#[derive(Default)]
struct Search {
    gowork: GoWorkSetting,
    /// The caches' folders, which may lie in a checkout.
    caches: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
    found: Projects,
}

impl Search {
    /// A folder that has to be a project, or a workspace with all its members.
    fn named(&mut self, dir: &Path) -> Result<(), CommandError> {
        let workspace = self.workspace_of(dir)?;
        let top = workspace
            .as_ref()
            .filter(|workspace| workspace.path.parent() == Some(dir));
        if let Some(workspace) = top {
            self.members(workspace)?;
        }
        if is_there(&dir.join("go.mod")) {
            self.add(dir, workspace.as_ref())
        } else if top.is_some() {
            Ok(())
        } else {
            Err(invalid(
                dir,
                "there is neither a go.mod nor a go.work in this folder",
            ))
        }
    }

    /// As Go: the workspace around the current folder, else the module.
    fn upward(&mut self, cwd: &Path) -> Result<(), CommandError> {
        if let Some(workspace) = self.workspace_of(cwd)? {
            return self.members(&workspace);
        }
        match cwd.ancestors().find(|dir| is_there(&dir.join("go.mod"))) {
            Some(dir) => self.add(dir, None),
            None => Ok(()),
        }
    }

    /// Every folder below `top` that has a go.mod.
    fn under(&mut self, top: &Path) -> Result<(), CommandError> {
        if !top.is_dir() {
            return Err(invalid(top, "is not a folder"));
        }
        let whole = self.search(top, MAX_ENTRIES, Level::Deny);
        whole.then_some(()).ok_or_else(|| {
            let message =
                format!("holds more than {MAX_ENTRIES} files; name the projects one by one");
            invalid(top, &message)
        })
    }

    /// The same where nobody asked for it.
    fn around(&mut self, top: &Path) {
        // What cannot be read there has to stop nobody.
        if !self.search(top, MAX_UNASKED, Level::Note) {
            self.unread(top, Gap::TooMuch(MAX_UNASKED));
        }
    }

    /// Returns whether all of it was looked at. `level` is for folders that
    /// cannot be read.
    fn search(&mut self, top: &Path, limit: usize, level: Level) -> bool {
        self.found.searched.push(top.to_owned());
        let caches = std::mem::take(&mut self.caches);
        let is_looked_at = |entry: &DirEntry| {
            entry.depth() == 0
                || !entry.file_type().is_dir()
                || !(SKIPPED.iter().any(|name| entry.file_name() == *name)
                    || caches.iter().any(|cache| cache == entry.path())
                    || is_cache(entry.path()))
        };
        let walk = WalkDir::new(top).max_depth(MAX_DEPTH).into_iter();
        let mut found = Vec::new();
        let mut whole = true;
        for (count, entry) in walk.filter_entry(is_looked_at).enumerate() {
            if count == limit {
                whole = false;
                break;
            }
            match entry {
                Ok(entry) if entry.file_name() == "go.mod" && !entry.file_type().is_dir() => {
                    found.extend(entry.path().parent().map(Path::to_owned));
                }
                Ok(_) => {}
                Err(error) => {
                    let path = error.path().unwrap_or(top).to_owned();
                    let why = error.to_string();
                    self.unreadable(&path, &why, level);
                    self.unread(&path, Gap::Unread(why));
                }
            }
        }
        self.caches = caches;
        found.sort();
        for dir in found {
            let added = match self.workspace_of(&dir) {
                Ok(workspace) => self.add(&dir, workspace.as_ref()),
                Err(error) => Err(error),
            };
            if let Err(error) = added {
                let why = error.text();
                let message = format!("this project was left out: {why}");
                self.tell(Finding::new(Rule::ProjectFile, display_path(&dir), message).at(&dir));
                self.unread(&dir, Gap::Unread(why));
            }
        }
        whole
    }

    fn members(&mut self, workspace: &Workspace) -> Result<(), CommandError> {
        for dir in &workspace.members {
            if is_there(&dir.join("go.mod")) {
                self.add(dir, Some(workspace))?;
            } else {
                let file = display_path(&workspace.path);
                let why = format!("{file} lists it, but there is no go.mod in it");
                self.unreadable(dir, &why, Level::Deny);
                self.unread(dir, Gap::Unread(why));
            }
        }
        Ok(())
    }

    fn unread(&mut self, dir: &Path, gap: Gap) {
        let unread = Unread {
            dir: dir.to_owned(),
            gap,
        };
        if !self.found.unread.contains(&unread) {
            self.found.unread.push(unread);
        }
    }

    fn unreadable(&mut self, path: &Path, why: &str, level: Level) {
        let message = format!("a project could not be read: {why}");
        let mut finding = Finding::new(Rule::Unreadable, display_path(path), message)
            .at(path)
            .advise("What this project needs is unknown: check it out whole, or leave it out.");
        finding.level = level;
        self.tell(finding);
    }

    fn tell(&mut self, finding: Finding) {
        if !self.found.findings.contains(&finding) {
            self.found.findings.push(finding);
        }
    }

    /// A file of a project; `None` if it is not there. What cannot be read
    /// becomes a finding.
    fn file(&mut self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Gap> {
        let content = self.try_file(path, limit);
        content.map_err(|error| {
            let why = error.text();
            self.unreadable(path, &why, Level::Deny);
            Gap::Unread(format!("{} {why}", display_path(path)))
        })
    }

    /// Go follows a link, so it is followed here too, but not out of the
    /// repository: whoever can open a pull request can make one.
    fn try_file(&mut self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, CommandError> {
        let unread = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                CommandError::Work(error.into())
            }
            _ => CommandError::failed("cannot be read")(error),
        };
        let about = match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // Go looks for a file, and further up.
            Ok(about) if about.is_dir() => return Ok(None),
            about => about.map_err(unread)?,
        };
        if !about.is_symlink() {
            return read(path, limit).map(Some).map_err(unread);
        }
        let real = std::fs::canonicalize(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CommandError::Work("is a link that leads nowhere".into()),
            _ => CommandError::failed("is a link that cannot be followed")(error),
        })?;
        let shown = display_path(&real);
        let dir = path.parent().unwrap_or(Path::new("/"));
        let around = repository_of(dir).unwrap_or_else(|| dir.to_owned());
        let around = std::fs::canonicalize(around).map_err(unread)?;
        if !real.starts_with(&around) {
            let around = display_path(&around);
            let why = format!("is a link to {shown}, outside of {around}, and is not followed");
            return Err(CommandError::Work(why.into()));
        }
        let content = read(&real, limit).map_err(|error| {
            let why = unread(error).text();
            CommandError::Work(format!("is a link to {shown}, which {why}").into())
        })?;
        let message = format!("is a link to {shown}; Go reads that instead");
        self.tell(Finding::new(Rule::ProjectFile, display_path(path), message).at(path));
        Ok(Some(content))
    }

    fn add(&mut self, dir: &Path, workspace: Option<&Workspace>) -> Result<(), CommandError> {
        if !self.seen.insert(dir.to_owned()) {
            return Ok(());
        }
        // Go leaves workspace mode for a module that the workspace does not use.
        let workspace =
            workspace.filter(|workspace| workspace.members.iter().any(|member| member == dir));
        let path = dir.join("go.mod");
        let go_mod = match self.file(&path, gomod::MAX_BYTES as u64) {
            Ok(Some(go_mod)) => go_mod,
            Ok(None) => return Ok(()),
            Err(gap) => {
                self.unread(dir, gap);
                return Ok(());
            }
        };
        let parsed = gomod::parse(&go_mod).map_err(CommandError::input(display_path(&path)))?;

        let mut sum_files = vec![dir.join("go.sum")];
        let mut toolchains = named_toolchains(parsed.go.as_deref(), parsed.toolchain.as_deref());
        let mut vendored = is_file(&dir.join("vendor/modules.txt"));
        if let Some(workspace) = workspace {
            let mut sum = workspace.path.clone().into_os_string();
            sum.push(".sum");
            sum_files.push(sum.into());
            let work = &workspace.go_work;
            toolchains.extend(named_toolchains(
                work.go.as_deref(),
                work.toolchain.as_deref(),
            ));
            vendored = workspace
                .path
                .parent()
                .is_some_and(|top| is_file(&top.join("vendor/modules.txt")));
        }
        let (mut go_sum, mut gap) = (Vec::new(), None);
        for path in sum_files {
            match self.file(&path, MAX_GO_SUM_BYTES) {
                Ok(Some(bytes)) => {
                    let sums =
                        GoSum::parse(&bytes).map_err(CommandError::input(display_path(&path)))?;
                    go_sum.push(GoSumFile { path, bytes, sums });
                }
                Ok(None) => {}
                Err(unread) => gap = Some(unread),
            }
        }
        toolchains.sort();
        toolchains.dedup();
        self.found.list.push(Project {
            dir: dir.to_owned(),
            module: parsed.module.clone(),
            go_sum,
            vendored,
            toolchains,
            go: parsed.go.clone(),
            go_mod: parsed,
            workspace: workspace.cloned(),
            gap,
        });
        Ok(())
    }

    /// The workspace that a `go` command in `dir` would work in.
    fn workspace_of(&mut self, dir: &Path) -> Result<Option<Workspace>, CommandError> {
        let path = match &self.gowork {
            GoWorkSetting::Off => return Ok(None),
            GoWorkSetting::File(path) if !is_there(path) => {
                return Err(invalid(path, "GOWORK names it, and there is no such file"));
            }
            GoWorkSetting::File(path) => path.clone(),
            GoWorkSetting::Search => {
                let found = dir
                    .ancestors()
                    .map(|dir| dir.join("go.work"))
                    .find(|file| is_there(file));
                match found {
                    Some(path) => path,
                    None => return Ok(None),
                }
            }
        };
        let top = path.parent().unwrap_or(Path::new("/"));
        let go_work = match self.file(&path, gomod::MAX_BYTES as u64) {
            Ok(Some(content)) => {
                gowork::parse(&content).map_err(CommandError::input(display_path(&path)))?
            }
            Ok(None) => return Ok(None),
            Err(gap) => {
                self.unread(top, gap);
                return Ok(None);
            }
        };
        let members = go_work
            .uses
            .iter()
            .map(|member| clean(&top.join(member)))
            .collect();
        Ok(Some(Workspace {
            path,
            go_work,
            members,
        }))
    }
}

/// The toolchains that a go and a toolchain line may make Go download.
fn named_toolchains(go: Option<&str>, toolchain: Option<&str>) -> Vec<String> {
    go.map(|version| format!("go{version}"))
        .into_iter()
        .chain(
            toolchain
                .filter(|name| *name != "default")
                .map(str::to_owned),
        )
        .collect()
}

fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// Whether a name is there that is no folder, whatever it is: a pipe or a link
/// that leads nowhere is to be told, not passed over.
fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|about| !about.is_dir())
}

fn invalid(path: &Path, message: &str) -> CommandError {
    CommandError::input(display_path(path))(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locate::testing::environment;

    const SUM: &str =
        "example.com/a v1.0.0/go.mod h1:GEKxXSrtTkxzN5ejVHWXmZo/IEJSdyJPSaDQ9JZP3bk=\n";

    /// Files in a folder of their own, which is also `top` of what is said.
    struct Checkout(tempfile::TempDir);

    impl Checkout {
        fn new(files: &[(&str, &str)]) -> Checkout {
            let checkout = Checkout(tempfile::tempdir().unwrap());
            for (name, content) in files {
                let file = checkout.path(name);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, content).unwrap();
            }
            checkout
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn find(
            &self,
            cwd: &str,
            gowork: &str,
            options: &Options,
        ) -> Result<(Vec<Project>, Vec<Finding>), String> {
            let mut environment = environment(
                std::env::consts::OS,
                &[("GOENV", "off"), ("GOWORK", gowork)],
            );
            environment.cwd = self.path(cwd);
            let found = projects(&environment, options);
            found
                .map(|found| (found.list, found.findings))
                .map_err(|error| self.short(&error.text()))
        }

        /// The folders found, and in brackets their sum files.
        fn found(&self, cwd: &str, gowork: &str, options: &Options) -> Vec<String> {
            let (projects, _) = self.find(cwd, gowork, options).unwrap();
            projects
                .iter()
                .map(|project| {
                    let sums: Vec<_> = project
                        .go_sum
                        .iter()
                        .map(|sum| self.short(&sum.path.display().to_string()))
                        .collect();
                    format!(
                        "{} {sums:?}",
                        self.short(&project.dir.display().to_string())
                    )
                })
                .collect()
        }

        fn short(&self, text: &str) -> String {
            text.replace(&format!("{}/", self.0.path().display()), "")
        }
    }

    fn workspace() -> Checkout {
        Checkout::new(&[
            (
                "w/go.work",
                "go 1.24.0\ntoolchain go1.24.3\nuse (\n\t./a\n\t./b\n)\n",
            ),
            ("w/go.work.sum", SUM),
            ("w/a/go.mod", "module example.com/a\n\ngo 1.23.0\n"),
            ("w/a/go.sum", ""),
            ("w/b/go.mod", "module example.com/b\n"),
            ("w/c/go.mod", "module example.com/c\n"),
            ("w/c/go.sum", SUM),
            ("w/c/vendor/modules.txt", ""),
            ("w/c/vendor/x/go.mod", "module x\n"),
            ("w/c/sub/file", ""),
        ])
    }

    #[test]
    fn from_the_current_folder_as_go_would() {
        let checkout = workspace();
        let none = Options::default();
        let members = [
            "w/a [\"w/a/go.sum\", \"w/go.work.sum\"]",
            "w/b [\"w/go.work.sum\"]",
        ];
        assert_eq!(checkout.found("w/a", "", &none), members);
        assert_eq!(checkout.found("w", "auto", &none), members);
        assert_eq!(
            checkout.found("w/c/sub", "off", &none),
            ["w/c [\"w/c/go.sum\"]"]
        );
        let file = checkout.path("w/go.work").display().to_string();
        assert_eq!(checkout.found("", &file, &none), members);
        assert_eq!(checkout.found("", "", &none), [""; 0]);
        assert_eq!(
            checkout.find("w", "go.work", &none).unwrap_err(),
            "GOWORK: not an absolute path: go.work"
        );
    }

    #[test]
    fn named_and_found_below() {
        let checkout = workspace();
        let options = |project: &[&str], under: &[&str]| Options {
            projects: crate::settings::ProjectOptions {
                project: project.iter().map(PathBuf::from).collect(),
                projects_under: under.iter().map(PathBuf::from).collect(),
            },
            ..Options::default()
        };
        assert_eq!(
            checkout.found("", "", &options(&["w/c", "w/./c", "w/b"], &[])),
            ["w/c [\"w/c/go.sum\"]", "w/b [\"w/go.work.sum\"]"]
        );
        assert_eq!(checkout.found("", "", &options(&["w"], &[])).len(), 2);
        assert_eq!(
            checkout.found("", "off", &options(&[], &["."])),
            ["w/a [\"w/a/go.sum\"]", "w/b []", "w/c [\"w/c/go.sum\"]"]
        );
        assert_eq!(
            checkout
                .find("", "", &options(&["w/c/sub"], &[]))
                .unwrap_err(),
            "w/c/sub: there is neither a go.mod nor a go.work in this folder"
        );
        assert!(checkout.find("", "", &options(&[], &["none"])).is_err());
    }

    #[test]
    fn what_lies_in_a_cache_is_no_project() {
        let checkout = Checkout::new(&[
            (".git/HEAD", ""),
            ("p/go.mod", "module example.com/p\n"),
            ("q@vendor/go.mod", "module example.com/q\n"),
            // A module cache that `go install` filled; its go.work names what no zip holds.
            ("tools/pkg/mod/x.org/go@v0.1.0/go.mod", "module x.org/go\n"),
            ("tools/pkg/mod/x.org/go@v0.1.0/go.work", "use ./none\n"),
            ("tools/pkg/mod/cache/download/x.org/go/@v/list", ""),
            (
                "tools/pkg/mod/cache/download/x.org/go/@v/go.mod",
                "module x.org/v\n",
            ),
            ("mod/cache/lock", ""),
            ("mod/cache/download/go.mod", "module x.org/y\n"),
            ("out/CACHEDIR.TAG", ""),
            ("out/tmp/go.mod", "module x.org/z\n"),
        ]);
        let (projects, findings) = checkout.find("p", "", &Options::default()).unwrap();
        assert_eq!(findings, []);
        let names: Vec<_> = projects
            .iter()
            .map(|project| project.module.as_deref())
            .collect();
        assert_eq!(names, [Some("example.com/p"), Some("example.com/q")]);
    }

    #[test]
    fn what_the_files_say() {
        let checkout = workspace();
        let (projects, findings) = checkout.find("w", "", &Options::default()).unwrap();
        assert_eq!(findings, []);
        let a = projects.first().unwrap();
        assert_eq!(a.module.as_deref(), Some("example.com/a"));
        assert_eq!(a.go.as_deref(), Some("1.23.0"));
        assert_eq!(a.toolchains, ["go1.23.0", "go1.24.0", "go1.24.3"]);
        assert!(!a.vendored);
        let (projects, _) = checkout.find("w/c", "off", &Options::default()).unwrap();
        assert!(projects.first().unwrap().vendored);
    }

    #[test]
    fn broken_files_are_named_with_their_line() {
        for (files, error) in [
            (
                [("go.mod", "module a.b/c\n"), ("go.sum", "\n<<<<<<< HEAD\n")],
                "go.sum: line 2: merge conflict marker",
            ),
            (
                [("go.mod", "module a.b/c\n"), ("go.sum", "x y\n")],
                "go.sum: line 1: wrong number of fields",
            ),
            (
                [("go.mod", "module a.b/c\n<<<<<<< HEAD\n"), ("go.sum", "")],
                "go.mod: line 2: ",
            ),
            (
                [
                    ("go.mod", "module a.b/c\n"),
                    ("go.work", "go 1.24\nuze x\n"),
                ],
                "go.work: line 2: unknown directive",
            ),
        ] {
            let found = Checkout::new(&files)
                .find("", "", &Options::default())
                .unwrap_err();
            assert!(found.starts_with(error), "{found}");
        }
    }

    #[test]
    fn a_member_that_is_not_there_is_a_finding() {
        let checkout = Checkout::new(&[("go.work", "go 1.24\nuse ./gone\n")]);
        let (projects, findings) = checkout.find("", "", &Options::default()).unwrap();
        assert_eq!(projects, []);
        assert_eq!(findings.first().unwrap().rule, Rule::Unreadable);
    }
}
