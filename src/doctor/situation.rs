//! What the diagnoses are functions of.

use crate::findings::display_path;
use crate::formats::module::ModuleVersion;
use crate::locate::{GoSettings, LocateError, SettingOrigin};
use crate::settings::Environment;
use chrono::{DateTime, Utc};
use std::path::PathBuf;

/// Settings, projects and caches, as they are.
#[derive(Clone, Debug, Default)]
pub struct Situation {
    /// The process's environment.
    pub environment: Environment,
    /// Go's settings.
    pub go: GoSettings,
    /// Why Go would refuse to work with the caches' settings.
    pub refused: Option<LocateError>,
    /// Caches for which Go finds no place: the variable, and why.
    pub unlocated: Vec<(&'static str, String)>,
    /// Caches that are not there, and that this user cannot make.
    pub unmakeable: Vec<Unmakeable>,
    /// The version of the Go installation, such as `go1.26.8`.
    pub installed: Option<String>,
    /// The module cache.
    pub modcache: Option<CacheSite>,
    /// The build cache.
    pub gocache: Option<CacheSite>,
    /// The projects.
    pub projects: Vec<ProjectSite>,
    /// The workspaces they are built in.
    pub workspaces: Vec<WorkspaceSite>,
    /// Module versions in the cache.
    pub cached: Vec<ModuleVersion>,
    /// What was fetched from version control, without a proxy (`git3:https://…`).
    pub clones: Vec<String>,
    /// Bytes that a version takes in the module cache on average.
    pub version_bytes: Option<u64>,
    /// Go toolchains in the module cache.
    pub toolchains: Toolchains,
    /// Tests whose results are cached and that read files of their module, and
    /// when the last of them ran.
    pub tests_with_files: Option<(usize, DateTime<Utc>)>,
}

/// A cache's folder and the file system it lies on. What could not be found out
/// is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheSite {
    /// Where it is, links resolved where it is there.
    pub path: PathBuf,
    /// Whether there is anything in it.
    pub filled: bool,
    /// User who owns it, and the one who runs this.
    pub owner_and_user: Option<(u32, u32)>,
    /// Whether this user may write there.
    pub writable: Option<bool>,
    /// Whether Go has to make folders in it before it can build at all.
    pub lacks_folders: bool,
    /// Whether the file system is mounted for reading only.
    pub read_only: bool,
    /// Whether names that differ only in letter case are one name.
    pub folds_case: Option<bool>,
    /// Whether the file system keeps no times of reading (`noatime`).
    pub no_access_times: bool,
    /// Room on the file system.
    pub space: Option<Space>,
}

impl CacheSite {
    /// The owner and this user, where they are two.
    #[must_use]
    pub fn foreign_owner(&self) -> Option<(u32, u32)> {
        self.owner_and_user.filter(|(owner, user)| owner != user)
    }
}

/// A cache's folder that is not there and cannot be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmakeable {
    /// The variable that names it.
    pub key: &'static str,
    /// Where it would be.
    pub path: PathBuf,
    /// Why not.
    pub why: String,
}

/// Room on a file system, in bytes and in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// All bytes.
    pub bytes: u64,
    /// Bytes that an ordinary user can still write.
    pub free_bytes: u64,
    /// Files the file system can hold; 0 if it sets no limit.
    pub files: u64,
    /// Files that can still be made.
    pub free_files: u64,
}

/// A project.
#[derive(Clone, Debug, Default)]
pub struct ProjectSite {
    /// Its folder, links resolved.
    pub dir: PathBuf,
    /// The module path its go.mod declares.
    pub module: Option<String>,
    /// What its go.mod requires and does not replace.
    pub required: Vec<ModuleVersion>,
    /// Toolchains that go.mod or go.work ask for, such as `go1.24.1`.
    pub toolchains: Vec<String>,
    /// Whether its go.mod has an `ignore` line for a folder, by folder.
    pub ignored_by_go: Vec<String>,
    /// Caches in it that git does not ignore.
    pub seen_by_git: Vec<PathBuf>,
    /// How go.sum fits the module graph; `None` if that cannot be told.
    pub sum_lines: Option<SumLines>,
    /// What the times of its source files are like.
    pub sources: Option<SourceTimes>,
    /// Folders below it that have a go.mod and are no project of this run.
    pub uncounted: Vec<PathBuf>,
    /// Versions that its go.sum lists with their source and the cache lacks.
    pub to_download: usize,
}

impl ProjectSite {
    /// What findings call it: its module path, or else its folder.
    #[must_use]
    pub fn name(&self) -> String {
        let module = self.module.clone();
        module.unwrap_or_else(|| display_path(&self.dir))
    }
}

/// What the times of a project's source files are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceTimes {
    /// How many files were looked at.
    pub files: usize,
    /// The oldest and the newest time.
    pub oldest: DateTime<Utc>,
    /// The newest.
    pub newest: DateTime<Utc>,
    /// Whether something gave all of them the time they have, since they were
    /// written at another.
    pub were_set: bool,
}

