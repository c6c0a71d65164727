//! Sizes of whole trees.

use super::{Measure, ModCache};
use crate::findings::{Finding, Rule};
use crate::folder::{Folder, Kind};
use crate::parallel;
use crate::shard::Shard;
use chrono::{DateTime, Utc};
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use walkdir::WalkDir;

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
                let path = modcache.tree_path(&modcache.versions[todo[index]].id);
                let mut measure = Measure::default();
                let mut findings = Vec::new();
                match Folder::open_no_follow(&path) {
                    Ok(folder) => folder_tree(&folder, &path, 0, &mut measure, &mut findings),
                    Err(error) => findings.push(unreadable(&path, &error)),
                }
                (measure, findings)
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

fn folder_tree(
    folder: &Folder,
    path: &Path,
    depth: usize,
    measure: &mut Measure,
    findings: &mut Vec<Finding>,
) {
    let entries = match folder.entries() {
        Ok(entries) => entries,
        Err(error) => return findings.push(unreadable(path, &error)),
    };
    for entry in entries {
        if entry.kind == Kind::Folder {
            let path = path.join(&entry.name);
            match folder.folder(&entry.name) {
                Ok(_) if depth >= MAX_DEPTH => findings.push(too_deep(&path)),
                Ok(inner) => folder_tree(&inner, &path, depth + 1, measure, findings),
                Err(error) => findings.push(unreadable(&path, &error)),
            }
            continue;
        }
        match folder.stat(&entry.name) {
            Ok(stat) => {
                *measure += Measure {
                    files: 1,
                    bytes: stat.bytes,
                }
            }
            Err(error) => findings.push(unreadable(&path.join(&entry.name), &error)),
        }
    }
}

/// Walks any other tree: the checksum database, clones, residue, fuzz data.
pub(crate) fn any(path: &Path, findings: &mut Vec<Finding>) -> (Measure, DateTime<Utc>) {
    let mut measure = Measure::default();
    let mut newest = DateTime::<Utc>::UNIX_EPOCH;
    for entry in WalkDir::new(path).follow_links(false).max_depth(MAX_DEPTH) {
        let metadata = entry.and_then(|entry| {
            let metadata = entry.metadata()?;
            Ok(metadata)
        });
        match metadata {
            Ok(metadata) => {
                if !metadata.is_dir() {
                    measure += Measure {
                        files: 1,
                        bytes: metadata.len(),
                    };
                }
                newest = newest.max(metadata.modified().map(DateTime::from).unwrap_or_default());
            }
            Err(error) => {
                let at = error.path().unwrap_or(path).to_owned();
                findings.push(unreadable(&at, &error.into()));
            }
        }
    }
    (measure, newest)
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
