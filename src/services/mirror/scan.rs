//! Reads a storage's tree. Never fails on odd content: what is odd is listed.

use std::ffi::OsStr;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::{Layout, Mirror, Oddity, StoredFile, StoredVersion};
use crate::folder::{Folder, Kind};
use crate::formats::module::{
    AtVName, ModuleVersion, PieceKind, check_path, parse_at_v_name, unescape_path,
};
use crate::formats::semver;

/// Deeper folders are not descended into: a module path has at most 255 bytes.
const MAX_DEPTH: usize = 130;

/// Tells the layout of a storage by what is first found in it.
///
/// `None` when neither is: the storage may be empty.
pub fn detect(root: &Path) -> Option<Layout> {
    let mut found = None;
    let walk = walkdir::WalkDir::new(root)
        .follow_links(false)
        .sort_by_file_name();
    for entry in walk.into_iter().flatten() {
        let name = entry.file_name();
        if name == "@v" && entry.file_type().is_dir() {
            found = Some(Layout::Goproxy);
        } else if name == "source.zip" && entry.file_type().is_file() {
            found = Some(Layout::Athens);
        }
        if found.is_some() {
            break;
        }
    }
    found
}

/// Reads the tree under `root`.
///
/// # Errors
/// When the root itself cannot be opened.
pub fn scan(root: &Path, layout: Layout) -> std::io::Result<Mirror> {
    let folder = Folder::open(root)?;
    let mut walk = Walk {
        layout,
        mirror: Mirror::default(),
    };
    walk.module_folder(&folder, Path::new(""), 0);
    walk.mirror.versions.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(walk.mirror)
}

struct Walk {
    layout: Layout,
    mirror: Mirror,
}

impl Walk {
    fn odd(&mut self, path: &Path, what: impl Into<String>) {
        self.mirror.oddities.push(Oddity {
            path: path.to_owned(),
            what: what.into(),
            unreadable: false,
        });
    }

    fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        self.mirror.oddities.push(Oddity {
            path: path.to_owned(),
            what: error.to_string(),
            unreadable: true,
        });
    }

    fn entries(&mut self, folder: &Folder, path: &Path) -> Vec<crate::folder::DirEntry> {
        match folder.entries() {
            Ok(mut entries) => {
                entries.sort_by(|a, b| a.name.cmp(&b.name));
                entries
            }
            Err(error) => {
                self.unreadable(path, &error);
                Vec::new()
            }
        }
    }

    /// Calls `then` with the folder `name` within `parent`.
    fn within(
        &mut self,
        parent: &Folder,
        path: &Path,
        name: &OsStr,
        then: impl FnOnce(&mut Self, &Folder, &Path),
    ) {
        let path = path.join(name);
        match parent.folder(name) {
            Ok(folder) => then(self, &folder, &path),
            Err(error) => self.unreadable(&path, &error),
        }
    }

    /// A folder that is part of a module path.
    fn module_folder(&mut self, folder: &Folder, path: &Path, depth: usize) {
        if depth > MAX_DEPTH {
            return self.odd(path, "folders nested too deep for any module path");
        }
        for entry in self.entries(folder, path) {
            let name = entry.name.as_os_str();
            if entry.kind != Kind::Folder {
                // A module cache's download folder has lock files and the like here.
                self.odd(&path.join(name), "no storage has a file here");
            } else if self.layout == Layout::Goproxy && depth == 0 && name == "sumdb" {
                // What a proxy keeps of checksum databases; no module versions.
            } else if self.layout == Layout::Goproxy && name == "@v" {
                self.within(folder, path, name, Self::at_v_folder);
            } else if self.layout == Layout::Athens && is_version(name) {
                self.within(folder, path, name, Self::athens_version);
            } else {
                self.within(folder, path, name, |walk, folder, path| {
                    walk.module_folder(folder, path, depth + 1);
                });
            }
        }
    }

    /// `MODULE/@v` of a GOPROXY tree.
    fn at_v_folder(&mut self, folder: &Folder, path: &Path) {
        let module = path.parent().and_then(Path::to_str).map(slashes);
        let Some(module) = module.and_then(|module| unescape_path(&module).ok()) else {
            return self.odd(path, "its folder is not an escaped module path");
        };
        let mut versions: std::collections::BTreeMap<String, StoredVersion> = Default::default();
        for entry in self.entries(folder, path) {
            let place = path.join(&entry.name);
            let name = entry.name.to_str().filter(|_| entry.kind == Kind::File);
            let file = match name.map(parse_at_v_name) {
                // Of a module cache's download folder.
                Some(AtVName::Piece(file)) if file.piece > PieceKind::ZipHash => continue,
                Some(AtVName::Piece(file)) => file,
                Some(AtVName::List) => continue,
                _ => {
                    self.odd(&place, "not a file of any version");
                    continue;
                }
            };
            let Some((stored, time)) = self.file(folder, &entry.name, &place) else {
                continue;
            };
            let version = versions.entry(file.version.clone()).or_insert_with(|| {
                StoredVersion::empty(ModuleVersion::new(&module, &file.version))
            });
            version.add(file.piece, stored, time);
        }
        self.mirror.versions.extend(versions.into_values());
    }

    /// `MODULE/VERSION` of Athens' storage.
    fn athens_version(&mut self, folder: &Folder, path: &Path) {
        let module = path.parent().and_then(Path::to_str).map(slashes);
        let version = path
            .file_name()
            .and_then(OsStr::to_str)
            .unwrap_or_default()
            .to_owned();
        let Some(module) = module.filter(|module| check_path(module).is_ok()) else {
            return self.odd(path, "its folder is not a module path");
        };
        let mut stored = StoredVersion::empty(ModuleVersion::new(module, &version));
        let info = format!("{version}.info");
        for entry in self.entries(folder, path) {
            let place = path.join(&entry.name);
            let name = entry.name.to_str().filter(|_| entry.kind == Kind::File);
            let piece = match name {
                Some("go.mod") => PieceKind::Mod,
                Some("source.zip") => PieceKind::Zip,
                Some(name) if name == info => PieceKind::Info,
                _ => {
                    self.odd(
                        &place,
                        "not a file of this version; Athens takes it for incomplete",
                    );
                    continue;
                }
            };
            if let Some((file, time)) = self.file(folder, &entry.name, &place) {
                stored.add(piece, file, time);
            }
        }
        if !stored.files.is_empty() {
            self.mirror.versions.push(stored);
        }
    }

    fn file(
        &mut self,
        folder: &Folder,
        name: &OsStr,
        place: &Path,
    ) -> Option<(StoredFile, DateTime<Utc>)> {
        match folder.stat(name) {
            Ok(stat) => {
                let file = StoredFile {
                    path: place.to_owned(),
                    bytes: stat.bytes,
                };
                Some((file, stat.modified))
            }
            Err(error) => {
                self.unreadable(place, &error);
                None
            }
        }
    }
}

