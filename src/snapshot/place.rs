//! How a proven file gets its name in a cache: written under another name beside
//! it first, and never in the place of something.
//!
//! The order is Go's (`cmd/go/internal/modfetch/fetch.go`: `downloadZip`,
//! `unzip`): a version's lock is held, its `.ziphash` is there before its zip, and
//! the zip before the tree.

use crate::act::remove_tree;
use crate::bundle::BundleError;
use crate::findings::Finding;
use crate::folder::{Folder, Root};
use crate::formats::h1::H1;
use crate::formats::module::{ModuleVersion, tree_dir_name};
use crate::verify::Unzipper;
use chrono::{DateTime, TimeDelta, Utc};
use std::ffi::{OsStr, OsString};
use std::fs::{File, FileTimes, TryLockError};
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

/// The time of every file of a tree, 1980-01-01: Go knows the files of a
/// toolchain again by their times.
const TREE_TIME: Duration = Duration::from_secs(315_532_800);

/// The caches, opened.
pub(crate) struct Destination {
    pub(crate) modules: Option<Root>,
    pub(crate) builds: Option<Root>,
    /// Whether Go leaves the folders of trees writable (`-modcacherw`).
    pub(crate) writable: bool,
    pub(crate) now: DateTime<Utc>,
}

impl Destination {
    /// The cache that a bundle's file belongs to, and its place in it.
    fn place<'a>(&self, path: &'a str) -> Option<(&Root, &'a Path)> {
        let (cache, below) = path.split_once('/')?;
        let cache = match cache {
            "modcache" => self.modules.as_ref(),
            _ => self.builds.as_ref(),
        };
        Some((cache?, Path::new(below)))
    }

    /// The time that a file gets: that of its last use, but so old that Go sets it
    /// again when it is used, and not so old that Go's trim takes it.
    fn time(&self, used: i64) -> SystemTime {
        let (oldest, newest) = (
            self.now - TimeDelta::days(4),
            self.now - TimeDelta::hours(2),
        );
        let used = DateTime::from_timestamp(used, 0).unwrap_or(newest);
        used.clamp(oldest, newest).into()
    }
}

/// Why a file did not get its place.
pub(super) enum Trouble {
    /// It is not what it should be.
    Damaged(BundleError),
    /// The same, in words of its own.
    Told(Box<Finding>),
    /// Nothing proves it, and what nothing proves is not wanted.
    Unproven,
    /// The disk says no.
    Disk(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Disk(error)
    }
}

/// What became of a file or of a module version.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// So many files, of so many bytes.
    New(u64, u64),
    /// Something was there.
    Present,
}

/// What a thread keeps from file to file.
pub(super) struct Hand {
    unzipper: Unzipper,
    /// The folder of the last file: neighbours in a bundle are neighbours here.
    at: Option<(PathBuf, Rc<Folder>)>,
}

/// A file that lies beside its place.
pub(super) struct Staged {
    folder: Rc<Folder>,
    beside: OsString,
    name: OsString,
    bytes: u64,
}

impl Staged {
    pub(super) fn discard(&self) {
        // It is in nobody's way.
        let _ = self.folder.unlink(&self.beside);
    }

    pub(super) fn settle(&self) -> io::Result<Placed> {
        match self.folder.rename_new(&self.beside, &self.name) {
            Ok(()) => Ok(Placed::New(1, self.bytes)),
            Err(error) => {
                self.discard();
                match error.kind() {
                    io::ErrorKind::AlreadyExists => Ok(Placed::Present),
                    _ => Err(error),
                }
            }
        }
    }
}

impl Hand {
    pub(super) fn new() -> Hand {
        Hand {
            unzipper: Unzipper::new(),
            at: None,
        }
    }

