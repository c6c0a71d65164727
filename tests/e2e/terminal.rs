//! What a person sees at a terminal while a long check runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use support::{Scratch, gocachevet};

/// A build cache whose outputs take seconds to hash: one sparse file under
/// hundreds of names, each with an entry.
fn long_work(gocache: &Path) {
    let folder = gocache.join("ab");
    fs::create_dir_all(&folder).unwrap();
    fs::write(gocache.join("README"), "made for a test\n").unwrap();
    let first = folder.join(format!("ab{:062x}-d", 0));
    fs::File::create(&first).unwrap().set_len(20 << 20).unwrap();
    for index in 0..400 {
        let id = format!("ab{index:062x}");
        if index > 0 {
            fs::hard_link(&first, folder.join(format!("{id}-d"))).unwrap();
        }
        let entry = format!("v1 {id} {id} {:20} {:20}\n", 20 << 20, 1);
        fs::write(folder.join(format!("{id}-a")), entry).unwrap();
    }
}

/// What a command shows at a terminal of its own, which script(1) gives it.
fn at_a_terminal(line: &str) -> String {
    let output = Command::new("script")
        .args(["-qec", line, "/dev/null"])
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .output()
        .expect("script(1), of util-linux, is needed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_long_check_shows_a_bar_at_a_terminal_and_nowhere_else() {
    let scratch = Scratch::new();
    let gocache = scratch.path().join("gocache");
    long_work(&gocache);
    let modcache = scratch.path().join("modcache");
    fs::create_dir(&modcache).unwrap();
    let given = [
        "--modcache",
        modcache.to_str().unwrap(),
        "--no-project-config",
        "--gocache",
    ];

    let quiet = gocachevet().arg("check").args(given).arg(&gocache).run();
    assert!(quiet.stdout.contains("Build cache"), "{}", quiet.stdout);
    assert!(!quiet.stderr.contains('\r'), "{}", quiet.stderr);

    let line = format!(
        "{} check {} {}",
        env!("CARGO_BIN_EXE_gocachevet"),
        given.join(" "),
        gocache.display()
    );
    let shown = at_a_terminal(&line);
    let (bars, report) = shown.rsplit_once('\r').unwrap_or_default();
    assert!(
        bars.contains("Verifying") && bars.contains("/400"),
        "{shown}"
    );
    assert!(shown.contains("Build cache"), "{shown}");
    // The bar is gone before the report begins.
    assert!(!report.contains("Verifying \u{2588}"), "{shown}");

    // Ctrl-C ends it at once, and changes nothing of how the terminal behaves.
    let interrupted = at_a_terminal(&format!("timeout --foreground -s INT 1 {line}"));
    assert!(interrupted.contains("Verifying"), "{interrupted}");
    assert!(!interrupted.contains("Build cache"), "{interrupted}");
    assert!(!interrupted.contains("\u{1b}[?"), "{interrupted:?}");
}
