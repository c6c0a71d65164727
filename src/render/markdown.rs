//! A job summary that reads well on GitHub and GitLab.
//!
//! GitHub drops a step's summary above 1 MiB as a whole, so everything here
//! is bounded: names are clipped, rows are limited, and findings stop at a
//! budget. What was left out is counted.

use super::summary::{self, Change, Group};
use super::trend;
use crate::findings::{Finding, Rule};
use crate::judge::Measure;
use crate::report::{Report, ThresholdStatus, Unit, Verdict};
use crate::text::escape::{markdown_code, markdown_prose, mermaid};
use crate::text::human;
use chrono::{DateTime, Utc};

/// Findings of one rule that are shown; the rest is counted.
const FINDINGS_PER_RULE: usize = 25;
/// Rows of the other tables and lists.
const ROWS: usize = 20;
/// Findings are shown until the summary has so many bytes.
const BUDGET: usize = 512 * 1024;

/// Mermaid's own first colours vanish on white or on black; these are seen on
/// both, with white figures on them.
const PIE_COLOURS: &str = concat!(
    r##"%%{init: {"themeVariables": {"pie1": "#3b78b5", "pie2": "#2f8f6f", "pie3": "#a8662b", "##,
    r##""pie4": "#8250b0", "pie5": "#b04a5a", "pie6": "#5b7083", "pie7": "#8a7a1f", "pie8": "#2b8a99", "##,
    r##""pie9": "#777777", "pieOpacity": "1", "pieSectionTextColor": "#ffffff", "##,
    r##""pieStrokeColor": "#8b949e", "pieStrokeWidth": "1px", "pieOuterStrokeWidth": "0px"}}}%%"##
);

/// The report as a job summary.
pub fn markdown(report: &Report) -> String {
    let mut page = Page { out: String::new() };
    page.verdict(report);
    if !report.settings.is_empty() {
        page.settings(report);
        page.findings(report);
        page.drift(report);
        page.notes(report);
        page.footer(report);
        return page.out;
    }
    page.caches(report);
    page.verification(report);
    page.change(report);
    page.thresholds(report);
    page.findings(report);
    page.drift(report);
    page.space(report);
    page.largest(report);
    page.trend(report);
    page.notes(report);
    page.footer(report);
    page.out
}

/// Versions that are not the same everywhere that are shown.
const DRIFT: usize = 20;

struct Page {
    out: String,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn block(&mut self, text: &str) {
        self.line("");
        self.line(text);
    }

    fn verdict(&mut self, report: &Report) {
        let verdict = match report.verdict {
            Verdict::Pass => "✅ Go caches: pass",
            Verdict::Warn => "⚠️ Go caches: warning",
            Verdict::Fail => "❌ Go caches: fail",
        };
        self.line(&format!("## {verdict}"));
        self.block(&format!("{}.", markdown_prose(&summary::headline(report))));
        if let Some(said) = summary::configuration(report, markdown_code) {
            self.block(&said);
        }
    }

    /// Go's settings: what `doctor` is asked for, before its findings.
    fn settings(&mut self, report: &Report) {
        self.block("| Setting | Value | Where from | What it does |");
        self.line("|:--|:--|:--|:--|");
        for setting in &report.settings {
            let value = match setting.value.as_str() {
                "" => "none".to_owned(),
                value => markdown_code(value),
            };
            self.line(&format!(
                "| {} | {value} | {} | {} |",
                markdown_code(&setting.name),
                markdown_prose(&setting.source),
                markdown_prose(&setting.effect)
            ));
        }
    }

