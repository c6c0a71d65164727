//! Where snapshots lie: a folder, or a place in an object store.
//!
//! ```text
//! bundles/<digest>        never changed
//! keys/<key>/<branch>     the head: which base and deltas; replaced as a whole
//! keys/<key>/.lock        held by who saves; in a folder only
//! ```
//!
//! Of an object store, bundles are brought to a folder of this job first, which
//! `restore` fills and `save` uses and removes. Nobody can be locked out there: a
//! head is replaced only if it is still the one that was read.
//!
//! Whoever can write to the store can put anything there. So a head is read with
//! a limit, and a bundle is what its name says or nothing.

use crate::bundle::frames::Frames;
use crate::bundle::layout::{self, Role};
use crate::bundle::manifest::{Manifest, Snapshot as Said};
use crate::bundle::read::too_much;
use crate::bundle::{BundleError, Shape};
use crate::error::CommandError;
use crate::findings::display_path;
use crate::folder::ordinary;
use crate::formats::action::OutputId;
use crate::settings::Environment;
use crate::stores::{Objects, Tag};
use crate::usage::state::replace;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

const SCHEMA: &str = "gocachevet.head/1";

/// The most deltas on a base: each is one more file to fetch.
pub(crate) const DELTAS: usize = 6;

/// The longest head that is read, in bytes.
const MAX_HEAD: u64 = 64 << 10;

/// Letters that stand in a file's name as they are; a dot not at its beginning.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Which snapshot a key and a branch stand for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    schema: String,
    /// The digests of the base and of the deltas on it, from the lowest on.
    pub(crate) bundles: Vec<String>,
    /// The same of the head before, whose bundles are kept for who reads them now.
    pub(crate) before: Vec<String>,
    /// How many heads there were before.
    pub(crate) counter: u64,
    /// When it was written, in seconds since 1970.
    pub(crate) saved: i64,
}

impl Head {
    pub(crate) fn new(bundles: Vec<String>, before: Option<&Head>, now: i64) -> Head {
        Head {
            schema: SCHEMA.to_owned(),
            bundles,
            before: before.map(|head| head.bundles.clone()).unwrap_or_default(),
            counter: before.map_or(0, |head| head.counter + 1),
            saved: now,
        }
    }
}

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableBundle {
    /// It was removed, or never arrived.
    #[error("is gone")]
    Gone,
    /// It is not what its name says, or nothing that this program writes.
    #[error(transparent)]
    Damaged(#[from] BundleError),
    /// It cannot be read.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for UnusableBundle {
    fn from(error: io::Error) -> UnusableBundle {
        match error.kind() {
            io::ErrorKind::NotFound => UnusableBundle::Gone,
            // What the decoder says, and the tar.
            io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                UnusableBundle::Damaged(error.into())
            }
            _ => UnusableBundle::Io(error),
        }
    }
}

/// A bundle whose manifest is what its name says.
pub(crate) struct Bundle {
    pub(crate) digest: String,
    pub(crate) bytes: u64,
    pub(crate) manifest: Manifest,
    /// What the manifest says of the job that saved it.
    pub(crate) said: Said,
    /// What each file has to be, in the manifest's order.
    pub(crate) roles: Vec<Role>,
    pub(crate) frames: Frames,
}

/// The most heads that are read to tell which bundles are still named.
const MOST_HEADS: usize = 1000;

/// Where snapshots lie.
pub(crate) struct Store {
    /// The folder, or this job's of an object store.
    dir: PathBuf,
    objects: Option<Remote>,
}

/// An object store.
struct Remote {
    objects: Objects,
    /// The heads that were read, to replace them and no others.
    read: RefCell<HashMap<String, Tag>>,
}

impl Store {
    pub(crate) fn new(dir: PathBuf) -> Store {
        Store { dir, objects: None }
    }

    /// A place in an object store, with a folder for this job's bundles.
    ///
    /// # Errors
    /// If the URL is none, or this build has no object stores.
    pub(crate) fn at(
        url: &str,
        environment: &Environment,
        dir: PathBuf,
    ) -> Result<Store, CommandError> {
        let objects = Remote {
            objects: Objects::open(url, environment)?,
            read: RefCell::default(),
        };
        Ok(Store {
            dir,
            objects: Some(objects),
        })
    }

