//! One connection to one service: limits, patience, and no token elsewhere.
//!
//! Requests go one after another, as GitHub asks of clients that delete.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use octocrab::Octocrab;
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};

use super::fault::Fault;
use crate::services::remote::history::{Reply, Store};

/// How much and how long is waited for.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For one whole answer.
    pub timeout: Duration,
    /// In sum for rate limits and for retries.
    pub patience: Duration,
    /// Bytes of one answer.
    pub body: usize,
    /// How often a request is sent that fails on the service's side.
    pub tries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            patience: Duration::from_secs(120),
            body: 8 << 20,
            tries: 4,
        }
    }
}

/// Redirects within the service that are followed, as for a renamed repository.
const MAX_REDIRECTS: u32 = 3;

/// A token, never shown.
#[derive(Clone)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(***)")
    }
}

impl Token {
    /// Takes a token as found in the environment.
    ///
    /// # Errors
    /// When it cannot stand in a header. The message does not contain it.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the token is empty or has characters that no token has".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

/// A service at a base address.
pub struct Http {
    runtime: Runtime,
    service: Octocrab,
    base: Uri,
    limits: Limits,
    patience: Cell<Duration>,
    store: RefCell<Store>,
}

impl Http {
    /// Prepares to talk to `base`; nothing is sent yet.
    ///
    /// # Errors
    /// When the address is none, or a token would go out unencrypted: plain
    /// `http` is for this very machine.
    pub fn new(base: &str, token: Option<Token>, limits: Limits) -> Result<Self, String> {
        let address: Uri = base
            .parse()
            .map_err(|_| format!("{base:?} is not a valid address"))?;
        let host = address.host().unwrap_or_default();
        let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        match address.scheme_str() {
            Some("https") => {}
            Some("http") if local => {}
            _ => return Err(format!("{base:?} is not an https address")),
        }
        let authority = address
            .authority()
            .map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err("the address must not contain credentials".to_owned());
        }
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start: {error}"))?;
        let service = {
            // The client spawns its queue onto the runtime.
            let _entered = runtime.enter();
            let mut builder = Octocrab::builder()
                .base_uri(address.clone())
                .map_err(|error| error.to_string())?
                .set_connect_timeout(Some(limits.timeout));
            if let Some(Token(token)) = token {
                builder = builder.personal_token(token);
            }
            builder.build().map_err(|error| chain(&error))?
        };
        Ok(Self {
            runtime,
            service,
            base: address,
            patience: Cell::new(limits.patience),
            limits,
            store: RefCell::default(),
        })
    }

    /// Starts with answers of an earlier run, to ask only for what changed.
    pub fn with_store(self, store: Store) -> Self {
        Self {
            store: RefCell::new(store),
            ..self
        }
    }

    /// The answers worth keeping for the next run.
    pub fn into_store(self) -> Store {
        self.store.into_inner()
    }

