//! `gocachevet trim`.

use crate::act;
use crate::cli::{JudgeArgs, progress};
use crate::error::CommandError;
use crate::locate;
use crate::plan::{Plan, Policy};
use crate::report::{self, Failure, Outcome, Report, Verdict};
use crate::run::{self as steps, Found};
use crate::settings::{Settings, VerifyLevel};
use crate::text::escape::terminal;
use crate::text::human;
use crate::values::Age;
use chrono::{DateTime, Utc};
use clap::Args;
use std::io::Write;
use std::time::Duration;

/// Options of `trim`.
#[derive(Args, Clone, Debug, Default)]
pub struct TrimArgs {
    /// Say what would go, and touch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How what is left is judged.
    #[command(flatten)]
    pub judge: JudgeArgs,
}

/// What is said where no other program can be run.
const NO_PROOF: &str = "--prove runs a command, which WASI has no way to do: nothing was removed; let the native program trim";

/// Trims the caches and reports on what is left.
pub fn run(
    settings: &Settings,
    args: &TrimArgs,
    out: &mut dyn Write,
) -> Result<Verdict, CommandError> {
    let mut notes = prepare(settings, args)?;
    let now = Utc::now();
    let policy = Policy::new(&settings.retention, &settings.options);
    let mut found = look(settings, &policy, args.dry_run)?;
    let before = steps::restored(&found);
    let uses = steps::uses(&found, &policy, now);
    let mut weighed = steps::weigh(&found, settings, uses, now)?;
    let plan = &mut weighed.plan;
    if policy.all && !policy.force && steps::used_within_grace(&found, &policy, now) {
        return Err(CommandError::Work(
            "the caches were used within the grace, so a running build may need them: nothing was removed (use --force, or a shorter --grace)".into(),
        ));
    }
    if !policy.all {
        notes.extend(kept_by_grace(settings, &found, plan, now)?);
    }
    let removed = match args.dry_run {
        true => None,
        false => Some(remove(settings, &policy, &found, plan, now)?),
    };
    let (shown, restored) = shown(
        settings,
        &policy,
        &mut found,
        plan,
        removed.as_ref(),
        before,
    )?;
    // What is older than `max-age` and stays, stays for a reason.
    let mut judged = steps::with_measured_rate(settings, restored);
    judged.options.max_age = None;
    let mut report = steps::report(&found, &judged, now)?;
    report.notes.append(&mut notes);
    report.notes.append(&mut plan.notes);
    let freed = removed
        .as_ref()
        .map_or(shown.bytes, |removed| removed.outcome.bytes);
    if freed > 0 {
        let rate = steps::restore_rate(&judged);
        report.notes.push(steps::saved_per_restore(freed, rate));
    }
    if let Some(cache) = &found.inventory.buildcache {
        report.notes.push(steps::next_go_trim(cache, now));
    }
    report.plan = Some(shown);
    let failure = match removed {
        Some(removed) => settle(removed, &mut report, &found, settings, now),
        None => None,
    };
    steps::write_report(&report, settings, out)?;
    match failure {
        None => Ok(report.verdict),
        Some(error) => {
            out.flush()?;
            Err(error)
        }
    }
}

/// Refuses what cannot be trimmed, and puts back what an interrupted proof had
/// moved aside; gives what to say of it.
fn prepare(settings: &Settings, args: &TrimArgs) -> Result<Vec<String>, CommandError> {
    let caches = locate::caches(&settings.environment, &settings.options)?;
    let modcache = steps::root_of(caches.modcache.as_ref());
    let gocache = steps::root_of(caches.gocache.as_ref());
    act::refuse(&settings.environment, modcache, gocache)
        .map_err(|refusal| CommandError::Work(refusal.into()))?;
    let mut notes = Vec::new();
    if args.dry_run {
        return Ok(notes);
    }
    if cfg!(target_family = "wasm") && settings.retention.prove.is_some() {
        return Err(CommandError::Usage(NO_PROOF.into()));
    }
    for root in [modcache, gocache].into_iter().flatten() {
        let count = act::put_back_interrupted(root).map_err(CommandError::file(root))?;
        if count > 0 {
            notes.push(format!(
                "an interrupted proof was rolled back: {count} files and folders put back"
            ));
        }
    }
    Ok(notes)
}

