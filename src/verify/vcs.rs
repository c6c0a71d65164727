//! The clones in `cache/vcs`. No checksum covers them, so nothing here is
//! proven; but Go starts git (or hg, bzr, fossil) in them, and what would make
//! that program run, include or follow something is found.

use super::{Evidence, Proof};
use crate::findings::{Finding, Rule, display_path};
use crate::folder::{Folder, Kind};
use crate::formats::clone::{
    CloneOf, FOSSIL_OVERLAP, MAX_SETTINGS, Vcs, fossil_settings, git_config_problems,
    is_gos_attributes, is_gos_branch_conf, is_gos_hgrc,
};
use crate::formats::info::{MAX_INFO_BYTES, RevInfo};
use crate::formats::module::PieceKind;
use crate::scan::{MAX_DEPTH, ModCache, VcsClone};
use crate::text::human;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A clone with more files is looked at no further. Go's have some thousands.
const MAX_FILES: usize = 1_000_000;

/// A fossil repository that is longer is not read.
const MAX_FOSSIL: u64 = 256 << 20;

/// Problems that are told of one clone; after them the look ends.
const SHOWN: usize = 10;

/// A clone of a longer address is called by its folder.
const MAX_URL: usize = 500;

/// Looks at every clone.
pub(super) fn verify(cache: &ModCache, evidence: &mut Evidence) {
    for clone in &cache.vcs {
        let problems = match problems_of(cache, clone) {
            Ok(problems) => problems,
            Err(error) => {
                evidence
                    .overall
                    .push(crate::scan::unreadable(&clone.path, &error));
                continue;
            }
        };
        if problems.is_empty() {
            continue;
        }
        evidence.unsafe_clones.insert(clone.path.clone());
        for (path, message) in problems {
            let finding = Finding::new(Rule::VcsUnsafe, subject(clone), message);
            evidence.overall.push(finding.at(&path));
        }
    }
    evidence.overall.extend(unproven(cache));
}

/// The note that nothing proves what is in the clones; `None` without one.
pub fn unproven(cache: &ModCache) -> Option<Finding> {
    let left = cache.vcs.iter().filter(|clone| clone.measure.files > 0);
    let count = left.count() as u64;
    let subject = human::counted(count, "clone", "clones");
    let message = "cache/vcs holds clones whose files and history no checksum covers; what Go makes of them is held against go.sum";
    (count > 0).then(|| {
        Finding::new(Rule::VcsUnproven, subject, message).at(&cache.root.join("cache/vcs"))
    })
}

/// Finds the clones that damaged versions came from. Go makes the same zip of
/// such a clone again: it takes a tag that it has for the remote's.
pub fn stale_clones(cache: &ModCache, evidence: &mut Evidence) {
    if cache.vcs.is_empty() {
        return;
    }
    for (id, proof) in &evidence.versions {
        let right = matches!(proof.zip, Proof::Proven(_)) || proof.proven_by().is_some();
        if !proof.damaged || !proof.download_differs || right {
            continue;
        }
        let pieces = cache.pieces(id);
        let origin = pieces
            .read(PieceKind::Info, MAX_INFO_BYTES as u64)
            .ok()
            .and_then(|content| RevInfo::parse(&content).ok()?.origin?.url);
        for clone in &cache.vcs {
            let Some((_, url)) = clone.url.as_deref().and_then(|key| key.split_once(':')) else {
                continue;
            };
            let is_from = match &origin {
                Some(origin) => origin == url,
                // Without a word from the `.info`: the repository that the path names.
                None => url.split_once("://").is_some_and(|(_, place)| {
                    id.path
                        .strip_prefix(place)
                        .is_some_and(|rest| matches!(rest.chars().next(), None | Some('/' | '.')))
                }),
            };
            if is_from {
                evidence.stale_clones.insert(clone.path.clone());
            }
        }
    }
}

fn subject(clone: &VcsClone) -> String {
    let name = clone.path.file_name().unwrap_or_default();
    let url = clone.url.as_deref().and_then(|key| key.split_once(':'));
    match url {
        Some((_, url)) if url.len() <= MAX_URL => url.trim_end().to_owned(),
        _ => display_path(Path::new(name)),
    }
}

type Problem = (PathBuf, String);

