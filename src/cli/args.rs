//! What can be typed.

#[cfg(not(target_family = "wasm"))]
use super::{doctor, mirror, remote};
use super::{explain, list, pack, report, trim};
use crate::config::Options;
use crate::shard::Shard;
use clap::{Args, Parser, Subcommand, ValueEnum};
#[cfg(target_family = "wasm")]
use std::ffi::OsString;
use std::path::PathBuf;

/// Checks Go's module cache and build cache: size, age, hit rate, checksum
/// health; fails or trims by policy.
///
/// Without a command it checks. Exit codes: 0 passed, 1 the policy failed,
/// 2 wrong usage or configuration, 3 the work could not be done.
#[derive(Parser, Clone, Debug)]
#[command(name = "gocachevet", version, max_term_width = 100)]
pub struct Cli {
    /// What to do [default: check]
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options that the configuration file knows too.
    #[command(flatten)]
    pub options: Options,
    /// Options of this run alone.
    #[command(flatten)]
    pub policy: PolicyArgs,
}

/// The commands.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Check both caches and judge them (the default)
    Check,
    /// Shrink the caches to what builds use; alone it removes residue only
    Trim(Box<trim::TrimArgs>),
    /// At the start of a job: remember what the caches hold, so that use can be told
    Mark,
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

/// Options that make no sense in a configuration file.
#[derive(Args, Clone, Debug, Default)]
pub struct PolicyArgs {
    /// The configuration [default: gocachevet.toml or .github/gocachevet.toml, upward from the project]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Policy")]
    pub config: Option<PathBuf>,
    /// Do not look for a configuration in the project
    #[arg(long, global = true, help_heading = "Policy")]
    pub no_project_config: bool,
    /// Write what was found as a baseline of known findings
    #[arg(long, value_name = "FILE", global = true, help_heading = "Policy")]
    pub write_baseline: Option<PathBuf>,
    /// Do only this part of the work: I counts from 1
    #[arg(long, value_name = "I/N", global = true, help_heading = "Policy")]
    pub shard: Option<Shard>,
    /// Write to the ledger what was found
    #[arg(long, global = true, help_heading = "Policy")]
    pub record: bool,
    /// Compare with another module cache, a report of one (see --accounts), or another go.sum
    #[arg(long, value_name = "OTHER", global = true, help_heading = "Policy")]
    pub compare: Option<PathBuf>,
    /// Say in the JSON report what each module version is, for a later --compare
    #[arg(long, global = true, help_heading = "Policy")]
    pub accounts: bool,
    /// Read settings from standard input, as the host of the sandbox writes them
    #[arg(long, global = true, hide = true)]
    pub handover: bool,
    /// Ask for this repository's GitHub Actions caches too, and what saving this one will push out
    #[arg(
        long,
        value_name = "OWNER/NAME",
        global = true,
        help_heading = "Policy"
    )]
    pub remote: Option<String>,
    /// The key that this job will save under, for --remote
    #[arg(long, value_name = "KEY", global = true, help_heading = "Policy")]
    pub remote_key: Option<String>,
    /// No progress and no log on standard error
    #[arg(long, short, global = true, help_heading = "Policy")]
    pub quiet: bool,
    /// Colour on a terminal
    #[arg(
        long,
        value_enum,
        default_value_t,
        global = true,
        help_heading = "Policy"
    )]
    pub color: Color,
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_may_stand_before_and_after_the_command() {
        for line in [
            ["gocachevet", "--modcache", "/mc", "check"],
            ["gocachevet", "check", "--modcache", "/mc"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert_eq!(cli.options.modcache, Some("/mc".into()));
        }
        let cli = Cli::try_parse_from(["gocachevet", "--shard", "2/4"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.policy.shard, Some(Shard { index: 2, count: 4 }));
        let cli = Cli::try_parse_from(["gocachevet", "list", "--unused", "--force=false"]).unwrap();
        let Some(Command::List(list)) = cli.command else {
            panic!("not list")
        };
        assert_eq!(
            (list.retention.unused, list.retention.force),
            (Some(true), Some(false))
        );
    }
}
