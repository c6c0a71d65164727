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

/// What Go may ask: the chain up to and with its end, and what comes after.
fn asked(situation: &Situation) -> (Vec<Proxy>, Vec<Proxy>) {
    let mut chain = chain(&situation.value("GOPROXY"));
    let end = chain.iter().position(Proxy::ends_chain);
    let never = chain.split_off(end.map_or(chain.len(), |end| end + 1));
    (chain, never)
}

/// The proxies that Go may ask.
fn asked_proxies(situation: &Situation) -> Vec<Proxy> {
    let (mut asked, _) = asked(situation);
    asked.retain(|proxy| !proxy.ends_chain());
    asked
}

/// Entries behind `direct` or `off`.
pub(super) fn unreached(situation: &Situation) -> Option<Finding> {
    let (asked, never) = asked(situation);
    let end = asked.last().filter(|_| !never.is_empty())?;
    let harm = match end.name.as_str() {
        "off" => "Go stops with an error there",
        _ => "Go fetches from version control there, whatever comes of it",
    };
    let message = format!(
        "{}: {} is never asked, since `{}` comes first: {harm}",
        situation.shown("GOPROXY"),
        names(&never),
        end.name
    );
    let proxies = asked.iter().chain(&never).filter(|p| !p.ends_chain());
    let order = proxies.chain([end]).map(|proxy| proxy.name.as_str());
    let help = format!("Put {} last{}", end.name, in_goproxy(situation, order));
    Some(Finding::new(Rule::ProxyUnreached, "GOPROXY", message).advise(help))
}

/// Entries that any failure sends Go on from.
pub(super) fn fallback(situation: &Situation) -> Vec<Finding> {
    let (asked, _) = asked(situation);
    let pairs = asked.iter().zip(asked.iter().skip(1));
    let loose = pairs.filter(|(proxy, _)| proxy.then == Some(Separator::AnyError));
    let told = loose.map(|(proxy, next)| {
        let message = format!(
            "{}: any failure of {} (an outage, a refused login) sends Go on to {} without a word, so that one cache fills from different sources",
            situation.shown("GOPROXY"),
            shown_name(proxy),
            shown_name(next)
        );
        let help = format!(
            "Separate with commas, which go on only where a module is not found{}",
            in_goproxy(situation, asked.iter().map(|proxy| proxy.name.as_str()))
        );
        Finding::new(Rule::ProxyFallback, "GOPROXY", message).advise(help)
    });
    told.collect()
}

/// Several proxies that fill one cache.
pub(super) fn mixed(situation: &Situation) -> Option<Finding> {
    let proxies = asked_proxies(situation);
    if proxies.len() < 2 {
        return None;
    }
    let message = format!(
        "{}: {} fill one cache; where they disagree on a version, the first build to ask decides, and only go.sum or the checksum database notices",
        situation.shown("GOPROXY"),
        names(&proxies)
    );
    let help =
        "Let one proxy front the others, or compare what they serve: `gocachevet doctor --online`";
    Some(Finding::new(Rule::ProxyMixed, "GOPROXY", message).advise(help))
}

/// Clones in the cache of what the proxies were meant to bring.
pub(super) fn mixed_by_evidence(situation: &Situation) -> Option<Finding> {
    let direct = situation.value("GONOPROXY");
    let from_clone = |module: &&ModuleVersion| {
        let mut clones = situation.clones.iter();
        !match_prefix_patterns(&direct, &module.path)
            && clones.any(|clone| clone_is_of(clone, &module.path))
    };
    let cloned: Vec<&ModuleVersion> = situation.cached.iter().filter(from_clone).collect();
    if cloned.is_empty() || asked_proxies(situation).is_empty() {
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
fn in_goproxy<'a>(situation: &Situation, list: impl Iterator<Item = &'a str>) -> String {
    let list = list.collect::<Vec<_>>().join(",");
    match redacted(&list) == list {
        true => format!(": {}", situation.set("GOPROXY", &list)),
        false => ": in GOPROXY, with the logins as they are".to_owned(),
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
