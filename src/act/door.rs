//! What is never trimmed, whoever asks.

use crate::folder::{Folder, Kind, Root};
use crate::formats::module::MOVABLE;
use crate::settings::Environment;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Why a folder is not touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}; nothing was removed", crate::findings::display_path(.path))]
pub struct Refusal {
    /// The folder.
    pub path: PathBuf,
    /// Why.
    pub why: &'static str,
}

/// Refuses a root folder, a home folder, and folders that are no Go caches.
/// An empty folder is an empty cache.
pub fn refuse(
    environment: &Environment,
    modcache: Option<&Path>,
    gocache: Option<&Path>,
) -> Result<(), Refusal> {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let homes: Vec<PathBuf> = ["HOME", "USERPROFILE"]
        .iter()
        .filter_map(|name| environment.var(name))
        .map(|home| real(Path::new(home)))
        .collect();
    let caches = [
        modcache.map(|path| {
            (
                path,
                is_modcache as fn(&Root) -> bool,
                "is not a Go module cache (it has no cache/download)",
            )
        }),
        gocache.map(|path| {
            (
                path,
                is_gocache as fn(&Root) -> bool,
                "is no Go build cache (it has neither Go's README nor trim.txt)",
            )
        }),
    ];
    for (path, is_cache, otherwise) in caches.into_iter().flatten() {
        let refusal = |why| Refusal {
            path: path.to_owned(),
            why,
        };
        let opened = Root::open(path, MOVABLE);
        let parts = opened.iter().flat_map(Root::elsewhere);
        for real in parts.map(|part| part.to.clone()).chain([real(path)]) {
            if real.parent().is_none() {
                return Err(refusal("is the root of the file system, or links to it"));
            }
            if homes.iter().any(|home| home.starts_with(&real)) {
                return Err(refusal("is a home folder, or holds one, or links to one"));
            }
        }
        // What cannot be read is reported as that.
        if let Ok(root) = opened {
            let folder = root.top();
            if folder.stat("go.mod".as_ref()).is_ok() || folder.stat(".git".as_ref()).is_ok() {
                return Err(refusal("is a project, not a cache"));
            }
            if !is_empty(folder) && !is_cache(&root) {
                return Err(refusal(otherwise));
            }
        }
    }
    if let (Some(modcache), Some(gocache)) = (modcache, gocache) {
        let other = real(gocache);
        // A part of the module cache may lie elsewhere, too.
        let parts = MOVABLE.iter().map(|part| real(&modcache.join(part)));
        let mut parts = parts.chain([real(modcache)]);
        if parts.any(|one| one.starts_with(&other) || other.starts_with(&one)) {
            return Err(Refusal {
                path: gocache.to_owned(),
                why: "lies in the other cache, or that lies in it",
            });
        }
    }
    Ok(())
}

/// Whether there is nothing in it, or all that a restore had made when it was
/// killed at its first step.
fn is_empty(folder: &Folder) -> bool {
    let none = |folder: &Folder| folder.entries().is_ok_and(|entries| entries.is_empty());
    let only_cache = |name: &str| folder.folder(name.as_ref()).is_ok_and(|below| none(&below));
    folder.entries().is_ok_and(|entries| match &entries[..] {
        [] => true,
        [only] => only.name == "cache" && only_cache("cache"),
        _ => false,
    })
}

fn is_modcache(root: &Root) -> bool {
    let lock = root.stat("cache/lock".as_ref());
    root.folder("cache/download".as_ref()).is_ok() || lock.is_ok_and(|stat| stat.kind == Kind::File)
}

fn is_gocache(root: &Root) -> bool {
    let folder = root.top();
    if folder.stat("trim.txt".as_ref()).is_ok() {
        return true;
    }
    let mut text = String::new();
    let read = folder
        .file("README".as_ref())
        .and_then(|file| file.take(1024).read_to_string(&mut text));
    if read.is_ok() && text.contains("Go build system") {
        return true;
    }
    // A restored cache may have lost both.
    (0..256).all(|shard| {
        let name = format!("{shard:02x}");
        folder
            .stat(name.as_ref())
            .is_ok_and(|stat| stat.kind == Kind::Folder)
    })
}
