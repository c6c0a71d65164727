//! What end-to-end tests share: `mod support;` in a file of `tests/`.
//!
//! - [`GoEnv`]: a private Go environment (own caches, home, settings) in which
//!   the real `go` command runs, fed by a local copy of a few public modules.
//! - [`build_cache`]: a fresh module cache and build cache of a small [`Project`].
//! - [`gocachevet`]: runs the binary under test, nothing of this machine's
//!   environment leaking in.
//! - [`bundle`]: what `pack` makes, taken apart and put together again.
//! - [`seals`]: jobs that seal what they save, and who plants what in it.
//! - [`snapshot`] and [`assert_untouched`]: proof that a tree was not changed.
//! - [`copy_tree`], [`Scratch`]: trees with their times, and read-only ones.
//!
//! A missing `go` fails the test that needs it. Nothing here writes into the
//! machine's own caches. The first run on a machine downloads about 2 MB of
//! modules and compiles a part of Go's standard library (see [`shared`]).

// Each test file uses a part of this, and none of it is a public interface.
#![allow(dead_code, unused_imports, unreachable_pub, missing_docs)]
// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod bundle;
mod command;
mod dice;
mod go;
mod gos_own;
mod http;
mod lib_proxy;
mod report;
pub mod seals;
mod shared;
mod tree;
pub mod zip;

pub use command::{Gocachevet, Run, gocachevet};
pub use dice::{Dice, full_campaign};
pub use go::{Caches, GoEnv, Project, add_package, build_cache};
pub use gos_own::GosOwn;
pub use http::{Served, serve};
pub use lib_proxy::{LIB, lib_proxy, zip};
pub use report::complaints;
pub use shared::{MODULES, TOOLCHAIN, proxy, std_cache, toolchain_cache};
pub use tree::{
    Entry, Scratch, Snapshot, assert_untouched, copy_tree, copy_tree_fresh, make_writable, snapshot,
};