/// Looks at the caches as closely as what was asked for needs.
fn look(settings: &Settings, policy: &Policy, dry_run: bool) -> Result<Found, CommandError> {
    let watch = progress::watch(settings.quiet);
    match policy.all {
        // Emptying needs no proof of what goes.
        true if !dry_run => steps::look_briefly(settings),
        // Which outputs entries name is read from level quick on.
        true => steps::look(settings, VerifyLevel::Quick, &*watch),
        false => {
            let asked = settings.options.verify.unwrap_or(VerifyLevel::Full);
            steps::look(settings, asked.max(VerifyLevel::Quick), &*watch)
        }
    }
}

/// What came of a plan.
struct Removed {
    /// What came of each of its steps, in their order.
    results: Vec<act::Result>,
    outcome: Outcome,
    /// Units that were to go.
    tried: usize,
    /// Units that stayed because somebody uses them.
    busy: usize,
}

/// Does what the plan lists.
fn remove(
    settings: &Settings,
    policy: &Policy,
    found: &Found,
    plan: &mut Plan,
    now: DateTime<Utc>,
) -> Result<Removed, CommandError> {
    let results = match &settings.retention.prove {
        Some(command) if cfg!(not(target_family = "wasm")) => {
            if steps::used_within_grace(found, policy, now) {
                return Err(CommandError::Work(
                    "a proof needs the caches to itself, and they were used within the grace: nothing was removed (wait, or give a shorter --grace)".into(),
                ));
            }
            proven(settings, command, plan, found)?
        }
        _ => act::act(plan, &found.inventory, steps::jobs(settings)),
    };
    let mut removed = Removed {
        results,
        outcome: Outcome::default(),
        tried: 0,
        busy: 0,
    };
    for (step, result) in plan.steps.iter_mut().zip(&removed.results) {
        if let Ok(freed) = result {
            // What really went, also where nothing was measured before.
            step.bytes = *freed;
        }
    }
    let outcome = &mut removed.outcome;
    for (step, result) in plan.steps.iter().zip(&removed.results) {
        let removals = plan.removals(&found.inventory, step);
        removed.tried += removals.len();
        match result {
            Ok(freed) => {
                outcome.bytes += freed;
                outcome.removed += removals.len() as u64;
            }
            Err(fault) => {
                tracing::debug!("not removed: {fault}");
                removed.busy += if fault.is_skip() { removals.len() } else { 0 };
                let subjects = removals.into_iter().map(|removal| removal.subject);
                outcome.failed.extend(subjects.map(|subject| Failure {
                    subject,
                    error: fault.to_string(),
                }));
            }
        }
    }
    if policy.all {
        let kept = steps::kept(&found.inventory, plan, &removed.results);
        let (bytes, errors) = act::sweep(&found.inventory, &kept);
        outcome.bytes += bytes;
        removed.tried += errors.len();
        let failures = errors.into_iter().map(|(subject, error)| Failure {
            subject,
            error: error.to_string(),
        });
        outcome.failed.extend(failures);
    }
    Ok(removed)
}

/// The plan as the report shows it, and the bytes that a restore brought;
/// `found` is what is left then.
fn shown(
    settings: &Settings,
    policy: &Policy,
    found: &mut Found,
    plan: &Plan,
    removed: Option<&Removed>,
    restored: u64,
) -> Result<(report::Plan, u64), CommandError> {
    let Some(removed) = removed else {
        return Ok((plan.for_report(&found.inventory), restored));
    };
    let mut shown = plan.done(&found.inventory, &removed.results);
    if !policy.all {
        steps::forget_removed(found, plan, &removed.results);
        return Ok((shown, restored));
    }
    *found = steps::look_briefly(settings)?;
    let left = report::bytes(&found.inventory);
    shown.bytes = removed.outcome.bytes;
    shown.kept_bytes = left;
    Ok((shown, removed.outcome.bytes + left))
}

