//! Build outputs: an output's name is the SHA-256 of its content, and its
//! action entries say its size (`cmd/go/internal/cache/cache.go`). Go itself
//! checks only the size before it links a package archive.

use super::Evidence;
use super::batch::Batch;
use super::tree::{hash_file, largest, read_retrying};
use crate::config::VerifyLevel;
use crate::findings::{Finding, Rule};
use crate::folder::Folder;
use crate::formats::action::OutputId;
use crate::parallel;
use crate::scan::{Action, BuildCache, Output};
use crate::shard::Shard;
use crate::sorting;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::PathBuf;

impl BuildCache {
    /// Where an output lies.
    pub fn output_path(&self, id: OutputId) -> PathBuf {
        self.root.join(id.shard()).join(format!("{id}-d"))
    }

    /// Where an action entry lies.
    pub fn action_path(&self, action: &Action) -> PathBuf {
        self.root
            .join(action.id.shard())
            .join(format!("{}-a", action.id))
    }
}

/// Checks the size of every output in `shard` and, from level `used` on, its content.
pub(super) fn verify(
    cache: &BuildCache,
    level: VerifyLevel,
    shard: Shard,
    jobs: usize,
    tick: &(impl Fn() + Sync),
    evidence: &mut Evidence,
) {
    if level == VerifyLevel::Off {
        return;
    }
    sizes(cache, shard, evidence);
    let in_shard = || {
        cache
            .outputs
            .iter()
            .filter(|output| shard.has_output(output.id))
    };
    evidence.verification.outputs_checked = in_shard().count() as u64;
    if level < VerifyLevel::Used {
        return;
    }
    let mut largest_first: Vec<&Output> = in_shard().collect();
    sorting::by_key(&mut largest_first, |output| std::cmp::Reverse(output.bytes));
    let groups: Vec<&[&Output]> = largest_first.chunks(GROUP).collect();
    let batch = || Batch::new(largest(jobs));
    let results = parallel::map(jobs, groups.len(), batch, |batch, index| {
        contents(cache, groups[index], batch, tick)
    });
    for (output, result) in largest_first.iter().zip(results.into_iter().flatten()) {
        let path = cache.output_path(output.id);
        match result {
            Ok((sha256, bytes)) => {
                evidence.verification.bytes_hashed += bytes;
                if sha256 == output.id.0 {
                    evidence.verification.bytes_consistent += bytes;
                    continue;
                }
                // A wrong size was reported with what it should be.
                if evidence.damaged_outputs.insert(output.id) {
                    let message = "the output's content is not what its name says";
                    let finding =
                        Finding::new(Rule::OutputHashMismatch, output.id.to_string(), message);
                    evidence
                        .findings
                        .push(finding.at(&path).differs(output.id, OutputId(sha256)));
                }
            }
            Err(error) => {
                evidence.damaged_outputs.insert(output.id);
                evidence
                    .findings
                    .push(crate::scan::unreadable(&path, &error));
            }
        }
    }
}

/// Outputs that are hashed together: few, so that no thread is left alone with
/// the last ones.
const GROUP: usize = 16;

/// Each output's hash and length.
fn contents(
    cache: &BuildCache,
    outputs: &[&Output],
    batch: &mut Batch<(usize, u64)>,
    tick: &(impl Fn() + Sync),
) -> Vec<io::Result<([u8; 32], u64)>> {
    let mut results: Vec<io::Result<([u8; 32], u64)>> = Vec::with_capacity(outputs.len());
    for (index, output) in outputs.iter().enumerate() {
        tick();
        results.push(open(cache, output).and_then(|mut file| {
            let len = read_retrying(&mut file, batch.room())?;
            if len > batch.largest() {
                file.seek(SeekFrom::Start(0))?;
                return hash_file(&mut file, batch.room());
            }
            batch.push(len, (index, len as u64));
            Ok(([0; 32], 0))
        }));
        if batch.is_due() || index + 1 == outputs.len() {
            batch.finish(|(index, bytes), sha256| {
                if let Some(result) = results.get_mut(index) {
                    *result = Ok((sha256, bytes));
                }
            });
        }
    }
    results
}

fn open(cache: &BuildCache, output: &Output) -> io::Result<File> {
    let shard = Folder::open_no_follow(&cache.root.join(output.id.shard()))?;
    let name = format!("{}-d", output.id);
    if !output.executable {
        return shard.file(name.as_ref());
    }
    let folder = shard.folder(name.as_ref())?;
    let entries = folder.entries()?;
    let inner = entries.first().ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, "the executable's folder is empty")
    })?;
    folder.file(&inner.name)
}

/// Actions against outputs: sizes that differ, outputs that are gone, and
/// outputs that no action names. Only the first is split among shards: nothing
/// is read for them.
fn sizes(cache: &BuildCache, shard: Shard, evidence: &mut Evidence) {
    let mut outputs: HashMap<OutputId, (&Output, bool)> = cache
        .outputs
        .iter()
        .map(|output| (output.id, (output, false)))
        .collect();
    let mut missing = 0_u64;
    let mut example = None;
    for action in &cache.actions {
        let Some(entry) = action.entry else { continue };
        let Some((output, named)) = outputs.get_mut(&entry.output) else {
            missing += 1;
            example.get_or_insert(action);
            continue;
        };
        *named = true;
        if output.bytes != entry.size
            && shard.has_output(output.id)
            && evidence.damaged_outputs.insert(output.id)
        {
            let message = format!("the output's size is not what action {} says", action.id);
            evidence.findings.push(
                Finding::new(Rule::OutputSizeMismatch, output.id.to_string(), message)
                    .at(&cache.output_path(output.id))
                    .differs(
                        format!("{} bytes", entry.size),
                        format!("{} bytes", output.bytes),
                    ),
            );
        }
    }
    if let Some(action) = example {
        let message = format!("{} the output of which is gone", entries(missing));
        evidence.overall.push(
            Finding::new(Rule::OutputMissing, "build cache", message)
                .at(&cache.action_path(action)),
        );
    }
    let mut orphans: Vec<&Output> = outputs
        .into_values()
        .filter(|(_, named)| !named)
        .map(|(output, _)| output)
        .collect();
    sorting::by_key(&mut orphans, |output| output.id);
    if let Some(first) = orphans.first() {
        let bytes: u64 = orphans.iter().map(|output| output.bytes).sum();
        let message = match orphans.len() {
            1 => format!("1 output ({bytes} bytes) that no action entry names"),
            n => format!("{n} outputs ({bytes} bytes) that no action entry names"),
        };
        evidence.overall.push(
            Finding::new(Rule::OutputOrphan, "build cache", message)
                .at(&cache.output_path(first.id)),
        );
    }
}

fn entries(count: u64) -> String {
    match count {
        1 => "1 action entry,".to_owned(),
        n => format!("{n} action entries,"),
    }
}
