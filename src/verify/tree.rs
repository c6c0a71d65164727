//! An extracted tree, read once: alone, or side by side with its zip.
//!
//! Where a file equals its zip member byte for byte, one hash serves both.

use super::archive::{Archive, CHUNK, Inflater, Member};
use super::batch::Batch;
use crate::folder::{Entry, Folder, Kind};
use crate::formats::h1::{H1, H1Error, h1_of};
use crate::scan::Measure;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Buffers that a thread keeps from version to version.
pub(crate) struct Buffers {
    inflater: Inflater,
    /// A member, to be compared with its file.
    member: Vec<u8>,
    /// Part of a long file.
    file: Vec<u8>,
    batch: Batch<Named>,
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
struct Named {
    name: Vec<u8>,
    of: Of,
}

enum Of {
    Tree,
    Zip,
    /// A file that equals its member.
    Both,
}

/// A copy's files with their SHA-256, by name as the h1 wants it.
#[derive(Default)]
pub(crate) struct Copy {
    files: Vec<(Vec<u8>, [u8; 32])>,
}

impl Copy {
    fn add(&mut self, name: Vec<u8>, sha256: [u8; 32]) {
        self.files.push((name, sha256));
    }

    /// The h1 of the copy, and of folder entries that only a zip can have.
    pub(crate) fn h1<'a>(
        &'a self,
        folders: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<H1, H1Error> {
        let empty: [u8; 32] = Sha256::digest([]).into();
        let files = self.files.iter().map(|(name, sha256)| (&**name, *sha256));
        let folders = folders.into_iter().map(|name| (name, empty));
        h1_of(files.chain(folders).collect())
    }

