//! Removing build-cache entries: action entries first, then outputs. Go has no
//! lock for them; to it an entry without its output is a plain miss.

use super::tree::remove_tree;
use super::{Done, Result, StepError, gone_is_fine};
use crate::folder::{Folder, Kind};
use crate::formats::action::{ActionEntry, EntryName, OutputId, parse_entry_name};
use crate::parallel;
use crate::plan::{Cause, InBuilds, Step, Target};
use crate::scan::{Action, BuildCache, Output};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Read};

/// Why an entry that names an output is still there.
#[derive(Clone, Copy)]
enum Stays {
    Used,
    Failed,
}

/// The steps of a plan that concern the build cache.
pub(super) fn remove<'a>(cache: &BuildCache, steps: &[Step<'a>], jobs: usize) -> Vec<Done<'a>> {
    let root = cache.folders().map(|root| root.top());
    let (mut actions, mut outputs) = (Vec::new(), Vec::new());
    for step in steps {
        match step.target {
            Target::Builds(_, InBuilds::Action(action)) => actions.push((step, action)),
            Target::Builds(_, InBuilds::Output(output)) => outputs.push((step, output)),
            Target::Builds(_, InBuilds::Link(_)) | Target::Modules(..) => {}
        }
    }
    let is_all = (actions.iter().map(|(step, _)| step))
        .chain(outputs.iter().map(|(step, _)| step))
        .all(|step| step.cause == Cause::All);
    // An entry that stayed, or that was written since the scan, keeps its output.
    let mut named: HashMap<OutputId, Stays> = HashMap::new();
    let shard = |action: &Action| action.id.shard();
    let mut done = each(&root, &actions, jobs, shard, action);
    if !outputs.is_empty() && !is_all {
        let since = root.as_ref().map(|root| named_since(root, cache, jobs));
        named.extend(
            since
                .into_iter()
                .flatten()
                .map(|output| (output, Stays::Used)),
        );
    }
    for done in &done {
        if let Err(fault) = &done.result
            && let Target::Builds(_, InBuilds::Action(action)) = done.step.target
            && let Some(entry) = action.entry
        {
            let stays = match fault.is_skip() {
                true => Stays::Used,
                false => Stays::Failed,
            };
            named.entry(entry.output).or_insert(stays);
        }
    }
    let shard = |output: &Output| output.id.shard();
    let output = |folder: &Folder, step: &Step<'_>, it: &Output| output(folder, step, it, &named);
    done.extend(each(&root, &outputs, jobs, shard, output));
    done
}

/// Does the removals of one kind, which lie by ID; each shard's on one thread.
fn each<'a, T: Sync>(
    root: &io::Result<&Folder>,
    removals: &[(&Step<'a>, &T)],
    jobs: usize,
    shard: impl Fn(&T) -> String + Sync,
    remove: impl Fn(&Folder, &Step<'a>, &T) -> Result + Sync,
) -> Vec<Done<'a>> {
    let shards: Vec<_> = removals
        .chunk_by(|(_, a), (_, b)| shard(a) == shard(b))
        .collect();
    let done = parallel::each(jobs, &shards, |removals| {
        let name = removals
            .first()
            .map(|(_, it)| shard(it))
            .unwrap_or_default();
        let folder = match root {
            Ok(root) => root.folder(OsStr::new(&name)),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        let removals = removals.iter().map(|&(step, it)| {
            let result = match &folder {
                Ok(folder) => remove(folder, step, it),
                Err(error) => Err(super::copy_of(error)),
            };
            Done::new(step, result)
        });
        removals.collect::<Vec<_>>()
    });
    done.into_iter().flatten().collect()
}

fn action(folder: &Folder, step: &Step<'_>, action: &Action) -> Result {
    let name = format!("{}-a", action.id);
    file(folder, &name, action.modified, action.bytes, step.cause)
}

fn output(
    folder: &Folder,
    step: &Step<'_>,
    output: &Output,
    named: &HashMap<OutputId, Stays>,
) -> Result {
    match named.get(&output.id) {
        Some(Stays::Used) if step.cause != Cause::Damaged => return Err(StepError::InUse),
        Some(Stays::Failed) if step.cause != Cause::Damaged => return Err(StepError::Named),
        _ => {}
    }
    let name = format!("{}-d", output.id);
    if !output.executable {
        return file(folder, &name, output.modified, output.bytes, step.cause);
    }
    match unchanged(folder, &name, output.modified)? {
        true => Ok(remove_tree(folder, name.as_ref())?),
        false => Ok(0),
    }
}

/// Removes a file. Where everything goes, it does not matter whether it changed.
fn file(folder: &Folder, name: &str, modified: DateTime<Utc>, bytes: u64, cause: Cause) -> Result {
    if cause != Cause::All && !unchanged(folder, name, modified)? {
        return Ok(0);
    }
    gone_is_fine(folder.unlink(name.as_ref()))?;
    Ok(bytes)
}

/// Go marks each use in the time, so a new time is a new use. `false` if it is
/// gone already.
fn unchanged(
    folder: &Folder,
    name: &str,
    modified: DateTime<Utc>,
) -> std::result::Result<bool, StepError> {
    match folder.stat(name.as_ref()) {
        Ok(stat) if stat.modified == modified => Ok(true),
        Ok(_) => Err(StepError::Changed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Outputs that entries name which are newer than the scan. Go does not touch
/// an output that is there already when it writes an entry for it.
fn named_since(root: &Folder, cache: &BuildCache, jobs: usize) -> Vec<OutputId> {
    let found = parallel::map(
        jobs,
        256,
        || (),
        |(), shard| {
            let mut named = Vec::new();
            let folder = root.folder(OsStr::new(&format!("{shard:02x}")));
            let entries = folder.as_ref().map_or_else(
                |_| Vec::new(),
                |folder| folder.entries().unwrap_or_default(),
            );
            for entry in entries {
                let name = entry.name.to_str().and_then(parse_entry_name);
                let (Some(EntryName::Action(id)), Kind::File) = (name, entry.kind) else {
                    continue;
                };
                if cache.action(id).is_some() {
                    continue;
                }
                let mut content = Vec::new();
                let read = folder.as_ref().ok().and_then(|folder| {
                    let file = folder.file(&entry.name).ok()?;
                    let limit = ActionEntry::LEN as u64 + 1;
                    file.take(limit).read_to_end(&mut content).ok()
                });
                if read.is_some()
                    && let Ok(entry) = ActionEntry::parse_named(id, &content)
                {
                    named.push(entry.output);
                }
            }
            named
        },
    );
    found.into_iter().flatten().collect()
}
