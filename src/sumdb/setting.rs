//! Which database, and which key: `GOSUMDB`.

use super::note::{KeyError, Verifier};

/// The database Go uses unless told otherwise (`cmd/go/internal/modfetch/key.go`).
const PUBLIC_KEY: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

/// Another address of the public database, which Go takes as a name.
const PUBLIC_ALIAS: &str = "sum.golang.google.cn";

/// A checksum database: its key, and where to ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Name and public key.
    pub verifier: Verifier,
    /// The second word of `GOSUMDB`. Without it Go asks the module proxy, or
    /// `https://<name>`.
    pub url: Option<String>,
}

/// The value of `GOSUMDB`, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoSumdb {
    /// `off`: Go consults no database.
    Off,
    /// The database that Go consults.
    Use(Box<Database>),
}

/// Why a value of `GOSUMDB` was refused, as Go refuses it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Nothing but white space.
    #[error("missing GOSUMDB")]
    Empty,
    /// More than a key and an address.
    #[error("invalid GOSUMDB: too many fields")]
    TooManyFields,
    /// The key is no key, nor a name that Go knows the key of.
    #[error("invalid GOSUMDB: {0}")]
    Key(#[from] KeyError),
    /// The key's name cannot be a host, or a host and a path.
    #[error("invalid sumdb name (must be host[/path]): {0}")]
    Name(String),
}

impl GoSumdb {
    /// Reads `name[+hash+key] [url]` or `off`
    /// (`cmd/go/internal/modfetch/sumdb.go:dbDial`).
    ///
    /// # Errors
    ///
    /// A [`SettingError`] where Go stops with an error.
    pub fn parse(value: &str) -> Result<Self, SettingError> {
        if value == "off" {
            return Ok(Self::Off);
        }
        let alias_url = format!("https://{PUBLIC_ALIAS}");
        let mut words = value.split_whitespace();
        let key = words.next().ok_or(SettingError::Empty)?;
        let mut url = words.next();
        if words.next().is_some() {
            return Err(SettingError::TooManyFields);
        }
        let mut known = key == "sum.golang.org";
        if value == PUBLIC_ALIAS {
            (known, url) = (true, Some(alias_url.as_str()));
        }
        let verifier = Verifier::parse(if known { PUBLIC_KEY } else { key })?;
        if !is_safe_name(verifier.name()) {
            return Err(SettingError::Name(verifier.name().to_owned()));
        }
        let url = url.map(str::to_owned);
        Ok(Self::Use(Box::new(Database { verifier, url })))
    }

    /// The keys that cached files may be checked with: the setting's own, and
    /// the public database's unless the setting has another key for its name.
    /// The public key counts even with `off`, since what another run cached
    /// is no less signed.
    #[must_use]
    pub fn keys(&self) -> Vec<Verifier> {
        let own = match self {
            Self::Off => None,
            Self::Use(database) => Some(database.verifier.clone()),
        };
        let public = Verifier::parse(PUBLIC_KEY).ok();
        let public = public.filter(|key| own.as_ref().is_none_or(|own| own.name() != key.name()));
        own.into_iter().chain(public).collect()
    }
}

/// Whether a database's name is safe as a folder: a host and a path in plain
/// characters, with nothing that leads elsewhere.
fn is_safe_name(name: &str) -> bool {
    name.split('/').all(|part| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._~:".contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::super::note::testing::signer;
    use super::*;

    #[test]
    fn the_public_database_is_known_by_name() {
        let GoSumdb::Use(database) = GoSumdb::parse("sum.golang.org").unwrap() else {
            panic!("off")
        };
        assert_eq!(database.verifier.to_string(), PUBLIC_KEY);
        assert_eq!(database.url, None);
        assert_eq!(GoSumdb::parse(PUBLIC_KEY).unwrap(), GoSumdb::Use(database));
    }

    #[test]
    fn reads_addresses_and_the_alias() {
        for (value, url) in [
            (
                "sum.golang.org https://sum.example.org",
                "https://sum.example.org",
            ),
            (
                "  sum.golang.org\thttps://sum.example.org ",
                "https://sum.example.org",
            ),
            ("sum.golang.google.cn", "https://sum.golang.google.cn"),
        ] {
            let GoSumdb::Use(database) = GoSumdb::parse(value).unwrap() else {
                panic!("off")
            };
            assert_eq!(database.verifier.name(), "sum.golang.org");
            assert_eq!(database.url.as_deref(), Some(url), "{value}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        assert_eq!(GoSumdb::parse("off"), Ok(GoSumdb::Off));
        assert_eq!(GoSumdb::parse(" "), Err(SettingError::Empty));
        assert_eq!(
            GoSumdb::parse("sum.golang.org a b"),
            Err(SettingError::TooManyFields)
        );
        assert_eq!(
            GoSumdb::parse("sum.example.org"),
            Err(SettingError::Key(KeyError::Malformed))
        );
        for name in ["../up", "a//b", "a/", "/a", "a/../b", "a\\b", "a%2fb"] {
            let value = signer(name, 1).verifier().to_string();
            assert_eq!(
                GoSumdb::parse(&value),
                Err(SettingError::Name(name.to_owned()))
            );
        }
    }

    #[test]
    fn a_key_of_ones_own_stands_beside_the_public_one_or_replaces_it() {
        let names = |value: &str| -> Vec<String> {
            let keys = GoSumdb::parse(value).unwrap().keys();
            keys.iter().map(|key| key.to_string()).collect()
        };
        let own = signer("sum.corp.example/go", 1).verifier().to_string();
        let public_name = signer("sum.golang.org", 1).verifier().to_string();
        assert_eq!(names("off"), [PUBLIC_KEY]);
        assert_eq!(names(&own), [own.as_str(), PUBLIC_KEY]);
        assert_eq!(names(&public_name), [public_name]);
    }
}
