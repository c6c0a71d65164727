//! The zstd frames of a compressed bundle: packed and read on all cores.
//!
//! The first frame holds the manifest, as the tar's first member; each other one
//! some whole members, and the last the tar's end. The manifest has the SHA-256
//! of each but its own, which the bundle's digest covers. So frames are packed
//! into a file without a name first, and copied behind the manifest then.
//!
//! Between the first frame and the others may stand a seal.
//!
//! `tar --zstd -xf` opens it: frames one after the other are one stream.

use super::gather::{Piece, Roots};
use super::manifest::{self, Frame, Manifest};
use super::seal::{self, Seal};
use super::write::{Checked, Contents, append};
use crate::parallel;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

/// A frame ends with the member that makes it so long.
const ENOUGH: u64 = 16 << 20;

/// The same for action entries, of which there are thousands: it is not their
/// length that takes time.
const ENOUGH_ENTRIES: u64 = ENOUGH / 64;

/// `zstd`'s own default.
const LEVEL: i32 = 3;

/// For zips, which are packed already.
const ZIP_LEVEL: i32 = 1;

/// How far back a match may lie: over a whole frame, so that outputs that are
/// alike are packed as such. `zstd` and `tar` take it without being asked.
pub(super) const WINDOW_LOG: u32 = 25;

/// The longest frame that is unpacked as a whole: all but those with a large zip.
const WHOLE: u64 = 2 * ENOUGH;

/// Two blocks of zeros end a tar.
const END: [u8; 1024] = [0; 1024];

/// A frame of another bundle, taken as it is.
pub(crate) struct Carried<'a> {
    pub(crate) from: &'a Frames,
    pub(crate) at: usize,
    pub(crate) frame: Frame,
    /// What of it is listed.
    pub(crate) files: Vec<manifest::File>,
}

/// What lies together: what is alike packs better.
fn kind(path: &str) -> u8 {
    match path.rsplit_once('.').map_or("", |(_, suffix)| suffix) {
        "zip" => 1,
        _ if !path.starts_with("gocache/") => 0,
        _ if path.ends_with("-d") => 2,
        // An entry is of use when its output is there.
        _ => 3,
    }
}

/// The pieces of each frame.
fn parted(pieces: &[Piece]) -> Vec<Vec<&Piece>> {
    let mut order: Vec<&Piece> = pieces.iter().collect();
    order.sort_by_key(|piece| kind(&piece.listed.path));
    let mut frames: Vec<Vec<&Piece>> = Vec::new();
    let (mut bytes, mut before) = (ENOUGH, 0);
    for piece in order {
        let kind = kind(&piece.listed.path);
        let enough = if kind == 3 { ENOUGH_ENTRIES } else { ENOUGH };
        if bytes >= enough || kind != before {
            frames.push(Vec::new());
            bytes = 0;
        }
        bytes += piece.listed.bytes;
        before = kind;
        if let Some(frame) = frames.last_mut() {
            frame.push(piece);
        }
    }
    frames
}

/// Packs all pieces, lists them and what is carried in the manifest, and writes
/// all of it.
pub(super) fn write(
    mut to: File,
    mut spool: File,
    manifest: &mut Manifest,
    contents: &Contents<'_>,
    jobs: usize,
) -> io::Result<()> {
    let parts = parted(contents.pieces);
    let ends = Mutex::new((&mut spool, 0));
    let packed = parallel::map(
        jobs,
        parts.len(),
        || (),
        |(), at| {
            let part = parts.get(at).map(Vec::as_slice).unwrap_or_default();
            let (bytes, frame) = pack(part, contents.roots)?;
            let mut end = ends.lock().unwrap_or_else(PoisonError::into_inner);
            end.0.write_all(&bytes)?;
            end.1 += frame.bytes;
            Ok((end.1 - frame.bytes, frame))
        },
    );
    let mut starts = Vec::with_capacity(packed.len());
    for (packed, part) in packed.into_iter().zip(&parts) {
        let (start, frame) = packed.map_err(|error: io::Error| error)?;
        let at = u32::try_from(manifest.frames.len()).ok();
        manifest.frames.push(frame);
        starts.push(start);
        let files = part.iter().map(|piece| manifest::File {
            frame: at,
            ..piece.listed.clone()
        });
        manifest.files.extend(files);
    }
    for carried in contents.carried {
        let at = u32::try_from(manifest.frames.len()).ok();
        manifest.frames.push(carried.frame.clone());
        let files = carried.files.iter().cloned();
        let files = files.map(|file| manifest::File { frame: at, ..file });
        manifest.files.extend(files);
    }
    let (end, frame) = frame_of(LEVEL, END.len() as u64, |to| to.write_all(&END))?;
    manifest.frames.push(frame);
    manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
    let bytes = manifest.to_bytes()?;
    let (first, _) = frame_of(LEVEL, bytes.len() as u64, |to| {
        member(to, manifest::NAME, bytes.len() as u64, bytes.as_slice())
    })?;
    to.write_all(&first)?;
    if let Some(signer) = contents.signer {
        let digest = manifest::digest(&bytes);
        to.write_all(&seal::frame(signer, manifest, &digest, &first))?;
    }
    for (start, frame) in starts.into_iter().zip(&manifest.frames) {
        copy(&spool, start, frame.bytes, &mut to)?;
    }
    for carried in contents.carried {
        let start = carried.from.starts.get(carried.at).copied();
        let start = start.ok_or(io::ErrorKind::NotFound)?;
        copy(&carried.from.file, start, carried.frame.bytes, &mut to)?;
    }
    to.write_all(&end)
}

