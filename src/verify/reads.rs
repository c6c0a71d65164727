//! What Go opens below its caches, and what answers for each: the one list that
//! the promise "what is called verified is what a build reads" is held against.
//!
//! Sources: `modfetch/cache.go` (`CachePath`, `DownloadDir`), `modfetch/fetch.go`,
//! `modfetch/sumdb.go`, `codehost/codehost.go` (`WorkDir`), `toolchain/select.go`,
//! `fips140/fips140.go`, `cache/cache.go`. `tests/e2e/reads.rs` traces the system calls
//! of real `go` commands against this list and plants a change in each of its lines.

use crate::findings::Rule;
use crate::formats::action::{EntryName, parse_entry_name, parse_shard_name};
use crate::formats::module::{AtVName, PieceKind, TreeDir, parse_at_v_name, parse_tree_dir};

/// A kind of file that Go opens.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    /// What it is, as the documentation's table has it.
    pub what: &'static str,
    /// What proves its content; where nothing can, what is done about that.
    pub proof: &'static str,
    /// The rules that speak when it is not what it should be, or not proven.
    pub rules: &'static [Rule],
}

macro_rules! reads {
    ($($(#[$doc:meta])* $name:ident: $what:literal, $proof:literal, [$($rule:ident),*];)*) => {
        $($(#[$doc])* pub const $name: Read = Read {
            what: $what,
            proof: $proof,
            rules: &[$(Rule::$rule),*],
        };)*

        /// Every kind.
        pub const READS: &[&Read] = &[$(&$name),*];
    };
}

reads! {
    /// Source, go.mod and whatever else a package names.
    TREE: "extracted tree",
        "h1 against go.sum or the checksum database; without either it is listed as unproven",
        [ExtractedHashMismatch, ExtractedIncomplete, ConflictingClaims, Unproven, NoTrust];
    /// The compiler is run from here.
    TOOLCHAIN: "toolchain's tree",
        "h1 against the checksum database alone, `go.mod` beside `_go.mod` byte for byte",
        [ExtractedHashMismatch, ToolchainUnproven];
    /// A snapshot of the cryptographic module, for `GOFIPS140`.
    FIPS: "FIPS snapshot's tree",
        "h1 against the zip in GOROOT, whose SHA-256 is in `fips140.sum`",
        [ExtractedHashMismatch, ZipHashMismatch, FipsUnproven];
    /// What a tree is extracted from.
    ZIP: "`.zip`",
        "h1 against go.sum or the checksum database, read as Go reads it",
        [ZipHashMismatch, ZipInvalid, ConflictingClaims, Unproven, NoTrust];
    /// The module graph.
    GO_MOD: "`.mod`",
        "h1 against go.sum's `/go.mod` line",
        [ModHashMismatch, ConflictingClaims, ModUnproven, Unproven, NoTrust];
    /// Version and time.
    INFO: "`.info`",
        "nothing: its form and its version are held against its name, the rest is listed as unproven",
        [InfoInvalid, InfoUnproven];
    /// What Go itself compares with go.sum.
    ZIPHASH: "`.ziphash`",
        "equality with what proves zip and tree; alone it proves nothing",
        [ZiphashMismatch];
    /// Whose presence alone counts.
    MARKER: "`.lock`, `.partial`, `cache/lock`",
        "nothing to prove: nobody reads their content; a `.partial` beside a tree is denied",
        [ExtractedIncomplete, PartialDownload, LoneLock];
    /// Written, and served where the cache is a proxy's storage.
    LIST: "`@v/list`",
        "nothing to prove: no build reads it, Go makes it anew from the `.mod` files",
        [];
    /// Temporary files of a download, which become one of the above.
    TEMPORARY: "temporary files of a download",
        "nothing to prove: no build reads them once the download has ended",
        [PartialDownload];
    /// Records and tiles.
    SUMDB: "checksum database's records and tiles",
        "signature and inclusion proof, with the key that Go has built in",
        [SumdbMismatch];
    /// What git, hg and others run on.
    VCS: "clones in `cache/vcs`",
        "settings, hooks, alternates and remotes are held against what Go writes; the rest is listed as unproven",
        [VcsUnsafe, VcsUnproven];
    /// Which output an action has.
    ACTION: "action entry (`-a`)",
        "its form; which output it names is proven by a seal alone",
        [ActionInvalid];
    /// Compiled packages, indexes, test results, executables.
    OUTPUT: "build output (`-d`)",
        "SHA-256 against its name: consistent; proven by a seal alone",
        [OutputHashMismatch, OutputSizeMismatch];
    /// Times, and what people read.
    STAMP: "`trim.txt`, `testexpire.txt`, `README`",
        "nothing to prove: the first two hold a time, nobody reads the third",
        [GoTrimStuck];
    /// Inputs of `go test -fuzz`.
    FUZZ: "fuzz corpus",
        "nothing: no build reads it, only `go test -fuzz` does",
        [];
    /// Listed and stat'ed on the way to all of the above.
    FOLDER: "folders",
        "no link among them: nothing behind one counts as proven",
        [LinkInCache];
}

/// What Go has at this slash-separated path below `GOMODCACHE`; `None` if it is
/// nothing that Go is known to open.
pub fn in_modcache(path: &str) -> Option<&'static Read> {
    let Some(in_cache) = path.strip_prefix("cache/") else {
        return match path.find('@') {
            None => Some(&FOLDER),
            Some(at) => {
                let top = path[at..].find('/').map_or(path.len(), |slash| at + slash);
                match parse_tree_dir(&path[..top]).ok()? {
                    TreeDir::Residue { .. } => Some(&TEMPORARY),
                    TreeDir::Module(id) => Some(match id.path.as_str() {
                        "golang.org/toolchain" => &TOOLCHAIN,
                        "golang.org/fips140" => &FIPS,
                        _ => &TREE,
                    }),
                }
            }
        };
    };
    if in_cache == "lock" {
        return Some(&MARKER);
    }
    if in_cache == "vcs" || in_cache.starts_with("vcs/") {
        return Some(&VCS);
    }
    let in_download = match in_cache.strip_prefix("download") {
        Some("") => return Some(&FOLDER),
        Some(rest) => rest.strip_prefix('/')?,
        None => return None,
    };
    if in_download == "sumdb" || in_download.starts_with("sumdb/") {
        return Some(&SUMDB);
    }
    let Some((_, name)) = in_download.split_once("/@v/") else {
        return Some(&FOLDER);
    };
    match parse_at_v_name(name) {
        AtVName::List => Some(&LIST),
        AtVName::TempFile { .. } => Some(&TEMPORARY),
        AtVName::Piece(file) => Some(match file.piece {
            PieceKind::Info => &INFO,
            PieceKind::Mod => &GO_MOD,
            PieceKind::Zip => &ZIP,
            PieceKind::ZipHash => &ZIPHASH,
            PieceKind::Lock | PieceKind::Partial => &MARKER,
        }),
        AtVName::Unknown => None,
    }
}

/// The same below `GOCACHE`.
pub fn in_buildcache(path: &str) -> Option<&'static Read> {
    let (top, rest) = path.split_once('/').unwrap_or((path, ""));
    match top {
        "" => return Some(&FOLDER),
        "trim.txt" | "testexpire.txt" | "README" => return Some(&STAMP),
        "fuzz" => return Some(&FUZZ),
        _ => {
            parse_shard_name(top)?;
        }
    }
    let entry = rest.split('/').next().unwrap_or_default();
    match entry {
        "" => Some(&FOLDER),
        _ => Some(match parse_entry_name(entry)? {
            EntryName::Action(_) => &ACTION,
            EntryName::Output(_) => &OUTPUT,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_go_has_there() {
        let id = "0".repeat(64);
        for (path, want) in [
            ("example.com/m@v1.0.0/a/b.go", Some(&TREE)),
            (
                "golang.org/toolchain@v0.0.1-go1.24.0.linux-amd64/bin/go",
                Some(&TOOLCHAIN),
            ),
            ("golang.org/fips140@v1.0.0/fips140/x.go", Some(&FIPS)),
            ("example.com/m@v1.0.0.tmp-1/a.go", Some(&TEMPORARY)),
            ("example.com", Some(&FOLDER)),
            ("cache/download/example.com/m/@v/v1.0.0.zip", Some(&ZIP)),
            (
                "cache/download/example.com/m/@v/v1.0.0.partial",
                Some(&MARKER),
            ),
            ("cache/download/example.com/m/@v/v1.0.0.exe", None),
            (
                "cache/download/sumdb/sum.golang.org/tile/8/0/000",
                Some(&SUMDB),
            ),
            ("cache/downloads/x", None),
            ("cache/other", None),
        ] {
            assert_eq!(in_modcache(path), want, "{path}");
        }
        for (path, want) in [
            (format!("00/{id}-a"), Some(&ACTION)),
            (format!("00/{id}-d"), Some(&OUTPUT)),
            (format!("00/{id}-d/tool"), Some(&OUTPUT)),
            ("00".to_owned(), Some(&FOLDER)),
            ("00/other".to_owned(), None),
            ("log.txt".to_owned(), None),
        ] {
            assert_eq!(in_buildcache(&path), want, "{path}");
        }
    }

    /// The table that people read has a line for each kind, with its proof and rules.
    #[test]
    fn the_documentation_has_the_same_table() {
        let page = include_str!("../../docs/security.md");
        for read in READS {
            let rules: Vec<String> = read.rules.iter().map(|rule| format!("`{rule}`")).collect();
            let row = format!("| {} | {} | {} |", read.what, read.proof, rules.join(", "));
            assert!(
                page.contains(&row),
                "docs/security.md lacks this row:\n{row}"
            );
        }
    }
}
