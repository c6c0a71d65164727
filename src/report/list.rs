//! What takes the space, for `gocachevet list`.

use super::Usage;
use crate::scan;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// The value of [`ListReport::schema`].
pub const LIST_SCHEMA: &str = "gocachevet.list/1";

/// A list, largest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListReport {
    /// Always [`LIST_SCHEMA`].
    pub schema: String,
    /// When it was made.
    pub generated_at: DateTime<Utc>,
    /// Rows there are, shown or not.
    pub number: u64,
    /// Bytes of all rows, shown or not.
    pub bytes: u64,
    /// What this job used; absent without a mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The rows shown.
    #[serde(flatten)]
    pub rows: Rows,
}

/// The rows of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Rows {
    /// Modules with all their versions.
    Modules(Vec<ModuleRow>),
    /// Module versions.
    Versions(Vec<VersionRow>),
    /// Build outputs.
    Outputs(Vec<OutputRow>),
}

/// A module with all its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModuleRow {
    /// Module path.
    pub module: String,
    /// Its versions with a zip or a tree.
    pub versions: u64,
    /// Bytes of all pieces.
    pub bytes: u64,
    /// Bytes under `cache/download`.
    pub download_bytes: u64,
    /// Bytes of extracted trees.
    pub extracted_bytes: u64,
    /// Last use of any version, as far as the cache tells it.
    pub last_used: Option<DateTime<Utc>>,
}

/// A module version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VersionRow {
    /// Module path.
    pub module: String,
    /// Version.
    pub version: String,
    /// Bytes of all pieces.
    pub bytes: u64,
    /// Bytes under `cache/download`.
    pub download_bytes: u64,
    /// Bytes of the extracted tree.
    pub extracted_bytes: u64,
    /// Last use, as far as the cache tells it.
    pub last_used: Option<DateTime<Utc>>,
}

/// A build output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OutputRow {
    /// SHA-256 of its content, in hex.
    pub id: String,
    /// An executable, kept as a folder.
    pub executable: bool,
    /// What it is: `package`, `executable`, `test result`, and so on; `null` if
    /// it was not read.
    #[serde(default)]
    pub kind: Option<String>,
    /// The package it was made of, as far as its content tells; of an
    /// executable its file.
    #[serde(default)]
    pub of: Option<String>,
    /// Its length.
    pub bytes: u64,
    /// Action entries that name it; `null` if entries were not read.
    pub actions: Option<u64>,
    /// Its last use, within Go's grain of an hour.
    pub last_used: Option<DateTime<Utc>>,
}

impl ListReport {
    /// The modules of a cache; `top` of 0 shows all.
    pub fn modules(cache: Option<&scan::ModCache>, top: usize, now: DateTime<Utc>) -> ListReport {
        let rows = cache.map(modules).unwrap_or_default();
        list(rows, |row| row.bytes, Rows::Modules, top, now)
    }

    /// The module versions of a cache.
    pub fn versions(cache: Option<&scan::ModCache>, top: usize, now: DateTime<Utc>) -> ListReport {
        let rows: Vec<VersionRow> = cache
            .into_iter()
            .flat_map(|cache| &cache.versions)
            .map(|version| VersionRow {
                module: version.id.path.clone(),
                version: version.id.version.clone(),
                bytes: version.download_bytes() + version.tree_bytes(),
                download_bytes: version.download_bytes(),
                extracted_bytes: version.tree_bytes(),
                last_used: version.last_use(),
            })
            .collect();
        list(rows, |row| row.bytes, Rows::Versions, top, now)
    }

    /// The outputs of a build cache.
    pub fn outputs(cache: Option<&scan::BuildCache>, top: usize, now: DateTime<Utc>) -> ListReport {
        let actions = cache.map_or(&[][..], |cache| &cache.actions);
        let were_read = actions.iter().any(|action| action.entry.is_some());
        let mut named = HashMap::new();
        for entry in actions.iter().filter_map(|action| action.entry) {
            *named.entry(entry.output).or_insert(0u64) += 1;
        }
        let rows: Vec<OutputRow> = cache
            .into_iter()
            .flat_map(|cache| &cache.outputs)
            .map(|output| OutputRow {
                id: output.id.to_string(),
                executable: output.executable,
                kind: None,
                of: None,
                bytes: output.bytes,
                actions: were_read.then(|| named.get(&output.id).copied().unwrap_or(0)),
                last_used: Some(output.modified),
            })
            .collect();
        list(rows, |row| row.bytes, Rows::Outputs, top, now)
    }
}

/// A cache's modules by name, each with the sum of its versions.
pub(super) fn modules(cache: &scan::ModCache) -> Vec<ModuleRow> {
    let mut modules = BTreeMap::<&str, ModuleRow>::new();
    for version in &cache.versions {
        let row = modules
            .entry(&version.id.path)
            .or_insert_with(|| ModuleRow {
                module: version.id.path.clone(),
                versions: 0,
                bytes: 0,
                download_bytes: 0,
                extracted_bytes: 0,
                last_used: None,
            });
        row.versions += u64::from(version.has_source());
        row.download_bytes += version.download_bytes();
        row.extracted_bytes += version.tree_bytes();
        row.bytes = row.download_bytes + row.extracted_bytes;
        row.last_used = row.last_used.max(version.last_use());
    }
    modules.into_values().collect()
}

fn list<T>(
    mut rows: Vec<T>,
    bytes: impl Fn(&T) -> u64,
    kind: impl Fn(Vec<T>) -> Rows,
    top: usize,
    now: DateTime<Utc>,
) -> ListReport {
    let (number, all) = (rows.len() as u64, rows.iter().map(&bytes).sum());
    // Stable: rows of one size stay in the order of their names.
    rows.sort_by_key(|row| std::cmp::Reverse(bytes(row)));
    if top > 0 {
        rows.truncate(top);
    }
    ListReport {
        schema: LIST_SCHEMA.to_owned(),
        generated_at: now,
        number,
        bytes: all,
        usage: None,
        rows: kind(rows),
    }
}