    /// The folder of a bundle's file, made if need be, and its name there.
    fn folder(&mut self, caches: &Destination, path: &str) -> io::Result<(Rc<Folder>, OsString)> {
        let (root, below) = caches.place(path).ok_or(io::ErrorKind::NotFound)?;
        let name = below.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = Path::new(path).parent().unwrap_or(Path::new(""));
        let known = self.at.as_ref().filter(|(at, _)| at == parent);
        let folder = match known {
            Some((_, folder)) => Rc::clone(folder),
            None => {
                let folder = root.folder_or_new(below.parent().unwrap_or(Path::new("")))?;
                let folder = Rc::new(folder);
                self.at = Some((parent.to_owned(), Rc::clone(&folder)));
                folder
            }
        };
        Ok((folder, name.to_owned()))
    }

    /// Writes a file beside its place; `None` if something is
    /// in its place.
    pub(super) fn stage(
        &mut self,
        caches: &Destination,
        path: &str,
        used: i64,
        content: &mut dyn BufRead,
    ) -> Result<Option<Staged>, Trouble> {
        let (folder, name) = self.folder(caches, path)?;
        if folder.stat(&name).is_ok() {
            return Ok(None);
        }
        let mut staged = Staged {
            beside: beside(&name),
            folder,
            name,
            bytes: 0,
        };
        let written = fill(&mut staged, caches.time(used), content);
        if written.is_err() {
            staged.discard();
        }
        written.map(|()| Some(staged))
    }

    /// Puts what was proven in its place.
    pub(super) fn put(
        &mut self,
        caches: &Destination,
        path: &str,
        used: i64,
        content: &[u8],
    ) -> Result<Placed, Trouble> {
        match self.stage(caches, path, used, &mut &*content)? {
            Some(staged) => Ok(staged.settle()?),
            None => Ok(Placed::Present),
        }
    }

    /// Puts a module version in its place, zip, hash and tree, if `prove` takes
    /// its h1: the zip is inflated once, and each of its files hashed once.
    pub(super) fn version(
        &mut self,
        caches: &Destination,
        (id, path): (&ModuleVersion, &str),
        used: i64,
        content: &mut dyn BufRead,
        prove: impl FnOnce(H1) -> Result<(), Trouble>,
    ) -> Result<Placed, Trouble> {
        let hash = format!("{path}hash");
        let relative = tree_dir_name(id).map_err(|error| Trouble::Damaged(error.into()))?;
        let relative = Path::new(&relative);
        let root = caches.modules.as_ref();
        let root = root.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let (folder, zip) = self.folder(caches, path)?;
        let is_there = || {
            folder.stat(&zip).is_ok()
                || folder.stat(&of(&zip, "hash")).is_ok()
                || root.stat(relative).is_ok()
        };
        if is_there() {
            return Ok(Placed::Present);
        }
        let Some(staged) = self.stage(caches, path, used, content)? else {
            return Ok(Placed::Present);
        };
        let parent = root.folder_or_new(relative.parent().unwrap_or(Path::new("")))?;
        let name = relative.file_name().unwrap_or_default();
        let mut tree = Tree::begin(parent, name, !caches.writable)?;
        let file = staged.folder.file(&staged.beside)?;
        let unzipped = self
            .unzipper
            .unzip(id, file, |path, first, part| tree.file(path, first, part));
        let settled = unzipped.map_err(Trouble::Disk).and_then(|h1| {
            let h1 = h1.map_err(|error| Trouble::Damaged(error.into()))?;
            prove(h1)?;
            tree.close()?;
            // Without waiting: whoever holds it makes the version himself.
            let lock = folder.edit(Path::new(&zip).with_extension("lock").as_os_str(), true)?;
            match lock.try_lock() {
                Ok(()) if !is_there() => {}
                Ok(()) | Err(TryLockError::WouldBlock) => return Ok(Placed::Present),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
            self.put(caches, &hash, used, h1.to_string().as_bytes())?;
            staged.settle()?;
            tree.settle()?;
            Ok(Placed::New(
                tree.files + 2,
                tree.bytes + staged.bytes + H1::TEXT_LEN as u64,
            ))
        });
        if !matches!(settled, Ok(Placed::New(..))) {
            staged.discard();
            tree.discard();
        }
        settled
    }
}

fn fill(staged: &mut Staged, time: SystemTime, content: &mut dyn BufRead) -> Result<(), Trouble> {
    let mut file = fresh(&staged.folder, &staged.beside)?;
    loop {
        let chunk = content.fill_buf();
        let chunk = chunk.map_err(|error| Trouble::Damaged(error.into()))?;
        if chunk.is_empty() {
            break;
        }
        file.write_all(chunk)?;
        let read = chunk.len();
        content.consume(read);
        staged.bytes += read as u64;
    }
    file.set_times(FileTimes::new().set_accessed(time).set_modified(time))?;
    Ok(())
}

/// A name in the same folder, of the form that Go cleans up at its next
/// download of a zip (`modfetch/cache.go`: `tempFile`).
fn beside(name: &OsStr) -> OsString {
    of(name, &format!("{}.tmp", crate::parallel::process_id()))
}

fn of(name: &OsStr, more: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(more);
    name
}

/// A new file; one of this name is what a killed run left.
fn fresh(folder: &Folder, name: &OsStr) -> io::Result<File> {
    match folder.create(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            folder.unlink(name)?;
            folder.create(name)
        }
        created => created,
    }
}

