//! Where the caches lie, and on what.

use super::{CacheSite, ProjectSite, Situation, Unmakeable};
use crate::findings::{Finding, Level, Rule, display_path, shell_word};
use crate::locate::SettingOrigin;
use crate::text::human;
use std::path::{Component, Path};

/// Less room than this is low: a cold build of a middling project takes a
/// gigabyte or two.
const LOW_BYTES: u64 = 1 << 30;

/// Fewer files than this are low: a module cache holds some ten thousand.
const LOW_FILES: u64 = 10_000;

pub(super) fn overlap(situation: &Situation) -> Option<Finding> {
    let (modcache, gocache) = (situation.modcache.as_ref()?, situation.gocache.as_ref()?);
    let (m, g) = (&modcache.path, &gocache.path);
    // The inner one moves.
    let (what, key, place) = match m != g && m.starts_with(g) {
        true => ("module cache", "GOMODCACHE", "$HOME/go/pkg/mod"),
        false => ("build cache", "GOCACHE", "$HOME/.cache/go-build"),
    };
    let message = if m == g {
        format!(
            "both caches are {}: `go clean -modcache` and `go clean -cache` each wipe the other's files, and a cache step saves everything twice",
            display_path(m)
        )
    } else if g.starts_with(m) {
        format!(
            "the build cache {} lies inside the module cache: `go clean -modcache` wipes it, and it is counted and saved twice",
            display_path(g)
        )
    } else if m.starts_with(g) {
        format!(
            "the module cache {} lies inside the build cache: it is counted and saved twice",
            display_path(m)
        )
    } else {
        return None;
    };
    let help = format!(
        "Give the {what} a folder of its own: {}",
        situation.set(key, place)
    );
    Some(
        Finding::new(Rule::CacheOverlap, key, message)
            .at(if key == "GOCACHE" { g } else { m })
            .advise(help),
    )
}

/// A cache that lies in a project, where Go's walks or git see it.
pub(super) fn in_workspace(situation: &Situation) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, key, site) in situation.sites() {
        for project in &situation.projects {
            let harms = harms_in(project, &site.path);
            if !harms.is_empty() {
                let message = format!(
                    "the {name} lies in the project {}: {}",
                    display_path(&project.dir),
                    harms.join("; ")
                );
                let finding = Finding::new(Rule::CacheInWorkspace, key, message);
                findings.push(finding.at(&site.path).advise(move_out(situation, key)));
            }
        }
    }
    findings
}

fn harms_in(project: &ProjectSite, cache: &Path) -> Vec<&'static str> {
    let mut harms = Vec::new();
    let Ok(below) = cache.strip_prefix(&project.dir) else {
        return harms;
    };
    if is_walked(below, &project.ignored_by_go) {
        harms.push("`go build ./...`, `go vet ./...` and other walks descend into it");
    }
    if project.seen_by_git.iter().any(|seen| seen == cache) {
        harms.push("git does not ignore it, so that it is listed, stashed and perhaps committed");
    }
    harms
}

fn move_out(situation: &Situation, key: &str) -> String {
    let folder = match key {
        "GOMODCACHE" => "$PWD/.cache/go-mod",
        _ => "$PWD/.cache/go-build",
    };
    let inside = situation.set(key, folder);
    let inside = format!(
        "{} && echo /.cache/ >> .gitignore`",
        inside.trim_end_matches('`')
    );
    match situation.setting(key).1 {
        // Go's own default lies in the project: there is nothing to take back.
        SettingOrigin::Default => format!("From the project's folder: {inside}"),
        _ => format!(
            "Move it out: {}; or, from the project's folder, under a name that Go and git pass over: {inside}",
            situation.unset(key),
        ),
    }
}

