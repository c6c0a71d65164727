//! The ledger: what jobs used, carried along with the cache.
//!
//! It lies under the module cache's `cache/`, or in a lone build cache, where Go
//! leaves it alone. Whoever can write the cache can write it: its numbers steer
//! what is kept, and are never taken as proof of anything.

use super::Observed;
use super::state::write_whole;
use crate::drift::{Account, Accounts};
use crate::findings::{Finding, Rule, display_path, shell_word};
use crate::folder::{Folder, Kind};
use crate::formats::action::ActionId;
use crate::formats::gosum::{MergedSums, agreed};
use crate::formats::h1::H1;
use crate::formats::module::ModuleVersion;
use crate::report::JobPoint;
use crate::scan::Inventory;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
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

/// Jobs that are remembered.
const MAX_JOBS: usize = 60;

/// Units of each kind that are remembered, the last used first.
const MAX_UNITS: usize = 200_000;

/// Projects that are remembered, the last seen first.
const MAX_PROJECTS: usize = 256;

/// Names of jobs that are remembered, the last seen first.
const MAX_NAMES: usize = 64;

/// Longest name of a job, in bytes.
const MAX_NAME: usize = 200;

/// Hit counts go back so many days.
const DAYS: usize = 7;

/// What jobs used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    schema: String,
    /// The last jobs, oldest first.
    pub jobs: Vec<Job>,
    /// Module versions by `path@version`.
    pub versions: BTreeMap<String, Unit>,
    /// Action entries by ID.
    pub actions: BTreeMap<String, Unit>,
    /// The projects that used the cache, by the module path they declare.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub projects: BTreeMap<String, Project>,
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
pub struct Project {
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
pub struct Unit {
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

/// What is recorded of a job.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What the caches hold.
    pub inventory: &'a Inventory,
    /// What the job used; `None` without a mark.
    pub observed: Option<&'a Observed>,
    /// What CI calls the job; empty if it does not say.
    pub name: &'a str,
    /// Bytes of both caches.
    pub bytes: u64,
    /// When the oldest unit was last used.
    pub oldest: Option<DateTime<Utc>>,
    /// What the projects of this job need, by name.
    pub projects: &'a BTreeMap<String, Needs>,
    /// Their go.sum files.
    pub sums: &'a MergedSums,
    /// What the module cache says of its versions.
    pub accounts: &'a Accounts,
}

/// What a project needs.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Versions whose source it needs.
    pub source: HashSet<ModuleVersion>,
    /// Versions whose `.mod` and `.info` it needs.
    pub go_mods: HashSet<ModuleVersion>,
    /// Toolchains that it names.
    pub toolchains: BTreeSet<String>,
    /// When it was recorded last.
    pub seen: DateTime<Utc>,
    /// Why this is not all that it needs, if so.
    pub unknown: Option<String>,
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
    /// Reads the ledger in a folder; an empty one if there is none. Else why it
    /// cannot be used.
    pub fn read(folder: &Folder) -> Result<Ledger, String> {
        match folder.stat(NAME.as_ref()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ledger::default()),
            Err(error) => return Err(error.to_string()),
            Ok(stat) if stat.kind != Kind::File => {
                return Err("is not a regular file".to_owned());
            }
            Ok(_) => {}
        }
        let bytes = folder.read_up_to(NAME.as_ref(), MAX_BYTES);
        Ledger::parse(&bytes.map_err(|error| error.to_string())?)
    }

    /// Reads a ledger's content.
    pub fn parse(bytes: &[u8]) -> Result<Ledger, String> {
        #[derive(Deserialize)]
        struct Version {
            schema: String,
        }
        if bytes.len() as u64 > MAX_BYTES {
            return Err("is too long".to_owned());
        }
        let invalid = |error: serde_json::Error| format!("is damaged: {error}");
        let Version { schema } = serde_json::from_slice(bytes).map_err(invalid)?;
        if schema != SCHEMA {
            return Err("is of another version of gocachevet".to_owned());
        }
        let ledger: Ledger = serde_json::from_slice(bytes).map_err(invalid)?;
        let sorted = ledger.jobs.is_sorted_by(|a, b| a.job < b.job);
        let named = ledger
            .actions
            .keys()
            .all(|id| id.parse::<ActionId>().is_ok());
        let last = ledger.jobs.last().map_or(0, |job| job.job);
        if !sorted || !named || last == u64::MAX {
            return Err("is damaged".to_owned());
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

    /// Enters a job. Units that are gone are forgotten.
    pub fn record(&mut self, record: &Record<'_>, now: DateTime<Utc>) {
        let job = self.jobs.last().map_or(0, |job| job.job) + 1;
        let days = self
            .jobs
            .last()
            .map_or(0, |last| days_between(last.at, now));
        for unit in self.versions.values_mut().chain(self.actions.values_mut()) {
            unit.age(days);
            // A clock that was ahead must not keep a unit for ever.
            unit.at = unit.at.min(now);
            unit.job = unit.job.min(job);
        }
        let (hits, misses) = record.observed.map_or((None, None), totals);
        self.jobs.push(Job {
            job,
            at: now,
            bytes: record.bytes,
            hits,
            misses,
            trimmed: record.observed.and_then(|observed| observed.trimmed),
            marked: record.observed.map(|observed| observed.usage.since),
            oldest: record.oldest.map(|oldest| (now - oldest).num_seconds()),
            name: Some(short(record.name).to_owned()).filter(|name| !name.is_empty()),
        });
        let excess = self.jobs.len().saturating_sub(MAX_JOBS);
        self.jobs.drain(..excess);
        self.record_projects(record, now);
        let run = self.run_of(record, now);
        self.record_versions(record, (job, run), now);
        self.record_actions(record, (job, run), now);
    }

    /// Counts the job under its name, and says as what. A job that used nothing
    /// is not counted, or a few of them would make all look unused.
    fn run_of(&mut self, record: &Record<'_>, now: DateTime<Utc>) -> Option<(u32, u64)> {
        for runs in self.names.values_mut() {
            runs.at = runs.at.min(now);
        }
        let observed = record.observed?;
        if observed.actions.is_empty() && observed.versions.is_empty() {
            return None;
        }
        let name = short(record.name).to_owned();
        if !self.names.contains_key(&name) {
            // Before this one comes in, so that it cannot be the one that goes.
            bound(&mut self.names, MAX_NAMES - 1, |runs| runs.at);
            let left: BTreeSet<u32> = self.names.values().map(|runs| runs.id).collect();
            for unit in self.versions.values_mut().chain(self.actions.values_mut()) {
                unit.by.retain(|(id, _)| left.contains(id));
            }
        }
        let taken: BTreeSet<u32> = self.names.values().map(|runs| runs.id).collect();
        let free = (0..).find(|id| !taken.contains(id)).unwrap_or_default();
        let runs = self.names.entry(name).or_insert(Runs {
            id: free,
            count: 0,
            at: now,
        });
        runs.count = runs.count.saturating_add(1);
        runs.at = now;
        Some((runs.id, runs.count))
    }

    fn record_projects(&mut self, record: &Record<'_>, now: DateTime<Utc>) {
        for project in self.projects.values_mut() {
            project.seen = project.seen.min(now);
        }
        for (name, needs) in record.projects {
            let only_mods = needs.go_mods.difference(&needs.source);
            let project = Project {
                seen: now,
                go_mods: only_mods.map(ModuleVersion::to_string).collect(),
                toolchains: needs.toolchains.clone(),
                unknown: needs.unknown.clone(),
            };
            self.projects.insert(name.clone(), project);
        }
        bound(&mut self.projects, MAX_PROJECTS, |project| project.seen);
    }

    fn record_versions(&mut self, record: &Record<'_>, job: JobRun, now: DateTime<Utc>) {
        let used: HashSet<&ModuleVersion> = record
            .observed
            .iter()
            .flat_map(|observed| &observed.versions)
            .collect();
        let mut old = std::mem::take(&mut self.versions);
        let cached = record.inventory.modcache.iter();
        for version in cached.flat_map(|cache| &cache.versions) {
            if !version.has_source() {
                continue;
            }
            let name = version.id.to_string();
            let mut unit = old.remove(&name).unwrap_or_default();
            if used.contains(&version.id) {
                unit.used(job, now);
            }
            unit.bytes = version.download_bytes() + version.tree_bytes();
            unit.remember(
                record.accounts.get(&version.id),
                agreed(record.sums.zip(&version.id)),
            );
            for (project, needs) in record.projects {
                let is_needed = needs.source.contains(&version.id);
                unit.projects.retain(|known| is_needed || known != project);
                if is_needed && !unit.projects.contains(project) {
                    unit.projects.push(project.clone());
                }
            }
            unit.projects
                .retain(|project| self.projects.contains_key(project));
            self.versions.insert(name, unit);
        }
        bound(&mut self.versions, MAX_UNITS, |unit| unit.at);
    }

    fn record_actions(&mut self, record: &Record<'_>, job: JobRun, now: DateTime<Utc>) {
        // What is not known to be unused counts as used.
        let used: HashSet<ActionId> = record
            .observed
            .iter()
            .flat_map(|observed| observed.actions.iter().chain(&observed.unseen).copied())
            .collect();
        let mut old = std::mem::take(&mut self.actions);
        let cached = record.inventory.buildcache.iter();
        for action in cached.flat_map(|cache| &cache.actions) {
            let name = action.id.to_string();
            let mut unit = old.remove(&name).unwrap_or_default();
            if used.contains(&action.id) {
                unit.used(job, now);
            } else if unit.job == 0 {
                // Never seen in use: nothing to remember.
                continue;
            }
            unit.bytes = action.entry.map_or(0, |entry| entry.size);
            self.actions.insert(name, unit);
        }
        bound(&mut self.actions, MAX_UNITS, |unit| unit.at);
    }

    /// What the projects needed when they were recorded last.
    pub fn needs(&self) -> BTreeMap<String, Needs> {
        let parsed = |names: &BTreeSet<String>| {
            let names = names.iter();
            names.filter_map(|name| name.parse().ok()).collect()
        };
        let mut needs: BTreeMap<String, Needs> = BTreeMap::new();
        for (name, project) in &self.projects {
            let known = Needs {
                source: HashSet::new(),
                go_mods: parsed(&project.go_mods),
                toolchains: project.toolchains.clone(),
                seen: project.seen,
                unknown: project.unknown.clone(),
            };
            needs.insert(name.clone(), known);
        }
        for (name, unit) in &self.versions {
            let Ok(version) = name.parse::<ModuleVersion>() else {
                continue;
            };
            for project in &unit.projects {
                if let Some(needs) = needs.get_mut(project) {
                    needs.source.insert(version.clone());
                }
            }
        }
        needs
    }

    /// What the last job that recorded it saw of each version.
    pub fn accounts(&self) -> Accounts {
        let parsed = self.versions.iter().filter_map(|(name, unit)| {
            let hash = |text: &Option<String>| text.as_ref()?.parse::<H1>().ok();
            let account = Account {
                zip: hash(&unit.h1),
                go_mod: hash(&unit.go_mod),
                zip_bytes: unit.zip,
                commit: unit.commit.clone(),
                time: unit.time,
            };
            Some((name.parse().ok()?, account))
        });
        parsed.collect()
    }

    /// Of each version in how many jobs of the last seven days it was used, and when last.
    pub fn recent_uses(&self, now: DateTime<Utc>) -> Vec<(ModuleVersion, u32, DateTime<Utc>)> {
        let recorded = self.jobs.last().map_or(now, |job| job.at);
        let past = days_between(recorded, now);
        let uses = self.versions.iter().filter_map(|(name, unit)| {
            let days = unit.days.iter().take(DAYS.saturating_sub(past));
            let count = days.map(|count| u32::from(*count)).sum();
            // Never seen in use.
            (unit.job > 0).then_some((name.parse().ok()?, count, unit.at))
        });
        uses.collect()
    }

    /// The last jobs, for the report.
    pub fn trend(&self) -> Vec<JobPoint> {
        let point = |job: &Job| JobPoint {
            job: job.job,
            at: job.at,
            bytes: job.bytes,
            hit_rate: match (job.hits, job.misses) {
                (Some(hits), Some(misses)) => super::builds::rate(hits, misses),
                _ => None,
            },
        };
        self.jobs.iter().map(point).collect()
    }

    /// What any of the last `jobs` jobs of each name used that used anything;
    /// names that were not seen since `oldest` do not count.
    pub fn used_in_last(
        &self,
        jobs: u64,
        oldest: DateTime<Utc>,
    ) -> (Vec<ModuleVersion>, Vec<ActionId>) {
        let counted = self.names.values().filter(|runs| runs.at >= oldest);
        let first: BTreeMap<u32, u64> = counted
            .map(|runs| (runs.id, runs.count.saturating_sub(jobs)))
            .collect();
        // Of units that were recorded before jobs had names, the last job is known.
        let used_some = |job: &&Job| job.hits.unwrap_or(0) + job.misses.unwrap_or(0) > 0;
        let marked = self.jobs.iter().rev().filter(|job| job.marked.is_some());
        let last = marked
            .filter(used_some)
            .take(usize::try_from(jobs).unwrap_or(usize::MAX));
        let first_job = last.map(|job| job.job).last().unwrap_or(u64::MAX);
        let is_recent = |unit: &Unit| match unit.by.is_empty() {
            true => unit.job >= first_job,
            false => unit
                .by
                .iter()
                .any(|(id, run)| first.get(id).is_some_and(|first| run > first)),
        };
        let recent = |(name, unit): (&String, &Unit)| is_recent(unit).then(|| name.clone());
        let versions = self.versions.iter().filter_map(recent);
        let actions = self.actions.iter().filter_map(recent);
        (
            versions.filter_map(|name| name.parse().ok()).collect(),
            actions.filter_map(|id| id.parse().ok()).collect(),
        )
    }

    /// Whether Go's trim was less than a day old at every mark for days on end,
    /// so that it never ran: three jobs or more, over two days or more.
    pub fn trim_never_due(&self) -> bool {
        let marks: Vec<(DateTime<Utc>, Option<DateTime<Utc>>)> = self
            .jobs
            .iter()
            .filter_map(|job| Some((job.marked?, job.trimmed)))
            .collect();
        let (Some((first, _)), Some((last, _))) = (marks.first(), marks.last()) else {
            return false;
        };
        marks.len() >= 3
            && *last - *first >= TimeDelta::days(2)
            && marks.iter().all(|(marked, trimmed)| {
                trimmed.is_some_and(|trimmed| *marked - trimmed < TimeDelta::days(1))
            })
    }
}

impl Unit {
    /// Takes over what is known now; of what is not, the last word stays.
    fn remember(&mut self, seen: Option<&Account>, trusted: Option<H1>) {
        let text = |h1: H1| h1.to_string();
        let seen = seen.cloned().unwrap_or_default();
        self.h1 = seen.zip.or(trusted).map(text).or(self.h1.take());
        self.go_mod = seen.go_mod.map(text).or(self.go_mod.take());
        self.zip = seen.zip_bytes.or(self.zip);
        self.commit = seen.commit.or(self.commit.take());
        self.time = seen.time.or(self.time);
    }

    fn used(&mut self, (job, run): JobRun, now: DateTime<Utc>) {
        self.job = job;
        self.at = now;
        if let Some((id, number)) = run {
            self.by.retain(|(known, _)| *known != id);
            self.by.push((id, number));
        }
        if let Some(today) = self.days.first_mut() {
            *today = today.saturating_add(1);
        }
    }

    fn age(&mut self, days: usize) {
        let days = days.min(DAYS);
        self.days.rotate_right(days);
        self.days.iter_mut().take(days).for_each(|day| *day = 0);
    }
}

/// A job's number, and which it is of those that have its name.
type JobRun = (u64, Option<(u32, u64)>);

/// A job's name, no longer than what is remembered of it.
fn short(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

fn totals(observed: &Observed) -> (Option<u64>, Option<u64>) {
    let builds = observed.usage.buildcache.as_ref();
    let modules = observed.usage.modcache.as_ref();
    let add = |builds: Option<u64>, modules: Option<u64>| match (builds, modules) {
        (None, None) => None,
        (one, other) => Some(one.unwrap_or(0) + other.unwrap_or(0)),
    };
    // Misses of a cache whose hits are unknown would spoil the rate.
    let modules = modules.filter(|usage| usage.hits.is_some());
    (
        add(builds.map(|u| u.hits), modules.and_then(|u| u.hits)),
        add(builds.map(|u| u.misses), modules.and_then(|u| u.misses)),
    )
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
pub fn unusable(path: &Path, why: &str) -> Finding {
    Finding::new(
        Rule::LedgerInvalid,
        NAME,
        format!("the ledger {why}; what earlier jobs used is not known"),
    )
    .at(path)
}

/// Puts a ledger that cannot be used out of the way.
pub fn set_aside(folder: &Folder) -> io::Result<()> {
    folder.rename(NAME.as_ref(), SET_ASIDE.as_ref())
}

/// Go's own trim does not do its work on this build cache.
pub fn trim_stuck(inventory: &Inventory, ledger: &Ledger, now: DateTime<Utc>) -> Option<Finding> {
    let cache = inventory.buildcache.as_ref()?;
    let trimmed = cache.trimmed?;
    // What Go removes (`cache.go:Trim`, `trimLimit` and `mtimeInterval`).
    let limit = trimmed - TimeDelta::hours(5 * 24 + 1);
    let left = cache.actions.iter().filter(|a| a.modified < limit).count();
    let is_to_come = trimmed > now + TimeDelta::hours(1);
    let why = if is_to_come {
        format!("trim.txt lies in the future ({trimmed}), so that Go does not trim until then")
    } else if left > 0 {
        format!(
            "{left} action entries are still there that Go's trim of {trimmed} should have removed"
        )
    } else if ledger.trim_never_due() {
        "trim.txt was younger than a day at every mark, so that Go's trim was never due".to_owned()
    } else {
        return None;
    };
    let marker = cache.root.join("trim.txt");
    let mut finding = Finding::new(Rule::GoTrimStuck, "trim.txt", why).at(&marker);
    if is_to_come {
        let marker = shell_word(&display_path(&marker));
        finding = finding.advise(format!(
            "Before the build, so that Go trims at its end: `rm {marker}`"
        ));
    }
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{Action, BuildCache};
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
        let record = Record {
            inventory: &inventory(ids, trimmed),
            observed: Some(&observed),
            name,
            bytes: 1,
            oldest: None,
            projects: &BTreeMap::new(),
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
        assert_eq!(Ledger::parse(&bytes), Ok(ledger));
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
        assert_eq!(Ledger::parse(&bytes), Ok(ledger.clone()));
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
                source: source.iter().map(|id| (*id).clone()).collect(),
                go_mods: [one.clone(), version("a.b/mod@v1.0.0")].into(),
                toolchains: ["go1.24.1".to_owned()].into(),
                ..Needs::default()
            };
            let record = Record {
                inventory: &inventory,
                observed: None,
                name: "",
                bytes: 1,
                oldest: None,
                projects: &[(project.to_owned(), needs)].into(),
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
        assert_eq!(known["p"].seen, at(0));
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
