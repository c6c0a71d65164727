//! An extracted tree, read once: alone, or side by side with its zip.
//!
//! Where a file equals its zip member byte for byte, one hash serves both. No
//! file is read further than it can go on: beside its zip to the size that its
//! member has, alone to what Go's limit for a version leaves.

use super::archive::{Archive, CHUNK, Inflater, Member};
use super::batch::Batch;
use crate::folder::{DirEntry, Folder, Kind, ordinary};
use crate::formats::h1::{H1, H1Error, h1_of_sorted};
use crate::formats::module::ModuleVersion;
use crate::formats::modzip::MAX_ZIP_BYTES;
use crate::scan::Measure;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Buffers that a thread keeps from version to version.
pub(crate) struct Buffers {
    inflater: Inflater,
    /// A member, to be compared with its file.
    member: Vec<u8>,
    /// Part of a long file.
    file: Vec<u8>,
    batch: Batch<Of>,
}

/// The largest content that is read into memory whole.
pub(crate) const LARGEST: usize = 4 << 20;
/// What a batch may take over all threads.
const BATCHES: usize = 24 << 20;

/// The largest content for a batch, if there are `jobs` threads.
pub(crate) fn largest(jobs: usize) -> usize {
    (BATCHES / 2 / jobs.max(1)).clamp(CHUNK, LARGEST)
}

impl Buffers {
    pub(crate) fn new(jobs: usize) -> Buffers {
        // One byte more than a chunk shows whether a file goes on behind it.
        Buffers {
            inflater: Inflater::new(),
            member: Vec::new(),
            file: vec![0; CHUNK + 1],
            batch: Batch::new(largest(jobs)),
        }
    }
}

/// Whose a content is that waits to be hashed.
enum Of {
    /// A file of the tree, by its name below it.
    Tree(Vec<u8>),
    /// A member, by its position.
    Zip(usize),
    /// A member, and the file that equals it.
    Both(usize),
}

/// What is known of a member's content.
#[derive(Clone, Copy, Default)]
struct Content {
    /// The member's own, if it could be read.
    sha256: Option<[u8; 32]>,
    /// The tree has the same.
    in_tree: bool,
    /// The tree has a file of this name.
    named: bool,
}

/// How a tree differs from its zip, by names below the tree.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    pub(crate) changed: Vec<String>,
    pub(crate) added: Vec<String>,
    pub(crate) missing: Vec<String>,
}

impl Differences {
    /// Whether the tree has nothing but what its zip has, and not all of it.
    pub(crate) fn only_missing(&self) -> bool {
        self.changed.is_empty() && self.added.is_empty() && !self.missing.is_empty()
    }
}

/// What reading a version's copies brought.
#[derive(Default)]
pub(crate) struct Copies {
    /// The tree's size.
    pub(crate) measure: Measure,
    /// By the zip's members; empty if only the tree was read.
    contents: Vec<Content>,
    /// The tree's files that equal no member, by their names below the tree.
    own: Vec<(Vec<u8>, [u8; 32])>,
    /// Bytes that went through a hash.
    pub(crate) hashed: u64,
    /// How the two differ.
    pub(crate) differences: Differences,
    /// Why the zip could not be read, if so.
    pub(crate) zip_error: Option<super::archive::ZipError>,
    /// Links, and what they say.
    pub(crate) links: Vec<(PathBuf, io::Result<PathBuf>)>,
    /// Other things that Go never extracts.
    pub(crate) foreign: Vec<PathBuf>,
    /// Files and folders that could not be read.
    pub(crate) unreadable: Vec<(PathBuf, io::Error)>,
    /// The first file that is longer than it can be, and was therefore not
    /// read: its length, and how long it may be. The tree has no h1 then.
    pub(crate) too_long: Option<(String, u64, u64)>,
}

/// Reads the zip alone.
pub(crate) fn read_zip(archive: &mut Archive, buffers: &mut Buffers) -> Copies {
    let mut read = Copies::default();
    if let Some(archive) = read.locate(Some(archive)) {
        (0..archive.members().len()).for_each(|index| read.member_alone(archive, index, buffers));
    }
    read.settle(&mut buffers.batch);
    read
}

