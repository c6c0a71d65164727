//! The mark at the start of a job.
//!
//! Go refreshes the time of an entry it uses only if that is an hour old
//! (`cmd/go/internal/cache/cache.go`: `markUsed`, `mtimeInterval`), so younger
//! ones are set back, or their use would not be seen: a cache saved a minute ago
//! and restored would look unused. Their true times stand in the state.

use super::state::{Head, MarkedAction, MarkedVersion, State, nanos};
use crate::findings::display_path;
use crate::formats::action::ActionId;
use crate::parallel;
use crate::scan::{BuildCache, Inventory};
use chrono::{DateTime, TimeDelta, Utc};

/// Younger entries are not refreshed when they are used.
const REFRESHED_AFTER: TimeDelta = TimeDelta::hours(1);

/// No entry is set back by more: Go removes what is five days old.
const SET_BACK: TimeDelta = TimeDelta::hours(2);

/// What to remember of the caches. `earlier` is the state of an earlier mark:
/// entries that it set back and that were not used since keep their true time.
pub fn state(inventory: &Inventory, earlier: Option<&State>, now: DateTime<Utc>) -> State {
    let mut state = State::new(now);
    let Head {
        modcache,
        gocache,
        gocache_bytes,
        trimmed,
        versions,
        ..
    } = &mut state.head;
    if let Some(cache) = &inventory.modcache {
        *modcache = Some(display_path(&cache.root));
        for version in &cache.versions {
            let marked = MarkedVersion {
                zip: version.zip.is_some(),
                tree: version.tree.is_some() && version.partial.is_none(),
                go_mod: version.go_mod.is_some(),
                bytes: version.download_bytes(),
            };
            versions.insert(version.id.to_string(), marked);
        }
    }
    if let Some(cache) = &inventory.buildcache {
        *gocache = Some(display_path(&cache.root));
        *gocache_bytes = crate::report::BuildCache::from(cache).bytes;
        *trimmed = cache.trimmed;
        state.actions = cache
            .actions
            .iter()
            .map(|action| {
                let found = nanos(action.modified);
                let known = earlier.and_then(|state| state.action(action.id));
                let used = known
                    .filter(|marked| marked.set == found)
                    .map_or(found, |marked| marked.used);
                MarkedAction {
                    id: action.id,
                    used,
                    set: set_to(action.modified, now).map_or(found, nanos),
                }
            })
            .collect();
    }
    state
}

/// The time that an entry used at `used` gets; `None` if it is old enough, or so
/// far in the future that no lawful step back makes it old enough.
///
/// A whole second, since not every file system keeps less.
fn set_to(used: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if used <= now - REFRESHED_AFTER {
        return None;
    }
    let back = used.max(now) - SET_BACK;
    let whole = DateTime::from_timestamp(back.timestamp() + 1, 0)?;
    (whole <= now - REFRESHED_AFTER).then_some(whole)
}

/// Sets the times as the state says, after it was written; `cache` is what it
/// was made of, and those entries that have their time already (an
/// earlier mark gave it to them) are left alone. Returns how many entries were
/// set back and the first of those that could not be.
pub fn set(cache: &BuildCache, state: &State, jobs: usize) -> (usize, Option<std::io::Error>) {
    let young: Vec<&MarkedAction> = state
        .actions
        .iter()
        .zip(&cache.actions)
        .filter(|(marked, found)| marked.set != nanos(found.modified))
        .map(|(marked, _)| marked)
        .collect();
    let shards: Vec<&[&MarkedAction]> = young.chunk_by(|a, b| first(a.id) == first(b.id)).collect();
    let results = parallel::map(
        jobs,
        shards.len(),
        || (),
        |(), index| set_shard(cache, shards[index]),
    );
    let mut count = 0;
    let mut error = None;
    for (set, failed) in results {
        count += set;
        error = error.or(failed);
    }
    (count, error)
}

fn first(id: ActionId) -> u8 {
    let [first, ..] = id.0;
    first
}

