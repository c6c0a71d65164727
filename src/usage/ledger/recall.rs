//! What the ledger still knows of earlier jobs.

use super::{DAYS, Job, Ledger, LedgerProject, LedgerUnit, days_between};
use crate::drift::{Account, Accounts};
use crate::findings::{Finding, Rule, display_path, shell_word};
use crate::formats::action::ActionId;
use crate::formats::h1::H1;
use crate::formats::module::ModuleVersion;
use crate::needs::Needs;
use crate::report::JobPoint;
use crate::scan::Inventory;
use crate::usage::builds::rate;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, HashSet};

impl Ledger {
    /// What the projects needed when they were recorded last, by their names.
    pub fn needs(&self) -> BTreeMap<String, Needs> {
        let of = |(name, project): (&String, &LedgerProject)| {
            let go_mods = project.go_mods.iter();
            let known = Needs {
                project: name.clone(),
                source: HashSet::new(),
                go_mods: go_mods.filter_map(|name| name.parse().ok()).collect(),
                toolchains: project.toolchains.clone(),
                last_seen: Some(project.seen),
                unknown: project.unknown.clone(),
            };
            (name.clone(), known)
        };
        let mut needs: BTreeMap<String, Needs> = self.projects.iter().map(of).collect();
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
                (Some(hits), Some(misses)) => rate(hits, misses),
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
        let is_recent = |unit: &LedgerUnit| match unit.by.is_empty() {
            true => unit.job >= first_job,
            false => unit
                .by
                .iter()
                .any(|(id, run)| first.get(id).is_some_and(|first| run > first)),
        };
        let recent = |(name, unit): (&String, &LedgerUnit)| is_recent(unit).then(|| name.clone());
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
