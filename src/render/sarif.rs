//! SARIF 2.1.0, for code scanning.
//!
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>; section
//! numbers below are its.

use super::fingerprint::Fingerprints;
use super::summary;
use crate::findings::{Finding, Level, Rule};
use crate::report::Report;
use crate::text::escape::terminal;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

/// Everything but what RFC 3986 calls unreserved is encoded in a segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The report as a SARIF log with one run.
pub fn sarif(report: &Report) -> String {
    let groups = summary::groups(&report.findings);
    let mut rules: Vec<Rule> = groups.iter().map(|group| group.rule).collect();
    rules.sort();
    rules.dedup();
    let bases = Bases::of(report);
    let mut fingerprints = Fingerprints::default();
    let results: Vec<Value> = groups
        .iter()
        .flat_map(|group| &group.findings)
        .map(|finding| result(finding, &rules, &bases, fingerprints.next(finding)))
        .collect();
    super::json(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "gocachevet",
                "version": terminal(&report.tool.version),
                "rules": rules.iter().map(|rule| descriptor(*rule)).collect::<Vec<_>>(),
            }},
            "automationDetails": { "id": "gocachevet/" },
            "columnKind": "utf16CodeUnits",
            "originalUriBaseIds": bases.described(),
            "results": results,
        }],
    }))
}

fn descriptor(rule: Rule) -> Value {
    let words = rule.name().replace('-', " ");
    json!({
        "id": rule.name(),
        "name": format!("{rule:?}"),
        "shortDescription": { "text": format!("Go cache: {words}.") },
        "fullDescription": { "text": format!("Go cache: {words}. {}", rule.help()) },
        "help": { "text": rule.help(), "markdown": rule.help() },
        "defaultConfiguration": { "level": level(rule.default_level()) },
    })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Deny => "error",
        Level::Warn => "warning",
        Level::Note => "note",
        Level::Allow => "none",
    }
}

fn result(finding: &Finding, rules: &[Rule], bases: &Bases, fingerprint: String) -> Value {
    let mut text = format!("{}: {}", finding.subject, finding.message);
    if let (Some(expected), Some(actual)) = (&finding.expected, &finding.actual) {
        text.push_str(&format!(" (expected {expected}, found {actual})"));
    }
    json!({
        "ruleId": finding.rule.name(),
        "ruleIndex": rules.iter().position(|rule| *rule == finding.rule),
        "level": level(finding.level),
        "message": { "text": message(&format!("{} {}", summary::sentence(&text), finding.help)) },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": bases.locate(finding.path.as_deref()),
                "region": { "startLine": 1 },
            },
            "logicalLocations": [{ "fullyQualifiedName": terminal(&finding.subject) }],
        }],
        "partialFingerprints": { "gocachevet/v1": fingerprint },
    })
}

/// Plain text of a message: brackets would begin a link (3.11.6), braces a
/// placeholder (3.11.5).
fn message(text: &str) -> String {
    let mut out = String::new();
    for c in terminal(text).chars() {
        match c {
            '[' | ']' | '\\' => out.extend(['\\', c]),
            '{' | '}' => out.extend([c, c]),
            c => out.push(c),
        }
    }
    out
}

/// The folders that locations are relative to, so that results are the same
/// on every machine.
struct Bases {
    folders: Vec<(&'static str, String)>,
    windows: bool,
}

impl Bases {
    fn of(report: &Report) -> Bases {
        let windows = report.tool.target.contains("windows");
        let folders = [
            (
                "GOMODCACHE",
                report.modcache.as_ref().map(|cache| &cache.path),
            ),
            (
                "GOCACHE",
                report.buildcache.as_ref().map(|cache| &cache.path),
            ),
            (
                "SRCROOT",
                report.projects.first().map(|project| &project.path),
            ),
        ];
        let folders = folders
            .into_iter()
            .filter_map(|(id, path)| {
                Some((id, slashed(path?, windows).trim_end_matches('/').to_owned()))
            })
            .collect();
        Bases { folders, windows }
    }

