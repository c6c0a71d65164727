//! Proof from the checksum database, offline.
//!
//! Go keeps what it learned from the checksum database under
//! `cache/download/sumdb/<name>`: per module version a *record* (its lines of
//! go.sum) with a signed tree head, and the *tiles* of the log that show the
//! record to be in that tree. That is enough to prove, with nothing but the
//! database's public key, what the database says of a version.
//!
//! - [`setting`]: which database, which key (`GOSUMDB`).
//! - [`note`]: signed notes and keys. [`tlog`]: records, tree heads, tiles.
//! - `proof`: hashes shown to belong to a signed tree.
//! - [`database`]: all files of one database, examined.
//!
//! Sources: `cmd/go/internal/modfetch/sumdb.go`, `golang.org/x/mod/sumdb`.

pub mod database;
pub mod files;
pub mod note;
mod proof;
pub mod setting;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod tlog;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::findings::{Finding, Rule};
use crate::folder;
use crate::formats::h1::H1;
use crate::formats::module::ModuleVersion;
use database::{Database, Standpoint, Sums};
use files::{Files, SumdbFolder};
use setting::GoSumdb;

/// Longest `latest` that is read; a real one has some 200 bytes.
const MAX_NOTE: usize = 1 << 16;

/// What the cached files of all known databases show.
#[derive(Debug, Default)]
pub struct Sumdb {
    folder: PathBuf,
    /// The same, opened; `None` if it could not be.
    opened: Option<folder::Folder>,
    /// Where Go remembers the newest tree heads.
    latest: Option<PathBuf>,
    databases: Vec<Database>,
    findings: Vec<Finding>,
}

/// What the checksum database says of a module version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordProof {
    /// A signed tree holds the version's record, and it says the same.
    Proven(Sums),
    /// There is no saying.
    Unproven(Unproven),
    /// What is cached contradicts itself, or the version.
    Contradicted(Contradiction),
}

/// Why there is no saying.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// Go had no need to look the version up, or another cache has the record.
    #[error("no record cached")]
    NoRecord,
    /// The proof takes a tile that is not cached.
    #[error("no proof of the record: {0} is not cached")]
    MissingTile(String),
    /// The record is proven, but has no line for what was asked.
    #[error("the record has no such hash")]
    NoSuchHash,
}

/// What contradicts what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// The record is proven and says another hash.
    Hash {
        /// The database.
        database: String,
        /// Whether it is the go.mod's hash, not the zip's.
        go_mod: bool,
        /// The record's hash.
        expected: H1,
        /// The one asked about.
        actual: H1,
    },
    /// The record's proof does not hold; [`Sumdb::findings`] tells of it.
    Proof {
        /// The database.
        database: String,
        /// What is wrong, in a sentence that names the files.
        message: String,
    },
}

impl Sumdb {
    /// Examines the checksum database's files in a folder, `cache/download/sumdb`
    /// of a module cache, which is `opened` as that cache's folders are. `latest`
    /// is the folder where Go remembers the newest tree heads,
    /// `$GOPATH/pkg/sumdb`. Never fails: what could not be read is a finding.
    #[must_use]
    pub fn open(
        folder: PathBuf,
        opened: io::Result<folder::Folder>,
        latest: Option<&Path>,
        setting: &GoSumdb,
    ) -> Self {
        let mut sumdb = Self {
            folder,
            latest: latest.map(Path::to_owned),
            ..Self::default()
        };
        match opened {
            Ok(opened) => sumdb.opened = Some(opened),
            Err(error) if files::is_absent(&error) => {}
            Err(error) => {
                let finding = Finding::new(Rule::Unreadable, "sumdb", error.to_string());
                sumdb.findings.push(finding.at(&sumdb.folder));
            }
        }
        for verifier in setting.keys() {
            let root = sumdb.folder.join(verifier.name());
            let remembered = latest.map(|latest| latest.join(verifier.name()).join("latest"));
            let note = remembered
                .as_deref()
                .and_then(|path| match read_note(path) {
                    Ok(note) => note.map(|note| (path, note)),
                    Err(error) => {
                        let finding =
                            Finding::new(Rule::Unreadable, verifier.name(), error.to_string());
                        sumdb.findings.push(finding.at(path));
                        None
                    }
                });
            let notes: Vec<_> = note.iter().map(|(path, note)| (*path, &note[..])).collect();
            let files = sumdb.files(verifier.name());
            let database = database::examine(&files, &root, &notes, &verifier);
            sumdb.databases.push(database);
        }
        sumdb
    }

