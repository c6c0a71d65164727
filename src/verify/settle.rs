//! A running `go` changes what is being looked at. Before a version is said to
//! be damaged or half there, it is looked at once more.
//!
//! Go downloads and extracts under the version's `.lock`. Whoever holds it may
//! be still at work; while it is held here, Go changes nothing that counts. But
//! anybody can hold a lock for ever: who does is waited for a little, and then
//! only that is excused which a download leaves for a while in its course.

use super::tree::Buffers;
use super::version::{Checked, Checker, repairable};
use crate::findings::{Finding, Rule};
use crate::folder::{Kind, Root, Stat};
use crate::formats::module::{ModuleVersion, PieceKind};
use crate::scan::{ModCache, Version};
use chrono::TimeDelta;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a second look found.
#[derive(Debug)]
pub(super) enum Now {
    /// Nothing has changed since the walk.
    Same,
    /// It is not what was walked: this is what it is now.
    Changed(Box<Version>),
    /// Somebody still holds its lock; this is what it is meanwhile.
    InProgress(Box<Version>),
}

/// How long a run waits for those who hold locks, all of them together.
pub(super) struct Patience {
    /// Milliseconds.
    left: AtomicU64,
}

/// Milliseconds between two looks at a lock.
const PAUSE: u64 = 100;

impl Patience {
    pub(super) fn new(limit: Duration) -> Patience {
        Patience {
            left: AtomicU64::new(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// Waits a moment; `false` if there is no time left.
    fn pause(&self) -> bool {
        let shorter = |left: u64| left.checked_sub(PAUSE);
        let paused = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, shorter)
            .is_ok();
        if paused {
            std::thread::sleep(Duration::from_millis(PAUSE));
        }
        paused
    }
}

/// Looks at a version once more. What is found holds for as long as the file
/// that comes with it, Go's lock of the version, is kept.
pub(super) fn look_again(
    cache: &ModCache,
    before: &Version,
    patience: &Patience,
) -> (Now, Option<File>) {
    let (lock, held) = wait(cache, &before.id, patience);
    let now = cache.version_now(before);
    if held {
        return (Now::InProgress(Box::new(now)), None);
    }
    let now = match is_same(before, &now) && !touched(cache, &before.id) {
        true => Now::Same,
        false => Now::Changed(Box::new(now)),
    };
    (now, lock)
}

/// Whether a `go` command, or another trim, holds the lock of a version and does
/// not let go of it.
pub(super) fn in_progress(cache: &ModCache, id: &ModuleVersion, patience: &Patience) -> bool {
    wait(cache, id, patience).1
}

fn wait(cache: &ModCache, id: &ModuleVersion, patience: &Patience) -> (Option<File>, bool) {
    loop {
        let (file, held) = lock(cache, id);
        if !held || !patience.pause() {
            return (file, held);
        }
    }
}

/// The lock, if it could be had, and whether somebody else has it. It is only
/// opened for reading, which suffices for it and for a cache that is read-only.
fn lock(cache: &ModCache, id: &ModuleVersion) -> (Option<File>, bool) {
    // Without the file nobody can hold it. Where there are no locks, or none
    // for reading, the second look has to do.
    let Ok(file) = cache.pieces(id).open(PieceKind::Lock) else {
        return (None, false);
    };
    match file.try_lock() {
        Ok(()) => (Some(file), false),
        Err(TryLockError::WouldBlock) => (None, true),
        Err(TryLockError::Error(_)) => (None, false),
    }
}

/// Looks at one state of a version that changes underfoot so often.
const LOOKS: usize = 3;

/// Checks a version while somebody holds its lock. What was seen counts, but for
/// what a download explains; whether there was any such thing is returned, too.
pub(super) fn beside_go(
    checker: &Checker,
    version: &mut Version,
    buffers: &mut Buffers,
) -> (Checked, bool) {
    let mut checked = checker.check(version, buffers);
    for _ in 1..LOOKS {
        let now = checker.cache.version_now(version);
        if is_same(version, &now) {
            break;
        }
        *version = now;
        checked = checker.check(version, buffers);
    }
    let seen = checked.findings.len();
    checked
        .findings
        .retain(|finding| !is_explained(finding, version));
    for finding in &mut checked.findings {
        finding.message.push_str(HELD);
    }
    checked.proof.damaged = checked
        .findings
        .iter()
        .any(|finding| repairable(finding.rule));
    let excused = checked.findings.len() < seen;
    (checked, excused)
}

/// Said of what is found while the lock is held.
pub(super) const HELD: &str =
    " (somebody holds the version's lock, as a go command does that downloads it)";

/// Whether a download that goes on explains a finding: Go writes the `.ziphash`,
/// then gives the zip its name, then makes the `.partial` marker, extracts, and
/// removes the marker (`modfetch/fetch.go`: `downloadZip`, `hashZip`,
/// `download`). At no time is anything there under its own name that has other
/// content than it will keep.
fn is_explained(finding: &Finding, version: &Version) -> bool {
    match finding.rule {
        Rule::OrphanFile | Rule::ExtractedIncomplete | Rule::PartialDownload | Rule::LoneLock => {
            true
        }
        // Begun, and neither zip nor tree are there that it could speak for.
        Rule::ZiphashMismatch => {
            let no_tree = version.tree.is_none() || version.partial.is_some();
            finding.expected.is_none() && version.zip.is_none() && no_tree
        }
        _ => false,
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
    let stat = path.parent().and_then(|at_v| stat(cache, at_v));
    // File systems keep coarser time than the clock does.
    stat.is_some_and(|stat| stat.modified > cache.walked - TimeDelta::seconds(2))
}

/// Whether something that was walked is not there any more.
pub(super) fn is_gone(cache: &ModCache, path: &Path) -> bool {
    let stat = |folders: &Arc<Root>| folders.stat(cache.relative(path)?);
    let stat = cache.folders().and_then(stat);
    stat.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn stat(cache: &ModCache, path: &Path) -> Option<Stat> {
    let stat = cache
        .folders()
        .ok()?
        .stat(cache.relative(path).ok()?)
        .ok()?;
    (stat.kind == Kind::Folder).then_some(stat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{Scan, scan};

    fn look(cache: &ModCache) -> (Now, Option<File>) {
        look_again(cache, &cache.versions[0], &Patience::new(Duration::ZERO))
    }

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
        let (now, _) = look(&cache);
        assert!(matches!(now, Now::InProgress(_)), "{now:?}");
        drop(lock);
        long_ago(&pieces);
        let cache = walk(dir.path());
        let (now, mine) = look(&cache);
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
        let (now, _lock) = look(&cache);
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
        let (now, _lock) = look(&cache);
        assert!(matches!(now, Now::Changed(_)), "{now:?}");
    }

    #[test]
    fn without_a_lock_the_second_look_has_to_do() {
        let (dir, pieces) = half();
        fs::remove_file(pieces.join("v1.0.0.lock")).unwrap();
        long_ago(&pieces);
        let cache = walk(dir.path());
        let (now, lock) = look(&cache);
        assert!(matches!(now, Now::Same) && lock.is_none(), "{now:?}");
        fs::remove_dir_all(dir.path().join("cache")).unwrap();
        let (now, _) = look(&cache);
        assert!(matches!(now, Now::Changed(_)), "{now:?}");
    }
}
