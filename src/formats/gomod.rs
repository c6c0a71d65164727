//! `go.mod` files, of the project at hand and of its dependencies.
//!
//! Source: `golang.org/x/mod/modfile/rule.go` (`Parse`, `ParseLax`) and the
//! [Go Modules Reference](https://go.dev/ref/mod#go-mod-file). Comments other than `// indirect`
//! are not kept.

use super::directives::{self, Line, LineError, Statement, shown, syntax, unquote};
use super::module::{self, ModuleVersion};
use super::semver;

pub use super::directives::{MAX_BYTES, ParseError};

/// What a `go.mod` file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoMod {
    /// The module's path; a dependency's file may lack it.
    pub module: Option<String>,
    /// The `go` line: a Go version without prefix, such as `1.21` or `1.23.4`.
    pub go: Option<String>,
    /// The `toolchain` line: `go1.23.4`, or `default`.
    pub toolchain: Option<String>,
    /// The required modules, in the file's order.
    pub require: Vec<Require>,
    /// Versions that are passed over wherever they are required.
    pub exclude: Vec<ModuleVersion>,
    /// What stands in for other modules.
    pub replace: Vec<Replace>,
    /// Versions of this module that its author withdrew.
    pub retract: Vec<Retract>,
    /// Import paths of tools.
    pub tool: Vec<String>,
    /// Folders that package patterns pass over.
    pub ignore: Vec<String>,
    /// Keys and values of `godebug` lines.
    pub godebug: Vec<(String, String)>,
}

/// A required module: this version or a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Require {
    /// The module and its least version.
    pub module: ModuleVersion,
    /// Whether the line ends in `// indirect`.
    pub indirect: bool,
}

/// A `replace` directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// The path of the module that is replaced.
    pub path: String,
    /// The one version that is replaced; every version if `None`.
    pub version: Option<String>,
    /// What replaces it.
    pub with: Replacement,
}

/// What stands in for a replaced module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Replacement {
    /// Another module, or another version of the same.
    Module(ModuleVersion),
    /// A folder, rooted or relative to the file's own folder, as the file writes it.
    Dir(String),
}

/// Withdrawn versions: all from `low` to `high`, both included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retract {
    /// The first withdrawn version.
    pub low: String,
    /// The last withdrawn version.
    pub high: String,
}

/// Reads the `go.mod` file of a project.
///
/// Versions must be canonical, as the `go` command leaves them: a branch or a shortened version
/// stands for something that only a look at the module's repository can tell.
pub fn parse(data: &[u8]) -> Result<GoMod, ParseError> {
    read(data, Reading::Project)
}

/// Reads the `go.mod` file of a dependency.
///
/// Passed over are directives that concern only a main module (`replace`, `exclude`, `toolchain`
/// and so on), unknown ones, and `retract` lines that do not parse, since a newer Go may have
/// written them.
pub fn parse_dependency(data: &[u8]) -> Result<GoMod, ParseError> {
    read(data, Reading::Dependency)
}

/// Whether Go takes a replacement for a folder rather than for a module path: it is rooted or
/// starts with `.` or `..`, written for Unix or for Windows.
pub fn is_directory(path: &str) -> bool {
    let drive = |b: &[u8]| matches!(b, [letter, b':', ..] if letter.is_ascii_alphabetic());
    matches!(path, "." | "..")
        || ["./", ".\\", "../", "..\\", "/", "\\"]
            .iter()
            .any(|start| path.starts_with(start))
        || drive(path.as_bytes())
}

/// How strictly a file is read, and what becomes of versions that are not canonical.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Everything must be right, versions canonical.
    Project,
    /// The same, but versions are made canonical.
    Workspace,
    /// What does not concern a dependency is passed over, versions are made canonical.
    Dependency,
}

fn read(data: &[u8], reading: Reading) -> Result<GoMod, ParseError> {
    let text = directives::text(data)?;
    let mut file = GoMod::default();
    for statement in directives::statements(&text)? {
        match statement {
            Statement::Line(line) => {
                if let Some((verb, args)) = line.words.split_first() {
                    file.add(verb, args, &line, reading)?;
                }
            }
            Statement::Block {
                number,
                header,
                lines,
            } => match header.as_slice() {
                [
                    verb @ ("module" | "godebug" | "require" | "exclude" | "replace" | "retract"
                    | "tool" | "ignore"),
                ] => {
                    for line in &lines {
                        file.add(verb, &line.words, line, reading)?;
                    }
                }
                _ if reading == Reading::Dependency => {}
                other => {
                    let kind = shown(&other.join(" "));
                    return Err(syntax(format!("unknown block type {kind}")).at(number));
                }
            },
        }
    }
    Ok(file)
}

