//! Build outputs: an output's name is the SHA-256 of its content, and its
//! action entries say its size (`cmd/go/internal/cache/cache.go`). Go itself
//! checks only the size before it links a package archive.

use super::Evidence;
use super::batch::Batch;
use super::tree::{hash_file, largest};
use crate::findings::{Finding, Level, Rule};
use crate::folder::ordinary;
use crate::formats::action::OutputId;
use crate::parallel;
use crate::scan::{Action, BuildCache, Output};
use crate::settings::VerifyLevel;
use crate::values::shard::Shard;
use std::collections::{HashMap, HashSet};
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

/// What is hashed of outputs that no action entry names, in bytes. No build can
/// reach them, and Go holds one against its name before an entry names it
/// (`cache.go:copyFile`), so that more would be effort for nothing.
const ORPHANS_HASHED: u64 = 256 << 20;

/// How a build can come to an output.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// An entry names it, with the size that it has.
    Whole,
    /// Entries name it with other sizes: Go takes it for a miss (`cache.go:GetFile`).
    Miss,
}

/// Checks the size of every output in `shard` and, from level `used` on, its
/// content. None is read whose size an entry does not say.
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
    let reach = sizes(cache, shard, evidence);
    let in_shard = |output: &&Output| shard.has_output(&output.id.0);
    let count = cache.outputs.iter().filter(in_shard).count();
    evidence.verification.outputs_checked = count as u64;
    let of = |how: Option<Reach>| {
        let those = cache.outputs.iter();
        let those = those.filter(|output| reach.get(&output.id).copied() == how);
        those.collect::<Vec<&Output>>()
    };
    let mut orphans = of(None);
    orphans.sort_by_key(|output| (output.bytes, output.id));
    // Every shard must come to the same ones, so all are counted.
    let budget = match level < VerifyLevel::Used {
        true => 0,
        false => ORPHANS_HASHED,
    };
    let (hashed, unread) = orphans.split_at(within(&orphans, budget));
    orphans_found(cache, &orphans, unread, level, evidence);
    let mut largest_first = match level < VerifyLevel::Used {
        true => Vec::new(),
        false => of(Some(Reach::Whole)),
    };
    let orphan: HashSet<OutputId> = orphans.iter().map(|output| output.id).collect();
    largest_first.extend(hashed);
    largest_first.retain(in_shard);
    largest_first.sort_by_key(|output| std::cmp::Reverse(output.bytes));
    let groups: Vec<&[&Output]> = largest_first.chunks(GROUP).collect();
    let batch = || Batch::new(largest(jobs));
    let results = parallel::map(jobs, groups.len(), batch, |batch, index| {
        contents(cache, groups[index], batch, tick)
    });
    for (output, result) in results.into_iter().flatten() {
        weigh(cache, output, result, orphan.contains(&output.id), evidence);
    }
}

/// How many of these, one after the other, have no more bytes than that.
fn within(outputs: &[&Output], budget: u64) -> usize {
    let mut left = Some(budget);
    let fits = outputs.iter().take_while(|output| {
        left = left.and_then(|left| left.checked_sub(output.bytes));
        left.is_some()
    });
    fits.count()
}

/// Holds the hash of an output's content against its name.
fn weigh(
    cache: &BuildCache,
    output: &Output,
    result: io::Result<([u8; 32], u64)>,
    is_orphan: bool,
    evidence: &mut Evidence,
) {
    let path = cache.output_path(output.id);
    let actual = match result {
        Ok((sha256, bytes)) => {
            evidence.verification.bytes_hashed += bytes;
            if sha256 == output.id.0 {
                evidence.verification.bytes_consistent += bytes;
                return;
            }
            OutputId(sha256).to_string()
        }
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => error.to_string(),
        Err(error) => {
            evidence.damaged_outputs.insert(output.id);
            evidence.verification.failed += 1;
            let finding = crate::scan::unreadable(&path, &error);
            return evidence.findings.push(finding);
        }
    };
    evidence.damaged_outputs.insert(output.id);
    let message = "the output's content is not what its name says";
    let mut finding = Finding::new(Rule::OutputHashMismatch, output.id.to_string(), message);
    if is_orphan {
        finding = unreached(finding);
    } else {
        evidence.verification.failed += 1;
    }
    let finding = finding.at(&path).differs(output.id, actual);
    evidence.findings.push(finding);
}

