//! Go's settings as they bear on the caches: what makes them grow, drift or
//! fail.
//!
//! Every diagnosis is a pure function of a [`Situation`], which [`gather`] takes
//! from the machine once: the settings as Go sees them (no `go` binary is
//! needed), the projects, the caches, and the file systems they lie on. A
//! diagnosis is a finding: its message has the evidence and the harm, its help
//! the remedy as a command.

mod gather;
mod mounts;
#[cfg(feature = "remote")]
pub mod online;
mod place;
mod privacy;
mod project;
mod proxies;
mod situation;
mod trust;
mod vcs_ignore;
mod workings;

pub use gather::{Gathered, gather};
pub use proxies::{Proxy, Separator, chain};
pub use situation::{
    CacheSite, ProjectSite, Situation, Space, SumLines, Toolchains, WorkspaceSite,
};

use crate::findings::Finding;
use chrono::{DateTime, Utc};

/// All diagnoses of a situation. `now` is the current time.
#[must_use]
pub fn diagnose(situation: &Situation, now: DateTime<Utc>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(workings::invalid_settings(situation));
    findings.extend(workings::ignored_settings(situation));
    findings.extend(workings::flags(situation));
    findings.extend(proxies::diagnose(situation));
    findings.extend(trust::diagnose(situation));
    findings.extend(privacy::diagnose(situation));
    findings.extend(place::diagnose(situation));
    findings.extend(workings::trim_marker(situation, now));
    findings.extend(project::toolchains(situation));
    findings.extend(project::sum_lines(situation));
    findings.extend(project::workspace_sums(situation));
    findings
}

#[cfg(test)]
mod tests;
