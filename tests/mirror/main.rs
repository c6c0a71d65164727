//! Real storages of real proxies, trimmed, and then asked by a real `go`.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "remote")]
mod artifactory;
mod athens;
mod goproxy;
