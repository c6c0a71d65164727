//! The records of a zip file, as `archive/zip/reader.go` reads them.
//!
//! Go goes by the central directory alone. What makes another reader see other
//! files than Go does, or hides bytes from both, is refused here: then whatever
//! hashes right holds nothing else. The forms that are refused though Go takes
//! them are the texts of [`ZipFault`].

use std::ops::Range;

/// The end record without its comment.
pub const END_LEN: usize = 22;
/// The end record with the longest comment, and the two zip64 records before it.
pub const MAX_END_LEN: usize = END_LEN + 0xffff + ZIP64_LEN;
/// A directory entry without its name, extra fields and comment.
pub const ENTRY_LEN: usize = 46;
/// The longest directory entry.
pub const MAX_ENTRY_LEN: usize = ENTRY_LEN + 3 * 0xffff;
/// A local header without its name and extra fields.
pub const LOCAL_LEN: usize = 30;
/// The longest data descriptor.
pub const MAX_DESCRIPTOR_LEN: usize = 24;

/// The zip64 end record and the locator behind it.
const ZIP64_LEN: usize = 56 + 20;
/// The extra field of sizes and offsets that need 64 bits.
const ZIP64: u16 = 0x0001;
/// The extra field of Info-ZIP's second name.
const UNICODE_PATH: u16 = 0x7075;
/// Bits of the flags: encrypted, strongly encrypted, local header masked.
const ENCRYPTED: u16 = 0x2041;
/// Bit of the flags: a data descriptor follows the content.
const DESCRIPTOR: u16 = 0x0008;

/// Why a zip is none, or one that readers take differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ZipFault {
    #[error("ends early")]
    Truncated,
    #[error("has no end record")]
    NoEnd,
    #[error("has bytes after its end record, or a comment that is cut short")]
    Trailing,
    #[error("is a part of several")]
    Disks,
    #[error("counts its entries or sizes in two ways that differ")]
    Zip64,
    #[error("has bytes before its directory's end that do not belong to it")]
    DirectoryPlace,
    #[error("has a directory entry that is none")]
    Entry,
    #[error("has an encrypted entry")]
    Encrypted,
    #[error("has an entry with two names")]
    SecondName,
    #[error("has an entry without a local header where the directory says it is")]
    NoLocal,
    #[error("has a local header that differs from the directory")]
    Local,
    #[error("has entries that overlap")]
    Overlap,
    #[error("has bytes that belong to no entry")]
    Gap,
    #[error("has a data descriptor that differs from the directory")]
    Descriptor,
}

/// What the end record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Where the central directory lies.
    pub directory: Range<u64>,
    /// The number of its entries.
    pub entries: u64,
}

/// An entry of the central directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name as stored.
    pub name: &'a [u8],
    /// How the content is packed.
    pub method: u16,
    /// The flags.
    pub flags: u16,
    /// The CRC of the content.
    pub crc: u32,
    /// Length of the packed content.
    pub packed: u64,
    /// Length of the content.
    pub size: u64,
    /// Where its local header is.
    pub local: u64,
    /// A folder, link or device, by its attributes.
    pub irregular: bool,
}

impl Entry<'_> {
    /// Whether a data descriptor follows the content.
    pub fn has_descriptor(flags: u16) -> bool {
        flags & DESCRIPTOR != 0
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    number(bytes, at, 2) as u16
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    number(bytes, at, 4) as u32
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    number(bytes, at, 8)
}

/// A little-endian number. Callers have looked that it is there.
fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    let bytes = bytes.get(at..at + len).unwrap_or_default();
    bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))
}

