//! What a build output is, told from its first and last bytes.
//!
//! Action entries do not say what kind of output they name. Sources:
//! `cmd/internal/buildid/buildid.go` (`ReadFile`) and `internal/objabi/util.go`
//! (`HeaderString`) for archives, `modindex/read.go`, `internal/testlog`,
//! `test/test.go`, `work/exec.go` (source lists, vet facts).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How many of an output's first bytes suffice to tell its kind.
pub const HEAD_BYTES: usize = 1024;

/// How many of an output's last bytes suffice to tell its kind.
pub const TAIL_BYTES: usize = 1024;

/// The kind of a build output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputKind {
    /// A compiled package.
    Archive {
        /// The system it is for; empty if the header is not Go's.
        goos: String,
        /// The architecture it is for.
        goarch: String,
        /// The compiler's version, such as `go1.26.8`.
        go_version: String,
        /// The first 15 bytes of the action that compiled it.
        build_id_action_prefix: Option<[u8; 15]>,
    },
    /// The index of a module or of a package.
    ModuleIndex,
    /// What a test read: environment variables and files.
    TestLog,
    /// What a passed test printed.
    TestResult,
    /// A coverage profile.
    CoverProfile,
    /// The list of a package's source files.
    SourceFiles,
    /// What `go vet` found out about a package for those that import it.
    VetFacts,
    /// Nothing: what a compiler or linker printed when all was well.
    Empty,
    /// Anything else, such as generated source.
    Other,
}

/// Tells the kind of an output. `head` are its first bytes ([`HEAD_BYTES`]
/// of them, or all), `tail` its last ones ([`TAIL_BYTES`], or all).
pub fn output_kind(head: &[u8], tail: &[u8]) -> OutputKind {
    if head.is_empty() {
        OutputKind::Empty
    } else if let Some(members) = head.strip_prefix(b"!<arch>\n") {
        archive(members)
    } else if head.starts_with(b"go index v") {
        OutputKind::ModuleIndex
    } else if head.starts_with(b"# test log\n") {
        OutputKind::TestLog
    } else if head.starts_with(b"mode: ") {
        OutputKind::CoverProfile
    } else if head.starts_with(VET_FACTS) || head == b"{}\n" {
        OutputKind::VetFacts
    } else if is_source_list(head) {
        OutputKind::SourceFiles
    } else if is_test_result(tail) {
        OutputKind::TestResult
    } else {
        OutputKind::Other
    }
}

/// How Go's gob encoding of a list of structs starts, as vet writes its facts.
const VET_FACTS: &[u8] = b"\x0d\xff\x81\x02\x01\x02\xff\x82\x00\x01\xff\x80";

/// After the mark: a member header, `go object <goos> <goarch> <version> …`,
/// and `build id "<action>/<content>"`.
fn archive(members: &[u8]) -> OutputKind {
    let mut lines = members
        .split(|&b| b == b'\n')
        .map(|line| std::str::from_utf8(line).ok());
    let mut line = || lines.next().flatten().unwrap_or("");
    let header = if line().starts_with("__.PKGDEF") {
        line()
    } else {
        ""
    };
    let mut words = header.strip_prefix("go object ").unwrap_or("").split(' ');
    let mut word = || words.next().unwrap_or("").to_owned();
    let (goos, goarch) = (word(), word());
    // A version in development has spaces; GOAMD64=v1 and the like follow it.
    let version: Vec<&str> = words
        .take_while(|w| !(w.starts_with("X:") || w.starts_with("GO") && w.contains('=')))
        .collect();
    OutputKind::Archive {
        goos,
        goarch,
        go_version: version.join(" "),
        build_id_action_prefix: action_prefix(line()),
    }
}

/// The action in a `build id` line: `work/buildid.go:hashToString` keeps 15 bytes.
fn action_prefix(line: &str) -> Option<[u8; 15]> {
    let (action, _) = line.strip_prefix("build id \"")?.split_once('/')?;
    URL_SAFE_NO_PAD.decode(action).ok()?.try_into().ok()
}

/// Endings of files that Go lists as a package's sources (`go/build`).
const SOURCE_ENDINGS: [&str; 18] = [
    "go", "s", "S", "sx", "c", "cc", "cpp", "cxx", "h", "hh", "hpp", "hxx", "m", "f", "F", "for",
    "f90", "syso",
];

