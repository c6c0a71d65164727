//! Where an entry of the build cache comes from: what an output is, which
//! actions lead to it, and whether its content is still what its name says.

use crate::formats::action::{ActionId, EntryName, OutputId, parse_entry_name};
use crate::formats::output_kind::{HEAD_BYTES, OutputKind, TAIL_BYTES, output_kind};
use crate::scan::{Action, BuildCache, Output};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Larger outputs are hashed whole, but only so much of them is searched for
/// an import path.
const MAX_SEARCHED: usize = 64 << 20;

/// What is known of a build output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The output's ID: the SHA-256 its content should have.
    pub id: String,
    /// Where it lies.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// What it is: `package`, `executable`, `test result`, and so on.
    pub kind: String,
    /// More about it, as far as its content shows: import path, target, Go version.
    pub details: Vec<String>,
    /// The SHA-256 its content has; equal to `id` unless it is damaged.
    pub sha256: String,
    /// Whether its content is what its name says.
    pub intact: bool,
    /// The actions that lead to it.
    pub actions: Vec<OutputOrigin>,
}

/// An action that leads to an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutputOrigin {
    /// The action's ID.
    pub id: String,
    /// When it was carried out.
    pub made: Option<DateTime<Utc>>,
    /// When it was last used, within an hour.
    pub last_used: DateTime<Utc>,
    /// Whether the output itself names this action as the one that compiled it.
    pub compiled_it: bool,
}

/// The output that a person means: an ID, an action's ID, or a file of the cache.
#[must_use]
pub fn find<'a>(cache: &'a BuildCache, text: &str) -> Option<&'a Output> {
    let name = Path::new(text)
        .components()
        .rev()
        .filter_map(|part| part.as_os_str().to_str());
    // An executable is a file in a folder that has the name.
    let entry = name.take(2).find_map(parse_entry_name);
    let by_output = |id: OutputId| cache.outputs.iter().find(|output| output.id == id);
    let by_action = |id: ActionId| {
        let action = cache.actions.iter().find(|action| action.id == id)?;
        by_output(action.entry?.output)
    };
    match entry {
        Some(EntryName::Output(id)) => by_output(id),
        Some(EntryName::Action(id)) => by_action(id),
        None => {
            let output = text.parse().ok().and_then(by_output);
            output.or_else(|| text.parse().ok().and_then(by_action))
        }
    }
}

/// Tells where an output comes from. The actions' content must have been read.
///
/// # Errors
///
/// The output cannot be read.
pub fn trace(cache: &BuildCache, output: &Output) -> io::Result<Provenance> {
    let (mut file, inner) = open(cache, output)?;
    let content = read(&mut file, output.bytes, inner)?;
    file.rewind()?;
    let mut hash = Sha256::new();
    let (mut bytes, mut buffer) = (0, vec![0; 64 << 10]);
    loop {
        let count = file.read(&mut buffer)?;
        let Some(part) = buffer.get(..count).filter(|part| !part.is_empty()) else {
            break;
        };
        hash.update(part);
        bytes += part.len() as u64;
    }
    let sha256 = OutputId(hash.finalize().into());
    let KnownOutput {
        kind,
        of,
        compiler,
        compiled_by,
    } = known(&content, output);
    let mut details = Vec::new();
    if let Some(of) = of {
        details.push(match kind {
            "package" => format!("import path {of}"),
            "executable" => format!("file {of}"),
            _ => format!("of package {of}"),
        });
    }
    details.extend(compiler);
    let leads_here = |action: &&Action| action.entry.is_some_and(|entry| entry.output == output.id);
    let mut actions: Vec<OutputOrigin> = cache
        .actions
        .iter()
        .filter(leads_here)
        .map(|action| OutputOrigin {
            id: action.id.to_string(),
            made: action
                .entry
                .map(|entry| DateTime::from_timestamp_nanos(entry.time_nanos)),
            last_used: action.modified,
            compiled_it: compiled_by.is_some_and(|prefix| action.id.0.starts_with(&prefix)),
        })
        .collect();
    actions.sort_by(|a, b| b.last_used.cmp(&a.last_used).then_with(|| a.id.cmp(&b.id)));
    Ok(Provenance {
        id: output.id.to_string(),
        path: crate::findings::display_path(&cache.output_path(output.id)),
        bytes,
        kind: kind.to_owned(),
        details,
        sha256: sha256.to_string(),
        intact: sha256 == output.id,
        actions,
    })
}

/// What an output is, and of what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownOutput {
    /// `package`, `executable`, `test result`, and so on.
    pub kind: &'static str,
    /// The package, or an executable's file, as far as the content tells.
    pub of: Option<String>,
    /// Which compiler made it, for what.
    compiler: Option<String>,
    /// The first bytes of the action that compiled it.
    compiled_by: Option<[u8; 15]>,
}

/// Tells what an output is, and of what.
///
/// # Errors
///
/// The output cannot be read.
pub fn describe(cache: &BuildCache, output: &Output) -> io::Result<KnownOutput> {
    let (mut file, inner) = open(cache, output)?;
    read(&mut file, output.bytes, inner).map(|content| known(&content, output))
}

