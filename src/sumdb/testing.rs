//! A checksum database made up in memory.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::note::Signer;
use super::note::testing::signer;
use super::tlog::{self, FULL_WIDTH, Hash, Tile, TreeHead};
use crate::formats::h1::H1;
use crate::formats::module::ModuleVersion;

pub(crate) type MemoryFiles = BTreeMap<String, Vec<u8>>;

/// A log of records about `example.com/m` at `v1.0.0`, `v1.0.1`, and so on.
#[derive(Clone)]
pub(crate) struct Log {
    signer_name: String,
    seed: u8,
    /// By place; the others are empty.
    records: BTreeMap<u64, String>,
}

impl Log {
    pub(crate) fn new(name: &str, seed: u8, size: u64) -> Self {
        let mut log = Self {
            signer_name: name.to_owned(),
            seed,
            records: BTreeMap::new(),
        };
        log.grow(size, 0);
        log
    }

    /// A log of any size in which these records alone are more than empty.
    #[cfg(feature = "remote")]
    pub(crate) fn sparse(name: &str, seed: u8, ids: &[u64]) -> Self {
        let mut log = Self::new(name, seed, 0);
        log.records
            .extend(ids.iter().map(|&id| (id, record(id, 0))));
        log
    }

    /// Adds records up to `size`; `salt` tells one history from another.
    pub(crate) fn grow(&mut self, size: u64, salt: u8) {
        let added = self.records.len() as u64..size;
        self.records.extend(added.map(|id| (id, record(id, salt))));
    }

    /// Makes record `id` another one.
    pub(crate) fn rewrite(&mut self, id: u64, change: impl FnOnce(&str) -> String) {
        let record = self.records.get_mut(&id).unwrap();
        *record = change(record);
    }

    /// Forgets all records from `size` on.
    pub(crate) fn roll_back(&mut self, size: u64) {
        self.records.split_off(&size);
    }

    pub(crate) fn signer(&self) -> Signer {
        signer(&self.signer_name, self.seed)
    }

    pub(crate) fn head(&self, size: u64) -> TreeHead {
        let tiles = tlog::frontier(size);
        let hashes: Vec<_> = tiles.iter().map(|&tile| self.hashes(tile)).collect();
        let root = tlog::fold_frontier(hashes.iter().map(Vec::as_slice)).unwrap();
        TreeHead { size, root }
    }

    pub(crate) fn note(&self, size: u64) -> String {
        let TreeHead { size, root } = self.head(size);
        self.signer()
            .sign(&format!("go.sum database tree\n{size}\n{root}\n"))
    }

    fn hashes(&self, tile: Tile) -> Vec<Hash> {
        let start = tile.index * u64::from(FULL_WIDTH);
        (start..start + u64::from(tile.width))
            .map(|n| self.hash(tile.level, n))
            .collect()
    }

    /// Hash `n` of a level of tiles.
    fn hash(&self, level: u8, n: u64) -> Hash {
        let covered = u64::from(FULL_WIDTH).pow(u32::from(level));
        let is_empty = self
            .records
            .range(n * covered..(n + 1) * covered)
            .next()
            .is_none();
        match level {
            0 => Hash::of_record(self.records.get(&n).map_or(b"", |record| record.as_bytes())),
            _ if is_empty => empty(level),
            _ => {
                let below = Tile {
                    level: level - 1,
                    index: n,
                    width: FULL_WIDTH,
                };
                tlog::subtree_root(&self.hashes(below)).unwrap()
            }
        }
    }

    /// Whether the tree of `size` records has all hashes of this tile.
    #[cfg(feature = "remote")]
    pub(crate) fn has(&self, tile: Tile, size: u64) -> bool {
        Tile::in_tree(tile.level, tile.index, size).is_some_and(|own| tile.width <= own.width)
    }

    pub(crate) fn tile(&self, tile: Tile) -> Vec<u8> {
        self.hashes(tile).iter().flat_map(|hash| hash.0).collect()
    }

    /// What a database answers that is asked for record `id`.
    pub(crate) fn answer(&self, id: u64, note: &str) -> String {
        format!("{id}\n{}\n{note}", self.records[&id])
    }

    /// What Go caches when it looks record `id` up in the tree of `size`
    /// records: the record and the tiles of its proof.
    pub(crate) fn look_up(&self, files: &mut MemoryFiles, id: u64, size: u64) {
        let ModuleVersion { path, version } = module(id);
        let lookup = self.answer(id, &self.note(size));
        files.insert(format!("lookup/{path}@{version}"), lookup.into_bytes());
        self.cache_proof(files, id, size);
    }

    /// The tiles that show hash `id` to be in the tree of `size` records.
    pub(crate) fn cache_proof(&self, files: &mut MemoryFiles, id: u64, size: u64) {
        for tile in proof(id, size) {
            files.insert(tile.path(), self.tile(tile));
        }
    }
}

/// The tiles that show record `id` to be in the tree of `size` records.
pub(crate) fn proof(id: u64, size: u64) -> Vec<Tile> {
    let mut tiles = tlog::frontier(size);
    let mut index = id;
    for level in 0..8 {
        index /= u64::from(FULL_WIDTH);
        tiles.extend(Tile::in_tree(level, index, size));
    }
    tiles
}

pub(crate) fn module(id: u64) -> ModuleVersion {
    ModuleVersion::new("example.com/m", format!("v1.0.{id}"))
}

/// The hash, in this level of tiles, of nothing but empty records.
fn empty(level: u8) -> Hash {
    static LEVELS: LazyLock<Vec<Hash>> = LazyLock::new(|| {
        let above = |below: &Hash| tlog::subtree_root(&[*below; FULL_WIDTH as usize]);
        let levels = std::iter::successors(Some(Hash::of_record(b"")), above);
        levels.take(8).collect()
    });
    LEVELS[usize::from(level)]
}

fn record(id: u64, salt: u8) -> String {
    let ModuleVersion { path, version } = module(id);
    let (zip, go_mod) = (h1(id, salt), h1(id, salt ^ 0x80));
    format!("{path} {version} {zip}\n{path} {version}/go.mod {go_mod}\n")
}

pub(crate) fn h1(id: u64, salt: u8) -> H1 {
    let mut bytes = [salt; 32];
    bytes[..8].copy_from_slice(&id.to_be_bytes());
    H1(bytes)
}