/// A tree in the making, under a name that Go takes for residue.
struct Tree {
    parent: Folder,
    name: OsString,
    beside: OsString,
    /// The folders from its top to that of the last file. As the files come in
    /// the order of their names, one that is left is complete.
    open: Vec<(String, Folder)>,
    file: Option<File>,
    read_only: bool,
    files: u64,
    bytes: u64,
}

impl Tree {
    fn begin(parent: Folder, name: &OsStr, read_only: bool) -> io::Result<Tree> {
        let beside = of(name, &format!(".tmp-{}", crate::parallel::process_id()));
        if parent.stat(&beside).is_ok() {
            remove_tree(&parent, &beside)?;
        }
        parent.create_folder(&beside)?;
        let top = parent.folder(&beside)?;
        Ok(Tree {
            parent,
            name: name.to_owned(),
            beside,
            open: vec![(String::new(), top)],
            file: None,
            read_only,
            files: 0,
            bytes: 0,
        })
    }

    fn file(&mut self, path: &str, first: bool, part: &[u8]) -> io::Result<()> {
        if first {
            self.end_file()?;
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let file = self.folder(folder)?.create_read_only(name.as_ref())?;
            self.file = Some(file);
            self.files += 1;
        }
        self.bytes += part.len() as u64;
        match &mut self.file {
            Some(file) => file.write_all(part),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn end_file(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let time = SystemTime::UNIX_EPOCH + TREE_TIME;
        file.set_times(FileTimes::new().set_accessed(time).set_modified(time))
    }

    fn folder(&mut self, path: &str) -> io::Result<&Folder> {
        let parts = path.split('/').filter(|part| !part.is_empty());
        let open = self.open.iter().skip(1).map(|(name, _)| name.as_str());
        let same = open.zip(parts.clone()).take_while(|(a, b)| a == b).count();
        while self.open.len() > same + 1 {
            self.leave()?;
        }
        for part in parts.skip(same) {
            let (_, above) = self.open.last().ok_or(io::ErrorKind::NotFound)?;
            above.create_folder(part.as_ref())?;
            let folder = above.folder(part.as_ref())?;
            self.open.push((part.to_owned(), folder));
        }
        let (_, folder) = self.open.last().ok_or(io::ErrorKind::NotFound)?;
        Ok(folder)
    }

    fn leave(&mut self) -> io::Result<()> {
        match self.open.pop() {
            Some((_, folder)) if self.read_only => folder.make_read_only(),
            _ => Ok(()),
        }
    }

    /// Completes it. Its folders are closed before it has its name, and not after
    /// as Go does it: a folder may be renamed where it is, whatever its mode.
    fn close(&mut self) -> io::Result<()> {
        self.end_file()?;
        while !self.open.is_empty() {
            self.leave()?;
        }
        Ok(())
    }

    fn settle(&self) -> io::Result<()> {
        self.parent.rename_new(&self.beside, &self.name)
    }

    fn discard(&mut self) {
        self.open.clear();
        // Go removes what is left of it.
        let _ = remove_tree(&self.parent, &self.beside);
    }
}
