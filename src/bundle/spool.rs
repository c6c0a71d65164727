//! A zip on its way through: kept for as long as it takes to hash its files,
//! which stand in it in another order than they are read.

use crate::formats::h1::H1;
use crate::formats::module::ModuleVersion;
use crate::verify::ZipError;
use std::io::{self, Write};

#[cfg(unix)]
pub(super) use nameless::Spool;

/// A file without a name, so that nothing is left of it whatever happens.
#[cfg(unix)]
mod nameless {
    use super::{H1, ModuleVersion, Write, ZipError, io};
    use crate::findings::display_path;
    use crate::verify::{Buffers, zip_h1_with};
    use std::fs::{self, File};
    use std::io::Seek;
    use std::os::unix::fs::OpenOptionsExt;

    /// Names that are tried: more than one process would leave behind.
    const TRIES: u32 = 100;

    pub(in super::super) struct Spool(File);

    impl Spool {
        pub(in super::super) fn new() -> io::Result<Spool> {
            let dir = std::env::temp_dir();
            let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
            for number in 0..TRIES {
                let name = format!("gocachevet-{}-{number}", crate::parallel::process_id());
                let path = dir.join(name);
                let mut options = File::options();
                options.read(true).write(true).create_new(true).mode(0o600);
                match options.open(&path) {
                    Ok(file) => {
                        fs::remove_file(&path)?;
                        return Ok(Spool(file));
                    }
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                    Err(error) => {
                        last = error;
                        break;
                    }
                }
            }
            let dir = display_path(&dir);
            let message = format!(
                "no temporary file could be made in {dir}: {last}; TMPDIR names another folder"
            );
            Err(io::Error::new(last.kind(), message))
        }

        pub(in super::super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.0.write_all(bytes)
        }

        /// The h1 of what was written, if it is a zip of this module.
        pub(in super::super) fn h1(mut self, id: &ModuleVersion) -> Result<H1, ZipError> {
            self.0.rewind()?;
            zip_h1_with(id, self.0, &mut Buffers::new(1))
        }
    }
}

#[cfg(not(unix))]
pub(super) struct Spool(Vec<u8>);

#[cfg(not(unix))]
impl Spool {
    pub(super) fn new() -> io::Result<Spool> {
        Ok(Spool(Vec::new()))
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    pub(super) fn h1(self, id: &ModuleVersion) -> Result<H1, ZipError> {
        crate::verify::zip_h1_of(id, self.0)
    }
}
