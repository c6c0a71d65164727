//! The report: everything a run found out, as one value.
//!
//! Its JSON form is version 1 of the public contract (`schema/report.json`):
//! fields may be added, never renamed or removed. Sizes are bytes, times
//! RFC 3339 in UTC, rates 0..1. Absent knowledge is `null`, never 0.
//! Every other format is a pure function of this value (see `render`).

pub mod list;
pub mod merge;
pub mod remote;
mod summary;

use self::remote::RemoteSummary;
use crate::findings::Finding;
use crate::settings::Configuration;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use summary::{bytes, largest};

/// The value of [`Report::schema`].
pub const SCHEMA: &str = "gocachevet.report/1";

/// One run's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// What made the report.
    pub tool: Tool,
    /// When it was made.
    pub generated_at: DateTime<Utc>,
    /// The sum of all: fails the run or not.
    pub verdict: Verdict,
    /// The projects whose go.sum was trusted and whose needs count as live.
    pub projects: Vec<Project>,
    /// The module cache; `null` if there is none.
    pub modcache: Option<ModCache>,
    /// The build cache; `null` if there is none.
    pub buildcache: Option<BuildCache>,
    /// The configuration file that ruled and what it does; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
    /// What was verified and how much of it was proven; `null` for `doctor`.
    pub verification: Option<Verification>,
    /// What this job used; `null` without a mark.
    pub usage: Option<Usage>,
    /// Why it is not known what this job used, where it is not.
    #[serde(default, skip_serializing_if = "UsageUnknown::is_empty")]
    pub usage_unknown: UsageUnknown,
    /// Go's settings as they bear on the caches; only `doctor` tells them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<GoSetting>,
    /// What is not as it should be, worst first.
    pub findings: Vec<Finding>,
    /// Limits and how they were met.
    pub thresholds: Vec<Threshold>,
    /// What a trim would remove and why, or has removed; `null` for other commands.
    pub plan: Option<Plan>,
    /// What a trim did; `null` for other commands and for a dry run.
    pub outcome: Option<Outcome>,
    /// Which policy ruled.
    pub policy: Policy,
    /// The service's caches of a repository; `null` unless asked for.
    #[serde(default)]
    pub remote: Option<RemoteSummary>,
    /// What `restore` brought back or `save` kept; `null` for other commands.
    #[serde(default)]
    pub snapshot: Option<Snapshot>,
    /// Who says what of module versions that were compared; `null` if none were.
    #[serde(default)]
    pub drift: Option<DriftTable>,
    /// What each module version is, with `--accounts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<VersionAccount>,
    /// What a build may read and nothing outside the caches vouches for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unproven: Vec<Unproven>,
    /// The modules that take the most space, largest first, ten at most.
    pub largest: Vec<ModuleSize>,
    /// The last jobs as the ledger remembers them, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trend: Vec<JobPoint>,
    /// Which part of the work this is; absent from a report of all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardPart>,
    /// Things to know that are no findings, such as a cache that is not there.
    pub notes: Vec<String>,
}

/// What made the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tool {
    /// `gocachevet`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it was compiled for, such as `x86_64-linux` or `wasm32-wasi`.
    pub target: String,
}

impl Tool {
    /// This program.
    pub fn this() -> Tool {
        // Rust has no name for the system where it is WASI.
        let os = match std::env::consts::OS {
            "" => "wasi",
            os => os,
        };
        Tool {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            target: format!("{}-{os}", std::env::consts::ARCH),
        }
    }
}

/// A setting of Go's that bears on the caches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GoSetting {
    /// The variable, such as `GOPROXY`.
    pub name: String,
    /// Its value, without logins; empty if it has none.
    pub value: String,
    /// Where the value comes from.
    pub source: String,
    /// What it does to the caches.
    pub effect: String,
}

/// What `restore` brought back, or `save` kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Snapshot {
    /// `null` for `save`, and where there is no snapshot of that key.
    pub restored: Option<Restored>,
    /// `null` for `restore`.
    pub saved: Option<Saved>,
}

