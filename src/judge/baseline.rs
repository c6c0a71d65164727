//! Findings that a team knows of and has put aside, so that a check can be
//! adopted with an imperfect cache.
//!
//! A JSON file, `{"schema": "gocachevet.baseline/1", "findings": [{"rule", "subject"}]}`.
//! It names no paths, so that it holds on every machine.

use crate::findings::{Finding, Rule};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The value of `schema` in the file.
const SCHEMA: &str = "gocachevet.baseline/1";

/// The longest file that is worth reading, in bytes. The caller keeps to it.
pub const MAX_BYTES: u64 = 64 << 20;

/// Known findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    known: BTreeSet<Known>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    rule: Rule,
    subject: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    findings: Vec<Known>,
}

/// Why a baseline cannot be used. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It is not such a file, or a damaged one.
    #[error("not a baseline: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It is of another version than this program knows.
    #[error("unknown version {0:?} of the baseline; this program knows \"{SCHEMA}\"")]
    Version(String),
    /// It is longer than [`MAX_BYTES`].
    #[error("the baseline is longer than {MAX_BYTES} bytes")]
    TooLong,
}

impl Baseline {
    /// Reads the content of a file.
    pub fn parse(content: &[u8]) -> Result<Baseline, BaselineError> {
        if content.len() as u64 > MAX_BYTES {
            return Err(BaselineError::TooLong);
        }
        // The version first: another one may have other fields.
        #[derive(Deserialize)]
        struct Version {
            schema: String,
        }
        let Version { schema } = serde_json::from_slice(content)?;
        if schema != SCHEMA {
            return Err(BaselineError::Version(schema));
        }
        let file: File = serde_json::from_slice(content)?;
        Ok(Baseline {
            known: file.findings.into_iter().collect(),
        })
    }

    /// A baseline that knows these findings. Thresholds crossed are left out:
    /// they are adopted by setting them.
    pub fn of(findings: &[Finding]) -> Baseline {
        Baseline {
            known: findings
                .iter()
                .filter(|finding| finding.rule != Rule::OverThreshold)
                .map(known)
                .collect(),
        }
    }

    /// The content of its file: sorted, so that changes read well in a diff.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let file = File {
            schema: SCHEMA.to_owned(),
            findings: self.known.iter().cloned().collect(),
        };
        Ok(serde_json::to_string_pretty(&file)? + "\n")
    }

    /// Drops the findings that are known, and counts them.
    pub fn apply(&self, findings: Vec<Finding>) -> (Vec<Finding>, u64) {
        let before = findings.len();
        let left: Vec<_> = findings
            .into_iter()
            .filter(|finding| !self.known.contains(&known(finding)))
            .collect();
        let dropped = (before - left.len()) as u64;
        (left, dropped)
    }
}

fn known(finding: &Finding) -> Known {
    Known {
        rule: finding.rule,
        subject: finding.subject.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_known_when_read_again() {
        let findings = vec![
            Finding::new(Rule::LoneLock, "b", ""),
            Finding::new(Rule::Drift, "a", "").at(std::path::Path::new("/here")),
            Finding::new(Rule::OverThreshold, "max-size", ""),
        ];
        let text = Baseline::of(&findings).to_json().unwrap();
        insta::assert_snapshot!(text, @r#"
        {
          "schema": "gocachevet.baseline/1",
          "findings": [
            {
              "rule": "drift",
              "subject": "a"
            },
            {
              "rule": "lone-lock",
              "subject": "b"
            }
          ]
        }
        "#);
        let baseline = Baseline::parse(text.as_bytes()).unwrap();
        let mut later = findings;
        later.push(Finding::new(Rule::Drift, "new", ""));
        let (left, count) = baseline.apply(later);
        let left: Vec<_> = left
            .iter()
            .map(|finding| finding.subject.as_str())
            .collect();
        assert_eq!((left, count), (vec!["max-size", "new"], 2));
    }

    #[test]
    fn other_files_are_refused() {
        for (text, error) in [
            ("", "not a baseline"),
            ("[]", "not a baseline"),
            (r#"{"schema": "gocachevet.baseline/1"}"#, "not a baseline"),
            (
                r#"{"schema": "gocachevet.baseline/1", "findings": [{"rule": "none", "subject": ""}]}"#,
                "not a baseline",
            ),
            (
                r#"{"schema": "gocachevet.baseline/2", "all": true}"#,
                "unknown version \"gocachevet.baseline/2\"",
            ),
        ] {
            let found = Baseline::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(found.starts_with(error), "{found}");
        }
    }
}
