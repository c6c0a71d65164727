//! What is worth keeping: what this job used or its projects need, and what the
//! last jobs used. It is saved as a delta on what is there, or as a new base where
//! deltas would not be small.
//!
//! A delta takes up the ones below it that are no larger, as a log-structured merge
//! tree does: most saves write little more than what is new, and there are never many.

use super::seal::Sealing;
use super::store::{Bundle, DELTAS, Head, Store, UnusableBundle};
use super::trust::SUMDB;
use super::{Kept, RestoreRecord, Snapshot, action_path, version_path};
use crate::bundle::Shape;
use crate::bundle::frames::Carried;
use crate::bundle::gather::{self, GatheredPieces, Roots};
use crate::bundle::manifest::{self, Below, Manifest, Snapshot as Said};
use crate::bundle::write::{self, Contents, Form};
use crate::error::CommandError;
use crate::formats::action::{ActionId, OutputId};
use crate::formats::module::{ModuleVersion, lookup_name};
use crate::needs::Needs;
use crate::report::Tool;
use crate::run::{Found, Watch};
use crate::scan::{Action, BuildCache, ModCache};
use crate::sumdb::Sumdb;
use crate::sumdb::note::Verifier;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Read;

/// Saves whose use counts.
const SAVES: usize = 10;

/// How the index of a module or package begins.
const INDEX: &[u8] = b"go index v";

/// What to save, and where.
pub(crate) struct Asked<'a> {
    pub(crate) store: &'a Store,
    pub(crate) key: &'a str,
    /// The branch to save for.
    pub(crate) branch: &'a str,
    /// The branch whose snapshot is added to where this one has none.
    pub(crate) default_branch: &'a str,
    /// The part of the base that deltas may come to, with what they make useless.
    pub(crate) rebase: f64,
    /// What the files may have together, in bytes.
    pub(crate) max_size: Option<u64>,
    /// What `restore` left.
    pub(crate) record: Option<RestoreRecord>,
    /// Who seals what is saved.
    pub(crate) sealing: Option<Sealing>,
    /// What the manifest says of this job; when and after what is filled in here.
    pub(crate) said: Said,
    pub(crate) now: i64,
    pub(crate) sumdb: Sumdb,
    pub(crate) keys: Vec<Verifier>,
    /// The indexes of modules in the module cache.
    pub(crate) module_indexes: HashSet<ActionId>,
    pub(crate) jobs: usize,
}

impl Asked<'_> {
    /// Whether this job's own may stand beside what a snapshot has. What is sealed
    /// speaks for all of it.
    fn may_add_to(&self, snapshot: &Snapshot, notes: &mut Vec<String>) -> bool {
        let Some(sealing) = &self.sealing else {
            return true;
        };
        match sealing.terms.check_snapshot(snapshot, self.now) {
            Ok(_) => true,
            Err(why) => {
                let note = format!("the snapshot before is not added to: {}", why.message);
                notes.push(note);
                false
            }
        }
    }

    fn is_foreign(&self, id: ActionId) -> bool {
        let sealing = self.sealing.as_ref();
        sealing.is_some_and(|sealing| sealing.foreign.contains(&id))
    }
}

/// What was saved, or why nothing was.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    /// A base, not a delta; `None` if nothing was saved.
    pub(crate) is_base: Option<bool>,
    pub(crate) bytes: u64,
    /// Module versions and action entries.
    pub(crate) units: u64,
    pub(crate) reason: String,
    pub(crate) notes: Vec<String>,
}

impl Saved {
    pub(crate) fn nothing(reason: &str, notes: Vec<String>) -> Saved {
        Saved {
            reason: reason.to_owned(),
            notes,
            ..Saved::default()
        }
    }
}

/// How often what another job has just saved is merged.
const MERGES: usize = 10;

/// Saves what is worth it.
///
/// # Errors
/// When the store or the caches cannot be read or written.
pub(crate) fn save(
    found: &Found,
    asked: &Asked<'_>,
    watch: &dyn Watch,
) -> Result<Saved, CommandError> {
    for _ in 0..MERGES {
        if let Some(saved) = save_unless_overtaken(found, asked, watch)? {
            return Ok(saved);
        }
        tracing::debug!("another job has saved under this key meanwhile: its snapshot is merged");
    }
    let message = "other jobs save under this key all the time: nothing was saved; give jobs that run side by side keys of their own";
    Err(CommandError::Work(message.into()))
}

