//! Where the build cache keeps the index of a module in the module cache.
//!
//! Go looks the index up whenever a command consults the module's source, so
//! the time of its action entry tells whether that happened.
//! Source: `cmd/go/internal/modindex/read.go` (`moduleHash`),
//! `cmd/go/internal/cache/hash.go` (`NewHash`, `stripExperiment`).

use sha2::{Digest, Sha256};

use super::action::ActionId;

/// The action of a module's index. `go_version` is the toolchain's, such as
/// `go1.26.8`; `tree` the absolute, clean path of the extracted tree as Go
/// knows it (with the system's separators).
pub fn module_index_action(go_version: &str, tree: &[u8]) -> ActionId {
    let mut hash = Sha256::new();
    // The hash of every action starts with the version less its experiments.
    hash.update(strip_experiment(go_version));
    hash.update("module index ");
    hash.update(go_version);
    hash.update(" go index v2 ");
    hash.update(tree);
    hash.update("\n");
    ActionId(hash.finalize().into())
}

/// The version in `$GOROOT/VERSION`: its first line. `None` if it is not one.
pub fn parse_go_version_file(content: &[u8]) -> Option<&str> {
    let line = content.split(|&b| b == b'\n').next()?;
    let version = std::str::from_utf8(line).ok()?.trim_end();
    (version.starts_with("go1") || version.starts_with("devel ")).then_some(version)
}

fn strip_experiment(version: &str) -> &str {
    [" X:", "-X:"]
        .iter()
        .find_map(|mark| version.split_once(mark))
        .map_or(version, |(v, _)| v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_named_it() {
        // Found in a build cache that go1.26.8 filled.
        let action = module_index_action("go1.26.8", b"/tmp/mc/rsc.io/quote@v1.5.2");
        assert_eq!(
            action.to_string(),
            "059d21adb0ecffeb2fee6fd91f8aa7d10acc64daecb29f577dbfe48bd276c6f3"
        );
    }

    #[test]
    fn experiments_are_in_the_text_but_not_in_the_salt() {
        assert_eq!(strip_experiment("go1.26.8 X:jsonv2"), "go1.26.8");
        assert_eq!(strip_experiment("go1.26.8-X:jsonv2"), "go1.26.8");
        assert_ne!(
            module_index_action("go1.26.8 X:jsonv2", b"/m"),
            module_index_action("go1.26.8", b"/m")
        );
    }

    #[test]
    fn version_file() {
        assert_eq!(
            parse_go_version_file(b"go1.26.8\ntime 2026-09-01T00:00:00Z\n"),
            Some("go1.26.8")
        );
        assert_eq!(parse_go_version_file(b"go1.26.8\r\n"), Some("go1.26.8"));
        assert_eq!(parse_go_version_file(b""), None);
        assert_eq!(parse_go_version_file(b"\xff"), None);
    }
}
