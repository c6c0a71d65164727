//! The report as people read it, in a terminal and in a job's summary.

use super::markdown::markdown as as_markdown;
use super::section::{
    Block, Document, Folded, Item, List, SHOWN, Section, Table, Text, Tone, name,
};
use super::summary::{self, Group};
use super::terminal::terminal;
use super::{remote, trend};
use crate::findings::{Finding, Level};
use crate::judge::Quantity;
use crate::report::{ModCache, Outcome, Plan, Report, Unit, Usage, Verdict, Verification};
use crate::settings::ConfigOrigin;
use crate::text::human;
use chrono::{DateTime, Utc};

/// Mermaid's own first colours vanish on white or on black; these are seen on
/// both, with white figures on them.
const PIE_COLOURS: &str = concat!(
    r##"%%{init: {"themeVariables": {"pie1": "#3b78b5", "pie2": "#2f8f6f", "pie3": "#a8662b", "##,
    r##""pie4": "#8250b0", "pie5": "#b04a5a", "pie6": "#5b7083", "pie7": "#8a7a1f", "pie8": "#2b8a99", "##,
    r##""pie9": "#777777", "pieOpacity": "1", "pieSectionTextColor": "#ffffff", "##,
    r##""pieStrokeColor": "#8b949e", "pieStrokeWidth": "1px", "pieOuterStrokeWidth": "0px"}}}%%"##
);

/// The report for people at a terminal. Colour only repeats what words say.
pub fn text(report: &Report, color: bool) -> String {
    terminal(&document(report), color)
}

/// The report as a job summary.
pub fn markdown(report: &Report) -> String {
    as_markdown(&document(report))
}

/// The verdict first, then what led to it.
fn document(report: &Report) -> Document {
    let mut sections = Vec::new();
    sections.extend(configuration(report));
    sections.extend(settings(report));
    if let Some(plan) = &report.plan {
        sections.extend(trim(plan, report.outcome.as_ref()));
    }
    sections.extend(findings(&report.findings));
    sections.extend(drift(report));
    sections.extend(limits(report));
    let is_doctor = !report.settings.is_empty();
    if !is_doctor {
        sections.extend(caches(report));
    }
    sections.extend(report.verification.as_ref().map(verification));
    sections.extend(
        report
            .usage
            .as_ref()
            .map(|it| usage(it, report.generated_at)),
    );
    if !is_doctor {
        sections.extend(space(report));
    }
    sections.extend(trend::section(&report.trend));
    let remote = report.remote.iter().flat_map(|remote| &remote.repositories);
    sections.extend(remote.map(remote::section));
    let made_by = Text::from(&report.tool.name).name(&report.tool.version);
    let made_at = report.generated_at.format(", %Y-%m-%d %H:%M UTC");
    Document {
        head: Some((tone(report.verdict), summary::headline(report).into())),
        sections,
        notes: notes(report),
        made_by: Some(made_by.words(made_at.to_string())),
    }
}

fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Pass => Tone::Good,
        Verdict::Warn => Tone::Warning,
        Verdict::Fail => Tone::Bad,
    }
}

/// What the configuration does to the verdict, before anything else is said.
fn configuration(report: &Report) -> Option<Section> {
    let configuration = report.configuration.as_ref()?;
    let (first, others) = configuration.affects.split_first()?;
    let whose = match configuration.origin {
        ConfigOrigin::Project => "The project's own configuration",
        ConfigOrigin::Option => "The configuration",
    };
    let mut said = Text::from(whose).name(&configuration.path);
    said = said.words("has a say in this:").name(first);
    for key in others.iter().take(SHOWN - 1) {
        said = said.words(",").name(key);
    }
    if let Some(more) = others.len().checked_sub(SHOWN - 1).filter(|more| *more > 0) {
        said = said.words(format!(", {} more", human::count(more as u64)));
    }
    Some(Section::default().paragraph(said.words(".")))
}

/// Go's settings: each with who set it, and what it does.
fn settings(report: &Report) -> Option<Section> {
    let list = List::short(&report.settings, |setting| Item {
        head: name(format!("{}={}", setting.name, setting.value))
            .words(format!(" ({})", setting.source)),
        lines: vec![setting.effect.as_str().into()],
    });
    (!list.items.is_empty()).then(|| Section::new("Go's settings").list(list))
}

