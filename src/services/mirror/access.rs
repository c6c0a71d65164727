//! Who asked for which version: heat from a web server's access log, or from
//! the ledger of a cache that the mirror fills.
//!
//! Of logs, read are the common and the combined log format (`%h %l %u %t "%r" %>s %b`
//! and more behind it), as Apache, nginx, Caddy's and Athens' front ends write
//! them. Log lines are what strangers sent: nothing in them is trusted.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufRead};

use chrono::{DateTime, Utc};

use super::Mirror;
use crate::formats::module::{ModuleVersion, unescape_path, unescape_version};
use crate::services::heat::{Heat, WINDOW};
use crate::usage::ledger::Ledger;

/// A longer line is skipped.
const MAX_LINE: u64 = 64 << 10;

/// Requests per version.
#[derive(Debug, Clone, Default)]
pub struct Accesses {
    by_version: BTreeMap<ModuleVersion, Seen>,
    /// The first request or job known of; what was before is unknown.
    since: Option<DateTime<Utc>>,
    /// Lines read, and lines not understood.
    pub lines: u64,
    /// Lines that are not of a known format.
    pub odd: u64,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    recent: u32,
    last: DateTime<Utc>,
}

impl Accesses {
    /// Adds a log. Counted are successful requests for `.mod` and `.zip`
    /// files of versions that the mirror has; `.info` and `list` are asked
    /// for by who only looks.
    ///
    /// # Errors
    /// When the log cannot be read to its end.
    pub fn read(
        &mut self,
        log: impl BufRead,
        mirror: &Mirror,
        now: DateTime<Utc>,
    ) -> io::Result<()> {
        let known = mirror.versions.iter();
        let known: HashSet<&str> = known.map(|version| version.id.path.as_str()).collect();
        let mut log = log;
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = io::Read::take(&mut log, MAX_LINE).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(());
            }
            self.lines += 1;
            if read as u64 == MAX_LINE && line.last() != Some(&b'\n') {
                self.odd += 1;
                skip_line(&mut log)?;
                continue;
            }
            let text = String::from_utf8_lossy(&line);
            let Some((time, request)) = parse_line(text.trim_end()) else {
                self.odd += 1;
                continue;
            };
            self.since = Some(self.since.map_or(time, |since| since.min(time)));
            let Some((address, version)) = request.and_then(parse_target) else {
                continue;
            };
            let Some(path) = known_module(address, &known) else {
                continue;
            };
            let id = ModuleVersion::new(path, version);
            let seen = self.by_version.entry(id).or_insert(Seen {
                recent: 0,
                last: time,
            });
            seen.last = seen.last.max(time);
            if now.signed_duration_since(time) <= WINDOW {
                seen.recent = seen.recent.saturating_add(1);
            }
        }
    }

    /// Adds what the jobs of a cache used.
    pub fn add(&mut self, ledger: &Ledger, now: DateTime<Utc>) {
        let Some(first) = ledger.jobs.first() else {
            return;
        };
        self.since = Some(self.since.map_or(first.at, |since| since.min(first.at)));
        for (id, recent, last) in ledger.recent_uses(now) {
            let seen = self
                .by_version
                .entry(id)
                .or_insert(Seen { recent: 0, last });
            seen.recent = seen.recent.saturating_add(recent);
            seen.last = seen.last.max(last);
        }
    }

    /// Whether nothing is known of any access.
    #[cfg(feature = "remote")]
    pub fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    /// What is known of a version's accesses.
    pub fn heat(&self, id: &ModuleVersion, stored: DateTime<Utc>, now: DateTime<Utc>) -> Heat {
        let mut heat = Heat::of(stored, &[], false, now);
        if let Some(seen) = self.by_version.get(id) {
            heat.count = heat.count.saturating_add(seen.recent);
            heat.last = heat.last.max(seen.last.min(now));
        }
        heat.exact = self.since.is_some_and(|since| since <= now - WINDOW);
        heat
    }
}

fn skip_line(log: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = log.fill_buf()?;
        let (used, done) = match buffer.iter().position(|&byte| byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        log.consume(used);
        if done {
            return Ok(());
        }
    }
}

/// The time of a line, and the address asked for if it was got.
fn parse_line(line: &str) -> Option<(DateTime<Utc>, Option<&str>)> {
    let (_, rest) = line.split_once('[')?;
    let (time, rest) = rest.split_once(']')?;
    let time = DateTime::parse_from_str(time, "%d/%b/%Y:%H:%M:%S %z").ok()?;
    let (request, rest) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
    let status = rest.split_whitespace().next()?;
    if status.len() != 3 || !status.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut words = request.split(' ');
    let got = words.next() == Some("GET") && matches!(status, "200" | "206" | "304");
    Some((time.to_utc(), words.next().filter(|_| got)))
}

