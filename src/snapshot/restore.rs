//! A snapshot, unpacked into the caches on all cores. Nothing gets its name
//! there before it is proven, and nothing that is there is replaced.

use super::place::{Destination, Hand, Placed, Trouble};
use super::store::Bundle;
use super::trust::{SUMDB, Trust};
use super::{Kept, Snapshot};
use crate::bundle::frames::Room;
use crate::bundle::layout::Role;
use crate::bundle::read::{Member, Stop, members};
use crate::findings::{Finding, Rule};
use crate::formats::action::{ActionEntry, ActionId, OutputId};
use crate::formats::h1::H1;
use crate::formats::module::{AtVName, ModuleVersion, PieceKind, escape_path, parse_at_v_name};
use crate::parallel;
use crate::run::Watch;
use crate::verify::{Witness, digests};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::Path;

/// Bytes that are read at a time of what does not lie in memory.
const CHUNK: usize = 256 << 10;

/// How much more there is to do for a byte of a zip: a tree is made of it.
const ZIP_WEIGHT: u64 = 6;

/// The most that is read of a list of versions; a longer one is made anew.
const MAX_LIST: u64 = 1 << 20;

/// What is taken of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// All of it, as far as it holds.
    All,
    /// The same; a seal proves what it is.
    Sealed,
    /// What go.sum or the checksum database proves.
    Proven,
}

/// What came of a restore.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Files and versions that were there.
    pub(crate) present: u64,
    pub(crate) versions: u64,
    pub(crate) outputs: u64,
    pub(crate) hashed: u64,
    pub(crate) proven: u64,
    pub(crate) consistent: u64,
    pub(crate) by_go_sum: u64,
    pub(crate) by_sumdb: u64,
    pub(crate) by_seal: u64,
    /// Versions whose content nothing vouches for.
    pub(crate) unproven: BTreeSet<String>,
    pub(crate) findings: Vec<Finding>,
    /// What was left out, by the names that the bundle has for it.
    pub(crate) left_out: Vec<String>,
    /// Zips, go.mod files and action entries that were put in place and proven.
    pub(crate) vouched: Vec<String>,
}

impl Restored {
    fn add(&mut self, mut other: Restored) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.present += other.present;
        self.versions += other.versions;
        self.outputs += other.outputs;
        self.hashed += other.hashed;
        self.proven += other.proven;
        self.consistent += other.consistent;
        self.by_go_sum += other.by_go_sum;
        self.by_sumdb += other.by_sumdb;
        self.by_seal += other.by_seal;
        self.unproven.append(&mut other.unproven);
        self.findings.append(&mut other.findings);
        self.left_out.append(&mut other.left_out);
        self.vouched.append(&mut other.vouched);
    }

    fn left_out(&mut self, path: &str, role: &Role, take: Take, trouble: Trouble) {
        let rule = match role {
            _ if take == Take::Sealed => Rule::SealBrokenUnit,
            Role::Zip(_) => Rule::ZipInvalid,
            Role::GoMod(_) => Rule::ModHashMismatch,
            Role::Info(_) => Rule::InfoInvalid,
            Role::Lookup(_) => Rule::SumdbMismatch,
            Role::Action(_) => Rule::ActionInvalid,
            Role::Hashed if path.ends_with("-d") => Rule::OutputHashMismatch,
            Role::Hashed | Role::Made | Role::TestExpire => Rule::SnapshotDamaged,
        };
        let finding = match trouble {
            Trouble::Told(finding) => *finding,
            Trouble::Damaged(why) => {
                let message = format!("{why}: it was left out");
                Finding::new(rule, path.to_owned(), message)
            }
            Trouble::Unproven | Trouble::Disk(_) => return,
        };
        self.findings.push(finding);
        self.left_out.push(path.to_owned());
    }

    fn placed(&mut self, placed: Placed) {
        match placed {
            Placed::New(files, bytes) => {
                self.files += files;
                self.bytes += bytes;
            }
            Placed::Present => self.present += 1,
        }
    }
}

/// Hashes what is read, unless its hash is known.
struct Hashing<'a> {
    content: &'a mut dyn BufRead,
    sha256: Option<Sha256>,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Hashing<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.content.fill_buf()
    }

    fn consume(&mut self, read: usize) {
        if let (Some(sha256), Ok(chunk)) = (&mut self.sha256, self.content.fill_buf()) {
            sha256.update(chunk.get(..read).unwrap_or_default());
        }
        self.content.consume(read);
    }
}

