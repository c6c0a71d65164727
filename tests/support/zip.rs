//! Zips of every kind, sound and not, built record by record.

use std::io::Write;

/// One file of a zip, in all three places that tell of it.
#[derive(Clone)]
pub struct Part {
    /// The name in the directory.
    pub name: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    pub crc: u32,
    /// Sizes as the directory has them.
    pub packed: u32,
    pub size: u32,
    /// Version made by, external attributes, disk.
    pub made_by: u16,
    pub attributes: u32,
    pub disk: u16,
    pub extra: Vec<u8>,
    pub local: Local,
    /// The packed content.
    pub data: Vec<u8>,
    /// What follows it.
    pub behind: Vec<u8>,
    /// Left out of the directory, or of the contents (then `at` counts).
    pub hidden: bool,
    pub at: Option<u32>,
}

/// The header that stands before the content.
#[derive(Clone)]
pub struct Local {
    pub name: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    pub crc: u32,
    pub packed: u32,
    pub size: u32,
    pub extra: Vec<u8>,
}

/// How a [`part`] is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As Go writes it: packed, a data descriptor behind it.
    Streamed,
    /// Packed, all sizes before it.
    Packed,
    /// Not packed, all sizes before it.
    Stored,
}

/// A file as a sound writer stores it.
pub fn part(name: &str, content: &[u8], form: Form) -> Part {
    let data = match form {
        Form::Stored => content.to_vec(),
        _ => {
            let best = flate2::Compression::best();
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), best);
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
    };
    let streamed = form == Form::Streamed;
    let (flags, method) = (
        if streamed { 8 } else { 0 },
        if form == Form::Stored { 0 } else { 8 },
    );
    let (crc, packed) = (crc32fast::hash(content), u32::try_from(data.len()).unwrap());
    let size = u32::try_from(content.len()).unwrap();
    let known = |number| if streamed { 0 } else { number };
    let mut part = Part {
        name: name.as_bytes().to_vec(),
        flags,
        method,
        crc,
        packed,
        size,
        made_by: 20,
        attributes: 0,
        disk: 0,
        extra: Vec::new(),
        local: Local {
            name: name.as_bytes().to_vec(),
            flags,
            method,
            crc: known(crc),
            packed: known(packed),
            size: known(size),
            extra: Vec::new(),
        },
        data,
        behind: Vec::new(),
        hidden: false,
        at: None,
    };
    if streamed {
        part.behind = part.descriptor();
    }
    part
}

impl Part {
    /// A data descriptor that agrees with the directory.
    pub fn descriptor(&self) -> Vec<u8> {
        let numbers = [self.crc, self.packed, self.size].map(u32::to_le_bytes);
        [b"PK\x07\x08", numbers.concat().as_slice()].concat()
    }
}

/// What an end record says besides.
#[derive(Clone, Default)]
pub struct End {
    pub comment: Vec<u8>,
    /// Added to the count of entries.
    pub more: u16,
    pub disk: u16,
    /// Between the contents and the directory, behind the directory.
    pub before: Vec<u8>,
    pub behind: Vec<u8>,
    /// Write the records of zip64, too; fill the short fields.
    pub zip64: bool,
    pub full: bool,
}

/// Puts a zip together.
pub fn zip(parts: &[Part], end: &End) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    let mut count = 0_u64;
    for part in parts {
        let at = part.at.unwrap_or(u32::try_from(out.len()).unwrap());
        if part.at.is_none() {
            let local = &part.local;
            out.extend_from_slice(b"PK\x03\x04\x14\x00");
            out.extend(
                [local.flags, local.method, 0, 33]
                    .map(u16::to_le_bytes)
                    .concat(),
            );
            out.extend(
                [local.crc, local.packed, local.size]
                    .map(u32::to_le_bytes)
                    .concat(),
            );
            out.extend([local.name.len(), local.extra.len()].map(short).concat());
            out.extend([&*local.name, &local.extra, &part.data, &part.behind].concat());
        }
        if part.hidden {
            continue;
        }
        count += 1;
        directory.extend_from_slice(b"PK\x01\x02");
        directory.extend([part.made_by, 20].map(u16::to_le_bytes).concat());
        directory.extend(
            [part.flags, part.method, 0, 33]
                .map(u16::to_le_bytes)
                .concat(),
        );
        directory.extend(
            [part.crc, part.packed, part.size]
                .map(u32::to_le_bytes)
                .concat(),
        );
        directory.extend([part.name.len(), part.extra.len(), 0].map(short).concat());
        directory.extend([part.disk, 0].map(u16::to_le_bytes).concat());
        directory.extend([part.attributes, at].map(u32::to_le_bytes).concat());
        directory.extend([&*part.name, &part.extra].concat());
    }
    out.extend_from_slice(&end.before);
    let offset = out.len() as u64;
    out.extend_from_slice(&directory);
    let size = directory.len() as u64;
    out.extend_from_slice(&end.behind);
    if end.zip64 {
        let at = out.len() as u64;
        out.extend_from_slice(b"PK\x06\x06");
        out.extend(44_u64.to_le_bytes());
        out.extend([45_u16, 45, 0, 0, 0, 0].map(u16::to_le_bytes).concat());
        out.extend([count, count, size, offset].map(u64::to_le_bytes).concat());
        out.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        out.extend(at.to_le_bytes());
        out.extend(1_u32.to_le_bytes());
    }
    let count = if end.full { 0xffff } else { count as u16 }.wrapping_add(end.more);
    let wide = |number: u64| if end.full { u32::MAX } else { number as u32 };
    out.extend_from_slice(b"PK\x05\x06");
    out.extend(
        [end.disk, end.disk, count, count]
            .map(u16::to_le_bytes)
            .concat(),
    );
    out.extend([wide(size), wide(offset)].map(u32::to_le_bytes).concat());
    out.extend(short(end.comment.len()));
    out.extend_from_slice(&end.comment);
    out
}

fn short(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap().to_le_bytes()
}
