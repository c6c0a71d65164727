use super::{DirEntry, Kind, Stat, time};
use chrono::{DateTime, Utc};
use std::ffi::OsStr;
use std::fs::{self, File, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A folder, by its path.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens the top of a tree. Only here links are followed: the user named it.
    pub fn open(path: &Path) -> io::Result<Folder> {
        if fs::metadata(path)?.is_dir() {
            Ok(Folder {
                path: path.to_owned(),
            })
        } else {
            Err(io::Error::new(io::ErrorKind::NotADirectory, "not a folder"))
        }
    }

    /// This folder once more.
    pub fn again(&self) -> io::Result<Folder> {
        Ok(Folder {
            path: self.path.clone(),
        })
    }

    /// Opens a folder in this one.
    pub fn folder(&self, name: &OsStr) -> io::Result<Folder> {
        self.expect(name, Kind::Folder, "not a folder")?;
        Ok(Folder {
            path: self.path.join(name),
        })
    }

    /// Opens a regular file in this folder for reading.
    pub fn file(&self, name: &OsStr) -> io::Result<File> {
        self.expect(name, Kind::File, "not a regular file")?;
        File::open(self.path.join(name))
    }

    /// Everything in it, in the file system's order.
    pub fn entries(&self) -> io::Result<Vec<DirEntry>> {
        let entry = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            Ok(DirEntry {
                name: entry.file_name(),
                kind: kind_of(entry.file_type()?),
            })
        };
        fs::read_dir(&self.path)?.map(entry).collect()
    }

    /// Opens a file in this folder for reading and writing; `create` makes it
    /// if it is not there.
    pub fn edit(&self, name: &OsStr, create: bool) -> io::Result<File> {
        match self.expect(name, Kind::File, "not a regular file") {
            Err(error) if create && error.kind() == io::ErrorKind::NotFound => {}
            looked => looked?,
        }
        File::options()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .open(self.path.join(name))
    }

    /// Makes a file that is not there yet, for writing.
    pub fn create(&self, name: &OsStr) -> io::Result<File> {
        File::create_new(self.path.join(name))
    }

    /// Makes a folder that is not there yet.
    pub fn create_folder(&self, name: &OsStr) -> io::Result<()> {
        fs::create_dir(self.path.join(name))
    }

    /// Removes a name that is no folder; a link goes, never what it leads to.
    pub fn unlink(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    /// Removes an empty folder.
    pub fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_dir(self.path.join(name))
    }

    /// Gives a name in this folder another one in it.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    /// Lets its owner list and change it, where the platform has such a right
    /// to give.
    pub fn make_writable(&self) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    /// What the file system says of `name`.
    pub fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        let metadata = fs::symlink_metadata(self.path.join(name))?;
        Ok(Stat {
            kind: kind_of(metadata.file_type()),
            bytes: metadata.len(),
            modified: since_epoch(Metadata::modified, &metadata),
            accessed: since_epoch(Metadata::accessed, &metadata),
            own: true,
        })
    }

    /// What a symbolic link says.
    pub fn link_target(&self, name: &OsStr) -> io::Result<PathBuf> {
        fs::read_link(self.path.join(name))
    }

    /// Sets access and modification time of a file, as Go does it.
    pub fn set_time(&self, name: &OsStr, time: DateTime<Utc>) -> io::Result<()> {
        self.expect(name, Kind::File, "not a regular file")?;
        let time = SystemTime::from(time);
        let times = fs::FileTimes::new().set_accessed(time).set_modified(time);
        // Opened for writing, which is what Windows asks for; nothing is written.
        File::options()
            .write(true)
            .open(self.path.join(name))?
            .set_times(times)
    }

    fn expect(&self, name: &OsStr, kind: Kind, message: &'static str) -> io::Result<()> {
        if self.stat(name)?.kind == kind {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
    }
}

fn since_epoch(
    which: fn(&Metadata) -> io::Result<SystemTime>,
    metadata: &Metadata,
) -> chrono::DateTime<chrono::Utc> {
    let since = which(metadata)
        .ok()
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .unwrap_or_default();
    time(
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        since.subsec_nanos(),
    )
}

fn kind_of(kind: FileType) -> Kind {
    if kind.is_file() {
        Kind::File
    } else if kind.is_dir() {
        Kind::Folder
    } else if kind.is_symlink() {
        Kind::Link
    } else {
        Kind::Other
    }
}
