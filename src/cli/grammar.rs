//! What a command takes of the options that other commands take as well, and
//! what was typed of them.

use crate::error::CommandError;
use crate::settings::Format;
use clap::builder::{PossibleValuesParser, Resettable, TypedValueParser};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgGroup, ArgMatches, Args, Command, FromArgMatches, Id, ValueEnum};
use std::marker::PhantomData;

/// Groups of options that a command takes. It holds none of their values: what was
/// typed has yet to be laid over the configuration, and is told by [`Typed`].
#[derive(Clone, Debug, Default)]
pub struct Takes<A, B = (), C = (), D = (), E = (), F = ()>(PhantomData<(A, B, C, D, E, F)>);

impl<A: Args, B: Args, C: Args, D: Args, E: Args, F: Args> Args for Takes<A, B, C, D, E, F> {
    fn augment_args(command: Command) -> Command {
        let groups = [
            A::augment_args,
            B::augment_args,
            C::augment_args,
            D::augment_args,
            E::augment_args,
            F::augment_args,
        ];
        // The heading of a group is none of what comes after it.
        groups.into_iter().fold(command, |command, augment| {
            augment(command).next_help_heading(Resettable::Reset)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<A, B, C, D, E, F> FromArgMatches for Takes<A, B, C, D, E, F> {
    fn from_arg_matches(_: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Takes(PhantomData))
    }

    fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), clap::Error> {
        Ok(())
    }
}

/// `--format` of a command that writes no report.
pub(crate) fn text_or_json(format: Arg) -> Arg {
    let forms = PossibleValuesParser::new(["text", "json"]);
    format
        .value_parser(forms.try_map(|form| <Format as ValueEnum>::from_str(&form, false)))
        .help("text or json [default: text]")
}

/// What was typed.
pub struct Typed<'a> {
    /// The program and then the command, each with the options after its name. What
    /// stands after the command rules over what stands before it.
    levels: Vec<(&'a Command, ArgMatches)>,
}

impl<'a> Typed<'a> {
    /// # Errors
    /// An option before the command is none that the command takes.
    pub(crate) fn of(grammar: &'a Command, matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut levels = vec![(grammar, given(matches))];
        let (mut command, mut matches) = (grammar, matches);
        while let Some((name, below)) = matches.subcommand() {
            let Some(sub) = command.find_subcommand(name) else {
                break;
            };
            (command, matches) = (sub, below);
            levels.push((command, given(matches)));
        }
        let (_, before) = &levels[0];
        let foreign = |group: &&ArgGroup| {
            before.contains_id(group.get_id().as_str()) && !takes(command, group.get_id())
        };
        if let Some(group) = grammar.get_groups().find(foreign) {
            let typed = group.get_args().find(|id| before.contains_id(id.as_str()));
            let name = typed.map_or("", Id::as_str).replace('_', "-");
            let message = format!("unexpected argument '--{name}' found");
            return Err(command.clone().error(ErrorKind::UnknownArgument, message));
        }
        Ok(Typed { levels })
    }

    /// Whether the command has such an option, and it was not typed: what the
    /// configuration says of it then rules.
    pub fn leaves_to_configuration(&self, name: &str) -> bool {
        let id = name.replace('-', "_");
        let typed = [id.as_str(), &format!("no_{id}")];
        let is_typed = |matches: &ArgMatches| matches.ids().any(|id| typed.contains(&id.as_str()));
        let command = self.levels.last().map(|(command, _)| command);
        command.is_some_and(|command| command.get_arguments().any(|arg| *arg.get_id() == id))
            && !self.levels.iter().any(|(_, matches)| is_typed(matches))
    }

    /// A group of options as the configuration has it, and what was typed in its place.
    pub fn over<T: Args>(&self, mut config: T) -> Result<T, CommandError> {
        let group = T::group_id();
        for (command, matches) in &self.levels {
            if group.as_ref().is_some_and(|group| takes(command, group)) {
                config
                    .update_from_arg_matches(matches)
                    .map_err(|error| CommandError::Usage(error.into()))?;
            }
        }
        Ok(config)
    }
}

fn takes(command: &Command, group: &Id) -> bool {
    command.get_groups().any(|taken| taken.get_id() == group)
}

/// What was typed, without the defaults, which would hide the configuration.
fn given(matches: &ArgMatches) -> ArgMatches {
    let mut given = matches.clone();
    for id in matches.ids().map(Id::as_str) {
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            let _ = given.try_clear_id(id);
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::{Cli, grammar};
    use crate::settings::Options;
    use crate::values::{Limit, Size};
    use std::ffi::OsString;

    /// The configuration's options under what a command line says.
    fn over(line: &[OsString], config: Options) -> Result<Options, clap::Error> {
        let grammar = grammar();
        let matches = grammar.clone().try_get_matches_from(line)?;
        Cli::from_arg_matches(&matches)?;
        Ok(Typed::of(&grammar, &matches)?.options(config).unwrap())
    }

    fn typed(line: &str, config: Options) -> Result<Options, clap::Error> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        over(&words, config)
    }

    #[test]
    fn the_command_line_is_sound() {
        grammar().debug_assert();
    }

    #[test]
    fn every_key_of_the_configuration_is_an_option_of_some_command() {
        let grammar = grammar();
        let all = serde_json::to_value(Options::default()).unwrap();
        for key in all.as_object().unwrap().keys() {
            let mut commands = grammar.get_subcommands();
            let is_it = |arg: &Arg| arg.get_long() == Some(key);
            assert!(
                commands.any(|command| command.get_arguments().any(is_it)),
                "{key}"
            );
        }
    }

    #[test]
    fn what_was_typed_stands_over_the_configuration() {
        let mut config = Options::default();
        config.caches.jobs = Some(7);
        config.projects.project = vec!["c".into()];
        config.inside.sandbox = Some(true);
        config.mark.state = Some("s".into());
        let line = "g --jobs 2 --project a --project b --max-size warn=1,fail=2 --no-sandbox";
        let options = typed(line, config).unwrap();
        assert_eq!(options.caches.jobs, Some(2));
        assert_eq!(
            options.projects.project,
            ["a", "b"].map(std::path::PathBuf::from)
        );
        assert_eq!(options.inside.sandbox, Some(false));
        assert_eq!(options.mark.state, Some("s".into()));
        let (warn, fail) = (Some(Size(1)), Some(Size(2)));
        assert_eq!(options.goals.max_size, Some(Limit { warn, fail }));
    }

    #[test]
    fn what_stands_after_the_command_rules_over_what_stands_before_it() {
        let options = |line: &str| typed(line, Options::default());
        let both = options("g --modcache a --gocache b trim --modcache c").unwrap();
        assert_eq!(both.caches.modcache, Some("c".into()));
        assert_eq!(both.caches.gocache, Some("b".into()));
        for (line, refused) in [
            ("g --modcache a explain drift", "'--modcache'"),
            ("g --modcache a mirror list d", "'--modcache'"),
            ("g --remote o/n trim", "'--remote'"),
            ("g --unused trim", "'--unused'"),
        ] {
            let error = options(line).unwrap_err().to_string();
            assert!(error.contains(refused), "{line}: {error}");
        }
        assert!(options("g --project a mirror list d").is_ok());
    }

    #[test]
    fn every_switch_is_taken_back() {
        let grammar = grammar();
        let switches = ["check", "trim"].into_iter().flat_map(|command| {
            let args = grammar.find_subcommand(command).unwrap().get_arguments();
            let names = args.filter_map(|arg| arg.get_long()?.strip_prefix("no-"));
            names.map(move |name| (command, name))
        });
        let switches = switches.filter(|(_, name)| *name != "project-config");
        for (command, name) in switches {
            let said = |value: bool| serde_json::from_str(&format!("{{\"{name}\":{value}}}"));
            let (on, off): (Options, Options) = (said(true).unwrap(), said(false).unwrap());
            for (word, config, comes) in [
                (format!("--no-{name}"), &on, &off),
                (format!("--{name}"), &off, &on),
            ] {
                let options = typed(&format!("g {command} {word}"), config.clone()).unwrap();
                let json = |options: &Options| serde_json::to_value(options).unwrap();
                assert_eq!(json(&options), json(comes), "{word}");
            }
            let both = format!("g {command} --{name} --no-{name}");
            assert!(typed(&both, Options::default()).is_err(), "{both}");
        }
    }

    #[test]
    fn of_a_list_retention_answers_why_alone() {
        assert!(typed("g list --unused", Options::default()).is_err());
        let options = typed("g list --why m --unused", Options::default()).unwrap();
        assert_eq!(options.retention.unused, Some(true));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_need_not_be_utf_8() {
        use std::os::unix::ffi::OsStringExt;
        let path = OsString::from_vec(b"/m\xff".to_vec());
        let line = ["g".into(), "--modcache".into(), path.clone()];
        let options = over(&line, Options::default()).unwrap();
        assert_eq!(options.caches.modcache, Some(path.into()));
    }
}
