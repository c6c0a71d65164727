//! The line syntax that `go.mod` and `go.work` share: directives, blocks of them, comments, quoting.
//!
//! Source: `golang.org/x/mod/modfile/read.go` and `parseString` in `rule.go`. Bytes that are not
//! UTF-8 are taken as U+FFFD, and letters outside ASCII are told from unprintable characters more
//! coarsely than Go does: neither can stand in a valid module path or version.

use super::module::ModuleError;
use std::borrow::Cow;

/// Go reads no `go.mod` beyond this many bytes (`MaxGoMod` in `golang.org/x/mod/zip`).
pub const MAX_BYTES: usize = 16 << 20;

/// Far beyond any real file; keeps hostile ones within a few megabytes of memory.
const MAX_LINES: usize = 200_000;

/// No directive takes as many words; further ones on a line are dropped, which leaves it malformed.
const MAX_WORDS: usize = 12;

/// Why a `go.mod` or `go.work` file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ParseError {
    /// The line in the file, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: LineError,
}

/// What is wrong in a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is not of Go's grammar; quoted input in the text is escaped and cut short.
    #[error("{0}")]
    Syntax(String),
    /// The version cannot be one of the module.
    #[error(transparent)]
    Version(#[from] ModuleError),
}

pub(super) fn syntax(problem: impl Into<String>) -> LineError {
    LineError::Syntax(problem.into())
}

impl LineError {
    pub(super) fn at(self, line: usize) -> ParseError {
        ParseError {
            line,
            problem: self,
        }
    }
}

/// A directive on its own or inside a block; words are raw, quotes included.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) number: usize,
    pub(super) words: Vec<&'a str>,
    /// The text of a comment at its end, slashes included.
    pub(super) comment: Option<&'a str>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Statement<'a> {
    Line(Line<'a>),
    /// `header ( lines )`, each in a line of its own.
    Block {
        number: usize,
        header: Vec<&'a str>,
        lines: Vec<Line<'a>>,
    },
}

/// The text of a file, if it is not too long.
pub(super) fn text(data: &[u8]) -> Result<Cow<'_, str>, ParseError> {
    if data.len() > MAX_BYTES {
        return Err(syntax(format!("longer than {MAX_BYTES} bytes")).at(1));
    }
    Ok(String::from_utf8_lossy(data))
}

/// Splits a file into statements.
pub(super) fn statements(text: &str) -> Result<Vec<Statement<'_>>, ParseError> {
    let mut lexer = Lexer::new(text)?;
    let mut statements = Vec::new();
    loop {
        match lexer.next.kind {
            Kind::End => return Ok(statements),
            Kind::Newline | Kind::Comment | Kind::EndComment => {
                lexer.advance()?;
            }
            Kind::Open | Kind::Close | Kind::Word => statements.push(lexer.statement()?),
        }
    }
}

/// The value of a word: as it stands, or unquoted. Go refuses all quotes but `"`.
pub(super) fn unquote(word: &str) -> Result<String, LineError> {
    let Some(inner) = word.strip_prefix('"') else {
        if word.contains(['"', '\'', '`']) {
            let word = shown(word);
            return Err(syntax(format!(
                "{word} contains a quote but does not start with '\"'"
            )));
        }
        return Ok(word.to_owned());
    };
    inner
        .strip_suffix('"')
        .and_then(unescape)
        .ok_or_else(|| syntax(format!("invalid quoted string {}", shown(word))))
}

/// Input as it may stand in a message: escaped, and not longer than a line.
pub(super) fn shown(input: &str) -> String {
    const LONGEST: usize = 120;
    match input.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{:?}...", input.get(..cut).unwrap_or_default()),
        None => format!("{input:?}"),
    }
}

