//! Which module paths and which file names in a module Go accepts.

use std::fmt;

use super::{ModuleError, ModuleVersion};
use crate::formats::semver;

/// What kind of path is checked; they differ in the characters allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// A module path.
    Module,
    /// A slash-separated file path inside a module.
    File,
}

impl fmt::Display for PathKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Module => "module",
            Self::File => "file",
        })
    }
}

/// A path that breaks Go's rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed {kind} path {path:?}: {problem}")]
pub struct InvalidPath {
    /// Which rules it was held against.
    pub kind: PathKind,
    /// The path.
    pub path: String,
    /// The first rule it breaks.
    pub problem: PathProblem,
}

/// The rules for paths, each by its breach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    #[error("empty string")]
    Empty,
    #[error("leading dash")]
    LeadingDash,
    #[error("double slash")]
    DoubleSlash,
    #[error("trailing slash")]
    TrailingSlash,
    #[error("empty path element")]
    EmptyElement,
    #[error("path element of dots only")]
    DotsOnly,
    #[error("leading dot in path element")]
    LeadingDot,
    #[error("trailing dot in path element")]
    TrailingDot,
    #[error("invalid character {0:?}")]
    InvalidChar(char),
    #[error("path element {0:?} is reserved on Windows")]
    WindowsReserved(String),
    #[error("trailing tilde and digits in path element")]
    WindowsShortName,
    #[error("missing dot in first path element")]
    NoDotInFirst,
    #[error("invalid character {0:?} in first path element")]
    InvalidCharInFirst(char),
    #[error("invalid major version at the end")]
    BadMajor,
}

/// Checks a module path (`module.CheckPath`).
pub fn check_path(path: &str) -> Result<(), InvalidPath> {
    check_module_path(path).map_err(|problem| InvalidPath {
        kind: PathKind::Module,
        path: path.to_owned(),
        problem,
    })
}

/// Checks a slash-separated file path inside a module (`module.CheckFilePath`).
pub fn check_file_path(path: &str) -> Result<(), InvalidPath> {
    check_elements(path, PathKind::File).map_err(|problem| InvalidPath {
        kind: PathKind::File,
        path: path.to_owned(),
        problem,
    })
}

/// Checks that path and version are valid and fit each other (`module.Check`),
/// and that the version is canonical.
pub fn check(module: &ModuleVersion) -> Result<(), ModuleError> {
    check_path(&module.path)?;
    let version = &module.version;
    if !semver::is_canonical_module_version(version) {
        return Err(ModuleError::NotCanonical(version.clone()));
    }
    let path_major = split_path_version(&module.path).map_or("", |(_, major)| major);
    check_path_major(version, path_major)
}

fn check_module_path(path: &str) -> Result<(), PathProblem> {
    check_elements(path, PathKind::Module)?;
    let first = path.split('/').next().unwrap_or(path);
    if !first.contains('.') {
        return Err(PathProblem::NoDotInFirst);
    }
    let ok = |c: &char| matches!(c, '-' | '.' | '0'..='9' | 'a'..='z');
    if let Some(bad) = first.chars().find(|c| !ok(c)) {
        return Err(PathProblem::InvalidCharInFirst(bad));
    }
    if split_path_version(path).is_none() {
        return Err(PathProblem::BadMajor);
    }
    Ok(())
}

fn check_elements(path: &str, kind: PathKind) -> Result<(), PathProblem> {
    if path.is_empty() {
        return Err(PathProblem::Empty);
    }
    if path.starts_with('-') && kind != PathKind::File {
        return Err(PathProblem::LeadingDash);
    }
    if path.contains("//") {
        return Err(PathProblem::DoubleSlash);
    }
    if path.ends_with('/') {
        return Err(PathProblem::TrailingSlash);
    }
    path.split('/')
        .try_for_each(|element| check_element(element, kind))
}

