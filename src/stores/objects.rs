//! Object stores: S3 and what speaks like it, Google Cloud Storage, Azure's blobs.
//!
//! What is asked for is a URL (`s3://BUCKET/PREFIX`, `gs://…`, `azblob://CONTAINER/…`);
//! who asks is told by the usual variables of each service, and by nothing else.
//! No error quotes what a service or a client says of a request: that may hold the
//! address, and an address may hold a signature.

use crate::error::{CommandError, Source};
use crate::net::{self, Url};
use crate::settings::Environment;
use opendal_core::options::{ListOptions, ReaderOptions, WriteOptions};
use opendal_core::{Error, ErrorKind, HttpTransporter, Metadata, OperationContext, Operator};
use opendal_http_transport_reqwest::ReqwestTransport;
use opendal_layer_retry::RetryLayer;
use opendal_layer_timeout::TimeoutLayer;
use opendal_service_azblob::Azblob;
use opendal_service_gcs::Gcs;
use opendal_service_s3::S3;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Bytes of a request: large enough for a line with a long way to the service.
const PART: usize = 16 << 20;

/// Requests for one object at a time.
const AT_ONCE: usize = 4;

/// The largest object that is fetched, in bytes.
const LARGEST: u64 = 64 << 30;

/// How long is waited for an answer, and for each part of one.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a request is sent again that fails on the other side.
const AGAIN: usize = 3;

/// What is known of an object's content, by which it is replaced only if it is
/// still that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// As HTTP has it.
    Etag(String),
    /// Google's generation of an object.
    Version(String),
}

/// A place in an object store.
pub(crate) struct Objects {
    runtime: Runtime,
    operator: Operator,
    url: Url,
    /// Whether an object is told from its successor by its version: Google has both
    /// marks, and conditions on this one alone.
    by_version: bool,
}

