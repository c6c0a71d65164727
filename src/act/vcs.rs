//! Removing version-control clones.

use super::Result;
use super::version::{locked, remove_any};
use crate::folder::{Kind, Root};
use crate::scan::VcsClone;
use std::ffi::OsString;

/// Removes a clone under its lock. Its `.info` goes first: a clone without one
/// Go throws away and makes anew (`codehost.WorkDir`).
pub(super) fn remove(root: &Root, clone: &VcsClone) -> Result {
    let folder = root.folder("cache/vcs".as_ref())?;
    let name = clone.path.file_name().unwrap_or_default();
    let with = |suffix: &str| {
        let mut name = OsString::from(name);
        name.push(suffix);
        name
    };
    // Behind a link in its place nobody is kept away by a lock.
    let lock = with(".lock");
    if folder.stat(&lock).is_ok_and(|stat| stat.kind != Kind::File) {
        remove_any(&folder, &lock)?;
    }
    let lock = locked(folder.edit(&lock, true)?)?;
    let info = with(".info");
    let bytes = remove_any(&folder, &info)?;
    let freed = remove_any(&folder, name)?;
    drop(lock);
    Ok(bytes + freed)
}
