//! Builds that may be reading what is about to go.
//!
//! Go looks once whether a tree is whole and then reads it for as long as it
//! runs, under no lock. Once the `.ziphash` is gone every newcomer waits for the
//! lock, so that only who was running then can still be reading: those are
//! waited for, a while. That is help and no promise: other machines and
//! containers have processes that are not seen here, and only Linux shows them.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Who runs longer is not waited for any more: a `go run` may run for ever.
const EACH: Duration = Duration::from_secs(2);

/// The longest that one trim waits in all.
const IN_ALL: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(4);

/// Where Linux shows its processes.
const PROC: &str = "/proc";

/// The running `go` commands that may use a module cache.
pub(super) struct Readers {
    modcache: PathBuf,
    /// How long may still be waited.
    left: Duration,
    /// Who was waited for long enough.
    given_up: BTreeSet<Process>,
}

/// A process; its number alone may come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    id: u32,
    /// In clock ticks since the system began.
    started: u64,
}

impl Readers {
    pub(super) fn of(modcache: &Path) -> Readers {
        Readers {
            modcache: std::fs::canonicalize(modcache).unwrap_or_else(|_| modcache.to_owned()),
            left: IN_ALL,
            given_up: BTreeSet::new(),
        }
    }

    /// Whether there is anybody to wait for.
    pub(super) fn any(&self) -> bool {
        !self.left.is_zero() && !self.running().is_empty()
    }

    /// Waits until those who run now have ended, or wait for one of `locks`
    /// themselves.
    pub(super) fn wait<'a>(&mut self, locks: impl Iterator<Item = &'a File>) {
        if self.left.is_zero() {
            return;
        }
        let mut waited_for = self.running();
        if waited_for.is_empty() {
            return;
        }
        let inodes: Vec<u64> = locks.filter_map(inode).collect();
        let start = Instant::now();
        loop {
            let all = std::fs::read_to_string(Path::new(PROC).join("locks")).unwrap_or_default();
            let blocked = blocked_at(&all, &inodes);
            waited_for.retain(|process| {
                !blocked.contains(&process.id)
                    && process_named_go(process.id).is_some_and(|now| now == *process)
            });
            let waited = start.elapsed();
            if waited_for.is_empty() || waited >= EACH.min(self.left) {
                self.left = self.left.saturating_sub(waited);
                self.given_up.append(&mut waited_for);
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn running(&self) -> BTreeSet<Process> {
        if !cfg!(target_os = "linux") {
            return BTreeSet::new();
        }
        let entries = std::fs::read_dir(PROC).into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        ids.filter_map(process_named_go)
            .filter(|process| !self.given_up.contains(process) && self.concerns(process.id))
            .collect()
    }

    /// Whether a process may use this cache: all do that do not name another.
    fn concerns(&self, id: u32) -> bool {
        let Ok(environment) = std::fs::read(format!("{PROC}/{id}/environ")) else {
            return true;
        };
        let mut variables = environment.split(|&byte| byte == 0);
        let named = variables.find_map(|variable| variable.strip_prefix(b"GOMODCACHE="));
        match named.map(std::str::from_utf8) {
            Some(Ok(path)) if !path.is_empty() => {
                std::fs::canonicalize(path).map_or(true, |path| path == self.modcache)
            }
            _ => true,
        }
    }
}

/// The process of this number, if it is a `go` command that still runs.
fn process_named_go(id: u32) -> Option<Process> {
    let stat = std::fs::read(format!("{PROC}/{id}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    Some(Process {
        id,
        started: started_if_go(&stat)?,
    })
}

/// The start time in a `/proc/<id>/stat` of a process named `go` that has not
/// ended (proc(5)).
fn started_if_go(stat: &str) -> Option<u64> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    // The state is the third field, the start time the 22nd.
    let mut fields = after.split_ascii_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X");
    let started = fields.nth(18)?.parse().ok()?;
    (name == "go" && !ended).then_some(started)
}

/// Who waits for one of these files' locks, by `/proc/locks` (proc(5)).
fn blocked_at(locks: &str, inodes: &[u64]) -> BTreeSet<u32> {
    let mut blocked = BTreeSet::new();
    for line in locks.lines() {
        let Some((_, waiter)) = line.split_once("-> ") else {
            continue;
        };
        let mut fields = waiter.split_ascii_whitespace().skip(3);
        let id = fields.next().and_then(|id| id.parse().ok());
        let inode = fields.next().and_then(|file| file.rsplit(':').next());
        if let (Some(id), Some(Ok(inode))) = (id, inode.map(str::parse))
            && inodes.contains(&inode)
        {
            blocked.insert(id);
        }
    }
    blocked
}

#[cfg(unix)]
fn inode(file: &File) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    Some(file.metadata().ok()?.ino())
}

