//! Mutations that know a little of the formats: lines, numbers, their words.

use super::dice::Dice;

/// What a parser may look for.
const WORDS: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b"\n\n",
    b" ",
    b"\t",
    b"\0",
    b"\xff",
    b"\xc3\xa9",
    b"\xef\xbb\xbf",
    b"\xe2\x80\x94 ",
    b"/",
    b"..",
    "./".as_bytes(),
    b"\\",
    b"@",
    b"!",
    b"+",
    b"-",
    b"~",
    b"%",
    b"*",
    b"[",
    b"]",
    b"{",
    b"}",
    b"(",
    b")",
    b"\"",
    b"'",
    b"`",
    b":",
    b",",
    b"=>",
    b"//",
    b"/*",
    b"#",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"v0.0.0",
    b"v2.0.0+incompatible",
    b"-20180118202830-f09979ecbc72",
    b"/v2",
    b".v3",
    b"-rc.1",
    b"h1:",
    b"/go.mod",
    b"go.mod",
    b"<<<<<<<",
    b"module ",
    b"require ",
    b"replace ",
    b"exclude ",
    b"retract ",
    b"use ",
    b"go ",
    b"toolchain ",
    b"godebug ",
    b"// indirect",
    b".tmp-",
    b".tmp",
    b".zip",
    b".mod",
    b".info",
    b".ziphash",
    b".lock",
    b".partial",
    b"tile/8/",
    b".p/",
    b"x001/",
    b"CON",
    b"[include]",
    b"PK\x01\x02",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x07\x08",
    b"ustar\0",
    b"\x28\xb5\x2f\xfd",
];

const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "+1",
    "01",
    "00",
    "1",
    "255",
    "256",
    "65536",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e9",
    "0.5",
    "1e999",
];

/// A piece of `bytes`, of at most so many.
fn piece<'a>(bytes: &'a [u8], most: usize, dice: &mut Dice) -> &'a [u8] {
    let from = dice.roll(bytes.len() + 1);
    let len = dice.roll(most).min(bytes.len() - from);
    &bytes[from..from + len]
}

/// The start of a line, and of the one after it.
fn line(bytes: &[u8], dice: &mut Dice) -> (usize, usize) {
    let at = dice.roll(bytes.len());
    let before = bytes[..at].iter().rposition(|&byte| byte == b'\n');
    let after = bytes[at..].iter().position(|&byte| byte == b'\n');
    (
        before.map_or(0, |end| end + 1),
        after.map_or(bytes.len(), |end| at + end + 1),
    )
}

/// Another number where one in decimal is.
fn renumber(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let from = dice.roll(bytes.len());
    let Some(first) = bytes[from..].iter().position(u8::is_ascii_digit) else {
        return;
    };
    let first = from + first;
    let digits = bytes[first..].iter().take_while(|it| it.is_ascii_digit());
    let end = first + digits.count();
    bytes.splice(first..end, dice.one(NUMBERS).bytes());
}

/// Another number where one of a record may be, as zips and tars count.
fn recount(bytes: &mut [u8], dice: &mut Dice) {
    let width = [1, 2, 4, 8][dice.roll(4)];
    let values = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, u64::MAX];
    let value = values[dice.roll(values.len())].to_le_bytes();
    let at = dice.roll(bytes.len());
    for (byte, new) in bytes[at..].iter_mut().zip(&value[..width]) {
        *byte = *new;
    }
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    if bytes.is_empty() {
        bytes.extend(dice.one(WORDS));
        return;
    }
    let at = dice.roll(bytes.len());
    match dice.roll(12) {
        0 => bytes[at] ^= 1 << dice.roll(8),
        1 => bytes[at] = dice.roll(256) as u8,
        2 => drop(bytes.drain(at..(at + dice.roll(32)).min(bytes.len()))),
        3 => bytes.truncate(at),
        4 => {
            let copy = piece(bytes, 64, dice).to_vec();
            bytes.splice(at..at, copy).for_each(drop);
        }
        5 => {
            let copy = piece(bytes, 64, dice).to_vec();
            let end = (at + copy.len()).min(bytes.len());
            bytes.splice(at..end, copy).for_each(drop);
        }
        6 => {
            let copy = piece(other, 256, dice).to_vec();
            bytes.splice(at..at, copy).for_each(drop);
        }
        7 => bytes
            .splice(at..at, dice.one(WORDS).iter().copied())
            .for_each(drop),
        8 => renumber(bytes, dice),
        9 => recount(bytes, dice),
        10 => {
            let (start, end) = line(bytes, dice);
            let copy = bytes[start..end].to_vec();
            let (start, _) = line(bytes, dice);
            bytes.splice(start..start, copy).for_each(drop);
        }
        _ => {
            let (start, end) = line(bytes, dice);
            bytes.drain(start..end);
        }
    }
}

/// `one` with a few changes, some of them out of `other`.
pub(super) fn mutant(one: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = one.to_vec();
    for _ in 0..=dice.roll(4) {
        mutate(&mut bytes, other, dice);
    }
    bytes
}
