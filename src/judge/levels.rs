//! What the configuration makes of findings: their levels, and which are
//! known and accepted.

use crate::findings::{Finding, Level, Rule};
use crate::settings::Silence;
use chrono::NaiveDate;
use std::collections::BTreeMap;

/// Gives findings the levels that the configuration sets and drops those
/// allowed. `strict` denies what names something unproven, unless the
/// configuration has a level for its rule.
pub fn apply(findings: Vec<Finding>, levels: &BTreeMap<Rule, Level>, strict: bool) -> Vec<Finding> {
    findings
        .into_iter()
        .map(|finding| {
            let own = match strict && finding.rule.names_unproven() {
                true => Level::Deny,
                false => finding.level,
            };
            Finding {
                level: levels.get(&finding.rule).copied().unwrap_or(own),
                ..finding
            }
        })
        .filter(|finding| finding.level != Level::Allow)
        .collect()
}

/// What is left after silencing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Silenced {
    /// The findings that nothing silences.
    pub findings: Vec<Finding>,
    /// How many were silenced.
    pub count: u64,
    /// Silences that expired, or that silenced nothing.
    pub notes: Vec<String>,
}

struct Tried<'a> {
    silence: &'a Silence,
    /// Whether any finding matched it.
    matched: bool,
}

impl Tried<'_> {
    fn new(silence: &Silence) -> Tried<'_> {
        Tried {
            silence,
            matched: false,
        }
    }
}

/// Drops the findings that the configuration accepts. A silence counts up to
/// and including the day it expires (UTC); `today` is that day.
pub fn silence(findings: Vec<Finding>, silences: &[Silence], today: NaiveDate) -> Silenced {
    let mut tried: Vec<Tried<'_>> = silences.iter().map(Tried::new).collect();
    let mut silenced = Silenced::default();
    for finding in findings {
        let mut known = false;
        for Tried { silence, matched } in &mut tried {
            if silence.rule == finding.rule
                && fast_glob::glob_match(&silence.subject, &finding.subject)
            {
                *matched = true;
                known |= !expired(silence, today);
            }
        }
        if known {
            silenced.count += 1;
        } else {
            silenced.findings.push(finding);
        }
    }
    for Tried { silence, matched } in tried {
        let Silence { rule, subject, .. } = silence;
        if let Some(day) = silence.expires.filter(|_| expired(silence, today)) {
            silenced.notes.push(format!(
                "the silence of {rule} for {subject} expired on {day}"
            ));
        } else if !matched {
            silenced.notes.push(format!(
                "the silence of {rule} for {subject} matched no finding"
            ));
        }
    }
    silenced
}

fn expired(silence: &Silence, today: NaiveDate) -> bool {
    silence.expires.is_some_and(|day| day < today)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    fn silence_of(subject: &str, expires: Option<NaiveDate>) -> Silence {
        Silence {
            rule: Rule::Drift,
            subject: subject.to_owned(),
            reason: "known".to_owned(),
            expires,
        }
    }

    #[test]
    fn levels_are_replaced_and_allowed_findings_dropped() {
        let findings = || {
            vec![
                Finding::new(Rule::Drift, "a", ""),
                Finding::new(Rule::LoneLock, "b", ""),
                Finding::new(Rule::Unreadable, "c", ""),
            ]
        };
        let levels = BTreeMap::from([(Rule::Drift, Level::Deny), (Rule::LoneLock, Level::Allow)]);
        let left: Vec<_> = apply(findings(), &levels, false)
            .into_iter()
            .map(|finding| (finding.subject, finding.level))
            .collect();
        assert_eq!(
            left,
            [("a".to_owned(), Level::Deny), ("c".to_owned(), Level::Deny)]
        );
        assert_eq!(apply(findings(), &BTreeMap::new(), false), findings());
    }

    #[test]
    fn strict_denies_what_is_unproven_unless_told_otherwise() {
        let findings = vec![
            Finding::new(Rule::Unproven, "a", ""),
            Finding::new(Rule::InfoUnproven, "b", ""),
            Finding::new(Rule::LoneLock, "c", ""),
        ];
        let levels = BTreeMap::from([(Rule::InfoUnproven, Level::Note)]);
        let left: Vec<_> = apply(findings, &levels, true)
            .into_iter()
            .map(|finding| finding.level)
            .collect();
        assert_eq!(left, [Level::Deny, Level::Note, Level::Note]);
    }

    #[test]
    fn what_is_accepted_is_silenced_until_it_expires() {
        for (pattern, expires, count, notes) in [
            ("example.com/m@v1.0.0", None, 1, ""),
            ("example.com/*", Some(day(23)), 1, ""),
            (
                "example.com/**",
                Some(day(22)),
                0,
                "the silence of drift for example.com/** expired on 2026-11-22",
            ),
            (
                "example.com/n",
                None,
                0,
                "the silence of drift for example.com/n matched no finding",
            ),
            (
                "other/**",
                Some(day(1)),
                0,
                "the silence of drift for other/** expired on 2026-11-01",
            ),
        ] {
            let findings = vec![
                Finding::new(Rule::Drift, "example.com/m@v1.0.0", ""),
                Finding::new(Rule::LoneLock, "example.com/m@v1.0.0", ""),
            ];
            let result = silence(findings, &[silence_of(pattern, expires)], day(23));
            assert_eq!(result.count, count, "{pattern}");
            assert_eq!(result.findings.len() as u64, 2 - count, "{pattern}");
            assert_eq!(result.notes.join("; "), notes, "{pattern}");
        }
    }
}
