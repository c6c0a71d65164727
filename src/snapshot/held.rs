//! Caches that lie on disk, held against the sealed manifests that restored them.

use super::beside;
use super::seal::{Sealed, Terms};
use super::{action_path, version_path};
use crate::bundle::frames::Frames;
use crate::bundle::manifest::{File as Listed, Manifest};
use crate::bundle::seal::Seal;
use crate::findings::{Finding, Level, Rule};
use crate::folder::ordinary;
use crate::formats::h1::H1;
use crate::formats::info::MAX_INFO_BYTES;
use crate::formats::module::{ModuleVersion, piece_name};
use crate::scan::{BuildCache, Inventory, ModCache};
use crate::usage::State;
use crate::usage::state::replace;
use crate::verify::Evidence;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Names that a finding gives of many.
const NAMED: usize = 5;

/// An entry is no longer, in bytes.
const MAX_ENTRY: u64 = 1 << 10;

/// Where the head of a bundle lies, beside the mark's state.
fn path(state: &Path, number: usize) -> PathBuf {
    beside(state, &format!(".sealed-{number}"))
}

/// Keeps the heads of the bundles that were restored: manifest and seal, as they are
/// packed. Those of an earlier restore go.
pub(crate) fn keep(state: &Path, heads: &[Vec<u8>]) -> io::Result<()> {
    for number in 0..2 {
        let path = path(state, number);
        match heads.get(number) {
            Some(head) => replace(&path, head)?,
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            },
        }
    }
    Ok(())
}

/// A head that was kept.
struct Head {
    manifest: Manifest,
    digest: String,
    seal: Option<Seal>,
}

/// `None` for what is not there or no head; what matters is whether a key signed it.
fn read(path: &Path) -> Option<Head> {
    let file = ordinary::open(path).ok()?;
    let (manifest, end) = Frames::manifest(&file).ok()??;
    let (manifest, digest) = Manifest::read(manifest.as_slice()).ok()?;
    let seal = Seal::read(&file, end).ok()?.map(|(seal, _)| seal);
    Some(Head {
        manifest,
        digest,
        seal,
    })
}

/// What is added or changed in the caches since what these keys sealed was restored
/// into them. Outputs and versions have been verified.
pub(crate) fn held(
    inventory: &Inventory,
    evidence: &Evidence,
    state: &Path,
    keys: &[String],
    now: i64,
) -> Vec<Finding> {
    let heads: Vec<Head> = (0..2).map_while(|it| read(&path(state, it))).collect();
    let bundles = heads.iter().map(|head| Sealed {
        manifest: &head.manifest,
        digest: &head.digest,
        seal: head.seal.as_ref(),
    });
    let bundles: Vec<Sealed<'_>> = bundles.collect();
    let said = heads
        .first()
        .and_then(|head| head.manifest.snapshot.as_ref());
    let terms = Terms {
        keys: keys.to_vec(),
        key: said.map(|said| said.key.clone()).unwrap_or_default(),
        ..Terms::default()
    };
    if let Err(why) = terms.check(&bundles, now) {
        let help = "Restore with `--sealed-by` at the start of this job, with the same `--state`.";
        return vec![(*why).advise(help)];
    }
    let mut held = Held {
        heads: &heads,
        files: HashMap::new(),
        state: State::read(state).ok(),
        findings: Vec::new(),
        added: Vec::new(),
        made: Vec::new(),
    };
    for head in &heads {
        let files = head.manifest.files.iter();
        held.files
            .extend(files.map(|file| (file.path.as_str(), file)));
    }
    if let Some(cache) = &inventory.buildcache {
        held.builds(cache, evidence);
    }
    if let Some(cache) = &inventory.modcache {
        held.modules(cache, evidence);
    }
    held.told()
}

struct Held<'a> {
    heads: &'a [Head],
    files: HashMap<&'a str, &'a Listed>,
    /// What there was when the job began to build.
    state: Option<State>,
    findings: Vec<Finding>,
    /// What is not in the sealed manifests, and was there before the build.
    added: Vec<String>,
    /// The same, made since.
    made: Vec<String>,
}

