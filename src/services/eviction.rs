//! Which units of a store go by rule, and which so that the rest fits. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::heat::{self, Candidate, Heat, WINDOW};

/// What the rules say of a unit, before all has to fit.
pub enum Ruling {
    /// It stays, whatever the size.
    Keep(String),
    /// It goes.
    Remove(String),
    /// No rule decides; to fit, it may go.
    Open,
    /// The same, since a rule lacks what it needs to know, such as this.
    Unjudged(&'static str),
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
    /// Keeps what was accessed lately.
    pub fn keep(&self, heat: Heat, now: DateTime<Utc>) -> Option<Ruling> {
        let limit = self.keep_since.filter(|limit| now - heat.last <= *limit)?;
        let within = heat::span(limit);
        Some(Ruling::Keep(format!("accessed within {within}")))
    }

    /// Removes what was not accessed for too long, or too seldom: unless it had no
    /// week to be accessed in, and if `needed` is known.
    pub fn remove(
        &self,
        heat: Heat,
        stored: DateTime<Utc>,
        now: DateTime<Utc>,
        needed: &'static str,
    ) -> Ruling {
        let idle = now - heat.last;
        if self.cutoff.is_some_and(|limit| idle > limit) {
            return Ruling::Remove(format!("not accessed for {}", heat::span(idle)));
        }
        // Being stored counts as heat, but is older than the window then.
        let least = self.min_hit_count.filter(|_| now - stored > WINDOW);
        match least {
            Some(least) if heat.count < least && heat.exact => {
                Ruling::Remove(format!("{} of {least} accesses within 7 days", heat.count))
            }
            Some(least) if heat.count < least => Ruling::Unjudged(needed),
            _ => Ruling::Open,
        }
    }
}

/// How much of a unit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Nothing.
    Nothing,
    /// Of a module version only the zip: the `.mod` file is needed to load the
    /// module graph.
    Zip,
    /// All of it.
    Whole,
}

/// A unit as the rules see it.
pub struct StoredUnit {
    /// What they say.
    pub ruling: Ruling,
    /// Its size.
    pub bytes: u64,
    /// What may go of it without force, and what that frees.
    pub part: Extent,
    /// Bytes of that part.
    pub part_bytes: u64,
    /// What is known of its accesses.
    pub heat: Heat,
}

/// What becomes of one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// How much goes.
    pub removal: Extent,
    /// Bytes that go.
    pub bytes: u64,
    /// Why, in words.
    pub reason: String,
}

impl Decision {
    /// Whether anything goes.
    pub fn removes(&self) -> bool {
        self.removal != Extent::Nothing
    }
}

/// One decision for each unit, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvictionPlan {
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
pub struct SizeLimit {
    /// Bytes of all units, unless there is no limit.
    pub bytes: Option<u64>,
    /// What goes first.
    pub order: Order,
    /// Whether dear units go too, last of all.
    pub force: bool,
}

/// Does what the rules say, then removes what they left open until the rest
/// fits.
pub fn plan(
    units: &[StoredUnit],
    limit: SizeLimit,
    mut unjudged: Vec<String>,
    now: DateTime<Utc>,
) -> EvictionPlan {
    let mut lacking = BTreeMap::<&str, usize>::new();
    for unit in units {
        if let Ruling::Unjudged(what) = unit.ruling {
            *lacking.entry(what).or_default() += 1;
        }
    }
    let all = units.len();
    let lacking = lacking.into_iter();
    unjudged.extend(lacking.map(|(what, count)| format!("{what} ({count} of {all})")));
    let mut decisions: Vec<Decision> = units.iter().map(decide).collect();
    let over = |decisions: &[Decision]| {
        let kept = units.iter().zip(decisions);
        let kept = kept.map(|(unit, decision)| unit.bytes.saturating_sub(decision.bytes));
        let kept = kept.fold(0, u64::saturating_add);
        limit.bytes.map_or(0, |bytes| kept.saturating_sub(bytes))
    };
    let excess = over(&decisions);
    evict(units, &mut decisions, limit.order, false, excess, now);
    if limit.force {
        let excess = over(&decisions);
        evict(units, &mut decisions, limit.order, true, excess, now);
    }
    EvictionPlan {
        over: over(&decisions),
        decisions,
        unjudged,
    }
}

fn decide(unit: &StoredUnit) -> Decision {
    let (removal, reason) = match &unit.ruling {
        Ruling::Remove(reason) => (unit.part, reason.as_str()),
        Ruling::Keep(reason) | Ruling::Dear(reason) => (Extent::Nothing, reason.as_str()),
        Ruling::Open | Ruling::Unjudged(_) => (Extent::Nothing, "nothing speaks against it"),
    };
    Decision {
        removal,
        bytes: match removal {
            Extent::Nothing => 0,
            Extent::Zip | Extent::Whole => unit.part_bytes,
        },
        reason: reason.to_owned(),
    }
}

/// Removes what the rules left open, or what is dear, until `excess` is gone.
fn evict(
    units: &[StoredUnit],
    decisions: &mut [Decision],
    order: Order,
    dear: bool,
    excess: u64,
    now: DateTime<Utc>,
) {
    let candidate = |(index, unit): (usize, &StoredUnit)| {
        let bytes = match unit.ruling {
            Ruling::Dear(_) if dear => unit.bytes,
            Ruling::Open | Ruling::Unjudged(_) if !dear => unit.part_bytes,
            _ => 0,
        };
        let heat = unit.heat;
        (bytes > 0).then_some(Candidate { index, bytes, heat })
    };
    let candidates: Vec<Candidate> = units.iter().enumerate().filter_map(candidate).collect();
    for index in heat::coldest(candidates, excess, |heat| order.score(heat, now)) {
        let (Some(unit), Some(decision)) = (units.get(index), decisions.get_mut(index)) else {
            continue;
        };
        let though = match dear {
            true => format!("forced, though {}; ", decision.reason),
            false => String::new(),
        };
        (decision.removal, decision.bytes) = match dear {
            true => (Extent::Whole, unit.bytes),
            false => (unit.part, unit.part_bytes),
        };
        decision.reason = format!("max-size: {though}{}", order.reason(unit.heat, now));
    }
}

impl Order {
    /// How dear a unit is before the time of its last access decides.
    fn score(self, heat: Heat, now: DateTime<Utc>) -> f64 {
        match self {
            #[cfg(feature = "remote")]
            Order::LongestUnused => 0.0,
            Order::Coldest => heat.score(now),
        }
    }

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
