//! Action entries and file names of the build cache.
//!
//! Source: `cmd/go/internal/cache/cache.go` (`DiskCache.get`, `putIndexEntry`,
//! `fileName`). An action entry `<xx>/<action>-a` names the output
//! `<xx>/<output>-d` that the action made; the output's name is the SHA-256 of
//! its content. `<xx>` are the first two hex digits.

use std::fmt;
use std::str::FromStr;

use super::hex;

macro_rules! cache_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The folder of this name's file, two hex digits.
            pub fn shard(&self) -> String {
                let [first, ..] = self.0;
                format!("{first:02x}")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex::write(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex::write(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            /// Reads 64 lower-case hex digits, the form of file names.
            fn from_str(s: &str) -> Result<Self, MalformedId> {
                if s.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(MalformedId);
                }
                hex::read(s.as_bytes()).map(Self).ok_or(MalformedId)
            }
        }
    };
}

cache_id! {
    /// The hash of all inputs of an action.
    ActionId
}

cache_id! {
    /// The SHA-256 of an output's content.
    OutputId
}

/// A text that is not 64 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hex digits")]
pub struct MalformedId;

/// What a file name in a shard of the build cache stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryName {
    /// `<64 hex>-a`: an action entry.
    Action(ActionId),
    /// `<64 hex>-d`: an output, or a folder with one executable.
    Output(OutputId),
}

impl EntryName {
    /// The folder that Go keeps this name in. Elsewhere it is never found.
    pub fn shard(&self) -> String {
        match self {
            Self::Action(id) => id.shard(),
            Self::Output(id) => id.shard(),
        }
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Action(id) => write!(f, "{id}-a"),
            Self::Output(id) => write!(f, "{id}-d"),
        }
    }
}

/// Reads a file name; `None` if Go makes no such name.
pub fn parse_entry_name(name: &str) -> Option<EntryName> {
    if let Some(id) = name.strip_suffix("-a") {
        id.parse().ok().map(EntryName::Action)
    } else {
        name.strip_suffix("-d")?.parse().ok().map(EntryName::Output)
    }
}

/// The first byte of all names in a shard folder; `None` if the name is not
/// two lower-case hex digits.
pub fn parse_shard_name(name: &str) -> Option<u8> {
    let ok = name.len() == 2 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    ok.then(|| u8::from_str_radix(name, 16).ok()).flatten()
}

/// The content of an action entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionEntry {
    /// The action.
    pub action: ActionId,
    /// The output it made.
    pub output: OutputId,
    /// The output's size in bytes.
    pub size: u64,
    /// When the entry was written, in nanoseconds since 1970.
    pub time_nanos: i64,
}

/// Why an action entry does not parse. Go takes any of these for a miss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// Not 175 bytes.
    #[error("action entry has {0} bytes instead of 175")]
    Length(usize),
    /// Version mark, separators or final newline are not in their places.
    #[error("action entry with an invalid header")]
    Header,
    /// The action is not 64 hex digits.
    #[error("action entry with a malformed action")]
    Action,
    /// The entry is of another action than its file name says.
    #[error("action entry of action {0}")]
    OtherAction(ActionId),
    /// The output is not 64 hex digits.
    #[error("action entry with a malformed output")]
    Output,
    /// The size is no number, or negative.
    #[error("action entry with a malformed size")]
    Size,
    /// The time is no number, or negative.
    #[error("action entry with a malformed time")]
    Time,
}

impl ActionEntry {
    /// Length of an entry in bytes.
    pub const LEN: usize = 175;

    /// Reads an entry: `v1 <action> <output> <size> <time>\n`, both numbers
    /// padded with spaces to 20 characters on the left.
    pub fn parse(content: &[u8]) -> Result<Self, ActionError> {
        let fields: &[u8; Self::LEN] = content
            .try_into()
            .map_err(|_| ActionError::Length(content.len()))?;
        let (mark, rest) = fields.split_at(3);
        let (action, rest) = rest.split_at(64);
        let (space1, rest) = rest.split_at(1);
        let (output, rest) = rest.split_at(64);
        let (space2, rest) = rest.split_at(1);
        let (size, rest) = rest.split_at(20);
        let (space3, rest) = rest.split_at(1);
        let (time, newline) = rest.split_at(20);
        let header_ok = mark == b"v1 "
            && [space1, space2, space3].iter().all(|s| s == b" ")
            && newline == b"\n";
        if !header_ok {
            return Err(ActionError::Header);
        }
        Ok(Self {
            action: hex::read(action).map(ActionId).ok_or(ActionError::Action)?,
            output: hex::read(output).map(OutputId).ok_or(ActionError::Output)?,
            size: padded_number(size)
                .and_then(|n| n.try_into().ok())
                .ok_or(ActionError::Size)?,
            time_nanos: padded_number(time).ok_or(ActionError::Time)?,
        })
    }

