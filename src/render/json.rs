//! The public contract itself.

use crate::report::Report;
use crate::text::escape;

/// The report as JSON, indented, with a line break at the end.
pub fn json(report: &Report) -> String {
    pretty(report)
}

/// Any of our values: none of them can fail to be written, since all keys are
/// strings and no value has an error of its own.
pub(crate) fn pretty(value: &impl serde::Serialize) -> String {
    let mut text = escape::json(serde_json::to_string_pretty(value).unwrap_or_default());
    text.push('\n');
    text
}