fn problems_of(cache: &ModCache, clone: &VcsClone) -> io::Result<Vec<Problem>> {
    let name = clone.path.file_name().unwrap_or_default();
    let parent = cache.folders()?.folder("cache/vcs".as_ref())?;
    let here = |message: &str| vec![(clone.path.clone(), message.to_owned())];
    if parent.stat(name)?.kind != Kind::Folder {
        return Ok(here(
            "the clone is a link: the program would work in whatever it leads to",
        ));
    }
    for suffix in [".info", ".lock"] {
        let mut beside = OsString::from(name);
        beside.push(suffix);
        if parent
            .stat(&beside)
            .is_ok_and(|stat| stat.kind != Kind::File)
        {
            return Ok(here(&format!(
                "the clone's {suffix} is not an ordinary file, and Go would follow it"
            )));
        }
    }
    // A clone without `.info` Go throws away before it does anything.
    let Some(info) = &clone.url else {
        return Ok(Vec::new());
    };
    let of = match CloneOf::parse(&name.to_string_lossy(), info) {
        Ok(of) => of,
        Err(message) => return Ok(here(&format!("the clone's .info {message}"))),
    };
    let mut look = Look {
        of: &of,
        files: 0,
        problems: Vec::new(),
    };
    look.folder(&parent.folder(name)?, &clone.path, "", 0);
    Ok(look.problems)
}

struct Look<'a> {
    of: &'a CloneOf,
    files: usize,
    problems: Vec<Problem>,
}

impl Look<'_> {
    fn folder(&mut self, folder: &Folder, path: &Path, relative: &str, depth: usize) {
        let entries = match folder.entries() {
            Ok(entries) if depth < MAX_DEPTH => entries,
            Ok(_) => return self.problem(path, "lies too deep and was not looked at"),
            Err(error) => return self.unread(path, &error),
        };
        for entry in entries {
            self.files += 1;
            if self.files > MAX_FILES || self.problems.len() >= SHOWN {
                if self.files == MAX_FILES + 1 {
                    self.problem(
                        path,
                        format!(
                            "the clone has more than {MAX_FILES} files, the rest was not looked at"
                        ),
                    );
                }
                return;
            }
            let path = path.join(&entry.name);
            // A name that is no text is none that a program looks for; whether
            // its case counts is up to the file system.
            let name = entry.name.to_string_lossy().to_ascii_lowercase();
            let relative = match relative {
                "" => name,
                _ => format!("{relative}/{name}"),
            };
            match entry.kind {
                Kind::Link => self.problem(&path, "is a link, which the program would follow"),
                Kind::Other => self.problem(&path, "is neither a file nor a folder"),
                Kind::Folder => {
                    if let Some(why) = self.unknown_folder(&relative) {
                        self.problem(&path, why);
                        continue;
                    }
                    match folder.folder(&entry.name) {
                        Ok(inner) => self.folder(&inner, &path, &relative, depth + 1),
                        Err(error) => self.unread(&path, &error),
                    }
                }
                Kind::File => {
                    let open = || folder.file(&entry.name);
                    match file_problems(self.of, &relative, open) {
                        Ok(problems) => {
                            for problem in problems.into_iter().take(SHOWN) {
                                self.problem(&path, problem);
                            }
                        }
                        Err(error) => self.unread(&path, &error),
                    }
                }
            }
        }
    }

    /// Folders in which git looks for settings beyond those that Go's git makes.
    fn unknown_folder(&self, relative: &str) -> Option<&'static str> {
        let known = relative.contains('/')
            || self.of.vcs != Vcs::Git
            || matches!(
                relative,
                "hooks" | "info" | "objects" | "refs" | "branches" | "logs" | "lfs" | "reftable"
            );
        (!known).then_some("is a folder that Go's git does not make, and may be acted on")
    }

    /// What a running git removed meanwhile is no problem.
    fn unread(&mut self, path: &Path, error: &io::Error) {
        if error.kind() != io::ErrorKind::NotFound {
            self.problem(path, format!("could not be read: {error}"));
        }
    }

    fn problem(&mut self, path: &Path, message: impl Into<String>) {
        self.problems.push((path.to_owned(), message.into()));
    }
}