/// `None` if another job saved meanwhile, which only an object store lets it.
fn save_unless_overtaken(
    found: &Found,
    asked: &Asked<'_>,
    watch: &dyn Watch,
) -> Result<Option<Saved>, CommandError> {
    // Until the end: who saves next sees this head.
    let _lock = asked.store.lock(asked.key)?;
    let mut notes = Vec::new();
    let own = asked.store.head(asked.key, asked.branch)?;
    let parent = match &own {
        Some(own) => Some(own.clone()),
        None => asked.store.head(asked.key, asked.default_branch)?,
    };
    let before = match &parent {
        Some(head) => open(asked.store, head, &mut notes)?,
        None => None,
    };
    let before = before.filter(|snapshot| asked.may_add_to(snapshot, &mut notes));
    let known = Known::of(before.as_ref(), asked);
    let caches = Local::of(found);
    let Some(mut used) = caches.used(found) else {
        return Ok(Some(Saved::nothing(
            "this job used nothing of the caches",
            notes,
        )));
    };
    if known.why_base.is_none() {
        used.drop_indexes_of_checkouts(&caches, &known, asked);
    }
    let Some(oldest) = known.oldest_that_fits(&caches, &used, asked) else {
        let reason = "what this job used alone is more than --max-size";
        return Ok(Some(Saved::nothing(reason, notes)));
    };
    let (new, new_bytes) = used.but(&known, &caches);
    if known.why_base.is_none() && new.is_empty() {
        return Ok(Some(Saved::nothing("nothing new was used", notes)));
    }
    let why_base = known.why_base.clone().or_else(|| {
        let delta = known.delta_part(new_bytes, &used, oldest);
        (delta > asked.rebase)
            .then(|| format!("deltas would come to {:.0} % of the base", delta * 100.0))
    });
    let chosen = match why_base {
        Some(_) => caches.all_of(&used, &known, oldest, asked),
        None => new,
    };
    let selection = Selection {
        chosen,
        used,
        oldest,
        below: match (&why_base, &before) {
            (None, Some(snapshot)) => below(snapshot, new_bytes),
            _ => 0,
        },
    };
    let (bytes, units, digest) = selection.write(found, &caches, &known, asked, watch)?;
    let there = before.iter().flat_map(Snapshot::bundles);
    let below = there.take(selection.below);
    let mut bundles: Vec<String> = below.map(|bundle| bundle.digest.clone()).collect();
    bundles.push(digest.clone());
    let head = Head::new(bundles, own.as_ref(), asked.now);
    let store = asked.store;
    if !store.set_head(asked.key, asked.branch, &head, own.as_ref())? {
        store.drop_bundle(&digest);
        return Ok(None);
    }
    Ok(Some(Saved {
        is_base: Some(selection.below == 0),
        bytes,
        units,
        reason: why_base.unwrap_or_else(|| "new units were used".to_owned()),
        notes,
    }))
}

/// How many of a snapshot's bundles a delta with so many new bytes leaves as they are.
fn below(snapshot: &Snapshot, new_bytes: u64) -> usize {
    let mut below = 1 + snapshot.deltas.len();
    let mut bytes = new_bytes;
    for delta in snapshot.deltas.iter().rev() {
        let unpacked = delta.manifest.bytes();
        if unpacked > bytes && below <= DELTAS {
            break;
        }
        bytes = bytes.saturating_add(unpacked);
        below -= 1;
    }
    below
}

