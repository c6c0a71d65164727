//! Module versions and the names they have in the module cache.
//!
//! Source: `golang.org/x/mod/module/module.go` for paths, versions, escaping
//! and patterns; `cmd/go/internal/modfetch/cache.go` for names of files and
//! folders.

mod at_v;
mod escape;
mod path;
mod pattern;
mod tree_dir;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::semver;

pub use at_v::{AtVName, PieceKind, lookup_name, parse_at_v_name, piece_name};
pub use escape::{escape_path, escape_version, unescape_path, unescape_version};
pub use path::{
    InvalidPath, PathProblem, check, check_file_path, check_path, check_path_major,
    split_path_version,
};
pub use pattern::match_prefix_patterns;
pub use tree_dir::{TreeDir, parse_tree_dir, tree_dir_name};

/// The folders of a module cache that people put elsewhere by a link, outer
/// before inner, and that Go follows. Any other link in it is somebody's trap.
pub const MOVABLE: &[&str] = &["cache", "cache/download"];

/// A module at one version, both in their plain (unescaped) form.
///
/// Ordered by path, then by semantic version; versions that semantic
/// versioning holds equal are told apart by their text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModuleVersion {
    /// Module path, such as `golang.org/x/text`.
    pub path: String,
    /// Version, such as `v0.14.0` or `v2.0.0+incompatible`.
    pub version: String,
}

impl ModuleVersion {
    /// Puts the two together, unchecked; see [`check`].
    pub fn new(path: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            version: version.into(),
        }
    }

    /// Whether this is a Go toolchain in the shape of a module.
    pub fn is_toolchain(&self) -> bool {
        self.path == "golang.org/toolchain"
    }

    /// What a toolchain is called in go.mod and go.work, such as `go1.24.0`.
    pub fn toolchain_name(&self) -> Option<&str> {
        let (name, _platform) = self.version.strip_prefix("v0.0.1-")?.rsplit_once('.')?;
        self.is_toolchain().then_some(name)
    }

    /// The system and architecture that a toolchain is for, such as
    /// `linux-amd64`: `v0.0.1-go1.24.0.linux-amd64` (`toolchain/select.go:Exec`).
    pub fn toolchain_platform(&self) -> Option<&str> {
        let name = self.version.strip_prefix("v0.0.1-go")?;
        let (_, platform) = name.rsplit_once('.')?;
        let (os, arch) = platform.split_once('-')?;
        (self.is_toolchain() && !os.is_empty() && !arch.is_empty()).then_some(platform)
    }

    /// What every name in the module's zip starts with, `path@version/`.
    pub fn zip_prefix(&self) -> String {
        format!("{self}/")
    }
}

impl fmt::Display for ModuleVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.path, self.version)
    }
}

impl Ord for ModuleVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.path
            .cmp(&other.path)
            .then_with(|| semver::compare(&self.version, &other.version))
            .then_with(|| self.version.cmp(&other.version))
    }
}

impl PartialOrd for ModuleVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Why a text is no module version, or a name stands for none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// No `@` between path and version.
    #[error("no module version: {0:?} has no @")]
    NoAt(String),
    /// The module path breaks Go's rules.
    #[error(transparent)]
    Path(#[from] InvalidPath),
    /// The escaped form is not one that escaping produces.
    #[error("invalid escaping in {0:?}")]
    Escape(String),
    /// The version cannot be a file name, or contains `!`.
    #[error("disallowed version {0:?}")]
    Version(String),
    /// The version is not a canonical semantic version.
    #[error("version {0:?} is not canonical")]
    NotCanonical(String),
    /// The major version in the path and that of the version differ.
    #[error("version {version:?} does not fit the path: should be {should}")]
    MajorMismatch {
        /// The version as given.
        version: String,
        /// What the path asks for, such as `v2` or `v0 or v1`.
        should: String,
    },
}

impl FromStr for ModuleVersion {
    type Err = ModuleError;

    /// Parses `path@version`; the version must be canonical.
    fn from_str(s: &str) -> Result<Self, ModuleError> {
        let (path, version) = s
            .split_once('@')
            .ok_or_else(|| ModuleError::NoAt(s.to_owned()))?;
        check_path(path)?;
        if !semver::is_canonical_module_version(version) {
            return Err(ModuleError::NotCanonical(version.to_owned()));
        }
        Ok(Self::new(path, version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_names_its_platform() {
        for (path, version, platform) in [
            (
                "golang.org/toolchain",
                "v0.0.1-go1.24.0.linux-amd64",
                Some("linux-amd64"),
            ),
            (
                "golang.org/toolchain",
                "v0.0.1-go1.25rc1.windows-386",
                Some("windows-386"),
            ),
            ("golang.org/toolchain", "v0.0.1-go1.24.0", None),
            ("golang.org/toolchain", "v0.0.1-go1.24.-", None),
            ("golang.org/x/text", "v0.0.1-go1.24.0.linux-amd64", None),
        ] {
            let id = ModuleVersion::new(path, version);
            assert_eq!(id.toolchain_platform(), platform, "{id}");
        }
    }

    #[test]
    fn reads_what_it_shows() {
        for s in [
            "rsc.io/quote@v1.5.2",
            "github.com/BurntSushi/toml@v1.4.0-RC1",
            "github.com/docker/docker@v24.0.7+incompatible",
            "golang.org/toolchain@v0.0.1-go1.24.0.linux-amd64",
            "golang.org/x/text@v0.0.0-20170915032832-14c0d48ead0c",
        ] {
            let mv: ModuleVersion = s.parse().unwrap();
            assert_eq!(mv.to_string(), s);
        }
        for bad in [
            "",
            "rsc.io/quote",
            "rsc.io/quote@",
            "rsc.io/quote@v1",
            "quote@v1.0.0",
            "rsc.io/quote@v1.0.0@v1.0.0",
            "@v1.0.0",
        ] {
            assert!(bad.parse::<ModuleVersion>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ordered_by_path_then_semver() {
        let mut list: Vec<_> = [
            "b.c@v1.0.0",
            "a.b@v1.10.0",
            "a.b@v1.9.0",
            "a.b@v1.9.0+incompatible",
            "a.b@v1.9.0-rc",
        ]
        .iter()
        .map(|s| s.parse::<ModuleVersion>().unwrap())
        .collect();
        list.sort();
        let shown: Vec<_> = list.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "a.b@v1.9.0-rc",
                "a.b@v1.9.0",
                "a.b@v1.9.0+incompatible",
                "a.b@v1.10.0",
                "b.c@v1.0.0"
            ]
        );
    }
}
