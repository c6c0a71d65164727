//! WASI modules run inside the native program: the checker itself
//! (`--sandbox`) and a user's policy (`--policy`).
//!
//! A guest gets its arguments, its input and folders to read, and nothing
//! else: no environment, no network, nothing to write to but standard output
//! and standard error. Its memory, time and output are bounded; going over a
//! bound ends it and is an error here, never a result.

mod check;
mod compiled;
mod host;
mod output;
mod policy;

pub use check::{Checked, check};
pub use host::{Guest, run};
pub use policy::{Status, rule};

use std::time::Duration;

/// What a guest may use at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of linear memory.
    pub memory: u64,
    /// Wall time, compilation included.
    pub time: Duration,
    /// Bytes on standard output.
    pub output: usize,
}

/// Why a guest's run gave no result. Exit code 3.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// It asked for more memory than it may have.
    #[error(
        "the sandboxed module went over its memory bound of {}: raise --sandbox-memory if that is too little",
        bytesize::ByteSize::b(*.0).display().iec()
    )]
    Memory(u64),
    /// It did not end in time.
    #[error(
        "the sandboxed module went over its time bound of {}: raise --sandbox-time if that is too little",
        humantime::format_duration(*.0)
    )]
    Time(Duration),
    /// It wrote more than it may.
    #[error("the sandboxed module wrote more than {0} bytes")]
    Output(usize),
    /// It crashed.
    #[error("the sandboxed module trapped: {0}")]
    Trap(String),
    /// It is not a module that can run here.
    #[error("not a usable WASI module: {0}")]
    Module(String),
    /// It ran, but its answer makes no sense.
    #[error("the sandboxed module's answer makes no sense: {0}")]
    Answer(String),
    /// The sandbox itself could not be set up.
    #[error("the sandbox could not be set up: {0}")]
    Setup(String),
}

#[cfg(test)]
mod tests;