/// Between files, the system copies by itself.
fn copy(mut from: &File, start: u64, bytes: u64, to: &mut File) -> io::Result<()> {
    from.seek(io::SeekFrom::Start(start))?;
    match io::copy(&mut from.take(bytes), to)? {
        copied if copied == bytes => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// One frame of these pieces.
fn pack(pieces: &[&Piece], roots: &Roots) -> io::Result<(Vec<u8>, Frame)> {
    let is_zip = pieces.iter().any(|piece| kind(&piece.listed.path) == 1);
    let level = if is_zip { ZIP_LEVEL } else { LEVEL };
    let bytes = pieces.iter().map(|piece| piece.listed.bytes).sum();
    frame_of(level, bytes, |to| {
        for piece in pieces {
            let listed = &piece.listed;
            let mut content = Checked::open(piece, roots)?;
            member(to, &listed.path, listed.bytes, &mut content)?;
            content.end()?;
        }
        Ok(())
    })
}

type Encoder = Counted<zstd::Encoder<'static, Vec<u8>>>;

/// A frame of what `fill` writes, some `bytes`.
fn frame_of(
    level: i32,
    bytes: u64,
    fill: impl FnOnce(&mut Encoder) -> io::Result<()>,
) -> io::Result<(Vec<u8>, Frame)> {
    let mut encoder = zstd::Encoder::new(Vec::new(), level)?;
    if level == LEVEL && bytes > 1 << 20 {
        encoder.long_distance_matching(true)?;
        encoder.window_log(WINDOW_LOG)?;
    }
    let mut encoder = Counted {
        inner: encoder,
        bytes: 0,
        closed: false,
    };
    fill(&mut encoder)?;
    let unpacked = encoder.bytes;
    let packed = encoder.inner.finish()?;
    let frame = Frame {
        bytes: packed.len() as u64,
        unpacked,
        sha256: Sha256::digest(&packed).into(),
    };
    Ok((packed, frame))
}

/// One member of a tar, and not the end that a builder writes when it goes.
fn member(to: &mut Encoder, path: &str, bytes: u64, content: impl Read) -> io::Result<()> {
    let mut tar = tar::Builder::new(&mut *to);
    let appended = append(&mut tar, path, bytes, content);
    tar.get_mut().closed = true;
    drop(tar);
    to.closed = false;
    appended
}

struct Counted<W> {
    inner: W,
    bytes: u64,
    closed: bool,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The frames of a bundle that is read.
pub(crate) struct Frames {
    file: File,
    starts: Vec<u64>,
    pub(crate) seal: Option<Seal>,
}

impl Frames {
    /// The manifest's bytes, if they have the first frame for themselves, and
    /// where that ends.
    pub(crate) fn manifest(file: &File) -> io::Result<Option<(Vec<u8>, u64)>> {
        let content = decoder(file, 0..file.metadata()?.len())?.single_frame();
        let mut archive = tar::Archive::new(content);
        let mut bytes = Vec::new();
        if let Some(entry) = archive.entries()?.raw(true).next() {
            let entry = entry?;
            if *entry.path_bytes() == *manifest::NAME.as_bytes() {
                entry
                    .take(manifest::MAX_BYTES + 1)
                    .read_to_end(&mut bytes)?;
            }
        }
        // A tar of one frame goes on behind the member's padding.
        let mut content = archive.into_inner();
        let behind = io::copy(&mut content.by_ref().take(513), &mut io::sink())?;
        if bytes.is_empty() || behind > 512 {
            return Ok(None);
        }
        let rest = content.finish();
        let end = rest.get_ref().range.start - rest.buffer().len() as u64;
        Ok(Some((bytes, end)))
    }

    /// The frames that the manifest says follow it.
    ///
    /// # Errors
    /// When they are not all of what follows, in words.
    pub(crate) fn new(file: File, end: u64, manifest: &Manifest) -> Result<Frames, &'static str> {
        let len = file.metadata().map_or(0, |about| about.len());
        let (seal, mut at) = match Seal::read(&file, end) {
            Ok(Some((seal, behind))) => (Some(seal), behind),
            Ok(None) => (None, end),
            Err(_) => return Err("is cut short"),
        };
        let mut starts = Vec::with_capacity(manifest.frames.len());
        for frame in &manifest.frames {
            starts.push(at);
            at = at.saturating_add(frame.bytes);
        }
        match at.cmp(&len) {
            std::cmp::Ordering::Equal => Ok(Frames { file, starts, seal }),
            std::cmp::Ordering::Greater => Err("is cut short"),
            std::cmp::Ordering::Less => Err("something stands behind the archive's end"),
        }
    }

    /// What stands before the frames that the manifest lists: its own, and the seal.
    pub(crate) fn head(&self) -> io::Result<Vec<u8>> {
        let range = 0..self.starts.first().copied().unwrap_or_default();
        let mut head = Vec::new();
        let mut part = Part {
            file: &self.file,
            range,
        };
        part.read_to_end(&mut head)?;
        Ok(head)
    }

    /// What a frame unpacks to, once its bytes are those that the manifest has
    /// the hash of.
    pub(crate) fn content(&self, at: usize, manifest: &Manifest) -> io::Result<impl Read> {
        let (frame, range) = self.listed(at, manifest)?;
        if sha256_of(&self.file, range.clone())? != frame.sha256 {
            return Err(changed(at));
        }
        Ok(decoder(&self.file, range)?.take(frame.unpacked))
    }

    /// The same as a whole; `None` if it is too long for that.
    pub(crate) fn whole<'a>(
        &self,
        at: usize,
        manifest: &Manifest,
        room: &'a mut Room,
    ) -> io::Result<Option<&'a [u8]>> {
        let (frame, range) = self.listed(at, manifest)?;
        if frame.unpacked.max(frame.bytes) > WHOLE {
            return Ok(None);
        }
        room.packed.clear();
        let mut part = Part {
            file: &self.file,
            range,
        };
        part.read_to_end(&mut room.packed)?;
        if <[u8; 32]>::from(Sha256::digest(&room.packed)) != frame.sha256 {
            return Err(changed(at));
        }
        room.content.clear();
        room.content.reserve(frame.unpacked as usize);
        let decoder = match &mut room.decoder {
            Some(decoder) => decoder,
            none => {
                let mut decoder = zstd::bulk::Decompressor::new()?;
                decoder.window_log_max(WINDOW_LOG)?;
                none.insert(decoder)
            }
        };
        decoder.decompress_to_buffer(&room.packed, &mut room.content)?;
        room.content.truncate(frame.unpacked as usize);
        Ok(Some(&room.content))
    }

    fn listed<'a>(&self, at: usize, manifest: &'a Manifest) -> io::Result<(&'a Frame, Range<u64>)> {
        let frame = manifest.frames.get(at).ok_or(io::ErrorKind::NotFound)?;
        let start = self.starts.get(at).copied().unwrap_or_default();
        Ok((frame, start..start.saturating_add(frame.bytes)))
    }
}