    /// Drops every `go.mod` that equals the `_go.mod` beside it: copies that Go
    /// itself makes in a toolchain's tree (`toolchain/select.go`), where its zip
    /// has none. Another `go.mod` stays, and no hash fits the tree.
    fn drop_toolchain_copies(&mut self) {
        let originals: HashSet<(Vec<u8>, [u8; 32])> = self
            .files
            .iter()
            .filter_map(|(name, sha256)| Some((name.strip_suffix(b"/_go.mod")?, *sha256)))
            .map(|(folder, sha256)| ([folder, b"/go.mod"].concat(), sha256))
            .collect();
        self.files.retain(|file| !originals.contains(file));
    }
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
    /// The tree's files.
    pub(crate) tree: Copy,
    /// The zip's files; empty if only the tree was read.
    pub(crate) zip: Copy,
    /// Bytes that went through a hash.
    pub(crate) hashed: u64,
    /// How the two differ.
    pub(crate) differences: Differences,
    /// Why the zip could not be read, if so.
    pub(crate) zip_error: Option<super::archive::ZipError>,
    /// Links and other things that Go never extracts.
    pub(crate) foreign: Vec<PathBuf>,
    /// Files and folders that could not be read.
    pub(crate) unreadable: Vec<(PathBuf, io::Error)>,
}

/// Reads the zip alone.
pub(crate) fn read_zip(archive: &Archive, buffers: &mut Buffers) -> Copies {
    let mut read = Copies::default();
    for member in &archive.members {
        read.member_alone(archive, member, buffers);
    }
    read.settle(&mut buffers.batch);
    read
}

/// Reads the tree at `path`, and its zip side by side where one is given.
pub(crate) fn read_tree(
    path: &Path,
    prefix: &str,
    archive: Option<&Archive>,
    toolchain: bool,
    buffers: &mut Buffers,
) -> Copies {
    let mut walk = Walk {
        read: Copies::default(),
        archive,
        members: archive.map(by_name).unwrap_or_default(),
        buffers,
    };
    match Folder::open_no_follow(path) {
        Ok(folder) => walk.folder(&folder, path, prefix.as_bytes(), 0),
        Err(error) => walk.read.unreadable.push((path.to_owned(), error)),
    }
    let Walk {
        mut read,
        members,
        buffers,
        ..
    } = walk;
    read.settle(&mut buffers.batch);
    if toolchain {
        read.tree.drop_toolchain_copies();
    }
    if let Some(archive) = archive {
        let names: HashSet<&[u8]> = read.tree.files.iter().map(|(name, _)| &**name).collect();
        read.differences.added = names
            .iter()
            .filter(|name| !members.contains_key(*name))
            .map(|name| below(name))
            .collect();
        let missing: Vec<&Member> = archive
            .members
            .iter()
            .filter(|member| !names.contains(&*member.name))
            .collect();
        for member in missing {
            if !member.is_folder() {
                read.differences.missing.push(below(&member.name));
            }
            read.member_alone(archive, member, buffers);
        }
        read.settle(&mut buffers.batch);
    }
    read
}

/// Whether there is no file at all below `path`, links and devices included.
pub(crate) fn is_empty(path: &Path) -> io::Result<bool> {
    fn empty(folder: &Folder, depth: usize) -> io::Result<bool> {
        for Entry { name, kind } in folder.entries()? {
            let deep = kind != Kind::Folder || depth >= crate::scan::MAX_DEPTH;
            if deep || !empty(&folder.folder(&name)?, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
    empty(&Folder::open_no_follow(path)?, 0)
}

impl Copies {
    fn member_alone(&mut self, archive: &Archive, member: &Member, buffers: &mut Buffers) {
        let Buffers {
            inflater, batch, ..
        } = buffers;
        if let Some(size) = fits(member, batch) {
            let room = batch.room().get_mut(..size).unwrap_or_default();
            match archive.inflate_whole(member, inflater, room) {
                Ok(()) => self.wait(batch, size, member.name.clone(), Of::Zip),
                Err(error) => self.zip_error = Some(error),
            }
            return;
        }
        let mut hash = Sha256::new();
        match archive.inflate(member, inflater, |chunk| hash.update(chunk)) {
            Ok(()) => {
                self.hashed += member.size;
                self.zip.add(member.name.clone(), hash.finalize().into());
            }
            Err(error) => self.zip_error = Some(error),
        }
    }

    /// Puts what is in the batch's room into the batch.
    fn wait(&mut self, batch: &mut Batch<Named>, len: usize, name: Vec<u8>, of: Of) {
        self.hashed += len as u64;
        batch.push(len, Named { name, of });
        if batch.is_due() {
            self.settle(batch);
        }
    }

    /// Hashes what waits in the batch.
    fn settle(&mut self, batch: &mut Batch<Named>) {
        batch.finish(|Named { name, of }, sha256| match of {
            Of::Tree => self.tree.add(name, sha256),
            Of::Zip => self.zip.add(name, sha256),
            Of::Both => {
                self.zip.add(name.clone(), sha256);
                self.tree.add(name, sha256);
            }
        });
    }
}

/// The member's length, if a batch takes it.
fn fits(member: &Member, batch: &Batch<Named>) -> Option<usize> {
    let size = usize::try_from(member.size).ok()?;
    (size <= batch.largest()).then_some(size)
}

/// A name without its `path@version/`.
fn below(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let version = text.find('@').unwrap_or(0);
    match text[version..].find('/') {
        Some(slash) => text[version + slash + 1..].to_owned(),
        None => text.into_owned(),
    }
}

fn by_name(archive: &Archive) -> HashMap<&[u8], &Member> {
    archive
        .members
        .iter()
        .map(|member| (&*member.name, member))
        .collect()
}

struct Walk<'a> {
    read: Copies,
    archive: Option<&'a Archive>,
    members: HashMap<&'a [u8], &'a Member>,
    buffers: &'a mut Buffers,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Folder, path: &Path, prefix: &[u8], depth: usize) {
        let entries = match folder.entries() {
            Ok(entries) => entries,
            Err(error) => return self.read.unreadable.push((path.to_owned(), error)),
        };
        for Entry { name, kind } in entries {
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
                    Ok(file) => self.file(file, full, path, &name),
                    Err(error) => {
                        self.unread(folder, &name);
                        self.read.unreadable.push((path.join(&name), error));
                    }
                },
                Kind::Link | Kind::Other => {
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

    fn file(&mut self, mut file: File, full: Vec<u8>, folder: &Path, name: &std::ffi::OsStr) {
        let member = self.members.get(&*full).copied();
        let result = match (self.archive, member) {
            (Some(archive), Some(member)) => match fits(member, &self.buffers.batch) {
                Some(size) => self.compare_whole(archive, member, size, &mut file, full),
                None => self
                    .compare(archive, member, &mut file)
                    .and_then(|same| match same {
                        Some((sha256, bytes)) => {
                            self.read.tree.add(full, sha256);
                            Ok(bytes)
                        }
                        None => self.hash(&mut file, full),
                    }),
            },
            _ => self.hash(&mut file, full),
        };
        match result {
            Ok(bytes) => self.read.measure += Measure { files: 1, bytes },
            Err(error) => self.read.unreadable.push((folder.join(name), error)),
        }
    }

    /// Inflates the member and compares the file with it: if they are equal
    /// they need only one hash. The file's length.
    fn compare_whole(
        &mut self,
        archive: &Archive,
        member: &Member,
        size: usize,
        file: &mut File,
        full: Vec<u8>,
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
        if let Err(error) = archive.inflate_whole(member, inflater, content) {
            self.read.zip_error = Some(error);
            return self.hash(file, full);
        }
        let read = read_retrying(file, batch.room());
        if let Ok(len) = read
            && batch.room().get(..len) == Some(&*content)
        {
            self.read.wait(batch, len, full, Of::Both);
            return Ok(len as u64);
        }
        if let Some(room) = batch.room().get_mut(..size) {
            room.copy_from_slice(content);
        }
        self.read.wait(batch, size, member.name.clone(), Of::Zip);
        read?;
        self.read.differences.changed.push(below(&member.name));
        file.seek(SeekFrom::Start(0))?;
        self.hash(file, full)
    }

    /// Hashes the member and compares the file with it. If they are equal the
    /// member's hash is the file's; else the file is rewound to be hashed alone.
    fn compare(
        &mut self,
        archive: &Archive,
        member: &Member,
        file: &mut File,
    ) -> io::Result<Option<([u8; 32], u64)>> {
        let mut hash = Sha256::new();
        let mut equal = Ok(true);
        let mut left = member.size;
        let buffer = &mut self.buffers.file;
        let inflated = archive.inflate(member, &mut self.buffers.inflater, |chunk| {
            hash.update(chunk);
            left = left.saturating_sub(chunk.len() as u64);
            if matches!(equal, Ok(true)) {
                equal = same(file, chunk, left == 0, buffer);
            }
        });
        if let Err(error) = inflated {
            self.read.zip_error = Some(error);
            file.seek(SeekFrom::Start(0))?;
            return Ok(None);
        }
        if member.size == 0 {
            equal = same(file, &[], true, buffer);
        }
        let sha256: [u8; 32] = hash.finalize().into();
        self.read.hashed += member.size;
        self.read.zip.add(member.name.clone(), sha256);
        if equal? {
            return Ok(Some((sha256, member.size)));
        }
        self.read.differences.changed.push(below(&member.name));
        file.seek(SeekFrom::Start(0))?;
        Ok(None)
    }

    /// Hashes a file, at its beginning, as one of the tree. Its length.
    fn hash(&mut self, file: &mut File, full: Vec<u8>) -> io::Result<u64> {
        let batch = &mut self.buffers.batch;
        let len = read_retrying(file, batch.room())?;
        if len <= batch.largest() {
            self.read.wait(batch, len, full, Of::Tree);
            return Ok(len as u64);
        }
        file.seek(SeekFrom::Start(0))?;
        let (sha256, bytes) = hash_file(file, &mut self.buffers.file)?;
        self.read.hashed += bytes;
        self.read.tree.add(full, sha256);
        Ok(bytes)
    }
}

/// Longer than any module, toolchain or build output: no file, or a trap.
const MAX_FILE: u64 = 64 << 30;

/// The SHA-256 of a file and its length.
pub(crate) fn hash_file(file: &mut File, buffer: &mut [u8]) -> io::Result<([u8; 32], u64)> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    loop {
        let read = read_retrying(file, buffer)?;
        hash.update(&buffer[..read]);
        bytes += read as u64;
        if bytes > MAX_FILE {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("goes on after {MAX_FILE} bytes"),
            ));
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
    let mut filled = 0;
    while filled < want {
        let asked = want - filled;
        let read = read_retrying(file, &mut buffer[filled..want])?;
        filled += read;
        if read < asked {
            break;
        }
    }
    Ok(buffer.get(..filled) == Some(chunk))
}

/// One read. On a regular file less than was asked for means its end, which
/// saves a system call for each of very many small files; should a file system
/// ever cut a read short, the hash comes out wrong and is reported, never right.
pub(crate) fn read_retrying(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