/// A workspace all of whose members are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkspaceSite {
    /// Its go.work file.
    pub file: PathBuf,
    /// What all members' go.sum files and go.work.sum lack, and what
    /// go.work.sum alone has too much.
    pub sum_lines: SumLines,
}

/// How a go.sum file fits the module graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SumLines {
    /// Versions whose go.mod the graph needs and go.sum does not list.
    pub missing: Vec<ModuleVersion>,
    /// Versions that go.sum lists and the graph does not know.
    pub unused: Vec<ModuleVersion>,
}

/// Go toolchains in the module cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toolchains {
    /// Their names, such as `go1.24.1.linux-amd64`.
    pub names: Vec<String>,
    /// Bytes of all their pieces.
    pub bytes: u64,
    /// Bytes of the whole module cache.
    pub of_bytes: u64,
}

/// What Go takes where nobody says anything, for the settings in which that is
/// not the same as nothing (`cmd/go/internal/cfg/cfg.go`, `go.env`).
pub(super) fn default_of(key: &str) -> &'static str {
    match key {
        "GOPROXY" => "https://proxy.golang.org,direct",
        "GOSUMDB" => "sum.golang.org",
        "GOTOOLCHAIN" => "auto",
        _ => "",
    }
}

impl Situation {
    /// A setting's value, and who set it.
    #[must_use]
    pub fn setting(&self, key: &str) -> (String, SettingOrigin) {
        let (value, origin) = self.go.get(key);
        (value.to_string_lossy().into_owned(), origin)
    }

    /// A setting's value.
    #[must_use]
    pub fn value(&self, key: &str) -> String {
        self.setting(key).0
    }

    /// Where a setting's value comes from.
    #[must_use]
    pub fn source(&self, key: &str) -> String {
        match (self.setting(key).1, &self.go.env_file) {
            (SettingOrigin::Variable, _) => "from the environment".to_owned(),
            (SettingOrigin::EnvFile, Some(file)) => format!("from {}", display_path(file)),
            (SettingOrigin::EnvFile, None) => "from Go's env file".to_owned(),
            (SettingOrigin::GoEnv, _) => "from the Go installation's go.env".to_owned(),
            (SettingOrigin::Default, _) => "Go's default".to_owned(),
        }
    }

    /// `GOPROXY=… (from the environment)`; passwords in addresses are left out.
    #[must_use]
    pub fn shown(&self, key: &str) -> String {
        let value = super::proxies::redacted(&self.value(key));
        format!("{key}={value} ({})", self.source(key))
    }

    /// The command that takes a setting back where it is set: in the
    /// environment, in Go's env file, or in the installation's own file, which
    /// only an entry of the user's can hide.
    #[must_use]
    pub fn unset(&self, key: &str) -> String {
        match self.setting(key).1 {
            SettingOrigin::Variable => format!("`unset {key}`"),
            SettingOrigin::EnvFile => format!("`go env -u {key}`"),
            SettingOrigin::GoEnv | SettingOrigin::Default if self.go.env_file.is_some() => {
                format!("`go env -w {key}={}`", default_of(key))
            }
            SettingOrigin::GoEnv | SettingOrigin::Default => {
                format!("`export {key}={}`", default_of(key))
            }
        }
    }

    /// The command that gives a setting another value where it is set now.
    /// `$HOME` and `$PWD` in the value are for the shell.
    #[must_use]
    pub fn set(&self, key: &str, value: &str) -> String {
        let value = crate::findings::shell_word(value);
        let in_environment = self.setting(key).1 == SettingOrigin::Variable;
        match in_environment || self.go.env_file.is_none() {
            true => format!("`export {key}={value}`"),
            false => format!("`go env -w {key}={value}`"),
        }
    }

    /// Whether this runs in a CI job.
    #[must_use]
    pub fn in_ci(&self) -> bool {
        [
            "CI",
            "GITHUB_ACTIONS",
            "GITLAB_CI",
            "TF_BUILD",
            "JENKINS_URL",
        ]
        .iter()
        .filter_map(|name| self.environment.var(name))
        .any(|value| value != "false" && value != "0")
    }

    /// The flags in `GOFLAGS`; none if they do not parse.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let flags = self.value("GOFLAGS");
        let flags = crate::formats::goenv::split_quoted(&flags).unwrap_or_default();
        flags.into_iter().map(str::to_owned).collect()
    }

    /// Every module version that is cached or required, sorted, once.
    #[must_use]
    pub fn modules(&self) -> Vec<&ModuleVersion> {
        let required = self.projects.iter().flat_map(|project| &project.required);
        let mut modules: Vec<_> = self.cached.iter().chain(required).collect();
        modules.sort();
        modules.dedup();
        modules
    }

    /// Both caches, with the name they go by and the variable that sets them.
    pub fn sites(&self) -> impl Iterator<Item = (&'static str, &'static str, &CacheSite)> {
        let modcache = self.modcache.iter();
        let modcache = modcache.map(|site| ("module cache", "GOMODCACHE", site));
        let gocache = self.gocache.iter();
        let gocache = gocache.map(|site| ("build cache", "GOCACHE", site));
        modcache.chain(gocache)
    }
}
