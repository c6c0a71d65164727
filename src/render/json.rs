//! The public contracts themselves.

use crate::text::escape;

/// Any of our values, indented, with a line break at the end. None of them can fail
/// to be written: all keys are strings and no value has an error of its own.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    let mut text = escape::json(serde_json::to_string_pretty(value).unwrap_or_default());
    text.push('\n');
    text
}