    /// Both caches side by side, a row for each fact that is known.
    fn caches(&mut self, report: &Report) {
        let (modcache, buildcache) = (report.modcache.as_ref(), report.buildcache.as_ref());
        if modcache.is_none() && buildcache.is_none() {
            return;
        }
        self.block("| | Module cache | Build cache |");
        self.line("|:--|--:|--:|");
        let mut row = |name: &str, left: Option<String>, right: Option<String>| {
            if left.is_some() || right.is_some() {
                let cell = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
                self.line(&format!("| {name} | {} | {} |", cell(left), cell(right)));
            }
        };
        row(
            "**Size**",
            modcache.map(|cache| format!("**{}**", human::size(cache.bytes))),
            buildcache.map(|cache| format!("**{}**", human::size(cache.bytes))),
        );
        if let Some(plan) = &report.plan {
            let freed = |build: bool| {
                let of_side = plan.removals.iter().filter(|removal| {
                    let path = Some(&removal.path);
                    matches!(removal.unit, Unit::Action | Unit::Output) == build
                        && (removal.unit != Unit::Residue || in_buildcache(path, report) == build)
                });
                human::size(of_side.fold(0, |sum: u64, removal| sum.saturating_add(removal.bytes)))
            };
            let name = if report.outcome.is_some() {
                "Chosen for removal"
            } else {
                "Would be removed"
            };
            row(
                name,
                modcache.map(|_| freed(false)),
                buildcache.map(|_| freed(true)),
            );
        }
        row(
            "Files",
            modcache.map(|cache| human::count(cache.files)),
            buildcache.map(|cache| human::count(cache.files)),
        );
        row(
            "Holds",
            modcache.map(|cache| {
                format!(
                    "{} of {}",
                    human::counted(cache.versions, "version", "versions"),
                    human::counted(cache.modules, "module", "modules")
                )
            }),
            buildcache.map(|cache| {
                format!(
                    "{}, {}",
                    human::counted(cache.actions, "action entry", "action entries"),
                    human::counted(
                        cache.outputs.saturating_add(cache.executables),
                        "output",
                        "outputs"
                    )
                )
            }),
        );
        row(
            "Last used",
            modcache.and_then(|cache| ages(cache.newest, cache.oldest, report)),
            buildcache.and_then(|cache| ages(cache.newest, cache.oldest, report)),
        );
        let modules = report
            .usage
            .as_ref()
            .and_then(|usage| usage.modcache.as_ref());
        let builds = report
            .usage
            .as_ref()
            .and_then(|usage| usage.buildcache.as_ref());
        let hit_rate = |rate: Option<f64>, cold: bool| match cold {
            true => Some("cold".to_owned()),
            false => rate.map(human::percent),
        };
        row(
            "Hit rate",
            modules.and_then(|usage| hit_rate(usage.hit_rate, usage.is_cold())),
            builds.and_then(|usage| hit_rate(usage.hit_rate, usage.is_cold())),
        );
        row(
            "Hits / misses",
            modules.and_then(|usage| {
                Some(format!(
                    "{} / {}",
                    human::count(usage.hits?),
                    human::count(usage.misses?)
                ))
            }),
            builds.map(|usage| {
                format!(
                    "{} / {}",
                    human::count(usage.hits),
                    human::count(usage.misses)
                )
            }),
        );
        row(
            "Tests cached / run",
            None,
            builds.and_then(|usage| usage.tests).map(|tests| {
                format!(
                    "{} / {}",
                    human::count(tests.hits),
                    human::count(tests.misses)
                )
            }),
        );
        row(
            "Found by fuzzing",
            None,
            buildcache
                .filter(|cache| cache.fuzz_bytes > 0)
                .map(|cache| human::size(cache.fuzz_bytes)),
        );
        row(
            "Not used by this job",
            modules.and_then(|usage| usage.idle).map(human::count),
            builds.map(|usage| {
                format!(
                    "{} ({})",
                    human::count(usage.idle),
                    human::size(usage.idle_bytes)
                )
            }),
        );
        let found = |build: bool| {
            let number = report
                .findings
                .iter()
                .filter(|finding| {
                    finding.rule != Rule::OverThreshold && about_builds(finding, report) == build
                })
                .count();
            human::count(number as u64)
        };
        row(
            "Findings",
            modcache.map(|_| found(false)),
            buildcache.map(|_| found(true)),
        );
    }

    fn verification(&mut self, report: &Report) {
        let Some(verification) = &report.verification else {
            return;
        };
        let mut line = format!(
            "Verified ({}): {} and {} in {}",
            markdown_prose(&verification.level),
            human::counted(verification.versions_checked, "version", "versions"),
            human::counted(
                verification.outputs_checked,
                "build output",
                "build outputs"
            ),
            human::duration(verification.seconds),
        );
        for proof in summary::proofs(verification) {
            line.push_str(&format!("; {}", markdown_prose(&proof)));
        }
        if verification.failed > 0 {
            line.push_str(&format!(
                "; **{} failed**",
                human::count(verification.failed)
            ));
        }
        self.block(&format!("{line}."));
    }

