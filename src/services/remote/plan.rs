//! Which remote entries go, which stay, and why. Pure.

use chrono::{DateTime, Utc};

use super::entry::{CacheEntry, RefKind, RefState, Repository};
use super::groups;
use super::history::History;
use super::prefix::KeyPrefix;
use crate::services::eviction::{
    self, EvictionPlan, Extent, Order, Ruling, SizeLimit, StoredUnit, UseRules,
};
use crate::services::heat::Heat;
use crate::values::{Rate, Share, Size};

/// What the user asked for. Nothing is removed unless something here says so.
#[derive(Debug, Clone, Default)]
pub struct RemoteRules {
    /// Globs of keys that stay.
    pub keep: Vec<String>,
    /// Globs of refs whose entries stay.
    pub keep_refs: Vec<String>,
    /// What the accesses say.
    pub uses: UseRules,
    /// Remove what a newer entry of these prefixes took the place of.
    pub superseded: Vec<KeyPrefix>,
    /// Remove entries of closed pull requests and deleted branches and tags.
    pub closed_prs: bool,
    /// Remove the longest unused until a repository's entries fit: in bytes, or as a
    /// share of its quota.
    pub max_size: Option<Share>,
}

/// Weighs every entry; the first rule that decides wins.
pub fn plan(
    repository: &Repository,
    history: &History,
    policy: &RemoteRules,
    now: DateTime<Utc>,
) -> EvictionPlan {
    let entries = groups::superseded(repository, &policy.superseded);
    let unit = |(entry, newer): (&CacheEntry, Option<&CacheEntry>)| {
        let heat = history.heat(&repository.name, entry, now);
        StoredUnit {
            ruling: weigh(repository, entry, newer, heat, policy, now),
            bytes: entry.bytes,
            part: Extent::Whole,
            part_bytes: entry.bytes,
            heat,
        }
    };
    let units: Vec<StoredUnit> = entries.into_iter().map(unit).collect();
    let mut unjudged = Vec::new();
    let limit = policy.max_size.map(|limit| resolve(limit, repository));
    let limit = SizeLimit {
        bytes: limit.transpose().unwrap_or_else(|why| {
            unjudged.push(why.to_owned());
            None
        }),
        order: Order::LongestUnused,
        force: false,
    };
    eviction::plan(&units, limit, unjudged, now)
}

fn weigh(
    repository: &Repository,
    entry: &CacheEntry,
    newer: Option<&CacheEntry>,
    heat: Heat,
    policy: &RemoteRules,
    now: DateTime<Utc>,
) -> Ruling {
    if let Some(glob) = first_match(&policy.keep, &entry.key) {
        return Ruling::Keep(format!("key matches keep {glob:?}"));
    }
    if let Some(glob) = first_match(&policy.keep_refs, &entry.git_ref) {
        return Ruling::Keep(format!("ref matches keep-ref {glob:?}"));
    }
    if let Some(ruling) = policy.uses.keep(heat, now) {
        return ruling;
    }
    if let Some(newer) = newer {
        return Ruling::Remove(format!("superseded by {} ({})", newer.key, newer.id));
    }
    if policy.closed_prs
        && let Some(why) = dead(repository, &entry.git_ref)
    {
        return Ruling::Remove(why);
    }
    match policy.uses.remove(heat, entry.created, now, NO_SAMPLES) {
        Ruling::Open if policy.closed_prs && undecided(repository, &entry.git_ref) => {
            Ruling::Unjudged("closed-prs: the state of the ref is unknown")
        }
        ruling => ruling,
    }
}

const NO_SAMPLES: &str = "min-hit-count: no week of samples, see --history";

/// The limit in bytes.
///
/// # Errors
/// When that takes what is not known of the repository.
pub fn resolve(limit: Share, repository: &Repository) -> Result<u64, &'static str> {
    if !repository.complete {
        return Err("max-size: not all entries are known");
    }
    match (limit, repository.quota) {
        (Share::Bytes(Size(bytes)), _) => Ok(bytes),
        (Share::Part(Rate(share)), Some(quota)) => Ok((quota.bytes as f64 * share) as u64),
        (Share::Part(_), None) => Err("max-size: the quota is unknown"),
    }
}

fn dead(repository: &Repository, git_ref: &str) -> Option<String> {
    match (repository.refs.get(git_ref)?, RefKind::of(git_ref)) {
        (RefState::Closed, RefKind::PullRequest(number)) => {
            Some(format!("pull request {number} is closed"))
        }
        (RefState::Closed | RefState::Deleted, _) => Some(format!("{git_ref} is gone")),
        (RefState::Alive, _) => None,
    }
}

/// Whether it should be known, and is not, that a ref lives.
fn undecided(repository: &Repository, git_ref: &str) -> bool {
    !matches!(RefKind::of(git_ref), RefKind::Other) && !repository.refs.contains_key(git_ref)
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
    use chrono::TimeDelta;

    fn explain(repository: &Repository, policy: &RemoteRules) -> String {
        let plan = plan(repository, &History::default(), policy, now());
        let mut text = String::new();
        for (entry, decision) in repository.entries.iter().zip(&plan.decisions) {
            let verb = if decision.removes() { "remove" } else { "keep" };
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
        let plan = plan(&many(), &History::default(), &RemoteRules::default(), now());
        assert!(plan.decisions.iter().all(|decision| !decision.removes()));
        assert_eq!((plan.over, plan.unjudged.len()), (0, 0));
    }

    #[test]
    fn every_rule_explains_itself() {
        let policy = RemoteRules {
            keep: vec!["tool*".into()],
            superseded: KeyPrefix::parse("${{ runner.os }}-go-")
                .into_iter()
                .collect(),
            closed_prs: true,
            uses: UseRules {
                min_hit_count: Some(1),
                ..UseRules::default()
            },
            ..RemoteRules::default()
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
        let policy = RemoteRules {
            uses: UseRules::default(),
            ..policy
        };
        let text = explain(&ignorant, &policy);
        assert!(
            text.contains("unjudged closed-prs: the state of the ref is unknown (4 of 7)"),
            "{text}"
        );
    }

    #[test]
    fn size_takes_the_coldest_that_may_go() {
        let policy = RemoteRules {
            keep_refs: vec!["refs/x".into()],
            uses: UseRules {
                keep_since: Some(TimeDelta::hours(4)),
                cutoff: Some(TimeDelta::days(30)),
                min_hit_count: None,
            },
            max_size: Some(Share::Bytes(Size(9000))),
            ..RemoteRules::default()
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
        let tight = RemoteRules {
            max_size: Some(Share::Bytes(Size(1))),
            ..policy
        };
        assert_eq!(plan(&many(), &History::default(), &tight, now()).over, 6009);
    }

    #[test]
    fn a_share_needs_a_quota_and_the_whole_list() {
        let policy = RemoteRules {
            max_size: Some(Share::Part(Rate(0.5))),
            ..RemoteRules::default()
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
