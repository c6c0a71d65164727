//! What entries have to do with each other.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::entry::{CacheEntry, Repository};
use super::prefix::{self, KeyPrefix};
use crate::report::remote::DuplicateSummary;

/// Archives of the same files differ a little in size: times, order, and the
/// compressor's mood.
const SIZE_TOLERANCE: f64 = 0.01;

/// Finds the same content under several keys or refs, as far as can be told
/// without downloading it; most waste first.
pub fn duplicates(repository: &Repository) -> Vec<DuplicateSummary> {
    let mut by_key: BTreeMap<(&str, &str), Vec<&CacheEntry>> = BTreeMap::new();
    for entry in &repository.entries {
        let class = (entry.version.as_str(), entry.key.as_str());
        by_key.entry(class).or_default().push(entry);
    }
    let mut found = Vec::new();
    let mut by_version: BTreeMap<&str, Vec<&CacheEntry>> = BTreeMap::new();
    for ((version, _), group) in by_key {
        // One entry stands for the key below, so that nothing counts twice.
        let newest = group.iter().copied().max_by_key(|entry| age(entry));
        by_version.entry(version).or_default().extend(newest);
        found.extend(duplicate(group, "key"));
    }
    for (_, mut group) in by_version {
        group.sort_by_key(|entry| entry.bytes);
        let alike = |smallest: &CacheEntry, entry: &CacheEntry| {
            entry.bytes as f64 <= smallest.bytes as f64 * (1.0 + SIZE_TOLERANCE)
        };
        let mut rest = group.as_slice();
        while let Some(smallest) = rest.first() {
            let count = rest.partition_point(|entry| alike(smallest, entry));
            let (class, larger) = rest.split_at(count);
            found.extend(duplicate(class.to_vec(), "size"));
            rest = larger;
        }
    }
    found.sort_by_key(|group| Reverse(group.wasted_bytes));
    found
}

fn duplicate(mut group: Vec<&CacheEntry>, likeness: &str) -> Option<DuplicateSummary> {
    group.sort_by_key(|entry| Reverse(age(entry)));
    let wasted_bytes = group.iter().skip(1).map(|entry| entry.bytes).sum();
    (wasted_bytes > 0).then(|| DuplicateSummary {
        likeness: likeness.to_owned(),
        ids: group.iter().map(|entry| entry.id).collect(),
        wasted_bytes,
    })
}

fn age(entry: &CacheEntry) -> impl Ord + use<> {
    (entry.created, entry.id)
}

/// Each entry with the newer one that takes its place: the newest of the same
/// ref, version and key prefix. A job that falls back on the prefix restores
/// that one, never this.
///
/// Where several prefixes cover a key the longest tells. Keys that no prefix
/// covers are restored by their full name only and never superseded.
pub fn superseded<'a>(
    repository: &'a Repository,
    prefixes: &[KeyPrefix],
) -> Vec<(&'a CacheEntry, Option<&'a CacheEntry>)> {
    let class = |entry: &'a CacheEntry| {
        let prefix = prefix::longest(prefixes, &entry.key)?;
        Some((&entry.git_ref, &entry.version, prefix))
    };
    let mut newest = HashMap::new();
    for entry in &repository.entries {
        let Some(class) = class(entry) else { continue };
        let best = newest.entry(class).or_insert(entry);
        if age(entry) > age(best) {
            *best = entry;
        }
    }
    let successor = |entry: &'a CacheEntry| {
        let best = *newest.get(&class(entry)?)?;
        (best.id != entry.id).then_some(best)
    };
    let entries = repository.entries.iter();
    entries.map(|entry| (entry, successor(entry))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::remote::testing::{entry, repository};

    fn prefixes(texts: &[&str]) -> Vec<KeyPrefix> {
        texts
            .iter()
            .filter_map(|text| KeyPrefix::parse(text))
            .collect()
    }

    /// By entry the id of what takes its place.
    fn successors(repository: &Repository, texts: &[&str]) -> Vec<Option<u64>> {
        let found = superseded(repository, &prefixes(texts));
        let ids = found.iter().map(|(_, newer)| newer.map(|newer| newer.id));
        ids.collect()
    }

    #[test]
    fn the_same_key_under_several_refs_is_a_duplicate() {
        let repository = repository(vec![
            entry(1, "go-a", "refs/heads/main", 100, 9),
            entry(2, "go-a", "refs/pull/7/merge", 120, 5),
            entry(3, "go-b", "refs/heads/main", 500, 4),
        ]);
        assert_eq!(
            duplicates(&repository),
            [DuplicateSummary {
                likeness: "key".into(),
                ids: vec![2, 1],
                wasted_bytes: 100
            }]
        );
    }

    #[test]
    fn the_same_size_under_several_keys_is_a_duplicate_if_the_version_agrees() {
        let mut repository = repository(vec![
            entry(1, "lint-a", "refs/heads/main", 10_000, 9),
            entry(2, "test-a", "refs/heads/main", 10_050, 8),
            entry(3, "build-a", "refs/heads/main", 10_200, 7),
            entry(4, "other-a", "refs/heads/main", 10_000, 6),
        ]);
        repository.entries[3].version = "w".into();
        assert_eq!(
            duplicates(&repository),
            [DuplicateSummary {
                likeness: "size".into(),
                ids: vec![2, 1],
                wasted_bytes: 10_000
            }]
        );
    }

    #[test]
    fn only_the_newest_of_ref_version_and_prefix_is_current() {
        let mut repository = repository(vec![
            entry(1, "Linux-go-a", "refs/heads/main", 1, 9),
            entry(2, "Linux-go-b", "refs/heads/main", 1, 3),
            entry(3, "macOS-go-a", "refs/heads/main", 1, 8),
            entry(4, "Linux-go-a", "refs/heads/dev", 1, 7),
            entry(5, "Linux-go-c", "refs/heads/main", 1, 6),
            entry(6, "unrelated", "refs/heads/main", 1, 99),
            entry(7, "Linux-go-d", "refs/heads/main", 1, 50),
        ]);
        repository.entries[6].version = "other paths".into();
        let found = successors(&repository, &["${{ runner.os }}-go-"]);
        assert_eq!(found, [Some(2), None, None, None, Some(2), None, None]);
        assert_eq!(successors(&repository, &[]), [None; 7]);
    }

    #[test]
    fn the_longest_prefix_tells() {
        let repository = repository(vec![
            entry(1, "go-lint-a", "refs/heads/main", 1, 9),
            entry(2, "go-test-a", "refs/heads/main", 1, 3),
            entry(3, "go-test-b", "refs/heads/main", 1, 2),
        ]);
        let found = successors(&repository, &["go-", "go-lint-", "go-test-"]);
        assert_eq!(found, [None, Some(3), None]);
    }
}
