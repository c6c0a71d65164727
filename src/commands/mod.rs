//! The commands, one file each: its options, its steps, its words; and what is
//! typed: it becomes [`Settings`], a command does its work, and the result
//! becomes an exit code. The report goes to standard output, everything else to
//! standard error.

pub mod check;
#[cfg(not(target_family = "wasm"))]
pub mod doctor;
pub mod explain;
// The host of a sandbox writes what its guest reads.
#[cfg_attr(not(feature = "sandbox"), allow(dead_code))]
pub mod handover;
pub mod list;
pub mod mark;
#[cfg(not(target_family = "wasm"))]
pub mod mirror;
pub mod pack;
pub mod remote;
pub mod report;
#[cfg(target_os = "linux")]
pub mod restore;
#[cfg(all(feature = "sandbox", not(target_family = "wasm")))]
mod sandboxed;
#[cfg(not(all(feature = "sandbox", not(target_family = "wasm"))))]
#[path = "no_sandbox.rs"]
mod sandboxed;
#[cfg(target_os = "linux")]
pub mod save;
#[cfg(target_os = "linux")]
pub mod seal;
pub mod trim;
mod why;

use crate::cli::{TerminalArgs, Typed, log};
use crate::error::CommandError;
use crate::report::Verdict;
#[cfg(not(target_family = "wasm"))]
use crate::settings::Options;
use crate::settings::{Environment, Settings};
use crate::text::escape::terminal;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// Checks Go's module cache and build cache: size, age, hit rate, checksum
/// health; fails or trims by policy.
///
/// Without a command it checks: `gocachevet check -h` shows the options. Exit
/// codes: 0 passed, 1 the policy failed, 2 wrong usage or configuration, 3 the
/// work could not be done.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "gocachevet",
    version,
    max_term_width = 100,
    override_usage = "gocachevet [COMMAND] [OPTIONS]"
)]
pub struct Cli {
    /// What to do [default: check]
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What the terminal gets.
    #[command(flatten)]
    pub terminal: TerminalArgs,
    /// What a check takes, and before another command what that takes as well.
    #[command(flatten)]
    pub check: check::Line,
}

/// The commands.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Check both caches and judge them (the default)
    Check(check::Line),
    /// Shrink the caches to what builds use; alone it removes residue only
    Trim(Box<trim::TrimArgs>),
    /// At the start of a job: remember what the caches hold, so that use can be told
    Mark(mark::Line),
    /// What takes the space
    List(Box<list::ListArgs>),
    /// Bring back what `save` kept, proven while it is unpacked
    #[cfg(target_os = "linux")]
    Restore(Box<restore::RestoreArgs>),
    /// Keep what this job used for the next one
    #[cfg(target_os = "linux")]
    Save(Box<save::SaveArgs>),
    /// A pair of keys for sealed snapshots
    #[cfg(target_os = "linux")]
    Seal(seal::SealArgs),
    /// A bundle for builds without a network, from the cache alone
    Pack(Box<pack::PackArgs>),
    /// GitHub Actions caches: what is kept, what it is worth, what to delete
    #[cfg(not(target_family = "wasm"))]
    #[command(subcommand)]
    Remote(Box<remote::RemoteCommand>),
    /// A module proxy's storage: what is asked for, what to evict
    #[cfg(not(target_family = "wasm"))]
    #[command(subcommand)]
    Mirror(Box<mirror::MirrorCommand>),
    /// Go's settings as they bear on the caches
    #[cfg(not(target_family = "wasm"))]
    Doctor(doctor::DoctorArgs),
    /// Render saved JSON reports again; merge those of all shards into one
    Report(report::ReportArgs),
    /// What a rule means, how it comes about, and what to do
    Explain(explain::ExplainArgs),
    /// What the WASI module leaves to the native program, and what is no command.
    #[cfg(target_family = "wasm")]
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// The whole command line. Help on it names the commands; what a check takes is told
/// by `check`.
pub(crate) fn grammar() -> clap::Command {
    let mut grammar = Cli::command().mut_args(|arg| match arg.is_global_set() {
        true => arg,
        false => arg.hide(true),
    });
    grammar.build();
    grammar
}

