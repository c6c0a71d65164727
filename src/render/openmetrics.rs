//! OpenMetrics text that a Prometheus parser takes as well: gauges only, whose
//! names end in their unit, so that no name means different things to the two.
//!
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>. Label sets are
//! bounded: caches, regions, rules and thresholds, never a module.

use super::summary;
use crate::findings::{Level, Rule};
use crate::report::{Report, ThresholdStatus, Verdict};
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
    fn gauge(&mut self, name: &str, unit: Option<&str>, help: &str, samples: Vec<Sample>) {
        if samples.is_empty() {
            return;
        }
        let name = match unit {
            Some(unit) => format!("gocachevet_{name}_{unit}"),
            None => format!("gocachevet_{name}"),
        };
        self.line(&format!("# HELP {name} {help}"));
        self.line(&format!("# TYPE {name} gauge"));
        if let Some(unit) = unit {
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

const MODCACHE: &str = "modcache";
const BUILDCACHE: &str = "buildcache";

fn cache(name: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![("cache", name)]
}

/// A sample for each cache of which the number is known.
fn per_cache(modcache: Option<f64>, buildcache: Option<f64>) -> Vec<Sample<'static>> {
    [(MODCACHE, modcache), (BUILDCACHE, buildcache)]
        .into_iter()
        .filter_map(|(name, value)| Some((cache(name), value?)))
        .collect()
}

fn sizes(page: &mut Page, report: &Report) {
    let (modcache, buildcache) = (report.modcache.as_ref(), report.buildcache.as_ref());
    page.gauge(
        "cache_size",
        Some("bytes"),
        "Sum of the lengths of all files in the cache.",
        per_cache(
            modcache.map(|c| c.bytes as f64),
            buildcache.map(|c| c.bytes as f64),
        ),
    );
    page.gauge(
        "modcache_region",
        Some("bytes"),
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
            "oldest_use_age",
            "Time since the last use of what was not used for longest.",
            modcache.and_then(|c| c.oldest),
            buildcache.and_then(|c| c.oldest),
        ),
        (
            "newest_use_age",
            "Time since the newest use.",
            modcache.and_then(|c| c.newest),
            buildcache.and_then(|c| c.newest),
        ),
    ] {
        page.gauge(
            name,
            Some("seconds"),
            help,
            per_cache(age(mods), age(builds)),
        );
    }
    page.gauge(
        "report_timestamp",
        Some("seconds"),
        "When the report was made, as Unix time.",
        vec![(vec![], report.generated_at.timestamp() as f64)],
    );
}

fn contents(page: &mut Page, report: &Report) {
    let (modcache, buildcache) = (report.modcache.as_ref(), report.buildcache.as_ref());
    page.gauge(
        "cache_files",
        None,
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
        None,
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
    let one = |value: f64| vec![(vec![], value)];
    page.gauge(
        "verification_duration",
        Some("seconds"),
        "Time the verification took.",
        one(verification.seconds),
    );
    page.gauge(
        "verification_hashed",
        Some("bytes"),
        "Bytes that went through a hash.",
        one(verification.bytes_hashed as f64),
    );
    page.gauge(
        "verification_proven",
        Some("bytes"),
        "Bytes of modules shown equal to what is trusted.",
        one(verification.bytes_proven as f64),
    );
    page.gauge(
        "verification_unproven",
        Some("bytes"),
        "Bytes of modules that nothing outside the cache vouches for.",
        one(verification.bytes_unproven as f64),
    );
    page.gauge(
        "verification_consistent",
        Some("bytes"),
        "Bytes of build outputs whose content is what their name says.",
        one(verification.bytes_consistent as f64),
    );
    page.gauge(
        "verification_failed",
        None,
        "Things checked that failed.",
        one(verification.failed as f64),
    );
    let by = &verification.proven_by;
    page.gauge(
        "verification_versions",
        None,
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
        page.gauge(name, None, help, per_cache(number(mods), number(builds)));
    }
    page.gauge(
        "cache_hit",
        Some("ratio"),
        "Hits of hits and misses since the mark, 0 to 1.",
        per_cache(
            mods.and_then(|u| u.hit_rate),
            builds.and_then(|u| u.hit_rate),
        ),
    );
    page.gauge(
        "cache_idle",
        Some("bytes"),
        "Bytes of idle module versions, and of outputs that only idle entries name.",
        per_cache(
            number(mods.and_then(|u| u.idle_bytes)),
            builds.map(|u| u.idle_bytes as f64),
        ),
    );
}

fn judgement(page: &mut Page, report: &Report) {
    let mut found = BTreeMap::<(Rule, &str), f64>::new();
    for group in summary::groups(report) {
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
        None,
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
        None,
        "The limit of a threshold, in its own unit: bytes, seconds, a ratio or a count.",
        thresholds
            .iter()
            .map(|(name, t)| (labels(*name), t.limit))
            .collect(),
    );
    page.gauge(
        "threshold_actual",
        None,
        "The value held against a threshold, in its own unit.",
        thresholds
            .iter()
            .filter_map(|(name, t)| Some((labels(*name), t.actual?)))
            .collect(),
    );
    page.gauge(
        "threshold_status",
        None,
        "How a threshold was met: 0 pass, 1 warn, 2 fail.",
        thresholds
            .iter()
            .map(|(name, t)| {
                let status = match t.status {
                    ThresholdStatus::Pass => 0.0,
                    ThresholdStatus::Warn => 1.0,
                    ThresholdStatus::Fail => 2.0,
                };
                (labels(*name), status)
            })
            .collect(),
    );
    page.gauge(
        "verdict",
        None,
        "The run's verdict: 0 pass, 1 warn, 2 fail.",
        vec![(
            vec![],
            match report.verdict {
                Verdict::Pass => 0.0,
                Verdict::Warn => 1.0,
                Verdict::Fail => 2.0,
            },
        )],
    );
}

fn trim(page: &mut Page, report: &Report) {
    if let Some(plan) = &report.plan {
        for (name, help, value) in [
            (
                "trim_planned",
                "Bytes that the trim chose to remove.",
                plan.bytes,
            ),
            (
                "trim_kept",
                "Bytes that the trim chose to keep.",
                plan.kept_bytes,
            ),
        ] {
            page.gauge(name, Some("bytes"), help, vec![(vec![], value as f64)]);
        }
    }
    if let Some(outcome) = &report.outcome {
        page.gauge(
            "trim_removed",
            Some("bytes"),
            "Bytes that the trim freed.",
            vec![(vec![], outcome.bytes as f64)],
        );
        page.gauge(
            "trim_removed_units",
            None,
            "Units that the trim removed.",
            vec![(vec![], outcome.removed as f64)],
        );
        page.gauge(
            "trim_failed_units",
            None,
            "Units that the trim could not remove.",
            vec![(vec![], outcome.failed.len() as f64)],
        );
    }
}
