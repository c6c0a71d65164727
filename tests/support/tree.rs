//! Temporary folders, copies and snapshots of trees.

use std::collections::BTreeMap;
use std::fs::{self, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

/// A temporary folder inside `target/`, removed on drop even where `go` made
/// its folders read-only.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Self {
        let all = std::env::var_os("GOCACHEVET_TEST_TMP");
        let all = all.map_or(env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
        // Cargo makes its folder when it builds; a cleaner may have taken it.
        fs::create_dir_all(&all).unwrap();
        Self(tempfile::tempdir_in(all).unwrap())
    }

    /// One that every user of the machine can enter.
    pub fn for_everyone() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        make_writable(self.path());
    }
}

/// Makes every folder below (and including) `root` writable for its owner.
pub fn make_writable(root: &Path) {
    // A folder is listed after it was yielded, so also an unreadable one opens.
    for entry in WalkDir::new(root).into_iter().flatten() {
        if entry.file_type().is_dir() {
            let _ = fs::set_permissions(entry.path(), Permissions::from_mode(0o755));
        }
    }
}

/// Copies a tree with modes, access and modification times (to the nanosecond;
/// a symlink's own times excepted) and symlinks as symlinks. `to` must not
/// exist; its parent is made.
pub fn copy_tree(from: &Path, to: &Path) {
    copy(from, to, true);
}

/// The same with all times new, as if it had just been written.
pub fn copy_tree_fresh(from: &Path, to: &Path) {
    copy(from, to, false);
}

fn copy(from: &Path, to: &Path, keep_times: bool) {
    assert!(!to.exists(), "{} exists already", to.display());
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let mut folders = Vec::new();
    for entry in WalkDir::new(from) {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        let target = match entry.path().strip_prefix(from).unwrap() {
            p if p.as_os_str().is_empty() => to.to_owned(),
            p => to.join(p),
        };
        if meta.is_symlink() {
            symlink(fs::read_link(entry.path()).unwrap(), &target).unwrap();
        } else if meta.is_dir() {
            fs::create_dir(&target).unwrap();
            folders.push((target, meta));
        } else {
            assert!(meta.is_file(), "{} is no file", entry.path().display());
            fs::copy(entry.path(), &target).unwrap();
            if keep_times {
                set_times(&target, &meta);
            }
        }
    }
    // Contents change a folder's time, and a read-only one takes none: last.
    for (target, meta) in folders.iter().rev() {
        if keep_times {
            set_times(target, meta);
        }
        fs::set_permissions(target, meta.permissions()).unwrap();
    }
}

fn set_times(path: &Path, meta: &fs::Metadata) {
    let times = FileTimes::new()
        .set_accessed(meta.accessed().unwrap())
        .set_modified(meta.modified().unwrap());
    // Owning a file is enough to set its times, so a read-only handle does.
    fs::File::open(path).unwrap().set_times(times).unwrap();
}

/// What one path looked like: see [`snapshot`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `file`, `dir`, `link` or `other`.
    pub kind: &'static str,
    /// Bytes; 0 for all but files.
    pub size: u64,
    pub mtime: SystemTime,
    /// Permission bits.
    pub mode: u32,
    /// Hex SHA-256 of a file's content, a link's target, else empty.
    pub content: String,
}

/// Every path below a root (relative; the root itself is ``), and what it is.
pub type Snapshot = BTreeMap<PathBuf, Entry>;

/// Records a whole tree, contents included.
pub fn snapshot(root: &Path) -> Snapshot {
    WalkDir::new(root)
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            let (kind, size, content) = if meta.is_symlink() {
                let target = fs::read_link(entry.path()).unwrap();
                ("link", 0, target.to_string_lossy().into_owned())
            } else if meta.is_dir() {
                ("dir", 0, String::new())
            } else if meta.is_file() {
                ("file", meta.len(), sha256(entry.path()))
            } else {
                ("other", 0, String::new())
            };
            let recorded = Entry {
                kind,
                size,
                mtime: meta.modified().unwrap(),
                mode: meta.permissions().mode() & 0o7777,
                content,
            };
            let path = entry.path().strip_prefix(root).unwrap().to_owned();
            (path, recorded)
        })
        .collect()
}

fn sha256(path: &Path) -> String {
    let digest = Sha256::digest(fs::read(path).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Fails, naming each path that was added, removed or changed in `root` since
/// `before` was taken.
#[track_caller]
pub fn assert_untouched(before: &Snapshot, root: &Path) {
    let after = snapshot(root);
    let mut changes = Vec::new();
    for (path, old) in before {
        match after.get(path) {
            None => changes.push(format!("removed {}", path.display())),
            Some(new) if new != old => {
                changes.push(format!("changed {}: {old:?} -> {new:?}", path.display()));
            }
            Some(_) => {}
        }
    }
    for path in after.keys().filter(|path| !before.contains_key(*path)) {
        changes.push(format!("added {}", path.display()));
    }
    assert!(
        changes.is_empty(),
        "{} was touched:\n{}",
        root.display(),
        changes.join("\n")
    );
}
