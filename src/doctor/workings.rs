//! Settings that Go refuses, that do nothing, or that change how it works.

use super::Situation;
use crate::findings::{Finding, Rule};
use crate::formats::goenv::split_quoted;
use chrono::{DateTime, TimeDelta, Utc};

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

pub(super) fn invalid_settings(situation: &Situation) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (key, why) in &situation.unlocated {
        let message = match *key {
            "GOCACHE" => format!(
                "{why}: no build runs (`build cache is required, but could not be located`)"
            ),
            _ => format!("{why}: nothing can be downloaded, and what was downloaded is not found"),
        };
        // Without a home there is no env file either.
        let help = format!(
            "Give the job a home (HOME), or the cache a folder: `export {key}=\"$(mktemp -d)\"`, better one that is kept"
        );
        findings.push(Finding::new(Rule::SettingInvalid, *key, message).advise(help));
    }
    if let Some(refused) = &situation.refused {
        let off = situation.value("GOCACHE") == "off";
        let subject = if refused.contains("GOMODCACHE") {
            "GOMODCACHE"
        } else if refused.contains("GOPATH") {
            "GOPATH"
        } else {
            "GOCACHE"
        };
        let message = match off && subject == "GOCACHE" {
            true => format!(
                "{}: no build runs; the build cache cannot be switched off since Go 1.12, whatever older advice says",
                situation.shown("GOCACHE")
            ),
            false => format!(
                "{}: {refused}; no `go` command runs",
                situation.shown(subject)
            ),
        };
        let help = match off && subject == "GOCACHE" {
            true => format!(
                "Take it back: {}. A build without reuse gets a fresh folder for its cache instead",
                situation.unset("GOCACHE")
            ),
            false => format!(
                "Take it back: {}; or give it an absolute path",
                situation.unset(subject)
            ),
        };
        findings.push(Finding::new(Rule::SettingInvalid, subject, message).advise(help));
    }
    if let Some(error) = &situation.go.env_file_error
        && let Some(file) = &situation.go.env_file
    {
        let message = format!(
            "Go's env file cannot be read: {error}; what it sets is not in force, or Go stops"
        );
        let help = "Make it readable, or go without it: `export GOENV=off`";
        findings.push(
            Finding::new(Rule::SettingInvalid, "GOENV", message)
                .at(file)
                .advise(help),
        );
    }
    let proxy = situation.value("GOPROXY");
    if !proxy.is_empty() && super::chain(&proxy).is_empty() {
        let message = format!(
            "{}: the list has no entries; every download fails",
            situation.shown("GOPROXY")
        );
        findings.push(
            Finding::new(Rule::SettingInvalid, "GOPROXY", message)
                .advise(format!("Take it back: {}", situation.unset("GOPROXY"))),
        );
    }
    if let Err(error) = split_quoted(&situation.value("GOFLAGS")) {
        let message = format!(
            "{}: {error}; no `go` command runs",
            situation.shown("GOFLAGS")
        );
        findings.push(
            Finding::new(Rule::SettingInvalid, "GOFLAGS", message).advise(format!(
                "Close the quote, or take it back: {}",
                situation.unset("GOFLAGS")
            )),
        );
    }
    findings
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

/// What `GOFLAGS` does to the caches.
pub(super) fn flags(situation: &Situation) -> Vec<Finding> {
    let mut findings = Vec::new();
    let flags = situation.flags();
    let has = |flag: &str| flags.iter().any(|f| f.trim_start_matches('-') == flag);
    let without = |flag: &str| {
        let rest: Vec<&str> = flags
            .iter()
            .map(String::as_str)
            .filter(|f| f.trim_start_matches('-') != flag)
            .collect();
        match rest.is_empty() {
            true => situation.unset("GOFLAGS"),
            false => situation.set("GOFLAGS", &rest.join(" ")),
        }
    };
    if situation.in_ci() && has("mod=mod") {
        let message = format!(
            "{}: in this CI job Go changes go.mod and go.sum as it builds, so that a build is not what was reviewed, and every new version lands in the cache",
            situation.shown("GOFLAGS")
        );
        findings.push(
            Finding::new(Rule::ModModInCi, "GOFLAGS", message).advise(format!(
                "Let the default, -mod=readonly, rule: {}",
                without("mod=mod")
            )),
        );
    }
    if has("modcacherw") || has("modcacherw=true") {
        let flag = if has("modcacherw") {
            "modcacherw"
        } else {
            "modcacherw=true"
        };
        let message = format!(
            "{}: extracted modules lie in writable folders, so that any tool may add files that Go then compiles unnoticed",
            situation.shown("GOFLAGS")
        );
        findings.push(
            Finding::new(Rule::ModcacheWritable, "GOFLAGS", message).advise(format!(
                "Unless something must delete the cache without chmod: {}",
                without(flag)
            )),
        );
    }
    findings
}

/// Go trims once a day what was unused for five days and an hour
/// (`cmd/go/internal/cache/cache.go:Trim`).
pub(super) fn trim_marker(situation: &Situation, now: DateTime<Utc>) -> Option<Finding> {
    let trimmed = situation.trimmed?;
    let site = situation.gocache.as_ref()?;
    let marker = site.path.join("trim.txt");
    let remove = format!(
        "Before the build, so that Go trims at its end: `rm {}`",
        crate::findings::shell_word(&crate::findings::display_path(&marker))
    );
    if trimmed > now + TimeDelta::hours(1) {
        let message = format!(
            "trim.txt says that Go last trimmed at {trimmed}, which is yet to come: until then nothing is removed"
        );
        return Some(
            Finding::new(Rule::GoTrimStuck, "trim.txt", message)
                .at(&marker)
                .advise(remove),
        );
    }
    let limit = trimmed - TimeDelta::days(5) - TimeDelta::hours(1);
    let overdue = situation
        .entry_times
        .iter()
        .filter(|&&used| used < limit)
        .count();
    if overdue == 0 {
        return None;
    }
    let message = format!(
        "trim.txt says that Go trimmed at {trimmed}, but {overdue} entries are older than that trim leaves any: the file was restored young from another job, and a job that ends within a day of it never trims"
    );
    Some(
        Finding::new(Rule::GoTrimStuck, "trim.txt", message)
            .at(&marker)
            .advise(format!(
                "{remove}; or let the pipeline trim: `gocachevet trim --max-age 5d`"
            )),
    )
}
