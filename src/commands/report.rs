//! `gocachevet report`.

use super::sandboxed;
use crate::cli::{ConfigArgs, Reporting, Takes};
use crate::error::CommandError;
use crate::findings::display_path;
use crate::folder::ordinary;
use crate::report::{Report, SCHEMA, Verdict};
use crate::run as steps;
use crate::settings::{PolicyOptions, Settings};
use clap::Args;
use serde::Deserialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The longest report that is read, in bytes.
const MAX_BYTES: u64 = 512 << 20;

/// Options of `report`.
#[derive(Args, Clone, Debug, Default)]
pub struct ReportArgs {
    /// What rules, and what is written.
    #[command(flatten)]
    pub shared: Takes<ConfigArgs, Reporting, PolicyOptions>,
    /// A JSON report of this program, or those of all shards of a check
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Writes a saved report again, or one report of all shards' reports. The
/// verdict is that of the report; a merged one is judged as a whole.
pub fn run(
    settings: &Settings,
    args: &ReportArgs,
    out: &mut dyn Write,
) -> Result<Verdict, CommandError> {
    let mut reports = Vec::with_capacity(args.files.len());
    for file in &args.files {
        let file = settings.environment.resolve(file);
        reports.push((display_path(&file), read(&file)?));
    }
    let (report, ruled) = match reports.as_slice() {
        // As it was.
        [(_, report)] if report.shard.is_none() => (report.clone(), Ok(())),
        _ => {
            let mut report = steps::whole(reports)?;
            let ruled = sandboxed::rule(&mut report, settings)?;
            (report, ruled)
        }
    };
    steps::write_report(&report, settings, out)?;
    ruled?;
    Ok(report.verdict)
}

fn read(file: &Path) -> Result<Report, CommandError> {
    let name = display_path(file);
    let content = ordinary::read(file, MAX_BYTES).map_err(CommandError::file(file))?;
    // The version first: another one may have other fields.
    #[derive(Deserialize)]
    struct Version {
        schema: String,
    }
    let Version { schema } = serde_json::from_slice(&content)
        .map_err(CommandError::input(format!("{name}: not a JSON report")))?;
    if schema != SCHEMA {
        return Err(CommandError::input(name)(format!(
            "is a {schema:?}; this command reads \"{SCHEMA}\", as `check` and `trim` write it"
        )));
    }
    serde_json::from_slice(&content).map_err(CommandError::input(format!("{name}: is damaged")))
}
