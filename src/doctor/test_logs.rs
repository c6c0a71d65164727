//! Cached test results that hang on files of their module.

use crate::folder::Folder;
use crate::formats::action::OutputId;
use crate::formats::output_kind::{OutputKind, output_kind};
use crate::scan::BuildCache;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

/// Outputs whose heads are read in search of what tests read.
const MAX_LOGS: usize = 20_000;

/// Longest output that is taken for what a test read.
const MAX_LOG_BYTES: u64 = 1 << 20;

/// Tests that read files of their own module, and when the last of them ran:
/// what Go logs of a test names those files by paths from the package's folder.
pub(super) fn tests_with_files(cache: &BuildCache) -> Option<(usize, DateTime<Utc>)> {
    let made: BTreeMap<OutputId, i64> = cache
        .actions
        .iter()
        .filter_map(|action| Some((action.entry?.output, action.entry?.time_nanos)))
        .collect();
    let small = cache
        .outputs
        .iter()
        .filter(|output| !output.executable && output.bytes <= MAX_LOG_BYTES);
    let root = Folder::open(&cache.root).ok()?;
    let mut found = (0, i64::MIN);
    for output in small.take(MAX_LOGS) {
        if let Some(&time) = made.get(&output.id)
            && let Ok(Some(log)) = test_log(&root, output.id)
            && names_own_files(&log)
        {
            found = (found.0 + 1, found.1.max(time));
        }
    }
    (found.0 > 0).then(|| (found.0, DateTime::from_timestamp_nanos(found.1)))
}

/// What Go logged of a test, if an output is that.
fn test_log(root: &Folder, id: OutputId) -> io::Result<Option<String>> {
    let name = format!("{id}-d");
    let mut file = root.folder(id.shard().as_ref())?.file(name.as_ref())?;
    let mut bytes = Vec::new();
    (&mut file).take(11).read_to_end(&mut bytes)?;
    if output_kind(&bytes, &bytes) != OutputKind::TestLog {
        return Ok(None);
    }
    file.take(MAX_LOG_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn names_own_files(log: &str) -> bool {
    let names = log.lines().filter_map(|line| line.split_once(' '));
    let mut files = names.filter(|(what, _)| matches!(*what, "open" | "stat"));
    files.any(|(_, name)| Path::new(name).is_relative())
}
