//! The proxy chain: `GOPROXY`.

use super::Situation;
use super::privacy::clone_is_of;
use super::trust::counted;
use crate::findings::{Finding, Rule};
use crate::formats::module::{ModuleVersion, match_prefix_patterns};

/// One entry of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// A proxy's address, `direct` or `off`.
    pub name: String,
    /// What follows it; `None` at the end.
    pub then: Option<Separator>,
}

/// When Go goes on to the next entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// `,`: only if this one says that there is no such module (404 or 410).
    NotFound,
    /// `|`: on any error, a broken connection included.
    AnyError,
}

/// Splits `GOPROXY` as Go does (`cmd/go/internal/modfetch/proxy.go:proxyList`):
/// empty entries are passed over.
#[must_use]
pub fn chain(value: &str) -> Vec<Proxy> {
    let mut chain = Vec::new();
    for piece in value.split_inclusive([',', '|']) {
        let name = piece.trim_end_matches([',', '|']).trim();
        if name.is_empty() {
            continue;
        }
        let then = match piece.chars().last() {
            Some(',') => Some(Separator::NotFound),
            Some('|') => Some(Separator::AnyError),
            _ => None,
        };
        chain.push(Proxy {
            name: name.to_owned(),
            then,
        });
    }
    if let Some(last) = chain.last_mut() {
        last.then = None;
    }
    chain
}

impl Proxy {
    /// Whether this is `direct` or `off`, after which Go reads no further.
    #[must_use]
    pub fn ends_chain(&self) -> bool {
        matches!(self.name.as_str(), "direct" | "off")
    }
}

pub(super) fn diagnose(situation: &Situation) -> Vec<Finding> {
    let chain = chain(&situation.value("GOPROXY"));
    let shown = situation.shown("GOPROXY");
    let mut findings = Vec::new();
    let reached = chain
        .iter()
        .position(Proxy::ends_chain)
        .map_or(chain.len(), |at| at + 1);
    let (used, unused) = chain.split_at(reached);
    if let (Some(end), false) = (used.last(), unused.is_empty()) {
        let names = names(unused);
        let harm = if end.name == "off" {
            "Go stops with an error there"
        } else {
            "Go fetches from version control there, whatever comes of it"
        };
        let message = format!(
            "{shown}: {names} is never asked, since `{}` comes first: {harm}",
            end.name
        );
        let mut order: Vec<&str> = chain
            .iter()
            .filter(|p| !p.ends_chain())
            .map(|p| p.name.as_str())
            .collect();
        order.push(&end.name);
        let help = format!(
            "Put {} last{}",
            end.name,
            in_goproxy(situation, &order.join(","))
        );
        findings.push(Finding::new(Rule::ProxyUnreached, "GOPROXY", message).advise(help));
    }
    for (proxy, next) in used.iter().zip(used.iter().skip(1)) {
        if proxy.then == Some(Separator::AnyError) {
            let message = format!(
                "{shown}: any failure of {} (an outage, a refused login) sends Go on to {} without a word, so that one cache fills from different sources",
                shown_name(proxy),
                shown_name(next)
            );
            let list: Vec<&str> = used.iter().map(|proxy| proxy.name.as_str()).collect();
            let help = format!(
                "Separate with commas, which go on only where a module is not found{}",
                in_goproxy(situation, &list.join(","))
            );
            findings.push(Finding::new(Rule::ProxyFallback, "GOPROXY", message).advise(help));
        }
    }
    let proxies: Vec<Proxy> = used
        .iter()
        .filter(|proxy| !proxy.ends_chain())
        .cloned()
        .collect();
    if proxies.len() > 1 {
        let message = format!(
            "{shown}: {} fill one cache; where they disagree on a version, the first build to ask decides, and only go.sum or the checksum database notices",
            names(&proxies)
        );
        let help = "Let one proxy front the others, or compare what they serve: `gocachevet doctor --online`";
        findings.push(Finding::new(Rule::ProxyMixed, "GOPROXY", message).advise(help));
    }
    if !proxies.is_empty() {
        findings.extend(mixed_by_evidence(situation));
    }
    findings
}

/// Clones in the cache of what the proxies were meant to bring.
fn mixed_by_evidence(situation: &Situation) -> Option<Finding> {
    let direct = situation.value("GONOPROXY");
    let from_clone = |module: &&ModuleVersion| {
        let mut clones = situation.clones.iter();
        !match_prefix_patterns(&direct, &module.path)
            && clones.any(|clone| clone_is_of(clone, &module.path))
    };
    let cloned: Vec<&ModuleVersion> = situation.cached.iter().filter(from_clone).collect();
    if cloned.is_empty() {
        return None;
    }
    let message = format!(
        "this cache was filled from different sources: it holds clones for {} though {} names a proxy for them; they are whatever the repository held that day",
        counted(&cloned),
        situation.shown("GOPROXY")
    );
    let help = "If they are private, name them in GOPRIVATE; if not, empty the cache once and let the proxy fill it: `go clean -modcache`";
    Some(Finding::new(Rule::ProxyMixed, "cache/vcs", message).advise(help))
}

/// The command for another list, unless it would lose a login: that is not shown.
fn in_goproxy(situation: &Situation, list: &str) -> String {
    match redacted(list) == list {
        true => format!(": {}", situation.set("GOPROXY", list)),
        false => " in GOPROXY, with the logins as they are".to_owned(),
    }
}

fn names(proxies: &[Proxy]) -> String {
    let names: Vec<String> = proxies.iter().map(shown_name).collect();
    names.join(" and ")
}

/// A proxy's name without a password that its address may hold.
fn shown_name(proxy: &Proxy) -> String {
    format!("`{}`", redacted(&proxy.name))
}

/// A list of addresses without users and passwords.
pub(super) fn redacted(list: &str) -> String {
    let mut shown = String::new();
    for piece in list.split_inclusive([',', '|', ' ']) {
        match piece.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let host = authority
                    .rsplit_once('@')
                    .map_or(authority, |(_, host)| host);
                shown.push_str(&format!("{scheme}://{host}{path}"));
            }
            None => shown.push_str(piece),
        }
    }
    shown
}