    /// What the files of databases show that were examined by the caller.
    pub(crate) fn of(databases: Vec<Database>) -> Self {
        Self {
            databases,
            ..Self::default()
        }
    }

    /// The files of a database.
    pub(crate) fn files(&self, name: &str) -> SumdbFolder {
        SumdbFolder(match &self.opened {
            Some(opened) => opened.descend(name.as_ref()),
            None => Err(io::ErrorKind::NotFound.into()),
        })
    }

    /// What the checksum database says of `module`, given the hashes of its zip
    /// (or tree) and go.mod as far as they are known.
    #[must_use]
    pub fn check(
        &self,
        module: &ModuleVersion,
        zip: Option<H1>,
        go_mod: Option<H1>,
    ) -> RecordProof {
        let mut proof = RecordProof::Unproven(Unproven::NoRecord);
        for database in &self.databases {
            let found = match database.records.get(module) {
                None => continue,
                Some(Standpoint::Proven(sums)) => compare(&database.name, *sums, zip, go_mod),
                Some(Standpoint::MissingTile(tile)) => {
                    RecordProof::Unproven(Unproven::MissingTile(tile.clone()))
                }
                Some(Standpoint::Contradicted(damage)) => {
                    RecordProof::Contradicted(Contradiction::Proof {
                        database: database.name.clone(),
                        message: format!("{}: {}", damage.message, damage.files.join(", ")),
                    })
                }
            };
            if rank(&found) > rank(&proof) {
                proof = found;
            }
        }
        proof
    }

    /// Cached files that do not hold and that Go would fetch again.
    pub fn damaged(&self) -> impl Iterator<Item = PathBuf> {
        let files = |database: &'_ Database| {
            let root = self.folder.join(&database.name);
            let paths = database.damaged.iter().map(|file| root.join(file));
            paths.collect::<Vec<_>>()
        };
        self.databases.iter().flat_map(files)
    }

    /// Whether any record is cached: whether Go ever asked a database.
    #[must_use]
    pub fn has_records(&self) -> bool {
        self.databases
            .iter()
            .any(|database| !database.records.is_empty())
    }

    /// The databases whose keys are known, and what their files show.
    #[must_use]
    pub fn databases(&self) -> &[Database] {
        &self.databases
    }

    /// The note of the newest tree head that is cached of a database, as it was
    /// signed. Heads that are known to be wrong do not count.
    #[must_use]
    pub fn newest_note(&self, name: &str) -> Option<Vec<u8>> {
        let database = self.databases.iter().find(|known| known.name == name)?;
        let holds = |head: &&database::ExaminedHead| {
            !matches!(
                head.standing,
                database::HeadStanding::Forked { .. } | database::HeadStanding::Broken
            )
        };
        let head = database.heads.iter().find(holds)?;
        if head.file == "latest" {
            return read_note(&self.latest.as_ref()?.join(name).join("latest")).ok()?;
        }
        let record = self.files(name).read(&head.file, MAX_NOTE).ok()??;
        Some(tlog::Record::parse(&record)?.note.to_vec())
    }

    /// Files that do not hold, forked logs, and what does not belong there.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().chain(
            self.databases
                .iter()
                .flat_map(|database| &database.findings),
        )
    }
}

/// Of what several databases say, a contradiction outweighs a proof.
fn rank(proof: &RecordProof) -> u8 {
    match proof {
        RecordProof::Unproven(Unproven::NoRecord) => 0,
        RecordProof::Unproven(_) => 1,
        RecordProof::Proven(_) => 2,
        RecordProof::Contradicted(_) => 3,
    }
}

fn compare(database: &str, sums: Sums, zip: Option<H1>, go_mod: Option<H1>) -> RecordProof {
    let mut missing = false;
    for (is_go_mod, known, asked) in [(false, sums.zip, zip), (true, sums.go_mod, go_mod)] {
        match (known, asked) {
            (Some(expected), Some(actual)) if expected != actual => {
                return RecordProof::Contradicted(Contradiction::Hash {
                    database: database.to_owned(),
                    go_mod: is_go_mod,
                    expected,
                    actual,
                });
            }
            (None, Some(_)) => missing = true,
            _ => {}
        }
    }
    if missing {
        RecordProof::Unproven(Unproven::NoSuchHash)
    } else {
        RecordProof::Proven(sums)
    }
}

fn read_note(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(None);
    };
    // Neither a link nor a pipe is what Go writes here.
    let file = match folder::Folder::open(folder).and_then(|folder| folder.file(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut note = Vec::new();
    file.take(MAX_NOTE as u64).read_to_end(&mut note)?;
    Ok(Some(note))
}
