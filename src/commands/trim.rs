//! `gocachevet trim`.

use crate::act::{self, Done};
use crate::cli::{Judged, Reporting, Takes, Use, Where, progress};
use crate::error::CommandError;
use crate::locate;
use crate::plan::{Plan, RetentionRules, Step};
use crate::report::{self, Failure, Outcome, Report, Verdict};
use crate::run::{self as steps, Found, Gone};
use crate::scan::Inventory;
use crate::settings::{
    EffortOptions, Format, GoalOptions, LimitOptions, RetentionOptions, Settings, VerifyLevel,
};
use crate::text::escape::terminal;
use crate::text::human;
use chrono::{DateTime, Utc};
use clap::Args;
use std::io::Write;

/// Options of `trim`.
#[derive(Args, Clone, Debug, Default)]
pub struct TrimArgs {
    /// Say what would go, and touch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What is looked at, what goes, and how what is left is judged.
    #[command(flatten)]
    pub shared: Takes<
        Where,
        Use,
        Reporting,
        Judged,
        Takes<EffortOptions, GoalOptions, LimitOptions>,
        RetentionOptions,
    >,
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
    let rules = RetentionRules::new(&settings.options);
    let mut found = look(settings, &rules, args.dry_run)?;
    let mut restored = steps::restored(&found.inventory, found.observed.as_ref());
    let in_use = steps::used_within_grace(&found.inventory, &rules, now);
    if rules.all && !rules.force && in_use {
        return Err(CommandError::Work(
            "the caches were used within the grace, so a running build may need them: nothing was removed (use --force, or a shorter --grace)".into(),
        ));
    }
    let weights = steps::weights(&found, settings, rules.clone(), now)?;
    let mut plan = weights.plan(&found.inventory, &found.evidence);
    notes.extend(kept_by_grace(plan.in_grace));
    notes.append(&mut plan.notes);
    let mut removed = None;
    let listed = steps::writes(settings, Format::Json);
    let mut shown;
    if args.dry_run {
        shown = plan.shown(plan.steps.iter(), listed);
    } else {
        let done = remove(settings, &plan, &found, in_use)?;
        let went = done.iter().filter(|done| done.result.is_ok());
        shown = plan.shown(went.map(|done| &done.step), listed);
        let gone = Gone::of(&done);
        let mut came = Removed::of(&done);
        if rules.all {
            came.sweep(&found.inventory, &done);
            found = steps::look_briefly(settings)?;
            shown.bytes = came.outcome.bytes;
            shown.kept_bytes = report::bytes(&found.inventory);
            restored = shown.bytes + shown.kept_bytes;
        } else {
            gone.take_from(
                &mut found.inventory,
                &mut found.evidence,
                &mut found.findings,
            );
        }
        removed = Some(came);
    }
    let mut report = reported(&found, settings, notes, shown, restored, now)?;
    let failure = removed.and_then(|removed| settle(removed, &mut report, &found, settings, now));
    steps::write_report(&report, settings, out)?;
    match failure {
        None => Ok(report.verdict),
        Some(error) => {
            out.flush()?;
            Err(error)
        }
    }
}