/// Reads a tree, which lies at `path`, and its zip side by side where one is given.
pub(crate) fn read_tree(
    id: &ModuleVersion,
    tree: io::Result<Folder>,
    path: &Path,
    archive: Option<&mut Archive>,
    buffers: &mut Buffers,
) -> Copies {
    let mut read = Copies::default();
    let archive = read.locate(archive);
    let mut walk = Walk {
        id,
        read,
        archive,
        by_name: archive.map(Archive::by_name).unwrap_or_default(),
        left: MAX_ZIP_BYTES,
        buffers,
    };
    match tree {
        Ok(folder) => walk.folder(&folder, path, b"", 0),
        Err(error) => walk.read.unreadable.push((path.to_owned(), error)),
    }
    walk.read.settle(&mut walk.buffers.batch);
    walk.note_changed_copies();
    let Walk {
        mut read, buffers, ..
    } = walk;
    if let Some(archive) = archive.filter(|_| read.zip_error.is_none()) {
        for (index, member) in archive.members().iter().enumerate() {
            if read.contents.get(index).is_some_and(|it| it.named) {
                continue;
            }
            if !member.is_folder() {
                let name = shown(archive.name(index));
                read.differences.missing.push(name);
            }
            read.member_alone(archive, index, buffers);
        }
        read.settle(&mut buffers.batch);
    }
    read
}

