//! One place to ask, a module proxy or a checksum database, with limits on
//! time, size and patience.
//!
//! What `file:` addresses name is read from the disk, as Go does.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, Uri, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::detour;
use crate::doctor::proxies::redacted;
use crate::folder::ordinary;
use crate::settings::Environment;

/// How much and how long is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For one whole answer.
    pub timeout: Duration,
    /// When to stop asking at all.
    pub until: Instant,
    /// How often a request is sent that fails on the other side.
    pub tries: u32,
}

/// Redirects within one host that are followed.
const MAX_REDIRECTS: u32 = 3;

/// What would end an address's path, or mean another one.
const UNSAFE: AsciiSet = CONTROLS.add(b' ').add(b'#').add(b'%').add(b'?');

/// Why a request brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// 404 or 410: what makes Go ask the next proxy.
    #[error("does not have it")]
    NotFound,
    /// No connection, or it broke.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// No whole answer in time.
    #[error("did not answer within {} s", .0.as_secs_f32())]
    Slow(Duration),
    /// 401 or 403.
    #[error("refuses with status {0}: it wants a login, or knows this one not to be allowed")]
    Denied(u16),
    /// Any other status.
    #[error("answers with status {0}")]
    Status(u16),
    /// Sent elsewhere.
    #[error("redirects to {0}, which is not followed")]
    Redirected(String),
    /// The answer exceeds the limit.
    #[error("answers with more than {0} bytes")]
    TooLarge(u64),
    /// The time for the whole run is over.
    #[error("was not asked further, the time being up")]
    OutOfTime,
}

impl Fault {
    /// Whether the next request would fare no better.
    pub(super) fn is_final(&self) -> bool {
        matches!(
            self,
            Fault::Unreachable(_) | Fault::Slow(_) | Fault::Denied(_) | Fault::OutOfTime
        )
    }
}

enum Way {
    Folder(PathBuf),
    Http {
        agent: ureq::Agent,
        base: Uri,
        authorization: Option<String>,
    },
}

/// A place to ask.
pub(super) struct Source {
    /// Its address, without a password.
    pub(super) shown: String,
    address: String,
    way: Way,
    limits: Limits,
    /// The fault after which it is not asked again.
    gone: OnceLock<Fault>,
}

impl Source {
    /// Prepares to ask; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When `address` is none that Go would take, in words.
    pub(super) fn new(
        address: &str,
        limits: Limits,
        environment: &Environment,
    ) -> Result<Self, String> {
        let address = address.trim_end_matches('/');
        let shown = redacted(address);
        // Go takes an address without a scheme for an https one.
        let full = if address.contains("://") {
            address.to_owned()
        } else {
            format!("https://{address}")
        };
        let way = match full.strip_prefix("file://") {
            Some(path) => {
                let path = percent_encoding::percent_decode_str(path).decode_utf8();
                let path = path.map_err(|_| format!("{shown} is not a valid path"))?;
                Way::Folder(PathBuf::from(path.as_ref()))
            }
            None => http_way(&full, &shown, environment)?,
        };
        Ok(Self {
            shown,
            address: full,
            way,
            limits,
            gone: OnceLock::new(),
        })
    }

    /// A place below this one.
    pub(super) fn below(&self, path: &str, environment: &Environment) -> Result<Self, String> {
        Self::new(
            &format!("{}/{path}", self.address),
            self.limits,
            environment,
        )
    }

    /// What is at `path`, `limit` bytes at most.
    ///
    /// # Errors
    ///
    /// Any [`Fault`]. After one that would come again it is returned at once.
    pub(super) fn get(&self, path: &str, limit: u64) -> Result<Vec<u8>, Fault> {
        if let Some(fault) = self.gone.get() {
            return Err(fault.clone());
        }
        let answer = match &self.way {
            Way::Folder(root) if !root.is_dir() => {
                Err(Fault::Unreachable("there is no such folder".to_owned()))
            }
            Way::Folder(root) => read(&root.join(path), limit),
            Way::Http {
                agent,
                base,
                authorization,
            } => self.patiently(agent, base, authorization.as_deref(), path, limit),
        };
        if let Err(fault) = &answer
            && fault.is_final()
        {
            let _ = self.gone.set(fault.clone());
        }
        answer
    }

    /// Asks again when the other side stumbles.
    fn patiently(
        &self,
        agent: &ureq::Agent,
        base: &Uri,
        authorization: Option<&str>,
        path: &str,
        limit: u64,
    ) -> Result<Vec<u8>, Fault> {
        let mut target = join(base, path);
        let (mut attempt, mut redirects) = (1, 0);
        loop {
            let left = self.limits.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Fault::OutOfTime);
            }
            let timeout = self.limits.timeout.min(left);
            tracing::debug!("GET {}", redacted(&target));
            let fault = match send(agent, &target, authorization, timeout, limit) {
                Ok(Answer::Content(content)) => return Ok(content),
                Ok(Answer::Redirect(location)) => {
                    target = within(base, &target, &location)?;
                    redirects += 1;
                    if redirects > MAX_REDIRECTS {
                        return Err(Fault::Redirected(location));
                    }
                    continue;
                }
                Err(fault) => fault,
            };
            let again = match fault {
                Fault::Unreachable(_) => true,
                Fault::Status(status) => status >= 500 || status == 429,
                _ => false,
            };
            let wait = Duration::from_millis(200) * 2u32.saturating_pow(attempt - 1);
            if !again || attempt >= self.limits.tries || wait >= left {
                return Err(fault);
            }
            attempt += 1;
            std::thread::sleep(wait);
        }
    }
}

