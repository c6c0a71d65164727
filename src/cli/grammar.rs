//! Which command takes which of the options that `gocachevet.toml` knows, too.
//!
//! Each of them is described once, in [`Options`] and [`Retention`]; here stands
//! who takes it. What a command does not take is wrong usage.

use crate::error::CommandError;
use crate::settings::{Options, Retention};
use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command};
use std::ffi::OsString;

const CACHES: &[&str] = &["modcache", "gocache"];
const PROJECTS: &[&str] = &["project", "projects-under"];
/// What tells use from idleness.
const USE: &[&str] = &["state", "goroot", "path-map"];
const REPORT: &[&str] = &["format", "output"];
const JUDGED: &[&str] = &["strict", "baseline", "restore-rate", "restore-took"];
const LIMITS: &[&str] = &[
    "max-size",
    "max-modcache-size",
    "max-gocache-size",
    "max-age",
    "max-findings",
    "min-hit-rate",
    "min-modcache-hit-rate",
    "min-gocache-hit-rate",
    "max-idle",
    "max-growth",
];
/// Limits that are a goal of a trim as well.
const GOALS: &[&str] = &[
    "max-size",
    "max-modcache-size",
    "max-gocache-size",
    "max-age",
];
const RETENTION: &[&str] = &[
    "keep",
    "grace",
    "keep-since",
    "min-ref-count",
    "idle-runs",
    "forget-after",
    "unused",
    "tier",
    "trim-to",
    "trim-modcache-to",
    "trim-gocache-to",
    "force",
    "slim",
    "prove",
    "repair",
    "residue",
    "vcs",
    "toolchains",
    "all",
];
const POLICY_MODULE: &[&str] = &["policy", "sandbox-memory", "sandbox-time"];

/// The commands, with what each takes.
const TAKES: &[(&str, &[&[&str]])] = &[
    (
        "check",
        &[
            CACHES,
            PROJECTS,
            USE,
            &["verify", "jobs", "live", "sandbox"],
            REPORT,
            JUDGED,
            POLICY_MODULE,
            LIMITS,
        ],
    ),
    (
        "trim",
        &[
            CACHES,
            PROJECTS,
            USE,
            &["verify", "jobs", "live"],
            REPORT,
            JUDGED,
            LIMITS,
            RETENTION,
        ],
    ),
    ("mark", &[CACHES, PROJECTS, &["state", "jobs"]]),
    (
        "list",
        &[
            CACHES,
            PROJECTS,
            USE,
            &["jobs", "format"],
            ["verify", "live"].as_slice(),
            GOALS,
            RETENTION,
        ],
    ),
    #[cfg(target_os = "linux")]
    (
        "restore",
        &[
            CACHES,
            PROJECTS,
            &["state", "goroot", "jobs", "strict", "baseline"],
            REPORT,
        ],
    ),
    #[cfg(target_os = "linux")]
    ("save", &[CACHES, PROJECTS, USE, &["jobs"], REPORT]),
    ("pack", &[CACHES, PROJECTS, USE, &["jobs", "format"]]),
    ("doctor", &[CACHES, PROJECTS, &["jobs", "baseline"], REPORT]),
    ("report", &[REPORT, POLICY_MODULE]),
    ("mirror list", &[PROJECTS, &["verify", "format"]]),
    (
        "mirror trim",
        &[PROJECTS, &["verify", "format", "max-size"]],
    ),
    ("remote list", &[&["format"]]),
    ("remote usage", &[&["format", "max-size"]]),
    ("remote trim", &[&["format", "max-size"]]),
];

/// Switches, as they are taken back.
const SWITCHES: &[&str] = &[
    "no-sandbox",
    "no-strict",
    "no-unused",
    "no-force",
    "no-repair",
    "no-residue",
    "no-vcs",
    "no-toolchains",
    "no-all",
];

