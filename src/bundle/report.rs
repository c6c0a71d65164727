//! What `pack` says: as JSON, or for people.

use super::gather::{Damaged, Missing};
use super::manifest::Manifest;
use crate::report::{Tool, Verdict};
use crate::text::escape::terminal;
use bytesize::ByteSize;
use serde::Serialize;
use std::fmt::Write;

/// Lines of one kind that are shown to people; JSON has all.
const SHOWN: usize = 50;

/// The result of a `pack`, version 1.
#[derive(Debug, Serialize)]
pub(crate) struct PackReport {
    /// `gocachevet.pack-report/1`
    pub(super) schema: &'static str,
    pub(super) tool: Tool,
    pub(crate) verdict: Verdict,
    /// `pack`, `check` or `into`
    pub(super) action: &'static str,
    /// The bundle.
    pub(super) bundle: String,
    /// Where it was unpacked to.
    pub(crate) into: Option<String>,
    /// SHA-256 of its manifest; `null` if there is none.
    pub(super) digest: Option<String>,
    pub(super) shape: Option<super::Shape>,
    /// Module versions with their sources.
    pub(super) modules: Option<u64>,
    pub(super) files: Option<u64>,
    /// Sum of the files' lengths, before compression.
    pub(super) bytes: Option<u64>,
    /// Needed, and not in the cache.
    pub(crate) missing: Vec<Missing>,
    /// The command that fetches it.
    pub(crate) fetch: Option<String>,
    /// There, but not what it should be.
    pub(crate) damaged: Vec<Damaged>,
    pub(crate) notes: Vec<String>,
}

impl PackReport {
    pub(crate) fn new(action: &'static str, bundle: String) -> PackReport {
        PackReport {
            schema: "gocachevet.pack-report/1",
            tool: Tool::this(),
            verdict: Verdict::Pass,
            action,
            bundle,
            into: None,
            digest: None,
            shape: None,
            modules: None,
            files: None,
            bytes: None,
            missing: Vec::new(),
            fetch: None,
            damaged: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn tell(&mut self, manifest: &Manifest, digest: String) {
        self.digest = Some(digest);
        self.shape = Some(manifest.shape);
        self.modules = Some(manifest.modules.len() as u64);
        self.files = Some(manifest.files.len() as u64);
        self.bytes = Some(manifest.bytes());
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let failed = self.verdict == Verdict::Fail;
        match (self.action, failed) {
            ("pack", false) => writeln!(out, "packed {}", terminal(&self.bundle))?,
            ("pack", true) => writeln!(out, "not packed: {}", terminal(&self.bundle))?,
            (_, true) => writeln!(out, "refused: {}", terminal(&self.bundle))?,
            (_, false) => writeln!(out, "whole: {}", terminal(&self.bundle))?,
        }
        if let Some(into) = self.into.as_ref().filter(|_| !failed) {
            writeln!(out, "  unpacked into {}", terminal(into))?;
        }
        if let (Some(modules), Some(files), Some(bytes)) = (self.modules, self.files, self.bytes) {
            let size = ByteSize(bytes).display().si();
            writeln!(out, "  {modules} module versions, {files} files, {size}")?;
        }
        if let Some(digest) = &self.digest {
            writeln!(out, "  digest {digest}")?;
        }
        if !self.missing.is_empty() {
            let count = self.missing.len();
            writeln!(out, "missing: {count} files that the projects need")?;
            for missing in self.missing.iter().take(SHOWN) {
                let id = format!("{}@{}", missing.module, missing.version);
                let (id, piece) = (terminal(&id), missing.piece);
                writeln!(out, "  {id}  .{piece}  {}", missing.why)?;
            }
            more(out, count)?;
        }
        if let Some(fetch) = &self.fetch {
            writeln!(out, "fetch them with\n  {}", terminal(fetch))?;
        }
        if !self.damaged.is_empty() {
            let count = self.damaged.len();
            writeln!(out, "wrong: {count}")?;
            for damaged in self.damaged.iter().take(SHOWN) {
                let (subject, message) = (terminal(&damaged.subject), terminal(&damaged.message));
                match subject.is_empty() {
                    true => writeln!(out, "  {message}")?,
                    false => writeln!(out, "  {subject}: {message}")?,
                }
            }
            more(out, count)?;
        }
        for note in &self.notes {
            writeln!(out, "note: {}", terminal(note))?;
        }
        Ok(())
    }
}

fn more(out: &mut String, count: usize) -> std::fmt::Result {
    match count.saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more"),
    }
}
