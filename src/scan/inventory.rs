//! What the two caches hold.

use crate::findings::Finding;
use crate::folder::Root;
use crate::formats::action::{ActionEntry, ActionId, OutputId};
use crate::formats::module::ModuleVersion;
use chrono::{DateTime, Utc};
use std::path::PathBuf;
use std::sync::Arc;

/// Both caches, and what was odd about them.
#[derive(Debug, Default)]
pub struct Inventory {
    /// The module cache, if there is one.
    pub modcache: Option<ModCache>,
    /// The build cache, if there is one.
    pub buildcache: Option<BuildCache>,
    /// Odd content met on the way.
    pub findings: Vec<Finding>,
}

/// The module cache.
#[derive(Debug, Default)]
pub struct ModCache {
    /// `GOMODCACHE`.
    pub root: PathBuf,
    /// The same, opened; `None` if it could not be.
    pub folders: Option<Arc<Root>>,
    /// Symbolic links that Go would follow, but for those in extracted trees:
    /// nothing behind them was looked at.
    pub links: Vec<PathBuf>,
    /// When the walk began; what changed since may be something else by now.
    pub walked: DateTime<Utc>,
    /// Every module version that has at least one piece, by path and version.
    pub versions: Vec<Version>,
    /// `cache/vcs`: one entry a clone.
    pub vcs: Vec<VcsClone>,
    /// What broken downloads and extractions left.
    pub residue: Vec<Residue>,
    /// `cache/download/sumdb`.
    pub sumdb: Measure,
    /// `@v/list` files, locks of their own, and whatever else is in
    /// `cache/download` without belonging to a version.
    pub other_download: Measure,
    /// Anything else: `cache/lock`, this tool's ledger, unexpected files.
    pub other: Measure,
}

/// Sizes of a group of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Number of files.
    pub files: u64,
    /// Sum of their lengths.
    pub bytes: u64,
}

impl std::ops::AddAssign for Measure {
    fn add_assign(&mut self, other: Measure) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// A module version and its pieces.
#[derive(Debug)]
pub struct Version {
    /// Which one.
    pub id: ModuleVersion,
    /// What kind of version: they differ in the pieces that Go leaves.
    pub kind: VersionKind,
    /// `.info`
    pub info: Option<Piece>,
    /// `.mod`
    pub go_mod: Option<Piece>,
    /// `.zip`
    pub zip: Option<Piece>,
    /// `.ziphash`
    pub ziphash: Option<Piece>,
    /// `.lock`
    pub lock: Option<Piece>,
    /// `.partial`: an extraction is going on, or died.
    pub partial: Option<Piece>,
    /// The extracted tree.
    pub tree: Option<Tree>,
    /// A piece of it, or a folder it lies in, is a symbolic link: whatever else
    /// is there, a build would read what that leads to.
    pub linked: bool,
}

/// The kinds of module version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionKind {
    /// An ordinary module.
    Module,
    /// `golang.org/toolchain`: no `.mod`, `.info`; the tree has `_go.mod` copies.
    Toolchain,
    /// `golang.org/fips140`: unpacked from the Go installation, no zip.
    Fips140,
}

/// A single file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its length.
    pub bytes: u64,
    /// Its modification time.
    pub modified: DateTime<Utc>,
}

/// An extracted tree.
#[derive(Debug)]
pub struct Tree {
    /// Modification time of its top folder.
    pub modified: DateTime<Utc>,
    /// Its files; `None` until somebody walked it. Scanning leaves the walk to
    /// verification where that has to read every file anyway.
    pub measure: Option<Measure>,
}

/// A version-control clone under `cache/vcs`.
#[derive(Debug)]
pub struct VcsClone {
    /// The folder.
    pub path: PathBuf,
    /// What it clones, from its `.info` (`git3:https://…`).
    pub url: Option<String>,
    /// Its files.
    pub measure: Measure,
    /// Last change.
    pub modified: DateTime<Utc>,
}

/// Something a broken download or extraction left; no build needs it.
#[derive(Debug)]
pub struct Residue {
    /// The file or folder.
    pub path: PathBuf,
    /// The version it belongs to, where its name tells.
    pub version: Option<ModuleVersion>,
    /// Its files.
    pub measure: Measure,
    /// Last change.
    pub modified: DateTime<Utc>,
}

/// The build cache.
#[derive(Debug, Default)]
pub struct BuildCache {
    /// `GOCACHE`.
    pub root: PathBuf,
    /// The same, opened; `None` if it could not be.
    pub folders: Option<Arc<Root>>,
    /// Symbolic links that Go would follow: nothing behind them was looked at.
    pub links: Vec<PathBuf>,
    /// Action entries (`-a`), by ID.
    pub actions: Vec<Action>,
    /// Outputs (`-d`), by ID.
    pub outputs: Vec<Output>,
    /// `trim.txt`: when Go last trimmed.
    pub trimmed: Option<DateTime<Utc>>,
    /// `fuzz/`
    pub fuzz: Measure,
    /// `README`, `trim.txt`, `testexpire.txt` and unexpected files.
    pub other: Measure,
}

/// An action entry.
#[derive(Clone, Copy, Debug)]
pub struct Action {
    /// Its name.
    pub id: ActionId,
    /// Its content; `None` if it was not read or does not parse.
    pub entry: Option<ActionEntry>,
    /// Its length.
    pub bytes: u64,
    /// Its modification time: the last use, within an hour.
    pub modified: DateTime<Utc>,
    /// It belongs to another user, so that Go cannot mark its use in its time.
    pub foreign: bool,
}

/// A build output.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Its name: the SHA-256 of its content.
    pub id: OutputId,
    /// A folder with one file in it.
    pub executable: bool,
    /// Its length (of the file inside, for an executable).
    pub bytes: u64,
    /// Its modification time.
    pub modified: DateTime<Utc>,
}
