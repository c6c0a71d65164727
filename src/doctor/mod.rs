//! Go's settings as they bear on the caches: what makes them grow, drift or
//! fail.
//!
//! [`gather`] takes a [`Situation`] from the machine once: the settings as Go
//! sees them (no `go` binary is needed), the projects, the caches, and the file
//! systems they lie on. [`RULES`] lists the rules, pure functions of it. A
//! finding's message has the evidence and the harm, its help the remedy as a
//! command. [`settings`] tells the settings themselves.

mod gather;
#[cfg(feature = "remote")]
pub mod online;
mod place;
mod privacy;
mod project;
mod proxies;
mod settings;
mod site;
mod situation;
mod sources;
mod sums;
mod test_logs;
mod trust;
mod vcs_ignore;
mod walk;
mod workings;

pub use gather::{Gathered, gather};
pub use proxies::chain;
pub use settings::settings;
pub use situation::{CacheSite, ProjectSite, Situation, Unmakeable};

use self::Diagnosis::{Many, One};
use crate::findings::Finding;
use crate::locate::{Caches, Located};

/// A rule: looks at the situation for one kind of trouble.
enum Diagnosis {
    /// Finds it once at most.
    One(fn(&Situation) -> Option<Finding>),
    /// May find it at several places.
    Many(fn(&Situation) -> Vec<Finding>),
}

const RULES: &[Diagnosis] = &[
    Many(workings::unlocated),
    One(workings::refused),
    One(workings::unreadable_env_file),
    One(workings::empty_proxy_list),
    One(workings::broken_flags),
    Many(workings::ignored_settings),
    One(workings::mod_mod_in_ci),
    One(workings::writable_modules),
    One(proxies::unreached),
    Many(proxies::fallback),
    One(proxies::mixed),
    One(proxies::mixed_by_evidence),
    One(trust::database_off),
    One(trust::database_unknown),
    One(trust::skipped),
    One(trust::insecure),
    Many(privacy::leaks),
    One(privacy::halves),
    Many(place::unmakeable),
    One(place::overlap),
    Many(place::in_workspace),
    Many(place::owners),
    Many(place::space),
    One(place::access_times),
    One(place::folding),
    One(place::restore),
    One(project::cached_toolchains),
    One(project::switching),
    Many(project::sum_lines),
    Many(project::workspace_sums),
    Many(project::uncounted),
    Many(sources::one_time),
    Many(sources::checkout_times),
];

/// All findings on a situation.
#[must_use]
pub fn diagnose(situation: &Situation) -> Vec<Finding> {
    let found = RULES.iter().flat_map(|rule| match rule {
        One(rule) => rule(situation).into_iter().collect(),
        Many(rule) => rule(situation),
    });
    found.collect()
}

/// The caches that belong to another user than this, or may not be written to:
/// what `check` tells too, since it bears on what can be said of use.
#[must_use]
pub fn owners(caches: &Caches) -> Vec<Finding> {
    let site = |located: &Option<Located>| {
        let site = site::of(located.as_ref()?);
        site.foreign_owner().is_some().then_some(site)
    };
    place::owners(&Situation {
        modcache: site(&caches.modcache),
        gocache: site(&caches.gocache),
        ..Situation::default()
    })
}

#[cfg(test)]
mod tests;
