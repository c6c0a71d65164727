//! The `.mod` files of a module cache on disk.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::ModFiles;
use super::project::read_limited;
use crate::formats::module::{self, ModuleVersion};

/// Reads `.mod` files from a module cache, and the `go.mod` files of folders that replace modules.
#[derive(Debug)]
pub struct ModCache {
    download: PathBuf,
}

impl ModCache {
    /// A module cache by its root folder (`GOMODCACHE`).
    pub fn new(modcache: &Path) -> Self {
        Self {
            download: modcache.join("cache").join("download"),
        }
    }
}

impl ModFiles for ModCache {
    fn go_mod(&self, module: &ModuleVersion) -> io::Result<Option<Vec<u8>>> {
        let path = module::escape_path(&module.path).map_err(io::Error::other)?;
        let version = module::escape_version(&module.version).map_err(io::Error::other)?;
        let name = format!("{version}.mod");
        let path = Path::new(&path).join("@v").join(name);
        open_below(&self.download, &path)?
            .map(read_limited)
            .transpose()
    }

    fn local_go_mod(&self, dir: &Path) -> io::Result<Option<Vec<u8>>> {
        match crate::locate::open(&dir.join("go.mod")) {
            Ok(file) => read_limited(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Opens a file of the cache by a path that a hostile `go.mod` may have made up: it must not lead
/// out of the cache, nor through a symbolic link in it.
fn open_below(root: &Path, path: &Path) -> io::Result<Option<File>> {
    let mut full = root.to_owned();
    for component in path.components() {
        let Component::Normal(name) = component else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a module path",
            ));
        };
        full.push(name);
        match fs::symlink_metadata(&full) {
            Ok(meta) if meta.is_symlink() => {
                return Err(io::Error::other("a symbolic link leads there"));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    if !fs::symlink_metadata(&full)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    File::open(full).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go_mod(root: &Path, path: &str) -> io::Result<Option<Vec<u8>>> {
        let module = ModuleVersion::new(path, "v1.0.0");
        ModCache::new(root).go_mod(&module)
    }

    #[test]
    fn a_file_is_found_by_its_escaped_name_and_nothing_else_is() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("cache/download/example.com/!up/@v");
        fs::create_dir_all(dir.join("v2.0.0.mod")).unwrap();
        fs::write(dir.join("v1.0.0.mod"), "module example.com/Up\n").unwrap();
        fs::write(root.path().join("v1.0.0.mod"), "outside").unwrap();

        let found = go_mod(root.path(), "example.com/Up").unwrap().unwrap();
        assert_eq!(found, b"module example.com/Up\n");
        assert_eq!(go_mod(root.path(), "example.com/down").unwrap(), None);
        for hostile in ["../../x", "/etc", "a/../b", "nul\0"] {
            assert!(
                !matches!(go_mod(root.path(), hostile), Ok(Some(_))),
                "{hostile:?}"
            );
        }
        let folder = ModuleVersion::new("example.com/Up", "v2.0.0");
        assert!(ModCache::new(root.path()).go_mod(&folder).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn symbolic_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let download = root.path().join("cache/download");
        fs::create_dir_all(download.join("real.org/@v")).unwrap();
        fs::write(download.join("real.org/@v/v1.0.0.mod"), "module real.org\n").unwrap();
        std::os::unix::fs::symlink(download.join("real.org"), download.join("link.org")).unwrap();
        assert!(go_mod(root.path(), "real.org").unwrap().is_some());
        assert!(go_mod(root.path(), "link.org").is_err());
    }
}
