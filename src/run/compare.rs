//! The module cache against another witness.

use super::{cached_sumdb, jobs};
use crate::drift;
use crate::error::CommandError;
use crate::findings::{Finding, display_path};
use crate::folder::ordinary;
use crate::formats::gosum::{GoSum, MAX_GO_SUM_BYTES, MergedSums};
use crate::locate;
use crate::report::{DriftTable, VersionAccount};
use crate::scan::{self, Inventory, Scan};
use crate::settings::Settings;
use serde::Deserialize;
use std::path::Path;

/// What the module cache says of each version.
pub fn accounts(inventory: &Inventory) -> Vec<VersionAccount> {
    let accounts = inventory.modcache.as_ref().map(drift::of_cache);
    let accounts = accounts.unwrap_or_default();
    accounts
        .iter()
        .map(|(module, account)| drift::for_report(module, account))
        .collect()
}

/// Of a saved report, what a comparison asks for.
#[derive(Deserialize)]
struct Saved {
    #[serde(default)]
    accounts: Vec<VersionAccount>,
}

/// What comparing brought.
pub struct Compared {
    /// Who says what of the versions that differ.
    pub table: DriftTable,
    /// What is wrong with these.
    pub findings: Vec<Finding>,
    /// How many were compared.
    pub note: String,
}

/// Compares the module cache with another witness: a module cache's folder, a
/// report of one, or a project's go.sum.
pub fn compare(
    inventory: &Inventory,
    sums: &MergedSums,
    settings: &Settings,
    other: &Path,
) -> Result<Compared, CommandError> {
    let at = format!("--compare {}", display_path(other));
    let wrong = |why: &str| CommandError::input(&*at)(why);
    let Some(cache) = &inventory.modcache else {
        return Err(wrong("there is no module cache here to compare with it"));
    };
    let about = std::fs::metadata(other).map_err(CommandError::input(&*at))?;
    let theirs = if about.is_dir() {
        let theirs = scan::scan(Scan {
            modcache: Some(other),
            gocache: None,
            jobs: jobs(settings),
            read_actions: false,
        });
        let theirs = theirs.modcache.as_ref();
        theirs.map(drift::of_cache).unwrap_or_default()
    } else {
        let limit = MAX_GO_SUM_BYTES;
        let bytes = ordinary::read(other, limit).map_err(CommandError::input(&*at))?;
        if bytes.starts_with(b"{") {
            let report: Saved = serde_json::from_slice(&bytes)
                .map_err(CommandError::input(format!("{at}: no report")))?;
            if report.accounts.is_empty() {
                let message = "this report does not say what the versions are: make it by `gocachevet check --accounts --format json`";
                return Err(wrong(message));
            }
            drift::of_report(&report.accounts).map_err(CommandError::input(&*at))?
        } else {
            let theirs = GoSum::parse(&bytes).map_err(CommandError::input(format!(
                "{at}: no module cache, no report and no go.sum"
            )))?;
            drift::of_go_sum(&theirs)
        }
    };
    let sumdb = cached_sumdb(cache, &locate::go_settings(&settings.environment));
    let name = display_path(other);
    let compared = drift::compare(&drift::of_cache(cache), &theirs, &name, sums, &sumdb);
    let table = compared.table;
    Ok(Compared {
        note: format!(
            "compared {} module versions with {name}: {} consistent, {} drifted",
            table.compared,
            table.consistent,
            table.rows.len()
        ),
        table,
        findings: compared.findings,
    })
}
