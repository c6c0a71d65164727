//! What `remote` and `mirror` have in common: which units go so that the rest
//! fits, and what is said of the plan and of what came of it, in JSON and for a
//! person.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::heat::{self, Candidate, Heat, WINDOW};
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

/// The rules about when and how often a unit was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct UseRules {
    /// Keep what was asked for within this time.
    pub keep_since: Option<TimeDelta>,
    /// Remove what was not asked for so long.
    pub cutoff: Option<TimeDelta>,
    /// Remove what was asked for less often within the window.
    pub min_hit_count: Option<u32>,
}

impl UseRules {
    /// Whether it was asked for so lately that it stays.
    pub fn lately(&self, idle: TimeDelta) -> Option<TimeDelta> {
        self.keep_since.filter(|limit| idle <= *limit)
    }

    /// Whether it was not asked for since too long.
    pub fn too_long(&self, idle: TimeDelta) -> bool {
        self.cutoff.is_some_and(|limit| idle > limit)
    }

    /// Whether it is asked for often enough. What cannot be known is counted in
    /// `unknown` and left open, as is what had no week to be asked for.
    pub fn often_enough(
        &self,
        heat: Heat,
        stored: DateTime<Utc>,
        now: DateTime<Utc>,
        unknown: &mut usize,
    ) -> Ruling {
        // Being stored counts as heat, but is older than the window then.
        let least = self.min_hit_count.filter(|_| now - stored > WINDOW);
        match least {
            Some(least) if heat.count < least && heat.exact => {
                Ruling::Remove(format!("{} of {least} accesses within 7 days", heat.count))
            }
            Some(least) if heat.count < least => {
                *unknown += 1;
                Ruling::Open
            }
            _ => Ruling::Open,
        }
    }
}

/// How much of a unit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Nothing.
    Nothing,
    /// Of a module version only the zip: the `.mod` file is needed to load the
    /// module graph.
    Zip,
    /// All of it.
    Whole,
}

/// A unit as the rules see it.
pub struct Unit {
    /// What they say.
    pub ruling: Ruling,
    /// Its size.
    pub bytes: u64,
    /// What may go of it without force, and what that frees.
    pub part: Removal,
    /// Bytes of that part.
    pub part_bytes: u64,
    /// What is known of its accesses.
    pub heat: Heat,
}

/// What becomes of one unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// How much goes.
    pub removal: Removal,
    /// Bytes that go.
    pub bytes: u64,
    /// Why, in words.
    pub reason: String,
    /// What is known of its accesses.
    pub heat: Heat,
}

impl Decision {
    /// Whether anything goes.
    pub fn removes(&self) -> bool {
        self.removal != Removal::Nothing
    }
}

/// One decision for each unit, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What becomes of each unit.
    pub decisions: Vec<Decision>,
    /// What could not be judged, and why.
    pub unjudged: Vec<String>,
    /// Bytes that should still go, had the kept units allowed it.
    pub over: u64,
}

/// What goes first when the rest has to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// What was not asked for longest.
    #[cfg(feature = "remote")]
    LongestUnused,
    /// What scores lowest.
    Coldest,
}

/// How much may stay.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Bytes of all units, unless there is no limit.
    pub bytes: Option<u64>,
    /// What goes first.
    pub order: Order,
    /// Whether dear units go too, last of all.
    pub force: bool,
}

/// Does what the rules say, then removes what they left open until the rest
/// fits.
pub fn plan(units: &[Unit], limit: Limit, unjudged: Vec<String>, now: DateTime<Utc>) -> Plan {
    let mut decisions: Vec<Decision> = units.iter().map(decide).collect();
    let staying = |decisions: &[Decision]| {
        let all = units.iter().map(|unit| unit.bytes);
        let all = all.fold(0, u64::saturating_add);
        let gone = decisions.iter().map(|decision| decision.bytes);
        all.saturating_sub(gone.fold(0, u64::saturating_add))
    };
    let mut over = 0;
    if let Some(bytes) = limit.bytes {
        over = staying(&decisions).saturating_sub(bytes);
        evict(units, &mut decisions, limit.order, false, over, now);
        over = staying(&decisions).saturating_sub(bytes);
        if limit.force {
            evict(units, &mut decisions, limit.order, true, over, now);
            over = staying(&decisions).saturating_sub(bytes);
        }
    }
    Plan {
        decisions,
        unjudged,
        over,
    }
}

fn decide(unit: &Unit) -> Decision {
    let (removal, reason) = match &unit.ruling {
        Ruling::Remove(reason) => (unit.part, reason.as_str()),
        Ruling::Keep(reason) | Ruling::Dear(reason) => (Removal::Nothing, reason.as_str()),
        Ruling::Open => (Removal::Nothing, "nothing speaks against it"),
    };
    Decision {
        removal,
        bytes: match removal {
            Removal::Nothing => 0,
            Removal::Zip | Removal::Whole => unit.part_bytes,
        },
        reason: reason.to_owned(),
        heat: unit.heat,
    }
}

/// Removes what the rules left open, or what is dear, until `excess` is gone.
fn evict(
    units: &[Unit],
    decisions: &mut [Decision],
    order: Order,
    dear: bool,
    excess: u64,
    now: DateTime<Utc>,
) {
    let candidate = |(index, unit): (usize, &Unit)| {
        let bytes = match unit.ruling {
            Ruling::Dear(_) if dear => unit.bytes,
            Ruling::Open if !dear => unit.part_bytes,
            _ => 0,
        };
        let heat = unit.heat;
        (bytes > 0).then_some(Candidate { index, bytes, heat })
    };
    let candidates: Vec<Candidate> = units.iter().enumerate().filter_map(candidate).collect();
    let chosen = match order {
        #[cfg(feature = "remote")]
        Order::LongestUnused => heat::longest_unused(candidates, excess),
        Order::Coldest => heat::coldest(candidates, excess, now),
    };
    for index in chosen {
        let (Some(unit), Some(decision)) = (units.get(index), decisions.get_mut(index)) else {
            continue;
        };
        let though = match dear {
            true => format!("forced, though {}; ", decision.reason),
            false => String::new(),
        };
        (decision.removal, decision.bytes) = match dear {
            true => (Removal::Whole, unit.bytes),
            false => (unit.part, unit.part_bytes),
        };
        decision.reason = format!("max-size: {though}{}", order.reason(unit.heat, now));
    }
}

impl Order {
    fn reason(self, heat: Heat, now: DateTime<Utc>) -> String {
        let idle = heat::span(now - heat.last);
        match self {
            #[cfg(feature = "remote")]
            Order::LongestUnused => {
                format!("not accessed for {idle}, which is among the longest")
            }
            Order::Coldest => format!(
                "score {:.3} ({} within 7 days, last {idle} ago) is among the lowest",
                heat.score(now),
                heat.count,
            ),
        }
    }
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
    /// Sums up a plan for a store of `stored` bytes.
    pub fn new(plan: &Plan, stored: u64) -> Self {
        let gone = plan.decisions.iter().filter(|decision| decision.removes());
        let (removals, bytes) = gone.fold((0, 0u64), |(count, sum), decision| {
            (count + 1, sum.saturating_add(decision.bytes))
        });
        Self {
            removals,
            bytes,
            kept_bytes: stored.saturating_sub(bytes),
            over_bytes: plan.over,
            unjudged: plan.unjudged.clone(),
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
        let plan = PlanReport {
            removals: 2,
            bytes: 500,
            kept_bytes: 1000,
            over_bytes: 40,
            unjudged: unjudged.to_vec(),
        };
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
