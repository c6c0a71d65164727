//! Is what a storage hands out what the projects' go.sum files say it is?

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{Mirror, StoredFile, StoredVersion, remove};
use crate::findings::{Finding, Rule};
use crate::formats::gosum::{MergedSums, SumClaim, agreed};
use crate::formats::h1::{H1, h1_of_go_mod};
use crate::formats::modzip::MAX_GO_MOD_BYTES;

/// What verifying a storage brought.
#[derive(Debug, Default)]
pub struct Evidence {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Zips and `.mod` files that a go.sum line proves.
    pub proven: u64,
    /// Zips that are sound, but that no known go.sum has a line for.
    pub sound: u64,
}

/// Hashes every stored zip and `.mod` file.
pub fn verify(root: &Path, mirror: &Mirror, sums: &MergedSums) -> Evidence {
    let mut evidence = Evidence::default();
    for version in &mirror.versions {
        if let Some(zip) = &version.zip {
            let h1 = open(root, zip).and_then(|file| crate::verify::zip_h1(&version.id, file));
            match h1 {
                Ok(h1) => evidence.judge(
                    version,
                    root,
                    zip,
                    h1,
                    sums.zip(&version.id),
                    Rule::ZipHashMismatch,
                ),
                Err(error) => evidence.report(version, root, zip, Rule::ZipInvalid, error),
            }
        }
        if let Some(go_mod) = &version.go_mod {
            match open(root, go_mod).and_then(read_go_mod) {
                Ok(bytes) => {
                    let h1 = h1_of_go_mod(&bytes);
                    evidence.judge(
                        version,
                        root,
                        go_mod,
                        h1,
                        sums.go_mod(&version.id),
                        Rule::ModHashMismatch,
                    );
                }
                Err(error) => evidence.report(version, root, go_mod, Rule::Unreadable, error),
            }
        }
    }
    evidence
}

impl Evidence {
    fn judge(
        &mut self,
        version: &StoredVersion,
        root: &Path,
        file: &StoredFile,
        h1: H1,
        claims: &[SumClaim],
        rule: Rule,
    ) {
        if agreed(claims) == Some(h1) {
            self.proven += 1;
            return;
        }
        if claims.iter().any(|claim| claim.h1 == h1) {
            let message = "the lines of go.sum files differ for it, so none of them proves it";
            let finding = Finding::new(Rule::ConflictingClaims, version.id.to_string(), message);
            self.findings.push(finding.at(&root.join(&file.path)));
            return;
        }
        let Some(claim) = claims.first() else {
            self.sound += 1;
            return;
        };
        let message = "what the mirror hands out is not what go.sum has";
        let finding = Finding::new(rule, version.id.to_string(), message)
            .at(&root.join(&file.path))
            .differs(claim.h1, h1)
            .advise("Remove the version from the mirror so that it is fetched again; if it comes back, its source changed.");
        self.findings.push(finding);
    }

    fn report(
        &mut self,
        version: &StoredVersion,
        root: &Path,
        file: &StoredFile,
        rule: Rule,
        error: String,
    ) {
        let finding = Finding::new(rule, version.id.to_string(), error).at(&root.join(&file.path));
        self.findings.push(finding);
    }
}

fn open(root: &Path, file: &StoredFile) -> Result<File, String> {
    remove::refuse_links(root, &file.path).map_err(|error| error.to_string())?;
    File::open(root.join(&file.path)).map_err(|error| error.to_string())
}

fn read_go_mod(file: File) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(MAX_GO_MOD_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_GO_MOD_BYTES {
        return Err("larger than any go.mod that Go accepts".to_owned());
    }
    Ok(bytes)
}