/// Opens what a head names; `None`, and why, if that cannot be used any more.
pub(crate) fn open(
    store: &Store,
    head: &Head,
    notes: &mut Vec<String>,
) -> Result<Option<Snapshot>, CommandError> {
    store.fetch(&head.bundles)?;
    let mut bundles: Vec<Bundle> = Vec::new();
    for digest in &head.bundles {
        match store.bundle(digest) {
            Ok(bundle) => bundles.push(bundle),
            Err(UnusableBundle::Io(error)) => {
                return Err(CommandError::failed(format!("bundle {digest}"))(error));
            }
            Err(error) => {
                notes.push(format!("the snapshot's bundle {digest} {error}"));
                return Ok(None);
            }
        }
    }
    let fits = |(at, bundle): (usize, &Bundle)| {
        let below = &bundle.said.below;
        below.len() == at
            && below.iter().zip(&bundles).all(|(below, it)| {
                below.digest == it.digest && below.used.len() == it.manifest.files.len()
            })
    };
    if !bundles.iter().enumerate().all(fits) {
        notes.push("the snapshot's deltas are none of its base".to_owned());
        return Ok(None);
    }
    let mut bundles = bundles.into_iter();
    Ok(bundles.next().map(|base| Snapshot {
        base,
        deltas: bundles.collect(),
    }))
}

/// What the snapshot before holds.
struct Known<'a> {
    snapshot: Option<&'a Snapshot>,
    files: HashMap<&'a str, Kept<'a>>,
    /// When the last saves were, newest first, with this one.
    saves: Vec<i64>,
    /// Why nothing can be added to it.
    why_base: Option<String>,
}

impl<'a> Known<'a> {
    fn of(snapshot: Option<&'a Snapshot>, asked: &Asked<'_>) -> Known<'a> {
        let mut known = Known {
            snapshot,
            files: snapshot.map(Snapshot::kept).unwrap_or_default(),
            saves: vec![asked.now],
            why_base: None,
        };
        let Some(newest) = snapshot.map(Snapshot::newest) else {
            known.why_base = Some("there is no base".to_owned());
            return known;
        };
        known.saves.extend(&newest.said.saves);
        known.saves.truncate(SAVES);
        if !same_go(&newest.said.go, &asked.said.go) {
            known.files.retain(|path, _| !path.starts_with("gocache/"));
            known.why_base = Some("Go was upgraded".to_owned());
        }
        if let Some(record) = asked.record.as_ref().filter(|it| !it.left_out.is_empty()) {
            for path in &record.left_out {
                known.files.remove(path.as_str());
            }
            known.why_base = Some("a part of the snapshot was damaged".to_owned());
        }
        known
    }

    /// The last use at which a file is still kept, given how many jobs count and
    /// how much may be kept; `None` if this job's alone is too much.
    fn oldest_that_fits(&self, caches: &Local<'_>, used: &Units, asked: &Asked<'_>) -> Option<i64> {
        let oldest = match self.saves.len() == SAVES {
            true => self.saves.last().copied().unwrap_or_default(),
            false => 0,
        };
        let Some(room) = asked.max_size else {
            return Some(oldest);
        };
        let mut by_use: BTreeMap<i64, u64> = BTreeMap::new();
        for (path, bytes) in caches.files(used) {
            *by_use.entry(asked.now).or_default() += bytes;
            tracing::trace!("{path} is used");
        }
        let known = self
            .files
            .iter()
            .filter(|(path, _)| !used.paths.contains(**path));
        for (_, kept) in known.filter(|(_, kept)| kept.used >= oldest) {
            *by_use.entry(kept.used).or_default() += kept.file.bytes;
        }
        let mut fits = None;
        let mut all = 0_u64;
        for (used, bytes) in by_use.iter().rev() {
            all = all.saturating_add(*bytes);
            if all > room {
                break;
            }
            fits = Some(*used);
        }
        fits.map(|used| used.max(oldest))
    }

    /// What deltas with so many new bytes, and what the base has in vain, come to
    /// together, as a part of the base.
    fn delta_part(&self, new_bytes: u64, used: &Units, oldest: i64) -> f64 {
        let Some(snapshot) = self.snapshot else {
            return f64::INFINITY;
        };
        let base = &snapshot.base;
        let kept = self.files.iter().filter(|(path, kept)| {
            kept.is_in(base) && (used.paths.contains(**path) || kept.used >= oldest)
        });
        let kept: u64 = kept.map(|(_, kept)| kept.file.bytes).sum();
        let unpacked = base.manifest.bytes().max(1) as f64;
        let dead = 1.0 - kept as f64 / unpacked;
        let before: u64 = snapshot.deltas.iter().map(|delta| delta.bytes).sum();
        dead + new_bytes as f64 / unpacked + before as f64 / base.bytes.max(1) as f64
    }
}

