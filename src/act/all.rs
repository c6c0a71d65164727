//! What is left of an emptied cache, but for locks, goes too.

use super::tree::remove_tree;
use super::{Done, gone_is_fine};
use crate::folder::{Folder, Kind, Root};
use crate::formats::action::parse_shard_name;
use crate::formats::module::ModuleVersion;
use crate::formats::module::{AtVName, parse_at_v_name, unescape_path};
use crate::plan::{InModules, Target};
use crate::scan::{Inventory, MAX_DEPTH};
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

/// Removes everything but locks, their folders, what Go keeps beside its
/// entries, this tool's own files, and what could not be removed before. Returns
/// the bytes freed and what could not be removed now.
pub fn sweep(inventory: &Inventory, done: &[Done<'_>]) -> (u64, Vec<(String, io::Error)>) {
    let root = |root: Option<&PathBuf>| root.cloned().unwrap_or_default();
    let failed = done.iter().filter(|done| done.result.is_err());
    let mut sweep = Sweep {
        versions: failed
            .clone()
            .filter_map(|done| match done.step.target {
                Target::Modules(_, InModules::Version(version, _)) => Some(&version.id),
                _ => None,
            })
            .collect(),
        paths: failed.filter_map(|done| done.step.path()).collect(),
        modules: root(inventory.modcache.as_ref().map(|cache| &cache.root)),
        builds: root(inventory.buildcache.as_ref().map(|cache| &cache.root)),
        removed: 0,
        freed: 0,
        failed: Vec::new(),
    };
    if let Some(cache) = &inventory.modcache {
        match cache.folders() {
            Ok(root) => {
                let top = Place {
                    root,
                    elsewhere: false,
                };
                sweep.modules(top, root.top(), "", 0);
            }
            Err(error) => sweep.failed.push((String::new(), error)),
        }
    }
    if let Some(cache) = &inventory.buildcache {
        match cache.folders() {
            Ok(root) => sweep.builds(root.top()),
            Err(error) => sweep.failed.push((String::new(), error)),
        }
    }
    (sweep.freed, sweep.failed)
}

struct Sweep<'a> {
    /// Module versions that stay, since their removal failed already.
    versions: BTreeSet<&'a ModuleVersion>,
    /// Other units that do.
    paths: BTreeSet<PathBuf>,
    /// The caches' folders.
    modules: PathBuf,
    builds: PathBuf,
    /// Files and folders that went.
    removed: u64,
    freed: u64,
    failed: Vec<(String, io::Error)>,
}

