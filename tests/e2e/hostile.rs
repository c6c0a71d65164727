//! Traps that would take hours or all memory to look at: what could not be
//! valid is not read. The figures are bytes that went through a hash.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::zip::{End, Form, Part, part, zip};
use support::{Caches, Project, build_cache, make_writable};

const SPARSE: u64 = 20 << 30;
const MODULE: &str = "gopkg.in/yaml.v3";
const VERSION: &str = "v3.0.1";

struct Trap {
    caches: Caches,
    /// What a check of the sound cache hashed.
    sound: u64,
}

impl Trap {
    fn new() -> Trap {
        let caches = build_cache(Project::Hello);
        make_writable(&caches.modcache);
        let mut trap = Trap { caches, sound: 0 };
        let report = trap.check("full", 0);
        trap.sound = hashed(&report);
        trap
    }

    fn check(&self, level: &str, code: i32) -> Value {
        let run = self.caches.env.gocachevet();
        let run = run
            .args([
                "check",
                "--format=json",
                "--no-project-config",
                "--verify",
                level,
            ])
            .args(["--project".as_ref(), self.caches.project.as_path()])
            .run()
            .expect_code(code);
        let mut report = run.json();
        report["findings"] = support::complaints(&report).into();
        report
    }

    fn trim_repair(&self) -> Value {
        let run = self.caches.env.gocachevet();
        run.args(["trim", "--repair", "--format=json", "--no-project-config"])
            .args(["--project".as_ref(), self.caches.project.as_path()])
            .run()
            .expect_code(0)
            .json()
    }

    fn zip(&self) -> PathBuf {
        let folder = format!("cache/download/{MODULE}/@v/{VERSION}.zip");
        self.caches.modcache.join(folder)
    }

    fn tree(&self) -> PathBuf {
        self.caches.modcache.join(format!("{MODULE}@{VERSION}"))
    }

    /// An output that an entry names with its size, and the entry.
    fn output(&self) -> (PathBuf, PathBuf) {
        let files = files(&self.caches.gocache);
        let actions = files
            .iter()
            .filter(|path| path.to_string_lossy().ends_with("-a"));
        let mut named = actions.filter_map(|action| {
            let text = fs::read_to_string(action).ok()?;
            let id = text.split_whitespace().nth(2)?.to_owned();
            let output = self.caches.gocache.join(&id[..2]).join(format!("{id}-d"));
            let len = output.metadata().ok().filter(fs::Metadata::is_file)?.len();
            (len > 1000).then(|| (output, action.clone()))
        });
        named.next().unwrap()
    }

    /// Puts an output into the cache that no entry names.
    fn orphan(&self, id: &str, len: u64) -> PathBuf {
        let path = self.caches.gocache.join(&id[..2]).join(format!("{id}-d"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        stretch(&path, len);
        path
    }
}

fn files(root: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(root).sort_by_file_name().into_iter();
    let paths = entries.map(|entry| entry.unwrap().into_path());
    paths.filter(|path| path.is_file()).collect()
}

fn hashed(report: &Value) -> u64 {
    report["verification"]["bytes_hashed"].as_u64().unwrap()
}

fn rules(report: &Value) -> BTreeSet<(&str, &str)> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|it| (it["rule"].as_str().unwrap(), it["level"].as_str().unwrap()))
        .collect()
}

/// Makes a file so long, of zeros that take no space.
fn stretch(path: &Path, len: u64) {
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(len).unwrap();
}

fn zeros(name: &str, len: usize) -> Part {
    part(
        &format!("{MODULE}@{VERSION}/{name}"),
        &vec![0; len],
        Form::Packed,
    )
}

/// A megabyte of a zip in which many entries share one content.
fn bomb(content: usize, entries: usize) -> Vec<u8> {
    let kernel = zeros("a", content);
    let mut parts = vec![kernel.clone()];
    parts.extend((1..entries).map(|index| Part {
        name: format!("{MODULE}@{VERSION}/{index}").into_bytes(),
        at: Some(0),
        ..kernel.clone()
    }));
    zip(&parts, &End::default())
}

#[test]
fn a_bomb_of_overlapping_entries_is_refused_unread() {
    let trap = Trap::new();
    // One whose sum is far over Go's limit, and one that keeps it by what it says.
    for (content, entries) in [(20 << 20, 8000), (60_000, 8000)] {
        let bomb = bomb(content, entries);
        assert!(bomb.len() < 1 << 20, "{}", bomb.len());
        fs::write(trap.zip(), bomb).unwrap();
        for level in ["used", "full"] {
            let report = trap.check(level, 1);
            assert_eq!(
                rules(&report),
                [("zip-invalid", "deny")].into(),
                "{report:#}"
            );
            // The tree was still read; of the zip nothing was.
            assert!(hashed(&report) <= trap.sound, "{}", hashed(&report));
        }
        // Without a tree the zip would be all there is.
        let aside = trap.caches.env.dir().join("aside");
        fs::rename(trap.tree(), &aside).unwrap();
        let report = trap.check("full", 1);
        assert_eq!(
            rules(&report),
            [("zip-invalid", "deny")].into(),
            "{report:#}"
        );
        assert!(hashed(&report) < trap.sound);
        fs::rename(&aside, trap.tree()).unwrap();
    }
}

