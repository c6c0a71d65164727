//! `gocachevet check`.

use super::{remote, sandboxed};
use crate::cli::{Judged, Reporting, Takes, Use, Where, progress};
use crate::error::CommandError;
use crate::report::Verdict;
use crate::run as steps;
use crate::settings::{
    EffortOptions, GoalOptions, LimitOptions, PolicyOptions, SandboxOptions, Settings, VerifyLevel,
};
#[cfg(target_os = "linux")]
use crate::snapshot::held;
#[cfg(target_os = "linux")]
use crate::sumdb::note::Verifier;
use crate::values::shard::Shard;
use chrono::Utc;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

/// What `check` takes.
pub type Line = Takes<
    CheckArgs,
    Where,
    Use,
    Reporting,
    Judged,
    Takes<EffortOptions, GoalOptions, LimitOptions, SandboxOptions, PolicyOptions>,
>;

/// Options of `check` alone.
#[derive(Args, Clone, Debug, Default)]
pub struct CheckArgs {
    /// Do only this part of the work: I counts from 1
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Write to the ledger what was found
    #[arg(long)]
    pub record: bool,
    /// Compare with another module cache, its report, or a go.sum
    #[arg(long, value_name = "OTHER")]
    pub compare: Option<PathBuf>,
    /// Say in the JSON report what each module version is, for a later --compare
    #[arg(long, hide_short_help = true)]
    pub accounts: bool,
    /// Hold the caches against the sealed snapshot that was restored into them, which this
    /// public key has sealed; several may be named
    #[cfg(target_os = "linux")]
    #[arg(long, value_name = "PUBLIC-KEY", value_parser = Verifier::parse, hide_short_help = true)]
    pub sealed_by: Vec<Verifier>,
    /// Read settings from standard input, as the host of the sandbox writes them
    #[arg(long, hide = true)]
    pub handover: bool,
    /// Ask for this repository's GitHub Actions caches as well
    #[arg(long, value_name = "OWNER/NAME")]
    pub remote: Option<String>,
    /// The key that this job will save under, for --remote
    #[arg(long, value_name = "KEY", requires = "remote", hide_short_help = true)]
    pub remote_key: Option<String>,
}

/// Checks both caches and writes the report.
pub fn run(
    settings: &Settings,
    args: &CheckArgs,
    out: &mut dyn Write,
) -> Result<Verdict, CommandError> {
    if settings.shard.is_some() {
        refuse_what_needs_all(settings, args)?;
    }
    let mut report = if settings.options.inside.sandbox == Some(true) {
        refuse_what_reads_more(args)?;
        sandboxed::check(settings, args.record)?
    } else {
        let level = settings.options.effort.verify.unwrap_or(VerifyLevel::Full);
        let watch = progress::watch(settings.quiet);
        let mut found = steps::look(settings, level, &*watch)?;
        drop(watch);
        if let Some(other) = &args.compare {
            let other = settings.environment.resolve(other);
            let mut compared = steps::compare(&found.inventory, &found.sums, settings, &other)?;
            let recorded = found.drift.take();
            let rows = &mut compared.table.rows;
            rows.extend(recorded.into_iter().flat_map(|table| table.rows));
            found.drift = Some(compared.table);
            found.findings.extend(compared.findings);
            found.caches.notes.push(compared.note);
        }
        #[cfg(not(target_family = "wasm"))]
        found.findings.extend(crate::doctor::owners(&found.caches));
        let now = Utc::now();
        #[cfg(target_os = "linux")]
        if !args.sealed_by.is_empty() {
            let state = steps::state_path(settings)?;
            let keys: Vec<String> = args.sealed_by.iter().map(Verifier::to_string).collect();
            let more = held::held(
                &found.inventory,
                &found.evidence,
                &state,
                &keys,
                now.timestamp(),
            );
            found.findings.extend(more);
        }
        let restored = steps::restored(&found.inventory, found.observed.as_ref());
        let priced = steps::with_measured_rate(settings, restored);
        let mut report = steps::report(&found, &priced, now)?;
        if args.accounts {
            report.accounts = steps::accounts(&found.inventory);
        }
        if args.record {
            steps::record(&found, &mut report, &settings.environment, now)?;
        }
        report
    };
    if let Some(repository) = &args.remote {
        let key = args.remote_key.as_deref();
        remote::add(&mut report, repository, key, &settings.environment)?;
    }
    // A policy module rules on the whole, when it is put together.
    let ruled = match settings.shard {
        Some(_) => Ok(()),
        None => sandboxed::rule(&mut report, settings)?,
    };
    steps::write_report(&report, settings, out)?;
    ruled?;
    Ok(report.verdict)
}

/// A part of the work cannot do what takes the findings of all.
fn refuse_what_needs_all(settings: &Settings, args: &CheckArgs) -> Result<(), CommandError> {
    let why = "takes all of the work, and --shard does a part of it";
    refuse(&[
        (args.record, "--record", why),
        (settings.write_baseline.is_some(), "--write-baseline", why),
        (args.remote.is_some(), "--remote", why),
        #[cfg(target_os = "linux")]
        (!args.sealed_by.is_empty(), "--sealed-by", why),
    ])
}

/// The sandbox lets in the caches and the projects, and nothing else.
fn refuse_what_reads_more(args: &CheckArgs) -> Result<(), CommandError> {
    let CheckArgs {
        compare,
        accounts,
        #[cfg(target_os = "linux")]
        sealed_by,
        // Handed over, refused where the sandbox is, or done outside of it.
        shard: _,
        record: _,
        handover: _,
        remote: _,
        remote_key: _,
    } = args;
    let why = "is not for a check in the sandbox";
    let cache = "reads a second cache, which the sandbox does not let in";
    refuse(&[
        (compare.is_some(), "--compare", cache),
        (*accounts, "--accounts", why),
        #[cfg(target_os = "linux")]
        (!sealed_by.is_empty(), "--sealed-by", why),
    ])
}

fn refuse(asked: &[(bool, &str, &str)]) -> Result<(), CommandError> {
    match asked.iter().find(|(asked, ..)| *asked) {
        Some((_, option, why)) => Err(CommandError::Usage(format!("{option} {why}").into())),
        None => Ok(()),
    }
}