fn set_shard(cache: &BuildCache, entries: &[&MarkedAction]) -> (usize, Option<std::io::Error>) {
    let Some(shard) = entries.first().map(|entry| entry.id.shard()) else {
        return (0, None);
    };
    let folder = match cache.shard(&shard) {
        Ok(folder) => folder,
        Err(error) => return (0, Some(error)),
    };
    let mut count = 0;
    let mut failed = None;
    for entry in entries {
        let time = DateTime::from_timestamp_nanos(entry.set);
        match folder.set_time(format!("{}-a", entry.id).as_ref(), time) {
            Ok(()) => count += 1,
            // Gone since: nothing to observe.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    (count, failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Root;
    use crate::scan::Action;
    use std::sync::Arc;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    const NOW: i64 = 1_000_000;
    const HOUR: i64 = 3_600;

    #[test]
    fn only_young_entries_are_set_back_and_by_two_hours_at_most() {
        let now = at(NOW) + TimeDelta::nanoseconds(500_000_001);
        for (age, set) in [
            (HOUR + 1, None),
            (5 * 86_400, None),
            (HOUR - 1, Some(NOW - 2 * HOUR + 1)),
            (0, Some(NOW - 2 * HOUR + 1)),
            // A clock that is ahead.
            (-60, Some(NOW + 60 - 2 * HOUR + 1)),
            (-2 * HOUR, None),
        ] {
            let used = at(NOW - age);
            let time = set_to(used, now);
            assert_eq!(time, set.map(at), "{age}");
            if let Some(time) = time {
                assert!(used - time <= SET_BACK, "{age}");
                assert!(now - time >= REFRESHED_AFTER, "{age}");
            }
        }
    }

    fn inventory(times: &[DateTime<Utc>]) -> Inventory {
        let actions = times.iter().zip(1..).map(|(&modified, n)| Action {
            id: ActionId([n; 32]),
            entry: None,
            bytes: 175,
            modified,
        });
        Inventory {
            buildcache: Some(BuildCache {
                actions: actions.collect(),
                ..BuildCache::default()
            }),
            ..Inventory::default()
        }
    }

    #[test]
    fn a_second_mark_keeps_the_first_true_times() {
        let first = state(&inventory(&[at(NOW - 60), at(NOW - 60)]), None, at(NOW));
        let set = DateTime::from_timestamp_nanos(first.actions[0].set);
        assert_eq!(first.actions[0].used, nanos(at(NOW - 60)));
        // The first entry is as the mark left it, the second was used.
        let again = inventory(&[set, at(NOW + 30)]);
        let second = state(&again, Some(&first), at(NOW + 100));
        assert_eq!(second.actions[0].used, nanos(at(NOW - 60)));
        assert_eq!(second.actions[0].set, nanos(set));
        assert_eq!(second.actions[1].used, nanos(at(NOW + 30)));
        // A kill before the times were set: they are still the true ones.
        let untouched = inventory(&[at(NOW - 60), at(NOW - 60)]);
        let second = state(&untouched, Some(&first), at(NOW + 100));
        assert_eq!(second.actions[0].used, nanos(at(NOW - 60)));
    }

    #[test]
    fn sets_times_and_passes_over_what_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let id = ActionId([1; 32]);
        std::fs::create_dir(dir.path().join("01")).unwrap();
        let path = dir.path().join(format!("01/{id}-a"));
        std::fs::write(&path, "x").unwrap();
        let mut marked = State::new(at(NOW));
        marked.actions = [1, 1, 2, 3]
            .iter()
            .zip(0..)
            .map(|(&n, set)| MarkedAction {
                id: ActionId([n; 32]),
                used: 1,
                set: nanos(at(NOW)) + set,
            })
            .collect();
        marked.actions[1].id.0[31] = 2;
        std::fs::create_dir(dir.path().join("02")).unwrap();
        let found = |time: fn(&MarkedAction) -> i64| BuildCache {
            folders: Some(Arc::new(Root::open(dir.path(), &[]).unwrap())),
            actions: marked
                .actions
                .iter()
                .map(|marked| Action {
                    id: marked.id,
                    entry: None,
                    bytes: 175,
                    modified: DateTime::from_timestamp_nanos(time(marked)),
                })
                .collect(),
            ..BuildCache::default()
        };
        let (count, error) = set(&found(|marked| marked.used), &marked, 2);
        assert_eq!(count, 1);
        // The third folder is not there at all.
        assert!(error.is_some());
        let modified: DateTime<Utc> = std::fs::metadata(&path).unwrap().modified().unwrap().into();
        assert_eq!(modified, at(NOW));
        // They have their times already.
        let (count, error) = set(&found(|marked| marked.set), &marked, 2);
        assert!(count == 0 && error.is_none());
    }
}
