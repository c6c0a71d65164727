//! What the commands share of the command line: grammar, settings as flags over
//! the configuration, and progress.

mod args;
pub(crate) mod grammar;
pub(crate) mod log;
pub mod progress;
mod settings;

pub use args::{BaselineArgs, ConfigArgs, Judged, Reporting, TerminalArgs, Use, Where};
pub(crate) use grammar::text_or_json;
pub use grammar::{Takes, Typed};
