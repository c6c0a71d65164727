//! One run, step by step: locate, scan, verify, then judge and report.
//!
//! Commands differ in what they do with what was found; how it is found is the
//! same for all, and stands here.

mod compare;
mod judge;
mod look;
mod output;
mod retention;
mod shards;
mod usage;

pub use compare::{accounts, compare};
pub use judge::report;
pub use look::{Found, Unwatched, Watch, jobs, look, look_briefly};
pub(crate) use look::{cached_sumdb, merged_sums, sumdb_setting};
pub(crate) use output::refuse_links;
pub use output::write_report;
pub(crate) use retention::root_of;
pub use retention::{
    Weighed, forget_removed, kept, next_go_trim, restore_rate, restored, saved_per_restore,
    used_within_grace, weigh, with_measured_rate,
};
pub use shards::whole;
pub use usage::{record, set_mark, uses};
#[cfg(target_os = "linux")]
pub(crate) use {retention::go_versions, usage::state_path};
