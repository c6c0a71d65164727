//! What makes a finding the same finding in the next run.

use crate::findings::Finding;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Gives each finding of a report its fingerprint: SHA-256 of rule and
/// subject, and for a second finding with both the same, of its number.
#[derive(Default)]
pub(super) struct Fingerprints {
    seen: HashMap<(crate::findings::Rule, String), u64>,
}

impl Fingerprints {
    pub(super) fn next(&mut self, finding: &Finding) -> String {
        let seen = self
            .seen
            .entry((finding.rule, finding.subject.clone()))
            .or_insert(0);
        let mut hash = Sha256::new();
        hash.update(finding.rule.name());
        hash.update([0]);
        hash.update(&finding.subject);
        if *seen > 0 {
            hash.update([0]);
            hash.update(seen.to_string());
        }
        *seen += 1;
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Rule;

    #[test]
    fn the_same_finding_has_the_same_fingerprint_and_twins_differ() {
        let finding = Finding::new(Rule::Drift, "a@v1.0.0", "x");
        let mut other = Finding::new(Rule::Drift, "a@v1.0.0", "y");
        other.level = crate::findings::Level::Deny;
        let first = Fingerprints::default().next(&finding);
        assert_eq!(first, Fingerprints::default().next(&other));
        let mut twins = Fingerprints::default();
        assert_eq!(twins.next(&finding), first);
        assert_ne!(twins.next(&finding), first);
    }
}
