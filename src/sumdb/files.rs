//! A database's cached files: listed once, read with limits, links not followed.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use crate::findings::display_path;
use crate::folder::{self, Kind};

/// More files than this in one database's folder are not looked at: at the
/// sizes Go writes they would be gigabytes.
const MAX_FILES: usize = 1_000_000;

/// The files of one database, relative to its folder, with `/` between names.
pub trait Files {
    /// Lists every file.
    fn list(&self) -> Listing;

    /// Reads a file, `limit` + 1 bytes at most, so that the caller can tell
    /// when it is longer. `None` if there is no such regular file.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn read(&self, file: &str, limit: usize) -> io::Result<Option<Vec<u8>>>;
}

/// Deeper than any lookup of a module whose path Go takes.
const MAX_DEPTH: usize = 200;

/// What a database's folder holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// Regular files and their lengths.
    pub files: BTreeMap<String, u64>,
    /// Sockets and the like, and names that are no text. Links are told of by
    /// who scans the whole cache.
    pub odd: Vec<String>,
    /// What could not be looked at, and why.
    pub unreadable: Vec<(String, String)>,
}

/// A folder on disk, opened if it could be; one that is not there is empty.
#[derive(Debug)]
pub struct SumdbFolder(pub io::Result<folder::Folder>);

impl Files for SumdbFolder {
    fn list(&self) -> Listing {
        let mut listing = Listing::default();
        match &self.0 {
            Ok(folder) => listing.add(folder, "", 0),
            Err(error) => listing.unread("", error),
        }
        listing
    }

    fn read(&self, file: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let (parent, name) = file.rsplit_once('/').unwrap_or(("", file));
        let open = || {
            let top = self.0.as_ref().map_err(|error| error.kind())?;
            let folder = top.descend(Path::new(parent))?;
            match folder.stat(name.as_ref())?.kind {
                Kind::File => folder.file(name.as_ref()).map(Some),
                _ => Ok(None),
            }
        };
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => opened?,
        };
        let Some(file) = file else { return Ok(None) };
        let mut bytes = Vec::new();
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// Whether there is no such folder. A link in its place is no folder either, and
/// is told of by who scans the whole cache.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

impl Listing {
    fn unread(&mut self, path: &str, error: &io::Error) {
        if !is_absent(error) {
            self.unreadable.push((path.to_owned(), error.to_string()));
        }
    }

    fn add(&mut self, folder: &folder::Folder, path: &str, depth: usize) {
        if depth >= MAX_DEPTH {
            let why = format!("lies more than {MAX_DEPTH} folders deep");
            return self.unreadable.push((path.to_owned(), why));
        }
        let entries = match folder.entries() {
            Ok(entries) => entries,
            Err(error) => return self.unread(path, &error),
        };
        for entry in entries {
            if self.files.len() >= MAX_FILES {
                let why = format!("more than {MAX_FILES} files; the rest is not looked at");
                return self.unreadable.push((path.to_owned(), why));
            }
            let inner = |name: &str| match path {
                "" => name.to_owned(),
                _ => format!("{path}/{name}"),
            };
            let shown = inner(&display_path(Path::new(&entry.name)));
            match (entry.kind, entry.name.to_str()) {
                (Kind::Link, _) => {}
                (Kind::Folder, _) => match folder.folder(&entry.name) {
                    Ok(below) => self.add(&below, &shown, depth + 1),
                    Err(error) => self.unread(&shown, &error),
                },
                (Kind::File, Some(name)) => match folder.stat(&entry.name) {
                    Ok(stat) => {
                        self.files.insert(inner(name), stat.bytes);
                    }
                    Err(error) => self.unread(&shown, &error),
                },
                (Kind::File | Kind::Other, _) => self.odd.push(shown),
            }
        }
    }
}

/// Files in memory, as answers over the network are.
impl Files for BTreeMap<String, Vec<u8>> {
    fn list(&self) -> Listing {
        let files = self
            .iter()
            .map(|(name, bytes)| (name.clone(), bytes.len() as u64));
        Listing {
            files: files.collect(),
            ..Listing::default()
        }
    }

    fn read(&self, file: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let most = limit.saturating_add(1);
        Ok(self
            .get(file)
            .map(|bytes| bytes.iter().take(most).copied().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn links_are_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("db");
        std::fs::create_dir_all(root.join("tile/8")).unwrap();
        std::fs::write(dir.path().join("secret"), "secret").unwrap();
        std::fs::write(root.join("tile/8/plain"), "12345").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret"), root.join("link")).unwrap();
        std::os::unix::fs::symlink(dir.path(), root.join("up")).unwrap();
        let folder = SumdbFolder(folder::Folder::open(&root));

        let listing = folder.list();
        assert_eq!(
            listing.files,
            BTreeMap::from([("tile/8/plain".to_owned(), 5)])
        );
        assert!(folder.read("link", 100).unwrap().is_none());
        assert!(folder.read("up/secret", 100).is_err());
        assert!(folder.read("none", 100).unwrap().is_none());
        assert_eq!(folder.read("tile/8/plain", 3).unwrap().unwrap(), b"1234");
    }

    #[test]
    fn a_folder_that_is_not_there_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let listing = SumdbFolder(folder::Folder::open(&dir.path().join("none"))).list();
        assert!(
            listing.files.is_empty() && listing.odd.is_empty() && listing.unreadable.is_empty()
        );
    }
}
