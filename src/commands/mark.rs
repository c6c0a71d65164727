//! `gocachevet mark`.

use crate::cli::{Takes, Where};
use crate::error::CommandError;
use crate::findings::display_path;
use crate::report::Verdict;
use crate::run as steps;
use crate::settings::{MarkOptions, Settings};
use crate::text::escape;
use chrono::Utc;
use std::io::Write;

/// What `mark` takes.
pub type Line = Takes<Where, MarkOptions>;

/// Remembers what the caches hold, and says so in a line.
pub fn run(settings: &Settings, out: &mut dyn Write) -> Result<Verdict, CommandError> {
    let marked = steps::set_mark(settings, Utc::now())?;
    let head = &marked.state.head;
    writeln!(
        out,
        "marked {} build-cache entries ({} set back) and {} module versions in {}",
        marked.state.actions.len(),
        marked.set_back,
        head.versions.len(),
        escape::terminal(&display_path(&marked.path))
    )?;
    if marked.unseen == 0 {
        return Ok(Verdict::Pass);
    }
    let why = marked.error.map(|error| format!(": {error}"));
    writeln!(
        out,
        "warning: the use of {} of these entries will not be seen, since they belong to another user, lie in the future or did not take the time set{}; none of them will go for being unused",
        marked.unseen,
        why.unwrap_or_default()
    )?;
    Ok(Verdict::Warn)
}
