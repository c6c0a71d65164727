//! Module paths, versions, names of files and go.sum files are taken and refused as
//! Go's own code does: mutants of real ones, held against the installed Go.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use gocachevet::tested::formats::{
    GoSum, ModuleVersion, canonical_module_version, check_file_path, check_module, escape_path,
    escape_version, unescape_path,
};
use support::{Dice, GosOwn, full_campaign};

/// Why something is refused here and not by Go: what a go.sum has there cannot be proof
/// of anything, and no module version is so named.
const STRICTER: &[(&str, &str)] = &[
    // Go takes the marker for a line of three fields, or complains of their number.
    ("go.sum", "merge conflict marker"),
    // Go compares texts: such a hash is never equal to one, and the build fails later.
    ("go.sum", "malformed h1 hash"),
    // A module path is ASCII.
    ("go.sum", "not UTF-8"),
    // Go asks for that where it reads a go.mod, and once more where it downloads.
    ("module", "is not canonical"),
];

/// What stands around cmd/go's readGoSum there.
const AROUND: &str = r#"package main

import (
	"bytes"
	"strings"

	"golang.org/x/mod/module"
)

var cfg struct{ CmdName string }

type exit struct{}

func (exit) Fatalf(string, ...any) { panic(malformed{}) }

var base exit

"#;

/// A declaration of cmd/go's source, from its first line to its last.
fn declaration<'a>(source: &'a str, begin: &str, end: &str) -> &'a str {
    let at = source.find(begin).expect(begin);
    let len = source[at..].find(end).unwrap() + end.len();
    &source[at..at + len]
}

/// Go's answers, from a program of cmd/go's own code.
fn go(cases: &[Case]) -> Vec<Option<Vec<u8>>> {
    let program = GosOwn::build("names", |cmd, source| {
        let fetch = fs::read_to_string(cmd.join("go/internal/modfetch/fetch.go")).unwrap();
        let read = [
            AROUND,
            declaration(&fetch, "const emptyGoModHash", "\n"),
            declaration(&fetch, "func readGoSum(", "\n}\n"),
        ];
        fs::write(source.join("gosum.go"), read.concat()).unwrap();
    });
    let lines: Vec<String> = cases.iter().map(Case::line).collect();
    let answers = program.ask(&lines).into_iter().map(|said| {
        let said = said.ok()?;
        let byte = |at| u8::from_str_radix(&said[at..at + 2], 16).unwrap();
        Some((0..said.len()).step_by(2).map(byte).collect())
    });
    answers.collect()
}

struct Case {
    kind: &'static str,
    texts: Vec<Vec<u8>>,
}

impl Case {
    fn line(&self) -> String {
        let mut line = self.kind.to_owned();
        for text in &self.texts {
            line.push(' ');
            text.iter()
                .for_each(|byte| write!(line, "{byte:02x}").unwrap());
        }
        line + "\n"
    }

    /// What is made of it here: what was read, or why it is refused.
    fn ours(&self) -> Result<String, String> {
        if self.kind == "go.sum" {
            return go_sum(&self.texts[0]);
        }
        let texts = self.texts.iter().map(|text| std::str::from_utf8(text));
        let texts: Vec<&str> = texts
            .collect::<Result<_, _>>()
            .map_err(|it| it.to_string())?;
        let said = match self.kind {
            "path" => escape_path(texts[0]).map_err(|it| it.to_string()),
            "escaped" => unescape_path(texts[0]).map_err(|it| it.to_string()),
            "version" => escape_version(texts[0]).map_err(|it| it.to_string()),
            "canonical" => canonical_module_version(texts[0]).ok_or_else(String::new),
            "module" => check_module(&ModuleVersion::new(texts[0], texts[1]))
                .map(|()| String::new())
                .map_err(|it| it.to_string()),
            "file" => check_file_path(texts[0])
                .map(|()| String::new())
                .map_err(|it| it.to_string()),
            kind => panic!("{kind}"),
        };
        said.map_err(|why| format!("{why}."))
    }
}

fn go_sum(content: &[u8]) -> Result<String, String> {
    let sums = GoSum::parse(content).map_err(|error| error.to_string())?;
    let mut lines = BTreeSet::new();
    for (all, suffix) in [(&sums.zips, ""), (&sums.go_mods, "/go.mod")] {
        for (id, all) in all {
            for sum in all {
                lines.insert(format!("{} {}{suffix} {}\n", id.path, id.version, sum.h1));
            }
        }
    }
    Ok(lines.into_iter().collect())
}

/// Go's lines, once each, without those whose hash no command of it knows.
fn known(lines: &[u8]) -> String {
    let lines = String::from_utf8_lossy(lines);
    let h1 = |line: &&str| {
        line.split(' ')
            .nth(2)
            .is_some_and(|it| it.starts_with("h1:"))
    };
    let lines: BTreeSet<&str> = lines.split_inclusive('\n').filter(h1).collect();
    lines.into_iter().collect()
}

