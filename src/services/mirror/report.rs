//! What `gocachevet mirror` says, as one value; JSON is its frozen form.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::plan::Needs;
use super::{Mirror, StoredVersion};
use crate::findings::Finding;
use crate::render::table;
use crate::report::{Failure, Tool, Verdict};
use crate::services::eviction::{self, Plan, PlanReport, Removal};
use crate::services::heat::Heat;
use crate::text::escape::{clip, terminal};
use crate::text::human;

/// The value of [`MirrorReport::schema`].
pub const SCHEMA: &str = "gocachevet.mirror/1";

/// The result of one `mirror` command.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MirrorReport {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// What made the report.
    pub tool: Tool,
    /// When.
    pub generated_at: DateTime<Utc>,
    /// Fail for damaged or unreadable files, or a limit that is not met.
    pub verdict: Verdict,
    /// The storage.
    pub storage: String,
    /// `goproxy`, `athens` or `artifactory`.
    pub layout: &'static str,
    /// Sum of all versions' files.
    pub bytes: u64,
    /// What it holds, coldest first.
    pub versions: Vec<VersionReport>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What verifying proved; `null` if it was off.
    pub verified: Option<Verified>,
    /// What a trim removes; `null` otherwise.
    pub plan: Option<PlanReport>,
    /// What a trim did; `null` for a dry run.
    pub outcome: Option<OutcomeReport>,
    /// Things to know.
    pub notes: Vec<String>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionReport {
    /// Module path.
    pub module: String,
    /// Version.
    pub version: String,
    /// Bytes of all its files.
    pub bytes: u64,
    /// When it was stored.
    pub stored_at: DateTime<Utc>,
    /// When it was last asked for, or stored.
    pub last_access: DateTime<Utc>,
    /// Accesses known within seven days; being stored counts as one.
    pub accesses: u32,
    /// Whether those are all.
    pub accesses_exact: bool,
    /// Heat times freshness.
    pub score: f64,
    /// What a known project needs: `version`, `go.mod`, or `null`.
    pub needed: Option<&'static str>,
    /// What the plan removes: `version`, `archive`, or `null`.
    pub remove: Option<&'static str>,
    /// What that frees.
    pub removed_bytes: u64,
    /// Why, or why not; `null` without a plan.
    pub reason: Option<String>,
}

/// What verifying proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Files that a go.sum line proves.
    pub proven: u64,
    /// Sound files without a line.
    pub unproven: u64,
}

/// What a trim did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OutcomeReport {
    /// Versions of which something went.
    pub removed: u64,
    /// Bytes freed.
    pub bytes: u64,
    /// What could not be removed.
    pub failed: Vec<Failure>,
}

/// Puts versions, accesses and plan side by side, coldest first.
pub fn versions(
    mirror: &Mirror,
    heat_of: impl Fn(&StoredVersion) -> Heat,
    needs: &Needs,
    plan: Option<&Plan>,
    now: DateTime<Utc>,
) -> Vec<VersionReport> {
    let report = |(index, version): (usize, &StoredVersion)| {
        let heat = heat_of(version);
        let decision = plan.and_then(|plan| plan.decisions.get(index));
        VersionReport {
            module: version.id.path.clone(),
            version: version.id.version.clone(),
            bytes: version.bytes(),
            stored_at: version.stored,
            last_access: heat.last,
            accesses: heat.count,
            accesses_exact: heat.exact,
            score: heat.score(now),
            needed: needs.of(&version.id),
            remove: decision.and_then(|decision| match decision.removal {
                Removal::Nothing => None,
                Removal::Zip => Some("archive"),
                Removal::Whole => Some("version"),
            }),
            removed_bytes: decision.map_or(0, |decision| decision.bytes),
            reason: decision.map(|decision| decision.reason.clone()),
        }
    };
    let mut reports: Vec<_> = mirror.versions.iter().enumerate().map(report).collect();
    reports.sort_by(|a, b| {
        a.score
            .total_cmp(&b.score)
            .then(a.last_access.cmp(&b.last_access))
            .then(b.bytes.cmp(&a.bytes))
    });
    reports
}

/// For a person at a terminal. Module paths come from the storage: they are
/// escaped. `top` limits the list, never the removals.
pub fn text(report: &MirrorReport, top: usize) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(format!(
        "{}  {}, {}, {}",
        terminal(&report.storage),
        report.layout,
        human::counted(report.versions.len() as u64, "version", "versions"),
        human::size(report.bytes)
    ));
    if report.plan.is_none() {
        let mut rows = vec![
            ["size", "score", "last access", "version", "needed"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(report.versions.iter().take(top).map(|version| {
            vec![
                human::size(version.bytes),
                format!("{:.2}", version.score),
                format!(
                    "{} ago",
                    human::age(report.generated_at - version.last_access)
                ),
                name(version),
                version.needed.unwrap_or_default().to_owned(),
            ]
        }));
        for text in table::lines(&rows, "rrrll") {
            line(format!("  {text}"));
        }
    }
    for version in report
        .versions
        .iter()
        .filter(|version| version.remove.is_some())
    {
        let what = if version.remove == Some("archive") {
            " (zip only)"
        } else {
            ""
        };
        let reason = version.reason.as_deref().unwrap_or_default();
        line(format!(
            "  remove {}{what}, {}: {}",
            name(version),
            human::size(version.removed_bytes),
            terminal(reason)
        ));
    }
    for finding in &report.findings {
        let (rule, subject) = (finding.rule.name(), terminal(&finding.subject));
        line(format!(
            "  {} {rule} {subject}: {}",
            finding.level.name(),
            terminal(&finding.message)
        ));
        line(format!("    {}", terminal(&finding.help)));
    }
    if let Some(verified) = &report.verified {
        line(format!(
            "  verified: {} proven by go.sum, {} sound without a line",
            human::counted(verified.proven, "file", "files"),
            human::count(verified.unproven)
        ));
    }
    let outcome = report.outcome.as_ref().map(told);
    let unit = ("version", "versions");
    for text in eviction::lines(report.plan.as_ref(), outcome.as_ref(), unit) {
        line(format!("  {text}"));
    }
    for note in &report.notes {
        line(format!("  note: {}", terminal(note)));
    }
    out
}

fn told(outcome: &OutcomeReport) -> eviction::Outcome {
    let failed = outcome.failed.iter();
    let failed = failed.map(|failure| (terminal(&failure.subject), terminal(&failure.error)));
    eviction::Outcome {
        removed: outcome.removed,
        bytes: outcome.bytes,
        vanished: 0,
        failed: failed.collect(),
    }
}

fn name(version: &VersionReport) -> String {
    terminal(&clip(
        &format!("{}@{}", version.module, version.version),
        80,
    ))
}