    /// Gets a JSON document, which `T` checks for its form.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Fault> {
        let address = format!("{}{path}", self.base);
        let known = self.store.borrow().get(&address).cloned();
        let etag = known.as_ref().map(|reply| reply.etag.as_str());
        let answer = self.request(&Method::GET, path, etag, None)?;
        if let Some(known) = known.filter(|_| answer.status == StatusCode::NOT_MODIFIED) {
            return parse(known.body.as_bytes());
        }
        if answer.status == StatusCode::NOT_MODIFIED {
            return Err(Fault::Malformed(
                "not modified, though nothing was there before".into(),
            ));
        }
        let document = parse(&answer.body)?;
        // Only what was understood is worth keeping.
        let etag = answer
            .headers
            .get(header::ETAG)
            .and_then(|etag| etag.to_str().ok());
        if let (Some(etag), Ok(body)) = (etag, String::from_utf8(answer.body)) {
            let reply = Reply {
                etag: etag.to_owned(),
                body,
            };
            self.store.borrow_mut().insert(address, reply);
        }
        Ok(document)
    }

    /// Sends a query as plain text and gets a JSON document.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub fn query<T: DeserializeOwned>(&self, path: &str, query: &str) -> Result<T, Fault> {
        parse(&self.request(&Method::POST, path, None, Some(query))?.body)
    }

    /// Deletes what is at `path`.
    ///
    /// # Errors
    /// Any [`Fault`]; [`Fault::NotFound`] when it is gone already.
    pub fn delete(&self, path: &str) -> Result<(), Fault> {
        self.request(&Method::DELETE, path, None, None).map(|_| ())
    }

    /// Sends one request, again when the service stumbles or asks to wait.
    fn request(
        &self,
        method: &Method,
        path: &str,
        etag: Option<&str>,
        body: Option<&str>,
    ) -> Result<Answer, Fault> {
        let mut path = path.to_owned();
        let mut redirects = 0;
        let mut attempt = 1;
        loop {
            let fault = match self.send(method, &path, etag, body) {
                Ok(answer)
                    if answer.status.is_redirection()
                        && answer.status != StatusCode::NOT_MODIFIED =>
                {
                    path = self.within(&answer)?;
                    redirects += 1;
                    // A redirected DELETE would hit what was not listed.
                    if redirects > MAX_REDIRECTS || method != Method::GET {
                        return Err(Fault::Redirected(path));
                    }
                    continue;
                }
                Ok(answer) => match answer.fault() {
                    None => return Ok(answer),
                    Some(fault) => fault,
                },
                Err(fault) => fault,
            };
            let wait = match fault {
                Fault::RateLimited(seconds) => Duration::from_secs(seconds),
                Fault::Failed(_) | Fault::Unreachable(_) if attempt < self.limits.tries => {
                    Duration::from_millis(250) * 2u32.saturating_pow(attempt - 1)
                }
                fault => return Err(fault),
            };
            attempt += 1;
            let Some(left) = self.patience.get().checked_sub(wait) else {
                return Err(fault);
            };
            // A service that asks for no wait at all, over and over, must not win.
            if attempt > self.limits.tries.saturating_mul(4) {
                return Err(fault);
            }
            self.patience.set(left);
            self.runtime
                .block_on(async { tokio::time::sleep(wait).await });
        }
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        etag: Option<&str>,
        body: Option<&str>,
    ) -> Result<Answer, Fault> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, "application/json");
        if let Some(etag) = etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "text/plain");
        }
        let request = request
            .body(body.unwrap_or_default().to_owned())
            .map_err(|error| Fault::Malformed(error.to_string()))?;
        tracing::debug!("{method} {path}");
        let exchange = async {
            let response = self.service.execute(request).await;
            let response = response.map_err(|error| Fault::Unreachable(chain(&error)))?;
            let (parts, body) = response.into_parts();
            let limited = Limited::new(body, self.limits.body);
            let bytes = limited.collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    Fault::TooLarge(self.limits.body)
                } else {
                    Fault::Unreachable(chain(error.as_ref()))
                }
            })?;
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body: bytes.to_bytes().to_vec(),
            })
        };
        let timeout = self.limits.timeout;
        self.runtime.block_on(async {
            match tokio::time::timeout(timeout, exchange).await {
                Ok(answer) => answer,
                Err(_) => Err(Fault::Slow(timeout)),
            }
        })
    }

    /// Where a redirect leads, if it stays with the service.
    fn within(&self, answer: &Answer) -> Result<String, Fault> {
        let location = answer
            .headers
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok());
        let target: Uri = location
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Fault::Malformed("redirect without an address".into()))?;
        // `//host/path` names another host, though it parses as a path.
        let path_only = target.path().starts_with('/') && !target.path().starts_with("//");
        let same = target.authority().is_none() && path_only
            || target.authority() == self.base.authority() && target.scheme() == self.base.scheme();
        if !same {
            let place = target
                .authority()
                .map_or_else(|| target.to_string(), ToString::to_string);
            return Err(Fault::Redirected(place));
        }
        Ok(target
            .path_and_query()
            .map_or_else(|| "/".to_owned(), ToString::to_string))
    }
}

/// A whole answer, body included.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn number(&self, name: &str) -> Option<u64> {
        self.headers.get(name)?.to_str().ok()?.trim().parse().ok()
    }

    /// What the status means. GitHub's rules are in its documentation under
    /// "Rate limits for the REST API" and "Troubleshooting the REST API".
    fn fault(&self) -> Option<Fault> {
        let status = self.status;
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return None;
        }
        if status.is_server_error() {
            return Some(match self.number("retry-after") {
                Some(seconds) => Fault::RateLimited(seconds),
                None => Fault::Failed(status.as_u16()),
            });
        }
        if matches!(status.as_u16(), 403 | 429)
            && let Some(seconds) = self.wait_asked_for()
        {
            return Some(Fault::RateLimited(seconds));
        }
        let message = self.message();
        Some(match status {
            StatusCode::NOT_FOUND => Fault::NotFound,
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Fault::Forbidden {
                needs: self.missing_permission(),
                message,
            },
            _ => Fault::Refused {
                status: status.as_u16(),
                message,
            },
        })
    }

    fn wait_asked_for(&self) -> Option<u64> {
        if let Some(seconds) = self.number("retry-after") {
            return Some(seconds);
        }
        if self.number("x-ratelimit-remaining") == Some(0) {
            let now = self
                .headers
                .get(header::DATE)
                .and_then(|date| date.to_str().ok());
            let now = now.and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok());
            let now = now.map_or_else(|| chrono::Utc::now().timestamp(), |date| date.timestamp());
            let reset = i64::try_from(self.number("x-ratelimit-reset")?).ok()?;
            return Some(u64::try_from(reset - now).unwrap_or(0).max(1));
        }
        (self.status == StatusCode::TOO_MANY_REQUESTS).then_some(60)
    }

    /// The permission that GitHub says would have been accepted, in the
    /// workflow file's words: `actions=write` is `actions: write`.
    fn missing_permission(&self) -> Option<String> {
        let accepted = self
            .headers
            .get("x-accepted-github-permissions")?
            .to_str()
            .ok()?;
        let first = accepted.split([';', ',']).next()?.trim();
        let (scope, access) = first.split_once('=')?;
        let plain = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        (plain(scope) && plain(access)).then(|| format!("{}: {access}", scope.replace('_', "-")))
    }

    /// The service's own words, shortened.
    fn message(&self) -> String {
        #[derive(serde::Deserialize)]
        struct Said {
            message: String,
        }
        let said = serde_json::from_slice::<Said>(&self.body).map(|said| said.message);
        let reason = || {
            self.status
                .canonical_reason()
                .unwrap_or("no reason given")
                .to_owned()
        };
        said.unwrap_or_else(|_| reason())
            .chars()
            .take(200)
            .collect()
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::Malformed(error.to_string()))
}

/// An error's root cause; what wraps it says only "service error".
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}
