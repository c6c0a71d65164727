//! `gocachevet trim`.

use crate::act;
use crate::cli::{JudgeArgs, progress};
use crate::error::CommandError;
use crate::locate;
use crate::plan::{Plan, Policy};
use crate::report::{self, Failure, Outcome, Verdict};
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
    let caches = locate::caches(&settings.environment, &settings.options)?;
    let modcache = steps::root_of(caches.modcache.as_ref());
    let gocache = steps::root_of(caches.gocache.as_ref());
    act::refuse(&settings.environment, modcache, gocache)
        .map_err(|refusal| CommandError::Work(refusal.into()))?;
    if cfg!(target_family = "wasm") && !args.dry_run && settings.retention.prove.is_some() {
        return Err(CommandError::Usage(NO_PROOF.into()));
    }
    let now = Utc::now();
    let mut notes = Vec::new();
    if !args.dry_run {
        for root in [modcache, gocache].into_iter().flatten() {
            let count = act::put_back_interrupted(root).map_err(CommandError::file(root))?;
            if count > 0 {
                notes.push(format!(
                    "an interrupted proof was rolled back: {count} files and folders put back"
                ));
            }
        }
    }
    let policy = Policy::new(&settings.retention, &settings.options);
    // Emptying needs no proof of what goes.
    let fast = policy.all && !args.dry_run;
    let asked = settings.options.verify.unwrap_or(VerifyLevel::Full);
    let watch = progress::watch(settings.quiet);
    let mut found = match fast {
        true => steps::look_briefly(settings)?,
        // Which outputs entries name is read from level quick on.
        false if policy.all => steps::look(settings, VerifyLevel::Quick, &*watch)?,
        false => steps::look(settings, asked.max(VerifyLevel::Quick), &*watch)?,
    };
    drop(watch);
    let mut restored = steps::restored(&found);
    let uses = steps::uses(&found, &policy, now);
    let mut weighed = steps::weigh(&found, settings, uses, now)?;
    if policy.all && !policy.force && steps::used_within_grace(&found, &policy, now) {
        return Err(CommandError::Work(
            "the caches were used within the grace, so a running build may need them: nothing was removed (use --force, or a shorter --grace)".into(),
        ));
    }
    if !policy.all {
        notes.extend(kept_by_grace(settings, &found, &weighed.plan, now)?);
    }
    let mut outcome = None;
    let mut busy = 0;
    let mut tried = 0;
    let mut results = Vec::new();
    if !args.dry_run && cfg!(target_family = "wasm") {
        act::refuse_read_only_trees(&weighed.plan, &found.inventory)
            .map_err(|refusal| CommandError::Work(refusal.into()))?;
    }
    if !args.dry_run {
        results = match &settings.retention.prove {
            Some(command) if cfg!(not(target_family = "wasm")) => {
                if steps::used_within_grace(&found, &policy, now) {
                    return Err(CommandError::Work(
                        "a proof needs the caches to itself, and they were used within the grace: nothing was removed (wait, or give a shorter --grace)".into(),
                    ));
                }
                proven(settings, command, &weighed.plan, &found)?
            }
            _ => act::act(&weighed.plan, &found.inventory, steps::jobs(settings)),
        };
        let mut done = Outcome::default();
        for (step, result) in weighed.plan.steps.iter_mut().zip(&results) {
            if let Ok(freed) = result {
                // What really went, also where nothing was measured before.
                step.bytes = *freed;
            }
        }
        for (step, result) in weighed.plan.steps.iter().zip(&results) {
            let removals = weighed.plan.removals(&found.inventory, step);
            tried += removals.len();
            match result {
                Ok(freed) => {
                    done.bytes += freed;
                    done.removed += removals.len() as u64;
                }
                Err(fault) => {
                    busy += if fault.is_skip() { removals.len() } else { 0 };
                    done.failed
                        .extend(removals.into_iter().map(|removal| Failure {
                            subject: removal.subject,
                            error: fault.to_string(),
                        }));
                }
            }
        }
        if policy.all {
            let kept = steps::kept(&found.inventory, &weighed.plan, &results);
            let (bytes, errors) = act::sweep(&found.inventory, &kept);
            done.bytes += bytes;
            tried += errors.len();
            done.failed
                .extend(errors.into_iter().map(|(subject, error)| Failure {
                    subject,
                    error: error.to_string(),
                }));
        }
        outcome = Some(done);
    }
    let mut shown = match &outcome {
        Some(_) => weighed.plan.done(&found.inventory, &results),
        None => weighed.plan.for_report(&found.inventory),
    };
    if let Some(done) = &outcome {
        if fast {
            found = steps::look_briefly(settings)?;
            let left = report::bytes(&found.inventory);
            shown.bytes = done.bytes;
            shown.kept_bytes = left;
            restored = done.bytes + left;
        } else {
            steps::forget_removed(&mut found, &weighed.plan, &results);
        }
    }
    // What is older than `max-age` and stays, stays for a reason.
    let mut judged = steps::with_measured_rate(settings, restored);
    judged.options.max_age = None;
    let mut report = steps::report(&found, &judged, now)?;
    report.notes.append(&mut notes);
    report.notes.append(&mut weighed.plan.notes);
    let freed = outcome.as_ref().map_or(shown.bytes, |done| done.bytes);
    if freed > 0 {
        report.notes.push(steps::saved_per_restore(
            freed,
            steps::restore_rate(&judged),
        ));
    }
    if let Some(cache) = &found.inventory.buildcache {
        report.notes.push(steps::next_go_trim(cache, now));
    }
    if busy > 0 {
        report.notes.push(format!(
            "{busy} units were in use or changed meanwhile, and stayed"
        ));
        report.verdict = report.verdict.max(Verdict::Warn);
    }
    let stuck = outcome.as_ref().map_or(0, |done| done.failed.len());
    let failed = stuck.saturating_sub(busy);
    if failed > 0 {
        report.verdict = Verdict::Fail;
    }
    report.plan = Some(shown);
    report.outcome = outcome;
    let mut unrecorded = None;
    if !args.dry_run {
        // What was removed is reported, whether or not the ledger takes it.
        unrecorded = steps::record(&found, &mut report, &settings.environment, now).err();
        if let Some(error) = &unrecorded {
            let note = format!("the ledger was not written: {error}");
            report.notes.push(note);
        }
    }
    steps::write_report(&report, settings, out)?;
    if failed > 0 {
        out.flush()?;
        return Err(CommandError::Work(
            format!("{failed} of {tried} removals failed; the report names them").into(),
        ));
    }
    if let Some(error) = unrecorded {
        out.flush()?;
        return Err(error);
    }
    Ok(report.verdict)
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
