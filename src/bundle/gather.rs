//! Where each needed piece lies, whether it is there, and whether it is right.

use super::choose::TOOLCHAIN;
#[cfg(target_os = "linux")]
use super::layout;
use super::manifest::{GoMod, Module};
use super::{BundleError, Shape, manifest, records};
#[cfg(target_os = "linux")]
use crate::findings::display_path;
use crate::folder;
use crate::formats::action::{ActionId, OutputId};
use crate::formats::gomod::MAX_BYTES as MAX_GO_MOD_BYTES;
use crate::formats::gosum::{MergedSums, SumClaim};
use crate::formats::h1::{H1, h1_of_go_mod};
use crate::formats::info::{MAX_INFO_BYTES, RevInfo};
use crate::formats::module::{ModuleVersion, escape_path, lookup_name, piece_name};
use crate::needs::Needs;
use crate::parallel;
use crate::run::Watch;
use crate::scan::{BuildCache, Version};
use crate::sumdb::note::Verifier;
use crate::sumdb::{Contradiction, RecordProof, Sumdb};
use crate::verify::{Buffers, zip_h1_with};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that are read at a time.
pub(super) const CHUNK: usize = 256 << 10;

/// Where a file of the bundle comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A file below the root of the module cache or the build cache.
    Cache(Root, PathBuf),
    /// Made here.
    Bytes(Vec<u8>),
}

/// Which cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    Modules,
    Builds,
}

/// The opened caches.
#[derive(Debug)]
pub(crate) struct Roots {
    pub(crate) modules: Option<Arc<folder::Root>>,
    pub(crate) builds: Option<Arc<folder::Root>>,
}

impl Roots {
    /// Opens what a source stands for, no link followed below the cache's root.
    pub(super) fn open(&self, root: Root, path: &Path) -> io::Result<File> {
        let top = match root {
            Root::Modules => self.modules.as_ref(),
            Root::Builds => self.builds.as_ref(),
        };
        let (folder, name) = top.ok_or(io::ErrorKind::NotFound)?.parent(path)?;
        regular(&folder, &name)
    }
}

/// Opens a regular file in a folder.
pub(super) fn regular(folder: &folder::Folder, name: &OsStr) -> io::Result<File> {
    let file = folder.file(name)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        )),
    }
}

/// A file of the bundle to be.
#[derive(Debug)]
pub(crate) struct Piece {
    /// As the manifest lists it.
    pub(crate) listed: manifest::File,
    /// Where it comes from.
    pub(super) source: Source,
}

/// Something that a build needs and that is not in the cache.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Missing {
    pub(super) module: String,
    pub(super) version: String,
    /// `zip` or `mod`
    pub(super) piece: &'static str,
    pub(super) why: &'static str,
}

/// Something that is in the cache and not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Damaged {
    pub(crate) subject: String,
    pub(crate) message: String,
}

/// All that goes into a bundle, or why there is none.
#[derive(Debug, Default)]
pub(crate) struct GatheredPieces {
    /// In the order of their names.
    pub(crate) pieces: Vec<Piece>,
    pub(crate) modules: Vec<Module>,
    pub(crate) go_mods: Vec<GoMod>,
    pub(crate) missing: BTreeSet<Missing>,
    pub(crate) damaged: BTreeSet<Damaged>,
    /// How many module versions the checksum database's records prove.
    pub(super) proven_by_sumdb: u64,
    pub(crate) notes: Vec<String>,
}

/// What a piece has to be.
enum Expect {
    /// The zip of a module; these are trusted, or whatever the cache says.
    Zip(ModuleVersion, BTreeSet<H1>),
    GoMod(ModuleVersion, BTreeSet<H1>),
    Info(ModuleVersion),
    Output(OutputId),
    Nothing,
}

struct Wanted {
    path: String,
    source: Source,
    expect: Expect,
}

/// What is known of a piece that was read.
struct Weighed {
    bytes: u64,
    sha256: [u8; 32],
    h1: Option<H1>,
}

