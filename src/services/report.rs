//! What a trim of a store tells, whatever it stores: what goes, what stays and why
//! it must, what was removed and what was not. In JSON and for a person.

use serde::Serialize;

use super::eviction::{EvictionPlan, Extent};
use crate::error::{Source, chain};
use crate::render::section::{List, Text};
use crate::text::human;

/// A plan and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TrimReport {
    /// What a trim removes; `null` otherwise.
    pub plan: Option<PlanReport>,
    /// What a trim did; `null` for a dry run.
    pub outcome: Option<TrimOutcome>,
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

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TrimOutcome {
    /// Units removed, or of which something was.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Units that were gone when their turn came; absent where nothing tells them
    /// from those that were removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vanished: Option<u64>,
    /// Units that were not removed.
    pub failed: Vec<Failed>,
}

/// A unit that was not removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// Which one.
    #[serde(flatten)]
    pub unit: Name,
    /// Why not.
    pub error: String,
}

/// What a unit is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Name {
    /// An entry of a service's caches.
    #[cfg(feature = "remote")]
    Entry {
        /// Its id.
        id: u64,
        /// Its key.
        key: String,
    },
    /// A module version.
    Version {
        /// `path@version`
        subject: String,
    },
}

impl PlanReport {
    /// Sums up a plan for a store of `stored` bytes.
    pub fn new(plan: &EvictionPlan, stored: u64) -> Self {
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

impl TrimOutcome {
    /// Removes what the plan lists of `units`, one after the other; `remove` says
    /// whether the unit was still there. One refusal does not stop the rest.
    pub fn remove<U>(
        &mut self,
        units: &[U],
        plan: &EvictionPlan,
        name: impl Fn(&U) -> Name,
        mut remove: impl FnMut(&U, Extent) -> Result<bool, Source>,
    ) {
        let units = units.iter().zip(&plan.decisions);
        for (unit, decision) in units.filter(|(_, decision)| decision.removes()) {
            match remove(unit, decision.removal) {
                Ok(true) => {
                    self.removed += 1;
                    self.bytes = self.bytes.saturating_add(decision.bytes);
                }
                Ok(false) => self.vanished = self.vanished.map(|vanished| vanished + 1),
                Err(error) => self.failed.push(Failed {
                    unit: name(unit),
                    error: chain(&*error),
                }),
            }
        }
    }
}

impl TrimReport {
    /// Whether something could not be judged or removed.
    pub fn is_incomplete(&self) -> bool {
        let unjudged = self.plan.iter().flat_map(|plan| &plan.unjudged);
        let failed = self.outcome.iter().flat_map(|outcome| &outcome.failed);
        unjudged.count() + failed.count() > 0
    }

    /// Whether more is left than there may be.
    pub fn is_over(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.over_bytes > 0)
    }

    /// For a person. `going` are the units that go and why, `unit` is what one and
    /// many of the things are called.
    pub fn lines(
        &self,
        going: impl Iterator<Item = (Text, Option<String>)>,
        unit: (&str, &str),
    ) -> List {
        let counted = |number| human::counted(number, unit.0, unit.1);
        let mut lines: Vec<Text> = going
            .map(|(unit, reason)| {
                let reason = reason.unwrap_or_default();
                Text::from("remove").and(unit).words(format!(": {reason}"))
            })
            .collect();
        if let Some(plan) = &self.plan {
            let verb = match self.outcome {
                Some(_) => "planned",
                None => "would remove",
            };
            lines.push(Text::from(format!(
                "{verb}: {}, {}; {} stay",
                counted(plan.removals),
                human::size(plan.bytes),
                human::size(plan.kept_bytes)
            )));
            if plan.over_bytes > 0 {
                lines.push(Text::from(format!(
                    "still over the limit by {}: what is left must stay",
                    human::size(plan.over_bytes)
                )));
            }
            let unjudged = plan.unjudged.iter();
            lines.extend(unjudged.map(|why| Text::from(format!("not judged: {why}"))));
        }
        if let Some(outcome) = &self.outcome {
            let vanished = match outcome.vanished.unwrap_or(0) {
                0 => String::new(),
                many => format!("; {} gone already", human::count(many)),
            };
            lines.push(Text::from(format!(
                "removed: {}, {}{vanished}",
                counted(outcome.removed),
                human::size(outcome.bytes)
            )));
            lines.extend(outcome.failed.iter().map(|failed| {
                let name = match &failed.unit {
                    #[cfg(feature = "remote")]
                    Name::Entry { id, key } => format!("{id} {key}"),
                    Name::Version { subject } => subject.clone(),
                };
                let text = Text::from("not removed:").name(name);
                text.words(format!(": {}", failed.error))
            }));
        }
        lines.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::section::{Document, Section};
    use crate::render::terminal;

    fn told(trim: &TrimReport) -> Vec<String> {
        let section = Section::default().list(trim.lines(std::iter::empty(), ("entry", "entries")));
        let document = Document {
            sections: vec![section],
            ..Document::default()
        };
        let text = terminal(&document, false);
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_plan_and_its_outcome_in_words() {
        let plan = PlanReport {
            removals: 2,
            bytes: 500,
            kept_bytes: 1000,
            over_bytes: 40,
            unjudged: vec!["hits of \u{1b}[31mred".to_owned()],
        };
        let mut trim = TrimReport {
            plan: Some(plan),
            outcome: None,
        };
        let dry = told(&trim);
        assert_eq!(
            dry[..2],
            [
                "would remove: 2 entries, 500 B; 1.00 kB stay",
                "still over the limit by 40 B: what is left must stay",
            ]
        );
        assert!(dry[2].starts_with("not judged: hits of ") && !dry[2].contains('\u{1b}'));
        assert!(trim.is_incomplete() && trim.is_over());
        trim.outcome = Some(TrimOutcome {
            removed: 1,
            bytes: 300,
            vanished: Some(1),
            failed: vec![Failed {
                unit: Name::Version {
                    subject: "a@v1.0.0".to_owned(),
                },
                error: "locked".to_owned(),
            }],
        });
        let wet = told(&trim);
        assert!(wet[0].starts_with("planned: 2 entries"));
        assert_eq!(
            wet[3..],
            [
                "removed: 1 entry, 300 B; 1 gone already",
                "not removed: a@v1.0.0: locked",
            ]
        );
    }
}