/// Reads `…/MODULE/@v/VERSION.zip`: what is before `/@v/`, escaped, and the version.
fn parse_target(target: &str) -> Option<(&str, String)> {
    let path = target.split(['?', '#']).next()?;
    let (module, file) = path.rsplit_once("/@v/")?;
    let version = file
        .strip_suffix(".zip")
        .or_else(|| file.strip_suffix(".mod"))?;
    Some((module, unescape_version(version).ok()?))
}

/// The module that an address names. What stands before the module path, such
/// as `/artifactory/api/go/all/`, differs by server: the longest tail that
/// the mirror has is it.
fn known_module(address: &str, known: &HashSet<&str>) -> Option<String> {
    let mut tail = address;
    loop {
        if let Some(path) = unescape_path(tail)
            .ok()
            .filter(|path| known.contains(path.as_str()))
        {
            return Some(path);
        }
        tail = tail.split_once('/')?.1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::mirror::testing::{mirror, now};

    fn line(time: &str, request: &str, status: u16) -> String {
        format!("10.0.0.1 - - [{time}] \"{request}\" {status} 123 \"-\" \"Go-http-client/1.1\"\n")
    }

    #[test]
    fn successful_requests_for_content_are_counted() {
        let mirror = mirror(&[
            "github.com/BurntSushi/toml@v1.3.2",
            "golang.org/x/mod@v0.9.0",
        ]);
        let toml = "/github.com/!burnt!sushi/toml/@v/v1.3.2";
        let log = [
            line(
                "01/Jan/2026:00:00:00 +0000",
                &format!("GET {toml}.zip HTTP/1.1"),
                200,
            ),
            line(
                "14/Jun/2026:10:00:00 +0200",
                &format!("GET {toml}.zip HTTP/1.1"),
                200,
            ),
            line(
                "14/Jun/2026:10:00:01 +0000",
                &format!("GET /api/go/all{toml}.mod?x=1 HTTP/1.1"),
                304,
            ),
            // Not these:
            line(
                "14/Jun/2026:11:00:00 +0000",
                &format!("GET {toml}.info HTTP/1.1"),
                200,
            ),
            line(
                "14/Jun/2026:11:00:00 +0000",
                &format!("HEAD {toml}.zip HTTP/1.1"),
                200,
            ),
            line(
                "14/Jun/2026:11:00:00 +0000",
                &format!("GET {toml}.zip HTTP/1.1"),
                404,
            ),
            line(
                "14/Jun/2026:11:00:00 +0000",
                "GET /golang.org/x/mod/@v/list HTTP/1.1",
                200,
            ),
            line(
                "14/Jun/2026:11:00:00 +0000",
                "GET /unknown/@v/v1.0.0.zip HTTP/1.1",
                200,
            ),
            line(
                "14/Jun/2026:11:00:00 +0000",
                "GET /golang.org/x/mod/@v/../../x.zip HTTP/1.1",
                200,
            ),
            line("14/Jun/2026:11:00:00 +0000", "GET", 200),
            "no log line\n".into(),
            line("soon", "GET / HTTP/1.1", 200),
            format!("{}\n", "x".repeat(200_000)),
        ]
        .concat();
        let mut accesses = Accesses::default();
        accesses.read(log.as_bytes(), &mirror, now()).unwrap();
        assert_eq!((accesses.lines, accesses.odd), (13, 3));
        let stored = "2026-01-01T00:00:00Z".parse().unwrap();
        let heat = accesses.heat(&mirror.versions[0].id, stored, now());
        assert_eq!((heat.count, heat.exact), (2, true));
        assert_eq!(heat.last.to_rfc3339(), "2026-06-14T10:00:01+00:00");
        let cold = accesses.heat(&mirror.versions[1].id, stored, now());
        assert_eq!((cold.count, cold.last), (0, stored));
    }

    #[test]
    fn a_short_log_is_not_the_whole_story() {
        let mirror = mirror(&["golang.org/x/mod@v0.9.0"]);
        let mut accesses = Accesses::default();
        let log = line("14/Jun/2026:10:00:00 +0000", "GET /x HTTP/1.1", 200);
        accesses.read(log.as_bytes(), &mirror, now()).unwrap();
        let stored = "2026-01-01T00:00:00Z".parse().unwrap();
        assert!(!accesses.heat(&mirror.versions[0].id, stored, now()).exact);
    }

    proptest::proptest! {
        #[test]
        fn any_log_is_taken(log in "[ -~\\[\\]\"/@v\n]{0,300}") {
            let mirror = mirror(&["golang.org/x/mod@v0.9.0"]);
            Accesses::default().read(log.as_bytes(), &mirror, now()).unwrap();
        }
    }
}
