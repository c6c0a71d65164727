//! What `gocachevet remote` says, as one value; JSON is its frozen form.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::entry::{RefState, Repository};
use super::history::History;
use crate::render::section::{Document, List, Section, Table, name};
use crate::render::{remote, terminal};
use crate::report::remote::RepositorySummary;
use crate::report::{Tool, Verdict};
use crate::services::eviction::{Decision, EvictionPlan};
use crate::services::report::TrimReport;
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
    /// What a trim removes and did.
    #[serde(flatten)]
    pub trim: TrimReport,
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
    pub ref_state: Option<RefState>,
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

/// Puts entries, accesses and plan side by side.
pub fn entries(
    repository: &Repository,
    history: &History,
    plan: Option<&EvictionPlan>,
    now: DateTime<Utc>,
) -> Vec<EntryReport> {
    let decision = |index: usize| plan.and_then(|plan| plan.decisions.get(index));
    let entry = |(index, entry): (usize, &super::entry::CacheEntry)| {
        let heat = history.heat(&repository.name, entry, now);
        EntryReport {
            id: entry.id,
            key: entry.key.clone(),
            git_ref: entry.git_ref.clone(),
            ref_state: repository.refs.get(&entry.git_ref).copied(),
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

/// For a person at a terminal.
pub fn text(report: &RemoteReport) -> String {
    let section = |repository| section(repository, report.generated_at);
    let mut sections: Vec<Section> = report.repositories.iter().map(section).collect();
    if !report.unknown.is_empty() {
        sections.push(Section::default().list(unknown(&report.unknown)));
    }
    let document = Document {
        sections,
        ..Document::default()
    };
    terminal(&document, false)
}

fn section(repository: &RepositoryReport, now: DateTime<Utc>) -> Section {
    let summary = &repository.summary;
    let mut section = Section::new(name(&summary.name)).list(remote::figures(summary));
    let entries = repository.entries.as_deref();
    if entries.is_some() {
        section = section.table(table(entries.unwrap_or_default(), now));
    }
    let going = entries.into_iter().flatten();
    let going = going.filter(|entry| entry.remove == Some(true));
    let going = going.map(|entry| {
        let named = name(format!("{} {}", entry.id, entry.key));
        (named, entry.reason.clone())
    });
    let lines = repository.trim.lines(going, ("entry", "entries"));
    section.list(lines).list(unknown(&summary.unknown))
}

fn unknown(unknown: &[String]) -> List {
    let lines = unknown.iter().map(|unknown| format!("unknown: {unknown}"));
    lines.collect()
}

/// The entries, what was accessed last first.
fn table(entries: &[EntryReport], now: DateTime<Utc>) -> Table {
    let mut sorted: Vec<&EntryReport> = entries.iter().collect();
    sorted.sort_by_key(|entry| std::cmp::Reverse(entry.last_accessed_at));
    let head = ["size", "last access", "key", "ref"];
    Table::of(head, "rrll", &sorted, |entry| {
        let age = human::age(now - entry.last_accessed_at);
        [
            human::size(entry.bytes).into(),
            format!("{age} ago").into(),
            name(&entry.key),
            name(&entry.git_ref),
        ]
    })
}
