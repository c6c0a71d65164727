//! What several commands take of the command line alone, and what they take together.

use super::Takes;
use crate::settings::{
    BaselineOptions, CacheOptions, Color, FormOptions, GoOptions, MarkOptions, MountOptions,
    OutputOptions, PriceOptions,
};
use crate::settings::{ProjectOptions, StrictnessOptions};
use clap::Args;
use std::path::PathBuf;

/// Where the caches, the projects and the configuration are.
pub type Where = Takes<CacheOptions, ProjectOptions, ConfigArgs>;
/// What tells use from idleness.
pub type Use = Takes<MarkOptions, GoOptions, MountOptions>;
/// Where the report goes.
pub type Reporting = Takes<FormOptions, OutputOptions>;
/// How what was found is judged.
pub type Judged = Takes<StrictnessOptions, BaselineOptions, BaselineArgs, PriceOptions>;

/// What every command takes.
#[derive(Args, Clone, Copy, Debug, Default)]
#[group(skip)]
pub struct TerminalArgs {
    /// No progress and no log on standard error
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say on standard error what is decided; -vv what is read, too
    #[arg(long, short, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Colour on a terminal: auto, always or never
    #[arg(long, value_enum, value_name = "WHEN", global = true)]
    #[arg(default_value_t, hide_possible_values = true)]
    #[arg(hide_short_help = true)]
    pub color: Color,
}

/// Which configuration rules.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "How")]
pub struct ConfigArgs {
    /// The configuration [default: gocachevet.toml of the project]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Do not look for a configuration in the project
    #[arg(long)]
    pub no_project_config: bool,
}

/// The baseline that is made.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "How")]
pub struct BaselineArgs {
    /// Write what was found as a baseline of known findings
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub write_baseline: Option<PathBuf>,
}
