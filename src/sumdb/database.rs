//! One database's cached files, examined as a whole: which records are proven,
//! which tree heads belong to one log, which files do not hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::files::{Files, Listing};
use super::note::{NoteError, Verifier};
use super::proof::{Damage, Failure, Tiles, Tree};
use super::tlog::{Hash, Record, Tile, TreeHead};
use crate::findings::{Finding, Rule, display_path, shell_word};
use crate::formats::h1::H1;
use crate::formats::module::{ModuleVersion, unescape_path, unescape_version};

/// Longest lookup file or tree note that is read. Real ones have some 400 bytes.
const MAX_LOOKUP: usize = 1 << 20;

/// A tree head met in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExaminedHead {
    /// What was signed.
    pub tree: TreeHead,
    /// A file that holds it, relative to the database's folder, or `latest`.
    pub file: String,
    /// How it stands to the others.
    pub standing: HeadStanding,
}

/// How a tree head stands to the other ones of its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadStanding {
    /// The newest head whose tiles are cached: the others are held against it.
    Newest,
    /// Shown to be an earlier state of the same log.
    Consistent,
    /// Not shown to be one, for lack of this tile. Nothing speaks against it.
    Unlinked {
        /// The tile's file.
        missing: String,
    },
    /// Shown to be no state of the log that the head of this size belongs to.
    Forked {
        /// The other tree.
        with: TreeHead,
        /// The root it says this tree should have.
        root: Hash,
    },
    /// The cached tiles do not give its root.
    Broken,
}

/// What a record says: the lines of go.sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// The h1 of the module's zip and tree.
    pub zip: Option<H1>,
    /// The h1 of its go.mod.
    pub go_mod: Option<H1>,
}

/// What became of a cached record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standpoint {
    /// A signed tree holds it.
    Proven(Sums),
    /// This tile is not cached.
    MissingTile(String),
    /// It does not hold.
    Contradicted(Damage),
}

/// What the files of one database show.
#[derive(Debug)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// Every cached record.
    pub records: HashMap<ModuleVersion, Standpoint>,
    /// Every distinct tree head, newest first.
    pub heads: Vec<ExaminedHead>,
    /// Files that do not hold, forks, and what does not belong there.
    pub findings: Vec<Finding>,
    /// Files, relative to the database's folder, that do not hold and that Go
    /// would fetch again. None where the log is forked: they are the evidence.
    pub damaged: BTreeSet<String>,
}

/// A lookup file that could be read.
struct Lookup {
    module: ModuleVersion,
    file: String,
    id: u64,
    leaf: Hash,
    sums: Sums,
}

/// Tree heads, newest first, and what was found with each.
type Heads = BTreeMap<std::cmp::Reverse<(u64, [u8; 32])>, (String, Vec<Lookup>)>;

/// Examines the files of the database that `verifier` is the key of. `root` is
/// where they lie, for findings; `notes` are tree notes that are known besides,
/// with where they come from: above all the newest one that Go remembers
/// (`$GOPATH/pkg/sumdb/<name>/latest`).
pub fn examine(
    files: &dyn Files,
    root: &Path,
    notes: &[(&Path, &[u8])],
    verifier: &Verifier,
) -> Database {
    let listing = files.list();
    let mut examination = Examination {
        files,
        root,
        database: Database {
            name: verifier.name().to_owned(),
            records: HashMap::new(),
            heads: Vec::new(),
            findings: Vec::new(),
            damaged: BTreeSet::new(),
        },
    };
    let cached: Vec<Tile> = listing
        .files
        .iter()
        .filter(|&(_, &bytes)| bytes > 0)
        .filter_map(|(file, _)| Tile::parse_path(file))
        .collect();
    examination.odd_files(&listing);
    let mut heads = examination.lookups(&listing, verifier);
    for (path, note) in notes {
        examination.latest(path, note, verifier, &mut heads);
    }
    let tiles = Tiles::new(files, cached.iter().copied());
    let newest = examination.heads(&tiles, heads);
    if let Some(newest) = newest {
        examination.sweep(&tiles, &newest, &cached);
    }
    let mut database = examination.database;
    let forked = |head: &ExaminedHead| matches!(head.standing, HeadStanding::Forked { .. });
    if database.heads.iter().any(forked) {
        database.damaged.clear();
    }
    database
}

struct Examination<'a> {
    files: &'a dyn Files,
    root: &'a Path,
    database: Database,
}

