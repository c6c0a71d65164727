//! The checksum database: is it asked, and for what not?

use super::Situation;
use crate::findings::{Finding, Rule};
use crate::formats::module::{ModuleVersion, match_prefix_patterns};
use crate::sumdb::setting::GoSumdb;

/// Hosts that anybody can publish modules on. A pattern that covers one of them
/// whole covers strangers' code.
pub(super) const PUBLIC_HOSTS: &[&str] = &[
    "bitbucket.org",
    "codeberg.org",
    "github.com",
    "gitlab.com",
    "go.uber.org",
    "golang.org",
    "google.golang.org",
    "gopkg.in",
    "k8s.io",
    "rsc.io",
    "sigs.k8s.io",
];

pub(super) fn diagnose(situation: &Situation) -> Vec<Finding> {
    let mut findings = Vec::new();
    let sumdb = situation.value("GOSUMDB");
    if sumdb == "off" {
        let mut message = format!(
            "{}: the first download of a version is trusted blindly (here: {})",
            situation.shown("GOSUMDB"),
            counted(&situation.modules())
        );
        let toolchains = situation.value("GOTOOLCHAIN");
        if toolchains != "local" {
            message.push_str(
                "; and Go cannot switch toolchains, which it verifies by the database alone",
            );
        }
        let help = format!(
            "Turn it on: {}; exempt private modules by name, in GOPRIVATE",
            situation.unset("GOSUMDB")
        );
        findings.push(Finding::new(Rule::SumdbOff, "GOSUMDB", message).advise(help));
    } else if let Err(error) = GoSumdb::parse(&sumdb)
        && !sumdb.is_empty()
    {
        let message = format!(
            "{}: {error}; every look-up fails",
            situation.shown("GOSUMDB")
        );
        let help = format!(
            "Use the public database: {}; or give name, hash and key",
            situation.unset("GOSUMDB")
        );
        findings.push(Finding::new(Rule::SettingInvalid, "GOSUMDB", message).advise(help));
    }
    findings.extend(skipped(situation));
    findings.extend(insecure(situation));
    findings
}

/// `GONOSUMDB` (or `GOPRIVATE`) that covers what anybody may publish.
fn skipped(situation: &Situation) -> Option<Finding> {
    let key = source_key(situation, "GONOSUMDB");
    let value = situation.value("GONOSUMDB");
    let wide: Vec<&str> = patterns(&value)
        .filter(|pattern| is_wide(pattern))
        .collect();
    if wide.is_empty() {
        return None;
    }
    let modules = situation.modules();
    let covered: Vec<_> = modules
        .into_iter()
        .filter(|m| match_prefix_patterns(&value, &m.path))
        .collect();
    let message = format!(
        "{}: `{}` exempts public modules from the checksum database; their first download is trusted blindly (here: {})",
        situation.shown(key),
        wide.join("`, `"),
        counted(&covered)
    );
    let keep: Vec<&str> = patterns(&value)
        .filter(|pattern| !is_wide(pattern))
        .collect();
    let help = if keep.is_empty() {
        format!(
            "Name your own hosts and owners only, such as github.com/YOUR-ORG, or none: {}",
            situation.unset(key)
        )
    } else {
        format!(
            "Keep the narrow patterns: {}",
            situation.set(key, &keep.join(","))
        )
    };
    Some(Finding::new(Rule::SumdbSkipped, key, message).advise(help))
}

/// `GOINSECURE`: no certificate is checked; where the database is off as well,
/// nothing is.
fn insecure(situation: &Situation) -> Option<Finding> {
    let value = situation.value("GOINSECURE");
    patterns(&value).next()?;
    let exempt = situation.value("GONOSUMDB");
    let off = situation.value("GOSUMDB") == "off";
    let modules = situation.modules();
    let covered: Vec<_> = modules
        .into_iter()
        .filter(|m| match_prefix_patterns(&value, &m.path))
        .collect();
    let unproven = covered
        .iter()
        .filter(|m| off || match_prefix_patterns(&exempt, &m.path))
        .count();
    let message = format!(
        "{}: fetched without a checked certificate, by HTTP too, are {}; of these {unproven} are not checked against the checksum database either: whoever sits on the wire decides what they are",
        situation.shown("GOINSECURE"),
        counted(&covered)
    );
    let help = format!(
        "Give the server a certificate that the machine trusts (SSL_CERT_FILE), then take it back: {}",
        situation.unset("GOINSECURE")
    );
    Some(Finding::new(Rule::SumdbSkipped, "GOINSECURE", message).advise(help))
}

/// `GOPRIVATE` where that is what gives `key` its value.
pub(super) fn source_key(situation: &Situation, key: &'static str) -> &'static str {
    let own = situation.go.keys().iter().any(|set| set == key);
    if own { key } else { "GOPRIVATE" }
}

pub(super) fn patterns(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(str::trim)
        .filter(|pattern| !pattern.is_empty())
}

/// Whether a pattern covers a public host whole, or any host.
fn is_wide(pattern: &str) -> bool {
    let mut elements = pattern.split('/');
    let host = elements.next().unwrap_or_default();
    let rest_is_free = elements.all(|element| element.chars().all(|c| c == '*'));
    rest_is_free
        && PUBLIC_HOSTS
            .iter()
            .any(|public| match_prefix_patterns(host, public))
}

/// `3 modules (a@v1, b@v1 and 1 more)`.
pub(super) fn counted(modules: &[&ModuleVersion]) -> String {
    let named: Vec<String> = modules
        .iter()
        .take(2)
        .map(|module| module.to_string())
        .collect();
    match modules.len() {
        0 => "no module version so far".to_owned(),
        1 => format!("1 module version ({})", named.join("")),
        2 => format!("2 module versions ({})", named.join(", ")),
        n => format!(
            "{n} module versions ({} and {} more)",
            named.join(", "),
            n - 2
        ),
    }
}
