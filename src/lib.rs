//! Checks Go's module cache and build cache: size, age, hit rate and
//! checksum health, judged and trimmed by policy.
//!
//! The floors, from the top down. `docs/architecture.md` draws them.

// One file a command: its options, its steps, its words.
pub mod commands;

// What commands share: grammar, exit codes, terminal.
pub mod cli;

// What is looked after past this machine's caches.
pub mod services;

pub mod bundle;
#[cfg(not(target_family = "wasm"))]
pub mod doctor;
#[cfg(all(feature = "sandbox", not(target_family = "wasm")))]
pub mod sandbox;

// The steps in order.
pub mod run;

// One step a room.
pub mod act;
pub mod drift;
pub mod judge;
pub mod locate;
pub mod plan;
pub mod render;
pub mod report;
pub mod scan;
pub mod usage;
pub mod verify;

// Go's own formats and proofs.
pub mod formats;
pub mod graph;
pub mod sumdb;

// What was typed and configured, as typed values.
pub mod settings;

// The ground.
pub mod error;
pub mod findings;
pub mod folder;
pub mod parallel;
pub mod text;
pub mod values;
