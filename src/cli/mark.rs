//! `gocachevet mark`.

use super::{CliError, Settings};
use crate::findings::display_path;
use crate::flow;
use crate::render::escape;
use crate::report::Verdict;
use chrono::Utc;
use std::io::Write;

/// Remembers what the caches hold, and says so in a line.
pub fn run(settings: &Settings, out: &mut dyn Write) -> Result<Verdict, CliError> {
    let marked = flow::set_mark(settings, Utc::now())?;
    let head = &marked.state.head;
    writeln!(
        out,
        "marked {} build-cache entries ({} set back) and {} module versions in {}",
        marked.state.actions.len(),
        marked.set_back,
        head.versions.len(),
        escape::terminal(&display_path(&marked.path))
    )?;
    match marked.error {
        None => Ok(Verdict::Pass),
        Some(error) => {
            out.flush()?;
            Err(CliError::Work(format!(
                "the times of some build-cache entries could not be set, so their use will not be seen: {error}"
            )))
        }
    }
}
