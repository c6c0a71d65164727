//! Use of the build cache's action entries.

use super::kinds;
use super::state::{State, nanos};
use crate::formats::action::{ActionId, OutputId};
use crate::formats::output_kind::OutputKind;
use crate::report::{BuildUsage, HitsMisses};
use crate::scan::{Action, BuildCache};
use crate::sorting;
use std::collections::{BTreeSet, HashMap};

/// What became of an entry since the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// There at the mark, its record unchanged, and used.
    Hit,
    /// New.
    Miss,
    /// There at the mark and written again. A link does that to its own entry.
    Rewritten,
    /// There at the mark and not used.
    Idle,
}

/// What became of an entry since the mark.
///
/// Go writes an entry's time of making from the same clock that the mark's
/// comes from; what it makes in this job is not older than the mark.
pub(super) fn of(action: &Action, state: &State) -> Use {
    let Some(marked) = state.action(action.id) else {
        return Use::Miss;
    };
    if !marked.moved(action.modified) {
        return Use::Idle;
    }
    match action.entry {
        Some(entry) if entry.time_nanos < nanos(state.head.since) => Use::Hit,
        _ => Use::Rewritten,
    }
}

/// The build cache's part of what was observed.
pub(super) struct Builds {
    pub(super) usage: BuildUsage,
    /// Entries that were used or made.
    pub(super) used: Vec<ActionId>,
    /// Compilers that made the packages used, such as `go1.26.8`.
    pub(super) go_versions: BTreeSet<String>,
}

pub(super) fn observe(cache: &BuildCache, state: &State, jobs: usize) -> Builds {
    let uses: Vec<(&Action, Use)> = cache
        .actions
        .iter()
        .map(|action| (action, of(action, state)))
        .collect();
    let touched = uses.iter().filter(|(_, what)| *what != Use::Idle);
    let outputs: BTreeSet<OutputId> = sorting::collect(
        touched
            .clone()
            .filter_map(|(action, _)| Some(action.entry?.output)),
    );
    let kinds = kinds::of_outputs(cache, &outputs, jobs);
    let kind = |action: &Action| kinds.get(&action.entry?.output);
    let count = |wanted: Use| uses.iter().filter(|(_, what)| *what == wanted).count() as u64;
    let (hits, misses) = (count(Use::Hit), count(Use::Miss));
    let mut archives = HitsMisses::default();
    // Go enters a test's result under two actions; whether it ran, any tells.
    let mut tests: HashMap<OutputId, bool> = HashMap::new();
    let mut go_versions = BTreeSet::new();
    for (action, what) in touched.clone() {
        match (kind(action), what) {
            (Some(OutputKind::Archive { go_version, .. }), _) => {
                go_versions.insert(go_version.clone());
                match what {
                    Use::Hit => archives.hits += 1,
                    Use::Miss => archives.misses += 1,
                    Use::Rewritten | Use::Idle => {}
                }
            }
            // A test that ran although its result was there, such as after
            // `go clean -testcache`, writes that result again.
            (Some(OutputKind::TestResult), _) => {
                if let Some(entry) = action.entry {
                    *tests.entry(entry.output).or_insert(false) |= *what != Use::Hit;
                }
            }
            _ => {}
        }
    }
    let ran = tests.values().filter(|ran| **ran).count() as u64;
    Builds {
        usage: BuildUsage {
            hits,
            misses,
            rewritten: count(Use::Rewritten),
            idle: count(Use::Idle),
            hit_rate: rate(hits, misses),
            idle_bytes: idle_bytes(cache, &uses),
            archives,
            tests: Some(HitsMisses {
                hits: tests.len() as u64 - ran,
                misses: ran,
            }),
        },
        used: touched.map(|(action, _)| action.id).collect(),
        go_versions,
    }
}

/// Bytes of outputs that idle entries name and no other.
fn idle_bytes(cache: &BuildCache, uses: &[(&Action, Use)]) -> u64 {
    let mut named: HashMap<OutputId, bool> = HashMap::new();
    for (action, what) in uses {
        if let Some(entry) = action.entry {
            *named.entry(entry.output).or_insert(true) &= *what == Use::Idle;
        }
    }
    let idle = cache
        .outputs
        .iter()
        .filter(|output| named.get(&output.id) == Some(&true));
    idle.map(|output| output.bytes).sum()
}

/// hits / (hits + misses); unknown if both are 0.
pub(super) fn rate(hits: u64, misses: u64) -> Option<f64> {
    (hits + misses > 0).then(|| hits as f64 / (hits + misses) as f64)
}

/// Compilers that made any package in the cache: some of the newest archives
/// are looked at.
pub(super) fn compilers(cache: &BuildCache, jobs: usize) -> BTreeSet<String> {
    const SAMPLE: usize = 256;
    let mut newest: Vec<_> = cache.outputs.iter().filter(|o| !o.executable).collect();
    sorting::by_key(&mut newest, |output| std::cmp::Reverse(output.modified));
    let sample = newest.iter().take(SAMPLE).map(|output| output.id).collect();
    kinds::of_outputs(cache, &sample, jobs)
        .into_values()
        .filter_map(|kind| match kind {
            OutputKind::Archive { go_version, .. } => Some(go_version),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::action::ActionEntry;
    use crate::scan::Output;
    use crate::usage::state::MarkedAction;
    use chrono::DateTime;

    const MARK: i64 = 1_000_000;

    fn entry(n: u8, modified: i64, made: i64, output: u8) -> Action {
        let id = ActionId([n; 32]);
        Action {
            id,
            entry: Some(ActionEntry {
                action: id,
                output: OutputId([output; 32]),
                size: 10,
                time_nanos: made * 1_000_000_000,
            }),
            bytes: 175,
            modified: DateTime::from_timestamp(modified, 0).unwrap(),
        }
    }

    #[test]
    fn an_entry_is_a_hit_a_miss_rewritten_or_idle() {
        let mut state = State::new(DateTime::from_timestamp(MARK, 0).unwrap());
        state.actions = [1, 2, 3, 4]
            .map(|n| MarkedAction {
                id: ActionId([n; 32]),
                used: (MARK - 60) * 1_000_000_000,
                set: (MARK - 7_199) * 1_000_000_000,
            })
            .to_vec();
        let cache = BuildCache {
            actions: vec![
                entry(1, MARK + 5, MARK - 60, 1),
                entry(2, MARK + 5, MARK + 5, 1),
                entry(3, MARK - 7_199, MARK - 60, 2),
                // The mark was cut short before it came here.
                entry(4, MARK - 60, MARK - 60, 1),
                entry(5, MARK + 5, MARK + 5, 3),
            ],
            outputs: [1, 2, 3]
                .map(|n| Output {
                    id: OutputId([n; 32]),
                    executable: false,
                    bytes: 10,
                    modified: DateTime::UNIX_EPOCH,
                })
                .to_vec(),
            ..BuildCache::default()
        };
        let builds = observe(&cache, &state, 1);
        let usage = builds.usage;
        assert_eq!(
            (usage.hits, usage.misses, usage.rewritten, usage.idle),
            (1, 1, 1, 2)
        );
        assert_eq!(usage.hit_rate, Some(0.5));
        // The first output is named by a used entry too.
        assert_eq!(usage.idle_bytes, 10);
        assert_eq!(builds.used, [1, 2, 5].map(|n| ActionId([n; 32])));
    }

    #[test]
    fn nothing_used_is_no_rate() {
        assert_eq!(rate(0, 0), None);
        assert_eq!(rate(3, 1), Some(0.75));
    }
}
