//! The policy: what the user typed, on the command line and in
//! `gocachevet.toml`, validated into what is meant.
//!
//! One struct, [`Options`], serves both: every group in it is of the command line
//! and of the file, under the same names, and flags win. A project's own file may
//! not name places to write or caches to change.

mod environment;
mod file;
mod options;
mod retention;
mod run;

pub use environment::Environment;
pub(crate) use environment::{clean, go_arch};
#[cfg(test)]
pub(crate) use file::parse;
pub use file::{ConfigFile, ConfigOrigin, Silence, find, load};
pub use options::{
    BaselineOptions, CacheOptions, EffortOptions, FormOptions, Format, GoOptions, GoalOptions,
    LimitOptions, Live, MarkOptions, MountOptions, Options, OutputOptions, PolicyOptions,
    PriceOptions, ProjectOptions, SandboxOptions, StrictnessOptions, VerifyLevel,
};
pub use retention::{RetentionOptions, Slim, Tier};
pub use run::{Color, Settings};

use serde::{Deserialize, Serialize};

/// A configuration file that ruled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Configuration {
    /// The file.
    pub path: String,
    /// Who chose it.
    pub origin: ConfigOrigin,
    /// What it does to the verdict and to what is removed: levels, silences, limits
    /// and whatever else bears on them, such as `verify = "quick"`.
    pub affects: Vec<String>,
}