/// A snapshot that was brought back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Restored {
    /// The key it was saved under.
    pub key: String,
    /// The branch, likewise.
    #[serde(rename = "ref")]
    pub branch: String,
    /// The digest of its base.
    pub base: String,
    /// The digest of its newest delta; `null` if it has none.
    pub delta: Option<String>,
    /// Sum of the lengths of the files that were written.
    pub bytes: u64,
    /// Their number.
    pub files: u64,
    /// Time it took.
    pub seconds: f64,
    /// Time since it was saved.
    pub age_seconds: u64,
    /// Files that were left out, as they were damaged.
    pub skipped: u64,
    /// Files and module versions that were there already, and stay as they were.
    pub present: u64,
    /// Only modules were restored: the build outputs are of another Go version.
    pub modules_only: bool,
    /// The name of the key that sealed it; `null` if no seal was asked for, or none counts.
    #[serde(default)]
    pub sealed_by: Option<String>,
    /// Where this job differs from the one that saved, in what decides whether Go
    /// finds the build outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// Something that was not the same in the job that saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Difference {
    /// `go` for the version, `directory` for the folder, else the setting, such as
    /// `GOFLAGS`.
    pub name: String,
    /// What it was; empty if nothing was set.
    pub then: String,
    /// What it is.
    pub now: String,
}

impl Difference {
    pub(crate) fn new(name: &str, then: String, now: String) -> Difference {
        Difference {
            name: name.to_owned(),
            then,
            now,
        }
    }
}

/// What was saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Saved {
    /// The key.
    pub key: String,
    /// The branch.
    #[serde(rename = "ref")]
    pub branch: String,
    /// A base, a delta on one, or nothing.
    pub kind: SavedKind,
    /// Length of the bundle.
    pub bytes: u64,
    /// Module versions and action entries in it.
    pub units: u64,
    /// Why this kind.
    pub reason: String,
    /// The name of the key that sealed it; `null` if it is not sealed.
    #[serde(default)]
    pub sealed_by: Option<String>,
}

/// A kind of bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum SavedKind {
    /// All that is kept.
    Base,
    /// What a base does not have.
    Delta,
    /// Nothing was saved.
    None,
}

/// What a cache says of a module version; `null` where it says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VersionAccount {
    /// The version, `path@version`.
    pub module: String,
    /// The h1 of zip and tree, as its `.ziphash` has it.
    pub zip: Option<String>,
    /// The h1 of its go.mod.
    pub go_mod: Option<String>,
    /// Length of the zip.
    pub zip_bytes: Option<u64>,
    /// The commit it was made from.
    pub commit: Option<String>,
    /// When that commit was made.
    pub time: Option<DateTime<Utc>>,
}

/// Module versions compared with what others say of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DriftTable {
    /// Versions of which more than one witness says something.
    pub compared: u64,
    /// Versions of which all say the same.
    pub consistent: u64,
    /// The others.
    pub rows: Vec<DriftRow>,
}

/// A module version of which not all say the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DriftRow {
    /// The version, `path@version`.
    pub module: String,
    /// What they speak of, such as `module` or `go.mod`.
    pub what: String,
    /// Each thing that is said, and by whom.
    pub says: Vec<Saying>,
    /// What most likely happened.
    pub verdict: DriftCause,
}

/// What some witnesses agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Saying {
    /// A hash, a commit, a time or a size.
    pub value: String,
    /// Who says so: `this cache`, `go.sum`, `the checksum database`, a proxy's
    /// address or what was given to `--compare`.
    pub by: Vec<String>,
}

/// The verdict on a run, or on one of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing to complain about; notes at most.
    Pass,
    /// Something to look at; the run still succeeds.
    Warn,
    /// The policy failed: exit code 1.
    Fail,
}

impl Verdict {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        }
    }
}

