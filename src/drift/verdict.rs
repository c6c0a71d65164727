//! Who agrees with whom, and what most likely happened.

use super::Account;
use crate::formats::h1::H1;
use crate::report::{DriftCause, Saying};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// Everything said of one module version.
#[derive(Clone, Debug)]
pub struct Testimony<'a> {
    /// What this cache says.
    pub ours: &'a Account,
    /// What the other witnesses are called, and what they say.
    pub others: Vec<(&'a str, &'a Account)>,
    /// Whether the others are proxies, asked just now: what they serve is what
    /// they have, and no cache that something could have damaged.
    pub by_proxies: bool,
    /// What the projects' go.sum files say of the module.
    pub go_sum: Vec<H1>,
    /// What they say of its go.mod.
    pub go_sum_mod: Vec<H1>,
    /// What the signed checksum database says of the module.
    pub sumdb: Option<H1>,
    /// What it says of its go.mod.
    pub sumdb_mod: Option<H1>,
}

/// A version that drifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// What most likely happened.
    pub verdict: DriftCause,
    /// What it is that they say different things of.
    pub what: &'static str,
    /// Each thing that is said, and who says it.
    pub says: Vec<Saying>,
    /// Who says what, and the verdict, in a sentence.
    pub message: String,
    /// The value this cache has.
    pub ours: String,
    /// The value the other witness has.
    pub theirs: String,
}

impl DriftCause {
    /// In a few words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::LocalDamage => "local damage",
            Self::OtherDamage => "damage in the other one",
            Self::GoSumEdited => "go.sum edited",
            Self::Retagged => "retagged upstream",
            Self::ProxyChanged => "proxy changed",
        }
    }

    /// What to do.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::LocalDamage => {
                "Remove the version here (`gocachevet trim --repair`), and ask who could write to this cache."
            }
            Self::OtherDamage => {
                "Remove the version there (`gocachevet trim --repair`), and ask who could write to that cache."
            }
            Self::GoSumEdited => "See who changed the line: `git log -p -- go.sum`.",
            Self::Retagged => {
                "Ask upstream for a new version instead of a moved tag; until then pin the one you reviewed by go.sum."
            }
            Self::ProxyChanged => {
                "Find out which proxy served which, and let only one fill the caches (`gocachevet doctor`)."
            }
        }
    }
}

/// Judges one version; `None` if all who say anything agree.
#[must_use]
pub fn judge(said: &Testimony<'_>) -> Option<Drift> {
    let zip = |account: &Account| account.zip;
    let go_mod = |account: &Account| account.go_mod;
    by_hash(said, "module", zip, &said.go_sum, said.sumdb)
        .or_else(|| by_hash(said, "go.mod", go_mod, &said.go_sum_mod, said.sumdb_mod))
        .or_else(|| by_origin(said))
}

