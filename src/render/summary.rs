//! What several renderers say in the same words.

use crate::findings::{Finding, Level, Rule};
use crate::report::{ModCache, Report, SavedKind, Snapshot, Unit, Usage, Verification};
use crate::settings::ConfigOrigin;
use crate::text::human;

/// The verdict and what led to it, in a line: `2 denied, 1 warning; 3.38 GB in two caches`.
pub(crate) fn headline(report: &Report) -> String {
    let count = |level| {
        report
            .findings
            .iter()
            .filter(|finding| finding.level == level)
            .count() as u64
    };
    let (denied, warnings, notes) = (count(Level::Deny), count(Level::Warn), count(Level::Note));
    let mut parts = Vec::new();
    if denied > 0 {
        parts.push(format!("{} denied", human::count(denied)));
    }
    if warnings > 0 {
        parts.push(human::counted(warnings, "warning", "warnings"));
    }
    if notes > 0 {
        parts.push(human::counted(notes, "note", "notes"));
    }
    let stuck = report
        .outcome
        .as_ref()
        .map_or(0, |outcome| outcome.failed.len());
    if stuck > 0 {
        parts.push(format!("{} not removed", human::count(stuck as u64)));
    }
    if parts.is_empty() {
        parts.push("Nothing to complain about".to_owned());
    }
    if !report.settings.is_empty() {
        return parts.join(", "); // Go's settings are the matter, not the caches
    }
    if let Some(snapshot) = &report.snapshot {
        return format!("{}; {}", parts.join(", "), moved(snapshot));
    }
    let bytes = [
        report.modcache.as_ref().map(|cache| cache.bytes),
        report.buildcache.as_ref().map(|cache| cache.bytes),
    ];
    let total = human::size(
        bytes
            .iter()
            .flatten()
            .fold(0, |sum: u64, bytes| sum.saturating_add(*bytes)),
    );
    let caches = match bytes.iter().flatten().count() {
        0 => "no cache found".to_owned(),
        1 => format!("{total} in one cache"),
        _ => format!("{total} in two caches"),
    };
    let part = report.shard.as_ref();
    let part = part.map(|shard| format!("Part {} of {}: ", shard.index, shard.count));
    let open = report.verification.as_ref().and_then(|verification| {
        let open = verification.leaves_open.as_ref()?;
        Some(format!("; --verify {} {open}", verification.level))
    });
    format!(
        "{}{}; {caches}{}",
        part.unwrap_or_default(),
        parts.join(", "),
        open.unwrap_or_default()
    )
}

/// What `restore` or `save` did, in a line.
fn moved(snapshot: &Snapshot) -> String {
    if let Some(saved) = &snapshot.saved {
        let what = match saved.kind {
            SavedKind::None => return format!("saved nothing: {}", saved.reason),
            SavedKind::Base => "base",
            SavedKind::Delta => "delta",
        };
        let (size, units) = (human::size(saved.bytes), human::count(saved.units));
        let sealed = sealed(saved.sealed_by.as_deref());
        return format!(
            "saved a {what} of {size} with {units} units{sealed}: {}",
            saved.reason
        );
    }
    let Some(restored) = &snapshot.restored else {
        return "nothing restored".to_owned();
    };
    let mut line = format!(
        "restored {} in {}, in {}, saved {} ago",
        human::size(restored.bytes),
        human::counted(restored.files, "file", "files"),
        human::duration(restored.seconds),
        human::duration(restored.age_seconds as f64)
    );
    for (number, what) in [
        (restored.skipped, "left out"),
        (restored.present, "there already"),
    ] {
        if number > 0 {
            line.push_str(&format!(", {} {what}", human::count(number)));
        }
    }
    line + &sealed(restored.sealed_by.as_deref())
}

fn sealed(by: Option<&str>) -> String {
    by.map(|by| format!(", sealed by {by}")).unwrap_or_default()
}

/// Keys of the configuration that are named; the rest is counted.
const SETTINGS: usize = 20;

