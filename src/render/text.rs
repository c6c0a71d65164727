//! For a person at a terminal or in a job's log.

use super::summary::{self, Change, Group};
use super::{doctor, table, trend};
use crate::findings::{Finding, Level};
use crate::judge::Measure;
use crate::report::{BuildCache, ModCache, Report, ThresholdStatus, Verdict};
use crate::text::escape::{LONGEST, clip, terminal};
use crate::text::human;
use anstyle::{AnsiColor, Style};

/// How the text may look.
#[derive(Clone, Copy, Debug)]
pub struct TextStyle {
    /// Colour, which only repeats what words say.
    pub color: bool,
    /// Columns to wrap sentences at.
    pub width: usize,
}

impl Default for TextStyle {
    fn default() -> TextStyle {
        TextStyle {
            color: false,
            width: 100,
        }
    }
}

/// Findings of one rule that are shown; the rest is counted.
const FINDINGS_PER_RULE: usize = 10;
/// Versions that are not the same everywhere that are shown.
const DRIFT: usize = 20;
/// Kinds of removal that are shown.
const REMOVALS: usize = 12;

/// The report for people: the verdict first, what to do last.
pub fn text(report: &Report, style: TextStyle) -> String {
    let mut page = Page {
        out: String::new(),
        style,
    };
    page.verdict(report);
    page.configuration(report);
    if !report.settings.is_empty() {
        page.settings(report);
        page.findings(report);
        page.drift(report);
        page.notes(report);
        return page.out;
    }
    if let Some(cache) = &report.modcache {
        page.modcache(cache, report);
    }
    if let Some(cache) = &report.buildcache {
        page.buildcache(cache, report);
    }
    page.verification(report);
    page.usage(report);
    if let Some(trend) = trend::sparkline(&report.trend) {
        page.title("Trend", &trend);
    }
    page.thresholds(report);
    page.largest(report);
    page.findings(report);
    page.drift(report);
    page.plan(report);
    page.remote(report);
    page.notes(report);
    page.out
}

