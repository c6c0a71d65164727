//! Settings that Go refuses, that do nothing, or that change how it works.

use super::Situation;
use crate::findings::{Finding, Rule};
use crate::formats::goenv::split_quoted;
use crate::locate::LocateError;

/// Variables that older advice tells to set and that no Go reads (any more).
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    (
        "GONOSUMCHECK",
        "no Go ever read it; GONOSUMDB and GOPRIVATE are what it is mistaken for",
    ),
    (
        "GONOVERIFY",
        "it was renamed to GONOSUMDB before Go 1.13 came out",
    ),
    (
        "GO15VENDOREXPERIMENT",
        "vendoring has not been an experiment since Go 1.7",
    ),
];

pub(super) fn unlocated(situation: &Situation) -> Vec<Finding> {
    let told = situation.unlocated.iter().map(|(key, why)| {
        let harm = match *key {
            "GOCACHE" => "no build runs (`build cache is required, but could not be located`)",
            _ => "nothing can be downloaded, and what was downloaded is not found",
        };
        // Without a home there is no env file either.
        let help = format!(
            "Give the job a home (HOME), or the cache a folder: `export {key}=\"$(mktemp -d)\"`, better one that is kept"
        );
        Finding::new(Rule::SettingInvalid, *key, format!("{why}: {harm}")).advise(help)
    });
    told.collect()
}

pub(super) fn refused(situation: &Situation) -> Option<Finding> {
    let refused = situation.refused.as_ref()?;
    let key = match refused {
        LocateError::RelativeModCache(_) => "GOMODCACHE",
        LocateError::RelativeGopath(_) | LocateError::TildeInGopath(_) => "GOPATH",
        _ => "GOCACHE",
    };
    let (shown, unset) = (situation.shown(key), situation.unset(key));
    let (message, help) = match refused {
        LocateError::GocacheOff => (
            format!(
                "{shown}: no build runs; the build cache cannot be switched off since Go 1.12, whatever older advice says"
            ),
            format!(
                "Take it back: {unset}. A build without reuse gets a fresh folder for its cache instead"
            ),
        ),
        _ => (
            format!("{shown}: {refused}; no `go` command runs"),
            format!("Take it back: {unset}; or give it an absolute path"),
        ),
    };
    Some(Finding::new(Rule::SettingInvalid, key, message).advise(help))
}

pub(super) fn unreadable_env_file(situation: &Situation) -> Option<Finding> {
    let (error, file) = (
        situation.go.env_file_error.as_ref()?,
        situation.go.env_file.as_ref()?,
    );
    let message =
        format!("Go's env file cannot be read: {error}; what it sets is not in force, or Go stops");
    let finding = Finding::new(Rule::SettingInvalid, "GOENV", message).at(file);
    Some(finding.advise("Make it readable, or go without it: `export GOENV=off`"))
}

pub(super) fn empty_proxy_list(situation: &Situation) -> Option<Finding> {
    let proxy = situation.value("GOPROXY");
    if proxy.is_empty() || !super::chain(&proxy).is_empty() {
        return None;
    }
    let message = format!(
        "{}: the list has no entries; every download fails",
        situation.shown("GOPROXY")
    );
    let help = format!("Take it back: {}", situation.unset("GOPROXY"));
    Some(Finding::new(Rule::SettingInvalid, "GOPROXY", message).advise(help))
}

pub(super) fn broken_flags(situation: &Situation) -> Option<Finding> {
    let error = split_quoted(&situation.value("GOFLAGS")).err()?;
    let message = format!(
        "{}: {error}; no `go` command runs",
        situation.shown("GOFLAGS")
    );
    let help = format!(
        "Close the quote, or take it back: {}",
        situation.unset("GOFLAGS")
    );
    Some(Finding::new(Rule::SettingInvalid, "GOFLAGS", message).advise(help))
}

pub(super) fn ignored_settings(situation: &Situation) -> Vec<Finding> {
    let set = |name: &str| {
        situation.environment.var(name).is_some()
            || situation.go.keys().iter().any(|key| key == name)
    };
    let known = WITHOUT_EFFECT.iter().filter(|(name, _)| set(name));
    known
        .map(|(name, why)| {
            let message = format!(
                "{name} is set and does nothing: {why}; what it was meant to switch off is still on"
            );
            // `go env -u` refuses names that Go does not know.
            let remove = match situation.environment.var(name) {
                Some(_) => format!("`unset {name}`"),
                None => format!("`sed -i.old /^{name}=/d \"$(go env GOENV)\"`"),
            };
            let help = format!("Remove it: {remove}; then set what was meant");
            Finding::new(Rule::SettingIgnored, *name, message).advise(help)
        })
        .collect()
}

pub(super) fn mod_mod_in_ci(situation: &Situation) -> Option<Finding> {
    let without = without_flag(situation, &["mod=mod"]).filter(|_| situation.in_ci())?;
    let message = format!(
        "{}: in this CI job Go changes go.mod and go.sum as it builds, so that a build is not what was reviewed, and every new version lands in the cache",
        situation.shown("GOFLAGS")
    );
    let help = format!("Let the default, -mod=readonly, rule: {without}");
    Some(Finding::new(Rule::ModModInCi, "GOFLAGS", message).advise(help))
}

pub(super) fn writable_modules(situation: &Situation) -> Option<Finding> {
    let without = without_flag(situation, &["modcacherw", "modcacherw=true"])?;
    let message = format!(
        "{}: extracted modules lie in writable folders, so that any tool may add files that Go then compiles unnoticed",
        situation.shown("GOFLAGS")
    );
    let help = format!("Unless something must delete the cache without chmod: {without}");
    Some(Finding::new(Rule::ModcacheWritable, "GOFLAGS", message).advise(help))
}

/// The command that takes a flag, however it is written, out of `GOFLAGS`;
/// `None` if it is not in there.
fn without_flag(situation: &Situation, spellings: &[&str]) -> Option<String> {
    let flags = situation.flags();
    let kept: Vec<&str> = flags
        .iter()
        .map(String::as_str)
        .filter(|flag| !spellings.contains(&flag.trim_start_matches('-')))
        .collect();
    if kept.len() == flags.len() {
        return None;
    }
    Some(match kept.is_empty() {
        true => situation.unset("GOFLAGS"),
        false => situation.set("GOFLAGS", &kept.join(" ")),
    })
}