/// Tells the report and the ledger what came of it; gives what fails the
/// command all the same.
fn settle(
    removed: Removed,
    report: &mut Report,
    found: &Found,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Option<CommandError> {
    let Removed {
        outcome,
        tried,
        busy,
        ..
    } = removed;
    if busy > 0 {
        report.notes.push(format!(
            "{busy} units were in use or changed meanwhile, and stayed"
        ));
        report.verdict = report.verdict.max(Verdict::Warn);
    }
    let failed = outcome.failed.len().saturating_sub(busy);
    report.outcome = Some(outcome);
    if failed > 0 {
        report.verdict = Verdict::Fail;
    }
    // What was removed is reported, whether or not the ledger takes it.
    let mut failure = steps::record(found, report, &settings.environment, now).err();
    if let Some(error) = &failure {
        let note = format!("the ledger was not written: {}", error.text());
        report.notes.push(note);
    }
    if failed > 0 {
        failure = Some(CommandError::Work(
            format!("{failed} of {tried} removals failed; the report names them").into(),
        ));
    }
    failure
}

/// What stays for the grace alone: a trim that removes less than it was asked
/// to says why.
fn kept_by_grace(
    settings: &Settings,
    found: &Found,
    plan: &Plan,
    now: DateTime<Utc>,
) -> Result<Option<String>, CommandError> {
    let mut without = settings.clone();
    without.retention.grace = Some(Age(Duration::ZERO));
    let policy = Policy::new(&without.retention, &without.options);
    let uses = steps::uses(found, &policy, now);
    let whole = steps::weigh(found, &without, uses, now)?.plan;
    let bytes = |plan: &Plan| plan.for_report(&found.inventory).bytes;
    let kept = bytes(&whole).saturating_sub(bytes(plan));
    Ok((kept > 0).then(|| {
        format!(
            "{} more would go, but were used within the grace, so a running build may need them (--grace)",
            human::size(kept)
        )
    }))
}

/// Moves everything aside, runs the command, and deletes for good or puts back.
fn proven(
    settings: &Settings,
    command: &str,
    plan: &Plan,
    found: &Found,
) -> Result<Vec<act::Result>, CommandError> {
    let work = CommandError::failed("the proof failed");
    let held = act::hold(plan, &found.inventory).map_err(&work)?;
    let project = found.projects.first().map(|project| project.dir.as_path());
    let run = std::process::Command::new("sh")
        .args(["-c", command])
        .current_dir(project.unwrap_or(&settings.environment.cwd))
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .envs(steps::root_of(found.caches.modcache.as_ref()).map(|path| ("GOMODCACHE", path)))
        .envs(steps::root_of(found.caches.gocache.as_ref()).map(|path| ("GOCACHE", path)))
        .output();
    let passed = matches!(&run, Ok(output) if output.status.success());
    if passed {
        let mut held = held;
        let results = std::mem::take(&mut held.results);
        held.commit().map_err(&work)?;
        return Ok(results);
    }
    held.put_back().map_err(work)?;
    let said = match run {
        Ok(output) => {
            let mut said = output.stdout;
            said.extend(output.stderr);
            String::from_utf8_lossy(&said).into_owned()
        }
        Err(error) => error.to_string(),
    };
    Err(CommandError::Work(
        missed(command, &said, plan, found).into(),
    ))
}

/// What a failed proof comes to: which of the removals its output names.
fn missed(command: &str, said: &str, plan: &Plan, found: &Found) -> String {
    let mut subjects: Vec<String> = plan
        .steps
        .iter()
        .flat_map(|step| plan.removals(&found.inventory, step))
        .map(|removal| removal.subject)
        .filter(|subject| {
            subject
                .split_once('@')
                .is_some_and(|(path, _)| said.contains(path))
        })
        .collect();
    subjects.dedup();
    let named = match subjects.is_empty() {
        true => "its output names none of the removals".to_owned(),
        false => format!("missed: {}", subjects.join(", ")),
    };
    let tail: Vec<&str> = said.trim_end().lines().rev().take(10).collect();
    let tail: Vec<String> = tail
        .into_iter()
        .rev()
        .map(|line| format!("\n  {}", terminal(line)))
        .collect();
    format!(
        "the proof `{command}` failed and everything was put back; {named}{}",
        tail.concat()
    )
}
