//! Names in cache trees are hostile text. Each medium has its own ways of
//! being fooled, and its own function here.
//!
//! Whatever a renderer prints that came from a cache, a project or a saved
//! report goes through one of these. All but the workflow commands build on
//! [`terminal`], since a control character has no place in any of them.

use std::fmt::Write as _;

/// The longest name that the bounded formats show; the rest is cut.
pub(crate) const LONGEST: usize = 240;

/// Text for a terminal or a job's log.
///
/// Control, formatting (bidirectional, zero-width), unassigned and combining
/// characters become visible escapes such as `\u{1b}`, and so do the spaces
/// that are no plain space. What a CI runner would take for a command
/// (`::name::` where a line begins, `##[`, `##vso[`) is broken up: the
/// runners look for it in everything a step prints.
pub fn terminal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let command = match c {
            '#' => before == '#',
            ':' => before == ' ' && rest.peek() == Some(&':'),
            _ => false,
        };
        if command || is_hidden(c) {
            let _ = write!(out, "{}", c.escape_unicode());
        } else if matches!(c, '\\' | '\'' | '"') {
            out.push(c);
        } else {
            out.extend(c.escape_debug());
        }
        before = c;
    }
    out
}

/// JSON text that shows on a terminal, too: what would act there becomes an escape
/// of JSON's own, so that readers of the text get what was there. JSON's own
/// writer escapes the control characters below the space alone.
pub fn json(text: String) -> String {
    let acts = |c: char| c >= '\x7f' && (is_hidden(c) || c.escape_debug().len() > 1);
    if !text.contains(acts) && !text.contains("##") {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        if acts(c) || (c == '#' && before == '#') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
        before = c;
    }
    out
}

/// Characters that take no ink (or look like nothing) although they count as letters.
fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\0' | '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
    )
}

/// At most `max` characters; a longer text loses its middle, since the ends
/// of a path tell most.
pub fn clip(text: &str, max: usize) -> String {
    let count = text.chars().count();
    if count <= max {
        return text.to_owned();
    }
    let tail = max / 2;
    let head = max.saturating_sub(tail + 1);
    text.chars()
        .take(head)
        .chain(['…'])
        .chain(text.chars().skip(count - tail))
        .collect()
}

/// A name as a Markdown code span, where neither HTML nor mentions, links,
/// references or emphasis are looked for, also within a table.
///
/// Backticks and pipes, the two characters that could end a code span or a
/// table cell, cannot be in a file name of a module; here they become
/// visible escapes.
pub fn markdown_code(name: &str) -> String {
    let shown = clip(&terminal(&clip(name, LONGEST)), LONGEST)
        .replace('`', "\\u{60}")
        .replace('|', "\\u{7c}");
    match shown.trim() {
        "" => "`(nothing)`".to_owned(),
        shown => format!("`{shown}`"),
    }
}

/// A sentence that may hold names, as Markdown: plain words stay plain,
/// everything else (paths, versions, hashes, whatever could mean something to
/// Markdown or its host) becomes a code span. Backticks in pairs are kept as
/// code spans.
pub fn markdown_prose(sentence: &str) -> String {
    let sentence = clip(sentence, 4 * LONGEST);
    let parts: Vec<&str> = sentence.split('`').collect();
    let paired = parts.len() % 2 == 1;
    let mut words = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        if paired && index % 2 == 1 {
            words.push(markdown_code(part));
        } else {
            words.extend(part.split_ascii_whitespace().map(markdown_word));
        }
    }
    // A code span followed by the comma that was parted from it.
    let mut out = String::new();
    for word in words {
        let joins = word
            .chars()
            .all(|c| matches!(c, '.' | ',' | ';' | ':' | ')' | '!' | '?'));
        if !out.is_empty() && !joins {
            out.push(' ');
        }
        out.push_str(&word);
    }
    out
}

