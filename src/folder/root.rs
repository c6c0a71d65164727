use super::{Folder, Kind};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

/// A cache's top folder, opened once, and those folders in it that a link puts
/// elsewhere on purpose.
///
/// Everything in the cache is reached from here, step by step. The links that
/// are allowed are resolved when it is opened, as the one to the top folder is,
/// and never again: whoever changes one later changes nothing for this run.
#[derive(Debug)]
pub struct Root {
    top: Folder,
    elsewhere: Vec<Elsewhere>,
}

/// A folder that lies elsewhere.
#[derive(Debug)]
pub struct Elsewhere {
    /// Where the link stands, below the top folder, with `/` between names.
    pub at: &'static str,
    /// Where it leads.
    pub to: PathBuf,
    folder: Folder,
}

impl Root {
    /// Opens a cache by its path. `movable` are the folders in it, outer before
    /// inner, that may be links. One that leads back into the cache, or nowhere,
    /// is not resolved: it stays what it is, a link.
    pub fn open(path: &Path, movable: &[&'static str]) -> io::Result<Root> {
        let mut root = Root {
            top: Folder::open(path)?,
            elsewhere: Vec::new(),
        };
        for &at in movable {
            if let Some(found) = root.resolve(path, at) {
                root.elsewhere.push(found);
            }
        }
        Ok(root)
    }

    fn resolve(&self, path: &Path, at: &'static str) -> Option<Elsewhere> {
        let (parent, name) = self.parent(at.as_ref()).ok()?;
        if parent.stat(&name).ok()?.kind != Kind::Link {
            return None;
        }
        let target = parent.link_target(&name).ok()?;
        let outer = self.elsewhere.iter().map(|outer| &outer.to);
        let top = real(path.to_owned())?;
        let to = std::fs::canonicalize(path.join(at)).ok().or_else(|| {
            // Where a platform resolves nothing, from what the link says.
            let lies_in = self.real_parent(&top, at);
            real(lies_in.join(target))
        })?;
        let overlaps = |other: &PathBuf| to.starts_with(other) || other.starts_with(&to);
        if overlaps(&top) || outer.clone().any(overlaps) {
            return None;
        }
        let folder = Folder::open(&to).ok()?;
        Some(Elsewhere { at, to, folder })
    }

    /// Where the folder that `at` stands in really lies.
    fn real_parent(&self, top: &Path, at: &'static str) -> PathBuf {
        let parent = Path::new(at).parent().unwrap_or(Path::new(""));
        let outer = self
            .elsewhere
            .iter()
            .find(|outer| Path::new(outer.at) == parent);
        outer.map_or_else(|| top.join(parent), |outer| outer.to.clone())
    }

    /// The top folder.
    pub fn top(&self) -> &Folder {
        &self.top
    }

    /// The folders that lie elsewhere.
    pub fn elsewhere(&self) -> &[Elsewhere] {
        &self.elsewhere
    }

    /// The folder that the link at `relative` was resolved to, if it is one of
    /// those that may be.
    pub fn linked(&self, relative: &str) -> Option<&Folder> {
        let found = self.elsewhere.iter().find(|known| known.at == relative);
        found.map(|known| &known.folder)
    }

    /// A folder of the cache by its path below the top folder. No link is
    /// followed but those that were resolved.
    pub fn folder(&self, relative: &Path) -> io::Result<Folder> {
        // Inner ones come last.
        for known in self.elsewhere.iter().rev() {
            if let Ok(below) = relative.strip_prefix(known.at) {
                return known.folder.descend(below);
            }
        }
        self.top.descend(relative)
    }

    /// [`folder`](Self::folder), made if it is not there.
    pub fn folder_or_new(&self, relative: &Path) -> io::Result<Folder> {
        match self.folder(relative) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        match relative.file_name() {
            Some(name) => {
                let parent = relative.parent().unwrap_or(Path::new(""));
                self.folder_or_new(parent)?.folder_or_new(name)
            }
            None => self.folder(relative),
        }
    }

    /// The folder that a path below the top folder lies in, and its name there.
    pub fn parent(&self, relative: &Path) -> io::Result<(Folder, OsString)> {
        let name = match relative.components().next_back() {
            Some(Component::Normal(name)) => name,
            _ => {
                let message = "not a path below the cache";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        };
        let parent = relative.parent().unwrap_or(Path::new(""));
        Ok((self.folder(parent)?, name.to_os_string()))
    }

    /// Whether something has this name in the cache, and what it is.
    pub fn stat(&self, relative: &Path) -> io::Result<super::Stat> {
        let (parent, name): (Folder, OsString) = self.parent(relative)?;
        let name: &OsStr = &name;
        parent.stat(name)
    }
}

/// A path with its links resolved; as it is where the platform resolves none and
/// it has no `..` that could lead anywhere.
fn real(path: PathBuf) -> Option<PathBuf> {
    if let Ok(real) = std::fs::canonicalize(&path) {
        return Some(real);
    }
    let climbs = path.components().any(|part| part == Component::ParentDir);
    (!climbs).then_some(path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const MOVABLE: &[&str] = &["cache", "cache/download"];

    #[test]
    fn allowed_links_are_resolved_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        std::fs::create_dir_all(dir.path().join("far/download/sumdb")).unwrap();
        std::fs::create_dir_all(dir.path().join("farther/a/b")).unwrap();
        std::fs::create_dir(&top).unwrap();
        symlink("../far", top.join("cache")).unwrap();
        symlink(dir.path().join("farther"), top.join("trees")).unwrap();
        let root = Root::open(&top, MOVABLE).unwrap();
        assert_eq!(root.elsewhere().len(), 1);
        assert_eq!(
            root.elsewhere()[0].to,
            dir.path().canonicalize().unwrap().join("far")
        );
        assert!(root.folder("cache/download/sumdb".as_ref()).is_ok());
        assert!(root.folder("trees/a".as_ref()).is_err());
        assert!(root.folder("cache/../cache".as_ref()).is_err());

        // A link in the place that was led to.
        std::fs::remove_dir_all(dir.path().join("far/download")).unwrap();
        symlink(dir.path().join("farther"), dir.path().join("far/download")).unwrap();
        let root = Root::open(&top, MOVABLE).unwrap();
        assert_eq!(root.elsewhere().len(), 2);
        assert!(root.folder("cache/download/a/b".as_ref()).is_ok());
        let (parent, name) = root.parent("cache/download".as_ref()).unwrap();
        assert_eq!(parent.stat(&name).unwrap().kind, Kind::Link);

        // What was resolved stays so.
        std::fs::remove_file(top.join("cache")).unwrap();
        symlink("/", top.join("cache")).unwrap();
        assert!(root.folder("cache/download/a".as_ref()).is_ok());
    }

    #[test]
    fn what_leads_back_or_nowhere_is_not_resolved() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        std::fs::create_dir_all(top.join("m@v1")).unwrap();
        for target in ["m@v1", ".", "..", "/none", "cache"] {
            symlink(target, top.join("cache")).unwrap();
            let root = Root::open(&top, MOVABLE).unwrap();
            assert!(root.elsewhere().is_empty(), "{target}");
            assert!(root.folder("cache".as_ref()).is_err(), "{target}");
            std::fs::remove_file(top.join("cache")).unwrap();
        }
    }
}