/// What goes, what stays and why, and the sizes.
fn trim(plan: &Plan, outcome: Option<&Outcome>) -> Vec<Section> {
    let (goes, stays) = match outcome {
        Some(_) => ("Removed", "Stayed"),
        None => ("Would remove", "Would stay"),
    };
    let removals = Table::of(
        ["Number", "Unit", "Size", "Why"],
        "rlrl",
        &plan.removed,
        |removed| {
            [
                human::count(removed.units).into(),
                unit_name(removed.unit).into(),
                human::size(removed.bytes).into(),
                removed.reason.as_str().into(),
            ]
        },
    );
    let mut sections = vec![match removals.rows.is_empty() {
        true => Section::new(goes).paragraph("nothing"),
        false => Section::new(goes).table(removals.bare().short()),
    }];
    let failed = outcome.map_or(&[][..], |outcome| &outcome.failed);
    let failed = List::short(failed, |failure| Item {
        head: name(&failure.subject),
        lines: vec![failure.error.as_str().into()],
    });
    if !failed.items.is_empty() {
        sections.push(Section::new("Not removed").list(failed));
    }
    let kept = Table::of(["Number", "Unit", "Why"], "rll", &plan.kept, |kept| {
        [
            human::count(kept.units).into(),
            unit_name(kept.unit).into(),
            kept.reason.as_str().into(),
        ]
    });
    if !kept.rows.is_empty() {
        sections.push(Section::new(stays).table(kept.bare().short()));
    }
    let change = Text::toned(Tone::Strong, change(plan, outcome));
    sections.push(Section::default().paragraph(change));
    sections
}

/// `Size changed 3.38 GB → 3.28 GB (-100 MB, -2.96%)`
fn change(plan: &Plan, outcome: Option<&Outcome>) -> String {
    let before = plan.bytes.saturating_add(plan.kept_bytes);
    let freed = outcome
        .map_or(plan.bytes, |outcome| outcome.bytes)
        .min(before);
    if freed == 0 {
        return format!("Size unchanged: {}", human::size(before));
    }
    let verb = match outcome {
        Some(_) => "changed",
        None => "would change",
    };
    format!(
        "Size {verb} {} → {} (-{}, -{:.2}%)",
        human::size(before),
        human::size(before - freed),
        human::size(freed),
        human::share(freed, before) * 100.0
    )
}

/// A unit's name for people.
fn unit_name(unit: Unit) -> &'static str {
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

/// What is not as it should be, by rule.
pub(crate) fn findings(findings: &[Finding]) -> Option<Section> {
    let mut section = Section::new("Findings");
    let groups = summary::groups(findings);
    section.blocks.extend(groups.iter().map(group));
    (!section.blocks.is_empty()).then_some(section)
}

/// A rule's findings, with what to do.
fn group(group: &Group) -> Block {
    let tone = match group.level {
        Level::Deny => Tone::Bad,
        Level::Warn => Tone::Warning,
        Level::Note | Level::Allow => Tone::Strong,
    };
    let shared = group.shared_message();
    let mut blocks: Vec<Block> = shared
        .map(|message| Block::Paragraph(message.into()))
        .into_iter()
        .collect();
    let item = |finding: &&Finding| item(finding, shared.is_none());
    blocks.push(Block::List(List::short(&group.findings, item)));
    let advice: Vec<String> = group.advice().into_iter().map(str::to_owned).collect();
    if !advice.is_empty() {
        blocks.push(Block::Advice(advice));
    }
    Block::Folded(Folded {
        level: Some((tone, group.level.name())),
        title: group.rule.name(),
        number: group.findings.len(),
        blocks,
    })
}

fn item(finding: &Finding, with_message: bool) -> Item {
    let mut lines = Vec::new();
    if with_message {
        lines.push(finding.message.as_str().into());
    }
    let path = finding.path.as_ref();
    let path = path.filter(|path| **path != finding.subject);
    for (what, value) in [
        ("expected", finding.expected.as_ref()),
        // As wide, for what differs to stand below each other.
        ("found   ", finding.actual.as_ref()),
        ("in", path),
    ] {
        lines.extend(value.map(|value| Text::from(what).name(value)));
    }
    Item {
        head: name(&finding.subject),
        lines,
    }
}

/// Who says what, who agrees, and the verdict.
fn drift(report: &Report) -> Option<Section> {
    let drift = report.drift.as_ref()?;
    let compared = human::counted(drift.compared, "version", "versions");
    let consistent = human::count(drift.consistent);
    let section = Section::new("Who says what")
        .aside(format!("{compared} compared, {consistent} consistent"));
    let list = List::short(&drift.rows, |row| {
        let verdict = format!("{} ({})", row.verdict.text(), row.what);
        let says = row.says.iter();
        let says = says.map(|it| name(&it.value).words(format!("({})", it.by.join(", "))));
        Item {
            head: name(&row.module),
            lines: std::iter::once(verdict.into()).chain(says).collect(),
        }
    });
    Some(section.list(list))
}

