//! The reports of all shards as one report. Pure.
//!
//! Every shard scans the caches whole and verifies its part, so most of a report
//! is the same in all of them. What is not is told by [`ShardPart`].

use super::{Policy, ProvenBy, Report, ShardPart, Verification};
use crate::findings::{Finding, Rule};
use std::cmp::{Ordering, Reverse};

/// Why reports make no whole. Exit code 2.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// No report at all.
    #[error("there is no report to merge")]
    Nothing,
    /// A report of all of the work, or of another command, among several.
    #[error("{0} is not a shard's report; only the reports of `check --shard I/N` are merged")]
    NoShard(String),
    /// A shard's own account does not fit its report.
    #[error("{0} is damaged: what it says of its part does not fit the rest")]
    Damaged(String),
    /// Not parts of the same work.
    #[error("{first} and {other} are not parts of the same check: they differ in {what}")]
    Mismatch {
        /// Name of the first report.
        first: String,
        /// Name of another.
        other: String,
        /// What they differ in.
        what: &'static str,
    },
    /// The same part twice.
    #[error("part {part} is there twice: {first} and {other}")]
    Doubled {
        /// Which part.
        part: u32,
        /// Name of the first report.
        first: String,
        /// Name of the other.
        other: String,
    },
    /// Parts that are not there.
    #[error("of {count} parts these are missing: {missing}")]
    Missing {
        /// How many there should be.
        count: u32,
        /// The missing ones.
        missing: String,
    },
}

/// Missing parts that a message names.
const NAMED: usize = 10;

/// One report of all of the work. Each report comes with the name that errors
/// call it by.
///
/// Findings about thresholds are left out, thresholds and verdict are those of
/// the last report: the caller judges the whole. What depends on the time is
/// taken from the last report too.
pub fn merge(mut reports: Vec<(String, Report)>) -> Result<Report, MergeError> {
    let mut shards = Vec::new();
    for (name, report) in &mut reports {
        let shard = report.shard.take();
        let shard = shard.ok_or_else(|| MergeError::NoShard(name.clone()))?;
        if !fits(&shard, report) {
            return Err(MergeError::Damaged(name.clone()));
        }
        shards.push(shard);
    }
    let mut parts: Vec<(ShardPart, String, Report)> = shards
        .into_iter()
        .zip(reports)
        .map(|(shard, (name, report))| (shard, name, report))
        .collect();
    parts.sort_by_key(|(shard, ..)| shard.index);
    let (first, others) = parts.split_first().ok_or(MergeError::Nothing)?;
    for other in others {
        if let Some(what) = difference(first, other) {
            return Err(MergeError::Mismatch {
                first: first.1.clone(),
                other: other.1.clone(),
                what,
            });
        }
    }
    complete(&parts)?;

    let last = parts.iter().enumerate();
    let last = last.max_by_key(|(_, (_, _, report))| report.generated_at);
    let last = last.map_or(0, |(index, _)| index);
    let (shard, _, base) = &parts[last];
    let mut whole = base.clone();
    // What all have in common.
    let mut own = shard.own.iter().copied().peekable();
    let mut place = 0;
    whole.findings.retain(|finding| {
        let is_own = own.next_if_eq(&place).is_some();
        place += 1;
        !is_own && finding.rule != Rule::OverThreshold
    });
    whole.policy.silenced = whole.policy.silenced.saturating_sub(shard.silenced);
    whole.policy.baselined = whole.policy.baselined.saturating_sub(shard.baselined);
    whole.verification = whole.verification.map(|verification| Verification {
        level: verification.level,
        leaves_open: verification.leaves_open,
        ..Verification::default()
    });
    whole.unproven = Vec::new();
    // A silence that matched nothing in one part may have in another.
    whole
        .notes
        .retain(|note| parts.iter().all(|(.., report)| report.notes.contains(note)));
    for (shard, _, report) in parts {
        let Policy {
            silenced,
            baselined,
            ..
        } = &mut whole.policy;
        *silenced = silenced.saturating_add(shard.silenced);
        *baselined = baselined.saturating_add(shard.baselined);
        let places = shard.own.iter().filter_map(|&at| usize::try_from(at).ok());
        let own = places.filter_map(|at| report.findings.get(at));
        whole.findings.extend(own.cloned());
        whole.unproven.extend(report.unproven);
        if let (Some(whole), Some(part)) = (&mut whole.verification, report.verification) {
            add(whole, &part);
        }
    }
    whole.findings.sort_by(order);
    whole.unproven.sort();
    Ok(whole)
}

