//! Use of the build cache's action entries.

use super::kinds;
use super::mark;
use super::state::{STUCK, State, nanos};
use crate::formats::action::{ActionId, OutputId};
use crate::formats::output_kind::OutputKind;
use crate::report::{BuildUsage, HitsMisses};
use crate::scan::{Action, BuildCache};
use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    /// There at the mark; whether it was used, its time cannot tell.
    Unseen,
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
        // Go leaves a time alone that is not its own user's, lies in the future
        // or is younger than an hour (`cache.go`: `markUsed`).
        return match why_unseen(action, state) {
            None => Use::Idle,
            Some(_) => Use::Unseen,
        };
    }
    match action.entry {
        Some(entry) if entry.time_nanos < nanos(state.head.since) => Use::Hit,
        _ => Use::Rewritten,
    }
}

/// Why the time of an entry that did not move says nothing of its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Blind {
    /// It belongs to another user.
    Foreign,
    /// It lies in the future.
    Future,
    /// The mark could not set it back.
    Stuck,
}

fn why_unseen(action: &Action, state: &State) -> Option<Blind> {
    let since = state.head.since;
    let marked = state.action(action.id);
    if action.foreign {
        Some(Blind::Foreign)
    } else if marked.is_some_and(|marked| marked.set == STUCK) {
        Some(Blind::Stuck)
    } else if mark::refreshed(nanos(action.modified), since) {
        None
    } else if action.modified > since {
        Some(Blind::Future)
    } else {
        Some(Blind::Stuck)
    }
}

impl std::fmt::Display for Blind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Blind::Foreign => "of another user, whose times Go cannot touch",
            Blind::Future => "dated in the future, whose times Go leaves alone",
            Blind::Stuck => "that did not take the time set by the mark",
        })
    }
}

/// The build cache's part of what was observed.
pub(super) struct Builds {
    /// Some numbers are lower bounds where use is [unknown](Self::unknown).
    pub(super) usage: BuildUsage,
    /// Why it is not known what the job used, if so.
    pub(super) unknown: Option<String>,
    /// Entries of which it is not known whether they were used.
    pub(super) unseen: Vec<ActionId>,
    /// Why not, where there are any.
    pub(super) why_unseen: Option<String>,
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
    let is_used = |what: &Use| !matches!(what, Use::Idle | Use::Unseen);
    let touched = uses.iter().filter(|(_, what)| is_used(what));
    let outputs: BTreeSet<OutputId> = touched
        .clone()
        .filter_map(|(action, _)| Some(action.entry?.output))
        .collect();
    let kinds = kinds::of_outputs(cache, &outputs, jobs);
    let made = Made::of(&kinds, touched.clone());
    let count = |wanted: Use| uses.iter().filter(|(_, what)| *what == wanted).count() as u64;
    let (hits, misses) = (count(Use::Hit), count(Use::Miss));
    let (rewritten, idle) = (count(Use::Rewritten), count(Use::Idle));
    let unseen: Vec<&Action> = uses
        .iter()
        .filter(|(_, what)| *what == Use::Unseen)
        .map(|(action, _)| *action)
        .collect();
    let mut blind: BTreeMap<Blind, u64> = BTreeMap::new();
    for cause in unseen.iter().filter_map(|action| why_unseen(action, state)) {
        *blind.entry(cause).or_default() += 1;
    }
    let told = blind
        .iter()
        .map(|(cause, count)| format!("{count} {cause}"));
    let told = told.collect::<Vec<_>>().join("; ");
    let unknown = if unseen.len() as u64 > hits + rewritten + idle {
        Some(format!("most of its entries tell nothing ({told})"))
    } else if hits + misses + rewritten == 0 {
        Some("no go command used it since the mark: no hit and no miss".to_owned())
    } else {
        None
    };
    Builds {
        unknown,
        why_unseen: (!unseen.is_empty()).then_some(told),
        unseen: unseen.iter().map(|action| action.id).collect(),
        usage: BuildUsage {
            hits,
            misses,
            rewritten,
            idle,
            unseen: unseen.len() as u64,
            hit_rate: rate(hits, misses),
            idle_bytes: idle_bytes(cache, &uses),
            archives: made.archives,
            tests: Some(made.tests()),
        },
        used: touched.map(|(action, _)| action.id).collect(),
        go_versions: made.go_versions,
    }
}

/// What the outputs are that were used or made.
#[derive(Default)]
struct Made {
    archives: HitsMisses,
    /// Go enters a test's result under two actions; whether it ran, any tells.
    ran: HashMap<OutputId, bool>,
    go_versions: BTreeSet<String>,
}

