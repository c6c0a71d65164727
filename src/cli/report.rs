//! `gocachevet report`.

use super::{CliError, ConfigArgs, Settings, sandboxed};
use crate::findings::display_path;
use crate::flow;
use crate::locate;
use crate::report::{Report, SCHEMA, Verdict};
use clap::Args;
use serde::Deserialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The longest report that is read, in bytes.
const MAX_BYTES: u64 = 512 << 20;

/// Options of `report`.
#[derive(Args, Clone, Debug, Default)]
pub struct ReportArgs {
    /// Which configuration rules.
    #[command(flatten)]
    pub config: ConfigArgs,
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
) -> Result<Verdict, CliError> {
    let mut reports = Vec::with_capacity(args.files.len());
    for file in &args.files {
        let file = settings.environment.resolve(file);
        reports.push((display_path(&file), read(&file)?));
    }
    let (report, ruled) = match reports.as_slice() {
        // As it was.
        [(_, report)] if report.shard.is_none() => (report.clone(), Ok(())),
        _ => {
            let mut report = flow::whole(reports)?;
            let ruled = sandboxed::rule(&mut report, settings)?;
            (report, ruled)
        }
    };
    flow::write_report(&report, settings, out)?;
    ruled?;
    Ok(report.verdict)
}

fn read(file: &Path) -> Result<Report, CliError> {
    let name = display_path(file);
    let content = locate::read(file, MAX_BYTES)
        .map_err(|error| CliError::Work(format!("{name}: {error}")))?;
    let wrong = |error: String| CliError::Usage(format!("{name}: {error}"));
    // The version first: another one may have other fields.
    #[derive(Deserialize)]
    struct Version {
        schema: String,
    }
    let Version { schema } = crate::json::read(&content)
        .map_err(|error| wrong(format!("not a JSON report: {error}")))?;
    if schema != SCHEMA {
        return Err(wrong(format!(
            "is a {schema:?}; this command reads \"{SCHEMA}\", as `check` and `trim` write it"
        )));
    }
    crate::json::read(&content).map_err(|error| wrong(format!("is damaged: {error}")))
}
