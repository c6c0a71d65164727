//! Go's own version numbers, as `go` and `toolchain` lines carry them: `1.21`, `1.22rc1`, `1.23.4`.
//!
//! They are no semantic versions: from 1.21 on `1.21 < 1.21rc1 < 1.21.0`, before that `1.20` means
//! `1.20.0`. Source: `internal/gover/gover.go`, `cmd/go/internal/gover` in Go's source.

use std::cmp::Ordering;

/// Numbers stay decimal text, so that no length of digits overflows.
#[derive(Default, PartialEq, Eq)]
struct Parts<'a> {
    major: &'a str,
    minor: &'a str,
    patch: &'a str,
    kind: &'a str,
    pre: &'a str,
}

/// Orders two versions; malformed ones are equal to each other and less than all others.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (parse(a).unwrap_or_default(), parse(b).unwrap_or_default());
    compare_decimal(a.major, b.major)
        .then_with(|| compare_decimal(a.minor, b.minor))
        .then_with(|| compare_decimal(a.patch, b.patch))
        .then_with(|| a.kind.cmp(b.kind))
        .then_with(|| compare_decimal(a.pre, b.pre))
}

/// Whether `version` is a well-formed Go version (without a `go` prefix).
pub fn is_valid(version: &str) -> bool {
    parse(version).is_some()
}

/// The Go version in a toolchain's name: `1.21.3` of `go1.21.3` and of `go1.21.3-bigcorp`.
pub fn of_toolchain(name: &str) -> Option<&str> {
    if name.contains(['/', '\\']) {
        return None;
    }
    let version = name.strip_prefix("go")?;
    let version = version.split([' ', '\t', '-']).next()?;
    is_valid(version).then_some(version)
}

/// Orders two toolchain names, or bare Go versions.
pub fn compare_toolchains(a: &str, b: &str) -> Ordering {
    fn version(name: &str) -> &str {
        if is_valid(name) {
            name
        } else {
            of_toolchain(name).unwrap_or_default()
        }
    }
    compare(version(a), version(b))
}

fn parse(version: &str) -> Option<Parts<'_>> {
    let mut parts = Parts::default();
    let (major, rest) = decimal(version)?;
    parts.major = major;
    if rest.is_empty() {
        parts.minor = "0";
        parts.patch = "0";
        return Some(parts);
    }
    let (minor, rest) = decimal(rest.strip_prefix('.')?)?;
    parts.minor = minor;
    if rest.is_empty() {
        if compare_decimal(minor, "21").is_lt() {
            parts.patch = "0";
        }
        return Some(parts);
    }
    if let Some(rest) = rest.strip_prefix('.') {
        let (patch, rest) = decimal(rest)?;
        parts.patch = patch;
        return rest.is_empty().then_some(parts);
    }
    let digits = rest
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (kind, pre) = rest.split_at(digits);
    if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_lowercase()) {
        return None;
    }
    parts.kind = kind;
    if !pre.is_empty() {
        let (number, rest) = decimal(pre)?;
        if !rest.is_empty() {
            return None;
        }
        parts.pre = number;
    }
    Some(parts)
}

/// The decimal number that `text` starts with, without superfluous zeros, and what follows it.
fn decimal(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits, rest))
}

fn compare_decimal(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_go_orders_them() {
        let ascending = [
            "", "1.16", "1.20", "1.20.1", "1.21", "1.21rc1", "1.21rc2", "1.21rc10", "1.21.0",
            "1.21.9", "1.21.10", "1.100", "2",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} and {b}");
            }
        }
        assert_eq!(compare("1.20", "1.20.0"), Ordering::Equal);
        assert_eq!(compare("1.20rc1", "1.20"), Ordering::Less);
        assert_eq!(compare("x", "1.y"), Ordering::Equal);
    }

    #[test]
    fn malformed_versions_are_refused() {
        for bad in [
            "",
            "go1.21",
            "1.",
            "01.2",
            "1.021",
            "1.21.",
            "1.21.3rc1",
            "1.21RC1",
            "1.21-x",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
        for good in [
            "1",
            "1.21",
            "1.21rc1",
            "1.21rc",
            "1.21.3",
            "1.999999999999999999999",
        ] {
            assert!(is_valid(good), "{good}");
        }
    }

    #[test]
    fn toolchain_names_carry_a_version() {
        assert_eq!(of_toolchain("go1.21.3"), Some("1.21.3"));
        assert_eq!(of_toolchain("go1.21.3-bigcorp"), Some("1.21.3"));
        assert_eq!(of_toolchain("default"), None);
        assert_eq!(of_toolchain("go1.21/../x"), None);
        assert_eq!(compare_toolchains("go1.21.3", "1.21.3"), Ordering::Equal);
        assert_eq!(compare_toolchains("default", "go1.4"), Ordering::Less);
    }
}
