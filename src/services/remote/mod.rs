//! GitHub Actions caches: what a repository keeps, what of it is of use, and
//! what to delete.
//!
//! Everything but the client that talks to the service is pure.

pub mod client;
pub mod entry;
pub mod groups;
pub mod history;
pub mod plan;
pub mod prefix;
pub mod report;
pub mod summary;
pub mod workflow;

#[cfg(test)]
mod testing {
    //! Entries to test with.

    use chrono::{DateTime, TimeDelta, Utc};

    use super::entry::{CacheEntry, Repository};

    pub(super) fn now() -> DateTime<Utc> {
        "2026-06-15T12:00:00Z".parse().unwrap()
    }

    pub(super) fn ago(hours: i64) -> DateTime<Utc> {
        now() - TimeDelta::hours(hours)
    }

    /// An entry nobody accessed since it was saved so many hours ago.
    pub(super) fn entry(id: u64, key: &str, git_ref: &str, bytes: u64, hours: i64) -> CacheEntry {
        CacheEntry {
            id,
            key: key.into(),
            git_ref: git_ref.into(),
            version: "v".into(),
            bytes,
            created: ago(hours),
            accessed: ago(hours),
        }
    }

    pub(super) fn repository(entries: Vec<CacheEntry>) -> Repository {
        Repository {
            name: "o/r".into(),
            entries,
            complete: true,
            ..Repository::default()
        }
    }
}