/// Whether outputs of the one are of use to the other.
pub(crate) fn same_go(one: &[String], other: &[String]) -> bool {
    one.is_empty() || other.is_empty() || one.iter().any(|go| other.contains(go))
}

/// The caches of this machine.
struct Local<'a> {
    modules: Option<&'a ModCache>,
    builds: Option<&'a BuildCache>,
    /// The outputs that are ordinary files, with their lengths.
    outputs: HashMap<OutputId, u64>,
}

/// Things to keep, and the names of their files.
#[derive(Default)]
struct Units {
    modules: Needs,
    actions: BTreeSet<ActionId>,
    paths: HashSet<String>,
}

impl Units {
    fn is_empty(&self) -> bool {
        let modules = &self.modules;
        modules.source.is_empty() && modules.go_mods.is_empty() && self.actions.is_empty()
    }

    /// Those that are not known, and what their new files have together.
    fn but(&self, known: &Known<'_>, caches: &Local<'_>) -> (Units, u64) {
        let is_new = |path: &str| !known.files.contains_key(path);
        let mut new = Units {
            modules: self.modules.clone(),
            actions: self.actions.clone(),
            paths: HashSet::new(),
        };
        let modules = &mut new.modules;
        modules.source.retain(|id| is_new(&version_path(id, "zip")));
        modules
            .go_mods
            .retain(|id| is_new(&version_path(id, "mod")));
        new.actions.retain(|id| is_new(&action_path(*id)));
        let files: Vec<(String, u64)> = caches
            .files(&new)
            .into_iter()
            .filter(|(path, _)| is_new(path))
            .collect();
        let bytes = files.iter().map(|(_, bytes)| bytes).sum();
        new.paths = files.into_iter().map(|(path, _)| path).collect();
        (new, bytes)
    }

    /// Go knows packages outside the module cache by their files' times, so that
    /// every checkout makes these indexes anew. Those of Go's own packages came
    /// with the base.
    fn drop_indexes_of_checkouts(
        &mut self,
        caches: &Local<'_>,
        known: &Known<'_>,
        asked: &Asked<'_>,
    ) {
        self.actions.retain(|id| {
            let is_known = known.files.contains_key(action_path(*id).as_str());
            is_known || asked.module_indexes.contains(id) || !caches.is_index(*id)
        });
    }
}

fn output_path(id: OutputId) -> String {
    format!("gocache/{}/{id}-d", id.shard())
}

