use super::{DirEntry, Kind, Stat, time};
use chrono::{DateTime, Utc};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, fchmod, mkdirat, openat, readlinkat,
    renameat, statat, unlinkat, utimensat,
};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
}

impl Folder {
    /// Opens the top of a tree. Only here links are followed: the user named it.
    pub fn open(path: &Path) -> io::Result<Folder> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(rustix::fs::CWD, path, flags, Mode::empty())?;
        Ok(Folder { fd })
    }

    /// This folder once more.
    pub fn again(&self) -> io::Result<Folder> {
        Ok(Folder {
            fd: self.fd.try_clone()?,
        })
    }

    /// Opens a folder in this one.
    pub fn folder(&self, name: &OsStr) -> io::Result<Folder> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = openat(&self.fd, name, flags, Mode::empty())?;
        Ok(Folder { fd })
    }

    /// Opens a regular file in this folder for reading.
    ///
    /// That it is a regular file was seen in the listing. Should a pipe have
    /// taken its name since, opening does not wait for a writer and reading
    /// finds nothing; readers bound how much they take of anything.
    pub fn file(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let fd = openat(&self.fd, name, flags, Mode::empty())?;
        Ok(File::from(fd))
    }

    /// Everything in it but `.` and `..`, in the file system's order.
    pub fn entries(&self) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        self.each_name(|name, kind| {
            let name = OsStr::from_bytes(name);
            let kind = match kind {
                // Some file systems do not tell in the listing.
                FileType::Unknown => self.stat(name)?.kind,
                known => kind_of(known),
            };
            if name != "." && name != ".." {
                entries.push(DirEntry {
                    name: name.to_owned(),
                    kind,
                });
            }
            Ok(())
        })?;
        Ok(entries)
    }

    /// Lists by the descriptor itself, without opening the folder once more:
    /// trees have one folder for every four files.
    #[cfg(target_os = "linux")]
    fn each_name(&self, mut each: impl FnMut(&[u8], FileType) -> io::Result<()>) -> io::Result<()> {
        let mut buffer = [const { std::mem::MaybeUninit::uninit() }; 32 * 1024];
        rustix::fs::seek(&self.fd, rustix::fs::SeekFrom::Start(0))?;
        let mut names = rustix::fs::RawDir::new(&self.fd, &mut buffer);
        while let Some(entry) = names.next() {
            let entry = entry?;
            each(entry.file_name().to_bytes(), entry.file_type())?;
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn each_name(&self, mut each: impl FnMut(&[u8], FileType) -> io::Result<()>) -> io::Result<()> {
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            each(entry.file_name().to_bytes(), entry.file_type())?;
        }
        Ok(())
    }

    /// Opens a file in this folder for reading and writing; `create` makes it
    /// if it is not there.
    pub fn edit(&self, name: &OsStr, create: bool) -> io::Result<File> {
        let mut flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        flags.set(OFlags::CREATE, create);
        // As Go makes its own files: the umask takes its part.
        let fd = openat(&self.fd, name, flags, Mode::from_raw_mode(0o666))?;
        Ok(File::from(fd))
    }

    /// Makes a file that is not there yet, for writing.
    pub fn create(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::CREATE | OFlags::EXCL;
        let fd = openat(&self.fd, name, flags, Mode::from_raw_mode(0o666))?;
        Ok(File::from(fd))
    }

    /// Makes a file that is not there yet and that nobody shall write again.
    #[cfg(target_os = "linux")]
    pub fn create_read_only(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::CREATE | OFlags::EXCL;
        let fd = openat(&self.fd, name, flags, Mode::from_raw_mode(0o444))?;
        Ok(File::from(fd))
    }

    /// Makes a folder that is not there yet.
    pub fn create_folder(&self, name: &OsStr) -> io::Result<()> {
        Ok(mkdirat(&self.fd, name, Mode::from_raw_mode(0o777))?)
    }

    /// Removes a name that is no folder; a link goes, never what it leads to.
    pub fn unlink(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Removes an empty folder.
    pub fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
    }

    /// Gives a name in this folder another one in it.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Gives a name in this folder one that is not taken yet.
    #[cfg(target_os = "linux")]
    pub fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        use rustix::fs::{RenameFlags, renameat_with};
        match renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            // Some file systems do not know how: then it is looked for before.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => match self.stat(to) {
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                Err(_) => self.rename(from, to),
            },
            renamed => Ok(renamed?),
        }
    }

    /// Lets nobody change it, as Go does with the folders of extracted trees.
    #[cfg(target_os = "linux")]
    pub fn make_read_only(&self) -> io::Result<()> {
        let mode = Mode::from_raw_mode(rustix::fs::fstat(&self.fd)?.st_mode);
        let write = Mode::WUSR | Mode::WGRP | Mode::WOTH;
        Ok(fchmod(&self.fd, mode - write)?)
    }

    /// Lets its owner list and change it. Go makes the folders of extracted
    /// trees read-only.
    pub fn make_writable(&self) -> io::Result<()> {
        let mode = rustix::fs::fstat(&self.fd)?.st_mode;
        Ok(fchmod(&self.fd, Mode::from_raw_mode(mode) | Mode::RWXU)?)
    }

    /// What the file system says of `name`.
    pub fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        let stat = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Stat {
            kind: kind_of(FileType::from_raw_mode(stat.st_mode)),
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            modified: time(
                stat.st_mtime,
                u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            ),
            accessed: time(
                stat.st_atime,
                u32::try_from(stat.st_atime_nsec).unwrap_or(0),
            ),
            own: may_set_times(stat.st_uid),
        })
    }

    /// What a symbolic link says.
    pub fn link_target(&self, name: &OsStr) -> io::Result<PathBuf> {
        let target = readlinkat(&self.fd, name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// Sets access and modification time of `name`, as Go does it.
    pub fn set_time(&self, name: &OsStr, time: DateTime<Utc>) -> io::Result<()> {
        let time = Timespec {
            tv_sec: time.timestamp(),
            tv_nsec: time.timestamp_subsec_nanos().into(),
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        Ok(utimensat(
            &self.fd,
            name,
            &times,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }
}

/// Whether this process may set the times of what `owner` has.
fn may_set_times(owner: u32) -> bool {
    static USER: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    let user = *USER.get_or_init(|| rustix::process::geteuid().as_raw());
    user == 0 || user == owner
}

fn kind_of(kind: FileType) -> Kind {
    match kind {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    }
}