/// Checks one path element (`module.checkElem`).
pub(super) fn check_element(element: &str, kind: PathKind) -> Result<(), PathProblem> {
    if element.is_empty() {
        return Err(PathProblem::EmptyElement);
    }
    if element.bytes().all(|b| b == b'.') {
        return Err(PathProblem::DotsOnly);
    }
    if element.starts_with('.') && kind == PathKind::Module {
        return Err(PathProblem::LeadingDot);
    }
    if element.ends_with('.') {
        return Err(PathProblem::TrailingDot);
    }
    let ok = match kind {
        PathKind::Module => module_char_ok,
        PathKind::File => file_char_ok,
    };
    if let Some(bad) = element.chars().find(|&c| !ok(c)) {
        return Err(PathProblem::InvalidChar(bad));
    }
    let short = element.split('.').next().unwrap_or(element);
    if is_windows_reserved(short) {
        return Err(PathProblem::WindowsReserved(short.to_owned()));
    }
    if kind == PathKind::Module
        && let Some((_, digits)) = short.rsplit_once('~')
        && !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(PathProblem::WindowsShortName);
    }
    Ok(())
}

fn module_char_ok(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~')
}

/// Go asks for the Unicode categories L*. `char::is_alphabetic` holds for all
/// of those and for some marks and letter-like numbers besides, so a name that
/// Go accepts is never refused here, but a few that Go refuses are accepted.
fn file_char_ok(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric() || "!#$%&()+,-.=@[]^_{}~ ".contains(c)
    } else {
        c.is_alphabetic()
    }
}

fn is_windows_reserved(short: &str) -> bool {
    // Go folds case by Unicode here, but no letter of these names has a
    // partner outside ASCII.
    let fixed = ["CON", "PRN", "AUX", "NUL"];
    if fixed.iter().any(|name| name.eq_ignore_ascii_case(short)) {
        return true;
    }
    let numbered = |device: &str| {
        short.len() == 4
            && short
                .get(..3)
                .is_some_and(|s| s.eq_ignore_ascii_case(device))
            && short.ends_with(|c| matches!(c, '1'..='9'))
    };
    numbered("COM") || numbered("LPT")
}

/// Splits a module path into prefix and major version: `/vN` with N of at
/// least 2, `.vN` for `gopkg.in`, else empty. `None` if the last path element
/// looks like a major version but is none that Go allows.
pub fn split_path_version(path: &str) -> Option<(&str, &str)> {
    if path.starts_with("gopkg.in/") {
        return split_gopkg_in(path);
    }
    let front = path.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = path.strip_prefix(front)?;
    if number.is_empty() || !front.ends_with("/v") {
        return Some((path, ""));
    }
    if number.contains('.') || number.starts_with('0') || number == "1" {
        return None;
    }
    path.split_at_checked(front.len() - 2)
}

fn split_gopkg_in(path: &str) -> Option<(&str, &str)> {
    let stable = path.strip_suffix("-unstable").unwrap_or(path);
    let front = stable.trim_end_matches(|c: char| c.is_ascii_digit());
    // With -unstable there may be no number, as Go looks at the whole of it.
    let number = path.strip_prefix(front)?;
    if number.is_empty() || !front.ends_with(".v") {
        return None;
    }
    if number.starts_with('0') && number != "0" {
        return None;
    }
    path.split_at_checked(front.len() - 2)
}