/// Shown by `--help` alone: `-h` is a screen of what is asked for every day.
const RARE: &[&str] = &[
    "baseline",
    "jobs",
    "keep-since",
    "force",
    "goroot",
    "path-map",
    "live",
    "restore-rate",
    "restore-took",
    "sandbox-memory",
    "sandbox-time",
    "max-modcache-size",
    "max-gocache-size",
    "min-modcache-hit-rate",
    "min-gocache-hit-rate",
    "max-findings",
    "max-growth",
    "max-idle",
    "forget-after",
    "min-ref-count",
    "trim-modcache-to",
    "trim-gocache-to",
    "slim",
    "tier",
    "residue",
    "prove",
    "vcs",
    "toolchains",
];

/// Whether a command takes an option that the configuration knows.
fn takes(command: &str, option: &str) -> bool {
    TAKES
        .iter()
        .filter(|(name, _)| *name == command)
        .flat_map(|(_, groups)| groups.iter().copied().flatten())
        .any(|taken| *taken == option)
}

/// The commands, with the options that they share.
pub(crate) fn with_shared(commands: Command) -> Command {
    with_options(commands, "")
}

fn with_options(command: Command, path: &str) -> Command {
    let mut command = command;
    for arg in shared() {
        let name = arg.get_long().unwrap_or_default().to_owned();
        if !takes(path, &name) {
            continue;
        }
        // The help itself names the values.
        let arg = arg
            .hide_short_help(RARE.contains(&name.as_str()))
            .hide_possible_values(true);
        let lists = TAKES
            .iter()
            .any(|(command, groups)| *command == path && !groups.concat().contains(&"output"));
        let arg = match name.as_str() {
            "format" if lists => arg
                .value_parser(["text", "json"])
                .help("text or json [default: text]"),
            "max-size" if path.contains(' ') => arg.help("More than this is too much"),
            _ => arg,
        };
        // They change the answer to `--why` and nothing else of a list.
        let only_why = path == "list"
            && [GOALS, RETENTION, &["verify", "live"]]
                .concat()
                .contains(&name.as_str());
        let arg = if only_why {
            arg.requires("why").hide_short_help(true)
        } else {
            arg
        };
        let no = SWITCHES
            .iter()
            .find(|no| no.strip_prefix("no-") == Some(&name));
        command = match no {
            Some(no) => command.args(switch(arg, no)),
            None => command.arg(arg),
        };
    }
    command.mut_subcommands(|sub| {
        let path = format!("{path} {}", sub.get_name()).trim().to_owned();
        with_options(sub, &path)
    })
}

/// `--unused`, and `--no-unused`, which takes back what the configuration sets.
fn switch(arg: Arg, no: &'static str) -> [Arg; 2] {
    let no = Arg::new(no)
        .long(no)
        .action(ArgAction::SetTrue)
        .conflicts_with(arg.get_id().clone())
        .hide_short_help(true)
        .help("Not that, whatever the configuration says");
    let plain = arg
        .action(ArgAction::SetTrue)
        .num_args(0)
        .require_equals(false)
        .hide_possible_values(false)
        .default_missing_value(Resettable::Reset)
        .value_name(Resettable::Reset);
    [plain, no]
}

/// `--unused=false` in the words of the grammar.
fn plain_switch(word: OsString) -> OsString {
    let text = word.to_string_lossy();
    let parted = text
        .strip_prefix("--")
        .and_then(|text| text.split_once('='));
    let no = |name: &str| {
        let mut switches = SWITCHES.iter();
        switches.find(|no| no.strip_prefix("no-") == Some(name))
    };
    match parted {
        Some((name, "true")) if no(name).is_some() => format!("--{name}").into(),
        Some((name, "false")) if no(name).is_some() => format!("--no-{name}").into(),
        _ => word,
    }
}

/// Every option that the configuration knows, as the command line has it.
fn shared() -> Vec<Arg> {
    let all = Options::augment_args(Command::new("options"));
    let all = Retention::augment_args(all);
    all.get_arguments().cloned().collect()
}

/// What was typed of the options that the configuration knows.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The command, such as `check` or `mirror list`.
    command: String,
    /// The options, as `name` and `--name=value`.
    words: Vec<(String, OsString)>,
}

