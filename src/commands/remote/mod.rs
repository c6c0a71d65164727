//! `gocachevet remote`: options, and the way from them to a verdict.

#[cfg(feature = "remote")]
mod steps;
#[cfg(feature = "remote")]
pub(crate) use steps::token;

use crate::cli::{Takes, text_or_json};
use crate::error::CommandError;
use crate::report::Report;
use crate::settings::{Environment, FormOptions};
use crate::values::{Age, Limit, Rate, Size};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What to do with a service's caches.
#[derive(Subcommand, Clone, Debug)]
pub enum RemoteCommand {
    /// Every entry, with its accesses
    List(RemoteArgs),
    /// Usage against the quota; duplicate, superseded, unreachable and unused entries
    Usage(RemoteUsageArgs),
    /// Plan what to delete; with --yes, delete it
    Trim(RemoteTrimArgs),
}

/// Which caches, and how to ask for them. The token comes from `GITHUB_TOKEN`,
/// `GH_TOKEN` or `GOCACHEVET_TOKEN`.
#[derive(Args, Clone, Debug, Default)]
#[command(mut_arg("format", text_or_json))]
pub struct RemoteArgs {
    /// What it writes.
    #[command(flatten)]
    pub shared: Takes<FormOptions>,
    /// A repository; repeatable [default: the one that GITHUB_REPOSITORY names]
    #[arg(long = "repo", value_name = "OWNER/NAME")]
    pub repos: Vec<String>,
    /// All repositories of an organisation that have caches
    #[arg(long, value_name = "NAME")]
    pub org: Option<String>,
    /// The service's API [default: GITHUB_API_URL, else https://api.github.com]
    #[arg(long, value_name = "URL")]
    pub api_url: Option<String>,
    /// A key prefix that jobs fall back on; repeatable, `${{ … }}` stands for any text
    #[arg(long = "prefix", value_name = "PREFIX")]
    pub prefixes: Vec<String>,
    /// Where restore-keys are looked for [default: .github/workflows here, when one repository is asked for]
    #[arg(long, value_name = "DIR")]
    pub workflows: Option<PathBuf>,
    /// Sampled accesses, read and kept up to date
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// How long one answer may take [default: 30s]
    #[arg(long, value_name = "AGE")]
    pub timeout: Option<Age>,
    /// How long to wait in all for rate limits and retries [default: 2m]
    #[arg(long, value_name = "AGE")]
    pub patience: Option<Age>,
}

/// Options of `remote usage`. `--max-size` fails what uses more.
#[derive(Args, Clone, Debug, Default)]
pub struct RemoteUsageArgs {
    /// Which caches.
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// More than this is too much
    #[arg(long, value_name = "SIZE", conflicts_with = "quota_share")]
    pub max_size: Option<Limit<Size>>,
    /// Fail what uses more than this share of its quota
    #[arg(long, value_name = "RATE")]
    pub quota_share: Option<Rate>,
}

/// Options of `remote trim`, weighed in this order. `--max-size` comes last
/// and evicts the longest unused.
#[derive(Args, Clone, Debug, Default)]
pub struct RemoteTrimArgs {
    /// Which caches.
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// Keep keys that match; repeatable
    #[arg(long = "keep", value_name = "GLOB")]
    pub keep: Vec<String>,
    /// Keep what was saved for refs that match; repeatable
    #[arg(long = "keep-ref", value_name = "GLOB")]
    pub keep_refs: Vec<String>,
    /// Keep what was accessed within this time
    #[arg(long, value_name = "AGE")]
    pub keep_since: Option<Age>,
    /// Remove what a newer entry of the same prefix, ref and version took the place of
    #[arg(long)]
    pub superseded: bool,
    /// Remove entries of closed pull requests, deleted branches and tags
    #[arg(long)]
    pub closed_prs: bool,
    /// Remove what was not accessed for so many days
    #[arg(long, value_name = "DAYS")]
    pub cutoff_days: Option<u16>,
    /// Remove what was restored less often within seven days (see --history)
    #[arg(long, value_name = "N")]
    pub min_hit_count: Option<u32>,
    /// More than this is too much
    #[arg(long, value_name = "SIZE", conflicts_with = "quota_share")]
    pub max_size: Option<Limit<Size>>,
    /// Remove the coldest until this share of the quota is met
    #[arg(long, value_name = "RATE")]
    pub quota_share: Option<Rate>,
    /// Only show what would go (the default)
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Delete it
    #[arg(long)]
    pub yes: bool,
}

#[cfg(feature = "remote")]
pub(crate) use steps::run;

/// Adds what is known of a repository's remote caches to a report of the
/// caches here. A service that is down leaves the report as good as it was;
/// notes say what is unknown.
#[cfg(feature = "remote")]
pub fn add(
    report: &mut Report,
    repository: &str,
    key: Option<&str>,
    environment: &Environment,
) -> Result<(), CommandError> {
    let modcache = report.modcache.as_ref().map_or(0, |cache| cache.bytes);
    let buildcache = report.buildcache.as_ref().map_or(0, |cache| cache.bytes);
    let bytes = modcache.saturating_add(buildcache);
    let summary = steps::for_check(repository, key, bytes, environment)?;
    for repository in &summary.repositories {
        for unknown in &repository.unknown {
            report
                .notes
                .push(format!("remote {}: {unknown}", repository.name));
        }
    }
    report.remote = Some(summary);
    Ok(())
}

/// Says that this build cannot.
#[cfg(not(feature = "remote"))]
pub fn add(_: &mut Report, _: &str, _: Option<&str>, _: &Environment) -> Result<(), CommandError> {
    Err(CommandError::Usage(NO_NETWORK.into()))
}

#[cfg(not(feature = "remote"))]
const NO_NETWORK: &str = "this build has no network: remote caches need the feature `remote`";

/// Says that this build cannot.
#[cfg(not(feature = "remote"))]
pub fn run(
    _: &RemoteCommand,
    _: &crate::settings::Options,
    _: &Environment,
    _: &mut dyn std::io::Write,
) -> Result<crate::report::Verdict, CommandError> {
    Err(CommandError::Usage(NO_NETWORK.into()))
}
