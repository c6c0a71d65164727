//! The module cache: extracted trees, `cache/download`, `cache/vcs`.
//!
//! Layout: `cmd/go/internal/modfetch/cache.go` (`CachePath`, `DownloadDir`).

use super::measure::{MAX_DEPTH, any, too_deep, unreadable};
use super::{
    Measure, ModCache, Piece, Residue, Tree, VcsClone, Version, VersionKind, link_in_cache,
};
use crate::findings::{Finding, Rule, display_path};
use crate::folder::{Folder, Kind, Root, Stat};
use crate::formats::module::{
    AtVName, MOVABLE, ModuleVersion, PieceKind, TreeDir, escape_path, escape_version,
    parse_at_v_name, parse_tree_dir, tree_dir_name, unescape_path,
};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

    /// The cache's opened folders.
    pub(crate) fn folders(&self) -> io::Result<&Arc<Root>> {
        self.folders
            .as_ref()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the cache is not open"))
    }

    /// The path of something in the cache, from its top folder.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> io::Result<&'a Path> {
        path.strip_prefix(&self.root).map_err(io::Error::other)
    }

    /// A version's pieces under `cache/download`, to be opened.
    pub(crate) fn pieces(&self, id: &ModuleVersion) -> Pieces {
        let opened = || {
            let path = escape_path(&id.path).map_err(io::Error::other)?;
            let path = format!("cache/download/{path}/@v");
            self.folders()?.folder(path.as_ref())
        };
        Pieces {
            at_v: opened(),
            version: escape_version(&id.version).unwrap_or_default(),
        }
    }

    /// A version's extracted tree, opened.
    pub(crate) fn open_tree(&self, id: &ModuleVersion) -> io::Result<Folder> {
        let path = tree_dir_name(id).map_err(io::Error::other)?;
        self.folders()?.folder(path.as_ref())
    }

    /// A version as it is now, its tree not measured. What cannot be looked at
    /// is as good as not there.
    pub(crate) fn version_now(&self, before: &Version) -> Version {
        let id = &before.id;
        let pieces = self.pieces(id);
        let mut linked = before.linked;
        let mut piece = |kind| {
            let stat = pieces.stat(kind).ok()?;
            linked |= stat.kind == Kind::Link;
            (stat.kind == Kind::File).then_some(Piece {
                bytes: stat.bytes,
                modified: stat.modified,
            })
        };
        let tree = || {
            let stat = self.folders().ok()?.stat(tree_dir_name(id).ok()?.as_ref());
            stat.ok().filter(|stat| stat.kind == Kind::Folder)
        };
        let mut version = Version::new(id.clone());
        version.info = piece(PieceKind::Info);
        version.go_mod = piece(PieceKind::Mod);
        version.zip = piece(PieceKind::Zip);
        version.ziphash = piece(PieceKind::ZipHash);
        version.lock = piece(PieceKind::Lock);
        version.partial = piece(PieceKind::Partial);
        version.linked = linked;
        version.tree = tree().map(|stat| Tree {
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

/// The pieces of a version, by the folder they lie in.
pub(crate) struct Pieces {
    at_v: io::Result<Folder>,
    version: String,
}

impl Pieces {
    /// The folder.
    pub(crate) fn folder(&self) -> io::Result<&Folder> {
        self.at_v
            .as_ref()
            .map_err(|error| io::Error::new(error.kind(), error.to_string()))
    }

    fn name(&self, piece: PieceKind) -> OsString {
        format!("{}.{}", self.version, piece.suffix()).into()
    }

    /// What the file system says of a piece.
    pub(crate) fn stat(&self, piece: PieceKind) -> io::Result<Stat> {
        self.folder()?.stat(&self.name(piece))
    }

    /// Opens a piece.
    pub(crate) fn open(&self, piece: PieceKind) -> io::Result<File> {
        self.folder()?.file(&self.name(piece))
    }

    /// Reads a small piece; one that is longer than `limit` is an error.
    pub(crate) fn read(&self, piece: PieceKind, limit: u64) -> io::Result<Vec<u8>> {
        self.folder()?.read_up_to(&self.name(piece), limit)
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
            linked: false,
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
    pub fn last_use(&self) -> Option<DateTime<Utc>> {
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
            walked: Utc::now(),
            ..ModCache::default()
        },
        versions: BTreeMap::new(),
        maybe_residue: Vec::new(),
        linked: Vec::new(),
        findings,
    };
    match Root::open(root, MOVABLE) {
        Ok(folders) => {
            let folders = Arc::new(folders);
            walk.cache.folders = Some(folders.clone());
            walk.top(&folders);
        }
        Err(error) => walk.findings.push(unreadable(root, &error)),
    }
    walk.settle_maybe_residue();
    walk.settle_links();
    walk.cache.versions = walk.versions.into_values().collect();
    walk.cache
}

struct Walk<'a> {
    cache: ModCache,
    versions: BTreeMap<ModuleVersion, Version>,
    /// Folders whose names read both as residue and as a version's tree.
    maybe_residue: Vec<MaybeResidue>,
    /// What the links that were met hide.
    linked: Vec<Linked>,
    findings: &'a mut Vec<Finding>,
}

struct MaybeResidue {
    path: PathBuf,
    of: ModuleVersion,
    or: ModuleVersion,
    modified: DateTime<Utc>,
    measure: Measure,
    newest: DateTime<Utc>,
}

/// Whose pieces a link hides; paths are escaped.
enum Linked {
    /// No version's.
    Nobody,
    /// A piece of a version, or its tree.
    Version(ModuleVersion),
    /// The folder that pieces of a module lie in.
    Module(String),
    /// A folder of `cache/download`: the modules of this path and below.
    Downloads(String),
    /// A folder outside `cache`: the trees of modules below this path.
    Trees(String),
    /// All of them.
    All,
}

impl Linked {
    fn hides(&self, id: &ModuleVersion) -> bool {
        let below = |folder: &str, path: &str| {
            path.strip_prefix(folder)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let path = || escape_path(&id.path).unwrap_or_default();
        match self {
            Linked::Nobody => false,
            Linked::Version(version) => version == id,
            Linked::Module(module) => path() == *module,
            Linked::Downloads(folder) => path() == *folder || below(folder, &path()),
            Linked::Trees(folder) => below(folder, &path()),
            Linked::All => true,
        }
    }
}

impl Walk<'_> {
    fn version(&mut self, id: ModuleVersion) -> &mut Version {
        self.versions
            .entry(id.clone())
            .or_insert_with(|| Version::new(id))
    }

    fn top(&mut self, folders: &Root) {
        let path = self.cache.root.clone();
        let root = folders.top();
        for (name, stat) in self.list(root, &path) {
            let path = path.join(&name);
            match (stat.kind, name.as_str()) {
                (Kind::Folder, "cache") => self.enter(root, &name, &path, |walk, folder, path| {
                    walk.cache_folder(folders, folder, path);
                }),
                (Kind::Link, "cache") => match folders.linked("cache") {
                    Some(folder) => self.cache_folder(folders, folder, &path),
                    None => self.link(root, &name, &path, "all downloads", Linked::All),
                },
                (Kind::Folder, _) => self.module_folder(root, &name, &path, &name, &stat, 0),
                (Kind::File, name) if name.starts_with(OWN_PREFIX) => self.other(&stat),
                (Kind::Link, _) => self.module_link(root, &name, &path, &name),
                _ => self.unexpected(root, &name, &path, &stat),
            }
        }
    }

    /// A link outside `cache/`: in place of a tree, or of a folder of trees.
    fn module_link(&mut self, parent: &Folder, name: &str, path: &Path, relative: &str) {
        let (what, hidden) = match parse_tree_dir(relative) {
            Ok(TreeDir::Module(id)) => ("the source of this version", Linked::Version(id)),
            _ => (
                "every extracted tree below it",
                Linked::Trees(relative.to_owned()),
            ),
        };
        self.link(parent, name, path, what, hidden);
    }

    /// Notes a link that Go would follow to read `what`.
    fn link(&mut self, parent: &Folder, name: &str, path: &Path, what: &str, hidden: Linked) {
        let target = parent.link_target(name.as_ref());
        let subject = match &hidden {
            Linked::Version(id) => {
                self.version(id.clone());
                id.to_string()
            }
            _ => display_path(path.strip_prefix(&self.cache.root).unwrap_or(path)),
        };
        self.findings
            .push(link_in_cache(subject, path, &target, what));
        self.cache.links.push(path.to_owned());
        self.cache.other += Measure { files: 1, bytes: 0 };
        self.linked.push(hidden);
    }

    fn settle_links(&mut self) {
        for version in self.versions.values_mut() {
            version.linked = self.linked.iter().any(|link| link.hides(&version.id));
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
            return self.tree(parent, name, path, relative, stat);
        }
        if depth >= MAX_DEPTH {
            return self.findings.push(too_deep(path));
        }
        self.enter(parent, name, path, |walk, folder, path| {
            for (name, stat) in walk.list(folder, path) {
                let inner = path.join(&name);
                let relative = format!("{relative}/{name}");
                match stat.kind {
                    Kind::Folder => {
                        walk.module_folder(folder, &name, &inner, &relative, &stat, depth + 1);
                    }
                    Kind::Link => walk.module_link(folder, &name, &inner, &relative),
                    _ => walk.unexpected(folder, &name, &inner, &stat),
                }
            }
        });
    }

    fn tree(&mut self, parent: &Folder, name: &str, path: &Path, relative: &str, stat: &Stat) {
        match parse_tree_dir(relative) {
            Ok(TreeDir::Module(id)) => {
                self.version(id).tree = Some(Tree {
                    modified: stat.modified,
                    measure: None,
                });
            }
            Ok(TreeDir::Residue { of, or: None }) => self.residue(parent, name, path, Some(of)),
            Ok(TreeDir::Residue { of, or: Some(or) }) => {
                let walked = any(parent, name.as_ref(), path, self.findings);
                self.maybe_residue.push(MaybeResidue {
                    path: path.to_owned(),
                    of,
                    or,
                    modified: stat.modified,
                    measure: walked.measure,
                    newest: walked.newest,
                });
            }
            Err(_) => {
                self.cache.other += any(parent, name.as_ref(), path, self.findings).measure;
                self.findings.push(unexpected(
                    path,
                    "is not a module version that Go could have extracted",
                ));
            }
        }
    }

    /// A name such as `m@v1.0.0-rc.tmp-1` is a version's tree if that version
    /// has files of its own, and residue else.
    fn settle_maybe_residue(&mut self) {
        for maybe in std::mem::take(&mut self.maybe_residue) {
            if self.versions.contains_key(&maybe.or) {
                self.version(maybe.or).tree = Some(Tree {
                    modified: maybe.modified,
                    measure: None,
                });
            } else {
                self.left(&maybe.path, Some(maybe.of), maybe.measure, maybe.newest);
            }
        }
    }

    fn cache_folder(&mut self, folders: &Root, folder: &Folder, path: &Path) {
        for (name, stat) in self.list(folder, path) {
            let inner = path.join(&name);
            match (stat.kind, name.as_str()) {
                (Kind::Folder, "download") => {
                    self.enter(folder, &name, &inner, |walk, folder, path| {
                        walk.download(folder, path, "", 0);
                    });
                }
                (Kind::Link, "download") => match folders.linked("cache/download") {
                    Some(folder) => self.download(folder, &inner, "", 0),
                    None => self.link(folder, &name, &inner, "all downloads", Linked::All),
                },
                (Kind::Folder, "vcs") => self.enter(folder, &name, &inner, Self::vcs),
                (Kind::Link, "vcs" | "lock") => {
                    let what = match name.as_str() {
                        "vcs" => "every version-control clone",
                        _ => "the lock of the whole cache",
                    };
                    self.link(folder, &name, &inner, what, Linked::Nobody);
                }
                (Kind::File, "lock") => self.other(&stat),
                (Kind::File, name) if name.starts_with(OWN_PREFIX) => self.other(&stat),
                _ => self.unexpected(folder, &name, &inner, &stat),
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
            let below = match escaped {
                "" => name.clone(),
                _ => format!("{escaped}/{name}"),
            };
            match (stat.kind, name.as_str()) {
                (Kind::Folder, "sumdb") if escaped.is_empty() => {
                    self.sumdb(folder, &name, &inner);
                }
                (Kind::Folder, "@v") => {
                    if let Ok(module) = unescape_path(escaped) {
                        self.enter(folder, &name, &inner, |walk, folder, path| {
                            walk.at_v(folder, path, &module);
                        });
                    } else {
                        self.unexpected(folder, &name, &inner, &stat);
                    }
                }
                (Kind::Folder, _) => {
                    self.enter(folder, &name, &inner, |walk, folder, path| {
                        walk.download(folder, path, &below, depth + 1);
                    });
                }
                (Kind::Link, "@v") => {
                    let what = "every downloaded piece of this module";
                    let hidden = Linked::Module(escaped.to_owned());
                    self.link(folder, &name, &inner, what, hidden);
                }
                (Kind::Link, "sumdb") if escaped.is_empty() => {
                    let what = "the checksum database's records";
                    self.link(folder, &name, &inner, what, Linked::Nobody);
                }
                (Kind::Link, _) => {
                    let what = "every download below it";
                    self.link(folder, &name, &inner, what, Linked::Downloads(below));
                }
                _ => self.unexpected(folder, &name, &inner, &stat),
            }
        }
    }

    /// `cache/download/sumdb`: its files are examined where they are needed.
    fn sumdb(&mut self, folder: &Folder, name: &str, path: &Path) {
        let walked = any(folder, name.as_ref(), path, self.findings);
        self.cache.sumdb = walked.measure;
        for (at, target) in walked.links {
            let subject = display_path(at.strip_prefix(path).unwrap_or(&at));
            let what = "a part of the checksum database";
            self.findings
                .push(link_in_cache(subject, &at, &target, what));
            self.cache.links.push(at);
        }
    }

    fn at_v(&mut self, folder: &Folder, path: &Path, module: &str) {
        for (name, stat) in self.list(folder, path) {
            let inner = path.join(&name);
            let parsed = parse_at_v_name(&name);
            if stat.kind == Kind::Link {
                self.piece_link(folder, &name, &inner, module, &parsed, &stat);
                continue;
            }
            if stat.kind != Kind::File {
                self.unexpected(folder, &name, &inner, &stat);
                continue;
            }
            match parsed {
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
                    self.residue(folder, &name, &inner, of);
                }
                AtVName::Unknown => self.unexpected(folder, &name, &inner, &stat),
            }
        }
    }

    fn piece_link(
        &mut self,
        folder: &Folder,
        name: &str,
        path: &Path,
        module: &str,
        parsed: &AtVName,
        stat: &Stat,
    ) {
        match parsed {
            AtVName::Piece(file) => {
                let id = ModuleVersion::new(module, file.version.clone());
                let what = format!("the version's .{}", file.piece.suffix());
                self.link(folder, name, path, &what, Linked::Version(id));
            }
            AtVName::List => {
                let what = "the list of versions";
                self.link(folder, name, path, what, Linked::Nobody);
            }
            AtVName::TempFile { .. } | AtVName::Unknown => {
                self.unexpected(folder, name, path, stat);
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
                self.unexpected(folder, name, &inner, stat);
                continue;
            }
            let (measure, modified) = match stat.kind {
                Kind::Folder => {
                    let walked = any(folder, name.as_ref(), &inner, self.findings);
                    (walked.measure, walked.newest)
                }
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
                None => self.unexpected(folder, name, &path.join(name), stat),
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
                Err(name) => self.unexpected(folder, &name, &path.join(&name), &stat),
            }
        }
        list.sort_by(|a, b| a.0.cmp(&b.0));
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

    fn residue(&mut self, folder: &Folder, name: &str, path: &Path, of: Option<ModuleVersion>) {
        let walked = any(folder, name.as_ref(), path, self.findings);
        self.left(path, of, walked.measure, walked.newest);
    }

    fn left(
        &mut self,
        path: &Path,
        version: Option<ModuleVersion>,
        measure: Measure,
        modified: DateTime<Utc>,
    ) {
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

    fn unexpected(&mut self, folder: &Folder, name: impl AsRef<OsStr>, path: &Path, stat: &Stat) {
        self.cache.other += match stat.kind {
            Kind::Folder => any(folder, name.as_ref(), path, self.findings).measure,
            _ => one(stat),
        };
        let what = match stat.kind {
            Kind::Link => "is a symbolic link that Go does not look for; it was not followed",
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
