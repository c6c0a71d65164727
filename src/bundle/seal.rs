//! Seals: what says who made a bundle.
//!
//! A seal is a signed note, as Go's checksum database signs its tree heads, in a
//! frame behind that of the manifest which decoders of zstd skip. It names the
//! manifest by its SHA-256, and so every file of the bundle; what it says besides,
//! of the job that saved, is the manifest's as well, and repeated so that a person
//! can read what is signed.

use super::frames::sha256_of;
use super::manifest::{Manifest, Snapshot};
use crate::formats::action::OutputId;
use crate::sumdb::note::{NoteError, Signer, Verifier};
use crate::text::escape::terminal;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How a frame begins that decoders skip; its length follows, in 4 bytes
/// (RFC 8878, 3.1.2).
const MAGIC: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];

/// Bytes before the note.
const HEAD: usize = 8;

/// The longest note that is read, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// The seal of a bundle, as it was found.
#[derive(Debug)]
pub(crate) struct Seal {
    note: Vec<u8>,
    /// Of the frame that holds the manifest, as it is packed.
    frame: [u8; 32],
}

/// Why a seal proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    /// None of the keys signed it.
    #[error("is signed by none of the keys that are trusted here")]
    Stranger,
    /// It was changed, or is no seal at all.
    #[error("does not hold")]
    Broken,
    /// It was taken from another bundle, or the manifest was changed.
    #[error("is the seal of another manifest")]
    Other,
}

/// What is signed: a line each.
fn text(manifest: &Manifest, digest: &str, frame: [u8; 32]) -> String {
    let none = Snapshot::default();
    let said = manifest.snapshot.as_ref().unwrap_or(&none);
    let job = |name: &str| said.job.get(name).map_or("", String::as_str);
    let base = said.below.first().map_or("", |base| &base.digest);
    let lines = [
        ("manifest", digest),
        ("packed", &OutputId(frame).to_string()),
        ("base", base),
        ("key", &said.key),
        ("repository", job("repository")),
        ("ref", &said.branch),
        ("workflow", job("workflow")),
        ("commit", job("commit")),
        ("time", &said.saved.to_string()),
        ("counter", &said.counter.to_string()),
        ("go", &said.go.join(" ")),
        ("tool", &manifest.tool),
    ];
    let lines = lines.map(|(name, value)| format!("{name} {}\n", terminal(value)));
    format!("gocachevet seal/1\n{}", lines.concat())
}

/// The frame that seals a manifest, which is packed like this.
pub(super) fn frame(signer: &Signer, manifest: &Manifest, digest: &str, packed: &[u8]) -> Vec<u8> {
    let text = text(manifest, digest, Sha256::digest(packed).into());
    let note = signer.sign(&text);
    let length = u32::try_from(note.len()).unwrap_or(u32::MAX).to_le_bytes();
    [&MAGIC, &length, note.as_bytes()].concat()
}

impl Seal {
    /// The seal that stands at `end`, where the manifest's frame ends, and where it
    /// ends itself.
    pub(crate) fn read(file: &File, end: u64) -> io::Result<Option<(Seal, u64)>> {
        let mut head = [0; HEAD];
        if file.metadata()?.len() < end.saturating_add(HEAD as u64) {
            return Ok(None);
        }
        file.read_exact_at(&mut head, end)?;
        let (magic, length) = head.split_at(MAGIC.len());
        if magic != MAGIC {
            return Ok(None);
        }
        let length = u32::from_le_bytes(length.try_into().unwrap_or_default()) as usize;
        let mut note = vec![0; length.min(MAX_BYTES)];
        file.read_exact_at(&mut note, end + HEAD as u64)?;
        let frame = sha256_of(file, 0..end)?;
        let behind = end + (HEAD + length) as u64;
        Ok(Some((Seal { note, frame }, behind)))
    }