impl Examination<'_> {
    fn odd_files(&mut self, listing: &Listing) {
        for (path, error) in &listing.unreadable {
            let finding = Finding::new(Rule::Unreadable, path, error);
            self.database
                .findings
                .push(finding.at(&self.root.join(path)));
        }
        let known = |file: &str| Tile::parse_path(file).is_some() || module_of(file).is_some();
        let strange = listing.files.keys().filter(|file| !known(file));
        for file in strange.chain(&listing.odd) {
            let message = "neither a record nor a tile of a checksum database";
            let finding = Finding::new(Rule::UnexpectedFile, file, message);
            self.database
                .findings
                .push(finding.at(&self.root.join(file)));
        }
    }

    /// Reads every lookup file; those that hold so far come back by tree head.
    fn lookups(&mut self, listing: &Listing, verifier: &Verifier) -> Heads {
        let mut heads = Heads::new();
        let mut notes = HashMap::new();
        for (file, _) in listing.files.iter().filter(|&(_, &bytes)| bytes > 0) {
            let Some(module) = module_of(file) else {
                continue;
            };
            match self.lookup(file, &module, verifier, &mut notes) {
                Ok((head, lookup)) => {
                    let key = std::cmp::Reverse((head.size, head.root.0));
                    let entry = heads
                        .entry(key)
                        .or_insert_with(|| (file.clone(), Vec::new()));
                    entry.1.push(lookup);
                }
                Err(damage) => self.contradict(module, damage),
            }
        }
        heads
    }

    fn lookup(
        &self,
        file: &str,
        module: &ModuleVersion,
        verifier: &Verifier,
        notes: &mut HashMap<Vec<u8>, TreeHead>,
    ) -> Result<(TreeHead, Lookup), Damage> {
        let damage = |message: String, expected: &str, actual: &str| Damage {
            files: vec![file.to_owned()],
            message,
            expected: expected.to_owned(),
            actual: actual.to_owned(),
        };
        let bytes = match self.files.read(file, MAX_LOOKUP) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => {
                return Err(damage(
                    "record cannot be read".into(),
                    "",
                    &error.to_string(),
                ));
            }
        };
        let record = Record::parse(&bytes)
            .filter(|_| bytes.len() <= MAX_LOOKUP)
            .ok_or_else(|| {
                damage(
                    "malformed record".into(),
                    "a number, go.sum lines, a tree note",
                    "",
                )
            })?;
        let head = match notes.get(record.note) {
            Some(&head) => head,
            None => {
                let head = open_head(record.note, verifier).map_err(|error| {
                    damage(
                        format!("record's tree note: {error}"),
                        &verifier.to_string(),
                        "",
                    )
                })?;
                notes.insert(record.note.to_vec(), head);
                head
            }
        };
        if record.id >= head.size {
            let expected = format!("a number below {}", head.size);
            let message = "record is not in the tree it came with";
            return Err(damage(message.into(), &expected, &record.id.to_string()));
        }
        let sums = sums(record.text, module);
        if sums.zip.is_none() && sums.go_mod.is_none() {
            let actual = record.text.lines().next().unwrap_or_default();
            let message = "record has no hash of this module version";
            return Err(damage(
                message.into(),
                &format!("{} {} h1:…", module.path, module.version),
                actual,
            ));
        }
        let lookup = Lookup {
            module: module.clone(),
            file: file.to_owned(),
            id: record.id,
            leaf: Hash::of_record(record.text.as_bytes()),
            sums,
        };
        Ok((head, lookup))
    }

    fn latest(&mut self, path: &Path, note: &[u8], verifier: &Verifier, heads: &mut Heads) {
        if note.is_empty() {
            return; // as Go sees it: nothing remembered yet
        }
        match open_head(note, verifier) {
            Ok(head) => {
                let key = std::cmp::Reverse((head.size, head.root.0));
                heads
                    .entry(key)
                    .or_insert_with(|| ("latest".to_owned(), Vec::new()));
            }
            Err(error) => {
                let message = format!("remembered tree note: {error}");
                let finding = Finding::new(Rule::SumdbMismatch, &self.database.name, message);
                let help = format!(
                    "`rm {}`: Go asks the database for its newest tree again. A trim leaves this file alone, as it lies outside the cache.",
                    shell_word(&display_path(path))
                );
                self.database.findings.push(finding.at(path).advise(help));
            }
        }
    }

    /// Holds every head against the newest one whose tiles are there, and every
    /// record against a head. Returns that newest tree.
    fn heads<'t>(&mut self, tiles: &'t Tiles<'t>, heads: Heads) -> Option<Tree<'t>> {
        let mut newest: Option<Tree<'t>> = None;
        // The last head that could not be reached from the newest one: another
        // way down to the older ones, since Go caches what it took to get from
        // each head to the next. With it goes the tile it is unlinked for.
        let mut nearest: Option<(Tree<'t>, String)> = None;
        for (std::cmp::Reverse((size, root)), (file, lookups)) in heads {
            let tree = TreeHead {
                size,
                root: Hash(root),
            };
            let mut own = None;
            let standing = match link(tree, newest.as_ref(), nearest.as_ref()) {
                Ok(standing) => standing,
                Err(failure) => match own.insert(Tree::new(tiles, tree)) {
                    Ok(_) if newest.is_none() => HeadStanding::Newest,
                    Err(failure) => self.unlinked(failure.clone()),
                    Ok(_) => failure.map_or(HeadStanding::Newest, |failure| self.unlinked(failure)),
                },
            };
            for lookup in lookups {
                let known = [newest.as_ref(), nearest.as_ref().map(|(tree, _)| tree)];
                let mut result = prove(&lookup, known.into_iter().flatten());
                if let HeadStanding::Forked { with, root } = standing {
                    result = Err(Some(Failure::Damaged(Damage {
                        files: vec![lookup.file.clone()],
                        message: format!(
                            "record came with a tree of {size} records that does not belong to the log of signed tree {}",
                            with.size
                        ),
                        expected: root.to_string(),
                        actual: tree.root.to_string(),
                    })));
                } else if let Err(failure) = result {
                    let own = own.get_or_insert_with(|| Tree::new(tiles, tree));
                    result = match own {
                        Ok(own) => prove(&lookup, [&*own]),
                        Err(failure) => Err(Some(failure.clone())),
                    }
                    .map_err(|own| worse(failure, own));
                }
                match result {
                    Ok(()) => {
                        let proven = Standpoint::Proven(lookup.sums);
                        self.database.records.insert(lookup.module, proven);
                    }
                    Err(Some(Failure::Damaged(damage))) => self.contradict(lookup.module, damage),
                    Err(failure) => {
                        let tile = match failure {
                            Some(Failure::Missing(tile)) => tile.path(),
                            _ => String::new(),
                        };
                        let missing = Standpoint::MissingTile(tile);
                        self.database.records.insert(lookup.module, missing);
                    }
                }
            }
            match (&standing, own) {
                (HeadStanding::Newest, Some(Ok(own))) => newest = Some(own),
                (HeadStanding::Unlinked { missing }, Some(Ok(own))) => {
                    nearest = Some((own, missing.clone()))
                }
                _ => {}
            }
            if let HeadStanding::Forked { with, root } = standing {
                self.fork(with, tree, root);
            }
            self.database.heads.push(ExaminedHead {
                tree,
                file,
                standing,
            });
        }
        newest
    }
}

