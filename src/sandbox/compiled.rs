//! Where compiled modules are kept between runs.
//!
//! What lies there is machine code that a later run executes, so a folder that
//! somebody else can fill must never serve. The platform's cache folder is such
//! a one: CI systems restore it from archives that a pull request may have
//! written, which is what this program exists to distrust. Compiled modules
//! therefore lie in the temporary folder, in a folder that is this user's alone.

use std::path::{Path, PathBuf};
use wasmtime::{Cache, CacheConfig};

/// A cache of compiled modules, or `None` where there is no safe place for it;
/// modules are then compiled anew each time.
pub(super) fn cache() -> Option<Cache> {
    let folder = private_folder(&std::env::temp_dir())?;
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    // No second, smaller copy is made in the background: a few modules lie there.
    config.with_optimized_compression_usage_counter_threshold(u64::MAX);
    Cache::new(config).ok()
}

/// A folder in `parent` that only this user can write to, made if need be.
#[cfg(unix)]
fn private_folder(parent: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    let user = rustix::process::geteuid().as_raw();
    let folder = std::path::absolute(parent)
        .ok()?
        .join(format!("gocachevet-compiled-{user}"));
    // The one that is there is looked at below.
    let _ = std::fs::DirBuilder::new().mode(0o700).create(&folder);
    let found = folder.symlink_metadata().ok()?;
    let private = found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0;
    private.then_some(folder)
}

/// The temporary folder of these systems is the user's own.
#[cfg(not(unix))]
fn private_folder(parent: &Path) -> Option<PathBuf> {
    let folder = std::path::absolute(parent)
        .ok()?
        .join("gocachevet-compiled");
    let _ = std::fs::create_dir(&folder);
    folder.symlink_metadata().ok()?.is_dir().then_some(folder)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_folder_is_private_and_found_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = private_folder(parent.path()).unwrap();
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(private_folder(parent.path()), Some(folder));
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_not_used() {
        let parent = tempfile::tempdir().unwrap();
        let folder = private_folder(parent.path()).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o770)).unwrap();
        assert_eq!(private_folder(parent.path()), None);
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = private_folder(parent.path()).unwrap();
        fs::remove_dir(&folder).unwrap();
        let elsewhere = parent.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::set_permissions(&elsewhere, Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &folder).unwrap();
        assert_eq!(private_folder(parent.path()), None);
    }
}
