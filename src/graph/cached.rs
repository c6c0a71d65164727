//! The `.mod` files of a module cache on disk.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::ModFiles;
use super::project::read_limited;
use crate::folder::{Kind, Root, ordinary};
use crate::formats::module::{MOVABLE, ModuleVersion, piece_name};

/// Reads `.mod` files from a module cache, and the `go.mod` files of folders that replace modules.
#[derive(Debug)]
pub struct CachedGoMods {
    folders: Option<Arc<Root>>,
}

impl CachedGoMods {
    /// A module cache by its root folder (`GOMODCACHE`); one that cannot be
    /// opened is empty.
    pub fn new(modcache: &Path) -> Self {
        Self::of(Root::open(modcache, MOVABLE).ok().map(Arc::new))
    }

    /// A module cache that was opened already.
    pub fn of(folders: Option<Arc<Root>>) -> Self {
        Self { folders }
    }
}

impl ModFiles for CachedGoMods {
    fn go_mod(&self, module: &ModuleVersion) -> io::Result<Option<Vec<u8>>> {
        let name = piece_name(module, "mod").map_err(io::Error::other)?;
        let path = format!("cache/download/{name}");
        let Some(folders) = &self.folders else {
            return Ok(None);
        };
        // A hostile `go.mod` may have made the path up: no link in the cache is followed.
        let open = || {
            let (folder, name) = folders.parent(path.as_ref())?;
            match folder.stat(&name)?.kind {
                Kind::File => folder.file(&name),
                Kind::Link => Err(io::Error::other("a symbolic link leads there")),
                _ => Err(io::Error::other("not a regular file")),
            }
        };
        match open() {
            Ok(file) => read_limited(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn local_go_mod(&self, dir: &Path) -> io::Result<Option<Vec<u8>>> {
        match ordinary::open(&dir.join("go.mod")) {
            Ok(file) => read_limited(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn go_mod(root: &Path, path: &str) -> io::Result<Option<Vec<u8>>> {
        let module = ModuleVersion::new(path, "v1.0.0");
        CachedGoMods::new(root).go_mod(&module)
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
        assert!(CachedGoMods::new(root.path()).go_mod(&folder).is_err());
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