impl<'a> Local<'a> {
    fn of(found: &'a Found) -> Local<'a> {
        let builds = found.inventory.buildcache.as_ref();
        let outputs = builds.into_iter().flat_map(|cache| &cache.outputs);
        // Links of programs and tests are large, and Go makes them again.
        let files = outputs.filter(|output| !output.executable);
        Local {
            modules: found.inventory.modcache.as_ref(),
            builds,
            outputs: files.map(|output| (output.id, output.bytes)).collect(),
        }
    }

    fn action(&self, id: ActionId) -> Option<&Action> {
        self.builds?.action(id)
    }

    /// The output of an action, if it is an ordinary file that is there.
    fn output(&self, id: ActionId) -> Option<OutputId> {
        let output = self.action(id)?.entry?.output;
        self.outputs.contains_key(&output).then_some(output)
    }

    fn is_index(&self, id: ActionId) -> bool {
        let head = || {
            let output = self.output(id)?;
            let shard = self.builds?.shard(&output.shard()).ok()?;
            let mut head = Vec::new();
            let file = shard.file(format!("{output}-d").as_ref()).ok()?;
            file.take(INDEX.len() as u64).read_to_end(&mut head).ok()?;
            Some(head)
        };
        head().is_some_and(|head| head == INDEX)
    }

    /// What this job used and what its projects need; `None` if it used nothing.
    fn used(&self, found: &Found) -> Option<Units> {
        let observed = found.observed.as_ref()?;
        if observed.actions.is_empty() && observed.versions.is_empty() {
            return None;
        }
        let mut used = Units::default();
        let versions: HashSet<&ModuleVersion> = observed.versions.iter().collect();
        let mut needs = Needs::default();
        needs.join(found.projects.iter().map(Needs::of));
        for version in self.modules.into_iter().flat_map(|cache| &cache.versions) {
            let id = &version.id;
            let is_used = versions.contains(id) || needs.source.contains(id) || needs.names(id);
            if version.zip.is_some() && is_used {
                used.modules.source.insert(id.clone());
            }
            if version.go_mod.is_some() && (is_used || needs.go_mods.contains(id)) {
                used.modules.go_mods.insert(id.clone());
            }
        }
        // What may have been used is not taken for unused.
        let actions = observed.actions.iter().chain(&observed.unseen);
        let whole = actions.filter(|id| self.output(**id).is_some());
        used.actions = whole.copied().collect();
        used.paths = self.files(&used).into_keys().collect();
        Some(used)
    }

    /// All that is here and was used now or not before `oldest`.
    fn all_of(&self, used: &Units, known: &Known<'_>, oldest: i64, asked: &Asked<'_>) -> Units {
        let is_kept = |path: String| {
            let file = known.files.get(path.as_str());
            used.paths.contains(&path) || file.is_some_and(|file| file.used >= oldest)
        };
        let mut all = Units::default();
        for version in self.modules.into_iter().flat_map(|cache| &cache.versions) {
            if version.zip.is_some() && is_kept(version_path(&version.id, "zip")) {
                all.modules.source.insert(version.id.clone());
            }
            if version.go_mod.is_some() && is_kept(version_path(&version.id, "mod")) {
                all.modules.go_mods.insert(version.id.clone());
            }
        }
        let actions = self.builds.into_iter().flat_map(|cache| &cache.actions);
        let actions = actions.map(|action| action.id);
        let actions = actions.filter(|id| !asked.is_foreign(*id));
        let whole = actions.filter(|id| self.output(*id).is_some());
        all.actions = whole.filter(|id| is_kept(action_path(*id))).collect();
        all
    }

    /// The files of units, each once, with their lengths.
    fn files(&self, units: &Units) -> HashMap<String, u64> {
        let mut files = HashMap::new();
        for version in self.modules.into_iter().flat_map(|cache| &cache.versions) {
            let id = &version.id;
            let mut add = |suffix: &str, piece: Option<crate::scan::Piece>| {
                let bytes = piece.map_or(0, |piece| piece.bytes);
                files.insert(version_path(id, suffix), bytes);
            };
            if units.modules.source.contains(id) {
                add("zip", version.zip);
                add("ziphash", version.ziphash);
            }
            if units.modules.go_mods.contains(id) {
                add("mod", version.go_mod);
                add("info", version.info);
            }
        }
        for id in &units.actions {
            let Some(output) = self.output(*id) else {
                continue;
            };
            let bytes = self.outputs.get(&output).copied().unwrap_or_default();
            files.insert(output_path(output), bytes);
            files.insert(action_path(*id), self.action(*id).map_or(0, |it| it.bytes));
        }
        files
    }
}

/// What is to be written.
struct Selection {
    chosen: Units,
    used: Units,
    oldest: i64,
    /// On how many of the bundles that are there this is a delta; 0 for a new base.
    below: usize,
}

impl Selection {
    /// When a file was last used; 0 for one that is dropped.
    fn last_use(&self, path: &str, known: &Known<'_>, now: i64) -> i64 {
        let is_shared = !path.starts_with("gocache/") && !path.contains("/@v/");
        match known.files.get(path) {
            // Of the checksum database's files nobody knows who reads them.
            _ if is_shared || self.used.paths.contains(path) => now,
            Some(file) if file.used >= self.oldest => file.used,
            _ => 0,
        }
    }

