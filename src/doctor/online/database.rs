//! What the checksum database says of module versions whose records are not
//! cached, proven like cached ones.
//!
//! Nothing cached takes part but one signed tree head: the database itself has
//! to show that its log continues the one Go saw, and that the log holds each
//! record. What it sends is examined as a cache's files are.

use std::collections::BTreeMap;
use std::path::Path;

use super::source::{Fault, NoSource, Source};
use crate::doctor::proxies::{Proxy, Separator};
use crate::findings::{Finding, Rule};
use crate::formats::module::{ModuleVersion, lookup_name};
use crate::net::Limits;
use crate::parallel;
use crate::settings::Environment;
use crate::sumdb::database::{ExaminedHead, HeadStanding, Standpoint, Sums, examine, open_head};
use crate::sumdb::note::Verifier;
use crate::sumdb::setting;
use crate::sumdb::tlog::{Record, Tile, TreeHead, frontier};

/// Longest record or tree note that is taken. Real ones have some 400 bytes.
const MAX_NOTE: u64 = 1 << 16;

/// Requests at a time: each waits for the line, not for a processor. A thousand records of
/// the real log take some 2,800.
const LANES: usize = 48;

/// What to do when an answer does not hold.
const ADVICE: &str = "Do not build with what came this way. Ask again from another network: if it holds there, something between here and the database rewrites its answers; if not, tell whoever runs the database.";

/// Where Go asks the database.
pub(super) struct Base {
    pub(super) source: Source,
    /// A proxy passes the question on, and sees the names.
    pub(super) by_proxy: bool,
}

/// Finds where Go would ask (`cmd/go/internal/modfetch/sumdb.go:initBase`): at
/// the address that `GOSUMDB` gives; else at the first proxy that says it
/// answers for the database; else at the database itself.
///
/// # Errors
///
/// A proxy that fails, and the fault that ends Go's search.
pub(super) fn find(
    database: &setting::Database,
    proxies: &[(Proxy, Source)],
    limits: Limits,
    environment: &Environment,
) -> Result<Base, NoSource> {
    let name = database.verifier.name();
    let own = |address: &str| {
        let source = Source::new(address, limits, environment)?;
        Ok(Base {
            source,
            by_proxy: false,
        })
    };
    if let Some(url) = &database.url {
        return own(url);
    }
    for (proxy, source) in proxies {
        match source.get(&format!("sumdb/{name}/supported"), MAX_NOTE) {
            Ok(_) => {
                let source = source.below(&format!("sumdb/{name}"), environment)?;
                return Ok(Base {
                    source,
                    by_proxy: true,
                });
            }
            Err(Fault::NotFound) => {}
            Err(_) if proxy.then == Some(Separator::AnyError) => {}
            Err(fault) => return Err(NoSource::Proxy(source.shown.clone(), fault)),
        }
    }
    own(&format!("https://{name}"))
}

/// What came of asking.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What does not hold.
    pub(super) findings: Vec<Finding>,
    /// What is proven.
    pub(super) proven: BTreeMap<ModuleVersion, Sums>,
    /// Versions that the database does not know.
    pub(super) absent: Vec<ModuleVersion>,
    /// How many could not be asked for or not be proven.
    pub(super) unknown: usize,
    /// The newest tree head it showed.
    pub(super) newest: Option<TreeHead>,
    /// Whether that continues the log that Go saw; `None` if Go saw none, or
    /// it could not be found out.
    pub(super) continues: Option<bool>,
    /// Why not all was asked.
    pub(super) fault: Option<Fault>,
}

/// Asks for records and for what proves them. `seen` is the note of the newest
/// tree head in the cache.
pub(super) fn ask(
    source: &Source,
    verifier: &Verifier,
    seen: Option<&[u8]>,
    wanted: &[ModuleVersion],
) -> Told {
    let mut told = Told::default();
    let mut files = BTreeMap::new();
    let mut heads = Vec::new();
    let latest = match source.get("latest", MAX_NOTE) {
        Ok(note) => Some(note),
        // A proxy need not have it: Go itself never asks for it.
        Err(Fault::NotFound) => None,
        Err(fault) => {
            told.fault = Some(fault);
            told.unknown = wanted.len();
            return told;
        }
    };
    let mut notes: Vec<(&Path, &[u8])> = Vec::new();
    if let Some(note) = &latest {
        match open_head(note, verifier) {
            Ok(head) => {
                heads.push(head);
                notes.push((Path::new("latest"), note));
            }
            Err(error) => {
                let message = format!("{}: its newest tree head: {error}", source.shown);
                told.findings.push(
                    Finding::new(Rule::SumdbMismatch, verifier.name(), message).advise(ADVICE),
                );
            }
        }
    }
    let records = look_up(source, wanted, &mut told, &mut files);
    let mut ids = Vec::new();
    for bytes in records {
        let record = Record::parse(&bytes);
        let Some((id, Ok(head))) = record.map(|r| (r.id, open_head(r.note, verifier))) else {
            continue; // examined, and refused, below
        };
        heads.push(head);
        ids.push(id);
    }
    heads.sort_by_key(|head| head.size);
    heads.dedup();
    told.newest = heads.last().copied();
    let seen = seen.and_then(|note| Some((note, open_head(note, verifier).ok()?)));
    if let Some((note, head)) = seen {
        notes.push((Path::new("cached"), note));
        heads.push(head);
    }
    let tiles: Vec<Tile> = needed(&heads, told.newest, &ids).into_values().collect();
    fetch(source, &tiles, &mut told, &mut files);

    let database = examine(&files, Path::new(""), &notes, verifier);
    for mut finding in database.findings {
        finding.path = None;
        finding.message = format!("{}: {}", source.shown, finding.message);
        told.findings.push(finding.advise(ADVICE));
    }
    for (module, standpoint) in database.records {
        match standpoint {
            Standpoint::Proven(sums) => {
                told.proven.insert(module, sums);
            }
            Standpoint::MissingTile(_) => told.unknown += 1,
            Standpoint::Contradicted(_) => {}
        }
    }
    if let Some((_, seen)) = seen {
        told.continues = continues(&database.heads, seen);
        let rolled_back = rolled_back(source, verifier, seen, &told);
        told.findings.extend(rolled_back);
    }
    told
}

