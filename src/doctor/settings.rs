//! Go's settings as they bear on the caches: what each is, who set it, and what
//! it does there.

use super::Situation;
use super::proxies::redacted;
use crate::report::Setting;

/// The settings that bear on the caches, in the order in which Go meets them.
const KEYS: [&str; 11] = [
    "GOROOT",
    "GOTOOLCHAIN",
    "GOFLAGS",
    "GOMODCACHE",
    "GOPROXY",
    "GOPRIVATE",
    "GONOPROXY",
    "GOSUMDB",
    "GONOSUMDB",
    "GOCACHE",
    "GOCACHEPROG",
];

/// Every setting that has a value, with its effect.
#[must_use]
pub fn settings(situation: &Situation) -> Vec<Setting> {
    let told = |key: &&str| {
        let value = situation.value(key);
        Some(Setting {
            name: (*key).to_owned(),
            effect: effect(situation, key, &value)?,
            source: situation.source(key),
            value: redacted(&value),
        })
    };
    KEYS.iter().filter_map(told).collect()
}

/// What a setting does to the caches; `None` if it does nothing.
fn effect(situation: &Situation, key: &str, value: &str) -> Option<String> {
    let effect = match (key, value) {
        (_, "") => return None,
        ("GOROOT", _) => {
            let version = situation.installed.as_deref().unwrap_or("another Go");
            return Some(format!(
                "{version} builds; another version hits none of its build outputs"
            ));
        }
        ("GOTOOLCHAIN", "local") => "no toolchain is downloaded, whatever a go.mod asks for",
        ("GOTOOLCHAIN", _) if value.ends_with("path") => {
            "toolchains that a go.mod asks for are taken from PATH"
        }
        ("GOTOOLCHAIN", _) => {
            "toolchains that a go.mod asks for are downloaded into the module cache"
        }
        ("GOFLAGS", _) if value.contains("-modcacherw") => {
            "extracted trees stay writable, so that any program can change them"
        }
        ("GOFLAGS", _) => "every go command gets these; other flags make other build outputs",
        ("GOMODCACHE", _) => {
            "modules are downloaded and extracted here; Go itself removes nothing but all of it"
        }
        ("GOPROXY", "off") => "nothing is downloaded: what the cache lacks fails",
        ("GOPROXY", _) if value.starts_with("direct") => {
            "modules come from version control, whose clones stay in the module cache"
        }
        ("GOPROXY", _) => "modules come from here, in this order",
        ("GOPRIVATE", _) => "these modules are private: see GONOPROXY and GONOSUMDB",
        ("GONOPROXY", _) => {
            "these modules come from version control, whose clones stay in the module cache"
        }
        ("GOSUMDB", "off") => "nothing but go.sum vouches for a module",
        ("GOSUMDB", _) => {
            "vouches for modules that go.sum does not list yet; its records stay in the module cache"
        }
        ("GONOSUMDB", _) => "the checksum database is not asked for these: go.sum alone vouches",
        ("GOCACHE", _) => "build outputs are kept here; Go removes what was not used for five days",
        ("GOCACHEPROG", _) => "this program keeps the build outputs, not GOCACHE",
        _ => return None,
    };
    Some(effect.to_owned())
}