fn limits(report: &Report) -> Option<Section> {
    let head = ["", "Limit", "Measured", "Allowed"];
    let table = Table::of(head, "llrl", &report.thresholds, |threshold| {
        let measure = Quantity::of(&threshold.name);
        let status = match threshold.status {
            Verdict::Pass => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        };
        let actual = threshold.actual.map(|actual| measure.show(actual));
        [
            Text::toned(tone(threshold.status), status),
            name(&threshold.name),
            actual.unwrap_or("not known".to_owned()).into(),
            format!("of {}", measure.show(threshold.limit)).into(),
        ]
    });
    (!table.rows.is_empty()).then(|| Section::new("Limits").table(table.bare().short()))
}

/// A line each; `list` says what takes the space.
fn caches(report: &Report) -> Option<Section> {
    let used = |newest: Option<DateTime<Utc>>, oldest: Option<DateTime<Utc>>| {
        let age = |time: DateTime<Utc>| human::age(report.generated_at - time);
        match (newest.map(age), oldest.map(age)) {
            (Some(newest), Some(oldest)) if newest == oldest => format!("used {oldest} ago"),
            (Some(newest), Some(oldest)) => format!("used {newest} to {oldest} ago"),
            _ => String::new(),
        }
    };
    let mut rows = Vec::new();
    if let Some(cache) = &report.modcache {
        let versions = human::counted(cache.versions, "version", "versions");
        let modules = human::counted(cache.modules, "module", "modules");
        rows.push([
            "Module cache".into(),
            name(&cache.path),
            human::size(cache.bytes).into(),
            used(cache.newest, cache.oldest).into(),
            format!("{versions} of {modules}").into(),
        ]);
    }
    if let Some(cache) = &report.buildcache {
        let actions = human::counted(cache.actions, "action entry", "action entries");
        let outputs = cache.outputs.saturating_add(cache.executables);
        let outputs = human::counted(outputs, "output", "outputs");
        rows.push([
            "Build cache".into(),
            name(&cache.path),
            human::size(cache.bytes).into(),
            used(cache.newest, cache.oldest).into(),
            format!("{actions}, {outputs}").into(),
        ]);
    }
    let head = ["", "Folder", "Size", "Last use", "Holds"];
    let table = Table::of(head, "llrrl", &rows, Clone::clone);
    let section = Section::new("Caches").table(table.bare());
    let fuzz = report.buildcache.as_ref().map_or(0, |it| it.fuzz_bytes);
    let section = match fuzz {
        0 => section,
        bytes => section.paragraph(format!(
            "{} found by fuzzing, which only `go clean -fuzzcache` removes",
            human::size(bytes)
        )),
    };
    (!rows.is_empty()).then_some(section)
}

/// What was proven by what, what is only consistent, and what nothing vouches for.
fn verification(verification: &Verification) -> Section {
    let versions = human::counted(verification.versions_checked, "version", "versions");
    let outputs = verification.outputs_checked;
    let outputs = human::counted(outputs, "build output", "build outputs");
    let time = human::duration(verification.seconds);
    let hashed = human::size(verification.bytes_hashed);
    let failed = match verification.failed {
        0 => "none failed".to_owned(),
        failed => format!("{} failed", human::count(failed)),
    };
    let mut lines = vec![format!(
        "{versions} and {outputs} in {time}, {hashed} hashed, {failed}"
    )];
    let by = &verification.proven_by;
    let by = [
        ("go.sum", by.go_sum),
        ("checksum database", by.sumdb),
        ("seal", by.seal),
        ("Go installation", by.goroot),
    ];
    let by = by.into_iter().filter(|(_, versions)| *versions > 0);
    let by: Vec<String> = by
        .map(|(source, versions)| format!("{source} {}", human::count(versions)))
        .collect();
    if !by.is_empty() {
        let proven = human::size(verification.bytes_proven);
        let by = by.join(", ");
        lines.push(format!("{proven} of modules proven; versions by {by}"));
    }
    if verification.bytes_consistent > 0 {
        lines.push(format!(
            "{} of build outputs consistent (content equals name), which proves nothing",
            human::size(verification.bytes_consistent)
        ));
    }
    if verification.unproven > 0 {
        lines.push(format!(
            "{} unproven ({}): nothing outside the cache vouches for them",
            human::counted(verification.unproven, "version", "versions"),
            human::size(verification.bytes_unproven)
        ));
    }
    let level = verification.level.as_str();
    Section::new("Verified")
        .aside(level)
        .list(lines.into_iter().collect())
}

