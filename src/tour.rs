//! A first look: checks this machine's own Go caches, or, where there are none,
//! the sample in `examples/sample-cache`, which real `go` made and in which one
//! file was changed afterwards.
//!
//!     cargo tour

#![allow(clippy::print_stderr)]

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args: Vec<OsString> = vec!["gocachevet".into()];
    args.extend(std::env::args_os().skip(1));
    if gocachevet::tested::finds_a_cache() {
        return gocachevet::run(args);
    }
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sample-cache");
    let folders = [
        ("--modcache", "modcache"),
        ("--gocache", "gocache"),
        ("--project", "project"),
    ];
    for (flag, folder) in folders {
        args.extend([flag.into(), sample.join(folder).into_os_string()]);
    }
    let code = gocachevet::run(args);
    eprintln!("This machine has no Go caches: that was the sample, with its planted fault.");
    eprintln!("In a pipeline the fault would have failed the job (exit code 1).");
    if code == ExitCode::from(1) {
        ExitCode::SUCCESS
    } else {
        code
    }
}