    /// The name of the key that signed it, if it is one of these and the seal is
    /// that of this manifest.
    ///
    /// # Errors
    /// Why it proves nothing.
    pub(crate) fn open<'a>(
        &self,
        keys: &'a [Verifier],
        manifest: &Manifest,
        digest: &str,
    ) -> Result<&'a str, SealError> {
        let text = text(manifest, digest, self.frame);
        for key in keys {
            match key.open(&self.note) {
                Ok(signed) if signed == text => return Ok(key.name()),
                Ok(_) => return Err(SealError::Other),
                Err(NoteError::Unsigned) => {}
                Err(NoteError::Malformed | NoteError::Signature) => return Err(SealError::Broken),
            }
        }
        Err(SealError::Stranger)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use super::super::frames::Frames;
    use super::super::gather::{GatheredPieces, Roots};
    use super::super::manifest;
    use super::super::write::{Contents, Form, write};
    use super::*;
    use crate::sumdb::note::testing::signer;
    use std::io::{Seek, Write};
    use std::path::Path;

    /// A bundle of one action entry and its output.
    fn sealed(path: &Path) -> String {
        let output = b"some output";
        let id = OutputId(Sha256::digest(output).into());
        let action = OutputId([7; 32]);
        let entry = format!("v1 {action} {id} {:20} {:20}\n", output.len(), 1);
        let mut gathered = GatheredPieces::default();
        gathered.add(
            format!("gocache/{}/{action}-a", action.shard()),
            entry.into(),
        );
        gathered.add(format!("gocache/{}/{id}-d", id.shard()), output.to_vec());
        gathered.sort();
        let manifest = Manifest {
            schema: manifest::SCHEMA.to_owned(),
            tool: "t".to_owned(),
            shape: Shape::Modcache,
            projects: Vec::new(),
            platforms: Vec::new(),
            modules: Vec::new(),
            go_mods: Vec::new(),
            files: Vec::new(),
            frames: Vec::new(),
            snapshot: Some(Snapshot::default()),
        };
        let roots = Roots {
            modules: None,
            builds: None,
        };
        let contents = Contents {
            pieces: &gathered.pieces,
            roots: &roots,
            carried: &[],
            signer: Some(&signer("mine.example", 1)),
        };
        write(path, Form::TarZst, manifest, &contents, 1).unwrap().1
    }

    /// What a restore looks at before and while it unpacks.
    fn holds(path: &Path, digest: &str, keys: &[Verifier]) -> Result<(), String> {
        let file = File::open(path).unwrap();
        let first = Frames::manifest(&file).map_err(|error| error.to_string())?;
        let (bytes, end) = first.ok_or("no manifest")?;
        let read = Manifest::read(bytes.as_slice());
        let (manifest, actual) = read.map_err(|error| error.to_string())?;
        if actual != digest {
            return Err("another manifest".to_owned());
        }
        let frames = Frames::new(file, end, &manifest)?;
        let seal = frames.seal.as_ref().ok_or("no seal")?;
        let opened = seal.open(keys, &manifest, digest);
        opened.map_err(|error| error.to_string())?;
        for at in 0..manifest.frames.len() {
            let content = frames.content(at, &manifest);
            content.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    #[test]
    fn every_single_bit_of_a_sealed_bundle_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.tar.zst");
        let digest = sealed(&path);
        let keys = [signer("mine.example", 1).verifier()];
        assert_eq!(holds(&path, &digest, &keys), Ok(()));
        let others = [signer("mine.example", 2).verifier()];
        let refused = holds(&path, &digest, &others);
        assert_eq!(refused, Err(SealError::Stranger.to_string()));
        let whole = std::fs::read(&path).unwrap();
        let mut file = File::options().write(true).open(&path).unwrap();
        let mut put = |at: usize, byte: u8| {
            file.seek(io::SeekFrom::Start(at as u64)).unwrap();
            file.write_all(&[byte]).unwrap();
        };
        for (at, byte) in whole.iter().enumerate() {
            for bit in 0..8 {
                put(at, byte ^ (1 << bit));
                let held = holds(&path, &digest, &keys);
                assert!(held.is_err(), "bit {bit} of byte {at}");
            }
            put(at, *byte);
        }
        assert_eq!(holds(&path, &digest, &keys), Ok(()));
    }

    #[test]
    fn a_seal_says_who_made_what() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.tar.zst");
        let digest = sealed(&path);
        let file = File::open(&path).unwrap();
        let (bytes, end) = Frames::manifest(&file).unwrap().unwrap();
        let (mut manifest, _) = Manifest::read(bytes.as_slice()).unwrap();
        let (seal, _) = Seal::read(&file, end).unwrap().unwrap();
        let keys = [
            signer("other", 2).verifier(),
            signer("mine.example", 1).verifier(),
        ];
        assert_eq!(seal.open(&keys, &manifest, &digest), Ok("mine.example"));
        let said = manifest.snapshot.as_mut().unwrap();
        said.branch = "main\nkey x".to_owned();
        let other = seal.open(&keys, &manifest, &digest);
        assert_eq!(other, Err(SealError::Other));
        let text = text(&manifest, &digest, seal.frame);
        assert!(text.contains("\nref main\\nkey x\n"), "{text}");
    }
}
