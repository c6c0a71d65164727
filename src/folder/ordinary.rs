//! Ordinary files by their paths, outside the caches: opened without waiting and
//! read with a limit.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Opens an ordinary file and nothing else: opening waits for nobody, and what
/// was opened is what is looked at.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    tracing::trace!("reading {}", path.display());
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // As an option of opening, this has no sign.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    // A look before, since opening a device can do something to it.
    if !std::fs::metadata(path)?.is_file() {
        return Err(not_ordinary());
    }
    let file = options.open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(not_ordinary()),
    }
}

fn not_ordinary() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "is not an ordinary file")
}

/// Fills a buffer from a file, and tells how far. Where `expected` bytes came and a
/// read brought less than was asked for, the file has ended: that saves a system call
/// for each of very many small files. Before that, a file system may cut a read short.
pub(crate) fn fill(file: &mut File, buffer: &mut [u8], expected: u64) -> io::Result<usize> {
    let mut filled = 0;
    loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let asked = room.len();
        match file.read(room) {
            Ok(read) => {
                filled += read;
                let is_end = read == 0 || read < asked && filled as u64 >= expected;
                if is_end || read == asked {
                    return Ok(filled);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads an ordinary file of at most `limit` bytes. A pipe or a device, which
/// might never end, is refused.
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
