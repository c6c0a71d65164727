//! `gocachevet save`.

use super::restore::{StoreArgs, go_settings};
use crate::bundle::manifest;
use crate::cli::{ConfigArgs, progress};
use crate::error::CommandError;
use crate::folder::ordinary;
use crate::formats::gover;
use crate::locate::{self, Project};
use crate::plan::Uses;
use crate::report::{self, SavedKind, Verdict};
use crate::run as steps;
use crate::scan::Inventory;
use crate::settings::{Options, Settings, VerifyLevel};
use crate::snapshot::save::{Asked, save};
use crate::snapshot::{Record, record_path};
use crate::sumdb::Sumdb;
use crate::values::{Rate, Size};
use chrono::Utc;
use clap::Args;
use std::collections::BTreeMap;
use std::io::Write;

/// The longest record that is read: the names of all files of a large snapshot.
const MAX_RECORD: u64 = 256 << 20;

/// Keep what this job used for the next one.
///
/// A snapshot holds what the last ten jobs that saved used, and what the projects'
/// go.sum needs. Nothing is written if nothing new was used; else a delta on the
/// base that is there, or a new base where a delta would be too large.
#[derive(Args, Clone, Debug)]
pub struct SaveArgs {
    /// Which configuration rules.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Where the snapshot goes.
    #[command(flatten)]
    pub store: StoreArgs,
    /// What a snapshot may hold: what was used least recently goes first
    #[arg(long = "max-size", id = "snapshot_size", value_name = "SIZE")]
    pub max_size: Option<Size>,
    /// How large a delta may be, as a part of its base, before a new base is made
    #[arg(
        long,
        value_name = "RATE",
        default_value = "30%",
        hide_short_help = true
    )]
    pub rebase: Rate,
}

/// Saves what is worth it, and reports.
pub fn run(
    settings: &Settings,
    args: &SaveArgs,
    out: &mut dyn Write,
) -> Result<Verdict, CommandError> {
    let now = Utc::now();
    let environment = &settings.environment;
    let watch = progress::watch(settings.quiet);
    let mut found = steps::look(settings, VerifyLevel::Off, &*watch)?;
    if found.observed.is_none() {
        return Err(CommandError::Usage(
            "what this job used is not known: run `gocachevet restore`, or `gocachevet mark`, before the build".into(),
        ));
    }
    let go = locate::go_settings(environment);
    let versions = steps::go_versions(&found.inventory, &found.projects, settings);
    let modules = found.inventory.modcache.as_ref();
    let mut uses = Uses::default();
    if let (Some(modules), Some(builds)) = (modules, &found.inventory.buildcache) {
        uses.take_indexes(modules, builds, &versions);
    }
    let (branch, default_branch) = (
        args.store.branch(environment),
        args.store.default_branch(environment),
    );
    let store = args.store.store(settings)?;
    let asked = Asked {
        store: &store,
        key: &args.store.key,
        branch: &branch,
        default_branch: &default_branch,
        rebase: args.rebase.0,
        max_size: args.max_size.map(|size| size.0),
        record: record(settings)?,
        said: manifest::Snapshot {
            key: args.store.key.clone(),
            branch: branch.clone(),
            platform: environment.platform().unwrap_or_default(),
            job: job(settings),
            settings: go_settings(settings),
            go: builds_with(settings, &found.projects),
            ..manifest::Snapshot::default()
        },
        now: now.timestamp(),
        sumdb: modules.map_or_else(Sumdb::default, |cache| steps::cached_sumdb(cache, &go)),
        keys: steps::sumdb_setting(&go).keys(),
        module_indexes: uses.indexes.into_values().flatten().collect(),
        jobs: steps::jobs(settings),
    };
    let saved = save(&found, &asked, &*watch)?;
    store.forget()?;
    drop(watch);
    found.notes.extend(saved.notes);
    let mut report = steps::report(&found, &unlimited(settings), now)?;
    report.verification = None;
    report.snapshot = Some(report::Snapshot {
        restored: None,
        saved: Some(report::Saved {
            key: args.store.key.clone(),
            branch: branch.clone(),
            kind: match saved.is_base {
                Some(true) => SavedKind::Base,
                Some(false) => SavedKind::Delta,
                None => SavedKind::None,
            },
            bytes: saved.bytes,
            units: saved.units,
            reason: saved.reason,
        }),
    });
    steps::write_report(&report, settings, out)?;
    Ok(report.verdict)
}

/// The Go versions that build the projects: the installed one, or a newer one that
/// a project asks for.
pub(super) fn builds_with(settings: &Settings, projects: &[Project]) -> Vec<String> {
    let installed = steps::go_versions(&Inventory::default(), &[], settings);
    let local = locate::go_settings(&settings.environment)
        .get("GOTOOLCHAIN")
        .0
        == "local";
    let newest = |project: &Project| {
        let asked = project.toolchains.iter().filter(|_| !local);
        let all = asked.chain(&installed);
        all.max_by(|a, b| gover::compare_toolchains(a, b)).cloned()
    };
    let mut versions: Vec<String> = projects.iter().filter_map(newest).collect();
    if versions.is_empty() {
        versions = installed;
    }
    versions.sort();
    versions.dedup();
    versions
}

/// Limits are `check`'s to judge.
pub(super) fn unlimited(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    let given = std::mem::take(&mut settings.options);
    settings.options = Options {
        format: given.format,
        strict: given.strict,
        baseline: given.baseline,
        projects_under: given.projects_under,
        ..Options::default()
    };
    settings
}

/// What `restore` left out at the start of this job.
fn record(settings: &Settings) -> Result<Option<Record>, CommandError> {
    let path = record_path(&steps::state_path(settings)?);
    match ordinary::read(&path, MAX_RECORD) {
        Ok(json) => Ok(serde_json::from_slice(&json).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CommandError::file(path)(error)),
    }
}

/// What CI says of this job.
fn job(settings: &Settings) -> BTreeMap<String, String> {
    const NAMES: [(&str, &[&str]); 3] = [
        (
            "repository",
            &["GITHUB_REPOSITORY", "CI_PROJECT_PATH", "BUILDKITE_REPO"],
        ),
        (
            "commit",
            &["GITHUB_SHA", "CI_COMMIT_SHA", "BUILDKITE_COMMIT"],
        ),
        ("job", &["GITHUB_JOB", "CI_JOB_NAME", "BUILDKITE_LABEL"]),
    ];
    let said = |names: &[&str]| {
        let value = names.iter().find_map(|name| settings.environment.var(name));
        value.map(|value| value.to_string_lossy().into_owned())
    };
    let all = NAMES.iter();
    all.filter_map(|(name, by)| Some(((*name).to_owned(), said(by)?)))
        .collect()
}
