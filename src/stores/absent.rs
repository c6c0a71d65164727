//! No object stores: what is asked of one cannot happen, since none can be opened.

use crate::error::CommandError;
use crate::settings::Environment;
use std::path::{Path, PathBuf};

#[derive(Clone)]
pub(crate) enum Tag {}

pub(crate) enum Objects {}

impl Objects {
    pub(crate) fn open(_: &str, _: &Environment) -> Result<Objects, CommandError> {
        Err(CommandError::Usage(
            "--store: this build keeps snapshots in folders only; object stores take the feature `remote`".into(),
        ))
    }

    pub(crate) fn read(&self, _: &str, _: u64) -> Result<Option<(Vec<u8>, Tag)>, CommandError> {
        match *self {}
    }

    pub(crate) fn replace(
        &self,
        _: &str,
        _: Vec<u8>,
        _: Option<&Tag>,
    ) -> Result<bool, CommandError> {
        match *self {}
    }

    pub(crate) fn has(&self, _: &str) -> Result<bool, CommandError> {
        match *self {}
    }

    pub(crate) fn fetch(&self, _: &[(String, PathBuf)]) -> Result<(), CommandError> {
        match *self {}
    }

    pub(crate) fn send(&self, _: &Path, _: &str) -> Result<(), CommandError> {
        match *self {}
    }

    pub(crate) fn list(&self, _: &str, _: usize) -> Result<Option<Vec<String>>, CommandError> {
        match *self {}
    }

    pub(crate) fn remove(&self, _: &str) -> Result<(), CommandError> {
        match *self {}
    }
}
