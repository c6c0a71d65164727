//! One place to ask, a module proxy or a checksum database.
//!
//! What `file:` addresses name is read from the disk, as Go does.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Request, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::doctor::proxies::redacted;
use crate::folder::ordinary;
use crate::net::{self, Answer, Body, Connection, Limits, Retry, Url, proxy};
use crate::settings::Environment;

/// What would end an address's path, or mean another one.
const UNSAFE: AsciiSet = CONTROLS.add(b' ').add(b'#').add(b'%').add(b'?');

/// Why a request brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// 404 or 410: what makes Go ask the next proxy.
    #[error("does not have it")]
    NotFound,
    /// Nothing came back.
    #[error(transparent)]
    Net(#[from] net::Fault),
    /// 401 or 403.
    #[error("refuses with status {0}: it wants a login, or knows this one not to be allowed")]
    Denied(u16),
    /// Any other status.
    #[error("answers with status {0}")]
    Status(u16),
}

/// Why there is nobody to ask.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoSource {
    #[error("{0} is not a valid path")]
    Path(String),
    #[error("{0} is not an address that Go can ask")]
    Address(String),
    /// A proxy of the chain fails, which ends Go's search.
    #[error("{0} {1}")]
    Proxy(String, Fault),
}

impl Fault {
    /// Whether the next request would fare no better.
    fn is_final(&self) -> bool {
        use net::Fault::{OutOfTime, Slow, Unreachable};
        matches!(
            self,
            Fault::Net(Unreachable(_) | Slow(_) | OutOfTime) | Fault::Denied(_)
        )
    }

    /// Whether nobody was there.
    pub(super) fn is_silence(&self) -> bool {
        use net::Fault::{Slow, Unreachable};
        matches!(self, Fault::Net(Unreachable(_) | Slow(_)))
    }
}

enum Way {
    /// This machine cannot ask there.
    None(Fault),
    Folder(PathBuf),
    Http {
        connection: Box<Connection>,
        login: Option<HeaderValue>,
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
    /// When `address` is none that Go would take.
    pub(super) fn new(
        address: &str,
        limits: Limits,
        environment: &Environment,
    ) -> Result<Self, NoSource> {
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
                let path = percent_decode_str(path).decode_utf8();
                let path = path.map_err(|_| NoSource::Path(shown.clone()))?;
                Way::Folder(PathBuf::from(path.as_ref()))
            }
            None => http_way(&full, &shown, limits, environment)?,
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
    pub(super) fn below(&self, path: &str, environment: &Environment) -> Result<Self, NoSource> {
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
            Way::None(fault) => Err(fault.clone()),
            Way::Folder(root) if !root.is_dir() => Err(unreachable("there is no such folder")),
            Way::Folder(root) => read(&root.join(path), limit),
            Way::Http { connection, login } => fetch(connection, login.as_ref(), path, limit),
        };
        if let Err(fault) = &answer
            && fault.is_final()
        {
            let _ = self.gone.set(fault.clone());
        }
        answer
    }
}

fn http_way(
    address: &str,
    shown: &str,
    limits: Limits,
    environment: &Environment,
) -> Result<Way, NoSource> {
    let invalid = || NoSource::Address(shown.to_owned());
    let mut url: Url = address.parse().map_err(|_| invalid())?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(invalid());
    }
    // A login goes out encrypted, or not at all.
    let safe = url.scheme() == "https" || url.host_str().is_some_and(proxy::is_local);
    let login = login(&url).filter(|_| safe);
    url.set_username("").map_err(|()| invalid())?;
    url.set_password(None).map_err(|()| invalid())?;
    let proxy = proxy::proxy_for(&url, environment);
    Ok(match Connection::new(url, proxy.as_deref(), limits) {
        Ok(connection) => Way::Http {
            connection: Box::new(connection),
            login,
        },
        Err(error) => Way::None(unreachable(&net::root(error.as_ref()))),
    })
}

/// The login that stands in an address, as Go sends it.
fn login(url: &Url) -> Option<HeaderValue> {
    let decoded = |text| percent_decode_str(text).collect::<Vec<u8>>();
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let password = decoded(url.password().unwrap_or_default());
    let login = [decoded(url.username()), password].join(&b':');
    let mut header = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(login))).ok()?;
    header.set_sensitive(true);
    Some(header)
}

fn fetch(
    connection: &Connection,
    login: Option<&HeaderValue>,
    path: &str,
    limit: u64,
) -> Result<Vec<u8>, Fault> {
    let path = utf8_percent_encode(path, &UNSAFE);
    let mut request = Request::get(connection.address(&format!("/{path}")));
    if let Some(login) = login {
        request = request.header(header::AUTHORIZATION, login);
    }
    let request = request.body(String::new());
    let request = request.map_err(|error| unreachable(&error.to_string()))?;
    let client = connection.client();
    let exchange = async |request: Request<String>| {
        let response = client.execute(request.try_into()?).await?;
        Ok::<http::Response<Body>, reqwest::Error>(response.into())
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let answer: Answer = connection.ask(request, limit, exchange, failure)?;
    Ok(answer.body)
}

/// What an answer's status means, if it is a failure.
fn failure(answer: &Answer) -> Option<(Fault, Retry)> {
    let status = answer.status;
    let number = status.as_u16();
    match status {
        StatusCode::OK => None,
        StatusCode::NOT_FOUND | StatusCode::GONE => Some((Fault::NotFound, Retry::Never)),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Some((Fault::Denied(number), Retry::Never))
        }
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Some((Fault::Status(number), Retry::Soon))
        }
        _ => Some((Fault::Status(number), Retry::Never)),
    }
}

fn unreachable(why: &str) -> Fault {
    net::Fault::Unreachable(why.to_owned()).into()
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Fault> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => {
            Fault::NotFound
        }
        _ => unreachable(&error.to_string()),
    };
    let file = ordinary::open(path).map_err(failed)?;
    let mut content = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(failed)?;
    if content.len() as u64 > limit {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        return Err(net::Fault::TooLarge(limit).into());
    }
    Ok(content)
}