impl Sweep<'_> {
    /// Returns whether the folder is empty now.
    fn modules(&mut self, place: Place<'_>, folder: &Folder, path: &str, depth: usize) -> bool {
        if depth >= MAX_DEPTH {
            return false;
        }
        let entries = match folder.entries() {
            Ok(entries) => entries,
            Err(error) => {
                self.failed.push((path.to_owned(), error));
                return false;
            }
        };
        let mut empty = true;
        for entry in entries {
            let name = entry.name.to_string_lossy();
            let inner = match path {
                "" => name.to_string(),
                _ => format!("{path}/{name}"),
            };
            let stays = match entry.kind {
                _ if self.paths.contains(&self.modules.join(&inner)) => true,
                // What the user put elsewhere is emptied there and stays linked.
                Kind::Link if let Some(below) = place.root.linked(&inner) => {
                    let elsewhere = Place {
                        elsewhere: true,
                        ..place
                    };
                    self.modules(elsewhere, below, &inner, depth + 1);
                    true
                }
                Kind::Folder if self.is_busy(&inner) => true,
                Kind::Folder if is_inside(&inner) => match folder.folder(&entry.name) {
                    Ok(below) => {
                        let before = self.removed;
                        let empty = self.modules(place, &below, &inner, depth + 1);
                        let is_ours = !place.elsewhere || self.removed > before;
                        let gone = empty && is_ours && folder.remove_folder(&entry.name).is_ok();
                        self.removed += u64::from(gone);
                        !gone
                    }
                    Err(error) => {
                        self.failed.push((inner, error));
                        true
                    }
                },
                _ if place.elsewhere && !is_go_s(&inner) => true,
                Kind::Folder => {
                    let removed = remove_tree(folder, &entry.name);
                    self.note(inner, removed)
                }
                _ if is_lock(&inner) || name.starts_with("gocachevet-") || self.is_busy(&inner) => {
                    true
                }
                _ => {
                    let bytes = folder.stat(&entry.name).map_or(0, |stat| stat.bytes);
                    let removed = gone_is_fine(folder.unlink(&entry.name)).map(|()| bytes);
                    self.note(inner, removed)
                }
            };
            empty &= !stays;
        }
        empty
    }

    /// Only the shards are Go's entries; the folders stay, since a running go
    /// makes them once, when it opens the cache.
    fn builds(&mut self, root: &Folder) {
        let entries = root.entries().unwrap_or_default();
        for entry in entries {
            let shard = entry.name.to_str().and_then(parse_shard_name);
            if entry.kind != Kind::Folder || shard.is_none() {
                continue;
            }
            let Ok(folder) = root.folder(&entry.name) else {
                continue;
            };
            for left in folder.entries().unwrap_or_default() {
                let path = self.builds.join(&entry.name).join(&left.name);
                if self.paths.contains(&path) {
                    continue;
                }
                let removed = match left.kind {
                    Kind::Folder => remove_tree(&folder, &left.name),
                    _ => {
                        let bytes = folder.stat(&left.name).map_or(0, |stat| stat.bytes);
                        gone_is_fine(folder.unlink(&left.name)).map(|()| bytes)
                    }
                };
                self.note(left.name.to_string_lossy().into_owned(), removed);
            }
        }
    }

    /// Returns whether it is still there.
    fn note(&mut self, subject: String, removed: io::Result<u64>) -> bool {
        match removed {
            Ok(bytes) => {
                self.removed += 1;
                self.freed += bytes;
                false
            }
            Err(error) => {
                self.failed.push((subject, error));
                true
            }
        }
    }

    /// Whether a path below the cache belongs to a version that stays.
    fn is_busy(&self, path: &str) -> bool {
        if self.versions.is_empty() {
            return false;
        }
        let id = match path.strip_prefix("cache/download/") {
            Some(below) => below.split_once("/@v/").and_then(|(module, name)| {
                let module = unescape_path(module).ok()?;
                match parse_at_v_name(name) {
                    AtVName::Piece(file) => Some(ModuleVersion::new(module, file.version)),
                    _ => None,
                }
            }),
            None => match crate::formats::module::parse_tree_dir(path) {
                Ok(crate::formats::module::TreeDir::Module(id)) => Some(id),
                _ => None,
            },
        };
        id.is_some_and(|id| self.versions.contains(&id))
    }
}

/// Where a sweep is.
#[derive(Clone, Copy)]
struct Place<'a> {
    root: &'a Root,
    /// Behind a link: whatever that leads to may hold other things than Go's,
    /// and those stay.
    elsewhere: bool,
}

/// Whether something under `cache/` has a name that Go gives.
fn is_go_s(path: &str) -> bool {
    let Some(below) = path.strip_prefix("cache/") else {
        return false;
    };
    if let Some(clone) = below.strip_prefix("vcs/") {
        let name = clone.split('.').next().unwrap_or(clone);
        return name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    if let Some((_, name)) = below.split_once("/@v/") {
        return parse_at_v_name(name) != AtVName::Unknown;
    }
    below == "download/sumdb"
}

/// Whether a folder may have locks, or versions that stay, below it.
fn is_inside(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    match path.strip_prefix("cache/") {
        Some("download" | "vcs") => true,
        Some(below) => below
            .strip_prefix("download/")
            .is_some_and(|below| below != "sumdb" && !below.starts_with("sumdb/")),
        None => !name.contains('@'),
    }
}

fn is_lock(path: &str) -> bool {
    let in_download = path.starts_with("cache/download/") && path.contains("/@v/");
    path == "cache/lock"
        || path.ends_with(".lock") && (in_download || path.starts_with("cache/vcs/"))
}
