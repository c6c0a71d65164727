//! Accesses of remote entries, sampled.
//!
//! The cache API tells the last access of an entry and nothing before it.
//! Each run adds what it sees to a file, so that over a week accesses can be
//! counted: one for each sample in which the last access had moved.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::entry::{CacheEntry, Repository};
use crate::services::heat::{Heat, WINDOW};

/// What the file begins with.
const SCHEMA: &str = "gocachevet.remote-history/1";

/// A file that is larger was not written by this tool.
pub const MAX_BYTES: u64 = 64 << 20;

/// The sampled accesses of some repositories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    schema: String,
    repositories: BTreeMap<String, Samples>,
    /// The service's answers, to ask only for what changed since.
    #[serde(default)]
    pub replies: Replies,
}

/// Why a file is not a history.
#[derive(Debug, thiserror::Error)]
pub enum NoHistory {
    /// It is not JSON, or of another form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Something else wrote it.
    #[error("schema is {0:?}, not {SCHEMA:?}")]
    Schema(String),
}

/// Answers by address.
pub type Replies = BTreeMap<String, Reply>;

/// An answer that was understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The service's mark of this state (`ETag`).
    pub etag: String,
    /// The document.
    pub body: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Samples {
    /// The times of the samples within the window, and the last before it.
    taken: Vec<DateTime<Utc>>,
    /// By entry the accesses within the window.
    accesses: BTreeMap<u64, Vec<DateTime<Utc>>>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            repositories: BTreeMap::new(),
            replies: Replies::new(),
        }
    }
}

impl History {
    /// Reads what [`History::to_json`] wrote.
    ///
    /// # Errors
    /// When it is not such a file.
    pub fn parse(text: &[u8]) -> Result<Self, NoHistory> {
        let history: Self = serde_json::from_slice(text)?;
        if history.schema != SCHEMA {
            return Err(NoHistory::Schema(history.schema));
        }
        Ok(history)
    }

    /// The file's content.
    pub fn to_json(&self) -> String {
        // Maps with number keys and times: nothing in here can fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Adds what a listing shows. Entries that are gone are forgotten when
    /// the listing is complete.
    pub fn sample(&mut self, repository: &Repository, now: DateTime<Utc>) {
        let samples = (self.repositories)
            .entry(repository.name.clone())
            .or_default();
        samples.taken.push(now);
        samples.taken.sort();
        let old = samples.taken.partition_point(|time| now - *time > WINDOW);
        samples.taken.drain(..old.saturating_sub(1));
        if repository.complete {
            let known = |id: &u64| repository.entries.iter().any(|entry| entry.id == *id);
            samples.accesses.retain(|id, _| known(id));
        }
        for entry in &repository.entries {
            let seen = samples.accesses.entry(entry.id).or_default();
            if !entry.never_accessed() && !seen.contains(&entry.accessed) {
                seen.push(entry.accessed);
            }
            seen.retain(|time| now - *time <= WINDOW);
        }
        samples.accesses.retain(|_, seen| !seen.is_empty());
    }

    /// What is known of an entry's accesses.
    pub fn heat(&self, repository: &str, entry: &CacheEntry, now: DateTime<Utc>) -> Heat {
        let samples = self.repositories.get(repository);
        let mut accesses = samples
            .and_then(|samples| samples.accesses.get(&entry.id))
            .cloned()
            .unwrap_or_default();
        if !entry.never_accessed() && !accesses.contains(&entry.accessed) {
            accesses.push(entry.accessed);
        }
        let start = now - WINDOW;
        let watched = samples
            .and_then(|samples| samples.taken.first())
            .is_some_and(|first| *first <= start.max(entry.created));
        // Who was last accessed before the window was not accessed in it.
        let exact = watched || entry.accessed < start || entry.never_accessed();
        Heat::of(entry.created, &accesses, exact, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::remote::testing::{ago, entry, now, repository};
    use chrono::TimeDelta;

    #[test]
    fn without_samples_only_the_last_access_is_known() {
        let history = History::default();
        let mut cold = entry(1, "k", "refs/heads/main", 1, 30 * 24);
        assert_eq!(history.heat("o/r", &cold, now()).count, 0);
        assert!(history.heat("o/r", &cold, now()).exact);
        cold.accessed = ago(5);
        let heat = history.heat("o/r", &cold, now());
        assert_eq!((heat.count, heat.exact, heat.last), (1, false, ago(5)));
    }

    #[test]
    fn samples_add_up_over_the_window_and_are_forgotten_after_it() {
        let mut history = History::default();
        let mut listing = repository(vec![entry(1, "k", "refs/heads/main", 1, 40 * 24)]);
        for hours in (0..24 * 10).rev().step_by(12) {
            listing.entries[0].accessed = ago(hours + 1);
            history.sample(&listing, ago(hours));
        }
        let heat = history.heat("o/r", &listing.entries[0], now());
        // Every half day, the first of them 7 days before and one hour.
        assert_eq!((heat.count, heat.exact), (14, true));
        let again = History::parse(history.to_json().as_bytes()).unwrap();
        assert_eq!(again, history);
        let later = now() + TimeDelta::days(8);
        assert_eq!(history.heat("o/r", &listing.entries[0], later).count, 0);
        listing.entries.clear();
        history.sample(&listing, now());
        assert!(history.repositories["o/r"].accesses.is_empty());
    }

    #[test]
    fn the_same_access_seen_twice_counts_once() {
        let mut history = History::default();
        let mut listing = repository(vec![entry(1, "k", "refs/heads/main", 1, 400)]);
        listing.entries[0].accessed = ago(20);
        history.sample(&listing, ago(19));
        history.sample(&listing, ago(1));
        assert_eq!(history.heat("o/r", &listing.entries[0], now()).count, 1);
    }

    #[test]
    fn foreign_files_are_refused() {
        for text in [
            "",
            "{",
            "[]",
            r#"{"schema":"x/1","repositories":{}}"#,
            r#"{"schema":1}"#,
        ] {
            assert!(History::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
