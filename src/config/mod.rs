//! The policy: what the user typed, on the command line and in
//! `gocachevet.toml`, validated into what is meant.
//!
//! One struct, [`Options`], serves both: every option of the command line is a
//! key of the file under the same name, and flags win. A project's own file may
//! not name places to write or caches to change.

mod file;
mod options;
mod values;

#[cfg(test)]
pub(crate) use file::parse;
pub use file::{ConfigFile, ConfigOrigin, Said, Silence, find, load};
pub use options::{Format, Live, Options, Output, VerifyLevel};
pub use values::{Age, Limit, Rate, Share, Size};

/// Why a configuration cannot be used. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
    /// The file is not a valid configuration.
    #[error("{path}: {message}")]
    Invalid {
        /// The file.
        path: String,
        /// What is wrong, where, and what was expected.
        message: String,
    },
}
