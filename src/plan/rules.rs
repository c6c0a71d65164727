//! What was asked for, with its defaults.

use crate::formats::module::ModuleVersion;
use crate::settings::{Options, Slim, Tier};
use crate::values::{Age, Limit, Size};
use std::time::Duration;

/// Go marks a use only when the last mark is an hour old, and a build may hold
/// what it opened for as long as it runs.
const GRACE: Duration = Duration::from_secs(24 * 3600);
/// Jobs that share a cache come by turns, some of them seldom.
const IDLE_RUNS: u64 = 10;
const FORGET_AFTER: Duration = Duration::from_secs(90 * 24 * 3600);

/// [`Retention`] with its defaults applied. The default asks for nothing but
/// the removal of residue.
#[derive(Clone, Debug, PartialEq)]
pub struct RetentionRules {
    /// `PATH[@VERSION]` patterns.
    pub keep: Vec<String>,
    /// What was used within this time is no candidate.
    pub grace: Duration,
    /// What was used within this time stays.
    pub keep_since: Option<Duration>,
    /// What so many known projects need stays; 0: they do not count.
    pub min_ref_count: u64,
    /// What this many of the last marked jobs of each name used stays.
    pub idle_runs: u64,
    /// Known projects and names of jobs not seen for so long do not count.
    pub forget_after: Duration,
    /// Remove what nothing keeps.
    pub unused: bool,
    /// Remove by time, in steps.
    pub tier: Option<Tier>,
    /// Remove what was not used for so long.
    pub max_age: Option<Duration>,
    /// Bytes to shrink both caches to.
    pub trim_to: Option<u64>,
    /// Bytes to shrink the module cache to.
    pub trim_modcache_to: Option<u64>,
    /// Bytes to shrink the build cache to.
    pub trim_gocache_to: Option<u64>,
    /// To fit, what is needed may go.
    pub force: bool,
    /// Which copy goes.
    pub slim: Option<Slim>,
    /// Remove what is damaged.
    pub repair: bool,
    /// Remove residue.
    pub residue: bool,
    /// Remove idle clones.
    pub vcs: bool,
    /// Remove toolchains that no project names.
    pub toolchains: bool,
    /// Remove everything.
    pub all: bool,
}

impl Default for RetentionRules {
    fn default() -> RetentionRules {
        RetentionRules::new(&Options::default())
    }
}

impl RetentionRules {
    /// Applies the defaults; limits on age and size stand in for retention's own.
    pub fn new(options: &Options) -> RetentionRules {
        let (retention, goals) = (&options.retention, &options.goals);
        let on = |flag: Option<bool>| flag.unwrap_or(false);
        let bytes = |own: Option<Size>, limit: Option<Limit<Size>>| {
            own.or(limit.and_then(|limit| limit.fail.or(limit.warn)))
                .map(|size| size.0)
        };
        let length = |age: Option<Age>| age.map(|age| age.0);
        let repair = on(retention.repair);
        // `--repair` alone is about damage alone.
        let only_repair = repair
            && !on(retention.unused)
            && !on(retention.vcs)
            && !on(retention.toolchains)
            && retention.tier.is_none()
            && retention.slim.is_none();
        RetentionRules {
            keep: retention.keep.clone(),
            grace: length(retention.grace).unwrap_or(GRACE),
            keep_since: length(retention.keep_since),
            min_ref_count: retention.min_ref_count.unwrap_or(1),
            idle_runs: retention.idle_runs.unwrap_or(IDLE_RUNS),
            forget_after: length(retention.forget_after).unwrap_or(FORGET_AFTER),
            unused: on(retention.unused),
            tier: retention.tier,
            max_age: goals
                .max_age
                .and_then(|limit| limit.fail.or(limit.warn))
                .map(|age| age.0),
            trim_to: bytes(retention.trim_to, goals.max_size),
            trim_modcache_to: bytes(retention.trim_modcache_to, goals.max_modcache_size),
            trim_gocache_to: bytes(retention.trim_gocache_to, goals.max_gocache_size),
            force: on(retention.force),
            slim: retention.slim,
            repair,
            residue: retention.residue.unwrap_or(!only_repair),
            vcs: on(retention.vcs),
            toolchains: on(retention.toolchains),
            all: on(retention.all),
        }
    }

    /// Whether module versions go for being needed by no project, however old
    /// they have to be for it.
    pub(super) fn by_need(&self) -> bool {
        self.unused || self.toolchains || self.max_age.is_some() || self.tier.is_some()
    }

    /// The first `keep` pattern that names a version.
    pub(super) fn pattern(&self, id: &ModuleVersion) -> Option<&str> {
        let mut patterns = self.keep.iter().map(String::as_str);
        patterns.find(|pattern| {
            let (path, version) = match pattern.split_once('@') {
                Some((path, version)) => (path, Some(version)),
                None => (*pattern, None),
            };
            fast_glob::glob_match(path, &id.path)
                && version.is_none_or(|version| fast_glob::glob_match(version, &id.version))
        })
    }
}

/// A duration to the minute at best: `31days 4h`.
pub(super) fn in_words(age: Duration) -> String {
    let grain = match age.as_secs() {
        0..3600 => 1,
        3600..86_400 => 60,
        _ => 3600,
    };
    let rounded = Duration::from_secs(age.as_secs() / grain * grain);
    humantime::format_duration(rounded).to_string()
}
