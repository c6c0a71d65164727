//! Where the caches lie, and on what.

use super::{CacheSite, ProjectSite, Situation};
use crate::findings::{Finding, Rule, display_path};
use crate::render::human;
use std::path::{Component, Path};

/// Less room than this is low: a cold build of a middling project takes a
/// gigabyte or two.
const LOW_BYTES: u64 = 1 << 30;

/// Fewer files than this are low: a module cache holds some ten thousand.
const LOW_FILES: u64 = 10_000;

pub(super) fn diagnose(situation: &Situation) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(overlap(situation));
    for (name, key, site) in situation.sites() {
        findings.extend(
            situation
                .projects
                .iter()
                .filter_map(|project| in_workspace(name, key, site, project)),
        );
        findings.extend(owner(name, site));
        findings.extend(space(name, site));
        findings.extend(access_times(name, site));
    }
    findings.extend(situation.modcache.as_ref().and_then(folding));
    findings.extend(restore(situation));
    findings
}

fn overlap(situation: &Situation) -> Option<Finding> {
    let (modcache, gocache) = (situation.modcache.as_ref()?, situation.gocache.as_ref()?);
    let (m, g) = (&modcache.path, &gocache.path);
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
    let help = "Give the build cache a folder of its own: `go env -u GOCACHE`, or `go env -w GOCACHE=$HOME/.cache/go-build`";
    Some(
        Finding::new(Rule::CacheOverlap, "GOCACHE", message)
            .at(g)
            .advise(help),
    )
}

fn in_workspace(name: &str, key: &str, site: &CacheSite, project: &ProjectSite) -> Option<Finding> {
    let below = site.path.strip_prefix(&project.dir).ok()?;
    let mut harms = Vec::new();
    if is_walked(below, &project.ignored_by_go) {
        harms.push("`go build ./...`, `go vet ./...` and other walks descend into it");
    }
    if project.seen_by_git.contains(&site.path) {
        harms.push("git does not ignore it, so that it is listed, stashed and perhaps committed");
    }
    if harms.is_empty() {
        return None;
    }
    let message = format!(
        "the {name} lies in the project {}: {}",
        display_path(&project.dir),
        harms.join("; ")
    );
    let folder = match key {
        "GOMODCACHE" => ".cache/go-mod",
        _ => ".cache/go-build",
    };
    let help = format!(
        "Move it out (`go env -u {key}`), or under a name that Go and git pass over: `{key}=$PWD/{folder}`, and `echo /.cache/ >> .gitignore`"
    );
    Some(
        Finding::new(Rule::CacheInWorkspace, key, message)
            .at(&site.path)
            .advise(help),
    )
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

fn owner(name: &str, site: &CacheSite) -> Option<Finding> {
    let foreign = site.owner_and_user.filter(|(owner, user)| owner != user);
    // Root may write anywhere, but what it writes its owner cannot remove.
    let message = match (foreign, site.writable) {
        (Some((owner, user)), Some(false)) => {
            format!(
                "the {name} belongs to user {owner}, and user {user} may not write there: Go builds without keeping anything, or fails"
            )
        }
        (Some((owner, user)), _) => {
            format!(
                "the {name} belongs to user {owner}, and this is user {user}: files of both mix, and later one cannot change or remove the other's"
            )
        }
        (None, Some(false)) => format!(
            "the {name} may not be written to by its own user: downloads fail, and builds keep nothing"
        ),
        (None, _) => return None,
    };
    let path = display_path(&site.path);
    let help = match foreign {
        Some(_) => format!(
            "`chown -R \"$(id -u):$(id -g)\" {}`, or run the job as the same user every time",
            shell_word(&path)
        ),
        None => format!(
            "`chmod u+rwx {}`, or remount the volume for writing",
            shell_word(&path)
        ),
    };
    Some(
        Finding::new(Rule::CacheOwner, name, message)
            .at(&site.path)
            .advise(help),
    )
}

fn space(name: &str, site: &CacheSite) -> Option<Finding> {
    let space = site.space?;
    let low_bytes = space.bytes > 0 && space.free_bytes < LOW_BYTES;
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
    let message = format!(
        "the file system of the {name} has room for {what} more: downloads and builds will break off and leave halves behind"
    );
    let help = "`gocachevet trim --unused`, or `go clean -cache`";
    Some(
        Finding::new(Rule::DiskLow, name, message)
            .at(&site.path)
            .advise(help),
    )
}

fn access_times(name: &str, site: &CacheSite) -> Option<Finding> {
    let noatime = site
        .mount_options
        .as_ref()?
        .iter()
        .any(|option| option == "noatime");
    if !noatime || name != "module cache" {
        return None; // Go marks use in the build cache by itself
    }
    let message = "the module cache's file system keeps no access times (noatime): which modules a job used can be told from the build cache only";
    let help = "Judge by references: `gocachevet trim --unused`; or remount: `mount -o remount,relatime MOUNT-POINT`";
    Some(
        Finding::new(Rule::NoAccessTimes, name, message)
            .at(&site.path)
            .advise(help),
    )
}

fn folding(site: &CacheSite) -> Option<Finding> {
    if site.folds_case != Some(true) {
        return None;
    }
    let message = "the module cache's file system takes names that differ only in letter case for one: a module with two such files extracts short, and a cache restored from Linux may lose files";
    let help = "Key the cache by operating system (`${{ runner.os }}`), and on macOS use a case-sensitive volume: `diskutil apfs addVolume disk1 'Case-sensitive APFS' gocache`";
    Some(
        Finding::new(Rule::CaseFolding, "module cache", message)
            .at(&site.path)
            .advise(help),
    )
}

/// Restoring an archive over a cache that is not empty.
fn restore(situation: &Situation) -> Option<Finding> {
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

/// A path for a command line to copy.
fn shell_word(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
    match path.chars().all(plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}
