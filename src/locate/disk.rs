//! The little that locating needs of a file system, so that its tests are tables.

use crate::folder::ordinary::read;
use std::io;
use std::path::{Path, PathBuf};

/// What locating asks of the file system.
pub(super) trait Disk {
    /// A file's content, at most `limit` bytes; a longer one is an error.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;
    /// Whether a folder (not a file) is there; links are followed.
    fn is_dir(&self, path: &Path) -> io::Result<bool>;
    /// The path with its links resolved.
    fn real(&self, path: &Path) -> io::Result<PathBuf>;
}

/// The file system of this machine.
pub(super) struct ThisMachine;

impl Disk for ThisMachine {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        read(path, limit)
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        Ok(std::fs::metadata(path)?.is_dir())
    }

    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::canonicalize(path)
    }
}