    /// Removes what an object store's bundles took here.
    pub(crate) fn forget(&self) -> Result<(), CommandError> {
        if self.objects.is_none() {
            return Ok(());
        }
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CommandError::file(&self.dir)(error))
            }
            _ => Ok(()),
        }
    }

    /// Brings bundles here that are in an object store, side by side. One that is
    /// gone is missed when it is opened.
    pub(crate) fn fetch(&self, digests: &[String]) -> Result<(), CommandError> {
        let Some(remote) = &self.objects else {
            return Ok(());
        };
        let dir = self.bundles();
        fs::create_dir_all(&dir).map_err(CommandError::file(&dir))?;
        let mut wanted = Vec::new();
        for digest in digests {
            let (object, file) = (object(digest), dir.join(digest));
            if digest.parse::<OutputId>().is_err() {
                continue;
            }
            if !file.exists() {
                wanted.push((object, file));
            } else if !remote.objects.has(&object)? {
                // The next job could not have it.
                fs::remove_file(&file).map_err(CommandError::file(&file))?;
            }
        }
        remote.objects.fetch(&wanted)
    }

    fn key(&self, key: &str) -> PathBuf {
        self.dir.join("keys").join(file_name(key))
    }

    fn bundles(&self) -> PathBuf {
        self.dir.join("bundles")
    }

    /// The head of a key and branch, if there is one. One that cannot be read is
    /// an error: to take it for none would lose what it names.
    pub(crate) fn head(&self, key: &str, branch: &str) -> Result<Option<Head>, CommandError> {
        if let Some(remote) = &self.objects {
            return remote.head(&head_object(key, branch));
        }
        read_head(&self.key(key).join(file_name(branch)))
    }

    /// Opens the bundle of this digest.
    pub(crate) fn bundle(&self, digest: &str) -> Result<Bundle, UnusableBundle> {
        let damaged = |why: &str| UnusableBundle::Damaged(why.into());
        if digest.parse::<OutputId>().is_err() {
            return Err(damaged("the head names it by something that is no digest"));
        }
        let file = ordinary::open(&self.bundles().join(digest))?;
        let bytes = file.metadata()?.len();
        let first = Frames::manifest(&file)?;
        let (manifest, end) = first.ok_or_else(|| damaged("holds no manifest"))?;
        let (manifest, actual) = Manifest::read(manifest.as_slice())?;
        if actual != digest {
            let why = format!("the SHA-256 of its manifest is {actual}, not its name");
            return Err(damaged(&why));
        }
        let said = manifest.snapshot.clone();
        let said = said.filter(|_| manifest.shape == Shape::Modcache);
        let said = said.ok_or_else(|| damaged("is no snapshot"))?;
        if let Some(why) = too_much(&manifest, bytes) {
            return Err(damaged(&why));
        }
        let roles = layout::roles(&manifest)?;
        let frames = Frames::new(file, end, &manifest).map_err(damaged)?;
        Ok(Bundle {
            digest: actual,
            bytes,
            manifest,
            said,
            roles,
            frames,
        })
    }

    /// Makes the store's folders, and waits until nobody else saves under the
    /// key: two that save at once add up, since the later one sees the earlier
    /// one's head.
    pub(crate) fn lock(&self, key: &str) -> Result<File, CommandError> {
        let dir = self.key(key);
        for dir in [&dir, &self.bundles()] {
            fs::create_dir_all(dir).map_err(CommandError::file(dir))?;
        }
        let path = dir.join(".lock");
        let mut options = File::options();
        let opened = options.create(true).truncate(false).write(true).open(&path);
        let locked = opened.and_then(|file| file.lock().map(|()| file));
        locked.map_err(CommandError::file(path))
    }

    /// A name for a bundle whose digest is not known yet.
    pub(crate) fn draft(&self) -> PathBuf {
        self.bundles()
            .join(format!(".draft-{}", crate::parallel::process_id()))
    }

    /// Gives a draft its name.
    pub(crate) fn keep(&self, digest: &str) -> Result<(), CommandError> {
        let (draft, bundle) = (self.draft(), self.bundles().join(digest));
        fs::rename(&draft, &bundle).map_err(CommandError::file(draft))?;
        if let Some(remote) = &self.objects {
            remote.objects.send(&bundle, &object(digest))?;
        }
        Ok(())
    }

    /// Replaces the head, and removes the bundles of the one before the last,
    /// unless another head names them. Tells whether it was replaced: not if
    /// another job was quicker.
    pub(crate) fn set_head(
        &self,
        key: &str,
        branch: &str,
        head: &Head,
        before: Option<&Head>,
    ) -> Result<bool, CommandError> {
        let path = self.key(key).join(file_name(branch));
        let json = serde_json::to_vec(head).map_err(CommandError::failed(display_path(&path)))?;
        if !self.replace_head(key, branch, &path, json)? {
            return Ok(false);
        }
        let Some(old) = before.filter(|old| !old.before.is_empty()) else {
            return Ok(true);
        };
        // Not known while somebody writes one: then they stay.
        let Ok(named) = self.named() else {
            return Ok(true);
        };
        for digest in old.before.iter().filter(|old| !named.contains(old)) {
            if digest.parse::<OutputId>().is_ok() {
                tracing::debug!("removing the bundle {digest}: no head names it any more");
                self.drop_bundle(digest);
            }
        }
        Ok(true)
    }

    /// Writes the head, unless another job was quicker.
    fn replace_head(
        &self,
        key: &str,
        branch: &str,
        path: &Path,
        json: Vec<u8>,
    ) -> Result<bool, CommandError> {
        if let Some(remote) = &self.objects {
            let object = head_object(key, branch);
            let before = remote.read.borrow().get(&object).cloned();
            return remote.objects.replace(&object, json, before.as_ref());
        }
        replace(path, &json).map_err(CommandError::file(path))?;
        Ok(true)
    }

    /// Removes a bundle that no head names. What stays for some reason takes space
    /// and does no harm.
    pub(crate) fn drop_bundle(&self, digest: &str) {
        let _ = fs::remove_file(self.bundles().join(digest));
        if let Some(remote) = &self.objects {
            let _ = remote.objects.remove(&object(digest));
        }
    }

    /// What any head names.
    fn named(&self) -> Result<Vec<String>, CommandError> {
        if let Some(remote) = &self.objects {
            return remote.named();
        }
        let keys = self.dir.join("keys");
        let mut named = Vec::new();
        for entry in walkdir::WalkDir::new(&keys).min_depth(2).max_depth(2) {
            let entry = entry.map_err(CommandError::failed(display_path(&keys)))?;
            if entry.file_name().as_encoded_bytes().first() != Some(&b'.')
                && let Some(head) = read_head(entry.path())?
            {
                named.extend(head.bundles);
                named.extend(head.before);
            }
        }
        Ok(named)
    }
}