/// The order of findings in a report: worst first, and the same in every run.
pub fn order(a: &Finding, b: &Finding) -> Ordering {
    let key = |finding: &Finding| (Reverse(finding.level), finding.rule);
    key(a)
        .cmp(&key(b))
        .then_with(|| (&a.subject, &a.path).cmp(&(&b.subject, &b.path)))
        .then_with(|| a.message.cmp(&b.message))
        .then_with(|| (&a.expected, &a.actual).cmp(&(&b.expected, &b.actual)))
}

/// Whether what a shard says of itself is possible.
fn fits(shard: &ShardPart, report: &Report) -> bool {
    let findings = report.findings.len() as u64;
    (1..=shard.count).contains(&shard.index)
        && shard.own.is_sorted_by(|a, b| a < b)
        && shard.own.last().is_none_or(|&last| last < findings)
        && shard.silenced <= report.policy.silenced
        && shard.baselined <= report.policy.baselined
}

type Part = (ShardPart, String, Report);

/// What two parts of the same check cannot differ in.
fn difference((a, _, first): &Part, (b, _, other): &Part) -> Option<&'static str> {
    let level = |report: &Report| report.verification.as_ref().map(|it| it.level.clone());
    let checks = [
        (first.tool == other.tool, "the version of gocachevet"),
        (a.count == b.count, "the number of parts"),
        (
            a.asked == b.asked && a.max_findings == b.max_findings && level(first) == level(other),
            "their options, policy or go.sum files",
        ),
        (first.projects == other.projects, "the projects"),
        (
            a.caches == b.caches
                && first.modcache == other.modcache
                && first.buildcache == other.buildcache,
            "the caches",
        ),
        (
            first.usage == other.usage,
            "what the job used of the caches",
        ),
    ];
    let differing = checks.into_iter().find(|(same, _)| !same);
    differing.map(|(_, what)| what)
}

/// Whether every part is there once.
fn complete(parts: &[Part]) -> Result<(), MergeError> {
    for pair in parts.windows(2) {
        if let [(a, first, _), (b, other, _)] = pair
            && a.index == b.index
        {
            return Err(MergeError::Doubled {
                part: a.index,
                first: first.clone(),
                other: other.clone(),
            });
        }
    }
    let count = parts.first().map_or(0, |(shard, ..)| shard.count);
    if parts.len() as u64 == u64::from(count) {
        return Ok(());
    }
    let there = |index: &u32| parts.iter().any(|(shard, ..)| shard.index == *index);
    let mut missing: Vec<String> = (1..=count)
        .filter(|index| !there(index))
        .take(NAMED + 1)
        .map(|index| index.to_string())
        .collect();
    if missing.len() > NAMED {
        missing[NAMED] = "…".to_owned();
    }
    Err(MergeError::Missing {
        count,
        missing: missing.join(", "),
    })
}

fn add(whole: &mut Verification, part: &Verification) {
    let sum = |to: &mut u64, more: u64| *to = to.saturating_add(more);
    let Verification {
        level: _,
        versions_checked,
        outputs_checked,
        bytes_hashed,
        bytes_proven,
        bytes_unproven,
        bytes_consistent,
        unproven,
        leaves_open: _,
        failed,
        seconds,
        proven_by,
    } = whole;
    sum(versions_checked, part.versions_checked);
    sum(outputs_checked, part.outputs_checked);
    sum(bytes_hashed, part.bytes_hashed);
    sum(bytes_proven, part.bytes_proven);
    sum(bytes_unproven, part.bytes_unproven);
    sum(bytes_consistent, part.bytes_consistent);
    sum(unproven, part.unproven);
    sum(failed, part.failed);
    // They ran side by side.
    *seconds = seconds.max(part.seconds);
    let ProvenBy {
        go_sum,
        ziphash,
        sumdb,
        seal,
        goroot,
    } = proven_by;
    sum(go_sum, part.proven_by.go_sum);
    sum(ziphash, part.proven_by.ziphash);
    sum(sumdb, part.proven_by.sumdb);
    sum(seal, part.proven_by.seal);
    sum(goroot, part.proven_by.goroot);
}
