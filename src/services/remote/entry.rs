//! What the cache API tells of a repository, as plain values.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// One cache entry of a repository, as the API tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CacheEntry {
    /// Unique within the service; the only safe way to name an entry, since
    /// one key may lie under many refs.
    pub id: u64,
    /// The key it was saved under.
    pub key: String,
    /// The full ref it was saved for; only that ref, what branched off it and
    /// (for the default branch) every other may restore it.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// Hash of the cached paths and the compression. Entries of different
    /// versions never stand in for each other.
    pub version: String,
    /// Size of the archive.
    #[serde(rename = "size_in_bytes")]
    pub bytes: u64,
    /// When it was saved.
    #[serde(rename = "created_at")]
    pub created: DateTime<Utc>,
    /// When it was last restored, or saved.
    #[serde(rename = "last_accessed_at")]
    pub accessed: DateTime<Utc>,
}

impl CacheEntry {
    /// Whether nobody restored it since it was saved. The service notes the
    /// save itself as an access, a moment after the creation.
    pub fn never_accessed(&self) -> bool {
        self.accessed.signed_duration_since(self.created) <= TimeDelta::minutes(1)
    }
}

/// What kind of ref an entry was saved for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefKind {
    /// `refs/heads/NAME` or `refs/tags/NAME`
    Named,
    /// `refs/pull/N/merge` or `refs/pull/N/head`
    PullRequest(u64),
    /// Anything else.
    Other,
}

impl RefKind {
    /// Reads a full ref name.
    pub fn of(git_ref: &str) -> Self {
        if git_ref.starts_with("refs/heads/") || git_ref.starts_with("refs/tags/") {
            Self::Named
        } else if let Some(rest) = git_ref.strip_prefix("refs/pull/") {
            let number = rest.split('/').next().and_then(|text| text.parse().ok());
            number.map_or(Self::Other, Self::PullRequest)
        } else {
            Self::Other
        }
    }
}

/// Whether anything can still restore what was saved for a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RefState {
    /// The branch or tag exists, the pull request is open.
    Alive,
    /// The branch or tag is gone.
    Deleted,
    /// The pull request is closed or merged.
    Closed,
}

/// How much a repository may store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The limit.
    pub bytes: u64,
    /// Whether the service's usual limit stands in for the repository's own,
    /// which only an administrator's token may ask for.
    pub assumed: bool,
}

impl Quota {
    /// What a repository gets unless its administrators changed it: 10 GB.
    pub const USUAL: Self = Self {
        bytes: 10 << 30,
        assumed: true,
    };
}

/// All that was learnt about one repository.
#[derive(Debug, Clone, Default)]
pub struct Repository {
    /// `owner/name`
    pub name: String,
    /// Its entries, as far as they could be read.
    pub entries: Vec<CacheEntry>,
    /// Whether those are all.
    pub complete: bool,
    /// Its limit; `None` when nothing of the repository could be read.
    pub quota: Option<Quota>,
    /// What the service itself says is in use; it lags by some minutes.
    pub reported_bytes: Option<u64>,
    /// The refs that entries were saved for, as far as they were asked about.
    pub refs: BTreeMap<String, RefState>,
    /// What could not be learnt, and why.
    pub unknown: Vec<String>,
}

impl Repository {
    /// Sum of the entries' sizes.
    pub fn bytes(&self) -> u64 {
        self.entries
            .iter()
            .fold(0, |sum, entry| sum.saturating_add(entry.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_are_told_apart() {
        let cases = [
            ("refs/heads/main", RefKind::Named),
            ("refs/heads/feature/x", RefKind::Named),
            ("refs/tags/v1", RefKind::Named),
            ("refs/pull/12/merge", RefKind::PullRequest(12)),
            ("refs/pull/x/merge", RefKind::Other),
            ("refs/pull/", RefKind::Other),
            ("main", RefKind::Other),
        ];
        for (git_ref, place) in cases {
            assert_eq!(RefKind::of(git_ref), place, "{git_ref}");
        }
    }
}