/// A project that the caches serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Project {
    /// Its folder.
    pub path: String,
    /// The module path its go.mod declares; `null` if it declares none.
    pub module: Option<String>,
    /// Lines in its go.sum that were used; `null` if there is no go.sum.
    pub go_sum_entries: Option<u64>,
    /// Why what it needs of the module cache is not known whole; absent where it
    /// is. Then nothing of the module cache goes for being unused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_unknown: Option<String>,
}

/// The module cache by region; the regions' bytes are disjoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModCache {
    /// Its folder.
    pub path: String,
    /// Sum of the lengths of all files.
    pub bytes: u64,
    /// Number of files.
    pub files: u64,
    /// Different module paths.
    pub modules: u64,
    /// Module versions with a zip or an extracted tree.
    pub versions: u64,
    /// `cache/download` without the checksum database, residue and toolchain zips.
    pub download_bytes: u64,
    /// Extracted trees without toolchains.
    pub extracted_bytes: u64,
    /// `cache/vcs`.
    pub vcs_bytes: u64,
    /// `cache/download/sumdb`.
    pub sumdb_bytes: u64,
    /// What broken downloads and extractions left.
    pub residue_bytes: u64,
    /// Toolchains: zips and trees of `golang.org/toolchain`.
    pub toolchain_bytes: u64,
    /// The oldest last use, as far as the cache tells it.
    pub oldest: Option<DateTime<Utc>>,
    /// The newest last use.
    pub newest: Option<DateTime<Utc>>,
}

/// The build cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BuildCache {
    /// Its folder.
    pub path: String,
    /// Sum of the lengths of all files.
    pub bytes: u64,
    /// Number of files.
    pub files: u64,
    /// Action entries (`-a`).
    pub actions: u64,
    /// Output files (`-d`), without executables.
    pub outputs: u64,
    /// Executable folders (`-d/`).
    pub executables: u64,
    /// What fuzzing found (`fuzz/`): only `go clean -fuzzcache` removes it.
    #[serde(default)]
    pub fuzz_bytes: u64,
    /// The oldest last use of an entry, within Go's grain of an hour.
    pub oldest: Option<DateTime<Utc>>,
    /// The newest last use of an entry.
    pub newest: Option<DateTime<Utc>>,
}

/// What was verified.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verification {
    /// `off`, `quick`, `used` or `full`.
    pub level: String,
    /// Module versions looked at.
    pub versions_checked: u64,
    /// Build outputs looked at.
    pub outputs_checked: u64,
    /// Bytes that went through a hash.
    pub bytes_hashed: u64,
    /// Bytes of modules, both copies, that were shown equal to what go.sum, the
    /// checksum database, a seal or the Go installation says.
    pub bytes_proven: u64,
    /// Bytes of modules, both copies, that nothing outside the cache vouches for.
    #[serde(default)]
    pub bytes_unproven: u64,
    /// Bytes of build outputs whose content is what their name says. That is no
    /// proof: an action entry may name any output.
    #[serde(default)]
    pub bytes_consistent: u64,
    /// Module versions that nothing outside the cache vouches for; `unproven` of
    /// the report lists them.
    #[serde(default)]
    pub unproven: u64,
    /// What the level does not look at; `null` if it looks at everything.
    #[serde(default)]
    pub leaves_open: Option<String>,
    /// Things checked that failed.
    pub failed: u64,
    /// Time the verification took.
    pub seconds: f64,
    /// Module versions proven, by what proved them.
    pub proven_by: ProvenBy,
}

/// Module versions by the source that proved their content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProvenBy {
    /// A go.sum (or go.work.sum) line.
    pub go_sum: u64,
    /// Only the `.ziphash` in the cache itself: intact, and unproven.
    pub ziphash: u64,
    /// A record of the checksum database.
    pub sumdb: u64,
    /// A seal.
    pub seal: u64,
    /// The Go installation, which has the zips of FIPS 140 snapshots.
    #[serde(default)]
    pub goroot: u64,
}