    fn described(&self) -> Value {
        let mut bases: Map<String, Value> = self
            .folders
            .iter()
            .map(|(id, folder)| {
                (
                    (*id).to_owned(),
                    json!({ "uri": format!("{}/", file_uri(folder)) }),
                )
            })
            .collect();
        bases.entry("SRCROOT").or_insert_with(
            || json!({ "description": { "text": "The folder of the project's go.mod." } }),
        );
        Value::Object(bases)
    }

    /// Where a path is; without one, the project's go.mod, since code scanning
    /// drops results that are nowhere.
    fn locate(&self, path: Option<&str>) -> Value {
        let Some(path) = path else {
            return json!({ "uri": "go.mod", "uriBaseId": "SRCROOT" });
        };
        let path = slashed(path, self.windows);
        for (id, folder) in &self.folders {
            if let Some(below) = path
                .strip_prefix(folder.as_str())
                .and_then(|rest| rest.strip_prefix('/'))
                && !below.is_empty()
            {
                return json!({ "uri": encoded(below), "uriBaseId": id });
            }
        }
        if path.starts_with('/') || path.contains(":/") {
            json!({ "uri": file_uri(&path) })
        } else {
            json!({ "uri": encoded(&path), "uriBaseId": "SRCROOT" })
        }
    }
}

fn slashed(path: &str, windows: bool) -> String {
    if windows {
        path.replace('\\', "/")
    } else {
        path.to_owned()
    }
}

fn file_uri(path: &str) -> String {
    format!("file:///{}", encoded(path.trim_start_matches('/')))
}

/// Each segment encoded. A segment of dots alone would be resolved away.
fn encoded(path: &str) -> String {
    path.split('/')
        .map(|segment| match segment {
            "." => "%2E".to_owned(),
            ".." => "%2E%2E".to_owned(),
            segment => utf8_percent_encode(segment, SEGMENT).to_string(),
        })
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing;

    #[test]
    fn locations_are_relative_and_encoded() {
        let bases = Bases::of(&testing::clean());
        for (path, uri, base) in [
            (
                Some("/root/go/pkg/mod/cache/download/a/@v/v1 #?.zip"),
                "cache/download/a/%40v/v1%20%23%3F.zip",
                Some("GOMODCACHE"),
            ),
            (
                Some("/root/.cache/go-build/00/0a-d"),
                "00/0a-d",
                Some("GOCACHE"),
            ),
            (Some("/src/app/go.sum"), "go.sum", Some("SRCROOT")),
            (
                Some("/root/go/pkg/model/x"),
                "file:///root/go/pkg/model/x",
                None,
            ),
            (
                Some("/root/go/pkg/mod/../../\n"),
                "%2E%2E/%2E%2E/%0A",
                Some("GOMODCACHE"),
            ),
            (None, "go.mod", Some("SRCROOT")),
        ] {
            let location = bases.locate(path);
            assert_eq!(location["uri"], uri, "{path:?}");
            assert_eq!(
                location.get("uriBaseId").and_then(Value::as_str),
                base,
                "{path:?}"
            );
        }
    }

    #[test]
    fn windows_paths_become_uris() {
        let mut report = testing::clean();
        report.tool.target = "x86_64-windows".to_owned();
        report.modcache.as_mut().unwrap().path = "C:\\go\\pkg\\mod".to_owned();
        let bases = Bases::of(&report);
        assert_eq!(bases.locate(Some("C:\\go\\pkg\\mod\\a\\b"))["uri"], "a/b");
        assert_eq!(
            bases.described()["GOMODCACHE"]["uri"],
            "file:///C%3A/go/pkg/mod/"
        );
        assert_eq!(bases.locate(Some("D:\\x"))["uri"], "file:///D%3A/x");
    }

    #[test]
    fn messages_hold_no_link_and_no_placeholder() {
        assert_eq!(
            message("a [b](1) {0} \u{1b}"),
            "a \\[b\\](1) {{0}} \\\\u{{1b}}"
        );
    }
}