/// Finds the end record in `tail`, the last bytes of a file: at least
/// [`MAX_END_LEN`] of them, or all.
///
/// Go takes the last record whose comment fits and lets bytes follow it; other
/// readers take another. Here the last one counts and must end the file.
pub fn end(tail: &[u8], file_len: u64) -> Result<End, ZipFault> {
    let at = tail.windows(4).rposition(|four| four == b"PK\x05\x06");
    let at = at.ok_or(ZipFault::NoEnd)?;
    let record = tail.get(at..).unwrap_or_default();
    if record.len() < END_LEN || record.len() != END_LEN + usize::from(u16_at(record, 20)) {
        return Err(ZipFault::Trailing);
    }
    if record[4..8] != [0; 4] || record[8..10] != record[10..12] {
        return Err(ZipFault::Disks);
    }
    let short = [
        number(record, 10, 2),
        number(record, 12, 4),
        number(record, 16, 4),
    ];
    let mut directory_end = (file_len - tail.len() as u64) + at as u64;
    let [mut entries, mut size, mut offset] = short;
    let before = at
        .checked_sub(ZIP64_LEN)
        .and_then(|from| tail.get(from..at));
    let locator = at.checked_sub(20).and_then(|from| tail.get(from..at));
    if locator.is_some_and(|locator| locator.starts_with(b"PK\x06\x07")) {
        directory_end -= ZIP64_LEN.min(at) as u64;
        let large = before.ok_or(ZipFault::Zip64)?;
        let sound = large.starts_with(b"PK\x06\x06")
            && u64_at(large, 4) == 56 - 12
            && large[16..24] == [0; 8]
            && large[24..32] == large[32..40]
            && large[60..64] == [0; 4]
            && u64_at(large, 64) == directory_end
            && u32_at(large, 72) == 1;
        let long = [u64_at(large, 32), u64_at(large, 40), u64_at(large, 48)];
        // Go looks at the long fields only in these cases (one is a slip of
        // Go's: 16 bits of a field of 32); others when a short one is full.
        let looked_at = short[0] == 0xffff || short[1] == 0xffff || short[2] == 0xffff_ffff;
        let full = [0xffff, 0xffff_ffff, 0xffff_ffff];
        let agree = (0..3).all(|i| short[i] == long[i] || (looked_at && short[i] == full[i]));
        if !sound || !agree {
            return Err(ZipFault::Zip64);
        }
        [entries, size, offset] = long;
    }
    // Elsewhere Go guesses (`readDirectoryEnd`), and guessing is refused.
    if offset.checked_add(size) != Some(directory_end) {
        return Err(ZipFault::DirectoryPlace);
    }
    Ok(End {
        directory: offset..directory_end,
        entries,
    })
}

/// The directory entry that `bytes` begin with, and its length; `None` if it
/// goes on behind them.
pub fn entry(bytes: &[u8]) -> Result<Option<(Entry<'_>, usize)>, ZipFault> {
    if bytes.len() < ENTRY_LEN {
        return Ok(None);
    }
    if !bytes.starts_with(b"PK\x01\x02") {
        return Err(ZipFault::Entry);
    }
    let name_end = ENTRY_LEN + usize::from(u16_at(bytes, 28));
    let extra_end = name_end + usize::from(u16_at(bytes, 30));
    let end = extra_end + usize::from(u16_at(bytes, 32));
    if bytes.len() < end {
        return Ok(None);
    }
    let (name, extra) = (&bytes[ENTRY_LEN..name_end], &bytes[name_end..extra_end]);
    let flags = u16_at(bytes, 8);
    if flags & ENCRYPTED != 0 {
        return Err(ZipFault::Encrypted);
    }
    if u16_at(bytes, 34) != 0 {
        return Err(ZipFault::Disks);
    }
    let [size, packed, local] = wide(
        extra,
        [u32_at(bytes, 24), u32_at(bytes, 20), u32_at(bytes, 42)],
    )?;
    if second_name(extra, name) {
        return Err(ZipFault::SecondName);
    }
    let entry = Entry {
        name,
        method: u16_at(bytes, 10),
        flags,
        crc: u32_at(bytes, 16),
        packed,
        size,
        local,
        irregular: irregular(bytes[5], u32_at(bytes, 38)),
    };
    Ok(Some((entry, end)))
}

/// Whether attributes name something that is not an ordinary file, as Go's
/// `FileHeader.Mode` takes them.
fn irregular(system: u8, attributes: u32) -> bool {
    match system {
        // Unix and macOS have a mode in the upper half.
        3 | 19 => !matches!((attributes >> 16) & 0o170_000, 0 | 0o100_000),
        // FAT, NTFS and VFAT have a bit for folders.
        0 | 11 | 14 => attributes & 0x10 != 0,
        _ => false,
    }
}

/// Extra fields, up to the first that is none.
fn fields(mut extra: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = extra.split_at_checked(4)?;
        let (field, behind) = rest.split_at_checked(usize::from(u16_at(head, 2)))?;
        extra = behind;
        Some((u16_at(head, 0), field))
    })
}

/// Whether there is another name, which Go does not read and others do.
fn second_name(extra: &[u8], name: &[u8]) -> bool {
    fields(extra).any(|(tag, field)| tag == UNICODE_PATH && field.get(5..) != Some(name))
}