/// A module's `list`, as a proxy has it: pseudo-versions do not stand there.
pub(super) fn list_of<'a>(ids: impl IntoIterator<Item = &'a ModuleVersion>) -> Vec<u8> {
    let tagged = ids
        .into_iter()
        .filter(|id| !crate::formats::semver::is_pseudo_version(&id.version));
    let list: String = tagged.map(|id| format!("{}\n", id.version)).collect();
    list.into_bytes()
}

/// What there is to gather from.
pub(crate) struct From<'a> {
    pub(crate) roots: &'a Roots,
    pub(crate) versions: &'a [Version],
    /// What the projects' go.sum files list.
    pub(crate) sums: &'a MergedSums,
    pub(crate) sumdb: &'a Sumdb,
    /// The keys of the checksum databases that Go asks.
    pub(crate) keys: Vec<Verifier>,
    /// Action entries to take along, and where they lie.
    pub(crate) builds: Option<(&'a BuildCache, BTreeSet<ActionId>)>,
    pub(crate) jobs: usize,
}

/// Looks every needed piece up and holds it against its hash.
pub(crate) fn gather(
    needs: &Needs,
    shape: Shape,
    from: &From<'_>,
    watch: &dyn Watch,
) -> GatheredPieces {
    let mut gathering = Gathering {
        shape,
        from,
        wanted: Vec::new(),
        gathered: GatheredPieces::default(),
    };
    gathering.sources(needs);
    gathering.go_mods(needs);
    gathering.sumdb_files(needs);
    if let Some((cache, actions)) = &from.builds {
        gathering.builds(cache, actions);
    }
    gathering.weigh(watch)
}

/// What is wanted of the caches, and what there is already.
struct Gathering<'a> {
    shape: Shape,
    from: &'a From<'a>,
    wanted: Vec<Wanted>,
    gathered: GatheredPieces,
}