    fn change(&mut self, report: &Report) {
        let Some(change) = Change::of(report) else {
            return;
        };
        self.block(&format!("**{}**", change.line().replace("=>", "→")));
        let removals = summary::removals(report);
        if !removals.is_empty() {
            self.block("| Chosen for removal | Number | Size | Why |");
            self.line("|:--|--:|--:|:--|");
            for (unit, reason, number, bytes) in removals.iter().take(ROWS) {
                self.line(&format!(
                    "| {} | {} | {} | {} |",
                    summary::unit(*unit),
                    human::count(*number),
                    human::size(*bytes),
                    markdown_prose(reason)
                ));
            }
            self.rest(removals.len(), ROWS, "kinds");
        }
        let Some(outcome) = report
            .outcome
            .as_ref()
            .filter(|outcome| !outcome.failed.is_empty())
        else {
            return;
        };
        self.block(&format!(
            "**{} could not be removed:**",
            human::counted(outcome.failed.len() as u64, "unit", "units")
        ));
        self.line("");
        for failure in outcome.failed.iter().take(ROWS) {
            self.line(&format!(
                "- {}: {}",
                markdown_code(&failure.subject),
                markdown_prose(&failure.error)
            ));
        }
        self.rest(outcome.failed.len(), ROWS, "units");
    }

    /// Counts what a table or list left out.
    fn rest(&mut self, all: usize, shown: usize, what: &str) {
        if all > shown {
            self.block(&format!(
                "And {} more {what}.",
                human::count((all - shown) as u64)
            ));
        }
    }

    fn thresholds(&mut self, report: &Report) {
        if report.thresholds.is_empty() {
            return;
        }
        self.block("| Limit | Measured | Allowed | |");
        self.line("|:--|--:|--:|:--|");
        for threshold in report.thresholds.iter().take(ROWS) {
            let measure = Measure::of(&threshold.name);
            self.line(&format!(
                "| {} | {} | {} | {} |",
                markdown_code(&threshold.name),
                threshold
                    .actual
                    .map_or("not known".to_owned(), |actual| measure.show(actual)),
                measure.show(threshold.limit),
                match threshold.status {
                    ThresholdStatus::Pass => "✅ ok",
                    ThresholdStatus::Warn => "⚠️ warning",
                    ThresholdStatus::Fail => "❌ fail",
                }
            ));
        }
    }

    fn findings(&mut self, report: &Report) {
        let groups = summary::groups(report);
        if groups.is_empty() {
            return;
        }
        self.block("### Findings");
        let mut left_out = 0;
        for group in &groups {
            let text = folded(group);
            if self.out.len() + text.len() <= BUDGET {
                self.out.push_str(&text);
            } else {
                left_out += group.findings.len();
            }
        }
        if left_out > 0 {
            self.block(&format!(
                "{} more did not fit: see the JSON report.",
                human::counted(left_out as u64, "finding", "findings")
            ));
        }
    }

    /// Where the space goes, as a pie. Slices below a hundredth cannot be seen
    /// and are summed up.
    /// Who says what, who agrees, and the verdict.
    fn drift(&mut self, report: &Report) {
        let Some(drift) = &report.drift else { return };
        self.block(&format!(
            "**Who says what**: {} compared, {} consistent.",
            human::counted(drift.compared, "version", "versions"),
            human::count(drift.consistent)
        ));
        if drift.rows.is_empty() {
            return;
        }
        self.block("| Version | Of | Says | Who | Verdict |");
        self.line("|:--|:--|:--|:--|:--|");
        for row in drift.rows.iter().take(DRIFT) {
            for (at, saying) in row.says.iter().enumerate() {
                // The version once, then what else is said of it.
                let [module, what, verdict] = if at == 0 {
                    [
                        markdown_code(&row.module),
                        markdown_prose(&row.what),
                        row.verdict.text().to_owned(),
                    ]
                } else {
                    Default::default()
                };
                let who = markdown_prose(&saying.by.join(", "));
                let value = markdown_code(&saying.value);
                self.line(&format!(
                    "| {module} | {what} | {value} | {who} | {verdict} |"
                ));
            }
        }
        self.rest(drift.rows.len(), DRIFT, "versions");
    }