#[test]
fn a_zip_that_says_one_size_and_holds_another_is_not_inflated_further() {
    let trap = Trap::new();
    let mut bomb = zeros("a", 40 << 20);
    (bomb.size, bomb.local.size) = (10, 10);
    fs::write(trap.zip(), zip(&[bomb], &End::default())).unwrap();
    let report = trap.check("full", 1);
    assert!(
        rules(&report).contains(&("zip-invalid", "deny")),
        "{report:#}"
    );
    assert!(hashed(&report) <= trap.sound);
}

#[test]
fn a_file_in_a_tree_is_not_read_beyond_what_it_can_be() {
    let trap = Trap::new();
    let file = trap.tree().join("README.md");
    let content = fs::read(&file).unwrap();
    for level in ["used", "full"] {
        stretch(&file, SPARSE);
        let report = trap.check(level, 1);
        assert_eq!(rules(&report), [("extracted-hash-mismatch", "deny")].into());
        let finding = &report["findings"][0];
        let message = finding["message"].as_str().unwrap();
        assert!(message.contains("(changed: README.md)"), "{message}");
        let actual = finding["actual"].as_str().unwrap();
        assert!(
            actual.starts_with("README.md of 21474836480 bytes"),
            "{actual}"
        );
        // At level `used` the zip was read to name the file.
        assert!(hashed(&report) <= 2 * trap.sound, "{}", hashed(&report));
        fs::write(&file, &content).unwrap();

        let added = trap.tree().join("added.go");
        fs::write(&added, "package yaml\n").unwrap();
        stretch(&added, SPARSE);
        let report = trap.check(level, 1);
        assert_eq!(rules(&report), [("extracted-hash-mismatch", "deny")].into());
        assert!(hashed(&report) <= 2 * trap.sound, "{}", hashed(&report));
        fs::remove_file(&added).unwrap();
    }
    // Neither without a zip.
    fs::remove_file(trap.zip()).unwrap();
    stretch(&file, SPARSE);
    let report = trap.check("full", 1);
    assert_eq!(rules(&report), [("extracted-hash-mismatch", "deny")].into());
    assert!(hashed(&report) <= trap.sound);
    fs::write(&file, &content).unwrap();
    trap.check("full", 0);
}

#[test]
fn an_output_is_not_read_beyond_what_its_entry_says() {
    let trap = Trap::new();
    let (output, _) = trap.output();
    stretch(&output, SPARSE);
    let report = trap.check("full", 0);
    assert_eq!(rules(&report), [("output-size-mismatch", "warn")].into());
    assert_eq!(report["verdict"], "warn");
    assert_eq!(report["verification"]["failed"], 0);
    assert!(hashed(&report) <= trap.sound);
    // Go takes it for a miss.
    trap.caches.build_offline();
    assert!(output.metadata().unwrap().len() < SPARSE);
    trap.check("full", 0);

    // One that no entry names is noted, and not hashed for it.
    let orphan = trap.orphan(&"ab".repeat(32), SPARSE);
    let report = trap.check("full", 0);
    assert_eq!(rules(&report), [("output-orphan", "note")].into());
    let message = report["findings"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("1 of them (21474836480 bytes) were not hashed"),
        "{message}"
    );
    assert!(hashed(&report) <= trap.sound);
    fs::remove_file(orphan).unwrap();
}

#[test]
fn damaged_outputs_that_no_entry_names_are_a_note() {
    let trap = Trap::new();
    // What a full disk leaves, and one with content.
    let left: Vec<PathBuf> = (0..40)
        .map(|index| trap.orphan(&format!("{index:02x}").repeat(32), 0))
        .chain([trap.orphan(&"fe".repeat(32), 5000)])
        .collect();
    for (level, seen) in [("quick", 40), ("full", 41)] {
        let report = trap.check(level, 0);
        assert_eq!(report["verdict"], "pass");
        assert_eq!(report["verification"]["failed"], 0);
        let expected = [("output-hash-mismatch", "note"), ("output-orphan", "note")];
        assert_eq!(rules(&report), expected.into(), "{report:#}");
        assert_eq!(report["findings"].as_array().unwrap().len(), seen + 1);
    }
    let report = trap.trim_repair();
    assert_eq!(report["outcome"]["removed"], 41, "{report:#}");
    assert!(left.iter().all(|path| !path.exists()));
    let report = trap.check("full", 0);
    assert_eq!(rules(&report), BTreeSet::new());
    trap.caches.build_offline();
}

