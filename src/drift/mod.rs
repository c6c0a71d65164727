//! The same version, not the same content: what different witnesses say of a
//! module version, who agrees with whom, and what most likely happened.
//!
//! Witnesses are this cache, another one (or another project's go.sum), the
//! projects' go.sum files and the checksum database.

mod accounts;
mod verdict;

pub use accounts::{Account, for_report, of_cache, of_go_sum, of_report};
pub use verdict::{Testimony, judge};

use crate::findings::{Finding, Rule};
use crate::formats::gosum::MergedSums;
use crate::formats::module::ModuleVersion;
use crate::report::{DriftCause, DriftRow, DriftTable};
use crate::sumdb::{RecordProof, Sumdb};
use std::collections::BTreeMap;

/// What witnesses say of each module version.
pub type Accounts = BTreeMap<ModuleVersion, Account>;

/// The result of a comparison.
#[derive(Debug, Default)]
pub struct Comparison {
    /// A finding for each version that drifted.
    pub findings: Vec<Finding>,
    /// Who says what.
    pub table: DriftTable,
}

impl Comparison {
    /// Takes up what was said of one more version.
    pub fn add(&mut self, module: &ModuleVersion, said: &Testimony<'_>) {
        self.table.compared += 1;
        let Some(drift) = judge(said) else {
            self.table.consistent += 1;
            return;
        };
        let rule = match drift.verdict {
            DriftCause::ProxyChanged | DriftCause::Retagged if said.by_proxies => {
                Rule::ProxyDisagrees
            }
            _ => Rule::Drift,
        };
        let finding = Finding::new(rule, module.to_string(), drift.message)
            .differs(drift.ours, drift.theirs)
            .advise(drift.verdict.advice());
        self.findings.push(finding);
        self.table.rows.push(DriftRow {
            module: module.to_string(),
            what: drift.what.to_owned(),
            says: drift.says,
            verdict: drift.verdict,
        });
    }
}

/// Of `then`, what `now` says otherwise.
#[must_use]
pub fn changed(then: Accounts, now: &Accounts) -> Accounts {
    let is_changed = |module: &ModuleVersion, then: &Account| {
        now.get(module).is_some_and(|now| {
            differ(now.zip, then.zip)
                || differ(now.go_mod, then.go_mod)
                || differ(now.zip_bytes, then.zip_bytes)
                || differ(now.commit.as_ref(), then.commit.as_ref())
                || differ(now.time, then.time)
        })
    };
    then.into_iter()
        .filter(|(module, account)| is_changed(module, account))
        .collect()
}

/// Where one of them says nothing they do not disagree.
fn differ<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one != other)
}

/// Compares two sides; `name` is what the other one is called.
#[must_use]
pub fn compare(
    ours: &Accounts,
    theirs: &Accounts,
    name: &str,
    sums: &MergedSums,
    sumdb: &Sumdb,
) -> Comparison {
    let mut comparison = Comparison::default();
    for (module, ours) in ours {
        let Some(theirs) = theirs.get(module) else {
            continue;
        };
        let record = match sumdb.check(module, None, None) {
            RecordProof::Proven(sums) => Some(sums),
            _ => None,
        };
        let said = Testimony {
            ours,
            others: vec![(name, theirs)],
            by_proxies: false,
            go_sum: sums.zip(module).iter().map(|claim| claim.h1).collect(),
            go_sum_mod: sums.go_mod(module).iter().map(|claim| claim.h1).collect(),
            sumdb: record.and_then(|sums| sums.zip),
            sumdb_mod: record.and_then(|sums| sums.go_mod),
        };
        comparison.add(module, &said);
    }
    comparison
}

#[cfg(test)]
mod tests;
