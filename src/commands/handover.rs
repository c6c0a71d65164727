//! Settings that one process hands to another: the native program to the
//! module in its sandbox, over standard input.
//!
//! What is meant was worked out once, outside; inside, nothing is looked for
//! and no configuration is read, so that both see the same policy and report
//! the same.

use crate::error::CommandError;
use crate::findings::{Level, Rule};
use crate::locate::{self};
use crate::settings::{
    Configuration, Environment, FormOptions, Format, Options, OutputOptions, PolicyOptions,
    SandboxOptions, Settings, Silence,
};
use crate::values::shard::Shard;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::PathBuf;

/// The longest text that is taken.
const MAX_BYTES: u64 = 16 << 20;

/// Variables besides Go's own that say where Go's files and the projects are.
const PLACES: [&str; 12] = [
    "APPDATA",
    "BUILDKITE_BUILD_CHECKOUT_PATH",
    "CI",
    "CI_PROJECT_DIR",
    "GITHUB_WORKSPACE",
    "HOME",
    "LOCALAPPDATA",
    "RUNNER_TEMP",
    "TMPDIR",
    "USERPROFILE",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
];

/// Go's variables that may hold a password.
const SECRETS: [&str; 3] = ["GOAUTH", "GOCACHEPROG", "GOPROXY"];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Handover {
    vars: BTreeMap<String, String>,
    cwd: PathBuf,
    os: String,
    arch: String,
    options: Options,
    rules: BTreeMap<Rule, Level>,
    silence: Vec<Silence>,
    configuration: Option<Configuration>,
    shard: Option<Shard>,
}

/// `settings` as text, without what is for the outside alone: files to write,
/// standard output's form, variables that are no business of a cache check.
///
/// # Errors
/// A path is not UTF-8.
pub fn write(settings: &Settings) -> Result<Vec<u8>, CommandError> {
    let Settings {
        environment,
        options,
        rules,
        silence,
        configuration,
        shard,
        // Refused together with a sandbox, or done outside.
        write_baseline: _,
        quiet: _,
        color: _,
    } = settings;
    let mut vars: BTreeMap<String, String> = environment
        .vars
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
        .filter(|(name, _)| bears_on_caches(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // Found outside, perhaps by way of PATH.
    if let Some(goroot) = locate::go_settings(environment)
        .goroot
        .as_deref()
        .and_then(|path| path.to_str())
    {
        vars.insert("GOROOT".to_owned(), goroot.to_owned());
    }
    let handover = Handover {
        vars,
        cwd: environment.cwd.clone(),
        os: environment.os.clone(),
        arch: environment.arch.clone(),
        options: Options {
            outputs: OutputOptions::default(),
            form: FormOptions::default(),
            // Inside is where it would go, and the policy rules outside.
            inside: SandboxOptions::default(),
            policy: PolicyOptions::default(),
            ..options.clone()
        },
        rules: rules.clone(),
        silence: silence.clone(),
        configuration: configuration.clone(),
        shard: *shard,
    };
    serde_json::to_vec(&handover)
        .map_err(CommandError::input("this cannot be handed to the sandbox"))
}

/// Settings as [`write`] wrote them; the report's form is JSON.
///
/// # Errors
/// Not such a text.
pub fn read(from: impl Read) -> Result<Settings, CommandError> {
    let mut text = Vec::new();
    from.take(MAX_BYTES).read_to_end(&mut text)?;
    let handover: Handover =
        serde_json::from_slice(&text).map_err(CommandError::input("--handover"))?;
    Ok(Settings {
        environment: Environment {
            vars: handover
                .vars
                .into_iter()
                .map(|(name, value)| (OsString::from(name), OsString::from(value)))
                .collect(),
            cwd: handover.cwd,
            os: handover.os,
            arch: handover.arch,
        },
        options: Options {
            form: FormOptions {
                format: Some(Format::Json),
            },
            ..handover.options
        },
        rules: handover.rules,
        silence: handover.silence,
        configuration: handover.configuration,
        shard: handover.shard,
        quiet: true,
        ..Settings::default()
    })
}

fn bears_on_caches(name: &str) -> bool {
    let known = |names: &[&str]| names.iter().any(|known| OsStr::new(known) == name);
    known(&PLACES) || (name.starts_with("GO") && !known(&SECRETS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::ConfigOrigin;

    #[test]
    fn what_bears_on_caches_arrives_and_nothing_else() {
        let given = [
            ("GOFLAGS", "-mod=mod"),
            ("GOPROXY", "https://user:password@proxy.example"),
            ("HOME", "/home/u"),
            ("GITHUB_TOKEN", "secret"),
        ];
        let mut options = Options::default();
        options.projects.project = vec!["a".into()];
        options.goals.max_size = Some("warn=1GB,fail=2GB".parse().unwrap());
        options.outputs.output = vec!["sarif=x.sarif".parse().unwrap()];
        let settings = Settings {
            environment: Environment {
                vars: given
                    .iter()
                    .map(|(name, value)| (name.into(), value.into()))
                    .collect(),
                cwd: "/src".into(),
                os: "linux".into(),
                arch: "amd64".into(),
            },
            options,
            rules: [(Rule::Drift, Level::Deny)].into(),
            configuration: Some(Configuration {
                path: "/src/gocachevet.toml".to_owned(),
                origin: ConfigOrigin::Project,
                affects: vec!["rules.drift = deny".to_owned()],
            }),
            shard: Some("2/3".parse().unwrap()),
            ..Settings::default()
        };
        let text = write(&settings).unwrap();
        let arrived = read(text.as_slice()).unwrap();
        let mut names: Vec<_> = arrived.environment.vars.keys().collect();
        names.retain(|name| *name != "GOROOT");
        assert_eq!(names, ["GOFLAGS", "HOME"]);
        assert_eq!(arrived.environment.cwd, settings.environment.cwd);
        assert_eq!(arrived.options.projects, settings.options.projects);
        assert_eq!(arrived.options.goals, settings.options.goals);
        assert_eq!(arrived.options.outputs.output, []);
        assert_eq!(
            (arrived.rules, arrived.configuration),
            (settings.rules, settings.configuration)
        );
        assert_eq!(arrived.shard, settings.shard);
    }

    #[test]
    fn what_is_no_handover_is_refused() {
        for text in ["", "{}", "null", "[1]"] {
            assert!(
                matches!(read(text.as_bytes()), Err(CommandError::Input { .. })),
                "{text}"
            );
        }
    }
}
