//! Sizes of whole trees.

use super::{Measure, ModCache, link_in_cache};
use crate::findings::{Finding, Rule};
use crate::folder::{Folder, Kind};
use crate::parallel;
use crate::values::shard::Shard;
use chrono::{DateTime, Utc};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// Deeper trees are not walked: Go's own names never come near, and a cache
/// may be hostile.
pub(crate) const MAX_DEPTH: usize = 200;

/// Walks every extracted tree that nobody has measured yet, and tells what is
/// wrong with those in `shard`.
pub fn trees(modcache: &mut ModCache, shard: Shard, jobs: usize) -> Vec<Finding> {
    let todo: Vec<usize> = (0..modcache.versions.len())
        .filter(|&index| {
            modcache.versions[index]
                .tree
                .as_ref()
                .is_some_and(|tree| tree.measure.is_none())
        })
        .collect();
    let measured = {
        let modcache = &*modcache;
        parallel::map(
            jobs,
            todo.len(),
            || (),
            |(), index| {
                let id = &modcache.versions[todo[index]].id;
                let path = modcache.tree_path(id);
                let mut walk = Walk::default();
                match modcache.open_tree(id) {
                    Ok(folder) => walk.folder(&folder, &path, 0),
                    Err(error) => walk.findings.push(unreadable(&path, &error)),
                }
                let mut findings = walk.findings;
                for (at, target) in walk.links {
                    let what = "a file or folder of the module's source";
                    findings.push(link_in_cache(id.to_string(), &at, &target, what));
                }
                (walk.measure, findings)
            },
        )
    };
    let mut findings = Vec::new();
    for (index, (measure, found)) in todo.into_iter().zip(measured) {
        if let Some(tree) = &mut modcache.versions[index].tree {
            tree.measure = Some(measure);
        }
        if shard.has_module(&modcache.versions[index].id.path) {
            findings.extend(found);
        }
    }
    findings
}

/// So many links of one tree are told of: they are all of a kind.
const MAX_LINKS: usize = 10;

/// What walking a tree brought.
#[derive(Default)]
pub(crate) struct Walk {
    /// Its files.
    pub(crate) measure: Measure,
    /// The last change in it.
    pub(crate) newest: DateTime<Utc>,
    /// Links in it, none of them followed, and what they say.
    pub(crate) links: Vec<(PathBuf, io::Result<PathBuf>)>,
    /// What could not be read.
    pub(crate) findings: Vec<Finding>,
}

impl Walk {
    fn folder(&mut self, folder: &Folder, path: &Path, depth: usize) {
        let entries = match folder.entries() {
            Ok(entries) => entries,
            Err(error) => return self.findings.push(unreadable(path, &error)),
        };
        for entry in entries {
            let inner = || path.join(&entry.name);
            match folder.stat(&entry.name) {
                Ok(stat) => {
                    self.newest = self.newest.max(stat.modified);
                    if entry.kind != Kind::Folder {
                        self.measure += Measure {
                            files: 1,
                            bytes: stat.bytes,
                        };
                    }
                }
                Err(error) => self.findings.push(unreadable(&inner(), &error)),
            }
            match entry.kind {
                Kind::Folder => match folder.folder(&entry.name) {
                    Ok(_) if depth >= MAX_DEPTH => self.findings.push(too_deep(&inner())),
                    Ok(below) => self.folder(&below, &inner(), depth + 1),
                    Err(error) => self.findings.push(unreadable(&inner(), &error)),
                },
                Kind::Link if self.links.len() < MAX_LINKS => {
                    self.links.push((inner(), folder.link_target(&entry.name)));
                }
                Kind::Link | Kind::File | Kind::Other => {}
            }
        }
    }
}

/// Walks any other tree: the checksum database, clones, residue, fuzz data. What
/// could not be read is added to `findings`.
pub(crate) fn any(parent: &Folder, name: &OsStr, path: &Path, findings: &mut Vec<Finding>) -> Walk {
    let mut walk = Walk::default();
    match parent.stat(name) {
        Ok(stat) => {
            walk.newest = stat.modified;
            if stat.kind == Kind::Folder {
                match parent.folder(name) {
                    Ok(folder) => walk.folder(&folder, path, 0),
                    Err(error) => walk.findings.push(unreadable(path, &error)),
                }
            } else {
                let bytes = stat.bytes;
                walk.measure += Measure { files: 1, bytes };
            }
        }
        Err(error) => walk.findings.push(unreadable(path, &error)),
    }
    findings.append(&mut walk.findings);
    walk
}

/// The finding for a file or folder that could not be read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Finding {
    let subject = path.file_name().unwrap_or(OsStr::new("."));
    Finding::new(
        Rule::Unreadable,
        crate::findings::display_path(Path::new(subject)),
        format!("could not be read: {error}"),
    )
    .at(path)
}

pub(crate) fn too_deep(path: &Path) -> Finding {
    Finding::new(
        Rule::Unreadable,
        crate::findings::display_path(path),
        format!("lies more than {MAX_DEPTH} folders deep and was not looked at"),
    )
    .at(path)
    .advise("Go never writes such a tree; look at it and remove it by hand.")
}
