//! The module cache against another witness.

use super::{Found, cached_sumdb, jobs};
use crate::drift;
use crate::error::CommandError;
use crate::findings::display_path;
use crate::folder::ordinary;
use crate::formats::gosum::{GoSum, MAX_GO_SUM_BYTES};
use crate::locate::{self};
use crate::report::{self};
use crate::scan::{self, Scan};
use crate::settings::Settings;
use serde::Deserialize;
use std::path::Path;

/// What the module cache says of each version.
pub fn accounts(found: &Found) -> Vec<report::VersionAccount> {
    let accounts = found.inventory.modcache.as_ref().map(drift::of_cache);
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
    accounts: Vec<report::VersionAccount>,
}

/// Compares the module cache with another witness: a module cache's folder, a
/// report of one, or a project's go.sum. What differs becomes findings.
pub fn compare(found: &mut Found, settings: &Settings, other: &Path) -> Result<(), CommandError> {
    let at = format!("--compare {}", display_path(other));
    let wrong = |why: &str| CommandError::input(&*at)(why);
    let Some(cache) = &found.inventory.modcache else {
        return Err(wrong("there is no module cache here to compare with it"));
    };
    let about = std::fs::metadata(other).map_err(CommandError::input(&*at))?;
    let theirs = if about.is_dir() {
        let inventory = scan::scan(Scan {
            modcache: Some(other),
            gocache: None,
            jobs: jobs(settings),
            read_actions: false,
        });
        inventory
            .modcache
            .as_ref()
            .map(drift::of_cache)
            .unwrap_or_default()
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
            let sums = GoSum::parse(&bytes).map_err(CommandError::input(format!(
                "{at}: no module cache, no report and no go.sum"
            )))?;
            drift::of_go_sum(&sums)
        }
    };
    let sumdb = cached_sumdb(cache, &locate::go_settings(&settings.environment));
    let name = display_path(other);
    let comparison = drift::compare(&drift::of_cache(cache), &theirs, &name, &found.sums, &sumdb);
    let mut table = comparison.table;
    found.caches.notes.push(format!(
        "compared {} module versions with {name}: {} consistent, {} drifted",
        table.compared,
        table.consistent,
        table.rows.len()
    ));
    let since_recorded = found.drift.take();
    table
        .rows
        .extend(since_recorded.into_iter().flat_map(|table| table.rows));
    found.drift = Some(table);
    found.findings.extend(comparison.findings);
    Ok(())
}
