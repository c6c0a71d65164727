//! Several projects' hashes together, each with who says so.

use std::collections::BTreeMap;

use super::{GoSum, Sums};
use crate::formats::h1::H1;
use crate::formats::module::ModuleVersion;

/// One hash and the files that record it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SumClaim {
    /// The hash.
    pub h1: H1,
    /// Indices into [`MergedSums::sources`], ascending.
    pub sources: Vec<usize>,
}

/// The hashes of several `go.sum` files.
#[derive(Debug, Clone, Default)]
pub struct MergedSums {
    sources: Vec<String>,
    zips: BTreeMap<ModuleVersion, Vec<SumClaim>>,
    go_mods: BTreeMap<ModuleVersion, Vec<SumClaim>>,
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

    /// The files added, in their order.
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// What is recorded for a version's whole content; more than one claim is
    /// a disagreement.
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
        for h1 in hashes {
            match claims.iter_mut().find(|claim| claim.h1 == *h1) {
                Some(claim) => claim.sources.push(source),
                None => claims.push(SumClaim {
                    h1: *h1,
                    sources: vec![source],
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
        assert_eq!(
            merged.zip(&module),
            [
                SumClaim {
                    h1: H1([1; 32]),
                    sources: vec![0, 2]
                },
                SumClaim {
                    h1: H1([2; 32]),
                    sources: vec![1]
                },
            ]
        );
        assert_eq!(
            merged.go_mod(&module),
            [SumClaim {
                h1: H1([9; 32]),
                sources: vec![0, 1, 2]
            }]
        );
        assert_eq!(merged.sources()[1], "b/go.sum");
        assert_eq!(merged.zips().count(), 1);
        assert_eq!(merged.go_mods().count(), 1);
    }
}
