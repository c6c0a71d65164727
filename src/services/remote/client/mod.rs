//! The cache API of one service, spoken.
//!
//! Endpoints as published in GitHub's OpenAPI description: the list of a
//! repository's caches, deletion by id, usage, the storage limit, usage by
//! repository of an organisation; and for the refs entries belong to, pull
//! requests and git references.

mod fault;
mod http;

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use super::history::Replies;
pub use fault::Fault;
pub use http::{Http, Token, USUAL, Unusable};

use super::entry::{CacheEntry, Quota, RefKind, RefState, Repository};

/// The most the API gives at a time.
const PER_PAGE: usize = 100;

/// A repository with more than this many pages has another problem; a list
/// that goes on further is taken for endless.
const MAX_PAGES: usize = 200;

/// GitHub's cache API.
pub struct Client {
    http: Http,
}

#[derive(Deserialize)]
struct Page {
    total_count: u64,
    actions_caches: Vec<Value>,
}

#[derive(Deserialize)]
struct Usage {
    full_name: String,
    active_caches_size_in_bytes: u64,
}

#[derive(Deserialize)]
struct OrgUsage {
    repository_cache_usages: Vec<Usage>,
}

#[derive(Deserialize)]
struct StorageLimit {
    max_cache_size_gb: u64,
}

#[derive(Deserialize)]
struct PullRequest {
    state: String,
}

#[derive(Deserialize)]
struct GitRef {
    #[serde(rename = "ref")]
    git_ref: String,
}

impl Client {
    /// Speaks over this connection.
    pub fn new(http: Http) -> Self {
        Self { http }
    }

    /// Gives the connection back.
    pub fn into_http(self) -> Http {
        self.http
    }

    /// Learns what there is to know of a repository's caches. Never fails:
    /// what could not be learnt is listed in [`Repository::unknown`].
    pub fn repository(&self, name: &str) -> Repository {
        let mut repository = Repository {
            name: name.to_owned(),
            ..Repository::default()
        };
        if let Err(fault) = self.list(&mut repository) {
            repository
                .unknown
                .push(format!("entries: {}", with_need(fault, "actions: read")));
        }
        match self
            .http
            .get::<Usage>(&format!("/repos/{name}/actions/cache/usage"))
        {
            Ok(usage) => repository.reported_bytes = Some(usage.active_caches_size_in_bytes),
            Err(fault) => repository.unknown.push(format!("reported usage: {fault}")),
        }
        repository.quota = Some(self.quota(name));
        repository
    }

    /// Reads all pages of the list.
    ///
    /// Oldest first, so that entries saved meanwhile come last and none is
    /// passed over. Entries deleted meanwhile move others to pages already
    /// read; the count then tells that some are missing.
    fn list(&self, repository: &mut Repository) -> Result<(), Fault> {
        let name = repository.name.clone();
        let mut seen = BTreeSet::new();
        let mut odd = 0usize;
        let mut total = 0;
        let path = format!("/repos/{name}/actions/caches");
        let sorted = "&sort=created_at&direction=asc";
        self.pages(&path, sorted, |page: Page| {
            total = page.total_count;
            let (rows, before) = (page.actions_caches.len(), seen.len());
            for item in page.actions_caches {
                let Ok(item) = serde_json::from_value::<CacheEntry>(item) else {
                    odd += 1;
                    continue;
                };
                if seen.insert(item.id) {
                    repository.entries.push(item);
                }
            }
            Ok((rows, seen.len() > before))
        })?;
        if odd > 0 {
            return Err(Fault::Malformed(format!(
                "{odd} entries are not of the documented form"
            )));
        }
        let count = seen.len() as u64;
        if count < total {
            let missing = total - count;
            return Err(Fault::Malformed(format!(
                "{missing} of {total} entries are missing; the list changed while it was read"
            )));
        }
        repository.complete = true;
        Ok(())
    }

    /// A repository's limit. Few tokens may ask for it, so the usual one
    /// stands in.
    fn quota(&self, name: &str) -> Quota {
        let path = format!("/repos/{name}/actions/cache/storage-limit");
        match self.http.get::<StorageLimit>(&path) {
            Ok(limit) if limit.max_cache_size_gb > 0 => Quota {
                bytes: limit.max_cache_size_gb.saturating_mul(1 << 30),
                assumed: false,
            },
            _ => Quota::USUAL,
        }
    }

    /// Asks which of the refs that entries were saved for still live. What
    /// the answer leaves open stays out of [`Repository::refs`].
    pub fn look_at_refs(&self, repository: &mut Repository) {
        let refs: BTreeSet<String> = repository
            .entries
            .iter()
            .map(|entry| entry.git_ref.clone())
            .collect();
        for git_ref in refs {
            match self.ref_state(&repository.name, &git_ref) {
                Ok(Some(state)) => {
                    repository.refs.insert(git_ref, state);
                }
                Ok(None) => {}
                Err(fault) => repository.unknown.push(format!("ref {git_ref}: {fault}")),
            }
        }
    }

