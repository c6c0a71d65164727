//! The one HTTP client: each question with limits on time, size and patience,
//! and answered by the host that was asked or by nobody.

pub mod proxy;

use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use reqwest::redirect;
use tokio::runtime::{Builder, EnterGuard, Runtime};

pub use reqwest::{Body, Client, ClientBuilder, Url};

use crate::error::Source;

/// How much and how long is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For one whole answer.
    pub timeout: Duration,
    /// In sum between requests: for rate limits, and before one is sent again.
    pub patience: Duration,
    /// When to stop asking at all.
    pub until: Option<Instant>,
    /// How often a request is sent that fails on the other side.
    pub tries: u32,
}

/// Redirects within the host that are followed, as for a renamed repository.
const MAX_REDIRECTS: u32 = 3;

/// The wait before a request is sent for the second time; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Why a question brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No connection, or it broke.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// No whole answer in time.
    #[error("did not answer within {} s", .0.as_secs_f32())]
    Slow(Duration),
    /// The answer exceeds the limit.
    #[error("answers with more than {0} bytes")]
    TooLarge(usize),
    /// Sent elsewhere: not followed, so that a login stays here.
    #[error("redirects to {0}, which is not followed")]
    Redirected(String),
    /// The time for all questions is over.
    #[error("was not asked further, the time being up")]
    OutOfTime,
}

/// What an answer that is a failure calls for.
pub enum Retry {
    /// It would be the same again.
    Never,
    /// Asking again, as often as the limits allow.
    Soon,
    /// Asking again after this time.
    After(Duration),
}

/// A whole answer, body included.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's text.
    pub fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.headers.get(name.into())?.to_str().ok()
    }
}

/// What questions to one host are sent with.
pub struct Connection {
    runtime: Runtime,
    client: Client,
    base: Url,
    limits: Limits,
    patience: Mutex<Duration>,
}

/// A client that follows no redirect, and asks `base` through a web proxy if one is
/// given.
///
/// # Errors
/// When `proxy` is none.
pub fn client(base: &str, proxy: Option<&str>) -> Result<ClientBuilder, Source> {
    // Once a process; what is there already serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("gocachevet/", env!("CARGO_PKG_VERSION")));
    if let Some(proxy) = proxy {
        let proxy = reqwest::Proxy::all(proxy);
        client = client.proxy(proxy.map_err(|_| "the web proxy's address is not valid")?);
    }
    let encrypted = [Some(base), proxy];
    if !encrypted
        .iter()
        .flatten()
        .any(|url| url.starts_with("https:"))
    {
        // A machine without certificates can do that.
        client = client.tls_certs_only([]);
    }
    Ok(client)
}

impl Connection {
    /// Prepares to ask below `base`, through a web proxy if there is one;
    /// nothing is sent yet.
    ///
    /// # Errors
    /// When this machine cannot, or `proxy` is none.
    pub fn new(base: Url, proxy: Option<&str>, limits: Limits) -> Result<Self, Source> {
        let client = client(base.as_str(), proxy)?;
        Ok(Self {
            runtime: Builder::new_current_thread().enable_all().build()?,
            client: client.build()?,
            base,
            limits,
            patience: Mutex::new(limits.patience),
        })
    }

