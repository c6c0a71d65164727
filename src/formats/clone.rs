//! Version-control clones in `cache/vcs`: their names, and the settings in them
//! that make git, hg, bzr or fossil do something.
//!
//! Source: `cmd/go/internal/modfetch/codehost` (`WorkDir`, `newGitRepo`,
//! `ensureGitAttributes`, `vcsCmds`). Go starts the programs in the clone's
//! folder, and they do what its settings say: run commands, include other
//! files, fetch from elsewhere. A list of the settings that do so would never be
//! whole. What Go's own commands write is short, so that is what is allowed, in
//! the form in which git writes it; nothing else is.

use super::hex;
use sha2::{Digest, Sha256};

/// The longest settings file that is read. Go's own have 200 bytes.
pub const MAX_SETTINGS: u64 = 64 << 10;

/// What Go appends to `info/attributes` before it makes an archive.
pub const GIT_ATTRIBUTES: &[u8] = b"\n* -export-subst -export-ignore\n";

/// What a clone is of, as its `.info` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloneOf {
    /// Which program works in it.
    pub vcs: Vcs,
    /// The remote repository.
    pub url: String,
}

/// The version-control programs that Go starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vcs {
    /// A bare repository.
    Git,
    /// Mercurial, in `.hg`.
    Hg,
    /// Bazaar, in `.bzr`.
    Bzr,
    /// A database, `.fossil`.
    Fossil,
    /// Subversion: Go keeps no checkout, the folder stays empty.
    Svn,
}

impl CloneOf {
    /// Reads the text of a clone's `.info` and holds it against the folder's
    /// name, which is the hash of it.
    ///
    /// # Errors
    /// What is wrong, in words that follow "the clone's .info".
    pub fn parse(folder: &str, info: &str) -> Result<CloneOf, String> {
        let key = info.strip_suffix('\n').unwrap_or(info);
        let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let mut name = String::new();
        // Writing to a text cannot fail.
        let _ = hex::write(&digest, &mut name);
        if name != folder {
            return Err(
                "names another repository than the folder's name, which is its hash".to_owned(),
            );
        }
        let (kind, url) = key
            .split_once(':')
            .ok_or("names no repository".to_owned())?;
        let vcs = match kind {
            "git3" => Vcs::Git,
            "vcs1.hg" => Vcs::Hg,
            "vcs1.bzr" => Vcs::Bzr,
            "vcs1.fossil" => Vcs::Fossil,
            "vcs1.svn" => Vcs::Svn,
            other => {
                return Err(format!(
                    "names a kind of clone that Go does not make: {other}"
                ));
            }
        };
        Ok(CloneOf {
            vcs,
            url: url.to_owned(),
        })
    }
}

/// What a git configuration says beyond what `git init --bare` and `git remote
/// add origin` write, each in words that follow "the clone's config".
pub fn git_config_problems(content: &[u8], url: &str) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(content) else {
        return vec!["is not text".to_owned()];
    };
    let mut problems = Vec::new();
    let mut section = String::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if let Some(name) = header(line) {
            section = name;
            continue;
        }
        let Some((key, value)) = setting(line) else {
            problems.push(format!(
                "has a line that git never writes: {}",
                short(line.trim())
            ));
            continue;
        };
        let name = format!("{section}.{}", key.to_lowercase());
        if name == "remote.origin.url" && value != url {
            problems.push(format!(
                "fetches from {} instead of {}",
                short(value),
                short(url)
            ));
        } else if !is_gos_own(&name, value, url) {
            problems.push(format!(
                "sets {} to {}, which Go does not",
                short(&name),
                short(value)
            ));
        }
    }
    problems
}

/// `remote.origin` of `[remote "origin"]`.
fn header(line: &str) -> Option<String> {
    let inner = line.strip_prefix('[')?.strip_suffix(']')?;
    match inner.split_once(' ') {
        None => is_word(inner).then(|| inner.to_lowercase()),
        Some((section, sub)) => {
            let sub = sub.strip_prefix('"')?.strip_suffix('"')?;
            let is_plain = is_word(section) && !sub.contains(['"', '\\', '[', ']']);
            is_plain.then(|| format!("{}.{sub}", section.to_lowercase()))
        }
    }
}

/// Key and value of a setting that has its line to itself.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_prefix('\t')?.split_once(" = ")?;
    Some((key, plain(value)?)).filter(|_| is_word(key))
}

fn is_word(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    !text.is_empty() && text.bytes().all(inner)
}

/// A value as git writes it: in quotes if it has `;` or `#`. What git would
/// write with a backslash is in no setting of Go's.
fn plain(value: &str) -> Option<&str> {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let bare = inner.unwrap_or(value);
    let odd = |c: char| matches!(c, '"' | '\\') || c.is_control();
    let comment = |c: char| matches!(c, '#' | ';');
    let is_plain = !bare.contains(odd) && (inner.is_some() || !bare.contains(comment));
    is_plain.then_some(bare)
}

