//! `gocachevet-pack.json`: what a bundle holds, every file of it.

use super::{BundleError, Shape};
use crate::formats::action::OutputId;
use crate::formats::module::ModuleVersion;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read};

/// The manifest's name, and what archives begin with.
pub const NAME: &str = "gocachevet-pack.json";

/// The version of the manifest's form.
pub const SCHEMA: &str = "gocachevet.pack/1";

/// The SBOM's name in a bundle.
pub const SBOM: &str = "sbom.cdx.json";

/// The longest manifest that is read, in bytes: that of some 300,000 files.
pub const MAX_BYTES: u64 = 64 << 20;

/// The longest name in a bundle; module paths and versions are shorter.
pub(super) const MAX_NAME: usize = 1024;

/// What a bundle holds. Nothing in it depends on when and where it was packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`]
    pub schema: String,
    /// The program that packed it, with its version.
    pub tool: String,
    /// How the modules lie in it.
    pub shape: Shape,
    /// The module paths of the projects it is for.
    pub projects: Vec<String>,
    /// The systems it is for; all of them if there is none.
    pub platforms: Vec<String>,
    /// The module versions whose sources it holds, in order.
    pub modules: Vec<Module>,
    /// The module versions whose go.mod it holds, in order.
    pub go_mods: Vec<GoMod>,
    /// Every file but this one, in the order of their names.
    pub files: Vec<File>,
    /// The zstd frames behind that of this file, in order; none in a folder or a `.tar`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<Frame>,
    /// What job saved it, and what is used of it; absent from what was packed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Snapshot>,
}

/// A zstd frame of a bundle: some whole members of the tar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// Its length.
    pub bytes: u64,
    /// The length of what it unpacks to.
    pub unpacked: u64,
    /// The SHA-256 of its bytes, as they are packed; in hex.
    #[serde(with = "hex")]
    pub sha256: [u8; 32],
}

/// What a snapshot says of the jobs that used it. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The key that it was saved under.
    pub key: String,
    /// The branch, likewise.
    #[serde(rename = "ref")]
    pub branch: String,
    /// When it was saved.
    pub saved: i64,
    /// How many were saved before it.
    pub counter: u64,
    /// The Go versions of the job that saved it.
    pub go: Vec<String>,
    /// The system it ran on.
    pub platform: String,
    /// What is built, by the names that CI has for it, such as `repository` and `commit`.
    pub job: BTreeMap<String, String>,
    /// The settings that decide whether Go finds what is saved, such as `GOFLAGS`.
    pub settings: BTreeMap<String, String>,
    /// When the last saves were, newest first.
    pub saves: Vec<i64>,
    /// What a delta adds to: the base, then the deltas on it, each of what is before it;
    /// absent from a base.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub below: Vec<Below>,
}

/// A bundle that a delta adds to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Below {
    /// Its digest.
    pub digest: String,
    /// When each of its files was last used, in the order of its manifest; 0 for
    /// one that is dropped.
    pub used: Vec<i64>,
}

/// A module version whose sources are in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// Module path.
    pub path: String,
    /// Its version.
    pub version: String,
    /// The `h1:` hash of its zip.
    pub h1: String,
    /// Length of its zip.
    pub bytes: u64,
}

/// A module version whose go.mod is in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoMod {
    /// Module path.
    pub path: String,
    /// Its version.
    pub version: String,
    /// The `h1:` hash of its go.mod, as in go.sum's line that ends in `/go.mod`.
    pub h1: String,
}

impl Module {
    pub(crate) fn id(&self) -> ModuleVersion {
        ModuleVersion::new(&*self.path, &*self.version)
    }
}

impl GoMod {
    pub(crate) fn id(&self) -> ModuleVersion {
        ModuleVersion::new(&*self.path, &*self.version)
    }
}

/// A file in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name from the bundle's top, with slashes.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 of its content; in hex.
    #[serde(with = "hex")]
    pub sha256: [u8; 32],
    /// The place in `frames` of the one it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<u32>,
    /// When a job last used it, in seconds since 1970; only in snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<i64>,
}

impl File {
    pub(super) fn new(path: String, bytes: u64, sha256: [u8; 32]) -> File {
        File {
            path,
            bytes,
            sha256,
            frame: None,
            used: None,
        }
    }
}

/// Hashes as text, in the one form in which a file of the build cache is named.
mod hex {
    use crate::formats::action::OutputId;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(hash: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&OutputId(*hash))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        let id: OutputId = text.parse().map_err(D::Error::custom)?;
        Ok(id.0)
    }
}

