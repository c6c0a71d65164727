//! Takes versions out of a storage, so that it stays one that can be served.
//!
//! The index goes first, then the file that a client asks for first: a
//! version that is half gone is one that nobody is sent to.

use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use super::{Layout, StoredVersion};
use crate::formats::module::escape_path;
use crate::services::eviction::Extent;

/// A larger `list` was written by no proxy.
const MAX_LIST_BYTES: u64 = 16 << 20;

/// Removes a version, or its zip alone, and the folders that this empties.
///
/// # Errors
/// The first file that cannot be removed ends it; what is left is a version
/// still, and the next run sees it.
pub fn remove(
    root: &Path,
    layout: Layout,
    version: &StoredVersion,
    part: Extent,
) -> io::Result<()> {
    let files: Vec<&Path> = version.part(part).map(|file| file.path.as_path()).collect();
    for file in &files {
        refuse_links(root, file)?;
    }
    if layout == Layout::Goproxy && part == Extent::Whole {
        unlist(root, version)?;
    }
    for file in &files {
        match std::fs::remove_file(root.join(file)) {
            // Somebody else was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    if let Some(folder) = files.first().and_then(|file| file.parent()) {
        remove_empty(root, folder);
    }
    Ok(())
}

/// A folder that became a link since the scan would lead elsewhere.
pub(super) fn refuse_links(root: &Path, relative: &Path) -> io::Result<()> {
    let mut path = root.to_owned();
    for component in relative.components() {
        let Component::Normal(name) = component else {
            return Err(io::Error::other("not a path below the storage"));
        };
        path.push(name);
        if std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink()) {
            return Err(io::Error::other(format!("{} is a link", path.display())));
        }
    }
    Ok(())
}

/// Takes a version out of `@v/list`, if there is one: `go` must not be told
/// of versions that it then cannot get.
fn unlist(root: &Path, version: &StoredVersion) -> io::Result<()> {
    let Ok(module) = escape_path(&version.id.path) else {
        return Ok(());
    };
    let folder = root.join(module).join("@v");
    let list = folder.join("list");
    let Some(text) = read_list(&list)? else {
        return Ok(());
    };
    // A line may have more fields after the version.
    let named = |line: &&str| line.split_whitespace().next() == Some(version.id.version.as_str());
    if !text.lines().any(|line| named(&line)) {
        return Ok(());
    }
    let rest: String = text
        .lines()
        .filter(|line| !named(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    if rest.is_empty() {
        return std::fs::remove_file(&list);
    }
    // In one step, since the list is being served.
    let draft = folder.join(".list.gocachevet");
    let mut file = std::fs::File::create_new(&draft)?;
    let written = file.write_all(rest.as_bytes()).and_then(|()| {
        let permissions = std::fs::metadata(&list)?.permissions();
        std::fs::set_permissions(&draft, permissions)?;
        std::fs::rename(&draft, &list)
    });
    if written.is_err() {
        // The error that matters is the first one.
        let _ = std::fs::remove_file(&draft);
    }
    written
}

fn read_list(list: &Path) -> io::Result<Option<String>> {
    match std::fs::symlink_metadata(list) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(meta) if !meta.is_file() => {
            return Err(io::Error::other("list is not an ordinary file"));
        }
        Ok(_) => {}
    }
    let mut text = String::new();
    std::fs::File::open(list)?
        .take(MAX_LIST_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_LIST_BYTES {
        return Err(io::Error::other("list is too large"));
    }
    Ok(Some(text))
}

/// Removes folders that are empty now, upward to the root, which stays.
fn remove_empty(root: &Path, folder: &Path) {
    let mut folder = PathBuf::from(folder);
    while folder.components().next().is_some() {
        // Not empty, or no longer there: either way this is the end.
        if std::fs::remove_dir(root.join(&folder)).is_err() {
            return;
        }
        folder.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::mirror::scan::scan;
    use std::fs;

    fn goproxy() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let at_v = dir.path().join("github.com/!burnt!sushi/toml/@v");
        fs::create_dir_all(&at_v).unwrap();
        for version in ["v1.0.0", "v1.1.0"] {
            for ending in ["info", "mod", "zip"] {
                fs::write(at_v.join(format!("{version}.{ending}")), "x").unwrap();
            }
        }
        fs::write(at_v.join("list"), "v1.0.0\nv1.1.0 2020-01-01T00:00:00Z\n").unwrap();
        dir
    }

    #[test]
    fn a_version_goes_with_its_line_in_the_list() {
        let dir = goproxy();
        let at_v = dir.path().join("github.com/!burnt!sushi/toml/@v");
        let mirror = scan(dir.path(), Layout::Goproxy).unwrap();
        let gone =
            |at: usize, part| remove(dir.path(), Layout::Goproxy, &mirror.versions[at], part);
        gone(1, Extent::Zip).unwrap();
        assert!(!at_v.join("v1.1.0.zip").exists() && at_v.join("v1.1.0.mod").exists());
        assert!(
            fs::read_to_string(at_v.join("list"))
                .unwrap()
                .contains("v1.1.0")
        );
        gone(1, Extent::Whole).unwrap();
        assert_eq!(fs::read_to_string(at_v.join("list")).unwrap(), "v1.0.0\n");
        assert_eq!(fs::read_dir(&at_v).unwrap().count(), 4);
        gone(0, Extent::Whole).unwrap();
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            0,
            "empty folders go too"
        );
        gone(0, Extent::Whole).unwrap();
    }

    #[test]
    fn athens_loses_the_whole_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("github.com/BurntSushi/toml/v1.0.0");
        fs::create_dir_all(&folder).unwrap();
        for name in ["v1.0.0.info", "go.mod", "source.zip"] {
            fs::write(folder.join(name), "x").unwrap();
        }
        let mirror = scan(dir.path(), Layout::Athens).unwrap();
        assert_eq!(
            mirror.versions[0].id.to_string(),
            "github.com/BurntSushi/toml@v1.0.0"
        );
        remove(
            dir.path(),
            Layout::Athens,
            &mirror.versions[0],
            Extent::Whole,
        )
        .unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_became_a_link_is_not_followed() {
        let dir = goproxy();
        let mirror = scan(dir.path(), Layout::Goproxy).unwrap();
        let outside = goproxy();
        fs::remove_dir_all(dir.path().join("github.com")).unwrap();
        std::os::unix::fs::symlink(
            outside.path().join("github.com"),
            dir.path().join("github.com"),
        )
        .unwrap();
        let error = remove(
            dir.path(),
            Layout::Goproxy,
            &mirror.versions[0],
            Extent::Whole,
        )
        .unwrap_err();
        assert!(error.to_string().contains("is a link"), "{error}");
        assert!(
            outside
                .path()
                .join("github.com/!burnt!sushi/toml/@v/v1.0.0.zip")
                .exists()
        );
    }
}
