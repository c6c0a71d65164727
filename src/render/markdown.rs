//! Writes a [`Document`] as a job summary that reads well on GitHub and GitLab.
//!
//! GitHub drops a step's summary above 1 MiB as a whole, so everything here
//! is bounded: names are clipped, rows are limited, and what is folded stops at a
//! budget. What was left out is counted.

use super::section::{Block, Document, Folded, Item, Section, Span, Table, Text, Tone, more};
use crate::text::escape::{markdown_code, markdown_prose};
use crate::text::human;

/// What is folded is shown until the summary has so many bytes.
const BUDGET: usize = 512 * 1024;

/// The document as a job summary.
pub(crate) fn markdown(document: &Document) -> String {
    let mut page = Page::default();
    if let Some((tone, headline)) = &document.head {
        let verdict = match tone {
            Tone::Bad => "fail",
            Tone::Warning => "warning",
            Tone::Good | Tone::Strong => "pass",
        };
        page.line(&format!("## {} Go caches: {verdict}", sign(*tone)));
        page.block(&format!("{}.", text(headline)));
    }
    for section in &document.sections {
        page.section(section);
    }
    if !document.notes.is_empty() {
        page.block("### Notes");
        page.line("");
    }
    for note in &document.notes {
        page.line(&format!("- {}", text(note)));
    }
    if let Some(made_by) = &document.made_by {
        page.block(&text(made_by));
    }
    page.out
}

#[derive(Default)]
struct Page {
    out: String,
    /// Things in folded blocks that did not fit.
    left_out: usize,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.out.extend([text, "\n"]);
    }

    fn block(&mut self, text: &str) {
        self.line("");
        self.line(text);
    }

    fn section(&mut self, section: &Section) {
        match (&section.title, &section.aside) {
            (None, _) => {}
            (Some(title), None) => self.block(&format!("### {}", text(title))),
            (Some(title), Some(aside)) => {
                self.block(&format!("### {}: {}", text(title), text(aside)));
            }
        }
        self.blocks(&section.blocks);
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            self.block(&format!(
                "{} more did not fit: see the JSON report.",
                human::count(left_out as u64)
            ));
        }
    }

    fn blocks(&mut self, blocks: &[Block]) {
        for block in blocks {
            match block {
                Block::Paragraph(paragraph) => self.block(&text(paragraph)),
                Block::Table(table) => self.table(table),
                Block::List(list) => {
                    self.line("");
                    for item in &list.items {
                        self.item(item);
                    }
                    self.more(list.left_out);
                }
                Block::Folded(folded) => self.folded(folded),
                Block::Advice(advice) => {
                    let advice: Vec<String> = advice.iter().map(|it| markdown_prose(it)).collect();
                    self.block(&format!("**What to do:** {}", advice.join("<br>")));
                }
                Block::Chart(chart) => {
                    self.block("```mermaid");
                    self.line(chart);
                    self.line("```");
                }
            }
        }
    }

    fn folded(&mut self, folded: &Folded) {
        let start = self.out.len();
        let level = folded.level.map(|(_, word)| format!("<b>{word}</b> "));
        let (level, title) = (level.unwrap_or_default(), folded.title);
        let count = folded.count();
        self.block(&format!(
            "<details><summary>{level}{title}{count}</summary>"
        ));
        self.blocks(&folded.blocks);
        self.block("</details>");
        if self.out.len() > BUDGET {
            self.out.truncate(start);
            self.left_out += folded.number;
        }
    }

    fn item(&mut self, item: &Item) {
        let lines: Vec<String> = item.lines.iter().map(text).collect();
        let colon = if lines.is_empty() { "" } else { ": " };
        let head = text(&item.head);
        self.line(&format!("- {head}{colon}{}", lines.join("<br>")));
    }

    fn table(&mut self, table: &Table) {
        self.block(&row(table.head.iter().map(|&title| title.to_owned())));
        let side = |letter| match letter {
            'r' => "--:".to_owned(),
            _ => ":--".to_owned(),
        };
        self.line(&row(table.align.chars().map(side)).replace(' ', ""));
        for cells in &table.rows {
            self.line(&row(cells.iter().map(text)));
        }
        self.more(table.left_out);
    }

    fn more(&mut self, left_out: usize) {
        if let Some(more) = more(left_out) {
            self.block(&format!("… {more}."));
        }
    }
}

fn row(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.collect();
    format!("| {} |", cells.join(" | "))
}

fn text(text: &Text) -> String {
    let mut line = String::new();
    let mut before = None;
    for span in &text.0 {
        if span.is_apart(before) {
            line.push(' ');
        }
        line.push_str(&match span {
            Span::Words(words) => markdown_prose(words),
            Span::Name(name) => markdown_code(name),
            Span::Toned(Tone::Strong, words) => format!("**{}**", markdown_prose(words)),
            Span::Toned(tone, words) => format!("{} {}", sign(*tone), markdown_prose(words)),
        });
        before = Some(span);
    }
    line
}

fn sign(tone: Tone) -> &'static str {
    match tone {
        Tone::Good | Tone::Strong => "✅",
        Tone::Warning => "⚠️",
        Tone::Bad => "❌",
    }
}
