//! What was found is judged, and becomes a report.

use super::{Found, output, price, shards};
use crate::error::CommandError;
use crate::findings::{Finding, Level, display_path};
use crate::folder::ordinary;
use crate::judge::baseline::{self, Baseline};
use crate::judge::{self, Limits, Numbers, levels};
use crate::locate::{Gap, Project};
use crate::report::{self, Report, Tool, merge};
use crate::settings::{Environment, Settings};
use crate::usage::ledger::{self, Ledger};
use crate::values::shard::Shard;
use crate::verify::{self};
use chrono::{DateTime, Utc};
use std::path::Path;

/// Judges what was found by the policy. `now` is the report's time.
pub fn report(
    found: &Found,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<Report, CommandError> {
    let modcache = found
        .inventory
        .modcache
        .as_ref()
        .map(report::ModCache::from);
    let buildcache = found
        .inventory
        .buildcache
        .as_ref()
        .map(report::BuildCache::from);
    let all = [
        &found.findings,
        &found.inventory.findings,
        &found.evidence.overall,
    ];
    let mut findings: Vec<Finding> = all.into_iter().flatten().cloned().collect();
    let unvouched = unvouched(found, settings);
    findings.extend(unvouched.findings);
    let own = found.evidence.findings.clone();
    let empty = Ledger::default();
    let known = found.ledger.as_ref().unwrap_or(&empty);
    findings.extend(ledger::trim_stuck(&found.inventory, known, now));
    let mut notes = found.caches.notes.clone();
    notes.extend(found.notes.iter().cloned());
    let usage = found
        .observed
        .as_ref()
        .map(|observed| observed.usage.clone());
    let mut shard = shards::part(found, settings)?;
    let (findings, policy, first_own) = match &mut shard {
        Some(part) => shards::apply_to_both(findings, own, part, settings, now, &mut notes)?,
        None => {
            findings.extend(own);
            let (findings, policy) = apply_policy(findings, settings, now, &mut notes)?;
            (findings, policy, 0)
        }
    };
    let fuzz_bytes = buildcache.as_ref().map_or(0, |cache| cache.fuzz_bytes);
    let mut numbers = Numbers::of(
        modcache.as_ref(),
        buildcache.as_ref(),
        usage.as_ref(),
        &findings,
        now,
    );
    notes.extend(usage.as_ref().and_then(judge::cold));
    numbers.growth_bytes = found.observed.as_ref().map(|observed| observed.growth);
    // A price nobody asked for says something only where use is known.
    if settings.options.restore_rate.is_some() || numbers.idle_bytes.is_some() {
        let caches = [numbers.modcache_bytes, numbers.gocache_bytes];
        let bytes = caches.into_iter().flatten().fold(0, u64::saturating_add);
        let rate = price::restore_rate(settings);
        notes.push(price::cost_of_restore(bytes, numbers.idle_bytes, rate));
    }
    let thresholds = judge::thresholds(&numbers, &Limits::from(&settings.options));
    notes.extend(judge::notes(&thresholds));
    let numbered = findings.into_iter().enumerate();
    let mut findings: Vec<(Finding, bool)> = numbered
        .map(|(number, finding)| (finding, number >= first_own))
        .chain(
            judge::crossed(&thresholds, fuzz_bytes)
                .into_iter()
                .map(|finding| (finding, false)),
        )
        .collect();
    findings.sort_by(|(a, _), (b, _)| merge::order(a, b));
    if let Some(part) = &mut shard {
        let places = (0..).zip(&findings).filter(|(_, (_, own))| *own);
        part.own = places.map(|(place, _)| place).collect();
    }
    let findings: Vec<Finding> = findings.into_iter().map(|(finding, _)| finding).collect();
    Ok(Report {
        schema: report::SCHEMA.to_owned(),
        tool: Tool::this(),
        generated_at: now,
        verdict: judge::verdict(&findings, &thresholds),
        configuration: settings.configuration.clone(),
        projects: found.projects.iter().map(report::Project::from).collect(),
        modcache,
        buildcache,
        verification: Some(found.evidence.verification.clone()),
        usage,
        usage_unknown: found
            .observed
            .as_ref()
            .map(|observed| observed.unknown.clone())
            .unwrap_or_default(),
        trend: known.trend(),
        shard,
        settings: Vec::new(),
        findings,
        thresholds,
        plan: None,
        outcome: None,
        policy,
        remote: None,
        drift: found.drift.clone(),
        accounts: Vec::new(),
        unproven: unvouched.list,
        largest: found
            .inventory
            .modcache
            .as_ref()
            .map(report::largest)
            .unwrap_or_default(),
        notes,
    })
}

/// Levels, silences and the baseline, in this order.
pub(super) fn apply_policy(
    findings: Vec<Finding>,
    settings: &Settings,
    now: DateTime<Utc>,
    notes: &mut Vec<String>,
) -> Result<(Vec<Finding>, report::Policy), CommandError> {
    let strict = settings.options.strict == Some(true);
    let findings = levels::apply(findings, &settings.rules, strict);
    let silenced = levels::silence(findings, &settings.silence, now.date_naive());
    notes.extend(silenced.notes);
    let mut findings = silenced.findings;
    if let Some(file) = &settings.write_baseline {
        write_baseline(&settings.environment, file, &findings)?;
        notes.push(format!("wrote the baseline {}", display_path(file)));
    }
    let mut policy = report::Policy {
        config: settings
            .configuration
            .as_ref()
            .map(|configuration| configuration.path.clone()),
        baseline: None,
        silenced: silenced.count,
        baselined: 0,
    };
    if let Some(file) = &settings.options.baseline {
        let file = settings.environment.resolve(file);
        let baseline = read_baseline(&file)?;
        (findings, policy.baselined) = baseline.apply(findings);
        policy.baseline = Some(display_path(&file));
    }
    findings.retain(|finding| finding.level > Level::Allow);
    Ok((findings, policy))
}

fn read_baseline(file: &Path) -> Result<Baseline, CommandError> {
    let name = display_path(file);
    let content = ordinary::read(file, baseline::MAX_BYTES).map_err(CommandError::input(&*name))?;
    Baseline::parse(&content).map_err(CommandError::input(name))
}

fn write_baseline(
    environment: &Environment,
    file: &Path,
    findings: &[Finding],
) -> Result<(), CommandError> {
    let json = Baseline::of(findings)
        .to_json()
        .map_err(CommandError::failed(display_path(file)))?;
    output::write_file(environment, file, &json)
}

impl From<&Project> for report::Project {
    fn from(project: &Project) -> report::Project {
        let entries = project.go_sum.iter().map(|file| file.sums.len() as u64);
        report::Project {
            path: display_path(&project.dir),
            module: project.module.clone(),
            go_sum_entries: (!project.go_sum.is_empty()).then(|| entries.sum()),
            needs_unknown: project.gap.as_ref().map(Gap::to_string),
        }
    }
}

/// What nothing outside the caches vouches for.
fn unvouched(found: &Found, settings: &Settings) -> verify::Unvouched {
    let Some(cache) = &found.inventory.modcache else {
        return verify::Unvouched::default();
    };
    let sums = match found.projects.len() {
        0 => {
            let options = &settings.options;
            let under = options.projects_under.iter().map(|dir| display_path(dir));
            let under: Vec<String> = under.collect();
            match under.is_empty() {
                true => format!(
                    "there is no go.mod or go.work in {} or above it",
                    display_path(&settings.environment.cwd)
                ),
                false => format!("there is no go.mod below {}", under.join(", ")),
            }
        }
        _ => {
            let projects = found.projects.iter().map(|project| &project.dir);
            let projects: Vec<String> = projects.map(|dir| display_path(dir)).take(5).collect();
            format!("no go.sum lists one ({})", projects.join(", "))
        }
    };
    let sumdb = cache.root.join("cache/download/sumdb");
    let looked = format!(
        "{sums}, and no record of the checksum database in {}",
        display_path(&sumdb)
    );
    verify::unvouched(
        cache,
        &found.sums,
        &found.evidence,
        settings.environment.platform().as_deref(),
        &looked,
        settings.shard.unwrap_or(Shard::WHOLE),
    )
}
