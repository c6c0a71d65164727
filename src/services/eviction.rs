//! What `remote` and `mirror` say of a plan to evict, and of what came of it:
//! one form for both, in JSON and for a person.

use serde::Serialize;

use crate::text::escape::terminal;
use crate::text::human;

/// What the rules say of a unit, before all has to fit.
pub enum Ruling {
    /// It stays, whatever the size.
    Keep(String),
    /// It goes.
    Remove(String),
    /// No rule decides; to fit, it may go.
    Open,
    /// It stays unless force is used.
    Dear(String),
}

/// A plan in figures; the units beside it say which of them go and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanReport {
    /// Units that go, or of which something goes.
    pub removals: u64,
    /// Bytes that go.
    pub bytes: u64,
    /// Bytes that stay.
    pub kept_bytes: u64,
    /// Bytes still over the limit, since what is left must stay.
    pub over_bytes: u64,
    /// What could not be judged, and why.
    pub unjudged: Vec<String>,
}

impl PlanReport {
    /// Sums up a plan for a store of `stored` bytes: `gone` has the bytes that
    /// go of each unit of which something goes.
    pub fn new(
        gone: impl Iterator<Item = u64>,
        stored: u64,
        over_bytes: u64,
        unjudged: &[String],
    ) -> Self {
        let (removals, bytes) = gone.fold((0, 0u64), |(count, sum), bytes| {
            (count + 1, sum.saturating_add(bytes))
        });
        Self {
            removals,
            bytes,
            kept_bytes: stored.saturating_sub(bytes),
            over_bytes,
            unjudged: unjudged.to_vec(),
        }
    }
}

/// What was removed, as it is told.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Units.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Units that were gone when their turn came.
    pub vanished: u64,
    /// What was not removed and why, escaped.
    pub failed: Vec<(String, String)>,
}

/// A plan and its outcome, line by line, for a person. `unit` is what one and
/// many of the things are called.
pub fn lines(
    plan: Option<&PlanReport>,
    outcome: Option<&Outcome>,
    unit: (&str, &str),
) -> Vec<String> {
    let counted = |number| human::counted(number, unit.0, unit.1);
    let mut lines = Vec::new();
    if let Some(plan) = plan {
        let verb = match outcome {
            Some(_) => "planned",
            None => "would remove",
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
        let unjudged = plan.unjudged.iter().map(|why| terminal(why));
        lines.extend(unjudged.map(|why| format!("not judged: {why}")));
    }
    if let Some(outcome) = outcome {
        let vanished = match outcome.vanished {
            0 => String::new(),
            many => format!("; {} gone already", human::count(many)),
        };
        lines.push(format!(
            "removed: {}, {}{vanished}",
            counted(outcome.removed),
            human::size(outcome.bytes)
        ));
        let failed = outcome.failed.iter();
        lines.extend(failed.map(|(subject, why)| format!("not removed: {subject}: {why}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_and_its_outcome_in_words() {
        let unjudged = ["hits of \u{1b}[31mred".to_owned()];
        let plan = PlanReport::new([300, 200].into_iter(), 1500, 40, &unjudged);
        let unit = ("entry", "entries");
        let dry = lines(Some(&plan), None, unit);
        assert_eq!(
            dry[..2],
            [
                "would remove: 2 entries, 500 B; 1.00 kB stay",
                "still over the limit by 40 B: what is left must stay",
            ]
        );
        assert!(dry[2].starts_with("not judged: hits of ") && !dry[2].contains('\u{1b}'));
        let outcome = Outcome {
            removed: 1,
            bytes: 300,
            vanished: 1,
            failed: vec![("7 key".to_owned(), "locked".to_owned())],
        };
        let wet = lines(Some(&plan), Some(&outcome), unit);
        assert!(wet[0].starts_with("planned: 2 entries"));
        assert_eq!(
            wet[3..],
            [
                "removed: 1 entry, 300 B; 1 gone already",
                "not removed: 7 key: locked",
            ]
        );
        let mut outcome = outcome;
        outcome.vanished = 0;
        assert_eq!(
            lines(None, Some(&outcome), unit)[0],
            "removed: 1 entry, 300 B"
        );
    }
}
