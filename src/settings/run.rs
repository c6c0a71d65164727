//! What is meant: flags over the configuration, validated.

use super::{Configuration, Environment, Options, Silence};
use crate::findings::{Level, Rule};
use crate::values::shard::Shard;
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Everything that a run was asked for.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The world around.
    pub environment: Environment,
    /// Options; flags have won over the configuration.
    pub options: Options,
    /// Levels that differ from the rules' defaults.
    pub rules: BTreeMap<Rule, Level>,
    /// Findings that are known and accepted.
    pub silence: Vec<Silence>,
    /// The configuration file that ruled, and what it does.
    pub configuration: Option<Configuration>,
    /// Where to write a baseline.
    pub write_baseline: Option<PathBuf>,
    /// The part of the work to do; `None` is all of it.
    pub shard: Option<Shard>,
    /// No progress, no log.
    pub quiet: bool,
    /// When to use colour.
    pub color: Color,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