/// Whether `./...` walks into a folder: not below names that start with `.` or
/// `_`, nor `testdata` or `vendor`, nor where go.mod says `ignore`
/// (`cmd/go/internal/modload/search.go:matchPackages`).
fn is_walked(below: &Path, ignored: &[String]) -> bool {
    let mut so_far = String::new();
    for component in below.components() {
        let Component::Normal(name) = component else {
            return false;
        };
        let name = name.to_string_lossy();
        if name.starts_with(['.', '_']) || name == "testdata" || name == "vendor" {
            return false;
        }
        so_far = if so_far.is_empty() {
            name.to_string()
        } else {
            format!("{so_far}/{name}")
        };
        let matches = |line: &String| match line.strip_prefix("./") {
            Some(rooted) => rooted.trim_end_matches('/') == so_far,
            None => {
                let line = line.trim_matches('/');
                so_far == line || so_far.ends_with(&format!("/{line}"))
            }
        };
        if ignored.iter().any(matches) {
            return false;
        }
    }
    !so_far.is_empty()
}

/// Caches that this user may not write to, or that belong to another.
pub(super) fn owners(situation: &Situation) -> Vec<Finding> {
    let sites = situation.sites();
    sites
        .filter_map(|(name, _, site)| owner(name, site))
        .collect()
}

fn owner(name: &str, site: &CacheSite) -> Option<Finding> {
    let foreign = site.foreign_owner();
    let stops = site.lacks_folders && site.writable == Some(false);
    // Root may write anywhere, but what it writes its owner cannot remove.
    let message = match (foreign, site.writable) {
        _ if stops => format!(
            "the {name} may not be written to by this user, and lacks folders that Go makes first: no build runs (`failed to initialize build cache`)"
        ),
        (Some((owner, user)), Some(false)) => {
            format!(
                "the {name} belongs to user {owner}, and user {user} may not write there: Go builds without keeping anything, or fails"
            )
        }
        (Some((owner, user)), _) => {
            format!(
                "the {name} belongs to user {owner}, in part at least, and this is user {user}: files of both mix, and later one cannot change or remove the other's; Go cannot mark as used what another user owns"
            )
        }
        (None, Some(false)) => format!(
            "the {name} may not be written to by its own user: downloads fail, and builds keep nothing"
        ),
        (None, _) => return None,
    };
    let path = shell_word(&display_path(&site.path));
    let help = match foreign {
        // Only root may give files away.
        Some((_, 0)) => {
            format!("Hand it over: `chown -R 0:0 {path}`; or run every job as the same user")
        }
        Some((owner, user)) => format!(
            "Run the job as user {owner}, or let root hand the whole cache over to user {user} once"
        ),
        None if site.read_only => "Mount the volume for writing".to_owned(),
        None => format!("`chmod u+rwx {path}`"),
    };
    let rule = match stops {
        true => Rule::CacheUnwritable,
        false => Rule::CacheOwner,
    };
    Some(
        Finding::new(rule, name, message)
            .at(&site.path)
            .advise(help),
    )
}

/// Caches that Go would have to make and cannot: without the build cache no
/// build runs (`cmd/go/internal/cache/default.go:initDefaultCache`).
pub(super) fn unmakeable(situation: &Situation) -> Vec<Finding> {
    let told = situation.unmakeable.iter().map(|Unmakeable { key, path, why }| {
        let (level, harm) = match *key {
            "GOCACHE" => (Level::Deny, "no build runs (`failed to initialize build cache`)"),
            _ => (Level::Warn, "nothing can be downloaded"),
        };
        let message = format!(
            "the folder that {key} stands for is not there, and this user cannot make it ({why}): {harm}"
        );
        let help = format!(
            "Give this user a home that it may write to, or {key} a folder: `export {key}=\"$(mktemp -d)\"`, better one that is kept"
        );
        let mut finding = Finding::new(Rule::CacheUnwritable, *key, message);
        finding.level = level;
        finding.at(path).advise(help)
    });
    told.collect()
}

/// Bytes of a toolchain, zip and tree.
const TOOLCHAIN_BYTES: u64 = 330_000_000;

/// Bytes of a module version of which nothing is known, zip and tree.
const VERSION_BYTES: u64 = 2_000_000;