impl Held<'_> {
    fn builds(&mut self, cache: &BuildCache, evidence: &Evidence) {
        for action in &cache.actions {
            let id = action.id;
            let Some(listed) = self.files.get(action_path(id).as_str()) else {
                let marked = self.state.as_ref();
                let was_there = marked.is_none_or(|state| state.action(id).is_some());
                self.extra(format!("action entry {id}"), was_there);
                continue;
            };
            let read = || {
                let file = cache.shard(&id.shard())?.file(format!("{id}-a").as_ref())?;
                let mut content = Vec::new();
                file.take(MAX_ENTRY).read_to_end(&mut content)?;
                io::Result::Ok(Sha256::digest(&content).into())
            };
            if !read().is_ok_and(|sha256: [u8; 32]| sha256 == listed.sha256) {
                self.changed(format!("action entry {id}"));
            }
        }
        for id in &evidence.damaged_outputs {
            if self
                .files
                .contains_key(format!("gocache/{}/{id}-d", id.shard()).as_str())
            {
                self.changed(format!("build output {id}"));
            }
        }
    }

    fn modules(&mut self, cache: &ModCache, evidence: &Evidence) {
        for version in &cache.versions {
            let id = &version.id;
            let proof = evidence.versions.get(id);
            let hashes = proof.map(|proof| proof.hashes).unwrap_or_default();
            let was_there = |what: fn(&crate::usage::state::MarkedVersion) -> bool| {
                let marked = self.state.as_ref();
                marked.is_none_or(|it| it.head.versions.get(&id.to_string()).is_some_and(what))
            };
            let (source, go_mod) = (
                was_there(|there| there.zip || there.tree),
                was_there(|there| there.go_mod),
            );
            let listed = self.heads.iter().find_map(|head| head.manifest.module(id));
            match listed {
                Some(listed) => {
                    let differs = |h1: Option<H1>| h1.is_some_and(|h1| h1.to_string() != listed.h1);
                    if differs(hashes.zip) || differs(hashes.tree) {
                        self.changed(id.to_string());
                    }
                }
                None if version.has_source() => self.extra(id.to_string(), source),
                None => {}
            }
            let listed = self.heads.iter().find_map(|head| head.manifest.go_mod(id));
            match (listed, version.go_mod) {
                (Some(listed), Some(_)) => {
                    if hashes.go_mod.is_some_and(|h1| h1.to_string() != listed.h1) {
                        self.changed(format!("go.mod of {id}"));
                    }
                }
                (None, Some(_)) => self.extra(format!("go.mod of {id}"), go_mod),
                (_, None) => {}
            }
            if let (Some(_), Some(listed)) = (
                version.info,
                self.files.get(version_path(id, "info").as_str()),
            ) {
                self.info(cache, id, listed.sha256);
            }
        }
    }

    fn info(&mut self, cache: &ModCache, id: &ModuleVersion, sha256: [u8; 32]) {
        let read = || {
            let name = piece_name(id, "info").map_err(io::Error::other)?;
            let place = Path::new("cache/download").join(name);
            let root = cache.folders.as_ref().ok_or(io::ErrorKind::NotFound)?;
            let (folder, name) = root.parent(&place)?;
            let mut content = Vec::new();
            let limit = MAX_INFO_BYTES as u64 + 1;
            folder.file(&name)?.take(limit).read_to_end(&mut content)?;
            io::Result::Ok(Sha256::digest(&content).into())
        };
        if !read().is_ok_and(|found: [u8; 32]| found == sha256) {
            self.changed(format!(".info of {id}"));
        }
    }

    fn changed(&mut self, subject: String) {
        let message = "is not what was sealed";
        self.findings
            .push(Finding::new(Rule::SealBrokenUnit, subject, message));
    }

    fn extra(&mut self, subject: String, was_there: bool) {
        match was_there {
            true => self.added.push(subject),
            false => self.made.push(subject),
        }
    }

    fn told(mut self) -> Vec<Finding> {
        let kinds = [
            (
                self.added,
                Level::Deny,
                "in the caches before the build, and in no sealed snapshot",
            ),
            (
                self.made,
                Level::Note,
                "made since the sealed snapshot was restored",
            ),
        ];
        for (units, level, what) in kinds {
            if units.is_empty() {
                continue;
            }
            let more = units.len().saturating_sub(NAMED);
            let mut names = units.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
            if more > 0 {
                names.push_str(&format!(", and {more} more"));
            }
            let message = format!("{what}: {names}");
            self.findings.push(Finding {
                level,
                ..Finding::new(Rule::SealMissing, "units of the caches", message)
            });
        }
        self.findings
    }
}