impl<'a> Gathering<'a> {
    fn cached(&self, id: &ModuleVersion) -> Option<&'a Version> {
        let versions = self.from.versions;
        let at = versions.binary_search_by(|version| version.id.cmp(id));
        versions.get(at.ok()?)
    }

    fn want(&mut self, id: &ModuleVersion, suffix: &str, expect: Expect) {
        if let Ok(name) = piece_name(id, suffix) {
            let source = Path::new("cache/download").join(&name);
            self.wanted.push(Wanted {
                path: format!("{}{name}", self.shape.prefix()),
                source: Source::Cache(Root::Modules, source),
                expect,
            });
        }
    }

    fn missing(&mut self, id: &ModuleVersion, piece: &'static str, why: &'static str) {
        self.gathered.missing.insert(Missing {
            module: id.path.clone(),
            version: id.version.clone(),
            piece,
            why,
        });
    }

    /// The hashes that go.sum files list.
    fn trusted(&mut self, id: &ModuleVersion, claims: &[SumClaim]) -> BTreeSet<H1> {
        if claims.len() > 1 {
            let why = "the lines of go.sum files differ for it, so none of them proves it";
            self.gathered.damage(id.to_string(), why.to_owned());
        }
        claims.iter().map(|claim| claim.h1).collect()
    }

    fn sources(&mut self, needs: &Needs) {
        for id in &needs.source {
            // A toolchain is proven by the checksum database alone.
            let claims = match id.is_toolchain() {
                true => &[],
                false => self.from.sums.zip(id),
            };
            let hashes = self.trusted(id, claims);
            match self.cached(id) {
                Some(version) if version.zip.is_some() => {
                    self.want(id, "zip", Expect::Zip(id.clone(), hashes));
                }
                Some(version) if version.tree.is_some() => {
                    self.missing(id, "zip", "its extracted tree is there, but its zip is not");
                }
                _ => self.missing(id, "zip", "not in the cache"),
            }
        }
    }

    fn go_mods(&mut self, needs: &Needs) {
        let mut lists: BTreeMap<String, BTreeSet<&ModuleVersion>> = BTreeMap::new();
        let mut without_info = Vec::new();
        for id in &needs.go_mods {
            let hashes = self.trusted(id, self.from.sums.go_mod(id));
            let Some(version) = self.cached(id).filter(|version| version.go_mod.is_some()) else {
                self.missing(id, "mod", "not in the cache");
                continue;
            };
            self.want(id, "mod", Expect::GoMod(id.clone(), hashes));
            match version.info {
                Some(_) => self.want(id, "info", Expect::Info(id.clone())),
                None => without_info.push(id),
            }
            if let Ok(path) = escape_path(&id.path) {
                lists.entry(path).or_default().insert(id);
            }
        }
        if self.shape == Shape::Proxy {
            self.made_for_a_proxy(&without_info, lists);
        }
    }

    /// What a proxy answers with and no cache needs.
    fn made_for_a_proxy(
        &mut self,
        without_info: &[&ModuleVersion],
        lists: BTreeMap<String, BTreeSet<&ModuleVersion>>,
    ) {
        let prefix = self.shape.prefix();
        if !without_info.is_empty() {
            self.gathered.notes.push(format!(
                "{} versions have no .info in the cache: one without the commit's time was made",
                without_info.len()
            ));
        }
        for id in without_info {
            if let Ok(name) = piece_name(id, "info") {
                let info = serde_json::json!({ "Version": id.version }).to_string();
                self.gathered.add(format!("{prefix}{name}"), info.into());
            }
        }
        for (path, ids) in lists {
            self.gathered
                .add(format!("{prefix}{path}/@v/list"), list_of(ids));
        }
    }

    /// The checksum database's records of what is packed, and all its tiles, as which
    /// of them a client will ask for depends on what it knows.
    fn sumdb_files(&mut self, needs: &Needs) {
        let from = self.from;
        let ids = needs.source.iter().chain(&needs.go_mods);
        let lookups: BTreeSet<String> = ids.filter_map(lookup_name).collect();
        for database in from.sumdb.databases() {
            let Some(key) = from.keys.iter().find(|key| key.name() == database.name) else {
                continue;
            };
            let folder = Path::new("cache/download/sumdb").join(&database.name);
            let top = format!("{}sumdb/{}", self.shape.prefix(), database.name);
            let files = from.sumdb.files(&database.name);
            let (tiles, lookups) = records::of(&folder, &files, database, key, &lookups);
            if tiles.is_empty() && lookups.is_empty() {
                continue;
            }
            for file in tiles {
                self.wanted.push(Wanted {
                    path: format!("{top}/{file}"),
                    source: Source::Cache(Root::Modules, folder.join(&file)),
                    expect: Expect::Nothing,
                });
            }
            for (file, content) in lookups {
                self.gathered.add(format!("{top}/{file}"), content);
            }
            if self.shape == Shape::Proxy {
                // How a proxy says that it answers for the database.
                self.gathered.add(format!("{top}/supported"), Vec::new());
            }
        }
    }

    fn builds(&mut self, cache: &BuildCache, actions: &BTreeSet<ActionId>) {
        let mut outputs = BTreeSet::new();
        let mut lost = 0;
        let mut want = |name: String, expect| {
            self.wanted.push(Wanted {
                path: format!("gocache/{name}"),
                source: Source::Cache(Root::Builds, name.into()),
                expect,
            });
        };
        for action in &cache.actions {
            let Some(entry) = action.entry.filter(|_| actions.contains(&action.id)) else {
                continue;
            };
            let Some(output) = cache.output(entry.output) else {
                lost += 1;
                continue;
            };
            // Links of test binaries and programs: large, and Go makes them again.
            if output.executable {
                continue;
            }
            want(
                format!("{}/{}-a", action.id.shard(), action.id),
                Expect::Nothing,
            );
            outputs.insert(entry.output);
        }
        for id in outputs {
            want(format!("{}/{id}-d", id.shard()), Expect::Output(id));
        }
        if lost > 0 {
            self.gathered.notes.push(format!(
                "{lost} build actions were left out: their outputs are not in the cache"
            ));
        }
    }

    /// Reads all that is wanted.
    fn weigh(self, watch: &dyn Watch) -> GatheredPieces {
        let (from, wanted, mut gathered) = (self.from, self.wanted, self.gathered);
        watch.step("Verifying", wanted.len());
        let weighed = parallel::map(
            from.jobs,
            wanted.len(),
            || (vec![0; CHUNK], Buffers::new(from.jobs)),
            |buffers, index| {
                watch.tick();
                weigh(&wanted[index], from.roots, buffers)
            },
        );
        let mut h1s: BTreeMap<ModuleVersion, (Option<H1>, Option<H1>)> = BTreeMap::new();
        for (wanted, weighed) in wanted.into_iter().zip(weighed) {
            let weighed = match weighed {
                Ok(weighed) => weighed,
                Err(error) => {
                    gathered.damage(wanted.path, error.to_string());
                    continue;
                }
            };
            match (wanted.expect, weighed.h1) {
                (Expect::Zip(id, _), Some(h1)) => {
                    if self.shape == Shape::Modcache {
                        gathered.add(format!("{}hash", wanted.path), h1.to_string().into());
                    }
                    gathered.modules.push(Module {
                        path: id.path.clone(),
                        version: id.version.clone(),
                        h1: h1.to_string(),
                        bytes: weighed.bytes,
                    });
                    h1s.entry(id).or_default().0 = Some(h1);
                }
                (Expect::GoMod(id, _), Some(h1)) => {
                    gathered.go_mods.push(GoMod {
                        path: id.path.clone(),
                        version: id.version.clone(),
                        h1: h1.to_string(),
                    });
                    h1s.entry(id).or_default().1 = Some(h1);
                }
                _ => {}
            }
            gathered.pieces.push(Piece {
                listed: manifest::File::new(wanted.path, weighed.bytes, weighed.sha256),
                source: wanted.source,
            });
        }
        for (id, (zip, go_mod)) in h1s {
            gathered.weigh_record(from.sumdb.check(&id, zip, go_mod), &id);
        }
        gathered
            .modules
            .sort_by(|a, b| (&a.path, &a.version).cmp(&(&b.path, &b.version)));
        gathered
            .go_mods
            .sort_by(|a, b| (&a.path, &a.version).cmp(&(&b.path, &b.version)));
        gathered.sort();
        gathered
    }
}