/// Whether Go's commands, or git's `init` on some system, write this setting.
fn is_gos_own(name: &str, value: &str, url: &str) -> bool {
    let is_bool = matches!(value, "true" | "false");
    match name {
        "core.repositoryformatversion" => matches!(value, "0" | "1"),
        "core.bare" => value == "true",
        "core.filemode"
        | "core.ignorecase"
        | "core.precomposeunicode"
        | "core.symlinks"
        | "core.longpaths" => is_bool,
        "extensions.objectformat" => matches!(value, "sha1" | "sha256"),
        "extensions.refstorage" => matches!(value, "files" | "reftable"),
        "remote.origin.url" => value == url,
        "remote.origin.fetch" => value == "+refs/heads/*:refs/remotes/origin/*",
        _ => false,
    }
}

/// Whether `info/attributes` is as Go leaves it.
pub fn is_gos_attributes(content: &[u8]) -> bool {
    content
        .chunks(GIT_ATTRIBUTES.len())
        .all(|part| part == GIT_ATTRIBUTES)
}

/// Whether `.hg/hgrc` is the one that Go writes (`hgAddRemote`).
pub fn is_gos_hgrc(content: &[u8], url: &str) -> bool {
    content == format!("[paths]\ndefault = {url}\n").as_bytes()
}

/// Whether `.bzr/branch/branch.conf` holds nothing but where the branch came from.
pub fn is_gos_branch_conf(content: &[u8], url: &str) -> bool {
    let Ok(text) = std::str::from_utf8(content) else {
        return false;
    };
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .all(|line| {
            line.split_once('=').is_some_and(|(key, value)| {
                key.trim() == "parent_location"
                    && value.trim().trim_end_matches('/') == url.trim_end_matches('/')
            })
        })
}

/// Settings by which a fossil repository makes fossil run a program or a script.
const FOSSIL_SETTINGS: &[&str] = &[
    "backoffice-logfile",
    "diff-command",
    "editor",
    "email-send-command",
    "gdiff-command",
    "gmerge-command",
    "hooks",
    "pgp-command",
    "proxy",
    "ssh-command",
    "tcl-setup",
    "tclsh",
    "th1-hooks",
    "th1-setup",
    "web-browser",
];

/// More bytes than a record has from its head to the end of a setting's name:
/// so much of one piece of a database belongs before the next.
pub const FOSSIL_OVERLAP: usize = 48;

