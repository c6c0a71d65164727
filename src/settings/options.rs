use crate::error::CommandError;
use crate::settings::RetentionOptions;
use crate::values::{Age, Limit, Rate, Share, Size};
use clap::{ArgAction, Args};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Every option that both the command line and `gocachevet.toml` know, by the
/// groups that commands take whole.
///
/// A field that is not given is `None` or empty; defaults are applied where
/// an option is used, so that "not given" can be told from "given".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Options {
    #[serde(flatten)]
    pub caches: CacheOptions,
    #[serde(flatten)]
    pub projects: ProjectOptions,
    #[serde(flatten)]
    pub mark: MarkOptions,
    #[serde(flatten)]
    pub go: GoOptions,
    #[serde(flatten)]
    pub mounts: MountOptions,
    #[serde(flatten)]
    pub effort: EffortOptions,
    #[serde(flatten)]
    pub strictness: StrictnessOptions,
    #[serde(flatten)]
    pub known: BaselineOptions,
    #[serde(flatten)]
    pub price: PriceOptions,
    #[serde(flatten)]
    pub form: FormOptions,
    #[serde(flatten)]
    pub outputs: OutputOptions,
    #[serde(flatten)]
    pub inside: SandboxOptions,
    #[serde(flatten)]
    pub policy: PolicyOptions,
    #[serde(flatten)]
    pub goals: GoalOptions,
    #[serde(flatten)]
    pub limits: LimitOptions,
    #[serde(flatten)]
    pub retention: RetentionOptions,
}

/// Where the caches are, and how many threads read them.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[command(next_help_heading = "Where")]
pub struct CacheOptions {
    /// The module cache [default: GOMODCACHE as Go itself would find it]
    #[arg(long, value_name = "DIR")]
    pub modcache: Option<PathBuf>,
    /// The build cache [default: GOCACHE as Go itself would find it]
    #[arg(long, value_name = "DIR")]
    pub gocache: Option<PathBuf>,
    /// Threads [default: the machine's cores]
    #[arg(long, short, value_name = "N", hide_short_help = true)]
    pub jobs: Option<usize>,
}

/// The projects that use the caches.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Where")]
pub struct ProjectOptions {
    /// A project that uses the caches; repeatable [default: the one here, in CI all]
    ///
    /// Unless it is given, the go.mod or go.work upward from here counts, and in
    /// CI all those of the workspace. The other modules of its repository count
    /// as well.
    #[arg(long, value_name = "DIR")]
    #[serde(default)]
    pub project: Vec<PathBuf>,
    /// Every folder below DIR that has a go.mod, and no others; repeatable
    #[arg(long, value_name = "DIR")]
    #[serde(default)]
    pub projects_under: Vec<PathBuf>,
}

/// What tells use from idleness.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[command(next_help_heading = "How")]
pub struct MarkOptions {
    /// The mark's state [default: in RUNNER_TEMP or the temporary folder]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
}

/// The Go that builds.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[command(next_help_heading = "Where")]
pub struct GoOptions {
    /// The Go installation, for the version that names its module indexes [default: GOROOT]
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub goroot: Option<PathBuf>,
}

/// Folders that Go knew by another path.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Where")]
pub struct MountOptions {
    /// A folder's path as Go knew it, where it is mounted elsewhere: SEEN=REAL; repeatable
    #[arg(long, value_name = "SEEN=REAL", hide_short_help = true)]
    #[serde(default)]
    pub path_map: Vec<String>,
}

/// How closely is looked, and by what.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[command(next_help_heading = "How")]
pub struct EffortOptions {
    /// How much to verify: off, quick, used or full [default: full]
    #[arg(long, value_name = "LEVEL")]
    #[arg(hide_possible_values = true)]
    pub verify: Option<VerifyLevel>,
    /// What counts as needed: go.sum or build-list [default: go.sum]
    #[arg(long, value_name = "SOURCE", hide_short_help = true)]
    #[arg(hide_possible_values = true)]
    pub live: Option<Live>,
}

