//! `go.sum` and `go.work.sum`: the hashes a project trusts.
//!
//! Source: `cmd/go/internal/modfetch/fetch.go` (`readGoSum`). A line is
//! `<path> <version>[/go.mod] <hash>`; the form with `/go.mod` is about the
//! module's `go.mod` alone, the other about its whole content.

mod merged;

use std::collections::BTreeMap;

use super::h1::H1;
use super::module::ModuleVersion;

pub use merged::{MergedSums, SumClaim, agreed};

/// The largest `go.sum` worth reading, in bytes. The caller keeps to it.
pub const MAX_GO_SUM_BYTES: u64 = 64 << 20;

/// The longest line accepted, in bytes.
pub const MAX_LINE_BYTES: usize = 4096;

/// A bug once wrote this hash, of an empty `go.mod`, for what is no module.
/// Go drops such lines when it reads them.
const EMPTY_GO_MOD: &str = "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=";

/// A hash, and the first line that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// The hash.
    pub h1: H1,
    /// The line, counted from 1.
    pub line: usize,
}

/// Hashes by module version; several for one are kept as they stand.
pub type Sums = BTreeMap<ModuleVersion, Vec<Sum>>;

/// The content of a `go.sum` file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoSum {
    /// Hashes of modules' whole content.
    pub zips: Sums,
    /// Hashes of modules' `go.mod` files.
    pub go_mods: Sums,
    /// Lines with another algorithm than `h1`, which Go ignores.
    pub ignored: Vec<usize>,
}

/// Why a `go.sum` does not parse, with the line counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct GoSumError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: GoSumProblem,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoSumProblem {
    /// A marker of an unresolved merge.
    #[error("merge conflict marker: resolve the conflict, then run \"go mod tidy\"")]
    ConflictMarker,
    /// Not three fields.
    #[error("wrong number of fields: {0} instead of 3")]
    Fields(usize),
    /// An `h1:` hash that can match nothing.
    #[error("malformed h1 hash {0:?}")]
    MalformedHash(String),
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// Longer than [`MAX_LINE_BYTES`].
    #[error("line of {0} bytes")]
    LineTooLong(usize),
}

impl GoSum {
    /// Reads the content of a `go.sum` file. An empty one is valid.
    pub fn parse(content: &[u8]) -> Result<Self, GoSumError> {
        let mut sums = Self::default();
        for (index, line) in content.split(|&b| b == b'\n').enumerate() {
            let number = index + 1;
            sums.add_line(number, line).map_err(|problem| GoSumError {
                line: number,
                problem,
            })?;
        }
        Ok(sums)
    }

    /// The hashes of a version's whole content; empty if there is no line.
    pub fn zip(&self, module: &ModuleVersion) -> &[Sum] {
        self.zips.get(module).map_or(&[], Vec::as_slice)
    }

    /// The hashes of a version's `go.mod`; empty if there is no line.
    pub fn go_mod(&self, module: &ModuleVersion) -> &[Sum] {
        self.go_mods.get(module).map_or(&[], Vec::as_slice)
    }

    /// The versions of which a line speaks, some of them twice.
    pub fn modules(&self) -> impl Iterator<Item = &ModuleVersion> {
        self.zips.keys().chain(self.go_mods.keys())
    }

    /// How many hashes there are.
    pub fn len(&self) -> usize {
        self.zips
            .values()
            .chain(self.go_mods.values())
            .map(Vec::len)
            .sum()
    }

    /// Whether there are no hashes.
    pub fn is_empty(&self) -> bool {
        self.zips.is_empty() && self.go_mods.is_empty()
    }

    fn add_line(&mut self, number: usize, line: &[u8]) -> Result<(), GoSumProblem> {
        if line.len() > MAX_LINE_BYTES {
            return Err(GoSumProblem::LineTooLong(line.len()));
        }
        let line = std::str::from_utf8(line).map_err(|_| GoSumProblem::NotUtf8)?;
        if is_conflict_marker(line) {
            return Err(GoSumProblem::ConflictMarker);
        }
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (path, version, hash) = match *fields.as_slice() {
            [] => return Ok(()),
            [path, version, hash] => (path, version, hash),
            _ => return Err(GoSumProblem::Fields(fields.len())),
        };
        if hash == EMPTY_GO_MOD {
            return Ok(());
        }
        if !hash.starts_with("h1:") {
            self.ignored.push(number);
            return Ok(());
        }
        let h1: H1 = hash
            .parse()
            .map_err(|_| GoSumProblem::MalformedHash(hash.to_owned()))?;
        let (sums, version) = match version.strip_suffix("/go.mod") {
            Some(version) => (&mut self.go_mods, version),
            None => (&mut self.zips, version),
        };
        let known = sums.entry(ModuleVersion::new(path, version)).or_default();
        if known.iter().all(|sum| sum.h1 != h1) {
            known.push(Sum { h1, line: number });
        }
        Ok(())
    }
}

