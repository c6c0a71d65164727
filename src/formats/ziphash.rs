//! The content of a `.ziphash` file.
//!
//! Source: `cmd/go/internal/modfetch/fetch.go` (`hashZip` writes it, `checkMod`
//! and `isValidSum` read it). Go writes it in place, so a crash can leave it
//! empty or with zero bytes.

use super::h1::H1;

/// The largest `.ziphash` worth reading, in bytes; anything longer is malformed.
pub const MAX_ZIPHASH_BYTES: u64 = 1024;

/// What a `.ziphash` file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZipHash {
    /// A hash, white space around it aside.
    Sum(H1),
    /// Nothing, or white space only: Go computes it anew from the zip.
    Empty,
    /// Zero bytes, left by an interrupted write: Go computes it anew.
    Nuls,
    /// Anything else.
    Malformed,
}

/// Reads the content of a `.ziphash` file.
pub fn parse_ziphash(content: &[u8]) -> ZipHash {
    if content.contains(&0) {
        return ZipHash::Nuls;
    }
    let Ok(text) = std::str::from_utf8(content) else {
        return ZipHash::Malformed;
    };
    match text.trim() {
        "" => ZipHash::Empty,
        sum => sum.parse().map_or(ZipHash::Malformed, ZipHash::Sum),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn classes() {
        let text = "h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=";
        let sum: H1 = text.parse().unwrap();
        for (content, want) in [
            (text.to_owned(), ZipHash::Sum(sum)),
            (format!(" {text}\r\n"), ZipHash::Sum(sum)),
            (String::new(), ZipHash::Empty),
            (" \n".to_owned(), ZipHash::Empty),
            ("\0".repeat(47), ZipHash::Nuls),
            (format!("{}\0", &text[..46]), ZipHash::Nuls),
            (text.replace("h1:", "h2:"), ZipHash::Malformed),
            (text[..46].to_owned(), ZipHash::Malformed),
            (format!("{text}{text}"), ZipHash::Malformed),
        ] {
            assert_eq!(parse_ziphash(content.as_bytes()), want, "{content:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = parse_ziphash(&bytes);
        }
    }
}
