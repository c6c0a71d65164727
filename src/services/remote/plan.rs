//! Which remote entries go, which stay, and why. Pure.

use chrono::{DateTime, TimeDelta, Utc};

use super::entry::{Place, RefState, Repository};
use super::groups;
use super::history::History;
use super::prefix::KeyPrefix;
use crate::services::eviction::Ruling;
use crate::services::heat::{self, Candidate, Heat, WINDOW};
use crate::values::{Rate, Share, Size};

/// What the user asked for. Nothing is removed unless something here says so.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Globs of keys that stay.
    pub keep: Vec<String>,
    /// Globs of refs whose entries stay.
    pub keep_refs: Vec<String>,
    /// Keep what was accessed within this time.
    pub keep_since: Option<TimeDelta>,
    /// Remove what a newer entry of these prefixes took the place of.
    pub superseded: Option<Vec<KeyPrefix>>,
    /// Remove entries of closed pull requests and deleted branches and tags.
    pub closed_prs: bool,
    /// Remove what was not accessed for so long.
    pub cutoff: Option<TimeDelta>,
    /// Remove what was restored less often within the window.
    pub min_hit_count: Option<u32>,
    /// Remove the longest unused until a repository's entries fit: in bytes, or as a
    /// share of its quota.
    pub max_size: Option<Share>,
}

/// The plan for one repository; one decision for each of its entries, in
/// their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What becomes of each entry.
    pub decisions: Vec<Decision>,
    /// What could not be judged, and why.
    pub unjudged: Vec<String>,
    /// Bytes that should still go, had the kept entries allowed it.
    pub over: u64,
}

/// What becomes of one entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Stay or go.
    pub remove: bool,
    /// Why, in words.
    pub reason: String,
    /// What is known of its accesses.
    pub heat: Heat,
}

