//! What kinds of output the entries of a job name.

use crate::formats::action::OutputId;
use crate::formats::output_kind::{HEAD_BYTES, OutputKind, TAIL_BYTES, output_kind};
use crate::parallel;
use crate::scan::BuildCache;
use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read, Seek, SeekFrom};

/// Reads heads and tails of outputs. Executables, and what cannot be read, are
/// not in the result: verification reports the latter.
pub(super) fn of_outputs(
    cache: &BuildCache,
    wanted: &BTreeSet<OutputId>,
    jobs: usize,
) -> HashMap<OutputId, OutputKind> {
    let wanted: Vec<OutputId> = wanted.iter().copied().collect();
    let kinds = parallel::map(
        jobs,
        wanted.len(),
        || (),
        |(), index| {
            let id = wanted[index];
            kind(cache, id).ok().map(|kind| (id, kind))
        },
    );
    kinds.into_iter().flatten().collect()
}

fn kind(cache: &BuildCache, id: OutputId) -> io::Result<OutputKind> {
    let shard = cache.shard(&id.shard())?;
    let mut file = shard.file(format!("{id}-d").as_ref())?;
    let mut head = Vec::new();
    (&mut file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    let mut tail = head.clone();
    if head.len() == HEAD_BYTES {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES as u64)))?;
        tail.clear();
        file.take(TAIL_BYTES as u64).read_to_end(&mut tail)?;
    }
    Ok(output_kind(&head, &tail))
}
