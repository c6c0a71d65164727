//! A bundle held against its manifest, and unpacked on the way if asked for.
//!
//! Nothing in a bundle is trusted: names, sizes, the order and the number of
//! its pieces are somebody's claims. Only regular files that the manifest lists
//! are taken, each once, with the length and hash it has there; and none but
//! pieces of the modules it lists, each held against the module's hashes
//! (`layout`).

use super::BundleError;
#[cfg(target_os = "linux")]
use super::frames::Frames;
use super::gather::{CHUNK, regular};
use super::layout::{self, Role};
use super::manifest::{self, MAX_NAME, Manifest};
use super::spool::Spool;
use crate::findings::display_path;
use crate::folder::ordinary;
use crate::folder::{Folder, Kind};
use crate::formats::h1::H1;
use crate::formats::module::piece_name;
use crate::parallel;
use crate::verify::{Buffers, zip_h1_with};
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Problems that are listed; what has more is no bundle.
const MAX_PROBLEMS: usize = 100;

/// What may follow an archive's end: `tar` fills up its last record.
const MAX_PADDING: u64 = 1 << 20;

/// What any archive may unpack to.
const LEAST_UNPACKED: u64 = 16 << 20;

/// How many times its own length a larger archive may unpack to. Modules hardly
/// shrink, since their zips are packed already, and build outputs to a tenth.
const MAX_RATIO: u64 = 100;

/// How deep folders go: no deeper than the longest name.
const MAX_DEPTH: usize = MAX_NAME / 2;

/// Something about a bundle that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The file, as it is named.
    pub(crate) path: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

/// What reading a bundle brought.
#[derive(Debug)]
pub(crate) struct CheckedBundle {
    pub(crate) manifest: Option<Manifest>,
    /// The SHA-256 of the manifest.
    pub(crate) digest: String,
    /// None if the bundle is whole.
    pub(crate) problems: Vec<Problem>,
}

/// Why a bundle could not be read to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It is not worth reading on: what it said so far is in the problems.
    Refused,
    /// The disk, or the bundle itself, says no.
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Io(error)
    }
}

struct Reading {
    manifest: Option<Manifest>,
    digest: String,
    /// By the manifest's order.
    roles: Vec<Role>,
    seen: Vec<AtomicBool>,
    /// What all files may have together.
    most: u64,
    problems: Mutex<Vec<Problem>>,
    /// The digest that was carried another way.
    expected: Option<String>,
    /// Where it is unpacked to.
    unpack: Option<Folder>,
}

/// What a thread keeps from file to file.
struct Hand {
    buffer: Vec<u8>,
    /// The folder of the last file: neighbours in a bundle are neighbours here.
    at: Option<(PathBuf, Folder)>,
}

impl Hand {
    fn new() -> Hand {
        Hand {
            buffer: vec![0; CHUNK],
            at: None,
        }
    }
}

/// Verifies a bundle where it is.
pub(crate) fn check(
    bundle: &Path,
    expected: Option<&str>,
    jobs: usize,
) -> io::Result<CheckedBundle> {
    read(bundle, expected, None, jobs)
}

/// Verifies a bundle while it unpacks it into `dir`, which has to be empty or
/// not there. A bundle with a problem leaves nothing behind.
pub(crate) fn unpack(
    bundle: &Path,
    expected: Option<&str>,
    dir: &Path,
    jobs: usize,
) -> io::Result<CheckedBundle> {
    let made = !dir.exists();
    fs::create_dir_all(dir)?;
    if fs::read_dir(dir)?.next().is_some() {
        let message = format!("{} is not empty", display_path(dir));
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    let part = dir.join(format!(".part-{}", parallel::process_id()));
    let done = unpack_to(&part, bundle, expected, jobs).and_then(|checked| {
        if checked.problems.is_empty() {
            settle(&part, dir)?;
        }
        Ok(checked)
    });
    if !matches!(&done, Ok(checked) if checked.problems.is_empty()) {
        // The first error is the one to tell.
        let _ = fs::remove_dir_all(&part);
        if made {
            let _ = fs::remove_dir(dir);
        }
    }
    done
}

fn unpack_to(
    part: &Path,
    bundle: &Path,
    expected: Option<&str>,
    jobs: usize,
) -> io::Result<CheckedBundle> {
    fs::create_dir(part)?;
    let beside = Folder::open(part.parent().unwrap_or(part))?;
    let top = beside.folder(part.file_name().unwrap_or_default())?;
    let mut checked = read(bundle, expected, Some(top.again()?), jobs)?;
    if let (Some(manifest), true) = (&checked.manifest, checked.problems.is_empty()) {
        checked.problems = zips(&top, manifest, jobs);
    }
    Ok(checked)
}

/// Gives what was unpacked its names.
fn settle(part: &Path, dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(part)? {
        let entry = entry?;
        fs::rename(entry.path(), dir.join(entry.file_name()))?;
    }
    fs::remove_dir(part)
}

fn open_below(top: &Folder, path: &Path) -> io::Result<File> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    regular(&top.descend(path.parent().unwrap_or(Path::new("")))?, name)
}

