//! Writes a [`Document`] for a person at a terminal or in a job's log.

use super::section::{Block, Document, Item, Section, Span, Table, Text, Tone, more};
use crate::text::escape::{clip, terminal as shown};
use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

/// Columns to wrap sentences at.
const WIDTH: usize = 100;
/// Characters of a table's cell that are shown.
const CELL: usize = 100;

/// The document as text. Colour only repeats what words say.
pub(crate) fn terminal(document: &Document, color: bool) -> String {
    let mut page = Page {
        out: String::new(),
        color,
    };
    if let Some((tone, headline)) = &document.head {
        let word = match tone {
            Tone::Bad => "FAIL",
            Tone::Warning => "WARN",
            Tone::Good | Tone::Strong => "PASS",
        };
        let word = page.paint(*tone, word);
        page.line(0, &format!("{word}  {}", plain(headline)));
    }
    for section in document
        .sections
        .iter()
        .filter(|section| !section.in_summary)
    {
        page.section(section);
    }
    if !document.notes.is_empty() {
        page.gap();
    }
    for note in &document.notes {
        page.wrapped(0, "note: ", note);
    }
    page.out
}

struct Page {
    out: String,
    color: bool,
}

impl Page {
    fn paint(&self, tone: Tone, text: &str) -> String {
        let style = match tone {
            Tone::Strong => Style::new().bold(),
            Tone::Good => AnsiColor::Green.on_default().bold(),
            Tone::Warning => AnsiColor::Yellow.on_default().bold(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
        };
        if self.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    fn line(&mut self, indent: usize, text: &str) {
        if !text.is_empty() {
            self.out.extend([&" ".repeat(indent), text.trim_end()]);
        }
        self.out.push('\n');
    }

    /// An empty line, unless it would be the first.
    fn gap(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn section(&mut self, section: &Section) {
        self.gap();
        let mut indent = 0;
        if let Some(title) = &section.title {
            let title = self.paint(Tone::Strong, &plain(title));
            let aside = section.aside.as_ref().map(plain).unwrap_or_default();
            self.line(0, &format!("{title}  {aside}"));
            indent = 2;
        }
        self.blocks(&section.blocks, indent);
    }

    fn blocks(&mut self, blocks: &[Block], indent: usize) {
        for (at, block) in blocks.iter().enumerate() {
            match block {
                Block::Paragraph(text) => self.wrapped(indent, "", text),
                Block::Table(table) => self.table(table, indent),
                Block::List(list) => {
                    for item in &list.items {
                        self.item(item, indent);
                    }
                    self.more(list.left_out, indent);
                }
                Block::Folded(folded) => {
                    if at > 0 {
                        self.gap();
                    }
                    let level = folded
                        .level
                        .map(|(tone, word)| self.paint(tone, word) + " ");
                    let title = self.paint(Tone::Strong, folded.title);
                    let title = format!("{}{title}", level.unwrap_or_default());
                    self.line(indent, &format!("{title}{}", folded.count()));
                    self.blocks(&folded.blocks, indent + 2);
                }
                Block::Advice(advice) => {
                    for advice in advice {
                        self.wrapped(indent, "→ ", &advice.as_str().into());
                    }
                }
                Block::Chart(_) => {}
            }
        }
    }

    fn item(&mut self, item: &Item, indent: usize) {
        self.wrapped(indent, "", &item.head);
        for line in &item.lines {
            self.wrapped(indent + 2, "", line);
        }
    }

    fn more(&mut self, left_out: usize, indent: usize) {
        if let Some(more) = more(left_out) {
            self.line(indent, &more);
        }
    }

    /// A sentence, wrapped, its first line after `lead`, the others below its text.
    /// What ends in a name is no sentence: it stays in a line, to be copied.
    fn wrapped(&mut self, indent: usize, lead: &str, text: &Text) {
        let start = indent + lead.width();
        let whole = self.styled(text, &plain(text));
        let lines = match text.0.last() {
            Some(Span::Words(_)) => wrap(&whole, WIDTH - start),
            _ => vec![whole],
        };
        for (at, line) in lines.iter().enumerate() {
            match at {
                0 => self.line(indent, &format!("{lead}{line}")),
                _ => self.line(start, line),
            }
        }
    }

    /// Columns without lines, two spaces between.
    fn table(&mut self, table: &Table, indent: usize) {
        let mut rows: Vec<(Option<&Vec<Text>>, Vec<String>)> = Vec::new();
        if !table.bare {
            rows.push((
                None,
                table.head.iter().map(|&title| title.to_owned()).collect(),
            ));
        }
        let cells = |row: &Vec<Text>| -> Vec<String> {
            row.iter().map(|cell| clip(&plain(cell), CELL)).collect()
        };
        rows.extend(table.rows.iter().map(|row| (Some(row), cells(row))));
        let width = |column| {
            let cells = rows.iter().filter_map(|(_, row)| row.get(column));
            cells.map(|cell: &String| cell.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..table.align.len()).map(width).collect();
        for (texts, row) in &rows {
            let mut line = String::new();
            let columns = table.align.chars().zip(&widths);
            for (at, (cell, (letter, width))) in row.iter().zip(columns).enumerate() {
                let space = " ".repeat(width - cell.width());
                let text = texts.and_then(|texts| texts.get(at));
                let cell = text.map_or(cell.clone(), |text| self.styled(text, cell));
                match letter {
                    'r' => line.extend([&space, &cell, "  "]),
                    _ => line.extend([&cell, &*space, "  "]),
                }
            }
            self.line(indent, &line);
        }
        self.more(table.left_out, indent);
    }

    /// `plain` in the tone that all of the text has, if it has one.
    fn styled(&self, text: &Text, plain: &str) -> String {
        match text.0.as_slice() {
            [Span::Toned(tone, _)] => self.paint(*tone, plain),
            _ => plain.to_owned(),
        }
    }
}

/// The text in a line, as harmless as a terminal needs it. Escaped as a whole:
/// spans may be a command only together.
fn plain(text: &Text) -> String {
    let mut line = String::new();
    let mut before = None;
    for span in &text.0 {
        if span.is_apart(before) {
            line.push(' ');
        }
        line.push_str(span.raw());
        before = Some(span);
    }
    shown(&line)
}

/// Breaks at spaces; a word longer than the room keeps its line to itself.
fn wrap(text: &str, room: usize) -> Vec<String> {
    if text.chars().count() <= room {
        return vec![text.to_owned()];
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_however_wide_their_letters() {
        let rows = [["a", "1", "x"], ["\u{4e2d}\u{6587}", "100", ""]];
        let table = Table::of(["", "", ""], "lrl", &rows, |row| row.map(Text::from));
        let document = Document {
            sections: vec![Section::default().table(table.bare())],
            ..Document::default()
        };
        assert_eq!(
            terminal(&document, false),
            "a       1  x\n\u{4e2d}\u{6587}  100\n"
        );
    }

    #[test]
    fn what_is_a_command_only_together_is_broken_up() {
        let text = Text::from("").name(":").words(":error::x");
        assert!(!plain(&text).contains("::error"), "{}", plain(&text));
    }
}
