//! `go.work` files: which modules are worked on together.
//!
//! Source: `golang.org/x/mod/modfile/work.go` (`ParseWork`) and the
//! [Go Modules Reference](https://go.dev/ref/mod#go-work-file).

use super::directives::{self, LineError, ParseError, Statement, shown, syntax, unquote};
use super::gomod::{self, Reading, Replace, once, one};

/// What a `go.work` file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoWork {
    /// The `go` line, such as `1.23.4`.
    pub go: Option<String>,
    /// The `toolchain` line: `go1.23.4`, or `default`.
    pub toolchain: Option<String>,
    /// The members' folders, rooted or relative to the file's own folder, as the file writes them.
    pub uses: Vec<String>,
    /// What stands in for other modules; weighs more than the members' own replacements.
    pub replace: Vec<Replace>,
    /// Keys and values of `godebug` lines.
    pub godebug: Vec<(String, String)>,
}

/// Reads a `go.work` file.
pub fn parse(data: &[u8]) -> Result<GoWork, ParseError> {
    let text = directives::text(data)?;
    let mut file = GoWork::default();
    for statement in directives::statements(&text)? {
        match statement {
            Statement::Line(line) => {
                if let Some((verb, args)) = line.words.split_first() {
                    file.add(verb, args, line.number)?;
                }
            }
            Statement::Block {
                number,
                header,
                lines,
            } => match header.as_slice() {
                [verb @ ("godebug" | "use" | "replace")] => {
                    for line in &lines {
                        file.add(verb, &line.words, line.number)?;
                    }
                }
                other => {
                    let kind = shown(&other.join(" "));
                    return Err(syntax(format!("unknown block type {kind}")).at(number));
                }
            },
        }
    }
    Ok(file)
}

impl GoWork {
    fn add(&mut self, verb: &str, args: &[&str], number: usize) -> Result<(), ParseError> {
        self.directive(verb, args)
            .map_err(|problem| problem.at(number))
    }

    fn directive(&mut self, verb: &str, args: &[&str]) -> Result<(), LineError> {
        match verb {
            "go" => once(
                &mut self.go,
                verb,
                gomod::go_version(args, Reading::Workspace)?,
            )?,
            "toolchain" => once(&mut self.toolchain, verb, gomod::toolchain(args)?)?,
            "godebug" => self.godebug.push(gomod::godebug(args)?),
            "use" => self.uses.push(unquote(one(verb, args)?)?),
            "replace" => self.replace.push(gomod::replace(args, Reading::Workspace)?),
            _ => return Err(syntax(format!("unknown directive {}", shown(verb)))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::gomod::Replacement;
    use proptest::prelude::*;

    #[test]
    fn every_directive_is_read() {
        let file = parse(
            b"go 1.23.0\ntoolchain go1.24.1\nuse ./a\nuse (\n\t../b // second\n\t\"./with space\"\n)\n\
              replace example.com/x v1.2 => ./x\ngodebug panicnil=1\n",
        )
        .unwrap();
        assert_eq!(file.go.as_deref(), Some("1.23.0"));
        assert_eq!(file.toolchain.as_deref(), Some("go1.24.1"));
        assert_eq!(file.uses, ["./a", "../b", "./with space"]);
        assert_eq!(file.replace[0].version.as_deref(), Some("v1.2.0"));
        assert_eq!(file.replace[0].with, Replacement::Dir("./x".into()));
        assert_eq!(file.godebug, [("panicnil".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, want) in [
            ("use a b", "line 1: use takes exactly one argument"),
            (
                "\nrequire a v1.0.0",
                "line 2: unknown directive \"require\"",
            ),
            ("go (\n)", "line 1: unknown block type \"go\""),
            ("go 1.18\ngo 1.19", "line 2: second go line"),
        ] {
            assert_eq!(
                parse(text.as_bytes()).unwrap_err().to_string(),
                want,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&data);
        }
    }
}
