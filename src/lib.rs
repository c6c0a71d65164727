//! Checks Go's module cache and build cache: size, age, hit rate and
//! checksum health, judged and trimmed by policy.
//!
//! The modules follow the flow of one run:
//! [`locate`], [`scan`], [`verify`], [`usage`], [`judge`], [`report`], [`render`].
//! `docs/architecture.md` draws it.

pub mod act;
pub mod cli;
pub mod config;
#[cfg(not(target_family = "wasm"))]
pub mod doctor;
pub mod drift;
pub mod eviction;
pub mod findings;
pub mod flow;
pub mod folder;
pub mod formats;
pub mod graph;
pub mod heat;
mod json;
pub mod judge;
pub mod locate;
#[cfg(not(target_family = "wasm"))]
pub mod mirror;
mod nearest;
pub mod pack;
pub mod parallel;
pub mod plan;
pub mod provenance;
pub mod remote;
pub mod render;
pub mod report;
#[cfg(all(feature = "sandbox", not(target_family = "wasm")))]
pub mod sandbox;
pub mod scan;
pub mod shard;
mod sorting;
pub mod sumdb;
pub mod usage;
pub mod verify;