/// Whether there is no file at all below a tree, links and devices included.
pub(crate) fn is_empty(tree: &Folder) -> io::Result<bool> {
    fn empty(folder: &Folder, depth: usize) -> io::Result<bool> {
        for DirEntry { name, kind } in folder.entries()? {
            let deep = kind != Kind::Folder || depth >= crate::scan::MAX_DEPTH;
            if deep || !empty(&folder.folder(&name)?, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
    empty(tree, 0)
}

impl Copies {
    /// Whether all of the tree was read, and it holds nothing but files.
    pub(crate) fn is_whole(&self) -> bool {
        self.unreadable.is_empty() && self.foreign.is_empty() && self.links.is_empty()
    }

    /// Makes the zip ready to be read, if it can be.
    fn locate<'a>(&mut self, archive: Option<&'a mut Archive>) -> Option<&'a Archive> {
        let archive = archive?;
        match archive.locate() {
            Ok(()) => {
                self.contents = vec![Content::default(); archive.members().len()];
                Some(archive)
            }
            Err(error) => {
                self.zip_error = Some(error);
                None
            }
        }
    }

    /// The zip's h1. Go counts its folder entries as empty files.
    pub(crate) fn zip_h1(&self, archive: &Archive) -> Result<H1, H1Error> {
        let files = archive.by_name().into_iter().filter_map(|index| {
            let index = index as usize;
            Some((archive.name(index), self.contents.get(index)?.sha256?))
        });
        h1_of_sorted(archive.prefix(), files)
    }

    /// The tree's h1, `with_folders` if those that only a zip can have are to be
    /// counted. `archive` is the zip that it was read with, if it was.
    pub(crate) fn tree_h1(
        &self,
        id: &ModuleVersion,
        archive: Option<&Archive>,
        with_folders: bool,
    ) -> Result<H1, H1Error> {
        let empty: [u8; 32] = Sha256::digest([]).into();
        let own = self.own.iter().map(|(name, sha256)| (&**name, *sha256));
        let mut files: Vec<(&[u8], [u8; 32])> = own.collect();
        for (index, member) in archive.into_iter().flat_map(Archive::members).enumerate() {
            let content = self.contents.get(index).filter(|content| content.in_tree);
            let sha256 = match content.and_then(|content| content.sha256) {
                None if with_folders && member.is_folder() => Some(empty),
                same => same,
            };
            let name = archive.map_or(&[][..], |archive| archive.name(index));
            files.extend(sha256.map(|sha256| (name, sha256)));
        }
        if id.is_toolchain() {
            drop_toolchain_copies(&mut files);
        }
        files.sort_by_key(|(name, _)| *name);
        h1_of_sorted(&id.zip_prefix(), files)
    }

    fn member_alone(&mut self, archive: &Archive, index: usize, buffers: &mut Buffers) {
        // What is found wrong already need not be read on.
        let wrong = self.zip_error.is_some();
        let Some(member) = archive.members().get(index).filter(|_| !wrong) else {
            return;
        };
        let Buffers {
            inflater, batch, ..
        } = buffers;
        if let Some(size) = fits(member, batch) {
            let room = batch.room().get_mut(..size).unwrap_or_default();
            match archive.inflate_whole(index, inflater, room) {
                Ok(()) => self.wait(batch, size, Of::Zip(index)),
                Err(error) => self.zip_error = Some(error),
            }
            return;
        }
        let mut hash = Sha256::new();
        match archive.inflate(index, inflater, |chunk| hash.update(chunk)) {
            Ok(()) => {
                self.hashed += u64::from(member.size);
                self.know(index, hash.finalize().into(), false);
            }
            Err(error) => self.zip_error = Some(error),
        }
    }

    /// Puts what is in the batch's room into the batch.
    fn wait(&mut self, batch: &mut Batch<Of>, len: usize, of: Of) {
        self.hashed += len as u64;
        batch.push(len, of);
        if batch.is_due() {
            self.settle(batch);
        }
    }

    /// Hashes what waits in the batch.
    fn settle(&mut self, batch: &mut Batch<Of>) {
        batch.finish(|of, sha256| match of {
            Of::Tree(name) => self.own.push((name, sha256)),
            Of::Zip(index) => self.know(index, sha256, false),
            Of::Both(index) => self.know(index, sha256, true),
        });
    }

    fn know(&mut self, index: usize, sha256: [u8; 32], in_tree: bool) {
        if let Some(content) = self.contents.get_mut(index) {
            content.sha256 = Some(sha256);
            content.in_tree = in_tree;
        }
    }
}

/// Drops every `go.mod` that equals the `_go.mod` beside it: copies that Go
/// itself makes in a toolchain's tree (`toolchain/select.go`), where its zip has
/// none. Another `go.mod` stays, and no hash fits the tree.
fn drop_toolchain_copies(files: &mut Vec<(&[u8], [u8; 32])>) {
    let originals: HashSet<(Vec<u8>, [u8; 32])> = files
        .iter()
        .filter_map(|(name, sha256)| Some((folder_of(name, b"_go.mod")?, *sha256)))
        .map(|(folder, sha256)| ([folder, b"go.mod"].concat(), sha256))
        .collect();
    files.retain(|(name, sha256)| !originals.contains(&(name.to_vec(), *sha256)));
}

/// The folder, with its final slash, in which `name` is the file `last`.
fn folder_of<'a>(name: &'a [u8], last: &[u8]) -> Option<&'a [u8]> {
    let folder = name.strip_suffix(last)?;
    (folder.is_empty() || folder.ends_with(b"/")).then_some(folder)
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// The member's length, if a batch takes it.
fn fits(member: &Member, batch: &Batch<Of>) -> Option<usize> {
    let size = usize::try_from(member.size).ok()?;
    (size <= batch.largest()).then_some(size)
}

struct Walk<'a> {
    id: &'a ModuleVersion,
    read: Copies,
    archive: Option<&'a Archive>,
    /// The zip's members by name.
    by_name: Vec<u32>,
    /// What Go's limit for a version leaves for files that are still to come.
    left: u64,
    buffers: &'a mut Buffers,
}