/// Runs a command line; the first of `args` is the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let grammar = grammar();
    let read = grammar.clone().try_get_matches_from(args);
    let read = read.and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches)?;
        Ok((cli, Typed::of(&grammar, &matches)?))
    });
    let (cli, typed) = match read {
        Ok(read) => read,
        Err(error) => {
            // Help and version are no errors and go to standard output.
            let code = if error.use_stderr() { 2 } else { 0 };
            // Nobody left to tell if this fails.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    log::start(cli.terminal.verbose);
    let result = dispatch(cli, &typed, Environment::of_process(), &mut out);
    let result = result.and_then(|verdict| {
        out.flush()?;
        Ok(verdict)
    });
    match &result {
        Ok(_) | Err(CommandError::BrokenPipe) => {}
        Err(error) => {
            let text = error.text();
            // It may quote a checkout's file; runners look for commands here as well.
            for (lead, line) in std::iter::once("gocachevet: ")
                .chain(std::iter::repeat(""))
                .zip(text.lines().chain(error.hint()))
            {
                let _ = writeln!(io::stderr(), "{lead}{}", terminal(line));
            }
        }
    }
    ExitCode::from(exit_code(&result))
}

/// Runs one command; `out` is standard output.
fn dispatch(
    cli: Cli,
    typed: &Typed<'_>,
    environment: Environment,
    out: &mut dyn Write,
) -> Result<Verdict, CommandError> {
    let settings = || Settings::new(typed, cli.terminal, &environment);
    match cli.command.unwrap_or(Command::Check(cli.check)) {
        Command::Check(_) => {
            let args = typed.over(check::CheckArgs::default())?;
            let settings = match args.handover {
                true => handover::read(io::stdin().lock())?,
                false => Settings {
                    shard: args.shard,
                    ..settings()?
                },
            };
            check::run(&settings, &args, out)
        }
        Command::Explain(args) => explain::run(&args, out),
        Command::Report(args) => report::run(&settings()?, &args, out),
        Command::Mark(_) => mark::run(&settings()?, out),
        Command::Trim(args) => trim::run(&settings()?, &args, out),
        #[cfg(not(target_family = "wasm"))]
        Command::Mirror(command) => {
            let options = typed.options(Options::default())?;
            mirror::run(&command, &options, &environment, out)
        }
        #[cfg(not(target_family = "wasm"))]
        Command::Remote(command) => {
            let options = typed.options(Options::default())?;
            remote::run(&command, &options, &environment, out)
        }
        Command::List(args) => list::run(&settings()?, &args, out),
        #[cfg(target_os = "linux")]
        Command::Restore(args) => restore::run(&settings()?, &args, out),
        #[cfg(target_os = "linux")]
        Command::Save(args) => save::run(&settings()?, &args, out),
        #[cfg(target_os = "linux")]
        Command::Seal(args) => seal::run(&args, &environment, out),
        Command::Pack(args) => pack::run(&settings()?, &args, out),
        #[cfg(target_family = "wasm")]
        Command::Other(words) => Err(not_here(&words)),
        #[cfg(not(target_family = "wasm"))]
        Command::Doctor(args) => doctor::run(&settings()?, &args, out),
    }
}

/// Why a command is not in the WASI module.
#[cfg(target_family = "wasm")]
fn not_here(words: &[OsString]) -> CommandError {
    let name = words.first().map(|name| name.to_string_lossy());
    match name.as_deref() {
        Some(name @ ("doctor" | "mirror" | "remote")) => CommandError::Usage(
            format!("{name}: the WASI module does not have this command; run the native program")
                .into(),
        ),
        name => CommandError::Usage(
            format!(
                "there is no command {:?}; --help lists them",
                name.unwrap_or_default()
            )
            .into(),
        ),
    }
}

/// 0 passed, 1 the policy failed, else what the error says.
fn exit_code(result: &Result<Verdict, CommandError>) -> u8 {
    match result {
        Ok(Verdict::Pass | Verdict::Warn) => 0,
        Ok(Verdict::Fail) => 1,
        Err(error) => error.exit_code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locate::LocateError;

    #[test]
    fn exit_codes_are_a_contract() {
        let broken: CommandError = io::Error::from(io::ErrorKind::BrokenPipe).into();
        for (result, code) in [
            (Ok(Verdict::Pass), 0),
            (Ok(Verdict::Warn), 0),
            (Ok(Verdict::Fail), 1),
            (Err(CommandError::Usage(String::new().into())), 2),
            (Err(LocateError::GocacheOff.into()), 2),
            (Err(LocateError::Absent(String::new(), "").into()), 3),
            (Err(io::Error::from(io::ErrorKind::StorageFull).into()), 3),
            (Err(broken), 0),
        ] {
            assert_eq!(exit_code(&result), code, "{result:?}");
        }
    }
}
