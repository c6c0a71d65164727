//! The ledger: what jobs used, carried along with the cache.
//!
//! It lies under the module cache's `cache/`, or in a lone build cache, where Go
//! leaves it alone. Whoever can write the cache can write it: its numbers steer
//! what is kept, and are never taken as proof of anything.

mod recall;
mod record;

pub use recall::trim_stuck;
pub use record::JobRecord;

use super::state::write_whole;
use crate::error::chain;
use crate::findings::{Finding, Rule};
use crate::folder::{Folder, Kind};
use crate::formats::action::ActionId;
use crate::scan::Inventory;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

const SCHEMA: &str = "gocachevet.ledger/1";

/// The file's name.
pub const NAME: &str = "gocachevet-ledger.json";

/// What a ledger that cannot be used is renamed to.
const SET_ASIDE: &str = "gocachevet-ledger.set-aside.json";

/// Longest ledger that is read or written: what makes it longer is forgotten,
/// what was used longest ago first.
pub const MAX_BYTES: u64 = 64 << 20;

/// Hit counts go back so many days.
const DAYS: usize = 7;

/// What jobs used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    schema: String,
    /// The last jobs, oldest first.
    pub jobs: Vec<Job>,
    /// Module versions by `path@version`.
    pub versions: BTreeMap<String, LedgerUnit>,
    /// Action entries by ID.
    pub actions: BTreeMap<String, LedgerUnit>,
    /// The projects that used the cache, by the module path they declare.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub projects: BTreeMap<String, LedgerProject>,
    /// How often jobs of each name used the caches; jobs that CI gives no name
    /// have the empty one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, Runs>,
}

/// The jobs of a name that used anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs {
    /// A number that stands for the name.
    pub id: u32,
    /// How many there were.
    pub count: u64,
    /// When the last of them was recorded.
    pub at: DateTime<Utc>,
}

/// What a project's last recorded job needed, beside the source of the units
/// that name it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LedgerProject {
    /// When that was.
    pub seen: DateTime<Utc>,
    /// Versions of which it needs `.mod` and `.info` alone.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub go_mods: BTreeSet<String>,
    /// Toolchains that it names.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub toolchains: BTreeSet<String>,
    /// Why this is not all that it needs, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its number, counted from 1.
    pub job: u64,
    /// When it was recorded.
    pub at: DateTime<Utc>,
    /// Bytes of both caches.
    pub bytes: u64,
    /// Hits in both caches; `None` if unknown.
    pub hits: Option<u64>,
    /// Misses in both caches.
    pub misses: Option<u64>,
    /// When Go had last trimmed the build cache, as of the mark.
    pub trimmed: Option<DateTime<Utc>>,
    /// When the mark was set.
    pub marked: Option<DateTime<Utc>>,
    /// Seconds since the oldest unit was last used.
    pub oldest: Option<i64>,
    /// What CI calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Use of a unit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LedgerUnit {
    /// The last job that used it.
    pub job: u64,
    /// When that was.
    pub at: DateTime<Utc>,
    /// Uses of the last seven days, today's first.
    pub days: [u16; DAYS],
    /// Its bytes.
    pub bytes: u64,
    /// Its `h1:` hash as its `.ziphash` has it, else the projects' go.sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub h1: Option<String>,
    /// The `h1:` hash of its go.mod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go_mod: Option<String>,
    /// Bytes of its zip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zip: Option<u64>,
    /// The commit it was made from, as its `.info` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// When that commit was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<DateTime<Utc>>,
    /// The projects that need it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<String>,
    /// By the numbers of jobs' names: which of their jobs used it last, counted
    /// from 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<(u32, u64)>,
}

