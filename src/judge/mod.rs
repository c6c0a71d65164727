//! Limits and findings become a verdict. Pure.
//!
//! What could not be measured crosses no limit: such a threshold passes with
//! an unknown value, and [`notes`] says so.

pub mod baseline;
pub mod levels;
mod limits;

pub use limits::Numbers;

use crate::findings::{Finding, Level, Rule};
use crate::report::{BuildUsage, ModUsage, Threshold, Usage, Verdict};
use crate::settings::Options;
use crate::text::human;

/// What a threshold's numbers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// A share between 0 and 1.
    Rate,
    /// Things.
    Count,
}

impl Quantity {
    /// The unit that the name of a threshold implies.
    pub fn of(name: &str) -> Quantity {
        if name.ends_with("hit-rate") {
            Quantity::Rate
        } else if name.ends_with("age") {
            Quantity::Seconds
        } else if name.ends_with("findings") {
            Quantity::Count
        } else {
            Quantity::Bytes
        }
    }

    /// A number of this measure, for people.
    pub fn show(self, number: f64) -> String {
        let sign = if number < 0.0 { "-" } else { "" };
        match self {
            Quantity::Bytes => format!("{sign}{}", human::size(number.abs() as u64)),
            Quantity::Seconds => human::duration(number),
            Quantity::Rate => human::percent(number),
            Quantity::Count => human::count(number as u64),
        }
    }
}

/// Every limit that was given, against the numbers, in the order of the options.
pub fn thresholds(numbers: &Numbers, options: &Options) -> Vec<Threshold> {
    limits::each(options, numbers)
        .into_iter()
        .map(|check| {
            let crossed = |limit: f64| {
                check.actual.is_some_and(|actual| {
                    if is_minimum(check.name) {
                        actual < limit
                    } else {
                        actual > limit
                    }
                })
            };
            let (limit, status) = match (check.warn, check.fail) {
                (_, Some(fail)) if crossed(fail) => (fail, Verdict::Fail),
                (Some(warn), _) if crossed(warn) => (warn, Verdict::Warn),
                (warn, fail) => (fail.or(warn).unwrap_or_default(), Verdict::Pass),
            };
            Threshold {
                name: check.name.to_owned(),
                limit,
                actual: check.actual,
                status,
            }
        })
        .collect()
}

fn is_minimum(name: &str) -> bool {
    name.starts_with("min-")
}

/// An `over-threshold` finding for each limit that was crossed: `deny` for the
/// failing value, `warn` for the warning one. `fuzz_bytes` is what of the build
/// cache no trim removes.
pub fn crossed(thresholds: &[Threshold], fuzz_bytes: u64) -> Vec<Finding> {
    thresholds
        .iter()
        .filter_map(|threshold| {
            let level = match threshold.status {
                Verdict::Pass => return None,
                Verdict::Warn => Level::Warn,
                Verdict::Fail => Level::Deny,
            };
            let measure = Quantity::of(&threshold.name);
            let (actual, limit) = (
                measure.show(threshold.actual?),
                measure.show(threshold.limit),
            );
            let side = if is_minimum(&threshold.name) {
                "less"
            } else {
                "more"
            };
            let what = limits::describe(&threshold.name);
            let mut finding = Finding::new(
                Rule::OverThreshold,
                threshold.name.clone(),
                format!("{what} {actual}, {side} than {limit}"),
            )
            .advise(limits::advice(
                &threshold.name,
                threshold.limit,
                is_fuzz_alone(threshold, fuzz_bytes),
            ));
            finding.level = level;
            Some(finding)
        })
        .collect()
}

/// Whether a limit on size would hold without the data of fuzzing.
fn is_fuzz_alone(threshold: &Threshold, fuzz_bytes: u64) -> bool {
    let is_size = matches!(threshold.name.as_str(), "max-size" | "max-gocache-size");
    let without = |actual: f64| actual - fuzz_bytes as f64;
    is_size && fuzz_bytes > 0 && threshold.actual.map(without) <= Some(threshold.limit)
}

/// Says which limits could not be held against a number.
pub fn notes(thresholds: &[Threshold]) -> Vec<String> {
    thresholds
        .iter()
        .filter(|threshold| threshold.actual.is_none())
        .map(|threshold| {
            format!(
                "`{}` passed unmeasured: {}.",
                threshold.name,
                limits::why_unknown(&threshold.name)
            )
        })
        .collect()
}

