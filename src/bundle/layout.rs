//! What each file of a bundle has to be, by the modules that its manifest lists.
//!
//! Builds believe what they find in a module cache: a `.ziphash` is the hash of
//! the zip beside it, and a tree is what the zip holds. So nothing is taken just
//! because the manifest has its SHA-256. Every file is a piece of a listed
//! module and is held against the module's hashes, or it is what this program
//! makes of the list; everything else is refused.

use super::gather::list_of;
use super::manifest::{self, Manifest};
use super::{BundleError, Shape};
use crate::formats::action::{ActionEntry, ActionId, EntryName, OutputId, parse_entry_name};
use crate::formats::gomod::MAX_BYTES as MAX_GO_MOD_BYTES;
use crate::formats::gosum::GoSum;
use crate::formats::h1::{H1, H1Builder, H1Error};
use crate::formats::info::{MAX_INFO_BYTES, RevInfo};
use crate::formats::module::{ModuleVersion, escape_path, lookup_name, piece_name};
use crate::formats::modzip::MAX_ZIP_BYTES;
use crate::sumdb::tlog::{Record, Tile};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Display;

/// Nanoseconds since 1970 and a newline.
const MAX_TESTEXPIRE_BYTES: u64 = 64;

/// The longest record of a checksum database: two lines and a signed note.
const MAX_LOOKUP_BYTES: usize = 64 << 10;

/// What is left to hold a file's content against, once its length and SHA-256
/// are the manifest's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing: the SHA-256 that the manifest has for it is the right one.
    Hashed,
    /// Nothing: it is what this program makes of the manifest.
    Made,
    /// Nothing: it is the go.mod that the manifest has at this place.
    GoMod(usize),
    /// When test results were last forgotten.
    TestExpire,
    /// The zip of the manifest's module at this place.
    Zip(usize),
    /// The `.info` of the version at this place of the manifest's go.mod files.
    Info(usize),
    /// A checksum database's record of this version.
    Lookup(ModuleVersion),
    /// The entry of an action of the build cache.
    Action(ActionId),
}

impl Role {
    /// Whether the content is looked at as a whole, in memory.
    pub(super) fn is_small(&self) -> bool {
        !matches!(self, Role::Hashed | Role::Made | Role::Zip(_))
    }

    /// Holds a small file's content against what it has to be.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn weigh(&self, manifest: &Manifest, content: &[u8]) -> Result<(), BundleError> {
        match self {
            Role::Hashed | Role::Made | Role::GoMod(_) | Role::Zip(_) => Ok(()),
            Role::TestExpire => {
                match std::str::from_utf8(content).map(|text| text.trim().parse()) {
                    Ok(Ok(0_i64..)) => Ok(()),
                    _ => Err("is not a time".into()),
                }
            }
            Role::Info(at) => {
                let version = manifest.go_mods.get(*at).map_or("", |of| &of.version);
                RevInfo::parse_for(version, content)?;
                Ok(())
            }
            Role::Lookup(id) => lookup(manifest, id, content),
            Role::Action(id) => action(manifest, *id, content),
        }
    }
}

/// A record may not say anything else of a module than the manifest. That the
/// database signed it is proven by Go, whenever it reads one.
fn lookup(manifest: &Manifest, id: &ModuleVersion, content: &[u8]) -> Result<(), BundleError> {
    let record = Record::parse(content).ok_or("is not a record of a checksum database")?;
    let sums = GoSum::parse(record.text.as_bytes())?;
    let claims = [
        (sums.zip(id), manifest.module(id).map(|of| &of.h1)),
        (sums.go_mod(id), manifest.go_mod(id).map(|of| &of.h1)),
    ];
    for (recorded, listed) in claims {
        let Some(listed) = listed else { continue };
        let mut recorded = recorded.iter().map(|sum| sum.h1.to_string());
        if let Some(other) = recorded.find(|h1| h1 != listed) {
            return Err(format!("says {other}, but the manifest says {listed}").into());
        }
    }
    Ok(())
}