fn by_hash(
    said: &Testimony<'_>,
    what: &'static str,
    hash: impl Fn(&Account) -> Option<H1>,
    go_sum: &[H1],
    sumdb: Option<H1>,
) -> Option<Drift> {
    let ours = hash(said.ours);
    let others: Vec<(&str, H1)> = said
        .others
        .iter()
        .filter_map(|&(name, account)| Some((name, hash(account)?)))
        .collect();
    let &(_, first) = others.first()?;
    if ours.is_none() && !said.by_proxies {
        return None;
    }
    let own = ours.unwrap_or(first);
    // The one to hold against this cache's: another one, if there is any.
    let theirs = others.iter().map(|&(_, h1)| h1).find(|&h1| h1 != own);
    let others_agree = others.iter().all(|&(_, h1)| h1 == first);
    // The signed database outranks go.sum.
    let trusted = |h1| match (sumdb, go_sum) {
        (Some(record), _) => Some(record == h1),
        (None, []) => None,
        (None, sums) => Some(sums.contains(&h1)),
    };
    let commits = || said.others.iter().map(|(_, account)| *account);
    let commits = commits().chain([said.ours]);
    let commits: BTreeSet<&String> = commits
        .filter_map(|account| account.commit.as_ref())
        .collect();
    let retagged = commits.len() > 1;
    let verdict = match theirs {
        None if said.by_proxies && sumdb.is_some_and(|record| record != own) => {
            DriftCause::ProxyChanged
        }
        None if go_sum.is_empty() || go_sum.contains(&own) => return None,
        None => DriftCause::GoSumEdited,
        Some(_) if retagged => DriftCause::Retagged,
        Some(_) if !others_agree => DriftCause::ProxyChanged,
        Some(theirs) => match (trusted(own), trusted(theirs)) {
            (Some(false), Some(true)) => DriftCause::LocalDamage,
            (Some(true), Some(false)) if !said.by_proxies => DriftCause::OtherDamage,
            _ => DriftCause::ProxyChanged,
        },
    };
    let mut says = Vec::new();
    if let Some(h1) = ours {
        add(&mut says, h1.to_string(), "this cache");
    }
    for (name, h1) in &others {
        add(&mut says, h1.to_string(), name);
    }
    for h1 in go_sum {
        add(&mut says, h1.to_string(), "go.sum");
    }
    if let Some(h1) = sumdb {
        add(&mut says, h1.to_string(), "the checksum database");
    }
    let table: Vec<String> = says
        .iter()
        .map(|saying| {
            let verb = if saying.by.len() == 1 { "says" } else { "say" };
            format!("{} {verb} {}", list(&saying.by), saying.value)
        })
        .collect();
    Some(Drift {
        verdict,
        what,
        message: format!("{}: of the {what}, {}", verdict.text(), table.join("; ")),
        says,
        ours: own.to_string(),
        theirs: theirs.unwrap_or(own).to_string(),
    })
}

/// Each value, and all who say it.
fn add(says: &mut Vec<Saying>, value: String, who: &str) {
    match says.iter_mut().find(|saying| saying.value == value) {
        Some(saying) => saying.by.push(who.to_owned()),
        None => says.push(Saying {
            value,
            by: vec![who.to_owned()],
        }),
    }
}

/// The same content or none to compare, but another origin, size or time.
fn by_origin(said: &Testimony<'_>) -> Option<Drift> {
    let text = |time: DateTime<Utc>| time.to_rfc3339();
    let commit = |account: &Account| account.commit.clone();
    let time = |account: &Account| account.time.map(text);
    // Zips of one content may be packed differently; without a hash to tell, size must do.
    let same_content = |a: &Account, b: &Account| a.zip.is_some() && a.zip == b.zip;
    let bytes = |account: &Account| account.zip_bytes.map(|bytes| format!("{bytes} bytes"));
    differing(
        said,
        DriftCause::Retagged,
        "made from commit",
        commit,
        |_, _| true,
    )
    .or_else(|| differing(said, DriftCause::ProxyChanged, "dated", time, |_, _| true))
    .or_else(|| {
        let verdict = DriftCause::ProxyChanged;
        differing(said, verdict, "the zip has", bytes, |a, b| {
            !same_content(a, b)
        })
    })
}

/// The first pair that says different things, if it `counts`.
fn differing(
    said: &Testimony<'_>,
    verdict: DriftCause,
    what: &'static str,
    value: impl Fn(&Account) -> Option<String>,
    counts: impl Fn(&Account, &Account) -> bool,
) -> Option<Drift> {
    let all = [("this cache", said.ours)]
        .into_iter()
        .chain(said.others.iter().copied());
    let all: Vec<(&str, &Account, String)> = all
        .filter_map(|(name, account)| Some((name, account, value(account)?)))
        .collect();
    let (who, ours, first) = all.first()?;
    let (other, theirs, second) = all
        .iter()
        .find(|(_, account, value)| value != first && counts(ours, account))?;
    let content = if ours.zip.is_some() && ours.zip == theirs.zip {
        " (the content is the same)"
    } else {
        ""
    };
    let message = format!(
        "{}: {what} {first} in {who}, {second} in {other}{content}",
        verdict.text()
    );
    let mut says = Vec::new();
    for (name, _, value) in &all {
        add(&mut says, value.clone(), name);
    }
    Some(Drift {
        verdict,
        what,
        says,
        message,
        ours: first.clone(),
        theirs: second.clone(),
    })
}

fn list(names: &[String]) -> String {
    match names {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        names => names.concat(),
    }
}
