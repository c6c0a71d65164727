//! `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, as Go reads them
//! (`golang.org/x/net/http/httpproxy`).

use std::net::IpAddr;

use super::Url;
use crate::settings::Environment;

/// The web proxy through which Go would ask `target`.
pub fn proxy_for(target: &Url, environment: &Environment) -> Option<String> {
    let var = |name: &str| {
        let value = environment
            .var(name)
            .or_else(|| environment.var(&name.to_ascii_lowercase()))?;
        let value = value.to_str()?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    let https = target.scheme() == "https";
    // Under CGI, `HTTP_PROXY` is what a stranger's request says.
    if !https && environment.var("REQUEST_METHOD").is_some() {
        return None;
    }
    let proxy = var(if https { "HTTPS_PROXY" } else { "HTTP_PROXY" })?;
    let host = target.host_str().unwrap_or_default();
    let port = target.port_or_known_default().unwrap_or_default();
    if is_local(host) || is_exempt(host, port, &var("NO_PROXY").unwrap_or_default()) {
        return None;
    }
    Some(if proxy.contains("://") {
        proxy
    } else {
        format!("http://{proxy}")
    })
}

/// Whether a host is this very machine by name or address.
pub fn is_local(host: &str) -> bool {
    let address = bare(host).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn is_exempt(host: &str, port: u16, list: &str) -> bool {
    let host = bare(host).to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    list.split(',').map(str::trim).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        if entry == "*" {
            return true;
        }
        if let Some((net, bits)) = entry.split_once('/') {
            let (net, bits) = (net.parse().ok(), bits.parse().ok());
            return matches!((address, net, bits), (Some(address), Some(net), Some(bits)) if in_net(address, net, bits));
        }
        let (name, wanted) = match entry.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
                (name, port.parse::<u16>().ok())
            }
            _ => (entry.as_str(), None),
        };
        if wanted.is_some_and(|wanted| wanted != port) {
            return false;
        }
        let name = bare(name);
        if let (Some(address), Ok(exempt)) = (address, name.parse::<IpAddr>()) {
            return address == exempt;
        }
        let name = name.strip_prefix('*').unwrap_or(name);
        match name.strip_prefix('.') {
            Some(domain) => !domain.is_empty() && host.ends_with(&format!(".{domain}")),
            None => {
                !name.is_empty() && (host == name || host.ends_with(&format!(".{name}")))
            }
        }
    })
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn in_net(address: IpAddr, net: IpAddr, bits: u32) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        bits <= width && (bits == 0 || (a ^ b) >> (width - bits) == 0)
    };
    match (address, net) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_taken_from_the_environment_as_go_takes_them() {
        let proxy = |target: &str, vars: &[(&str, &str)]| {
            let environment = Environment {
                vars: vars.iter().map(|&(k, v)| (k.into(), v.into())).collect(),
                ..Environment::default()
            };
            proxy_for(&target.parse().unwrap(), &environment)
        };
        let both = [
            ("HTTPS_PROXY", "http://s.corp:3128"),
            ("http_proxy", "p.corp:3128"),
        ];
        let secure = Some("http://s.corp:3128".to_owned());
        assert_eq!(proxy("https://a.example/", &both), secure);
        assert_eq!(
            proxy("http://a.example/", &both),
            Some("http://p.corp:3128".to_owned())
        );
        assert_eq!(proxy("https://127.0.0.1:1/", &both), None);
        assert_eq!(proxy("https://[::1]:1/", &both), None);
        assert_eq!(proxy("https://localhost/", &both), None);
        let cgi = [both[1], ("REQUEST_METHOD", "GET")];
        assert_eq!(proxy("http://a.example/", &cgi), None);
        for (target, list, exempt) in [
            ("https://a.example/", "*", true),
            ("https://a.example/", "example", true),
            ("https://a.example/", ".example", true),
            ("https://a.example/", "b.example, A.example", true),
            ("https://a.example/", "*.example", true),
            ("https://example/", ".example", false),
            ("https://nota.example/", "a.example", false),
            ("https://a.example/", "a.example:443", true),
            ("https://a.example/", "a.example:444", false),
            ("https://a.example:444/", "a.example:444", true),
            ("https://10.1.2.3/", "10.0.0.0/8", true),
            ("https://11.1.2.3/", "10.0.0.0/8", false),
            ("https://10.1.2.3/", "10.1.2.3", true),
            ("https://[fd00::1]/", "fd00::/8", true),
            ("https://[fd00::1]/", "fd00::1", true),
            ("https://a.example/", "", false),
        ] {
            let vars = [both[0], ("NO_PROXY", list)];
            assert_eq!(proxy(target, &vars).is_none(), exempt, "{target} {list}");
        }
    }
}
