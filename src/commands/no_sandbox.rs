//! `--sandbox` and `--policy` in a build without them.

use crate::error::CommandError;
use crate::report::Report;
use crate::settings::Settings;

fn absent(option: &str) -> CommandError {
    CommandError::Usage(
        format!("{option}: this build has no sandbox; use one with the feature `sandbox`").into(),
    )
}

pub(super) fn check(_: &Settings, _: bool) -> Result<Report, CommandError> {
    Err(absent("--sandbox"))
}

pub(super) fn rule(
    _: &mut Report,
    settings: &Settings,
) -> Result<Result<(), CommandError>, CommandError> {
    match settings.options.policy.policy {
        Some(_) => Err(absent("--policy")),
        None => Ok(Ok(())),
    }
}
