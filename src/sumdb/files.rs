//! A database's cached files: listed once, read with limits, links not followed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use walkdir::WalkDir;

use crate::findings::display_path;

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

/// What a database's folder holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// Regular files and their lengths.
    pub files: BTreeMap<String, u64>,
    /// Links, sockets, and names that are no text.
    pub odd: Vec<String>,
    /// What could not be looked at, and why.
    pub unreadable: Vec<(String, String)>,
}

/// A folder on disk.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl Files for Folder {
    fn list(&self) -> Listing {
        let mut listing = Listing::default();
        for entry in WalkDir::new(&self.0).min_depth(1).follow_links(false) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if is_absent(&error) && error.depth() == 0 => break,
                Err(error) => {
                    let path = error.path().map(display_path).unwrap_or_default();
                    listing.unreadable.push((path, error.to_string()));
                    continue;
                }
            };
            if entry.file_type().is_dir() {
                continue;
            }
            let relative = entry.path().strip_prefix(&self.0).unwrap_or(entry.path());
            let shown = display_path(relative);
            let name = relative.to_str().filter(|_| entry.file_type().is_file());
            let Some(name) = name else {
                listing.odd.push(shown);
                continue;
            };
            if listing.files.len() >= MAX_FILES {
                let why = format!("more than {MAX_FILES} files; the rest is not looked at");
                listing.unreadable.push((display_path(&self.0), why));
                break;
            }
            let name = name.replace(std::path::MAIN_SEPARATOR, "/");
            match entry.metadata() {
                Ok(metadata) => {
                    listing.files.insert(name, metadata.len());
                }
                Err(error) => listing.unreadable.push((shown, error.to_string())),
            }
        }
        listing
    }

    fn read(&self, file: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let path = self.0.join(file);
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut bytes = Vec::new();
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

fn is_absent(error: &walkdir::Error) -> bool {
    error
        .io_error()
        .is_some_and(|e| e.kind() == io::ErrorKind::NotFound)
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
    fn links_are_odd_and_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("db");
        std::fs::create_dir_all(root.join("tile/8")).unwrap();
        std::fs::write(dir.path().join("secret"), "secret").unwrap();
        std::fs::write(root.join("tile/8/plain"), "12345").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret"), root.join("link")).unwrap();
        std::os::unix::fs::symlink(dir.path(), root.join("up")).unwrap();
        let folder = Folder(root);

        let mut listing = folder.list();
        crate::sorting::sort(&mut listing.odd);
        assert_eq!(
            listing.files,
            BTreeMap::from([("tile/8/plain".to_owned(), 5)])
        );
        assert_eq!(listing.odd, ["link", "up"]);
        assert!(folder.read("link", 100).unwrap().is_none());
        assert!(folder.read("none", 100).unwrap().is_none());
        assert_eq!(folder.read("tile/8/plain", 3).unwrap().unwrap(), b"1234");
    }

    #[test]
    fn a_folder_that_is_not_there_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let listing = Folder(dir.path().join("none")).list();
        assert!(
            listing.files.is_empty() && listing.odd.is_empty() && listing.unreadable.is_empty()
        );
    }
}
