//! What is planned for a storage elsewhere and what became of it, for people:
//! the same lines for GitHub's caches and for a mirror.

use super::escape::terminal;
use super::human;

/// What goes and what stays.
pub(crate) struct Planned<'a> {
    pub(crate) removals: u64,
    pub(crate) bytes: u64,
    pub(crate) kept_bytes: u64,
    pub(crate) over_bytes: u64,
    pub(crate) unjudged: &'a [String],
}

/// What went.
pub(crate) struct Done {
    pub(crate) removed: u64,
    pub(crate) bytes: u64,
    /// Gone before its turn came.
    pub(crate) vanished: u64,
    /// What did not go and why, in words that may be hostile.
    pub(crate) failed: Vec<(String, String)>,
}

/// The lines. `unit` names one and many of what is evicted.
pub(crate) fn lines(
    unit: [&str; 2],
    planned: Option<&Planned<'_>>,
    done: Option<&Done>,
) -> Vec<String> {
    let counted = |number| human::counted(number, unit[0], unit[1]);
    let mut lines = Vec::new();
    if let Some(plan) = planned {
        let verb = if done.is_some() {
            "planned"
        } else {
            "would remove"
        };
        lines.push(format!(
            "{verb}: {}, {}; {} stay",
            counted(plan.removals),
            human::size(plan.bytes),
            human::size(plan.kept_bytes)
        ));
        if plan.over_bytes > 0 {
            lines.push(format!(
                "still over the limit by {}: what is left must stay",
                human::size(plan.over_bytes)
            ));
        }
        let unjudged = plan.unjudged.iter();
        lines.extend(unjudged.map(|why| format!("not judged: {}", terminal(why))));
    }
    if let Some(done) = done {
        let gone = match done.vanished {
            0 => String::new(),
            many => format!("; {} gone already", human::count(many)),
        };
        let (removed, bytes) = (counted(done.removed), human::size(done.bytes));
        lines.push(format!("removed: {removed}, {bytes}{gone}"));
        let failed = done.failed.iter();
        lines.extend(failed.map(|(subject, error)| {
            format!("not removed: {}: {}", terminal(subject), terminal(error))
        }));
    }
    lines
}