impl GoMod {
    fn add(
        &mut self,
        verb: &str,
        args: &[&str],
        line: &Line<'_>,
        reading: Reading,
    ) -> Result<(), ParseError> {
        let of_interest = matches!(verb, "go" | "module" | "retract" | "require" | "ignore");
        if reading == Reading::Dependency && !of_interest {
            return Ok(());
        }
        self.directive(verb, args, line, reading)
            .map_err(|problem| problem.at(line.number))
    }

    fn directive(
        &mut self,
        verb: &str,
        args: &[&str],
        line: &Line<'_>,
        reading: Reading,
    ) -> Result<(), LineError> {
        match verb {
            "module" => once(&mut self.module, verb, unquote(one(verb, args)?)?)?,
            "go" => once(&mut self.go, verb, go_version(args, reading)?)?,
            "toolchain" => once(&mut self.toolchain, verb, toolchain(args)?)?,
            "godebug" => self.godebug.push(godebug(args)?),
            "require" => self.require.push(Require {
                module: module_version(verb, args, reading)?,
                indirect: is_indirect(line.comment),
            }),
            "exclude" => self.exclude.push(module_version(verb, args, reading)?),
            "replace" => self.replace.push(replace(args, reading)?),
            "retract" => match retract(args, reading) {
                Ok(retract) => self.retract.push(retract),
                Err(_) if reading == Reading::Dependency => {}
                Err(problem) => return Err(problem),
            },
            "tool" => self.tool.push(unquote(one(verb, args)?)?),
            "ignore" => self.ignore.push(unquote(one(verb, args)?)?),
            _ => return Err(syntax(format!("unknown directive {}", shown(verb)))),
        }
        Ok(())
    }
}

pub(super) fn one<'a>(verb: &str, args: &[&'a str]) -> Result<&'a str, LineError> {
    match args {
        [only] => Ok(only),
        _ => Err(syntax(format!("{verb} takes exactly one argument"))),
    }
}

pub(super) fn once(slot: &mut Option<String>, verb: &str, value: String) -> Result<(), LineError> {
    if slot.replace(value).is_some() {
        return Err(syntax(format!("second {verb} line")));
    }
    Ok(())
}

/// The argument of a `go` line: `1.21`, `1.21.3`, `1.21rc1`. In a dependency's file a `v` may stand
/// before and anything after `1.21`; both are then dropped.
pub(super) fn go_version(args: &[&str], reading: Reading) -> Result<String, LineError> {
    let version = one("go", args)?;
    if two_numbers(version).is_some_and(|(_, tail)| is_go_version_tail(tail)) {
        return Ok(version.to_owned());
    }
    if reading == Reading::Dependency {
        let bare = version.strip_prefix('v').unwrap_or(version);
        if let Some((language, _)) = two_numbers(bare).filter(|(_, tail)| !tail.is_empty()) {
            return Ok(language.to_owned());
        }
    }
    let version = shown(version);
    Err(syntax(format!(
        "invalid go version {version}, expected the form 1.23.0"
    )))
}

/// Splits a Go version after its first two numbers.
fn two_numbers(version: &str) -> Option<(&str, &str)> {
    let (major, rest) = digits(version)?;
    let (_, tail) = digits(rest.strip_prefix('.')?)?;
    if major == "0" {
        return None;
    }
    version.split_at_checked(version.len() - tail.len())
}

/// Whether `tail` has the form `[.PATCH][LETTERS NUMBER]`.
fn is_go_version_tail(tail: &str) -> bool {
    let tail = match tail.strip_prefix('.').map(digits) {
        Some(Some((_, rest))) => rest,
        Some(None) => return false,
        None => tail,
    };
    let number = tail.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let numeric = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    tail.is_empty() || (number.len() < tail.len() && numeric)
}

/// A decimal number without superfluous zeros that `text` starts with, and what follows.
fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let fine = digits == "0" || (!digits.is_empty() && !digits.starts_with('0'));
    fine.then_some((digits, rest))
}

