//! Versions that a running `go` is at work on.

use super::{ModCache, Piece, Version};
use crate::folder::{Folder, Kind};
use crate::formats::module::{ModuleVersion, PieceKind};
use std::fs::TryLockError;
use std::io;
use std::path::Path;

/// Whether a `go` command is downloading or extracting this version, or has
/// done so since it was scanned: it holds the version's lock
/// (`modfetch/cache.go:lockVersion`), or a piece is not what it was. What is
/// half done then tells nothing.
pub fn in_motion(cache: &ModCache, id: &ModuleVersion, scanned: Option<&Version>) -> bool {
    if lock_is_held(&cache.piece_path(id, PieceKind::Lock)) {
        return true;
    }
    let Some(version) = scanned else { return false };
    let pieces = [
        (PieceKind::Zip, version.zip),
        (PieceKind::ZipHash, version.ziphash),
        (PieceKind::Partial, version.partial),
        (PieceKind::Mod, version.go_mod),
        (PieceKind::Info, version.info),
    ];
    let changed = |(kind, before): (PieceKind, Option<Piece>)| {
        stat(&cache.piece_path(id, kind), Kind::File).is_ok_and(|now| now != before)
    };
    let tree = version.tree.as_ref().map(|tree| tree.modified);
    pieces.into_iter().any(changed)
        || stat(&cache.tree_path(id), Kind::Folder)
            .is_ok_and(|now| now.map(|now| now.modified) != tree)
}

/// Asked without waiting, by a shared lock that is let go at once. Where there
/// are no locks, nobody holds one.
fn lock_is_held(path: &Path) -> bool {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return false;
    };
    let file = Folder::open_no_follow(folder).and_then(|folder| folder.file(name));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// What is there now, as a scan would have seen it; `None` if nothing is.
fn stat(path: &Path, kind: Kind) -> io::Result<Option<Piece>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(None);
    };
    match Folder::open_no_follow(folder).and_then(|folder| folder.stat(name)) {
        Ok(stat) if stat.kind == kind => Ok(Some(Piece {
            bytes: stat.bytes,
            modified: stat.modified,
        })),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{Scan, scan};
    use std::fs::{self, File};

    const ID: &str = "example.com/m";

    fn cache(root: &Path) -> ModCache {
        let found = scan(Scan {
            modcache: Some(root),
            gocache: None,
            jobs: 1,
            read_actions: false,
        });
        found.modcache.unwrap()
    }

    #[test]
    fn a_held_lock_or_a_change_is_motion_and_residue_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let at_v = dir.path().join("cache/download").join(ID).join("@v");
        let tree = dir.path().join(format!("{ID}@v1.0.0"));
        fs::create_dir_all(&at_v).unwrap();
        fs::create_dir_all(&tree).unwrap();
        for piece in ["lock", "partial", "mod"] {
            fs::write(at_v.join(format!("v1.0.0.{piece}")), "").unwrap();
        }
        let scanned = cache(dir.path());
        let version = &scanned.versions[0];
        let moves = || in_motion(&scanned, &version.id, Some(version));
        assert!(!moves(), "half done, but nobody is at work");

        let lock = File::open(at_v.join("v1.0.0.lock")).unwrap();
        lock.lock().unwrap();
        assert!(moves());
        assert!(in_motion(&scanned, &version.id, None));
        lock.unlock().unwrap();
        assert!(!moves());

        fs::remove_file(at_v.join("v1.0.0.partial")).unwrap();
        assert!(moves(), "it is whole now");
        fs::write(at_v.join("v1.0.0.partial"), "").unwrap();
        let again = cache(dir.path());
        let version = &again.versions[0];
        assert!(!in_motion(&again, &version.id, Some(version)));
        fs::remove_dir(&tree).unwrap();
        assert!(in_motion(&again, &version.id, Some(version)));
    }
}
