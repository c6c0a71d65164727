//! A service with a token: what is asked of it, what is kept of its answers, and
//! what its failures mean. The token goes nowhere else.
//!
//! Requests go one after another, as GitHub asks of clients that delete.

use std::cell::RefCell;
use std::time::Duration;

use http::{HeaderName, Method, Request, StatusCode, header};
use octocrab::Octocrab;
use serde::de::DeserializeOwned;

use super::fault::Fault;
use crate::error::CommandError;
use crate::net::{self, Answer, Connection, Limits, Retry, Url};
use crate::services::remote::history::{Replies, Reply};

/// What is waited for unless somebody says otherwise.
pub const USUAL: Limits = Limits {
    timeout: Duration::from_secs(30),
    patience: Duration::from_secs(120),
    until: None,
    tries: 4,
};

/// Bytes of one answer.
const MAX_BODY: usize = 8 << 20;

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
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the token is empty or has characters that no token has");
        }
        Ok(Self(text.to_owned()))
    }
}

/// A service at a base address.
pub struct Http {
    connection: Connection,
    service: Octocrab,
    store: RefCell<Replies>,
}

/// Why a service cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Not an address, or a token would go out unencrypted: plain `http` is for
    /// this very machine.
    #[error("{0:?} is not an https address")]
    Address(String),
    /// An address is shown, and so must not contain a login.
    #[error("the address must not contain credentials")]
    Credentials,
    /// Not a name of anything that a service has.
    #[error("{0:?} names no repository")]
    Repository(String),
    /// This machine cannot ask.
    #[error("no connection can be made")]
    Machine(#[source] crate::error::Source),
}

impl From<Unusable> for CommandError {
    fn from(error: Unusable) -> CommandError {
        match error {
            Unusable::Machine(_) => CommandError::Work(error.into()),
            _ => CommandError::Usage(error.into()),
        }
    }
}

impl Http {
    /// Prepares to talk to `base`; nothing is sent yet.
    ///
    /// # Errors
    /// When nothing can or may be sent there.
    pub fn new(base: &str, token: Option<Token>, limits: Limits) -> Result<Self, Unusable> {
        let invalid = || Unusable::Address(base.to_owned());
        let url: Url = base.parse().map_err(|_| invalid())?;
        let local = url.host_str().is_some_and(net::proxy::is_local);
        if !(url.scheme() == "https" || url.scheme() == "http" && local) {
            return Err(invalid());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Unusable::Credentials);
        }
        let address = url.to_string();
        let connection = Connection::new(url, None, limits).map_err(Unusable::Machine)?;
        let service = octocrab(&address, token, &connection);
        Ok(Self {
            service: service.map_err(|error| Unusable::Machine(error.into()))?,
            connection,
            store: RefCell::default(),
        })
    }

    /// Starts with answers of an earlier run, to ask only for what changed.
    pub fn with_store(self, store: Replies) -> Self {
        Self {
            store: RefCell::new(store),
            ..self
        }
    }

    /// The answers worth keeping for the next run.
    pub fn into_store(self) -> Replies {
        self.store.into_inner()
    }

    /// Gets a JSON document, which `T` checks for its form.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Fault> {
        let address = self.connection.address(path);
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
        let etag = answer.header(header::ETAG).map(str::to_owned);
        if let (Some(etag), Ok(body)) = (etag, String::from_utf8(answer.body)) {
            let reply = Reply { etag, body };
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

    fn request(
        &self,
        method: &Method,
        path: &str,
        etag: Option<&str>,
        body: Option<&str>,
    ) -> Result<Answer, Fault> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.connection.address(path))
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
        let exchange = async |request| self.service.execute(request).await;
        (self.connection).ask(request, MAX_BODY, exchange, failure)
    }
}

fn octocrab(
    base: &str,
    token: Option<Token>,
    connection: &Connection,
) -> octocrab::Result<Octocrab> {
    // It spawns its queue onto the runtime.
    let _entered = connection.enter();
    let mut builder = Octocrab::builder().base_uri(base)?;
    if let Some(Token(token)) = token {
        builder = builder.personal_token(token);
    }
    builder.build_with_reqwest(connection.client().clone())
}

/// What an answer's status means, if it is a failure. GitHub's rules are in its
/// documentation under "Rate limits for the REST API" and "Troubleshooting the
/// REST API".
fn failure(answer: &Answer) -> Option<(Fault, Retry)> {
    let status = answer.status;
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return None;
    }
    if let Some(seconds) = wait_asked_for(answer) {
        let wait = Retry::After(Duration::from_secs(seconds));
        return Some((Fault::RateLimited(seconds), wait));
    }
    if status.is_server_error() {
        return Some((Fault::Failed(status.as_u16()), Retry::Soon));
    }
    let message = message(answer);
    let fault = match status {
        StatusCode::NOT_FOUND => Fault::NotFound,
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Fault::Forbidden {
            needs: missing_permission(answer),
            message,
        },
        _ => Fault::Refused {
            status: status.as_u16(),
            message,
        },
    };
    Some((fault, Retry::Never))
}

fn wait_asked_for(answer: &Answer) -> Option<u64> {
    let number = |name| {
        let text = answer.header(HeaderName::from_static(name))?;
        text.trim().parse::<u64>().ok()
    };
    let limited = matches!(answer.status.as_u16(), 403 | 429);
    if !limited && !answer.status.is_server_error() {
        return None;
    }
    if let Some(seconds) = number("retry-after") {
        return Some(seconds);
    }
    if limited && number("x-ratelimit-remaining") == Some(0) {
        let now = answer.header(header::DATE);
        let now = now.and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok());
        let now = now.map_or_else(|| chrono::Utc::now().timestamp(), |date| date.timestamp());
        let reset = i64::try_from(number("x-ratelimit-reset")?).ok()?;
        return Some(u64::try_from(reset - now).unwrap_or(0).max(1));
    }
    (answer.status == StatusCode::TOO_MANY_REQUESTS).then_some(60)
}

/// The permission that GitHub says would have been accepted, in the workflow
/// file's words: `actions=write` is `actions: write`.
fn missing_permission(answer: &Answer) -> Option<String> {
    let accepted = answer.header(HeaderName::from_static("x-accepted-github-permissions"))?;
    let first = accepted.split([';', ',']).next()?.trim();
    let (scope, access) = first.split_once('=')?;
    let plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    (plain(scope) && plain(access)).then(|| format!("{}: {access}", scope.replace('_', "-")))
}

/// The service's own words, shortened.
fn message(answer: &Answer) -> String {
    #[derive(serde::Deserialize)]
    struct Said {
        message: String,
    }
    let said = serde_json::from_slice::<Said>(&answer.body).map(|said| said.message);
    let reason = || {
        let reason = answer.status.canonical_reason();
        reason.unwrap_or("no reason given").to_owned()
    };
    said.unwrap_or_else(|_| reason())
        .chars()
        .take(200)
        .collect()
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::Malformed(error.to_string()))
}