/// The settings in a piece of a fossil repository that make fossil run something.
///
/// It is an SQLite database, which is not read as one here: a setting's name is
/// looked for as a record has it, with the name's length before it. Deleted
/// records are found as well; a fresh clone has neither.
pub fn fossil_settings(piece: &[u8]) -> Vec<&'static str> {
    let mut begins = [false; 256];
    for first in FOSSIL_SETTINGS
        .iter()
        .filter_map(|name| name.bytes().next())
    {
        if let Some(slot) = begins.get_mut(usize::from(first)) {
            *slot = true;
        }
    }
    let is_record = |at: usize, name: &str| {
        // The serial type of a text of n bytes is 13 + 2n. Between it and the
        // name stand the types of a value and a time, a few bytes each.
        let serial = u8::try_from(13 + 2 * name.len()).unwrap_or(u8::MAX);
        let before = piece.get(at.saturating_sub(12)..at).unwrap_or_default();
        before.contains(&serial)
    };
    let mut found = Vec::new();
    for (at, first) in piece.iter().enumerate() {
        if begins.get(usize::from(*first)) != Some(&true) {
            continue;
        }
        let rest = piece.get(at..).unwrap_or_default();
        for &name in FOSSIL_SETTINGS {
            if rest.starts_with(name.as_bytes()) && is_record(at, name) && !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

/// Text from a hostile file, short enough for a sentence.
fn short(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const URL: &str = "https://example.com/team/m";

    fn hash(text: &str) -> String {
        let digest = Sha256::digest(text.as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_folder_is_named_by_what_it_clones() {
        // As Go named it.
        let folder = "f3946b2a7a0958afff2b5661e13a943cd094c0916fcc7fe450fdf3eeeab1930d";
        let info = format!("git3:{URL}");
        let clone = CloneOf::parse(folder, &info).unwrap();
        assert_eq!((clone.vcs, &*clone.url), (Vcs::Git, URL));
        assert_eq!(CloneOf::parse(folder, &format!("{info}\n")), Ok(clone));
        assert!(CloneOf::parse(folder, "git3:https://example.com/else").is_err());
        let odd = "vcs9:x";
        assert!(
            CloneOf::parse(&hash(odd), odd)
                .unwrap_err()
                .contains("vcs9")
        );
    }

    /// What git 2.39 and 2.51 leave on Linux, macOS and Windows.
    const OWN: &str = "[core]\n\trepositoryformatversion = 1\n\tfilemode = true\n\tbare = true\n\tignorecase = true\n\tprecomposeunicode = true\n\tsymlinks = false\n\tlongpaths = true\n[extensions]\n\tobjectformat = sha256\n\trefstorage = reftable\n[remote \"origin\"]\n\turl = https://example.com/team/m\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n";

    #[test]
    fn what_git_writes_for_go_is_allowed() {
        assert_eq!(git_config_problems(OWN.as_bytes(), URL), [""; 0]);
        let odd = "https://example.com/a;b#c";
        let quoted = format!("[remote \"origin\"]\n\turl = \"{odd}\"\n");
        assert_eq!(git_config_problems(quoted.as_bytes(), odd), [""; 0]);
    }

    #[test]
    fn whatever_else_git_would_take_is_named() {
        let cases = [
            ("[core]\n\tfsmonitor = /tmp/x\n", "core.fsmonitor"),
            ("[core]\n\tFSMonitor = /tmp/x\n", "core.fsmonitor"),
            ("[CORE]\n\thooksPath = /tmp\n", "core.hookspath"),
            ("[core]\n\tbare = false\n", "core.bare"),
            ("[core] fsmonitor = /tmp/x\n", "never writes"),
            ("[core] fsmonitor = /tmp/x #]\n", "never writes"),
            ("[core \"x\"] fsmonitor = \"]\"\n", "never writes"),
            ("[core]\n fsmonitor = /tmp/x\n", "never writes"),
            ("[core]\n\tfsmonitor=/tmp/x\n", "never writes"),
            ("[core]\n\tfsmonitor\n", "never writes"),
            ("[core]\n\tfilemode = tr\\\nue\n", "never writes"),
            ("[core]\n\tfilemode = \"tr\"ue\n", "never writes"),
            ("[core]\n\tfilemode = true # x\n", "never writes"),
            ("[include]\n\tpath = ../x\n", "include.path"),
            (
                "[includeIf \"gitdir:/\"]\n\tpath = /x\n",
                "includeif.gitdir:/.path",
            ),
            (
                "[url \"ext::sh\"]\n\tinsteadOf = https://\n",
                "url.ext::sh.insteadof",
            ),
            (
                "[remote \"origin\"]\n\tuploadpack = /tmp/x\n",
                "remote.origin.uploadpack",
            ),
            (
                "[remote \"origin\"]\n\turl = ext::sh -c x\n",
                "fetches from ext::sh -c x",
            ),
            (
                "[remote \"other\"]\n\turl = https://example.com/team/m\n",
                "remote.other.url",
            ),
            (
                "[remote.origin]\n\turl = https://example.com/team/m\n[credential]\n\thelper = !x\n",
                "credential.helper",
            ),
            ("[alias]\n\tlog = !x\n", "alias.log"),
            ("\u{feff}[core]\n", "never writes"),
            ("# a comment\n", "never writes"),
        ];
        for (planted, named) in cases {
            let config = format!("{OWN}{planted}");
            let problems = git_config_problems(config.as_bytes(), URL);
            assert!(
                problems.iter().any(|problem| problem.contains(named)),
                "{planted:?}: {problems:?}"
            );
        }
        assert_eq!(git_config_problems(b"[core]\xff", URL), ["is not text"]);
    }

    #[test]
    fn files_of_the_other_programs() {
        let hgrc = format!("[paths]\ndefault = {URL}\n");
        assert!(is_gos_hgrc(hgrc.as_bytes(), URL));
        let hooked = format!("{hgrc}[hooks]\npretxnopen = /tmp/x\n");
        assert!(!is_gos_hgrc(hooked.as_bytes(), URL));
        let conf = format!("parent_location = {URL}/\n");
        assert!(is_gos_branch_conf(conf.as_bytes(), URL));
        for wrong in [
            "stacked_on_location = /x\n",
            "parent_location = bzr+ssh://x\n",
            "x",
        ] {
            assert!(!is_gos_branch_conf(wrong.as_bytes(), URL), "{wrong}");
        }
        assert!(is_gos_attributes(b""));
        assert!(is_gos_attributes(&GIT_ATTRIBUTES.repeat(2)));
        assert!(!is_gos_attributes(b"* filter=x\n"));
    }

    #[test]
    fn settings_of_fossil_are_seen_in_its_database() {
        // A record of `config`: header, types, name, value.
        let record = b"\x05\x23\x1f\x04ssh-command/tmp/evil";
        assert_eq!(fossil_settings(record), ["ssh-command"]);
        // In an index: header, type, row.
        assert_eq!(fossil_settings(b"\x03\x17\x01hooks\x0c"), ["hooks"]);
        // In the text of a comment.
        assert_eq!(
            fossil_settings(b"Mended the hooks, and ssh-command"),
            [""; 0]
        );
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes: Vec<u8>) {
            let _ = git_config_problems(&bytes, URL);
            let _ = is_gos_attributes(&bytes);
            let _ = is_gos_branch_conf(&bytes, URL);
            let _ = fossil_settings(&bytes);
        }
    }
}
