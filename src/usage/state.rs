//! What a mark remembers, as a file outside the caches.
//!
//! One line of JSON says when and where; then follow fixed-size records, the
//! action entries', sorted by ID. A hundred thousand of them are read and
//! written in a few milliseconds.

use crate::findings::display_path;
use crate::folder::Folder;
use crate::formats::action::ActionId;
use crate::settings::Environment;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The first field of the first line.
const SCHEMA: &str = "gocachevet.state/1";

/// Longest state that is read: five million entries.
const MAX_BYTES: u64 = 256 << 20;

/// Bytes of a record: ID, true time, time set (nanoseconds since 1970).
const RECORD: usize = 32 + 8 + 8;

/// What the caches held when the mark was set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// When and where.
    pub head: StateHead,
    /// The action entries, sorted by ID.
    pub actions: Vec<MarkedAction>,
}

/// The first line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StateHead {
    schema: String,
    /// When the mark was set.
    pub since: DateTime<Utc>,
    /// The module cache; `None` if it was not there.
    pub modcache: Option<String>,
    /// The build cache; `None` if it was not there.
    pub gocache: Option<String>,
    /// Bytes of the build cache.
    pub gocache_bytes: u64,
    /// `trim.txt` of the build cache.
    pub trimmed: Option<DateTime<Utc>>,
    /// The module versions, `path@version`, and what was there of each.
    pub versions: BTreeMap<String, MarkedVersion>,
}

/// What was there of a module version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkedVersion {
    /// Its zip.
    pub zip: bool,
    /// Its extracted tree.
    pub tree: bool,
    /// Its `.mod`.
    pub go_mod: bool,
    /// Bytes of its files under `cache/download`.
    pub bytes: u64,
}

/// An action entry at the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkedAction {
    /// Its name.
    pub id: ActionId,
    /// When it was last used before the mark, in nanoseconds since 1970.
    pub used: i64,
    /// The time that the mark gave it, likewise; the same if it left it alone,
    /// [`STUCK`] if it did not take the time.
    pub set: i64,
}

/// The time set of an entry that did not take it.
pub const STUCK: i64 = i64::MAX;

impl MarkedAction {
    /// Whether the entry has been used since: its time is later than what the
    /// mark set, and not what it was before (the mark may have been cut short).
    pub fn moved(&self, modified: DateTime<Utc>) -> bool {
        let modified = nanos(modified);
        modified > self.set && modified != self.used
    }
}

/// A time as the records hold it. What is centuries away becomes the epoch.
pub(super) fn nanos(time: DateTime<Utc>) -> i64 {
    time.timestamp_nanos_opt().unwrap_or_default()
}

/// Why a state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// There is none.
    #[error("there is no mark")]
    Missing,
    /// It could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no state of this version.
    #[error("is not a state that this version wrote")]
    Invalid,
    /// On a shared machine anybody may have put it there.
    #[error("belongs to another user")]
    Foreign,
}

impl State {
    /// A state of now.
    pub fn new(since: DateTime<Utc>) -> State {
        State {
            head: StateHead {
                schema: SCHEMA.to_owned(),
                since,
                ..StateHead::default()
            },
            actions: Vec::new(),
        }
    }

    /// The entry of this name, if it was there.
    pub fn action(&self, id: ActionId) -> Option<&MarkedAction> {
        let found = self.actions.binary_search_by_key(&id, |marked| marked.id);
        self.actions.get(found.ok()?)
    }

    /// Whether it tells about these caches.
    pub fn is_of(&self, modcache: Option<&Path>, gocache: Option<&Path>) -> bool {
        let same = |known: &Option<String>, here: Option<&Path>| {
            known.is_none() || here.is_none() || *known == here.map(display_path)
        };
        same(&self.head.modcache, modcache) && same(&self.head.gocache, gocache)
    }

    /// The file's content.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and maps of them: always JSON.
        let mut bytes = serde_json::to_vec(&self.head).unwrap_or_default();
        bytes.reserve(1 + self.actions.len() * RECORD);
        bytes.push(b'\n');
        for action in &self.actions {
            bytes.extend(action.id.0);
            bytes.extend(action.used.to_le_bytes());
            bytes.extend(action.set.to_le_bytes());
        }
        bytes
    }

    /// Reads a file's content.
    pub fn parse(bytes: &[u8]) -> Result<State, StateError> {
        let mut parts = bytes.splitn(2, |&byte| byte == b'\n');
        let (head, records) = match (parts.next(), parts.next()) {
            (Some(head), Some(records)) => (head, records),
            _ => return Err(StateError::Invalid),
        };
        let head: StateHead = serde_json::from_slice(head).map_err(|_| StateError::Invalid)?;
        let (records, rest) = records.as_chunks::<RECORD>();
        let actions: Vec<MarkedAction> = records.iter().map(record).collect();
        let sorted = actions.is_sorted_by(|a, b| a.id < b.id);
        if head.schema != SCHEMA || !rest.is_empty() || !sorted {
            return Err(StateError::Invalid);
        }
        Ok(State { head, actions })
    }

    /// Reads the state at `path`; never through a link, never another user's.
    pub fn read(path: &Path) -> Result<State, StateError> {
        State::parse(&read_own(path)?)
    }

    /// Writes the state whole or not at all.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        replace(path, &self.to_bytes())
    }
}

