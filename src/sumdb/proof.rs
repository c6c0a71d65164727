//! Inclusion in a signed tree, shown from cached tiles.
//!
//! A tile is trusted only after its hash was found in the tile above it, up to
//! the tiles on the tree's right edge, which together must give the signed
//! root (`golang.org/x/mod/sumdb/tlog:TileHashReader`).

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::files::Files;
use super::tlog::{self, FULL_WIDTH, HASH_SIZE, Hash, Tile, TreeHead};

/// A tile's level and index.
type Place = (u8, u64);

/// The tiles that are cached, by place; one place may have several widths.
pub(super) struct Tiles<'a> {
    files: &'a dyn Files,
    widths: HashMap<Place, Vec<u16>>,
}

/// Why something could not be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A tile it takes is not cached: nothing is wrong, nothing is shown.
    Missing(Tile),
    /// What is cached does not hold.
    Damaged(Damage),
}

/// What does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file at fault; several if it must be one of them.
    pub files: Vec<String>,
    /// What is wrong with it.
    pub message: String,
    /// What should have come out.
    pub expected: String,
    /// What did.
    pub actual: String,
}

impl<'a> Tiles<'a> {
    /// The tiles among a database's files. Empty ones do not count: Go takes
    /// an empty file for one that is not there.
    pub(super) fn new(files: &'a dyn Files, tiles: impl IntoIterator<Item = Tile>) -> Self {
        let mut widths = HashMap::<_, Vec<u16>>::new();
        for tile in tiles {
            widths
                .entry((tile.level, tile.index))
                .or_default()
                .push(tile.width);
        }
        for widths in widths.values_mut() {
            widths.sort();
        }
        Self { files, widths }
    }

    /// The file to take a tile from: its own, else the full tile, else the
    /// narrowest that is wide enough. (Go knows the first two; a tile never
    /// changes but by growing, so any wider one will do.)
    fn source(&self, tile: Tile) -> Option<Tile> {
        let widths = self.widths.get(&(tile.level, tile.index))?;
        let width = [tile.width, FULL_WIDTH]
            .into_iter()
            .find(|width| widths.contains(width))
            .or_else(|| widths.iter().copied().find(|&width| width > tile.width))?;
        Some(Tile { width, ..tile })
    }

    /// A tile's hashes.
    fn read(&self, tile: Tile) -> Result<Vec<Hash>, Failure> {
        let source = self.source(tile).ok_or(Failure::Missing(tile))?;
        let mut hashes = self.read_file(source)?;
        hashes.truncate(usize::from(tile.width));
        Ok(hashes)
    }

    /// All hashes of the file that is this very tile.
    pub(super) fn read_file(&self, tile: Tile) -> Result<Vec<Hash>, Failure> {
        let bytes = match self.files.read(&tile.path(), tile.bytes()) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(Failure::Missing(tile)),
            Err(error) => {
                return Err(Failure::Damaged(Damage {
                    files: vec![tile.path()],
                    message: "tile cannot be read".to_owned(),
                    expected: format!("{} bytes", tile.bytes()),
                    actual: error.to_string(),
                }));
            }
        };
        if bytes.len() != tile.bytes() {
            let more = if bytes.len() > tile.bytes() {
                "more than "
            } else {
                ""
            };
            return Err(Failure::Damaged(Damage {
                files: vec![tile.path()],
                message: "tile has the wrong length".to_owned(),
                expected: format!("{} bytes", tile.bytes()),
                actual: format!("{more}{} bytes", bytes.len().min(tile.bytes())),
            }));
        }
        let (hashes, _) = bytes.as_chunks::<HASH_SIZE>();
        Ok(hashes.iter().copied().map(Hash).collect())
    }
}

/// A signed tree whose right edge is cached and gives the signed root.
pub(super) struct Tree<'a> {
    head: TreeHead,
    tiles: &'a Tiles<'a>,
    edge: BTreeMap<Place, Rc<[Hash]>>,
    /// Full tiles above the records that were shown to belong to the tree.
    shown: RefCell<HashMap<Place, Rc<[Hash]>>>,
}