/// Says which caches were cold.
pub fn cold(usage: &Usage) -> Option<String> {
    let modules = usage.modcache.as_ref().map(ModUsage::is_cold);
    let builds = usage.buildcache.as_ref().map(BuildUsage::is_cold);
    let (which, judged) = match (modules.unwrap_or(false), builds.unwrap_or(false)) {
        (true, true) => ("module cache and build cache", "no hit rate is"),
        (true, false) => ("module cache", "its hit rate is not"),
        (false, true) => ("build cache", "its hit rate is not"),
        (false, false) => return None,
    };
    Some(format!(
        "cold: {which} held nothing at the mark (nothing was restored), so {judged} judged"
    ))
}

/// The sum of all: fails on any `deny` finding or crossed failing limit.
pub fn verdict(findings: &[Finding], thresholds: &[Threshold]) -> Verdict {
    let by_findings = findings.iter().map(|finding| match finding.level {
        Level::Allow | Level::Note => Verdict::Pass,
        Level::Warn => Verdict::Warn,
        Level::Deny => Verdict::Fail,
    });
    let by_thresholds = thresholds.iter().map(|threshold| threshold.status);
    by_findings
        .chain(by_thresholds)
        .max()
        .unwrap_or(Verdict::Pass)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::HitsMisses;
    use chrono::DateTime;

    fn limits(toml: &str) -> Options {
        crate::settings::parse(toml).unwrap().options
    }

    fn told(numbers: &Numbers, toml: &str) -> Vec<String> {
        thresholds(numbers, &limits(toml))
            .iter()
            .map(|t| format!("{} {:?} {} {:?}", t.name, t.actual, t.limit, t.status))
            .collect()
    }

    #[test]
    fn the_worse_value_that_was_crossed_decides() {
        let toml = "max-size = \"warn=100,fail=200\"";
        for (bytes, told_as) in [
            (100, "max-size Some(100.0) 200 Pass"),
            (101, "max-size Some(101.0) 100 Warn"),
            (200, "max-size Some(200.0) 100 Warn"),
            (201, "max-size Some(201.0) 200 Fail"),
        ] {
            let numbers = Numbers {
                modcache_bytes: Some(1),
                gocache_bytes: Some(bytes - 1),
                ..Numbers::default()
            };
            assert_eq!(told(&numbers, toml), [told_as]);
        }
    }

    #[test]
    fn one_missing_cache_does_not_hide_the_size_of_the_other() {
        let numbers = Numbers {
            modcache_bytes: Some(7),
            ..Numbers::default()
        };
        assert_eq!(
            told(&numbers, "max-size = 5"),
            ["max-size Some(7.0) 5 Fail"]
        );
        assert_eq!(
            told(&numbers, "max-gocache-size = 5"),
            ["max-gocache-size None 5 Pass"]
        );
    }

    #[test]
    fn rates_are_minimums() {
        let numbers = Numbers {
            modcache_hits: Some((9, 1)),
            gocache_hits: Some((85, 15)),
            ..Numbers::default()
        };
        let toml = "min-hit-rate = \"warn=92%,fail=0.5\"\nmin-modcache-hit-rate = 0.9\nmin-gocache-hit-rate = 0.86";
        assert_eq!(
            told(&numbers, toml),
            [
                format!("min-hit-rate Some({:?}) 0.92 Warn", 94.0 / 110.0),
                "min-modcache-hit-rate Some(0.9) 0.9 Pass".to_owned(),
                "min-gocache-hit-rate Some(0.85) 0.86 Fail".to_owned(),
            ]
        );
    }

    #[test]
    fn a_limit_that_nobody_set_is_not_judged() {
        let numbers = Numbers {
            modcache_bytes: Some(u64::MAX),
            gocache_bytes: Some(u64::MAX),
            gocache_hits: Some((0, 9)),
            modcache_hits: Some((0, 9)),
            oldest: Some(1e9),
            findings: 1000,
            idle_bytes: Some(u64::MAX),
            growth_bytes: Some(i64::MAX),
        };
        assert_eq!(told(&numbers, ""), [""; 0]);
        // A given one stays visible without a number.
        assert_eq!(
            told(&Numbers::default(), "min-hit-rate = \"fail=0.5\""),
            ["min-hit-rate None 0.5 Pass"]
        );
    }

    #[test]
    fn a_cold_cache_has_no_hit_rate_to_judge() {
        let now = DateTime::UNIX_EPOCH;
        let hits = |usage: &Usage| {
            let numbers = Numbers::of(None, None, Some(usage), &[], now);
            (numbers.modcache_hits, numbers.gocache_hits)
        };
        let mut usage = Usage {
            since: now,
            modcache: Some(ModUsage {
                hits: Some(0),
                misses: Some(7),
                idle: Some(0),
                hit_rate: Some(0.0),
                go_mod_misses: None,
                idle_bytes: None,
                needed: None,
                idle_needed: None,
            }),
            buildcache: Some(BuildUsage {
                hits: 0,
                misses: 9,
                rewritten: 0,
                idle: 0,
                unseen: 0,
                hit_rate: Some(0.0),
                idle_bytes: 0,
                archives: HitsMisses::default(),
                tests: None,
            }),
        };
        assert_eq!(hits(&usage), (None, None));
        assert_eq!(
            cold(&usage).unwrap(),
            "cold: module cache and build cache held nothing at the mark (nothing was restored), so no hit rate is judged"
        );
        usage.modcache.as_mut().unwrap().idle = Some(1);
        assert_eq!(hits(&usage), (Some((0, 7)), None));
        assert!(cold(&usage).unwrap().starts_with("cold: build cache held"));
        usage.buildcache.as_mut().unwrap().rewritten = 1;
        assert_eq!(hits(&usage), (Some((0, 7)), Some((0, 9))));
        assert_eq!(cold(&usage), None);
    }

    #[test]
    fn idle_may_be_a_share_and_growth_may_be_negative() {
        let numbers = Numbers {
            gocache_bytes: Some(1000),
            idle_bytes: Some(401),
            growth_bytes: Some(-5),
            ..Numbers::default()
        };
        assert_eq!(
            told(&numbers, "max-idle = \"40%\"\nmax-growth = 0"),
            [
                "max-idle Some(401.0) 400 Fail",
                "max-growth Some(-5.0) 0 Pass"
            ]
        );
        assert_eq!(
            told(&numbers, "max-idle = \"warn=400,fail=500\""),
            ["max-idle Some(401.0) 400 Warn"]
        );
    }

    #[test]
    fn a_crossed_limit_is_a_finding_of_its_level() {
        let numbers = Numbers {
            modcache_bytes: Some(3_380_000_000),
            gocache_hits: Some((1, 1)),
            findings: 3,
            ..Numbers::default()
        };
        let crossed = crossed(
            &thresholds(
                &numbers,
                &limits(
                    "max-size = \"2GB\"\nmax-findings = \"warn=0\"\nmin-hit-rate = \"warn=92%\"",
                ),
            ),
            0,
        );
        let told: Vec<String> = crossed
            .iter()
            .map(|f| format!("{} {} {}", f.level.name(), f.subject, f.message))
            .collect();
        assert_eq!(
            told,
            [
                "deny max-size both caches hold 3.38 GB, more than 2.00 GB",
                "warn max-findings the findings are 3, more than 0",
                "warn min-hit-rate the hit rate of both caches is 50.0%, less than 92.0%",
            ]
        );
    }

    #[test]
    fn what_is_unknown_is_said() {
        let thresholds = thresholds(
            &Numbers::default(),
            &limits("max-growth = 1\nmax-findings = 0"),
        );
        assert_eq!(
            notes(&thresholds),
            [
                "`max-growth` passed unmeasured: there is no mark from the start of the job to compare with."
            ]
        );
    }

    #[test]
    fn the_verdict_is_the_worst_of_all() {
        let note = Finding::new(Rule::LoneLock, "x", "y");
        let warn = Finding::new(Rule::Drift, "x", "y");
        let deny = Finding::new(Rule::ZipInvalid, "x", "y");
        let over = |status| Threshold {
            name: "max-size".to_owned(),
            limit: 1.0,
            actual: Some(2.0),
            status,
        };
        assert_eq!(verdict(&[], &[]), Verdict::Pass);
        assert_eq!(
            verdict(std::slice::from_ref(&note), &[over(Verdict::Pass)]),
            Verdict::Pass
        );
        assert_eq!(verdict(&[note.clone(), warn.clone()], &[]), Verdict::Warn);
        assert_eq!(verdict(&[warn, deny, note], &[]), Verdict::Fail);
        assert_eq!(verdict(&[], &[over(Verdict::Warn)]), Verdict::Warn);
        assert_eq!(verdict(&[], &[over(Verdict::Fail)]), Verdict::Fail);
    }
}