/// The numbers that are too small for what they should say, each in turn from
/// the first zip64 field. Go does without one for the size, which comes first.
fn wide<const N: usize>(extra: &[u8], short: [u32; N]) -> Result<[u64; N], ZipFault> {
    let mut numbers = short.map(u64::from);
    if !short.contains(&u32::MAX) {
        return Ok(numbers);
    }
    let field = fields(extra).find(|(tag, _)| *tag == ZIP64);
    let Some((_, mut field)) = field else {
        let only_size = short.get(1..).is_some_and(|rest| !rest.contains(&u32::MAX));
        return if only_size {
            Ok(numbers)
        } else {
            Err(ZipFault::Entry)
        };
    };
    for number in &mut numbers {
        if *number == u64::from(u32::MAX) {
            let (eight, rest) = field.split_at_checked(8).ok_or(ZipFault::Entry)?;
            *number = u64_at(eight, 0);
            field = rest;
        }
    }
    Ok(numbers)
}

/// What the directory says of a file, to be held against what stands at the file.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// The name, in two parts.
    pub name: [&'a [u8]; 2],
    /// How the content is packed.
    pub method: u16,
    /// Whether a data descriptor follows it.
    pub descriptor: bool,
    /// The CRC of the content.
    pub crc: u32,
    /// Length of the packed content.
    pub packed: u64,
    /// Length of the content.
    pub size: u64,
}

/// The length of the local header that `bytes` begin with, as far as its fixed
/// part says.
pub fn local_len(bytes: &[u8]) -> Result<usize, ZipFault> {
    if bytes.len() < LOCAL_LEN || !bytes.starts_with(b"PK\x03\x04") {
        return Err(ZipFault::NoLocal);
    }
    Ok(LOCAL_LEN + usize::from(u16_at(bytes, 26)) + usize::from(u16_at(bytes, 28)))
}

/// Whether the local header `bytes` says what the directory does. Go looks at
/// its lengths alone; readers of a stream have nothing else to go by.
pub fn check_local(bytes: &[u8], listed: &Listed<'_>) -> Result<(), ZipFault> {
    let len = local_len(bytes)?;
    let name_end = LOCAL_LEN + usize::from(u16_at(bytes, 26));
    let (Some(name), Some(extra)) = (bytes.get(LOCAL_LEN..name_end), bytes.get(name_end..len))
    else {
        return Err(ZipFault::Truncated);
    };
    let flags = u16_at(bytes, 6);
    if flags & ENCRYPTED != 0 {
        return Err(ZipFault::Encrypted);
    }
    if second_name(extra, name) {
        return Err(ZipFault::SecondName);
    }
    if name.strip_prefix(listed.name[0]) != Some(listed.name[1])
        || u16_at(bytes, 8) != listed.method
        || Entry::has_descriptor(flags) != listed.descriptor
    {
        return Err(ZipFault::Local);
    }
    let crc = u32_at(bytes, 14);
    let [size, packed] = wide(extra, [u32_at(bytes, 22), u32_at(bytes, 18)])?;
    let same = |here: u64, there: u64| here == there || (listed.descriptor && here == 0);
    let all = same(crc.into(), listed.crc.into())
        && same(size, listed.size)
        && same(packed, listed.packed);
    if all { Ok(()) } else { Err(ZipFault::Local) }
}

/// Whether `bytes`, all there is between a file's packed content and what comes
/// next, are its data descriptor, or nothing where it has none.
pub fn check_descriptor(bytes: &[u8], listed: &Listed<'_>) -> Result<(), ZipFault> {
    if !listed.descriptor {
        return if bytes.is_empty() {
            Ok(())
        } else {
            Err(ZipFault::Gap)
        };
    }
    let (signed, wide) = match bytes.len() {
        12 => (false, false),
        16 => (true, false),
        20 => (false, true),
        24 => (true, true),
        0..12 => return Err(ZipFault::Descriptor),
        _ => return Err(ZipFault::Gap),
    };
    // Go takes the signature for one wherever it stands.
    if signed != bytes.starts_with(b"PK\x07\x08") {
        return Err(ZipFault::Descriptor);
    }
    let said = &bytes[if signed { 4 } else { 0 }..];
    let sizes = if wide {
        [u64_at(said, 4), u64_at(said, 12)]
    } else {
        [number(said, 4, 4), number(said, 8, 4)]
    };
    if u32_at(said, 0) != listed.crc || sizes != [listed.packed, listed.size] {
        return Err(ZipFault::Descriptor);
    }
    Ok(())
}
