//! Pseudo-versions: versions of commits that have no tag of their own.
//!
//! `vX.0.0-yyyymmddhhmmss-rev`, `vX.Y.(Z+1)-0.yyyymmddhhmmss-rev` and
//! `vX.Y.Z-pre.0.yyyymmddhhmmss-rev`, the latter two perhaps with `+incompatible`.

/// Whether `v` is a pseudo-version.
pub fn is_pseudo_version(v: &str) -> bool {
    is_pseudo(v).unwrap_or_default()
}

fn is_pseudo(v: &str) -> Option<bool> {
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
    if let Some(base) = prefix.strip_suffix('-') {
        return Some(base == format!("v{}.0.0", full.major));
    }
    let (_, pre) = prefix.strip_suffix('.')?.split_once('-')?;
    Some(pre == "0" || pre.ends_with(".0"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pseudo() {
        for v in [
            "v0.0.0-20170915032832-14c0d48ead0c",
            "v4.0.0-20060102150405-hash",
            "v1.2.4-0.20060102150405-hash",
            "v1.2.10-0.20060102150405-hash+incompatible",
            "v1.2.3-pre.0.20060102150405-hash",
            "v1.2.3-pre.0.20060102150405-hash+incompatible",
            "v1.0.0-20060102150405-hash+incompatible",
            "v1.0.0-0.20060102150405-hash",
        ] {
            assert!(is_pseudo_version(v), "{v}");
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
        }
    }

    proptest! {
        #[test]
        fn never_panics(v in "v[0-9.]{1,9}-[-0-9a-z.+é]{0,40}") {
            let _ = is_pseudo_version(&v);
        }
    }
}