#[cfg(not(unix))]
fn inode(_: &File) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "4242 (NAME) S 1 4242 4242 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 77123 123 45";

    #[test]
    fn a_go_command_is_told_by_its_name() {
        assert_eq!(started_if_go(&STAT.replace("NAME", "go")), Some(77123));
        for name in ["gopls", "x) S (go", "cargo", ""] {
            assert_eq!(started_if_go(&STAT.replace("NAME", name)), None, "{name}");
        }
        // One that ended and was not asked for its code.
        let ended = STAT.replace("NAME", "go").replace(" S ", " Z ");
        assert_eq!(started_if_go(&ended), None);
        for odd in ["", "1 (go", "1 (go)", "1 (go) S 1 2 3"] {
            assert_eq!(started_if_go(odd), None, "{odd}");
        }
    }

    #[test]
    fn who_waits_for_a_lock_is_told_by_the_file() {
        let locks = "\
1: POSIX  ADVISORY  WRITE 5978 fe:00:10051585 1073741824 1073742335
2: FLOCK  ADVISORY  WRITE 5913 fe:00:6219533 0 EOF
2: -> FLOCK  ADVISORY  WRITE 5926 fe:00:6219533 0 EOF
2:  -> FLOCK  ADVISORY  WRITE 5966 fe:00:6219533 0 EOF
3: FLOCK  ADVISORY  WRITE 5805 fe:00:6235036 0 EOF
3: -> FLOCK  ADVISORY  READ 7 fe:00:6235036 0 EOF
4: -> FLOCK
";
        assert_eq!(blocked_at(locks, &[6219533]), [5926, 5966].into());
        assert_eq!(blocked_at(locks, &[6235036, 1]), [7].into());
        assert!(blocked_at(locks, &[]).is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn waits_for_a_command_of_this_cache_and_for_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (mine, other) = (dir.path().join("mine"), dir.path().join("other"));
        for cache in [&mine, &other] {
            std::fs::create_dir(cache).unwrap();
        }
        let go = dir.path().join("go");
        let sleep = ["/usr/bin/sleep", "/bin/sleep"];
        let sleep = sleep.into_iter().find(|path| Path::new(path).exists());
        std::fs::copy(sleep.unwrap(), &go).unwrap();
        let mut child = std::process::Command::new(&go)
            .arg("0.3")
            .env("GOMODCACHE", &mine)
            .spawn()
            .unwrap();
        // The kernel knows its name a moment before it knows its variables; until
        // then it may be a command of any cache.
        let named = || process_named_go(child.id());
        let told = || std::fs::read(format!("/proc/{}/environ", child.id())).unwrap();
        while named().is_none() || told().is_empty() {
            std::thread::sleep(PAUSE);
        }
        let process = named().unwrap();
        assert!(Readers::of(&mine).running().contains(&process));
        assert!(!Readers::of(&other).running().contains(&process));
        let mut readers = Readers::of(&mine);
        readers.wait(std::iter::empty());
        assert!(readers.left < IN_ALL);
        assert!(!readers.running().contains(&process));
        child.wait().unwrap();
    }
}
