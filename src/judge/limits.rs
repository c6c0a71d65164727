use crate::findings::{Finding, Level, Rule};
use crate::report::{BuildCache, ModCache, Usage};
use crate::settings::Options;
use crate::values::{Limit, Rate, Share, Size};
use chrono::{DateTime, Utc};

/// What the limits are held against. `None` is "not known", never 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// Bytes in the module cache.
    pub modcache_bytes: Option<u64>,
    /// Bytes in the build cache.
    pub gocache_bytes: Option<u64>,
    /// Seconds since the oldest unit was last used.
    pub oldest: Option<f64>,
    /// Findings of level `warn` or `deny`, without those about thresholds.
    pub findings: u64,
    /// Hits and misses of the module cache; `None` also for a cold one: it cannot
    /// have hits.
    pub modcache_hits: Option<(u64, u64)>,
    /// The same of the build cache.
    pub gocache_hits: Option<(u64, u64)>,
    /// Bytes that this job did not use.
    pub idle_bytes: Option<u64>,
    /// Growth of both caches since the mark.
    pub growth_bytes: Option<i64>,
}

impl Numbers {
    /// What a report's parts tell. Growth they do not tell: the caller adds it.
    pub fn of<'a>(
        modcache: Option<&ModCache>,
        buildcache: Option<&BuildCache>,
        usage: Option<&Usage>,
        findings: impl IntoIterator<Item = &'a Finding>,
        now: DateTime<Utc>,
    ) -> Numbers {
        let oldest = [
            modcache.and_then(|cache| cache.oldest),
            buildcache.and_then(|cache| cache.oldest),
        ];
        let modules = usage.and_then(|usage| usage.modcache.as_ref());
        let builds = usage.and_then(|usage| usage.buildcache.as_ref());
        Numbers {
            modcache_bytes: modcache.map(|cache| cache.bytes),
            gocache_bytes: buildcache.map(|cache| cache.bytes),
            oldest: oldest
                .into_iter()
                .flatten()
                .min()
                .map(|oldest| (now - oldest).num_seconds().max(0) as f64),
            findings: findings
                .into_iter()
                .filter(|finding| {
                    finding.level >= Level::Warn && finding.rule != Rule::OverThreshold
                })
                .count() as u64,
            modcache_hits: modules
                .filter(|usage| !usage.is_cold())
                .and_then(|usage| Some((usage.hits?, usage.misses?))),
            gocache_hits: builds
                .filter(|usage| !usage.is_cold())
                .map(|usage| (usage.hits, usage.misses)),
            idle_bytes: builds.map(|usage| {
                let modules = modules.and_then(|usage| usage.idle_bytes);
                usage.idle_bytes.saturating_add(modules.unwrap_or(0))
            }),
            growth_bytes: None,
        }
    }

    fn bytes(&self) -> Option<u64> {
        match (self.modcache_bytes, self.gocache_bytes) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
        }
    }
}

/// One limit in plain numbers, beside what was measured.
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) warn: Option<f64>,
    pub(super) fail: Option<f64>,
    pub(super) actual: Option<f64>,
}

/// Every limit that was given.
pub(super) fn each(options: &Options, numbers: &Numbers) -> Vec<Check> {
    let (goals, limits) = (&options.goals, &options.limits);
    let size = |limit: Option<Limit<Size>>| plain(limit, |size| size.0 as f64);
    let rate = |limit: Option<Limit<Rate>>| plain(limit, |rate| rate.0);
    let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
    let whole = numbers.bytes().unwrap_or(0) as f64;
    let idle = plain(limits.max_idle, |share| match share {
        Share::Bytes(size) => size.0 as f64,
        Share::Part(part) => part.0 * whole,
    });
    [
        ("max-size", size(goals.max_size), bytes(numbers.bytes())),
        (
            "max-modcache-size",
            size(goals.max_modcache_size),
            bytes(numbers.modcache_bytes),
        ),
        (
            "max-gocache-size",
            size(goals.max_gocache_size),
            bytes(numbers.gocache_bytes),
        ),
        (
            "max-age",
            plain(goals.max_age, |age| age.0.as_secs_f64()),
            numbers.oldest,
        ),
        (
            "max-findings",
            plain(limits.max_findings, |count| count as f64),
            Some(numbers.findings as f64),
        ),
        (
            "min-hit-rate",
            rate(limits.min_hit_rate),
            hit_rate(&[numbers.modcache_hits, numbers.gocache_hits]),
        ),
        (
            "min-modcache-hit-rate",
            rate(limits.min_modcache_hit_rate),
            hit_rate(&[numbers.modcache_hits]),
        ),
        (
            "min-gocache-hit-rate",
            rate(limits.min_gocache_hit_rate),
            hit_rate(&[numbers.gocache_hits]),
        ),
        ("max-idle", idle, bytes(numbers.idle_bytes)),
        (
            "max-growth",
            size(limits.max_growth),
            numbers.growth_bytes.map(|bytes| bytes as f64),
        ),
    ]
    .into_iter()
    .filter_map(|(name, limit, actual)| {
        limit.map(|limit| Check {
            name,
            warn: limit.warn,
            fail: limit.fail,
            actual,
        })
    })
    .collect()
}

