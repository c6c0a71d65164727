//! What this job used, for the report and for trimming.

use super::Found;
use crate::cli::{CliError, Settings};
use crate::config::Live;
use crate::drift;
use crate::findings::{Finding, display_path};
use crate::formats::gosum::GoSum;
use crate::graph;
use crate::locate::{self, Caches, GoSettings, Project};
use crate::plan::{self, Uses};
use crate::report::Report;
use crate::scan::{self, Inventory, Scan};
use crate::usage::ledger::{self, Ledger, Record};
use crate::usage::state::{self, StateError};
use crate::usage::{Context, Observed, State, mark, observe};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

/// Where the mark's state lies: as told, else in the temporary folder, under a
/// name made of the caches' paths. The caches need not be there yet.
pub fn state_path(settings: &Settings) -> Result<PathBuf, CliError> {
    let (environment, options) = (&settings.environment, &settings.options);
    if let Some(path) = &options.state {
        return Ok(environment.resolve(path));
    }
    let (modcache, gocache) = locate::expected(environment, options)?;
    let (modcache, gocache) = (modcache.ok(), gocache.ok());
    Ok(state::default_path(
        environment,
        modcache.as_deref(),
        gocache.as_deref(),
    ))
}

/// What a mark did.
#[derive(Debug)]
pub struct Marked {
    /// Where the state lies.
    pub path: PathBuf,
    /// What both caches hold.
    pub state: State,
    /// Entries set back.
    pub set_back: usize,
    /// Why some could not be.
    pub error: Option<std::io::Error>,
}

/// Marks the start of a job. Caches that are not there yet are empty.
pub fn set_mark(settings: &Settings, now: DateTime<Utc>) -> Result<Marked, CliError> {
    let path = state_path(settings)?;
    let caches = locate::caches(&settings.environment, &settings.options)?;
    let roots = roots(&caches);
    for root in roots.into_iter().flatten() {
        if path.starts_with(root) {
            return Err(CliError::Usage(format!(
                "the state {} would lie in a cache and travel with it; name another --state",
                display_path(&path)
            )));
        }
    }
    let jobs = super::jobs(settings);
    let [modcache, gocache] = roots;
    let inventory = scan::scan(Scan {
        modcache,
        gocache,
        jobs,
        read_actions: false,
    });
    // Without it nothing is lost but true times that an earlier mark kept.
    let earlier = State::read(&path)
        .ok()
        .filter(|state| state.is_of(modcache, gocache));
    let state = mark::state(&inventory, earlier.as_ref(), now);
    state
        .write(&path)
        .map_err(|error| CliError::Work(format!("{}: {error}", display_path(&path))))?;
    let (set_back, error) = match (gocache, &inventory.buildcache) {
        (Some(gocache), Some(found)) => mark::set(gocache, &state, &found.actions, jobs),
        _ => (0, None),
    };
    Ok(Marked {
        path,
        state,
        set_back,
        error,
    })
}

fn roots(caches: &Caches) -> [Option<&std::path::Path>; 2] {
    [&caches.modcache, &caches.gocache].map(|located| super::root_of(located.as_ref()))
}

/// The state of the mark, if one was set for these caches.
pub(super) fn read_state(
    settings: &Settings,
    caches: &Caches,
    notes: &mut Vec<String>,
) -> Result<Option<State>, CliError> {
    let path = state_path(settings)?;
    let why = match State::read(&path) {
        Ok(state) => {
            let [modcache, gocache] = roots(caches);
            if state.is_of(modcache, gocache) {
                return Ok(Some(state));
            }
            "was written for other caches".to_owned()
        }
        Err(StateError::Missing) if settings.options.state.is_none() => return Ok(None),
        Err(StateError::Missing) => "does not exist".to_owned(),
        Err(error) => error.to_string(),
    };
    notes.push(format!(
        "use is unknown: the mark's state {} {why}",
        display_path(&path)
    ));
    Ok(None)
}

/// Holds what was found against the mark.
pub(super) fn observed(
    inventory: &Inventory,
    projects: &[Project],
    state: &State,
    settings: &Settings,
    notes: &mut Vec<String>,
) -> Observed {
    let go = locate::go_settings(&settings.environment);
    let cache_elsewhere = !go.get("GOCACHEPROG").0.is_empty();
    if cache_elsewhere {
        notes.push(
            "use of the build cache is unknown: GOCACHEPROG keeps build outputs elsewhere"
                .to_owned(),
        );
    }
    let why_unseen = modules_unseen(&go, projects);
    if let Some(why) = why_unseen {
        notes.push(format!("use of the module cache is unknown: {why}"));
    }
    let needed = inventory.modcache.as_ref().filter(|_| !projects.is_empty());
    let needed = needed.map(|cache| {
        let live = settings.options.live.unwrap_or(Live::GoSum);
        let files = graph::ModCache::new(&cache.root);
        plan::needs_of(projects, live, &files, notes)
            .into_iter()
            .flat_map(|needs| needs.source)
            .collect::<HashSet<_>>()
    });
    let context = Context {
        cache_elsewhere,
        modules_unseen: why_unseen.is_some(),
        go_versions: super::retention::go_versions(inventory, &[], settings)
            .into_iter()
            .collect(),
        modcache: inventory
            .modcache
            .as_ref()
            .and_then(|cache| as_go_knew(&cache.root, settings)),
        needed,
        jobs: super::jobs(settings),
    };
    observe(inventory, state, &context)
}