fn action(manifest: &Manifest, id: ActionId, content: &[u8]) -> Result<(), BundleError> {
    let entry = ActionEntry::parse_named(id, content)?;
    let output = entry.output;
    let name = format!("gocache/{}/{output}-d", output.shard());
    match manifest.file(&name) {
        Some(file) if file.bytes == entry.size => Ok(()),
        Some(file) => Err(format!(
            "says that its output has {} bytes, but the manifest says {}",
            entry.size, file.bytes
        )
        .into()),
        None => Err(format!("names the output {output}, which is not there").into()),
    }
}

/// The roles of all files, in the manifest's order.
///
/// # Errors
/// Which file has none, or cannot be what it has to be.
pub(crate) fn roles(manifest: &Manifest) -> Result<Vec<Role>, BundleError> {
    let expected = Expected::of(manifest)?;
    let mut roles = Vec::with_capacity(manifest.files.len());
    for file in &manifest.files {
        let odd = |error| listed(format!("{:?}", file.path), error);
        roles.push(expected.role(file).map_err(odd)?);
    }
    Ok(roles)
}

/// The files that may stand below the folder of the modules, by their names there.
struct Expected<'a> {
    prefix: &'static str,
    pieces: HashMap<String, Piece<'a>>,
    lookups: HashMap<String, ModuleVersion>,
}

