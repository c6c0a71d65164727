use super::{Bounds, Guest, SandboxError, run};
use serde::Deserialize;

/// A ruling has a handful of messages; more than this is a flood.
const MAX_OUTPUT: usize = 1024 * 1024;

/// What a policy module says about a report.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruling {
    /// Its verdict.
    pub status: Status,
    /// Why, a sentence each. Written by the module: text like any from a cache.
    #[serde(default)]
    pub messages: Vec<String>,
}

/// A policy module's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing to complain about.
    Pass,
    /// Something to look at.
    Warn,
    /// The check fails.
    Fail,
}

/// Runs a policy module: the JSON report goes to its standard input, the
/// ruling, `{"status": "pass"|"warn"|"fail", "messages": [...]}`, comes from
/// its standard output.
///
/// # Errors
/// The module breaches a bound, traps, ends with another status than 0, or
/// answers anything but a ruling.
pub fn rule(module: &[u8], report: Vec<u8>, bounds: &Bounds) -> Result<Ruling, SandboxError> {
    let guest = Guest {
        args: vec!["policy".to_owned()],
        folders: Vec::new(),
        stdin: report,
    };
    let bounds = Bounds {
        output: MAX_OUTPUT.min(bounds.output),
        ..*bounds
    };
    let finished = run(module, guest, &bounds)?;
    if finished.status != 0 {
        let said = String::from_utf8_lossy(&finished.stderr);
        let said = said.trim().chars().take(1000).collect::<String>();
        let separator = if said.is_empty() { "" } else { ": " };
        return Err(SandboxError::Answer(format!(
            "it ended with status {}{separator}{said}",
            finished.status
        )));
    }
    serde_json::from_slice(&finished.stdout)
        .map_err(|error| SandboxError::Answer(error.to_string()))
}
