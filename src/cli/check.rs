//! `gocachevet check`.

use super::{CliError, Settings, progress, remote, sandboxed};
use crate::config::VerifyLevel;
use crate::flow;
use crate::report::Verdict;
use chrono::Utc;
use std::io::Write;

/// Checks both caches and writes the report.
pub fn run(settings: &Settings, out: &mut dyn Write) -> Result<Verdict, CliError> {
    if settings.shard.is_some() {
        refuse_what_needs_all(settings)?;
    }
    let mut report = if settings.options.sandbox == Some(true) {
        if settings.compare.is_some() {
            let message = "--compare reads a second cache, which the sandbox does not let in";
            return Err(CliError::Usage(message.to_owned()));
        }
        if settings.accounts {
            let message = "--accounts is not for a check in the sandbox";
            return Err(CliError::Usage(message.to_owned()));
        }
        sandboxed::check(settings)?
    } else {
        let level = settings.options.verify.unwrap_or(VerifyLevel::Full);
        let watch = progress::watch(settings.quiet);
        let mut found = flow::look(settings, level, &*watch)?;
        drop(watch);
        if let Some(other) = &settings.compare {
            flow::compare(&mut found, settings, other)?;
        }
        #[cfg(not(target_family = "wasm"))]
        found.findings.extend(crate::doctor::owners(&found.caches));
        let now = Utc::now();
        let priced = flow::with_measured_rate(settings, flow::restored(&found));
        let mut report = flow::report(&found, &priced, now)?;
        if settings.accounts {
            report.accounts = flow::accounts(&found);
        }
        if settings.record {
            flow::record(&found, &mut report, &settings.environment, now)?;
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
    flow::write_report(&report, settings, out)?;
    ruled?;
    Ok(report.verdict)
}

/// A part of the work cannot do what takes the findings of all.
fn refuse_what_needs_all(settings: &Settings) -> Result<(), CliError> {
    let asked = [
        (settings.record, "--record"),
        (settings.write_baseline.is_some(), "--write-baseline"),
        (settings.remote.is_some(), "--remote"),
    ];
    match asked.into_iter().find(|(asked, _)| *asked) {
        Some((_, option)) => Err(CliError::Usage(format!(
            "{option} takes all of the work, and --shard does a part of it"
        ))),
        None => Ok(()),
    }
}
