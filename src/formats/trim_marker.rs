//! `trim.txt` of the build cache: when Go last trimmed it (`cache.go:Trim`).

/// The longest mark worth reading, in bytes.
pub const MAX_MARK_BYTES: u64 = 1024;

/// Reads `trim.txt`: Unix seconds, white space around them aside. `None` if it
/// is damaged, which Go takes for "trim now".
pub fn parse_trim_txt(content: &[u8]) -> Option<i64> {
    std::str::from_utf8(content).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn marks() {
        assert_eq!(parse_trim_txt(b"1795433360"), Some(1_795_433_360));
        assert_eq!(parse_trim_txt(b" 1795433360\n"), Some(1_795_433_360));
        for bad in ["", "now", "1.5", "99999999999999999999", "1 2"] {
            assert_eq!(parse_trim_txt(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = parse_trim_txt(&bytes);
        }
    }
}
