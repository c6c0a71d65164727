//! A year of made-up accesses under three rules of eviction, by what has to
//! be downloaded again. The table stands in `docs/eviction.md`; this test
//! holds it to what the code does:
//!
//!     GOCACHEVET_BLESS=1 cargo test --test e2e eviction::

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::fmt::Write;

use chrono::{DateTime, TimeDelta, Utc};
use gocachevet::tested::heat::{Candidate, Heat, WINDOW, coldest};

/// SplitMix64: small, seeded, the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Something that can be stored: its size is always the same.
type Item = u64;

/// Who asks for what, hour by hour.
struct Load {
    name: &'static str,
    accesses: Vec<(i64, Item)>,
    sizes: HashMap<Item, u64>,
}

impl Load {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            accesses: Vec::new(),
            sizes: HashMap::new(),
        }
    }

    fn ask(&mut self, hour: i64, item: Item, megabytes: u64) {
        self.sizes.entry(item).or_insert(megabytes);
        self.accesses.push((hour, item));
    }

    fn bytes(&self) -> u64 {
        self.sizes.values().sum()
    }
}

const YEAR: i64 = 365 * 24;

/// Cache entries of one repository: the main branch moves on every other
/// day, pull requests live for days, a nightly and a weekly job have their
/// own, and a release branch is built once a month.
fn entries() -> Load {
    let mut dice = Dice(1);
    let mut load = Load::new("Actions entries of a repository");
    for hour in 0..YEAR {
        let day = hour / 24;
        let main = 1_000_000 + (day / 2) as u64;
        if (8..20).contains(&(hour % 24)) && day % 7 < 5 {
            for _ in 0..dice.below(4) {
                load.ask(hour, main, 900 + main % 97);
            }
            if dice.chance(60) {
                // One of some pull requests that are open these days.
                let pull = 2_000_000 + (day / 4) as u64 * 10 + dice.below(6);
                load.ask(hour, pull, 400 + pull % 311);
            }
        }
        if hour % 24 == 2 {
            load.ask(hour, 3_000_000 + (day / 30) as u64, 1500);
        }
        if hour % 168 == 3 {
            load.ask(hour, 4_000_000, 2500);
        }
        if hour % 720 == 5 {
            load.ask(hour, 5_000_000 + (day / 120) as u64, 1800);
        }
    }
    load
}

/// Module versions in a mirror: a few are asked for all day, most hardly
/// ever, new versions come out and old ones fade.
fn versions() -> Load {
    let mut dice = Dice(2);
    let mut load = Load::new("Module versions in a mirror");
    for hour in 0..YEAR {
        let day = (hour / 24) as u64;
        let requests = if (8..20).contains(&(hour % 24)) { 9 } else { 2 };
        for _ in 0..requests {
            // The product of two dice favours small numbers.
            let module = dice.below(150) * dice.below(150) / 150;
            let release = (day + module * 7) / (20 + module % 50);
            // Some projects lag behind.
            let release = release.saturating_sub(if dice.chance(20) { dice.below(4) } else { 0 });
            let size = 1 + (module * 37) % 23 + if module.is_multiple_of(41) { 120 } else { 0 };
            load.ask(hour, module * 1000 + release, size);
        }
    }
    load
}

/// The mirror again, and once a month somebody walks over everything.
fn scanned() -> Load {
    let mut load = versions();
    load.name = "The same, with a monthly scan";
    let mut all: Vec<(Item, u64)> = load
        .sizes
        .iter()
        .map(|(item, size)| (*item, *size))
        .collect();
    all.sort_unstable();
    for month in 1..12 {
        for (item, size) in all.iter().filter(|(item, _)| item % 3 == 0) {
            load.ask(month * 730, *item, *size);
        }
    }
    load.accesses.sort_by_key(|(hour, _)| *hour);
    load
}

