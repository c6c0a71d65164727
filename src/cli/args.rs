//! What can be typed.

#[cfg(not(target_family = "wasm"))]
use super::{doctor, mirror, remote};
use super::{explain, list, pack, report, trim};
use crate::shard::Shard;
use clap::{Args, Parser, Subcommand, ValueEnum};
#[cfg(target_family = "wasm")]
use std::ffi::OsString;
use std::path::PathBuf;

/// Checks Go's module cache and build cache: size, age, hit rate, checksum
/// health; fails or trims by policy.
///
/// Without a command it checks: `gocachevet check -h` shows the options. Exit
/// codes: 0 passed, 1 the policy failed, 2 wrong usage or configuration, 3 the
/// work could not be done.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "gocachevet",
    version,
    max_term_width = 100,
    override_usage = "gocachevet [COMMAND] [OPTIONS]"
)]
pub struct Cli {
    /// What to do [default: check]
    #[command(subcommand)]
    pub command: Command,
    /// What the terminal gets.
    #[command(flatten)]
    pub terminal: TerminalArgs,
}

/// The commands.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Check both caches and judge them (the default)
    Check(Box<CheckArgs>),
    /// Shrink the caches to what builds use; alone it removes residue only
    Trim(Box<trim::TrimArgs>),
    /// At the start of a job: remember what the caches hold, so that use can be told
    Mark(ConfigArgs),
    /// What takes the space
    List(Box<list::ListArgs>),
    /// A bundle for builds without a network, from the cache alone
    Pack(Box<pack::PackArgs>),
    /// GitHub Actions caches: what is kept, what it is worth, what to delete
    #[cfg(not(target_family = "wasm"))]
    #[command(subcommand)]
    Remote(Box<remote::RemoteCommand>),
    /// A module proxy's storage: what is asked for, what to evict
    #[cfg(not(target_family = "wasm"))]
    #[command(subcommand)]
    Mirror(Box<mirror::MirrorCommand>),
    /// Go's settings as they bear on the caches
    #[cfg(not(target_family = "wasm"))]
    Doctor(doctor::DoctorArgs),
    /// Render saved JSON reports again; merge those of all shards into one
    Report(report::ReportArgs),
    /// What a rule means, how it comes about, and what to do
    Explain(explain::ExplainArgs),
    /// What the WASI module leaves to the native program, and what is no command.
    #[cfg(target_family = "wasm")]
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// What every command takes.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct TerminalArgs {
    /// No progress and no log on standard error
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Colour on a terminal: auto, always or never
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        hide_possible_values = true,
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

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
