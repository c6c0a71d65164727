//! The real binary on real caches that the real `go` made: one program, so that what the
//! tests share is compiled once. `cargo test --test e2e trim::` runs a file's tests.

#[path = "../support/mod.rs"]
mod support;

mod advice;
mod bundles;
mod check;
mod doors;
mod drift;
mod edits;
mod eviction;
mod faults;
mod formats;
mod graph;
mod hostile;
mod layers;
mod links;
mod names;
mod options;
mod output;
mod pack;
mod policy;
mod provenance;
mod reads;
mod repair;
mod seals;
mod shards;
mod snapshots;
mod sumdb;
mod support_works;
mod terminal;
mod trim;
mod trim_races;
mod trust;
mod two_users;
mod usage;
mod uses;
mod vcs;
mod zips;