    fn ref_state(&self, name: &str, git_ref: &str) -> Result<Option<RefState>, Fault> {
        match RefKind::of(git_ref) {
            RefKind::PullRequest(number) => {
                let path = format!("/repos/{name}/pulls/{number}");
                let pull: PullRequest = self
                    .http
                    .get(&path)
                    .map_err(|fault| with_need(fault, "pull-requests: read"))?;
                Ok(match pull.state.as_str() {
                    "open" => Some(RefState::Alive),
                    "closed" => Some(RefState::Closed),
                    _ => None,
                })
            }
            RefKind::Named => {
                let short = git_ref.strip_prefix("refs/").unwrap_or(git_ref);
                // Not `git/ref`, whose "not found" may as well mean that the
                // token may not look: this one answers with an empty list.
                let path = format!("/repos/{name}/git/matching-refs/{}", escape(short));
                let found: Vec<GitRef> = self
                    .http
                    .get(&path)
                    .map_err(|fault| with_need(fault, "contents: read"))?;
                let there = found.iter().any(|found| found.git_ref == git_ref);
                Ok(Some(if there {
                    RefState::Alive
                } else {
                    RefState::Deleted
                }))
            }
            RefKind::Other => Ok(None),
        }
    }

    /// The repositories of an organisation that have caches.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub fn organisation(&self, org: &str) -> Result<Vec<String>, Fault> {
        let mut names = BTreeSet::new();
        let path = format!("/orgs/{org}/actions/cache/usage-by-repository");
        self.pages(&path, "", |page: OrgUsage| {
            let (rows, before) = (page.repository_cache_usages.len(), names.len());
            for usage in page.repository_cache_usages {
                // A name from outside becomes part of a path.
                if !valid_repository(&usage.full_name) {
                    let name = usage.full_name;
                    return Err(Fault::Malformed(format!("{name:?} names no repository")));
                }
                names.insert(usage.full_name);
            }
            Ok((rows, names.len() > before))
        })?;
        Ok(names.into_iter().collect())
    }

    /// Asks for page after page, until one is not full. `take` says how many rows a
    /// page has, and whether any of them is new.
    fn pages<P: DeserializeOwned>(
        &self,
        path: &str,
        sorted: &str,
        mut take: impl FnMut(P) -> Result<(usize, bool), Fault>,
    ) -> Result<(), Fault> {
        for number in 1..=MAX_PAGES {
            let question = format!("{path}?per_page={PER_PAGE}&page={number}{sorted}");
            let (rows, any_new) = take(self.http.get(&question)?)?;
            if rows < PER_PAGE {
                return Ok(());
            }
            if !any_new {
                return Err(Fault::Endless(format!("page {number} brings nothing new")));
            }
        }
        Err(Fault::Endless(format!("more than {MAX_PAGES} pages")))
    }

    /// Deletes one entry, by id.
    ///
    /// # Errors
    /// Any [`Fault`]; [`Fault::NotFound`] when it vanished meanwhile.
    pub fn delete(&self, name: &str, id: u64) -> Result<(), Fault> {
        let path = format!("/repos/{name}/actions/caches/{id}");
        self.http
            .delete(&path)
            .map_err(|fault| with_need(fault, "actions: write"))
    }
}

/// Whether `text` is `owner/name` in the characters GitHub allows.
pub fn valid_repository(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(owner, name)| valid_name(owner) && valid_name(name))
}

/// Whether `text` can name an owner or a repository.
pub fn valid_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty()
        && text.len() <= 100
        && text.bytes().all(allowed)
        && text != "."
        && text != ".."
}

/// GitHub tells a missing permission by this message, with or without saying
/// which one in a header.
fn with_need(fault: Fault, permission: &str) -> Fault {
    match fault {
        Fault::Forbidden {
            message,
            needs: None,
        } if message.starts_with("Resource not accessible") => Fault::Forbidden {
            message,
            needs: Some(permission.to_owned()),
        },
        other => other,
    }
}

const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Escapes what may not stand in an address's path; slashes stay.
pub(crate) fn escape(path: &str) -> String {
    utf8_percent_encode(path, IN_PATH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_keep_a_path_together_pass() {
        for good in ["o/r", "my-org/repo.name_1"] {
            assert!(valid_repository(good), "{good}");
        }
        for bad in [
            "", "o", "o/", "/r", "o/r/x", "o/..", "o/r?x", "o/r#", "o/a b", "o/é",
        ] {
            assert!(!valid_repository(bad), "{bad}");
        }
    }

    #[test]
    fn refs_are_escaped_for_a_path() {
        assert_eq!(escape("heads/feature/é?#x"), "heads/feature/%C3%A9%3F%23x");
    }
}
