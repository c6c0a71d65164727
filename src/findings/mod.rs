//! What a run has to say about a cache: findings, their rules and levels.

mod rules;

use serde::{Deserialize, Serialize};
use std::path::Path;

pub use rules::Rule;

/// How much a finding weighs. `Allow` findings are dropped before judging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Not reported at all.
    Allow,
    /// Worth knowing, never changes the verdict.
    Note,
    /// Turns a pass into a warning.
    Warn,
    /// Fails the run.
    Deny,
}

impl Level {
    /// The level's name in configuration and reports.
    pub fn name(self) -> &'static str {
        match self {
            Level::Allow => "allow",
            Level::Note => "note",
            Level::Warn => "warn",
            Level::Deny => "deny",
        }
    }
}

/// One thing that is not as it should be.
///
/// `subject` is the thing in the field's own words (`module@version`, an
/// action or output ID, a folder); `path` is where it lies. Both come from
/// the cache and are hostile text: renderers escape them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// The rule that was broken.
    pub rule: Rule,
    /// Its weight after the configuration's say.
    pub level: Level,
    /// What it is about.
    pub subject: String,
    /// Where it lies, if in one place; bytes that are not UTF-8 appear as `\xNN`.
    pub path: Option<String>,
    /// One sentence: what is wrong.
    pub message: String,
    /// What was expected, where that can be said in a line.
    pub expected: Option<String>,
    /// What was found instead.
    pub actual: Option<String>,
    /// What to do about it.
    pub help: String,
}

impl Finding {
    /// A finding of `rule` at its default level, with the rule's own advice.
    pub fn new(rule: Rule, subject: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding {
            rule,
            level: rule.default_level(),
            subject: subject.into(),
            path: None,
            message: message.into(),
            expected: None,
            actual: None,
            help: rule.help().to_owned(),
        }
    }

    /// Says where it lies.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Finding {
        self.path = Some(display_path(path));
        self
    }

    /// Lays what was expected beside what was found.
    #[must_use]
    pub fn differs(mut self, expected: impl ToString, actual: impl ToString) -> Finding {
        self.expected = Some(expected.to_string());
        self.actual = Some(actual.to_string());
        self
    }

    /// Replaces the rule's advice by one that fits this case better.
    #[must_use]
    pub fn advise(mut self, help: impl Into<String>) -> Finding {
        self.help = help.into();
        self
    }
}

/// A path as text, without loss: bytes that are not UTF-8 become `\xNN`.
///
/// Control characters are left to the renderers, which escape for their medium.
pub fn display_path(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// A word of a command line to copy. `$HOME` and `$PWD` are for the shell.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,=".contains(c);
    let (known, rest) = ["$HOME", "$PWD"]
        .into_iter()
        .find_map(|known| Some((known, word.strip_prefix(known)?)))
        .unwrap_or(("", word));
    match rest.chars().all(plain) {
        true => word.to_owned(),
        false => format!("{known}'{}'", rest.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn paths_that_are_not_utf8_are_shown_without_loss() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/mc/a\xff\xfeb"));
        assert_eq!(display_path(path), "/mc/a\\xff\\xfeb");
    }
}