/// Reads a file that lies where states do; never through a link, never another
/// user's.
pub(crate) fn read_own(path: &Path) -> Result<Vec<u8>, StateError> {
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StateError::Missing);
        }
        other => other?,
    };
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(StateError::Invalid);
    }
    if !is_own(&metadata) {
        return Err(StateError::Foreign);
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    std::fs::File::open(path)?
        .take(MAX_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn record(record: &[u8; RECORD]) -> MarkedAction {
    let (id, times) = record.split_at(32);
    let (used, set) = times.split_at(8);
    let number = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().unwrap_or_default());
    MarkedAction {
        id: ActionId(id.try_into().unwrap_or_default()),
        used: number(used),
        set: number(set),
    }
}

/// Gives `path` a new content in one step.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = Folder::open(path.parent().unwrap_or(Path::new("/")))?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    write_whole(&folder, name, content)
}

/// Writes a file beside the one of this name, and gives it the name when it is
/// complete.
pub(super) fn write_whole(folder: &Folder, name: &OsStr, content: &[u8]) -> io::Result<()> {
    let mut beside = name.to_owned();
    beside.push(format!(".{}.tmp", crate::parallel::process_id()));
    // What a killed run left; it may also be somebody's link.
    let _ = folder.unlink(&beside);
    let write = || {
        let mut file = folder.create(&beside)?;
        file.write_all(content)?;
        folder.rename(&beside, name)
    };
    write().inspect_err(|_| {
        let _ = folder.unlink(&beside);
    })
}

/// Where the state of these caches lies unless `--state` says otherwise: in
/// `RUNNER_TEMP`, which GitHub empties for each job, else in the system's
/// temporary folder. Never in a cache.
pub fn default_path(
    environment: &Environment,
    modcache: Option<&Path>,
    gocache: Option<&Path>,
) -> PathBuf {
    let temp = ["RUNNER_TEMP", "TMPDIR", "TEMP", "TMP"]
        .into_iter()
        .find_map(|name| environment.var(name))
        .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let mut hash = Sha256::new();
    for path in [modcache, gocache] {
        hash.update(path.map(display_path).unwrap_or_default());
        hash.update([0]);
    }
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
    environment.resolve(&temp.join(format!("gocachevet-{a:02x}{b:02x}{c:02x}{d:02x}.state")))
}

#[cfg(unix)]
fn is_own(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_own(_: &std::fs::Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn sample() -> State {
        let mut state = State::new(DateTime::from_timestamp(1_000, 5).unwrap());
        state.head.gocache = Some("/gc".to_owned());
        state
            .head
            .versions
            .insert("a.b/c@v1.0.0".to_owned(), MarkedVersion::default());
        state.actions = (1..4)
            .map(|n| MarkedAction {
                id: ActionId([n; 32]),
                used: i64::from(n),
                set: -7,
            })
            .collect();
        state
    }

    #[test]
    fn comes_back_as_it_was_written() {
        let state = sample();
        assert_eq!(State::parse(&state.to_bytes()).unwrap(), state);
        assert_eq!(state.action(ActionId([2; 32])).unwrap().used, 2);
        assert!(state.action(ActionId([9; 32])).is_none());
    }

    #[test]
    fn what_is_cut_short_unsorted_or_of_another_version_is_refused() {
        let state = sample();
        let whole = state.to_bytes();
        assert!(State::parse(&whole[..whole.len() - 1]).is_err());
        let mut unsorted = state.clone();
        unsorted.actions.reverse();
        assert!(State::parse(&unsorted.to_bytes()).is_err());
        let mut future = state;
        future.head.schema = "gocachevet.state/2".to_owned();
        assert!(State::parse(&future.to_bytes()).is_err());
    }

    #[test]
    fn is_read_back_and_never_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        assert!(matches!(State::read(&path), Err(StateError::Missing)));
        sample().write(&path).unwrap();
        sample().write(&path).unwrap();
        assert_eq!(State::read(&path).unwrap(), sample());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            let link = dir.path().join("link");
            std::os::unix::fs::symlink(&path, &link).unwrap();
            assert!(matches!(State::read(&link), Err(StateError::Invalid)));
        }
    }

    #[test]
    fn lies_where_the_runner_cleans_up() {
        let environment = |vars: &[(&str, &str)]| Environment {
            vars: vars.iter().map(|(k, v)| (k.into(), v.into())).collect(),
            cwd: "/w".into(),
            os: "linux".to_owned(),
            ..Environment::default()
        };
        let at = |vars: &[(&str, &str)], gocache: &str| {
            default_path(&environment(vars), None, Some(Path::new(gocache)))
        };
        assert!(at(&[("RUNNER_TEMP", "/r"), ("TMPDIR", "/t")], "/g").starts_with("/r"));
        assert!(at(&[("TMPDIR", "/t")], "/g").starts_with("/t"));
        assert!(at(&[], "/g").starts_with("/tmp"));
        assert_ne!(at(&[], "/g"), at(&[], "/h"));
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = State::parse(&bytes);
        }

        #[test]
        fn never_panics_after_a_good_head(bytes: Vec<u8>) {
            let mut content = serde_json::to_vec(&sample().head).unwrap();
            content.push(b'\n');
            content.extend(bytes);
            let _ = State::parse(&content);
        }
    }
}