/// Something in the caches that a build may read and that nothing outside them
/// vouches for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unproven {
    /// `path@version` for its zip and tree, with `/go.mod` or `.info` behind it
    /// for that file alone, or the folder of a clone.
    pub subject: String,
    /// Why nothing vouches for it.
    pub reason: String,
}

/// What this job used of the caches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Usage {
    /// When the mark was set.
    pub since: DateTime<Utc>,
    /// The module cache; `null` where use could not be observed.
    pub modcache: Option<ModUsage>,
    /// The build cache; `null` where use could not be observed.
    pub buildcache: Option<BuildUsage>,
}

/// Why use could not be seen, by cache; `null` where it could. Then nothing goes
/// for being unused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageUnknown {
    /// The module cache.
    pub modcache: Option<String>,
    /// The build cache.
    pub buildcache: Option<String>,
}

impl UsageUnknown {
    fn is_empty(&self) -> bool {
        self.modcache.is_none() && self.buildcache.is_none()
    }
}

/// Use of module versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModUsage {
    /// There at the mark and consulted since.
    pub hits: Option<u64>,
    /// Downloaded since the mark.
    pub misses: Option<u64>,
    /// There at the mark and not consulted.
    pub idle: Option<u64>,
    /// hits / (hits + misses); `null` if both are 0 or unknown.
    pub hit_rate: Option<f64>,
    /// Versions of which only the `.mod` was downloaded since the mark.
    #[serde(default)]
    pub go_mod_misses: Option<u64>,
    /// Bytes of the versions not consulted.
    #[serde(default)]
    pub idle_bytes: Option<u64>,
    /// Versions there now that the projects need, used or not; `null` without
    /// projects.
    #[serde(default)]
    pub needed: Option<u64>,
    /// Of the versions not consulted, those that the projects need.
    #[serde(default)]
    pub idle_needed: Option<u64>,
}

impl ModUsage {
    /// Whether nothing was there at the mark, so that every use was a miss.
    pub fn is_cold(&self) -> bool {
        self.hits == Some(0) && self.idle == Some(0) && self.misses > Some(0)
    }
}

/// Use of build-cache action entries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BuildUsage {
    /// There at the mark, unchanged and used since.
    pub hits: u64,
    /// New since the mark.
    pub misses: u64,
    /// There at the mark, written again since.
    pub rewritten: u64,
    /// There at the mark and not used.
    pub idle: u64,
    /// There at the mark; whether it was used, its time cannot tell.
    #[serde(default)]
    pub unseen: u64,
    /// hits / (hits + misses); `null` if both are 0.
    pub hit_rate: Option<f64>,
    /// Bytes of outputs that only idle entries name.
    pub idle_bytes: u64,
    /// The same for compiled packages alone.
    pub archives: HitsMisses,
    /// Test results that were reused, and tests that ran and passed.
    #[serde(default)]
    pub tests: Option<HitsMisses>,
}

impl BuildUsage {
    /// Whether nothing was there at the mark, so that every use was a miss.
    pub fn is_cold(&self) -> bool {
        self.hits == 0
            && self.rewritten == 0
            && self.idle == 0
            && self.unseen == 0
            && self.misses > 0
    }
}

/// Hits and misses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HitsMisses {
    /// Reused.
    pub hits: u64,
    /// Made anew.
    pub misses: u64,
}

/// One limit of the policy. `limit` and `actual` share the unit that the name
/// implies: bytes, seconds, a rate or a count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Threshold {
    /// The option's name, such as `max-size`.
    pub name: String,
    /// The limit that was crossed, or the failing (else the warning) one.
    pub limit: f64,
    /// The value measured; `null` if it could not be known.
    pub actual: Option<f64>,
    /// How it went: kept, the warning value crossed, or the failing one.
    pub status: Verdict,
}

/// What a trim would remove; after it, what it has removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Plan {
    /// What goes and why, most bytes first.
    #[serde(default)]
    pub removed: Vec<Removed>,
    /// Every removal; other forms than JSON show them counted alone.
    pub removals: Vec<Removal>,
    /// Bytes they free, or have freed.
    pub bytes: u64,
    /// Bytes that stay.
    pub kept_bytes: u64,
    /// What stays and why.
    #[serde(default)]
    pub kept: Vec<Kept>,
}

