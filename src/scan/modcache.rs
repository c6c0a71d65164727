//! The module cache: extracted trees, `cache/download`, `cache/vcs`.
//!
//! Layout: `cmd/go/internal/modfetch/cache.go` (`CachePath`, `DownloadDir`).

use super::measure::{MAX_DEPTH, any, too_deep, unreadable};
use super::{Measure, ModCache, Piece, Residue, Tree, VcsClone, Version, VersionKind};
use crate::findings::{Finding, Rule, display_path};
use crate::folder::{Folder, Kind, Stat};
use crate::formats::module::{
    AtVName, ModuleVersion, PieceKind, TreeDir, escape_path, escape_version, parse_at_v_name,
    parse_tree_dir, tree_dir_name, unescape_path,
};
use crate::sorting;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A `.info` of `cache/vcs` longer than this is not one.
const MAX_VCS_INFO: u64 = 64 * 1024;

/// This tool's own files, found in a cache's top folder or under `cache/`.
const OWN_PREFIX: &str = "gocachevet-";

impl ModCache {
    /// Where a version's extracted tree lies.
    pub fn tree_path(&self, id: &ModuleVersion) -> PathBuf {
        // Only names that parsed become versions, and those escape again.
        self.root.join(tree_dir_name(id).unwrap_or_default())
    }

    /// Where a piece of a version lies under `cache/download`.
    pub fn piece_path(&self, id: &ModuleVersion, piece: PieceKind) -> PathBuf {
        let mut path = self
            .download()
            .join(escape_path(&id.path).unwrap_or_default());
        path.push("@v");
        let version = escape_version(&id.version).unwrap_or_default();
        path.push(format!("{version}.{}", piece.suffix()));
        path
    }

    /// A version as it is now, its tree not measured. What cannot be looked at
    /// is as good as not there.
    pub(crate) fn version_now(&self, id: &ModuleVersion) -> Version {
        let stat = |path: &Path, kind| {
            let folder = Folder::open_no_follow(path.parent()?).ok()?;
            let stat = folder.stat(path.file_name()?).ok()?;
            (stat.kind == kind).then_some(stat)
        };
        let piece = |piece| {
            let stat = stat(&self.piece_path(id, piece), Kind::File)?;
            Some(Piece {
                bytes: stat.bytes,
                modified: stat.modified,
            })
        };
        let mut version = Version::new(id.clone());
        version.info = piece(PieceKind::Info);
        version.go_mod = piece(PieceKind::Mod);
        version.zip = piece(PieceKind::Zip);
        version.ziphash = piece(PieceKind::ZipHash);
        version.lock = piece(PieceKind::Lock);
        version.partial = piece(PieceKind::Partial);
        version.tree = stat(&self.tree_path(id), Kind::Folder).map(|stat| Tree {
            modified: stat.modified,
            measure: None,
        });
        version
    }

    /// `cache/download`
    pub fn download(&self) -> PathBuf {
        self.root.join("cache").join("download")
    }
}

impl Version {
    fn new(id: ModuleVersion) -> Version {
        let kind = match id.path.as_str() {
            "golang.org/toolchain" => VersionKind::Toolchain,
            "golang.org/fips140" => VersionKind::Fips140,
            _ => VersionKind::Module,
        };
        Version {
            id,
            kind,
            info: None,
            go_mod: None,
            zip: None,
            ziphash: None,
            lock: None,
            partial: None,
            tree: None,
        }
    }

    /// The files under `cache/download`.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> {
        [
            self.info,
            self.go_mod,
            self.zip,
            self.ziphash,
            self.lock,
            self.partial,
        ]
        .into_iter()
        .flatten()
    }

    /// Bytes of the files under `cache/download`.
    pub fn download_bytes(&self) -> u64 {
        self.pieces().map(|piece| piece.bytes).sum()
    }

    /// Bytes of the extracted tree; 0 until it was measured.
    pub fn tree_bytes(&self) -> u64 {
        self.tree_measure().bytes
    }

    /// The extracted tree's files; none until it was measured.
    pub fn tree_measure(&self) -> Measure {
        self.tree
            .as_ref()
            .and_then(|tree| tree.measure)
            .unwrap_or_default()
    }

    /// Whether the source is there, in either form.
    pub fn has_source(&self) -> bool {
        self.zip.is_some() || self.tree.is_some()
    }

    /// The last use as far as the files tell: the newest modification among
    /// zip, `.ziphash`, `.mod`, `.lock` and tree. `.info` tells nothing: old
    /// versions of Go write it again on every read.
    pub fn last_use(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        [self.zip, self.ziphash, self.go_mod, self.lock]
            .into_iter()
            .flatten()
            .map(|piece| piece.modified)
            .chain(self.tree.as_ref().map(|tree| tree.modified))
            .max()
    }
}