/// A file of a frame that is restored.
struct Wanted<'a> {
    /// Its place in the manifest.
    at: usize,
    kept: &'a Kept<'a>,
    role: &'a Role,
}

impl Wanted<'_> {
    /// Whether it is a build output, and not a tile of the checksum database.
    fn is_output(&self) -> bool {
        matches!(self.role, Role::Hashed) && !self.kept.file.path.starts_with(SUMDB)
    }
}

/// How far a frame got.
#[derive(Default)]
struct Progress {
    done: Restored,
    seen: BTreeSet<usize>,
    /// The disk said no.
    disk: Option<io::Error>,
}

/// A frame that has something to restore.
struct Work<'a> {
    bundle: &'a Bundle,
    frame: u32,
    /// How much there is to do, about.
    weight: u64,
    files: u64,
    /// Whether action entries are among them.
    entries: bool,
}

impl Work<'_> {
    fn has(&self, kept: &Kept<'_>) -> bool {
        kept.is_in(self.bundle) && kept.file.frame == Some(self.frame)
    }
}

struct Restore<'a> {
    snapshot: &'a Snapshot,
    kept: HashMap<&'a str, Kept<'a>>,
    caches: &'a Destination,
    trust: &'a Trust,
    take: Take,
}

/// Restores all of a snapshot that a cache is there for.
///
/// # Errors
/// When the disk says no. What was restored by then is whole.
pub(crate) fn restore(
    snapshot: &Snapshot,
    caches: &Destination,
    trust: &Trust,
    take: Take,
    jobs: usize,
    watch: &dyn Watch,
) -> io::Result<Restored> {
    let mut kept = snapshot.kept();
    kept.retain(|path, _| match path.split_once('/') {
        Some(("modcache", _)) => caches.modules.is_some(),
        Some(("gocache", _)) => caches.builds.is_some() && take != Take::Proven,
        _ => false,
    });
    let restore = Restore {
        snapshot,
        kept,
        caches,
        trust,
        take,
    };
    // By this a folder is known as a build cache, should this be killed.
    restore.trim_time()?;
    let (entries, others): (Vec<_>, Vec<_>) =
        restore.work().into_iter().partition(|work| work.entries);
    let mut all = Restored {
        findings: trust.findings.clone(),
        ..Restored::default()
    };
    // An entry after the output that it names.
    for (what, mut work) in [("Restoring", others), ("Restoring entries", entries)] {
        // The heaviest first, so that no thread is left alone with one.
        work.sort_by_key(|work| std::cmp::Reverse(work.weight));
        watch.step(what, work.len());
        let state = || (Hand::new(), Room::default());
        let results = parallel::map(jobs, work.len(), state, |(hand, room), at| {
            watch.tick();
            Some(restore.frame(work.get(at)?, hand, room))
        });
        for result in results.into_iter().flatten() {
            all.add(result?);
        }
    }
    restore.lists()?;
    Ok(all)
}

