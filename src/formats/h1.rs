//! The `h1:` hash of a module's content.
//!
//! As if by `sha256sum $(find . -type f | sort) | sha256sum`: a line per file,
//! sorted by name bytewise, of the content's SHA-256 in hex, two spaces, the
//! name and a newline; the SHA-256 of those lines in base64.
//! Source: `golang.org/x/mod/sumdb/dirhash/hash.go` (`Hash1`). The files'
//! content is hashed by the caller, wherever it comes from.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::hex;

/// An `h1:` hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct H1(pub [u8; 32]);

impl H1 {
    /// Length of the text form: `h1:` and 44 base64 characters.
    pub const TEXT_LEN: usize = 47;
}

impl fmt::Display for H1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h1:{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for H1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no `h1:` hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed h1 hash")]
pub struct MalformedH1;

impl FromStr for H1 {
    type Err = MalformedH1;

    /// Strict: exactly what [`Display`](fmt::Display) writes.
    fn from_str(s: &str) -> Result<Self, MalformedH1> {
        let encoded = s.strip_prefix("h1:").ok_or(MalformedH1)?;
        if s.len() != Self::TEXT_LEN {
            return Err(MalformedH1);
        }
        let bytes = STANDARD.decode(encoded).map_err(|_| MalformedH1)?;
        Ok(Self(bytes.try_into().map_err(|_| MalformedH1)?))
    }
}

/// Why files have no h1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum H1Error {
    /// A name with a newline could stand for other files.
    #[error("file name with a newline: {:?}", String::from_utf8_lossy(.0))]
    NewlineInName(Vec<u8>),
}

/// Collects files and makes their h1.
///
/// In a zip with several entries of one name Go hashes the last one in each
/// one's place; such a zip is invalid anyway.
#[derive(Debug, Default)]
pub struct H1Builder {
    files: Vec<(Vec<u8>, [u8; 32])>,
}

impl H1Builder {
    /// A builder without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file, in any order. The name is `path@version/` and the file's
    /// slash-separated path for module content; it need not be UTF-8.
    pub fn add(&mut self, name: impl Into<Vec<u8>>, sha256: [u8; 32]) {
        self.files.push((name.into(), sha256));
    }

    /// The h1 of the files added.
    pub fn finish(self) -> Result<H1, H1Error> {
        let files = self.files.iter().map(|(name, sha256)| (&**name, *sha256));
        h1_of(files.collect())
    }
}

/// The h1 of these files, in any order, named as for [`H1Builder::add`].
pub fn h1_of(mut files: Vec<(&[u8], [u8; 32])>) -> Result<H1, H1Error> {
    files.sort_by_key(|(name, _)| *name);
    h1_of_sorted("", files)
}

/// The h1 of files in the order of their names, all of which go on behind `prefix`.
pub fn h1_of_sorted<'a>(
    prefix: &str,
    files: impl IntoIterator<Item = (&'a [u8], [u8; 32])>,
) -> Result<H1, H1Error> {
    let mut hash = Sha256::new();
    let mut line = Vec::new();
    for (name, sha256) in files {
        if name.contains(&b'\n') {
            return Err(H1Error::NewlineInName(name.to_vec()));
        }
        line.clear();
        line.extend(sha256.into_iter().flat_map(hex::digits));
        line.extend_from_slice(b"  ");
        line.extend_from_slice(prefix.as_bytes());
        line.extend_from_slice(name);
        line.push(b'\n');
        hash.update(&line);
    }
    Ok(H1(hash.finalize().into()))
}

/// The h1 that `go.sum` has for a module's `go.mod`: of the one file `go.mod`,
/// whose bytes are those of the cached `.mod` file.
pub fn h1_of_go_mod(bytes: &[u8]) -> H1 {
    let mut line = Vec::with_capacity(80);
    let sha256: [u8; 32] = Sha256::digest(bytes).into();
    line.extend(sha256.into_iter().flat_map(hex::digits));
    line.extend_from_slice(b"  go.mod\n");
    H1(Sha256::digest(&line).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `go.mod` of rsc.io/quote v1.5.2 and its line in go.sum.
    const QUOTE_MOD: &[u8] = b"module \"rsc.io/quote\"\n\nrequire \"rsc.io/sampler\" v1.3.0\n";
    const QUOTE_MOD_H1: &str = "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=";

    #[test]
    fn go_mod_of_a_real_module() {
        assert_eq!(h1_of_go_mod(QUOTE_MOD).to_string(), QUOTE_MOD_H1);
        let mut builder = H1Builder::new();
        builder.add("go.mod", Sha256::digest(QUOTE_MOD).into());
        assert_eq!(builder.finish(), Ok(h1_of_go_mod(QUOTE_MOD)));
    }

    #[test]
    fn go_mod_that_is_empty() {
        let known = "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=";
        assert_eq!(h1_of_go_mod(b"").to_string(), known);
    }

    #[test]
    fn text_form_is_strict() {
        let h1: H1 = QUOTE_MOD_H1.parse().unwrap();
        assert_eq!(h1.to_string(), QUOTE_MOD_H1);
        for bad in [
            "",
            "h1:",
            "h2:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=",
            "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0",
            "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr1=",
            "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe-TKr0=",
            "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=\n",
            "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKrAA",
        ] {
            assert_eq!(bad.parse::<H1>(), Err(MalformedH1), "{bad:?}");
        }
    }

    #[test]
    fn newline_in_a_name_is_an_error() {
        let mut builder = H1Builder::new();
        builder.add("a\nb", [0; 32]);
        assert_eq!(
            builder.finish(),
            Err(H1Error::NewlineInName(b"a\nb".to_vec()))
        );
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes: [u8; 32]) {
            prop_assert_eq!(H1(bytes).to_string().parse(), Ok(H1(bytes)));
        }

        #[test]
        fn order_of_adding_does_not_matter(
            files in proptest::collection::btree_map(proptest::collection::vec(11u8.., 1..6), any::<[u8; 32]>(), 0..6)
        ) {
            let mut forth = H1Builder::new();
            let mut back = H1Builder::new();
            files.iter().for_each(|(name, sum)| forth.add(name.clone(), *sum));
            files.iter().rev().for_each(|(name, sum)| back.add(name.clone(), *sum));
            prop_assert_eq!(forth.finish(), back.finish());
        }

        #[test]
        fn parsing_never_panics(s in "(h1:)?\\PC{0,50}") {
            let _ = s.parse::<H1>();
        }
    }
}
