//! Pseudo-versions: versions of commits that have no tag of their own.
//!
//! `vX.0.0-yyyymmddhhmmss-rev`, `vX.Y.(Z+1)-0.yyyymmddhhmmss-rev` and
//! `vX.Y.Z-pre.0.yyyymmddhhmmss-rev`, the latter two perhaps with `+incompatible`.

use chrono::{DateTime, NaiveDate, Utc};

/// Why a pseudo-version gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PseudoError {
    /// The string is no pseudo-version.
    #[error("not a pseudo-version")]
    Syntax,
    /// The digits are there, but no such time exists.
    #[error("pseudo-version with an impossible time")]
    Time,
    /// Build metadata without a version to belong to.
    #[error("pseudo-version lacks a base version, but has build metadata")]
    BuildWithoutBase,
    /// `vX.Y.0-0.…`: the version before it would have a negative patch number.
    #[error("version before the pseudo-version would have a negative patch number")]
    NegativePatch,
}

struct Pseudo<'a> {
    /// `vX.0.0`, `vX.Y.(Z+1)-0` or `vX.Y.Z-pre.0`.
    base: &'a str,
    timestamp: &'a str,
    rev: &'a str,
    build: &'a str,
}

/// Whether `v` is a pseudo-version.
pub fn is_pseudo_version(v: &str) -> bool {
    parse(v).is_some()
}

/// The commit time in a pseudo-version.
pub fn pseudo_version_time(v: &str) -> Result<DateTime<Utc>, PseudoError> {
    let stamp = parse(v).ok_or(PseudoError::Syntax)?.timestamp;
    let field = |from: usize, to: usize| -> Option<u32> { stamp.get(from..to)?.parse().ok() };
    let time = || {
        let year = i32::try_from(field(0, 4)?).ok()?;
        NaiveDate::from_ymd_opt(year, field(4, 6)?, field(6, 8)?)?.and_hms_opt(
            field(8, 10)?,
            field(10, 12)?,
            field(12, 14)?,
        )
    };
    Ok(time().ok_or(PseudoError::Time)?.and_utc())
}

/// The revision in a pseudo-version, usually 12 hex digits of a commit hash.
pub fn pseudo_version_rev(v: &str) -> Result<&str, PseudoError> {
    Ok(parse(v).ok_or(PseudoError::Syntax)?.rev)
}

/// The version that a pseudo-version comes after; `None` for `vX.0.0-…`.
pub fn pseudo_version_base(v: &str) -> Result<Option<String>, PseudoError> {
    let p = parse(v).ok_or(PseudoError::Syntax)?;
    match super::prerelease(p.base) {
        "" if p.build.is_empty() => Ok(None),
        "" => Err(PseudoError::BuildWithoutBase),
        "-0" => {
            let release = p.base.strip_suffix("-0").unwrap_or(p.base);
            let (head, patch) = release.rsplit_once('.').ok_or(PseudoError::Syntax)?;
            let patch = decrement(patch).ok_or(PseudoError::NegativePatch)?;
            Ok(Some(format!("{head}.{patch}{}", p.build)))
        }
        _ => {
            let base = p.base.strip_suffix(".0").ok_or(PseudoError::Syntax)?;
            Ok(Some(format!("{base}{}", p.build)))
        }
    }
}

fn parse(v: &str) -> Option<Pseudo<'_>> {
    let full = super::parse(v)?;
    let unbuilt = v.strip_suffix(full.build)?;
    let (front, rev) = unbuilt.rsplit_once('-')?;
    if rev.is_empty() || !rev.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let (prefix, timestamp) = front.split_at_checked(front.len().checked_sub(14)?)?;
    if !timestamp.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let base = if let Some(base) = prefix.strip_suffix('-') {
        let untagged = base == format!("v{}.0.0", full.major);
        untagged.then_some(base)?
    } else {
        let base = prefix.strip_suffix('.')?;
        let (_, pre) = base.split_once('-')?;
        (pre == "0" || pre.ends_with(".0")).then_some(base)?
    };
    Some(Pseudo {
        base,
        timestamp,
        rev,
        build: full.build,
    })
}

/// The decimal number before `decimal`, of any length; `None` before zero.
fn decrement(decimal: &str) -> Option<String> {
    let mut digits = decimal.as_bytes().to_vec();
    let last_nonzero = digits.iter().rposition(|&d| d != b'0')?;
    for (i, d) in digits.iter_mut().enumerate().skip(last_nonzero) {
        *d = if i == last_nonzero { *d - 1 } else { b'9' };
    }
    if digits.len() > 1 && digits.first() == Some(&b'0') {
        digits.remove(0);
    }
    String::from_utf8(digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn recognised_with_base() {
        let cases = [
            ("v0.0.0-20170915032832-14c0d48ead0c", Ok(None)),
            ("v4.0.0-20060102150405-hash", Ok(None)),
            ("v1.2.4-0.20060102150405-hash", Ok(Some("v1.2.3"))),
            (
                "v1.2.10-0.20060102150405-hash+incompatible",
                Ok(Some("v1.2.9+incompatible")),
            ),
            ("v1.2.100-0.20060102150405-hash", Ok(Some("v1.2.99"))),
            ("v1.2.3-pre.0.20060102150405-hash", Ok(Some("v1.2.3-pre"))),
            (
                "v1.2.3-pre.0.20060102150405-hash+incompatible",
                Ok(Some("v1.2.3-pre+incompatible")),
            ),
            (
                "v1.0.0-20060102150405-hash+incompatible",
                Err(PseudoError::BuildWithoutBase),
            ),
            (
                "v1.0.0-0.20060102150405-hash",
                Err(PseudoError::NegativePatch),
            ),
        ];
        for (v, want) in cases {
            assert!(is_pseudo_version(v), "{v}");
            assert_eq!(
                pseudo_version_base(v),
                want.map(|b| b.map(str::to_owned)),
                "{v}"
            );
        }
    }

    #[test]
    fn not_pseudo() {
        for v in [
            "v1.2.3",
            "v1.2.3-20060102150405-hash",
            "v1.2.0-20060102150405-hash",
            "v1.2.3-1.20060102150405-hash",
            "v1.2.3-10.20060102150405-hash",
            "v1.2.3-pre.20060102150405-hash",
            "v0.0.0-2006010215040-hash",
            "v0.0.0-20060102150405-",
            "v0.0.0-20060102150405-ha.sh",
            "v0.0.1-go1.24.0.linux-amd64",
            "v0.0.0-xx20060102150405-hash",
        ] {
            assert!(!is_pseudo_version(v), "{v}");
            assert_eq!(pseudo_version_base(v), Err(PseudoError::Syntax));
        }
    }

    #[test]
    fn time_and_revision() {
        let v = "v0.0.0-20170915032832-14c0d48ead0c";
        assert_eq!(pseudo_version_rev(v), Ok("14c0d48ead0c"));
        let time = pseudo_version_time(v).unwrap();
        assert_eq!(time.to_rfc3339(), "2017-09-15T03:28:32+00:00");
        assert_eq!(
            pseudo_version_time("v0.0.0-20171315032832-1"),
            Err(PseudoError::Time)
        );
        assert_eq!(
            pseudo_version_time("v0.0.0-20170915032860-1"),
            Err(PseudoError::Time)
        );
    }

    proptest! {
        #[test]
        fn never_panics(v in "v[0-9.]{1,9}-[-0-9a-z.+é]{0,40}") {
            let _ = (pseudo_version_base(&v), pseudo_version_time(&v), pseudo_version_rev(&v));
        }
    }
}