/// What this job used.
pub(super) fn usage(usage: &Usage, now: DateTime<Utc>) -> Section {
    let known = |number: Option<u64>| number.map_or("?".to_owned(), human::count);
    let hit_rate = |rate: Option<f64>, cold| match cold {
        true => "cold".to_owned(),
        false => rate.map_or("?".to_owned(), human::percent),
    };
    let of = |hits: u64, misses: u64| {
        let all = hits.saturating_add(misses);
        (all > 0).then(|| human::share(hits, all))
    };
    let mut rows = Vec::new();
    if let Some(modules) = &usage.modcache {
        rows.push([
            "module versions".to_owned(),
            hit_rate(modules.hit_rate, modules.is_cold()),
            known(modules.hits),
            known(modules.misses),
            String::new(),
            known(modules.idle),
        ]);
    }
    if let Some(build) = &usage.buildcache {
        let idle = human::count(build.idle);
        rows.push([
            "action entries".to_owned(),
            hit_rate(build.hit_rate, build.is_cold()),
            human::count(build.hits),
            human::count(build.misses),
            human::count(build.rewritten),
            format!("{idle} ({})", human::size(build.idle_bytes)),
        ]);
        let packages = Some(("compiled packages", &build.archives, build.is_cold()));
        let tests = build.tests.as_ref();
        let tests = tests.map(|tests| ("tests (cached / run)", tests, false));
        for (what, of_them, cold) in packages.into_iter().chain(tests) {
            rows.push([
                what.to_owned(),
                hit_rate(of(of_them.hits, of_them.misses), cold),
                human::count(of_them.hits),
                human::count(of_them.misses),
                String::new(),
                String::new(),
            ]);
        }
    }
    let since = human::age(now - usage.since);
    let section = Section::new("Used by this job").aside(format!("since the mark {since} ago"));
    let head = ["", "hit rate", "hits", "misses", "rewritten", "idle"];
    match rows.is_empty() {
        true => section.paragraph("use could not be observed"),
        false => section.table(Table::of(head, "lrrrrr", &rows, |row| {
            row.clone().map(Text::from)
        })),
    }
}

/// Where the space goes, as a pie and by module. Slices below a hundredth cannot be
/// seen and are summed up.
fn space(report: &Report) -> Option<Section> {
    let mut slices: Vec<(&str, u64)> = report.modcache.iter().flat_map(regions).collect();
    if let Some(cache) = &report.buildcache {
        slices.push(("build cache", cache.bytes.saturating_sub(cache.fuzz_bytes)));
        slices.push(("fuzzing", cache.fuzz_bytes));
    }
    let sum = |slices: &[(&str, u64)]| {
        slices
            .iter()
            .fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes))
    };
    let whole = sum(&slices);
    if whole == 0 {
        return None;
    }
    let (mut slices, small): (Vec<_>, Vec<_>) = slices
        .into_iter()
        .partition(|(_, bytes)| human::share(*bytes, whole) >= 0.01);
    if sum(&small) > 0 {
        slices.push(("the rest", sum(&small)));
    }
    slices.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let slices = slices
        .iter()
        .map(|(name, bytes)| format!("\n    \"{name}, {}\" : {bytes}", human::size(*bytes)));
    let pie = format!("{PIE_COLOURS}\npie{}", slices.collect::<String>());
    let mut section = Section::new("Where the space goes");
    section.in_summary = true;
    section.blocks.push(Block::Chart(pie));
    if !report.largest.is_empty() {
        let head = ["Module", "Versions", "Size"];
        let table = Table::of(head, "lrr", &report.largest, |module| {
            [
                name(&module.module),
                human::count(module.versions).into(),
                human::size(module.bytes).into(),
            ]
        });
        section.blocks.push(Block::Folded(Folded {
            level: None,
            title: "Largest modules",
            number: report.largest.len(),
            blocks: vec![Block::Table(table.short())],
        }));
    }
    Some(section)
}

/// The module cache's regions.
fn regions(cache: &ModCache) -> Vec<(&'static str, u64)> {
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
    regions
}

fn notes(report: &Report) -> Vec<Text> {
    let policy = &report.policy;
    let mut notes = Vec::new();
    if policy.silenced > 0 || policy.baselined > 0 {
        notes.push(Text::from(format!(
            "{} silenced by the configuration, {} known to the baseline.",
            human::counted(policy.silenced, "finding", "findings"),
            human::count(policy.baselined)
        )));
    }
    let config = policy.config.iter();
    notes.extend(config.map(|config| Text::from("Policy:").name(config)));
    notes.extend(report.notes.iter().take(SHOWN).map(Text::from));
    let left_out = report.notes.len().saturating_sub(SHOWN);
    notes.extend(super::section::more(left_out).map(Text::from));
    notes
}
