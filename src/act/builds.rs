//! Removing build-cache entries: action entries first, then outputs. Go has no
//! lock for them; to it an entry without its output is a plain miss.

use super::tree::remove_tree;
use super::{Fault, Result, gone_is_fine};
use crate::folder::{Folder, Kind};
use crate::formats::action::{ActionEntry, EntryName, OutputId, parse_entry_name};
use crate::parallel;
use crate::plan::{Cause, Plan, Target};
use crate::scan::BuildCache;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io::{self, Read};

/// Why an entry that names an output is still there.
#[derive(Clone, Copy)]
enum Stays {
    Used,
    Failed,
}

/// The steps of one shard.
type Shards = BTreeMap<u8, Vec<usize>>;

pub(super) fn remove(
    root: &Folder,
    cache: &BuildCache,
    plan: &Plan,
    jobs: usize,
) -> Vec<(usize, Result)> {
    let mut actions = Shards::new();
    let mut outputs = Shards::new();
    for (at, step) in plan.steps.iter().enumerate() {
        match step.target {
            Target::Action(index) => {
                if let Some(action) = cache.actions.get(index) {
                    actions.entry(first(&action.id.0)).or_default().push(at);
                }
            }
            Target::Output(index) => {
                if let Some(output) = cache.outputs.get(index) {
                    outputs.entry(first(&output.id.0)).or_default().push(at);
                }
            }
            _ => {}
        }
    }
    let mut results = each(root, &actions, jobs, |folder, at| {
        action(folder, cache, plan, at)
    });
    // An entry that stayed, or that was written since the scan, keeps its output.
    let since = match outputs.is_empty() || plan_is_all(plan) {
        true => Vec::new(),
        false => named_since(root, cache, jobs),
    };
    let mut named: HashMap<OutputId, Stays> = HashMap::new();
    named.extend(since.into_iter().map(|output| (output, Stays::Used)));
    for (at, result) in &results {
        if let Err(fault) = result
            && let Some(Target::Action(index)) = plan.steps.get(*at).map(|step| step.target)
            && let Some(entry) = cache.actions.get(index).and_then(|action| action.entry)
        {
            let stays = match fault.is_skip() {
                true => Stays::Used,
                false => Stays::Failed,
            };
            named.entry(entry.output).or_insert(stays);
        }
    }
    results.extend(each(root, &outputs, jobs, |folder, at| {
        output(folder, cache, plan, at, &named)
    }));
    results
}

fn plan_is_all(plan: &Plan) -> bool {
    plan.steps.iter().all(|step| step.cause == Cause::All)
}

fn first(id: &[u8; 32]) -> u8 {
    let [first, ..] = *id;
    first
}

fn each(
    root: &Folder,
    shards: &Shards,
    jobs: usize,
    remove: impl Fn(&Folder, usize) -> Result + Sync,
) -> Vec<(usize, Result)> {
    let shards: Vec<_> = shards.iter().collect();
    let done = parallel::map(
        jobs,
        shards.len(),
        || (),
        |(), index| {
            let Some((shard, steps)) = shards.get(index) else {
                return Vec::new();
            };
            let folder = root.folder(OsStr::new(&format!("{shard:02x}")));
            steps
                .iter()
                .map(|&at| match &folder {
                    Ok(folder) => (at, remove(folder, at)),
                    Err(error) => (at, Err(super::copy_of(error))),
                })
                .collect()
        },
    );
    done.into_iter().flatten().collect()
}

fn action(folder: &Folder, cache: &BuildCache, plan: &Plan, at: usize) -> Result {
    let (name, modified, bytes, _) = subject(cache, plan, at)?;
    let certain = plan
        .steps
        .get(at)
        .is_some_and(|step| step.cause == Cause::All);
    if !certain && !unchanged(folder, &name, modified)? {
        return Ok(0);
    }
    gone_is_fine(folder.unlink(name.as_ref()))?;
    Ok(bytes)
}

fn output(
    folder: &Folder,
    cache: &BuildCache,
    plan: &Plan,
    at: usize,
    named: &HashMap<OutputId, Stays>,
) -> Result {
    let (name, modified, bytes, executable) = subject(cache, plan, at)?;
    let cause = plan.steps.get(at).map(|step| step.cause);
    if let Some(EntryName::Output(id)) = parse_entry_name(&name)
        && cause != Some(Cause::Damaged)
        && let Some(stays) = named.get(&id)
    {
        return Err(match stays {
            Stays::Used => Fault::InUse,
            Stays::Failed => Fault::Named,
        });
    }
    if executable {
        if !unchanged(folder, &name, modified)? {
            return Ok(0);
        }
        return Ok(remove_tree(folder, name.as_ref())?);
    }
    if cause != Some(Cause::All) && !unchanged(folder, &name, modified)? {
        return Ok(0);
    }
    gone_is_fine(folder.unlink(name.as_ref()))?;
    Ok(bytes)
}

/// Name, time, bytes, and whether it is a folder.
fn subject(
    cache: &BuildCache,
    plan: &Plan,
    at: usize,
) -> std::result::Result<(String, DateTime<Utc>, u64, bool), Fault> {
    let found = match plan.steps.get(at).map(|step| step.target) {
        Some(Target::Action(index)) => cache.actions.get(index).map(|action| {
            let name = format!("{}-a", action.id);
            (name, action.modified, action.bytes, false)
        }),
        Some(Target::Output(index)) => cache.outputs.get(index).map(|output| {
            let name = format!("{}-d", output.id);
            (name, output.modified, output.bytes, output.executable)
        }),
        _ => None,
    };
    found.ok_or_else(|| Fault::Io(super::missing()))
}

/// Go marks each use in the time, so a new time is a new use. `false` if it is
/// gone already.
fn unchanged(
    folder: &Folder,
    name: &str,
    modified: DateTime<Utc>,
) -> std::result::Result<bool, Fault> {
    match folder.stat(name.as_ref()) {
        Ok(stat) if stat.modified == modified => Ok(true),
        Ok(_) => Err(Fault::Changed),
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
                if cache
                    .actions
                    .binary_search_by_key(&id, |action| action.id)
                    .is_ok()
                {
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