impl Objects {
    /// Prepares to ask; nothing is sent yet.
    ///
    /// # Errors
    /// If the URL is none of an object store, or a variable is missing.
    pub(crate) fn open(url: &str, environment: &Environment) -> Result<Objects, CommandError> {
        let wrong = CommandError::input(format!("--store {}", without_login(url)));
        let parsed = Url::parse(url).map_err(|error| wrong(error.into()))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(wrong(
                "a login does not belong in an address: it is taken from the environment".into(),
            ));
        }
        let (bucket, prefix) = (parsed.host_str().unwrap_or_default(), parsed.path());
        if bucket.is_empty() || parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(wrong("is no address of the form s3://BUCKET/PREFIX".into()));
        }
        let var = |name: &str| {
            let value = environment.var(name)?.to_str()?;
            Some(value.to_owned())
        };
        let (operator, endpoint) = match parsed.scheme() {
            "s3" => s3(bucket, prefix, var),
            "gs" | "gcs" => gcs(bucket, prefix, var),
            "azblob" | "az" => azblob(bucket, prefix, var),
            other => {
                Err(format!("{other}: is not known; s3, gs and azblob are, and folders").into())
            }
        }
        .map_err(&wrong)?;
        let endpoint = Url::parse(&endpoint).map_err(|error| wrong(error.into()))?;
        let proxy = net::proxy::proxy_for(&endpoint, environment);
        let failed = |error: Source| CommandError::failed(parsed.to_string())(error);
        let client = net::client(endpoint.as_str(), proxy.as_deref())
            .and_then(|client| Ok(client.build()?))
            .map_err(failed)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let transport = HttpTransporter::new(ReqwestTransport::new(client));
        Ok(Objects {
            runtime: runtime.map_err(|error| failed(error.into()))?,
            operator: operator
                .with_context(OperationContext::new().with_http_transport(transport))
                .layer(
                    TimeoutLayer::new()
                        .with_timeout(PATIENCE)
                        .with_io_timeout(PATIENCE),
                )
                .layer(RetryLayer::new().with_max_times(AGAIN).with_jitter()),
            by_version: matches!(parsed.scheme(), "gs" | "gcs"),
            url: parsed,
        })
    }

    /// An object of at most so many bytes, and what it takes to replace it;
    /// `None` if there is none.
    pub(crate) fn read(
        &self,
        path: &str,
        most: u64,
    ) -> Result<Option<(Vec<u8>, Tag)>, CommandError> {
        tracing::trace!("reading {}", self.name(path));
        let read = self.runtime.block_on(async {
            let about = self.operator.stat(path).await?;
            if about.content_length() > most {
                return Err(Broken::TooLong);
            }
            let content = self.operator.read(path).await?.to_vec();
            Ok((content, about))
        });
        match read {
            Ok((content, about)) => match self.tag(&about) {
                Some(tag) => Ok(Some((content, tag))),
                None => Err(self.failed(path)(
                    "the service does not say which version of it this is",
                )),
            },
            Err(Broken::Store(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(broken) => Err(self.told(path, Path::new(path), broken)),
        }
    }

    /// Replaces a small object if it is still what it was, or is still not there;
    /// tells whether it was.
    pub(crate) fn replace(
        &self,
        path: &str,
        content: Vec<u8>,
        before: Option<&Tag>,
    ) -> Result<bool, CommandError> {
        tracing::debug!("writing {}", self.name(path));
        let mut options = WriteOptions::default();
        match before {
            Some(Tag::Etag(etag)) => options.if_match = Some(etag.clone()),
            Some(Tag::Version(version)) => options.if_version_match = Some(version.clone()),
            None => options.if_not_exists = true,
        }
        let written = self.operator.write_options(path, content, options);
        match self.runtime.block_on(written) {
            Ok(_) => Ok(true),
            Err(error) if is_taken(&error) => Ok(false),
            Err(error) => Err(self.failed(path)(words(&error))),
        }
    }

    /// Whether there is such an object.
    pub(crate) fn has(&self, path: &str) -> Result<bool, CommandError> {
        let there = self.runtime.block_on(self.operator.exists(path));
        there.map_err(|error| self.failed(path)(words(&error)))
    }

    /// Brings objects here, side by side. What is not there is left out.
    pub(crate) fn fetch(&self, wanted: &[(String, PathBuf)]) -> Result<(), CommandError> {
        let fetching = wanted.iter().map(|(path, file)| async move {
            match self.fetch_one(path, file).await {
                Err(Broken::Store(error)) if error.kind() == ErrorKind::NotFound => {
                    tracing::debug!("{} is gone", self.name(path));
                    Ok(())
                }
                fetched => fetched.map_err(|broken| self.told(path, file, broken)),
            }
        });
        let fetched = self
            .runtime
            .block_on(futures_util::future::join_all(fetching));
        fetched.into_iter().collect()
    }

    async fn fetch_one(&self, path: &str, file: &Path) -> Result<(), Broken> {
        let bytes = self.operator.stat(path).await?.content_length();
        if bytes > LARGEST {
            return Err(Broken::TooLong);
        }
        tracing::debug!("fetching {}, {bytes} bytes", self.name(path));
        let options = ReaderOptions {
            concurrent: AT_ONCE,
            chunk: Some(PART),
            ..ReaderOptions::default()
        };
        let reader = self.operator.reader_options(path, options).await?;
        let mut parts = reader.into_stream(0..bytes).await?;
        // Under its name it is whole.
        let part = file.with_extension("part");
        let mut there = File::create(&part)?;
        let mut so_far = 0;
        while let Some(content) = futures_util::StreamExt::next(&mut parts).await {
            for bytes in content? {
                there.write_all(&bytes)?;
                so_far += bytes.len() as u64;
            }
        }
        if so_far != bytes {
            return Err(Broken::Short);
        }
        fs::rename(&part, file)?;
        Ok(())
    }

    /// Makes a file an object. It has the name when it is whole.
    pub(crate) fn send(&self, file: &Path, path: &str) -> Result<(), CommandError> {
        tracing::debug!("sending {}", self.name(path));
        let sent = self.runtime.block_on(async {
            let mut from = File::open(file)?;
            let options = WriteOptions {
                concurrent: AT_ONCE,
                chunk: Some(PART),
                ..WriteOptions::default()
            };
            let mut to = self.operator.writer_options(path, options).await?;
            loop {
                let mut part = Vec::new();
                (&mut from).take(PART as u64).read_to_end(&mut part)?;
                if part.is_empty() {
                    break;
                }
                to.write(part).await?;
            }
            to.close().await?;
            Ok(())
        });
        sent.map_err(|broken| self.told(path, file, broken))
    }

    /// All names below a prefix, unless there are more than so many.
    pub(crate) fn list(
        &self,
        prefix: &str,
        most: usize,
    ) -> Result<Option<Vec<String>>, CommandError> {
        let options = ListOptions {
            recursive: true,
            ..ListOptions::default()
        };
        let listed = self.runtime.block_on(async {
            let mut names = Vec::new();
            let mut entries = self.operator.lister_options(prefix, options).await?;
            while let Some(entry) = futures_util::StreamExt::next(&mut entries).await {
                let entry = entry?;
                if entry.metadata().is_file() {
                    names.push(entry.path().to_owned());
                }
                if names.len() > most {
                    return Ok(None);
                }
            }
            Ok(Some(names))
        });
        listed.map_err(|error: Error| self.failed(prefix)(words(&error)))
    }

    /// Removes an object; one that is not there is no error.
    pub(crate) fn remove(&self, path: &str) -> Result<(), CommandError> {
        let removed = self.runtime.block_on(self.operator.delete(path));
        removed.map_err(|error| self.failed(path)(words(&error)))
    }

    fn tag(&self, about: &Metadata) -> Option<Tag> {
        if self.by_version {
            return about
                .version()
                .map(|version| Tag::Version(version.to_owned()));
        }
        about.etag().map(|etag| Tag::Etag(etag.to_owned()))
    }

    fn name(&self, path: &str) -> String {
        format!("{}/{path}", self.url.as_str().trim_end_matches('/'))
    }

    /// What broke on an object's way from or to a file.
    fn told(&self, path: &str, file: &Path, broken: Broken) -> CommandError {
        match broken {
            Broken::Store(error) => self.failed(path)(words(&error)),
            Broken::Disk(error) => CommandError::file(file)(error),
            Broken::Short => self.failed(path)("ended before its length"),
            Broken::TooLong => self.failed(path)("is larger than anything this program writes"),
        }
    }

    fn failed<'a>(&self, path: &str) -> impl Fn(&'a str) -> CommandError {
        CommandError::failed(self.name(path))
    }
}

