//! Folders of extracted modules, named relative to the module cache's root.

use super::{
    ModuleError, ModuleVersion, escape_path, escape_version, unescape_path, unescape_version,
};
use crate::formats::semver;

/// What a folder with `@` in its last name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeDir {
    /// The extracted tree of a version.
    Module(ModuleVersion),
    /// `<tree>.tmp-…`: residue of an extraction (Go before 1.16) or of a
    /// removal. Go's next extraction of that version deletes it.
    Residue {
        /// The version whose tree it was to become, or was.
        of: ModuleVersion,
        /// The name also reads as a tree's, since `.tmp-…` can be part of a
        /// prerelease. Whether that version has files of its own decides.
        or: Option<ModuleVersion>,
    },
}

/// Reads a folder's slash-separated path below the cache root. The walk must
/// stop at the first name with `@`, so only the last name may have one.
pub fn parse_tree_dir(relative: &str) -> Result<TreeDir, ModuleError> {
    let no_at = || ModuleError::NoAt(relative.to_owned());
    let (escaped_path, escaped_version) = relative.split_once('@').ok_or_else(no_at)?;
    let path = unescape_path(escaped_path)?;
    let version = |escaped: &str| {
        let version = unescape_version(escaped)?;
        if semver::is_canonical_module_version(&version) {
            Ok(ModuleVersion::new(path.clone(), version))
        } else {
            Err(ModuleError::NotCanonical(version))
        }
    };
    let whole = version(escaped_version);
    // The last ".tmp-" is the one that was appended.
    if let Some((before, _)) = escaped_version.rsplit_once(".tmp-")
        && let Ok(of) = version(before)
    {
        return Ok(TreeDir::Residue { of, or: whole.ok() });
    }
    whole.map(TreeDir::Module)
}

/// The slash-separated path of a version's extracted tree below the cache root.
pub fn tree_dir_name(module: &ModuleVersion) -> Result<String, ModuleError> {
    Ok(format!(
        "{}@{}",
        escape_path(&module.path)?,
        escape_version(&module.version)?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mv(s: &str) -> ModuleVersion {
        s.parse().unwrap()
    }

    #[test]
    fn names() {
        for (dir, want) in [
            (
                "rsc.io/quote@v1.5.2",
                TreeDir::Module(mv("rsc.io/quote@v1.5.2")),
            ),
            (
                "github.com/!burnt!sushi/toml@v1.0.0-!r!c1",
                TreeDir::Module(mv("github.com/BurntSushi/toml@v1.0.0-RC1")),
            ),
            (
                "x.y/z@v2.0.0+incompatible",
                TreeDir::Module(mv("x.y/z@v2.0.0+incompatible")),
            ),
            (
                "rsc.io/quote@v1.5.2.tmp-123",
                TreeDir::Residue {
                    of: mv("rsc.io/quote@v1.5.2"),
                    or: None,
                },
            ),
            (
                "x.y/z@v1.0.0-a.tmp-123",
                TreeDir::Residue {
                    of: mv("x.y/z@v1.0.0-a"),
                    or: Some(mv("x.y/z@v1.0.0-a.tmp-123")),
                },
            ),
        ] {
            assert_eq!(parse_tree_dir(dir), Ok(want), "{dir}");
        }
        for bad in [
            "rsc.io/quote",
            "rsc.io/quote@",
            "@v1.0.0",
            "rsc.io/quote@v1.5.2/sub",
            "rsc.io/Quote@v1.5.2",
            "rsc.io/quote@v1",
            "rsc.io/quote@master",
            "../x.y@v1.0.0",
            "x.y@v1.0.0@v1.0.0",
            "x.y/@v/list",
            "quote@v1.0.0",
        ] {
            assert!(parse_tree_dir(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(path in "[a-z]{1,5}\\.[a-z]{2}(/[A-Za-z]{1,6}){0,3}", version in "v[0-9]\\.[0-9]\\.[0-9](-[A-Z][A-Za-z0-9]{1,8})?") {
            let module = ModuleVersion::new(path, version);
            if let Ok(name) = tree_dir_name(&module) {
                prop_assert_eq!(parse_tree_dir(&name), Ok(TreeDir::Module(module)));
            }
        }

        #[test]
        fn never_panics(s in "\\PC{0,40}") {
            let _ = parse_tree_dir(&s);
        }
    }
}
