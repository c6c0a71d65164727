//! The transparency log that a checksum database is: hashes, tiles, tree
//! heads and records.
//!
//! The source is `golang.org/x/mod/sumdb/tlog`. A log of N records is a binary
//! tree over their hashes. It is kept in *tiles*: a tile of level L holds up to
//! 256 consecutive hashes of height 8·L, 32 bytes each. A tile with all 256 is
//! full and never changes; the last one of a level is partial and grows.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Bytes of one hash.
pub const HASH_SIZE: usize = 32;

/// Hashes in a full tile. Go's client knows no other height than 8.
pub const FULL_WIDTH: u16 = 256;

/// A log holds fewer than 2^63 records, thus has at most this many levels.
const MAX_LEVEL: u8 = 7;

/// A node of the tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; HASH_SIZE]);

impl Hash {
    /// The hash of a record's text (`tlog.go:RecordHash`).
    #[must_use]
    pub fn of_record(text: &[u8]) -> Self {
        Self(
            Sha256::new()
                .chain_update([0])
                .chain_update(text)
                .finalize()
                .into(),
        )
    }

    /// The hash of an inner node (`tlog.go:NodeHash`).
    #[must_use]
    pub fn of_node(left: Self, right: Self) -> Self {
        let digest = Sha256::new()
            .chain_update([1])
            .chain_update(left.0)
            .chain_update(right.0);
        Self(digest.finalize().into())
    }

    /// The root of the tree without records: SHA-256 of nothing.
    #[must_use]
    pub fn of_empty_tree() -> Self {
        Self(Sha256::digest([]).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A tree head: how many records the log holds, and the hash over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TreeHead {
    /// Records in the log, fewer than 2^63.
    pub size: u64,
    /// The hash of the whole tree.
    pub root: Hash,
}

impl TreeHead {
    /// Reads the text of a tree note (`tlog/note.go:ParseTree`): the line
    /// `go.sum database tree`, the size, the root in base64; lines after these
    /// are ignored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_prefix("go.sum database tree\n")?.split('\n');
        let size = parse_count(lines.next()?)?;
        let root = STANDARD.decode(lines.next()?).ok()?;
        lines.next()?; // the root's line ends in a newline
        let root = Hash(root.try_into().ok()?);
        Some(Self { size, root })
    }
}

/// A record as a lookup file holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The record's place in the log, counted from 0.
    pub id: u64,
    /// The record: go.sum lines, each ending in a newline.
    pub text: &'a str,
    /// What follows the record: a signed tree note.
    pub note: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads a lookup file (`tlog/note.go:ParseRecord`): the number, the
    /// record's lines, a blank line, the tree note.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let id_end = bytes.iter().position(|&b| b == b'\n')?;
        let (id, rest) = (bytes.get(..id_end)?, bytes.get(id_end + 1..)?);
        let id = parse_count(std::str::from_utf8(id).ok()?)?;
        let text_end = rest.windows(2).position(|pair| pair == b"\n\n")? + 1;
        let (text, note) = (rest.get(..text_end)?, rest.get(text_end + 1..)?);
        let text = std::str::from_utf8(text).ok()?;
        let control = |b: u8| b < 0x20 && b != b'\n';
        if text.starts_with('\n') || text.bytes().any(control) {
            return None;
        }
        Some(Self { id, text, note })
    }
}

/// A decimal number below 2^63 in its one canonical form.
fn parse_count(text: &str) -> Option<u64> {
    let count = text.parse::<u64>().ok()?;
    (count <= i64::MAX.unsigned_abs() && count.to_string() == text).then_some(count)
}

/// The coordinates of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// 0 holds records' hashes, 1 the hashes of 256 records each, and so on.
    pub level: u8,
    /// The tile's number within its level.
    pub index: u64,
    /// How many hashes it holds, 1 to [`FULL_WIDTH`].
    pub width: u16,
}