fn is_conflict_marker(line: &str) -> bool {
    let marker = line.split_whitespace().next().unwrap_or("");
    marker.len() == 7
        && ["<", "=", ">", "|"]
            .iter()
            .any(|c| marker.trim_start_matches(c).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUOTE: &str = "\
rsc.io/quote v1.5.2 h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=
rsc.io/quote v1.5.2/go.mod h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=
";

    fn quote() -> ModuleVersion {
        ModuleVersion::new("rsc.io/quote", "v1.5.2")
    }

    #[test]
    fn both_kinds_of_lines() {
        let sums = GoSum::parse(QUOTE.as_bytes()).unwrap();
        assert_eq!(sums.len(), 2);
        assert_eq!(
            sums.zip(&quote())[0].h1.to_string(),
            "h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y="
        );
        assert_eq!(
            sums.go_mod(&quote())[0].h1.to_string(),
            "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0="
        );
        assert!(
            sums.zip(&ModuleVersion::new("rsc.io/quote", "v1.5.1"))
                .is_empty()
        );
    }

    #[test]
    fn what_go_forgives() {
        let text = format!(
            "\n  \r\n{}rsc.io/quote v1.5.2 h1:7uVkIFmeBqHfdjD+gZwtXXI+RODJ2Wc4O7MPEh/QiW4=\n\
             x.y v1.0.0/go.mod {EMPTY_GO_MOD}\nx.y v1.0.0 h9:anything\n\
             rsc.io/quote\tv1.5.2   h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=",
            QUOTE.replace('\n', "\r\n")
        );
        let sums = GoSum::parse(text.as_bytes()).unwrap();
        let lines: Vec<usize> = sums.zip(&quote()).iter().map(|sum| sum.line).collect();
        assert_eq!(lines, [3, 5], "two that disagree, one said twice");
        assert_eq!(sums.ignored, [7]);
        assert_eq!(sums.len(), 3);
        assert!(GoSum::parse(b"").unwrap().is_empty());
    }

    #[test]
    fn errors_name_the_line() {
        for (bad, want) in [
            (
                "rsc.io/quote v1.5.2",
                "line 3: wrong number of fields: 2 instead of 3",
            ),
            ("a b c d", "line 3: wrong number of fields: 4 instead of 3"),
            (
                "<<<<<<< HEAD",
                "line 3: merge conflict marker: resolve the conflict, then run \"go mod tidy\"",
            ),
            (
                "=======\r",
                "line 3: merge conflict marker: resolve the conflict, then run \"go mod tidy\"",
            ),
            (
                "||||||| merged common",
                "line 3: merge conflict marker: resolve the conflict, then run \"go mod tidy\"",
            ),
            (
                ">>>>>>> b",
                "line 3: merge conflict marker: resolve the conflict, then run \"go mod tidy\"",
            ),
            (
                "x.y v1.0.0 h1:short",
                "line 3: malformed h1 hash \"h1:short\"",
            ),
        ] {
            let error = GoSum::parse(format!("{QUOTE}{bad}\n").as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), want);
        }
        let long = [QUOTE.as_bytes(), &[b'x'; 5000]].concat();
        assert_eq!(
            GoSum::parse(&long).unwrap_err().problem,
            GoSumProblem::LineTooLong(5000)
        );
        let binary = [QUOTE.as_bytes(), b"\xff v1 h1:x"].concat();
        assert_eq!(
            GoSum::parse(&binary).unwrap_err().problem,
            GoSumProblem::NotUtf8
        );
    }

    proptest! {
        #[test]
        fn lines_are_read_back(lines in proptest::collection::btree_map(("[a-z]{1,5}\\.[a-z]{2}", "v[0-9]\\.[0-9]\\.[0-9]"), any::<[u8; 32]>(), 0..6)) {
            let text: String = lines.iter().map(|((path, version), sum)| format!("{path} {version} {}\n", H1(*sum))).collect();
            let sums = GoSum::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(sums.len(), lines.len());
            for (index, ((path, version), sum)) in lines.into_iter().enumerate() {
                let sum = Sum { h1: H1(sum), line: index + 1 };
                prop_assert_eq!(sums.zip(&ModuleVersion::new(path, version)), &[sum]);
            }
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = GoSum::parse(&bytes);
        }
    }
}
