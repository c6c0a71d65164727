//! A job is entered in the ledger.

use super::{DAYS, Job, Ledger, LedgerProject, LedgerUnit, Runs, bound, days_between};
use crate::drift::{Account, Accounts};
use crate::formats::action::ActionId;
use crate::formats::gosum::{MergedSums, agreed};
use crate::formats::h1::H1;
use crate::formats::module::ModuleVersion;
use crate::needs::Needs;
use crate::scan::Inventory;
use crate::usage::Observed;
use chrono::{DateTime, Utc};
use std::collections::{BTreeSet, HashSet};

/// Jobs that are remembered.
pub(super) const MAX_JOBS: usize = 60;

/// Units of each kind that are remembered, the last used first.
const MAX_UNITS: usize = 200_000;

/// Projects that are remembered, the last seen first.
const MAX_PROJECTS: usize = 256;

/// Names of jobs that are remembered, the last seen first.
pub(super) const MAX_NAMES: usize = 64;

/// Longest name of a job, in bytes.
const MAX_NAME: usize = 200;

/// What is recorded of a job.
#[derive(Clone, Copy, Debug)]
pub struct JobRecord<'a> {
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
    /// What the projects of this job need, each under a name of its own.
    pub projects: &'a [Needs],
    /// Their go.sum files.
    pub sums: &'a MergedSums,
    /// What the module cache says of its versions.
    pub accounts: &'a Accounts,
}

impl Ledger {
    /// Enters a job. Units that are gone are forgotten.
    pub fn record(&mut self, record: &JobRecord<'_>, now: DateTime<Utc>) {
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
    fn run_of(&mut self, record: &JobRecord<'_>, now: DateTime<Utc>) -> Option<(u32, u64)> {
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

    fn record_projects(&mut self, record: &JobRecord<'_>, now: DateTime<Utc>) {
        for project in self.projects.values_mut() {
            project.seen = project.seen.min(now);
        }
        for needs in record.projects {
            let only_mods = needs.go_mods.difference(&needs.source);
            let project = LedgerProject {
                seen: now,
                go_mods: only_mods.map(ModuleVersion::to_string).collect(),
                toolchains: needs.toolchains.clone(),
                unknown: needs.unknown.clone(),
            };
            self.projects.insert(needs.project.clone(), project);
        }
        bound(&mut self.projects, MAX_PROJECTS, |project| project.seen);
    }

    fn record_versions(&mut self, record: &JobRecord<'_>, job: JobRun, now: DateTime<Utc>) {
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
            for needs in record.projects {
                let project = &needs.project;
                unit.projects.retain(|known| known != project);
                if needs.source.contains(&version.id) {
                    unit.projects.push(project.clone());
                }
            }
            unit.projects
                .retain(|project| self.projects.contains_key(project));
            self.versions.insert(name, unit);
        }
        bound(&mut self.versions, MAX_UNITS, |unit| unit.at);
    }

    fn record_actions(&mut self, record: &JobRecord<'_>, job: JobRun, now: DateTime<Utc>) {
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
}

impl LedgerUnit {
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
