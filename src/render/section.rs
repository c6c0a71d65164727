//! What is said to people, before it is known where: filled once, and written by
//! [`super::terminal`] or [`super::markdown`].
//!
//! Whatever is in a [`Text`] may come from a cache, a project or a saved report.
//! Nothing is escaped here: each writer does so for its medium, and nobody else.

use crate::text::human;

/// Rows of a table and items of a list that are shown; the rest is counted.
pub(crate) const SHOWN: usize = 20;

/// All of what is said.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// The verdict and what led to it; none where nothing is judged.
    pub(crate) head: Option<(Tone, Text)>,
    pub(crate) sections: Vec<Section>,
    pub(crate) notes: Vec<Text>,
    /// What made it, for who finds it later.
    pub(crate) made_by: Option<Text>,
}

/// Some blocks under a title.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) title: Option<Text>,
    /// What stands beside the title.
    pub(crate) aside: Option<Text>,
    pub(crate) blocks: Vec<Block>,
    /// Whether only the summary of a job has it.
    pub(crate) in_summary: bool,
}

#[derive(Debug)]
pub(crate) enum Block {
    Paragraph(Text),
    Table(Table),
    List(List),
    Folded(Folded),
    /// What to do.
    Advice(Vec<String>),
    /// A chart in Mermaid's language, of our own words and figures alone; a
    /// terminal has none.
    Chart(String),
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) head: Vec<&'static str>,
    /// A letter a column: `l` or `r`.
    pub(crate) align: &'static str,
    pub(crate) rows: Vec<Vec<Text>>,
    /// Rows that are not shown.
    pub(crate) left_out: usize,
    /// Whether the columns speak for themselves, where a table can be without a head.
    pub(crate) bare: bool,
}

#[derive(Debug, Default)]
pub(crate) struct List {
    pub(crate) items: Vec<Item>,
    /// Items that are not shown.
    pub(crate) left_out: usize,
}

/// What is listed, and what is said of it.
#[derive(Debug, Default)]
pub(crate) struct Item {
    pub(crate) head: Text,
    pub(crate) lines: Vec<Text>,
}

/// Blocks that a summary shows once they are asked for.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) level: Option<(Tone, &'static str)>,
    pub(crate) title: &'static str,
    /// How many things there are in it.
    pub(crate) number: usize,
    pub(crate) blocks: Vec<Block>,
}

/// How good or bad a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Neither, but it stands out.
    Strong,
    Good,
    Warning,
    Bad,
}

/// Words and names in a row. The writers put a space between two of them, but for
/// one before a full stop and the like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text(pub(crate) Vec<Span>);

#[derive(Clone, Debug)]
pub(crate) enum Span {
    /// Sentences, in which names may be; what is between backticks is one.
    Words(String),
    /// A path, a version, a hash.
    Name(String),
    Toned(Tone, String),
}

/// A text that is a name.
pub(crate) fn name(name: impl Into<String>) -> Text {
    Text::default().name(name)
}

impl Text {
    pub(crate) fn toned(tone: Tone, word: impl Into<String>) -> Text {
        Text(vec![Span::Toned(tone, word.into())])
    }

    pub(crate) fn name(mut self, name: impl Into<String>) -> Text {
        self.0.push(Span::Name(name.into()));
        self
    }

    pub(crate) fn and(mut self, more: Text) -> Text {
        self.0.extend(more.0);
        self
    }

    pub(crate) fn words(mut self, words: impl Into<String>) -> Text {
        self.0.push(Span::Words(words.into()));
        self
    }
}

impl<T: Into<String>> From<T> for Text {
    fn from(words: T) -> Text {
        Text::default().words(words)
    }
}

impl Span {
    /// As it is, in any tone.
    pub(crate) fn raw(&self) -> &str {
        match self {
            Span::Words(text) | Span::Name(text) | Span::Toned(_, text) => text,
        }
    }

    /// Whether it stands by itself after the span before it.
    pub(crate) fn is_apart(&self, before: Option<&Span>) -> bool {
        let joins =
            matches!(self, Span::Words(words) if words.starts_with(['.', ',', ';', ':', ')']));
        before.is_some_and(|before| !joins && !before.raw().ends_with('('))
    }
}

impl Section {
    pub(crate) fn new(title: impl Into<Text>) -> Section {
        Section {
            title: Some(title.into()),
            ..Section::default()
        }
    }

    pub(crate) fn aside(mut self, aside: impl Into<Text>) -> Section {
        self.aside = Some(aside.into());
        self
    }

    pub(crate) fn paragraph(mut self, text: impl Into<Text>) -> Section {
        self.blocks.push(Block::Paragraph(text.into()));
        self
    }

    pub(crate) fn table(mut self, table: Table) -> Section {
        self.blocks.push(Block::Table(table));
        self
    }

    pub(crate) fn list(mut self, list: List) -> Section {
        self.blocks.push(Block::List(list));
        self
    }
}

impl Folded {
    /// How many there are in it, behind its title.
    pub(super) fn count(&self) -> String {
        match self.number {
            1 => String::new(),
            many => format!(" ({})", human::count(many as u64)),
        }
    }
}

impl Table {
    /// A table of the rows that `row` makes.
    pub(crate) fn of<T, const N: usize>(
        head: [&'static str; N],
        align: &'static str,
        items: &[T],
        row: impl Fn(&T) -> [Text; N],
    ) -> Table {
        Table {
            head: head.to_vec(),
            align,
            rows: items.iter().map(|item| row(item).to_vec()).collect(),
            ..Table::default()
        }
    }

    pub(crate) fn bare(mut self) -> Table {
        self.bare = true;
        self
    }

    /// Without the rows that are too many.
    pub(crate) fn short(mut self) -> Table {
        self.left_out = self.rows.len().saturating_sub(SHOWN);
        self.rows.truncate(SHOWN);
        self
    }
}

impl List {
    /// A list of the first items that `item` makes.
    pub(crate) fn short<T>(items: &[T], item: impl Fn(&T) -> Item) -> List {
        List {
            items: items.iter().take(SHOWN).map(item).collect(),
            left_out: items.len().saturating_sub(SHOWN),
        }
    }
}

impl<T: Into<Text>> FromIterator<T> for List {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> List {
        let items = texts.into_iter().map(|text| Item {
            head: text.into(),
            lines: Vec::new(),
        });
        List {
            items: items.collect(),
            left_out: 0,
        }
    }
}

/// What stands for what is not shown.
pub(super) fn more(left_out: usize) -> Option<String> {
    (left_out > 0).then(|| format!("and {} more", human::count(left_out as u64)))
}