    /// The client, for who sends or wraps it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Makes the runtime this thread's own meanwhile.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// The full address of a path that begins with a slash.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    /// Sends a request by `exchange`, again when the other side stumbles or
    /// asks to wait. `judge` says which answers are failures.
    ///
    /// # Errors
    /// Any [`Fault`], or what `judge` made of the answer.
    pub fn ask<F: From<Fault>, B, E>(
        &self,
        mut request: Request<String>,
        limit: usize,
        exchange: impl AsyncFn(Request<String>) -> Result<Response<B>, E>,
        judge: impl Fn(&Answer) -> Option<(F, Retry)>,
    ) -> Result<Answer, F>
    where
        B: BodyExt,
        B::Error: Into<Source>,
        E: Error + 'static,
    {
        let (mut attempt, mut redirects) = (1, 0);
        loop {
            tracing::trace!("{} {}", request.method(), request.uri());
            let answer = self.send(exchange(request.clone()), limit);
            if let Some(location) = answer.as_ref().ok().and_then(redirected) {
                redirects += 1;
                // A redirected DELETE would hit what was not listed.
                if redirects > MAX_REDIRECTS || request.method() != Method::GET {
                    return Err(Fault::Redirected(location.to_owned()).into());
                }
                *request.uri_mut() = self.within(&request.uri().to_string(), location)?;
                continue;
            }
            let (fault, retry) = match answer {
                Ok(answer) => match judge(&answer) {
                    None => return Ok(answer),
                    Some(found) => found,
                },
                Err(fault @ Fault::Unreachable(_)) => (fault.into(), Retry::Soon),
                Err(fault) => return Err(fault.into()),
            };
            let wait = match retry {
                Retry::Soon if attempt < self.limits.tries => {
                    FIRST_WAIT * 2u32.saturating_pow(attempt - 1)
                }
                // Who asks for no wait at all, over and over, must not win.
                Retry::After(wait) if attempt < self.limits.tries.saturating_mul(4) => wait,
                _ => return Err(fault),
            };
            if !self.has_patience(wait) {
                return Err(fault);
            }
            attempt += 1;
            std::thread::sleep(wait);
        }
    }

    fn send<B, E>(
        &self,
        exchange: impl Future<Output = Result<Response<B>, E>>,
        limit: usize,
    ) -> Result<Answer, Fault>
    where
        B: BodyExt,
        B::Error: Into<Source>,
        E: Error + 'static,
    {
        let left = self.left().unwrap_or(Duration::MAX);
        if left.is_zero() {
            return Err(Fault::OutOfTime);
        }
        let timeout = self.limits.timeout.min(left);
        let exchange = async {
            let response = exchange.await;
            let response = response.map_err(|error| Fault::Unreachable(root(&error)))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, limit).collect().await;
            let body = body.map_err(|error| match error.is::<LengthLimitError>() {
                true => Fault::TooLarge(limit),
                false => Fault::Unreachable(root(error.as_ref())),
            })?;
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body: body.to_bytes().to_vec(),
            })
        };
        self.runtime.block_on(async {
            let answer = tokio::time::timeout(timeout, exchange).await;
            answer.unwrap_or(Err(Fault::Slow(timeout)))
        })
    }

    fn left(&self) -> Option<Duration> {
        let until = self.limits.until?;
        Some(until.saturating_duration_since(Instant::now()))
    }

    /// Takes a wait from what there is of patience.
    fn has_patience(&self, wait: Duration) -> bool {
        let mut patience = (self.patience.lock()).unwrap_or_else(PoisonError::into_inner);
        if self.left().is_some_and(|left| wait >= left) || wait > *patience {
            return false;
        }
        *patience -= wait;
        true
    }

    /// Where a redirect leads, if it stays with the host.
    fn within(&self, from: &str, location: &str) -> Result<http::Uri, Fault> {
        let elsewhere = || Fault::Redirected(location.to_owned());
        let from = Url::parse(from).map_err(|_| elsewhere())?;
        let target = from.join(location).map_err(|_| elsewhere())?;
        if target.origin() != self.base.origin() {
            let host = target.host_str().unwrap_or_default();
            let port = target.port().map(|port| format!(":{port}"));
            return Err(Fault::Redirected(
                host.to_owned() + &port.unwrap_or_default(),
            ));
        }
        target.as_str().parse().map_err(|_| elsewhere())
    }
}

/// Where an answer sends the client instead.
fn redirected(answer: &Answer) -> Option<&str> {
    let elsewhere = answer.status.is_redirection() && answer.status != StatusCode::NOT_MODIFIED;
    answer.header(header::LOCATION).filter(|_| elsewhere)
}

/// An error's root cause; what wraps it says only that sending failed.
pub fn root(error: &(dyn Error + 'static)) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}
