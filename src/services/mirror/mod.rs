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

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::eviction::Extent;
use crate::formats::module::{ModuleVersion, PieceKind};

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
    /// Its files, the one first that a client asks for first: once that is gone, no
    /// new client goes on to the others. A module cache's download folder has
    /// `.ziphash`, too.
    pub files: BTreeMap<PieceKind, StoredFile>,
    /// When the newest of the files was stored.
    pub stored: DateTime<Utc>,
}

impl StoredVersion {
    /// One without files.
    fn empty(id: ModuleVersion) -> Self {
        Self {
            id,
            files: BTreeMap::new(),
            stored: DateTime::UNIX_EPOCH,
        }
    }

    /// Adds a file that was stored at `time`.
    fn add(&mut self, piece: PieceKind, file: StoredFile, time: DateTime<Utc>) {
        self.files.insert(piece, file);
        self.stored = self.stored.max(time);
    }

    /// The files of a part.
    pub fn part(&self, part: Extent) -> impl Iterator<Item = &StoredFile> {
        let is_in = move |piece: &PieceKind| match part {
            Extent::Nothing => false,
            Extent::Zip => matches!(piece, PieceKind::Zip | PieceKind::ZipHash),
            Extent::Whole => true,
        };
        let files = self.files.iter().filter(move |(piece, _)| is_in(piece));
        files.map(|(_, file)| file)
    }

    /// Bytes of a part.
    pub fn part_bytes(&self, part: Extent) -> u64 {
        self.part(part)
            .fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.part_bytes(Extent::Whole)
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
            let file = |piece: PieceKind, bytes| {
                let path = format!("{id}{}", piece.suffix()).into();
                (piece, StoredFile { path, bytes })
            };
            let files = [
                file(PieceKind::Info, 10),
                file(PieceKind::Mod, 20),
                file(PieceKind::Zip, 1000),
            ];
            StoredVersion {
                id: id.parse().unwrap(),
                files: files.into(),
                stored: "2026-01-01T00:00:00Z".parse().unwrap(),
            }
        };
        Mirror {
            versions: ids.iter().map(version).collect(),
            oddities: Vec::new(),
        }
    }
}
