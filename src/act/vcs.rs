//! Removing version-control clones.

use super::tree::remove_tree;
use super::version::locked;
use super::{Result, gone_is_fine};
use crate::folder::Root;
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
    let lock = locked(folder.edit(&with(".lock"), true)?)?;
    let info = with(".info");
    let bytes = folder.stat(&info).map_or(0, |stat| stat.bytes);
    gone_is_fine(folder.unlink(&info))?;
    let freed = remove_tree(&folder, name)?;
    drop(lock);
    Ok(bytes + freed)
}