impl Given {
    pub(crate) fn of(matches: &ArgMatches) -> Given {
        let (mut matches, mut path) = (matches, String::new());
        while let Some((name, below)) = matches.subcommand() {
            path = format!("{path} {name}").trim().to_owned();
            matches = below;
        }
        let typed = |id: &str| {
            matches.ids().any(|known| known == id)
                && matches.value_source(id) == Some(ValueSource::CommandLine)
        };
        let mut words = Vec::new();
        for arg in shared() {
            let (id, name) = (arg.get_id().as_str(), arg.get_long().unwrap_or_default());
            if typed(&format!("no-{name}")) {
                words.push((name.to_owned(), format!("--{name}=false").into()));
            }
            if !typed(id) {
                continue;
            }
            if SWITCHES
                .iter()
                .any(|no| no.strip_prefix("no-") == Some(name))
            {
                words.push((name.to_owned(), format!("--{name}=true").into()));
                continue;
            }
            for value in matches.get_raw(id).into_iter().flatten() {
                let mut word = OsString::from(format!("--{name}="));
                word.push(value);
                words.push((name.to_owned(), word));
            }
        }
        Given {
            command: path,
            words,
        }
    }

    /// Whether the command has such an option, and it was not typed: what the
    /// configuration says of it then rules.
    pub fn leaves_to_configuration(&self, name: &str) -> bool {
        takes(&self.command, name) && !self.words.iter().any(|(typed, _)| typed == name)
    }

    /// The configuration's options, and what was typed in their place.
    pub fn over<T: Args>(&self, mut config: T) -> Result<T, CommandError> {
        let known = T::augment_args(Command::new("options").no_binary_name(true));
        let is_known = |name: &str| {
            known
                .get_arguments()
                .any(|arg| arg.get_long() == Some(name))
        };
        let words: Vec<&OsString> = self
            .words
            .iter()
            .filter(|(name, _)| is_known(name))
            .map(|(_, word)| word)
            .collect();
        let wrong = |error: clap::Error| CommandError::Usage(error.into());
        let mut typed = known.clone().try_get_matches_from(words).map_err(wrong)?;
        config
            .update_from_arg_matches_mut(&mut typed)
            .map_err(wrong)?;
        Ok(config)
    }
}

/// The words in the order in which they are read: the command first, since
/// options may stand before it, and `check` where none is named.
pub(crate) fn command_first(
    words: impl IntoIterator<Item = OsString>,
    grammar: &Command,
) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.into_iter().map(plain_switch).collect();
    let mut command = Some(grammar);
    let mut at = 1;
    while let Some(level) = command.filter(|level| level.has_subcommands()) {
        let Some(found) = first_plain(&words, at, grammar) else {
            break;
        };
        let word = words.remove(found);
        command = word.to_str().and_then(|name| level.find_subcommand(name));
        words.insert(at.min(words.len()), word);
        at += 1;
    }
    let asks_about_all = match words.get(1..) {
        Some([only]) => ["-h", "--help", "-V", "--version"]
            .iter()
            .any(|asked| only == asked),
        _ => false,
    };
    if at == 1 && !asks_about_all {
        words.insert(at.min(words.len()), "check".into());
    }
    words
}

/// The place of the first word from `at` on that is neither an option nor the
/// value of one.
fn first_plain(words: &[OsString], at: usize, grammar: &Command) -> Option<usize> {
    let mut is_value = false;
    for (place, word) in words.iter().enumerate().skip(at) {
        let text = word.to_string_lossy();
        if std::mem::take(&mut is_value) {
            continue;
        }
        if text == "--" {
            return None;
        }
        if text == "-" || !text.starts_with('-') {
            return Some(place);
        }
        is_value = !text.contains('=') && wants_value(&text, grammar);
    }
    None
}