struct Page {
    out: String,
    style: TextStyle,
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const RED: Style = AnsiColor::Red.on_default().bold();

impl Page {
    fn paint(&self, style: Style, text: &str) -> String {
        if self.style.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    /// A section's title with a word on it, after an empty line.
    fn title(&mut self, title: &str, rest: &str) {
        self.out.push('\n');
        let title = self.paint(BOLD, title);
        self.line(&format!("{title}  {rest}"));
    }

    /// A table's lines, indented.
    fn table(&mut self, rows: &[Vec<String>], align: &str) {
        for line in table::lines(rows, align) {
            self.line(&format!("  {line}"));
        }
    }

    /// A sentence, wrapped, its first line after `lead`, the others below its text.
    fn wrapped(&mut self, indent: usize, lead: &str, text: &str) {
        let start = indent + lead.chars().count();
        let room = self.style.width.saturating_sub(start).max(20);
        for (at, line) in wrap(&terminal(text), room).iter().enumerate() {
            let before = if at == 0 { lead } else { "" };
            self.line(&format!(
                "{:indent$}{before:<width$}{line}",
                "",
                width = start - indent
            ));
        }
    }

    fn verdict(&mut self, report: &Report) {
        let (word, style) = match report.verdict {
            Verdict::Pass => ("PASS", GREEN),
            Verdict::Warn => ("WARN", YELLOW),
            Verdict::Fail => ("FAIL", RED),
        };
        let word = self.paint(style, word);
        self.line(&format!("{word}  {}", terminal(&summary::headline(report))));
    }

    /// What the configuration does to the verdict, before anything else is said.
    fn configuration(&mut self, report: &Report) {
        if let Some(said) = summary::configuration(report, |text| clip(text, LONGEST)) {
            self.wrapped(0, "", &said);
        }
    }

    /// Go's settings: what `doctor` is asked for, before its findings.
    fn settings(&mut self, report: &Report) {
        self.title("Go's settings", "");
        for setting in &report.settings {
            self.line(&format!("  {}", terminal(&doctor::line(setting))));
            self.wrapped(6, "", &setting.effect);
        }
    }

    fn modcache(&mut self, cache: &ModCache, report: &Report) {
        self.title("Module cache", &terminal(&cache.path));
        self.line(&format!(
            "  {}, {}, {} of {}{}",
            human::size(cache.bytes),
            human::counted(cache.files, "file", "files"),
            human::counted(cache.versions, "version", "versions"),
            human::counted(cache.modules, "module", "modules"),
            ages(cache.newest, cache.oldest, report)
        ));
        let rows: Vec<Vec<String>> = summary::regions(cache)
            .into_iter()
            .map(|(region, bytes)| {
                let share = human::share(bytes, cache.bytes);
                vec![
                    region.to_owned(),
                    human::size(bytes),
                    human::percent(share),
                    human::bar(share, 20),
                ]
            })
            .collect();
        self.table(&rows, "lrrl");
    }

    fn buildcache(&mut self, cache: &BuildCache, report: &Report) {
        self.title("Build cache", &terminal(&cache.path));
        self.line(&format!(
            "  {}, {}{}",
            human::size(cache.bytes),
            human::counted(cache.files, "file", "files"),
            ages(cache.newest, cache.oldest, report)
        ));
        self.line(&format!(
            "  {}, {}, {}",
            human::counted(cache.actions, "action entry", "action entries"),
            human::counted(cache.outputs, "output", "outputs"),
            human::counted(cache.executables, "executable", "executables"),
        ));
        if cache.fuzz_bytes > 0 {
            self.line(&format!(
                "  {} found by fuzzing, which only `go clean -fuzzcache` removes",
                human::size(cache.fuzz_bytes)
            ));
        }
    }

    fn verification(&mut self, report: &Report) {
        let Some(verification) = &report.verification else {
            return;
        };
        self.title("Verified", &terminal(&verification.level));
        self.line(&format!(
            "  {} and {} in {}, {} hashed, {}",
            human::counted(verification.versions_checked, "version", "versions"),
            human::counted(
                verification.outputs_checked,
                "build output",
                "build outputs"
            ),
            human::duration(verification.seconds),
            human::size(verification.bytes_hashed),
            match verification.failed {
                0 => "none failed".to_owned(),
                failed => format!("{} failed", human::count(failed)),
            }
        ));
        for proof in summary::proofs(verification) {
            self.line(&format!("  {proof}"));
        }
    }

    fn usage(&mut self, report: &Report) {
        let Some(usage) = &report.usage else { return };
        let since = human::age(report.generated_at - usage.since);
        self.title("Used by this job", &format!("since the mark {since} ago"));
        let rows = summary::usage_rows(usage);
        if rows.len() > 1 {
            self.table(&rows, "lrrrrr");
        } else {
            self.line("  use could not be observed");
        }
    }

    fn remote(&mut self, report: &Report) {
        for repository in report.remote.iter().flat_map(|remote| &remote.repositories) {
            self.title("Remote caches", &terminal(&repository.name));
            for line in super::remote::lines(repository) {
                self.line(&format!("  {line}"));
            }
        }
    }

    /// Who says what, who agrees, and the verdict.
    fn drift(&mut self, report: &Report) {
        let Some(drift) = &report.drift else { return };
        let count = format!(
            "{} compared, {} consistent",
            human::counted(drift.compared, "version", "versions"),
            human::count(drift.consistent)
        );
        self.title("Who says what", &count);
        for row in drift.rows.iter().take(DRIFT) {
            self.line(&format!(
                "  {}: {} ({})",
                terminal(&row.module),
                row.verdict.text(),
                terminal(&row.what)
            ));
            let says: Vec<Vec<String>> = row
                .says
                .iter()
                .map(|saying| {
                    vec![
                        String::new(),
                        terminal(&saying.value),
                        terminal(&saying.by.join(", ")),
                    ]
                })
                .collect();
            self.table(&says, "lll");
        }
        let more = drift.rows.len().saturating_sub(DRIFT);
        if more > 0 {
            self.line(&format!("  … and {} more", human::count(more as u64)));
        }
    }

    fn thresholds(&mut self, report: &Report) {
        if report.thresholds.is_empty() {
            return;
        }
        self.title("Limits", "");
        let rows: Vec<Vec<String>> = report
            .thresholds
            .iter()
            .map(|threshold| {
                let measure = Measure::of(&threshold.name);
                vec![
                    terminal(&threshold.name),
                    threshold
                        .actual
                        .map_or("?".to_owned(), |actual| measure.show(actual)),
                    "of".to_owned(),
                    measure.show(threshold.limit),
                ]
            })
            .collect();
        let lines = table::lines(&rows, "lrlr");
        for (line, threshold) in lines.iter().zip(&report.thresholds) {
            let (word, style) = match threshold.status {
                ThresholdStatus::Pass => ("ok  ", GREEN),
                ThresholdStatus::Warn => ("warn", YELLOW),
                ThresholdStatus::Fail => ("fail", RED),
            };
            let word = self.paint(style, word);
            self.line(&format!("  {word}  {line}"));
        }
    }

    fn largest(&mut self, report: &Report) {
        if report.largest.is_empty() {
            return;
        }
        self.title("Largest modules", "");
        let whole = report.modcache.as_ref().map_or(0, |cache| cache.bytes);
        let rows: Vec<Vec<String>> = report
            .largest
            .iter()
            .take(10)
            .map(|module| {
                vec![
                    terminal(&clip(&module.module, 80)),
                    human::counted(module.versions, "version", "versions"),
                    human::size(module.bytes),
                    human::percent(human::share(module.bytes, whole)),
                ]
            })
            .collect();
        self.table(&rows, "lrrr");
    }

    fn findings(&mut self, report: &Report) {
        if report.findings.is_empty() {
            return;
        }
        self.title("Findings", "");
        for (at, group) in summary::groups(report).iter().enumerate() {
            if at > 0 {
                self.out.push('\n');
            }
            self.group(group);
        }
    }

    fn group(&mut self, group: &Group) {
        let style = match group.level {
            Level::Deny => RED,
            Level::Warn => YELLOW,
            Level::Note | Level::Allow => BOLD,
        };
        let level = self.paint(style, group.level.name());
        let rule = self.paint(BOLD, group.rule.name());
        let number = match group.findings.len() {
            1 => String::new(),
            many => format!(" ({})", human::count(many as u64)),
        };
        self.line(&format!("  {level} {rule}{number}"));
        let shared = group.shared_message();
        if let Some(message) = shared {
            self.wrapped(4, "", message);
        }
        for finding in group.findings.iter().take(FINDINGS_PER_RULE) {
            self.finding(finding, shared.is_none());
        }
        if let Some(rest) = group.findings.len().checked_sub(FINDINGS_PER_RULE)
            && rest > 0
        {
            self.line(&format!("    and {} more", human::count(rest as u64)));
        }
        for advice in group.advice() {
            self.wrapped(4, "→ ", advice);
        }
    }

    fn finding(&mut self, finding: &Finding, with_message: bool) {
        self.line(&format!("    {}", terminal(&finding.subject)));
        if with_message {
            self.wrapped(6, "", &finding.message);
        }
        for (name, value) in [
            ("expected ", &finding.expected),
            ("found    ", &finding.actual),
        ] {
            if let Some(value) = value {
                self.line(&format!("      {name}{}", terminal(value)));
            }
        }
        if let Some(path) = finding
            .path
            .as_ref()
            .filter(|path| **path != finding.subject)
        {
            let path = self.paint(DIM, &terminal(path));
            self.line(&format!("      in {path}"));
        }
    }

    fn plan(&mut self, report: &Report) {
        let Some(change) = Change::of(report) else {
            return;
        };
        let removals = summary::removals(report);
        let done = if change.done {
            "Removed"
        } else {
            "Would remove"
        };
        self.title(done, "");
        let rows: Vec<Vec<String>> = removals
            .iter()
            .take(REMOVALS)
            .map(|(unit, reason, number, bytes)| {
                vec![
                    human::count(*number),
                    summary::unit(*unit).to_owned(),
                    human::size(*bytes),
                    terminal(&clip(reason, 80)),
                ]
            })
            .collect();
        if rows.is_empty() {
            self.line("  nothing");
        }
        self.table(&rows, "rlrl");
        if let Some(rest) = removals.len().checked_sub(REMOVALS)
            && rest > 0
        {
            self.line(&format!("  and {rest} more kinds"));
        }
        if let Some(outcome) = &report.outcome
            && !outcome.failed.is_empty()
        {
            let failed = self.paint(YELLOW, "not removed");
            self.line(&format!(
                "  {failed}: {}",
                human::count(outcome.failed.len() as u64)
            ));
            for failure in outcome.failed.iter().take(FINDINGS_PER_RULE) {
                self.line(&format!("    {}", terminal(&failure.subject)));
                self.wrapped(6, "", &failure.error);
            }
            if let Some(rest) = outcome.failed.len().checked_sub(FINDINGS_PER_RULE)
                && rest > 0
            {
                self.line(&format!("    and {} more", human::count(rest as u64)));
            }
        }
        self.out.push('\n');
        let line = self.paint(BOLD, &change.line());
        self.line(&line);
    }

    fn notes(&mut self, report: &Report) {
        let policy = &report.policy;
        let mut notes: Vec<String> = Vec::new();
        if policy.silenced > 0 || policy.baselined > 0 {
            notes.push(format!(
                "{} silenced by the configuration, {} known to the baseline.",
                human::counted(policy.silenced, "finding", "findings"),
                human::count(policy.baselined)
            ));
        }
        if let Some(config) = &policy.config {
            notes.push(format!("Policy: {config}"));
        }
        notes.extend(report.notes.iter().cloned());
        if notes.is_empty() {
            return;
        }
        self.out.push('\n');
        for note in &notes {
            self.wrapped(0, "note: ", note);
        }
    }
}

/// `; last used 2 h to 94 d ago`, as far as it is known.
fn ages(
    newest: Option<chrono::DateTime<chrono::Utc>>,
    oldest: Option<chrono::DateTime<chrono::Utc>>,
    report: &Report,
) -> String {
    let age = |time| human::age(report.generated_at - time);
    match (newest.map(age), oldest.map(age)) {
        (Some(newest), Some(oldest)) if newest == oldest => format!("; last used {oldest} ago"),
        (Some(newest), Some(oldest)) => format!("; last used {newest} to {oldest} ago"),
        _ => String::new(),
    }
}

/// Breaks at spaces; a word longer than the room keeps its line to itself.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > room {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
        }
    }
    lines
}
