//! What this job used, for the report and for trimming.

use super::Found;
use crate::drift;
use crate::error::CommandError;
use crate::findings::{Finding, display_path};
use crate::graph;
use crate::locate::{self, Caches, GoSettings, Project};
use crate::needs::{self, Needs};
use crate::plan::{RetentionRules, Uses};
use crate::report::Report;
use crate::scan::{self, Inventory, Scan};
use crate::settings::{Environment, Live, Settings};
use crate::usage::ledger::{self, JobRecord, Ledger, LedgerError};
use crate::usage::state::{self, StateError};
use crate::usage::{Context, Observed, State, mark, observe};
use chrono::{DateTime, TimeDelta, Utc};
use std::io::ErrorKind;
use std::path::PathBuf;

/// Where the mark's state lies: as told, else in the temporary folder, under a
/// name made of the caches' paths. The caches need not be there yet.
pub fn state_path(settings: &Settings) -> Result<PathBuf, CommandError> {
    let (environment, options) = (&settings.environment, &settings.options);
    if let Some(path) = &options.mark.state {
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
    /// Entries whose use will not be seen all the same.
    pub unseen: usize,
    /// Why the times of some could not be set, where the system says.
    pub error: Option<std::io::Error>,
}

/// Marks the start of a job. Caches that are not there yet are empty.
pub fn set_mark(settings: &Settings, now: DateTime<Utc>) -> Result<Marked, CommandError> {
    let path = state_path(settings)?;
    super::output::refuse_links(&settings.environment, &path)?;
    let caches = locate::caches_so_far(&settings.environment, &settings.options)?;
    let roots = roots(&caches);
    for root in roots.into_iter().flatten() {
        if path.starts_with(root) {
            return Err(CommandError::Usage(
                format!(
                    "the state {} would lie in a cache and travel with it; name another --state",
                    display_path(&path)
                )
                .into(),
            ));
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
    let mut state = mark::state(&inventory, earlier.as_ref(), now);
    let write = |state: &State| {
        let written = state.write(&path);
        written.map_err(CommandError::file(&path))
    };
    // Before the times are set, or a kill would lose the true ones.
    write(&state)?;
    let (mut set, mut unseen) = (mark::Set::default(), 0);
    if let Some(found) = &inventory.buildcache {
        set = mark::set(found, &state, jobs);
        if !set.stuck.is_empty() {
            state.remember_stuck(&set.stuck);
            write(&state)?;
        }
        unseen = mark::unseen(&state, found);
    }
    Ok(Marked {
        path,
        state,
        set_back: set.count,
        unseen,
        error: set.error,
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
) -> Result<Option<State>, CommandError> {
    let path = state_path(settings)?;
    let why = match State::read(&path) {
        Ok(state) => {
            tracing::debug!("the mark's state is {}", path.display());
            let [modcache, gocache] = roots(caches);
            if state.is_of(modcache, gocache) {
                return Ok(Some(state));
            }
            "was written for other caches".to_owned()
        }
        Err(StateError::Missing) if settings.options.mark.state.is_none() => return Ok(None),
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
    let cache_elsewhere = (!go.get("GOCACHEPROG").0.is_empty())
        .then_some("GOCACHEPROG keeps build outputs elsewhere");
    let needed = inventory.modcache.as_ref().filter(|_| !projects.is_empty());
    let needed = needed.map(|cache| {
        let live = settings.options.effort.live.unwrap_or(Live::GoSum);
        let files = graph::CachedGoMods::of(cache.folders.clone());
        let needs = needs::of_each(projects, live, &files, notes);
        needs.into_iter().flat_map(|needs| needs.source).collect()
    });
    let context = Context {
        cache_elsewhere,
        modules_unseen: modules_unseen(&go, projects),
        go_versions: super::weigh::go_versions(inventory, &[], settings)
            .into_iter()
            .collect(),
        modcache: inventory
            .modcache
            .as_ref()
            .and_then(|cache| as_go_knew(&cache.root, settings)),
        needed,
        jobs: super::jobs(settings),
    };
    let observed = observe(inventory, state, &context);
    let unknown = [
        ("build", &observed.unknown.buildcache),
        ("module", &observed.unknown.modcache),
    ];
    for (cache, why) in unknown {
        let why = why.iter();
        notes.extend(why.map(|why| format!("use of the {cache} cache is unknown: {why}")));
    }
    if let (None, Some(why)) = (&observed.unknown.buildcache, &observed.why_unseen) {
        notes.push(format!(
            "use of {} build-cache entries is unknown, and none of them goes for being unused: {why}",
            observed.unseen.len()
        ));
    }
    observed
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
    settings.options.mounts.path_map.iter().find_map(|map| {
        let (seen, real) = map.split_once('=')?;
        let seen = settings.environment.resolve(seen.as_ref());
        let below = root.strip_prefix(&seen).ok()?;
        Some(crate::settings::clean(
            &std::path::Path::new(real).join(below),
        ))
    })
}

/// The ledger, empty if there is none yet.
pub(super) fn read_ledger(inventory: &Inventory, findings: &mut Vec<Finding>) -> Option<Ledger> {
    let (path, folder) = ledger::place(inventory)?;
    let read = match folder {
        Ok(folder) => Ledger::read(&folder),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Ledger::default()),
        Err(error) => Err(LedgerError::Unreachable(error)),
    };
    read.map_err(|why| findings.push(ledger::unusable(&path, &why)))
        .ok()
}

/// Enters this job in the ledger, and its point in the report's trend.
pub fn record(
    found: &Found,
    report: &mut Report,
    environment: &Environment,
    now: DateTime<Utc>,
) -> Result<(), CommandError> {
    let Some((path, folder)) = ledger::place(&found.inventory) else {
        return Ok(());
    };
    let folder = match folder {
        Ok(folder) => folder,
        // A module cache from which all was removed has no folder for it. What
        // else is in the way has been reported.
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                report.notes.push(format!(
                    "this job was not recorded: the ledger {} cannot be reached ({error})",
                    display_path(&path)
                ));
            }
            return Ok(());
        }
    };
    let failed = CommandError::file(&path);
    let mut ledger = match &found.ledger {
        Some(ledger) => ledger.clone(),
        None => {
            ledger::set_aside(&folder).map_err(&failed)?;
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
    let name = job_name(environment);
    ledger.record(
        &JobRecord {
            inventory: &found.inventory,
            observed: found.observed.as_ref(),
            name: &name,
            bytes,
            oldest: oldest.into_iter().flatten().min(),
            projects: &needs::by_name(&found.projects),
            sums: &found.sums,
            accounts: &modules.map(drift::of_cache).unwrap_or_default(),
        },
        now,
    );
    ledger.write(&folder).map_err(&failed)?;
    report.trend = ledger.trend();
    Ok(())
}

/// What CI calls this job: what jobs of the same name use is alike.
fn job_name(environment: &Environment) -> String {
    const NAMES: [&[&str]; 8] = [
        &["GITHUB_WORKFLOW", "GITHUB_JOB"],
        &["CI_JOB_NAME"],
        &["BUILDKITE_PIPELINE_SLUG", "BUILDKITE_LABEL"],
        &["CIRCLE_JOB"],
        &["TRAVIS_JOB_NAME"],
        &["SYSTEM_DEFINITIONNAME", "SYSTEM_JOBNAME"],
        &["DRONE_STAGE_NAME"],
        &["JOB_NAME"],
    ];
    let said = |names: &&[&str]| {
        let values = names.iter().map(|name| environment.var(name));
        let values: Option<Vec<_>> = values.collect();
        let values = values?.into_iter().map(|value| value.to_string_lossy());
        Some(values.collect::<Vec<_>>().join(" / "))
    };
    NAMES.iter().find_map(said).unwrap_or_default()
}

/// What the ledger's projects need, but for those of this run.
pub(super) fn needs_of_others(ledger: Option<&Ledger>, projects: &[Project]) -> Vec<Needs> {
    let mut known = ledger.map(Ledger::needs).unwrap_or_default();
    for name in projects.iter().filter_map(|it| it.module.as_ref()) {
        known.remove(name);
    }
    known.into_values().collect()
}

/// What is known of use, for a plan: this job's, and that of the last marked
/// ones.
pub(super) fn uses(
    observed: Option<&Observed>,
    ledger: Option<&Ledger>,
    rules: &RetentionRules,
    now: DateTime<Utc>,
) -> Uses {
    let forgotten = TimeDelta::from_std(rules.forget_after).ok();
    let oldest = forgotten.and_then(|age| now.checked_sub_signed(age));
    let recent =
        ledger.map(|ledger| ledger.used_in_last(rules.idle_runs, oldest.unwrap_or_default()));
    let (versions, actions) = recent.unwrap_or_default();
    let mut uses = Uses {
        versions: versions.into_iter().collect(),
        actions: actions.into_iter().collect(),
        ..Uses::default()
    };
    if let Some(observed) = observed {
        uses.since = Some(observed.usage.since).filter(|_| observed.usage.buildcache.is_some());
        uses.unknown_modules = observed.unknown.modcache.clone();
        uses.unknown_builds = observed.unknown.buildcache.clone();
        uses.unseen = observed.unseen.iter().copied().collect();
        uses.actions.extend(&observed.actions);
        uses.versions.extend(observed.versions.iter().cloned());
        uses.true_times = observed.true_times.clone();
    }
    uses
}