/// Reads a piece and holds it against what it has to be.
fn weigh(
    wanted: &Wanted,
    roots: &Roots,
    (buffer, buffers): &mut (Vec<u8>, Buffers),
) -> Result<Weighed, BundleError> {
    let open = || match &wanted.source {
        Source::Cache(root, path) => roots.open(*root, path),
        Source::Bytes(_) => Err(io::ErrorKind::Unsupported.into()),
    };
    let small = |limit: usize| -> Result<Vec<u8>, BundleError> {
        let mut content = Vec::new();
        open()?.take(limit as u64 + 1).read_to_end(&mut content)?;
        match content.len() > limit {
            true => Err(format!("is longer than {limit} bytes").into()),
            false => Ok(content),
        }
    };
    let of = |content: &[u8], h1| Weighed {
        bytes: content.len() as u64,
        sha256: Sha256::digest(content).into(),
        h1,
    };
    match &wanted.expect {
        Expect::GoMod(_, hashes) => {
            let content = small(MAX_GO_MOD_BYTES)?;
            let h1 = h1_of_go_mod(&content);
            equal(hashes, h1, "go.sum's line for its go.mod")?;
            Ok(of(&content, Some(h1)))
        }
        Expect::Info(id) => {
            let content = small(MAX_INFO_BYTES)?;
            RevInfo::parse_for(&id.version, &content)?;
            Ok(of(&content, None))
        }
        Expect::Zip(id, hashes) => {
            let mut file = open()?;
            let mut weighed = hash(&mut file, buffer)?;
            file.rewind()?;
            let h1 = zip_h1_with(id, file, buffers)?;
            equal(hashes, h1, "go.sum")?;
            weighed.h1 = Some(h1);
            Ok(weighed)
        }
        Expect::Output(id) => {
            let weighed = hash(&mut open()?, buffer)?;
            if weighed.sha256 != id.0 {
                return Err("its content is not what its name says".into());
            }
            Ok(weighed)
        }
        Expect::Nothing => Ok(hash(&mut open()?, buffer)?),
    }
}

/// All ordinary files below a folder.
#[cfg(target_os = "linux")]
fn inputs(folder: &folder::Folder, at: &Path, names: &mut Vec<PathBuf>) {
    if at.components().count() > crate::scan::MAX_DEPTH {
        return;
    }
    for entry in folder.entries().unwrap_or_default() {
        let path = at.join(&entry.name);
        match entry.kind {
            folder::Kind::File => names.push(path),
            folder::Kind::Folder => {
                if let Ok(inner) = folder.folder(&entry.name) {
                    inputs(&inner, &path, names);
                }
            }
            folder::Kind::Link | folder::Kind::Other => {}
        }
    }
}

