//! Escaping: a name that no case-insensitive file system confuses with another.
//!
//! An upper-case letter becomes `!` and the lower-case letter; nothing else changes.

use super::path::{PathKind, check_element};
use super::{ModuleError, check_path};

/// The escaped form of a module path (`module.EscapePath`).
pub fn escape_path(path: &str) -> Result<String, ModuleError> {
    check_path(path)?;
    escape(path)
}

/// The escaped form of a version (`module.EscapeVersion`). The version need
/// not be semantic, but must be a file name without `!`.
pub fn escape_version(version: &str) -> Result<String, ModuleError> {
    if check_element(version, PathKind::File).is_err() {
        return Err(ModuleError::Version(version.to_owned()));
    }
    escape(version).map_err(|_| ModuleError::Version(version.to_owned()))
}

/// The module path of an escaped path (`module.UnescapePath`).
pub fn unescape_path(escaped: &str) -> Result<String, ModuleError> {
    let path = unescape(escaped)?;
    check_path(&path)?;
    Ok(path)
}

/// The version of an escaped version (`module.UnescapeVersion`).
pub fn unescape_version(escaped: &str) -> Result<String, ModuleError> {
    let version = unescape(escaped)?;
    if check_element(&version, PathKind::File).is_err() {
        return Err(ModuleError::Version(version));
    }
    Ok(version)
}

fn escape(plain: &str) -> Result<String, ModuleError> {
    let mut escaped = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            'A'..='Z' => escaped.extend(['!', c.to_ascii_lowercase()]),
            '!' => return Err(ModuleError::Escape(plain.to_owned())),
            c if c.is_ascii() => escaped.push(c),
            _ => return Err(ModuleError::Escape(plain.to_owned())),
        }
    }
    Ok(escaped)
}

fn unescape(escaped: &str) -> Result<String, ModuleError> {
    let bad = || ModuleError::Escape(escaped.to_owned());
    let mut plain = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        match c {
            '!' => match chars.next() {
                Some(letter @ 'a'..='z') => plain.push(letter.to_ascii_uppercase()),
                _ => return Err(bad()),
            },
            'A'..='Z' => return Err(bad()),
            c if c.is_ascii() => plain.push(c),
            _ => return Err(bad()),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_ways() {
        for (plain, escaped) in [
            ("github.com/BurntSushi/toml", "github.com/!burnt!sushi/toml"),
            (
                "github.com/Azure/azure-sdk-for-go",
                "github.com/!azure/azure-sdk-for-go",
            ),
            (
                "ascii.com/abcdefghijklmnopqrstuvwxyz.-/~_0123456789",
                "ascii.com/abcdefghijklmnopqrstuvwxyz.-/~_0123456789",
            ),
        ] {
            assert_eq!(escape_path(plain).as_deref(), Ok(escaped));
            assert_eq!(unescape_path(escaped).as_deref(), Ok(plain));
        }
        for (plain, escaped) in [
            ("v1.0.0-RC1", "v1.0.0-!r!c1"),
            ("v2.0.0+incompatible", "v2.0.0+incompatible"),
            ("v0.0.1-go1.24.0.linux-amd64", "v0.0.1-go1.24.0.linux-amd64"),
        ] {
            assert_eq!(escape_version(plain).as_deref(), Ok(escaped));
            assert_eq!(unescape_version(escaped).as_deref(), Ok(plain));
        }
    }

    #[test]
    fn refused() {
        for bad in [
            "github.com/Azure",
            "github.com/!Azure",
            "github.com/a!",
            "github.com/!!a",
            "github.com/!1",
            "github.com/é",
        ] {
            assert!(unescape_path(bad).is_err(), "{bad}");
        }
        for bad in ["v1.0.0-A", "v1.0.0-!", "v1/0", "..", "", "v1.0.0\u{e9}"] {
            assert!(unescape_version(bad).is_err(), "{bad}");
        }
        for bad in ["v1!0", "v1/0", "", "v1.é"] {
            assert!(escape_version(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn escaping_round_trips(path in "[a-z]{1,5}\\.[a-z]{2}(/[A-Za-z0-9_~-]{1,6}){0,3}", version in "v[0-9]\\.[0-9]\\.[0-9](-[A-Za-z0-9]{1,8})?") {
            if let Ok(escaped) = escape_path(&path) {
                prop_assert!(!escaped.contains(char::is_uppercase));
                prop_assert_eq!(unescape_path(&escaped), Ok(path));
            }
            prop_assert_eq!(unescape_version(&escape_version(&version).unwrap()), Ok(version));
        }

        #[test]
        fn what_unescapes_escapes_back(escaped in "[a-z!/.A-Zé]{0,20}") {
            if let Ok(path) = unescape_path(&escaped) {
                prop_assert_eq!(escape_path(&path), Ok(escaped.clone()));
            }
            if let Ok(version) = unescape_version(&escaped) {
                prop_assert_eq!(escape_version(&version), Ok(escaped));
            }
        }
    }
}