/// Go believes the `.ziphash` beside a zip. So each zip is hashed once more, as
/// Go would have done when it downloaded it.
fn zips(top: &Folder, manifest: &Manifest, jobs: usize) -> Vec<Problem> {
    let prefix = manifest.shape.prefix();
    let modules = &manifest.modules;
    let results = parallel::map(
        jobs,
        modules.len(),
        || Buffers::new(jobs),
        |buffers, index| {
            let module = modules.get(index)?;
            let path = format!("{prefix}{}", piece_name(&module.id(), "zip").ok()?);
            let mut weigh = || {
                let file = open_below(top, Path::new(&path))?;
                is_zip_of(module, zip_h1_with(&module.id(), file, buffers)?)
            };
            let message = weigh().err()?.to_string();
            Some(Problem { path, message })
        },
    );
    results.into_iter().flatten().take(MAX_PROBLEMS).collect()
}

/// Whether a zip is the one of the module that the manifest lists.
fn is_zip_of(module: &manifest::Module, h1: H1) -> Result<(), BundleError> {
    match h1.to_string() == module.h1 {
        true => Ok(()),
        false => Err(format!("is {h1}, but the manifest says {}", module.h1).into()),
    }
}

fn read(
    bundle: &Path,
    expected: Option<&str>,
    unpack: Option<Folder>,
    jobs: usize,
) -> io::Result<CheckedBundle> {
    let mut reading = Reading {
        manifest: None,
        digest: String::new(),
        roles: Vec::new(),
        seen: Vec::new(),
        most: u64::MAX,
        problems: Mutex::default(),
        expected: expected.map(str::to_owned),
        unpack,
    };
    let about = fs::metadata(bundle)?;
    let result = if about.is_dir() {
        reading.folder(bundle)
    } else {
        reading.most = most(about.len());
        reading.file(bundle, jobs)
    };
    match result {
        Ok(()) => reading.missing(),
        Err(Stop::Refused) => {}
        Err(Stop::Io(error)) if is_content(&error) => {
            reading.note("", error.to_string());
        }
        Err(Stop::Io(error)) => return Err(error),
    }
    Ok(CheckedBundle {
        manifest: reading.manifest,
        digest: reading.digest,
        problems: reading
            .problems
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner),
    })
}

/// Whether an error is about what was read, not about reading or writing it.
/// The archive's reader and the decoder know no kinds but these.
fn is_content(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

/// Whether a file is compressed: by its first bytes, not its name.
fn is_zstd(file: &mut File) -> io::Result<bool> {
    let mut magic = Vec::new();
    file.take(4).read_to_end(&mut magic)?;
    io::Seek::rewind(file)?;
    Ok(magic == [0x28, 0xb5, 0x2f, 0xfd])
}

/// What an archive of `bytes` may unpack to.
fn most(bytes: u64) -> u64 {
    LEAST_UNPACKED.max(bytes.saturating_mul(MAX_RATIO))
}

/// Whether a bundle of frames, `bytes` long, would unpack to more than it may.
pub(crate) fn too_much(manifest: &Manifest, bytes: u64) -> Option<String> {
    let frames = manifest.frames.iter().map(|frame| frame.unpacked);
    let unpacked = frames.fold(0, u64::saturating_add);
    let most = most(bytes);
    (unpacked.max(manifest.bytes()) > most).then(|| too_large(most))
}

/// What is refused because of what it would unpack to.
fn too_large(most: u64) -> String {
    format!("unpacks to more than {most} bytes, which is too much for an archive of its length")
}

/// A reader that ends with an error after so many bytes: what is skipped has
/// been unpacked as well.
struct Bounded<R> {
    from: R,
    most: u64,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(too_large(self.most))),
        }
        Ok(read)
    }
}

#[cfg(target_os = "linux")]
fn decompressed(file: BufReader<File>) -> io::Result<impl Read> {
    let mut decoder = zstd::Decoder::with_buffer(file)?;
    // An archive may ask for gigabytes.
    decoder.window_log_max(super::frames::WINDOW_LOG)?;
    Ok(decoder)
}