/// Why an object did not get here or there.
enum Broken {
    Store(Error),
    Disk(io::Error),
    Short,
    TooLong,
}

impl From<Error> for Broken {
    fn from(error: Error) -> Broken {
        Broken::Store(error)
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Disk(error)
    }
}

/// An address as it may be shown.
fn without_login(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
            let rest = rest.split(['?', '#']).next().unwrap_or_default();
            format!("{scheme}://{rest}")
        }
        None => url.to_owned(),
    }
}

/// Whether somebody else was quicker.
fn is_taken(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists | ErrorKind::Conflict
    )
}

/// What a failure means, in words that hold nothing of the request.
fn words(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "the service refuses these credentials; see the variables in docs/snapshots.md"
        }
        ErrorKind::NotFound => "there is no such bucket or object",
        ErrorKind::ConfigInvalid => {
            "the service's settings are not complete; see the variables in docs/snapshots.md"
        }
        ErrorKind::RateLimited => "the service asks for fewer requests",
        _ if error.is_temporary() || error.is_persistent() => {
            "the service cannot be reached, or broke off, again and again"
        }
        _ => "the service gave no answer that is understood",
    }
}

type Opened = Result<(Operator, String), Source>;

fn s3(bucket: &str, prefix: &str, var: impl Fn(&str) -> Option<String>) -> Opened {
    let endpoint = var("AWS_ENDPOINT_URL_S3").or_else(|| var("AWS_ENDPOINT_URL"));
    let region = var("AWS_REGION").or_else(|| var("AWS_DEFAULT_REGION"));
    let region = match (region, &endpoint) {
        (Some(region), _) => region,
        // What others than Amazon take.
        (None, Some(_)) => "us-east-1".to_owned(),
        (None, None) => return Err("AWS_REGION is not set".into()),
    };
    let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let mut s3 = S3::default()
        .bucket(bucket)
        .root(prefix)
        .region(&region)
        .endpoint(&endpoint)
        // Asking the machine's own metadata takes long where there is none.
        .disable_ec2_metadata();
    if let (Some(id), Some(secret)) = (var("AWS_ACCESS_KEY_ID"), var("AWS_SECRET_ACCESS_KEY")) {
        s3 = s3.access_key_id(&id).secret_access_key(&secret);
        if let Some(token) = var("AWS_SESSION_TOKEN") {
            s3 = s3.session_token(&token);
        }
    }
    Ok((Operator::new(s3).map_err(incomplete)?, endpoint))
}