struct Stored {
    since: DateTime<Utc>,
    fetches: Vec<DateTime<Utc>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Rule {
    Score,
    LeastRecent,
    Oldest,
}

/// Megabytes downloaded again: everything beyond the first time.
fn replay(load: &Load, capacity: u64, rule: Rule) -> u64 {
    let start: DateTime<Utc> = "2025-01-01T00:00:00Z".parse().unwrap();
    let mut stored: HashMap<Item, Stored> = HashMap::new();
    let mut had: std::collections::HashSet<Item> = Default::default();
    let (mut used, mut again) = (0u64, 0u64);
    for (hour, item) in &load.accesses {
        let now = start + TimeDelta::hours(*hour);
        let size = load.sizes[item];
        if let Some(there) = stored.get_mut(item) {
            there.fetches.retain(|time| now - *time <= WINDOW);
            there.fetches.push(now);
            continue;
        }
        if !had.insert(*item) {
            again += size;
        }
        used += size;
        stored.insert(
            *item,
            Stored {
                since: now,
                fetches: Vec::new(),
            },
        );
        if used <= capacity {
            continue;
        }
        // As a trim would: down to eight tenths, so that it need not come each time.
        let excess = used - capacity * 8 / 10;
        let mut items: Vec<Item> = stored
            .keys()
            .copied()
            .filter(|other| other != item)
            .collect();
        items.sort_unstable();
        for item in victims(&items, &stored, load, excess, rule, now) {
            stored.remove(&item);
            used -= load.sizes[&item];
        }
    }
    again
}

fn victims(
    items: &[Item],
    stored: &HashMap<Item, Stored>,
    load: &Load,
    excess: u64,
    rule: Rule,
    now: DateTime<Utc>,
) -> Vec<Item> {
    if rule == Rule::Score {
        // The very function that trims.
        let candidates = items.iter().enumerate().map(|(index, item)| Candidate {
            index,
            bytes: load.sizes[item],
            heat: Heat::of(stored[item].since, &stored[item].fetches, true, now),
        });
        return coldest(candidates.collect(), excess, |heat| heat.score(now))
            .into_iter()
            .map(|index| items[index])
            .collect();
    }
    let mut sorted = items.to_vec();
    sorted.sort_by_key(|item| match rule {
        Rule::Oldest => stored[item].since,
        _ => stored[item]
            .fetches
            .last()
            .copied()
            .unwrap_or(stored[item].since),
    });
    let mut freed = 0;
    sorted.retain(|item| {
        let needed = freed < excess;
        freed += load.sizes[item];
        needed
    });
    sorted
}

#[test]
fn the_table_in_the_documentation_is_what_the_code_does() {
    let mut table = String::from(
        "| load | room | by score | least recently used | oldest | score against least recently used |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    let (mut score_sum, mut age_sum) = (0, 0);
    for load in [entries(), versions(), scanned()] {
        for percent in [3, 6, 12, 25] {
            let capacity = load.bytes() * percent / 100;
            let of = |rule| replay(&load, capacity, rule);
            let (score, recent, oldest) =
                (of(Rule::Score), of(Rule::LeastRecent), of(Rule::Oldest));
            score_sum += score;
            age_sum += oldest;
            let gb = |megabytes: u64| format!("{:.1} GB", megabytes as f64 / 1000.0);
            let against = match (score, recent) {
                (0, 0) => "0%".to_owned(),
                (_, 0) => "worse".to_owned(),
                _ => format!("{:+.0}%", (score as f64 / recent as f64 - 1.0) * 100.0),
            };
            writeln!(
                table,
                "| {} | {percent}% ({}) | {} | {} | {} | {against} |",
                load.name,
                gb(capacity),
                gb(score),
                gb(recent),
                gb(oldest)
            )
            .unwrap();
        }
    }
    assert!(score_sum < age_sum, "the score should beat age over all");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/eviction.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (start, end) = ("<!-- table -->\n", "<!-- end of table -->\n");
    let (before, rest) = page
        .split_once(start)
        .expect("docs/eviction.md has the table's marks");
    let (there, after) = rest
        .split_once(end)
        .expect("docs/eviction.md has the table's marks");
    if std::env::var_os("GOCACHEVET_BLESS").is_some() {
        std::fs::write(path, format!("{before}{start}{table}{end}{after}")).unwrap();
    } else {
        assert_eq!(
            there, table,
            "docs/eviction.md is out of date: GOCACHEVET_BLESS=1 cargo test --test e2e eviction::"
        );
    }
}