/// Units that go for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Removed {
    /// What they are.
    pub unit: Unit,
    /// Why they go.
    pub reason: String,
    /// How many.
    pub units: u64,
    /// What they free.
    pub bytes: u64,
}

/// Units that stay for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Kept {
    /// What they are.
    pub unit: Unit,
    /// Why they stay.
    pub reason: String,
    /// How many.
    pub units: u64,
}

/// What kind of thing is removed whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A module version: zip, `.ziphash`, `.info`, `.mod` and tree.
    Version,
    /// Only the extracted tree.
    Extracted,
    /// Only the zip.
    Archive,
    /// A build-cache action entry.
    Action,
    /// A build-cache output that no entry names.
    Output,
    /// A version-control clone.
    Vcs,
    /// What broken downloads and extractions left.
    Residue,
    /// A Go toolchain.
    Toolchain,
}

/// One removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Removal {
    /// What kind of thing.
    pub unit: Unit,
    /// `module@version`, an ID, or a path below the cache.
    pub subject: String,
    /// Where its main part lies.
    pub path: String,
    /// What it frees.
    pub bytes: u64,
    /// Which rule of retention removes it.
    pub reason: String,
}

/// What a trim did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outcome {
    /// Units removed.
    pub removed: u64,
    /// Bytes freed.
    pub bytes: u64,
    /// Units that could not be removed.
    pub failed: Vec<Failure>,
}

/// A unit that could not be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// The unit.
    pub subject: String,
    /// Why not.
    pub error: String,
}

/// Which policy ruled this run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Policy {
    /// The configuration file; `null` if none was used.
    pub config: Option<String>,
    /// The baseline file; `null` if none was used.
    pub baseline: Option<String>,
    /// Findings silenced by the configuration.
    pub silenced: u64,
    /// Findings known to the baseline.
    pub baselined: u64,
}

/// What `gocachevet report` needs, beside the rest of the report, to make one
/// report of those of all shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShardPart {
    /// Which part, from 1 to `count`.
    pub index: u32,
    /// How many parts there are.
    pub count: u32,
    /// SHA-256 of what the caches hold, by names and sizes: the same in all parts.
    pub caches: String,
    /// SHA-256 of what was asked for, policy and go.sum files included: the same
    /// in all parts.
    pub asked: String,
    /// Places in `findings`, from 0, of those about this part alone; all parts
    /// have the others.
    pub own: Vec<u64>,
    /// How many findings about this part alone were silenced.
    pub silenced: u64,
    /// How many findings about this part alone the baseline knows.
    pub baselined: u64,
    /// The limit of `max-findings`, which is for all parts together.
    pub max_findings: Option<CountLimit>,
}

/// A limit of a number of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CountLimit {
    /// More than this warns.
    pub warn: Option<u64>,
    /// More than this fails.
    pub fail: Option<u64>,
}

/// A module's share of the module cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModuleSize {
    /// Module path.
    pub module: String,
    /// Its versions with a zip or a tree.
    pub versions: u64,
    /// Bytes of all its pieces.
    pub bytes: u64,
}

/// One job of the past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobPoint {
    /// Its number in the ledger.
    pub job: u64,
    /// When it was recorded.
    pub at: DateTime<Utc>,
    /// Bytes of both caches at its end.
    pub bytes: u64,
    /// Hit rate of both caches together; `null` if unknown.
    pub hit_rate: Option<f64>,
}

/// What most likely happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DriftCause {
    /// This cache is the odd one out.
    LocalDamage,
    /// The other witness is the odd one out.
    OtherDamage,
    /// Both sides agree, and go.sum does not.
    GoSumEdited,
    /// The version was made from another commit.
    Retagged,
    /// The same version was served with different content.
    ProxyChanged,
}
