//! Go's semantic versions: a leading `v`, and `vX` and `vX.Y` as shorthands.
//!
//! Source: `golang.org/x/mod/semver/semver.go`; pseudo-versions from
//! `golang.org/x/mod/module/pseudo.go`. Versions stay strings: they come from
//! names and files, and numbers in them may be of any length.

mod pseudo;

use std::cmp::Ordering;

pub use pseudo::is_pseudo_version;

/// The parts of a valid version, borrowed from it.
struct Parsed<'a> {
    major: &'a str,
    minor: &'a str,
    patch: &'a str,
    /// What is missing to the full `vX.Y.Z`: `.0.0`, `.0` or nothing.
    missing: &'static str,
    /// With its leading `-`, or empty.
    prerelease: &'a str,
    /// With its leading `+`, or empty.
    build: &'a str,
}

/// The canonical form: missing parts filled in, build metadata dropped.
/// `None` for an invalid version.
pub fn canonical(v: &str) -> Option<String> {
    let p = parse(v)?;
    Some(format!(
        "{}{}",
        v.strip_suffix(p.build).unwrap_or(v),
        p.missing
    ))
}

/// The canonical form as modules use it: [`canonical`], but `+incompatible`
/// stays (`module.CanonicalVersion`).
pub fn canonical_module_version(v: &str) -> Option<String> {
    let mut canonical = canonical(v)?;
    if is_incompatible(v) {
        canonical.push_str(INCOMPATIBLE);
    }
    Some(canonical)
}

/// Whether `v` is valid and already in the form of
/// [`canonical_module_version`]: the only versions that Go's module cache has.
pub fn is_canonical_module_version(v: &str) -> bool {
    parse(v).is_some_and(|p| p.missing.is_empty() && matches!(p.build, "" | INCOMPATIBLE))
}

const INCOMPATIBLE: &str = "+incompatible";

/// Whether `v` carries the build suffix `+incompatible`.
pub fn is_incompatible(v: &str) -> bool {
    build(v) == INCOMPATIBLE
}

/// The major version with its `v` (`v2` of `v2.1.0`), empty if `v` is invalid.
pub fn major(v: &str) -> &str {
    parse(v)
        .and_then(|p| v.get(..1 + p.major.len()))
        .unwrap_or("")
}

/// The build suffix with its `+`, empty if there is none.
pub fn build(v: &str) -> &str {
    parse(v).map_or("", |p| p.build)
}

/// Compares by precedence. Build metadata counts for nothing; an invalid
/// version is less than a valid one and equal to any other invalid one.
pub fn compare(v: &str, w: &str) -> Ordering {
    match (parse(v), parse(w)) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(p), Some(q)) => compare_int(p.major, q.major)
            .then_with(|| compare_int(p.minor, q.minor))
            .then_with(|| compare_int(p.patch, q.patch))
            .then_with(|| compare_prerelease(p.prerelease, q.prerelease)),
    }
}

fn parse(v: &str) -> Option<Parsed<'_>> {
    let mut p = Parsed {
        major: "0",
        minor: "0",
        patch: "0",
        missing: "",
        prerelease: "",
        build: "",
    };
    let rest;
    (p.major, rest) = number(v.strip_prefix('v')?)?;
    if rest.is_empty() {
        p.missing = ".0.0";
        return Some(p);
    }
    let rest_minor;
    (p.minor, rest_minor) = number(rest.strip_prefix('.')?)?;
    if rest_minor.is_empty() {
        p.missing = ".0";
        return Some(p);
    }
    let suffixes;
    (p.patch, suffixes) = number(rest_minor.strip_prefix('.')?)?;
    let (before_build, build) = match suffixes.find('+') {
        Some(at) => suffixes.split_at_checked(at)?,
        None => (suffixes, ""),
    };
    p.prerelease = before_build;
    p.build = build;
    let prerelease_ok = p.prerelease.is_empty()
        || identifiers(p.prerelease.strip_prefix('-')?, |id| {
            !(is_number(id) && id.len() > 1 && id.starts_with('0'))
        });
    let build_ok = p.build.is_empty() || identifiers(p.build.strip_prefix('+')?, |_| true);
    (prerelease_ok && build_ok).then_some(p)
}

/// Splits a decimal number without extra leading zeros off the front.
fn number(s: &str) -> Option<(&str, &str)> {
    let end = s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
    let (digits, rest) = s.split_at_checked(end)?;
    let ok = !digits.is_empty() && (digits.len() == 1 || !digits.starts_with('0'));
    ok.then_some((digits, rest))
}

/// Whether `s` is a series of non-empty, dot-separated identifiers that `also` allows.
fn identifiers(s: &str, also: impl Fn(&str) -> bool) -> bool {
    s.split('.').all(|id| {
        !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && also(id)
    })
}

fn is_number(s: &str) -> bool {
    s.bytes().all(|b| b.is_ascii_digit())
}