/// Why Go leaves no trace of which modules' source it read, if so.
fn modules_unseen(go: &GoSettings, projects: &[Project]) -> Option<&'static str> {
    let text = |key: &str| go.get(key).0.to_string_lossy().into_owned();
    let flags = text("GOFLAGS");
    let mode = flags
        .split_whitespace()
        .filter_map(|flag| flag.trim_start_matches('-').strip_prefix("mod="))
        .next_back();
    let vendored = !projects.is_empty() && projects.iter().all(|project| project.vendored);
    if mode == Some("vendor") || (vendored && mode.is_none()) {
        Some("builds read dependencies from `vendor` (-mod=vendor)")
    } else if text("GODEBUG").split(',').any(|part| part == "goindex=0") {
        Some("GODEBUG=goindex=0 switches module indexes off")
    } else {
        None
    }
}

/// The folder's path as Go knew it, by `--path-map`.
fn as_go_knew(root: &std::path::Path, settings: &Settings) -> Option<PathBuf> {
    settings.options.path_map.iter().find_map(|map| {
        let (seen, real) = map.split_once('=')?;
        let seen = settings.environment.resolve(seen.as_ref());
        let below = root.strip_prefix(&seen).ok()?;
        Some(locate::clean(&std::path::Path::new(real).join(below)))
    })
}

/// The ledger, empty if there is none yet.
pub(super) fn read_ledger(caches: &Caches, findings: &mut Vec<Finding>) -> Option<Ledger> {
    let [modcache, gocache] = roots(caches);
    let path = ledger::path(modcache, gocache)?;
    Ledger::read(&path)
        .map_err(|why| findings.push(ledger::unusable(&path, &why)))
        .ok()
}

/// Enters this job in the ledger, and its point in the report's trend.
pub fn record(found: &Found, report: &mut Report, now: DateTime<Utc>) -> Result<(), CliError> {
    let [modcache, gocache] = roots(&found.caches);
    let Some(path) = ledger::path(modcache, gocache) else {
        return Ok(());
    };
    let failed =
        |error: std::io::Error| CliError::Work(format!("{}: {error}", display_path(&path)));
    let mut ledger = match &found.ledger {
        Some(ledger) => ledger.clone(),
        None => {
            ledger::set_aside(&path).map_err(failed)?;
            Ledger::default()
        }
    };
    let oldest = [
        report.modcache.as_ref().and_then(|cache| cache.oldest),
        report.buildcache.as_ref().and_then(|cache| cache.oldest),
    ];
    let bytes = report.modcache.as_ref().map_or(0, |cache| cache.bytes)
        + report.buildcache.as_ref().map_or(0, |cache| cache.bytes);
    let modules = found.inventory.modcache.as_ref();
    ledger.record(
        &Record {
            inventory: &found.inventory,
            observed: found.observed.as_ref(),
            bytes,
            oldest: oldest.into_iter().flatten().min(),
            projects: &needs_by_name(found),
            sums: &found.sums,
            accounts: &modules.map(drift::of_cache).unwrap_or_default(),
        },
        now,
    );
    // A module cache from which all was removed has no folder for it.
    if path.parent().is_some_and(|parent| parent.is_dir()) {
        ledger.write(&path).map_err(failed)?;
    }
    report.trend = ledger.trend();
    Ok(())
}

/// What the projects' go.sum files say that they need, by the module path that
/// they declare.
fn needs_by_name(found: &Found) -> BTreeMap<String, ledger::Needs> {
    let mut by_name: BTreeMap<String, ledger::Needs> = BTreeMap::new();
    for project in &found.projects {
        let Some(name) = &project.module else {
            continue;
        };
        let needs = by_name.entry(name.clone()).or_default();
        for file in &project.go_sum {
            let sums = GoSum::parse(&file.bytes).unwrap_or_default();
            needs.source.extend(sums.zips.into_keys());
            needs.go_mods.extend(sums.go_mods.into_keys());
        }
        needs.toolchains.extend(project.toolchains.iter().cloned());
    }
    by_name
}

/// What the ledger's projects need, but for those of this run.
fn needs_of_others(found: &Found) -> Vec<plan::Needs> {
    let here: HashSet<&String> = found
        .projects
        .iter()
        .filter_map(|it| it.module.as_ref())
        .collect();
    let known = found.ledger.as_ref().map(Ledger::needs).unwrap_or_default();
    let others = known.into_iter().filter(|(name, _)| !here.contains(name));
    let needs = others.map(|(project, needs)| plan::Needs {
        project,
        source: needs.source,
        go_mods: needs.go_mods,
        toolchains: needs.toolchains.into_iter().collect(),
        last_seen: Some(needs.seen),
    });
    needs.collect()
}

/// What is known of use, for a plan: this job's, and that of the last
/// `idle_runs` marked ones.
pub fn uses(found: &Found, idle_runs: u64) -> Uses {
    let idle_runs = usize::try_from(idle_runs).unwrap_or(usize::MAX);
    let recent = found
        .ledger
        .as_ref()
        .map(|ledger| ledger.used_in_last(idle_runs));
    let (versions, actions) = recent.unwrap_or_default();
    let mut uses = Uses {
        versions: versions.into_iter().collect(),
        actions: actions.into_iter().collect(),
        projects: needs_of_others(found),
        ..Uses::default()
    };
    if let Some(observed) = &found.observed {
        uses.since = Some(observed.usage.since).filter(|_| observed.usage.buildcache.is_some());
        uses.actions.extend(&observed.actions);
        uses.versions.extend(observed.versions.iter().cloned());
        uses.true_times = observed.true_times.clone();
    }
    uses
}
