//! What proves a module of a snapshot: go.sum, and the checksum database's
//! records that came along.

use super::Snapshot;
use crate::bundle::layout::Role;
use crate::bundle::read::{Member, Stop, members};
use crate::findings::{Finding, Rule};
use crate::formats::gosum::{MergedSums, SumClaim, agreed};
use crate::formats::h1::H1;
use crate::formats::module::{ModuleVersion, match_prefix_patterns};
use crate::sumdb::database::examine;
use crate::sumdb::files::{Files, Listing};
use crate::sumdb::note::Verifier;
use crate::sumdb::{Contradiction, RecordProof, Sumdb};
use crate::verify::Witness;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::Path;

/// Below this folder of a bundle lie the databases.
pub(super) const SUMDB: &str = "modcache/cache/download/sumdb/";

/// What all files of all databases may have together, in bytes.
const MAX_BYTES: u64 = 256 << 20;

/// Who vouches for modules.
pub(crate) struct Trust {
    sums: MergedSums,
    sumdb: Sumdb,
    /// Module paths for which Go asks no database.
    exempt: String,
    /// Files of the databases that hold, by their names in the bundle.
    sound: BTreeSet<String>,
    /// Where the databases lie in the bundle that Go asks.
    asked: Vec<String>,
    /// What is wrong with the others.
    pub(super) findings: Vec<Finding>,
}

impl Trust {
    /// Examines the records that a snapshot brings, before anything of it is
    /// unpacked.
    pub(crate) fn of(
        snapshot: &Snapshot,
        sums: MergedSums,
        keys: &[Verifier],
        exempt: String,
    ) -> Trust {
        let files = files(snapshot);
        let mut databases = Vec::new();
        let (mut sound, mut findings, mut asked) = (BTreeSet::new(), Vec::new(), Vec::new());
        for key in keys {
            let top = format!("{SUMDB}{}/", key.name());
            let below = files.range(top.clone()..);
            let below = below.map_while(|(name, bytes)| Some((name.strip_prefix(&top)?, bytes)));
            let brought = Brought(below.collect());
            let database = examine(&brought, Path::new(&top), &[], key);
            // What does not hold and is not one file's fault is a fork of the log.
            let is_forked = database.damaged.is_empty() && !database.findings.is_empty();
            if !is_forked {
                let holds = |name: &&&str| !database.damaged.contains(**name);
                let names = brought.0.keys().filter(holds);
                sound.extend(names.map(|name| format!("{top}{name}")));
            }
            findings.extend(database.findings.iter().cloned());
            databases.push(database);
            asked.push(top.clone());
        }
        tracing::debug!("{} files of checksum databases hold", sound.len());
        Trust {
            sums,
            sumdb: Sumdb::of(databases),
            exempt,
            sound,
            asked,
            findings,
        }
    }

    /// Whether a file of a checksum database holds; `None` for one that Go does
    /// not ask.
    pub(super) fn is_sound(&self, path: &str) -> Option<bool> {
        let is_asked = self.asked.iter().any(|top| path.starts_with(top));
        is_asked.then(|| self.sound.contains(path))
    }

    /// Who says that a zip is this version's; nobody knows better if `None`.
    pub(super) fn zip(&self, id: &ModuleVersion, h1: H1) -> Result<Option<Witness>, Box<Finding>> {
        if !self.is_exempt(id)
            && let Some(source) = recorded(id, self.sumdb.check(id, Some(h1), None))?
        {
            return Ok(Some(source));
        }
        if id.is_toolchain() {
            let message = "no record of the checksum database proves it: it was left out";
            let finding = Finding::new(Rule::ToolchainUnproven, id.to_string(), message);
            return Err(Box::new(finding));
        }
        self.listed(id, h1, self.sums.zip(id), Rule::ZipHashMismatch)
    }