impl Examination<'_> {
    /// The standing of a head that no other one could be held against.
    fn unlinked(&mut self, failure: Failure) -> HeadStanding {
        match failure {
            Failure::Missing(tile) => HeadStanding::Unlinked {
                missing: tile.path(),
            },
            Failure::Damaged(damage) => {
                self.blame(&self.database.name.clone(), &damage);
                HeadStanding::Broken
            }
        }
    }

    fn fork(&mut self, newer: TreeHead, older: TreeHead, older_in_newer: Hash) {
        let message = format!(
            "forked log: the signed tree of {} records does not continue the signed tree of {}",
            newer.size, older.size
        );
        let finding = Finding::new(Rule::SumdbMismatch, &self.database.name, message)
            .at(self.root)
            .differs(older.root, older_in_newer);
        self.database.findings.push(finding);
    }

    fn contradict(&mut self, module: ModuleVersion, damage: Damage) {
        self.blame(&module.to_string(), &damage);
        self.database
            .records
            .insert(module, Standpoint::Contradicted(damage));
    }

    /// Reports damage, once for the same files.
    fn blame(&mut self, subject: &str, damage: &Damage) {
        let told = &mut self.database.damaged;
        let known = damage.files.iter().any(|file| told.contains(file));
        told.extend(damage.files.iter().cloned());
        if known {
            return;
        }
        let mut message = damage.message.clone();
        if damage.files.len() > 1 {
            message = format!("{message}: one of {} is wrong", damage.files.join(", "));
        }
        let mut finding = Finding::new(Rule::SumdbMismatch, subject, message)
            .differs(&damage.expected, &damage.actual)
            .advise(REPAIR);
        // They go together.
        if let Some(file) = damage.files.first() {
            finding = finding.at(&self.root.join(file));
        }
        self.database.findings.push(finding);
    }

    /// Holds every cached tile against the newest tree, so that damage is found
    /// in tiles that no cached record needs but Go may.
    fn sweep(&mut self, tiles: &Tiles<'_>, newest: &Tree<'_>, cached: &[Tile]) {
        for &tile in cached {
            let Err(failure) = holds(tiles, newest, tile) else {
                continue;
            };
            if let Failure::Damaged(damage) = failure {
                self.blame(&self.database.name.clone(), &damage);
            }
        }
    }
}