/// What the configuration does to the verdict, in a sentence; each name and value
/// goes through `show`.
pub(crate) fn configuration(report: &Report, show: impl Fn(&str) -> String) -> Option<String> {
    let configuration = report.configuration.as_ref()?;
    let whose = match configuration.origin {
        ConfigOrigin::Project => "The project's own configuration",
        ConfigOrigin::Option => "The configuration",
    };
    let affects = &configuration.affects;
    let mut named: Vec<String> = affects.iter().take(SETTINGS).map(|key| show(key)).collect();
    if affects.len() > SETTINGS {
        named.push(format!(
            "{} more",
            human::count((affects.len() - SETTINGS) as u64)
        ));
    }
    (!named.is_empty()).then(|| {
        format!(
            "{whose} {} has a say in this: {}.",
            show(&configuration.path),
            named.join(", ")
        )
    })
}

/// A table of what this job used, headings first; align `lrrrrr`.
pub(crate) fn usage_rows(usage: &Usage) -> Vec<Vec<String>> {
    let known = |number: Option<u64>| number.map_or("?".to_owned(), human::count);
    let rate = |rate: Option<f64>| rate.map_or("?".to_owned(), human::percent);
    let hit_rate = |known, cold: bool| if cold { "cold".to_owned() } else { rate(known) };
    let mut rows = vec![
        ["", "hit rate", "hits", "misses", "rewritten", "idle"]
            .map(str::to_owned)
            .to_vec(),
    ];
    if let Some(modules) = &usage.modcache {
        rows.push(vec![
            "module versions".to_owned(),
            hit_rate(modules.hit_rate, modules.is_cold()),
            known(modules.hits),
            known(modules.misses),
            String::new(),
            known(modules.idle),
        ]);
    }
    if let Some(build) = &usage.buildcache {
        rows.push(vec![
            "action entries".to_owned(),
            hit_rate(build.hit_rate, build.is_cold()),
            human::count(build.hits),
            human::count(build.misses),
            human::count(build.rewritten),
            format!(
                "{} ({})",
                human::count(build.idle),
                human::size(build.idle_bytes)
            ),
        ]);
        let archives = &build.archives;
        let all = archives.hits.saturating_add(archives.misses);
        rows.push(vec![
            "compiled packages".to_owned(),
            hit_rate(
                (all > 0).then(|| human::share(archives.hits, all)),
                build.is_cold(),
            ),
            human::count(archives.hits),
            human::count(archives.misses),
            String::new(),
            String::new(),
        ]);
        if let Some(tests) = &build.tests {
            let all = tests.hits.saturating_add(tests.misses);
            rows.push(vec![
                "tests (cached / run)".to_owned(),
                rate((all > 0).then(|| human::share(tests.hits, all))),
                human::count(tests.hits),
                human::count(tests.misses),
                String::new(),
                String::new(),
            ]);
        }
    }
    rows
}

/// The module cache's regions, largest first, empty ones left out.
pub(crate) fn regions(cache: &ModCache) -> Vec<(&'static str, u64)> {
    let mut regions = vec![
        ("extracted trees", cache.extracted_bytes),
        ("downloads", cache.download_bytes),
        ("toolchains", cache.toolchain_bytes),
        ("version control", cache.vcs_bytes),
        ("checksum database", cache.sumdb_bytes),
        ("residue", cache.residue_bytes),
    ];
    let known = regions
        .iter()
        .fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes));
    regions.push(("other", cache.bytes.saturating_sub(known)));
    regions.retain(|(_, bytes)| *bytes > 0);
    regions.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    regions
}

/// Findings of one rule and level.
pub(crate) struct Group<'a> {
    pub(crate) level: Level,
    pub(crate) rule: Rule,
    pub(crate) findings: Vec<&'a Finding>,
}

impl Group<'_> {
    /// The message, if several findings have one and the same.
    pub(crate) fn shared_message(&self) -> Option<&str> {
        let (first, others) = self.findings.split_first()?;
        let same = !others.is_empty() && others.iter().all(|other| other.message == first.message);
        same.then_some(first.message.as_str())
    }

    /// The different pieces of advice, in order, a few at most.
    pub(crate) fn advice(&self) -> Vec<&str> {
        let mut advice: Vec<&str> = Vec::new();
        for finding in &self.findings {
            if advice.len() < 3
                && !finding.help.is_empty()
                && !advice.contains(&finding.help.as_str())
            {
                advice.push(&finding.help);
            }
        }
        advice
    }
}

