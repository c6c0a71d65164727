//! The checksum database's files that go into a bundle.
//!
//! Go keeps each record with the tree head that the database had at that time.
//! A client that meets several heads has to link them, which takes tiles that
//! the one who filled the cache, meeting them in another order, may never have
//! fetched. So every record is given the newest head, as a proxy would answer;
//! but only where the cached tiles prove it under that head.

use crate::formats::module::lookup_name;
use crate::sumdb::database::{Database, HeadStanding, Standpoint, examine};
use crate::sumdb::files::{Files, Listing, SumdbFolder};
use crate::sumdb::note::Verifier;
use crate::sumdb::tlog::Record;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// Longest lookup file that is read.
const MAX_LOOKUP: usize = 1 << 20;

/// The names of all tiles that hold, and the records that are wanted, by name.
pub(super) fn of(
    root: &Path,
    folder: &SumdbFolder,
    database: &Database,
    key: &Verifier,
    wanted: &BTreeSet<String>,
) -> (Vec<String>, BTreeMap<String, Vec<u8>>) {
    let mut listing = folder.list();
    listing
        .files
        .retain(|file, bytes| *bytes > 0 && !database.damaged.contains(file));
    let read = |file: &str| {
        let bytes = folder.read(file, MAX_LOOKUP).ok().flatten()?;
        (bytes.len() <= MAX_LOOKUP).then_some(bytes)
    };
    let mut lookups: BTreeMap<String, Vec<u8>> = wanted
        .iter()
        .filter(|file| listing.files.contains_key(*file))
        .filter_map(|file| Some((file.clone(), read(file)?)))
        .collect();
    listing.files.retain(|file, _| file.starts_with("tile/"));
    let newest = database.heads.iter().find(|head| {
        let linked = matches!(
            head.standing,
            HeadStanding::Newest | HeadStanding::Consistent
        );
        linked && head.file.starts_with("lookup/")
    });
    if let Some(newest) = newest.and_then(|head| read(&head.file))
        && let Some(newest) = Record::parse(&newest)
    {
        let renewed = lookups.iter().filter_map(|(file, bytes)| {
            let record = Record::parse(bytes)?;
            let kept = bytes.get(..bytes.len() - record.note.len())?;
            Some((file.clone(), [kept, newest.note].concat()))
        });
        let answers = Answers {
            folder,
            tiles: &listing,
            lookups: renewed.collect(),
        };
        let examined = examine(&answers, root, &[], key);
        let records = examined.records.iter();
        let proven = records.filter(|(_, at)| matches!(at, Standpoint::Proven(_)));
        let proven: BTreeSet<String> = proven.filter_map(|(id, _)| lookup_name(id)).collect();
        let renewed = answers.lookups.into_iter();
        lookups.extend(renewed.filter(|(file, _)| proven.contains(file)));
    }
    (listing.files.into_keys().collect(), lookups)
}

/// The files as they would be.
struct Answers<'a> {
    folder: &'a SumdbFolder,
    tiles: &'a Listing,
    lookups: BTreeMap<String, Vec<u8>>,
}

impl Files for Answers<'_> {
    fn list(&self) -> Listing {
        let lookups = self.lookups.iter();
        let lookups = lookups.map(|(file, bytes)| (file.clone(), bytes.len() as u64));
        let tiles = self.tiles.files.iter();
        Listing {
            files: tiles
                .map(|(file, bytes)| (file.clone(), *bytes))
                .chain(lookups)
                .collect(),
            ..Listing::default()
        }
    }

    fn read(&self, file: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        match self.lookups.get(file) {
            Some(bytes) => Ok(bytes.get(..bytes.len().min(limit + 1)).map(<[u8]>::to_vec)),
            None => self.folder.read(file, limit),
        }
    }
}
