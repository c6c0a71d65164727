//! Where nothing can be made writable, whether it is has to be known first.

use super::door::Refusal;
use crate::folder::{Folder, Kind};
use crate::plan::{Part, Plan, Target};
use crate::scan::Inventory;
use std::io;
use std::path::{Path, PathBuf};

/// Refuses a plan that removes a tree which this process may not change.
///
/// Go makes its trees read-only. Elsewhere they are made writable on the way;
/// WASI can neither do that nor tell the mode, so that a removal would end
/// half way. There is no other way to know than to try.
pub fn refuse_read_only_trees(plan: &Plan, inventory: &Inventory) -> Result<(), Refusal> {
    let Some(cache) = &inventory.modcache else {
        return Ok(());
    };
    for path in trees(plan, inventory) {
        // A tree that is gone, or no folder, is found out when its turn comes.
        let opened = || cache.folders()?.folder(cache.relative(&path)?);
        let Ok(folder) = opened() else {
            continue;
        };
        if !probe(&path, &folder, &cache.root.join("cache")) {
            return Err(Refusal {
                path,
                why: "is read-only, and WASI cannot make it writable (use the native program, or let Go write with -modcacherw; with `--slim archive` or the build cache alone no tree is removed)",
            });
        }
    }
    Ok(())
}

/// Whether names can be taken out of `tree`, without changing anything: a file
/// cannot be renamed to a folder's name, but a folder that may not be changed is
/// found out before that.
fn probe(tree: &Path, folder: &Folder, a_folder: &Path) -> bool {
    let files = folder.entries().unwrap_or_default();
    let Some(file) = files.iter().find(|entry| entry.kind == Kind::File) else {
        return true;
    };
    match std::fs::rename(tree.join(&file.name), a_folder) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::IsADirectory,
    }
}

/// Every tree that the plan removes.
fn trees(plan: &Plan, inventory: &Inventory) -> Vec<PathBuf> {
    let Some(cache) = &inventory.modcache else {
        return Vec::new();
    };
    let tree = |target| match target {
        Target::Version(_, Part::Zip | Part::ZipHash) => None,
        Target::Version(index, _) => {
            let version = cache.versions.get(index)?;
            version.tree.as_ref()?;
            Some(cache.tree_path(&version.id))
        }
        Target::Residue(index) => Some(cache.residue.get(index)?.path.clone()),
        _ => None,
    };
    let targets = plan.steps.iter().map(|step| step.target);
    targets.filter_map(tree).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_probe_changes_nothing() {
        let top = tempfile::tempdir().unwrap();
        let (tree, cache) = (top.path().join("m@v1"), top.path().join("cache"));
        fs::create_dir(&tree).unwrap();
        fs::create_dir(&cache).unwrap();
        fs::write(tree.join("go.mod"), "module m").unwrap();
        let before = fs::metadata(&tree).unwrap().modified().unwrap();
        assert!(probe(&tree, &Folder::open(&tree).unwrap(), &cache));
        assert_eq!(fs::metadata(&tree).unwrap().modified().unwrap(), before);
        assert_eq!(fs::read_dir(&tree).unwrap().count(), 1);
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
    }
}