/// What is wrong with a file of a clone, by its path in it, in lower case.
fn file_problems(
    of: &CloneOf,
    relative: &str,
    open: impl Fn() -> io::Result<File>,
) -> io::Result<Vec<String>> {
    let content = || settings(open()?);
    let one = |message: &str| Ok(vec![message.to_owned()]);
    let (folder, name) = relative.split_once('/').unwrap_or(("", relative));
    match (of.vcs, folder, name) {
        (Vcs::Git, "", "config") => {
            let problems = git_config_problems(&content()?, &of.url);
            let told = |problem| format!("the clone's config {problem}");
            Ok(problems.into_iter().map(told).collect())
        }
        (Vcs::Git, "hooks", name) if !name.ends_with(".sample") => one("is a hook, which git runs"),
        (Vcs::Git, "objects", "info/alternates" | "info/http-alternates") => {
            one("makes git take objects from elsewhere")
        }
        (Vcs::Git, "info", "attributes") if !is_gos_attributes(&content()?) => {
            one("holds attributes that Go does not write, and git applies them")
        }
        (Vcs::Git, "info", name)
            if !matches!(name, "attributes" | "exclude" | "refs" | "sparse-checkout") =>
        {
            one("is a file that Go's git does not make, and may be acted on")
        }
        (Vcs::Git, "branches", _) => one("names another remote"),
        (Vcs::Git, "", name) if !is_gits_own(name) => {
            one("is a file that Go's git does not make, and may be acted on")
        }
        (Vcs::Hg, ".hg", "hgrc") if !is_gos_hgrc(&content()?, &of.url) => {
            one("the clone's hgrc says more than where it came from, or another place")
        }
        (Vcs::Hg, ".hg", "hgrc-not-shared") => one("is a second configuration"),
        (Vcs::Hg, ".hg", "sharedpath") => {
            one("leads hg to another repository and its configuration")
        }
        (Vcs::Hg, ".hg", "requires" | "store/requires") => {
            let is_shared = content()?
                .split(|&byte| byte == b'\n')
                .any(|line| matches!(line.trim_ascii(), b"shared" | b"relshared"));
            match is_shared {
                true => one("leads hg to another repository and its configuration"),
                false => Ok(Vec::new()),
            }
        }
        (Vcs::Bzr, ".bzr", "branch/branch.conf") if !is_gos_branch_conf(&content()?, &of.url) => {
            one("the clone's branch.conf says more than where it came from, or another place")
        }
        (Vcs::Bzr, ".bzr", "branch/location") => one("leads bzr to another branch"),
        (Vcs::Fossil, "", ".fossil") => {
            let told = |name| {
                format!("the repository has the setting {name}, by which fossil runs something")
            };
            Ok(settings_of_fossil(open()?)?.into_iter().map(told).collect())
        }
        _ => Ok(Vec::new()),
    }
}

/// A whole settings file.
fn settings(file: File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(MAX_SETTINGS + 1).read_to_end(&mut content)?;
    match content.len() as u64 > MAX_SETTINGS {
        true => Err(too_long(MAX_SETTINGS)),
        false => Ok(content),
    }
}

/// Reads a fossil repository piece by piece.
fn settings_of_fossil(mut file: File) -> io::Result<BTreeSet<&'static str>> {
    let mut found = BTreeSet::new();
    let mut piece = Vec::new();
    let mut read = 0;
    loop {
        let more = (&mut file).take(1 << 20).read_to_end(&mut piece)?;
        read += more as u64;
        if more == 0 {
            return Ok(found);
        }
        if read > MAX_FOSSIL {
            return Err(too_long(MAX_FOSSIL));
        }
        found.extend(fossil_settings(&piece));
        piece.drain(..piece.len().saturating_sub(FOSSIL_OVERLAP));
    }
}

fn too_long(limit: u64) -> io::Error {
    let message = format!("is longer than {limit} bytes");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Files that git leaves in the top folder of a bare repository, in lower case.
fn is_gits_own(name: &str) -> bool {
    matches!(
        name,
        "head"
            | "fetch_head"
            | "orig_head"
            | "config"
            | "description"
            | "packed-refs"
            | "gc.log"
            | "gc.pid"
    ) || name.starts_with("shallow")
        || name.ends_with(".lock")
}
