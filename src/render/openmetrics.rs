//! OpenMetrics text that a Prometheus parser takes as well: gauges only, whose
//! names end in their unit, so that no name means different things to the two.
//!
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>. Label sets are
//! bounded: caches, regions, rules and thresholds, never a module.

use super::summary;
use crate::findings::{Level, Rule};
use crate::report::{Report, Verdict};
use crate::text::escape::terminal;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// The report's numbers as metrics. What is not known has no sample.
pub fn openmetrics(report: &Report) -> String {
    let mut page = Page::default();
    sizes(&mut page, report);
    ages(&mut page, report);
    contents(&mut page, report);
    verification(&mut page, report);
    usage(&mut page, report);
    judgement(&mut page, report);
    trim(&mut page, report);
    page.out.push_str("# EOF\n");
    page.out
}

/// A sample's labels and its value.
type Sample<'a> = (Vec<(&'static str, &'a str)>, f64);

#[derive(Default)]
struct Page {
    out: String,
}

impl Page {
    /// One metric: its lines of description, then its samples. A metric
    /// without samples is left out.
    fn gauge(&mut self, name: &str, help: &str, samples: Vec<Sample>) {
        if samples.is_empty() {
            return;
        }
        let unit = name.rsplit('_').next().unwrap_or_default();
        let name = format!("gocachevet_{name}");
        self.line(&format!("# HELP {name} {help}"));
        self.line(&format!("# TYPE {name} gauge"));
        if ["bytes", "seconds", "ratio"].contains(&unit) {
            self.line(&format!("# UNIT {name} {unit}"));
        }
        for (labels, value) in samples {
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, value)| format!("{label}=\"{}\"", label_value(value)))
                .collect();
            let labels = match labels.as_slice() {
                [] => String::new(),
                labels => format!("{{{}}}", labels.join(",")),
            };
            self.line(&format!("{name}{labels} {value}"));
        }
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }
}

fn label_value(value: &str) -> String {
    terminal(value)
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// The sample of a number that there is once.
fn one(number: u64) -> Vec<Sample<'static>> {
    vec![(vec![], number as f64)]
}

/// A sample for each cache of which the number is known.
fn per_cache(modcache: Option<f64>, buildcache: Option<f64>) -> Vec<Sample<'static>> {
    [("modcache", modcache), ("buildcache", buildcache)]
        .into_iter()
        .filter_map(|(name, value)| Some((vec![("cache", name)], value?)))
        .collect()
}

fn sizes(page: &mut Page, report: &Report) {
    let (modcache, buildcache) = (report.modcache.as_ref(), report.buildcache.as_ref());
    page.gauge(
        "cache_size_bytes",
        "Sum of the lengths of all files in the cache.",
        per_cache(
            modcache.map(|c| c.bytes as f64),
            buildcache.map(|c| c.bytes as f64),
        ),
    );
    page.gauge(
        "modcache_region_bytes",
        "Size of a region of the module cache; the regions are disjoint.",
        modcache
            .map(|cache| {
                let regions = [
                    ("download", cache.download_bytes),
                    ("extracted", cache.extracted_bytes),
                    ("vcs", cache.vcs_bytes),
                    ("sumdb", cache.sumdb_bytes),
                    ("residue", cache.residue_bytes),
                    ("toolchain", cache.toolchain_bytes),
                ];
                regions
                    .map(|(region, bytes)| (vec![("region", region)], bytes as f64))
                    .to_vec()
            })
            .unwrap_or_default(),
    );
}

fn ages(page: &mut Page, report: &Report) {
    let (modcache, buildcache) = (report.modcache.as_ref(), report.buildcache.as_ref());
    let age = |time: Option<DateTime<Utc>>| {
        time.map(|time| (report.generated_at - time).num_seconds().max(0) as f64)
    };
    for (name, help, mods, builds) in [
        (
            "oldest_use_age_seconds",
            "Time since the last use of what was not used for longest.",
            modcache.and_then(|c| c.oldest),
            buildcache.and_then(|c| c.oldest),
        ),
        (
            "newest_use_age_seconds",
            "Time since the newest use.",
            modcache.and_then(|c| c.newest),
            buildcache.and_then(|c| c.newest),
        ),
    ] {
        page.gauge(name, help, per_cache(age(mods), age(builds)));
    }
    page.gauge(
        "report_timestamp_seconds",
        "When the report was made, as Unix time.",
        vec![(vec![], report.generated_at.timestamp() as f64)],
    );
}

fn contents(page: &mut Page, report: &Report) {
    let (modcache, buildcache) = (report.modcache.as_ref(), report.buildcache.as_ref());
    page.gauge(
        "cache_files",
        "Number of files in the cache.",
        per_cache(
            modcache.map(|c| c.files as f64),
            buildcache.map(|c| c.files as f64),
        ),
    );
    let mut units = Vec::new();
    if let Some(cache) = modcache {
        units.extend([("module", cache.modules), ("version", cache.versions)]);
    }
    if let Some(cache) = buildcache {
        units.extend([
            ("action", cache.actions),
            ("output", cache.outputs),
            ("executable", cache.executables),
        ]);
    }
    page.gauge(
        "cache_units",
        "Number of things of a kind in the caches.",
        units
            .into_iter()
            .map(|(kind, number)| (vec![("kind", kind)], number as f64))
            .collect(),
    );
}

