//! A file system that tests make up.

use super::disk::Disk;
use crate::settings::Environment;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

#[derive(Default)]
pub(super) struct FakeDisk {
    files: BTreeMap<PathBuf, Vec<u8>>,
    dirs: BTreeSet<PathBuf>,
    links: BTreeMap<PathBuf, PathBuf>,
}

impl FakeDisk {
    pub(super) fn file(mut self, path: &str, content: &str) -> FakeDisk {
        self.files.insert(path.into(), content.into());
        self
    }

    pub(super) fn dir(mut self, path: &str) -> FakeDisk {
        self.dirs.insert(path.into());
        self
    }

    pub(super) fn link(mut self, path: &str, target: &str) -> FakeDisk {
        self.links.insert(path.into(), target.into());
        self
    }
}

impl Disk for FakeDisk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let content = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        if content.len() as u64 > limit {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(content.clone())
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        match (self.dirs.contains(path), self.files.contains_key(path)) {
            (false, false) => Err(io::ErrorKind::NotFound.into()),
            (dir, _) => Ok(dir),
        }
    }

    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        self.links
            .get(path)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

pub(super) fn environment(os: &str, vars: &[(&str, &str)]) -> Environment {
    Environment {
        vars: vars
            .iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect(),
        cwd: PathBuf::from("/work"),
        os: os.to_owned(),
        arch: "amd64".to_owned(),
    }
}