const PATHS: &[&str] = &[
    "github.com/BurntSushi/toml",
    "golang.org/x/text",
    "gopkg.in/yaml.v3",
    "gopkg.in/a/b.v1-unstable",
    "example.com/m/v2",
    "k8s.io/api",
    "rsc.io/quote/v3",
    "a.b/c_d~e/f.g-h",
    "m",
];
const VERSIONS: &[&str] = &[
    "v1.2.3",
    "v0.0.0-20180118202830-f09979ecbc72",
    "v2.0.0+incompatible",
    "v3.1.4-rc.1",
    "v1",
    "v1.2",
    "v2.0.0-alpha.1+meta",
    "v0.3.8",
];
const ESCAPED: &[&str] = &["github.com/!burnt!sushi/toml", "example.com/!m/v2"];
const WORDS: &[&str] = &[
    "/",
    "//",
    ".",
    "..",
    "-",
    "!",
    "~1",
    "~",
    "@",
    "\\",
    " ",
    "\t",
    "\n",
    "\u{a0}",
    "é",
    "\u{2028}",
    "A",
    "v",
    "/v1",
    "/v02",
    "/v2",
    ".v0",
    ".v1",
    ".v3",
    "CON",
    "com1",
    "COM¹",
    "nul.txt",
    "+",
    "+incompatible",
    "0",
    "01",
    "9",
    "-0",
    ".git",
    ":",
    "\"",
    "'",
    "*",
    "<",
    "|",
    "&",
    ";",
    "%",
    "{",
    "=",
    ",",
    "\0",
    "\u{7f}",
    "-unstable",
    "/go.mod",
    "h1:",
    "h2:",
    "=",
    "<<<<<<<",
    "=======",
    ">>>>>>> x",
    "\r\n",
    "\u{85}",
    "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=",
];

fn mutant(of: &str, dice: &mut Dice) -> String {
    let mut text: Vec<char> = of.chars().collect();
    for _ in 0..dice.roll(4) {
        let at = dice.roll(text.len() + 1);
        let end = (at + dice.roll(4)).min(text.len());
        match dice.roll(4) {
            0 => drop(text.drain(at..end)),
            1 => text.splice(at..at, dice.one(WORDS).chars()).for_each(drop),
            2 => text.splice(at..end, dice.one(WORDS).chars()).for_each(drop),
            _ => {
                let copy = text[at..end].to_vec();
                text.splice(at..at, copy).for_each(drop);
            }
        }
    }
    text.into_iter().collect()
}

/// A go.sum of a few lines, some of them twice or changed.
fn go_sum_mutant(dice: &mut Dice) -> String {
    const SUMS: &str = include_str!("../fuzz/corpus/go.sum/hello");
    let lines: Vec<&str> = SUMS.lines().collect();
    let mut text = String::new();
    for _ in 0..1 + dice.roll(4) {
        let line = dice.one(&lines);
        text += &if dice.roll(2) == 0 {
            mutant(line, dice)
        } else {
            line.to_owned()
        };
        text += "\n";
    }
    text
}

fn cases(count: usize) -> Vec<Case> {
    let mut dice = Dice::new("names");
    let mut cases = Vec::new();
    for _ in 0..count {
        let path = mutant(dice.one(PATHS), &mut dice);
        let version = mutant(dice.one(VERSIONS), &mut dice);
        let escaped = mutant(dice.one(ESCAPED), &mut dice);
        let sums = go_sum_mutant(&mut dice);
        for (kind, texts) in [
            ("path", vec![path.clone()]),
            ("file", vec![path.clone()]),
            ("module", vec![path, version.clone()]),
            ("version", vec![version.clone()]),
            ("canonical", vec![version]),
            ("escaped", vec![escaped]),
            ("go.sum", vec![sums]),
        ] {
            let texts = texts.into_iter().map(String::into_bytes).collect();
            cases.push(Case { kind, texts });
        }
    }
    cases
}

#[test]
fn mutants_are_taken_and_refused_as_go_does() {
    let cases = cases(if full_campaign() { 100_000 } else { 10_000 });
    let mut tally: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (case, go) in cases.iter().zip(go(&cases)) {
        let ours = case.ours();
        let shown = || {
            let texts: Vec<_> = case
                .texts
                .iter()
                .map(|it| String::from_utf8_lossy(it))
                .collect();
            format!("{} {texts:?}\nGo: {go:?}\nhere: {ours:?}", case.kind)
        };
        let outcome = match (&go, &ours) {
            (Some(go), Ok(ours)) => {
                let go = match case.kind {
                    "go.sum" => known(go),
                    _ => String::from_utf8_lossy(go).into_owned(),
                };
                assert_eq!(go, *ours, "{}", shown());
                "taken"
            }
            (None, Err(_)) => "refused",
            (Some(_), Err(why))
                if STRICTER
                    .iter()
                    .any(|(kind, known)| case.kind == *kind && why.contains(known)) =>
            {
                "stricter"
            }
            _ => panic!("{}", shown()),
        };
        *tally.entry((case.kind, outcome)).or_default() += 1;
    }
    println!("{tally:?}");
    for kind in [
        "path",
        "file",
        "module",
        "version",
        "canonical",
        "escaped",
        "go.sum",
    ] {
        for outcome in ["taken", "refused"] {
            assert!(
                tally.get(&(kind, outcome)) > Some(&100),
                "{kind} {outcome}: {tally:?}"
            );
        }
    }
    for kind in ["go.sum", "module"] {
        assert!(tally.get(&(kind, "stricter")) > Some(&100), "{tally:?}");
    }
}