/// What is taken on trust.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[command(next_help_heading = "How")]
pub struct StrictnessOptions {
    /// Deny what nothing outside the caches vouches for
    ///
    /// A level that `[rules]` sets for a rule counts all the same.
    #[arg(long, action = ArgAction::SetTrue)]
    pub strict: Option<bool>,
    /// Not that, whatever the configuration says
    #[arg(long, conflicts_with = "strict", hide_short_help = true)]
    #[serde(skip)]
    pub no_strict: bool,
}

/// Findings that are known.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[command(next_help_heading = "How")]
pub struct BaselineOptions {
    /// Findings listed here are known and do not count
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub baseline: Option<PathBuf>,
}

/// What a restore costs.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "How")]
pub struct PriceOptions {
    /// Bytes per second at which a restore is priced [default: 100MB]
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    pub restore_rate: Option<Size>,
    /// How long restoring the caches took in this job: tells the rate
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    #[arg(conflicts_with = "restore_rate")]
    pub restore_took: Option<Age>,
}

/// What goes to standard output.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[command(next_help_heading = "How")]
pub struct FormOptions {
    /// text, json, markdown, github, openmetrics, sarif or codequality [default: text]
    #[arg(long, short, value_name = "FORMAT")]
    #[arg(hide_possible_values = true)]
    pub format: Option<Format>,
}

impl FormOptions {
    /// Whether a command that writes text or JSON is to write JSON.
    ///
    /// # Errors
    /// Another format is asked for.
    pub fn wants_json(&self) -> Result<bool, CommandError> {
        match self.format {
            None | Some(Format::Text) => Ok(false),
            Some(Format::Json) => Ok(true),
            Some(_) => Err(CommandError::Usage(
                "this command writes text or json (--format)".into(),
            )),
        }
    }
}

/// What goes to files.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[command(next_help_heading = "How")]
pub struct OutputOptions {
    /// Also write the report to a file, as json=report.json; repeatable
    #[arg(long, short, value_name = "FORMAT=PATH")]
    #[serde(default)]
    pub output: Vec<Output>,
}

/// Whether a check can do more than read.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[command(next_help_heading = "Sandbox")]
pub struct SandboxOptions {
    /// Check inside a sandbox that can only read
    #[arg(long, action = ArgAction::SetTrue)]
    pub sandbox: Option<bool>,
    /// Not that, whatever the configuration says
    #[arg(long, conflicts_with = "sandbox", hide_short_help = true)]
    #[serde(skip)]
    pub no_sandbox: bool,
}

/// A policy module, and the bounds of every sandbox.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Sandbox")]
pub struct PolicyOptions {
    /// Memory that a sandboxed module may use [default: 1GiB]
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    pub sandbox_memory: Option<Size>,
    /// Time that a sandboxed module may take [default: 15m]
    #[arg(long, value_name = "AGE", hide_short_help = true)]
    pub sandbox_time: Option<Age>,
    /// A WASI module that reads the JSON report and rules on it
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// Limits that are a goal of a trim as well.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Thresholds (VALUE, or warn=VALUE,fail=VALUE)")]
pub struct GoalOptions {
    /// Both caches together
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<Limit<Size>>,
    /// The module cache
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    pub max_modcache_size: Option<Limit<Size>>,
    /// The build cache
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    pub max_gocache_size: Option<Limit<Size>>,
    /// Time since the oldest unit was last used
    #[arg(long, value_name = "AGE")]
    pub max_age: Option<Limit<Age>>,
}

/// Limits to what a job finds and does.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Thresholds (VALUE, or warn=VALUE,fail=VALUE)")]
pub struct LimitOptions {
    /// Findings of level warn or deny
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub max_findings: Option<Limit<u64>>,
    /// Hit rate of both caches together
    #[arg(long, value_name = "RATE")]
    pub min_hit_rate: Option<Limit<Rate>>,
    /// Hit rate of the module cache
    #[arg(long, value_name = "RATE", hide_short_help = true)]
    pub min_modcache_hit_rate: Option<Limit<Rate>>,
    /// Hit rate of the build cache
    #[arg(long, value_name = "RATE", hide_short_help = true)]
    pub min_gocache_hit_rate: Option<Limit<Rate>>,
    /// Bytes, or share of bytes, that this job did not use
    #[arg(long, value_name = "SIZE|SHARE", hide_short_help = true)]
    pub max_idle: Option<Limit<Share>>,
    /// Growth of both caches since the mark
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    pub max_growth: Option<Limit<Size>>,
}

impl Options {
    /// The same, where `--no-NAME` took back what the configuration sets.
    #[must_use]
    pub fn taken_back(mut self) -> Options {
        let retention = &mut self.retention;
        for (switch, no) in [
            (&mut self.strictness.strict, self.strictness.no_strict),
            (&mut self.inside.sandbox, self.inside.no_sandbox),
            (&mut retention.unused, retention.no_unused),
            (&mut retention.force, retention.no_force),
            (&mut retention.repair, retention.no_repair),
            (&mut retention.residue, retention.no_residue),
            (&mut retention.vcs, retention.no_vcs),
            (&mut retention.toolchains, retention.no_toolchains),
            (&mut retention.all, retention.no_all),
        ] {
            if no {
                *switch = Some(false);
            }
        }
        self
    }