    /// The same of a go.mod.
    pub(super) fn go_mod(
        &self,
        id: &ModuleVersion,
        h1: H1,
    ) -> Result<Option<Witness>, Box<Finding>> {
        if !self.is_exempt(id)
            && let Some(source) = recorded(id, self.sumdb.check(id, None, Some(h1)))?
        {
            return Ok(Some(source));
        }
        self.listed(id, h1, self.sums.go_mod(id), Rule::ModHashMismatch)
    }

    fn is_exempt(&self, id: &ModuleVersion) -> bool {
        !id.is_toolchain() && match_prefix_patterns(&self.exempt, &id.path)
    }

    fn listed(
        &self,
        id: &ModuleVersion,
        h1: H1,
        claims: &[SumClaim],
        rule: Rule,
    ) -> Result<Option<Witness>, Box<Finding>> {
        match agreed(claims) {
            None => Ok(None),
            Some(listed) if listed == h1 => Ok(Some(Witness::GoSum)),
            Some(listed) => {
                let message = "is not what go.sum says: it was left out";
                Err(Box::new(
                    Finding::new(rule, id.to_string(), message).differs(listed, h1),
                ))
            }
        }
    }
}

fn recorded(id: &ModuleVersion, proof: RecordProof) -> Result<Option<Witness>, Box<Finding>> {
    match proof {
        RecordProof::Proven(_) => Ok(Some(Witness::Sumdb)),
        // Its record was left out, and proves nothing.
        RecordProof::Unproven(_) | RecordProof::Contradicted(Contradiction::Proof { .. }) => {
            Ok(None)
        }
        RecordProof::Contradicted(Contradiction::Hash {
            database,
            expected,
            actual,
            ..
        }) => {
            let message = format!("is not what {database} says: it was left out");
            let finding = Finding::new(Rule::SumdbMismatch, id.to_string(), message);
            Err(Box::new(finding.differs(expected, actual)))
        }
    }
}

/// The databases' files. What cannot be read is left out here and told of when
/// it is unpacked; a record that is not there proves nothing.
fn files(snapshot: &Snapshot) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut room = MAX_BYTES;
    let kept = snapshot.kept();
    for bundle in snapshot.bundles() {
        let is_record = |path: &str| {
            path.starts_with(SUMDB) && kept.get(path).is_some_and(|kept| kept.is_in(bundle))
        };
        let listed = bundle.manifest.files.iter();
        let frames: BTreeSet<u32> = listed
            .filter(|file| is_record(&file.path))
            .filter_map(|file| file.frame)
            .collect();
        for frame in frames {
            let Ok(content) = bundle.frames.content(frame as usize, &bundle.manifest) else {
                continue;
            };
            let mut archive = tar::Archive::new(content);
            let Ok(entries) = archive.entries() else {
                continue;
            };
            let read = members(entries.raw(true), |path, member| {
                let Member::File(bytes, _, content) = member else {
                    return Ok(());
                };
                let at = bundle.manifest.position(path).filter(|_| is_record(path));
                let role = at.and_then(|at| bundle.roles.get(at));
                let is_small = matches!(role, Some(Role::Lookup(_) | Role::Hashed));
                if is_small && bytes <= room {
                    let mut all = Vec::new();
                    content.take(bytes).read_to_end(&mut all)?;
                    room -= bytes;
                    files.insert(path.to_owned(), all);
                }
                Ok::<(), Stop>(())
            });
            if read.is_err() {
                tracing::debug!("frame {frame} of {} ends early", bundle.digest);
            }
        }
    }
    files
}

/// A database's files, as they came.
struct Brought<'a>(BTreeMap<&'a str, &'a Vec<u8>>);

impl Files for Brought<'_> {
    fn list(&self) -> Listing {
        let files = self.0.iter();
        Listing {
            files: files
                .map(|(name, bytes)| ((*name).to_owned(), bytes.len() as u64))
                .collect(),
            ..Listing::default()
        }
    }

    fn read(&self, file: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let bytes = self.0.get(file);
        // One more than the limit tells that there is more.
        Ok(bytes.and_then(|bytes| bytes.get(..bytes.len().min(limit + 1)).map(<[u8]>::to_vec)))
    }
}