fn verification(page: &mut Page, report: &Report) {
    let Some(verification) = &report.verification else {
        return;
    };
    page.gauge(
        "verification_duration_seconds",
        "Time the verification took.",
        vec![(vec![], verification.seconds)],
    );
    for (name, help, number) in [
        (
            "verification_hashed_bytes",
            "Bytes that went through a hash.",
            verification.bytes_hashed,
        ),
        (
            "verification_proven_bytes",
            "Bytes of modules shown equal to what is trusted.",
            verification.bytes_proven,
        ),
        (
            "verification_unproven_bytes",
            "Bytes of modules that nothing outside the cache vouches for.",
            verification.bytes_unproven,
        ),
        (
            "verification_consistent_bytes",
            "Bytes of build outputs whose content is what their name says.",
            verification.bytes_consistent,
        ),
        (
            "verification_failed",
            "Things checked that failed.",
            verification.failed,
        ),
    ] {
        page.gauge(name, help, one(number));
    }
    let by = &verification.proven_by;
    page.gauge(
        "verification_versions",
        "Module versions by what their content was found equal to; ziphash is no proof.",
        [
            ("go_sum", by.go_sum),
            ("ziphash", by.ziphash),
            ("sumdb", by.sumdb),
            ("seal", by.seal),
            ("goroot", by.goroot),
        ]
        .map(|(source, number)| (vec![("proven_by", source)], number as f64))
        .to_vec(),
    );
}

fn usage(page: &mut Page, report: &Report) {
    let Some(usage) = &report.usage else { return };
    let (mods, builds) = (usage.modcache.as_ref(), usage.buildcache.as_ref());
    let number = |number: Option<u64>| number.map(|number| number as f64);
    for (name, help, mods, builds) in [
        (
            "cache_hits",
            "Units there at the mark and used since.",
            mods.and_then(|u| u.hits),
            builds.map(|u| u.hits),
        ),
        (
            "cache_misses",
            "Units new since the mark.",
            mods.and_then(|u| u.misses),
            builds.map(|u| u.misses),
        ),
        (
            "cache_idle",
            "Units there at the mark and not used since.",
            mods.and_then(|u| u.idle),
            builds.map(|u| u.idle),
        ),
    ] {
        page.gauge(name, help, per_cache(number(mods), number(builds)));
    }
    page.gauge(
        "cache_hit_ratio",
        "Hits of hits and misses since the mark, 0 to 1.",
        per_cache(
            mods.and_then(|u| u.hit_rate),
            builds.and_then(|u| u.hit_rate),
        ),
    );
    page.gauge(
        "cache_idle_bytes",
        "Bytes of idle module versions, and of outputs that only idle entries name.",
        per_cache(
            number(mods.and_then(|u| u.idle_bytes)),
            builds.map(|u| u.idle_bytes as f64),
        ),
    );
}

fn judgement(page: &mut Page, report: &Report) {
    let mut found = BTreeMap::<(Rule, &str), f64>::new();
    for group in summary::groups(&report.findings) {
        *found.entry((group.rule, group.level.name())).or_default() += group.findings.len() as f64;
    }
    // Every rule has a sample at its default level, so that an alert sees 0 and not nothing;
    // diagnoses are made by another command.
    for rule in Rule::ALL {
        if rule.default_level() > Level::Allow && !rule.is_diagnosis() {
            found
                .entry((*rule, rule.default_level().name()))
                .or_default();
        }
    }
    page.gauge(
        "findings",
        "Number of findings by rule and level.",
        found
            .into_iter()
            .map(|((rule, level), number)| (vec![("rule", rule.name()), ("level", level)], number))
            .collect(),
    );
    // A name twice would make two samples of one.
    let mut thresholds = BTreeMap::new();
    for threshold in report.thresholds.iter().take(64) {
        thresholds
            .entry(threshold.name.as_str())
            .or_insert(threshold);
    }
    let labels = |name| vec![("threshold", name)];
    page.gauge(
        "threshold_limit",
        "The limit of a threshold, in its own unit: bytes, seconds, a ratio or a count.",
        thresholds
            .iter()
            .map(|(name, t)| (labels(*name), t.limit))
            .collect(),
    );
    page.gauge(
        "threshold_actual",
        "The value held against a threshold, in its own unit.",
        thresholds
            .iter()
            .filter_map(|(name, t)| Some((labels(*name), t.actual?)))
            .collect(),
    );
    page.gauge(
        "threshold_status",
        "How a threshold was met: 0 pass, 1 warn, 2 fail.",
        thresholds
            .iter()
            .map(|(name, t)| (labels(*name), rank(t.status)))
            .collect(),
    );
    page.gauge(
        "verdict",
        "The run's verdict: 0 pass, 1 warn, 2 fail.",
        vec![(vec![], rank(report.verdict))],
    );
}

fn rank(verdict: Verdict) -> f64 {
    match verdict {
        Verdict::Pass => 0.0,
        Verdict::Warn => 1.0,
        Verdict::Fail => 2.0,
    }
}

fn trim(page: &mut Page, report: &Report) {
    if let Some(plan) = &report.plan {
        page.gauge(
            "trim_planned_bytes",
            "Bytes that the trim chose to remove.",
            one(plan.bytes),
        );
        page.gauge(
            "trim_kept_bytes",
            "Bytes that the trim chose to keep.",
            one(plan.kept_bytes),
        );
    }
    if let Some(outcome) = &report.outcome {
        page.gauge(
            "trim_removed_bytes",
            "Bytes that the trim freed.",
            one(outcome.bytes),
        );
        page.gauge(
            "trim_removed_units",
            "Units that the trim removed.",
            one(outcome.removed),
        );
        page.gauge(
            "trim_failed_units",
            "Units that the trim could not remove.",
            one(outcome.failed.len() as u64),
        );
    }
}
