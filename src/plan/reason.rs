//! Why a unit goes or stays, in words.

use super::rules::in_words;
use std::fmt;
use std::time::Duration;

/// Why a unit goes. The words are the same for all units of a rule, so that a
/// report can add them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// It is damaged, and repair was asked for.
    Damaged,
    /// A damaged version came from this clone, and would again.
    StaleClone,
    /// Go's index of a damaged tree: it would be taken for the mended one's.
    StaleIndex,
    /// A broken download or extraction left it.
    Residue,
    /// Nothing names it or it names nothing.
    Orphan,
    /// No project needs it, nothing keeps it.
    Unused,
    /// The projects need only its `.mod`.
    OnlyGoMod,
    /// Neither this job nor the last ones used it.
    Idle,
    /// It was not used for so long.
    MaxAge(Duration),
    /// The same, by tier: the tree goes.
    Demoted(Duration),
    /// The same, by tier: all of it goes.
    Purged(Duration),
    /// The cache is too large; this was among the longest unused.
    Size(u64),
    /// One of two copies, the other proven.
    Slim,
    /// A clone that nothing used within the grace.
    Vcs,
    /// A toolchain that no project names.
    Toolchain,
    /// Everything goes.
    All,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Damaged => f.write_str("repair: damaged"),
            Cause::StaleClone => f.write_str("repair: a damaged version came from this clone"),
            Cause::StaleIndex => f.write_str("repair: the index of a damaged tree"),
            Cause::Residue => f.write_str("residue: left by a broken download or extraction"),
            Cause::Orphan => {
                f.write_str("residue: an entry without output, or an output without entry")
            }
            Cause::Unused => f.write_str("unused: no project needs it"),
            Cause::OnlyGoMod => f.write_str("unused: the projects need only its go.mod"),
            Cause::Idle => f.write_str("unused: no marked job used it"),
            Cause::MaxAge(age) => write!(f, "max-age: not used for {}", in_words(*age)),
            Cause::Demoted(age) => write!(f, "tier demote: not used for {}", in_words(*age)),
            Cause::Purged(age) => write!(f, "tier purge: not used for {}", in_words(*age)),
            Cause::Size(bytes) => {
                let size = bytesize::ByteSize(*bytes).display().si();
                write!(f, "size: the longest unused go until {size} are left")
            }
            Cause::Slim => f.write_str("slim: the other copy was verified"),
            Cause::Vcs => f.write_str("vcs: an idle clone"),
            Cause::Toolchain => f.write_str("toolchains: no project names it"),
            Cause::All => f.write_str("all"),
        }
    }
}

/// Why a unit stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keep<'a> {
    /// This `keep` pattern names it.
    Pattern(&'a str),
    /// It was used so short a time ago, within the grace.
    Grace(Duration),
    /// This project needs it.
    Needed(&'a str),
    /// This project's build list or go.sum needs its go.mod, and there is no more
    /// of it.
    GoModNeeded(&'a str),
    /// This job or one of the last marked ones used it.
    UsedByJobs,
    /// A project names this toolchain.
    ToolchainNamed,
    /// `keep-since`: used so short a time ago.
    Since(Duration),
    /// So many known projects need it.
    Referenced(u64),
    /// Used more recently than the limit on age.
    Young(Duration),
    /// Its other copy was not proven in this run.
    Unproven,
    /// Without a mark nobody knows what is unused.
    NoMark,
    /// It could not be seen whether it was used.
    UseUnknown,
    /// What some project needs is not known whole.
    NeedsUnknown,
    /// Nothing that was asked for removes it.
    NotAsked,
}

impl Keep<'_> {
    /// The reason that all units share which stay for it.
    pub fn shared(self) -> &'static str {
        match self {
            Keep::Grace(_) => "grace: used lately, so a running build may need it",
            Keep::Since(_) => "keep-since: used since then",
            Keep::Referenced(_) => "min-ref-count: enough known projects need it",
            Keep::Young(_) => "used lately, short of the limit on age",
            Keep::Pattern(_) => "a keep pattern names it",
            Keep::Needed(_) => "a project needs it",
            Keep::GoModNeeded(_) => "a project's module graph needs its go.mod",
            Keep::UsedByJobs => "idle-runs: a marked job used it",
            Keep::ToolchainNamed => "a project names this toolchain",
            Keep::Unproven => "the copy that would stay was not proven in this run",
            Keep::NoMark => "without a mark nobody knows whether it is used",
            Keep::UseUnknown => "it could not be seen whether it was used",
            Keep::NeedsUnknown => "what some project needs is not known whole",
            Keep::NotAsked => "nothing that was asked for removes it",
        }
    }
}

impl fmt::Display for Keep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Keep::Grace(age) => write!(f, "grace: used {} ago", in_words(*age)),
            Keep::Since(age) => write!(f, "keep-since: used {} ago", in_words(*age)),
            Keep::Referenced(count) => write!(f, "min-ref-count: {count} known projects need it"),
            Keep::Young(age) => write!(f, "used {} ago, short of the limit on age", in_words(*age)),
            _ => f.write_str(self.shared()),
        }
    }
}