    fn space(&mut self, report: &Report) {
        let mut slices: Vec<(&str, u64)> =
            report.modcache.iter().flat_map(summary::regions).collect();
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
            return;
        }
        let (mut slices, small): (Vec<_>, Vec<_>) = slices
            .into_iter()
            .partition(|(_, bytes)| human::share(*bytes, whole) >= 0.01);
        if sum(&small) > 0 {
            slices.push(("the rest", sum(&small)));
        }
        slices.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        self.block("### Where the space goes");
        self.block("```mermaid");
        self.line(PIE_COLOURS);
        self.line("pie");
        for (name, bytes) in slices {
            let label = mermaid(&format!("{name}, {}", human::size(bytes)));
            self.line(&format!("    \"{label}\" : {bytes}"));
        }
        self.line("```");
    }

    fn largest(&mut self, report: &Report) {
        if report.largest.is_empty() {
            return;
        }
        self.block("<details><summary>Largest modules</summary>");
        self.block("| Module | Versions | Size |");
        self.line("|:--|--:|--:|");
        for module in report.largest.iter().take(10) {
            self.line(&format!(
                "| {} | {} | {} |",
                markdown_code(&module.module),
                human::count(module.versions),
                human::size(module.bytes)
            ));
        }
        self.block("</details>");
    }

    fn trend(&mut self, report: &Report) {
        for chart in trend::charts(&report.trend) {
            self.block("```mermaid");
            self.out.push_str(&chart);
            self.line("```");
        }
    }

    fn notes(&mut self, report: &Report) {
        let policy = &report.policy;
        let mut notes = Vec::new();
        if policy.silenced > 0 || policy.baselined > 0 {
            notes.push(format!(
                "{} silenced by the configuration, {} known to the baseline.",
                human::counted(policy.silenced, "finding", "findings"),
                human::count(policy.baselined)
            ));
        }
        notes.extend(
            policy
                .config
                .iter()
                .map(|config| format!("Policy: {}", markdown_code(config))),
        );
        notes.extend(
            report
                .notes
                .iter()
                .take(ROWS)
                .map(|note| markdown_prose(note)),
        );
        if notes.is_empty() {
            return;
        }
        self.block("### Notes");
        self.line("");
        for note in notes {
            self.line(&format!("- {note}"));
        }
        self.rest(report.notes.len(), ROWS, "notes");
    }

    fn footer(&mut self, report: &Report) {
        self.block(&format!(
            "{} {}, {}",
            markdown_prose(&report.tool.name),
            markdown_code(&report.tool.version),
            report.generated_at.format("%Y-%m-%d %H:%M UTC")
        ));
    }
}

/// A rule's findings, folded, with what to do.
fn folded(group: &Group) -> String {
    let mut page = Page { out: String::new() };
    let number = group.findings.len() as u64;
    page.block(&format!(
        "<details><summary><b>{}</b> {}: {}</summary>",
        group.level.name(),
        group.rule.name(),
        human::counted(number, "finding", "findings")
    ));
    let shared = group.shared_message();
    if let Some(message) = shared {
        page.block(&markdown_prose(message));
    }
    page.line("");
    for finding in group.findings.iter().take(FINDINGS_PER_RULE) {
        let mut item = format!("- {}", markdown_code(&finding.subject));
        if shared.is_none() {
            item.push_str(&format!(": {}", markdown_prose(&finding.message)));
        }
        if let Some(expected) = &finding.expected {
            item.push_str(&format!("<br>expected {}", markdown_code(expected)));
        }
        if let Some(actual) = &finding.actual {
            item.push_str(&format!("<br>found {}", markdown_code(actual)));
        }
        if let Some(path) = finding
            .path
            .as_ref()
            .filter(|path| **path != finding.subject)
        {
            item.push_str(&format!("<br>in {}", markdown_code(path)));
        }
        page.line(&item);
    }
    page.rest(group.findings.len(), FINDINGS_PER_RULE, "findings");
    let advice: Vec<String> = group.advice().into_iter().map(markdown_prose).collect();
    if !advice.is_empty() {
        page.block(&format!("**What to do:** {}", advice.join("<br>")));
    }
    page.block("</details>");
    page.out
}

/// `2 h to 34 d ago`, as far as it is known.
fn ages(
    newest: Option<DateTime<Utc>>,
    oldest: Option<DateTime<Utc>>,
    report: &Report,
) -> Option<String> {
    let age = |time| human::age(report.generated_at - time);
    let (newest, oldest) = (age(newest?), age(oldest?));
    Some(if newest == oldest {
        format!("{oldest} ago")
    } else {
        format!("{newest} to {oldest} ago")
    })
}

/// Is this finding about the build cache?
fn about_builds(finding: &Finding, report: &Report) -> bool {
    match finding.rule {
        Rule::OutputHashMismatch
        | Rule::OutputSizeMismatch
        | Rule::ActionInvalid
        | Rule::OutputMissing
        | Rule::OutputOrphan
        | Rule::GoTrimStuck => true,
        _ => in_buildcache(finding.path.as_ref(), report),
    }
}

fn in_buildcache(path: Option<&String>, report: &Report) -> bool {
    match (path, &report.buildcache) {
        (Some(path), Some(cache)) => path
            .strip_prefix(cache.path.as_str())
            .is_some_and(|below| below.is_empty() || below.starts_with(['/', '\\'])),
        _ => false,
    }
}