/// A name per line, `./` before it unless Go generated the file. The last line
/// of a head may be cut off.
fn is_source_list(head: &[u8]) -> bool {
    let Some(end) = head.iter().rposition(|&b| b == b'\n') else {
        return false;
    };
    let Some(Ok(lines)) = head.get(..end).map(std::str::from_utf8) else {
        return false;
    };
    lines.split('\n').all(|line| {
        let is_source = |name: &str| {
            name.rsplit_once('.')
                .is_some_and(|(_, ending)| SOURCE_ENDINGS.contains(&ending))
        };
        is_source(line) && (line.starts_with("./") || !line.contains([' ', '\t', '/']))
    })
}

/// The last line is `ok  \t<package>\t<time>…`.
fn is_test_result(tail: &[u8]) -> bool {
    let Some(text) = tail.strip_suffix(b"\n") else {
        return false;
    };
    let last = text.rsplit(|&b| b == b'\n').next().unwrap_or(text);
    last.starts_with(b"ok  \t")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind(content: &[u8]) -> OutputKind {
        let head = &content[..content.len().min(HEAD_BYTES)];
        let tail = &content[content.len().saturating_sub(TAIL_BYTES)..];
        output_kind(head, tail)
    }

    fn go_archive(header: &str, build_id: &str) -> OutputKind {
        let member = "__.PKGDEF       0           0     0     644     36970     `";
        kind(format!("!<arch>\n{member}\n{header}\n{build_id}\n\n$$B\n").as_bytes())
    }

    #[test]
    fn archives() {
        let known = go_archive(
            "go object linux amd64 go1.26.8 GOAMD64=v1 X:regabiwrappers,regabiargs",
            "build id \"AAECAwQFBgcICQoLDA0O/zzzzzzzzzzzzzzzzzzzz\"",
        );
        let prefix = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
        assert_eq!(
            known,
            OutputKind::Archive {
                goos: "linux".to_owned(),
                goarch: "amd64".to_owned(),
                go_version: "go1.26.8".to_owned(),
                build_id_action_prefix: Some(prefix),
            }
        );
        let OutputKind::Archive {
            go_version,
            build_id_action_prefix,
            ..
        } = go_archive("go object js wasm devel go1.28-abc Mon Nov X:none", "")
        else {
            panic!("an archive");
        };
        assert_eq!(go_version, "devel go1.28-abc Mon Nov");
        assert_eq!(build_id_action_prefix, None);
        assert!(matches!(kind(b"!<arch>\n"), OutputKind::Archive { .. }));
    }

    #[test]
    fn other_kinds() {
        let long_list = "./some_file_name.go\n".repeat(100);
        for (content, want) in [
            (&b""[..], OutputKind::Empty),
            (b"go index v2\n\xf4\x02\0\0", OutputKind::ModuleIndex),
            (b"# test log\ngetenv X\nopen f\n", OutputKind::TestLog),
            (
                b"ok  \texample.com/tiny\t0.006s\tcoverage: 25.0% of statements\n",
                OutputKind::TestResult,
            ),
            (
                b"=== RUN TestX\nPASS\nok  \tx.y/z\t0.006s\n",
                OutputKind::TestResult,
            ),
            (
                b"mode: set\nx.y/z/main.go:9.21,9.45 1 1\n",
                OutputKind::CoverProfile,
            ),
            (b"./main.go\n./asm_amd64.s\n", OutputKind::SourceFiles),
            (
                b"covervars.go\nmain.cover.go\n./main_test.go\n",
                OutputKind::SourceFiles,
            ),
            (long_list.as_bytes(), OutputKind::SourceFiles),
            (
                b"\x0d\xff\x81\x02\x01\x02\xff\x82\0\x01\xff\x80\0\0",
                OutputKind::VetFacts,
            ),
            (b"{}\n", OutputKind::VetFacts),
            (b"\npackage main\n\nvar x = 1\n", OutputKind::Other),
            (b"//line /x/main.go:1:1\npackage main\n", OutputKind::Other),
            (b"./main.go", OutputKind::Other),
            (b"\n", OutputKind::Other),
            (b"\0\0\0", OutputKind::Other),
        ] {
            assert_eq!(
                kind(content),
                want,
                "{:?}",
                String::from_utf8_lossy(content)
            );
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, archive: Vec<u8>) {
            let _ = kind(&bytes);
            let _ = kind(&[b"!<arch>\n__.PKGDEF\n".to_vec(), archive].concat());
        }
    }
}
