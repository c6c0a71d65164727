//! Three reports written by hand: clean, with findings, of a trim.

use crate::findings::{Finding, Rule};
use crate::report::*;
use chrono::{DateTime, TimeDelta, Utc};

fn now() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// A doctor's: Go's settings, nothing verified.
pub(crate) fn doctor() -> Report {
    let setting = |name: &str, value: &str, source: &str, effect: &str| GoSetting {
        name: name.to_owned(),
        value: value.to_owned(),
        source: source.to_owned(),
        effect: effect.to_owned(),
    };
    let mut report = clean();
    report.verification = None;
    report.settings = vec![
        setting(
            "GOMODCACHE",
            "/root/go/pkg/mod",
            "Go's default",
            "modules are downloaded and extracted here; Go itself removes nothing but all of it",
        ),
        setting(
            "GOSUMDB",
            "off",
            "from the environment",
            "nothing but go.sum vouches for a module",
        ),
    ];
    report
}

/// Both caches in order, nothing marked.
pub(crate) fn clean() -> Report {
    Report {
        schema: SCHEMA.to_owned(),
        tool: Tool {
            name: "gocachevet".to_owned(),
            version: "0.1.0".to_owned(),
            target: "x86_64-linux".to_owned(),
        },
        generated_at: now(),
        verdict: Verdict::Pass,
        projects: vec![Project {
            path: "/src/app".to_owned(),
            module: Some("example.com/app".to_owned()),
            go_sum_entries: Some(412),
            needs_unknown: None,
        }],
        modcache: Some(ModCache {
            path: "/root/go/pkg/mod".to_owned(),
            bytes: 3_120_000_000,
            files: 87_413,
            modules: 180,
            versions: 231,
            download_bytes: 612_000_000,
            extracted_bytes: 2_200_000_000,
            vcs_bytes: 0,
            sumdb_bytes: 1_250_000,
            residue_bytes: 0,
            toolchain_bytes: 306_000_000,
            oldest: Some(now() - TimeDelta::days(34)),
            newest: Some(now() - TimeDelta::hours(2)),
        }),
        buildcache: Some(BuildCache {
            path: "/root/.cache/go-build".to_owned(),
            bytes: 260_000_000,
            files: 2_546,
            actions: 1_795,
            outputs: 748,
            executables: 3,
            fuzz_bytes: 0,
            oldest: Some(now() - TimeDelta::days(4)),
            newest: Some(now() - TimeDelta::minutes(5)),
        }),
        verification: Some(Verification {
            level: "full".to_owned(),
            versions_checked: 231,
            outputs_checked: 751,
            bytes_hashed: 2_900_000_000,
            bytes_proven: 2_858_000_000,
            bytes_unproven: 2_000_000,
            bytes_consistent: 258_000_000,
            unproven: 3,
            leaves_open: None,
            failed: 0,
            seconds: 1.43,
            proven_by: ProvenBy {
                go_sum: 228,
                ziphash: 3,
                ..ProvenBy::default()
            },
        }),
        usage: None,
        usage_unknown: UsageUnknown::default(),
        findings: Vec::new(),
        thresholds: Vec::new(),
        plan: None,
        outcome: None,
        configuration: None,
        policy: Policy::default(),
        remote: None,
        snapshot: None,
        drift: None,
        accounts: Vec::new(),
        unproven: Vec::new(),
        largest: vec![
            ModuleSize {
                module: "github.com/aws/aws-sdk-go".to_owned(),
                versions: 3,
                bytes: 812_000_000,
            },
            ModuleSize {
                module: "golang.org/x/tools".to_owned(),
                versions: 12,
                bytes: 96_400_000,
            },
        ],
        settings: Vec::new(),
        trend: Vec::new(),
        shard: None,
        notes: Vec::new(),
    }
}

