//! Flags laid over the configuration.

use super::{CheckArgs, ConfigArgs, Given, JudgeArgs, TerminalArgs};
use crate::error::CommandError;
use crate::findings::display_path;
use crate::settings::{
    self, ConfigFile, ConfigOrigin, Configuration, Environment, Options, Settings,
};
use std::path::{Path, PathBuf};

/// Keys that bear on neither verdict nor removals.
const NEUTRAL: [&str; 6] = [
    "format",
    "jobs",
    "restore-rate",
    "restore-took",
    "sandbox-memory",
    "sandbox-time",
];

impl Settings {
    /// Lays the flags over the configuration file, which is read here.
    pub fn new(
        given: &Given,
        args: &ConfigArgs,
        terminal: TerminalArgs,
        environment: &Environment,
    ) -> Result<Settings, CommandError> {
        let flags: Options = given.over(Options::default())?;
        let config = match &args.config {
            Some(file) => Some((environment.resolve(file), ConfigOrigin::Option)),
            None if args.no_project_config => None,
            None => find_config(&flags, environment).map(|file| (file, ConfigOrigin::Project)),
        };
        match &config {
            Some((path, _)) => tracing::debug!("the configuration is {}", path.display()),
            None => tracing::debug!("no configuration rules"),
        }
        let (file, configuration) = match config {
            Some((path, origin)) => {
                let file = settings::load(&path, origin)?;
                let configuration = Configuration {
                    path: display_path(&path),
                    origin,
                    affects: affects(&file, given),
                };
                (file, Some(configuration))
            }
            None => Default::default(),
        };
        Ok(Settings {
            options: given.over(file.options)?,
            retention: given.over(file.retention)?,
            rules: file.rules,
            silence: file.silence,
            configuration,
            quiet: terminal.quiet,
            color: terminal.color,
            environment: environment.clone(),
            ..Settings::default()
        })
    }

    /// The same, with what a check alone is asked for.
    #[must_use]
    pub fn for_check(self, args: CheckArgs) -> Settings {
        let settings = self.writing(&args.judge);
        Settings {
            shard: args.shard,
            record: args.record,
            compare: args
                .compare
                .map(|other| settings.environment.resolve(&other)),
            accounts: args.accounts,
            #[cfg(target_os = "linux")]
            sealed_by: args.sealed_by.iter().map(ToString::to_string).collect(),
            remote: args.remote,
            #[cfg(feature = "remote")]
            remote_key: args.remote_key,
            ..settings
        }
    }

    /// The same, with the baseline to write.
    #[must_use]
    pub fn writing(self, args: &JudgeArgs) -> Settings {
        let file = args.write_baseline.as_deref();
        Settings {
            write_baseline: file.map(|file| self.environment.resolve(file)),
            ..self
        }
    }
}

/// What a configuration does to the verdict and to what is removed, in the words of
/// the file. Options that were typed rule instead of it.
fn affects(file: &ConfigFile, given: &Given) -> Vec<String> {
    let keys = file
        .said
        .iter()
        .filter(|said| !NEUTRAL.contains(&said.key.as_str()))
        .filter(|said| given.leaves_to_configuration(&said.key))
        .map(|said| format!("{} = {}", said.key, said.value));
    let rules = file
        .rules
        .iter()
        .map(|(rule, level)| format!("rules.{rule} = {}", level.name()));
    let silences = file
        .silence
        .iter()
        .map(|silence| format!("silence {} of {}", silence.rule, silence.subject));
    keys.chain(rules).chain(silences).collect()
}

fn find_config(options: &Options, environment: &Environment) -> Option<PathBuf> {
    let mut starts: Vec<PathBuf> = options
        .project
        .iter()
        .chain(&options.projects_under)
        .map(|dir| environment.resolve(dir))
        .collect();
    if starts.is_empty() {
        starts.push(environment.cwd.clone());
    }
    settings::find(starts.iter().map(Path::new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::grammar::command_first;
    use crate::commands::grammar;
    use crate::findings::{Level, Rule};

    #[test]
    fn flags_rule_over_the_file_and_the_file_is_named() {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("gocachevet.toml");
        let text = "jobs = 4\nverify = 'quick'\nmax-age = '30d'\nunused = true\n\
                    [rules]\ndrift = 'deny'\n\
                    [[silence]]\nrule = 'drift'\nsubject = 'a@*'\nreason = 'known'\n";
        std::fs::write(&file, text).unwrap();
        let other = top.path().join("other.toml");
        std::fs::write(&other, "jobs = 7\nmodcache = 'mc'").unwrap();
        let environment = Environment {
            cwd: top.path().to_owned(),
            ..Environment::default()
        };
        let settings = |line: &str, args: ConfigArgs| {
            let words = command_first(line.split(' ').map(Into::into), &grammar());
            let given = Given::of(&grammar().try_get_matches_from(words).unwrap());
            Settings::new(&given, &args, TerminalArgs::default(), &environment)
        };

        let args = ConfigArgs::default;
        let found = settings("g check --jobs=2 --max-age=9d", args()).unwrap();
        assert_eq!(found.options.jobs, Some(2));
        assert_eq!(found.retention.unused, Some(true));
        assert_eq!(found.rules[&Rule::Drift], Level::Deny);
        let configuration = found.configuration.unwrap();
        assert_eq!(configuration.path, display_path(&file));
        assert_eq!(configuration.origin, ConfigOrigin::Project);
        // Not what was typed, nor what a check has no use for.
        let sets = [
            "verify = \"quick\"",
            "rules.drift = deny",
            "silence drift of a@*",
        ];
        assert_eq!(configuration.affects, sets);
        let trimmed = settings("g trim", args()).unwrap().configuration.unwrap();
        let more = ["max-age = \"30d\"", "unused = true"];
        assert_eq!(trimmed.affects, [&more, &sets[..]].concat());

        let ignored = ConfigArgs {
            no_project_config: true,
            ..args()
        };
        let ignored = settings("g check", ignored).unwrap();
        assert_eq!(
            (ignored.options, ignored.configuration),
            (Options::default(), None)
        );

        let named = |name: &str| ConfigArgs {
            config: Some(name.into()),
            ..args()
        };
        let replaced = settings("g check", named("other.toml")).unwrap();
        assert_eq!(replaced.options.jobs, Some(7));
        assert_eq!(replaced.options.modcache, Some(top.path().join("mc")));
        let configuration = replaced.configuration.unwrap();
        assert_eq!(configuration.origin, ConfigOrigin::Option);
        let missing = settings("g check", named("none.toml"));
        assert!(matches!(missing, Err(CommandError::Usage(_))));
    }
}
