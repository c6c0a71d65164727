//! Where the caches and the projects are, without running `go`.

mod caches;
mod disk;
mod gap;
mod projects;
mod settings;
#[cfg(test)]
mod testing;

pub use caches::{LocateError, caches, caches_so_far, expected};
pub use gap::{Gap, Unread};
pub use projects::{GoSumFile, Project, projects};
pub use settings::{GoSettings, SettingOrigin, go_settings};

use std::path::PathBuf;

/// A folder and what named it, such as `--modcache`, `GOMODCACHE` or `default`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The folder.
    pub path: PathBuf,
    /// What named it.
    pub source: String,
}

/// Where the caches should be. A cache that is not there is `None`, with a note.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caches {
    /// The module cache.
    pub modcache: Option<Located>,
    /// The build cache.
    pub gocache: Option<Located>,
    /// What could not be located and why.
    pub notes: Vec<String>,
}
