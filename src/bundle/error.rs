//! What can be wrong with a bundle.

use crate::formats::action::ActionError;
use crate::formats::gosum::GoSumError;
use crate::formats::h1::H1Error;
use crate::formats::info::InfoError;
use crate::formats::module::ModuleError;
use crate::verify::ZipError;
use std::io;

/// Why a bundle, or a file of one, is not what it has to be. The text follows its name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    /// It breaks a rule of bundles.
    #[error("{0}")]
    Rule(String),
    /// Its manifest lists something that cannot be in it.
    #[error("lists {0}: {1}")]
    Listed(String, Box<BundleError>),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Manifest(#[from] serde_json::Error),
    #[error(transparent)]
    Zip(#[from] ZipError),
    #[error(transparent)]
    Module(#[from] ModuleError),
    #[error(transparent)]
    Info(#[from] InfoError),
    #[error(transparent)]
    Action(#[from] ActionError),
    #[error(transparent)]
    Record(#[from] GoSumError),
    #[error(transparent)]
    Hash(#[from] H1Error),
}

impl From<String> for BundleError {
    fn from(rule: String) -> BundleError {
        BundleError::Rule(rule)
    }
}

impl From<&str> for BundleError {
    fn from(rule: &str) -> BundleError {
        BundleError::Rule(rule.to_owned())
    }
}