/// Go's escapes within a double-quoted string (`strconv.Unquote`).
fn unescape(inner: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        match c {
            '"' | '\n' => return None,
            '\\' => {}
            _ => {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        }
        match rest.next()? {
            'a' => bytes.push(0x07),
            'b' => bytes.push(0x08),
            'f' => bytes.push(0x0c),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(0x0b),
            '\\' => bytes.push(b'\\'),
            '"' => bytes.push(b'"'),
            'x' => bytes.push(u8::try_from(number(&mut rest, 0, 2, 16)?).ok()?),
            'u' => push_char(&mut bytes, number(&mut rest, 0, 4, 16)?)?,
            'U' => push_char(&mut bytes, number(&mut rest, 0, 8, 16)?)?,
            octal => {
                let first = octal.to_digit(8)?;
                bytes.push(u8::try_from(number(&mut rest, first, 2, 8)?).ok()?);
            }
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn number(rest: &mut std::str::Chars<'_>, start: u32, digits: usize, radix: u32) -> Option<u32> {
    (0..digits).try_fold(start, |value, _| {
        value
            .checked_mul(radix)?
            .checked_add(rest.next()?.to_digit(radix)?)
    })
}

fn push_char(bytes: &mut Vec<u8>, code: u32) -> Option<()> {
    bytes.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    End,
    Newline,
    /// A comment that has its line to itself; ends no statement, since none can be open there.
    Comment,
    /// A comment after something else: ends the line, as a newline does.
    EndComment,
    Open,
    Close,
    Word,
}

impl Kind {
    fn ends_line(self) -> bool {
        matches!(self, Kind::End | Kind::Newline | Kind::EndComment)
    }
}

#[derive(Clone, Copy)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
    line: usize,
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    /// Whether something other than space has been seen on this line.
    line_begun: bool,
    lines: usize,
    next: Token<'a>,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str) -> Result<Self, ParseError> {
        let mut lexer = Self {
            rest: text,
            line: 1,
            line_begun: false,
            lines: 0,
            next: Token {
                kind: Kind::End,
                text: "",
                line: 1,
            },
        };
        lexer.next = lexer.scan()?;
        Ok(lexer)
    }

    /// Takes the next token and looks at the one after it.
    fn advance(&mut self) -> Result<Token<'a>, ParseError> {
        let following = self.scan()?;
        Ok(std::mem::replace(&mut self.next, following))
    }

    fn fail<T>(&self, problem: impl Into<String>) -> Result<T, ParseError> {
        Err(syntax(problem).at(self.line))
    }

    /// Cuts the first `length` bytes off what is left.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn scan(&mut self) -> Result<Token<'a>, ParseError> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
        let line = self.line;
        let Some(first) = self.rest.chars().next() else {
            return Ok(Token {
                kind: Kind::End,
                text: "",
                line,
            });
        };
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            let text = self.take(end).trim_end_matches('\r');
            let kind = if self.line_begun {
                Kind::EndComment
            } else {
                Kind::Comment
            };
            self.newline();
            return Ok(Token { kind, text, line });
        }
        if self.rest.starts_with("/*") {
            return self.fail("comments start with //, not with /*");
        }
        if first == '\n' {
            self.newline();
            return Ok(Token {
                kind: Kind::Newline,
                text: "",
                line,
            });
        }
        self.line_begun = true;
        let kind = match first {
            '(' => Kind::Open,
            ')' => Kind::Close,
            _ => Kind::Word,
        };
        let text = match first {
            '(' | ')' | '[' | ']' | '{' | '}' | ',' => self.take(1),
            '"' | '`' => self.quoted(first)?,
            c if in_word(c) => self.bare()?,
            c => return self.fail(format!("unexpected character {c:?}")),
        };
        Ok(Token { kind, text, line })
    }

    /// Moves past the newline that comes next, if there is one.
    fn newline(&mut self) {
        if self.take(1) == "\n" {
            self.line += 1;
            self.line_begun = false;
        }
    }

    fn quoted(&mut self, quote: char) -> Result<&'a str, ParseError> {
        let mut escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            // A newline after a backslash is taken in by Go's lexer, to be refused by its unquoting.
            if c == '\n' {
                return self.fail("newline in a quoted string");
            }
            if escaped {
                escaped = false;
            } else if c == quote {
                return Ok(self.take(at + 1));
            } else {
                escaped = c == '\\' && quote == '"';
            }
        }
        self.fail("quoted string without an end")
    }

    fn bare(&mut self) -> Result<&'a str, ParseError> {
        let end = self.rest.find(|c| !in_word(c)).unwrap_or(self.rest.len());
        let word = self.rest.get(..end).unwrap_or(self.rest);
        let comment = word.find("//");
        if word
            .find("/*")
            .is_some_and(|at| comment.is_none_or(|c| at < c))
        {
            return self.fail("comments start with //, not with /*");
        }
        Ok(self.take(comment.unwrap_or(end)))
    }

    fn statement(&mut self) -> Result<Statement<'a>, ParseError> {
        let first = self.advance()?;
        let mut words = vec![first.text];
        loop {
            let token = self.advance()?;
            if token.kind.ends_line() {
                return Ok(Statement::Line(self.line(first.line, words, token)?));
            }
            if token.kind == Kind::Open {
                if self.next.kind.ends_line() {
                    let lines = self.block(first.line)?;
                    return Ok(Statement::Block {
                        number: first.line,
                        header: words,
                        lines,
                    });
                }
                if self.next.kind == Kind::Close {
                    let close = self.advance()?;
                    if self.next.kind.ends_line() {
                        self.advance()?;
                        let lines = Vec::new();
                        return Ok(Statement::Block {
                            number: first.line,
                            header: words,
                            lines,
                        });
                    }
                    push(&mut words, token.text);
                    push(&mut words, close.text);
                    continue;
                }
            }
            push(&mut words, token.text);
        }
    }

    fn block(&mut self, started: usize) -> Result<Vec<Line<'a>>, ParseError> {
        let mut lines = Vec::new();
        loop {
            match self.next.kind {
                Kind::Newline | Kind::Comment | Kind::EndComment => {
                    self.advance()?;
                }
                Kind::End => {
                    return self.fail(format!("the block of line {started} has no end"));
                }
                Kind::Close => {
                    self.advance()?;
                    if !self.next.kind.ends_line() {
                        return self.fail("expected a newline after the closing parenthesis");
                    }
                    self.advance()?;
                    return Ok(lines);
                }
                Kind::Open | Kind::Word => {
                    let first = self.advance()?;
                    let mut words = vec![first.text];
                    let end = loop {
                        let token = self.advance()?;
                        if token.kind.ends_line() {
                            break token;
                        }
                        push(&mut words, token.text);
                    };
                    lines.push(self.line(first.line, words, end)?);
                }
            }
        }
    }

    fn line(
        &mut self,
        number: usize,
        words: Vec<&'a str>,
        end: Token<'a>,
    ) -> Result<Line<'a>, ParseError> {
        self.lines += 1;
        if self.lines > MAX_LINES {
            return Err(syntax(format!("more than {MAX_LINES} directives")).at(number));
        }
        let comment = (end.kind == Kind::EndComment).then_some(end.text);
        Ok(Line {
            number,
            words,
            comment,
        })
    }
}

fn push<'a>(words: &mut Vec<&'a str>, word: &'a str) {
    if words.len() < MAX_WORDS {
        words.push(word);
    }
}

/// Whether a character can stand in a bare word: printable, and none of the punctuation.
fn in_word(c: char) -> bool {
    let invisible = matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{10ffff}');
    !matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | ',')
        && !c.is_whitespace()
        && !c.is_control()
        && !invisible
}
