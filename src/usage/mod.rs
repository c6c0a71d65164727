//! What a job used of the caches: a mark at its start, a look at its end.
//!
//! [`mark`](mark::set) remembers what both caches hold and sets the times of
//! young build-cache entries back, since Go refreshes a time only when it is an
//! hour old. [`observe`] compares. The [`ledger`] carries what was observed
//! from job to job.

mod builds;
mod kinds;
pub mod ledger;
pub mod mark;
mod modules;
mod observed;
pub mod state;

pub use observed::{Context, Observed, observe};
pub use state::State;