    /// Writes the bundle, and gives its length, its units and its digest.
    fn write(
        &self,
        found: &Found,
        caches: &Local<'_>,
        known: &Known<'_>,
        asked: &Asked<'_>,
        watch: &dyn Watch,
    ) -> Result<(u64, u64, String), CommandError> {
        let roots = Roots {
            modules: caches.modules.and_then(|cache| cache.folders.clone()),
            builds: caches.builds.and_then(|cache| cache.folders.clone()),
        };
        let mut gathered = self.gather(found, caches, known, asked, &roots, watch);
        for piece in &mut gathered.pieces {
            let used = self.last_use(&piece.listed.path, known, asked.now);
            piece.listed.used = Some(if used == 0 { asked.now } else { used });
        }
        let here: HashSet<&str> = gathered
            .pieces
            .iter()
            .map(|piece| piece.listed.path.as_str())
            .collect();
        let carried = self.carried(known, &here, asked.now);
        let manifest = self.manifest(found, &gathered, &carried, known, asked);
        let carried = with_records_of(&manifest, carried);
        let contents = Contents {
            pieces: &gathered.pieces,
            roots: &roots,
            carried: &carried,
            signer: asked.sealing.as_ref().map(|sealing| &*sealing.signer),
        };
        watch.step("Packing", 0);
        let draft = asked.store.draft();
        // What a killed run left.
        let _ = std::fs::remove_file(&draft);
        let (manifest, digest) =
            write::write(&draft, Form::TarZst, manifest, &contents, asked.jobs)
                .map_err(CommandError::failed("saving"))?;
        let bytes = std::fs::metadata(&draft).map_or(0, |about| about.len());
        asked.store.keep(&digest)?;
        let actions = manifest
            .files
            .iter()
            .filter(|file| file.path.ends_with("-a"));
        let units = manifest.modules.len() + actions.count();
        Ok((bytes, units as u64, digest))
    }

    /// What is said of the bundle before its files are known: of what was gathered, and
    /// of what is carried over.
    fn manifest(
        &self,
        found: &Found,
        gathered: &GatheredPieces,
        carried: &[Carried<'_>],
        known: &Known<'_>,
        asked: &Asked<'_>,
    ) -> Manifest {
        let listed: HashSet<&str> = carried
            .iter()
            .flat_map(|it| &it.files)
            .map(|file| file.path.as_str())
            .collect();
        let mut manifest = Manifest {
            schema: manifest::SCHEMA.to_owned(),
            tool: {
                let tool = Tool::this();
                format!("{} {}", tool.name, tool.version)
            },
            shape: Shape::Modcache,
            projects: found
                .projects
                .iter()
                .filter_map(|project| project.module.clone())
                .collect(),
            platforms: Vec::new(),
            modules: gathered.modules.clone(),
            go_mods: gathered.go_mods.clone(),
            files: Vec::new(),
            frames: Vec::new(),
            snapshot: Some(self.said(known, asked)),
        };
        for bundle in known.snapshot.iter().flat_map(|it| it.bundles()) {
            let modules = bundle.manifest.modules.iter();
            let kept = modules.filter(|it| listed.contains(version_path(&it.id(), "zip").as_str()));
            manifest.modules.extend(kept.cloned());
            let go_mods = bundle.manifest.go_mods.iter();
            let kept = go_mods.filter(|it| listed.contains(version_path(&it.id(), "mod").as_str()));
            manifest.go_mods.extend(kept.cloned());
        }
        manifest.sort();
        manifest
    }

    fn said(&self, known: &Known<'_>, asked: &Asked<'_>) -> Said {
        let newest = known.snapshot.map(Snapshot::newest);
        let bundles = known.snapshot.iter().flat_map(|it| it.bundles());
        let below = bundles.take(self.below).map(|bundle| Below {
            digest: bundle.digest.clone(),
            used: bundle
                .manifest
                .files
                .iter()
                .map(|file| {
                    let kept = known.files.get(file.path.as_str());
                    match kept.is_some_and(|kept| kept.is_in(bundle)) {
                        true => self.last_use(&file.path, known, asked.now),
                        false => 0,
                    }
                })
                .collect(),
        });
        let below = below.collect();
        // A head that somebody removed meanwhile does not start it anew.
        let restored = asked.sealing.as_ref().and_then(|sealing| sealing.counter);
        let before = newest.map(|newest| newest.said.counter).max(restored);
        Said {
            saved: asked.now,
            counter: before.map_or(0, |counter| counter.saturating_add(1)),
            saves: known.saves.clone(),
            below,
            ..asked.said.clone()
        }
    }

    /// The files of the chosen units that are here and hold.
    fn gather(
        &self,
        found: &Found,
        caches: &Local<'_>,
        known: &Known<'_>,
        asked: &Asked<'_>,
        roots: &Roots,
        watch: &dyn Watch,
    ) -> GatheredPieces {
        let from = gather::From {
            roots,
            versions: caches
                .modules
                .map(|cache| cache.versions.as_slice())
                .unwrap_or_default(),
            sums: &found.sums,
            sumdb: &asked.sumdb,
            keys: asked.keys.clone(),
            builds: caches
                .builds
                .map(|cache| (cache, self.chosen.actions.clone())),
            jobs: asked.jobs,
        };
        let mut gathered = gather::gather(&self.chosen.modules, Shape::Modcache, &from, watch);
        // Of these it is not known since when they are there.
        if asked.sealing.is_none() {
            gathered.add_lasting(roots);
        }
        for damaged in &gathered.damaged {
            tracing::debug!("{} is not saved: {}", damaged.subject, damaged.message);
        }
        if self.below > 0 {
            gathered
                .pieces
                .retain(|piece| !known.files.contains_key(piece.listed.path.as_str()));
        }
        let there: HashSet<String> = gathered
            .pieces
            .iter()
            .map(|piece| piece.listed.path.clone())
            .collect();
        let has = |path: &str| there.contains(path) || known.files.contains_key(path);
        gathered
            .modules
            .retain(|module| there.contains(&version_path(&module.id(), "zip")));
        gathered
            .go_mods
            .retain(|go_mod| there.contains(&version_path(&go_mod.id(), "mod")));
        let outputs: HashMap<String, String> = self
            .chosen
            .actions
            .iter()
            .filter_map(|id| Some((action_path(*id), output_path(caches.output(*id)?))))
            .collect();
        gathered.pieces.retain(|piece| {
            let path = piece.listed.path.as_str();
            match (path.strip_suffix(".info"), outputs.get(path)) {
                (Some(version), _) => there.contains(&format!("{version}.mod")),
                (None, Some(output)) => has(output),
                (None, None) => true,
            }
        });
        gathered
    }

    /// The frames of the bundles before that have something to keep which is not
    /// `here`, unless this is a delta on them.
    fn carried<'a>(&self, known: &Known<'a>, here: &HashSet<&str>, now: i64) -> Vec<Carried<'a>> {
        let mut carried = Vec::new();
        let bundles = known.snapshot.iter().flat_map(|it| it.bundles());
        for bundle in bundles.skip(self.below) {
            self.carry(bundle, known, here, now, &mut carried);
        }
        carried
    }

