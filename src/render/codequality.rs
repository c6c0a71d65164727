//! GitLab code quality.
//!
//! <https://docs.gitlab.com/ci/testing/code_quality/>, "Import code quality
//! results": a JSON array; paths must be relative to the repository.

use super::fingerprint::Fingerprints;
use super::summary;
use crate::findings::{Finding, Level};
use crate::report::Report;
use crate::text::escape::{LONGEST, clip, terminal};
use serde_json::{Value, json};

/// The findings as GitLab's merge-request widget takes them.
pub fn codequality(report: &Report) -> String {
    let mut fingerprints = Fingerprints::default();
    let issues: Vec<Value> = summary::groups(&report.findings)
        .iter()
        .flat_map(|group| &group.findings)
        .map(|finding| {
            let text = format!(
                "{}: {} {}",
                finding.subject,
                summary::sentence(&finding.message),
                finding.help
            );
            json!({
                "description": terminal(&clip(&text, 4 * LONGEST)),
                "check_name": finding.rule.name(),
                "fingerprint": fingerprints.next(finding),
                "severity": match finding.level {
                    Level::Deny => "critical",
                    Level::Warn => "minor",
                    Level::Note | Level::Allow => "info",
                },
                "location": { "path": place(finding), "lines": { "begin": 1 } },
            })
        })
        .collect();
    super::json(&issues)
}

/// A cache lies outside the repository, so a finding is shown where the
/// repository speaks of its subject: go.sum for a module, else go.mod.
fn place(finding: &Finding) -> &'static str {
    if finding.subject.contains("@v") {
        "go.sum"
    } else {
        "go.mod"
    }
}
