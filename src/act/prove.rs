//! Removal on probation: everything that a plan removes is first moved aside
//! within the cache, and put back if what the user wants to work does not.
//!
//! Moved aside means renamed in its own folder to `<name>` and [`SUFFIX`], which
//! Go never looks at. While anything may be aside, the file [`MARKER`] lies in
//! the cache and its lock is held; a marker that nobody holds is an interrupted
//! proof, and the next trim puts everything back.

use super::tree::remove_tree;
use super::version::{Place, locked, remove_any};
use super::{Done, StepError, gone_is_fine};
use crate::folder::{Folder, Kind, Root};
use crate::formats::action::{ActionEntry, EntryName, parse_entry_name};
use crate::formats::h1::H1;
use crate::formats::info::{MAX_INFO_BYTES, RevInfo};
use crate::formats::module::{
    AtVName, MOVABLE, ModuleVersion, PieceKind, TreeDir, parse_at_v_name, parse_tree_dir,
    tree_dir_name, unescape_path,
};
use crate::formats::ziphash::{MAX_ZIPHASH_BYTES, ZipHash, parse_ziphash};
use crate::plan::{InModules, Part, Plan, Step, Target};
use crate::scan::{Inventory, MAX_DEPTH};
use crate::verify;
use sha2::{Digest, Sha256};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the names of things moved aside end in.
const SUFFIX: &str = ".gocachevet-aside";

/// Its name in the top folder of each cache.
const MARKER: &str = "gocachevet-proof";

/// Everything that a plan removes, out of Go's sight.
#[derive(Debug)]
pub struct Held<'a> {
    roots: Vec<Aside>,
    /// What became of each step; the bytes are those of the plan.
    pub done: Vec<Done<'a>>,
}

#[derive(Debug)]
struct Aside {
    path: PathBuf,
    folders: Arc<Root>,
    /// Held locked while anything is aside.
    _marker: File,
    moved: Vec<(PathBuf, Option<ModuleVersion>)>,
}

/// Moves everything that the plan removes aside.
pub fn hold<'a>(plan: &Plan<'a>, inventory: &Inventory) -> io::Result<Held<'a>> {
    let mut modules = match &inventory.modcache {
        Some(cache) => Aside::of(&cache.root, cache.folders.clone())?,
        None => None,
    };
    let mut builds = match &inventory.buildcache {
        Some(cache) => Aside::of(&cache.root, cache.folders.clone())?,
        None => None,
    };
    let done = plan.steps.iter().map(|step| {
        let aside = match step.target {
            Target::Modules(..) => &mut modules,
            Target::Builds(..) => &mut builds,
        };
        let result = match aside {
            Some(aside) => aside.step(step),
            None => Err(StepError::Io(io::ErrorKind::NotFound.into())),
        };
        Done::new(step, result.map(|()| step.bytes))
    });
    Ok(Held {
        done: done.collect(),
        roots: [modules, builds].into_iter().flatten().collect(),
    })
}

impl Held<'_> {
    /// Deletes for good what was moved aside.
    pub fn commit(self) -> io::Result<()> {
        for root in &self.roots {
            // Trees first get the name that Go takes for residue: half deleted,
            // they must not be put back.
            for (path, version) in &root.moved {
                let (folder, name) = root.parent(path)?;
                let aside = with_suffix(&name);
                match version {
                    Some(_)
                        if folder
                            .stat(&aside)
                            .is_ok_and(|stat| stat.kind == Kind::Folder) =>
                    {
                        let mut trash = name.clone();
                        trash.push(format!(".tmp-{}", crate::parallel::process_id()));
                        folder.rename(&aside, &trash)?;
                        remove_tree(&folder, &trash)?;
                    }
                    _ => {
                        remove_any(&folder, &aside).map_err(io::Error::other)?;
                    }
                }
            }
            gone_is_fine(root.folders.top().unlink(MARKER.as_ref()))?;
        }
        Ok(())
    }

    /// Puts everything back but what Go made anew meanwhile.
    pub fn put_back(self) -> io::Result<()> {
        for root in &self.roots {
            for (path, _) in root.moved.iter().rev() {
                let (folder, name) = root.parent(path)?;
                restore(&folder, &name, &root.folders, root.below(path)?)?;
            }
            gone_is_fine(root.folders.top().unlink(MARKER.as_ref()))?;
        }
        Ok(())
    }
}