    /// Reads the entry that a file of this name holds.
    pub fn parse_named(action: ActionId, content: &[u8]) -> Result<Self, ActionError> {
        let entry = Self::parse(content)?;
        if entry.action != action {
            return Err(ActionError::OtherAction(entry.action));
        }
        Ok(entry)
    }
}

impl fmt::Display for ActionEntry {
    /// The entry as Go writes it, with its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "v1 {} {} {:20} {:20}",
            self.action, self.output, self.size, self.time_nanos
        )
    }
}

/// A number of at least 0 with spaces before it, as Go's `strconv.ParseInt`
/// reads the rest: a sign is allowed.
fn padded_number(field: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(field).ok()?.trim_start_matches(' ');
    text.parse().ok().filter(|n| *n >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Written by go1.26.8.
    const REAL: &str = "v1 2399df0f5cbf1bfb412d7c2aea1cd048df69caa979f855d78f95c6957fbe12ff 174ecdafa79af1b5c60120083d4f0e8352d59a032afe7ddf25134baeaddb9161                  571  1795433346569634501\n";

    #[test]
    fn real_entry() {
        let entry = ActionEntry::parse(REAL.as_bytes()).unwrap();
        assert_eq!(entry.size, 571);
        assert_eq!(entry.time_nanos, 1_795_433_346_569_634_501);
        assert_eq!(entry.action.shard(), "23");
        assert_eq!(entry.to_string(), REAL);
        assert_eq!(
            ActionEntry::parse_named(entry.action, REAL.as_bytes()),
            Ok(entry)
        );
        assert_eq!(
            ActionEntry::parse_named(ActionId([1; 32]), REAL.as_bytes()),
            Err(ActionError::OtherAction(entry.action))
        );
    }

    #[test]
    fn every_deviation_is_named() {
        let changed = |from: &str, to: &str| REAL.replacen(from, to, 1);
        for (content, want) in [
            (String::new(), ActionError::Length(0)),
            (format!("{REAL}\n"), ActionError::Length(176)),
            (REAL[..174].to_owned(), ActionError::Length(174)),
            (changed("v1", "v2"), ActionError::Header),
            (changed("12ff 17", "12ff_17"), ActionError::Header),
            (changed("\n", " "), ActionError::Header),
            (changed("2399", "239g"), ActionError::Action),
            (changed("174e", "174x"), ActionError::Output),
            (changed(" 571 ", " 5x1 "), ActionError::Size),
            (changed(" 571 ", " -71 "), ActionError::Size),
            (changed(" 571 ", "     "), ActionError::Size),
            (
                changed(" 1795433346569634501", "18795433346569634501"),
                ActionError::Time,
            ),
            (
                changed(" 1795433346569634501", "-1795433346569634501"),
                ActionError::Time,
            ),
        ] {
            assert_eq!(
                ActionEntry::parse(content.as_bytes()),
                Err(want),
                "{content:?}"
            );
        }
        assert!(
            ActionEntry::parse(changed("2399df", "2399DF").as_bytes()).is_ok(),
            "as Go does"
        );
    }

    #[test]
    fn file_names() {
        let hex = "2399df0f5cbf1bfb412d7c2aea1cd048df69caa979f855d78f95c6957fbe12ff";
        let action = parse_entry_name(&format!("{hex}-a")).unwrap();
        assert_eq!(action, EntryName::Action(hex.parse().unwrap()));
        assert_eq!(action.to_string(), format!("{hex}-a"));
        assert_eq!(action.shard(), "23");
        assert!(matches!(
            parse_entry_name(&format!("{hex}-d")),
            Some(EntryName::Output(_))
        ));
        for bad in [
            hex.to_owned(),
            format!("{hex}-b"),
            format!("{}-a", hex.to_uppercase()),
            format!("{}-a", &hex[1..]),
            format!("0{hex}-a"),
            "-a".to_owned(),
            String::new(),
            format!("{hex}-a.tmp"),
        ] {
            assert_eq!(parse_entry_name(&bad), None, "{bad}");
        }
        assert_eq!(parse_shard_name("0f"), Some(15));
        for bad in ["", "f", "0F", "+1", "fff", "é"] {
            assert_eq!(parse_shard_name(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(action: [u8; 32], output: [u8; 32], size in 0..=i64::MAX as u64, time_nanos in 0..=i64::MAX) {
            let entry = ActionEntry { action: ActionId(action), output: OutputId(output), size, time_nanos };
            prop_assert_eq!(ActionEntry::parse(entry.to_string().as_bytes()), Ok(entry));
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 170..180), at in 0usize..175, b: u8, name in "\\PC{0,70}") {
            let _ = ActionEntry::parse(&bytes);
            let mut near = REAL.as_bytes().to_vec();
            near[at] = b;
            let _ = ActionEntry::parse(&near);
            let _ = (parse_entry_name(&name), parse_shard_name(&name));
        }
    }
}
