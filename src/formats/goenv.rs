//! Go's own configuration: the `go/env` file, `$GOROOT/go.env` and `GOFLAGS`.
//!
//! Source: `cmd/go/internal/cfg/cfg.go` (`readEnvFile`),
//! `cmd/internal/quoted/quoted.go` (`Split`).

use std::collections::BTreeMap;

/// The largest environment file worth reading, in bytes.
pub const MAX_ENV_BYTES: u64 = 1 << 20;

/// The settings of an environment file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvFile {
    settings: BTreeMap<String, String>,
    /// Lines that are settings but not UTF-8, counted from 1; they are left out.
    pub not_utf8: Vec<usize>,
}

impl EnvFile {
    /// Reads an environment file, `KEY=value` by the line. As Go does: a key
    /// starts with `A` to `Z` in the first column, a value is taken as it
    /// stands (quotes, spaces and a carriage return included), the last one
    /// wins, and any other line is a comment.
    pub fn parse(content: &[u8]) -> Self {
        let mut file = Self::default();
        for (index, line) in content.split(|&b| b == b'\n').enumerate() {
            let is_setting =
                line.first().is_some_and(u8::is_ascii_uppercase) && line.contains(&b'=');
            if !is_setting {
                continue;
            }
            match std::str::from_utf8(line)
                .ok()
                .and_then(|line| line.split_once('='))
            {
                Some((key, value)) => {
                    file.settings.insert(key.to_owned(), value.to_owned());
                }
                None => file.not_utf8.push(index + 1),
            }
        }
        file
    }

    /// A setting's value. An empty value is a value: it hides lower settings.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }

    /// All settings by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// A quote that is never closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unterminated {0} string")]
pub struct UnterminatedQuote(pub char);

/// Splits a value such as that of `GOFLAGS` at white space. A whole field may
/// stand in single or double quotes; nothing is unescaped.
pub fn split_quoted(value: &str) -> Result<Vec<&str>, UnterminatedQuote> {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    let mut fields = Vec::new();
    let mut rest = value.trim_start_matches(is_space);
    while let Some(first) = rest.chars().next() {
        let field;
        if matches!(first, '"' | '\'') {
            let quoted = rest.get(1..).unwrap_or("");
            (field, rest) = quoted.split_once(first).ok_or(UnterminatedQuote(first))?;
        } else {
            let end = rest.find(is_space).unwrap_or(rest.len());
            (field, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
        }
        fields.push(field);
        rest = rest.trim_start_matches(is_space);
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn settings_as_go_reads_them() {
        let file = EnvFile::parse(
            b"# comment\nGOPROXY=https://x.y,direct\n GOSUMDB=off\ngoflags=x\nGOFLAGS=\"-mod=mod\" \r\nGOPROXY=a=b\nBROKEN\n\nGOBIN=\nGOPATH=\xff\nGOCACHE=/c",
        );
        let settings: Vec<_> = file.iter().collect();
        assert_eq!(
            settings,
            [
                ("GOBIN", ""),
                ("GOCACHE", "/c"),
                ("GOFLAGS", "\"-mod=mod\" \r"),
                ("GOPROXY", "a=b")
            ]
        );
        assert_eq!(file.get("GOBIN"), Some(""));
        assert_eq!(file.get("GOSUMDB"), None);
        assert_eq!(file.not_utf8, [10]);
    }

    #[test]
    fn quoted_fields() {
        for (value, want) in [
            ("", Ok(vec![])),
            (" \t", Ok(vec![])),
            ("-modcacherw -mod=mod", Ok(vec!["-modcacherw", "-mod=mod"])),
            (
                "'-ldflags=-s -w'\t\"a'b\"",
                Ok(vec!["-ldflags=-s -w", "a'b"]),
            ),
            ("-x='a b'", Ok(vec!["-x='a", "b'"])),
            ("'a'b", Ok(vec!["a", "b"])),
            ("''", Ok(vec![""])),
            ("a 'b", Err(UnterminatedQuote('\''))),
            ("\"", Err(UnterminatedQuote('"'))),
        ] {
            assert_eq!(split_quoted(value), want, "{value}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, value in "[a '\"\\té]{0,12}") {
            let _ = EnvFile::parse(&bytes);
            let _ = split_quoted(&value);
        }

        #[test]
        fn fields_round_trip(fields in proptest::collection::vec("[a-z -]{1,6}", 0..5)) {
            let joined = fields.iter().map(|f| format!("'{f}'")).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(split_quoted(&joined).unwrap(), fields);
        }
    }
}