enum Answer {
    Content(Vec<u8>),
    Redirect(String),
}

fn http_way(address: &str, shown: &str, environment: &Environment) -> Result<Way, String> {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (login, host) = match authority.rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, authority),
    };
    if !matches!(scheme, "https" | "http") || host.is_empty() {
        return Err(format!("{shown} is not an address that Go can ask"));
    }
    let base: Uri = format!("{scheme}://{host}{path}")
        .parse()
        .map_err(|_| format!("{shown} is not a valid address"))?;
    let name = base.host().unwrap_or_default();
    // A login goes out encrypted, or not at all.
    let safe = scheme == "https" || detour::is_local(name);
    let authorization = login.filter(|_| safe).map(|login| {
        let login = percent_encoding::percent_decode_str(login);
        format!("Basic {}", STANDARD.encode(login.collect::<Vec<u8>>()))
    });
    let proxy = match detour::proxy_for(&base, environment) {
        None => None,
        Some(proxy) => Some(
            ureq::Proxy::new(&proxy)
                .map_err(|error| format!("proxy {}: {error}", redacted(&proxy)))?,
        ),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .root_certs(roots())
        .unversioned_rustls_crypto_provider(provider)
        .build();
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(proxy)
        .tls_config(tls)
        .user_agent(concat!("gocachevet/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(Way::Http {
        agent: config.into(),
        base,
        authorization,
    })
}

/// The certificates that this machine trusts (`SSL_CERT_FILE` as in Go).
fn roots() -> RootCerts {
    static ROOTS: OnceLock<RootCerts> = OnceLock::new();
    let load = || {
        let loaded = rustls_native_certs::load_native_certs();
        let certs: Vec<_> = loaded
            .certs
            .iter()
            .map(|cert| Certificate::from_der(cert).to_owned())
            .collect();
        RootCerts::new_with_certs(&certs)
    };
    ROOTS.get_or_init(load).clone()
}

fn send(
    agent: &ureq::Agent,
    target: &str,
    authorization: Option<&str>,
    timeout: Duration,
    limit: u64,
) -> Result<Answer, Fault> {
    let broken = |error: ureq::Error| match error {
        ureq::Error::Timeout(_) => Fault::Slow(timeout),
        ureq::Error::BodyExceedsLimit(_) => Fault::TooLarge(limit),
        error => Fault::Unreachable(told(&error)),
    };
    let mut request = agent
        .get(target)
        .config()
        .timeout_global(Some(timeout))
        .build();
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let mut response = request.call().map_err(broken)?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(Fault::NotFound),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(Fault::Denied(response.status().as_u16()));
        }
        status if status.is_redirection() => {
            let location = response.headers().get(header::LOCATION);
            let location = location.and_then(|value| value.to_str().ok());
            let location = location.ok_or(Fault::Status(status.as_u16()))?;
            return Ok(Answer::Redirect(location.to_owned()));
        }
        status => return Err(Fault::Status(status.as_u16())),
    }
    let announced = response.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > limit) {
        return Err(Fault::TooLarge(limit));
    }
    let content = response
        .body_mut()
        .with_config()
        .limit(limit.saturating_add(1))
        .read_to_vec()
        .map_err(broken)?;
    if content.len() as u64 > limit {
        return Err(Fault::TooLarge(limit));
    }
    Ok(Answer::Content(content))
}

/// An error and what it comes from.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            let _ = write!(text, ": {more}");
        }
        source = error.source();
    }
    text
}

fn join(base: &Uri, path: &str) -> String {
    let base = base.to_string();
    let path = utf8_percent_encode(path, &UNSAFE);
    format!("{}/{path}", base.trim_end_matches('/'))
}

/// Where a redirect leads, if it stays with the host.
fn within(base: &Uri, from: &str, location: &str) -> Result<String, Fault> {
    if !location.contains("://") && !location.starts_with('/') {
        // By itself it would be read as a host.
        let folder = from.rsplit_once('/').map_or(from, |(folder, _)| folder);
        return Ok(format!("{folder}/{location}"));
    }
    let target: Uri = location
        .parse()
        .map_err(|_| Fault::Redirected(location.to_owned()))?;
    let elsewhere = target
        .authority()
        .is_some_and(|to| Some(to) != base.authority() || target.scheme() != base.scheme());
    // `//host/path` names another host, though it parses as a path.
    if elsewhere || location.starts_with("//") {
        let place = target.authority().map(ToString::to_string);
        return Err(Fault::Redirected(
            place.unwrap_or_else(|| redacted(location)),
        ));
    }
    if target.authority().is_some() {
        return Ok(location.to_owned());
    }
    let (scheme, authority) = (base.scheme_str(), base.authority());
    match (scheme, authority) {
        (Some(scheme), Some(authority)) => Ok(format!("{scheme}://{authority}{location}")),
        _ => Err(Fault::Redirected(location.to_owned())),
    }
}

fn read(path: &std::path::Path, limit: u64) -> Result<Vec<u8>, Fault> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => {
            Fault::NotFound
        }
        _ => Fault::Unreachable(error.to_string()),
    };
    let file = ordinary::open(path).map_err(failed)?;
    let mut content = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(failed)?;
    if content.len() as u64 > limit {
        return Err(Fault::TooLarge(limit));
    }
    Ok(content)
}
