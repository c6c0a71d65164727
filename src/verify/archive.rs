//! A module zip, read as Go reads it and no more leniently.
//!
//! The central directory says what the zip holds (`archive/zip/reader.go`); a
//! zip that another reader might understand differently is refused, as the
//! hash would then prove something else than what Go extracts.

use flate2::{Decompress, FlushDecompress, Status};
use rawzip::{CompressionMethod, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder, ZipLocator};
use std::fs::File;
use std::io::{self, Read};

/// Go refuses larger zips (`x/mod/zip.MaxZipFile`).
const MAX_ZIP: u64 = 500 << 20;
/// More entries than any module has; bounds the memory a hostile zip can take.
const MAX_ENTRIES: u64 = 1 << 20;
/// Names of all entries together.
const MAX_NAMES: usize = 128 << 20;
/// The end record: 22 bytes and a comment of up to 65,535.
const MAX_END: usize = 22 + 65_535;

/// Why a zip is no zip that Go would write.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ZipError {
    /// The file could not be read at all.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file is no sound zip.
    #[error("{0}")]
    Invalid(String),
}

/// Whether Unix mode bits name something that is no regular file.
fn irregular(mode: u32) -> bool {
    !matches!(mode & 0o170_000, 0 | 0o100_000)
}

fn invalid(message: impl Into<String>) -> ZipError {
    ZipError::Invalid(message.into())
}

impl From<rawzip::Error> for ZipError {
    fn from(error: rawzip::Error) -> ZipError {
        match error.kind() {
            rawzip::ErrorKind::IO(io) if io.kind() != io::ErrorKind::UnexpectedEof => {
                ZipError::Io(io::Error::new(io.kind(), io.to_string()))
            }
            _ => invalid(error.to_string()),
        }
    }
}

/// Where the bytes come from: small zips are read whole, at once.
enum Bytes {
    Memory(Vec<u8>),
    File(rawzip::FileReader),
}

impl ReaderAt for Bytes {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Bytes::Memory(bytes) => bytes.read_at(buf, offset),
            Bytes::File(file) => file.read_at(buf, offset),
        }
    }
}

/// One entry of the central directory.
pub(crate) struct Member {
    /// The name as stored: it should be `path@version/…`.
    pub(crate) name: Vec<u8>,
    /// Uncompressed size, as the directory claims.
    pub(crate) size: u64,
    /// A folder, link or device, by its mode.
    pub(crate) irregular: bool,
    method: CompressionMethod,
    crc: u32,
    wayfinder: ZipArchiveEntryWayfinder,
}

impl Member {
    /// A folder entry. Go hashes it as an empty file.
    pub(crate) fn is_folder(&self) -> bool {
        self.name.ends_with(b"/")
    }

    fn shown_name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    /// Whether its content came out as the directory says.
    fn check(&self, size: u64, crc: u32) -> Result<(), ZipError> {
        if size != self.size {
            let name = self.shown_name();
            return Err(invalid(format!("{name} has not the size its entry says")));
        }
        // Go, too, takes a CRC of 0 for one that was never filled in.
        if self.crc != 0 && crc != self.crc {
            return Err(invalid(format!("{} has a wrong CRC", self.shown_name())));
        }
        Ok(())
    }
}

/// An open zip.
pub(crate) struct Archive {
    zip: ZipArchive<Bytes>,
    /// The file's length.
    pub(crate) bytes: u64,
    /// All entries, in the directory's order.
    pub(crate) members: Vec<Member>,
}

