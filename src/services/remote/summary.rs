//! What is said of a repository's caches in the report.

use super::entry::{RefState, Repository};
use super::groups;
use super::prefix::{self, KeyPrefix};
use crate::report::remote::{Evicted, Figure, NextSave, RepositorySummary};

/// Sums up a repository. Superseded entries are looked for under `prefixes`.
pub fn summary(repository: &Repository, prefixes: &[KeyPrefix]) -> RepositorySummary {
    let entries = &repository.entries;
    let superseded = || {
        let found = groups::superseded(repository, prefixes);
        let older = found.iter().filter(|(_, newer)| newer.is_some());
        figure(older.map(|(entry, _)| entry.bytes))
    };
    let asked = entries
        .iter()
        .all(|entry| repository.refs.contains_key(&entry.git_ref));
    let unreachable = || {
        let state = |git_ref: &str| repository.refs.get(git_ref).copied();
        let gone = entries
            .iter()
            .filter(|entry| state(&entry.git_ref) != Some(RefState::Alive));
        figure(gone.map(|entry| entry.bytes))
    };
    RepositorySummary {
        name: repository.name.clone(),
        complete: repository.complete,
        all: figure(entries.iter().map(|entry| entry.bytes)),
        reported_bytes: repository.reported_bytes,
        quota_bytes: repository.quota.map(|quota| quota.bytes),
        quota_assumed: repository.quota.is_some_and(|quota| quota.assumed),
        share: share(repository, repository.bytes()),
        duplicates: groups::duplicates(repository),
        superseded: (!prefixes.is_empty()).then(superseded),
        unreachable: asked.then(unreachable),
        never_accessed: figure(
            (entries.iter().filter(|entry| entry.never_accessed())).map(|entry| entry.bytes),
        ),
        next_save: None,
        unknown: repository.unknown.clone(),
    }
}

/// Foresees what saving `uncompressed_bytes` under `key` will do to the
/// repository.
///
/// Compression is not foreseen but learnt: the newest entry whose key shares
/// a prefix of `prefixes` with this one tells the size to expect. Without
/// one, the bytes before compression stand for it, which is too much.
pub fn next_save(
    repository: &Repository,
    key: Option<&str>,
    prefixes: &[KeyPrefix],
    uncompressed_bytes: u64,
) -> NextSave {
    let own = key.and_then(|key| prefix::longest(prefixes, key));
    let expected_bytes = own.and_then(|own| {
        let alike = repository.entries.iter();
        let alike = alike.filter(|entry| prefix::longest(prefixes, &entry.key) == Some(own));
        alike
            .max_by_key(|entry| (entry.created, entry.id))
            .map(|entry| entry.bytes)
    });
    let size = expected_bytes.unwrap_or(uncompressed_bytes);
    let mut evicts = Vec::new();
    if let Some(quota) = repository.quota {
        let mut used = repository.bytes().saturating_add(size);
        let mut by_access: Vec<_> = repository.entries.iter().collect();
        by_access.sort_by_key(|entry| (entry.accessed, entry.id));
        for entry in by_access {
            if used <= quota.bytes {
                break;
            }
            used = used.saturating_sub(entry.bytes);
            evicts.push(Evicted {
                id: entry.id,
                key: entry.key.clone(),
                git_ref: entry.git_ref.clone(),
                bytes: entry.bytes,
                accessed: entry.accessed,
            });
        }
    }
    NextSave {
        key: key.map(str::to_owned),
        uncompressed_bytes,
        expected_bytes,
        share: share(repository, size),
        evicts,
    }
}

fn share(repository: &Repository, bytes: u64) -> Option<f64> {
    let quota = repository.quota.filter(|quota| quota.bytes > 0)?;
    Some(bytes as f64 / quota.bytes as f64)
}

fn figure(sizes: impl Iterator<Item = u64>) -> Figure {
    sizes.fold(Figure::default(), |sum, bytes| Figure {
        entries: sum.entries + 1,
        bytes: sum.bytes.saturating_add(bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::remote::entry::Quota;
    use crate::services::remote::testing::{ago, entry, repository};

    fn prefixes() -> Vec<KeyPrefix> {
        KeyPrefix::parse("go-").into_iter().collect()
    }

    #[test]
    fn figures_of_a_repository() {
        let mut repository = repository(vec![
            entry(1, "go-a", "refs/heads/main", 400, 9),
            entry(2, "go-b", "refs/heads/main", 100, 5),
            entry(3, "go-a", "refs/heads/old", 300, 4),
        ]);
        repository.entries[1].accessed = ago(1);
        repository.quota = Some(Quota {
            bytes: 1000,
            assumed: false,
        });
        let unasked = summary(&repository, &[]);
        assert_eq!((unasked.superseded, unasked.unreachable), (None, None));
        repository
            .refs
            .insert("refs/heads/main".into(), RefState::Alive);
        repository
            .refs
            .insert("refs/heads/old".into(), RefState::Deleted);
        let summary = summary(&repository, &prefixes());
        assert_eq!(
            summary.all,
            Figure {
                entries: 3,
                bytes: 800
            }
        );
        assert_eq!(summary.share, Some(0.8));
        assert_eq!(
            summary.superseded,
            Some(Figure {
                entries: 1,
                bytes: 400
            })
        );
        assert_eq!(
            summary.unreachable,
            Some(Figure {
                entries: 1,
                bytes: 300
            })
        );
        assert_eq!(
            summary.never_accessed,
            Figure {
                entries: 2,
                bytes: 700
            }
        );
        assert_eq!(summary.duplicates[0].ids, [3, 1]);
    }

    #[test]
    fn a_save_pushes_out_the_least_recently_accessed() {
        let mut repository = repository(vec![
            entry(1, "go-a", "refs/heads/main", 400, 9),
            entry(2, "go-b", "refs/heads/main", 300, 5),
            entry(3, "x", "refs/heads/main", 200, 7),
        ]);
        repository.entries[0].accessed = ago(1);
        let save = next_save(&repository, Some("go-c"), &prefixes(), 5000);
        assert_eq!((save.expected_bytes, save.share), (Some(300), None));
        assert_eq!(save.evicts, []);
        repository.quota = Some(Quota {
            bytes: 1000,
            assumed: true,
        });
        let save = next_save(&repository, Some("go-c"), &prefixes(), 5000);
        assert_eq!(save.share, Some(0.3));
        assert_eq!(
            save.evicts.iter().map(|gone| gone.id).collect::<Vec<_>>(),
            [3]
        );
        let unknown = next_save(&repository, None, &prefixes(), 650);
        assert_eq!(unknown.expected_bytes, None);
        assert_eq!(
            unknown
                .evicts
                .iter()
                .map(|gone| gone.id)
                .collect::<Vec<_>>(),
            [3, 2, 1]
        );
    }
}
