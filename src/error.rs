//! Why a command ended without a verdict: what decides its exit code.

use std::io;

/// Why a command ended without a verdict.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
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

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> CommandError {
        match error.kind() {
            io::ErrorKind::BrokenPipe => CommandError::BrokenPipe,
            _ => CommandError::Work(error.to_string()),
        }
    }
}