impl Made {
    fn of<'a>(
        kinds: &HashMap<OutputId, OutputKind>,
        touched: impl Iterator<Item = &'a (&'a Action, Use)>,
    ) -> Made {
        let mut made = Made::default();
        for (action, what) in touched {
            let Some(output) = action.entry.map(|entry| entry.output) else {
                continue;
            };
            match kinds.get(&output) {
                Some(OutputKind::Archive { go_version, .. }) => {
                    made.go_versions.insert(go_version.clone());
                    match what {
                        Use::Hit => made.archives.hits += 1,
                        Use::Miss => made.archives.misses += 1,
                        Use::Rewritten | Use::Idle | Use::Unseen => {}
                    }
                }
                // A test that ran although its result was there, such as after
                // `go clean -testcache`, writes that result again.
                Some(OutputKind::TestResult) => {
                    *made.ran.entry(output).or_insert(false) |= *what != Use::Hit;
                }
                _ => {}
            }
        }
        made
    }

    fn tests(&self) -> HitsMisses {
        let misses = self.ran.values().filter(|ran| **ran).count() as u64;
        HitsMisses {
            hits: self.ran.len() as u64 - misses,
            misses,
        }
    }
}

/// Bytes of outputs that idle entries name and no other.
fn idle_bytes(cache: &BuildCache, uses: &[(&Action, Use)]) -> u64 {
    // By place: there may be a million.
    let mut idle: Vec<Option<bool>> = vec![None; cache.outputs.len()];
    for (action, what) in uses {
        let named = action.entry.map(|entry| entry.output);
        let place = named.and_then(|id| cache.outputs.binary_search_by_key(&id, |it| it.id).ok());
        if let Some(idle) = place.and_then(|place| idle.get_mut(place)) {
            *idle = Some(idle.unwrap_or(true) && *what == Use::Idle);
        }
    }
    let idle = cache.outputs.iter().zip(idle);
    let idle = idle.filter(|(_, is_idle)| *is_idle == Some(true));
    idle.map(|(output, _)| output.bytes).sum()
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
    newest.sort_by_key(|output| std::cmp::Reverse(output.modified));
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
            foreign: false,
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
            (1, 1, 1, 1)
        );
        assert_eq!((usage.unseen, builds.unseen), (1, vec![ActionId([4; 32])]));
        assert_eq!(builds.unknown, None);
        assert_eq!(usage.hit_rate, Some(0.5));
        // The first output is named by a used entry too.
        assert_eq!(usage.idle_bytes, 10);
        assert_eq!(builds.used, [1, 2, 5].map(|n| ActionId([n; 32])));
    }

    #[test]
    fn use_that_no_time_tells_is_neither_a_hit_nor_idle() {
        let mut state = State::new(DateTime::from_timestamp(MARK, 0).unwrap());
        let old = MARK - 9_000;
        let marked = |n, used: i64, set: i64| MarkedAction {
            id: ActionId([n; 32]),
            used: used * 1_000_000_000,
            set: set.saturating_mul(1_000_000_000),
        };
        state.actions = vec![
            marked(1, old, old),
            marked(2, old, old),
            marked(3, MARK + 9_000, MARK + 9_000),
            marked(4, MARK - 60, i64::MAX),
        ];
        let mut cache = BuildCache {
            actions: vec![
                entry(1, old, old, 1),
                entry(2, old, old, 1),
                entry(3, MARK + 9_000, old, 1),
                // A file system that gives every change its own time.
                entry(4, MARK + 1, old, 1),
            ],
            ..BuildCache::default()
        };
        let uses = |cache: &BuildCache| -> Vec<Use> {
            cache
                .actions
                .iter()
                .map(|action| of(action, &state))
                .collect()
        };
        use Use::{Idle, Unseen};
        assert_eq!(uses(&cache), [Idle, Idle, Unseen, Unseen]);
        // Two of four: the rest still tells, but nothing was used at all.
        let builds = observe(&cache, &state, 1);
        assert!(builds.unknown.unwrap().contains("no hit and no miss"));
        cache.actions[0].foreign = true;
        assert_eq!(uses(&cache), [Unseen, Idle, Unseen, Unseen]);
        let builds = observe(&cache, &state, 1);
        assert_eq!(
            builds.unknown.unwrap(),
            "most of its entries tell nothing (1 of another user, whose times Go cannot touch; 1 dated in the future, whose times Go leaves alone; 1 that did not take the time set by the mark)"
        );
    }

    #[test]
    fn nothing_used_is_no_rate() {
        assert_eq!(rate(0, 0), None);
        assert_eq!(rate(3, 1), Some(0.75));
    }
}
