//! What a Go file imports, and on which systems it is part of its package.
//!
//! Sources: `go/build/build.go` (`goodOSArchFile`, `matchTag`),
//! `go/build/read.go` (`readGoInfo`), `internal/syslist`. Where this cannot tell
//! (a tag that `-tags` may set, a Go version, cgo, lines of the old form), the
//! file counts as part of the package: then too much is packed, never too little.

use super::Platform;

/// How much of a file is looked at: imports stand at the top.
pub(super) const HEAD: usize = 1 << 20;

/// Nesting of a build constraint; a deeper one cannot be told.
const MAX_DEPTH: usize = 64;

const OSES: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
    "zos",
];

const ARCHES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

const NO_UNIX: &[&str] = &["js", "nacl", "plan9", "wasip1", "windows", "zos"];

/// Whether a file name leaves its file to one of these systems.
pub(super) fn name_fits(name: &str, platforms: &[Platform]) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let mut parts: Vec<&str> = stem.split('_').skip(1).collect();
    if parts.last() == Some(&"test") {
        parts.pop();
    }
    platforms.iter().any(|platform| match parts.as_slice() {
        [.., os, arch] if OSES.contains(os) && ARCHES.contains(arch) => {
            is_os(os, platform) && *arch == platform.arch
        }
        [.., os] if OSES.contains(os) => is_os(os, platform),
        [.., arch] if ARCHES.contains(arch) => *arch == platform.arch,
        _ => true,
    })
}

fn is_os(os: &str, platform: &Platform) -> bool {
    // Each of these is another one as well.
    let also = match platform.os.as_str() {
        "android" => "linux",
        "illumos" => "solaris",
        "ios" => "darwin",
        os => os,
    };
    os == platform.os || os == also
}

/// The import paths of a file, or `None` if its build constraint leaves it out
/// on all of these systems.
pub(super) fn of(content: &[u8], platforms: &[Platform]) -> Option<Vec<String>> {
    let text = String::from_utf8_lossy(content);
    let mut lexer = Lexer {
        rest: text.trim_start_matches('\u{feff}'),
        constraint: None,
    };
    let mut imports = Vec::new();
    if lexer.next() == Token::Word("package") {
        lexer.next();
        let constraint = lexer.constraint;
        let left_out =
            |platform: &Platform| constraint.is_some_and(|line| excludes(line, platform));
        if platforms.iter().all(left_out) {
            return None;
        }
        let mut token = lexer.next();
        loop {
            match token {
                Token::Mark(';') => token = lexer.next(),
                Token::Word("import") => {
                    let mut depth = 0;
                    loop {
                        match lexer.next() {
                            Token::Mark('(') => depth = 1,
                            Token::Text(path) => {
                                imports.push(path.to_owned());
                                if depth == 0 {
                                    break;
                                }
                            }
                            Token::Word(_) | Token::Mark('.' | ';') => {}
                            _ => break,
                        }
                    }
                    token = lexer.next();
                }
                _ => break,
            }
        }
    }
    Some(imports)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// A string, without its quotes.
    Text(&'a str),
    Mark(char),
    End,
}

struct Lexer<'a> {
    rest: &'a str,
    /// The `//go:build` line, if one was passed.
    constraint: Option<&'a str>,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Token<'a> {
        loop {
            self.rest = self.rest.trim_start();
            if let Some(comment) = self.rest.strip_prefix("//") {
                let (line, rest) = comment.split_once('\n').unwrap_or((comment, ""));
                if let Some(expression) = line.strip_prefix("go:build ") {
                    self.constraint.get_or_insert(expression);
                }
                self.rest = rest;
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = comment.split_once("*/").map_or("", |(_, rest)| rest);
            } else {
                break;
            }
        }
        let Some(first) = self.rest.chars().next() else {
            return Token::End;
        };
        let after = &self.rest[first.len_utf8()..];
        if matches!(first, '"' | '`') {
            let (text, rest) = after.split_once(first).unwrap_or((after, ""));
            self.rest = rest;
            return Token::Text(text);
        }
        let is_word = |c: char| c == '_' || c.is_alphanumeric();
        if is_word(first) {
            let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Token::Word(word);
        }
        self.rest = after;
        Token::Mark(first)
    }
}

/// Whether a constraint is certainly false on a system.
fn excludes(line: &str, platform: &Platform) -> bool {
    let mut constraint = Constraint {
        rest: line,
        platform,
    };
    constraint.any(0) == Some(false)
}

