//! Heat and freshness: how dear something is that others fetch.
//!
//! Heat is how often it was fetched within the last seven days, freshness
//! falls off exponentially with the time since the last fetch. Their product
//! is the score; of a mirror's versions what scores lowest is evicted first, of
//! a repository's entries what was not accessed for longest: there a score is
//! no better (`docs/eviction.md`).

use chrono::{DateTime, TimeDelta, Utc};

/// How far back fetches count.
pub const WINDOW: TimeDelta = TimeDelta::days(7);

/// Hours in which freshness falls to 1/e: the length of the window.
const DECAY_HOURS: f64 = 168.0;

/// What is known of the fetches of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heat {
    /// Fetches seen within the window. Being stored counts as one.
    pub count: u32,
    /// The last fetch, or the time it was stored.
    pub last: DateTime<Utc>,
    /// Whether `count` is all there were, not merely all that were seen.
    pub exact: bool,
}

impl Heat {
    /// Counts the fetches that lie within the window before `now`.
    ///
    /// Times in the future count as now: clocks differ.
    pub fn of(
        stored: DateTime<Utc>,
        fetches: &[DateTime<Utc>],
        exact: bool,
        now: DateTime<Utc>,
    ) -> Self {
        let recent = |time: &&DateTime<Utc>| now.signed_duration_since(**time) <= WINDOW;
        let count = fetches.iter().chain([&stored]).filter(recent).count();
        let last = fetches.iter().copied().fold(stored, DateTime::max);
        Self {
            count: u32::try_from(count).unwrap_or(u32::MAX),
            last: last.min(now),
            exact,
        }
    }

    /// Heat times freshness.
    pub fn score(&self, now: DateTime<Utc>) -> f64 {
        f64::from(self.count) * freshness(now.signed_duration_since(self.last))
    }
}

/// `e^(-t/168h)`: 1 just after a fetch, 0.37 a week later.
pub fn freshness(since: TimeDelta) -> f64 {
    let hours = since.num_seconds().max(0) as f64 / 3600.0;
    (-hours / DECAY_HOURS).exp()
}

/// One thing that may be evicted to save space.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Position in the caller's list.
    pub index: usize,
    /// What removing it saves.
    pub bytes: u64,
    /// Its heat.
    pub heat: Heat,
}

/// Chooses what to evict so that at least `excess` bytes go: the lowest
/// score first. What nobody fetched within the window all scores zero; there
/// the longest unused goes first, and of equals the largest.
///
/// Returns fewer bytes than asked for when the candidates do not suffice.
pub fn coldest(candidates: Vec<Candidate>, excess: u64, score: impl Fn(Heat) -> f64) -> Vec<usize> {
    let scored = |candidate: Candidate| (score(candidate.heat), candidate);
    let mut candidates: Vec<(f64, Candidate)> = candidates.into_iter().map(scored).collect();
    candidates.sort_by(|(cold, a), (warm, b)| {
        (cold.total_cmp(warm))
            .then(a.heat.last.cmp(&b.heat.last))
            .then(b.bytes.cmp(&a.bytes))
            .then(a.index.cmp(&b.index))
    });
    let mut freed = 0u64;
    let mut chosen = Vec::new();
    for (_, candidate) in candidates {
        if freed >= excess {
            break;
        }
        freed = freed.saturating_add(candidate.bytes);
        chosen.push(candidate.index);
    }
    chosen
}

/// A time span for people: whole days, or hours below two days.
pub fn span(span: TimeDelta) -> String {
    match span.num_hours() {
        hours @ ..48 => format!("{} h", hours.max(0)),
        hours => format!("{} d", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-06-15T12:00:00Z".parse().unwrap()
    }

    fn ago(hours: i64) -> DateTime<Utc> {
        now() - TimeDelta::hours(hours)
    }

    #[test]
    fn score_is_heat_times_freshness() {
        let cases = [
            // stored, fetched, count, score
            (0, vec![], 1, 1.0),
            (168, vec![], 1, 0.3679),
            (169, vec![], 0, 0.0),
            (1000, vec![24, 48, 200], 2, 1.7337),
            (1000, vec![0, 0, 0], 3, 3.0),
            (1000, vec![-5], 1, 1.0),
        ];
        for (stored, fetched, count, score) in cases {
            let fetches: Vec<_> = fetched.iter().map(|&hours| ago(hours)).collect();
            let heat = Heat::of(ago(stored), &fetches, true, now());
            assert_eq!(heat.count, count, "stored {stored} h ago, {fetched:?}");
            assert!(
                (heat.score(now()) - score).abs() < 1e-4,
                "stored {stored} h ago, {fetched:?}: {}",
                heat.score(now())
            );
        }
    }

    fn candidate(index: usize, bytes: u64, fetched: &[i64]) -> Candidate {
        let fetches: Vec<_> = fetched.iter().map(|&hours| ago(hours)).collect();
        Candidate {
            index,
            bytes,
            heat: Heat::of(ago(5000), &fetches, true, now()),
        }
    }

    #[test]
    fn coldest_go_first_and_only_as_many_as_needed() {
        let candidates = vec![
            candidate(0, 10, &[1]),
            candidate(1, 10, &[2, 3, 4]),
            candidate(2, 10, &[]),
            candidate(3, 20, &[300]),
            candidate(4, 30, &[]),
        ];
        let score = |heat: Heat| heat.score(now());
        assert_eq!(coldest(candidates.clone(), 0, score), [0usize; 0]);
        assert_eq!(coldest(candidates.clone(), 1, score), [4]);
        assert_eq!(coldest(candidates.clone(), 41, score), [4, 2, 3]);
        assert_eq!(coldest(candidates.clone(), 61, score), [4, 2, 3, 0]);
        assert_eq!(coldest(candidates, u64::MAX, score), [4, 2, 3, 0, 1]);
    }
}
