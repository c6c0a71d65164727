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
mod settings;
mod situation;
mod sources;
mod trust;
mod vcs_ignore;
mod workings;

pub use gather::{Gathered, gather};
pub use proxies::chain;
pub use settings::settings;
pub use situation::{CacheSite, ProjectSite, Situation, Space, SumLines, Unmakeable};

use crate::findings::Finding;
use crate::locate::Caches;
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
    findings.extend(project::uncounted(situation));
    findings.extend(sources::diagnose(situation));
    findings
}

/// The caches that belong to another user than this, or may not be written to:
/// what `check` tells too, since it bears on what can be said of use.
#[must_use]
pub fn owners(caches: &Caches) -> Vec<Finding> {
    let sites = [
        ("module cache", &caches.modcache),
        ("build cache", &caches.gocache),
    ];
    let foreign = |site: &CacheSite| {
        site.owner_and_user
            .is_some_and(|(owner, user)| owner != user)
    };
    sites
        .into_iter()
        .filter_map(|(name, located)| Some((name, gather::site(located.as_ref()?))))
        .filter(|(_, site)| foreign(site))
        .filter_map(|(name, site)| place::owner(name, &site))
        .collect()
}

#[cfg(test)]
mod tests;
