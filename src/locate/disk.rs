//! The little that locating needs of a file system, so that its tests are tables.

use std::fs::File;
use std::io::{self, Read};
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

/// Opens an ordinary file for reading. A pipe or a device, which might never end,
/// is refused, and its opening does not wait for anybody.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let file = options.open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "is not an ordinary file",
        )),
    }
}

/// Reads an ordinary file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("is longer than {limit} bytes"),
        ));
    }
    Ok(content)
}
