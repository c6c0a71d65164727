//! What `gocachevet remote` says, as one value; JSON is its frozen form.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::entry::{RefState, Repository};
use super::history::History;
use crate::render::{remote_lines, table};
use crate::report::remote::RepositorySummary;
use crate::report::{Tool, Verdict};
use crate::services::eviction::{self, Decision, Plan, PlanReport};
use crate::text::escape::{clip, terminal};
use crate::text::human;

/// The value of [`RemoteReport::schema`].
pub const SCHEMA: &str = "gocachevet.remote/1";

/// The result of one `remote` command.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RemoteReport {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// What made the report.
    pub tool: Tool,
    /// When.
    pub generated_at: DateTime<Utc>,
    /// Pass, or fail when a limit is crossed.
    pub verdict: Verdict,
    /// The service that was asked.
    pub api: String,
    /// Whether deletions were carried out; `null` when none were planned for.
    pub dry_run: Option<bool>,
    /// By repository.
    pub repositories: Vec<RepositoryReport>,
    /// What could not be learnt beyond single repositories.
    pub unknown: Vec<String>,
}

/// What is said of one repository.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RepositoryReport {
    /// Figures.
    #[serde(flatten)]
    pub summary: RepositorySummary,
    /// The entries; `null` for `usage`.
    pub entries: Option<Vec<EntryReport>>,
    /// What a trim removes; `null` otherwise.
    pub plan: Option<PlanReport>,
    /// What a trim did; `null` for a dry run.
    pub outcome: Option<OutcomeReport>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntryReport {
    /// Its id.
    pub id: u64,
    /// Its key.
    pub key: String,
    /// The ref it was saved for.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// `alive`, `deleted`, `closed`; `null` if unknown or not asked.
    pub ref_state: Option<&'static str>,
    /// Hash of paths and compression.
    pub version: String,
    /// Its size.
    pub bytes: u64,
    /// When it was saved.
    pub created_at: DateTime<Utc>,
    /// When it was last restored.
    pub last_accessed_at: DateTime<Utc>,
    /// Accesses known within seven days, the save included.
    pub accesses: u32,
    /// Whether those are all.
    pub accesses_exact: bool,
    /// Whether the plan removes it; `null` without a plan.
    pub remove: Option<bool>,
    /// Why, or why not.
    pub reason: Option<String>,
}

/// What was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OutcomeReport {
    /// Entries deleted.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Entries that were gone when their turn came.
    pub vanished: u64,
    /// Entries that were not deleted.
    pub failed: Vec<FailedDeletion>,
}

/// An entry that was not deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedDeletion {
    /// Its id.
    pub id: u64,
    /// Its key.
    pub key: String,
    /// Why not.
    pub error: String,
}

/// Puts entries, accesses and plan side by side.
pub fn entries(
    repository: &Repository,
    history: &History,
    plan: Option<&Plan>,
    now: DateTime<Utc>,
) -> Vec<EntryReport> {
    let decision = |index: usize| plan.and_then(|plan| plan.decisions.get(index));
    let entry = |(index, entry): (usize, &super::entry::CacheEntry)| {
        let heat = history.heat(&repository.name, entry, now);
        EntryReport {
            id: entry.id,
            key: entry.key.clone(),
            git_ref: entry.git_ref.clone(),
            ref_state: repository
                .refs
                .get(&entry.git_ref)
                .map(|state| match state {
                    RefState::Alive => "alive",
                    RefState::Deleted => "deleted",
                    RefState::Closed => "closed",
                }),
            version: entry.version.clone(),
            bytes: entry.bytes,
            created_at: entry.created,
            last_accessed_at: entry.accessed,
            accesses: heat.count,
            accesses_exact: heat.exact,
            remove: decision(index).map(Decision::removes),
            reason: decision(index).map(|decision| decision.reason.clone()),
        }
    };
    repository.entries.iter().enumerate().map(entry).collect()
}

/// For a person at a terminal. Keys and refs are whatever somebody chose:
/// they are escaped.
pub fn text(report: &RemoteReport) -> String {
    let mut out = String::new();
    for repository in &report.repositories {
        if !out.is_empty() {
            out.push('\n');
        }
        repository_text(repository, report, &mut out);
    }
    for unknown in &report.unknown {
        out.push_str(&format!("unknown: {}\n", terminal(unknown)));
    }
    out
}

fn repository_text(repository: &RepositoryReport, report: &RemoteReport, out: &mut String) {
    let summary = &repository.summary;
    let mut line = |text: String| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(terminal(&summary.name));
    for text in remote_lines(summary) {
        line(format!("  {text}"));
    }
    if let Some(entries) = &repository.entries {
        for text in table::lines(&rows(entries, report.generated_at), "rrll") {
            line(format!("  {text}"));
        }
        for entry in entries.iter().filter(|entry| entry.remove == Some(true)) {
            let reason = entry.reason.as_deref().unwrap_or_default();
            line(format!(
                "  remove {} {}: {}",
                entry.id,
                terminal(&clip(&entry.key, 60)),
                terminal(reason)
            ));
        }
    }
    let outcome = repository.outcome.as_ref().map(told);
    let unit = ("entry", "entries");
    for text in eviction::lines(repository.plan.as_ref(), outcome.as_ref(), unit) {
        line(format!("  {text}"));
    }
    for unknown in &summary.unknown {
        line(format!("  unknown: {}", terminal(unknown)));
    }
}

fn told(outcome: &OutcomeReport) -> eviction::Outcome {
    let subject =
        |failed: &FailedDeletion| format!("{} {}", failed.id, terminal(&clip(&failed.key, 60)));
    let failed = outcome.failed.iter();
    let failed = failed.map(|failed| (subject(failed), terminal(&failed.error)));
    eviction::Outcome {
        removed: outcome.removed,
        bytes: outcome.bytes,
        vanished: outcome.vanished,
        failed: failed.collect(),
    }
}

fn rows(entries: &[EntryReport], now: DateTime<Utc>) -> Vec<Vec<String>> {
    let mut rows = vec![
        ["size", "last access", "key", "ref"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut sorted: Vec<&EntryReport> = entries.iter().collect();
    sorted.sort_by_key(|entry| std::cmp::Reverse(entry.last_accessed_at));
    rows.extend(sorted.iter().map(|entry| {
        vec![
            human::size(entry.bytes),
            format!("{} ago", human::age(now - entry.last_accessed_at)),
            terminal(&clip(&entry.key, 60)),
            terminal(&clip(&entry.git_ref, 40)),
        ]
    }));
    rows
}