/// Whether an option's value is the word after it, in whatever command has it.
fn wants_value(word: &str, command: &Command) -> bool {
    let is_it = |arg: &&Arg| match word.strip_prefix("--") {
        Some(name) => arg.get_long() == Some(name),
        // `-j` alone: in `-j4` the value is in the word.
        None => {
            let short = arg.get_short().map(|short| format!("-{short}"));
            short.as_deref() == Some(word)
        }
    };
    let here = command.get_arguments().find(is_it);
    here.is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set())
        || command.get_subcommands().any(|sub| wants_value(word, sub))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::{Cli, grammar};
    use crate::values::Limit;
    use clap::FromArgMatches;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn given(line: &str) -> Result<Given, clap::Error> {
        let matches = grammar().try_get_matches_from(command_first(words(line), &grammar()))?;
        Cli::from_arg_matches(&matches)?;
        Ok(Given::of(&matches))
    }

    #[test]
    fn the_command_line_is_sound() {
        grammar().debug_assert();
        // A name that no option has would be taken by nobody, without a word.
        let known = shared();
        let is_known = |name: &str| known.iter().any(|arg| arg.get_long() == Some(name));
        for name in TAKES
            .iter()
            .flat_map(|(_, groups)| groups.iter().copied().flatten())
        {
            assert!(is_known(name), "{name}");
        }
        for name in RARE {
            assert!(is_known(name), "{name}");
        }
        for arg in &known {
            let name = arg.get_long().unwrap();
            assert!(
                TAKES.iter().any(|(command, _)| takes(command, name)),
                "{name}"
            );
        }
    }

    #[test]
    fn the_command_comes_first_wherever_it_stands() {
        for (line, read) in [
            ("g", "g check"),
            ("g --modcache check", "g check --modcache check"),
            ("g --modcache=/m check", "g check --modcache=/m"),
            (
                "g --modcache /m -q trim --unused",
                "g trim --modcache /m -q --unused",
            ),
            ("g --unused trim", "g trim --unused"),
            ("g -f json list --by version", "g list -f json --by version"),
            ("g -fjson list", "g list -fjson"),
            (
                "g --verify off mirror list d",
                "g mirror list --verify off d",
            ),
            (
                "g mirror --verify off list d",
                "g mirror list --verify off d",
            ),
            ("g explain drift", "g explain drift"),
            ("g --jobs 2 chekc", "g chekc --jobs 2"),
            ("g -h", "g -h"),
            ("g --version", "g --version"),
            ("g --jobs 2 -h", "g check --jobs 2 -h"),
        ] {
            assert_eq!(
                command_first(words(line), &grammar()),
                words(read),
                "{line}"
            );
        }
    }

    #[test]
    fn what_was_typed_stands_over_the_configuration() {
        let typed =
            given("g --jobs 2 --project a --project b --max-size warn=1,fail=2 --no-sandbox")
                .unwrap();
        let config = Options {
            jobs: Some(7),
            project: vec!["c".into()],
            sandbox: Some(true),
            state: Some("s".into()),
            ..Options::default()
        };
        let options = typed.over(config).unwrap();
        assert_eq!(options.jobs, Some(2));
        assert_eq!(options.project, ["a", "b"].map(std::path::PathBuf::from));
        assert_eq!(options.sandbox, Some(false));
        assert_eq!(options.state, Some("s".into()));
        let size = crate::values::Size;
        assert_eq!(
            options.max_size,
            Some(Limit {
                warn: Some(size(1)),
                fail: Some(size(2))
            })
        );
        assert!(!typed.leaves_to_configuration("jobs"));
        assert!(typed.leaves_to_configuration("max-age"));
        assert!(
            !typed.leaves_to_configuration("unused"),
            "no option of check"
        );

        for (line, unused) in [
            ("g trim --unused", Some(true)),
            ("g trim --unused=true", Some(true)),
            ("g trim --unused=false", Some(false)),
            ("g trim --no-unused", Some(false)),
            ("g trim", None),
        ] {
            let retention: Retention = given(line).unwrap().over(Default::default()).unwrap();
            assert_eq!(retention.unused, unused, "{line}");
        }
        assert!(given("g trim --unused --no-unused").is_err());
        assert!(given("g trim --unused=perhaps").is_err());
        assert!(given("g list --unused").is_err(), "only of --why");
        assert!(given("g list --why m --unused").is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_path_need_not_be_utf_8() {
        use std::os::unix::ffi::OsStringExt;
        let path = OsString::from_vec(b"/m\xff".to_vec());
        let line = ["g".into(), "--modcache".into(), path.clone()];
        let matches = grammar()
            .try_get_matches_from(command_first(line, &grammar()))
            .unwrap();
        let options: Options = Given::of(&matches).over(Options::default()).unwrap();
        assert_eq!(options.modcache, Some(path.into()));
    }
}