/// Compares decimal numbers of any length that have no leading zeros.
fn compare_int(x: &str, y: &str) -> Ordering {
    x.len().cmp(&y.len()).then_with(|| x.cmp(y))
}

fn compare_prerelease(x: &str, y: &str) -> Ordering {
    match (x.is_empty(), y.is_empty()) {
        (true, true) => return Ordering::Equal,
        // A release comes after its prereleases.
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let mut ys = y.get(1..).unwrap_or("").split('.');
    for a in x.get(1..).unwrap_or("").split('.') {
        let Some(b) = ys.next() else {
            return Ordering::Greater;
        };
        let order = match (is_number(a), is_number(b)) {
            (true, true) => compare_int(a, b),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => a.cmp(b),
        };
        if order.is_ne() {
            return order;
        }
    }
    if ys.next().is_some() {
        Ordering::Less
    } else {
        Ordering::Equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Version and its canonical form, in ascending order of precedence.
    const ORDERED: &[(&str, Option<&str>)] = &[
        ("bad", None),
        ("v1-alpha.beta.gamma", None),
        ("v1-pre", None),
        ("v1+meta", None),
        ("v1.2-pre", None),
        ("v1.0.0-alpha", Some("v1.0.0-alpha")),
        ("v1.0.0-alpha.1", Some("v1.0.0-alpha.1")),
        ("v1.0.0-alpha.beta", Some("v1.0.0-alpha.beta")),
        ("v1.0.0-beta", Some("v1.0.0-beta")),
        ("v1.0.0-beta.2", Some("v1.0.0-beta.2")),
        ("v1.0.0-beta.11", Some("v1.0.0-beta.11")),
        ("v1.0.0-rc.1", Some("v1.0.0-rc.1")),
        ("v1", Some("v1.0.0")),
        ("v1.0", Some("v1.0.0")),
        ("v1.0.0", Some("v1.0.0")),
        ("v1.2", Some("v1.2.0")),
        ("v1.2.3-456.789", Some("v1.2.3-456.789")),
        ("v1.2.3-pre", Some("v1.2.3-pre")),
        ("v1.2.3-pre+meta", Some("v1.2.3-pre")),
        ("v1.2.3-zzz", Some("v1.2.3-zzz")),
        ("v1.2.3", Some("v1.2.3")),
        ("v1.2.3+meta-pre.sha.256a", Some("v1.2.3")),
        (
            "v1.9.99999999999999999999999",
            Some("v1.9.99999999999999999999999"),
        ),
        ("v1.10.0", Some("v1.10.0")),
    ];

    #[test]
    fn canonical_form() {
        for (v, want) in ORDERED {
            assert_eq!(canonical(v).as_deref(), *want, "{v}");
            assert_eq!(parse(v).is_some(), want.is_some(), "{v}");
        }
        for bad in [
            "",
            "1.2.3",
            "v",
            "v01.2.3",
            "v1.02.3",
            "v1.2.03",
            "v1.2.3-",
            "v1.2.3+",
            "v1.2.3-01",
            "v1.2.3-a..b",
            "v1.2.3+a..b",
            "v1.2.3-é",
            "v1.2.3 ",
            "v1..3",
            "v1.2.3.4",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn order_follows_canonical_form() {
        for (i, (v, cv)) in ORDERED.iter().enumerate() {
            for (j, (w, cw)) in ORDERED.iter().enumerate() {
                let want = if cv == cw { Ordering::Equal } else { i.cmp(&j) };
                assert_eq!(compare(v, w), want, "{v} and {w}");
            }
        }
    }

    #[test]
    fn parts() {
        assert_eq!(major("v2.1.0"), "v2");
        assert_eq!(major("2.1.0"), "");
        assert_eq!(build("v2.1.0-pre.1+meta-x"), "+meta-x");
        assert_eq!(canonical_module_version("v2+incompatible"), None);
        assert_eq!(
            canonical_module_version("v2.0.0+incompatible").as_deref(),
            Some("v2.0.0+incompatible")
        );
        assert_eq!(
            canonical_module_version("v2.0.0+meta").as_deref(),
            Some("v2.0.0")
        );
        assert!(is_canonical_module_version("v2.0.0+incompatible"));
        assert!(!is_canonical_module_version("v2.0.0+meta"));
        assert!(!is_canonical_module_version("v2.0"));
    }

    proptest! {
        #[test]
        fn never_panics_and_agrees_with_itself(v in ".{0,40}", w in "v[0-9.]{0,8}[-+a-z0-9.]{0,12}") {
            prop_assert_eq!(compare(&v, &w), compare(&w, &v).reverse());
            prop_assert_eq!(parse(&w).is_some(), canonical(&w).is_some());
            prop_assert_eq!(
                is_canonical_module_version(&w),
                canonical_module_version(&w).is_some_and(|c| c == w)
            );
        }
    }
}