pub(super) fn toolchain(args: &[&str]) -> Result<String, LineError> {
    let name = one("toolchain", args)?;
    if name == "default" || name == "go1" || name.starts_with("go1.") {
        return Ok(name.to_owned());
    }
    let name = shown(name);
    Err(syntax(format!(
        "invalid toolchain {name}, expected the form go1.23.0 or default"
    )))
}

pub(super) fn godebug(args: &[&str]) -> Result<(String, String), LineError> {
    match args {
        [setting] if !setting.contains(['"', '`', '\'', ',']) => setting.split_once('='),
        _ => None,
    }
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .ok_or_else(|| syntax("godebug takes one argument of the form key=value"))
}

fn module_version(verb: &str, args: &[&str], reading: Reading) -> Result<ModuleVersion, LineError> {
    let [path, version] = args else {
        return Err(syntax(format!("{verb} takes a module path and a version")));
    };
    let path = unquote(path)?;
    let version = canonical(version, reading)?;
    check_major(&path, &version)?;
    Ok(ModuleVersion { path, version })
}

pub(super) fn replace(args: &[&str], reading: Reading) -> Result<Replace, LineError> {
    let (path, version, with) = match args {
        [path, "=>", with @ ..] => (path, None, with),
        [path, version, "=>", with @ ..] => (path, Some(version), with),
        _ => return Err(syntax(REPLACE_USAGE)),
    };
    let path = unquote(path)?;
    let major = path_major(&path)?;
    let version = match version {
        Some(version) => {
            let version = canonical(version, reading)?;
            match_major(major, &version)?;
            Some(version)
        }
        None => None,
    };
    let with = match with {
        [dir] => Replacement::Dir(directory(unquote(dir)?)?),
        [path, version] => {
            let path = unquote(path)?;
            let version = canonical(version, reading)?;
            if is_directory(&path) {
                let path = shown(&path);
                return Err(syntax(format!("the folder {path} cannot have a version")));
            }
            if reading == Reading::Project {
                check_major(&path, &version)?;
            }
            Replacement::Module(ModuleVersion { path, version })
        }
        _ => return Err(syntax(REPLACE_USAGE)),
    };
    Ok(Replace {
        path,
        version,
        with,
    })
}

const REPLACE_USAGE: &str =
    "replace takes module/path [v1.2.3] => other/module v1.4.0, or => ../folder";

fn directory(path: String) -> Result<String, LineError> {
    if !is_directory(&path) {
        let path = shown(&path);
        return Err(syntax(format!(
            "the replacement {path} has no version and is not a folder (rooted or starting with . or ..)"
        )));
    }
    if !cfg!(windows) && path.contains('\\') {
        let path = shown(&path);
        return Err(syntax(format!("the folder {path} is written for Windows")));
    }
    Ok(path)
}

/// `v1.2.3` or `[v1.2.3, v1.4.0]`; in a dependency's file anything may follow.
fn retract(args: &[&str], reading: Reading) -> Result<Retract, LineError> {
    let (low, high, rest) = match args {
        ["[", low, ",", high, "]", rest @ ..] => (low, high, rest),
        [first, ..] if matches!(*first, "[" | "(") => {
            return Err(syntax(
                "retract takes a version or an interval [v1.2.3, v1.4.0]",
            ));
        }
        [version, rest @ ..] => (version, version, rest),
        [] => return Err(syntax("retract takes a version or an interval")),
    };
    if let (Some(word), true) = (rest.first(), reading != Reading::Dependency) {
        return Err(syntax(format!("{} after the version", shown(word))));
    }
    Ok(Retract {
        low: canonical(low, reading)?,
        high: canonical(high, reading)?,
    })
}

fn canonical(word: &str, reading: Reading) -> Result<String, LineError> {
    let version = unquote(word)?;
    let canonical = semver::canonical_module_version(&version).ok_or_else(|| {
        let version = shown(&version);
        syntax(format!(
            "invalid version {version}, expected the form v1.2.3"
        ))
    })?;
    if reading == Reading::Project && canonical != version {
        let version = shown(&version);
        return Err(syntax(format!("version {version} is not canonical")));
    }
    Ok(canonical)
}

/// Whether a `// indirect` comment, alone or followed by more after a semicolon, ends the line.
fn is_indirect(comment: Option<&str>) -> bool {
    let text = comment
        .and_then(|c| c.strip_prefix("//"))
        .unwrap_or_default();
    let mut words = text.split_whitespace();
    match (words.next(), words.next()) {
        (Some("indirect"), None) => true,
        (Some(first), Some(_)) => first == "indirect;",
        _ => false,
    }
}

