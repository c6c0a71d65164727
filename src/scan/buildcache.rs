//! The build cache: 256 shards of action entries and outputs.
//!
//! Layout: `cmd/go/internal/cache/cache.go` (`Open`, `fileName`, `Trim`).

use super::measure::{any, unreadable};
use super::modcache::unexpected;
use super::{Action, BuildCache, Measure, Output, link_in_cache};
use crate::findings::{Finding, Rule, display_path};
use crate::folder::{DirEntry, Folder, Kind, Root, Stat, ordinary};
use crate::formats::action::{
    ActionEntry, ActionId, EntryName, OutputId, parse_entry_name, parse_shard_name,
};
use crate::formats::trim_marker::{MAX_MARK_BYTES, parse_trim_txt};
use crate::parallel;
use chrono::DateTime;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files in the top folder that Go (now or once) and this tool write.
const TOP_FILES: [&str; 4] = ["README", "trim.txt", "testexpire.txt", "log.txt"];

/// Those of them that Go reads.
const READ_FILES: [&str; 2] = ["trim.txt", "testexpire.txt"];

impl BuildCache {
    /// The cache's opened folders.
    pub(crate) fn folders(&self) -> io::Result<&Arc<Root>> {
        self.folders
            .as_ref()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the cache is not open"))
    }

    /// An action entry.
    pub fn action(&self, id: ActionId) -> Option<&Action> {
        let found = self.actions.binary_search_by_key(&id, |action| action.id);
        self.actions.get(found.ok()?)
    }

    /// An output.
    pub fn output(&self, id: OutputId) -> Option<&Output> {
        let found = self.outputs.binary_search_by_key(&id, |output| output.id);
        self.outputs.get(found.ok()?)
    }

    /// The shard that an entry lies in, opened.
    pub(crate) fn shard(&self, name: &str) -> io::Result<Folder> {
        self.folders()?.top().folder(name.as_ref())
    }
}

/// Walks the build cache at `root`.
pub(super) fn scan(
    root: &Path,
    jobs: usize,
    read_actions: bool,
    findings: &mut Vec<Finding>,
) -> BuildCache {
    let mut cache = BuildCache {
        root: root.to_owned(),
        ..BuildCache::default()
    };
    let folders = match Root::open(root, &[]) {
        Ok(folders) => Arc::new(folders),
        Err(error) => {
            findings.push(unreadable(root, &error));
            return cache;
        }
    };
    cache.folders = Some(folders.clone());
    let folder = folders.top();
    let shards = top(folder, root, &mut cache, findings);
    // Some shards at a time: what they hold is in memory twice until it is taken over.
    for shards in shards.chunks(8 * jobs.max(1)) {
        let scanned = parallel::each(jobs, shards, |name| {
            let mut shard = Shard {
                read_actions,
                ..Shard::default()
            };
            let path = root.join(name);
            match folder.folder(name.as_ref()) {
                Ok(folder) => shard.scan(&folder, &path),
                Err(error) => shard.findings.push(unreadable(&path, &error)),
            }
            shard
        });
        for shard in scanned {
            cache.actions.extend(shard.actions);
            cache.outputs.extend(shard.outputs);
            cache.other += shard.other;
            cache.links.extend(shard.links);
            findings.extend(shard.findings);
        }
    }
    cache.actions.sort_unstable_by_key(|action| action.id);
    cache.outputs.sort_unstable_by_key(|output| output.id);
    cache
}

/// Reads the top folder; returns the names of the shards.
fn top(
    folder: &Folder,
    root: &Path,
    cache: &mut BuildCache,
    findings: &mut Vec<Finding>,
) -> Vec<String> {
    let mut shards = Vec::new();
    let entries = folder.entries().unwrap_or_else(|error| {
        findings.push(unreadable(root, &error));
        Vec::new()
    });
    for entry in entries {
        let path = root.join(&entry.name);
        let name = entry.name.to_str().unwrap_or_default();
        match (entry.kind, name) {
            (Kind::Folder, _) if parse_shard_name(name).is_some() => shards.push(name.to_owned()),
            (Kind::Folder, "fuzz") => {
                cache.fuzz = any(folder, &entry.name, &path, findings).measure;
            }
            (Kind::Link, _) if parse_shard_name(name).is_some() || READ_FILES.contains(&name) => {
                let what = match READ_FILES.contains(&name) {
                    true => "when it last trimmed, or what tests have expired,",
                    false => "build outputs",
                };
                let target = folder.link_target(&entry.name);
                findings.push(link_in_cache(name, &path, &target, what));
                cache.other += Measure { files: 1, bytes: 0 };
                cache.links.push(path);
            }
            (Kind::Folder, _) => {
                cache.other += any(folder, &entry.name, &path, findings).measure;
                findings.push(unexpected(&path, "is not written by Go"));
            }
            (kind, _) => {
                match folder.stat(&entry.name) {
                    Ok(stat) => {
                        cache.other += Measure {
                            files: 1,
                            bytes: stat.bytes,
                        }
                    }
                    Err(error) => findings.push(unreadable(&path, &error)),
                }
                let known = TOP_FILES.contains(&name) || name.starts_with("gocachevet-");
                if kind != Kind::File || !known {
                    findings.push(unexpected(&path, "is not written by Go"));
                }
            }
        }
    }
    cache.trimmed = trim_marker(folder);
    shards.sort();
    shards
}