/// Walks the module cache at `root`.
pub(super) fn scan(root: &Path, findings: &mut Vec<Finding>) -> ModCache {
    let mut walk = Walk {
        cache: ModCache {
            root: root.to_owned(),
            walked: chrono::Utc::now(),
            ..ModCache::default()
        },
        versions: BTreeMap::new(),
        maybe_residue: Vec::new(),
        findings,
    };
    match Folder::open(root) {
        Ok(folder) => walk.top(&folder),
        Err(error) => walk.findings.push(unreadable(root, &error)),
    }
    walk.settle_maybe_residue();
    walk.cache.versions = walk.versions.into_values().collect();
    walk.cache
}

struct Walk<'a> {
    cache: ModCache,
    versions: BTreeMap<ModuleVersion, Version>,
    /// Folders whose names read both as residue and as a version's tree.
    maybe_residue: Vec<(PathBuf, ModuleVersion, ModuleVersion, Stat)>,
    findings: &'a mut Vec<Finding>,
}

impl Walk<'_> {
    fn version(&mut self, id: ModuleVersion) -> &mut Version {
        self.versions
            .entry(id.clone())
            .or_insert_with(|| Version::new(id))
    }

    fn top(&mut self, root: &Folder) {
        let path = self.cache.root.clone();
        for (name, stat) in self.list(root, &path) {
            let path = path.join(&name);
            match (stat.kind, name.as_str()) {
                (Kind::Folder, "cache") => self.enter(root, &name, &path, Self::cache_folder),
                (Kind::Folder, _) => self.module_folder(root, &name, &path, &name, &stat, 0),
                (Kind::File, name) if name.starts_with(OWN_PREFIX) => self.other(&stat),
                _ => self.unexpected(&path, &stat),
            }
        }
    }

    /// A folder outside `cache/`: part of a module path, or an extracted tree.
    fn module_folder(
        &mut self,
        parent: &Folder,
        name: &str,
        path: &Path,
        relative: &str,
        stat: &Stat,
        depth: usize,
    ) {
        if name.contains('@') {
            return self.tree(path, relative, stat);
        }
        if depth >= MAX_DEPTH {
            return self.findings.push(too_deep(path));
        }
        self.enter(parent, name, path, |walk, folder, path| {
            for (name, stat) in walk.list(folder, path) {
                let inner = path.join(&name);
                if stat.kind == Kind::Folder {
                    let relative = format!("{relative}/{name}");
                    walk.module_folder(folder, &name, &inner, &relative, &stat, depth + 1);
                } else {
                    walk.unexpected(&inner, &stat);
                }
            }
        });
    }

    fn tree(&mut self, path: &Path, relative: &str, stat: &Stat) {
        match parse_tree_dir(relative) {
            Ok(TreeDir::Module(id)) => {
                self.version(id).tree = Some(Tree {
                    modified: stat.modified,
                    measure: None,
                });
            }
            Ok(TreeDir::Residue { of, or: None }) => self.residue(path, Some(of)),
            Ok(TreeDir::Residue { of, or: Some(or) }) => {
                self.maybe_residue.push((path.to_owned(), of, or, *stat));
            }
            Err(_) => {
                let (measure, _) = any(path, self.findings);
                self.cache.other += measure;
                self.findings.push(unexpected(
                    path,
                    "is no module version that Go could have extracted",
                ));
            }
        }
    }

    /// A name such as `m@v1.0.0-rc.tmp-1` is a version's tree if that version
    /// has files of its own, and residue else.
    fn settle_maybe_residue(&mut self) {
        for (path, of, or, stat) in std::mem::take(&mut self.maybe_residue) {
            if self.versions.contains_key(&or) {
                self.version(or).tree = Some(Tree {
                    modified: stat.modified,
                    measure: None,
                });
            } else {
                self.residue(&path, Some(of));
            }
        }
    }

    fn cache_folder(&mut self, folder: &Folder, path: &Path) {
        for (name, stat) in self.list(folder, path) {
            let inner = path.join(&name);
            match (stat.kind, name.as_str()) {
                (Kind::Folder, "download") => {
                    self.enter(folder, &name, &inner, |walk, folder, path| {
                        walk.download(folder, path, "", 0);
                    });
                }
                (Kind::Folder, "vcs") => self.enter(folder, &name, &inner, Self::vcs),
                (Kind::File, "lock") => self.other(&stat),
                (Kind::File, name) if name.starts_with(OWN_PREFIX) => self.other(&stat),
                _ => self.unexpected(&inner, &stat),
            }
        }
    }

    /// `cache/download` and below: folders of escaped module paths, each with
    /// its `@v`; the checksum database at the top.
    fn download(&mut self, folder: &Folder, path: &Path, escaped: &str, depth: usize) {
        if depth >= MAX_DEPTH {
            return self.findings.push(too_deep(path));
        }
        for (name, stat) in self.list(folder, path) {
            let inner = path.join(&name);
            match (stat.kind, name.as_str()) {
                (Kind::Folder, "sumdb") if escaped.is_empty() => {
                    self.cache.sumdb = any(&inner, self.findings).0;
                }
                (Kind::Folder, "@v") => {
                    if let Ok(module) = unescape_path(escaped) {
                        self.enter(folder, &name, &inner, |walk, folder, path| {
                            walk.at_v(folder, path, &module);
                        });
                    } else {
                        self.unexpected(&inner, &stat);
                    }
                }
                (Kind::Folder, _) => {
                    let escaped = match escaped {
                        "" => name.clone(),
                        _ => format!("{escaped}/{name}"),
                    };
                    self.enter(folder, &name, &inner, |walk, folder, path| {
                        walk.download(folder, path, &escaped, depth + 1);
                    });
                }
                _ => self.unexpected(&inner, &stat),
            }
        }
    }

    fn at_v(&mut self, folder: &Folder, path: &Path, module: &str) {
        for (name, stat) in self.list(folder, path) {
            let inner = path.join(&name);
            if stat.kind != Kind::File {
                self.unexpected(&inner, &stat);
                continue;
            }
            match parse_at_v_name(&name) {
                AtVName::List => self.cache.other_download += one(&stat),
                AtVName::Piece(file) => {
                    let version = self.version(ModuleVersion::new(module, file.version));
                    let slot = match file.piece {
                        PieceKind::Info => &mut version.info,
                        PieceKind::Mod => &mut version.go_mod,
                        PieceKind::Zip => &mut version.zip,
                        PieceKind::ZipHash => &mut version.ziphash,
                        PieceKind::Lock => &mut version.lock,
                        PieceKind::Partial => &mut version.partial,
                    };
                    *slot = Some(Piece {
                        bytes: stat.bytes,
                        modified: stat.modified,
                    });
                }
                AtVName::TempFile { target } => {
                    let of = target.map(|file| ModuleVersion::new(module, file.version));
                    self.residue(&inner, of);
                }
                AtVName::Unknown => self.unexpected(&inner, &stat),
            }
        }
    }

    /// `cache/vcs`: `<hex>/`, `<hex>.info`, `<hex>.lock`
    /// (`modfetch/codehost/codehost.go:WorkDir`).
    fn vcs(&mut self, folder: &Folder, path: &Path) {
        let mut clones: BTreeMap<String, VcsClone> = BTreeMap::new();
        let entries = self.list(folder, path);
        // A link in a clone's place is one to Go, which works in what it leads to.
        let is_clone = |name: &str, stat: &Stat| {
            stat.kind == Kind::Folder || stat.kind == Kind::Link && is_vcs_name(name)
        };
        for (name, stat) in entries.iter().filter(|(name, stat)| is_clone(name, stat)) {
            let inner = path.join(name);
            if !is_vcs_name(name) {
                self.unexpected(&inner, stat);
                continue;
            }
            let (measure, modified) = match stat.kind {
                Kind::Folder => any(&inner, self.findings),
                _ => (one(stat), stat.modified),
            };
            clones.insert(
                name.clone(),
                VcsClone {
                    path: inner,
                    url: None,
                    measure,
                    modified,
                },
            );
        }
        for (name, stat) in entries.iter().filter(|(name, stat)| !is_clone(name, stat)) {
            let stem = name
                .strip_suffix(".info")
                .or_else(|| name.strip_suffix(".lock"));
            match stem.and_then(|stem| clones.get_mut(stem)) {
                // Whether it is what it should be, verification says.
                Some(clone) => {
                    clone.measure += one(stat);
                    if name.ends_with(".info") {
                        clone.url = read_small(folder, name.as_ref(), MAX_VCS_INFO);
                    }
                }
                None if stat.kind == Kind::File && stem.is_some_and(is_vcs_name) => {
                    self.other(stat);
                }
                None => self.unexpected(&path.join(name), stat),
            }
        }
        self.cache.vcs = clones.into_values().collect();
    }

    /// Lists a folder with what the file system says of each name. Names that
    /// are not UTF-8 cannot be Go's: they become findings here.
    fn list(&mut self, folder: &Folder, path: &Path) -> Vec<(String, Stat)> {
        let entries = match folder.entries() {
            Ok(entries) => entries,
            Err(error) => {
                self.findings.push(unreadable(path, &error));
                return Vec::new();
            }
        };
        let mut list = Vec::with_capacity(entries.len());
        for entry in entries {
            let stat = match folder.stat(&entry.name) {
                Ok(stat) => stat,
                Err(error) => {
                    self.findings
                        .push(unreadable(&path.join(&entry.name), &error));
                    continue;
                }
            };
            match entry.name.into_string() {
                Ok(name) => list.push((name, stat)),
                Err(name) => self.unexpected(&path.join(name), &stat),
            }
        }
        sorting::by(&mut list, |a, b| a.0.cmp(&b.0));
        list
    }

    fn enter(
        &mut self,
        parent: &Folder,
        name: &str,
        path: &Path,
        then: impl FnOnce(&mut Self, &Folder, &Path),
    ) {
        match parent.folder(name.as_ref()) {
            Ok(folder) => then(self, &folder, path),
            Err(error) => self.findings.push(unreadable(path, &error)),
        }
    }

    fn residue(&mut self, path: &Path, version: Option<ModuleVersion>) {
        let (measure, modified) = any(path, self.findings);
        let subject = version
            .as_ref()
            .map_or_else(|| display_path(path), ToString::to_string);
        let message = "a download or extraction broke off and left this";
        self.findings
            .push(Finding::new(Rule::PartialDownload, subject, message).at(path));
        self.cache.residue.push(Residue {
            path: path.to_owned(),
            version,
            measure,
            modified,
        });
    }

    fn other(&mut self, stat: &Stat) {
        self.cache.other += one(stat);
    }

    fn unexpected(&mut self, path: &Path, stat: &Stat) {
        self.cache.other += match stat.kind {
            Kind::Folder => any(path, self.findings).0,
            _ => one(stat),
        };
        let what = match stat.kind {
            Kind::Link => {
                "is a symbolic link; Go makes none in its caches, and it was not followed"
            }
            Kind::Other => "is neither a file nor a folder",
            _ => "is not written by Go",
        };
        self.findings.push(unexpected(path, what));
    }
}

pub(super) fn unexpected(path: &Path, what: &str) -> Finding {
    let name = path.file_name().map_or(path, Path::new);
    Finding::new(Rule::UnexpectedFile, display_path(name), what).at(path)
}

fn one(stat: &Stat) -> Measure {
    Measure {
        files: 1,
        bytes: stat.bytes,
    }
}

fn is_vcs_name(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn read_small(folder: &Folder, name: &OsStr, limit: u64) -> Option<String> {
    let mut text = String::new();
    folder
        .file(name)
        .ok()?
        .take(limit)
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
}
