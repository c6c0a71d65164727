//! The report in every form. Each renderer is a pure function of the
//! [`Report`](crate::report::Report) and knows nothing else.

mod codequality;
mod doctor;
mod fingerprint;
mod github;
mod json;
mod list;
mod markdown;
mod openmetrics;
mod remote;
mod sarif;
mod summary;
pub(crate) mod table;
mod text;
mod trend;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use codequality::codequality;
pub use github::github;
pub use json::json;
pub(crate) use json::pretty;
pub use list::{list_json, list_text};
pub use markdown::markdown;
pub use openmetrics::openmetrics;
pub(crate) use remote::lines as remote_lines;
pub use sarif::sarif;
pub use text::{TextStyle, text};
