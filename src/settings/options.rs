use crate::error::CommandError;
use crate::values::{Age, Limit, Rate, Share, Size};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Every option that both the command line and `gocachevet.toml` know. Which
/// command takes which of them is the matter of `cli::grammar`.
///
/// A field that is not given is `None` or empty; defaults are applied where
/// an option is used, so that "not given" can be told from "given".
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Options {
    // Where
    /// The module cache [default: GOMODCACHE as Go itself would find it]
    #[arg(long, value_name = "DIR", help_heading = "Where")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modcache: Option<PathBuf>,
    /// The build cache [default: GOCACHE as Go itself would find it]
    #[arg(long, value_name = "DIR", help_heading = "Where")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gocache: Option<PathBuf>,
    /// A project that uses the caches; repeatable [default: the one here, in CI all]
    ///
    /// Unless it is given, the go.mod or go.work upward from here counts, and in
    /// CI all those of the workspace. The other modules of its repository count
    /// as well.
    #[arg(long = "project", value_name = "DIR", help_heading = "Where")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub project: Vec<PathBuf>,
    /// Every folder below DIR that has a go.mod, and no others; repeatable
    #[arg(long, value_name = "DIR", help_heading = "Where")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub projects_under: Vec<PathBuf>,
    /// The Go installation, for the version that names its module indexes [default: GOROOT]
    #[arg(long, value_name = "DIR", help_heading = "Where")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goroot: Option<PathBuf>,
    /// A folder's path as Go knew it, where it is mounted elsewhere: SEEN=REAL; repeatable
    #[arg(long, value_name = "SEEN=REAL", help_heading = "Where")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path_map: Vec<String>,

    // How
    /// How much to verify: off, quick, used or full [default: full]
    #[arg(long, value_name = "LEVEL", help_heading = "How")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifyLevel>,
    /// Deny what nothing outside the caches vouches for
    ///
    /// A level that `[rules]` sets for a rule counts all the same.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "How")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Threads [default: the machine's cores]
    #[arg(long, short = 'j', value_name = "N", help_heading = "How")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<usize>,
    /// text, json, markdown, github, openmetrics, sarif or codequality [default: text]
    #[arg(long, short = 'f', value_name = "FORMAT", help_heading = "How")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Also write the report to a file, as json=report.json; repeatable
    #[arg(long, short = 'o', value_name = "FORMAT=PATH", help_heading = "How")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<Output>,
    /// Findings listed here are known and do not count
    #[arg(long, value_name = "FILE", help_heading = "How")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<PathBuf>,
    /// The mark's state [default: in RUNNER_TEMP or the temporary folder]
    #[arg(long, value_name = "FILE", help_heading = "How")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<PathBuf>,
    /// What counts as needed: go.sum or build-list [default: go.sum]
    #[arg(long, value_name = "SOURCE", help_heading = "How")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
    /// Bytes per second at which a restore is priced [default: 100MB]
    #[arg(long, value_name = "SIZE", help_heading = "How")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_rate: Option<Size>,
    /// How long restoring the caches took in this job: tells the rate
    #[arg(
        long,
        value_name = "TIME",
        conflicts_with = "restore_rate",
        help_heading = "How"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_took: Option<Age>,

    // Sandbox
    /// Check inside a sandbox that can only read
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", help_heading = "Sandbox")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<bool>,
    /// Memory that a sandboxed module may use [default: 1GiB]
    #[arg(long, value_name = "SIZE", help_heading = "Sandbox")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_memory: Option<Size>,
    /// Time that a sandboxed module may take [default: 15m]
    #[arg(long, value_name = "AGE", help_heading = "Sandbox")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_time: Option<Age>,
    /// A WASI module that reads the JSON report and rules on it
    #[arg(long, value_name = "FILE", help_heading = "Sandbox")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PathBuf>,

    // Thresholds
    /// Both caches together
    #[arg(
        long,
        value_name = "SIZE",
        help_heading = "Thresholds (VALUE, or warn=VALUE,fail=VALUE)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<Limit<Size>>,
    /// The module cache
    #[arg(
        long,
        value_name = "SIZE",
        help_heading = "Thresholds (VALUE, or warn=VALUE,fail=VALUE)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_modcache_size: Option<Limit<Size>>,
    /// The build cache
    #[arg(
        long,
        value_name = "SIZE",
        help_heading = "Thresholds (VALUE, or warn=VALUE,fail=VALUE)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_gocache_size: Option<Limit<Size>>,
    /// Time since the oldest unit was last used
    #[arg(
        long,
        value_name = "AGE",
        help_heading = "Thresholds (VALUE, or warn=VALUE,fail=VALUE)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Limit<Age>>,
    /// Findings of level warn or deny
    #[arg(
        long,
        value_name = "N",
        help_heading = "Thresholds (VALUE, or warn=VALUE,fail=VALUE)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_findings: Option<Limit<u64>>,
    /// Hit rate of both caches together
    #[arg(
        long,
        value_name = "RATE",
        help_heading = "Thresholds (VALUE, or warn=VALUE,fail=VALUE)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_hit_rate: Option<Limit<Rate>>,
    /// Hit rate of the module cache
    #[arg(
        long,
        value_name = "RATE",
        help_heading = "Thresholds (VALUE, or warn=VALUE,fail=VALUE)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_modcache_hit_rate: Option<Limit<Rate>>,
    /// Hit rate of the build cache
    #[arg(
        long,
        value_name = "RATE",
        help_heading = "Thresholds (VALUE, or warn=VALUE,fail=VALUE)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_gocache_hit_rate: Option<Limit<Rate>>,
    /// Bytes, or share of bytes, that this job did not use
    #[arg(
        long,
        value_name = "SIZE|SHARE",
        help_heading = "Thresholds (VALUE, or warn=VALUE,fail=VALUE)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_idle: Option<Limit<Share>>,
    /// Growth of both caches since the mark
    #[arg(
        long,
        value_name = "SIZE",
        help_heading = "Thresholds (VALUE, or warn=VALUE,fail=VALUE)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_growth: Option<Limit<Size>>,
}

impl Options {
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

    /// The same options, with paths as seen from `dir`.
    #[must_use]
    pub(super) fn relative_to(mut self, dir: &Path) -> Options {
        let single = [
            &mut self.modcache,
            &mut self.gocache,
            &mut self.goroot,
            &mut self.baseline,
            &mut self.state,
            &mut self.policy,
        ];
        single
            .into_iter()
            .flatten()
            .chain(&mut self.project)
            .chain(&mut self.projects_under)
            .chain(self.output.iter_mut().map(|output| &mut output.path))
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
