//! `--sandbox` and `--policy`: what the guests are given and what becomes of
//! their answers.

use super::handover;
use crate::error::CommandError;
use crate::findings::{Finding, Level, Rule, display_path};
use crate::folder::ordinary;
use crate::locate;
use crate::report::{Report, Verdict};
use crate::sandbox::{self, Bounds, Checked, SandboxError, Status};
use crate::settings::Settings;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MEMORY: u64 = 1 << 30;
const TIME: Duration = Duration::from_secs(15 * 60);
/// The guests have narrower bounds of their own.
const OUTPUT: usize = usize::MAX;
/// The largest policy module that is read.
const MAX_POLICY: u64 = 32 << 20;

impl From<SandboxError> for CommandError {
    fn from(error: SandboxError) -> CommandError {
        CommandError::Work(error.into())
    }
}

fn bounds(settings: &Settings) -> Bounds {
    let options = &settings.options;
    Bounds {
        memory: options.policy.sandbox_memory.map_or(MEMORY, |size| size.0),
        time: options.policy.sandbox_time.map_or(TIME, |age| age.0),
        output: OUTPUT,
    }
}

/// Checks in the sandbox.
pub(super) fn check(settings: &Settings, record: bool) -> Result<Report, CommandError> {
    if record || settings.write_baseline.is_some() {
        return Err(CommandError::Usage(
            "--sandbox cannot be combined with --record or --write-baseline: nothing is written from inside".into(),
        ));
    }
    let handover = handover::write(settings)?;
    match sandbox::check(handover, folders(settings)?, &bounds(settings))? {
        Checked::Report(json) => serde_json::from_slice(&json)
            .map_err(CommandError::failed("the sandboxed check wrote no report")),
        Checked::Failed(2, message) => Err(CommandError::Usage(message.into())),
        Checked::Failed(_, message) => Err(CommandError::Work(message.into())),
    }
}

/// Every folder that a check reads: those that are there, none in another.
fn folders(settings: &Settings) -> Result<Vec<PathBuf>, CommandError> {
    let (environment, options) = (&settings.environment, &settings.options);
    let caches = locate::caches(environment, options)?;
    let mut folders: Vec<PathBuf> = [caches.modcache, caches.gocache]
        .into_iter()
        .flatten()
        .map(|located| located.path)
        .collect();
    let found = locate::projects(environment, options)?;
    folders.extend(found.searched);
    for project in found.list {
        let files = project.go_sum.iter().map(|file| &file.path);
        let files = files.chain(project.workspace.as_ref().map(|workspace| &workspace.path));
        folders.extend(files.filter_map(|file| file.parent()).map(Path::to_owned));
        if let Some(workspace) = project.workspace.as_ref() {
            folders.extend(workspace.members.iter().cloned());
        }
        folders.push(project.dir);
    }
    let go = locate::go_settings(environment);
    folders.extend(go.goroot);
    let projects = &options.projects;
    let named = projects.project.iter().chain(&projects.projects_under);
    let named = named.chain(&options.go.goroot);
    folders.extend(named.map(|folder| environment.resolve(folder)));
    let files = [
        go.env_file.as_ref(),
        options.known.baseline.as_ref(),
        options.mark.state.as_ref(),
    ];
    for file in files.into_iter().flatten() {
        folders.extend(environment.resolve(file).parent().map(Path::to_owned));
    }
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    folders.dedup_by(|inner, outer| inner.starts_with(outer));
    Ok(folders)
}

/// Has the policy module rule on the report, if there is one. What it says
/// becomes findings. The inner error is for after the report is written:
/// the module could not rule, which the report says as well.
pub(super) fn rule(
    report: &mut Report,
    settings: &Settings,
) -> Result<Result<(), CommandError>, CommandError> {
    let Some(file) = &settings.options.policy.policy else {
        return Ok(Ok(()));
    };
    let file = settings.environment.resolve(file);
    let name = display_path(&file);
    let module = ordinary::read(&file, MAX_POLICY)
        .map_err(CommandError::input(format!("--policy: {name}")))?;
    let json = crate::render::json(report).into_bytes();
    let ruled = sandbox::rule(&module, json, &bounds(settings));
    let (level, verdict, messages) = match &ruled {
        Ok(ruling) => {
            let (level, verdict) = match ruling.status {
                Status::Pass => (Level::Note, Verdict::Pass),
                Status::Warn => (Level::Warn, Verdict::Warn),
                Status::Fail => (Level::Deny, Verdict::Fail),
            };
            (level, verdict, ruling.messages.clone())
        }
        Err(error) => (Level::Deny, Verdict::Fail, vec![error.to_string()]),
    };
    report.verdict = report.verdict.max(verdict);
    let subject = file
        .file_name()
        .map(Path::new)
        .map_or(name.clone(), display_path);
    for message in messages {
        let mut finding = Finding::new(Rule::Policy, subject.clone(), message).at(&file);
        finding.level = level;
        report.findings.push(finding);
    }
    // The heaviest first, as everywhere.
    report
        .findings
        .sort_by_key(|finding| std::cmp::Reverse(finding.level));
    Ok(ruled
        .map(|_| ())
        .map_err(CommandError::failed(format!("--policy {name}"))))
}
