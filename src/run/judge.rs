//! What was found is judged, and becomes a report.

use super::{Found, output, price, shards};
use crate::error::CommandError;
use crate::findings::{Finding, Level, display_path};
use crate::folder::ordinary;
use crate::judge::baseline::{self, Baseline};
use crate::judge::{self, Numbers, levels};
use crate::locate::{Gap, Project};
use crate::report::{self, Report, Tool, merge};
use crate::settings::{Environment, Settings};
use crate::usage::ledger::{self, Ledger};
use crate::values::shard::Shard;
use crate::verify;
use chrono::{DateTime, Utc};
use std::path::{Path, PathBuf};

/// Judges what was found by the policy. `now` is the report's time.
pub fn report(
    found: &Found,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<Report, CommandError> {
    let inventory = &found.inventory;
    let modcache = inventory.modcache.as_ref().map(report::ModCache::from);
    let buildcache = inventory.buildcache.as_ref().map(report::BuildCache::from);
    let observed = found.observed.as_ref();
    let usage = observed.map(|observed| observed.usage.clone());
    let empty = Ledger::default();
    let known = found.ledger.as_ref().unwrap_or(&empty);
    let unvouched = unvouched(found, settings);
    let mut notes = found.caches.notes.clone();
    notes.extend(found.notes.iter().cloned());

    let mut common = unvouched.findings;
    common.extend(ledger::trim_stuck(inventory, known, now));
    let mut shard = shards::part(found, settings)?;
    let (mut findings, policy) = left(found, common, shard.as_mut(), settings, now, &mut notes)?;

    let mut numbers = Numbers::of(
        modcache.as_ref(),
        buildcache.as_ref(),
        usage.as_ref(),
        findings.iter().map(|judged| &judged.finding),
        now,
    );
    numbers.growth_bytes = observed.map(|observed| observed.growth);
    notes.extend(usage.as_ref().and_then(judge::cold));
    notes.extend(price::note(&numbers, settings));
    let thresholds = judge::thresholds(&numbers, &settings.options);
    notes.extend(judge::notes(&thresholds));
    let fuzz_bytes = buildcache.as_ref().map_or(0, |cache| cache.fuzz_bytes);
    let crossed = judge::crossed(&thresholds, fuzz_bytes);
    findings.extend(crossed.into_iter().map(Judged::common));
    findings.sort_by(|a, b| merge::order(&a.finding, &b.finding));
    if let Some(part) = &mut shard {
        let places = (0..).zip(&findings).filter(|(_, judged)| judged.is_own);
        part.own = places.map(|(place, _)| place).collect();
    }
    let findings: Vec<Finding> = findings.into_iter().map(|judged| judged.finding).collect();
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
        usage_unknown: observed.map(|it| it.unknown.clone()).unwrap_or_default(),
        trend: known.trend(),
        shard,
        settings: Vec::new(),
        findings,
        thresholds,
        plan: None,
        outcome: None,
        policy,
        remote: None,
        snapshot: None,
        drift: found.drift.clone(),
        accounts: Vec::new(),
        unproven: unvouched.list,
        largest: inventory
            .modcache
            .as_ref()
            .map(report::largest)
            .unwrap_or_default(),
        notes,
    })
}

/// What the policy leaves of all findings. `common` are those that all shards have.
fn left(
    found: &Found,
    mut common: Vec<Finding>,
    shard: Option<&mut report::ShardPart>,
    settings: &Settings,
    now: DateTime<Utc>,
    notes: &mut Vec<String>,
) -> Result<(Vec<Judged>, report::Policy), CommandError> {
    let evidence = &found.evidence;
    for more in [
        &found.findings,
        &found.inventory.findings,
        &evidence.overall,
    ] {
        common.extend(more.iter().cloned());
    }
    let own = evidence.findings.clone();
    if let Some(part) = shard {
        return shards::apply_to_both(common, own, part, settings, now, notes);
    }
    common.extend(own);
    let (findings, policy) = apply_policy(common, settings, now, notes)?;
    Ok((findings.into_iter().map(Judged::common).collect(), policy))
}

/// A finding that the policy left.
pub(super) struct Judged {
    pub(super) finding: Finding,
    /// Whether only this shard has it.
    pub(super) is_own: bool,
}

impl Judged {
    pub(super) fn common(finding: Finding) -> Judged {
        Judged {
            finding,
            is_own: false,
        }
    }
}

/// Levels, silences and the baseline, in this order.
pub(super) fn apply_policy(
    findings: Vec<Finding>,
    settings: &Settings,
    now: DateTime<Utc>,
    notes: &mut Vec<String>,
) -> Result<(Vec<Finding>, report::Policy), CommandError> {
    let strict = settings.options.strictness.strict == Some(true);
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
    if let Some(file) = &settings.options.known.baseline {
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
    let names = |folders: &mut dyn Iterator<Item = &PathBuf>| {
        let names: Vec<String> = folders.map(|dir| display_path(dir)).collect();
        names.join(", ")
    };
    let under = &settings.options.projects.projects_under;
    let sums = if !found.projects.is_empty() {
        let mut projects = found.projects.iter().map(|project| &project.dir).take(5);
        format!("no go.sum lists one ({})", names(&mut projects))
    } else if under.is_empty() {
        let here = display_path(&settings.environment.cwd);
        format!("there is no go.mod or go.work in {here} or above it")
    } else {
        format!("there is no go.mod below {}", names(&mut under.iter()))
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