fn check_major(path: &str, version: &str) -> Result<(), LineError> {
    match_major(path_major(path)?, version)
}

fn path_major(path: &str) -> Result<&str, LineError> {
    let split = module::split_path_version(path);
    split
        .map(|(_, major)| major)
        .ok_or_else(|| syntax(format!("invalid module path {}", shown(path))))
}

fn match_major(path_major: &str, version: &str) -> Result<(), LineError> {
    Ok(module::check_path_major(version, path_major)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mv(path: &str, version: &str) -> ModuleVersion {
        ModuleVersion::new(path, version)
    }

    #[test]
    fn every_directive_is_read() {
        let file = parse(
            br#"// Package comment.
module "example.com/m\u0061in" // Deprecated: no

go 1.24.1
toolchain go1.25.0
godebug default=go1.21
godebug (
	panicnil=1
)
require example.com/a v1.2.3
require ( // the rest
	example.com/b/v2 v2.0.0-20200101000000-abcdefabcdef // indirect

	// whole line
	"example.com/c" v3.1.0+incompatible // indirect; for a reason
	gopkg.in/yaml.v3 v3.0.1 //indirect
	example.com/d v0.1.0 // not indirect
)
exclude example.com/a v1.2.4
replace example.com/a => ../a
replace (
	example.com/b/v2 v2.0.0 => example.com/fork v0.0.1
	example.com/c => /abs/c
)
retract v1.0.0
retract [v1.1.0, v1.1.9] // broken
tool example.com/a/cmd/x
ignore ./node_modules
require ()
"#,
        )
        .unwrap();
        assert_eq!(file.module.as_deref(), Some("example.com/main"));
        assert_eq!(file.go.as_deref(), Some("1.24.1"));
        assert_eq!(file.toolchain.as_deref(), Some("go1.25.0"));
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            file.godebug,
            [pair("default", "go1.21"), pair("panicnil", "1")]
        );
        let require: Vec<_> = file
            .require
            .iter()
            .map(|r| (r.module.path.as_str(), r.indirect))
            .collect();
        assert_eq!(
            require,
            [
                ("example.com/a", false),
                ("example.com/b/v2", true),
                ("example.com/c", true),
                ("gopkg.in/yaml.v3", true),
                ("example.com/d", false),
            ]
        );
        assert_eq!(file.exclude, [mv("example.com/a", "v1.2.4")]);
        assert_eq!(
            file.replace,
            [
                Replace {
                    path: "example.com/a".into(),
                    version: None,
                    with: Replacement::Dir("../a".into()),
                },
                Replace {
                    path: "example.com/b/v2".into(),
                    version: Some("v2.0.0".into()),
                    with: Replacement::Module(mv("example.com/fork", "v0.0.1")),
                },
                Replace {
                    path: "example.com/c".into(),
                    version: None,
                    with: Replacement::Dir("/abs/c".into()),
                },
            ]
        );
        let retract = |low: &str, high: &str| Retract {
            low: low.into(),
            high: high.into(),
        };
        assert_eq!(
            file.retract,
            [retract("v1.0.0", "v1.0.0"), retract("v1.1.0", "v1.1.9")]
        );
        assert_eq!(file.tool, ["example.com/a/cmd/x"]);
        assert_eq!(file.ignore, ["./node_modules"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let cases = [
            ("module a\nmodule b", "line 2: second module line"),
            (
                "module `a`",
                "line 1: \"`a`\" contains a quote but does not start with '\"'",
            ),
            ("module \"a", "line 1: quoted string without an end"),
            ("module a\n\nfoo b", "line 3: unknown directive \"foo\""),
            ("go (\n1.21\n)", "line 1: unknown block type \"go\""),
            (
                "require (\na v1.0.0",
                "line 2: the block of line 1 has no end",
            ),
            (
                "require (\n) x",
                "line 2: expected a newline after the closing parenthesis",
            ),
            ("/* x */", "line 1: comments start with //, not with /*"),
            (
                "module a\u{feff}",
                "line 1: unexpected character '\\u{feff}'",
            ),
            (
                "require a master",
                "line 1: invalid version \"master\", expected the form v1.2.3",
            ),
            (
                "require a v1.2",
                "line 1: version \"v1.2\" is not canonical",
            ),
            (
                "require a v2.0.0",
                "line 1: version \"v2.0.0\" does not fit the path: should be v0 or v1",
            ),
            (
                "require a/v2 v3.0.0",
                "line 1: version \"v3.0.0\" does not fit the path: should be v2",
            ),
            (
                "require a/v1 v1.0.0",
                "line 1: invalid module path \"a/v1\"",
            ),
            (
                "require gopkg.in/a v1.0.0",
                "line 1: invalid module path \"gopkg.in/a\"",
            ),
            (
                "require a v1.0.0 x",
                "line 1: require takes a module path and a version",
            ),
            (
                "go 1.21.x",
                "line 1: invalid go version \"1.21.x\", expected the form 1.23.0",
            ),
            (
                "replace a => b",
                "line 1: the replacement \"b\" has no version and is not a folder (rooted or starting with . or ..)",
            ),
            (
                "replace a => ./b v1.0.0",
                "line 1: the folder \"./b\" cannot have a version",
            ),
            (
                "retract [v1.0.0",
                "line 1: retract takes a version or an interval [v1.2.3, v1.4.0]",
            ),
            (
                "toolchain 1.21",
                "line 1: invalid toolchain \"1.21\", expected the form go1.23.0 or default",
            ),
        ];
        for (text, want) in cases {
            assert_eq!(
                parse(text.as_bytes()).unwrap_err().to_string(),
                want,
                "{text}"
            );
        }
    }

    #[test]
    fn a_dependency_may_hold_what_only_a_newer_go_knows() {
        let file = parse_dependency(
            b"module a\ngo v1.99x-future\nfuture (\n\tx y\n)\nfuture x\nreplace broken\n\
              toolchain nonsense\nretract (v1, v2)\nrequire b v1.2\n// Latin-1: \xe9\n",
        )
        .unwrap();
        assert_eq!(file.go.as_deref(), Some("1.99"));
        assert_eq!(file.toolchain, None);
        assert_eq!(file.require[0].module, mv("b", "v1.2.0"));
        assert!(file.replace.is_empty() && file.retract.is_empty());

        for bad in [
            "go one",
            "require a",
            "module a b",
            "x (",
            "module a\nmodule b",
        ] {
            assert!(parse_dependency(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn go_versions_are_judged_as_go_does() {
        for good in [
            "1.21",
            "1.21.0",
            "1.21rc1",
            "1.21.3rc1",
            "2.0",
            "1.0",
            "10.20.30beta4",
        ] {
            assert_eq!(go_version(&[good], Reading::Project).unwrap(), good);
        }
        for bad in [
            "1", "0.9", "1.", "01.2", "1.02", "1.2.", "1.2.03", "1.2rc", "1.2-x", "v1.2",
        ] {
            assert!(go_version(&[bad], Reading::Project).is_err(), "{bad}");
        }
        for (lax, want) in [("v1.2-x", "1.2"), ("1.2.x", "1.2"), ("1.21.3.4", "1.21")] {
            assert_eq!(go_version(&[lax], Reading::Dependency).unwrap(), want);
        }
    }

    #[test]
    fn folders_are_told_from_module_paths() {
        for dir in [".", "..", "./a", "../a", "/a", "\\a", "..\\a", "C:", "c:/x"] {
            assert!(is_directory(dir), "{dir}");
        }
        for path in ["a", "example.com/a", ".a", "...", "ab:c", ""] {
            assert!(!is_directory(path), "{path}");
        }
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused() {
        assert!(parse(&vec![b'\n'; MAX_BYTES]).is_ok());
        assert!(parse(&vec![b'\n'; MAX_BYTES + 1]).is_err());
        assert!(parse_dependency("x\n".repeat(300_000).as_bytes()).is_err());
        assert!(parse_dependency("x ".repeat(300_000).as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&data);
            let _ = parse_dependency(&data);
        }

        #[test]
        fn near_misses_never_panic(text in "((module|go|require|replace|retract|exclude) ?|[(),\\[\\]{}]|=>|\"|`|\\\\[xu0-9]|//|/\\*|\n|\r|v[0-9.]{1,6}| |a/v[0-9]|gopkg\\.in/|é|\u{feff}){0,40}") {
            let strict = parse(text.as_bytes());
            let lax = parse_dependency(text.as_bytes());
            // What a project may say, a dependency may say too.
            prop_assert!(strict.is_err() || lax.is_ok());
        }
    }
}
