//! The mark at the start of a job.
//!
//! Go refreshes the time of an entry it uses only if that is an hour old
//! (`cmd/go/internal/cache/cache.go`: `markUsed`, `mtimeInterval`), so younger
//! ones are set back, or their use would not be seen: a cache saved a minute ago
//! and restored would look unused. Their true times stand in the state.

use super::state::{MarkedAction, MarkedVersion, STUCK, State, StateHead, nanos};
use crate::findings::display_path;
use crate::folder::Folder;
use crate::formats::action::ActionId;
use crate::parallel;
use crate::scan::{BuildCache, Inventory};
use chrono::{DateTime, TimeDelta, Utc};

/// Younger entries are not refreshed when they are used.
pub(super) const REFRESHED_AFTER: TimeDelta = TimeDelta::hours(1);

/// No entry is set back by more: Go removes what is five days old.
const SET_BACK: TimeDelta = TimeDelta::hours(2);

/// What to remember of the caches. `earlier` is the state of an earlier mark:
/// entries that it set back and that were not used since keep their true time.
pub fn state(inventory: &Inventory, earlier: Option<&State>, now: DateTime<Utc>) -> State {
    let mut state = State::new(now);
    let StateHead {
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

/// What became of the times that a mark had to set.
#[derive(Debug, Default)]
pub struct Set {
    /// Entries set back.
    pub count: usize,
    /// Entries that did not take their time, by ID.
    pub stuck: Vec<ActionId>,
    /// Why the first of them did not, where the system says.
    pub error: Option<std::io::Error>,
}

/// Sets the times as the state says, after it was written; `cache` is what it
/// was made of, and those entries that have their time already (an earlier mark
/// gave it to them) are left alone.
pub fn set(cache: &BuildCache, state: &State, jobs: usize) -> Set {
    let young: Vec<&MarkedAction> = state
        .actions
        .iter()
        .filter(|marked| {
            let found = cache.action(marked.id);
            found.is_some_and(|found| marked.set != nanos(found.modified))
        })
        .collect();
    let shards: Vec<&[&MarkedAction]> = young.chunk_by(|a, b| first(a.id) == first(b.id)).collect();
    let results = parallel::map(
        jobs,
        shards.len(),
        || (),
        |(), index| set_shard(cache, shards[index]),
    );
    let mut all = Set::default();
    for mut shard in results {
        all.count += shard.count;
        all.stuck.append(&mut shard.stuck);
        all.error = all.error.or(shard.error);
    }
    all.stuck.sort();
    all
}

impl State {
    /// Remembers the entries that did not take their time: what their time says
    /// from now on is nothing.
    pub fn remember_stuck(&mut self, stuck: &[ActionId]) {
        for marked in &mut self.actions {
            if stuck.binary_search(&marked.id).is_ok() {
                marked.set = STUCK;
            }
        }
    }
}

/// Entries whose use will not be seen: another user's, whose times Go cannot
/// touch, those dated in the future, which it does not, and those that did not
/// take what the mark set.
pub fn unseen(state: &State, cache: &BuildCache) -> usize {
    let marked = state.actions.iter();
    marked
        .filter(|marked| {
            let found = cache.action(marked.id);
            found.is_some_and(|it| it.foreign) || !refreshed(marked.set, state.head.since)
        })
        .count()
}

/// Whether Go will refresh an entry of this time when it uses it after `since`.
pub(super) fn refreshed(time: i64, since: DateTime<Utc>) -> bool {
    time <= nanos(since - REFRESHED_AFTER)
}

fn first(id: ActionId) -> u8 {
    let [first, ..] = id.0;
    first
}

fn set_shard(cache: &BuildCache, entries: &[&MarkedAction]) -> Set {
    let mut set = Set::default();
    let Some(shard) = entries.first().map(|entry| entry.id.shard()) else {
        return set;
    };
    let folder = match cache.shard(&shard) {
        Ok(folder) => folder,
        Err(error) => {
            set.stuck = entries.iter().map(|entry| entry.id).collect();
            set.error = Some(error);
            return set;
        }
    };
    for entry in entries {
        match set_one(&folder, entry) {
            Ok(true) => set.count += 1,
            Ok(false) => set.stuck.push(entry.id),
            // Gone since: nothing to observe.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                set.stuck.push(entry.id);
                set.error.get_or_insert(error);
            }
        }
    }
    set
}

/// Sets an entry's time and looks whether it took: some file systems say yes
/// and keep their own, and some keep only every other second.
fn set_one(folder: &Folder, entry: &MarkedAction) -> std::io::Result<bool> {
    let name = format!("{}-a", entry.id);
    let time = DateTime::from_timestamp_nanos(entry.set);
    folder.set_time(name.as_ref(), time)?;
    let taken = folder.stat(name.as_ref())?.modified;
    Ok(taken <= time && time - taken <= TimeDelta::seconds(2))
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
            foreign: false,
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
    fn use_that_no_time_will_tell_is_counted() {
        let now = at(NOW);
        let old = now - TimeDelta::hours(5);
        let mut inventory = inventory(&[old, now, now + TimeDelta::hours(9), old]);
        let cache = inventory.buildcache.as_mut().unwrap();
        cache.actions[3].foreign = true;
        let mut marked = state(&inventory, None, now);
        let found = inventory.buildcache.unwrap();
        // The one dated in the future and the other user's.
        assert_eq!(unseen(&marked, &found), 2);
        marked.remember_stuck(&[ActionId([2; 32])]);
        assert_eq!(unseen(&marked, &found), 3);
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
                    foreign: false,
                })
                .collect(),
            ..BuildCache::default()
        };
        let done = set(&found(|marked| marked.used), &marked, 2);
        assert_eq!(done.count, 1);
        // The third folder is not there at all.
        assert!(done.error.is_some());
        assert_eq!(done.stuck, [ActionId([3; 32])]);
        let mut remembered = marked.clone();
        remembered.remember_stuck(&done.stuck);
        let stuck = remembered.action(ActionId([3; 32])).unwrap();
        assert!(stuck.set == STUCK && stuck.used == 1 && !stuck.moved(at(NOW)));
        let modified: DateTime<Utc> = std::fs::metadata(&path).unwrap().modified().unwrap().into();
        assert_eq!(modified, at(NOW));
        // They have their times already.
        let done = set(&found(|marked| marked.set), &marked, 2);
        assert!(done.count == 0 && done.error.is_none() && done.stuck.is_empty());
    }
}