    fn carry<'a>(
        &self,
        bundle: &'a Bundle,
        known: &Known<'_>,
        here: &HashSet<&str>,
        now: i64,
        carried: &mut Vec<Carried<'a>>,
    ) {
        let mut frames: BTreeMap<u32, Vec<manifest::File>> = BTreeMap::new();
        for (path, kept) in known.files.iter().filter(|(_, kept)| kept.is_in(bundle)) {
            let used = self.last_use(path, known, now);
            if let Some(frame) = kept.file.frame
                && used > 0
                && !here.contains(path)
            {
                let file = manifest::File {
                    used: Some(used),
                    ..kept.file.clone()
                };
                frames.entry(frame).or_default().push(file);
            }
        }
        carried.extend(frames.into_iter().filter_map(|(at, files)| {
            let at = at as usize;
            let frame = bundle.manifest.frames.get(at)?.clone();
            // A damaged one stays where it is.
            let whole = bundle.frames.content(at, &bundle.manifest);
            if let Err(error) = &whole {
                tracing::debug!("not carried over from {}: {error}", bundle.digest);
            }
            whole.ok().map(|_| Carried {
                from: &bundle.frames,
                at,
                frame,
                files,
            })
        }));
    }
}

/// Records of the checksum database go with the modules that they are of.
fn with_records_of<'a>(manifest: &Manifest, mut carried: Vec<Carried<'a>>) -> Vec<Carried<'a>> {
    let modules = manifest.modules.iter().map(|module| module.id());
    let go_mods = manifest.go_mods.iter().map(|go_mod| go_mod.id());
    let records: HashSet<String> = modules
        .chain(go_mods)
        .filter_map(|id| lookup_name(&id))
        .collect();
    for frame in &mut carried {
        frame.files.retain(|file| {
            let below = file
                .path
                .strip_prefix(SUMDB)
                .and_then(|name| name.split_once("/lookup/"));
            below.is_none_or(|(_, name)| records.contains(&format!("lookup/{name}")))
        });
    }
    carried
}