impl Tile {
    /// The tile `(level, index)` as wide as a log of `size` records makes it;
    /// `None` if it has no such tile.
    #[must_use]
    pub fn in_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let hashes = hashes_at(level, size);
        let before = index.checked_mul(u64::from(FULL_WIDTH))?;
        let width = hashes.checked_sub(before)?.min(u64::from(FULL_WIDTH));
        let width = u16::try_from(width).ok().filter(|&width| width > 0)?;
        Some(Self {
            level,
            index,
            width,
        })
    }

    /// Whether the tile holds all 256 hashes.
    #[must_use]
    pub fn is_full(self) -> bool {
        self.width == FULL_WIDTH
    }

    /// The tile's file, relative to the database's folder
    /// (`tlog/tile.go:Tile.Path`): `tile/8/<level>/<index>[.p/<width>]`, with
    /// the index in groups of three digits, all but the last after an `x`.
    #[must_use]
    pub fn path(self) -> String {
        let mut groups = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups = format!("x{:03}/{groups}", rest % 1000);
            rest /= 1000;
        }
        let partial = if self.is_full() {
            String::new()
        } else {
            format!(".p/{}", self.width)
        };
        format!("tile/8/{}/{groups}{partial}", self.level)
    }

    /// Reads what [`Tile::path`] writes, and nothing else.
    #[must_use]
    pub fn parse_path(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/8/")?.split_once('/')?;
        let level = level.parse().ok().filter(|&level| level <= MAX_LEVEL)?;
        let (groups, width) = match rest.split_once(".p/") {
            Some((groups, width)) => (groups, width.parse().ok()?),
            None => (rest, FULL_WIDTH),
        };
        let mut index = 0_u64;
        for group in groups.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        let tile = Self {
            level,
            index,
            width,
        };
        // Writing it again rules out all other spellings.
        ((1..=FULL_WIDTH).contains(&width) && tile.path() == path).then_some(tile)
    }

    /// Length of the tile's file in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::from(self.width) * HASH_SIZE
    }
}

/// How many complete subtrees of height 8·`level` a log of `size` records has.
#[must_use]
pub fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

/// The hash over a power of two of sibling hashes (`tlog/tile.go:tileHash`);
/// `None` for any other number of them.
#[must_use]
pub fn subtree_root(hashes: &[Hash]) -> Option<Hash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row
            .chunks_exact(2)
            .filter_map(|pair| match pair {
                [left, right] => Some(Hash::of_node(*left, *right)),
                _ => None,
            })
            .collect();
    }
    row.first().copied()
}

/// The tiles whose hashes make up the root of a tree of `size` records: for
/// each level the last tile, where it is partial. Highest level first, that is
/// from left to right in the tree.
#[must_use]
pub fn frontier(size: u64) -> Vec<Tile> {
    (0..=MAX_LEVEL)
        .rev()
        .filter_map(|level| {
            let hashes = hashes_at(level, size);
            let width = u16::try_from(hashes % u64::from(FULL_WIDTH)).ok()?;
            let index = hashes / u64::from(FULL_WIDTH);
            (width > 0).then_some(Tile {
                level,
                index,
                width,
            })
        })
        .collect()
}

