//! Private modules: does `GOPRIVATE` cover them, or do their names leak?

use super::Situation;
use super::proxies::{chain, redacted};
use super::trust::{PUBLIC_HOSTS, counted, patterns, source_key};
use crate::findings::{Finding, Rule};
use crate::formats::module::{ModuleVersion, match_prefix_patterns};
use std::collections::{BTreeMap, BTreeSet};

/// Proxies that anybody uses, and whose operators see what is asked.
const PUBLIC_PROXIES: &[&str] = &[
    "proxy.golang.org",
    "goproxy.io",
    "goproxy.cn",
    "mirrors.aliyun.com",
    "athens.azurefd.net",
];

/// Ends of host names that never resolve in public.
const PRIVATE_ENDS: &[&str] = &[
    ".corp",
    ".home",
    ".home.arpa",
    ".internal",
    ".intranet",
    ".lan",
    ".local",
    ".private",
];

/// Modules that look private and whose names are asked of strangers.
pub(super) fn leaks(situation: &Situation) -> Vec<Finding> {
    let public_proxy = public_proxy(situation);
    let sumdb = situation.value("GOSUMDB");
    let public_sumdb =
        sumdb.is_empty() || sumdb.starts_with("sum.golang.org") || sumdb == "sum.golang.google.cn";
    let (no_proxy, no_sumdb) = (situation.value("GONOPROXY"), situation.value("GONOSUMDB"));
    let owners = own_hosts(situation);
    let mut leaks = BTreeMap::<(String, &str), Vec<&ModuleVersion>>::new();
    for module in situation.modules() {
        let Some(private) = private_by(&module.path, &owners, &situation.clones) else {
            continue;
        };
        let asked_proxy = public_proxy.is_some() && !match_prefix_patterns(&no_proxy, &module.path);
        let asked_sumdb = public_sumdb && !match_prefix_patterns(&no_sumdb, &module.path);
        if asked_proxy || asked_sumdb {
            leaks.entry(private).or_default().push(module);
        }
    }
    let asked = public_proxy.as_deref();
    let asked = asked.unwrap_or("the public checksum database");
    let known = situation.value("GOPRIVATE");
    let told = leaks.into_iter().map(|((pattern, why), modules)| {
        let message = format!(
            "{}, {why}, not covered by {}: their names go to {asked}, and a look-up there fails or finds a stranger's module of that name",
            counted(&modules),
            situation.shown("GOPRIVATE"),
        );
        let all: Vec<&str> = patterns(&known).chain([pattern.as_str()]).collect();
        let help = format!(
            "Name what is private: {}",
            make_private(situation, &all.join(","))
        );
        Finding::new(Rule::PrivateExposed, pattern.clone(), message).advise(help)
    });
    told.collect()
}

/// Patterns that are kept from the checksum database and not from the proxy.
pub(super) fn halves(situation: &Situation) -> Option<Finding> {
    let proxy = public_proxy(situation)?;
    let (no_proxy, no_sumdb) = (situation.value("GONOPROXY"), situation.value("GONOSUMDB"));
    let known: BTreeSet<&str> = patterns(&no_proxy).collect();
    let half: Vec<&str> = patterns(&no_sumdb)
        .filter(|pattern| !known.contains(pattern))
        .collect();
    if half.is_empty() {
        return None;
    }
    let message = format!(
        "{}: `{}` is kept from the checksum database but not from {proxy} ({}): the names leak all the same",
        situation.shown(source_key(situation, "GONOSUMDB")),
        half.join("`, `"),
        situation.shown(source_key(situation, "GONOPROXY")),
    );
    let all: Vec<&str> = known.into_iter().chain(half.iter().copied()).collect();
    let help = format!(
        "Use GOPRIVATE for both: {}",
        make_private(situation, &all.join(","))
    );
    Some(Finding::new(Rule::PrivateExposed, half.join(","), message).advise(help))
}

/// The command that makes `patterns` private to proxies and database alike:
/// GONOPROXY and GONOSUMDB outrank GOPRIVATE where somebody set them.
fn make_private(situation: &Situation, patterns: &str) -> String {
    let mut steps: Vec<String> = ["GONOSUMDB", "GONOPROXY"]
        .into_iter()
        .filter(|key| source_key(situation, key) == *key)
        .map(|key| situation.unset(key))
        .collect();
    steps.push(situation.set("GOPRIVATE", patterns));
    steps.join(" && ").replace("` && `", " && ")
}

/// Paths of modules that look private, whatever the settings say.
#[cfg(feature = "remote")]
pub(super) fn seeming(situation: &Situation) -> BTreeSet<String> {
    let owners = own_hosts(situation);
    let looks = |path: &str| private_by(path, &owners, &situation.clones).is_some();
    let modules = situation.modules().into_iter();
    modules
        .map(|module| module.path.clone())
        .filter(|path| looks(path))
        .collect()
}

/// The first public proxy that Go would ask.
fn public_proxy(situation: &Situation) -> Option<String> {
    let chain = chain(&situation.value("GOPROXY"));
    let asked = chain.iter().take_while(|proxy| !proxy.ends_chain());
    let public = |name: &str| {
        let host = name.split_once("://").map_or(name, |(_, rest)| rest);
        let host = host.split(['/', ':']).next().unwrap_or_default();
        PUBLIC_PROXIES.contains(&host)
    };
    let address = asked
        .map(|proxy| redacted(&proxy.name))
        .find(|name| public(name))?;
    Some(format!("the public proxy {address}"))
}

/// Hosts of the projects' own modules, unless anybody can publish there.
fn own_hosts(situation: &Situation) -> BTreeSet<&str> {
    let modules = situation
        .projects
        .iter()
        .filter_map(|project| project.module.as_deref());
    let hosts = modules.map(|module| module.split('/').next().unwrap_or_default());
    hosts
        .filter(|host| host.contains('.') && !PUBLIC_HOSTS.contains(host) && !is_example(host))
        .collect()
}

/// `example.com` and its like stand in many a go.mod and mean nothing.
fn is_example(host: &str) -> bool {
    host.starts_with("example.") || host.contains(".example.") || host.ends_with(".example")
}

/// The pattern that would cover a private module, and what shows it to be one.
fn private_by(
    path: &str,
    owners: &BTreeSet<&str>,
    clones: &[String],
) -> Option<(String, &'static str)> {
    let host = path.split('/').next()?;
    let name = host.split(':').next()?;
    let address =
        name.split('.').count() == 4 && name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if address || PRIVATE_ENDS.iter().any(|end| name.ends_with(end)) {
        return Some((
            host.to_owned(),
            "on a host that only a private network knows",
        ));
    }
    if owners.contains(host) {
        return Some((host.to_owned(), "on the project's own host"));
    }
    let cloned = clones.iter().any(|clone| clone_is_of(clone, path));
    if cloned {
        let owner: Vec<&str> = path.split('/').take(2).collect();
        return Some((
            owner.join("/"),
            "fetched from version control since no proxy had them",
        ));
    }
    None
}

/// Whether a clone (`git3:https://host/path.git`) is the repository of a module.
pub(super) fn clone_is_of(clone: &str, path: &str) -> bool {
    let address = clone.rsplit_once("://").map_or(clone, |(_, rest)| rest);
    let address = address.rsplit_once('@').map_or(address, |(_, rest)| rest);
    let root = address.trim_end_matches('/').trim_end_matches(".git");
    let below = path.strip_prefix(root);
    !root.is_empty() && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