impl Aside {
    /// Marks a cache, if it could be opened, as one where things are aside.
    fn of(path: &Path, folders: Option<Arc<Root>>) -> io::Result<Option<Aside>> {
        let Some(folders) = folders else {
            return Ok(None);
        };
        let marker = folders.top().edit(MARKER.as_ref(), true)?;
        Ok(Some(Aside {
            path: path.to_owned(),
            folders,
            _marker: locked(marker).map_err(io::Error::other)?,
            moved: Vec::new(),
        }))
    }

    fn below<'a>(&self, path: &'a Path) -> io::Result<&'a Path> {
        path.strip_prefix(&self.path).map_err(io::Error::other)
    }

    fn parent(&self, path: &Path) -> io::Result<(Folder, OsString)> {
        self.folders.parent(self.below(path)?)
    }

    fn step(&mut self, step: &Step<'_>) -> std::result::Result<(), StepError> {
        if let Target::Modules(cache, InModules::Version(version, part)) = step.target {
            let place = Place::of(&self.folders, &version.id)?;
            let _lock = place.lock(true)?;
            place.unchanged(version)?;
            let pieces: &[PieceKind] = match part {
                Part::Tree => &[],
                Part::Zip => &[PieceKind::Zip],
                Part::ZipHash => &[PieceKind::ZipHash],
                Part::HalfTree => &[PieceKind::Partial],
                Part::Source => &[PieceKind::Zip, PieceKind::Partial],
                Part::Whole => &[
                    PieceKind::Zip,
                    PieceKind::Partial,
                    PieceKind::Info,
                    PieceKind::Mod,
                ],
            };
            if part >= Part::Source {
                self.set_aside(&cache.piece_path(&version.id, PieceKind::ZipHash), None)?;
            }
            if !matches!(part, Part::Zip | Part::ZipHash) {
                self.set_aside(&cache.tree_path(&version.id), Some(version.id.clone()))?;
            }
            for piece in pieces {
                self.set_aside(&cache.piece_path(&version.id, *piece), None)?;
            }
            return Ok(());
        }
        let path = step.path().unwrap_or_default();
        Ok(self.set_aside(&path, None)?)
    }

    fn set_aside(&mut self, path: &Path, tree: Option<ModuleVersion>) -> io::Result<()> {
        let (folder, name) = match self.parent(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found?,
        };
        match folder.rename(&name, &with_suffix(&name)) {
            Ok(()) => {
                self.moved.push((path.to_owned(), tree));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn with_suffix(name: &OsStr) -> OsString {
    let mut name = name.to_owned();
    name.push(SUFFIX);
    name
}

/// Puts one thing back. What Go made anew in its place wins if it is sound.
fn restore(folder: &Folder, name: &OsStr, root: &Root, path: &Path) -> io::Result<()> {
    let aside = with_suffix(name);
    let Ok(before) = folder.stat(&aside) else {
        return Ok(());
    };
    match folder.stat(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => folder.rename(&aside, name),
        Err(error) => Err(error),
        Ok(_) if is_sound(folder, name, root, path) => {
            remove_any(folder, &aside).map_err(io::Error::other)?;
            Ok(())
        }
        Ok(now) => {
            if now.kind == Kind::Folder {
                remove_tree(folder, name)?;
            } else if before.kind == Kind::Folder || now.kind != Kind::File {
                folder.unlink(name)?;
            }
            folder.rename(&aside, name)
        }
    }
}

/// Whether something made anew can be told to be sound by itself: an action
/// entry parses, an output is what its name says, a zip or a tree what the
/// version's `.ziphash` says.
fn is_sound(folder: &Folder, name: &OsStr, root: &Root, path: &Path) -> bool {
    match name.to_str().and_then(parse_entry_name) {
        Some(EntryName::Action(id)) => read(folder, name, ActionEntry::LEN as u64)
            .is_some_and(|content| ActionEntry::parse_named(id, &content).is_ok()),
        Some(EntryName::Output(id)) => {
            let Ok(mut file) = folder.file(name) else {
                return false;
            };
            let mut hash = Sha256::new();
            let mut buffer = vec![0; 1 << 16];
            loop {
                match file.read(&mut buffer) {
                    Ok(0) => return hash.finalize()[..] == id.0,
                    Ok(read) => hash.update(buffer.get(..read).unwrap_or_default()),
                    Err(_) => return false,
                }
            }
        }
        None => is_sound_version(folder, name, root, path).unwrap_or(false),
    }
}

fn is_sound_version(folder: &Folder, name: &OsStr, root: &Root, path: &Path) -> Option<bool> {
    let relative = path.to_str()?;
    let Some((module, piece)) = relative
        .strip_prefix("cache/download/")
        .and_then(|below| below.rsplit_once("/@v/"))
    else {
        let Ok(TreeDir::Module(id)) = parse_tree_dir(relative) else {
            return None;
        };
        let tree = root.folder(path).ok()?;
        return Some(verify::tree_h1(&id, tree)? == ziphash(root, &id)?);
    };
    let AtVName::Piece(file) = parse_at_v_name(piece) else {
        return None;
    };
    let id = ModuleVersion::new(unescape_path(module).ok()?, file.version);
    Some(match file.piece {
        PieceKind::Zip => verify::zip_h1(&id, folder.file(name).ok()?).ok()? == ziphash(root, &id)?,
        // Zip and tree were settled before it.
        PieceKind::ZipHash => {
            let said = ziphash(root, &id);
            let zip = with_extension(name, PieceKind::Zip).and_then(|zip| folder.file(&zip).ok());
            let zip = zip.and_then(|zip| verify::zip_h1(&id, zip).ok());
            let tree = tree_dir_name(&id).ok();
            let tree = tree.and_then(|tree| root.folder(tree.as_ref()).ok());
            let tree = tree.and_then(|tree| verify::tree_h1(&id, tree));
            said.is_some() && (said == zip || said == tree)
        }
        PieceKind::Info => {
            let info = read(folder, name, MAX_INFO_BYTES as u64)?;
            RevInfo::parse_for(&id.version, &info).is_ok()
        }
        // Go holds it against go.sum before it writes it, and writes it whole.
        PieceKind::Mod => folder.stat(name).ok()?.kind == Kind::File,
        PieceKind::Lock | PieceKind::Partial => false,
    })
}

/// What a version's `.ziphash` says: the one that Go made anew, else the one
/// that was moved aside.
fn ziphash(root: &Root, id: &ModuleVersion) -> Option<H1> {
    let place = Place::of(root, id).ok()?;
    let name = place.piece(PieceKind::ZipHash);
    let content = [name.clone(), with_suffix(&name)]
        .iter()
        .find_map(|name| read(place.at_v.as_ref()?, name, MAX_ZIPHASH_BYTES))?;
    match parse_ziphash(&content) {
        ZipHash::Sum(h1) => Some(h1),
        _ => None,
    }
}

/// The name of another piece of the same version.
fn with_extension(name: &OsStr, piece: PieceKind) -> Option<OsString> {
    let (version, _) = name.to_str()?.rsplit_once('.')?;
    Some(format!("{version}.{}", piece.suffix()).into())
}

/// A file's first bytes, one more than `limit` at most.
fn read(folder: &Folder, name: &OsStr, limit: u64) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let file = folder.file(name).ok()?;
    file.take(limit + 1).read_to_end(&mut content).ok()?;
    Some(content)
}

/// Rolls back a proof that was interrupted in this cache. Returns how many
/// things were put back; an error of kind `WouldBlock` if a proof is going on.
pub fn put_back_interrupted(root: &Path) -> io::Result<u64> {
    let root = Root::open(root, MOVABLE)?;
    let marker = match root.top().edit(MARKER.as_ref(), false) {
        Ok(marker) => marker,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let _marker = locked(marker).map_err(|fault| match fault {
        StepError::Busy => io::Error::new(io::ErrorKind::WouldBlock, "another proof is going on"),
        fault => io::Error::other(fault),
    })?;
    let mut count = 0;
    put_back_below(root.top(), &root, Path::new(""), 0, &mut count)?;
    root.top().unlink(MARKER.as_ref())?;
    Ok(count)
}

fn put_back_below(
    folder: &Folder,
    root: &Root,
    path: &Path,
    depth: usize,
    count: &mut u64,
) -> io::Result<()> {
    for entry in folder.entries()? {
        let inner = path.join(&entry.name);
        if let Some(below) = inner.to_str().and_then(|inner| root.linked(inner)) {
            put_back_below(below, root, &inner, depth + 1, count)?;
            continue;
        }
        let name = entry.name.as_encoded_bytes();
        if let Some(original) = name.strip_suffix(SUFFIX.as_bytes()) {
            let original = std::str::from_utf8(original)
                .map_err(|_| io::Error::other("a name that is not Go's was moved aside"))?;
            restore(folder, original.as_ref(), root, &path.join(original))?;
            *count += 1;
        } else if entry.kind == Kind::Folder && !name.contains(&b'@') && depth < MAX_DEPTH
            || name == b"@v"
        {
            put_back_below(&folder.folder(&entry.name)?, root, &inner, depth + 1, count)?;
        }
    }
    Ok(())
}