#[cfg(not(target_os = "linux"))]
fn decompressed(_: BufReader<File>) -> io::Result<io::Empty> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        super::write::NO_ZSTD,
    ))
}

impl Reading {
    fn note(&self, path: &str, message: impl Into<String>) -> usize {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        problems.push(Problem {
            path: path.to_owned(),
            message: message.into(),
        });
        problems.len()
    }

    /// Notes why it is not worth reading on.
    fn refused(&self, path: &str, why: impl Into<String>) -> Stop {
        self.note(path, why);
        Stop::Refused
    }

    /// Notes a problem; goes on, so that all of them are told, unless there are
    /// too many, or the bundle is being unpacked and will not be kept anyway.
    fn problem(&self, path: &str, message: impl Into<String>) -> Result<(), Stop> {
        let problems = self.note(path, message);
        if self.unpack.is_some() || problems >= MAX_PROBLEMS {
            return Err(Stop::Refused);
        }
        Ok(())
    }

    fn manifest(&mut self, from: impl Read) -> Result<(), Stop> {
        let refused = |why: BundleError| self.refused(manifest::NAME, why.to_string());
        let (manifest, digest) = Manifest::read(from).map_err(refused)?;
        if let Some(expected) = &self.expected
            && *expected != digest
        {
            let why = format!("its SHA-256 is {digest}, not {expected}: this is another bundle");
            return Err(refused(why.into()));
        }
        let roles = layout::roles(&manifest).map_err(refused)?;
        if manifest.bytes() > self.most {
            return Err(refused(too_large(self.most).into()));
        }
        self.roles = roles;
        if let Some(top) = &self.unpack {
            let mut file = top.create(OsStr::new(manifest::NAME))?;
            file.write_all(&manifest.to_bytes()?)?;
        }
        let files = manifest.files.iter();
        self.seen = files.map(|_| AtomicBool::new(false)).collect();
        self.manifest = Some(manifest);
        self.digest = digest;
        Ok(())
    }