/// What the next build is about to write into the module cache, and of what:
/// what is not there yet.
fn about_to_write(situation: &Situation) -> (u64, Vec<String>) {
    let (mut bytes, mut parts) = (0, Vec::new());
    let missing = situation.projects.iter().map(|project| project.to_download);
    let missing = missing.sum::<usize>() as u64;
    if missing > 0 {
        bytes += missing.saturating_mul(situation.version_bytes.unwrap_or(VERSION_BYTES));
        parts.push(human::counted(missing, "module version", "module versions"));
    }
    if super::project::downloads_toolchain(situation) {
        bytes += TOOLCHAIN_BYTES;
        parts.push("a toolchain".to_owned());
    }
    (bytes, parts)
}

/// File systems without room for what the next build writes.
pub(super) fn space(situation: &Situation) -> Vec<Finding> {
    let low = situation.sites().filter_map(|(name, key, site)| {
        let written = match key {
            "GOMODCACHE" => about_to_write(situation),
            _ => Default::default(),
        };
        low_space(name, site, written)
    });
    low.collect()
}

fn low_space(name: &str, site: &CacheSite, (bytes, parts): (u64, Vec<String>)) -> Option<Finding> {
    let space = site.space?;
    let low_bytes = space.bytes > 0 && space.free_bytes < LOW_BYTES.saturating_add(bytes);
    let low_files = space.files > 0 && space.free_files < LOW_FILES;
    let what = match (low_bytes, low_files) {
        (false, false) => return None,
        (true, _) => format!(
            "{} of {}",
            human::size(space.free_bytes),
            human::size(space.bytes)
        ),
        (false, true) => format!(
            "{} of {} files (inodes)",
            human::count(space.free_files),
            human::count(space.files)
        ),
    };
    let needs = match parts.is_empty() || !low_bytes {
        true => String::new(),
        false => format!(
            ", and about {} are still to be fetched ({})",
            human::size(bytes),
            parts.join(" and ")
        ),
    };
    let message = format!(
        "the file system of the {name} has room for {what} more{needs}: downloads and builds will break off and leave halves behind"
    );
    let help = "Make room before the build: remove what else lies there, or put the caches on a larger volume; if it is the caches that fill it, `go clean -modcache -cache`";
    Some(
        Finding::new(Rule::DiskLow, name, message)
            .at(&site.path)
            .advise(help),
    )
}

/// Go marks use in the build cache by itself, in the module cache not.
pub(super) fn access_times(situation: &Situation) -> Option<Finding> {
    let site = situation
        .modcache
        .as_ref()
        .filter(|site| site.no_access_times)?;
    let message = "the module cache's file system keeps no access times (noatime): which modules a job used can be told from the build cache only";
    let help = "Let a trim go by references (`--unused`), or mount the volume with `relatime`";
    let finding = Finding::new(Rule::NoAccessTimes, "module cache", message);
    Some(finding.at(&site.path).advise(help))
}

pub(super) fn folding(situation: &Situation) -> Option<Finding> {
    let site = situation.modcache.as_ref()?;
    if site.folds_case != Some(true) {
        return None;
    }
    let message = "the module cache's file system takes names that differ only in letter case for one: a module with two such files extracts short, and a cache restored from Linux may lose files";
    let help = "Key the cache by operating system (`${{ runner.os }}`), and on macOS use a case-sensitive volume";
    let finding = Finding::new(Rule::CaseFolding, "module cache", message);
    Some(finding.at(&site.path).advise(help))
}

/// Restoring an archive over a cache that is not empty.
pub(super) fn restore(situation: &Situation) -> Option<Finding> {
    let site = situation.modcache.as_ref()?;
    if !situation.in_ci() || !site.filled || situation.cached.is_empty() {
        return None;
    }
    let message = format!(
        "the module cache already holds {} module versions: if a cache step restores after this point, tar fails on each with `Cannot open: File exists`, since extracted files are read-only",
        human::count(situation.cached.len() as u64)
    );
    let help = "Restore before any `go` command runs, once (setup-go's `cache: false` beside an own cache step), or empty it first: `go clean -modcache`";
    Some(
        Finding::new(Rule::RestoreHazard, "module cache", message)
            .at(&site.path)
            .advise(help),
    )
}
