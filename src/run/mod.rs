//! One run, step by step: locate, scan, verify, then judge and report.
//!
//! Commands differ in what they do with what was found; how it is found is the
//! same for all, and stands here.

mod aftermath;
mod compare;
mod judge;
mod look;
mod output;
mod price;
mod shards;
mod usage;
mod weigh;

pub use aftermath::{Gone, next_go_trim};
pub use compare::{accounts, compare};
pub use judge::report;
pub use look::{Found, Unwatched, Watch, jobs, look, look_briefly};
pub(crate) use look::{cached_sumdb, root_of, sumdb_setting};
pub(crate) use output::refuse_links;
pub use output::{write_report, writes};
pub use price::{restore_rate, restored, saved_per_restore, with_measured_rate};
pub use shards::whole;
pub use usage::{record, set_mark};
pub use weigh::{used_within_grace, weights};
#[cfg(target_os = "linux")]
pub(crate) use {usage::state_path, weigh::go_versions};
