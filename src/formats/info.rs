//! `.info` files: a version's name and commit time as JSON.
//!
//! Source: `cmd/go/internal/modfetch/repo.go` (`RevInfo`), `codehost/codehost.go`
//! (`Origin`), read in `modfetch/cache.go` (`readDiskStat`). No checksum covers
//! these files, so nothing in them is to be trusted.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// The largest `.info` accepted, in bytes. Real ones have a few hundred.
pub const MAX_INFO_BYTES: usize = 64 << 10;

/// The content of an `.info` file. `Name` and `Short`, which old versions of
/// Go wrote, and whatever else is there are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevInfo {
    /// The version; empty if there is none.
    pub version: String,
    /// The commit's time; `None` if Go did not know it.
    pub time: Option<DateTime<Utc>>,
    /// Where the version came from, if the file says so.
    pub origin: Option<Origin>,
}

/// Where a version came from; all fields may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Version control system, such as `git`.
    pub vcs: Option<String>,
    /// The repository.
    pub url: Option<String>,
    /// Folder within the repository.
    pub subdir: Option<String>,
    /// The commit.
    pub hash: Option<String>,
    /// The full name of the tag or branch.
    pub reference: Option<String>,
}

/// Why an `.info` file is not sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InfoError {
    /// Longer than [`MAX_INFO_BYTES`].
    #[error("info file has more than {MAX_INFO_BYTES} bytes")]
    TooLarge,
    /// No JSON object of the form that Go reads.
    #[error("malformed info file: {0}")]
    Malformed(String),
    /// It is about another version than its name says.
    #[error("info file is for version {0:?}")]
    OtherVersion(String),
}

impl RevInfo {
    /// Reads the content of an `.info` file.
    pub fn parse(content: &[u8]) -> Result<Self, InfoError> {
        if content.len() > MAX_INFO_BYTES {
            return Err(InfoError::TooLarge);
        }
        let value: Value =
            serde_json::from_slice(content).map_err(|e| InfoError::Malformed(e.to_string()))?;
        let fields = Fields::of(&value, "the file")?;
        let time = fields.text("Time")?.map(parse_time).transpose()?.flatten();
        let origin = match fields.get("Origin") {
            None => None,
            Some(origin) => Some(parse_origin(origin)?),
        };
        Ok(Self {
            version: fields.text("Version")?.unwrap_or("").to_owned(),
            time,
            origin,
        })
    }

    /// Reads the `.info` file of a version and checks that it is for it.
    pub fn parse_for(version: &str, content: &[u8]) -> Result<Self, InfoError> {
        let info = Self::parse(content)?;
        if info.version != version {
            return Err(InfoError::OtherVersion(info.version));
        }
        Ok(info)
    }
}

/// `None` for Go's zero time, which stands for a time not known.
fn parse_time(text: &str) -> Result<Option<DateTime<Utc>>, InfoError> {
    let time = DateTime::parse_from_rfc3339(text)
        .map_err(|_| InfoError::Malformed(format!("Time {text:?} is not RFC 3339")))?
        .to_utc();
    let zero = DateTime::from_timestamp(-62_135_596_800, 0);
    Ok((Some(time) != zero).then_some(time))
}

fn parse_origin(value: &Value) -> Result<Origin, InfoError> {
    let fields = Fields::of(value, "Origin")?;
    let text = |name| Ok(fields.text(name)?.map(str::to_owned));
    Ok(Origin {
        vcs: text("VCS")?,
        url: text("URL")?,
        subdir: text("Subdir")?,
        hash: text("Hash")?,
        reference: text("Ref")?,
    })
}

/// A JSON object as Go reads it: names in any case, null for absent.
struct Fields<'a>(&'a serde_json::Map<String, Value>);

impl<'a> Fields<'a> {
    fn of(value: &'a Value, what: &str) -> Result<Self, InfoError> {
        let object = value.as_object();
        object
            .map(Self)
            .ok_or_else(|| InfoError::Malformed(format!("{what} is not an object")))
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        let any_case = || {
            self.0
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
        };
        self.0
            .get(name)
            .or_else(|| any_case().map(|(_, value)| value))
            .filter(|v| !v.is_null())
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>, InfoError> {
        let not_text = || InfoError::Malformed(format!("{name} is not a string"));
        self.get(name)
            .map(|value| value.as_str().ok_or_else(not_text))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sound_files() {
        let plain = RevInfo::parse_for(
            "v1.5.2",
            br#"{"Version":"v1.5.2","Time":"2019-04-11T23:18:29Z"}"#,
        )
        .unwrap();
        assert_eq!(
            plain.time.unwrap().to_rfc3339(),
            "2019-04-11T23:18:29+00:00"
        );
        assert_eq!(plain.origin, None);

        let old =
            br#"{"Version":"v1.5.2","Name":"abc","Short":"ab","Time":"2018-02-14T16:44:20+01:00"}"#;
        assert_eq!(
            RevInfo::parse_for("v1.5.2", old)
                .unwrap()
                .time
                .unwrap()
                .to_rfc3339(),
            "2018-02-14T15:44:20+00:00"
        );

        let direct = br#"{"Version":"v1.0.0","Time":"0001-01-01T00:00:00Z","Origin":{"VCS":"git","URL":"https://x.y/z","Hash":"0123","Ref":"refs/tags/v1.0.0"}}"#;
        let direct = RevInfo::parse_for("v1.0.0", direct).unwrap();
        assert_eq!(direct.time, None);
        assert_eq!(
            direct.origin.unwrap().reference.as_deref(),
            Some("refs/tags/v1.0.0")
        );

        let other_case = RevInfo::parse_for(
            "v1.0.0",
            br#"{"version":"v1.0.0","time":null,"origin":null}"#,
        )
        .unwrap();
        assert_eq!((other_case.time, other_case.origin), (None, None));
    }

    #[test]
    fn unsound_files() {
        let wrong = RevInfo::parse_for("v1.5.2", br#"{"Version":"v1.5.1"}"#);
        assert_eq!(wrong, Err(InfoError::OtherVersion("v1.5.1".to_owned())));
        assert_eq!(
            RevInfo::parse_for("v1.5.2", b"{}"),
            Err(InfoError::OtherVersion(String::new()))
        );
        assert_eq!(
            RevInfo::parse(&vec![b' '; MAX_INFO_BYTES + 1]),
            Err(InfoError::TooLarge)
        );
        for bad in [
            "",
            "null",
            "[]",
            "{",
            r#"{"Version":1}"#,
            r#"{"Time":"yesterday"}"#,
            r#"{"Origin":"git"}"#,
            r#"{"Origin":{"URL":[]}}"#,
            "\0\0\0",
            r#"{"Version":"v1.5.2"} x"#,
        ] {
            assert!(
                matches!(RevInfo::parse(bad.as_bytes()), Err(InfoError::Malformed(_))),
                "{bad}"
            );
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, text in "\\{(\"(Version|Time|Origin)\":(\"[0-9TZ:-]{0,20}\"|\\{\\}|null|1),?){0,3}\\}") {
            let _ = RevInfo::parse(&bytes);
            let _ = RevInfo::parse(text.as_bytes());
        }
    }
}