    /// One file of the bundle. Its content is read only if the manifest lists
    /// it with this length, and in this frame.
    fn piece(
        &self,
        hand: &mut Hand,
        (path, frame): (&str, Option<u32>),
        bytes: u64,
        content: &mut dyn Read,
    ) -> Result<(), Stop> {
        if let Err(why) = manifest::check_name(path) {
            return self.problem(path, why);
        }
        let listed = self.manifest.as_ref().and_then(|manifest| {
            let at = manifest.position(path)?;
            Some((at, manifest.files.get(at)?))
        });
        let Some((at, listed)) = listed else {
            return self.problem(path, "is not in the manifest");
        };
        let (expected_bytes, expected) = (listed.bytes, listed.sha256);
        if frame.is_some() && listed.frame != frame {
            return self.problem(path, "stands in another frame than the manifest says");
        }
        let seen = self.seen.get(at);
        if seen.is_none_or(|seen| seen.swap(true, Ordering::Relaxed)) {
            return self.problem(path, "is there twice");
        }
        if bytes != expected_bytes {
            let message = format!("has {bytes} bytes, not {expected_bytes}");
            return self.problem(path, message);
        }
        let role = self.roles.get(at).cloned().unwrap_or(Role::Hashed);
        let mut to = match (&self.unpack, &role) {
            (Some(top), _) => To::File(hand.create(top, path)?),
            (None, Role::Zip(_)) => To::Spool(Spool::new()?),
            (None, _) => To::Nowhere,
        };
        let mut kept = Vec::new();
        let mut sha256 = Sha256::new();
        let mut read = 0;
        while read <= bytes {
            let some = match content.read(&mut hand.buffer) {
                Ok(0) => break,
                Ok(some) => some,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let chunk = hand.buffer.get(..some).unwrap_or_default();
            sha256.update(chunk);
            read += some as u64;
            match &mut to {
                To::File(file) => file.write_all(chunk)?,
                To::Spool(spool) => spool.write_all(chunk)?,
                To::Nowhere => {}
            }
            if role.is_small() {
                kept.extend_from_slice(chunk);
            }
        }
        let actual: [u8; 32] = sha256.finalize().into();
        if read != bytes || actual != expected {
            return self.problem(path, "its content is not what the manifest says");
        }
        let weighed = match (&self.manifest, &role, to) {
            (Some(manifest), Role::Zip(at), To::Spool(spool)) => manifest
                .modules
                .get(*at)
                .map_or(Ok(()), |module| is_zip_of(module, spool.h1(&module.id())?)),
            (Some(manifest), role, _) => role.weigh(manifest, &kept),
            (None, ..) => Ok(()),
        };
        match weighed {
            Ok(()) => Ok(()),
            Err(error) => self.problem(path, error.to_string()),
        }
    }

    fn missing(&mut self) {
        let files = self.manifest.iter().flat_map(|manifest| &manifest.files);
        let missing = files.zip(&self.seen);
        let missing = missing.filter(|(_, seen)| !seen.load(Ordering::Relaxed));
        let missing: Vec<Problem> = missing
            .take(MAX_PROBLEMS)
            .map(|(file, _)| Problem {
                path: file.path.clone(),
                message: "is missing".to_owned(),
            })
            .collect();
        // What was refused for another reason has been seen.
        for problem in missing {
            self.note(&problem.path, problem.message);
        }
    }

    // Frames are read where zstd is built in.
    #[cfg_attr(not(target_os = "linux"), allow(unused_variables))]
    fn file(&mut self, bundle: &Path, jobs: usize) -> Result<(), Stop> {
        let mut file = ordinary::open(bundle)?;
        if !is_zstd(&mut file)? {
            return self.stream(BufReader::with_capacity(CHUNK, file));
        }
        #[cfg(target_os = "linux")]
        if let Some((bytes, end)) = Frames::manifest(&file)? {
            self.manifest(bytes.as_slice())?;
            return self.frames(file, end, jobs);
        }
        // One frame, as the `zstd` program makes of a `.tar`.
        let from = decompressed(BufReader::with_capacity(CHUNK, file))?;
        self.stream(Bounded {
            from,
            most: self.most,
            left: self.most,
        })
    }

    #[cfg(target_os = "linux")]
    fn frames(&self, file: File, end: u64, jobs: usize) -> Result<(), Stop> {
        let Some(manifest) = &self.manifest else {
            return Ok(());
        };
        let frames = match Frames::new(file, end, manifest) {
            Ok(frames) => frames,
            Err(why) => return self.problem("", why),
        };
        let results = parallel::map(jobs, manifest.frames.len(), Hand::new, |hand, at| {
            let content = match frames.content(at, manifest) {
                Ok(content) => content,
                Err(error) if is_content(&error) => return self.problem("", error.to_string()),
                Err(error) => return Err(error.into()),
            };
            let mut archive = tar::Archive::new(content);
            let at = u32::try_from(at).ok();
            self.members(archive.entries()?.raw(true), at, hand)?;
            self.end(hand, archive.into_inner())
        });
        results.into_iter().collect()
    }

    /// A whole tar, the manifest first.
    fn stream(&mut self, from: impl Read) -> Result<(), Stop> {
        let mut archive = tar::Archive::new(from);
        let mut entries = archive.entries()?.raw(true);
        let Some(first) = entries.next() else {
            return Err(self.refused("", "holds no bundle"));
        };
        let first = first?;
        let path = String::from_utf8_lossy(&first.path_bytes()).into_owned();
        if path != manifest::NAME || first.header().entry_type() != tar::EntryType::Regular {
            return Err(self.refused(&path, format!("stands where {} should", manifest::NAME)));
        }
        self.manifest(first)?;
        let mut hand = Hand::new();
        self.members(entries, None, &mut hand)?;
        self.end(&mut hand, archive.into_inner())
    }

    fn members<R: Read>(
        &self,
        entries: tar::Entries<'_, R>,
        frame: Option<u32>,
        hand: &mut Hand,
    ) -> Result<(), Stop> {
        members(entries, |path, member| match member {
            Member::File(bytes, _, content) => self.piece(hand, (path, frame), bytes, content),
            Member::Odd(what) => self.problem(path, what),
        })
    }

    /// What follows the archive's end may be nothing but zeros.
    fn end(&self, hand: &mut Hand, mut rest: impl Read) -> Result<(), Stop> {
        let mut behind = 0;
        loop {
            let read = rest.read(&mut hand.buffer)?;
            if read == 0 {
                return Ok(());
            }
            behind += read as u64;
            let chunk = hand.buffer.get(..read).unwrap_or_default();
            if behind > MAX_PADDING || chunk.iter().any(|byte| *byte != 0) {
                return self.problem("", "something stands behind the archive's end");
            }
        }
    }

    fn folder(&mut self, bundle: &Path) -> Result<(), Stop> {
        let top = Folder::open(bundle)?;
        let manifest = top
            .file(OsStr::new(manifest::NAME))
            .map_err(|error| self.refused(manifest::NAME, error.to_string()))?;
        self.manifest(manifest)?;
        self.walk(&mut Hand::new(), &top, "", 0)
    }

    fn walk(
        &self,
        hand: &mut Hand,
        folder: &Folder,
        prefix: &str,
        depth: usize,
    ) -> Result<(), Stop> {
        let mut entries = folder.entries()?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        for entry in entries {
            let shown = format!("{prefix}{}", display_path(Path::new(&entry.name)));
            if shown == manifest::NAME && entry.kind == Kind::File {
                continue;
            }
            match entry.kind {
                Kind::Folder if depth >= MAX_DEPTH => {
                    self.problem(&shown, "lies too deep")?;
                }
                Kind::Folder => {
                    let inner = folder.folder(&entry.name)?;
                    self.walk(hand, &inner, &format!("{shown}/"), depth + 1)?;
                }
                Kind::File => {
                    let mut file = folder.file(&entry.name)?;
                    let about = file.metadata()?;
                    self.piece(hand, (&shown, None), about.len(), &mut file)?;
                }
                Kind::Link => self.problem(&shown, "is a symbolic link")?,
                Kind::Other => self.problem(&shown, "is not an ordinary file")?,
            }
        }
        Ok(())
    }
}

/// What stands in a tar under a name.
pub(crate) enum Member<'a> {
    /// A regular file: its length, where in the tar its content begins, and that.
    File(u64, u64, &'a mut dyn Read),
    /// Something that no bundle has.
    Odd(String),
}

/// Hands out the members of a tar. Only regular files, and the names that are too
/// long for their headers, are taken; the latter with a limit.
pub(crate) fn members<R: Read>(
    entries: tar::Entries<'_, R>,
    mut each: impl FnMut(&str, Member<'_>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut long_name = None;
    for entry in entries {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let bytes = entry.header().entry_size()?;
        if kind == tar::EntryType::GNULongName {
            let mut name = Vec::new();
            (&mut entry)
                .take(MAX_NAME as u64 + 2)
                .read_to_end(&mut name)?;
            if name.last() == Some(&0) {
                name.pop();
            }
            if bytes > MAX_NAME as u64 + 1 || long_name.replace(name).is_some() {
                each("", Member::Odd("a name is too long".to_owned()))?;
                return Err(Stop::Refused);
            }
            continue;
        }
        let name = match long_name.take() {
            Some(name) => name,
            None => entry.header().path_bytes().into_owned(),
        };
        let Ok(path) = String::from_utf8(name) else {
            each("", Member::Odd("a name is no UTF-8".to_owned()))?;
            continue;
        };
        match kind {
            tar::EntryType::Regular => {
                let at = entry.raw_file_position();
                each(&path, Member::File(bytes, at, &mut entry))?;
            }
            _ => each(&path, Member::Odd(format!("is {}", kind_name(kind))))?,
        }
    }
    Ok(())
}

fn kind_name(kind: tar::EntryType) -> &'static str {
    use tar::EntryType as T;
    match kind {
        T::Symlink => "a symbolic link",
        T::Link => "a hard link",
        T::Char | T::Block => "a device",
        T::Fifo => "a pipe",
        T::Directory => "a folder entry, which no bundle has",
        _ => "not an ordinary file",
    }
}

/// Where a piece goes while it is read.
enum To {
    File(File),
    /// Only to be hashed as a zip.
    Spool(Spool),
    Nowhere,
}

impl Hand {
    /// Makes a file. Its name was checked; that its folders are folders, and no
    /// links that somebody put there, is seen to at each step.
    fn create(&mut self, top: &Folder, path: &str) -> io::Result<File> {
        let path = Path::new(path);
        let parent = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        if self.at.as_ref().is_none_or(|(at, _)| at != parent) {
            let mut folder = top.again()?;
            for part in parent {
                folder = folder.folder_or_new(part)?;
            }
            self.at = Some((parent.to_owned(), folder));
        }
        let (_, folder) = self.at.as_ref().ok_or(io::ErrorKind::NotFound)?;
        folder.create(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_is_allowed() {
        let mut bounded = Bounded {
            from: io::repeat(0),
            most: 10_000,
            left: 10_000,
        };
        let mut buffer = [0; 4096];
        let mut read = 0;
        let error = loop {
            match bounded.read(&mut buffer) {
                Ok(some) => read += some,
                Err(error) => break error,
            }
        };
        assert_eq!(read, 8192);
        assert!(error.to_string().contains("more than 10000 bytes"));
        // It stays so: a reader that goes on gets nothing more.
        assert!(bounded.read(&mut buffer).is_err());
    }
}
