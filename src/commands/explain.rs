//! `gocachevet explain`: the sections of `docs/rules.md`.

use crate::error::CommandError;
use crate::findings::Rule;
use crate::report::Verdict;
use clap::Args;
use std::io::Write;

const DOCUMENT: &str = include_str!("../../docs/rules.md");

/// Options of `explain`.
#[derive(Args, Clone, Debug, Default)]
pub struct ExplainArgs {
    /// The rule; without one, all are listed
    pub rule: Option<String>,
}

/// Prints a rule's section, or a line for every rule.
pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> Result<Verdict, CommandError> {
    match &args.rule {
        Some(name) => {
            let rule: Rule = name
                .parse()
                .map_err(|error: String| CommandError::Usage(error.into()))?;
            writeln!(out, "{}", section(rule).unwrap_or_default())?;
        }
        None => {
            for rule in Rule::ALL {
                let summary = section(*rule).and_then(summary).unwrap_or_default();
                writeln!(
                    out,
                    "{:<24} {:<5} {summary}",
                    rule.name(),
                    rule.default_level().name()
                )?;
            }
        }
    }
    Ok(Verdict::Pass)
}

/// The section of a rule, heading included.
fn section(rule: Rule) -> Option<&'static str> {
    sections().find(|section| heading(section) == rule.name())
}

fn sections() -> impl Iterator<Item = &'static str> {
    DOCUMENT.split("\n## ").skip(1).map(str::trim_end)
}

fn heading(section: &str) -> &str {
    section.lines().next().unwrap_or_default()
}

/// The first sentence after the line that gives the level.
fn summary(section: &'static str) -> Option<&'static str> {
    section
        .lines()
        .skip(1)
        .find(|line| !line.is_empty() && !line.starts_with("Default level"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_section_in_order_and_no_section_is_left_over() {
        let headings: Vec<_> = sections().map(heading).collect();
        let names: Vec<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(headings, names);
        for rule in Rule::ALL {
            let section = section(*rule).unwrap();
            let level = format!("Default level: `{}`.", rule.default_level().name());
            assert!(section.contains(&level), "{rule}: {level}");
            for part in ["**How it comes about.**", "**What to do.**"] {
                assert!(section.contains(part), "{rule}: {part}");
            }
            let summary = summary(section).unwrap();
            assert!(
                summary.ends_with('.') && summary.len() <= 110,
                "{rule}: {summary}"
            );
        }
    }

    #[test]
    fn an_unknown_rule_is_wrong_usage() {
        let args = ExplainArgs {
            rule: Some("drfit".to_owned()),
        };
        let error = run(&args, &mut Vec::new()).unwrap_err();
        assert!(
            matches!(&error, CommandError::Usage(text) if text.to_string().contains("`drift`")),
            "{error}"
        );
    }

    #[test]
    fn all_rules_fit_a_line_each() {
        let mut out = Vec::new();
        run(&ExplainArgs::default(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap().lines().count(),
            Rule::ALL.len()
        );
    }
}