fn slashes(path: &str) -> String {
    path.replace(std::path::MAIN_SEPARATOR, "/")
}

/// Whether Athens would list a folder of this name as a version
/// (`pkg/storage/fs/lister.go`).
fn is_version(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(semver::is_canonical_module_version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[cfg(unix)]
    #[test]
    fn odd_content_is_listed_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at_v = dir.path().join("golang.org/x/mod/@v");
        fs::create_dir_all(&at_v).unwrap();
        fs::create_dir_all(dir.path().join("Upper/@v")).unwrap();
        for name in [
            "v0.1.0.zip",
            "v0.1.0.mod",
            "v0.1.0.lock",
            "list",
            "master.info",
            "x",
        ] {
            fs::write(at_v.join(name), "12345").unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", at_v.join("v0.2.0.zip")).unwrap();
        std::os::unix::fs::symlink("golang.org", dir.path().join("linked.example")).unwrap();
        assert_eq!(detect(dir.path()), Some(Layout::Goproxy));
        let mirror = scan(dir.path(), Layout::Goproxy).unwrap();
        let ids: Vec<_> = mirror
            .versions
            .iter()
            .map(|version| version.id.to_string())
            .collect();
        assert_eq!(ids, ["golang.org/x/mod@v0.1.0"]);
        assert_eq!(mirror.versions[0].bytes(), 10);
        let odd: Vec<_> = mirror
            .oddities
            .iter()
            .map(|odd| odd.path.to_str().unwrap())
            .collect();
        assert_eq!(
            odd,
            [
                "Upper/@v",
                "golang.org/x/mod/@v/master.info",
                "golang.org/x/mod/@v/v0.2.0.zip",
                "golang.org/x/mod/@v/x",
                "linked.example",
            ]
        );
    }

    #[test]
    fn an_empty_storage_has_no_layout() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(detect(dir.path()), None);
        assert!(
            scan(dir.path(), Layout::Athens)
                .unwrap()
                .versions
                .is_empty()
        );
        assert!(scan(&dir.path().join("none"), Layout::Athens).is_err());
    }
}
