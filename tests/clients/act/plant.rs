//! Plants in a sealed store whatever somebody could who can write to it, each time in
//! a copy: `plant STORE KEY OUT` makes `OUT/1` and so on, and prints a line for each.
//! The pair of keys is in `SEAL_KEY` and `SEALED_BY`.

// It fails by panicking, as a test does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

#[path = "../../support/mod.rs"]
mod support;

use std::path::PathBuf;
use support::copy_tree;
use support::seals::{IN_THE_STORE, Job, KEY, Pair};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [store, key, out] = &args[..] else {
        panic!("usage: plant STORE KEY OUT");
    };
    let var = |name| std::env::var(name).unwrap();
    let mut job = Job::new();
    // As the runner has it.
    job.env.set("CGO_ENABLED", "0");
    job.name = key.clone();
    job.repository = std::env::var("GITHUB_REPOSITORY").ok();
    job.keys = Pair {
        secret: var(KEY),
        public: var("SEALED_BY"),
    };
    for (number, (name, plant)) in IN_THE_STORE.iter().enumerate() {
        job.store = PathBuf::from(out).join((number + 1).to_string());
        copy_tree(store.as_ref(), &job.store);
        job.env.forget_caches();
        job.restore(&[]).expect_code(0);
        job.build();
        plant(&job);
        println!("{name}");
    }
}