/// The findings by level (worst first) and rule, each in the report's order.
pub(crate) fn groups(report: &Report) -> Vec<Group<'_>> {
    let mut groups =
        std::collections::BTreeMap::<(std::cmp::Reverse<Level>, Rule), Vec<&Finding>>::new();
    for finding in &report.findings {
        groups
            .entry((std::cmp::Reverse(finding.level), finding.rule))
            .or_default()
            .push(finding);
    }
    groups
        .into_iter()
        .map(|((level, rule), findings)| Group {
            level: level.0,
            rule,
            findings,
        })
        .collect()
}

/// A finding's message as a sentence of its own, for forms that join it to others.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// What was proven by what, what is only consistent, and what nothing vouches
/// for, a sentence each.
pub(crate) fn proofs(verification: &Verification) -> Vec<String> {
    let by = &verification.proven_by;
    let by = [
        ("go.sum", by.go_sum),
        ("checksum database", by.sumdb),
        ("seal", by.seal),
        ("Go installation", by.goroot),
    ]
    .into_iter()
    .filter(|(_, versions)| *versions > 0)
    .map(|(source, versions)| format!("{source} {}", human::count(versions)))
    .collect::<Vec<_>>()
    .join(", ");
    let mut proofs = Vec::new();
    if !by.is_empty() {
        proofs.push(format!(
            "{} of modules proven; versions by {by}",
            human::size(verification.bytes_proven)
        ));
    }
    if verification.bytes_consistent > 0 {
        proofs.push(format!(
            "{} of build outputs consistent (content equals name), which proves nothing",
            human::size(verification.bytes_consistent)
        ));
    }
    if verification.unproven > 0 {
        proofs.push(format!(
            "{} unproven ({}): nothing outside the cache vouches for them",
            human::counted(verification.unproven, "version", "versions"),
            human::size(verification.bytes_unproven)
        ));
    }
    proofs
}

/// Bytes before and after a trim, and whether it was done or only planned.
pub(crate) struct Change {
    pub(crate) before: u64,
    pub(crate) after: u64,
    pub(crate) done: bool,
}

impl Change {
    /// What the plan and the outcome tell; `None` for other commands.
    pub(crate) fn of(report: &Report) -> Option<Change> {
        let plan = report.plan.as_ref()?;
        let before = plan.bytes.saturating_add(plan.kept_bytes);
        let freed = report
            .outcome
            .as_ref()
            .map_or(plan.bytes, |outcome| outcome.bytes);
        Some(Change {
            before,
            after: before.saturating_sub(freed),
            done: report.outcome.is_some(),
        })
    }

    /// `Size changed 3.38 GB => 3.28 GB (-100 MB, -2.96%)`
    pub(crate) fn line(&self) -> String {
        let verb = if self.done { "changed" } else { "would change" };
        if self.before == self.after {
            return format!("Size unchanged: {}", human::size(self.before));
        }
        let freed = self.before - self.after;
        format!(
            "Size {verb} {} => {} (-{}, -{:.2}%)",
            human::size(self.before),
            human::size(self.after),
            human::size(freed),
            human::share(freed, self.before) * 100.0
        )
    }
}

/// A unit's name for people.
pub(crate) fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Version => "module version",
        Unit::Extracted => "extracted tree",
        Unit::Archive => "zip",
        Unit::Action => "action entry",
        Unit::Output => "build output",
        Unit::Vcs => "version control clone",
        Unit::Residue => "residue",
        Unit::Toolchain => "toolchain",
    }
}

/// A plan's removals counted: unit, reason, how many, bytes; most bytes first.
pub(crate) fn removals(report: &Report) -> Vec<(Unit, &str, u64, u64)> {
    let mut sums = std::collections::BTreeMap::<(Unit, &str), (u64, u64)>::new();
    for removal in report.plan.iter().flat_map(|plan| &plan.removals) {
        let sum = sums.entry((removal.unit, &removal.reason)).or_default();
        sum.0 += 1;
        sum.1 = sum.1.saturating_add(removal.bytes);
    }
    let mut rows: Vec<_> = sums
        .into_iter()
        .map(|((unit, reason), (number, bytes))| (unit, reason, number, bytes))
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.3));
    rows
}
