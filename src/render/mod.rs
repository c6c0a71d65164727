//! The report in every form. Each renderer is a pure function of the
//! [`Report`](crate::report::Report) and knows nothing else.

mod codequality;
pub(crate) mod document;
mod fingerprint;
mod github;
mod json;
mod list;
mod markdown;
mod openmetrics;
pub(crate) mod remote;
mod sarif;
pub(crate) mod section;
mod summary;
mod terminal;
mod trend;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use codequality::codequality;
pub use document::{markdown, text};
pub use github::github;
pub(crate) use json::json;
pub use list::list_text;
pub use openmetrics::openmetrics;
pub use sarif::sarif;
pub(crate) use terminal::terminal;