impl Remote {
    fn head(&self, object: &str) -> Result<Option<Head>, CommandError> {
        let Some((bytes, tag)) = self.objects.read(object, MAX_HEAD)? else {
            self.read.borrow_mut().remove(object);
            return Ok(None);
        };
        self.read.borrow_mut().insert(object.to_owned(), tag);
        parse_head(&bytes, object).map(Some)
    }

    fn named(&self) -> Result<Vec<String>, CommandError> {
        let heads = self.objects.list("keys/", MOST_HEADS)?;
        let too_many = || CommandError::Work("there are too many heads to look at".into());
        let mut named = Vec::new();
        for object in heads.ok_or_else(too_many)? {
            if let Some((bytes, _)) = self.objects.read(&object, MAX_HEAD)? {
                let head = parse_head(&bytes, &object)?;
                named.extend(head.bundles);
                named.extend(head.before);
            }
        }
        Ok(named)
    }
}

/// The name of a bundle in an object store.
fn object(digest: &str) -> String {
    format!("bundles/{digest}")
}

/// The name of a head in an object store.
fn head_object(key: &str, branch: &str) -> String {
    format!("keys/{}/{}", file_name(key), file_name(branch))
}

fn read_head(path: &Path) -> Result<Option<Head>, CommandError> {
    let bytes = match ordinary::read(path, MAX_HEAD) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(CommandError::file(path))?,
    };
    parse_head(&bytes, &display_path(path)).map(Some)
}

pub(crate) fn parse_head(bytes: &[u8], shown: &str) -> Result<Head, CommandError> {
    let damaged = CommandError::failed(format!("{shown}: is no head of a snapshot; remove it"));
    let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
    match head.schema == SCHEMA && (1..=1 + DELTAS).contains(&head.bundles.len()) {
        true => Ok(head),
        false => Err(CommandError::failed(shown)(
            "is of another form than this version writes",
        )),
    }
}

/// A key or branch as the name of a file, which no other has.
fn file_name(text: &str) -> String {
    let name = utf8_percent_encode(text, PLAIN).to_string();
    match name.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_file_in_its_folder() {
        for (text, name) in [
            ("linux-test", "linux-test"),
            ("a/b", "a%2Fb"),
            ("..", "%2E."),
            (".lock", "%2Elock"),
            ("a%2Fb", "a%252Fb"),
        ] {
            assert_eq!(file_name(text), name);
        }
    }

    #[test]
    fn bundles_of_the_head_before_the_last_go_unless_they_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().to_owned());
        let digest = |n: u8| OutputId([n; 32]).to_string();
        let _lock = store.lock("k").unwrap();
        let there = |n| store.bundles().join(digest(n)).exists();
        let mut before: Option<Head> = None;
        // The base stays, and another branch has the second delta.
        for n in 1..=4 {
            fs::write(store.bundles().join(digest(n)), "").unwrap();
            let head = Head::new(vec![digest(0), digest(n)], before.as_ref(), 1);
            store.set_head("k", "main", &head, before.as_ref()).unwrap();
            if n == 2 {
                store.set_head("other", "x", &head, None).unwrap_err();
                let _lock = store.lock("other").unwrap();
                store.set_head("other", "x", &head, None).unwrap();
            }
            before = Some(head);
        }
        assert_eq!([1, 2, 3, 4].map(there), [true, true, true, true]);
        let head = Head::new(vec![digest(0), digest(5)], before.as_ref(), 1);
        store.set_head("k", "main", &head, before.as_ref()).unwrap();
        // The first one is what the other key's head had before it.
        assert_eq!([1, 2, 3, 4].map(there), [true, true, false, true]);
        assert_eq!(store.head("k", "main").unwrap(), Some(head));
        assert_eq!(store.head("k", "none").unwrap(), None);
        fs::write(store.key("k").join("main"), "x").unwrap();
        assert!(store.head("k", "main").is_err());
    }
}