/// Why a ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Its folder cannot be reached.
    #[error("cannot be reached")]
    Unreachable(#[source] io::Error),
    /// It cannot be read.
    #[error("cannot be read")]
    Unreadable(#[source] io::Error),
    /// Something else lies in its place.
    #[error("is not a regular file")]
    NoFile,
    /// It is longer than [`MAX_BYTES`].
    #[error("is too long")]
    TooLong,
    /// Another version wrote it.
    #[error("is of another version of gocachevet")]
    Version,
    /// It is no JSON, or not such JSON.
    #[error("is damaged")]
    Malformed(#[from] serde_json::Error),
    /// What it says cannot be.
    #[error("is damaged")]
    Inconsistent,
}

/// Where the ledger of these caches lies: its path, and the folder, opened as the
/// cache's folders are. It is read and written there or nowhere.
pub fn place(inventory: &Inventory) -> Option<(PathBuf, io::Result<Folder>)> {
    match (&inventory.modcache, &inventory.buildcache) {
        (Some(cache), _) => {
            let folder = cache
                .folders()
                .and_then(|root| root.folder("cache".as_ref()));
            Some((cache.root.join("cache").join(NAME), folder))
        }
        (None, Some(cache)) => {
            let folder = cache.folders().and_then(|root| root.top().again());
            Some((cache.root.join(NAME), folder))
        }
        (None, None) => None,
    }
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger {
            schema: SCHEMA.to_owned(),
            jobs: Vec::new(),
            versions: BTreeMap::new(),
            actions: BTreeMap::new(),
            projects: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }
}

impl Ledger {
    /// Reads the ledger in a folder; an empty one if there is none.
    pub fn read(folder: &Folder) -> Result<Ledger, LedgerError> {
        match folder.stat(NAME.as_ref()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ledger::default()),
            Err(error) => return Err(LedgerError::Unreadable(error)),
            Ok(stat) if stat.kind != Kind::File => return Err(LedgerError::NoFile),
            Ok(_) => {}
        }
        let bytes = folder.read_up_to(NAME.as_ref(), MAX_BYTES);
        Ledger::parse(&bytes.map_err(LedgerError::Unreadable)?)
    }

    /// Reads a ledger's content.
    pub fn parse(bytes: &[u8]) -> Result<Ledger, LedgerError> {
        #[derive(Deserialize)]
        struct Version {
            schema: String,
        }
        if bytes.len() as u64 > MAX_BYTES {
            return Err(LedgerError::TooLong);
        }
        let Version { schema } = serde_json::from_slice(bytes)?;
        if schema != SCHEMA {
            return Err(LedgerError::Version);
        }
        let ledger: Ledger = serde_json::from_slice(bytes)?;
        let sorted = ledger.jobs.is_sorted_by(|a, b| a.job < b.job);
        let mut ids = ledger.actions.keys();
        let named = ids.all(|id| id.parse::<ActionId>().is_ok());
        let last = ledger.jobs.last().map_or(0, |job| job.job);
        if !sorted || !named || last == u64::MAX {
            return Err(LedgerError::Inconsistent);
        }
        Ok(ledger)
    }

    /// Writes the ledger whole or not at all, and no longer than it is read.
    pub fn write(&self, folder: &Folder) -> io::Result<()> {
        write_whole(folder, NAME.as_ref(), &self.to_bytes(MAX_BYTES)?)
    }

    /// The file's content: with fewer units where all of them are too long.
    fn to_bytes(&self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        let mut smaller = self.clone();
        let mut units = self.versions.len().max(self.actions.len());
        while bytes.len() as u64 > limit && units > 0 {
            units /= 2;
            bound(&mut smaller.versions, units, |unit| unit.at);
            bound(&mut smaller.actions, units, |unit| unit.at);
            bound(&mut smaller.projects, units, |project| project.seen);
            bytes = serde_json::to_vec(&smaller)?;
        }
        Ok(bytes)
    }
}

fn days_between(from: DateTime<Utc>, to: DateTime<Utc>) -> usize {
    usize::try_from((to.date_naive() - from.date_naive()).num_days()).unwrap_or(0)
}

/// Forgets all but the newest `limit`.
fn bound<T>(things: &mut BTreeMap<String, T>, limit: usize, at: impl Fn(&T) -> DateTime<Utc>) {
    if things.len() <= limit {
        return;
    }
    let mut times: Vec<(DateTime<Utc>, String)> = things
        .iter()
        .map(|(name, thing)| (at(thing), name.clone()))
        .collect();
    times.sort_by(|a, b| b.cmp(a));
    for (_, name) in times.drain(limit..) {
        things.remove(&name);
    }
}

/// A finding about a ledger that cannot be used.
pub fn unusable(path: &Path, why: &LedgerError) -> Finding {
    let why = chain(why);
    let message = format!("the ledger {why}; what earlier jobs used is not known");
    Finding::new(Rule::LedgerInvalid, NAME, message).at(path)
}

/// Puts a ledger that cannot be used out of the way.
pub fn set_aside(folder: &Folder) -> io::Result<()> {
    folder.rename(NAME.as_ref(), SET_ASIDE.as_ref())
}

#[cfg(test)]
mod tests {
    use super::record::{MAX_JOBS, MAX_NAMES};
    use super::*;
    use crate::drift::Accounts;
    use crate::formats::gosum::MergedSums;
    use crate::formats::module::ModuleVersion;
    use crate::needs::Needs;
    use crate::scan::{Action, BuildCache};
    use crate::usage::Observed;
    use proptest::prelude::*;

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000_000 + day * 86_400, 0).unwrap()
    }

    fn inventory(ids: &[u8], trimmed: i64) -> Inventory {
        let action = |n: &u8| Action {
            id: ActionId([*n; 32]),
            entry: None,
            bytes: 175,
            modified: at(trimmed - 1),
            foreign: false,
        };
        Inventory {
            buildcache: Some(BuildCache {
                actions: ids.iter().map(action).collect(),
                trimmed: Some(at(trimmed)),
                ..BuildCache::default()
            }),
            ..Inventory::default()
        }
    }

    fn job(ledger: &mut Ledger, ids: &[u8], used: &[u8], day: i64, trimmed: i64) {
        named(ledger, "", ids, used, day, trimmed);
    }

    fn named(ledger: &mut Ledger, name: &str, ids: &[u8], used: &[u8], day: i64, trimmed: i64) {
        let observed = Observed {
            usage: crate::report::Usage {
                since: at(day),
                modcache: None,
                buildcache: None,
            },
            unknown: Default::default(),
            unseen: Vec::new(),
            why_unseen: None,
            actions: used.iter().map(|n| ActionId([*n; 32])).collect(),
            versions: Vec::new(),
            true_times: Default::default(),
            growth: 0,
            trimmed: Some(at(trimmed)),
        };
        let record = JobRecord {
            inventory: &inventory(ids, trimmed),
            observed: Some(&observed),
            name,
            bytes: 1,
            oldest: None,
            projects: &[],
            sums: &MergedSums::new(),
            accounts: &Accounts::new(),
        };
        ledger.record(&record, at(day));
    }

    #[test]
    fn counts_uses_by_day_and_forgets_what_is_gone() {
        let mut ledger = Ledger::default();
        job(&mut ledger, &[1, 2, 3], &[1, 2], 0, 0);
        job(&mut ledger, &[1, 2, 3], &[1], 0, 0);
        job(&mut ledger, &[1, 3], &[1], 2, 0);
        let one = &ledger.actions[&ActionId([1; 32]).to_string()];
        assert_eq!((one.job, one.days), (3, [1, 0, 2, 0, 0, 0, 0]));
        assert_eq!(ledger.actions.len(), 1);
        job(&mut ledger, &[1], &[], 30, 0);
        let one = &ledger.actions[&ActionId([1; 32]).to_string()];
        assert_eq!((one.job, one.days), (3, [0; 7]));
        // The last job used nothing, and does not count.
        assert_eq!(ledger.used_in_last(0, at(0)).1, []);
        assert_eq!(ledger.used_in_last(1, at(0)).1, [ActionId([1; 32])]);
        assert_eq!(ledger.used_in_last(1, at(3)).1, []);
        let bytes = serde_json::to_vec(&ledger).unwrap();
        assert_eq!(Ledger::parse(&bytes).unwrap(), ledger);
    }

    #[test]
    fn jobs_are_counted_by_their_names() {
        let mut ledger = Ledger::default();
        let id = |n: u8| ActionId([n; 32]);
        let all = [1, 2, 3];
        named(&mut ledger, "test", &all, &[1, 2], 0, 0);
        for _ in 0..30 {
            named(&mut ledger, "vet", &all, &[2, 3], 1, 0);
        }
        named(&mut ledger, "docs", &all, &[], 1, 0);
        assert_eq!(ledger.used_in_last(1, at(0)).1, [id(1), id(2), id(3)]);
        // Of the last job of `test` only the time is asked for.
        assert_eq!(ledger.used_in_last(1, at(1)).1, [id(2), id(3)]);
        named(&mut ledger, "test", &all, &[2], 2, 0);
        assert_eq!(ledger.used_in_last(1, at(0)).1, [id(2), id(3)]);
        assert_eq!(ledger.used_in_last(2, at(0)).1, [id(1), id(2), id(3)]);
        let bytes = serde_json::to_vec(&ledger).unwrap();
        assert_eq!(Ledger::parse(&bytes).unwrap(), ledger);
        // So many names, and none keeps the number of one that was forgotten.
        for number in 0..200 {
            named(&mut ledger, &format!("job {number}"), &all, &[3], 3, 0);
        }
        let ids: BTreeSet<u32> = ledger.names.values().map(|runs| runs.id).collect();
        assert_eq!((ledger.names.len(), ids.len()), (MAX_NAMES, MAX_NAMES));
        assert!(
            ledger
                .actions
                .values()
                .all(|unit| unit.by.len() <= MAX_NAMES)
        );
    }

    #[test]
    fn a_ledger_from_before_jobs_had_names_counts_on() {
        let mut ledger = Ledger::default();
        job(&mut ledger, &[1, 2], &[1], 0, 0);
        job(&mut ledger, &[1, 2], &[2], 0, 0);
        ledger.names.clear();
        for unit in ledger.actions.values_mut() {
            unit.by.clear();
        }
        for (job, hits) in ledger.jobs.iter_mut().zip([7, 0]) {
            (job.hits, job.misses) = (Some(hits), Some(0));
        }
        let all = [ActionId([1; 32]), ActionId([2; 32])];
        assert_eq!(ledger.used_in_last(1, at(0)).1, all);
        assert_eq!(ledger.used_in_last(0, at(0)).1, []);
    }

    #[test]
    fn remembers_so_many_jobs() {
        let mut ledger = Ledger::default();
        for day in 0..100 {
            job(&mut ledger, &[1], &[1], day, day);
        }
        assert_eq!(ledger.jobs.len(), MAX_JOBS);
        assert_eq!(ledger.jobs.last().unwrap().job, 100);
    }

    #[test]
    fn remembers_what_projects_need_until_they_say_otherwise() {
        let version = |name: &str| name.parse::<ModuleVersion>().unwrap();
        let (one, two) = (version("a.b/one@v1.0.0"), version("a.b/two@v1.0.0"));
        let cached = |id: &ModuleVersion| crate::scan::Version {
            id: id.clone(),
            kind: crate::scan::VersionKind::Module,
            info: None,
            go_mod: None,
            zip: Some(crate::scan::Piece {
                bytes: 1,
                modified: at(0),
            }),
            ziphash: None,
            lock: None,
            linked: false,
            partial: None,
            tree: None,
        };
        let inventory = Inventory {
            modcache: Some(crate::scan::ModCache {
                versions: vec![cached(&one), cached(&two)],
                ..Default::default()
            }),
            ..Inventory::default()
        };
        let mut ledger = Ledger::default();
        let mut record = |project: &str, source: &[&ModuleVersion], day| {
            let needs = Needs {
                project: project.to_owned(),
                source: source.iter().map(|id| (*id).clone()).collect(),
                go_mods: [one.clone(), version("a.b/mod@v1.0.0")].into(),
                toolchains: ["go1.24.1".to_owned()].into(),
                ..Needs::default()
            };
            let record = JobRecord {
                inventory: &inventory,
                observed: None,
                name: "",
                bytes: 1,
                oldest: None,
                projects: &[needs],
                sums: &MergedSums::new(),
                accounts: &Accounts::new(),
            };
            ledger.record(&record, at(day));
            let bytes = serde_json::to_vec(&ledger).unwrap();
            ledger = Ledger::parse(&bytes).unwrap();
            ledger.needs()
        };
        record("p", &[&one], 0);
        let known = record("q", &[&one, &two], 1);
        assert_eq!(known["p"].source, [one.clone()].into());
        assert_eq!(known["p"].last_seen, Some(at(0)));
        assert_eq!(known["q"].source, [one.clone(), two.clone()].into());
        assert_eq!(known["q"].go_mods, [version("a.b/mod@v1.0.0")].into());
        assert!(known["q"].toolchains.contains("go1.24.1"));
        let known = record("q", &[&two], 2);
        assert_eq!(known["q"].source, [two.clone()].into());
        assert_eq!(known["p"].source, [one.clone()].into());
    }

    #[test]
    fn is_never_longer_than_what_is_read() {
        let mut ledger = Ledger::default();
        let ids: Vec<u8> = (0..200).collect();
        job(&mut ledger, &ids, &ids[..100], 0, 0);
        job(&mut ledger, &ids, &ids[100..], 1, 0);
        let all = ledger.to_bytes(MAX_BYTES).unwrap().len() as u64;
        for limit in [all, all - 1, all / 3, 1_000] {
            let bytes = ledger.to_bytes(limit).unwrap();
            assert!(bytes.len() as u64 <= limit, "{limit}");
            let kept = Ledger::parse(&bytes).unwrap();
            assert_eq!(kept.jobs, ledger.jobs);
            assert_eq!(kept == ledger, limit == all);
            // The last used are kept, down to the half of them.
            let newest = kept.actions.values().filter(|unit| unit.job == 2);
            assert!(kept.actions.len() > 100 || newest.count() == kept.actions.len());
        }
        // Used in the same moment: so many are kept all the same.
        bound(&mut ledger.actions, 150, |unit| unit.at);
        assert_eq!(ledger.actions.len(), 150);
    }

    #[test]
    fn go_trim_is_stuck_in_three_ways() {
        let mut ledger = Ledger::default();
        let told = |ledger: &Ledger, inventory: &Inventory, day: i64| {
            trim_stuck(inventory, ledger, at(day)).map(|finding| finding.message)
        };
        assert_eq!(told(&ledger, &inventory(&[1], 0), 1), None);
        assert!(
            told(&ledger, &inventory(&[1], 9), 1)
                .unwrap()
                .contains("future")
        );
        let mut left = inventory(&[1], 0);
        left.buildcache.as_mut().unwrap().actions[0].modified = at(-6);
        assert!(told(&ledger, &left, 1).unwrap().starts_with("1 action"));
        for day in 0..3 {
            job(&mut ledger, &[1], &[1], day, day);
        }
        assert!(
            told(&ledger, &inventory(&[1], 2), 3)
                .unwrap()
                .contains("every mark")
        );
        job(&mut ledger, &[1], &[1], 5, 3);
        assert_eq!(told(&ledger, &inventory(&[1], 3), 5), None);
    }

    #[test]
    fn a_damaged_hostile_or_future_ledger_is_refused() {
        for content in [
            "",
            "{}",
            "[1]",
            r#"{"schema":"gocachevet.ledger/2"}"#,
            r#"{"schema":"gocachevet.ledger/1","jobs":[],"versions":{},"actions":{"../x":{"job":1,"at":"2026-01-01T00:00:00Z","days":[0,0,0,0,0,0,0],"bytes":1}}}"#,
            r#"{"schema":"gocachevet.ledger/1","jobs":[{"job":18446744073709551615,"at":"2026-01-01T00:00:00Z","bytes":1}],"versions":{},"actions":{}}"#,
        ] {
            assert!(Ledger::parse(content.as_bytes()).is_err(), "{content}");
        }
        let deep = "[".repeat(100_000);
        assert!(Ledger::parse(deep.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = Ledger::parse(&bytes);
        }
    }
}
