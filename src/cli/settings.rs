//! What is meant: flags over the configuration, validated.

use super::{CliError, PolicyArgs};
use crate::cli::Color;
use crate::config::{self, ConfigFile, Options, Silence, over};
use crate::findings::{Level, Rule};
use crate::locate::Environment;
use crate::plan::Retention;
use crate::shard::Shard;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Everything that a run was asked for.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The world around.
    pub environment: Environment,
    /// Options; flags have won over the configuration.
    pub options: Options,
    /// What a trim keeps and removes; flags have won over the configuration.
    pub retention: Retention,
    /// Levels that differ from the rules' defaults.
    pub rules: BTreeMap<Rule, Level>,
    /// Findings that are known and accepted.
    pub silence: Vec<Silence>,
    /// The configuration file that ruled.
    pub config: Option<PathBuf>,
    /// Where to write a baseline.
    pub write_baseline: Option<PathBuf>,
    /// The part of the work to do; `None` is all of it.
    pub shard: Option<Shard>,
    /// Whether the ledger is written.
    pub record: bool,
    /// Another module cache, a report of one, or a go.sum to compare with.
    pub compare: Option<PathBuf>,
    /// Whether the report says what each module version is.
    pub accounts: bool,
    /// The repository whose remote caches are asked for.
    pub remote: Option<String>,
    /// The key that this job will save under.
    pub remote_key: Option<String>,
    /// No progress, no log.
    pub quiet: bool,
    /// When to use colour.
    pub color: Color,
}

impl Settings {
    /// Lays the flags over the configuration file, which is read here.
    pub fn new(
        options: Options,
        retention: Retention,
        policy: PolicyArgs,
        environment: Environment,
    ) -> Result<Settings, CliError> {
        let config = match &policy.config {
            Some(file) => Some(environment.resolve(file)),
            None if policy.no_project_config => None,
            None => find_config(&options, &environment),
        };
        let file = match &config {
            Some(path) => config::load(path)?,
            None => ConfigFile::default(),
        };
        let (options, retention) = if config.is_some() {
            let options = options.over(file.options).map_err(CliError::Usage)?;
            let retention = over(&retention, &file.retention).map_err(CliError::Usage)?;
            (options, retention)
        } else {
            // Nothing to lay over, and paths need not be UTF-8.
            (options, retention)
        };
        Ok(Settings {
            options,
            retention,
            rules: file.rules,
            silence: file.silence,
            config,
            write_baseline: policy.write_baseline.map(|file| environment.resolve(&file)),
            shard: policy.shard,
            record: policy.record,
            compare: policy.compare.map(|other| environment.resolve(&other)),
            accounts: policy.accounts,
            remote: policy.remote,
            remote_key: policy.remote_key,
            quiet: policy.quiet,
            color: policy.color,
            environment,
        })
    }
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
    config::find(starts.iter().map(Path::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_rule_over_the_file_and_the_file_is_named() {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("gocachevet.toml");
        std::fs::write(
            &file,
            "jobs = 4\nmodcache = 'mc'\nunused = true\n[rules]\ndrift = 'deny'\n",
        )
        .unwrap();
        let other = top.path().join("other.toml");
        std::fs::write(&other, "jobs = 7").unwrap();
        let environment = || Environment {
            cwd: top.path().to_owned(),
            ..Environment::default()
        };
        let settings = |options, policy| {
            Settings::new(options, Retention::default(), policy, environment()).unwrap()
        };

        let flags = Options {
            jobs: Some(2),
            ..Options::default()
        };
        let found = settings(flags, PolicyArgs::default());
        assert_eq!(found.options.jobs, Some(2));
        assert_eq!(found.options.modcache, Some(top.path().join("mc")));
        assert_eq!(found.retention.unused, Some(true));
        assert_eq!(found.rules[&Rule::Drift], Level::Deny);
        assert_eq!(found.config, Some(file));

        let ignored = settings(
            Options::default(),
            PolicyArgs {
                no_project_config: true,
                ..PolicyArgs::default()
            },
        );
        assert_eq!(
            (ignored.options, ignored.config),
            (Options::default(), None)
        );

        let replaced = settings(
            Options::default(),
            PolicyArgs {
                config: Some("other.toml".into()),
                ..PolicyArgs::default()
            },
        );
        assert_eq!(
            (replaced.options.jobs, replaced.config),
            (Some(7), Some(other))
        );

        let missing = PolicyArgs {
            config: Some("none.toml".into()),
            ..PolicyArgs::default()
        };
        assert!(matches!(
            Settings::new(
                Options::default(),
                Retention::default(),
                missing,
                environment()
            ),
            Err(CliError::Usage(_))
        ));
    }
}
