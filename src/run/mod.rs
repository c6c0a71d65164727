//! One run, step by step: locate, scan, verify, then judge and report.
//!
//! Commands differ in what they do with what was found; how it is found is the
//! same for all, and stands here.

mod output;
mod retention;
mod shards;
mod usage;

pub(crate) use output::refuse_links;
pub use output::write_report;
pub(crate) use retention::root_of;
pub use retention::{
    Weighed, forget_removed, kept, next_go_trim, restore_rate, restored, saved_per_restore,
    used_within_grace, weigh, with_measured_rate,
};
pub use shards::whole;
pub use usage::{record, set_mark, uses};

use crate::drift;
use crate::error::CommandError;
use crate::findings::{Finding, Level, Rule, display_path};
use crate::folder::Root;
use crate::folder::ordinary;
use crate::formats::gosum::{GoSum, MAX_GO_SUM_BYTES, MergedSums};
use crate::formats::module::match_prefix_patterns;
use crate::judge::baseline::{self, Baseline};
use crate::judge::{self, Limits, Numbers, levels};
use crate::locate::{self, Caches, Gap, GoSettings, Project, Unread};
use crate::parallel;
use crate::report::{self, Report, Tool, merge};
use crate::scan::{self, Inventory, ModCache, Scan};
use crate::settings::{Environment, Settings, VerifyLevel};
use crate::sumdb::Sumdb;
use crate::sumdb::setting::GoSumdb;
use crate::usage::Observed;
use crate::usage::ledger::{self, Ledger};
use crate::values::shard::Shard;
use crate::verify::{self, Evidence};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Told what a run is doing, for a progress bar.
pub trait Watch: Sync {
    /// A step begins that has so many parts.
    fn step(&self, what: &'static str, parts: usize);
    /// A part of it is done.
    fn tick(&self);
}

/// Nobody watches.
pub struct Unwatched;

impl Watch for Unwatched {
    fn step(&self, _: &'static str, _: usize) {}
    fn tick(&self) {}
}

/// What locating, scanning and verifying brought.
#[derive(Debug)]
pub struct Found {
    /// Where the caches are.
    pub caches: Caches,
    /// The projects they serve.
    pub projects: Vec<Project>,
    /// What is a project, or may hold some, and was not read.
    pub unread: Vec<Unread>,
    /// Every project's go.sum.
    pub sums: MergedSums,
    /// What the caches hold.
    pub inventory: Inventory,
    /// What is wrong with it.
    pub evidence: Evidence,
    /// What this job used; `None` without a mark.
    pub observed: Option<Observed>,
    /// What earlier jobs used; `None` if the ledger cannot be used.
    pub ledger: Option<Ledger>,
    /// What was odd about the projects and the walk.
    pub findings: Vec<Finding>,
    /// What others say of the module versions; `None` if nobody was asked.
    pub drift: Option<report::DriftTable>,
    /// Things to know that are no findings.
    pub notes: Vec<String>,
}

/// Locates, scans and verifies. With neither cache there is nothing to do.
pub fn look(
    settings: &Settings,
    level: VerifyLevel,
    watch: &dyn Watch,
) -> Result<Found, CommandError> {
    let options = &settings.options;
    let caches = locate::caches(&settings.environment, options)?;
    if caches.modcache.is_none() && caches.gocache.is_none() {
        let mut message = "there is no Go cache here".to_owned();
        for note in &caches.notes {
            message.push_str("\n  ");
            message.push_str(note);
        }
        return Err(CommandError::Work(message.into()));
    }
    for cache in [&caches.modcache, &caches.gocache].into_iter().flatten() {
        tracing::debug!("cache {} ({})", cache.path.display(), cache.source);
    }
    let located = locate::projects(&settings.environment, options)?;
    for project in &located.list {
        tracing::debug!("project {}", project.dir.display());
    }
    let (projects, mut findings) = (located.list, located.findings);
    let sums = merged_sums(&projects);
    let jobs = jobs(settings);
    let mut notes = Vec::new();
    let state = usage::read_state(settings, &caches, &mut notes)?;
    watch.step("Scanning", 0);
    let mut inventory = scan::scan(Scan {
        modcache: root_of(caches.modcache.as_ref()),
        gocache: root_of(caches.gocache.as_ref()),
        jobs,
        read_actions: level > VerifyLevel::Off || state.is_some(),
    });
    notes.extend(elsewhere(&inventory));
    let parts = inventory
        .modcache
        .as_ref()
        .map_or(0, |cache| cache.versions.len())
        + inventory
            .buildcache
            .as_ref()
            .map_or(0, |cache| cache.outputs.len());
    let shard = settings.shard.unwrap_or(Shard::WHOLE);
    watch.step("Verifying", parts / shard.count as usize);
    let mut evidence = verify::verify(&mut inventory, &sums, level, shard, jobs, &|| watch.tick());
    let versions = inventory.modcache.iter().flat_map(|cache| &cache.versions);
    for (version, proof) in versions.zip(&evidence.versions) {
        tracing::trace!(
            "{}: zip {:?}, tree {:?}, .mod {:?}",
            version.id,
            proof.zip,
            proof.tree,
            proof.go_mod
        );
    }
    match evidence.in_progress.len() {
        0 => {}
        1 => notes.push("1 module version was not judged: a go command is downloading or extracting it".to_owned()),
        count => notes.push(format!(
            "{count} module versions were not judged: go commands are downloading or extracting them"
        )),
    }
    if let Some(cache) = &inventory.modcache
        && level > VerifyLevel::Off
    {
        weigh_sumdb(cache, settings, &sums, &mut evidence);
        verify::stale_clones(cache, &mut evidence);
    }
    if let Some(cache) = &mut inventory.modcache {
        let unreadable = scan::measure_trees(cache, shard, jobs);
        evidence.findings.extend(unreadable);
        verify::tally(cache, shard, &mut evidence);
    }
    let roots = opened(&inventory);
    for list in [
        &mut inventory.findings,
        &mut evidence.findings,
        &mut evidence.overall,
    ] {
        list.retain(|finding| !vanished(finding, &roots));
    }
    let observed =
        state.map(|state| usage::observed(&inventory, &projects, &state, settings, &mut notes));
    let ledger = usage::read_ledger(&inventory, &mut findings);
    let mut drift = None;
    if let (Some(cache), Some(ledger)) = (&inventory.modcache, &ledger)
        && level > VerifyLevel::Off
        && settings.shard.is_none_or(|shard| shard.index == 1)
    {
        let comparison = since_recorded(cache, ledger, settings, &sums);
        findings.extend(comparison.findings);
        let is_told = settings.shard.is_none() && !comparison.table.rows.is_empty();
        drift = is_told.then_some(comparison.table);
    }
    Ok(Found {
        caches,
        projects,
        unread: located.unread,
        sums,
        inventory,
        evidence,
        observed,
        ledger,
        findings,
        drift,
        notes,
    })
}

/// Compares the module cache with what it was when a job recorded it.
fn since_recorded(
    cache: &ModCache,
    ledger: &Ledger,
    settings: &Settings,
    sums: &MergedSums,
) -> drift::Comparison {
    let then = ledger.accounts();
    if then.is_empty() {
        return drift::Comparison::default();
    }
    let now = drift::of_cache(cache);
    let changed = drift::changed(then, &now);
    if changed.is_empty() {
        return drift::Comparison::default();
    }
    let sumdb = cached_sumdb(cache, &locate::go_settings(&settings.environment));
    drift::compare(&now, &changed, "the ledger", sums, &sumdb)
}

/// Which caches, and which parts of them, a link puts elsewhere.
fn elsewhere(inventory: &Inventory) -> Vec<String> {
    let mut notes = Vec::new();
    for (root, folders) in opened(inventory) {
        if std::fs::symlink_metadata(&root).is_ok_and(|about| about.is_symlink()) {
            let to = std::fs::canonicalize(&root).or_else(|_| std::fs::read_link(&root));
            let to = to.map_or_else(|_| "elsewhere".to_owned(), |to| display_path(&to));
            notes.push(format!("{} is a link to {to}", display_path(&root)));
        }
        for part in folders.elsewhere() {
            let (at, to) = (root.join(part.at), display_path(&part.to));
            notes.push(format!("{} is a link to {to}", display_path(&at)));
        }
    }
    notes
}

/// The caches that could be opened, by their paths.
fn opened(inventory: &Inventory) -> Vec<(PathBuf, Arc<Root>)> {
    let modcache = inventory.modcache.as_ref();
    let buildcache = inventory.buildcache.as_ref();
    let roots = [
        modcache.and_then(|cache| Some((cache.root.clone(), cache.folders.clone()?))),
        buildcache.and_then(|cache| Some((cache.root.clone(), cache.folders.clone()?))),
    ];
    roots.into_iter().flatten().collect()
}

/// Whether a finding is about something in a cache that a running `go`, or
/// another trim, finished or removed while it was looked at.
fn vanished(finding: &Finding, roots: &[(PathBuf, Arc<Root>)]) -> bool {
    let fleeting = matches!(
        finding.rule,
        Rule::Unreadable | Rule::ExtractedIncomplete | Rule::PartialDownload
    );
    // A path that is not shown as it is cannot be asked for again.
    let path = finding.path.as_deref();
    let path = path.filter(|path| fleeting && !path.contains("\\x"));
    path.is_some_and(|path| {
        let below = roots
            .iter()
            .find_map(|(root, folders)| Some((Path::new(path).strip_prefix(root).ok()?, folders)));
        below.is_some_and(|(path, folders)| {
            matches!(folders.stat(path), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
        })
    })
}

/// Scans without verifying or measuring trees: enough to empty the caches.
pub fn look_briefly(settings: &Settings) -> Result<Found, CommandError> {
    let caches = locate::caches(&settings.environment, &settings.options)?;
    let path = |located: &Option<locate::Located>| located.as_ref().map(|at| at.path.clone());
    let inventory = scan::scan(Scan {
        modcache: path(&caches.modcache).as_deref(),
        gocache: path(&caches.gocache).as_deref(),
        jobs: jobs(settings),
        read_actions: false,
    });
    let ledger = usage::read_ledger(&inventory, &mut Vec::new());
    let notes = elsewhere(&inventory);
    Ok(Found {
        caches,
        projects: Vec::new(),
        unread: Vec::new(),
        sums: MergedSums::new(),
        inventory,
        evidence: Evidence::default(),
        observed: None,
        ledger,
        findings: Vec::new(),
        drift: None,
        notes,
    })
}

/// Which checksum database Go asks, with its key.
pub(crate) fn sumdb_setting(go: &GoSettings) -> GoSumdb {
    let value = go.get("GOSUMDB").0;
    // What a wrong setting means for Go is a matter for the doctor.
    GoSumdb::parse(&value.to_string_lossy()).unwrap_or(GoSumdb::Off)
}

/// The checksum database's cached files, examined with the keys that Go's
/// settings give.
pub(crate) fn cached_sumdb(cache: &ModCache, go: &GoSettings) -> Sumdb {
    let database = sumdb_setting(go);
    let remembered = Path::new(&go.gopath()).join("pkg/sumdb");
    let latest = remembered.is_absolute().then_some(remembered.as_path());
    let opened = || cache.folders()?.folder("cache/download/sumdb".as_ref());
    Sumdb::open(cache.download().join("sumdb"), opened(), latest, &database)
}

/// Holds the evidence against the checksum database's cached records, as far
/// as Go's settings let Go use them.
fn weigh_sumdb(cache: &ModCache, settings: &Settings, sums: &MergedSums, evidence: &mut Evidence) {
    let go = locate::go_settings(&settings.environment);
    let sumdb = cached_sumdb(cache, &go);
    let exempt = go.get("GONOSUMDB").0.to_string_lossy().into_owned();
    let exempt = |path: &str| match_prefix_patterns(&exempt, path);
    let shard = settings.shard.unwrap_or(Shard::WHOLE);
    verify::weigh(cache, sums, &sumdb, exempt, shard, evidence);
    let named = settings.options.goroot.as_deref();
    let named = named.map(|goroot| settings.environment.resolve(goroot));
    let goroots: Vec<PathBuf> = named.into_iter().chain(go.goroot).collect();
    verify::snapshots(cache, &goroots, shard, evidence);
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

/// What the module cache says of each version.
pub fn accounts(found: &Found) -> Vec<report::VersionAccount> {
    let accounts = found.inventory.modcache.as_ref().map(drift::of_cache);
    let accounts = accounts.unwrap_or_default();
    accounts
        .iter()
        .map(|(module, account)| drift::for_report(module, account))
        .collect()
}

/// Of a saved report, what a comparison asks for.
#[derive(Deserialize)]
struct Saved {
    #[serde(default)]
    accounts: Vec<report::VersionAccount>,
}

/// Compares the module cache with another witness: a module cache's folder, a
/// report of one, or a project's go.sum. What differs becomes findings.
pub fn compare(found: &mut Found, settings: &Settings, other: &Path) -> Result<(), CommandError> {
    let at = format!("--compare {}", display_path(other));
    let wrong = |why: &str| CommandError::input(&*at)(why);
    let Some(cache) = &found.inventory.modcache else {
        return Err(wrong("there is no module cache here to compare with it"));
    };
    let about = std::fs::metadata(other).map_err(CommandError::input(&*at))?;
    let theirs = if about.is_dir() {
        let inventory = scan::scan(Scan {
            modcache: Some(other),
            gocache: None,
            jobs: jobs(settings),
            read_actions: false,
        });
        inventory
            .modcache
            .as_ref()
            .map(drift::of_cache)
            .unwrap_or_default()
    } else {
        let limit = MAX_GO_SUM_BYTES;
        let bytes = ordinary::read(other, limit).map_err(CommandError::input(&*at))?;
        if bytes.starts_with(b"{") {
            let report: Saved = serde_json::from_slice(&bytes)
                .map_err(CommandError::input(format!("{at}: no report")))?;
            if report.accounts.is_empty() {
                let message = "this report does not say what the versions are: make it by `gocachevet check --accounts --format json`";
                return Err(wrong(message));
            }
            drift::of_report(&report.accounts).map_err(CommandError::input(&*at))?
        } else {
            let sums = GoSum::parse(&bytes).map_err(CommandError::input(format!(
                "{at}: no module cache, no report and no go.sum"
            )))?;
            drift::of_go_sum(&sums)
        }
    };
    let sumdb = cached_sumdb(cache, &locate::go_settings(&settings.environment));
    let name = display_path(other);
    let comparison = drift::compare(&drift::of_cache(cache), &theirs, &name, &found.sums, &sumdb);
    let mut table = comparison.table;
    found.caches.notes.push(format!(
        "compared {} module versions with {name}: {} consistent, {} drifted",
        table.compared,
        table.consistent,
        table.rows.len()
    ));
    let since_recorded = found.drift.take();
    table
        .rows
        .extend(since_recorded.into_iter().flat_map(|table| table.rows));
    found.drift = Some(table);
    found.findings.extend(comparison.findings);
    Ok(())
}

/// Threads to use.
pub fn jobs(settings: &Settings) -> usize {
    settings
        .options
        .jobs
        .filter(|&jobs| jobs > 0)
        .unwrap_or_else(parallel::default_jobs)
}

pub(crate) fn merged_sums(projects: &[Project]) -> MergedSums {
    let mut sums = MergedSums::new();
    // Members of a workspace share its go.work.sum.
    let mut seen: BTreeSet<&Path> = BTreeSet::new();
    for file in projects.iter().flat_map(|project| &project.go_sum) {
        if seen.insert(&file.path) {
            sums.add(display_path(&file.path), &file.sums);
        }
    }
    sums
}

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
        let rate = retention::restore_rate(settings);
        notes.push(retention::cost_of_restore(bytes, numbers.idle_bytes, rate));
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
fn apply_policy(
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