    /// The same options, with paths as seen from `dir`.
    #[must_use]
    pub(super) fn relative_to(mut self, dir: &Path) -> Options {
        let single = [
            &mut self.caches.modcache,
            &mut self.caches.gocache,
            &mut self.go.goroot,
            &mut self.known.baseline,
            &mut self.mark.state,
            &mut self.policy.policy,
        ];
        single
            .into_iter()
            .flatten()
            .chain(&mut self.projects.project)
            .chain(&mut self.projects.projects_under)
            .chain(self.outputs.output.iter_mut().map(|to| &mut to.path))
            .for_each(|path| *path = dir.join(&*path));
        self
    }
}

/// How much of the caches is verified.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum VerifyLevel {
    /// Nothing but what the scan sees; leaves everything open.
    Off,
    /// Structure: pieces, sizes, zip directories, `.ziphash` against go.sum.
    /// Leaves open what is in zips, trees, `.mod` files and build outputs.
    Quick,
    /// And the content that a build would read. Leaves open the zips beside
    /// extracted trees.
    Used,
    /// Both copies of every version, and every build output.
    Full,
}

impl VerifyLevel {
    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            VerifyLevel::Off => "off",
            VerifyLevel::Quick => "quick",
            VerifyLevel::Used => "used",
            VerifyLevel::Full => "full",
        }
    }

    /// What it does not look at, in words that follow the level's name.
    pub fn leaves_open(self) -> Option<&'static str> {
        match self {
            VerifyLevel::Off => Some("leaves everything open"),
            VerifyLevel::Quick => Some(
                "leaves open what is in zips, trees, .mod files and build outputs: none was read",
            ),
            VerifyLevel::Used => Some("leaves open the zips beside extracted trees"),
            VerifyLevel::Full => None,
        }
    }
}

/// What a project is taken to need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Live {
    /// Whatever its go.sum lists.
    #[default]
    #[value(name = "go.sum")]
    #[serde(rename = "go.sum")]
    GoSum,
    /// The exact build list, from the cached `.mod` files.
    #[value(name = "build-list")]
    #[serde(rename = "build-list")]
    BuildList,
}

/// A form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum Format {
    /// For a person at a terminal.
    Text,
    /// Version 1 of the JSON report.
    Json,
    /// A job summary.
    Markdown,
    /// GitHub workflow commands (annotations).
    Github,
    /// OpenMetrics text.
    OpenMetrics,
    /// SARIF 2.1.0.
    Sarif,
    /// GitLab code quality JSON.
    CodeQuality,
}

/// A format and the file that gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The form.
    pub format: Format,
    /// The file.
    pub path: PathBuf,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Output, String> {
        let (format, path) = text
            .split_once('=')
            .filter(|(_, path)| !path.is_empty())
            .ok_or_else(|| format!("`{text}` is not FORMAT=PATH, such as `json=report.json`"))?;
        Ok(Output {
            format: <Format as clap::ValueEnum>::from_str(format, false)
                .map_err(|_| format!("unknown format `{format}` in `{text}`"))?,
            path: PathBuf::from(path),
        })
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use clap::ValueEnum;
        let format = self.format.to_possible_value();
        let name = format.as_ref().map_or("", |value| value.get_name());
        write!(f, "{name}={}", self.path.display())
    }
}

crate::values::as_text!(Output);
