//! Locate, scan, verify: what is there, and what is known of it.

use super::usage;
use crate::drift;
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
    let mut found = Found {
        caches: caches(settings)?,
        ..Found::default()
    };
    found.locate_projects(settings)?;
    let state = usage::read_state(settings, &found.caches, &mut found.notes)?;
    watch.step("Scanning", 0);
    found.scan(settings, level > VerifyLevel::Off || state.is_some());
    found.verify(settings, level, watch);
    found.forget_vanished();
    let (inventory, projects) = (&found.inventory, &found.projects);
    found.observed =
        state.map(|state| usage::observed(inventory, projects, &state, settings, &mut found.notes));
    found.ledger = usage::read_ledger(inventory, &mut found.findings);
    if level > VerifyLevel::Off {
        found.compare_with_ledger(settings);
    }
    Ok(found)
}

/// Scans without verifying or measuring trees: enough to empty the caches.
pub fn look_briefly(settings: &Settings) -> Result<Found, CommandError> {
    let mut found = Found {
        caches: locate::caches(&settings.environment, &settings.options)?,
        ..Found::default()
    };
    found.scan(settings, false);
    found.ledger = usage::read_ledger(&found.inventory, &mut Vec::new());
    Ok(found)
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

impl Found {
    fn locate_projects(&mut self, settings: &Settings) -> Result<(), CommandError> {
        let located = locate::projects(&settings.environment, &settings.options)?;
        for project in &located.list {
            tracing::debug!("project {}", project.dir.display());
        }
        self.sums = needs::sums_of(&located.list);
        (self.projects, self.unread) = (located.list, located.unread);
        self.findings = located.findings;
        Ok(())
    }

    fn scan(&mut self, settings: &Settings, read_actions: bool) {
        self.inventory = scan::scan(Scan {
            modcache: root_of(self.caches.modcache.as_ref()),
            gocache: root_of(self.caches.gocache.as_ref()),
            jobs: jobs(settings),
            read_actions,
        });
        self.notes.extend(elsewhere(&self.inventory));
    }

    fn verify(&mut self, settings: &Settings, level: VerifyLevel, watch: &dyn Watch) {
        let (inventory, sums, jobs) = (&mut self.inventory, &self.sums, jobs(settings));
        let versions = inventory.modcache.as_ref().map(|it| it.versions.len());
        let outputs = inventory.buildcache.as_ref().map(|it| it.outputs.len());
        let parts = versions.unwrap_or(0) + outputs.unwrap_or(0);
        let shard = settings.shard.unwrap_or(Shard::WHOLE);
        watch.step("Verifying", parts / shard.count as usize);
        self.evidence = verify::verify(inventory, sums, level, shard, jobs, &|| watch.tick());
        let evidence = &mut self.evidence;
        match evidence.in_progress.len() {
            0 => {}
            1 => self.notes.push("1 module version was not judged: a go command is downloading or extracting it".to_owned()),
            count => self.notes.push(format!(
                "{count} module versions were not judged: go commands are downloading or extracting them"
            )),
        }
        let Some(cache) = &mut inventory.modcache else {
            return;
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
            weigh_sumdb(cache, settings, sums, evidence);
            verify::stale_clones(cache, evidence);
        }
        let unreadable = scan::measure_trees(cache, shard, jobs);
        evidence.findings.extend(unreadable);
        verify::tally(cache, shard, evidence);
    }

    /// All findings.
    pub(super) fn lists(&mut self) -> [&mut Vec<Finding>; 4] {
        [
            &mut self.findings,
            &mut self.inventory.findings,
            &mut self.evidence.findings,
            &mut self.evidence.overall,
        ]
    }

    /// Forgets what a running `go`, or another trim, finished or removed while it
    /// was looked at.
    fn forget_vanished(&mut self) {
        let roots = opened(&self.inventory);
        for list in self.lists() {
            list.retain(|finding| !vanished(finding, &roots));
        }
    }

    /// Compares the module cache with what it was when a job recorded it.
    fn compare_with_ledger(&mut self, settings: &Settings) {
        let (Some(cache), Some(ledger)) = (&self.inventory.modcache, &self.ledger) else {
            return;
        };
        let then = ledger.accounts();
        if then.is_empty() || settings.shard.is_some_and(|shard| shard.index != 1) {
            return;
        }
        let now = drift::of_cache(cache);
        let changed = drift::changed(then, &now);
        if changed.is_empty() {
            return;
        }
        let sumdb = cached_sumdb(cache, &locate::go_settings(&settings.environment));
        let compared = drift::compare(&now, &changed, "the ledger", &self.sums, &sumdb);
        self.findings.extend(compared.findings);
        if settings.shard.is_none() && !compared.table.rows.is_empty() {
            self.drift = Some(compared.table);
        }
    }
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
