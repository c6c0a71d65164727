//! What GitHub keeps of the caches, for a person.

use crate::report::remote::{NextSave, RepositorySummary};
use crate::text::escape::{clip, terminal};
use crate::text::human;

/// A repository's figures, line by line, for a person.
pub(crate) fn lines(summary: &RepositorySummary) -> Vec<String> {
    let at_least = if summary.complete { "" } else { "at least " };
    let mut lines = vec![format!(
        "{at_least}{}, {}{}",
        human::counted(summary.all.entries, "entry", "entries"),
        human::size(summary.all.bytes),
        quota(summary),
    )];
    let figures = [
        ("superseded", summary.superseded),
        (
            "of closed pull requests and deleted refs",
            summary.unreachable,
        ),
        ("never restored", Some(summary.never_accessed)),
    ];
    for (what, figure) in figures {
        if let Some(figure) = figure.filter(|figure| figure.entries > 0) {
            let entries = human::counted(figure.entries, "entry", "entries");
            lines.push(format!("{what}: {entries}, {}", human::size(figure.bytes)));
        }
    }
    if !summary.duplicates.is_empty() {
        let wasted = summary
            .duplicates
            .iter()
            .map(|group| group.wasted_bytes)
            .fold(0, u64::saturating_add);
        let groups = human::counted(summary.duplicates.len() as u64, "group", "groups");
        lines.push(format!(
            "duplicates: {groups}, {} more than once",
            human::size(wasted)
        ));
    }
    if let Some(save) = &summary.next_save {
        lines.extend(next_save(save));
    }
    lines
}

fn next_save(save: &NextSave) -> Vec<String> {
    let size = match save.expected_bytes {
        Some(bytes) => format!("about {}", human::size(bytes)),
        None => format!(
            "up to {} before compression",
            human::size(save.uncompressed_bytes)
        ),
    };
    let share = save
        .share
        .map(|share| format!(", {} of the quota", human::percent(share)));
    let mut lines = vec![format!(
        "this job will save {size}{}",
        share.unwrap_or_default()
    )];
    if !save.evicts.is_empty() {
        let bytes = save.evicts.iter().map(|evicted| evicted.bytes);
        let bytes = bytes.fold(0, u64::saturating_add);
        let entries = human::counted(save.evicts.len() as u64, "entry", "entries");
        lines.push(format!(
            "which pushes out {entries}, {}:",
            human::size(bytes)
        ));
    }
    for evicted in save.evicts.iter().take(10) {
        let key = terminal(&clip(&evicted.key, 60));
        let git_ref = terminal(&clip(&evicted.git_ref, 40));
        lines.push(format!(
            "  {} {key} ({git_ref})",
            human::size(evicted.bytes)
        ));
    }
    if let Some(more) = save.evicts.len().checked_sub(10).filter(|more| *more > 0) {
        lines.push(format!("  and {more} more"));
    }
    lines
}

fn quota(summary: &RepositorySummary) -> String {
    let (Some(bytes), Some(share)) = (summary.quota_bytes, summary.share) else {
        return String::new();
    };
    let assumed = if summary.quota_assumed {
        " (assumed)"
    } else {
        ""
    };
    format!(
        ", {} of {}{assumed}",
        human::percent(share),
        human::size(bytes)
    )
}