/// What is wrong with an output that no build can reach is worth a note.
fn unreached(mut finding: Finding) -> Finding {
    finding.level = Level::Note;
    finding.message += "; no action entry names it, so no build can reach it";
    finding.advise(
        "Harmless: Go writes the output anew before an entry names it. `gocachevet trim --repair` removes it.",
    )
}

/// Outputs that are hashed together: few, so that no thread is left alone with
/// the last ones.
const GROUP: usize = 16;

/// An output, with its hash and length.
type Hashed<'a> = (&'a Output, io::Result<([u8; 32], u64)>);

fn contents<'a>(
    cache: &BuildCache,
    outputs: &[&'a Output],
    batch: &mut Batch<(usize, u64)>,
    tick: &(impl Fn() + Sync),
) -> Vec<Hashed<'a>> {
    let mut results = Vec::with_capacity(outputs.len());
    for (index, output) in outputs.iter().enumerate() {
        tick();
        let hashed = open(cache, output).and_then(|mut file| {
            let len = ordinary::fill(&mut file, batch.room(), output.bytes)?;
            if len > batch.largest() {
                file.seek(SeekFrom::Start(0))?;
                return hash_file(&mut file, output.bytes, batch.room());
            }
            batch.push(len, (index, len as u64));
            Ok(([0; 32], 0))
        });
        results.push((*output, hashed));
        if batch.is_due() || index + 1 == outputs.len() {
            batch.finish(|(index, bytes), sha256| {
                if let Some((_, result)) = results.get_mut(index) {
                    *result = Ok((sha256, bytes));
                }
            });
        }
    }
    results
}

fn open(cache: &BuildCache, output: &Output) -> io::Result<File> {
    let shard = cache.shard(&output.id.shard())?;
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

/// Actions against outputs: sizes that differ, and outputs that are gone. Only
/// the first is split among shards: nothing is read for them. How each output
/// can be reached.
fn sizes(cache: &BuildCache, shard: Shard, evidence: &mut Evidence) -> HashMap<OutputId, Reach> {
    let mut reach = HashMap::new();
    let mut missing = 0_u64;
    let mut example = None;
    for action in &cache.actions {
        let Some(entry) = action.entry else { continue };
        let Some(output) = cache.output(entry.output) else {
            missing += 1;
            example.get_or_insert(action);
            continue;
        };
        if output.bytes == entry.size {
            reach.insert(output.id, Reach::Whole);
            continue;
        }
        reach.entry(output.id).or_insert(Reach::Miss);
        if shard.has_output(&output.id.0) && evidence.damaged_outputs.insert(output.id) {
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
    reach
}

/// Outputs that no action names, of which `unread` were not hashed.
fn orphans_found(
    cache: &BuildCache,
    orphans: &[&Output],
    unread: &[&Output],
    level: VerifyLevel,
    evidence: &mut Evidence,
) {
    let Some(first) = orphans.iter().min_by_key(|output| output.id) else {
        return;
    };
    let bytes = |outputs: &[&Output]| outputs.iter().map(|output| output.bytes).sum::<u64>();
    let mut message = match orphans.len() {
        1 => format!(
            "1 output ({} bytes) that no action entry names",
            bytes(orphans)
        ),
        n => format!(
            "{n} outputs ({} bytes) that no action entry names",
            bytes(orphans)
        ),
    };
    if level >= VerifyLevel::Used && !unread.is_empty() {
        message += &format!(
            "; {} of them ({} bytes) were not hashed, as together they are larger than {ORPHANS_HASHED} bytes",
            unread.len(),
            bytes(unread)
        );
    }
    evidence.overall.push(
        Finding::new(Rule::OutputOrphan, "build cache", message).at(&cache.output_path(first.id)),
    );
}

fn entries(count: u64) -> String {
    match count {
        1 => "1 action entry,".to_owned(),
        n => format!("{n} action entries,"),
    }
}