impl<'a> Tree<'a> {
    /// Reads the tree's right edge and shows that it gives the signed root.
    pub(super) fn new(tiles: &'a Tiles<'a>, head: TreeHead) -> Result<Self, Failure> {
        let mut edge = BTreeMap::new();
        let frontier = tlog::frontier(head.size);
        for &tile in &frontier {
            edge.insert((tile.level, tile.index), Rc::from(tiles.read(tile)?));
        }
        let in_order = frontier
            .iter()
            .filter_map(|tile| edge.get(&(tile.level, tile.index)));
        let root = tlog::fold_frontier(in_order.map(|hashes: &Rc<[Hash]>| &**hashes));
        if root != Some(head.root) {
            return Err(Failure::Damaged(Damage {
                files: frontier
                    .iter()
                    .filter_map(|&tile| tiles.source(tile))
                    .map(Tile::path)
                    .collect(),
                message: format!("tiles do not give the signed root of tree {}", head.size),
                expected: head.root.to_string(),
                actual: root.map(|root| root.to_string()).unwrap_or_default(),
            }));
        }
        let shown = RefCell::default();
        Ok(Self {
            head,
            tiles,
            edge,
            shown,
        })
    }

    /// The tree's head.
    pub(super) fn head(&self) -> TreeHead {
        self.head
    }

    /// The hash of record `id`, shown to belong to the tree.
    ///
    /// `id` must be below the tree's size, else the tile counts as missing.
    pub(super) fn record(&self, id: u64) -> Result<Hash, Failure> {
        let (index, at) = split(id);
        let hashes = self.tile(0, index)?;
        hashes.get(at).copied().ok_or(Failure::Missing(Tile {
            level: 0,
            index,
            width: FULL_WIDTH,
        }))
    }

    /// The root that this tree had when it held `size` records
    /// (`tlog.go:TreeHash`). `size` must not be above the tree's own.
    pub(super) fn root_at(&self, size: u64) -> Result<Hash, Failure> {
        let mut parts = Vec::new();
        for tile in tlog::frontier(size) {
            let hashes = self.tile(tile.level, tile.index)?;
            let part = hashes
                .get(..usize::from(tile.width))
                .ok_or(Failure::Missing(tile))?;
            parts.push(part.to_vec());
        }
        let root = tlog::fold_frontier(parts.iter().map(Vec::as_slice));
        Ok(root.unwrap_or_else(Hash::of_empty_tree))
    }

    /// A tile as wide as this tree makes it, shown to belong to the tree.
    pub(super) fn tile(&self, level: u8, index: u64) -> Result<Rc<[Hash]>, Failure> {
        let place = (level, index);
        if let Some(hashes) = self.edge.get(&place) {
            return Ok(hashes.clone());
        }
        if let Some(hashes) = self.shown.borrow().get(&place) {
            return Ok(hashes.clone());
        }
        let full = Tile {
            level,
            index,
            width: FULL_WIDTH,
        };
        let above = Tile::in_tree(level, index, self.head.size).filter(|tile| tile.is_full());
        let Some((parent, at)) = above.map(|_| split(index)) else {
            return Err(Failure::Missing(full)); // beyond this tree
        };
        let expected = self.tile(level + 1, parent)?.get(at).copied();
        let hashes = self.tiles.read(full)?;
        let actual = tlog::subtree_root(&hashes);
        if actual != expected {
            let text = |hash: Option<Hash>| hash.map(|hash| hash.to_string()).unwrap_or_default();
            return Err(Failure::Damaged(Damage {
                files: vec![full.path()],
                message: format!("tile is not the one in signed tree {}", self.head.size),
                expected: text(expected),
                actual: text(actual),
            }));
        }
        let hashes: Rc<[Hash]> = Rc::from(hashes);
        // Tiles of records are many and each serves few; those above are few.
        if level > 0 {
            self.shown.borrow_mut().insert(place, hashes.clone());
        }
        Ok(hashes)
    }
}

/// The tile in which the `n`th hash of a level lies, and its place there.
fn split(n: u64) -> (u64, usize) {
    let width = u64::from(FULL_WIDTH);
    (n / width, usize::try_from(n % width).unwrap_or(usize::MAX))
}