fn known(content: &Content, output: &Output) -> KnownOutput {
    let kind = match output_kind(&content.head, &content.tail) {
        _ if output.executable => {
            return KnownOutput {
                kind: "executable",
                of: content.inner.clone(),
                ..KnownOutput::default()
            };
        }
        OutputKind::Archive {
            goos,
            goarch,
            go_version,
            build_id_action_prefix,
        } => {
            return KnownOutput {
                kind: "package",
                of: import_path(&content.searched).map(str::to_owned),
                compiler: (!go_version.is_empty())
                    .then(|| format!("compiled by {go_version} for {goos}/{goarch}")),
                compiled_by: build_id_action_prefix,
            };
        }
        OutputKind::TestResult => {
            return KnownOutput {
                kind: "test result",
                of: tested_package(&content.tail),
                ..KnownOutput::default()
            };
        }
        OutputKind::ModuleIndex => "module index",
        OutputKind::TestLog => "test log",
        OutputKind::CoverProfile => "coverage profile",
        OutputKind::SourceFiles => "list of source files",
        OutputKind::VetFacts => "vet facts",
        OutputKind::Empty => "empty (a compiler or linker that had nothing to say)",
        OutputKind::Other => "other",
    };
    KnownOutput {
        kind,
        ..KnownOutput::default()
    }
}

/// What reading an output brought.
struct Content {
    head: Vec<u8>,
    tail: Vec<u8>,
    searched: Vec<u8>,
    inner: Option<String>,
}

/// Opens an output; of an executable, with its name.
fn open(cache: &BuildCache, output: &Output) -> io::Result<(File, Option<String>)> {
    let shard = cache.shard(&output.id.shard())?;
    let name = format!("{}-d", output.id);
    if !output.executable {
        return Ok((shard.file(name.as_ref())?, None));
    }
    let folder = shard.folder(name.as_ref())?;
    let entries = folder.entries()?;
    let empty = || io::Error::new(io::ErrorKind::NotFound, "the executable's folder is empty");
    let entry = entries.first().ok_or_else(empty)?;
    let inner = crate::findings::display_path(Path::new(&entry.name));
    Ok((folder.file(&entry.name)?, Some(inner)))
}

/// Reads what tells the kind: a beginning and an end.
fn read(file: &mut File, bytes: u64, inner: Option<String>) -> io::Result<Content> {
    let mut searched = Vec::new();
    file.take(MAX_SEARCHED as u64).read_to_end(&mut searched)?;
    let head = searched.get(..HEAD_BYTES).unwrap_or(&searched).to_vec();
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(bytes.saturating_sub(TAIL_BYTES as u64)))?;
    file.take(TAIL_BYTES as u64).read_to_end(&mut tail)?;
    Ok(Content {
        head,
        tail,
        searched,
        inner,
    })
}

/// The path of a compiled package, from a symbol that the compiler gives every
/// package with code (`cmd/internal/dwarf/dwarf.go:CUInfoPrefix`). The object's
/// names lie in one table without ends; a reference to a name is its length and
/// its place in the object, 4 bytes each (`cmd/internal/goobj/objfile.go`).
fn import_path(archive: &[u8]) -> Option<&str> {
    const SYMBOL: &[u8] = b"go:cuinfo.packagename.";
    let is_magic = |bytes: &[u8]| bytes.starts_with(b"\0go1") && bytes.ends_with(b"ld");
    let object = archive.get(archive.windows(8).position(is_magic)?..)?;
    let name = object
        .windows(SYMBOL.len())
        .position(|window| window == SYMBOL)?;
    let place = u32::try_from(name).ok()?.to_le_bytes();
    let references = object
        .windows(8)
        .filter(|reference| reference.ends_with(&place));
    let lengths =
        references.filter_map(|reference| Some(u32::from_le_bytes(*reference.first_chunk()?)));
    lengths
        .filter_map(|length| {
            let length = usize::try_from(length).ok()?;
            let path = object.get(name + SYMBOL.len()..name.checked_add(length)?)?;
            let plain = path.len() <= 1024 && path.iter().all(u8::is_ascii_graphic);
            std::str::from_utf8(path)
                .ok()
                .filter(|path| plain && !path.is_empty())
        })
        .next()
}

/// The package in the last line of a passed test: `ok  <TAB>package<TAB>0.1s`.
fn tested_package(tail: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(tail);
    let line = text.trim_end().lines().last()?;
    let package = line.strip_prefix("ok  \t")?.split('\t').next()?;
    Some(package.to_owned())
}

/// A trace as text; names in it are for the caller to escape.
#[must_use]
pub fn lines(provenance: &Provenance, now: DateTime<Utc>) -> Vec<String> {
    use crate::text::human;
    let age = |time: DateTime<Utc>| format!("{} ago", human::age(now - time));
    let mut lines = vec![
        format!("output   {}", provenance.id),
        format!("path     {}", provenance.path),
        format!("kind     {}", provenance.kind),
    ];
    lines.extend(
        provenance
            .details
            .iter()
            .map(|detail| format!("         {detail}")),
    );
    lines.push(format!("size     {}", human::size(provenance.bytes)));
    lines.push(match provenance.intact {
        true => "content  intact: its SHA-256 is its name".to_owned(),
        false => format!("content  DAMAGED: its SHA-256 is {}", provenance.sha256),
    });
    if provenance.actions.is_empty() {
        lines.push("actions  none leads here any more: no build can find it".to_owned());
    }
    for (index, action) in provenance.actions.iter().enumerate() {
        let label = if index == 0 { "actions" } else { "" };
        let made = action
            .made
            .map_or("made at an unknown time".to_owned(), |made| {
                format!("made {}", age(made))
            });
        let compiled = if action.compiled_it {
            ", compiled it"
        } else {
            ""
        };
        lines.push(format!(
            "{label:<8} {} {made}, last used {}{compiled}",
            action.id,
            age(action.last_used)
        ));
    }
    lines
}
