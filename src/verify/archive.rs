//! A module zip, read as Go reads it and no more leniently.
//!
//! The central directory says what the zip holds (`archive/zip/reader.go`). A
//! zip that breaks a rule of Go's, or that another reader might understand
//! differently, cannot be opened: then nothing in it is inflated.
//!
//! An open zip takes little memory, as a hostile one may have a million
//! entries: 28 bytes an entry, and the names without the prefix that all share.

use crate::formats::h1::H1Error;
use crate::formats::module::ModuleVersion;
use crate::formats::modzip::{self, MAX_ZIP_BYTES};
use crate::formats::zip::{self, ENTRY_LEN, Entry, LOCAL_LEN, Listed, ZipFault};
use flate2::{Decompress, FlushDecompress, Status};
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More entries than any module has; bounds the memory a hostile zip can take.
const MAX_ENTRIES: u64 = 1 << 20;
/// Names of all entries together, without what all share.
const MAX_NAMES: usize = 64 << 20;
/// Zips whose directory is larger are looked at one at a time, so that the
/// memory they take does not grow with the number of threads. Few modules come
/// near: this is room for some 60,000 files.
const LARGE_DIRECTORY: u64 = 8 << 20;

/// Taken by the one thread that has a zip with a large directory open.
static LARGE: Mutex<()> = Mutex::new(());

const STORE: u16 = 0;
const DEFLATE: u16 = 8;

