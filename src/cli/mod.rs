//! What the commands share of the command line: grammar, settings as flags over
//! the configuration, and progress.

mod args;
pub(crate) mod grammar;
pub(crate) mod log;
pub mod progress;
mod settings;

pub use args::{CheckArgs, ConfigArgs, JudgeArgs, TerminalArgs};
pub use grammar::Given;