/// The root of a tree from the hashes of its [`frontier`] tiles, in that order.
#[must_use]
pub fn fold_frontier<'a>(tiles: impl IntoIterator<Item = &'a [Hash]>) -> Option<Hash> {
    let mut peaks = Vec::new();
    for mut hashes in tiles {
        // The largest power of two first: that is how the tree leans.
        while !hashes.is_empty() {
            let piece = 1 << hashes.len().ilog2();
            let (left, rest) = hashes.split_at_checked(piece)?;
            peaks.push(subtree_root(left)?);
            hashes = rest;
        }
    }
    let fold = peaks
        .into_iter()
        .rev()
        .reduce(|right, left| Hash::of_node(left, right));
    Some(fold.unwrap_or_else(Hash::of_empty_tree))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tile_paths_are_those_of_go() {
        let tile = |level, index, width| Tile {
            level,
            index,
            width,
        };
        for (path, want) in [
            ("tile/8/0/000", tile(0, 0, 256)),
            ("tile/8/0/x259/370.p/1", tile(0, 259_370, 1)),
            ("tile/8/1/x001/013.p/42", tile(1, 1013, 42)),
            ("tile/8/0/x001/x234/067", tile(0, 1_234_067, 256)),
            ("tile/8/3/000.p/3", tile(3, 0, 3)),
        ] {
            assert_eq!(want.path(), path);
            assert_eq!(Tile::parse_path(path), Some(want));
        }
    }

    #[test]
    fn refuses_other_spellings_of_tile_paths() {
        for path in [
            "tile/8/0/0",
            "tile/8/0/0000",
            "tile/8/00/000",
            "tile/8/0/x000/001",
            "tile/8/0/001/002",
            "tile/8/0/000.p/0",
            "tile/8/0/000.p/256",
            "tile/8/0/000.p/257",
            "tile/8/0/000.p/+1",
            "tile/8/0/000.p",
            "tile/8/0/+00",
            "tile/8/8/000",
            "tile/8/-1/000",
            "tile/8/data/000",
            "tile/9/0/000",
            "tile/8/0/../000",
            "tile/8/0/",
            "tile/8/0/x999/x999/x999/x999/x999/x999/x999/999",
            "",
        ] {
            assert_eq!(Tile::parse_path(path), None, "{path}");
        }
    }

    #[test]
    fn reads_a_record() {
        let file = b"942\nrsc.io/quote v1.5.2 h1:x\nrsc.io/quote v1.5.2/go.mod h1:y\n\nnote";
        let record = Record::parse(file).unwrap();
        assert_eq!(record.id, 942);
        assert_eq!(
            record.text,
            "rsc.io/quote v1.5.2 h1:x\nrsc.io/quote v1.5.2/go.mod h1:y\n"
        );
        assert_eq!(record.note, b"note");
    }

    #[test]
    fn refuses_malformed_records_and_heads() {
        for file in [
            "",
            "1",
            "1\n",
            "1\n\n",
            "1\n\n\n",
            "x\na\n\n",
            "01\na\n\n",
            "+1\na\n\n",
            "1\na\tb\n\n",
            "1\na\n",
        ] {
            assert_eq!(Record::parse(file.as_bytes()), None, "{file:?}");
        }
        let root = "mQw+jf8Ko94JweSoG8190LvpV8myM/RNeAJ9TYKnia8=";
        assert!(TreeHead::parse(&format!("go.sum database tree\n1\n{root}\n")).is_some());
        assert!(TreeHead::parse(&format!("go.sum database tree\n1\n{root}\nmore\n")).is_some());
        for text in [
            format!("go.sum database tree\n1\n{root}"),
            format!("go.sum database tree\n-1\n{root}\n"),
            format!("go.sum database tree\n9223372036854775808\n{root}\n"),
            format!("go.sum database tree v2\n1\n{root}\n"),
            "go.sum database tree\n1\nAAAA\n".to_owned(),
        ] {
            assert_eq!(TreeHead::parse(&text), None, "{text}");
        }
    }

    /// The root by its recursive definition in RFC 6962, section 2.1.
    fn root_by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::of_empty_tree(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(1 << (leaves.len() - 1).ilog2());
                Hash::of_node(root_by_definition(left), root_by_definition(right))
            }
        }
    }

    #[test]
    fn a_frontier_folds_to_the_root_of_the_definition() {
        let leaves: Vec<Hash> = (0..1100_u32)
            .map(|n| Hash::of_record(&n.to_be_bytes()))
            .collect();
        let level1: Vec<Hash> = leaves
            .chunks_exact(256)
            .map(|c| subtree_root(c).unwrap())
            .collect();
        let rows = [leaves.clone(), level1];
        for size in (0..20)
            .chain(250..262)
            .chain([511, 512, 513, 767, 1023, 1024, 1025, 1100])
        {
            let tiles = frontier(size as u64);
            let hashes = tiles.iter().map(|tile| {
                let start = tile.index as usize * 256;
                &rows[usize::from(tile.level)][start..start + usize::from(tile.width)]
            });
            assert_eq!(
                fold_frontier(hashes),
                Some(root_by_definition(&leaves[..size])),
                "{size}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_tile_path_reads_back(level in 0..=7_u8, index in 0..u64::MAX / 256, width in 1..=256_u16) {
            let tile = Tile { level, index, width };
            prop_assert_eq!(Tile::parse_path(&tile.path()), Some(tile));
        }

        #[test]
        fn parsers_take_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::parse(&bytes);
            let text = String::from_utf8_lossy(&bytes);
            let _ = TreeHead::parse(&text);
            if let Some(tile) = Tile::parse_path(&text) {
                prop_assert_eq!(tile.path(), text);
            }
        }
    }
}
