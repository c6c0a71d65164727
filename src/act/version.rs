//! Removing module versions, or parts of them.

use super::tree::remove_tree;
use super::{Result, StepError, gone_is_fine};
use crate::folder::{Folder, Kind, Root};
use crate::formats::module::{
    ModuleVersion, PieceKind, escape_path, escape_version, tree_dir_name,
};
use crate::plan::{Cause, Part};
use crate::scan::{Piece, Residue, Version, VersionKind};
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A longer `@v/list` is not Go's and is left alone.
const MAX_LIST: u64 = 16 << 20;

/// The folders and the name that a version's pieces have.
pub(super) struct Place {
    /// `cache/download/<path>/@v`, if it is there.
    pub(super) at_v: Option<Folder>,
    /// The folder that the tree lies in, if it is there.
    pub(super) trees: Option<Folder>,
    /// The tree's name in it.
    pub(super) tree: OsString,
    version: String,
}

impl Place {
    pub(super) fn of(root: &Root, id: &ModuleVersion) -> io::Result<Place> {
        let path = escape_path(&id.path).map_err(io::Error::other)?;
        let version = escape_version(&id.version).map_err(io::Error::other)?;
        let relative = tree_dir_name(id).map_err(io::Error::other)?;
        let there = |folder: io::Result<Folder>| match folder {
            Ok(folder) => Ok(Some(folder)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let relative = Path::new(&relative);
        let parent = relative.parent().unwrap_or(Path::new(""));
        Ok(Place {
            at_v: there(root.folder(format!("cache/download/{path}/@v").as_ref()))?,
            trees: there(root.folder(parent))?,
            tree: relative.file_name().unwrap_or_default().to_owned(),
            version,
        })
    }

    pub(super) fn piece(&self, kind: PieceKind) -> OsString {
        format!("{}.{}", self.version, kind.suffix()).into()
    }

    fn stat(&self, kind: PieceKind) -> io::Result<Option<Piece>> {
        let Some(at_v) = &self.at_v else {
            return Ok(None);
        };
        match at_v.stat(&self.piece(kind)) {
            Ok(stat) if stat.kind == Kind::File => Ok(Some(Piece {
                bytes: stat.bytes,
                modified: stat.modified,
            })),
            Ok(_) => Err(io::Error::other("is not an ordinary file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes Go's lock of the version without waiting. Without an `@v` folder
    /// there is nothing that Go could be downloading into.
    pub(super) fn lock(&self, create: bool) -> std::result::Result<Option<File>, StepError> {
        let Some(at_v) = &self.at_v else {
            return Ok(None);
        };
        match at_v.edit(&self.piece(PieceKind::Lock), create) {
            Ok(file) => locked(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !create => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Fails if source or marker are not what was scanned. What has gone since
    /// is no obstacle.
    pub(super) fn unchanged(&self, version: &Version) -> std::result::Result<(), StepError> {
        let before = [
            (PieceKind::Zip, version.zip),
            (PieceKind::ZipHash, version.ziphash),
            (PieceKind::Partial, version.partial),
        ];
        for (kind, before) in before {
            let now = self.stat(kind)?;
            if now.is_some() && now != before {
                return Err(StepError::Changed);
            }
        }
        let Some(trees) = &self.trees else {
            return Ok(());
        };
        match trees.stat(&self.tree) {
            Ok(stat) => match &version.tree {
                Some(tree) if stat.kind == Kind::Folder && tree.modified == stat.modified => Ok(()),
                _ => Err(StepError::Changed),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn unlink(&self, kind: PieceKind) -> io::Result<()> {
        match &self.at_v {
            Some(at_v) => gone_is_fine(at_v.unlink(&self.piece(kind))),
            None => Ok(()),
        }
    }

    /// Moves the tree out of Go's sight, under a name beside it that Go takes
    /// for residue.
    fn take_tree(&self) -> io::Result<Taken> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let Some(trees) = &self.trees else {
            return Ok(Taken::Nothing);
        };
        for _ in 0..100 {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let mut name = self.tree.clone();
            name.push(format!(".tmp-{}{count:06}", crate::parallel::process_id()));
            if trees.stat(&name).is_ok() {
                continue;
            }
            return match trees.rename(&self.tree, &name) {
                Ok(()) => Ok(Taken::Aside(name)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Taken::Nothing),
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    self.delete_in_place(trees).map(Taken::Deleted)
                }
                Err(error) => Err(error),
            };
        }
        Err(io::Error::other("found no free name to set the tree aside"))
    }

    /// Deletes a tree that cannot be renamed, since a container's image holds it
    /// (overlayfs: `redirect_dir`). Go's own mark of an extraction that goes on sends
    /// whoever comes meanwhile to the lock; after a kill Go extracts anew.
    fn delete_in_place(&self, trees: &Folder) -> io::Result<u64> {
        let at_v = self.at_v.as_ref().ok_or(io::ErrorKind::CrossesDevices)?;
        at_v.edit(&self.piece(PieceKind::Partial), true)?;
        let bytes = remove_tree(trees, &self.tree)?;
        self.unlink(PieceKind::Partial)?;
        Ok(bytes)
    }
}

/// What became of a tree that has to go.
enum Taken {
    /// There was none.
    Nothing,
    /// It has this name now, and is still to be deleted.
    Aside(OsString),
    /// It is gone; its files had so many bytes.
    Deleted(u64),
}

/// Locks a file without waiting.
pub(super) fn locked(file: File) -> std::result::Result<File, StepError> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StepError::Busy),
        // Where there are no locks, Go has none either.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// A removal that has been begun: Go's lock is held, and where there is a zip
/// to make it again from, the `.ziphash` is gone.
pub(super) struct Begun<'a> {
    place: Place,
    lock: Option<File>,
    version: &'a Version,
    part: Part,
}

impl Begun<'_> {
    /// Whether a tree goes that somebody may be reading.
    pub(super) fn takes_tree(&self) -> bool {
        self.part == Part::Tree || self.part >= Part::Source
    }

    pub(super) fn lock(&self) -> Option<&File> {
        self.lock.as_ref()
    }
}

/// Takes the lock, looks whether the version is what was scanned, and sends
/// newcomers to the lock.
pub(super) fn begin<'a>(
    root: &Root,
    version: &'a Version,
    part: Part,
) -> std::result::Result<Begun<'a>, StepError> {
    let place = Place::of(root, &version.id)?;
    // Go fetches `.mod` and `.info` without the lock; where there is nothing
    // else, none is made.
    let create = version.has_source() || version.ziphash.is_some() || version.partial.is_some();
    let lock = place.lock(create)?;
    place.unchanged(version)?;
    // A tree that has neither would be trusted without ever being verified: it
    // does not stay so for longer than it has to.
    if part >= Part::Source && place.stat(PieceKind::Zip)?.is_some() {
        place.unlink(PieceKind::ZipHash)?;
    }
    Ok(Begun {
        place,
        lock,
        version,
        part,
    })
}

/// Removes what was begun and lets go of the lock.
pub(super) fn finish(begun: &Begun<'_>, cause: Cause) -> Result {
    let &Begun {
        ref place,
        version,
        part,
        ..
    } = begun;
    let bytes = |piece: Option<Piece>| piece.map_or(0, |piece| piece.bytes);
    let mut freed = 0;
    let mut taken = Taken::Nothing;
    match part {
        Part::Zip => {
            if version.kind == VersionKind::Fips140 || place.stat(PieceKind::ZipHash)?.is_none() {
                return Err(StepError::Changed);
            }
            place.unlink(PieceKind::Zip)?;
            freed += bytes(version.zip);
        }
        Part::Tree => {
            if place.stat(PieceKind::Zip)?.is_none() {
                return Err(StepError::Changed);
            }
            taken = place.take_tree()?;
        }
        Part::HalfTree => {
            // An extraction that ended meanwhile has left a whole tree.
            if place.stat(PieceKind::Partial)?.is_none() {
                return Err(StepError::Changed);
            }
            taken = place.take_tree()?;
            place.unlink(PieceKind::Partial)?;
        }
        Part::ZipHash => {
            place.unlink(PieceKind::ZipHash)?;
            freed += bytes(version.ziphash);
        }
        Part::Source | Part::Whole => {
            place.unlink(PieceKind::ZipHash)?;
            taken = place.take_tree()?;
            place.unlink(PieceKind::Zip)?;
            place.unlink(PieceKind::Partial)?;
            freed += bytes(version.ziphash) + bytes(version.zip);
            if part == Part::Whole {
                place.unlink(PieceKind::Info)?;
                place.unlink(PieceKind::Mod)?;
                freed += bytes(version.info) + bytes(version.go_mod);
                if version.go_mod.is_some() && cause != Cause::All {
                    place.unlist();
                }
            }
        }
    }
    if let Some(lock) = &begun.lock {
        // Should this fail, it is let go of with the file.
        let _ = lock.unlock();
    }
    freed += match (taken, &place.trees) {
        (Taken::Aside(aside), Some(trees)) => remove_tree(trees, &aside)?,
        (Taken::Deleted(bytes), _) => bytes,
        _ => 0,
    };
    Ok(freed)
}

impl Place {
    /// Takes the version off `@v/list`, which only those read who serve the
    /// cache as a proxy: whatever goes wrong here harms no build.
    fn unlist(&self) {
        if let Some(at_v) = &self.at_v {
            let _ = self.try_unlist(at_v);
        }
    }

    fn try_unlist(&self, at_v: &Folder) -> io::Result<()> {
        let mut file = at_v.edit("list".as_ref(), false)?;
        if !file.metadata()?.is_file() {
            return Ok(());
        }
        // Go holds this lock for moments only.
        let mut tries = 0;
        while let Err(TryLockError::WouldBlock) = file.try_lock() {
            tries += 1;
            if tries == 100 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut text = Vec::new();
        let mut limited = (&mut file).take(MAX_LIST + 1);
        limited.read_to_end(&mut text)?;
        if text.len() as u64 > MAX_LIST {
            return Ok(());
        }
        let plain = crate::formats::module::unescape_version(&self.version)
            .unwrap_or_else(|_| self.version.clone());
        let kept: Vec<u8> = text
            .split_inclusive(|&byte| byte == b'\n')
            .filter(|line| line.trim_ascii_end() != plain.as_bytes())
            .flatten()
            .copied()
            .collect();
        if kept.len() == text.len() {
            return Ok(());
        }
        if !is_shared(&file.metadata()?) {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&kept)?;
            return file.set_len(kept.len() as u64);
        }
        // Its other names belong to somebody else: this one gets a file of its
        // own, under a name that is known for residue until it is whole.
        let name = OsString::from(format!("list{}.tmp", crate::parallel::process_id()));
        let written = at_v
            .create(&name)
            .and_then(|mut file| file.write_all(&kept))
            .and_then(|()| at_v.rename(&name, "list".as_ref()));
        if written.is_err() {
            gone_is_fine(at_v.unlink(&name))?;
        }
        written
    }
}

/// Whether a file has other names, or may have.
fn is_shared(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::nlink(metadata) > 1;
    #[cfg(not(unix))]
    {
        let _ = metadata;
        true
    }
}

/// Removes what a broken download or extraction left.
pub(super) fn remove_residue(root: &Root, path: &Path, left: &Residue) -> Result {
    let _lock = match &left.version {
        Some(id) => Place::of(root, id)?.lock(false)?,
        None => None,
    };
    let (folder, name) = root.parent(path)?;
    remove_any(&folder, &name)
}

/// Removes a file, or a folder with all that is in it.
pub(super) fn remove_any(folder: &Folder, name: &OsStr) -> Result {
    match folder.stat(name) {
        Ok(stat) if stat.kind == Kind::Folder => Ok(remove_tree(folder, name)?),
        Ok(stat) => {
            gone_is_fine(folder.unlink(name))?;
            Ok(stat.bytes)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{Scan, scan};
    use std::fs;
    use std::path::PathBuf;

    struct Cache {
        dir: tempfile::TempDir,
        pieces: PathBuf,
        tree: PathBuf,
    }

    impl Cache {
        fn new(pieces: &[&str]) -> Cache {
            let dir = tempfile::tempdir().unwrap();
            let at_v = dir.path().join("cache/download/example.com/m/@v");
            let tree = dir.path().join("example.com/m@v1.0.0");
            fs::create_dir_all(&at_v).unwrap();
            fs::create_dir_all(tree.join("sub")).unwrap();
            fs::write(tree.join("sub/a.go"), "package a").unwrap();
            for piece in pieces {
                fs::write(at_v.join(format!("v1.0.0.{piece}")), piece).unwrap();
            }
            Cache {
                dir,
                pieces: at_v,
                tree,
            }
        }

        fn root(&self) -> Root {
            Root::open(self.dir.path(), &[]).unwrap()
        }

        fn version(&self) -> Version {
            let inventory = scan(Scan {
                modcache: Some(self.dir.path()),
                gocache: None,
                jobs: 1,
                read_actions: false,
            });
            inventory.modcache.unwrap().versions.remove(0)
        }

        fn left(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.pieces).unwrap();
            let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
            let mut names: Vec<String> = entries
                .map(|entry| name(entry).into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    const ALL: [&str; 5] = ["info", "lock", "mod", "zip", "ziphash"];

    #[test]
    fn the_ziphash_goes_first_and_the_lock_never() {
        let cache = Cache::new(&ALL);
        let version = cache.version();
        let begun = begin(&cache.root(), &version, Part::Whole).unwrap();
        assert_eq!(
            cache.left(),
            ["v1.0.0.info", "v1.0.0.lock", "v1.0.0.mod", "v1.0.0.zip"]
        );
        assert!(cache.tree.exists());
        // Newcomers wait, and so would another trim.
        let other = begin(&cache.root(), &version, Part::Whole);
        assert!(matches!(other, Err(StepError::Busy)));
        let freed = finish(&begun, Cause::Unused).unwrap();
        // `info`, `mod`, `zip`, `ziphash` and `package a`, to the byte.
        assert_eq!(freed, 4 + 3 + 3 + 7 + 9);
        assert_eq!(cache.left(), ["v1.0.0.lock"]);
        assert!(!cache.tree.exists());
        let parent = cache.tree.parent().unwrap();
        assert_eq!(fs::read_dir(parent).unwrap().count(), 0, "no trash is left");
    }

    #[test]
    fn without_a_zip_the_ziphash_stays_until_the_tree_goes() {
        let cache = Cache::new(&["info", "mod", "ziphash"]);
        let version = cache.version();
        let begun = begin(&cache.root(), &version, Part::Source).unwrap();
        assert!(cache.left().contains(&"v1.0.0.ziphash".to_owned()));
        finish(&begun, Cause::OnlyGoMod).unwrap();
        assert_eq!(cache.left(), ["v1.0.0.info", "v1.0.0.lock", "v1.0.0.mod"]);
        assert!(!cache.tree.exists());
    }

    #[test]
    fn what_changed_since_the_scan_stays() {
        let cache = Cache::new(&ALL);
        let version = cache.version();
        fs::write(cache.pieces.join("v1.0.0.zip"), "another").unwrap();
        let begun = begin(&cache.root(), &version, Part::Whole);
        assert!(matches!(begun, Err(StepError::Changed)));
        assert_eq!(cache.left().len(), ALL.len());
    }

    #[test]
    fn an_extraction_that_ended_meanwhile_is_no_half_tree() {
        let cache = Cache::new(&["lock", "mod", "partial", "zip", "ziphash"]);
        let version = cache.version();
        fs::remove_file(cache.pieces.join("v1.0.0.partial")).unwrap();
        let begun = begin(&cache.root(), &version, Part::HalfTree).unwrap();
        let finished = finish(&begun, Cause::Residue);
        assert!(matches!(finished, Err(StepError::Changed)));
        assert!(cache.tree.join("sub/a.go").exists());
    }

    #[test]
    fn a_copy_goes_only_while_the_other_is_there() {
        let cache = Cache::new(&ALL);
        let version = cache.version();
        fs::remove_file(cache.pieces.join("v1.0.0.zip")).unwrap();
        let begun = begin(&cache.root(), &version, Part::Tree).unwrap();
        let finished = finish(&begun, Cause::Slim);
        assert!(matches!(finished, Err(StepError::Changed)));
        assert!(cache.tree.exists());
    }
}
