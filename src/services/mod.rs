//! What is looked after past the caches of this machine: what GitHub keeps of
//! them, and a module proxy's storage.

pub mod eviction;
pub mod heat;
#[cfg(not(target_family = "wasm"))]
pub mod mirror;
pub mod remote;