impl<'a> Walk<'a> {
    /// The zip, as long as nothing is wrong with it.
    fn archive(&self) -> Option<&'a Archive> {
        self.archive.filter(|_| self.read.zip_error.is_none())
    }

    fn member(&self, name: &[u8]) -> Option<(&'a Archive, usize, &'a Member)> {
        let archive = self.archive()?;
        let found = self
            .by_name
            .binary_search_by(|&index| archive.name(index as usize).cmp(name));
        let index = *self.by_name.get(found.ok()?)? as usize;
        Some((archive, index, archive.members().get(index)?))
    }

    fn folder(&mut self, folder: &Folder, path: &Path, prefix: &[u8], depth: usize) {
        let entries = match folder.entries() {
            Ok(entries) => entries,
            Err(error) => return self.read.unreadable.push((path.to_owned(), error)),
        };
        for DirEntry { name, kind } in entries {
            let mut full = prefix.to_vec();
            full.extend_from_slice(name.as_encoded_bytes());
            match kind {
                Kind::Folder => {
                    full.push(b'/');
                    let path = path.join(&name);
                    match folder.folder(&name) {
                        Ok(_) if depth >= crate::scan::MAX_DEPTH => {
                            let error = io::Error::other("more folders deep than Go ever writes");
                            self.read.unreadable.push((path, error));
                        }
                        Ok(inner) => self.folder(&inner, &path, &full, depth + 1),
                        Err(error) => self.read.unreadable.push((path, error)),
                    }
                }
                Kind::File => match folder.file(&name) {
                    Ok(file) => self.file(file, full, &path.join(&name)),
                    Err(error) => {
                        self.unread(folder, &name);
                        self.read.unreadable.push((path.join(&name), error));
                    }
                },
                Kind::Link => {
                    self.unread(folder, &name);
                    let target = folder.link_target(&name);
                    self.read.links.push((path.join(&name), target));
                }
                Kind::Other => {
                    self.unread(folder, &name);
                    self.read.foreign.push(path.join(&name));
                }
            }
        }
    }

    /// Counts a file that is not read, so that a tree has the same size whether
    /// it was read or only measured.
    fn unread(&mut self, folder: &Folder, name: &std::ffi::OsStr) {
        if let Ok(stat) = folder.stat(name) {
            let bytes = stat.bytes;
            self.read.measure += Measure { files: 1, bytes };
        }
    }

    fn file(&mut self, file: File, name: Vec<u8>, path: &Path) {
        match self.read_file(file, name) {
            Ok(bytes) => self.read.measure += Measure { files: 1, bytes },
            Err(error) => self.read.unreadable.push((path.to_owned(), error)),
        }
    }

    /// Reads a file of the tree, no further than it can go on. Its length.
    fn read_file(&mut self, mut file: File, name: Vec<u8>) -> io::Result<u64> {
        let bytes = file.metadata()?.len();
        let member = self.member(&name);
        if let Some((archive, index, member)) = member {
            if let Some(content) = self.read.contents.get_mut(index) {
                content.named = true;
            }
            let size = u64::from(member.size);
            if bytes == size && !member.is_folder() {
                self.left = self.left.saturating_sub(bytes);
                return match fits(member, &self.buffers.batch) {
                    Some(size) => self.compare_whole(archive, index, size, &mut file, name),
                    None => self.compare(archive, index, member, &mut file, name),
                };
            }
            self.read.differences.changed.push(shown(&name));
            self.read.member_alone(archive, index, self.buffers);
            if bytes > size {
                self.read
                    .too_long
                    .get_or_insert((shown(&name), bytes, size));
                return Ok(bytes);
            }
        } else if self.archive().is_some() && !self.is_toolchain_copy(&name) {
            self.read.differences.added.push(shown(&name));
        }
        if bytes > self.left {
            let left = self.left;
            self.read
                .too_long
                .get_or_insert((shown(&name), bytes, left));
            return Ok(bytes);
        }
        self.left -= bytes;
        self.hash(&mut file, name, bytes)
    }

    /// Of a toolchain, notes each `go.mod` that is not the copy which Go makes.
    fn note_changed_copies(&mut self) {
        let is_changed = |(name, sha256): &&(Vec<u8>, [u8; 32])| {
            let folder = folder_of(name, b"go.mod").filter(|_| self.is_toolchain_copy(name));
            let original = folder.map(|folder| [folder, b"_go.mod"].concat());
            let found = original.and_then(|name| self.member(&name));
            let content = found.and_then(|(_, index, _)| self.read.contents.get(index)?.sha256);
            content.is_some_and(|original| original != *sha256)
        };
        let changed = self.read.own.iter().filter(is_changed);
        let changed: Vec<String> = changed.map(|(name, _)| shown(name)).collect();
        self.read.differences.changed.extend(changed);
    }

    /// See [`drop_toolchain_copies`].
    fn is_toolchain_copy(&self, name: &[u8]) -> bool {
        let original = folder_of(name, b"go.mod").map(|folder| [folder, b"_go.mod"].concat());
        self.id.is_toolchain() && original.is_some_and(|name| self.member(&name).is_some())
    }

    /// Inflates the member and compares the file with it: if they are equal
    /// they need only one hash. The file's length.
    fn compare_whole(
        &mut self,
        archive: &Archive,
        index: usize,
        size: usize,
        file: &mut File,
        name: Vec<u8>,
    ) -> io::Result<u64> {
        let Buffers {
            inflater,
            member: content,
            batch,
            ..
        } = &mut *self.buffers;
        if content.len() < size {
            content.resize(size, 0);
        }
        let content = content.get_mut(..size).unwrap_or_default();
        if let Err(error) = archive.inflate_whole(index, inflater, content) {
            self.read.zip_error = Some(error);
            return self.hash(file, name, size as u64);
        }
        let read = ordinary::fill(file, batch.room(), size as u64);
        if let Ok(len) = read
            && batch.room().get(..len) == Some(&*content)
        {
            self.read.wait(batch, len, Of::Both(index));
            return Ok(len as u64);
        }
        if let Some(room) = batch.room().get_mut(..size) {
            room.copy_from_slice(content);
        }
        self.read.wait(batch, size, Of::Zip(index));
        read?;
        self.read.differences.changed.push(shown(&name));
        file.seek(SeekFrom::Start(0))?;
        self.hash(file, name, size as u64)
    }

    /// Hashes the member and compares the file with it. If they are equal the
    /// member's hash is the file's; else the file is hashed alone.
    fn compare(
        &mut self,
        archive: &Archive,
        index: usize,
        member: &Member,
        file: &mut File,
        name: Vec<u8>,
    ) -> io::Result<u64> {
        let mut hash = Sha256::new();
        let mut equal = Ok(true);
        let size = u64::from(member.size);
        let mut left = size;
        let buffer = &mut self.buffers.file;
        let inflated = archive.inflate(index, &mut self.buffers.inflater, |chunk| {
            hash.update(chunk);
            left = left.saturating_sub(chunk.len() as u64);
            if matches!(equal, Ok(true)) {
                equal = same(file, chunk, left == 0, buffer);
            }
        });
        match inflated {
            Err(error) => self.read.zip_error = Some(error),
            Ok(()) => {
                self.read.hashed += size;
                let equal = equal?;
                self.read.know(index, hash.finalize().into(), equal);
                if equal {
                    return Ok(size);
                }
                self.read.differences.changed.push(shown(&name));
            }
        }
        file.seek(SeekFrom::Start(0))?;
        self.hash(file, name, size)
    }

    /// Hashes a file of `bytes` bytes, at its beginning, as one of the tree. Its length.
    fn hash(&mut self, file: &mut File, name: Vec<u8>, bytes: u64) -> io::Result<u64> {
        let batch = &mut self.buffers.batch;
        let len = ordinary::fill(file, batch.room(), bytes)?;
        if len <= batch.largest() {
            self.read.wait(batch, len, Of::Tree(name));
            return Ok(len as u64);
        }
        file.seek(SeekFrom::Start(0))?;
        let (sha256, bytes) = hash_file(file, bytes, &mut self.buffers.file)?;
        self.read.hashed += bytes;
        self.read.own.push((name, sha256));
        Ok(bytes)
    }
}

/// The SHA-256 of a file of `expected` bytes and its true length. One that
/// goes on behind them is not read to its end.
pub(crate) fn hash_file(
    file: &mut File,
    expected: u64,
    buffer: &mut [u8],
) -> io::Result<([u8; 32], u64)> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    loop {
        let read = ordinary::fill(file, buffer, expected.saturating_sub(bytes))?;
        hash.update(&buffer[..read]);
        bytes += read as u64;
        if bytes > expected {
            let message = format!("grew beyond its {expected} bytes while it was read");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        if read < buffer.len() {
            return Ok((hash.finalize().into(), bytes));
        }
    }
}

/// Whether the file goes on with exactly `chunk`, and ends there if `last`.
fn same(file: &mut File, chunk: &[u8], last: bool, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let want = chunk.len() + usize::from(last);
    if buffer.len() < want {
        buffer.resize(want, 0);
    }
    let room = buffer.get_mut(..want).unwrap_or_default();
    let filled = ordinary::fill(file, room, chunk.len() as u64)?;
    Ok(buffer.get(..filled) == Some(chunk))
}
