//! Locate, scan, verify: what is there, and what is known of it.

use super::usage;
use crate::drift::{self, Comparison};
use crate::error::CommandError;
use crate::findings::{Finding, Rule, display_path};
use crate::folder::Root;
use crate::formats::gosum::MergedSums;
use crate::formats::module::match_prefix_patterns;
use crate::locate::{self, Caches, GoSettings, Project, Unread};
use crate::needs;
use crate::parallel;
use crate::report::{self};
use crate::scan::{self, Inventory, ModCache, Scan};
use crate::settings::{Settings, VerifyLevel};
use crate::sumdb::Sumdb;
use crate::sumdb::setting::GoSumdb;
use crate::usage::Observed;
use crate::usage::ledger::Ledger;
use crate::values::shard::Shard;
use crate::verify::{self, Evidence};
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
#[derive(Debug, Default)]
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
    let caches = caches(settings)?;
    let located = locate::projects(&settings.environment, &settings.options)?;
    let (projects, mut findings) = (located.list, located.findings);
    for project in &projects {
        tracing::debug!("project {}", project.dir.display());
    }
    let sums = needs::sums_of(&projects);
    let mut notes = Vec::new();
    let state = usage::read_state(settings, &caches, &mut notes)?;
    watch.step("Scanning", 0);
    let read_actions = level > VerifyLevel::Off || state.is_some();
    let mut inventory = scan(&caches, settings, read_actions);
    notes.extend(elsewhere(&inventory));
    let mut evidence = verified(&mut inventory, &sums, settings, level, watch);
    notes.extend(unjudged(evidence.in_progress.len()));
    forget_vanished(&mut inventory, &mut evidence, &mut findings);
    let observed =
        state.map(|state| usage::observed(&inventory, &projects, &state, settings, &mut notes));
    let ledger = usage::read_ledger(&inventory, &mut findings);
    let mut drift = None;
    if level > VerifyLevel::Off
        && let Some(changed) = since_recorded(&inventory, ledger.as_ref(), &sums, settings)
    {
        findings.extend(changed.findings);
        let is_told = settings.shard.is_none() && !changed.table.rows.is_empty();
        drift = is_told.then_some(changed.table);
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

/// Scans without verifying or measuring trees: enough to empty the caches.
pub fn look_briefly(settings: &Settings) -> Result<Found, CommandError> {
    let caches = locate::caches(&settings.environment, &settings.options)?;
    let inventory = scan(&caches, settings, false);
    Ok(Found {
        ledger: usage::read_ledger(&inventory, &mut Vec::new()),
        notes: elsewhere(&inventory),
        caches,
        inventory,
        ..Found::default()
    })
}

fn caches(settings: &Settings) -> Result<Caches, CommandError> {
    let caches = locate::caches(&settings.environment, &settings.options)?;
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
    Ok(caches)
}

fn scan(caches: &Caches, settings: &Settings, read_actions: bool) -> Inventory {
    scan::scan(Scan {
        modcache: root_of(caches.modcache.as_ref()),
        gocache: root_of(caches.gocache.as_ref()),
        jobs: jobs(settings),
        read_actions,
    })
}

/// What is wrong with what was scanned.
fn verified(
    inventory: &mut Inventory,
    sums: &MergedSums,
    settings: &Settings,
    level: VerifyLevel,
    watch: &dyn Watch,
) -> Evidence {
    let jobs = jobs(settings);
    let versions = inventory.modcache.as_ref().map(|it| it.versions.len());
    let outputs = inventory.buildcache.as_ref().map(|it| it.outputs.len());
    let parts = versions.unwrap_or(0) + outputs.unwrap_or(0);
    let shard = settings.shard.unwrap_or(Shard::WHOLE);
    watch.step("Verifying", parts / shard.count as usize);
    let mut evidence = verify::verify(inventory, sums, level, shard, jobs, &|| watch.tick());
    let Some(cache) = &mut inventory.modcache else {
        return evidence;
    };
    for (id, proof) in &evidence.versions {
        tracing::trace!(
            "{id}: zip {:?}, tree {:?}, .mod {:?}",
            proof.zip,
            proof.tree,
            proof.go_mod
        );
    }
    if level > VerifyLevel::Off {
        weigh_sumdb(cache, settings, sums, &mut evidence);
        verify::stale_clones(cache, &mut evidence);
    }
    let unreadable = scan::measure_trees(cache, shard, jobs);
    evidence.findings.extend(unreadable);
    verify::tally(cache, shard, &mut evidence);
    evidence
}

/// What is said of versions that a running `go` works on.
fn unjudged(count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some(
            "1 module version was not judged: a go command is downloading or extracting it"
                .to_owned(),
        ),
        count => Some(format!(
            "{count} module versions were not judged: go commands are downloading or extracting them"
        )),
    }
}

/// Forgets what a running `go`, or another trim, finished or removed while it
/// was looked at.
fn forget_vanished(
    inventory: &mut Inventory,
    evidence: &mut Evidence,
    findings: &mut Vec<Finding>,
) {
    let roots = opened(inventory);
    let Evidence {
        findings: of_evidence,
        overall,
        ..
    } = evidence;
    for list in [findings, &mut inventory.findings, of_evidence, overall] {
        list.retain(|finding| !vanished(finding, &roots));
    }
}

/// The module cache against what it was when a job recorded it.
fn since_recorded(
    inventory: &Inventory,
    ledger: Option<&Ledger>,
    sums: &MergedSums,
    settings: &Settings,
) -> Option<Comparison> {
    let (cache, then) = (inventory.modcache.as_ref()?, ledger?.accounts());
    if then.is_empty() || settings.shard.is_some_and(|shard| shard.index != 1) {
        return None;
    }
    let now = drift::of_cache(cache);
    let changed = drift::changed(then, &now);
    if changed.is_empty() {
        return None;
    }
    let sumdb = cached_sumdb(cache, &locate::go_settings(&settings.environment));
    Some(drift::compare(&now, &changed, "the ledger", sums, &sumdb))
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

/// Whether a finding is about something in a cache that is there no more.
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
    let named = settings.options.go.goroot.as_deref();
    let named = named.map(|goroot| settings.environment.resolve(goroot));
    let goroots: Vec<PathBuf> = named.into_iter().chain(go.goroot).collect();
    verify::snapshots(cache, &goroots, shard, evidence);
}

/// Threads to use.
pub fn jobs(settings: &Settings) -> usize {
    settings
        .options
        .caches
        .jobs
        .filter(|&jobs| jobs > 0)
        .unwrap_or_else(parallel::default_jobs)
}

/// The path of a cache, as a plain one.
pub(crate) fn root_of(located: Option<&locate::Located>) -> Option<&Path> {
    located.map(|located| located.path.as_path())
}