fn trim_marker(folder: &Folder) -> Option<DateTime<chrono::Utc>> {
    let mut content = Vec::new();
    let file = folder.file("trim.txt".as_ref()).ok()?;
    file.take(MAX_MARK_BYTES).read_to_end(&mut content).ok()?;
    DateTime::from_timestamp(parse_trim_txt(&content)?, 0)
}

#[derive(Default)]
struct Shard {
    read_actions: bool,
    actions: Vec<Action>,
    outputs: Vec<Output>,
    other: Measure,
    links: Vec<PathBuf>,
    findings: Vec<Finding>,
}

impl Shard {
    fn scan(&mut self, folder: &Folder, path: &Path) {
        let entries = match folder.entries() {
            Ok(entries) => entries,
            Err(error) => return self.findings.push(unreadable(path, &error)),
        };
        for entry in entries {
            let stat = match folder.stat(&entry.name) {
                Ok(stat) => stat,
                Err(error) => {
                    self.findings
                        .push(unreadable(&path.join(&entry.name), &error));
                    continue;
                }
            };
            let named = entry.name.to_str().and_then(parse_entry_name);
            let here = named.filter(|name| path.ends_with(name.shard()));
            match (here, stat.kind) {
                (Some(EntryName::Action(id)), Kind::File) => {
                    self.action(folder, path, &entry.name, id, &stat);
                }
                (Some(EntryName::Output(id)), Kind::File) => self.outputs.push(Output {
                    id,
                    executable: false,
                    bytes: stat.bytes,
                    modified: stat.modified,
                }),
                (Some(EntryName::Output(id)), Kind::Folder) => {
                    // Go bumps the folder's time, not the file's.
                    let bytes = self.executable(folder, &path.join(&entry.name), &entry.name);
                    let modified = stat.modified;
                    self.outputs.push(Output {
                        id,
                        executable: true,
                        bytes,
                        modified,
                    });
                }
                (Some(name), Kind::Link) => {
                    let (subject, what) = match name {
                        EntryName::Action(id) => (id.to_string(), "the action entry"),
                        EntryName::Output(id) => (id.to_string(), "the build output"),
                    };
                    let path = path.join(&entry.name);
                    let target = folder.link_target(&entry.name);
                    self.findings
                        .push(link_in_cache(subject, &path, &target, what));
                    self.other += Measure { files: 1, bytes: 0 };
                    self.links.push(path);
                }
                (_, kind) => {
                    let path = path.join(&entry.name);
                    self.other += match kind {
                        Kind::Folder => any(folder, &entry.name, &path, &mut self.findings).measure,
                        _ => Measure {
                            files: 1,
                            bytes: stat.bytes,
                        },
                    };
                    self.findings
                        .push(unexpected(&path, "is not an entry that Go would find here"));
                }
            }
        }
    }

    fn action(&mut self, folder: &Folder, path: &Path, name: &OsStr, id: ActionId, stat: &Stat) {
        let mut entry = None;
        if self.read_actions {
            match read_action(folder, name) {
                Ok(content) => match ActionEntry::parse_named(id, &content) {
                    Ok(parsed) => entry = Some(parsed),
                    Err(error) => self.findings.push(
                        Finding::new(Rule::ActionInvalid, id.to_string(), error.to_string())
                            .at(&path.join(name)),
                    ),
                },
                Err(error) => self.findings.push(unreadable(&path.join(name), &error)),
            }
        }
        self.actions.push(Action {
            id,
            entry,
            bytes: stat.bytes,
            modified: stat.modified,
            foreign: !stat.own,
        });
    }

    /// An executable is a folder with the one file in it.
    fn executable(&mut self, folder: &Folder, path: &Path, name: &OsStr) -> u64 {
        let listed = folder.folder(name).and_then(|inner| {
            let entries = inner.entries()?;
            let mut bytes = 0;
            for entry in &entries {
                bytes += inner.stat(&entry.name)?.bytes;
            }
            Ok((inner, entries, bytes))
        });
        let subject = || display_path(Path::new(name));
        match listed {
            Ok((inner, entries, bytes)) => {
                for entry in entries.iter().filter(|entry| entry.kind == Kind::Link) {
                    let at = path.join(&entry.name);
                    let target = inner.link_target(&entry.name);
                    let what = "the executable";
                    self.findings
                        .push(link_in_cache(subject(), &at, &target, what));
                    self.links.push(at);
                }
                let odd = |entry: &DirEntry| !matches!(entry.kind, Kind::File | Kind::Link);
                if entries.len() > 1 || entries.iter().any(odd) {
                    let message = "holds something else than its one executable";
                    self.findings
                        .push(Finding::new(Rule::UnexpectedFile, subject(), message).at(path));
                }
                bytes
            }
            Err(error) => {
                self.findings.push(unreadable(path, &error));
                0
            }
        }
    }
}

/// Reads one byte more than an entry has, to tell a longer file.
fn read_action(folder: &Folder, name: &OsStr) -> std::io::Result<Vec<u8>> {
    let mut content = vec![0; ActionEntry::LEN + 1];
    let mut file = folder.file(name)?;
    let read = ordinary::fill(&mut file, &mut content, ActionEntry::LEN as u64)?;
    content.truncate(read);
    Ok(content)
}