/// A damaged cache with hostile names, a mark, and limits of each kind.
pub(crate) fn findings() -> Report {
    let mut report = clean();
    report.verdict = Verdict::Fail;
    if let Some(verification) = &mut report.verification {
        verification.failed = 2;
    }
    report.findings = vec![
        Finding::new(
            Rule::ZipHashMismatch,
            "github.com/pkg/errors@v0.9.1",
            "the zip differs from go.sum; the extracted tree agrees with go.sum, so the zip is damaged or was replaced",
        )
        .at(std::path::Path::new(
            "/root/go/pkg/mod/cache/download/github.com/pkg/errors/@v/v0.9.1.zip",
        ))
        .differs(
            "h1:FEBLx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=",
            "h1:AAAAx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=",
        ),
        Finding::new(
            Rule::OverThreshold,
            "max-size",
            "both caches hold 3.38 GB, more than 2.00 GB",
        )
        .advise("Run `gocachevet trim --unused`."),
        Finding::new(
            Rule::UnexpectedFile,
            "cache/download/\u{1b}[31m<img src=x>|`@octocat`\n::error::owned",
            "Go never writes this",
        )
        .at(std::path::Path::new(
            "/root/go/pkg/mod/cache/download/\u{1b}[31m<img src=x>|`@octocat`\n::error::owned",
        )),
    ];
    for number in 0..12 {
        report.findings.push(Finding::new(
            Rule::LoneLock,
            format!("example.com/gone{number}@v1.0.0"),
            "a lock with nothing beside it",
        ));
    }
    report.usage = Some(Usage {
        since: now() - TimeDelta::minutes(9),
        modcache: Some(ModUsage {
            hits: Some(118),
            misses: Some(2),
            idle: Some(113),
            hit_rate: Some(118.0 / 120.0),
            go_mod_misses: Some(4),
            idle_bytes: Some(212_000_000),
            needed: Some(120),
            idle_needed: Some(0),
        }),
        buildcache: Some(BuildUsage {
            hits: 1_512,
            misses: 45,
            rewritten: 1,
            idle: 238,
            unseen: 0,
            hit_rate: Some(1_512.0 / 1_557.0),
            idle_bytes: 41_000_000,
            archives: HitsMisses {
                hits: 402,
                misses: 9,
            },
            tests: Some(HitsMisses {
                hits: 31,
                misses: 2,
            }),
        }),
    });
    let threshold = |name: &str, limit, actual, status| Threshold {
        name: name.to_owned(),
        limit,
        actual,
        status,
    };
    report.thresholds = vec![
        threshold("max-size", 2e9, Some(3.38e9), Verdict::Fail),
        threshold("max-age", 2_592_000.0, Some(2_937_600.0), Verdict::Warn),
        threshold("min-hit-rate", 0.92, Some(0.972), Verdict::Pass),
        threshold("max-growth", 5e8, None, Verdict::Pass),
    ];
    report.trend = [
        (7, 3.02e9, None),
        (8, 3.2e9, Some(0.41)),
        (9, 3.38e9, Some(0.972)),
    ]
    .map(|(job, bytes, hit_rate)| JobPoint {
        job,
        at: now(),
        bytes: bytes as u64,
        hit_rate,
    })
    .to_vec();
    report.policy = Policy {
        config: Some("/src/app/gocachevet.toml".to_owned()),
        silenced: 1,
        ..Policy::default()
    };
    report.notes = vec!["`max-growth` passed unmeasured: there is no mark.".to_owned()];
    report
}

/// A trim of the clean caches that could not remove one unit.
pub(crate) fn trimmed() -> Report {
    let mut report = clean();
    report.verdict = Verdict::Warn;
    let removal = |unit, subject: &str, bytes, reason: &str| Removal {
        unit,
        subject: subject.to_owned(),
        path: format!("/root/go/pkg/mod/{subject}"),
        bytes,
        reason: reason.to_owned(),
    };
    let removed = |unit, units, bytes, reason: &str| Removed {
        unit,
        reason: reason.to_owned(),
        units,
        bytes,
    };
    report.plan = Some(Plan {
        removed: vec![
            removed(Unit::Version, 2, 541_000_000, "unused"),
            removed(Unit::Residue, 1, 4_096, "residue"),
            removed(Unit::Action, 1, 152, "max-age: 31 d"),
        ],
        removals: vec![
            removal(
                Unit::Version,
                "github.com/aws/aws-sdk-go@v1.40.0",
                270_000_000,
                "unused",
            ),
            removal(
                Unit::Version,
                "github.com/aws/aws-sdk-go@v1.41.0",
                271_000_000,
                "unused",
            ),
            removal(
                Unit::Residue,
                "cache/download/x/@v/v1.0.0.zip123.tmp",
                4_096,
                "residue",
            ),
            removal(Unit::Action, "0011", 152, "max-age: 31 d"),
        ],
        bytes: 541_004_248,
        kept_bytes: 2_838_995_752,
        kept: vec![
            Kept {
                unit: Unit::Version,
                reason: "a project needs it".to_owned(),
                units: 229,
            },
            Kept {
                unit: Unit::Action,
                reason: "idle-runs: a marked job used it".to_owned(),
                units: 1_794,
            },
        ],
    });
    report.outcome = Some(Outcome {
        removed: 3,
        bytes: 270_004_248,
        failed: vec![Failure {
            subject: "github.com/aws/aws-sdk-go@v1.41.0".to_owned(),
            error: "busy: another process holds its lock".to_owned(),
        }],
    });
    report
}
