//! Deleting a tree that is out of use.

use super::gone_is_fine;
use crate::folder::{Folder, Kind};
use crate::scan::MAX_DEPTH;
use std::ffi::OsStr;
use std::io;

/// Deletes a folder with all that is in it and returns the bytes of its files.
/// Whatever fails stays; the first error is returned when all else is gone.
pub(crate) fn remove_tree(parent: &Folder, name: &OsStr) -> io::Result<u64> {
    let mut removal = Removal {
        bytes: 0,
        error: None,
    };
    removal.folder(parent, name, 0);
    match removal.error {
        Some(error) => Err(error),
        None => Ok(removal.bytes),
    }
}

struct Removal {
    bytes: u64,
    error: Option<io::Error>,
}

impl Removal {
    fn folder(&mut self, parent: &Folder, name: &OsStr, depth: usize) {
        let folder = match parent.folder(name) {
            Ok(folder) => folder,
            Err(error) => return self.note(gone_is_fine(Err(error))),
        };
        if depth >= MAX_DEPTH {
            let message = format!("lies more than {MAX_DEPTH} folders deep");
            return self.note(Err(io::Error::other(message)));
        }
        match folder.entries() {
            Ok(entries) => {
                for entry in entries {
                    if entry.kind == Kind::Folder {
                        self.folder(&folder, &entry.name, depth + 1);
                    } else {
                        let bytes = folder.stat(&entry.name).map_or(0, |stat| stat.bytes);
                        let unlinked = writable(&folder, || folder.unlink(&entry.name));
                        self.bytes += if unlinked.is_ok() { bytes } else { 0 };
                        self.note(gone_is_fine(unlinked));
                    }
                }
            }
            // Go deletes such trees as well, and may be at it just now.
            Err(error) => self.note(gone_is_fine(Err(error))),
        }
        self.note(gone_is_fine(writable(parent, || {
            parent.remove_folder(name)
        })));
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }
}

/// Does something in a folder; if it may not be changed, makes it changeable
/// and tries again. Go makes trees' folders read-only, which stops their owner
/// but not root.
pub(super) fn writable(folder: &Folder, change: impl Fn() -> io::Result<()>) -> io::Result<()> {
    match change() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // Should this fail, the first error says what matters.
            folder.make_writable().map_err(|_| error)?;
            change()
        }
        other => other,
    }
}