/// Checks that a version fits its path's major version, as [`split_path_version`]
/// gives it (`module.CheckPathMajor`).
pub fn check_path_major(version: &str, path_major: &str) -> Result<(), ModuleError> {
    let path_major = match path_major.strip_suffix("-unstable") {
        Some(stable) if stable.starts_with(".v") => stable,
        _ => path_major,
    };
    // Pseudo-versions of gopkg.in's v1 modules were once made as v0.0.0-.
    if version.starts_with("v0.0.0-") && path_major == ".v1" {
        return Ok(());
    }
    let major = semver::major(version);
    let should = match path_major.get(1..) {
        None => {
            if matches!(major, "v0" | "v1") || semver::is_incompatible(version) {
                return Ok(());
            }
            "v0 or v1"
        }
        Some(should) if should == major => return Ok(()),
        Some(should) => should,
    };
    Err(ModuleError::MajorMismatch {
        version: version.to_owned(),
        should: should.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn module_paths() {
        for ok in [
            "rsc.io/quote",
            "github.com/BurntSushi/toml",
            "x.y",
            "gopkg.in/yaml.v2",
            "gopkg.in/check.v1",
            "gopkg.in/a.v0",
            "k8s.io/api/v2",
            "x.y/v2/a",
            "x.y/a~b",
            "x.y/a_b.c",
            "x.y/v",
            "x.y/foo9",
            "gopkg.in/a.v1-unstable",
            "gopkg.in/a.v-unstable",
            "x.y/a~1b",
        ] {
            assert_eq!(check_path(ok), Ok(()), "{ok}");
        }
        for bad in [
            "",
            "quote",
            "/x.y",
            "x.y/",
            "x.y//z",
            "-x.y",
            "X.y/z",
            "x.y/.",
            "x.y/..",
            "x.y/.hidden",
            "x.y/a.",
            "x.y/a b",
            "x.y/a!b",
            "x.y/a+b",
            "x.y/a@b",
            "x.y/é",
            "x.y/con",
            "x.y/Com1.x",
            "x.y/a~1",
            "x.y/v1",
            "x.y/v0",
            "x.y/v02",
            "x.y/v2.3",
            "gopkg.in/yaml",
            "gopkg.in/yaml.v01",
            "x.y/a\\b",
            "x_y.z/a",
        ] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn file_paths() {
        for ok in [
            "go.mod",
            ".github/x",
            "-x",
            "a b/c",
            "a@b",
            "[x]!",
            "日本/語.go",
            "a~1",
            "v1/x",
        ] {
            assert_eq!(check_file_path(ok), Ok(()), "{ok}");
        }
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            "a/../b",
            "./a",
            "a.",
            "a*",
            "a?",
            "a:b",
            "a\\b",
            "a|b",
            "a\"b",
            "a'b",
            "a`b",
            "a<b",
            "a\nb",
            "a\u{0}b",
            "aux.go",
            "nul",
            "a\u{2028}b",
            "a/LPT9",
        ] {
            assert!(check_file_path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn major_of_path_and_version() {
        for (path, version, ok) in [
            ("x.y/z", "v1.2.3", true),
            ("x.y/z", "v2.0.0", false),
            ("x.y/z", "v2.0.0+incompatible", true),
            ("x.y/z/v2", "v2.0.0", true),
            ("x.y/z/v2", "v3.0.0", false),
            ("gopkg.in/yaml.v2", "v2.4.0", true),
            ("gopkg.in/yaml.v2", "v1.0.0", false),
            (
                "gopkg.in/check.v1",
                "v0.0.0-20161208181325-20d25e280405",
                true,
            ),
            ("gopkg.in/a.v1-unstable", "v1.0.0", true),
            ("x.y/z", "v1", false),
        ] {
            assert_eq!(
                check(&ModuleVersion::new(path, version)).is_ok(),
                ok,
                "{path}@{version}"
            );
        }
    }

    proptest! {
        #[test]
        fn never_panics(s in "\\PC{0,30}", t in "(gopkg\\.in/|x\\.y/)[a-z0-9./v~é-]{0,12}") {
            let _ = (check_path(&s), check_file_path(&s), split_path_version(&s));
            let _ = (check_path(&t), check(&ModuleVersion::new(t.clone(), "v1.0.0")));
            if let Some((prefix, major)) = split_path_version(&t) {
                prop_assert_eq!(format!("{prefix}{major}"), t);
            }
        }
    }
}