/// What inflating needs, kept from member to member.
pub(crate) struct Inflater {
    state: Decompress,
    #[cfg(target_os = "linux")]
    whole: libdeflater::Decompressor,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// Bytes that are inflated, read and compared at a time.
pub(crate) const CHUNK: usize = 256 << 10;

impl Inflater {
    pub(crate) fn new() -> Inflater {
        Inflater {
            state: Decompress::new(false),
            #[cfg(target_os = "linux")]
            whole: libdeflater::Decompressor::new(),
            input: vec![0; CHUNK],
            output: vec![0; CHUNK],
        }
    }
}

impl Archive {
    /// Reads the central directory. Zips of up to `in_memory` bytes are read whole.
    pub(crate) fn open(mut file: File, in_memory: u64) -> Result<Archive, ZipError> {
        let bytes = file.metadata()?.len();
        if bytes > MAX_ZIP {
            return Err(invalid(format!(
                "is {bytes} bytes long; Go refuses more than {MAX_ZIP}"
            )));
        }
        let reader = if bytes <= in_memory {
            let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0) + 1);
            (&mut file).take(bytes + 1).read_to_end(&mut content)?;
            if content.len() as u64 != bytes {
                return Err(invalid("changed while it was read"));
            }
            Bytes::Memory(content)
        } else {
            Bytes::File(rawzip::FileReader::from(file))
        };
        Archive::read(reader, bytes)
    }

    /// Reads the central directory of a zip that is in memory.
    #[cfg(any(feature = "remote", not(unix)))]
    pub(crate) fn in_memory(content: Vec<u8>) -> Result<Archive, ZipError> {
        let bytes = content.len() as u64;
        Archive::read(Bytes::Memory(content), bytes)
    }

    fn read(reader: Bytes, bytes: u64) -> Result<Archive, ZipError> {
        let mut buffer = vec![0; CHUNK];
        let zip = ZipLocator::new()
            .locate_in_reader(reader, &mut buffer, bytes)
            .map_err(|(_, error)| ZipError::from(error))?;
        only_one_end(&zip, bytes)?;
        let mut members = Vec::new();
        let mut names = 0;
        let mut entries = zip.entries(&mut buffer);
        while let Some(entry) = entries.next_entry()? {
            let name = entry.file_path().as_bytes().to_vec();
            names += name.len();
            if members.len() as u64 >= MAX_ENTRIES || names > MAX_NAMES {
                return Err(invalid("has more entries than any module could have"));
            }
            members.push(Member {
                name,
                size: entry.uncompressed_size_hint(),
                irregular: irregular(entry.mode().value()),
                method: entry.compression_method(),
                crc: entry.crc32(),
                wayfinder: entry.wayfinder(),
            });
        }
        if members.len() as u64 != zip.entries_hint() {
            return Err(invalid(format!(
                "lists {} entries where its end record says {}",
                members.len(),
                zip.entries_hint()
            )));
        }
        Ok(Archive {
            zip,
            bytes,
            members,
        })
    }

    /// Inflates a member chunk by chunk. Fails if it is not what the directory
    /// says: method, size and CRC, as Go's own reader would.
    pub(crate) fn inflate(
        &self,
        member: &Member,
        inflater: &mut Inflater,
        mut chunk: impl FnMut(&[u8]),
    ) -> Result<(), ZipError> {
        let name = || member.shown_name();
        let Some((start, end)) = self.range(member)? else {
            return Ok(());
        };
        let mut crc = crc32fast::Hasher::new();
        let mut size = 0;
        let mut take = |bytes: &[u8]| {
            crc.update(bytes);
            size += bytes.len() as u64;
            chunk(bytes);
            size <= member.size
        };
        match member.method {
            CompressionMethod::STORE => {
                self.each_chunk(start, end, &mut inflater.input, |bytes, _| Ok(take(bytes)))?;
            }
            CompressionMethod::DEFLATE => {
                inflater.state.reset(false);
                let Inflater {
                    state,
                    input,
                    output,
                    ..
                } = inflater;
                self.each_chunk(start, end, input, |bytes, last| {
                    inflate_chunk(state, bytes, last, output, &mut take)
                        .map_err(|error| invalid(format!("{}: {error}", name())))
                })?;
            }
            other => {
                let method = other.as_u16();
                return Err(invalid(format!("{} is packed by method {method}", name())));
            }
        }
        member.check(size, crc.finalize())
    }

    /// Inflates a member into `output`, which is as long as the directory says
    /// the member is. Fails as [`inflate`](Self::inflate) does.
    pub(crate) fn inflate_whole(
        &self,
        member: &Member,
        inflater: &mut Inflater,
        output: &mut [u8],
    ) -> Result<(), ZipError> {
        let Some((start, end)) = self.range(member)? else {
            return Ok(());
        };
        let Inflater { input, .. } = inflater;
        // DEFLATE makes nothing longer by more than five bytes in 16 KiB; what
        // is packed into more than that need not be read at once.
        let packed = usize::try_from(end - start).unwrap_or(usize::MAX);
        if packed > output.len() + output.len() / 1024 + CHUNK {
            return self.inflate_into(member, inflater, output);
        }
        let packed = match self.zip.get_ref() {
            Bytes::Memory(bytes) => usize::try_from(start)
                .ok()
                .and_then(|start| bytes.get(start..start + packed)),
            Bytes::File(file) => {
                if input.len() < packed {
                    input.resize(packed, 0);
                }
                file.read_exact_at(&mut input[..packed], start)
                    .map_err(|_| invalid("ends early"))?;
                input.get(..packed)
            }
        };
        let packed = packed.ok_or_else(|| invalid("ends early"))?;
        let size = match member.method {
            CompressionMethod::STORE => {
                if packed.len() == output.len() {
                    output.copy_from_slice(packed);
                }
                packed.len() as u64
            }
            #[cfg(target_os = "linux")]
            CompressionMethod::DEFLATE => {
                use libdeflater::DecompressionError::{BadData, InsufficientSpace};
                match inflater.whole.deflate_decompress(packed, output) {
                    Ok(size) => size as u64,
                    Err(InsufficientSpace) => u64::MAX,
                    Err(BadData) => {
                        let name = member.shown_name();
                        return Err(invalid(format!("{name}: is no valid DEFLATE data")));
                    }
                }
            }
            _ => return self.inflate_into(member, inflater, output),
        };
        if size != output.len() as u64 {
            return member.check(size, 0);
        }
        member.check(size, crc32fast::hash(output))
    }

    /// [`inflate_whole`](Self::inflate_whole), chunk by chunk.
    fn inflate_into(
        &self,
        member: &Member,
        inflater: &mut Inflater,
        output: &mut [u8],
    ) -> Result<(), ZipError> {
        let mut rest = output;
        self.inflate(member, inflater, |chunk| {
            let len = chunk.len().min(rest.len());
            let (to, behind) = std::mem::take(&mut rest).split_at_mut(len);
            to.copy_from_slice(&chunk[..len]);
            rest = behind;
        })
    }

    /// Where a member's packed bytes are; `None` for a folder.
    fn range(&self, member: &Member) -> Result<Option<(u64, u64)>, ZipError> {
        if member.is_folder() {
            return match member.size {
                0 => Ok(None),
                _ => Err(invalid(format!(
                    "folder entry {} has content",
                    member.shown_name()
                ))),
            };
        }
        let entry = self.zip.get_entry(member.wayfinder)?;
        let (start, end) = entry.compressed_data_range();
        if end > self.bytes || start > end {
            return Err(invalid(format!(
                "{} lies outside the file",
                member.shown_name()
            )));
        }
        Ok(Some((start, end)))
    }

    /// Hands out the bytes from `start` to `end` until `take` says stop. Its
    /// second argument tells the last chunk.
    fn each_chunk(
        &self,
        start: u64,
        end: u64,
        input: &mut [u8],
        mut take: impl FnMut(&[u8], bool) -> Result<bool, ZipError>,
    ) -> Result<(), ZipError> {
        if let Bytes::Memory(bytes) = self.zip.get_ref() {
            let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
            let slice = range.and_then(|(start, end)| bytes.get(start..end));
            take(slice.ok_or_else(|| invalid("ends early"))?, true)?;
            return Ok(());
        }
        let mut at = start;
        while at < end {
            let want = usize::try_from(end - at)
                .unwrap_or(usize::MAX)
                .min(input.len());
            let read = self.zip.get_ref().read_at(&mut input[..want], at)?;
            if read == 0 {
                return Err(invalid("ends early"));
            }
            at += read as u64;
            if !take(&input[..read], at == end)? {
                break;
            }
        }
        Ok(())
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
            .map_err(|_| "is no valid DEFLATE data")?;
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

/// Go takes the last end record that fits; another reader may take the first.
/// Only one may be there, and nothing after it but its comment.
fn only_one_end(zip: &ZipArchive<Bytes>, bytes: u64) -> Result<(), ZipError> {
    if zip.end_offset() != bytes {
        return Err(invalid("has bytes after its end record"));
    }
    let tail_start = bytes.saturating_sub(MAX_END as u64);
    let mut tail = vec![0; usize::try_from(bytes - tail_start).unwrap_or(0)];
    zip.get_ref().read_exact_at(&mut tail, tail_start)?;
    let last = tail.windows(4).rposition(|window| window == b"PK\x05\x06");
    if last.map(|at| at as u64 + tail_start) != Some(zip.eocd_offset()) {
        return Err(invalid("has more than one end record"));
    }
    if directory_end(zip)? != Some(zip.directory_offset()) {
        return Err(invalid(
            "has bytes before its first entry or behind its directory",
        ));
    }
    Ok(())
}

/// Where the directory begins, provided that it ends where the end record
/// begins. Elsewhere Go guesses (`readDirectoryEnd`), and guessing is refused.
fn directory_end(zip: &ZipArchive<Bytes>) -> Result<Option<u64>, ZipError> {
    let end = zip.eocd_offset();
    let mut record = [0; 22];
    zip.get_ref().read_exact_at(&mut record, end)?;
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b));
    let (size, offset) = (number(&record[12..16]), number(&record[16..20]));
    let starts = |size: u64, offset: u64, end: u64| {
        (offset.checked_add(size) == Some(end)).then_some(offset)
    };
    let many = record[10..12] == [0xff; 2];
    if !many && size != u64::from(u32::MAX) && offset != u64::from(u32::MAX) {
        return Ok(starts(size, offset, end));
    }
    // The fields are too small: another record, and a pointer to it, stand before.
    let mut large = [0; 56 + 20];
    let Some(at) = end.checked_sub(large.len() as u64) else {
        return Ok(None);
    };
    zip.get_ref().read_exact_at(&mut large, at)?;
    if !large.starts_with(b"PK\x06\x06") || large[56..60] != *b"PK\x06\x07" {
        return Ok(None);
    }
    if number(&large[64..72]) != at {
        return Ok(None);
    }
    Ok(starts(number(&large[40..48]), number(&large[48..56]), at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
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
        ("m@v1/stored", b"as it is"),
        ("m@v1/packed", b"again and again and again and again"),
        ("m@v1/empty", b""),
    ];

    fn open(bytes: &[u8], in_memory: u64) -> Result<Archive, ZipError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        Archive::open(file, in_memory)
    }

    fn contents(archive: &Archive) -> Result<Vec<Vec<u8>>, ZipError> {
        let mut inflater = Inflater::new();
        let content = |member| {
            let mut content = Vec::new();
            let streamed = archive.inflate(member, &mut inflater, |chunk| {
                content.extend_from_slice(chunk)
            });
            let mut whole = vec![0; usize::try_from(member.size).unwrap().min(1 << 26)];
            let at_once = archive.inflate_whole(member, &mut inflater, &mut whole);
            assert_eq!(streamed.is_ok(), at_once.is_ok());
            streamed?;
            assert!(content == whole);
            Ok(content)
        };
        archive.members.iter().map(content).collect()
    }

    #[test]
    fn members_come_out_as_they_went_in_from_memory_and_from_the_file() {
        let bytes = zip(&FILES);
        for in_memory in [0, u64::MAX] {
            let archive = open(&bytes, in_memory).unwrap();
            let names: Vec<&[u8]> = archive.members.iter().map(|m| &*m.name).collect();
            assert_eq!(names, FILES.map(|(name, _)| name.as_bytes()));
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
        let bytes = zip(&[("m@v1/a", b""), ("m@v1/large", &content)]);
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
            let name = format!("m@v1/{index}");
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
        let mut bytes = zip(&[("m@v1/a", b""), ("m@v1/bomb", &zeros)]);
        // The directory's uncompressed size of the second entry, eight million,
        // becomes ten.
        let size = (8_u32 << 20).to_le_bytes();
        let at = bytes.windows(4).rposition(|window| window == size).unwrap();
        bytes[at..at + 4].copy_from_slice(&10_u32.to_le_bytes());
        let archive = open(&bytes, u64::MAX).unwrap();
        let mut seen = 0;
        let result = archive.inflate(&archive.members[1], &mut Inflater::new(), |chunk| {
            seen += chunk.len();
        });
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
