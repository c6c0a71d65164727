//! What several renderers say in the same words.

use crate::findings::{Finding, Level, Rule};
use crate::report::{Report, SavedKind, Snapshot};
use crate::text::human;

/// The verdict and what led to it, in a line: `2 denied, 1 warning; 3.38 GB in two caches`.
pub(crate) fn headline(report: &Report) -> String {
    let count = |level| {
        report
            .findings
            .iter()
            .filter(|finding| finding.level == level)
            .count() as u64
    };
    let (denied, warnings, notes) = (count(Level::Deny), count(Level::Warn), count(Level::Note));
    let mut parts = Vec::new();
    if denied > 0 {
        parts.push(format!("{} denied", human::count(denied)));
    }
    if warnings > 0 {
        parts.push(human::counted(warnings, "warning", "warnings"));
    }
    if notes > 0 {
        parts.push(human::counted(notes, "note", "notes"));
    }
    let stuck = report
        .outcome
        .as_ref()
        .map_or(0, |outcome| outcome.failed.len());
    if stuck > 0 {
        parts.push(format!("{} not removed", human::count(stuck as u64)));
    }
    if parts.is_empty() {
        parts.push("Nothing to complain about".to_owned());
    }
    if !report.settings.is_empty() {
        return parts.join(", "); // Go's settings are the matter, not the caches
    }
    if let Some(snapshot) = &report.snapshot {
        return format!("{}; {}", parts.join(", "), moved(snapshot));
    }
    let bytes = [
        report.modcache.as_ref().map(|cache| cache.bytes),
        report.buildcache.as_ref().map(|cache| cache.bytes),
    ];
    let total = human::size(
        bytes
            .iter()
            .flatten()
            .fold(0, |sum: u64, bytes| sum.saturating_add(*bytes)),
    );
    let caches = match bytes.iter().flatten().count() {
        0 => "no cache found".to_owned(),
        1 => format!("{total} in one cache"),
        _ => format!("{total} in two caches"),
    };
    let part = report.shard.as_ref();
    let part = part.map(|shard| format!("Part {} of {}: ", shard.index, shard.count));
    let open = report.verification.as_ref().and_then(|verification| {
        let open = verification.leaves_open.as_ref()?;
        Some(format!("; --verify {} {open}", verification.level))
    });
    format!(
        "{}{}; {caches}{}",
        part.unwrap_or_default(),
        parts.join(", "),
        open.unwrap_or_default()
    )
}

/// What `restore` or `save` did, in a line.
fn moved(snapshot: &Snapshot) -> String {
    if let Some(saved) = &snapshot.saved {
        let what = match saved.kind {
            SavedKind::None => return format!("saved nothing: {}", saved.reason),
            SavedKind::Base => "base",
            SavedKind::Delta => "delta",
        };
        let (size, units) = (human::size(saved.bytes), human::count(saved.units));
        let sealed = sealed(saved.sealed_by.as_deref());
        return format!(
            "saved a {what} of {size} with {units} units{sealed}: {}",
            saved.reason
        );
    }
    let Some(restored) = &snapshot.restored else {
        return "nothing restored".to_owned();
    };
    let mut line = format!(
        "restored {} in {}, in {}, saved {} ago",
        human::size(restored.bytes),
        human::counted(restored.files, "file", "files"),
        human::duration(restored.seconds),
        human::duration(restored.age_seconds as f64)
    );
    for (number, what) in [
        (restored.skipped, "left out"),
        (restored.present, "there already"),
    ] {
        if number > 0 {
            line.push_str(&format!(", {} {what}", human::count(number)));
        }
    }
    line + &sealed(restored.sealed_by.as_deref())
}

fn sealed(by: Option<&str>) -> String {
    by.map(|by| format!(", sealed by {by}")).unwrap_or_default()
}

/// Findings of one rule and level.
pub(crate) struct Group<'a> {
    pub(crate) level: Level,
    pub(crate) rule: Rule,
    pub(crate) findings: Vec<&'a Finding>,
}

impl Group<'_> {
    /// The message, if several findings have one and the same.
    pub(crate) fn shared_message(&self) -> Option<&str> {
        let (first, others) = self.findings.split_first()?;
        let same = !others.is_empty() && others.iter().all(|other| other.message == first.message);
        same.then_some(first.message.as_str())
    }

    /// The different pieces of advice, in order, a few at most.
    pub(crate) fn advice(&self) -> Vec<&str> {
        let mut advice: Vec<&str> = Vec::new();
        for finding in &self.findings {
            if advice.len() < 3
                && !finding.help.is_empty()
                && !advice.contains(&finding.help.as_str())
            {
                advice.push(&finding.help);
            }
        }
        advice
    }
}

/// The findings by level (worst first) and rule, each in their order.
pub(crate) fn groups(findings: &[Finding]) -> Vec<Group<'_>> {
    let mut groups =
        std::collections::BTreeMap::<(std::cmp::Reverse<Level>, Rule), Vec<&Finding>>::new();
    for finding in findings {
        groups
            .entry((std::cmp::Reverse(finding.level), finding.rule))
            .or_default()
            .push(finding);
    }
    groups
        .into_iter()
        .map(|((level, rule), findings)| Group {
            level: level.0,
            rule,
            findings,
        })
        .collect()
}

/// A finding's message as a sentence of its own, for forms that join it to others.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}
