//! What `gocachevet mirror` says, as one value; JSON is its frozen form.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::plan::MirrorNeeds;
use super::{Mirror, StoredVersion};
use crate::findings::Finding;
use crate::render::section::{Document, Section, Table, Text, name};
use crate::render::{document, terminal};
use crate::report::{Tool, Verdict};
use crate::services::eviction::{EvictionPlan, Extent};
use crate::services::heat::Heat;
use crate::services::report::TrimReport;
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
    /// What a trim removes and did.
    #[serde(flatten)]
    pub trim: TrimReport,
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

/// Puts versions, accesses and plan side by side, coldest first.
pub fn versions(
    mirror: &Mirror,
    heat_of: impl Fn(&StoredVersion) -> Heat,
    needs: &MirrorNeeds,
    plan: Option<&EvictionPlan>,
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
                Extent::Nothing => None,
                Extent::Zip => Some("archive"),
                Extent::Whole => Some("version"),
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

/// For a person at a terminal. `top` limits the list, never the removals.
pub fn text(report: &MirrorReport, top: usize) -> String {
    let versions = report.versions.len();
    let mut section = Section::new(name(&report.storage)).aside(format!(
        "{}, {}, {}",
        report.layout,
        human::counted(versions as u64, "version", "versions"),
        human::size(report.bytes)
    ));
    if report.trim.plan.is_none() {
        let shown = &report.versions[..versions.min(top)];
        section = section.table(table(shown, report.generated_at));
    }
    let going = report.versions.iter();
    let going = going.filter_map(|version| {
        let bytes = human::size(version.removed_bytes);
        let named = match version.remove? {
            "archive" => version.name().words(format!("(zip only), {bytes}")),
            _ => version.name().words(format!(", {bytes}")),
        };
        Some((named, version.reason.clone()))
    });
    section = section.list(report.trim.lines(going, ("version", "versions")));
    if let Some(verified) = &report.verified {
        section = section.paragraph(format!(
            "verified: {} proven by go.sum, {} sound without a line",
            human::counted(verified.proven, "file", "files"),
            human::count(verified.unproven)
        ));
    }
    let mut sections = vec![section];
    sections.extend(document::findings(&report.findings));
    let document = Document {
        sections,
        notes: report.notes.iter().map(Text::from).collect(),
        ..Document::default()
    };
    terminal(&document, false)
}

fn table(versions: &[VersionReport], now: DateTime<Utc>) -> Table {
    let head = ["size", "score", "last access", "version", "needed"];
    Table::of(head, "rrrll", versions, |version| {
        [
            human::size(version.bytes).into(),
            format!("{:.2}", version.score).into(),
            format!("{} ago", human::age(now - version.last_access)).into(),
            version.name(),
            version.needed.unwrap_or_default().into(),
        ]
    })
}

impl VersionReport {
    fn name(&self) -> Text {
        name(format!("{}@{}", self.module, self.version))
    }
}
