//! Flags laid over the configuration.

use super::{BaselineArgs, ConfigArgs, TerminalArgs, Typed};
use crate::error::CommandError;
use crate::findings::display_path;
use crate::settings::{
    self, ConfigFile, ConfigOrigin, Configuration, Environment, Options, ProjectOptions, Settings,
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
    /// Lays what was typed over the configuration file, which is read here.
    pub fn new(
        typed: &Typed<'_>,
        terminal: TerminalArgs,
        environment: &Environment,
    ) -> Result<Settings, CommandError> {
        let args = typed.over(ConfigArgs::default())?;
        let config = match &args.config {
            Some(file) => Some((environment.resolve(file), ConfigOrigin::Option)),
            None if args.no_project_config => None,
            None => {
                let projects = typed.over(ProjectOptions::default())?;
                find_config(&projects, environment).map(|file| (file, ConfigOrigin::Project))
            }
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
                    affects: affects(&file, typed),
                };
                (file, Some(configuration))
            }
            None => Default::default(),
        };
        let baseline = typed.over(BaselineArgs::default())?.write_baseline;
        Ok(Settings {
            options: typed.options(file.options)?,
            rules: file.rules,
            silence: file.silence,
            configuration,
            write_baseline: baseline.map(|file| environment.resolve(&file)),
            shard: None,
            quiet: terminal.quiet,
            color: terminal.color,
            environment: environment.clone(),
        })
    }
}

impl Typed<'_> {
    /// The configuration's options, and what was typed in their place.
    pub fn options(&self, config: Options) -> Result<Options, CommandError> {
        let options = Options {
            caches: self.over(config.caches)?,
            projects: self.over(config.projects)?,
            mark: self.over(config.mark)?,
            go: self.over(config.go)?,
            mounts: self.over(config.mounts)?,
            effort: self.over(config.effort)?,
            strictness: self.over(config.strictness)?,
            known: self.over(config.known)?,
            price: self.over(config.price)?,
            form: self.over(config.form)?,
            outputs: self.over(config.outputs)?,
            inside: self.over(config.inside)?,
            policy: self.over(config.policy)?,
            goals: self.over(config.goals)?,
            limits: self.over(config.limits)?,
            retention: self.over(config.retention)?,
        };
        Ok(options.taken_back())
    }
}

/// What a configuration does to the verdict and to what is removed, in the words of
/// the file. Options that were typed rule instead of it.
fn affects(file: &ConfigFile, typed: &Typed<'_>) -> Vec<String> {
    let keys = file
        .said
        .iter()
        .filter(|said| !NEUTRAL.contains(&said.key.as_str()))
        .filter(|said| typed.leaves_to_configuration(&said.key))
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

fn find_config(projects: &ProjectOptions, environment: &Environment) -> Option<PathBuf> {
    let mut starts: Vec<PathBuf> = projects
        .project
        .iter()
        .chain(&projects.projects_under)
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
        let settings = |line: &str| {
            let grammar = grammar();
            let matches = grammar
                .clone()
                .try_get_matches_from(line.split(' '))
                .unwrap();
            let typed = Typed::of(&grammar, &matches).unwrap();
            Settings::new(&typed, TerminalArgs::default(), &environment)
        };

        let found = settings("g check --jobs=2 --max-age=9d").unwrap();
        assert_eq!(found.options.caches.jobs, Some(2));
        assert_eq!(found.options.retention.unused, Some(true));
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
        let trimmed = settings("g trim").unwrap().configuration.unwrap();
        let more = ["max-age = \"30d\"", "unused = true"];
        assert_eq!(trimmed.affects, [&more, &sets[..]].concat());

        let ignored = settings("g check --no-project-config").unwrap();
        assert_eq!(
            (ignored.options, ignored.configuration),
            (Options::default(), None)
        );

        let replaced = settings("g --config other.toml check").unwrap();
        assert_eq!(replaced.options.caches.jobs, Some(7));
        assert_eq!(
            replaced.options.caches.modcache,
            Some(top.path().join("mc"))
        );
        let configuration = replaced.configuration.unwrap();
        assert_eq!(configuration.origin, ConfigOrigin::Option);
        let missing = settings("g check --config none.toml");
        assert!(matches!(missing, Err(CommandError::Input { .. })));
    }
}
