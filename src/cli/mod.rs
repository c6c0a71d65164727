//! The command line: what the user typed becomes [`Settings`], a command does
//! its work, and the result becomes an exit code. The report goes to standard
//! output, everything else to standard error.

mod args;
pub mod check;
#[cfg(not(target_family = "wasm"))]
pub mod doctor;
pub mod explain;
pub mod handover;
pub mod list;
pub mod mark;
#[cfg(not(target_family = "wasm"))]
pub mod mirror;
pub mod pack;
pub mod progress;
pub mod remote;
pub mod report;
#[cfg(all(feature = "sandbox", not(target_family = "wasm")))]
mod sandboxed;
#[cfg(not(all(feature = "sandbox", not(target_family = "wasm"))))]
#[path = "no_sandbox.rs"]
mod sandboxed;
mod settings;
pub mod trim;
mod why;

pub use args::{Cli, Color, Command, PolicyArgs};
pub use settings::Settings;

use crate::config::ConfigError;
use crate::locate::{Environment, LocateError};
use crate::report::Verdict;
use clap::Parser;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// Why a command ended without a verdict.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Wrong usage or configuration: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The work could not be done: exit code 3.
    #[error("{0}")]
    Work(String),
    /// Nobody reads on; no error at all.
    #[error("broken pipe")]
    BrokenPipe,
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> CliError {
        CliError::Usage(error.to_string())
    }
}

impl From<LocateError> for CliError {
    fn from(error: LocateError) -> CliError {
        CliError::Usage(error.to_string())
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> CliError {
        match error.kind() {
            io::ErrorKind::BrokenPipe => CliError::BrokenPipe,
            _ => CliError::Work(error.to_string()),
        }
    }
}

/// Runs a command line; the first of `args` is the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(pack::name_the_bundle(args)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors and go to standard output.
            let code = if error.use_stderr() { 2 } else { 0 };
            // Nobody left to tell if this fails.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let result = dispatch(cli, Environment::of_process(), &mut out);
    let result = result.and_then(|verdict| {
        out.flush()?;
        Ok(verdict)
    });
    match &result {
        Ok(_) | Err(CliError::BrokenPipe) => {}
        Err(error) => {
            let error = error.to_string();
            let _ = writeln!(io::stderr(), "gocachevet: {error}");
            if cfg!(target_family = "wasm") && error.contains("(os error 52)") {
                let _ = writeln!(io::stderr(), "{NOT_WRITABLE}");
            }
        }
    }
    ExitCode::from(exit_code(&result))
}

/// Whether this program works on caches, as all but one of its forms do.
///
/// The WASI module is two, as both in one would be too large: the first works on
/// caches, the second, made with the feature `files`, on bundles and reports.
const ON_CACHES: bool = cfg!(not(all(target_family = "wasm", feature = "files")));

/// Whether this program packs bundles and reads reports.
const ON_FILES: bool = cfg!(any(not(target_family = "wasm"), feature = "files"));

/// What is said where another form of the program has the command.
const ELSEWHERE: &str = "of the WASI modules, gocachevet.wasm has check, list, mark and trim, and gocachevet-files.wasm pack and report";

/// What is said of `ENOSYS`, wazero's answer to a write below a read-only mount.
const NOT_WRITABLE: &str = "gocachevet: the runtime has handed over that folder read-only: hand it over writable (for wazero: without `:ro`)";

/// Runs one command; `out` is standard output.
fn dispatch(cli: Cli, environment: Environment, out: &mut dyn Write) -> Result<Verdict, CliError> {
    let command = cli.command.unwrap_or(Command::Check);
    if cli.policy.shard.is_some() && !matches!(command, Command::Check) {
        let message = "--shard splits a `check` only";
        return Err(CliError::Usage(message.to_owned()));
    }
    match command {
        Command::Check | Command::List(_) | Command::Mark | Command::Trim(_) if !ON_CACHES => {
            Err(CliError::Usage(ELSEWHERE.to_owned()))
        }
        Command::Pack(_) | Command::Report(_) if !ON_FILES => {
            Err(CliError::Usage(ELSEWHERE.to_owned()))
        }
        Command::Explain(args) => explain::run(&args, out),
        Command::Check if cli.policy.handover => {
            check::run(&handover::read(io::stdin().lock())?, out)
        }
        Command::Check => {
            let settings = Settings::new(cli.options, Default::default(), cli.policy, environment)?;
            check::run(&settings, out)
        }
        Command::Report(args) => {
            let settings = Settings::new(cli.options, Default::default(), cli.policy, environment)?;
            report::run(&settings, &args, out)
        }
        Command::Mark => {
            let settings = Settings::new(cli.options, Default::default(), cli.policy, environment)?;
            mark::run(&settings, out)
        }
        Command::Trim(args) => {
            let settings =
                Settings::new(cli.options, args.retention.clone(), cli.policy, environment)?;
            trim::run(&settings, &args, out)
        }
        #[cfg(not(target_family = "wasm"))]
        Command::Mirror(command) => {
            crate::mirror::command::run(&command, &cli.options, &environment, out)
        }
        #[cfg(not(target_family = "wasm"))]
        Command::Remote(command) => {
            remote::run(&command, &cli.options, &cli.policy, &environment, out)
        }
        Command::List(args) => {
            let settings =
                Settings::new(cli.options, args.retention.clone(), cli.policy, environment)?;
            list::run(&settings, &args, out)
        }
        Command::Pack(args) => {
            let settings = Settings::new(cli.options, Default::default(), cli.policy, environment)?;
            crate::pack::command::run(&settings, &args, out)
        }
        #[cfg(target_family = "wasm")]
        Command::Other(words) => Err(not_here(&words)),
        #[cfg(not(target_family = "wasm"))]
        Command::Doctor(args) => {
            let settings = Settings::new(cli.options, Default::default(), cli.policy, environment)?;
            doctor::run(&settings, &args, out)
        }
    }
}

/// Why a command is not in the WASI module.
#[cfg(target_family = "wasm")]
fn not_here(words: &[OsString]) -> CliError {
    let name = words.first().map(|name| name.to_string_lossy());
    match name.as_deref() {
        Some(name @ ("doctor" | "mirror" | "remote")) => CliError::Usage(format!(
            "{name}: the WASI module does not have this command; run the native program"
        )),
        name => CliError::Usage(format!(
            "there is no command {:?}; --help lists them",
            name.unwrap_or_default()
        )),
    }
}

/// 0 passed, 1 the policy failed, 2 wrong usage, 3 the work could not be done.
fn exit_code(result: &Result<Verdict, CliError>) -> u8 {
    match result {
        Ok(Verdict::Pass | Verdict::Warn) | Err(CliError::BrokenPipe) => 0,
        Ok(Verdict::Fail) => 1,
        Err(CliError::Usage(_)) => 2,
        Err(CliError::Work(_)) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_a_contract() {
        let broken: CliError = io::Error::from(io::ErrorKind::BrokenPipe).into();
        for (result, code) in [
            (Ok(Verdict::Pass), 0),
            (Ok(Verdict::Warn), 0),
            (Ok(Verdict::Fail), 1),
            (Err(CliError::Usage(String::new())), 2),
            (Err(LocateError::GocacheOff.into()), 2),
            (Err(io::Error::from(io::ErrorKind::StorageFull).into()), 3),
            (Err(broken), 0),
        ] {
            assert_eq!(exit_code(&result), code, "{result:?}");
        }
    }
}