fn changed(at: usize) -> io::Error {
    let message = format!("frame {at} is not what the manifest says");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// What unpacking whole frames needs, kept from frame to frame: fresh memory for
/// each would be a third of the work.
#[derive(Default)]
pub(crate) struct Room {
    decoder: Option<zstd::bulk::Decompressor<'static>>,
    packed: Vec<u8>,
    content: Vec<u8>,
}

/// The SHA-256 of a part of a file.
pub(super) fn sha256_of(file: &File, range: Range<u64>) -> io::Result<[u8; 32]> {
    let mut part = Part { file, range };
    let mut sha256 = Sha256::new();
    let mut buffer = vec![0; super::gather::CHUNK];
    loop {
        match part.read(&mut buffer)? {
            0 => break,
            read => sha256.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    Ok(sha256.finalize().into())
}

fn decoder(file: &File, range: Range<u64>) -> io::Result<Decoder<'_>> {
    let part = Part { file, range };
    let part = BufReader::with_capacity(super::gather::CHUNK, part);
    let mut decoder = zstd::Decoder::with_buffer(part)?;
    decoder.window_log_max(WINDOW_LOG)?;
    Ok(decoder)
}

type Decoder<'a> = zstd::Decoder<'static, BufReader<Part<'a>>>;

/// A part of a file, read by place, as more than one thread reads the file.
struct Part<'a> {
    file: &'a File,
    range: Range<u64>,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.range.end.saturating_sub(self.range.start);
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let room = buffer.get_mut(..most).unwrap_or_default();
        let read = self.file.read_at(room, self.range.start)?;
        self.range.start += read as u64;
        Ok(read)
    }
}