fn equal(trusted: &BTreeSet<H1>, actual: H1, who: &str) -> Result<(), BundleError> {
    // More than one line is a disagreement between go.sum files: Go takes either.
    if trusted.is_empty() || trusted.contains(&actual) {
        return Ok(());
    }
    let all: Vec<String> = trusted.iter().map(H1::to_string).collect();
    Err(format!("is {actual}, but {who} says {}", all.join(" or ")).into())
}

fn hash(file: &mut File, buffer: &mut [u8]) -> io::Result<Weighed> {
    let mut sha256 = Sha256::new();
    let mut bytes = 0;
    loop {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(read) => {
                sha256.update(&buffer[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Weighed {
        bytes,
        sha256: sha256.finalize().into(),
        h1: None,
    })
}

impl GatheredPieces {
    /// Adds a file that is made here.
    pub(crate) fn add(&mut self, path: String, content: Vec<u8>) {
        self.pieces.push(Piece {
            listed: manifest::File::new(
                path,
                content.len() as u64,
                Sha256::digest(&content).into(),
            ),
            source: Source::Bytes(content),
        });
    }

    /// Adds what Go keeps in the build cache for good: what fuzzing found, and
    /// when test results were last forgotten.
    #[cfg(target_os = "linux")]
    pub(crate) fn add_lasting(&mut self, roots: &Roots) {
        let mut names = vec![PathBuf::from("testexpire.txt")];
        if let Some(fuzz) = roots
            .builds
            .as_ref()
            .and_then(|root| root.folder("fuzz".as_ref()).ok())
        {
            inputs(&fuzz, Path::new("fuzz"), &mut names);
        }
        let mut buffer = vec![0; CHUNK];
        for name in names {
            let file = roots.open(Root::Builds, &name);
            let Ok(weighed) = file.and_then(|mut file| hash(&mut file, &mut buffer)) else {
                continue;
            };
            let path = format!("gocache/{}", display_path(&name));
            let listed = manifest::File::new(path, weighed.bytes, weighed.sha256);
            // Whatever else lies there is no input of a fuzz test.
            if manifest::check_name(&listed.path).is_ok() && layout::build(&listed).is_ok() {
                let source = Source::Cache(Root::Builds, name);
                self.pieces.push(Piece { listed, source });
            }
        }
        self.sort();
    }

    /// Puts the pieces in the order of their names.
    pub(crate) fn sort(&mut self) {
        self.pieces
            .sort_by(|a, b| a.listed.path.cmp(&b.listed.path));
    }

    fn damage(&mut self, subject: String, message: String) {
        self.damaged.insert(Damaged { subject, message });
    }

    fn weigh_record(&mut self, proof: RecordProof, id: &ModuleVersion) {
        match proof {
            RecordProof::Proven(_) => self.proven_by_sumdb += 1,
            RecordProof::Unproven(_) => {}
            RecordProof::Contradicted(Contradiction::Hash {
                database,
                expected,
                actual,
                ..
            }) => {
                let message = format!("is {actual}, but {database} says {expected}");
                self.damage(id.to_string(), message);
            }
            RecordProof::Contradicted(Contradiction::Proof { database, message }) => {
                let message = format!("its record of {database} does not hold: {message}");
                self.damage(id.to_string(), message);
            }
        }
    }

    /// The `go mod download` line that fetches what is missing.
    pub(crate) fn fetch(&self) -> Option<String> {
        let missing = self.missing.iter();
        let names: BTreeSet<String> = missing
            .map(|missing| format!("{}@{}", missing.module, missing.version))
            .collect();
        let names: Vec<String> = names.into_iter().collect();
        (!names.is_empty()).then(|| format!("go mod download {}", names.join(" ")))
    }
}

/// Whether a version is a toolchain, whose hash no go.sum has.
pub(super) fn is_toolchain(module: &Module) -> bool {
    module.path == TOOLCHAIN
}