/// Weighs every entry; the first rule that decides wins.
pub fn plan(
    repository: &Repository,
    history: &History,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Plan {
    let mut unjudged = Vec::new();
    let successors = match &policy.superseded {
        Some(prefixes) => groups::superseded(repository, prefixes),
        None => vec![None; repository.entries.len()],
    };
    let mut decisions = Vec::with_capacity(repository.entries.len());
    let mut unknown_refs = 0usize;
    let mut unknown_hits = 0usize;
    let mut movable = Vec::new();
    for (index, (entry, successor)) in repository.entries.iter().zip(successors).enumerate() {
        let heat = history.heat(&repository.name, entry, now);
        let idle = now.signed_duration_since(entry.accessed);
        let ruling = if let Some(glob) = first_match(&policy.keep, &entry.key) {
            Ruling::Keep(format!("key matches keep {glob:?}"))
        } else if let Some(glob) = first_match(&policy.keep_refs, &entry.git_ref) {
            Ruling::Keep(format!("ref matches keep-ref {glob:?}"))
        } else if let Some(limit) = policy.keep_since.filter(|limit| idle <= *limit) {
            Ruling::Keep(format!("accessed within {}", heat::span(limit)))
        } else if let Some(newer) = successor.and_then(|index| repository.entries.get(index)) {
            Ruling::Remove(format!("superseded by {} ({})", newer.key, newer.id))
        } else if let Some(why) = (policy.closed_prs)
            .then(|| dead(repository, &entry.git_ref))
            .flatten()
        {
            Ruling::Remove(why)
        } else if policy.cutoff.is_some_and(|limit| idle > limit) {
            Ruling::Remove(format!("not accessed for {}", heat::span(idle)))
        } else if let Some(least) = policy
            .min_hit_count
            .filter(|_| now - entry.created > WINDOW)
        {
            // The save counts as heat but is older than the window here, so
            // what is left are restores.
            if heat.count >= least {
                Ruling::Open
            } else if heat.exact {
                Ruling::Remove(format!("{} of {least} accesses within 7 days", heat.count))
            } else {
                unknown_hits += 1;
                Ruling::Open
            }
        } else {
            Ruling::Open
        };
        let open = matches!(ruling, Ruling::Open);
        if open && policy.closed_prs && undecided(repository, &entry.git_ref) {
            unknown_refs += 1;
        }
        let (remove, reason) = match ruling {
            Ruling::Remove(reason) => (true, reason),
            Ruling::Keep(reason) | Ruling::Dear(reason) => (false, reason),
            Ruling::Open => {
                movable.push(Candidate {
                    index,
                    bytes: entry.bytes,
                    heat,
                });
                (false, "nothing speaks against it".to_owned())
            }
        };
        decisions.push(Decision {
            remove,
            reason,
            heat,
        });
    }
    if unknown_refs > 0 {
        unjudged.push(format!(
            "closed-prs: state of the ref unknown for {unknown_refs} entries"
        ));
    }
    if unknown_hits > 0 {
        unjudged.push(format!(
            "min-hit-count: {unknown_hits} entries without a week of samples (see --history)"
        ));
    }
    let mut over = 0;
    match policy.max_size.map(|limit| resolve(limit, repository)) {
        None => {}
        Some(Err(why)) => unjudged.push(why),
        Some(Ok(limit)) => over = shrink(repository, &mut decisions, movable, limit, now),
    }
    Plan {
        decisions,
        unjudged,
        over,
    }
}

/// Marks the coldest for removal until the rest fits; what is then left over.
fn shrink(
    repository: &Repository,
    decisions: &mut [Decision],
    movable: Vec<Candidate>,
    limit: u64,
    now: DateTime<Utc>,
) -> u64 {
    let staying = |decisions: &[Decision]| -> u64 {
        let stay = repository
            .entries
            .iter()
            .zip(decisions)
            .filter(|(_, decision)| !decision.remove);
        stay.fold(0, |sum, (entry, _)| sum.saturating_add(entry.bytes))
    };
    let excess = staying(decisions).saturating_sub(limit);
    for index in heat::longest_unused(movable, excess) {
        if let Some(decision) = decisions.get_mut(index) {
            decision.remove = true;
            decision.reason = format!(
                "max-size: not accessed for {}, which is among the longest",
                heat::span(now - decision.heat.last),
            );
        }
    }
    staying(decisions).saturating_sub(limit)
}

/// The limit in bytes.
///
/// # Errors
/// When that takes what is not known of the repository.
pub fn resolve(limit: Share, repository: &Repository) -> Result<u64, String> {
    if !repository.complete {
        return Err("max-size: not all entries are known".to_owned());
    }
    match (limit, repository.quota) {
        (Share::Bytes(Size(bytes)), _) => Ok(bytes),
        (Share::Part(Rate(share)), Some(quota)) => Ok((quota.bytes as f64 * share) as u64),
        (Share::Part(_), None) => Err("max-size: the quota is unknown".to_owned()),
    }
}

fn dead(repository: &Repository, git_ref: &str) -> Option<String> {
    match (repository.refs.get(git_ref)?, Place::of(git_ref)) {
        (RefState::Closed, Place::PullRequest(number)) => {
            Some(format!("pull request {number} is closed"))
        }
        (RefState::Closed | RefState::Deleted, _) => Some(format!("{git_ref} is gone")),
        (RefState::Alive, _) => None,
    }
}

/// Whether it should be known, and is not, that a ref lives.
fn undecided(repository: &Repository, git_ref: &str) -> bool {
    !matches!(Place::of(git_ref), Place::Other) && !repository.refs.contains_key(git_ref)
}

fn first_match<'g>(globs: &'g [String], text: &str) -> Option<&'g str> {
    let glob = globs
        .iter()
        .find(|glob| fast_glob::glob_match(glob.as_str(), text));
    glob.map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::remote::entry::Quota;
    use crate::services::remote::testing::{ago, entry, now, repository};

    fn explain(repository: &Repository, policy: &Policy) -> String {
        let plan = plan(repository, &History::default(), policy, now());
        let mut text = String::new();
        for (entry, decision) in repository.entries.iter().zip(&plan.decisions) {
            let verb = if decision.remove { "remove" } else { "keep" };
            text += &format!("{verb} {} {}: {}\n", entry.id, entry.key, decision.reason);
        }
        for why in &plan.unjudged {
            text += &format!("unjudged {why}\n");
        }
        text + &format!("over {}", plan.over)
    }

    fn many() -> Repository {
        let mut repository = repository(vec![
            entry(1, "Linux-go-old", "refs/heads/main", 4000, 20 * 24),
            entry(2, "Linux-go-new", "refs/heads/main", 4100, 24),
            entry(3, "Linux-go-old", "refs/pull/7/merge", 3000, 10 * 24),
            entry(4, "Linux-go-dev", "refs/heads/gone", 2000, 3),
            entry(5, "tools", "refs/heads/main", 1000, 40 * 24),
            entry(6, "Linux-go-pr", "refs/pull/8/merge", 900, 12 * 24),
            entry(7, "odd", "refs/x", 10, 9 * 24),
        ]);
        repository.entries[0].accessed = ago(2);
        for (git_ref, state) in [
            ("refs/heads/main", RefState::Alive),
            ("refs/heads/gone", RefState::Deleted),
            ("refs/pull/7/merge", RefState::Closed),
            ("refs/pull/8/merge", RefState::Alive),
        ] {
            repository.refs.insert(git_ref.into(), state);
        }
        repository
    }

    #[test]
    fn without_a_policy_nothing_goes() {
        let plan = plan(&many(), &History::default(), &Policy::default(), now());
        assert!(plan.decisions.iter().all(|decision| !decision.remove));
        assert_eq!((plan.over, plan.unjudged.len()), (0, 0));
    }

    #[test]
    fn every_rule_explains_itself() {
        let policy = Policy {
            keep: vec!["tool*".into()],
            superseded: KeyPrefix::parse("${{ runner.os }}-go-").map(|prefix| vec![prefix]),
            closed_prs: true,
            min_hit_count: Some(1),
            ..Policy::default()
        };
        insta::assert_snapshot!(explain(&many(), &policy), @r#"
        remove 1 Linux-go-old: superseded by Linux-go-new (2)
        keep 2 Linux-go-new: nothing speaks against it
        remove 3 Linux-go-old: pull request 7 is closed
        remove 4 Linux-go-dev: refs/heads/gone is gone
        keep 5 tools: key matches keep "tool*"
        remove 6 Linux-go-pr: 0 of 1 accesses within 7 days
        remove 7 odd: 0 of 1 accesses within 7 days
        over 0
        "#);
        let mut ignorant = many();
        ignorant.refs.clear();
        let policy = Policy {
            min_hit_count: None,
            ..policy
        };
        let text = explain(&ignorant, &policy);
        assert!(
            text.contains("unjudged closed-prs: state of the ref unknown for 4 entries"),
            "{text}"
        );
    }

    #[test]
    fn size_takes_the_coldest_that_may_go() {
        let policy = Policy {
            keep_refs: vec!["refs/x".into()],
            keep_since: Some(TimeDelta::hours(4)),
            cutoff: Some(TimeDelta::days(30)),
            max_size: Some(Share::Bytes(Size(9000))),
            ..Policy::default()
        };
        insta::assert_snapshot!(explain(&many(), &policy), @r#"
        keep 1 Linux-go-old: accessed within 4 h
        remove 2 Linux-go-new: max-size: not accessed for 24 h, which is among the longest
        remove 3 Linux-go-old: max-size: not accessed for 10 d, which is among the longest
        keep 4 Linux-go-dev: accessed within 4 h
        remove 5 tools: not accessed for 40 d
        remove 6 Linux-go-pr: max-size: not accessed for 12 d, which is among the longest
        keep 7 odd: ref matches keep-ref "refs/x"
        over 0
        "#);
        let tight = Policy {
            max_size: Some(Share::Bytes(Size(1))),
            ..policy
        };
        assert_eq!(plan(&many(), &History::default(), &tight, now()).over, 6009);
    }

    #[test]
    fn a_share_needs_a_quota_and_the_whole_list() {
        let policy = Policy {
            max_size: Some(Share::Part(Rate(0.5))),
            ..Policy::default()
        };
        let mut repository = many();
        assert_eq!(explain(&repository, &policy).matches("remove").count(), 0);
        repository.quota = Some(Quota {
            bytes: 20_000,
            assumed: false,
        });
        assert_eq!(explain(&repository, &policy).matches("remove").count(), 5);
        repository.complete = false;
        let text = explain(&repository, &policy);
        assert!(
            text.contains("unjudged max-size: not all entries are known"),
            "{text}"
        );
        assert!(!text.contains("remove"), "{text}");
    }
}
