//! What entries have to do with each other.

use std::collections::{BTreeMap, HashMap};

use super::entry::{CacheEntry, Repository};
use super::prefix::{self, KeyPrefix};

/// Entries of one repository that hold the same content, as far as can be
/// told without downloading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicates {
    /// Positions in the repository's list, newest first.
    pub entries: Vec<usize>,
    /// What makes them alike.
    pub likeness: Likeness,
    /// Bytes of all but the newest.
    pub wasted: u64,
}

/// Why entries are taken for the same content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// One key and version, saved for several refs.
    Key,
    /// Several keys, one version (the same paths), sizes within one percent.
    Size,
}

/// Archives of the same files differ a little in size: times, order, and the
/// compressor's mood.
const SIZE_TOLERANCE: f64 = 0.01;

/// Finds the same content under several keys or refs; most waste first.
pub fn duplicates(repository: &Repository) -> Vec<Duplicates> {
    let entries = &repository.entries;
    let mut by_key: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let class = (entry.version.as_str(), entry.key.as_str());
        by_key.entry(class).or_default().push(index);
    }
    let mut found = Vec::new();
    let mut by_version: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for ((version, _), mut group) in by_key {
        newest_first(&mut group, entries);
        // One entry stands for the key below, so that nothing counts twice.
        by_version.entry(version).or_default().extend(group.first());
        found.extend(Duplicates::of(group, Likeness::Key, entries));
    }
    for (_, mut group) in by_version {
        group.sort_by_key(|&index| size(entries, index));
        let mut class: Vec<usize> = Vec::new();
        for index in group {
            let alike = class.first().is_some_and(|&first| {
                let limit = size(entries, first) as f64 * (1.0 + SIZE_TOLERANCE);
                size(entries, index) as f64 <= limit
            });
            if !alike {
                let done = std::mem::take(&mut class);
                found.extend(Duplicates::of(done, Likeness::Size, entries));
            }
            class.push(index);
        }
        found.extend(Duplicates::of(class, Likeness::Size, entries));
    }
    found.sort_by_key(|group| std::cmp::Reverse(group.wasted));
    found
}

impl Duplicates {
    fn of(mut group: Vec<usize>, likeness: Likeness, entries: &[CacheEntry]) -> Option<Self> {
        newest_first(&mut group, entries);
        let wasted = group
            .iter()
            .skip(1)
            .map(|&index| size(entries, index))
            .sum();
        (wasted > 0).then_some(Self {
            entries: group,
            likeness,
            wasted,
        })
    }
}

fn size(entries: &[CacheEntry], index: usize) -> u64 {
    entries.get(index).map_or(0, |entry| entry.bytes)
}

fn newest_first(group: &mut [usize], entries: &[CacheEntry]) {
    group.sort_by_key(|&index| {
        std::cmp::Reverse(entries.get(index).map(|entry| (entry.created, entry.id)))
    });
}

/// For each entry the position of the newer one that takes its place: the
/// newest of the same ref, version and key prefix. A job that falls back on
/// the prefix restores that one, never this.
///
/// Where several prefixes cover a key the longest tells. Keys that no prefix
/// covers are restored by their full name only and never superseded.
pub fn superseded(repository: &Repository, prefixes: &[KeyPrefix]) -> Vec<Option<usize>> {
    let entries = &repository.entries;
    let age = |index: usize| entries.get(index).map(|entry| (entry.created, entry.id));
    let mut newest: HashMap<Class, usize> = HashMap::new();
    let classes: Vec<_> = entries.iter().map(|entry| class(entry, prefixes)).collect();
    for (index, class) in classes.iter().enumerate() {
        let Some(class) = class else { continue };
        let best = newest.entry(*class).or_insert(index);
        if age(index) > age(*best) {
            *best = index;
        }
    }
    let successor = |(index, class): (usize, &Option<_>)| {
        let best = *newest.get(class.as_ref()?)?;
        (best != index).then_some(best)
    };
    classes.iter().enumerate().map(successor).collect()
}

/// Ref, version and key prefix: what stands in for each other.
type Class<'a> = (&'a str, &'a str, &'a str);

fn class<'a>(entry: &'a CacheEntry, prefixes: &[KeyPrefix]) -> Option<Class<'a>> {
    let prefix = prefix::longest(prefixes, &entry.key)?;
    Some((&entry.git_ref, &entry.version, prefix))
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

    #[test]
    fn the_same_key_under_several_refs_is_a_duplicate() {
        let repository = repository(vec![
            entry(1, "go-a", "refs/heads/main", 100, 9),
            entry(2, "go-a", "refs/pull/7/merge", 120, 5),
            entry(3, "go-b", "refs/heads/main", 500, 4),
        ]);
        assert_eq!(
            duplicates(&repository),
            [Duplicates {
                entries: vec![1, 0],
                likeness: Likeness::Key,
                wasted: 100
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
            [Duplicates {
                entries: vec![1, 0],
                likeness: Likeness::Size,
                wasted: 10_000
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
        let found = superseded(&repository, &prefixes(&["${{ runner.os }}-go-"]));
        assert_eq!(found, [Some(1), None, None, None, Some(1), None, None]);
        assert_eq!(superseded(&repository, &[]), [None; 7]);
    }

    #[test]
    fn the_longest_prefix_tells() {
        let repository = repository(vec![
            entry(1, "go-lint-a", "refs/heads/main", 1, 9),
            entry(2, "go-test-a", "refs/heads/main", 1, 3),
            entry(3, "go-test-b", "refs/heads/main", 1, 2),
        ]);
        let found = superseded(&repository, &prefixes(&["go-", "go-lint-", "go-test-"]));
        assert_eq!(found, [None, Some(2), None]);
    }
}
