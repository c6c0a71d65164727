//! `--sandbox` and `--policy` in a build without them.

use super::{CliError, Settings};
use crate::report::Report;

fn absent(option: &str) -> CliError {
    CliError::Usage(format!(
        "{option}: this build has no sandbox; use one with the feature `sandbox`"
    ))
}

pub(super) fn check(_: &Settings) -> Result<Report, CliError> {
    Err(absent("--sandbox"))
}

pub(super) fn rule(_: &mut Report, settings: &Settings) -> Result<Result<(), CliError>, CliError> {
    match settings.options.policy {
        Some(_) => Err(absent("--policy")),
        None => Ok(Ok(())),
    }
}