/// Whether the log is the one of a tree that was seen before: not if any is forked, from
/// that tree or that tree from it.
fn continues(heads: &[ExaminedHead], seen: TreeHead) -> Option<bool> {
    if heads
        .iter()
        .any(|head| matches!(head.standing, HeadStanding::Forked { .. }))
    {
        return Some(false);
    }
    match heads.iter().find(|head| head.tree == seen)?.standing {
        HeadStanding::Newest | HeadStanding::Consistent => Some(true),
        HeadStanding::Forked { .. } | HeadStanding::Broken => Some(false),
        HeadStanding::Unlinked { .. } => None,
    }
}

/// A database that knows fewer records than Go has seen, and cannot show the
/// tree that Go saw.
fn rolled_back(
    source: &Source,
    verifier: &Verifier,
    seen: TreeHead,
    told: &Told,
) -> Option<Finding> {
    let newest = told.newest.filter(|newest| newest.size < seen.size)?;
    if told.continues.is_some() || told.fault.is_some() {
        return None;
    }
    let message = format!(
        "{}: rolled back: its newest tree has {} records, and cannot show the tree of {} that Go saw before",
        source.shown, newest.size, seen.size
    );
    let finding = Finding::new(Rule::SumdbMismatch, verifier.name(), message);
    Some(finding.differs(seen.size, newest.size).advise(ADVICE))
}

/// Asks for each record; those that came are also put among `files`.
fn look_up(
    source: &Source,
    wanted: &[ModuleVersion],
    told: &mut Told,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Vec<Vec<u8>> {
    let ask = |_: &mut (), index: usize| {
        let module = &wanted[index];
        let name = lookup_name(module)?;
        let answer = source.get(&name, MAX_NOTE);
        Some((name, module, answer))
    };
    let mut records = Vec::new();
    for answer in parallel::map(LANES, wanted.len(), || (), ask) {
        match answer {
            Some((name, _, Ok(bytes))) => {
                records.push(bytes.clone());
                files.insert(name, bytes);
            }
            Some((_, module, Err(Fault::NotFound))) => told.absent.push(module.clone()),
            Some((_, _, Err(fault))) => {
                told.unknown += 1;
                told.fault.get_or_insert(fault);
            }
            None => told.unknown += 1,
        }
    }
    records
}

/// The tiles, by file, that show the records and the other heads to be in the
/// newest tree, and in the one that Go saw if that is larger.
fn needed(heads: &[TreeHead], newest: Option<TreeHead>, ids: &[u64]) -> BTreeMap<String, Tile> {
    let mut tiles = BTreeMap::new();
    let newest = newest.map_or(0, |head| head.size);
    let largest = heads.iter().map(|head| head.size).max().unwrap_or(0);
    for head in heads {
        for tile in frontier(head.size) {
            tiles.insert(tile.path(), tile);
        }
    }
    let mut upward = |mut level: u8, mut index: u64, size: u64| {
        while let Some(tile) = Tile::in_tree(level, index, size) {
            tiles.insert(tile.path(), tile);
            if !tile.is_full() {
                break;
            }
            (level, index) = (level + 1, index / 256);
        }
    };
    for size in [newest, largest] {
        for head in heads.iter().filter(|head| head.size < size) {
            for tile in frontier(head.size) {
                upward(tile.level, tile.index, size);
            }
        }
        for &id in ids.iter().filter(|&&id| id < size) {
            upward(0, id / 256, size);
        }
    }
    tiles
}

fn fetch(source: &Source, tiles: &[Tile], told: &mut Told, files: &mut BTreeMap<String, Vec<u8>>) {
    let get = |_: &mut (), index: usize| {
        let tile = tiles[index];
        let limit = u64::try_from(tile.bytes()).unwrap_or(MAX_NOTE);
        (tile.path(), source.get(&tile.path(), limit))
    };
    for (name, answer) in parallel::map(LANES, tiles.len(), || (), get) {
        match answer {
            Ok(bytes) => {
                files.insert(name, bytes);
            }
            Err(Fault::NotFound) => {}
            Err(fault) => {
                told.fault.get_or_insert(fault);
            }
        }
    }
}
