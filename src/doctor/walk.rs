//! What lies below a project: its sources' times, and modules of their own.

use super::situation::{ProjectSite, SourceTimes};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use walkdir::{DirEntry, WalkDir};

/// Files and folders of a project that are looked at.
const MAX_WALKED: usize = 50_000;

/// Looks below a project: at the times of its sources, and for modules that are
/// not `counted`.
pub(super) fn walk(site: &mut ProjectSite, counted: &BTreeSet<PathBuf>, caches: &[PathBuf]) {
    let mut walk = WalkDir::new(&site.dir).into_iter();
    for _ in 0..MAX_WALKED {
        let Some(entry) = walk.next() else { break };
        let Ok(entry) = entry else { continue };
        let path = entry.path();
        let is_folder = entry.depth() > 0 && entry.file_type().is_dir();
        if is_folder && (is_passed_over(&entry) || caches.iter().any(|cache| cache == path)) {
            walk.skip_current_dir();
        } else if is_folder && path.join("go.mod").is_file() {
            if !counted.contains(path) {
                site.uncounted.push(path.to_owned());
            }
            walk.skip_current_dir(); // another module
        } else if entry.file_type().is_file()
            && path.extension().is_some_and(|ending| ending == "go")
            && let Ok(metadata) = entry.metadata()
        {
            add(&mut site.sources, &metadata);
        }
    }
    site.uncounted.sort();
}

fn is_passed_over(folder: &DirEntry) -> bool {
    let name = folder.file_name().to_string_lossy();
    name.starts_with(['.', '_']) || ["vendor", "node_modules", "testdata"].contains(&&*name)
}

fn add(times: &mut Option<SourceTimes>, metadata: &fs::Metadata) {
    let Ok(time) = metadata.modified() else {
        return;
    };
    let time = time.into();
    let times = times.get_or_insert(SourceTimes {
        files: 0,
        oldest: time,
        newest: time,
        were_set: true,
    });
    times.files += 1;
    times.oldest = times.oldest.min(time);
    times.newest = times.newest.max(time);
    times.were_set &= was_set(metadata);
}

/// Whether a file's time was set to a whole second: by writing alone it is that
/// of its last change, and what a copy keeps has a fraction.
#[cfg(unix)]
fn was_set(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.mtime_nsec() == 0 && metadata.ctime().abs_diff(metadata.mtime()) > 2
}

#[cfg(not(unix))]
fn was_set(_: &fs::Metadata) -> bool {
    false // the file systems there may keep whole seconds only
}
