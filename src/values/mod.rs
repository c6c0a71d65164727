//! Sizes, durations, rates and limits as people write them.

pub mod shard;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Bytes: `500MB` (powers of 1000), `2GiB` (powers of 1024), or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        text.trim()
            .parse::<bytesize::ByteSize>()
            .map(|size| Size(size.as_u64()))
            .map_err(|_| {
                format!("`{text}` is not a valid size; write `500MB`, `2GiB` or a number of bytes")
            })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A length of time: `72h`, `30d`, `2w`; `0` is none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(pub Duration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Age, String> {
        if text.trim() == "0" {
            return Ok(Age(Duration::ZERO));
        }
        humantime::parse_duration(text.trim())
            .map(Age)
            .map_err(|_| format!("`{text}` is not a valid duration; write `72h`, `30d` or `2w`"))
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            return f.write_str("0");
        }
        write!(f, "{}", humantime::format_duration(self.0))
    }
}

/// A share between 0 and 1: `0.92` or `92%`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(pub f64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        let wrong = || format!("`{text}` is not a valid rate; write `0.92` or `92%`");
        let text = text.trim();
        let value = match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().map_err(|_| wrong())? / 100.0,
            None => text.parse::<f64>().map_err(|_| wrong())?,
        };
        if (0.0..=1.0).contains(&value) {
            Ok(Rate(value))
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A limit with a value that warns and one that fails.
///
/// A bare value fails: `2GiB`. Both are given as `warn=1GiB,fail=2GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit<T> {
    /// Crossing it warns.
    pub warn: Option<T>,
    /// Crossing it fails.
    pub fail: Option<T>,
}

impl<T: FromStr> FromStr for Limit<T>
where
    T::Err: fmt::Display,
{
    type Err = String;

    fn from_str(text: &str) -> Result<Limit<T>, String> {
        let mut limit = Limit {
            warn: None,
            fail: None,
        };
        for part in text.split(',') {
            let (slot, value) = match part.split_once('=') {
                None => (&mut limit.fail, part),
                Some((name, value)) => match name.trim() {
                    "warn" => (&mut limit.warn, value),
                    "fail" => (&mut limit.fail, value),
                    other => {
                        return Err(format!(
                            "unknown part `{other}`; write `VALUE` or `warn=VALUE,fail=VALUE`"
                        ));
                    }
                },
            };
            if slot
                .replace(
                    value
                        .trim()
                        .parse()
                        .map_err(|error: T::Err| error.to_string())?,
                )
                .is_some()
            {
                return Err(format!("`{text}` gives the same value twice"));
            }
        }
        Ok(limit)
    }
}

impl<T: fmt::Display> fmt::Display for Limit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.warn, &self.fail) {
            (None, None) => Ok(()),
            (None, Some(fail)) => write!(f, "{fail}"),
            (Some(warn), None) => write!(f, "warn={warn}"),
            (Some(warn), Some(fail)) => write!(f, "warn={warn},fail={fail}"),
        }
    }
}

/// Each value is read from a string or a bare number and written as a string.
macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                #[derive(serde::Deserialize)]
                #[serde(untagged)]
                enum Written {
                    Text(String),
                    Whole(u64),
                    Fraction(f64),
                }
                let text = match Written::deserialize(deserializer)? {
                    Written::Text(text) => text,
                    Written::Whole(number) => number.to_string(),
                    Written::Fraction(number) => number.to_string(),
                };
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).replace(['<', '>'], "").into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": ["string", "number"] })
            }
        }
    )*};
}
pub(crate) use as_text;

as_text!(
    Size,
    Age,
    Rate,
    Limit<Size>,
    Limit<Age>,
    Limit<Rate>,
    Limit<u64>,
    Limit<Share>
);

/// A part of a cache: bytes (`500MB`) or a share of it (`40%`, `0.4`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// So many bytes.
    Bytes(Size),
    /// Such a part of the whole.
    Part(Rate),
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Share, String> {
        if let Ok(rate) = text.parse::<Rate>()
            && (text.contains('%') || text.contains('.'))
        {
            return Ok(Share::Part(rate));
        }
        text.parse()
            .map(Share::Bytes)
            .map_err(|_| format!("`{text}` is neither a size (`500MB`) nor a share (`40%`)"))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Share::Bytes(size) => size.fmt(f),
            Share::Part(Rate(rate)) => write!(f, "{}%", rate * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_tell_powers_of_1000_from_powers_of_1024() {
        for (text, bytes) in [
            ("500MB", 500_000_000),
            ("2GiB", 2 << 30),
            ("17", 17),
            ("1k", 1000),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for wrong in ["", "-1", "2 bananas", "MB"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ages_take_hours_days_and_weeks() {
        for (text, hours) in [("72h", 72), ("30d", 720), ("2w", 336), ("0", 0)] {
            assert_eq!(
                text.parse(),
                Ok(Age(Duration::from_secs(hours * 3600))),
                "{text}"
            );
        }
        assert!("soon".parse::<Age>().is_err());
    }

    #[test]
    fn rates_are_shares_or_percent() {
        assert_eq!("0.92".parse(), Ok(Rate(0.92)));
        assert_eq!("92%".parse(), Ok(Rate(0.92)));
        for wrong in ["92", "-1%", "NaN", ""] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_warn_or_fail_or_both() {
        let size = |n| Some(Size(n));
        for (text, warn, fail) in [
            ("5", None, size(5)),
            ("warn=1", size(1), None),
            ("warn=1,fail=5", size(1), size(5)),
        ] {
            let limit = Limit { warn, fail };
            assert_eq!(text.parse(), Ok(limit), "{text}");
            assert_eq!(limit.to_string(), text);
        }
        for wrong in ["5,6", "max=5", "warn=x"] {
            assert!(wrong.parse::<Limit<Size>>().is_err(), "{wrong}");
        }
    }
}
