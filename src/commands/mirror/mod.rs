//! `gocachevet mirror`: options.

mod steps;
pub(crate) use steps::run;

use crate::cli::{Takes, text_or_json};
use crate::services::mirror::Layout;
use crate::settings::{FormOptions, ProjectOptions, VerifyLevel};
use crate::values::{Age, Limit, Size};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What to do with a module proxy's storage.
#[derive(Subcommand, Clone, Debug)]
pub enum MirrorCommand {
    /// Every version, coldest first; stored zips are verified unless --verify off
    List(MirrorListArgs),
    /// Plan what to evict; with --yes, evict it
    Trim(MirrorTrimArgs),
}

/// Which storage, who needs what of it, and who asked for it.
///
/// What the projects' go.sum files need stays: name them all with `--project`
/// and `--projects-under`.
#[derive(Args, Clone, Debug, Default)]
#[command(mut_arg("format", text_or_json))]
pub struct MirrorArgs {
    /// Whose projects, and what is written.
    #[command(flatten)]
    pub shared: Takes<ProjectOptions, FormOptions>,
    /// A GOPROXY file tree, or Athens' disk storage
    #[arg(value_name = "DIR", required_unless_present = "artifactory")]
    pub storage: Option<PathBuf>,
    /// How the storage lays out its files [default: told by what is there]
    #[arg(long, value_enum)]
    pub layout: Option<Layout>,
    /// An Artifactory server, as https://HOST/artifactory; the token comes from ARTIFACTORY_TOKEN or JFROG_ACCESS_TOKEN
    #[arg(long, value_name = "URL", conflicts_with_all = ["storage", "layout"], requires = "artifactory_repo")]
    pub artifactory: Option<String>,
    /// Its Go repository
    #[arg(long, value_name = "NAME", requires = "artifactory")]
    pub artifactory_repo: Option<String>,
    /// The proxy's access log, in common or combined format; repeatable
    #[arg(long = "access-log", value_name = "FILE")]
    pub access_logs: Vec<PathBuf>,
    /// The gocachevet-ledger.json of a module cache that this storage fills: what its jobs used counts as asked for; repeatable
    #[arg(long = "ledger", value_name = "FILE")]
    pub ledgers: Vec<PathBuf>,
    /// Patterns of modules that cannot be had again [default: GOPRIVATE]
    #[arg(long, value_name = "GLOBS")]
    pub private: Option<String>,
    /// How much to verify: off, quick, used or full [default: full]
    #[arg(long, value_name = "LEVEL", hide_possible_values = true)]
    pub verify: Option<VerifyLevel>,
}

/// Options of `mirror list`.
#[derive(Args, Clone, Debug, Default)]
pub struct MirrorListArgs {
    /// Which storage.
    #[command(flatten)]
    pub mirror: MirrorArgs,
    /// How many to show as text
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,
}

/// Options of `mirror trim`, weighed in this order. `--max-size` comes last
/// and evicts by score.
#[derive(Args, Clone, Debug, Default)]
pub struct MirrorTrimArgs {
    /// Which storage.
    #[command(flatten)]
    pub mirror: MirrorArgs,
    /// Keep modules that match, MODULE[@VERSION]; repeatable
    #[arg(long, value_name = "GLOB")]
    pub keep: Vec<String>,
    /// Keep what was asked for within this time
    #[arg(long, value_name = "AGE")]
    pub keep_since: Option<Age>,
    /// Remove what was not asked for in so many days
    #[arg(long, value_name = "DAYS")]
    pub cutoff_days: Option<u16>,
    /// Remove what was asked for less often within seven days
    #[arg(long, value_name = "N")]
    pub min_hit_count: Option<u32>,
    /// More than this is too much
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<Limit<Size>>,
    /// To reach --max-size, let go what projects need and what is private, too
    #[arg(long)]
    pub force: bool,
    /// Only show what would go (the default)
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Remove it
    #[arg(long)]
    pub yes: bool,
}
