//! What is said of a repository's caches on GitHub.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The report's `remote` field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemoteSummary {
    /// The service that was asked.
    pub api: String,
    /// What it keeps, by repository.
    pub repositories: Vec<RepositorySummary>,
}

/// One repository's caches in figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RepositorySummary {
    /// `owner/name`
    pub name: String,
    /// Whether all entries could be read; if not, the figures are of what could.
    pub complete: bool,
    /// How many entries there are, and their bytes.
    pub all: Figure,
    /// What the service itself says is in use.
    pub reported_bytes: Option<u64>,
    /// How much the repository may store.
    pub quota_bytes: Option<u64>,
    /// Whether that is the usual limit, the true one being unknown.
    pub quota_assumed: bool,
    /// Used share of the quota, 0 to 1 and above.
    pub share: Option<f64>,
    /// What is stored more than once.
    pub duplicates: Vec<DuplicateSummary>,
    /// What a newer entry of the same prefix and ref took the place of;
    /// `None` when no prefix is known.
    pub superseded: Option<Figure>,
    /// What belongs to closed pull requests, deleted branches and tags;
    /// `None` when that was not asked or is not known of every ref.
    pub unreachable: Option<Figure>,
    /// What nobody restored since it was saved.
    pub never_accessed: Figure,
    /// What the running job will add, if asked.
    pub next_save: Option<NextSave>,
    /// What could not be learnt, and why.
    pub unknown: Vec<String>,
}

/// A number of entries and their sizes' sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Figure {
    /// How many.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The same content under several keys or refs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DuplicateSummary {
    /// `key` when one key lies under several refs, `size` when several keys
    /// have one version and nearly one size.
    pub likeness: String,
    /// The entries' ids, newest first.
    pub ids: Vec<u64>,
    /// Bytes of all but the newest.
    pub wasted_bytes: u64,
}

/// The entry that the running job will save.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NextSave {
    /// Its key, if known.
    pub key: Option<String>,
    /// Bytes of the files, before compression: what the archive will not exceed by much.
    pub uncompressed_bytes: u64,
    /// Size to expect: the newest entry's of the same key prefix.
    pub expected_bytes: Option<u64>,
    /// Share of the quota it will take, by the expected size if there is one.
    pub share: Option<f64>,
    /// What the service will evict for it: the least recently accessed, until all fits.
    pub evicts: Vec<Evicted>,
}

/// An entry that the service will evict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Evicted {
    /// Its id.
    pub id: u64,
    /// Its key.
    pub key: String,
    /// Its ref.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last accessed.
    pub accessed: DateTime<Utc>,
}