fn gcs(bucket: &str, prefix: &str, var: impl Fn(&str) -> Option<String>) -> Opened {
    let mut gcs = Gcs::default().bucket(bucket).root(prefix);
    let emulator = var("STORAGE_EMULATOR_HOST");
    gcs = match &emulator {
        Some(emulator) => gcs.endpoint(emulator).skip_signature(),
        None => gcs.disable_vm_metadata(),
    };
    if let Some(file) = var("GOOGLE_APPLICATION_CREDENTIALS") {
        gcs = gcs.credential_path(&file);
    }
    let endpoint = emulator.unwrap_or_else(|| "https://storage.googleapis.com".to_owned());
    Ok((Operator::new(gcs).map_err(incomplete)?, endpoint))
}

fn azblob(container: &str, prefix: &str, var: impl Fn(&str) -> Option<String>) -> Opened {
    let (azblob, endpoint) = match var("AZURE_STORAGE_CONNECTION_STRING") {
        Some(all) => {
            let of = |name: &str| {
                let mut parts = all.split(';').filter_map(|part| part.split_once('='));
                parts.find_map(|(key, value)| (key == name).then(|| value.to_owned()))
            };
            let account = of("AccountName").unwrap_or_default();
            let endpoint = of("BlobEndpoint");
            (
                Azblob::from_connection_string(&all).map_err(incomplete)?,
                endpoint.unwrap_or_else(|| azure(&account)),
            )
        }
        None => {
            let account = var("AZURE_STORAGE_ACCOUNT");
            let account = account.ok_or("AZURE_STORAGE_ACCOUNT is not set")?;
            let mut azblob = Azblob::default()
                .account_name(&account)
                .endpoint(&azure(&account));
            if let Some(key) = var("AZURE_STORAGE_KEY") {
                azblob = azblob.account_key(&key);
            }
            if let Some(token) = var("AZURE_STORAGE_SAS_TOKEN") {
                azblob = azblob.sas_token(&token);
            }
            (azblob, azure(&account))
        }
    };
    let azblob = azblob.container(container).root(prefix);
    Ok((Operator::new(azblob).map_err(incomplete)?, endpoint))
}

fn azure(account: &str) -> String {
    format!("https://{account}.blob.core.windows.net")
}

/// The client's own text may quote what it was given.
fn incomplete(_: Error) -> Source {
    "the service's settings are not complete; see the variables in docs/snapshots.md".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(url: &str, vars: &[(&str, &str)]) -> Result<(), String> {
        let vars = vars
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        let environment = Environment {
            vars: vars.collect(),
            ..Environment::default()
        };
        let opened = Objects::open(url, &environment);
        opened.map(|_| ()).map_err(|error| error.text())
    }

    #[test]
    fn an_address_holds_no_login_and_shows_none() {
        let aws = [("AWS_REGION", "eu-west-1")];
        assert_eq!(opened("s3://bucket/a/b", &aws), Ok(()));
        assert_eq!(opened("gs://bucket", &[]), Ok(()));
        let account = [
            ("AZURE_STORAGE_ACCOUNT", "acc"),
            ("AZURE_STORAGE_KEY", "c2VjcmV0"),
        ];
        assert_eq!(opened("azblob://container/p", &account), Ok(()));
        for url in [
            "s3://id:secret@bucket/a",
            "s3://secret@bucket",
            "s3://bucket?sig=secret",
            "s3:///secret",
            "ftp://bucket",
            "s3://",
        ] {
            let error = opened(url, &aws).unwrap_err();
            assert!(
                !error.contains("secret") || url == "s3:///secret",
                "{error}"
            );
        }
        assert!(
            opened("s3://bucket", &[])
                .unwrap_err()
                .contains("AWS_REGION")
        );
        let bad = [
            ("AZURE_STORAGE_ACCOUNT", "acc"),
            ("AZURE_STORAGE_KEY", "secret!"),
        ];
        let error = opened("azblob://container", &bad).unwrap_err();
        assert!(!error.contains("secret!"), "{error}");
    }
}
