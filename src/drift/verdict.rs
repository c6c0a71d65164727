//! Who agrees with whom, and what most likely happened.

use super::Account;
use crate::formats::h1::H1;
use chrono::{DateTime, Utc};

/// Everything said of one module version.
#[derive(Clone, Debug)]
pub struct Testimony<'a> {
    /// What this cache says.
    pub ours: &'a Account,
    /// What the other witness says.
    pub theirs: &'a Account,
    /// What the other witness is called.
    pub name: &'a str,
    /// What the projects' go.sum files say of the module.
    pub go_sum: Vec<H1>,
    /// What they say of its go.mod.
    pub go_sum_mod: Vec<H1>,
    /// What the signed checksum database says of the module.
    pub sumdb: Option<H1>,
    /// What it says of its go.mod.
    pub sumdb_mod: Option<H1>,
}

/// What most likely happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This cache is the odd one out.
    LocalDamage,
    /// The other witness is the odd one out.
    OtherDamage,
    /// Both sides agree, and go.sum does not.
    GoSumEdited,
    /// The version was made from another commit.
    Retagged,
    /// The same version was served with different content.
    ProxyChanged,
}

/// A version that drifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// What most likely happened.
    pub verdict: Verdict,
    /// Who says what, and the verdict, in a sentence.
    pub message: String,
    /// The value this cache has.
    pub ours: String,
    /// The value the other witness has.
    pub theirs: String,
}

impl Verdict {
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
    let (ours, theirs) = (said.ours, said.theirs);
    by_hash(
        said,
        "module",
        ours.zip,
        theirs.zip,
        &said.go_sum,
        said.sumdb,
    )
    .or_else(|| {
        by_hash(
            said,
            "go.mod",
            ours.go_mod,
            theirs.go_mod,
            &said.go_sum_mod,
            said.sumdb_mod,
        )
    })
    .or_else(|| by_origin(said))
}

fn by_hash(
    said: &Testimony<'_>,
    what: &str,
    ours: Option<H1>,
    theirs: Option<H1>,
    go_sum: &[H1],
    sumdb: Option<H1>,
) -> Option<Drift> {
    let (ours, theirs) = (ours?, theirs?);
    // The signed database outranks go.sum.
    let trusted = |h1| match (sumdb, go_sum) {
        (Some(record), _) => Some(record == h1),
        (None, []) => None,
        (None, sums) => Some(sums.contains(&h1)),
    };
    let retagged = match (&said.ours.commit, &said.theirs.commit) {
        (Some(ours), Some(theirs)) => ours != theirs,
        _ => false,
    };
    let listed = go_sum.is_empty() || go_sum.contains(&ours);
    let verdict = match (ours == theirs, trusted(ours), trusted(theirs)) {
        (true, _, _) if listed => return None,
        (true, _, _) => Verdict::GoSumEdited,
        (false, Some(false), Some(true)) if !retagged => Verdict::LocalDamage,
        (false, Some(true), Some(false)) if !retagged => Verdict::OtherDamage,
        (false, _, _) if retagged => Verdict::Retagged,
        (false, _, _) => Verdict::ProxyChanged,
    };
    // Each hash, and all who say it.
    let mut says: Vec<(H1, Vec<&str>)> = Vec::new();
    let mut add = |h1: H1, who| match says.iter_mut().find(|(known, _)| *known == h1) {
        Some((_, all)) => all.push(who),
        None => says.push((h1, vec![who])),
    };
    add(ours, "this cache");
    add(theirs, said.name);
    go_sum.iter().for_each(|&h1| add(h1, "go.sum"));
    sumdb
        .into_iter()
        .for_each(|h1| add(h1, "the checksum database"));
    let table: Vec<String> = says
        .iter()
        .map(|(h1, who)| {
            format!(
                "{} {} {h1}",
                list(who),
                if who.len() == 1 { "says" } else { "say" }
            )
        })
        .collect();
    Some(Drift {
        verdict,
        message: format!("{}: of the {what}, {}", verdict.text(), table.join("; ")),
        ours: ours.to_string(),
        theirs: theirs.to_string(),
    })
}

/// The same content or none to compare, but another origin, size or time.
fn by_origin(said: &Testimony<'_>) -> Option<Drift> {
    let (ours, theirs) = (said.ours, said.theirs);
    let same_content = ours.zip.is_some() && ours.zip == theirs.zip;
    let drift = |verdict: Verdict, what: &str, ours: String, theirs: String| {
        let content = if same_content {
            " (the content is the same)"
        } else {
            ""
        };
        Some(Drift {
            verdict,
            message: format!(
                "{}: {what} {ours} in this cache, {theirs} in {}{content}",
                verdict.text(),
                said.name
            ),
            ours,
            theirs,
        })
    };
    if let (Some(a), Some(b)) = (&ours.commit, &theirs.commit)
        && a != b
    {
        return drift(Verdict::Retagged, "made from commit", a.clone(), b.clone());
    }
    if let (Some(a), Some(b)) = (ours.time, theirs.time)
        && a != b
    {
        let text = |time: DateTime<Utc>| time.to_rfc3339();
        return drift(Verdict::ProxyChanged, "dated", text(a), text(b));
    }
    // Zips of one content may be packed differently; without a hash to tell, size must do.
    if let (Some(a), Some(b)) = (ours.zip_bytes, theirs.zip_bytes)
        && a != b
        && !same_content
    {
        return drift(
            Verdict::ProxyChanged,
            "the zip has",
            format!("{a} bytes"),
            format!("{b} bytes"),
        );
    }
    None
}

fn list(names: &[&str]) -> String {
    match names {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        names => names.concat(),
    }
}
