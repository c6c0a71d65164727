//! A cache's folder and the file system it lies on.

use super::situation::{CacheSite, Unmakeable};
use crate::findings::display_path;
use crate::locate::Located;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) fn of(located: &Located) -> CacheSite {
    let path = real(&located.path);
    let mut site = CacheSite {
        lacks_folders: lacks_folders(&located.path),
        filled: fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some()),
        owner_and_user: system::owner_and_user(&path),
        folds_case: folds_case(&path),
        path,
        ..CacheSite::default()
    };
    system::tell(&mut site);
    site
}

/// A folder that is not there and cannot be made below the nearest one that is.
pub(super) fn unmakeable(key: &'static str, path: PathBuf) -> Option<Unmakeable> {
    if path.is_dir() {
        return None;
    }
    let there = path
        .ancestors()
        .find(|dir| dir.symlink_metadata().is_ok())?;
    let name = display_path(there);
    let why = if !there.is_dir() {
        format!("{name} is not a folder")
    } else if system::writable(there) == Some(false) {
        format!("{name} may not be written to")
    } else {
        return None;
    };
    Some(Unmakeable { key, path, why })
}

/// A path without links, where it is there.
pub(super) fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether Go would make folders in a build cache before it builds
/// (`cmd/go/internal/cache/cache.go:Open`).
fn lacks_folders(path: &Path) -> bool {
    let looks_like_one = path.join("00").is_dir() || path.join("README").is_file();
    let empty = || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    (looks_like_one || empty())
        && (0..=0xff_u32).any(|shard| !path.join(format!("{shard:02x}")).is_dir())
}

/// Whether the folder is also there under its name in the other letter case.
fn folds_case(path: &Path) -> Option<bool> {
    let name = path.file_name()?.to_str()?;
    let swap = |c: char| {
        if c.is_ascii_lowercase() {
            c.to_ascii_uppercase()
        } else {
            c.to_ascii_lowercase()
        }
    };
    let other: String = name.chars().map(swap).collect();
    if other == name {
        return None;
    }
    let names: BTreeSet<_> = fs::read_dir(path.parent()?)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    let other = std::ffi::OsString::from(other);
    // Were it listed, it would be a folder of its own.
    Some(!names.contains(&other) && path.with_file_name(other).exists())
}

/// What only Unix tells.
#[cfg(unix)]
mod system {
    use super::super::situation::{CacheSite, Space};
    use rustix::fs::{Access, StatVfsMountFlags, access};
    use rustix::io::Errno;
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    /// Entries of a cache's top folder whose owner is asked for: a build cache
    /// has 256 folders and some files.
    const MAX_FOLDERS: usize = 300;

    pub(super) fn tell(site: &mut CacheSite) {
        site.writable = writable(&site.path);
        let Ok(stat) = rustix::fs::statvfs(&site.path) else {
            return;
        };
        site.read_only = stat.f_flag.contains(StatVfsMountFlags::RDONLY);
        #[cfg(target_os = "linux")]
        {
            site.no_access_times = stat.f_flag.contains(StatVfsMountFlags::NOATIME);
        }
        site.space = Some(Space {
            bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            files: stat.f_files,
            free_files: stat.f_favail,
        });
    }

    /// Who owns the cache and who this is. Where another user owns a folder in
    /// it, that is who is told.
    pub(super) fn owner_and_user(path: &Path) -> Option<(u32, u32)> {
        let user = rustix::process::geteuid().as_raw();
        let own = fs::metadata(path).ok()?.uid();
        let below = fs::read_dir(path).ok().into_iter().flatten().flatten();
        let owners = below
            .take(MAX_FOLDERS)
            .filter_map(|entry| Some(entry.metadata().ok()?.uid()));
        let foreign = [own].into_iter().chain(owners).find(|&owner| owner != user);
        Some((foreign.unwrap_or(own), user))
    }

    pub(super) fn writable(path: &Path) -> Option<bool> {
        match access(path, Access::WRITE_OK) {
            Ok(()) => Some(true),
            Err(Errno::ACCESS | Errno::ROFS) => Some(false),
            Err(_) => None,
        }
    }
}

#[cfg(not(unix))]
mod system {
    use super::super::situation::CacheSite;
    use std::path::Path;

    pub(super) fn tell(_: &mut CacheSite) {}

    pub(super) fn owner_and_user(_: &Path) -> Option<(u32, u32)> {
        None
    }

    pub(super) fn writable(_: &Path) -> Option<bool> {
        None
    }
}
