//! The checksum database: is it asked, and for what not?

use super::Situation;
use crate::findings::{Finding, Rule};
use crate::formats::module::{ModuleVersion, match_prefix_patterns};
use crate::locate::SettingOrigin;
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

/// The checksum database is switched off.
pub(super) fn database_off(situation: &Situation) -> Option<Finding> {
    if situation.value("GOSUMDB") != "off" {
        return None;
    }
    let switch = match situation.value("GOTOOLCHAIN").as_str() {
        "local" => "",
        _ => "; and Go cannot switch toolchains, which it verifies by the database alone",
    };
    let message = format!(
        "{}: the first download of a version is trusted blindly (here: {}){switch}",
        situation.shown("GOSUMDB"),
        counted(&situation.modules())
    );
    let help = format!(
        "Turn it on: {}; exempt private modules by name, in GOPRIVATE",
        situation.unset("GOSUMDB")
    );
    Some(Finding::new(Rule::SumdbOff, "GOSUMDB", message).advise(help))
}

/// A checksum database that Go cannot ask.
pub(super) fn database_unknown(situation: &Situation) -> Option<Finding> {
    let sumdb = situation.value("GOSUMDB");
    let known = sumdb.is_empty() || sumdb == "off";
    let error = GoSumdb::parse(&sumdb).err().filter(|_| !known)?;
    let message = format!(
        "{}: {error}; every look-up fails",
        situation.shown("GOSUMDB")
    );
    let help = format!(
        "Use the public database: {}; or give name, hash and key",
        situation.unset("GOSUMDB")
    );
    Some(Finding::new(Rule::SettingInvalid, "GOSUMDB", message).advise(help))
}

/// `GONOSUMDB` (or `GOPRIVATE`) that covers what anybody may publish.
pub(super) fn skipped(situation: &Situation) -> Option<Finding> {
    let key = source_key(situation, "GONOSUMDB");
    let value = situation.value("GONOSUMDB");
    let (wide, narrow): (Vec<&str>, Vec<&str>) = patterns(&value).partition(|p| is_wide(p));
    if wide.is_empty() {
        return None;
    }
    let message = format!(
        "{}: `{}` exempts public modules from the checksum database; their first download is trusted blindly (here: {})",
        situation.shown(key),
        wide.join("`, `"),
        counted(&covered(situation, &value))
    );
    let help = match narrow.is_empty() {
        true => format!(
            "Name your own hosts and owners only, such as github.com/YOUR-ORG, or none: {}",
            situation.unset(key)
        ),
        false => format!(
            "Keep the narrow patterns: {}",
            situation.set(key, &narrow.join(","))
        ),
    };
    Some(Finding::new(Rule::SumdbSkipped, key, message).advise(help))
}

/// The modules here that a list of patterns covers.
fn covered<'a>(situation: &'a Situation, patterns: &str) -> Vec<&'a ModuleVersion> {
    let mut modules = situation.modules();
    modules.retain(|module| match_prefix_patterns(patterns, &module.path));
    modules
}

/// `GOINSECURE`: no certificate is checked; where the database is off as well,
/// nothing is.
pub(super) fn insecure(situation: &Situation) -> Option<Finding> {
    let value = situation.value("GOINSECURE");
    patterns(&value).next()?;
    let exempt = situation.value("GONOSUMDB");
    let off = situation.value("GOSUMDB") == "off";
    let covered = covered(situation, &value);
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
    match situation.setting(key).1 {
        SettingOrigin::Default => "GOPRIVATE",
        _ => key,
    }
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