/// The report on what goes and on what is left.
fn reported(
    found: &Found,
    settings: &Settings,
    notes: Vec<String>,
    shown: report::Plan,
    restored: u64,
    now: DateTime<Utc>,
) -> Result<Report, CommandError> {
    // What is older than `max-age` and stays, stays for a reason.
    let mut judged = steps::with_measured_rate(settings, restored);
    judged.options.goals.max_age = None;
    let mut report = steps::report(found, &judged, now)?;
    report.notes.extend(notes);
    if shown.bytes > 0 {
        let rate = steps::restore_rate(&judged);
        report
            .notes
            .push(steps::saved_per_restore(shown.bytes, rate));
    }
    if let Some(cache) = &found.inventory.buildcache {
        report.notes.push(steps::next_go_trim(cache, now));
    }
    report.plan = Some(shown);
    Ok(report)
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
    if cfg!(target_family = "wasm") && settings.options.retention.prove.is_some() {
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
fn look(settings: &Settings, rules: &RetentionRules, dry_run: bool) -> Result<Found, CommandError> {
    let watch = progress::watch(settings.quiet);
    match rules.all {
        // Emptying needs no proof of what goes.
        true if !dry_run => steps::look_briefly(settings),
        // Which outputs entries name is read from level quick on.
        true => steps::look(settings, VerifyLevel::Quick, &*watch),
        false => {
            let asked = settings.options.effort.verify.unwrap_or(VerifyLevel::Full);
            steps::look(settings, asked.max(VerifyLevel::Quick), &*watch)
        }
    }
}

/// A trim that removes less than it was asked to says why.
fn kept_by_grace(bytes: u64) -> Option<String> {
    (bytes > 0).then(|| {
        format!(
            "{} more would go, but were used within the grace, so a running build may need them (--grace)",
            human::size(bytes)
        )
    })
}

/// Does what the plan lists.
fn remove<'a>(
    settings: &Settings,
    plan: &Plan<'a>,
    found: &Found,
    in_use: bool,
) -> Result<Vec<Done<'a>>, CommandError> {
    match &settings.options.retention.prove {
        Some(command) if cfg!(not(target_family = "wasm")) => {
            if in_use {
                return Err(CommandError::Work(
                    "a proof needs the caches to itself, and they were used within the grace: nothing was removed (wait, or give a shorter --grace)".into(),
                ));
            }
            proven(settings, command, plan, found)
        }
        _ => Ok(act::act(plan, steps::jobs(settings))),
    }
}

/// What came of a plan.
#[derive(Default)]
struct Removed {
    outcome: Outcome,
    /// Units that were to go.
    tried: usize,
    /// Units that stayed because somebody uses them.
    busy: usize,
}

impl Removed {
    fn of(done: &[Done<'_>]) -> Removed {
        let mut removed = Removed::default();
        for Done { step, result } in done {
            let units = step.units().count();
            removed.tried += units;
            match result {
                Ok(freed) => {
                    removed.outcome.bytes += freed;
                    removed.outcome.removed += units as u64;
                }
                Err(fault) => {
                    removed.busy += if fault.is_skip() { units } else { 0 };
                    for removal in step.removals() {
                        tracing::debug!("{} stays: {fault}", removal.subject);
                        removed.failed(removal.subject, fault);
                    }
                }
            }
        }
        removed
    }

    fn failed(&mut self, subject: String, error: &dyn std::error::Error) {
        let error = error.to_string();
        self.outcome.failed.push(Failure { subject, error });
    }

    /// What is left of emptied caches goes too.
    fn sweep(&mut self, inventory: &Inventory, done: &[Done<'_>]) {
        let (bytes, errors) = act::sweep(inventory, done);
        self.outcome.bytes += bytes;
        self.tried += errors.len();
        for (subject, error) in errors {
            self.failed(subject, &error);
        }
    }
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

/// Moves everything aside, runs the command, and deletes for good or puts back.
fn proven<'a>(
    settings: &Settings,
    command: &str,
    plan: &Plan<'a>,
    found: &Found,
) -> Result<Vec<Done<'a>>, CommandError> {
    let work = CommandError::failed("the proof failed");
    let mut held = act::hold(plan, &found.inventory).map_err(&work)?;
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
        let done = std::mem::take(&mut held.done);
        held.commit().map_err(&work)?;
        return Ok(done);
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
    Err(CommandError::Work(missed(command, &said, plan).into()))
}

/// What a failed proof comes to: which of the removals its output names.
fn missed(command: &str, said: &str, plan: &Plan<'_>) -> String {
    let mut subjects: Vec<String> = plan
        .steps
        .iter()
        .flat_map(Step::removals)
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
