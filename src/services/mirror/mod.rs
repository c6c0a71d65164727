//! A module proxy's storage: what it keeps, how much of it anyone asks for,
//! and what to evict.
//!
//! Two layouts on disk need nothing but the file system: the tree that the
//! GOPROXY protocol describes (`go help goproxy`; what `file://` serves), and
//! Athens' disk storage (`pkg/storage/fs` in its source). Artifactory is asked
//! over HTTP, with the feature `remote`.

pub mod access;
#[cfg(feature = "remote")]
pub mod artifactory;
pub mod plan;
pub mod remove;
pub mod report;
pub mod scan;
pub mod verify;

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::formats::module::ModuleVersion;

/// How a storage lays out its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// `MODULE/@v/VERSION.{info,mod,zip}`, names escaped.
    Goproxy,
    /// `MODULE/VERSION/{VERSION.info,go.mod,source.zip}`, names plain.
    Athens,
}

/// A storage and the versions in it.
#[derive(Debug, Clone, Default)]
pub struct Mirror {
    /// Every version with at least one file, sorted.
    pub versions: Vec<StoredVersion>,
    /// What lies there and belongs to no version, or could not be read.
    pub oddities: Vec<Oddity>,
}

impl Mirror {
    /// Bytes of all versions.
    pub fn bytes(&self) -> u64 {
        self.versions
            .iter()
            .fold(0, |sum, version| sum.saturating_add(version.bytes()))
    }
}

/// One module version in a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVersion {
    /// Which one.
    pub id: ModuleVersion,
    /// `.info`
    pub info: Option<StoredFile>,
    /// `.mod`
    pub go_mod: Option<StoredFile>,
    /// `.zip`
    pub zip: Option<StoredFile>,
    /// `.ziphash`, in a tree that is a module cache's download folder.
    pub ziphash: Option<StoredFile>,
    /// When the newest of the files was stored.
    pub stored: DateTime<Utc>,
}

impl StoredVersion {
    /// Its files, the one first that a client asks for first: once that is
    /// gone, no new client goes on to the others.
    pub fn files(&self) -> impl Iterator<Item = &StoredFile> {
        [&self.info, &self.go_mod, &self.zip, &self.ziphash]
            .into_iter()
            .flatten()
    }

    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files()
            .fold(0, |sum, file| sum.saturating_add(file.bytes))
    }
}

/// One file in a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Relative to the storage's root.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
}

/// Something odd in a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    /// Relative to the storage's root.
    pub path: PathBuf,
    /// What is odd.
    pub what: String,
    /// Whether it kept something from being read, rather than being alien.
    pub unreadable: bool,
}

#[cfg(test)]
mod testing {
    //! Versions to test with.

    use super::*;

    pub(super) fn now() -> DateTime<Utc> {
        "2026-06-15T12:00:00Z".parse().unwrap()
    }

    /// Versions of three files each, stored long ago.
    pub(super) fn mirror(ids: &[&str]) -> Mirror {
        let version = |id: &&str| {
            let file = |ending: &str, bytes| {
                Some(StoredFile {
                    path: format!("{id}.{ending}").into(),
                    bytes,
                })
            };
            StoredVersion {
                id: id.parse().unwrap(),
                info: file("info", 10),
                go_mod: file("mod", 20),
                zip: file("zip", 1000),
                ziphash: None,
                stored: "2026-01-01T00:00:00Z".parse().unwrap(),
            }
        };
        Mirror {
            versions: ids.iter().map(version).collect(),
            oddities: Vec::new(),
        }
    }
}
