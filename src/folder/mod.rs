//! Folders of a hostile tree: listed, stat'ed and opened by name, and no
//! symbolic link ever followed.
//!
//! On Unix a [`Folder`] is an open descriptor and every step down is relative
//! to it and refuses links, so that a tree that changes underfoot cannot lead
//! the walk elsewhere; it is also the faster way, as the kernel does not
//! resolve the same long path for every file. Elsewhere it is a path, and links
//! are looked for before each step.

//! What lies below a cache's root is opened in no other way: nothing here takes
//! a path but [`Folder::open`], for a root, and [`Root`], which goes down from it.

#[cfg(not(unix))]
mod by_path;
pub(crate) mod ordinary;
mod root;
#[cfg(unix)]
mod unix;

use chrono::{DateTime, Utc};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::path::{Component, Path};

#[cfg(not(unix))]
pub use by_path::Folder;
pub use root::Root;
#[cfg(unix)]
pub use unix::Folder;

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link; never followed.
    Link,
    /// A pipe, socket or device.
    Other,
}

/// A name in a folder.
#[derive(Clone, Debug)]
pub struct DirEntry {
    /// The name, possibly not UTF-8.
    pub name: OsString,
    /// What it stands for.
    pub kind: Kind,
}

/// What the file system says of a name, links not followed.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Length in bytes.
    pub bytes: u64,
    /// Modification time.
    pub modified: DateTime<Utc>,
    /// Access time, as far as the mount keeps it.
    pub accessed: DateTime<Utc>,
    /// Whether its times are this user's to set: they are its owner's and
    /// root's alone. True where the platform does not tell owners apart.
    pub own: bool,
}

impl Folder {
    /// Goes down a relative path, name by name; no link is followed.
    pub fn descend(&self, relative: &Path) -> io::Result<Folder> {
        let mut at = self.again()?;
        for part in relative.components() {
            let Component::Normal(name) = part else {
                let message = "not a path below this folder";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            };
            at = at.folder(name)?;
        }
        Ok(at)
    }

    /// Opens a folder in this one, which is made if it is not there.
    pub fn folder_or_new(&self, name: &OsStr) -> io::Result<Folder> {
        match self.folder(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Another thread may have been as quick.
                match self.create_folder(name) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                    _ => self.folder(name),
                }
            }
            opened => opened,
        }
    }

    /// Reads a small regular file; one that is longer than `limit` is an error.
    pub fn read_up_to(&self, name: &OsStr, limit: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        self.file(name)?
            .take(limit.saturating_add(1))
            .read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            let message = format!("is longer than {limit} bytes, which Go never writes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(content)
    }
}

/// A time from seconds and nanoseconds; what cannot be a date becomes the epoch.
fn time(seconds: i64, nanos: u32) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, nanos).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn lists_stats_and_reads() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/file"), "content").unwrap();
        let sub = Folder::open(dir.path())
            .unwrap()
            .folder("sub".as_ref())
            .unwrap();
        let entries = sub.entries().unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (&entries[0].name, entries[0].kind),
            (&"file".into(), Kind::File)
        );
        let stat = sub.stat("file".as_ref()).unwrap();
        assert_eq!((stat.kind, stat.bytes), (Kind::File, 7));
        let mut text = String::new();
        sub.file("file".as_ref())
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "content");
    }

    #[cfg(unix)]
    #[test]
    fn links_and_pipes_are_neither_followed_nor_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::fs::write(dir.path().join("real/file"), "secret").unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("dirlink")).unwrap();
        std::os::unix::fs::symlink("real/file", dir.path().join("link")).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        assert!(folder.folder("dirlink".as_ref()).is_err());
        assert!(folder.file("link".as_ref()).is_err());
        assert_eq!(folder.stat("link".as_ref()).unwrap().kind, Kind::Link);
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap();
        assert!(made.success());
        let mut nothing = Vec::new();
        let mut pipe = folder.file("pipe".as_ref()).unwrap();
        assert_eq!(pipe.read_to_end(&mut nothing).unwrap(), 0);
    }
}
