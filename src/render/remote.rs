//! What GitHub keeps of the caches, for a person.

use super::section::{Item, List, SHOWN, Section, Text, more, name};
use crate::report::remote::{NextSave, RepositorySummary};
use crate::text::human;

/// What GitHub keeps of a repository's caches.
pub(super) fn section(summary: &RepositorySummary) -> Section {
    let repository = name(&summary.name);
    Section::new("Remote caches")
        .aside(repository)
        .list(figures(summary))
}

/// A repository's figures.
pub(crate) fn figures(summary: &RepositorySummary) -> List {
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
    let mut list: List = lines.into_iter().collect();
    list.items
        .extend(summary.next_save.iter().flat_map(next_save));
    list
}

fn next_save(save: &NextSave) -> Vec<Item> {
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
    let share = share.unwrap_or_default();
    let mut items = vec![Item {
        head: format!("this job will save {size}{share}").into(),
        lines: Vec::new(),
    }];
    if !save.evicts.is_empty() {
        let bytes = save.evicts.iter().map(|evicted| evicted.bytes);
        let bytes = human::size(bytes.fold(0, u64::saturating_add));
        let entries = human::counted(save.evicts.len() as u64, "entry", "entries");
        let evicts = save.evicts.iter().take(SHOWN).map(|evicted| {
            let evicts = Text::from(human::size(evicted.bytes)).name(&evicted.key);
            evicts.words("(").name(&evicted.git_ref).words(")")
        });
        let left_out = save.evicts.len().saturating_sub(SHOWN);
        items.push(Item {
            head: format!("which pushes out {entries}, {bytes}").into(),
            lines: evicts.chain(more(left_out).map(Text::from)).collect(),
        });
    }
    items
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
