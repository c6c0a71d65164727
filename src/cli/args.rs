//! What can be typed.

use crate::settings::Color;
#[cfg(target_os = "linux")]
use crate::sumdb::note::Verifier;
use crate::values::shard::Shard;
use clap::Args;
use std::path::PathBuf;

/// What every command takes.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct TerminalArgs {
    /// No progress and no log on standard error
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say on standard error what is decided; -vv what is read, too
    #[arg(long, short, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Colour on a terminal: auto, always or never
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        hide_possible_values = true,
        hide_short_help = true,
        default_value_t,
        global = true
    )]
    pub color: Color,
}

/// Which configuration rules.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    /// The configuration [default: gocachevet.toml of the project]
    #[arg(long, value_name = "FILE", help_heading = "How")]
    pub config: Option<PathBuf>,
    /// Do not look for a configuration in the project
    #[arg(long, help_heading = "How")]
    pub no_project_config: bool,
}

/// How what was found is judged.
#[derive(Args, Clone, Debug, Default)]
pub struct JudgeArgs {
    /// Which configuration rules.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Write what was found as a baseline of known findings
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "How",
        hide_short_help = true
    )]
    pub write_baseline: Option<PathBuf>,
}

/// Options of `check`.
#[derive(Args, Clone, Debug, Default)]
pub struct CheckArgs {
    /// How what was found is judged.
    #[command(flatten)]
    pub judge: JudgeArgs,
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