/// Why a zip is no zip that Go would write.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// The file could not be read at all.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Its records are not as Go reads them.
    #[error(transparent)]
    Record(#[from] ZipFault),
    /// Its names have no hash.
    #[error(transparent)]
    Name(#[from] H1Error),
    /// It is no sound module zip for another reason.
    #[error("{0}")]
    Invalid(String),
}

fn invalid(message: impl Into<String>) -> ZipError {
    ZipError::Invalid(message.into())
}

/// Where the bytes come from: small zips are read whole, at once.
enum Bytes {
    Memory(Vec<u8>),
    File(File),
}

impl Bytes {
    /// The bytes from `start` to `end`, in `buffer` if they had to be read.
    fn get<'a>(
        &'a self,
        start: u64,
        end: u64,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], ZipError> {
        let len = usize::try_from(end.saturating_sub(start)).map_err(|_| ZipFault::Truncated)?;
        match self {
            Bytes::Memory(bytes) => {
                let start = usize::try_from(start).map_err(|_| ZipFault::Truncated)?;
                let bytes = bytes.get(start..).and_then(|from| from.get(..len));
                Ok(bytes.ok_or(ZipFault::Truncated)?)
            }
            Bytes::File(file) => {
                if buffer.len() < len {
                    buffer.resize(len, 0);
                }
                let room = buffer.get_mut(..len).unwrap_or_default();
                match read_at(file, room, start) {
                    Ok(()) => Ok(room),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        Err(ZipFault::Truncated.into())
                    }
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}

#[cfg(unix)]
fn read_at(file: &File, room: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, room, at)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, room: &mut [u8], at: u64) -> io::Result<()> {
    use std::io::{Seek, SeekFrom};
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(room)
}

const _: () = assert!(size_of::<Member>() <= 28);

/// One entry of the central directory. Everything fits into 32 bits, as the
/// file may not be longer than [`MAX_ZIP_BYTES`] and larger sizes are refused.
#[derive(Clone, Copy)]
pub(crate) struct Member {
    /// Uncompressed size, as the directory claims.
    pub(crate) size: u32,
    crc: u32,
    packed: u32,
    /// Where the local header is; the content, once [`Archive::locate`] was there.
    at: u32,
    name: u32,
    name_len: u16,
    method: u16,
    descriptor: bool,
    irregular: bool,
    folder: bool,
}

/// An open zip.
pub(crate) struct Archive {
    bytes: Bytes,
    /// Where the central directory begins.
    directory: u64,
    prefix: String,
    /// All names below the prefix, one after the other.
    names: Vec<u8>,
    members: Vec<Member>,
    located: bool,
    _alone: Option<MutexGuard<'static, ()>>,
}

/// What inflating needs, kept from member to member.
pub(crate) struct Inflater {
    state: Decompress,
    #[cfg(target_os = "linux")]
    whole: libdeflater::Decompressor,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Bytes that came out so far.
    pub(crate) inflated: u64,
}

/// Bytes that are inflated, read and compared at a time. Holds any directory entry.
pub(crate) const CHUNK: usize = 256 << 10;
const _: () = assert!(CHUNK > zip::MAX_ENTRY_LEN);

impl Inflater {
    pub(crate) fn new() -> Inflater {
        Inflater {
            state: Decompress::new(false),
            #[cfg(target_os = "linux")]
            whole: libdeflater::Decompressor::new(),
            input: vec![0; CHUNK],
            output: vec![0; CHUNK],
            inflated: 0,
        }
    }
}

impl Archive {
    /// Reads the central directory of the zip of `id` and holds it against Go's
    /// rules. Zips of up to `in_memory` bytes are read whole.
    pub(crate) fn open(
        id: &ModuleVersion,
        mut file: File,
        in_memory: u64,
    ) -> Result<Archive, ZipError> {
        let len = file.metadata()?.len();
        if len > MAX_ZIP_BYTES {
            return Err(invalid(format!(
                "is {len} bytes long; Go refuses more than {MAX_ZIP_BYTES}"
            )));
        }
        let bytes = if len <= in_memory {
            let mut content = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1);
            (&mut file).take(len + 1).read_to_end(&mut content)?;
            if content.len() as u64 != len {
                return Err(invalid("changed while it was read"));
            }
            Bytes::Memory(content)
        } else {
            Bytes::File(file)
        };
        Archive::read(id, bytes, len)
    }

    /// [`open`](Self::open) for a zip that is in memory.
    #[cfg(any(test, feature = "remote", not(unix)))]
    pub(crate) fn in_memory(id: &ModuleVersion, content: Vec<u8>) -> Result<Archive, ZipError> {
        let len = content.len() as u64;
        Archive::read(id, Bytes::Memory(content), len)
    }

    fn read(id: &ModuleVersion, bytes: Bytes, len: u64) -> Result<Archive, ZipError> {
        let mut buffer = Vec::new();
        let tail = len.saturating_sub(zip::MAX_END_LEN as u64);
        let end = zip::end(bytes.get(tail, len, &mut buffer)?, len)?;
        // Each has an entry here and a header before its content.
        let least = (ENTRY_LEN + LOCAL_LEN) as u64;
        if end.entries > MAX_ENTRIES || end.entries > len / least {
            return Err(invalid(format!(
                "claims {} entries, more than any module could have",
                end.entries
            )));
        }
        let directory = end.directory.start;
        let large = end.directory.end - directory > LARGE_DIRECTORY;
        let mut archive = Archive {
            bytes,
            directory,
            prefix: id.zip_prefix(),
            names: Vec::new(),
            members: Vec::with_capacity(usize::try_from(end.entries).unwrap_or(0)),
            located: false,
            _alone: large.then(|| LARGE.lock().unwrap_or_else(PoisonError::into_inner)),
        };
        archive.read_directory(&end, &mut buffer)?;
        let entry = |index: usize| modzip::Entry {
            name: archive.name(index),
            size: archive.members.get(index).map_or(0, |it| it.size.into()),
            irregular: archive.members.get(index).is_some_and(|it| it.irregular),
        };
        let review = modzip::review(id, len, archive.members.len(), entry);
        if let Some(first) = review.violations.first() {
            let more = match review.violations.len() - 1 + review.more {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            let name = match first.name.is_empty() {
                true => String::new(),
                false => archive.prefix + &String::from_utf8_lossy(&first.name) + ": ",
            };
            return Err(invalid(format!(
                "breaks a rule of Go's: {name}{}{more}",
                first.problem
            )));
        }
        archive.no_overlap()?;
        Ok(archive)
    }

    fn read_directory(&mut self, end: &zip::End, buffer: &mut Vec<u8>) -> Result<(), ZipError> {
        let mut at = end.directory.start;
        // All at once: grown bit by bit, they would take twice as much.
        let around = end.entries * (ENTRY_LEN + self.prefix.len()) as u64;
        let names = (end.directory.end - at).saturating_sub(around);
        self.names
            .reserve_exact(usize::try_from(names).unwrap_or(0).min(MAX_NAMES));
        while at < end.directory.end {
            let to = end.directory.end.min(at + CHUNK as u64);
            let mut rest = self.bytes.get(at, to, buffer)?;
            let before = at;
            while let Some((entry, len)) = zip::entry(rest)? {
                let name = entry.name.strip_prefix(self.prefix.as_bytes());
                let Some(name) = name else {
                    return Err(invalid(format!(
                        "breaks a rule of Go's: {}: name does not start with {:?}",
                        String::from_utf8_lossy(entry.name),
                        self.prefix
                    )));
                };
                if self.members.len() as u64 >= end.entries
                    || self.names.len() + name.len() > MAX_NAMES
                {
                    return Err(invalid(
                        "has more entries or longer names than it could have",
                    ));
                }
                self.members
                    .push(Member::new(&entry, self.names.len(), name)?);
                self.names.extend_from_slice(name);
                at += len as u64;
                rest = rest.get(len..).unwrap_or_default();
            }
            // An entry is never longer than a chunk: this one is cut short.
            if at == before {
                return Err(ZipFault::Entry.into());
            }
        }
        if self.members.len() as u64 != end.entries {
            return Err(invalid(format!(
                "lists {} entries where its end record says {}",
                self.members.len(),
                end.entries
            )));
        }
        Ok(())
    }

    /// All entries, in the directory's order.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// What every name in the zip begins with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// An entry's name, without the prefix.
    pub(crate) fn name(&self, index: usize) -> &[u8] {
        self.members.get(index).map_or(&[], |member| {
            let from = self.names.get(member.name as usize..).unwrap_or_default();
            from.get(..usize::from(member.name_len)).unwrap_or_default()
        })
    }

    /// The positions of all entries, by name.
    pub(crate) fn by_name(&self) -> Vec<u32> {
        let mut order = self.positions();
        order.sort_by(|&a, &b| self.name(a as usize).cmp(self.name(b as usize)));
        order
    }

    fn positions(&self) -> Vec<u32> {
        (0..).take(self.members.len()).collect()
    }

    /// The positions of all entries, as their contents lie in the file.
    fn by_place(&self) -> Vec<u32> {
        let mut order = self.positions();
        order.sort_by_key(|&index| self.members.get(index as usize).map_or(0, |it| it.at));
        order
    }

    fn full_name(&self, index: usize) -> String {
        format!(
            "{}{}",
            self.prefix,
            String::from_utf8_lossy(self.name(index))
        )
    }

    /// Entries that share their content make much of little. What the directory
    /// says is enough to see it.
    fn no_overlap(&self) -> Result<(), ZipError> {
        let mut free = 0;
        for index in self.by_place() {
            let Some(member) = self.members.get(index as usize) else {
                continue;
            };
            if u64::from(member.at) < free {
                return Err(ZipFault::Overlap.into());
            }
            let name = self.prefix.len() as u64 + u64::from(member.name_len);
            free = u64::from(member.at) + LOCAL_LEN as u64 + name + u64::from(member.packed);
        }
        match free <= self.directory {
            true => Ok(()),
            false => Err(ZipFault::Overlap.into()),
        }
    }

    /// Finds the members' contents. Each header must say what the directory
    /// says, and what lies between the contents must belong to them: readers
    /// that go from header to header then see what Go sees.
    pub(crate) fn locate(&mut self) -> Result<(), ZipError> {
        if self.located {
            return Ok(());
        }
        let mut buffer = Vec::new();
        let mut free = 0;
        let mut before: Option<Listed> = None;
        let order = self.by_place();
        let mut places = Vec::with_capacity(order.len());
        for index in order.iter().map(|&index| index as usize) {
            let Some(member) = self.members.get(index) else {
                continue;
            };
            let at = u64::from(member.at);
            self.between(before.as_ref(), free, at, &mut buffer)?;
            let listed = self.listed(index, member);
            let fixed = LOCAL_LEN + self.prefix.len() + usize::from(member.name_len);
            // Most extra fields are short: one read fetches them, too.
            let guess = (at + fixed as u64 + 40).min(self.directory);
            let mut header = self.bytes.get(at, guess, &mut buffer)?;
            let len = zip::local_len(header)?;
            if at + len as u64 > self.directory {
                return Err(ZipFault::Local.into());
            }
            if len > header.len() {
                header = self.bytes.get(at, at + len as u64, &mut buffer)?;
            }
            zip::check_local(header, &listed)?;
            let content = at + len as u64;
            free = content + u64::from(member.packed);
            if free > self.directory {
                return Err(ZipFault::Overlap.into());
            }
            before = Some(listed);
            places.push(u32::try_from(content).map_err(|_| ZipFault::Truncated)?);
        }
        self.between(before.as_ref(), free, self.directory, &mut buffer)?;
        for (index, content) in order.into_iter().zip(places) {
            if let Some(member) = self.members.get_mut(index as usize) {
                member.at = content;
            }
        }
        self.located = true;
        Ok(())
    }

    fn listed<'a>(&'a self, index: usize, member: &Member) -> Listed<'a> {
        Listed {
            name: [self.prefix.as_bytes(), self.name(index)],
            method: member.method,
            descriptor: member.descriptor,
            crc: member.crc,
            packed: member.packed.into(),
            size: member.size.into(),
        }
    }

    /// Looks at what lies between the end of one content and the next header.
    fn between(
        &self,
        before: Option<&Listed<'_>>,
        free: u64,
        next: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<(), ZipError> {
        if next < free {
            return Err(ZipFault::Overlap.into());
        }
        if next - free > zip::MAX_DESCRIPTOR_LEN as u64 || (before.is_none() && next != free) {
            return Err(ZipFault::Gap.into());
        }
        if let Some(before) = before
            && (next != free || before.descriptor)
        {
            zip::check_descriptor(self.bytes.get(free, next, buffer)?, before)?;
        }
        Ok(())
    }

    /// Inflates a member chunk by chunk. Fails if it is not what the directory
    /// says: method, size and CRC, as Go's own reader would.
    pub(crate) fn inflate(
        &self,
        index: usize,
        inflater: &mut Inflater,
        mut chunk: impl FnMut(&[u8]),
    ) -> Result<(), ZipError> {
        let Some((member, start, end)) = self.content(index)? else {
            return Ok(());
        };
        let mut crc = crc32fast::Hasher::new();
        let mut size = 0;
        let mut take = |bytes: &[u8]| {
            crc.update(bytes);
            size += bytes.len() as u64;
            chunk(bytes);
            size <= u64::from(member.size)
        };
        let result = match member.method {
            STORE => self.each_chunk(start, end, &mut inflater.input, |bytes, _| Ok(take(bytes))),
            DEFLATE if start == end => {
                let name = self.full_name(index);
                Err(invalid(format!("{name}: DEFLATE data ends early")))
            }
            DEFLATE => {
                inflater.state.reset(false);
                let Inflater {
                    state,
                    input,
                    output,
                    ..
                } = inflater;
                self.each_chunk(start, end, input, |bytes, last| {
                    inflate_chunk(state, bytes, last, output, &mut take)
                        .map_err(|error| invalid(format!("{}: {error}", self.full_name(index))))
                })
            }
            other => {
                let name = self.full_name(index);
                Err(invalid(format!("{name} is packed by method {other}")))
            }
        };
        inflater.inflated += size;
        result?;
        self.check(index, member, size, crc.finalize())
    }

    /// Inflates a member into `output`, which is as long as the directory says
    /// the member is. Fails as [`inflate`](Self::inflate) does.
    pub(crate) fn inflate_whole(
        &self,
        index: usize,
        inflater: &mut Inflater,
        output: &mut [u8],
    ) -> Result<(), ZipError> {
        let Some((member, start, end)) = self.content(index)? else {
            return Ok(());
        };
        // DEFLATE makes nothing longer by more than five bytes in 16 KiB; what
        // is packed into more than that need not be read at once.
        let most = output.len() + output.len() / 1024 + CHUNK;
        let at_once =
            member.method == STORE || member.method == DEFLATE && cfg!(target_os = "linux");
        if !at_once || end - start > most as u64 {
            return self.inflate_into(index, inflater, output);
        }
        inflater.inflated += output.len() as u64;
        let packed = self.bytes.get(start, end, &mut inflater.input)?;
        let size = match member.method {
            #[cfg(target_os = "linux")]
            DEFLATE => {
                use libdeflater::DecompressionError::{BadData, InsufficientSpace};
                match inflater.whole.deflate_decompress(packed, output) {
                    Ok(size) => size as u64,
                    Err(InsufficientSpace) => u64::MAX,
                    Err(BadData) => {
                        let name = self.full_name(index);
                        return Err(invalid(format!("{name}: is not valid DEFLATE data")));
                    }
                }
            }
            _ => {
                if packed.len() == output.len() {
                    output.copy_from_slice(packed);
                }
                packed.len() as u64
            }
        };
        let crc = match size == output.len() as u64 {
            true => crc32fast::hash(output),
            false => 0,
        };
        self.check(index, member, size, crc)
    }

    /// [`inflate_whole`](Self::inflate_whole), chunk by chunk.
    fn inflate_into(
        &self,
        index: usize,
        inflater: &mut Inflater,
        output: &mut [u8],
    ) -> Result<(), ZipError> {
        let mut rest = output;
        self.inflate(index, inflater, |chunk| {
            let len = chunk.len().min(rest.len());
            let (to, behind) = std::mem::take(&mut rest).split_at_mut(len);
            to.copy_from_slice(chunk.get(..len).unwrap_or_default());
            rest = behind;
        })
    }

    /// A member, and where its packed bytes are; `None` for a folder.
    fn content(&self, index: usize) -> Result<Option<(Member, u64, u64)>, ZipError> {
        let found = self.members.get(index).filter(|_| self.located);
        let member = *found.ok_or_else(|| invalid("was not looked through yet"))?;
        if member.folder {
            return match member.size {
                0 => Ok(None),
                _ => {
                    let name = self.full_name(index);
                    Err(invalid(format!("folder entry {name} has content")))
                }
            };
        }
        let start = u64::from(member.at);
        Ok(Some((member, start, start + u64::from(member.packed))))
    }

    /// Whether a member's content came out as the directory says.
    fn check(&self, index: usize, member: Member, size: u64, crc: u32) -> Result<(), ZipError> {
        if size != u64::from(member.size) {
            let name = self.full_name(index);
            return Err(invalid(format!("{name} has not the size its entry says")));
        }
        // Go takes a CRC of 0 for one that was never filled in, unless the
        // entry has a data descriptor (`checksumReader.Read`).
        if crc != member.crc && (member.crc != 0 || member.descriptor) {
            let name = self.full_name(index);
            return Err(invalid(format!("{name} has a wrong CRC")));
        }
        Ok(())
    }

    /// Hands out the bytes from `start` to `end` until `take` says stop. Its
    /// second argument tells the last chunk.
    fn each_chunk(
        &self,
        start: u64,
        end: u64,
        input: &mut Vec<u8>,
        mut take: impl FnMut(&[u8], bool) -> Result<bool, ZipError>,
    ) -> Result<(), ZipError> {
        let step = match self.bytes {
            Bytes::Memory(_) => u64::MAX,
            Bytes::File(_) => CHUNK as u64,
        };
        let mut at = start;
        while at < end {
            let to = at.saturating_add(step).min(end);
            let more = take(self.bytes.get(at, to, input)?, to == end)?;
            at = if more { to } else { end };
        }
        Ok(())
    }
}

impl Member {
    fn new(entry: &Entry<'_>, names: usize, name: &[u8]) -> Result<Member, ZipError> {
        let narrow = |number: u64| u32::try_from(number).map_err(|_| ZipFault::Entry);
        Ok(Member {
            // What is cut here is far over the limit that is judged by.
            size: u32::try_from(entry.size).unwrap_or(u32::MAX),
            crc: entry.crc,
            packed: narrow(entry.packed)?,
            at: narrow(entry.local)?,
            name: narrow(names as u64)?,
            name_len: u16::try_from(name.len()).map_err(|_| ZipFault::Entry)?,
            method: entry.method,
            descriptor: Entry::has_descriptor(entry.flags),
            irregular: entry.irregular,
            folder: name.is_empty() || name.ends_with(b"/"),
        })
    }

    /// A folder entry. Go hashes it as an empty file.
    pub(crate) fn is_folder(&self) -> bool {
        self.folder
    }
}

/// Inflates one chunk of input; says whether more input is wanted.
fn inflate_chunk(
    state: &mut Decompress,
    mut input: &[u8],
    last: bool,
    output: &mut [u8],
    take: &mut impl FnMut(&[u8]) -> bool,
) -> Result<bool, &'static str> {
    loop {
        let (before_in, before_out) = (state.total_in(), state.total_out());
        let status = state
            .decompress(input, output, FlushDecompress::None)
            .map_err(|_| "is not valid DEFLATE data")?;
        let used = usize::try_from(state.total_in() - before_in).unwrap_or(usize::MAX);
        let made = usize::try_from(state.total_out() - before_out).unwrap_or(usize::MAX);
        input = input.get(used..).unwrap_or_default();
        let wanted = take(output.get(..made).unwrap_or_default());
        if status == Status::StreamEnd || !wanted {
            return Ok(false);
        }
        if used == 0 && made == 0 {
            return if last {
                Err("DEFLATE data ends early")
            } else {
                Ok(true)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rawzip::CompressionMethod;
    use std::io::Write;

    /// A zip of these files, DEFLATE for all but the first.
    fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = rawzip::ZipArchiveWriter::new(&mut bytes);
        for (index, (name, content)) in files.iter().enumerate() {
            let method = match index {
                0 => CompressionMethod::STORE,
                _ => CompressionMethod::DEFLATE,
            };
            let file = writer.new_file(name).compression_method(method);
            let (mut entry, config) = file.start().unwrap();
            let descriptor = if index == 0 {
                let mut out = config.wrap(&mut entry);
                out.write_all(content).unwrap();
                out.finish().unwrap().1
            } else {
                let level = flate2::Compression::fast();
                let encoder = flate2::write::DeflateEncoder::new(&mut entry, level);
                let mut out = config.wrap(encoder);
                out.write_all(content).unwrap();
                let (encoder, descriptor) = out.finish().unwrap();
                encoder.finish().unwrap();
                descriptor
            };
            entry.finish(descriptor).unwrap();
        }
        writer.finish().unwrap();
        bytes
    }

    const FILES: [(&str, &[u8]); 3] = [
        ("m.x/m@v1.0.0/stored", b"as it is"),
        (
            "m.x/m@v1.0.0/packed",
            b"again and again and again and again",
        ),
        ("m.x/m@v1.0.0/empty", b""),
    ];

    fn open(bytes: &[u8], in_memory: u64) -> Result<Archive, ZipError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let id = ModuleVersion::new("m.x/m", "v1.0.0");
        let mut archive = Archive::open(&id, file, in_memory)?;
        archive.locate()?;
        Ok(archive)
    }

    fn contents(archive: &Archive) -> Result<Vec<Vec<u8>>, ZipError> {
        let mut inflater = Inflater::new();
        let content = |(index, member): (usize, &Member)| {
            let mut content = Vec::new();
            let streamed = archive.inflate(index, &mut inflater, |chunk| {
                content.extend_from_slice(chunk)
            });
            let mut whole = vec![0; usize::try_from(member.size).unwrap().min(1 << 26)];
            let at_once = archive.inflate_whole(index, &mut inflater, &mut whole);
            assert_eq!(streamed.is_ok(), at_once.is_ok());
            streamed?;
            assert!(content == whole);
            Ok(content)
        };
        archive.members.iter().enumerate().map(content).collect()
    }

    #[test]
    fn members_come_out_as_they_went_in_from_memory_and_from_the_file() {
        let bytes = zip(&FILES);
        for in_memory in [0, u64::MAX] {
            let archive = open(&bytes, in_memory).unwrap();
            let names: Vec<String> = (0..3).map(|index| archive.full_name(index)).collect();
            assert_eq!(names, FILES.map(|(name, _)| name.to_owned()));
            assert_eq!(
                contents(&archive).unwrap(),
                FILES.map(|(_, content)| content.to_vec())
            );
        }
    }

    #[test]
    fn a_large_member_comes_in_chunks() {
        let content: Vec<u8> = (0..3_000_000_u32)
            .flat_map(|n| (n / 7).to_le_bytes())
            .collect();
        let bytes = zip(&[("m.x/m@v1.0.0/a", b""), ("m.x/m@v1.0.0/large", &content)]);
        for in_memory in [0, u64::MAX] {
            let archive = open(&bytes, in_memory).unwrap();
            assert!(contents(&archive).unwrap()[1] == content);
        }
    }

    #[test]
    fn what_other_readers_could_see_otherwise_is_refused() {
        let good = zip(&FILES);
        let mut behind = good.clone();
        behind.extend_from_slice(b"more");
        let mut before = b"#!/bin/sh\n".to_vec();
        before.extend_from_slice(&good);
        // A second end record, hidden in the comment of the first.
        let mut hidden = good.clone();
        let at = hidden.len() - 2;
        hidden[at] = 22;
        let end: Vec<u8> = good[good.len() - 22..].to_vec();
        hidden.extend_from_slice(&end);
        for (what, bytes) in [
            ("bytes behind", behind),
            ("bytes before", before),
            ("two ends", hidden),
            ("nothing", Vec::new()),
            ("half", good[..good.len() / 2].to_vec()),
        ] {
            let refused = match open(&bytes, u64::MAX) {
                Ok(archive) => contents(&archive).is_err(),
                Err(_) => true,
            };
            assert!(refused, "{what}");
        }
        assert!(contents(&open(&good, u64::MAX).unwrap()).is_ok());
    }

    #[test]
    fn more_entries_than_the_end_record_can_count() {
        let mut bytes = Vec::new();
        let mut writer = rawzip::ZipArchiveWriter::new(&mut bytes);
        for index in 0..70_000 {
            let name = format!("m.x/m@v1.0.0/{index}");
            let (entry, config) = writer.new_file(&name).start().unwrap();
            let (entry, descriptor) = config.wrap(entry).finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(open(&bytes, u64::MAX).unwrap().members.len(), 70_000);
    }

    #[test]
    fn a_member_larger_than_it_says_stops_early() {
        let zeros = vec![0; 8 << 20];
        let mut bytes = zip(&[("m.x/m@v1.0.0/a", b""), ("m.x/m@v1.0.0/bomb", &zeros)]);
        // The directory's uncompressed size of the second entry, eight million,
        // becomes ten, and so does that of its data descriptor.
        let size = (8_u32 << 20).to_le_bytes();
        while let Some(at) = bytes.windows(4).position(|window| window == size) {
            bytes[at..at + 4].copy_from_slice(&10_u32.to_le_bytes());
        }
        let archive = open(&bytes, u64::MAX).unwrap();
        let mut seen = 0;
        let mut inflater = Inflater::new();
        let result = archive.inflate(1, &mut inflater, |chunk| seen += chunk.len());
        assert!(inflater.inflated <= CHUNK as u64);
        assert!(matches!(result, Err(ZipError::Invalid(_))));
        assert!(seen <= CHUNK, "{seen}");
    }

    #[test]
    fn any_byte_may_be_wrong_and_content_is_never_silently_other() {
        let good = zip(&FILES);
        let expected = FILES.map(|(_, content)| content.to_vec());
        for at in 0..good.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[at] ^= flip;
                for in_memory in [0, u64::MAX] {
                    let Ok(archive) = open(&bytes, in_memory) else {
                        continue;
                    };
                    // The CRC holds what the directory's other fields do not.
                    if let Ok(found) = contents(&archive) {
                        let no_crc = archive.members.iter().any(|member| member.crc == 0);
                        assert!(no_crc || found == expected, "byte {at}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), tail: bool) {
            if tail {
                bytes.extend_from_slice(&zip(&FILES)[20..]);
            }
            if let Ok(archive) = open(&bytes, 0) {
                let _ = contents(&archive);
            }
        }
    }
}