enum Piece<'a> {
    Zip(usize, &'a manifest::Module),
    /// With the `/go.mod` hash that it has to have.
    GoMod(usize, &'a str),
    Info(usize),
    /// What is made of the list: these are its bytes.
    Made(Vec<u8>),
}

impl<'a> Expected<'a> {
    fn of(manifest: &'a Manifest) -> Result<Expected<'a>, BundleError> {
        let mut expected = Expected {
            prefix: manifest.shape.prefix(),
            pieces: HashMap::new(),
            lookups: HashMap::new(),
        };
        let mut lists: BTreeMap<String, BTreeSet<ModuleVersion>> = BTreeMap::new();
        let mut names = Vec::new();
        for (at, module) in manifest.modules.iter().enumerate() {
            let id = module.id();
            let odd = |error| listed(format!("the module {id}"), error);
            let name = piece_name(&id, "zip").map_err(odd)?;
            names.push((name.clone(), id.clone(), "its zip"));
            if manifest.shape == Shape::Modcache {
                let hash = Piece::Made(module.h1.clone().into_bytes());
                expected.pieces.insert(format!("{name}hash"), hash);
                names.push((format!("{name}hash"), id.clone(), "its zip's hash"));
            }
            expected.pieces.insert(name, Piece::Zip(at, module));
            expected.knows(id);
        }
        for (at, go_mod) in manifest.go_mods.iter().enumerate() {
            let id = go_mod.id();
            let odd = |error| listed(format!("the go.mod of {id}"), error);
            let name = piece_name(&id, "mod").map_err(odd)?;
            names.push((name.clone(), id.clone(), "its go.mod"));
            expected.pieces.insert(name, Piece::GoMod(at, &go_mod.h1));
            let info = piece_name(&id, "info").map_err(odd)?;
            expected.pieces.insert(info, Piece::Info(at));
            if manifest.shape == Shape::Proxy {
                let path = escape_path(&id.path).map_err(odd)?;
                let list = lists.entry(format!("{path}/@v/list")).or_default();
                list.insert(id.clone());
            }
            expected.knows(id);
        }
        let made = lists.into_iter();
        let made = made.map(|(name, ids)| (name, Piece::Made(list_of(&ids))));
        expected.pieces.extend(made);
        for (name, id, what) in names {
            if manifest
                .file(&format!("{}{name}", expected.prefix))
                .is_none()
            {
                return Err(format!("lists the module {id} but not {what}").into());
            }
        }
        Ok(expected)
    }

    fn knows(&mut self, id: ModuleVersion) {
        if let Some(name) = lookup_name(&id) {
            self.lookups.insert(name, id);
        }
    }

    fn role(&self, file: &manifest::File) -> Result<Role, BundleError> {
        let path = file.path.as_str();
        if path == manifest::SBOM {
            return at_most(file, manifest::MAX_BYTES).map(|()| Role::Hashed);
        }
        if path.starts_with("gocache/") {
            return build(file);
        }
        if let Some(name) = path.strip_prefix(self.prefix) {
            if let Some(piece) = self.pieces.get(name) {
                return of_module(piece, file);
            }
            if let Some(name) = name.strip_prefix("sumdb/") {
                return self.of_sumdb(name, file);
            }
        }
        let is_tree = path.starts_with("modcache/") && !path.starts_with("modcache/cache/");
        Err(match is_tree {
            true => "a bundle holds no extracted tree: Go makes trees of the zips",
            false => "it belongs to no module that the manifest lists",
        }
        .into())
    }

    fn of_sumdb(&self, name: &str, file: &manifest::File) -> Result<Role, BundleError> {
        // First, since a module may be called `tile`, but no tile `lookup`.
        if let Some((_, lookup)) = name.split_once("/lookup/") {
            let id = self.lookups.get(&format!("lookup/{lookup}"));
            let id = id.ok_or("it is a record of no module that the manifest lists")?;
            at_most(file, MAX_LOOKUP_BYTES as u64)?;
            return Ok(Role::Lookup(id.clone()));
        }
        if let Some((_, tile)) = name.split_once("/tile/") {
            let tile = Tile::parse_path(&format!("tile/{tile}"));
            let tile = tile.ok_or("it is not a tile of a checksum database")?;
            return exactly(file, tile.bytes() as u64).map(|()| Role::Hashed);
        }
        if name.ends_with("/supported") && self.prefix == Shape::Proxy.prefix() {
            return exactly(file, 0).map(|()| Role::Hashed);
        }
        Err("it is not a file of a checksum database".into())
    }
}

fn listed(what: String, error: impl Display) -> BundleError {
    format!("lists {what}: {error}").into()
}

fn of_module(piece: &Piece<'_>, file: &manifest::File) -> Result<Role, BundleError> {
    match piece {
        Piece::Zip(at, module) => {
            exactly(file, module.bytes)?;
            at_most(file, MAX_ZIP_BYTES)?;
            Ok(Role::Zip(*at))
        }
        Piece::Info(at) => at_most(file, MAX_INFO_BYTES as u64).map(|()| Role::Info(*at)),
        Piece::GoMod(at, h1) => {
            at_most(file, MAX_GO_MOD_BYTES as u64)?;
            let actual = h1_by_sha256(file.sha256)?;
            match actual.to_string() == **h1 {
                true => Ok(Role::GoMod(*at)),
                false => Err(format!("it is {actual}, but the module's go.mod is {h1}").into()),
            }
        }
        Piece::Made(content) => {
            exactly(file, content.len() as u64)?;
            let sha256: [u8; 32] = Sha256::digest(content).into();
            match sha256 == file.sha256 {
                true => Ok(Role::Made),
                false => Err("it says something else than the manifest".into()),
            }
        }
    }
}

/// The `/go.mod` hash of a go.mod file, which is made of its SHA-256 alone.
fn h1_by_sha256(sha256: [u8; 32]) -> Result<H1, H1Error> {
    let mut h1 = H1Builder::new();
    h1.add("go.mod", sha256);
    h1.finish()
}

/// A file of the build cache. An output's name is its SHA-256; that an action
/// made it nobody can prove.
pub(super) fn build(file: &manifest::File) -> Result<Role, BundleError> {
    let name = file.path.strip_prefix("gocache/").unwrap_or_default();
    if name == "testexpire.txt" {
        return at_most(file, MAX_TESTEXPIRE_BYTES).map(|()| Role::TestExpire);
    }
    if let Some((_, input)) = name
        .strip_prefix("fuzz/")
        .and_then(|name| name.rsplit_once('/'))
    {
        // Source: `internal/fuzz/fuzz.go` (`writeToCorpus`).
        return match OutputId(file.sha256).to_string().starts_with(input) && input.len() == 16 {
            true => Ok(Role::Hashed),
            false => Err("it is not named for its content".into()),
        };
    }
    let entry = name.split_once('/').and_then(|(shard, name)| {
        let entry = parse_entry_name(name)?;
        (entry.shard() == shard).then_some(entry)
    });
    match entry.ok_or("it is not a file of a build cache")? {
        EntryName::Action(id) => {
            exactly(file, ActionEntry::LEN as u64)?;
            Ok(Role::Action(id))
        }
        EntryName::Output(id) if id.0 == file.sha256 => Ok(Role::Hashed),
        EntryName::Output(_) => Err("its name is not the SHA-256 of its content".into()),
    }
}

fn exactly(file: &manifest::File, bytes: u64) -> Result<(), BundleError> {
    match file.bytes == bytes {
        true => Ok(()),
        false => Err(format!("it has {} bytes, not {bytes}", file.bytes).into()),
    }
}

fn at_most(file: &manifest::File, bytes: u64) -> Result<(), BundleError> {
    match file.bytes <= bytes {
        true => Ok(()),
        false => Err(format!("it has {} bytes; the limit is {bytes}", file.bytes).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const H1_TEXT: &str = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    fn file(path: &str, content: &[u8]) -> manifest::File {
        let sha256 = Sha256::digest(content).into();
        manifest::File::new(path.to_owned(), content.len() as u64, sha256)
    }

    /// A proxy's manifest of go.mod files alone.
    fn proxy(path: &str, versions: &[&str], list: &str, more: &[&str]) -> Manifest {
        let h1 = h1_by_sha256(Sha256::digest(b"").into())
            .unwrap()
            .to_string();
        let name = |rest: &str| format!("proxy/{path}/@v/{rest}");
        let mut files = vec![file(&name("list"), list.as_bytes())];
        files.extend(
            versions
                .iter()
                .map(|v| file(&name(&format!("{v}.mod")), b"")),
        );
        files.extend(more.iter().map(|path| file(path, b"")));
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Manifest {
            schema: manifest::SCHEMA.to_owned(),
            tool: String::new(),
            shape: Shape::Proxy,
            projects: Vec::new(),
            platforms: Vec::new(),
            modules: Vec::new(),
            go_mods: versions
                .iter()
                .map(|version| manifest::GoMod {
                    path: path.to_owned(),
                    version: (*version).to_owned(),
                    h1: h1.clone(),
                })
                .collect(),
            files,
            frames: Vec::new(),
            snapshot: None,
        }
    }

    #[test]
    fn a_list_is_in_the_order_of_versions_and_without_pseudo_versions() {
        let versions = ["v1.10.0", "v1.9.0", "v1.9.1-0.20200101000000-0123456789ab"];
        let right = proxy("example.com/a", &versions, "v1.9.0\nv1.10.0\n", &[]);
        assert!(roles(&right).is_ok());
        let wrong = proxy("example.com/a", &versions, "v1.10.0\nv1.9.0\n", &[]);
        assert!(
            roles(&wrong)
                .unwrap_err()
                .to_string()
                .contains("something else")
        );
    }

    #[test]
    fn a_module_may_be_called_like_a_part_of_a_database() {
        let path = "example.com/tile/lookup/8";
        let lookup = format!("proxy/sumdb/sum.golang.org/lookup/{path}@v1.0.0");
        let manifest = proxy(path, &["v1.0.0"], "v1.0.0\n", &[&lookup]);
        let id = ModuleVersion::new(path, "v1.0.0");
        assert!(roles(&manifest).unwrap().contains(&Role::Lookup(id)));
    }

    #[test]
    fn a_record_that_says_something_else_is_refused() {
        let manifest = proxy("example.com/a", &["v1.0.0"], "v1.0.0\n", &[]);
        let role = Role::Lookup(ModuleVersion::new("example.com/a", "v1.0.0"));
        let record = |h1: &str| format!("7\nexample.com/a v1.0.0/go.mod {h1}\n\nnote\n");
        let right = record(&manifest.go_mods[0].h1);
        role.weigh(&manifest, right.as_bytes()).unwrap();
        let wrong = role.weigh(&manifest, record(H1_TEXT).as_bytes());
        let wrong = wrong.unwrap_err().to_string();
        assert!(wrong.contains("but the manifest says"), "{wrong}");
        assert!(role.weigh(&manifest, b"x").is_err());
    }
}
