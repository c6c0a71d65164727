//! A running `go` changes what is being looked at. Before a version is said to
//! be damaged or half there, it is looked at once more.
//!
//! Go downloads and extracts under the version's `.lock`. Whoever holds it is
//! still at work; while it is held here, Go changes nothing that counts.

use crate::folder::{Folder, Kind, Stat};
use crate::formats::module::{ModuleVersion, PieceKind};
use crate::scan::{ModCache, Version};
use chrono::TimeDelta;
use std::fs::{File, TryLockError};
use std::path::Path;

/// What a second look found.
#[derive(Debug)]
pub(super) enum Now {
    /// Nothing has changed since the walk.
    Same,
    /// It is not what was walked: this is what it is now.
    Changed(Box<Version>),
    /// Go is downloading or extracting it.
    InProgress,
}

/// Looks at a version once more. What is found holds for as long as the file
/// that comes with it, Go's lock of the version, is kept.
pub(super) fn look_again(cache: &ModCache, before: &Version) -> (Now, Option<File>) {
    let (lock, held) = lock(cache, &before.id);
    if held {
        return (Now::InProgress, None);
    }
    let now = cache.version_now(&before.id);
    let now = match is_same(before, &now) && !touched(cache, &before.id) {
        true => Now::Same,
        false => Now::Changed(Box::new(now)),
    };
    (now, lock)
}

/// Whether a `go` command, or another trim, holds the lock of a version.
pub(super) fn in_progress(cache: &ModCache, id: &ModuleVersion) -> bool {
    lock(cache, id).1
}

/// The lock, if it could be had, and whether somebody else has it. It is only
/// opened for reading, which suffices for it and for a cache that is read-only.
fn lock(cache: &ModCache, id: &ModuleVersion) -> (Option<File>, bool) {
    let path = cache.piece_path(id, PieceKind::Lock);
    let opened = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            Folder::open_no_follow(parent).and_then(|folder| folder.file(name))
        }
        _ => return (None, false),
    };
    // Without the file nobody can hold it. Where there are no locks, or none
    // for reading, the second look has to do.
    let Ok(file) = opened else {
        return (None, false);
    };
    match file.try_lock() {
        Ok(()) => (Some(file), false),
        Err(TryLockError::WouldBlock) => (None, true),
        Err(TryLockError::Error(_)) => (None, false),
    }
}

fn is_same(before: &Version, now: &Version) -> bool {
    let pieces = |version: &Version| {
        [
            version.info,
            version.go_mod,
            version.zip,
            version.ziphash,
            version.partial,
        ]
    };
    let tree = |version: &Version| version.tree.as_ref().map(|tree| tree.modified);
    pieces(before) == pieces(now) && tree(before) == tree(now)
}

/// Whether the folder of the pieces was changed since the walk began. An
/// extraction makes `.partial` in it and removes it, so that this shows one
/// that ended between the two looks and left the tree's top folder as it was.
fn touched(cache: &ModCache, id: &ModuleVersion) -> bool {
    let path = cache.piece_path(id, PieceKind::Lock);
    let stat = path.parent().and_then(stat);
    // File systems keep coarser time than the clock does.
    stat.is_some_and(|stat| stat.modified > cache.walked - TimeDelta::seconds(2))
}

fn stat(path: &Path) -> Option<Stat> {
    let folder = Folder::open_no_follow(path.parent()?).ok()?;
    let stat = folder.stat(path.file_name()?).ok()?;
    (stat.kind == Kind::Folder).then_some(stat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{Scan, scan};
    use std::fs;
    use std::path::PathBuf;

    const PIECES: &str = "cache/download/example.com/m/@v";

    fn half() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let pieces = dir.path().join(PIECES);
        fs::create_dir_all(&pieces).unwrap();
        fs::create_dir_all(dir.path().join("example.com/m@v1.0.0/sub")).unwrap();
        for name in ["zip", "ziphash", "mod", "info", "lock", "partial"] {
            fs::write(pieces.join(format!("v1.0.0.{name}")), "").unwrap();
        }
        (dir, pieces)
    }

    fn walk(root: &Path) -> ModCache {
        let inventory = scan(Scan {
            modcache: Some(root),
            gocache: None,
            jobs: 1,
            read_actions: false,
        });
        inventory.modcache.unwrap()
    }

    fn long_ago(path: &Path) {
        let then = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
        fs::File::open(path).unwrap().set_modified(then).unwrap();
    }

    #[test]
    fn who_holds_the_lock_is_at_work() {
        let (dir, pieces) = half();
        let cache = walk(dir.path());
        let lock = File::open(pieces.join("v1.0.0.lock")).unwrap();
        lock.lock().unwrap();
        let (now, _) = look_again(&cache, &cache.versions[0]);
        assert!(matches!(now, Now::InProgress), "{now:?}");
        drop(lock);
        long_ago(&pieces);
        let cache = walk(dir.path());
        let (now, mine) = look_again(&cache, &cache.versions[0]);
        assert!(matches!(now, Now::Same), "{now:?}");
        // Nobody else gets it while the second look counts.
        let lock = File::open(pieces.join("v1.0.0.lock")).unwrap();
        assert!(lock.try_lock().is_err());
        drop(mine);
        lock.try_lock().unwrap();
    }

    #[test]
    fn what_go_finished_is_seen_as_it_is_now() {
        let (dir, pieces) = half();
        long_ago(&pieces);
        let cache = walk(dir.path());
        fs::remove_file(pieces.join("v1.0.0.partial")).unwrap();
        let (now, _lock) = look_again(&cache, &cache.versions[0]);
        let Now::Changed(now) = now else {
            panic!("{now:?}")
        };
        assert_eq!(now.partial, None);
        assert!(now.zip.is_some() && now.tree.is_some());
    }

    #[test]
    fn an_extraction_that_only_its_marker_told_of_is_seen() {
        let (dir, pieces) = half();
        fs::remove_file(pieces.join("v1.0.0.partial")).unwrap();
        long_ago(&pieces);
        let cache = walk(dir.path());
        // Begun and ended since, below the tree's top folder.
        fs::write(pieces.join("v1.0.0.partial"), "").unwrap();
        fs::remove_file(pieces.join("v1.0.0.partial")).unwrap();
        let (now, _lock) = look_again(&cache, &cache.versions[0]);
        assert!(matches!(now, Now::Changed(_)), "{now:?}");
    }

    #[test]
    fn without_a_lock_the_second_look_has_to_do() {
        let (dir, pieces) = half();
        fs::remove_file(pieces.join("v1.0.0.lock")).unwrap();
        long_ago(&pieces);
        let cache = walk(dir.path());
        let (now, lock) = look_again(&cache, &cache.versions[0]);
        assert!(matches!(now, Now::Same) && lock.is_none(), "{now:?}");
        fs::remove_dir_all(dir.path().join("cache")).unwrap();
        let (now, _) = look_again(&cache, &cache.versions[0]);
        assert!(matches!(now, Now::Changed(_)), "{now:?}");
    }
}
