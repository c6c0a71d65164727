//! Go's settings as they bear on the caches: each with its value, where that
//! comes from, and what it does.

use super::proxies::{chain, redacted};
use super::{Gathered, Situation, situation::default_of};
use crate::findings::display_path;
use crate::formats::goenv::split_quoted;
use crate::locate::{Located, SettingOrigin};
use crate::report::GoSetting;
use crate::settings::Options;
use std::collections::BTreeSet;

/// A setting, and what a value of it does.
type Told = (&'static str, fn(&str) -> String);

/// Told even where nobody set them.
const ALWAYS: &[Told] = &[
    ("GOPROXY", goproxy),
    ("GOSUMDB", gosumdb),
    ("GOPRIVATE", goprivate),
    ("GOTOOLCHAIN", gotoolchain),
];

/// Told where somebody set them.
const WHERE_SET: &[Told] = &[
    ("GONOPROXY", |_| {
        "Go fetches modules of these patterns from version control, whatever GOPRIVATE says".into()
    }),
    ("GONOSUMDB", |_| {
        "Go does not check modules of these patterns against the checksum database, whatever GOPRIVATE says".into()
    }),
    ("GOINSECURE", |_| {
        "Go fetches modules of these patterns without checking a certificate".into()
    }),
    ("GOVCS", |_| {
        "limits what may be cloned into the module cache, and by which program".into()
    }),
    ("GOFLAGS", goflags),
    ("GOCACHEPROG", |_| {
        "this program keeps build outputs in place of the build cache, and what it keeps is not seen here".into()
    }),
    ("GOOS", keyed),
    ("GOARCH", keyed),
    ("GOEXPERIMENT", keyed),
];

/// The settings that bear on the caches, the caches' folders first.
#[must_use]
pub fn settings(gathered: &Gathered, options: &Options) -> Vec<GoSetting> {
    let (situation, caches) = (&gathered.situation, &gathered.caches);
    let mut settings = vec![
        cache(
            situation,
            "GOMODCACHE",
            caches.modcache.as_ref(),
            options.caches.modcache.is_some(),
            "downloaded modules, their extracted sources and toolchains lie here; Go never removes any",
        ),
        cache(
            situation,
            "GOCACHE",
            caches.gocache.as_ref(),
            options.caches.gocache.is_some(),
            "build outputs and test results lie here; Go removes those not used for five days",
        ),
    ];
    let always = ALWAYS.iter().map(|told| (told, true));
    let where_set = WHERE_SET.iter().map(|told| (told, false));
    for ((name, effect), always) in always.chain(where_set) {
        let (value, origin) = situation.setting(name);
        if !always && (value.is_empty() || origin == SettingOrigin::Default) {
            continue;
        }
        let value = match value.as_str() {
            "" => default_of(name).to_owned(),
            set => redacted(set),
        };
        settings.push(GoSetting {
            name: (*name).to_owned(),
            source: situation.source(name),
            effect: effect(&value),
            value,
        });
    }
    settings.extend(gowork(gathered));
    settings
}

fn cache(
    situation: &Situation,
    name: &str,
    there: Option<&Located>,
    is_given: bool,
    holds: &str,
) -> GoSetting {
    // An option outranks what Go goes by.
    let (value, source) = match there {
        Some(located) if is_given => (display_path(&located.path), located.source.clone()),
        _ => (situation.value(name), situation.source(name)),
    };
    let effect = match there {
        Some(_) => holds,
        None if situation.refused.is_some() => "Go refuses to work: see the findings",
        None if value.is_empty() => "Go finds no place for this cache",
        None => "there is no such folder yet",
    };
    GoSetting {
        name: name.to_owned(),
        effect: effect.to_owned(),
        value,
        source,
    }
}

fn goproxy(value: &str) -> String {
    let chain = chain(value);
    let mut steps = Vec::new();
    for proxy in &chain {
        steps.push(match proxy.name.as_str() {
            "off" => "from nowhere: the download fails".to_owned(),
            "direct" => "from version control, cloned into the module cache".to_owned(),
            name => format!("from {name}"),
        });
        if proxy.ends_chain() {
            break;
        }
    }
    match steps.len() {
        0 => "the list is empty: Go can download nothing".to_owned(),
        _ => format!("Go fetches modules {}", steps.join(", then ")),
    }
}

fn gosumdb(value: &str) -> String {
    match value {
        "off" => "Go checks no first download: it trusts whatever comes".to_owned(),
        _ => "Go checks each first download against this checksum database and keeps the records in the module cache".to_owned(),
    }
}

fn goprivate(value: &str) -> String {
    match value {
        "" => "no module is private: Go asks proxy and checksum database for every one".to_owned(),
        _ => "Go fetches modules of these patterns from version control and does not check them against the checksum database".to_owned(),
    }
}

fn gotoolchain(value: &str) -> String {
    match value {
        "local" => "Go downloads no toolchain".to_owned(),
        "path" => "Go takes a toolchain that go.mod asks for from PATH and downloads none".to_owned(),
        "auto" => "Go downloads a newer toolchain that go.mod asks for into the module cache".to_owned(),
        _ => "Go runs this toolchain, and downloads it into the module cache if it is not the one installed".to_owned(),
    }
}

fn goflags(value: &str) -> String {
    let flags = split_quoted(value).unwrap_or_default();
    let effects = flags
        .iter()
        .filter_map(|flag| match flag.trim_start_matches('-') {
            "mod=mod" => Some("builds change go.mod and go.sum as they need"),
            "mod=vendor" => Some("builds read vendor folders in place of the module cache"),
            "modcacherw" | "modcacherw=true" => Some("extracted modules are writable"),
            "trimpath" | "trimpath=true" => {
                Some("build outputs do not depend on the checkout's folder")
            }
            "a" | "a=true" => Some("builds reuse no output"),
            _ => None,
        });
    let effects: BTreeSet<&str> = effects.collect();
    match effects.is_empty() {
        true => "builds with other flags may share no outputs with these".to_owned(),
        false => effects.into_iter().collect::<Vec<_>>().join("; "),
    }
}

fn keyed(_: &str) -> String {
    "builds with another value share no outputs with these".to_owned()
}

/// Go's own search finds go.work, unless `GOWORK` names one or switches it off.
fn gowork(gathered: &Gathered) -> Option<GoSetting> {
    let (value, origin) = gathered.situation.setting("GOWORK");
    let mut workspaces = gathered
        .projects
        .iter()
        .filter_map(|p| p.workspace.as_ref());
    let effect = match value.as_str() {
        "off" => "Go builds each module for itself, whatever go.work says",
        _ => {
            "Go builds all members with one list of modules, and their go.sum files and go.work.sum count together"
        }
    };
    let (value, source) = match origin {
        SettingOrigin::Default => (
            display_path(&workspaces.next()?.path),
            "found around the project".to_owned(),
        ),
        _ => (value, gathered.situation.source("GOWORK")),
    };
    Some(GoSetting {
        name: "GOWORK".to_owned(),
        value,
        source,
        effect: effect.to_owned(),
    })
}
