//! GitHub workflow commands: annotations on the run.

use super::summary;
use crate::findings::Level;
use crate::report::{Report, Verdict};
use crate::text::escape::{LONGEST, clip, command_data, command_property, terminal};
use crate::text::human;

/// As many annotations as GitHub shows of one step and kind.
const ANNOTATIONS: usize = 10;

/// One line an annotation, worst first. If there are more findings than
/// annotations, the last one counts the rest; if there are none, a single
/// notice tells the verdict.
pub fn github(report: &Report) -> String {
    let findings: Vec<_> = summary::groups(&report.findings)
        .into_iter()
        .flat_map(|group| group.findings)
        .filter(|finding| finding.level > Level::Allow)
        .collect();
    if findings.is_empty() {
        let level = match report.verdict {
            Verdict::Pass => Level::Note,
            Verdict::Warn => Level::Warn,
            Verdict::Fail => Level::Deny,
        };
        return annotation(level, "gocachevet", &[summary::headline(report)]);
    }
    let shown = if findings.len() > ANNOTATIONS {
        ANNOTATIONS - 1
    } else {
        findings.len()
    };
    let mut out = String::new();
    for finding in findings.iter().take(shown) {
        let mut lines = vec![format!("{}: {}", finding.subject, finding.message)];
        if let (Some(expected), Some(actual)) = (&finding.expected, &finding.actual) {
            lines.push(format!("expected {expected}, found {actual}"));
        }
        lines.push(finding.help.clone());
        out.push_str(&annotation(finding.level, finding.rule.name(), &lines));
    }
    if let Some(next) = findings.get(shown) {
        let rest = (findings.len() - shown) as u64;
        out.push_str(&annotation(
            next.level,
            "gocachevet",
            &[format!(
                "{} more findings: see the job summary or the report",
                human::count(rest)
            )],
        ));
    }
    out
}

fn annotation(level: Level, title: &str, lines: &[String]) -> String {
    let command = match level {
        Level::Deny => "error",
        Level::Warn => "warning",
        Level::Note | Level::Allow => "notice",
    };
    let text = lines
        .iter()
        .map(|line| terminal(&clip(line, 4 * LONGEST)))
        .collect::<Vec<_>>()
        .join("\n");
    format!(
        "::{command} title={}::{}\n",
        command_property(&terminal(title)),
        command_data(&text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Finding, Rule};
    use crate::render::testing;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn one_line_an_annotation_whatever_the_names(subject in any::<String>(), message in "[\\r\\n:%,a#@\u{1b}]{0,20}") {
            let mut report = testing::clean();
            report.findings = vec![Finding::new(Rule::Drift, subject.clone(), message); 3];
            report.findings.iter_mut().for_each(|finding| finding.help = subject.clone());
            let out = github(&report);
            prop_assert_eq!(out.lines().count(), 3);
            prop_assert!(out.lines().all(|line| line.starts_with("::warning title=drift::")));
            prop_assert!(!out.contains('\r') && !out.contains("##["));
        }
    }

    #[test]
    fn at_most_ten_worst_first() {
        let mut report = testing::clean();
        for number in 0..10 {
            report
                .findings
                .push(Finding::new(Rule::LoneLock, format!("n{number}"), "a lock"));
            report.findings.push(Finding::new(
                Rule::ZipInvalid,
                format!("d{number}"),
                "a zip",
            ));
        }
        let out = github(&report);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 10);
        assert!(
            lines
                .iter()
                .take(9)
                .all(|line| line.starts_with("::error title=zip-invalid::d")),
            "{out}"
        );
        assert_eq!(
            lines[9],
            "::error title=gocachevet::11 more findings: see the job summary or the report"
        );
        report.findings.truncate(10);
        assert_eq!(github(&report).lines().count(), 10);
    }
}
