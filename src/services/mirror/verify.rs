//! Is what a storage hands out what the projects' go.sum files say it is?

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{Mirror, StoredFile, remove};
use crate::findings::{Finding, Rule};
use crate::formats::gosum::{MergedSums, SumClaim, agreed};
use crate::formats::h1::{H1, h1_of_go_mod};
use crate::formats::module::PieceKind;
use crate::formats::modzip::MAX_GO_MOD_BYTES;
use crate::verify::{ZipError, zip_h1};

/// What verifying a storage brought.
#[derive(Debug, Default)]
pub struct MirrorEvidence {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Zips and `.mod` files that a go.sum line proves.
    pub proven: u64,
    /// Zips that are sound, but that no known go.sum has a line for.
    pub sound: u64,
}

/// Hashes every stored zip and `.mod` file.
pub fn verify(root: &Path, mirror: &Mirror, sums: &MergedSums) -> MirrorEvidence {
    let mut evidence = MirrorEvidence::default();
    for version in &mirror.versions {
        for (piece, file) in &version.files {
            let opened = open(root, file);
            let found = match piece {
                PieceKind::Zip => match opened
                    .map_err(ZipError::from)
                    .and_then(|it| zip_h1(&version.id, it))
                {
                    Ok(h1) => evidence.judge(h1, sums.zip(&version.id), Rule::ZipHashMismatch),
                    Err(error) => Some((Rule::ZipInvalid, error.to_string(), None)),
                },
                PieceKind::Mod => match opened.and_then(read_go_mod) {
                    Ok(bytes) => {
                        let h1 = h1_of_go_mod(&bytes);
                        evidence.judge(h1, sums.go_mod(&version.id), Rule::ModHashMismatch)
                    }
                    Err(error) => Some((Rule::Unreadable, error.to_string(), None)),
                },
                _ => None,
            };
            let Some((rule, message, differs)) = found else {
                continue;
            };
            let mut finding = Finding::new(rule, version.id.to_string(), message);
            finding = finding.at(&root.join(&file.path));
            if let Some((claim, h1)) = differs {
                finding = finding.differs(claim, h1).advise(REFETCH);
            }
            evidence.findings.push(finding);
        }
    }
    evidence
}

const REFETCH: &str = "Remove the version from the mirror so that it is fetched again; if it comes back, its source changed.";

/// A rule that is broken, why, and what was claimed and found if that differs.
type Found = (Rule, String, Option<(H1, H1)>);

impl MirrorEvidence {
    fn judge(&mut self, h1: H1, claims: &[SumClaim], rule: Rule) -> Option<Found> {
        if agreed(claims) == Some(h1) {
            self.proven += 1;
            return None;
        }
        let Some(claim) = claims.first() else {
            self.sound += 1;
            return None;
        };
        Some(match claims.iter().any(|claim| claim.h1 == h1) {
            true => (
                Rule::ConflictingClaims,
                "the lines of go.sum files differ for it, so none of them proves it".to_owned(),
                None,
            ),
            false => (
                rule,
                "what the mirror hands out is not what go.sum has".to_owned(),
                Some((claim.h1, h1)),
            ),
        })
    }
}

fn open(root: &Path, file: &StoredFile) -> io::Result<File> {
    remove::refuse_links(root, &file.path)?;
    File::open(root.join(&file.path))
}

fn read_go_mod(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_GO_MOD_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_GO_MOD_BYTES {
        return Err(io::Error::other("larger than any go.mod that Go accepts"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::gosum::GoSum;
    use crate::formats::module::ModuleVersion;
    use crate::services::mirror::StoredVersion;

    #[test]
    fn lines_that_differ_prove_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let content = "module x.y\n";
        std::fs::write(dir.path().join("v1.0.0.mod"), content).unwrap();
        let right = h1_of_go_mod(content.as_bytes());
        let file = StoredFile {
            path: "v1.0.0.mod".into(),
            bytes: content.len() as u64,
        };
        let mirror = Mirror {
            versions: vec![StoredVersion {
                id: ModuleVersion::new("x.y", "v1.0.0"),
                files: [(PieceKind::Mod, file)].into(),
                stored: chrono::DateTime::UNIX_EPOCH,
            }],
            oddities: Vec::new(),
        };
        let mut sums = MergedSums::new();
        let mut add = |name: &str, h1: H1| {
            let text = format!("x.y v1.0.0/go.mod {h1}\n");
            sums.add(name, &GoSum::parse(text.as_bytes()).unwrap());
            let evidence = verify(dir.path(), &mirror, &sums);
            let rules = evidence.findings.iter().map(|finding| finding.rule);
            (evidence.proven, rules.collect::<Vec<_>>())
        };
        assert_eq!(add("a/go.sum", right), (1, vec![]));
        let other = add("b/go.sum", H1([1; 32]));
        assert_eq!(other, (0, vec![Rule::ConflictingClaims]));
    }
}
