//! `gocachevet check`.

use super::{remote, sandboxed};
use crate::cli::progress;
use crate::error::CommandError;
use crate::report::Verdict;
use crate::run as steps;
use crate::settings::{Settings, VerifyLevel};
#[cfg(target_os = "linux")]
use crate::snapshot::held;
use chrono::Utc;
use std::io::Write;

/// Checks both caches and writes the report.
pub fn run(settings: &Settings, out: &mut dyn Write) -> Result<Verdict, CommandError> {
    if settings.shard.is_some() {
        refuse_what_needs_all(settings)?;
    }
    let mut report = if settings.options.sandbox == Some(true) {
        if settings.compare.is_some() {
            let message = "--compare reads a second cache, which the sandbox does not let in";
            return Err(CommandError::Usage(message.into()));
        }
        if settings.accounts {
            let message = "--accounts is not for a check in the sandbox";
            return Err(CommandError::Usage(message.into()));
        }
        #[cfg(target_os = "linux")]
        if !settings.sealed_by.is_empty() {
            let message = "--sealed-by is not for a check in the sandbox";
            return Err(CommandError::Usage(message.into()));
        }
        sandboxed::check(settings)?
    } else {
        let level = settings.options.verify.unwrap_or(VerifyLevel::Full);
        let watch = progress::watch(settings.quiet);
        let mut found = steps::look(settings, level, &*watch)?;
        drop(watch);
        if let Some(other) = &settings.compare {
            steps::compare(&mut found, settings, other)?;
        }
        #[cfg(not(target_family = "wasm"))]
        found.findings.extend(crate::doctor::owners(&found.caches));
        let now = Utc::now();
        #[cfg(target_os = "linux")]
        if !settings.sealed_by.is_empty() {
            let state = steps::state_path(settings)?;
            let more = held::held(&found, &state, &settings.sealed_by, now.timestamp());
            found.findings.extend(more);
        }
        let priced = steps::with_measured_rate(settings, steps::restored(&found));
        let mut report = steps::report(&found, &priced, now)?;
        if settings.accounts {
            report.accounts = steps::accounts(&found);
        }
        if settings.record {
            steps::record(&found, &mut report, &settings.environment, now)?;
        }
        report
    };
    if let Some(repository) = &settings.remote {
        remote::add(&mut report, repository, settings)?;
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
fn refuse_what_needs_all(settings: &Settings) -> Result<(), CommandError> {
    let asked = [
        (settings.record, "--record"),
        (settings.write_baseline.is_some(), "--write-baseline"),
        (settings.remote.is_some(), "--remote"),
        #[cfg(target_os = "linux")]
        (!settings.sealed_by.is_empty(), "--sealed-by"),
    ];
    match asked.into_iter().find(|(asked, _)| *asked) {
        Some((_, option)) => Err(CommandError::Usage(
            format!("{option} takes all of the work, and --shard does a part of it").into(),
        )),
        None => Ok(()),
    }
}