/// Go links what an entry names with its size, whatever is in it.
#[test]
fn an_output_of_the_right_size_and_other_content_is_denied() {
    let trap = Trap::new();
    let (output, _) = trap.output();
    let mut content = fs::read(&output).unwrap();
    let last = content.len() - 1;
    content[last] ^= 1;
    fs::set_permissions(&output, Permissions::from_mode(0o644)).unwrap();
    fs::write(&output, content).unwrap();
    let report = trap.check("full", 1);
    assert_eq!(rules(&report), [("output-hash-mismatch", "deny")].into());
    assert_eq!(report["verification"]["failed"], 1);
}

/// A zip of so many empty files, sound in every way.
fn many(prefix: &str, count: u32) -> Vec<u8> {
    let (mut contents, mut directory) = (Vec::new(), Vec::new());
    let name_len = u16::try_from(prefix.len() + 8).unwrap().to_le_bytes();
    for index in 0..count {
        let at = u32::try_from(contents.len()).unwrap().to_le_bytes();
        let name = format!("{prefix}{index:08x}");
        contents.extend_from_slice(b"PK\x03\x04\x14\0\0\0\0\0\0\0\x21\0\0\0\0\0\0\0\0\0\0\0\0\0");
        contents.extend([name_len, [0; 2]].concat());
        contents.extend_from_slice(name.as_bytes());
        directory
            .extend_from_slice(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\x21\0\0\0\0\0\0\0\0\0\0\0\0\0");
        directory.extend([name_len, [0; 2], [0; 2], [0; 2], [0; 2], [0; 2], [0; 2]].concat());
        directory.extend_from_slice(&at);
        directory.extend_from_slice(name.as_bytes());
    }
    let [offset, size] = [contents.len(), directory.len()].map(|len| len as u64);
    let count = u64::from(count);
    let end = offset + size;
    contents.extend(directory);
    contents.extend_from_slice(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
    contents.extend([count, count, size, offset].map(u64::to_le_bytes).concat());
    contents.extend_from_slice(b"PK\x06\x07\0\0\0\0");
    contents.extend(end.to_le_bytes());
    contents.extend_from_slice(b"\x01\0\0\0PK\x05\x06\0\0\0\0");
    contents.extend([0xff; 12]);
    contents.extend([0; 2]);
    contents
}

/// The most memory that a check of `modcache` took, in kB, and its report.
fn peak(modcache: &Path, gocache: &Path, code: i32) -> (u64, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gocachevet"))
        .env_clear()
        .args([
            "check",
            "--jobs=4",
            "--format=json",
            "--no-project-config",
            "--verify=full",
        ])
        .args(["--modcache".as_ref(), modcache])
        .args(["--gocache".as_ref(), gocache])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let report = std::thread::spawn(move || {
        let mut report = Vec::new();
        stdout.read_to_end(&mut report).unwrap();
        report
    });
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    let ended = loop {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = peak.max(kilobytes.unwrap_or(0));
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    assert_eq!(ended.code(), Some(code));
    (
        peak,
        serde_json::from_slice(&report.join().unwrap()).unwrap(),
    )
}

/// Several zips of very many entries are looked at one at a time, and each
/// takes little more than its list of entries.
#[test]
fn zips_of_very_many_entries_take_little_memory() {
    let scratch = support::Scratch::new();
    let [modcache, gocache] = ["modcache", "gocache"].map(|name| scratch.path().join(name));
    let folder = modcache.join("cache/download/example.com/m/@v");
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(&gocache).unwrap();
    let (nothing, _) = peak(&modcache, &gocache, 0);
    for patch in 0..4 {
        let version = format!("v1.0.{patch}");
        let zip = many(&format!("example.com/m@{version}/"), 120_000);
        fs::write(folder.join(format!("{version}.zip")), zip).unwrap();
        // A hash that the zip does not have: it is read to its end.
        let h1 = format!("h1:{}=", "A".repeat(43));
        fs::write(folder.join(format!("{version}.ziphash")), h1).unwrap();
        fs::write(
            folder.join(format!("{version}.mod")),
            "module example.com/m\n",
        )
        .unwrap();
        let info = format!("{{\"Version\":\"{version}\"}}");
        fs::write(folder.join(format!("{version}.info")), info).unwrap();
    }
    let (all, report) = peak(&modcache, &gocache, 1);
    let findings = report["findings"].as_array().unwrap().iter();
    let mismatched = findings
        .filter(|it| it["rule"] == "zip-hash-mismatch")
        .count();
    assert_eq!(mismatched, 4, "{report:#}");
    // A fifth of what it was: 55 MB for each of four threads.
    assert!(all - nothing < 45_000, "{nothing} kB, then {all} kB");
}