fn plain<T>(limit: Option<Limit<T>>, number: impl Fn(T) -> f64) -> Option<Limit<f64>> {
    limit.map(|limit| Limit {
        warn: limit.warn.map(&number),
        fail: limit.fail.map(&number),
    })
}

fn hit_rate(known: &[Option<(u64, u64)>]) -> Option<f64> {
    let (hits, misses) = known
        .iter()
        .flatten()
        .fold((0, 0), |(hits, misses), (h, m)| (hits + h, misses + m));
    (hits + misses > 0).then(|| hits as f64 / (hits + misses) as f64)
}

/// The beginning of a sentence that the measured value ends.
pub(super) fn describe(name: &str) -> &'static str {
    match name {
        "max-size" => "both caches hold",
        "max-modcache-size" => "the module cache holds",
        "max-gocache-size" => "the build cache holds",
        "max-age" => "the oldest unit was last used before",
        "max-findings" => "the findings are",
        "min-hit-rate" => "the hit rate of both caches is",
        "min-modcache-hit-rate" => "the module cache's hit rate is",
        "min-gocache-hit-rate" => "the build cache's hit rate is",
        "max-idle" => "the bytes that this job did not use are",
        "max-growth" => "since the mark the caches grew by",
        _ => "it is",
    }
}

/// What to do about a crossed limit.
///
/// `limit` is the value that was crossed; `fuzz` is set where it is only crossed
/// for what Go's fuzzing left.
pub(super) fn advice(name: &str, limit: f64, fuzz: bool) -> String {
    if fuzz {
        return "It is what fuzzing found, which no trim and no build removes: `go clean -fuzzcache` does, or keep it in a cache of its own.".to_owned();
    }
    let whole = limit.max(0.0) as u64;
    match name {
        "max-age" => format!(
            "Run `gocachevet trim --max-age {whole}s` before the cache is saved, or raise the limit."
        ),
        "max-findings" => {
            "Deal with the findings; `gocachevet trim --repair` removes what is damaged.".to_owned()
        }
        "min-hit-rate" | "min-modcache-hit-rate" | "min-gocache-hit-rate" => {
            "See that the cache is saved after the build, under a key that is new in every run \
             (ending in the run's id) and restored by its beginning (`restore-keys`), one \
             beginning for each job: a key that is there is never written again. And that flags \
             such as -race and -trimpath are the same in the jobs that share it."
                .to_owned()
        }
        "max-idle" => "Run `gocachevet trim --unused` before the cache is saved.".to_owned(),
        "max-growth" => "Run `gocachevet trim --unused` before the cache is saved; \
             a cache that is only added to grows with every job."
            .to_owned(),
        _ => {
            let command = match name {
                "max-modcache-size" => {
                    format!("`gocachevet trim --unused --trim-modcache-to {whole}B`")
                }
                "max-gocache-size" => {
                    format!("`gocachevet trim --unused --trim-gocache-to {whole}B`")
                }
                _ => format!("`gocachevet trim --unused --trim-to {whole}B`"),
            };
            format!(
                "Run {command} before the cache is saved; what projects need and what was used \
                 within a day (`--grace`) stays. Or raise the limit if the size is meant."
            )
        }
    }
}

/// Why a number may be unknown.
pub(super) fn why_unknown(name: &str) -> &'static str {
    match name {
        "max-size" => "neither cache was found",
        "max-modcache-size" => "there is no module cache",
        "max-gocache-size" => "there is no build cache",
        "max-age" => "the caches tell no time of use",
        "max-growth" => "there is no mark from the start of the job to compare with",
        _ => {
            "there is no mark from the start of the job, the cache was cold (nothing was restored), or its use could not be observed"
        }
    }
}
