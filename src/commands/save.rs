//! `gocachevet save`.

use super::restore::{StoreArgs, go_settings, repository, this_run};
use crate::bundle::manifest;
use crate::cli::{Reporting, Takes, Use, Where, progress};
use crate::error::{CommandError, Source, chain};
use crate::findings::{Finding, Rule, display_path};
use crate::formats::gover;
use crate::locate::{self, Project};
use crate::plan::Uses;
use crate::report::{self, SavedKind, Verdict};
use crate::run as steps;
use crate::scan::Inventory;
use crate::settings::{Environment, Options, Settings, VerifyLevel};
use crate::snapshot::save::{Asked, Saved, save};
use crate::snapshot::seal::{Sealing, Terms, foreign};
use crate::snapshot::{RECORD, RestoreRecord, beside};
use crate::sumdb::Sumdb;
use crate::sumdb::note::Signer;
use crate::usage::state::{StateError, read_own};
use crate::usage::{Observed, State};
use crate::values::{Rate, Size};
use chrono::Utc;
use clap::Args;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// Longer than any secret key.
const MAX_KEY: u64 = 4 << 10;

/// Keep what this job used for the next one.
///
/// A snapshot holds what the last ten jobs that saved used, and what the projects'
/// go.sum needs. Nothing is written if nothing new was used; else a delta on what
/// is there, or a new base where deltas would be too large.
#[derive(Args, Clone, Debug)]
pub struct SaveArgs {
    /// What was used, and what is written.
    #[command(flatten)]
    pub shared: Takes<Where, Use, Reporting>,
    /// Where the snapshot goes.
    #[command(flatten)]
    pub store: StoreArgs,
    /// What a snapshot may hold: what was used least recently goes first
    #[arg(long = "max-size", id = "snapshot_size", value_name = "SIZE")]
    pub max_size: Option<Size>,
    /// How large deltas may be, as a part of their base, before a new base is made
    #[arg(
        long,
        value_name = "RATE",
        default_value = "30%",
        hide_short_help = true
    )]
    pub rebase: Rate,
    /// Seal it with the secret key in this environment variable
    #[arg(long, value_name = "NAME", conflicts_with = "seal_key_fd")]
    pub seal_key_env: Option<String>,
    /// The same, read from this open file descriptor
    #[arg(long, value_name = "N")]
    pub seal_key_fd: Option<u32>,
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
    let branch = args.store.branch(environment);
    let default_branch = args.store.default_branch(environment);
    let record = record(settings)?;
    let (used, findings) = (found.observed.as_ref(), &mut found.findings);
    let sealing = sealing(args, record.as_ref(), used, settings, findings)?;
    let sealed_by = match &sealing {
        Ok(Some(sealing)) => Some(sealing.signer.verifier().name().to_owned()),
        _ => None,
    };
    let store = args.store.store(settings)?;
    let asked = |sealing| Asked {
        store: &store,
        key: &args.store.key,
        branch: &branch,
        default_branch: &default_branch,
        rebase: args.rebase.0,
        max_size: args.max_size.map(|size| size.0),
        record,
        sealing,
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
    let saved = match sealing {
        Ok(sealing) => save(&found, &asked(sealing), &*watch)?,
        Err(nothing) => nothing,
    };
    store.forget()?;
    drop(watch);
    found.notes.extend(saved.notes);
    let mut report = steps::report(&found, &unlimited(settings), now)?;
    report.verification = None;
    let saved = report::Saved {
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
        sealed_by: sealed_by.filter(|_| saved.is_base.is_some()),
    };
    report.snapshot = Some(report::Snapshot {
        restored: None,
        saved: Some(saved),
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
        form: given.form,
        strictness: given.strictness,
        known: given.known,
        projects: given.projects,
        ..Options::default()
    };
    settings
}

/// What `restore` left at the start of this job.
fn record(settings: &Settings) -> Result<Option<RestoreRecord>, CommandError> {
    let path = beside(&steps::state_path(settings)?, RECORD);
    match read_own(&path) {
        Ok(json) => Ok(serde_json::from_slice(&json).ok()),
        Err(StateError::Missing) => Ok(None),
        Err(error) => Err(CommandError::failed(display_path(&path))(error)),
    }
}

/// The key that seals.
enum Key {
    NotAsked,
    /// This job does not have it, such as one of a fork; and why.
    Absent(String),
    Given(Box<Signer>),
}

/// Reads the secret key. Nothing that is told has any of it.
fn signer(args: &SaveArgs, environment: &Environment) -> Result<Key, CommandError> {
    let mut secret = Zeroizing::new(String::new());
    let from = if let Some(name) = &args.seal_key_env {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.chars().all(plain) {
            let message = "--seal-key-env takes the name of a variable, not the key itself";
            return Err(CommandError::Usage(message.into()));
        }
        let value = environment.var(name).and_then(OsStr::to_str);
        secret.push_str(value.unwrap_or_default());
        format!("the variable {name}")
    } else if let Some(number) = args.seal_key_fd {
        let from = format!("the file descriptor {number}");
        let file = File::open(format!("/proc/self/fd/{number}"));
        let read = file.and_then(|file| file.take(MAX_KEY).read_to_string(&mut secret));
        read.map_err(CommandError::input(&from))?;
        from
    } else {
        return Ok(Key::NotAsked);
    };
    if secret.trim().is_empty() {
        let why = format!("this job has no key to seal with: {from} is empty");
        return Ok(Key::Absent(why));
    }
    let signer = Signer::parse(secret.trim());
    let signer = signer.map_err(CommandError::input(from))?;
    Ok(Key::Given(Box::new(signer)))
}

/// What seals the snapshot, if anything is to; or that nothing is saved, and why.
fn sealing(
    args: &SaveArgs,
    record: Option<&RestoreRecord>,
    observed: Option<&Observed>,
    settings: &Settings,
    findings: &mut Vec<Finding>,
) -> Result<Result<Option<Sealing>, Saved>, CommandError> {
    let signer = match signer(args, &settings.environment)? {
        Key::NotAsked => return Ok(Ok(None)),
        Key::Absent(why) => return Ok(Err(Saved::nothing(&why, Vec::new()))),
        Key::Given(signer) => signer,
    };
    Ok(may_seal(signer, record, observed, settings)
        .map(Some)
        .map_err(|error| {
            let why = chain(&*error);
            let message = format!("nothing was sealed and nothing saved: {why}");
            let finding = Finding::new(Rule::SealMissing, &args.store.key, message);
            findings.push(finding);
            Saved::nothing(&why, Vec::new())
        }))
}

/// What this job may seal.
///
/// # Errors
/// Why nothing.
fn may_seal(
    signer: Box<Signer>,
    record: Option<&RestoreRecord>,
    observed: Option<&Observed>,
    settings: &Settings,
) -> Result<Sealing, Source> {
    let state = State::read(&steps::state_path(settings)?)
        .map_err(CommandError::failed("the mark's state"))?;
    let of_this_job = |record: &&RestoreRecord| {
        record.since == state.head.since && record.run == this_run(&settings.environment)
    };
    let record = record.filter(of_this_job);
    let record = record.ok_or("this job has to begin with `gocachevet restore`")?;
    let observed = observed.ok_or("what this job used is not known")?;
    let foreign = foreign(&state, record, observed)?;
    let mut terms = record.terms.clone().unwrap_or_else(|| Terms {
        key: record.key.clone(),
        repository: repository(&settings.environment),
        ..Terms::default()
    });
    terms.keys.push(signer.verifier().to_string());
    Ok(Sealing {
        signer,
        terms,
        counter: record.counter,
        foreign,
    })
}

/// What CI says of this job.
fn job(settings: &Settings) -> BTreeMap<String, String> {
    const NAMES: [(&str, &[&str]); 3] = [
        (
            "workflow",
            &[
                "GITHUB_WORKFLOW_REF",
                "CI_CONFIG_PATH",
                "BUILDKITE_PIPELINE_SLUG",
            ],
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
    let named = all.filter_map(|(name, by)| Some(((*name).to_owned(), said(by)?)));
    let repository = repository(&settings.environment);
    let repository = repository.map(|name| ("repository".to_owned(), name));
    named.chain(repository).collect()
}