/// One word of prose: as it is if it is nothing but a word, else a code span
/// with the punctuation around it left outside.
fn markdown_word(word: &str) -> String {
    let inner = word.trim_start_matches('(');
    let before = &word[..word.len() - inner.len()];
    let core = inner.trim_end_matches(['.', ',', ';', ':', ')', '!', '?']);
    let after = &inner[core.len()..];
    let letters = core.strip_suffix('%').unwrap_or(core);
    let plain = is_figure(letters)
        || matches!(letters, "→" | "…" | "/")
        || !letters.starts_with("GH-")
            && letters
                .chars()
                .enumerate()
                .all(|(at, c)| c.is_alphanumeric() || matches!(c, '-' | '\'') && at > 0);
    if core.is_empty() || plain {
        // What `plain` lets through holds no character that needs an escape,
        // but for letters that only look like nothing.
        format!("{before}{}{after}", terminal(core))
    } else {
        format!("{before}{}{after}", markdown_code(core))
    }
}

/// Numbers, dates and times: `-1,234.5`, `2026-03-01`, `12:00`.
fn is_figure(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_digit = |c: char| c.is_ascii_digit();
    digits.starts_with(is_digit)
        && digits.ends_with(is_digit)
        && digits
            .chars()
            .all(|c| is_digit(c) || matches!(c, '.' | ',' | ':' | '-'))
}