impl<'a> Restore<'a> {
    fn work(&self) -> Vec<Work<'a>> {
        let mut all = Vec::new();
        for bundle in self.snapshot.bundles() {
            let mut frames: BTreeMap<u32, Work<'a>> = BTreeMap::new();
            for (path, kept) in self.kept.iter().filter(|(_, kept)| kept.is_in(bundle)) {
                let Some(frame) = kept.file.frame else {
                    continue;
                };
                let work = frames.entry(frame).or_insert_with(|| Work {
                    bundle,
                    frame,
                    weight: 0,
                    files: 0,
                    entries: false,
                });
                let weight = match path.ends_with(".zip") {
                    true => ZIP_WEIGHT,
                    false => 1,
                };
                let weight = kept.file.bytes.saturating_mul(weight);
                work.weight = work.weight.saturating_add(weight);
                work.files += 1;
                work.entries |= path.starts_with("gocache/") && path.ends_with("-a");
            }
            all.extend(frames.into_values());
        }
        all
    }

    /// All of a frame that is kept. What is damaged is left out.
    fn frame(&self, work: &Work<'a>, hand: &mut Hand, room: &mut Room) -> io::Result<Restored> {
        let bundle = work.bundle;
        let (at, manifest) = (work.frame as usize, &bundle.manifest);
        let mut progress = Progress::default();
        let read = match bundle.frames.whole(at, manifest, room) {
            Ok(Some(content)) => self.whole(work, content, hand, &mut progress),
            Ok(None) => bundle
                .frames
                .content(at, manifest)
                .map_err(Stop::Io)
                .and_then(|content| self.streamed(work, content, hand, &mut progress)),
            Err(error) => Err(Stop::Io(error)),
        };
        let Progress {
            mut done,
            seen,
            disk,
        } = progress;
        if let Some(error) = disk {
            return Err(error);
        }
        if read.is_ok() && seen.len() as u64 == work.files {
            return Ok(done);
        }
        let why = match read {
            Err(Stop::Io(error)) => error.to_string(),
            _ => "files that its manifest lists are not in it".to_owned(),
        };
        let mut lost = self.kept.iter().filter(|(path, kept)| {
            work.has(kept)
                && bundle
                    .manifest
                    .position(path)
                    .is_some_and(|at| !seen.contains(&at))
        });
        done.left_out
            .extend(lost.by_ref().map(|(path, _)| (*path).to_owned()));
        let message = format!(
            "{why}: {} of its files were left out",
            work.files - seen.len() as u64
        );
        let rule = match self.take {
            Take::Sealed => Rule::SealBrokenUnit,
            Take::All | Take::Proven => Rule::SnapshotDamaged,
        };
        done.findings
            .push(Finding::new(rule, &bundle.digest, message));
        Ok(done)
    }

    fn wanted(&self, work: &Work<'a>, path: &str) -> Option<Wanted<'_>> {
        let kept = self.kept.get(path).filter(|kept| work.has(kept))?;
        let at = work.bundle.manifest.position(path)?;
        let role = work.bundle.roles.get(at)?;
        Some(Wanted { at, kept, role })
    }

    /// A frame that lies in memory: outputs are hashed side by side, and all is
    /// written from where it is.
    fn whole(
        &self,
        work: &Work<'a>,
        content: &[u8],
        hand: &mut Hand,
        progress: &mut Progress,
    ) -> Result<(), Stop> {
        let mut files = Vec::new();
        let mut archive = tar::Archive::new(io::Cursor::new(content));
        members(archive.entries_with_seek()?.raw(true), |path, member| {
            let (Some(wanted), Member::File(bytes, from, _)) = (self.wanted(work, path), member)
            else {
                return Ok(());
            };
            let rest = usize::try_from(from)
                .ok()
                .and_then(|from| content.get(from..));
            let part = rest.zip(usize::try_from(bytes).ok());
            let part = part.and_then(|(rest, bytes)| rest.get(..bytes));
            let part = part.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            files.push((wanted, part));
            Ok(())
        })?;
        let outputs = files.iter().filter(|(wanted, _)| wanted.is_output());
        let outputs: Vec<&[u8]> = outputs.map(|(_, content)| *content).collect();
        let mut sha256s = digests(&outputs).into_iter();
        for (wanted, mut content) in files {
            let sha256 = wanted.is_output().then(|| sha256s.next()).flatten();
            let bytes = content.len() as u64;
            let content: (_, _, &mut dyn BufRead) = (bytes, sha256, &mut content);
            self.member(&wanted, content, hand, progress)?;
        }
        Ok(())
    }

    /// A frame that is too long for that: it has one large file.
    fn streamed(
        &self,
        work: &Work<'a>,
        content: impl Read,
        hand: &mut Hand,
        progress: &mut Progress,
    ) -> Result<(), Stop> {
        let mut archive = tar::Archive::new(content);
        members(archive.entries()?.raw(true), |path, member| {
            match (self.wanted(work, path), member) {
                (Some(wanted), Member::File(bytes, _, content)) => {
                    let mut content = BufReader::with_capacity(CHUNK, content);
                    self.member(&wanted, (bytes, None, &mut content), hand, progress)
                }
                _ => Ok(()),
            }
        })
    }

    fn member(
        &self,
        wanted: &Wanted<'_>,
        (bytes, sha256, content): (u64, Option<[u8; 32]>, &mut dyn BufRead),
        hand: &mut Hand,
        progress: &mut Progress,
    ) -> Result<(), Stop> {
        progress.seen.insert(wanted.at);
        let file = wanted.kept.file;
        let placed = match bytes == file.bytes {
            true => self.file(wanted, hand, (sha256, content), &mut progress.done),
            false => Err(Trouble::Damaged("has another length".into())),
        };
        match placed {
            Ok(()) => Ok(()),
            Err(Trouble::Disk(error)) => {
                progress.disk = Some(error);
                Err(Stop::Refused)
            }
            Err(trouble) => {
                progress
                    .done
                    .left_out(&file.path, wanted.role, self.take, trouble);
                Ok(())
            }
        }
    }

    /// Puts a file in its place, if it is what it should be; its SHA-256 may be known.
    fn file(
        &self,
        wanted: &Wanted<'_>,
        hand: &mut Hand,
        (sha256, content): (Option<[u8; 32]>, &mut dyn BufRead),
        done: &mut Restored,
    ) -> Result<(), Trouble> {
        match wanted.role {
            // Made anew of what is proven.
            Role::Made => Ok(()),
            Role::Zip(at) => self.zip(wanted.kept, *at, hand, content, done),
            _ if wanted.is_output() => self.output(wanted.kept, hand, (sha256, content), done),
            _ => self.small(wanted, hand, content, done),
        }
    }

    /// A version's zip, which is the manifest's module `at`, and its tree.
    fn zip(
        &self,
        kept: &Kept<'_>,
        at: usize,
        hand: &mut Hand,
        content: &mut dyn BufRead,
        done: &mut Restored,
    ) -> Result<(), Trouble> {
        let Some(module) = kept.bundle.manifest.modules.get(at) else {
            return Ok(());
        };
        let (id, path) = (module.id(), kept.file.path.as_str());
        let mut proof = None;
        let placed = hand.version(self.caches, (&id, path), kept.used, content, |h1| {
            proof = self.trust.zip(&id, h1).map_err(Trouble::Told)?;
            if proof.is_none() && self.take == Take::Proven {
                return Err(Trouble::Unproven);
            }
            match module.h1 == h1.to_string() {
                true => Ok(()),
                false => Err(Trouble::Damaged(
                    format!("is {h1}, which is not what the manifest says").into(),
                )),
            }
        })?;
        done.placed(placed);
        let Placed::New(_, bytes) = placed else {
            return Ok(());
        };
        done.versions += 1;
        done.hashed += bytes;
        match proof {
            Some(Witness::Sumdb) => done.by_sumdb += 1,
            Some(_) => done.by_go_sum += 1,
            None if self.take == Take::Sealed => done.by_seal += 1,
            None => {
                done.unproven.insert(id.to_string());
            }
        }
        if proof.is_some() || self.take == Take::Sealed {
            done.proven += bytes;
            done.vouched.push(path.to_owned());
        }
        Ok(())
    }

    /// A build output, whose name is its SHA-256.
    fn output(
        &self,
        kept: &Kept<'_>,
        hand: &mut Hand,
        (sha256, content): (Option<[u8; 32]>, &mut dyn BufRead),
        done: &mut Restored,
    ) -> Result<(), Trouble> {
        let is_it = |sha256: [u8; 32]| match sha256 == kept.file.sha256 {
            true => Ok(()),
            false => Err(Trouble::Damaged(
                "its content is not what its name says".into(),
            )),
        };
        sha256.map_or(Ok(()), is_it)?;
        let mut content = Hashing {
            content,
            sha256: sha256.is_none().then(Sha256::new),
        };
        let path = kept.file.path.as_str();
        let Some(staged) = hand.stage(self.caches, path, kept.used, &mut content)? else {
            done.present += 1;
            return Ok(());
        };
        let here = content.sha256.map(|sha256| sha256.finalize().into());
        if let Err(trouble) = here.map_or(Ok(()), is_it) {
            staged.discard();
            return Err(trouble);
        }
        let placed = staged.settle()?;
        done.placed(placed);
        if matches!(placed, Placed::New(..)) {
            done.outputs += 1;
            done.hashed += kept.file.bytes;
            match self.take {
                Take::Sealed => done.proven += kept.file.bytes,
                Take::All | Take::Proven => done.consistent += kept.file.bytes,
            }
        }
        Ok(())
    }

    /// A file that is looked at as a whole before it is written.
    fn small(
        &self,
        wanted: &Wanted<'_>,
        hand: &mut Hand,
        content: &mut dyn BufRead,
        done: &mut Restored,
    ) -> Result<(), Trouble> {
        let Wanted { kept, role, .. } = wanted;
        let path = kept.file.path.as_str();
        let mut bytes = Vec::new();
        let read = content.take(kept.file.bytes).read_to_end(&mut bytes);
        read.map_err(|error| Trouble::Damaged(error.into()))?;
        if <[u8; 32]>::from(Sha256::digest(&bytes)) != kept.file.sha256 {
            return Err(Trouble::Damaged(
                "its content is not what the manifest says".into(),
            ));
        }
        let mut is_proven = self.take == Take::Sealed;
        match role {
            // No checksum covers it.
            Role::Info(_) if self.take == Take::Proven => return Ok(()),
            Role::GoMod(at) => {
                let Some(go_mod) = kept.bundle.manifest.go_mods.get(*at) else {
                    return Ok(());
                };
                let h1: H1 = go_mod
                    .h1
                    .parse()
                    .map_err(|_| Trouble::Damaged("has no hash".into()))?;
                let proof = self.trust.go_mod(&go_mod.id(), h1).map_err(Trouble::Told)?;
                is_proven |= proof.is_some();
                if !is_proven && self.take == Take::Proven {
                    return Err(Trouble::Unproven);
                }
            }
            Role::Action(id) => self.has_output(*id, &bytes)?,
            role => role
                .weigh(&kept.bundle.manifest, &bytes)
                .map_err(Trouble::Damaged)?,
        }
        if path.starts_with(SUMDB) {
            match self.trust.is_sound(path) {
                Some(true) => {}
                // Told already, and by which of its records.
                Some(false) => {
                    done.left_out.push(path.to_owned());
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
        done.hashed += kept.file.bytes;
        let placed = hand.put(self.caches, path, kept.used, &bytes)?;
        done.placed(placed);
        if is_proven && placed != Placed::Present {
            done.proven += kept.file.bytes;
            done.vouched.push(path.to_owned());
        }
        Ok(())
    }

    /// An entry is of use where its output is.
    fn has_output(&self, id: ActionId, bytes: &[u8]) -> Result<(), Trouble> {
        let entry = ActionEntry::parse_named(id, bytes);
        let entry = entry.map_err(|error| Trouble::Damaged(error.into()))?;
        let output: OutputId = entry.output;
        let path = format!("{}/{output}-d", output.shard());
        let root = self.caches.builds.as_ref();
        match root.map(|root| root.stat(Path::new(&path))) {
            Some(Ok(stat)) if stat.bytes == entry.size => Ok(()),
            _ => {
                let message =
                    format!("names the output {output}, which was left out, and so was left out");
                let finding = Finding::new(Rule::OutputMissing, id.to_string(), message);
                Err(Trouble::Told(finding.into()))
            }
        }
    }

    /// The versions that each module has a `.mod` of: what a proxy would answer.
    /// Go keeps such a list and never reads it itself.
    fn lists(&self) -> io::Result<()> {
        let Some(root) = &self.caches.modules else {
            return Ok(());
        };
        let bundles = self.snapshot.bundles();
        let go_mods = bundles.flat_map(|bundle| &bundle.manifest.go_mods);
        let paths: BTreeSet<&str> = go_mods.map(|go_mod| go_mod.path.as_str()).collect();
        for path in paths {
            let Ok(escaped) = escape_path(path) else {
                continue;
            };
            let at_v = format!("cache/download/{escaped}/@v");
            let folder = match root.folder(at_v.as_ref()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                folder => folder?,
            };
            let mut ids = BTreeSet::new();
            for entry in folder.entries()? {
                let name = entry.name.to_string_lossy();
                if let AtVName::Piece(piece) = parse_at_v_name(&name)
                    && piece.piece == PieceKind::Mod
                {
                    ids.insert(ModuleVersion::new(path, piece.version));
                }
            }
            let lines: String = ids.iter().map(|id| format!("{}\n", id.version)).collect();
            let mut list = folder.edit(OsStr::new("list"), true)?;
            list.lock()?;
            let mut there = String::new();
            // One that is no text is made anew.
            let _ = (&mut list).take(MAX_LIST).read_to_string(&mut there);
            if there != lines {
                list.set_len(0)?;
                list.rewind()?;
                list.write_all(lines.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Go has just trimmed, as far as it needs to know.
    fn trim_time(&self) -> io::Result<()> {
        let Some(root) = &self.caches.builds else {
            return Ok(());
        };
        match root.top().create(OsStr::new("trim.txt")) {
            Ok(mut file) => write!(file, "{}", self.caches.now.timestamp()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
}
