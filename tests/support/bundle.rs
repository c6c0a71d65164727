//! Bundles: packed, taken apart, and put together again as somebody's own.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::command::Run;
use super::go::{GoEnv, Project};

/// A bundle of `hello`, made once per test from a cache filled by `go mod download`.
pub struct Packed {
    pub env: GoEnv,
    pub project: PathBuf,
}

impl Packed {
    pub fn hello() -> Self {
        Self::of(Project::Hello)
    }

    pub fn of(project: Project) -> Self {
        let env = GoEnv::new();
        let project = env.project(project);
        env.go(&project, ["mod", "download"]);
        Self { env, project }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.env.dir().join(name)
    }

    pub fn pack(&self, args: &[&str]) -> Run {
        let run = self.env.gocachevet().dir(&self.project);
        run.args(["pack", "-f", "json"]).args(args).run()
    }

    /// Packs `hello` as `name` and gives its path.
    #[track_caller]
    pub fn bundle(&self, name: &str, args: &[&str]) -> PathBuf {
        let path = self.path(name);
        let args = [&["-o", path.to_str().unwrap()], args].concat();
        self.pack(&args).expect_code(0);
        path
    }

    pub fn check(&self, bundle: &Path) -> Run {
        self.pack(&["--check", bundle.to_str().unwrap()])
    }

    pub fn unpack(&self, dir: &Path, bundle: &Path) -> Run {
        self.pack(&["--into", dir.to_str().unwrap(), bundle.to_str().unwrap()])
    }

    /// Both ways of reading a bundle refuse it, with these words, and leave nothing behind.
    #[track_caller]
    pub fn assert_refused(&self, bundle: &Path, words: &str) {
        let dir = self.path("refused");
        for run in [self.check(bundle), self.unpack(&dir, bundle)] {
            let run = run.expect_code(1);
            let report = run.json();
            let said = report["damaged"].to_string();
            assert!(said.contains(words), "{words:?} is not in {said}");
            assert_eq!(report["verdict"], "fail");
        }
        assert!(!dir.exists(), "something was left in {}", dir.display());
    }
}

/// An archive's entries, in order.
pub type Entries = Vec<(String, Vec<u8>)>;

pub fn entries(bundle: &Path) -> Entries {
    let mut archive = tar::Archive::new(fs::File::open(bundle).unwrap());
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
            (path, content)
        })
        .collect()
}

/// Writes any name and kind, as a tool of somebody's own would.
pub fn entry(out: &mut Vec<u8>, kind: tar::EntryType, path: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    if matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link) {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(512), 0);
}

pub fn archive(
    path: &Path,
    entries: &[(String, Vec<u8>)],
    more: impl FnOnce(&mut Vec<u8>),
) -> PathBuf {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, name, &content[..])
            .unwrap();
    }
    builder.get_mut();
    let mut bytes = builder.into_inner().unwrap();
    // Without its end, two blocks of zeros.
    bytes.truncate(bytes.len() - 1024);
    more(&mut bytes);
    bytes.resize(bytes.len() + 1024, 0);
    fs::write(path, bytes).unwrap();
    path.to_owned()
}

/// Packs a manifest of one's own with the pieces that belong to it.
pub fn forged(
    packed: &Packed,
    whole: &Entries,
    forge: impl FnOnce(&mut Value, &mut Entries),
) -> PathBuf {
    let mut entries = whole.clone();
    let mut manifest: Value = serde_json::from_slice(&entries[0].1).unwrap();
    forge(&mut manifest, &mut entries);
    entries[0].1 = serde_json::to_vec_pretty(&manifest).unwrap();
    let path = packed.path("forged.tar");
    archive(&path, &entries, |_| ())
}

/// SHA-256, in hex.
pub fn sha256(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Adds a file to a bundle and to its manifest's list, or takes another one's place.
pub fn plant(manifest: &mut Value, entries: &mut Entries, path: &str, content: &[u8]) {
    entries.retain(|(name, _)| name != path);
    entries.push((path.to_owned(), content.to_vec()));
    let files = manifest["files"].as_array_mut().unwrap();
    files.retain(|file| file["path"] != path);
    files.push(
        serde_json::json!({ "path": path, "bytes": content.len(), "sha256": sha256(content) }),
    );
    files.sort_by_key(|file| file["path"].as_str().unwrap().to_owned());
}
