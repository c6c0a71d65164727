//! What is looked after past the caches of this machine: what GitHub keeps of
//! them, and a module proxy's storage.

pub mod eviction;
pub mod heat;
pub mod mirror;
#[cfg(feature = "remote")]
pub mod remote;
pub mod report;