impl Manifest {
    /// The file's bytes. The same manifest gives the same ones.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a manifest that anybody may have written.
    ///
    /// # Errors
    /// When it is malformed, too long, or lists what no bundle holds.
    pub(crate) fn read(from: impl Read) -> Result<(Manifest, String), BundleError> {
        let mut bytes = Vec::new();
        from.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(format!("is longer than {MAX_BYTES} bytes").into());
        }
        let manifest: Manifest = serde_json::from_slice(&bytes)?;
        manifest.check()?;
        Ok((manifest, digest(&bytes)))
    }

    /// Puts the modules in order, each once.
    pub(crate) fn sort(&mut self) {
        self.modules
            .sort_by_key(|it| (it.path.clone(), it.version.clone()));
        self.modules
            .dedup_by(|a, b| (&a.path, &a.version) == (&b.path, &b.version));
        self.go_mods
            .sort_by_key(|it| (it.path.clone(), it.version.clone()));
        self.go_mods
            .dedup_by(|a, b| (&a.path, &a.version) == (&b.path, &b.version));
    }

    /// What all files have together; as much as there can be, if that is more.
    pub(crate) fn bytes(&self) -> u64 {
        let each = self.files.iter().map(|file| file.bytes);
        each.fold(0, u64::saturating_add)
    }

    /// The entry of this name.
    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.get(self.position(path)?)
    }

    /// The listed module of this version.
    pub(crate) fn module(&self, id: &ModuleVersion) -> Option<&Module> {
        let key = |module: &Module| (&*module.path, &*module.version).cmp(&(&id.path, &id.version));
        self.modules.get(self.modules.binary_search_by(key).ok()?)
    }

    /// The listed go.mod of this version.
    pub(crate) fn go_mod(&self, id: &ModuleVersion) -> Option<&GoMod> {
        let key = |go_mod: &GoMod| (&*go_mod.path, &*go_mod.version).cmp(&(&id.path, &id.version));
        self.go_mods.get(self.go_mods.binary_search_by(key).ok()?)
    }

    /// The place of the entry of this name.
    pub(crate) fn position(&self, path: &str) -> Option<usize> {
        self.files
            .binary_search_by(|file| file.path.as_str().cmp(path))
            .ok()
    }

    fn check(&self) -> Result<(), BundleError> {
        if self.schema != SCHEMA {
            return Err(format!("is of the form {:?}, not {SCHEMA}", self.schema).into());
        }
        let mut before = "";
        for file in &self.files {
            let path = file.path.as_str();
            check_name(path).map_err(|why| format!("lists {path:?}: {why}"))?;
            if path <= before {
                return Err(format!("lists {path:?} twice or out of order").into());
            }
            before = path;
        }
        // `a` and `a/b` are not neighbours where `a-` stands between them.
        for file in &self.files {
            let mut at = file.path.as_str();
            while let Some((folder, _)) = at.rsplit_once('/') {
                if self.position(folder).is_some() {
                    return Err(format!("lists {folder:?} as a file and as a folder").into());
                }
                at = folder;
            }
        }
        self.check_frames()?;
        let ids = self.modules.iter().map(Module::id);
        in_order(ids).map_err(|id| format!("lists the module {id} twice or out of order"))?;
        let ids = self.go_mods.iter().map(GoMod::id);
        in_order(ids).map_err(|id| format!("lists the go.mod of {id} twice or out of order"))?;
        Ok(())
    }

    /// Every file is in a frame, and there is room for it.
    fn check_frames(&self) -> Result<(), BundleError> {
        let mut room: Vec<u64> = self.frames.iter().map(|frame| frame.unpacked).collect();
        for file in &self.files {
            let of = file.frame.map(|at| room.get_mut(at as usize));
            match of {
                None if self.frames.is_empty() => {}
                Some(Some(room)) if *room >= file.bytes => *room -= file.bytes,
                _ => {
                    let path = &file.path;
                    return Err(format!("lists {path:?} in a frame that has no room for it").into());
                }
            }
        }
        Ok(())
    }
}

/// Gives the first that does not come after the one before it.
fn in_order(ids: impl Iterator<Item = ModuleVersion>) -> Result<(), ModuleVersion> {
    let mut before: Option<ModuleVersion> = None;
    for id in ids {
        if before.is_some_and(|before| (&before.path, &before.version) >= (&id.path, &id.version)) {
            return Err(id);
        }
        before = Some(id);
    }
    Ok(())
}

/// The SHA-256 of a manifest's bytes, in hex.
pub(crate) fn digest(bytes: &[u8]) -> String {
    OutputId(Sha256::digest(bytes).into()).to_string()
}

/// Whether a name may stand in a bundle. Go escapes upper case in the names of
/// its caches, so that none of them has any: that way no two names can be one
/// on a file system that does not tell upper from lower case.
///
/// # Errors
/// Why not, in words.
pub fn check_name(path: &str) -> Result<(), &'static str> {
    if path.len() > MAX_NAME {
        return Err("the name is too long");
    }
    if path.starts_with('/') {
        return Err("an absolute path");
    }
    if path.split('/').any(|part| part == "..") {
        return Err("the name leads out of the bundle");
    }
    if path.split('/').any(|part| matches!(part, "" | ".")) {
        return Err("not a clean path");
    }
    // Go names these folders for functions, as they are.
    let is_fuzz = path.starts_with("gocache/fuzz/");
    if !is_fuzz && path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("a name with upper-case letters, which may be another's on some file systems");
    }
    let strange = |b: u8| !b.is_ascii_graphic() || b"\\:*?\"<>|".contains(&b);
    if path.bytes().any(strange) {
        return Err("a name that no Go cache has");
    }
    if path.split('/').any(|part| part.ends_with('.')) {
        return Err("a name that ends in a dot, which some file systems drop");
    }
    let known = path == SBOM
        || ["modcache/", "proxy/", "gocache/"]
            .iter()
            .any(|top| path.starts_with(top));
    if known {
        Ok(())
    } else {
        Err("no part of a bundle")
    }
}