/// The message of a workflow command, as GitHub's runner decodes it
/// (`ActionCommand.cs`: `%25`, `%0D`, `%0A`).
pub fn command_data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The value of a workflow command's property: as [`command_data`], and `%3A`, `%2C`.
pub fn command_property(text: &str) -> String {
    command_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn terminal_shows_what_would_act() {
        for (name, shown) in [
            ("github.com/a/b@v1.2.3", "github.com/a/b@v1.2.3"),
            ("C:\\Users\\me \"x\"", "C:\\Users\\me \"x\""),
            ("ünï/日本", "ünï/日本"),
            ("\x1b[31mred", "\\u{1b}[31mred"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("abc\u{202e}gnp.exe", "abc\\u{202e}gnp.exe"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
            ("nb\u{a0}sp", "nb\\u{a0}sp"),
            ("fill\u{3164}er", "fill\\u{3164}er"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
            ("::error::x", "\\u{3a}:error::x"),
            ("a ::stop-commands::x", "a \\u{3a}:stop-commands::x"),
            ("std::fmt", "std::fmt"),
            ("x##[add-mask]y", "x#\\u{23}[add-mask]y"),
            ("##vso[task.x]", "#\\u{23}vso[task.x]"),
        ] {
            assert_eq!(terminal(name), shown, "{name:?}");
        }
    }

    #[test]
    fn json_shows_what_would_act_and_means_the_same() {
        let text = "ünï/日本 \u{9b}31m \u{202e}gnp \x7f \u{e0041} \u{2028} ##[group] \x1b\"";
        let shown = json(serde_json::to_string(text).unwrap());
        assert_eq!(
            shown,
            r##""ünï/日本 \u009b31m \u202egnp \u007f \udb40\udc41 \u2028 #\u0023[group] \u001b\"""##
        );
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }

    #[test]
    fn clip_keeps_both_ends() {
        assert_eq!(clip("abcdefghij", 10), "abcdefghij");
        assert_eq!(clip("abcdefghijk", 7), "abc…ijk");
        assert_eq!(clip("ab", 0), "…");
    }

    #[test]
    fn markdown_code_cannot_be_left() {
        for (name, shown) in [
            ("github.com/a/b@v1.2.3", "`github.com/a/b@v1.2.3`"),
            ("a`b", "`a\\u{60}b`"),
            ("a|b\\|c", "`a\\u{7c}b\\\\u{7c}c`"),
            ("<script>", "`<script>`"),
            ("a\n\n# b", "`a\\n\\n# b`"),
            ("", "`(nothing)`"),
            ("  ", "`(nothing)`"),
        ] {
            assert_eq!(markdown_code(name), shown, "{name:?}");
        }
    }

    #[test]
    fn prose_keeps_words_and_encloses_the_rest() {
        for (sentence, shown) in [
            (
                "Run `gocachevet trim --repair`; Go refuses it.",
                "Run `gocachevet trim --repair`; Go refuses it.",
            ),
            (
                "the zip of github.com/a/b@v1.2.3, as go.sum has it (h1:x=)",
                "the zip of `github.com/a/b@v1.2.3`, as `go.sum` has it (`h1:x=`)",
            ),
            ("it's 93% of 3.4 GB", "it's 93% of 3.4 GB"),
            (
                "1,795 → 12 (-270 MB, -7.99%), 12:00, :100: x,y",
                "1,795 → 12 (-270 MB, -7.99%), 12:00, `:100`: `x,y`",
            ),
            (
                "ask @admin or GH-12 or #12 now",
                "ask `@admin` or `GH-12` or `#12` now",
            ),
            ("<img src=x> & [a](b)", "`<img` `src=x>` `&` `[a](b`)"),
            (
                "www.evil.com http://evil.com",
                "`www.evil.com` `http://evil.com`",
            ),
            ("one ` tick", "one tick"),
            ("**bold** _it_", "`**bold**` `_it_`"),
        ] {
            assert_eq!(markdown_prose(sentence), shown, "{sentence:?}");
        }
    }

    #[test]
    fn commands_decode_to_what_went_in() {
        assert_eq!(command_data("50%\r\n::x"), "50%25%0D%0A::x");
        assert_eq!(command_property("a:b,c%"), "a%3Ab%2Cc%25");
    }

    /// Any text, with more than a fair share of what is dangerous.
    pub(crate) fn nasty() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<String>(),
            proptest::sample::select(vec![
                "`",
                "``",
                "|",
                "\\|",
                "\n",
                "\r\n",
                "\x1b[2J",
                "\u{202e}",
                "<b>",
                "</details>",
                "<!--",
                "@user",
                "me@x.com",
                "[a](http://b)",
                "http://e.com",
                "www.e.com",
                "::error::",
                "##[group]",
                "&lt;",
                "#1",
                "$`",
                "*",
                "_",
                " ",
                "%0A",
                "![x](y)",
                "<http://x>",
                "\u{85}",
                "\u{2028}",
            ])
            .prop_map(str::to_owned),
        ];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn terminal_never_has_control_characters(name in nasty()) {
            let shown = terminal(&name);
            let acts = |c: char| {
                c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            };
            let free = !shown.chars().any(acts);
            prop_assert!(free, "{shown:?}");
            let silent = !shown.contains("##") && !shown.trim_start().starts_with("::");
            prop_assert!(silent, "{shown:?}");
        }

        #[test]
        fn markdown_gains_nothing_from_a_name(name in nasty()) {
            for rendered in [markdown_code(&name), markdown_prose(&name)] {
                only_words_and_code(&format!("Before {rendered} after"))?;
                only_words_and_code(&format!("| x | {rendered} | after |"))?;
            }
        }

        #[test]
        fn a_table_keeps_its_cells(name in nasty()) {
            use pulldown_cmark::{Event, Options, Parser, Tag};
            let table = format!("| a | b |\n|---|---|\n| {} | {} |\n\nend", markdown_code(&name), markdown_prose(&name));
            let events: Vec<Event> = Parser::new_ext(&table, Options::ENABLE_TABLES).collect();
            prop_assert_eq!(events.iter().filter(|e| matches!(e, Event::Start(Tag::TableCell))).count(), 4);
            prop_assert_eq!(events.iter().filter(|e| matches!(e, Event::Start(Tag::TableRow))).count(), 1);
        }
    }

    /// Parses it and finds text and code spans only, and no text in which
    /// GitHub or GitLab would find a mention, a link or a reference.
    fn only_words_and_code(markdown: &str) -> Result<(), TestCaseError> {
        use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
        for event in Parser::new_ext(markdown, Options::all() - Options::ENABLE_SMART_PUNCTUATION) {
            match event {
                Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) | Event::Code(_) => {}
                Event::Text(text) => {
                    prop_assert!(
                        !text.contains(['@', '<', '>', '#', '[', '*', '~', '$'])
                            && !text.contains("://")
                            && !text.contains("www."),
                        "{text:?} in {markdown:?}"
                    );
                }
                other => prop_assert!(false, "{other:?} in {markdown:?}"),
            }
        }
        Ok(())
    }
}
