//! The cache client against a service on loopback that is held to GitHub's
//! published description, and against one that misbehaves.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// None of what modules share is a public interface.
#![allow(unreachable_pub)]

mod client;
mod command;
mod fake;
mod faults;
mod online;
mod spec;
#[path = "../support/mod.rs"]
mod support;
