//! Several projects' hashes together, each with who says so.

use std::collections::BTreeMap;

use super::{GoSum, Sum, Sums};
use crate::formats::h1::H1;
use crate::formats::module::ModuleVersion;

/// One hash and the lines that record it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SumClaim {
    /// The hash.
    pub h1: H1,
    /// Where it stands, in the files' order.
    pub lines: Vec<SumLine>,
}

/// A line of one of several files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SumLine {
    /// Index into [`MergedSums::sources`].
    pub source: usize,
    /// The line, counted from 1.
    pub line: usize,
}

/// The hashes of several `go.sum` files.
#[derive(Debug, Clone, Default)]
pub struct MergedSums {
    sources: Vec<String>,
    zips: BTreeMap<ModuleVersion, Vec<SumClaim>>,
    go_mods: BTreeMap<ModuleVersion, Vec<SumClaim>>,
}

/// The one hash that all claims agree on. Claims that differ prove nothing:
/// one of them is wrong, and nothing here tells which.
pub fn agreed(claims: &[SumClaim]) -> Option<H1> {
    match claims {
        [claim] => Some(claim.h1),
        _ => None,
    }
}

impl MergedSums {
    /// Hashes of no file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file's hashes; `source` is shown to people, such as its path.
    pub fn add(&mut self, source: impl Into<String>, sums: &GoSum) {
        let index = self.sources.len();
        self.sources.push(source.into());
        merge(&mut self.zips, index, &sums.zips);
        merge(&mut self.go_mods, index, &sums.go_mods);
    }

    /// The files and lines of a claim, for people.
    pub fn places(&self, claim: &SumClaim) -> String {
        let places: Vec<String> = claim
            .lines
            .iter()
            .filter_map(|at| Some(format!("{} line {}", self.sources.get(at.source)?, at.line)))
            .collect();
        places.join(", ")
    }

    /// What is recorded for a version's whole content; more than one claim is
    /// a disagreement, and then none of them proves anything.
    pub fn zip(&self, module: &ModuleVersion) -> &[SumClaim] {
        self.zips.get(module).map_or(&[], Vec::as_slice)
    }

    /// What is recorded for a version's `go.mod`.
    pub fn go_mod(&self, module: &ModuleVersion) -> &[SumClaim] {
        self.go_mods.get(module).map_or(&[], Vec::as_slice)
    }

    /// All versions with a hash of their whole content, in order.
    pub fn zips(&self) -> impl Iterator<Item = (&ModuleVersion, &[SumClaim])> {
        self.zips
            .iter()
            .map(|(module, claims)| (module, claims.as_slice()))
    }

    /// All versions with a hash of their `go.mod`, in order.
    pub fn go_mods(&self) -> impl Iterator<Item = (&ModuleVersion, &[SumClaim])> {
        self.go_mods
            .iter()
            .map(|(module, claims)| (module, claims.as_slice()))
    }

    /// Whether no file records anything.
    pub fn is_empty(&self) -> bool {
        self.zips.is_empty() && self.go_mods.is_empty()
    }
}

fn merge(into: &mut BTreeMap<ModuleVersion, Vec<SumClaim>>, source: usize, sums: &Sums) {
    for (module, hashes) in sums {
        let claims = into.entry(module.clone()).or_default();
        for &Sum { h1, line } in hashes {
            let line = SumLine { source, line };
            match claims.iter_mut().find(|claim| claim.h1 == h1) {
                Some(claim) => claim.lines.push(line),
                None => claims.push(SumClaim {
                    h1,
                    lines: vec![line],
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_what() {
        let line = |n: u8| {
            format!(
                "x.y v1.0.0 {}\nx.y v1.0.0/go.mod {}\n",
                H1([n; 32]),
                H1([9; 32])
            )
        };
        let mut merged = MergedSums::new();
        assert!(merged.is_empty());
        for (source, n) in [("a/go.sum", 1), ("b/go.sum", 2), ("c/go.sum", 1)] {
            merged.add(source, &GoSum::parse(line(n).as_bytes()).unwrap());
        }
        let module = ModuleVersion::new("x.y", "v1.0.0");
        let said = |claims: &[SumClaim]| -> Vec<(H1, String)> {
            let said = claims.iter();
            said.map(|claim| (claim.h1, merged.places(claim))).collect()
        };
        assert_eq!(
            said(merged.zip(&module)),
            [
                (H1([1; 32]), "a/go.sum line 1, c/go.sum line 1".to_owned()),
                (H1([2; 32]), "b/go.sum line 1".to_owned()),
            ]
        );
        assert_eq!(
            said(merged.go_mod(&module)),
            [(
                H1([9; 32]),
                "a/go.sum line 2, b/go.sum line 2, c/go.sum line 2".to_owned()
            )]
        );
        assert_eq!(agreed(merged.zip(&module)), None);
        assert_eq!(agreed(merged.go_mod(&module)), Some(H1([9; 32])));
        assert_eq!(merged.sources[1], "b/go.sum");
        assert_eq!(merged.zips().count(), 1);
        assert_eq!(merged.go_mods().count(), 1);
    }
}