/// Whether a cached tile has the hashes that a signed tree has in its place.
fn holds(tiles: &Tiles<'_>, newest: &Tree<'_>, tile: Tile) -> Result<(), Failure> {
    let shown = newest.tile(tile.level, tile.index)?;
    if tile.is_full() {
        return Ok(()); // it is the file that was read just now
    }
    let own = tiles.read_file(tile)?;
    let Some(at) = own
        .iter()
        .zip(shown.iter())
        .position(|(own, shown)| own != shown)
    else {
        return Ok(());
    };
    let text = |hashes: &[Hash]| hashes.get(at).map(Hash::to_string).unwrap_or_default();
    Err(Failure::Damaged(Damage {
        files: vec![tile.path()],
        message: format!(
            "hash {at} of the tile is not the one in signed tree {}",
            newest.head().size
        ),
        expected: text(&shown),
        actual: text(&own),
    }))
}

/// What to do about damaged files of a database.
const REPAIR: &str = "Run `gocachevet trim --repair`: Go fetches records and tiles again, but never replaces damaged ones.";

/// How `head` stands to the trees known so far. The error tells why it could
/// not be held against them, and is `None` if there are none.
fn link(
    head: TreeHead,
    newest: Option<&Tree<'_>>,
    nearest: Option<&(Tree<'_>, String)>,
) -> Result<HeadStanding, Option<Failure>> {
    let mut why = None;
    let known = newest
        .map(|tree| (tree, HeadStanding::Consistent))
        .into_iter();
    let known = known.chain(nearest.map(|(tree, missing)| {
        (
            tree,
            HeadStanding::Unlinked {
                missing: missing.clone(),
            },
        )
    }));
    for (tree, standing) in known {
        match tree.root_at(head.size) {
            Ok(root) if root == head.root => return Ok(standing),
            Ok(root) => {
                return Ok(HeadStanding::Forked {
                    with: tree.head(),
                    root,
                });
            }
            Err(failure) => why = why.or(Some(failure)),
        }
    }
    Err(why)
}

/// Shows that one of the trees holds the record.
fn prove<'t>(
    lookup: &Lookup,
    trees: impl IntoIterator<Item = &'t Tree<'t>>,
) -> Result<(), Option<Failure>> {
    let mut why = None;
    for tree in trees {
        if lookup.id >= tree.head().size {
            continue;
        }
        match tree.record(lookup.id) {
            Ok(leaf) if leaf == lookup.leaf => return Ok(()),
            Ok(leaf) => {
                return Err(Some(Failure::Damaged(Damage {
                    files: vec![lookup.file.clone()],
                    message: format!(
                        "record {} is not the one in signed tree {}",
                        lookup.id,
                        tree.head().size
                    ),
                    expected: leaf.to_string(),
                    actual: lookup.leaf.to_string(),
                })));
            }
            Err(failure) => why = worse(why, Some(failure)),
        }
    }
    Err(why)
}

/// Of two reasons why something was not shown, damage is the one to tell.
fn worse(one: Option<Failure>, other: Option<Failure>) -> Option<Failure> {
    match (one, other) {
        (Some(Failure::Missing(_)) | None, Some(other)) => Some(other),
        (one, _) => one,
    }
}

/// The hashes that a record has of a module version.
fn sums(text: &str, module: &ModuleVersion) -> Sums {
    let sum = |suffix: &str| {
        let prefix = format!("{} {}{suffix} ", module.path, module.version);
        let mut sums = text.lines().filter_map(|line| line.strip_prefix(&prefix));
        sums.find_map(|sum| sum.parse().ok())
    };
    Sums {
        zip: sum(""),
        go_mod: sum("/go.mod"),
    }
}

/// The tree head in a signed note.
pub(crate) fn open_head(note: &[u8], verifier: &Verifier) -> Result<TreeHead, NoteError> {
    TreeHead::parse(verifier.open(note)?).ok_or(NoteError::Malformed)
}

/// The module version that a lookup file is of (`sumdb/client.go:Lookup`).
fn module_of(file: &str) -> Option<ModuleVersion> {
    let (path, version) = file.strip_prefix("lookup/")?.rsplit_once('@')?;
    Some(ModuleVersion {
        path: unescape_path(path).ok()?,
        version: unescape_version(version).ok()?,
    })
}