/// A `//go:build` expression; `None` where its value depends on more than the system.
struct Constraint<'a> {
    rest: &'a str,
    platform: &'a Platform,
}

impl Constraint<'_> {
    fn take(&mut self, mark: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn any(&mut self, depth: usize) -> Option<bool> {
        let mut value = self.all(depth);
        while self.take("||") {
            value = match (value, self.all(depth)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
        }
        value
    }

    fn all(&mut self, depth: usize) -> Option<bool> {
        let mut value = self.one(depth);
        while self.take("&&") {
            value = match (value, self.one(depth)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
        }
        value
    }

    fn one(&mut self, depth: usize) -> Option<bool> {
        if depth > MAX_DEPTH {
            self.rest = "";
            return None;
        }
        if self.take("!") {
            return self.one(depth + 1).map(|value| !value);
        }
        if self.take("(") {
            let value = self.any(depth + 1);
            return if self.take(")") { value } else { None };
        }
        let is_tag = |c: char| c == '_' || c == '.' || c.is_alphanumeric();
        let end = self.rest.find(|c| !is_tag(c)).unwrap_or(self.rest.len());
        let (tag, rest) = self.rest.split_at(end);
        self.rest = rest;
        match tag {
            "unix" => Some(!NO_UNIX.contains(&self.platform.os.as_str())),
            "gccgo" | "ignore" => Some(false),
            "gc" => Some(true),
            os if OSES.contains(&os) => Some(is_os(os, self.platform)),
            arch if ARCHES.contains(&arch) => Some(arch == self.platform.arch),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linux() -> Vec<Platform> {
        vec!["linux/amd64".parse().unwrap()]
    }

    #[test]
    fn names_say_for_which_system_a_file_is() {
        for (name, fits) in [
            ("a.go", true),
            ("linux.go", true),
            ("a_linux.go", true),
            ("a_windows.go", false),
            ("a_windows_test.go", false),
            ("a_linux_amd64.go", true),
            ("a_linux_arm64.go", false),
            ("a_arm64.go", false),
            ("a_linux_windows.go", false),
            ("windows_a.go", true),
            ("a_unix.go", true),
        ] {
            assert_eq!(name_fits(name, &linux()), fits, "{name}");
        }
        let android = ["android/arm64".parse().unwrap()];
        assert!(name_fits("a_linux.go", &android));
        assert!(!name_fits("a_android.go", &linux()));
    }

    #[test]
    fn imports_are_read_in_all_their_forms() {
        let text = "\u{feff}// Doc\n\n/* more */ package a // x\n\nimport \"fmt\"\nimport (\n\t. \"a/b\"\n\t_ `c/d`; e \"e/f\" // no \"x\"\n\n)\nimport g \"g\";import \"h\"\nvar x = \"import\"\n";
        let imports = of(text.as_bytes(), &linux()).unwrap();
        assert_eq!(imports, ["fmt", "a/b", "c/d", "e/f", "g", "h"]);
        for text in [
            "",
            "package",
            "package a",
            "import \"x\"",
            "package a\nimport (",
            "package a\nimport \"x",
        ] {
            of(text.as_bytes(), &linux()).unwrap();
        }
    }

    #[test]
    fn a_file_is_left_out_only_where_that_is_certain() {
        for (constraint, left_out) in [
            ("linux", false),
            ("windows", true),
            ("!linux", true),
            ("unix && !darwin", false),
            ("windows || (linux && arm64)", true),
            ("windows || mytag", false),
            ("windows && mytag", true),
            ("!mytag", false),
            ("cgo", false),
            ("!cgo", false),
            ("go1.99", false),
            ("ignore", true),
            ("(((", false),
            ("", false),
        ] {
            let text = format!("//go:build {constraint}\n\npackage a\n");
            let found = of(text.as_bytes(), &linux());
            assert_eq!(found.is_none(), left_out, "{constraint}");
        }
        // Behind the package clause it is a comment like any other.
        let late = "package a\n//go:build windows\nimport \"x\"\n";
        assert_eq!(of(late.as_bytes(), &linux()).unwrap(), ["x"]);
        let deep = format!("//go:build {}linux\npackage a\n", "!".repeat(100_000));
        assert!(of(deep.as_bytes(), &linux()).is_some());
    }
}
