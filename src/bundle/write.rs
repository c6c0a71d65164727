//! Writing a bundle: a folder or an archive, first under another name, so that
//! a bundle that has its name is whole.

use super::gather::{CHUNK, Piece, Roots, Source};
use super::manifest;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// What is said where zstd is not built in.
pub(crate) const NO_ZSTD: &str =
    "this build cannot read or write zstd: use a .tar, and the `zstd` program before or after it";

/// What is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Folder,
    Tar,
    TarZst,
}

impl Form {
    /// By the name's ending.
    pub(crate) fn of(path: &Path) -> Form {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".tar.zst") || name.ends_with(".tzst") {
            Form::TarZst
        } else if name.ends_with(".tar") {
            Form::Tar
        } else {
            Form::Folder
        }
    }

    /// Whether this build can write it.
    pub(crate) fn is_built_in(self) -> bool {
        self != Form::TarZst || cfg!(target_os = "linux")
    }
}

/// Every file's time in an archive: 1980-01-01, before which some tools
/// complain.
const TIME: u64 = 315_532_800;

/// `zstd`'s own default.
#[cfg(target_os = "linux")]
const LEVEL: i32 = 3;

/// Threads that pack. What comes out does not depend on their number; the
/// memory does, by some 20 MB each.
#[cfg(target_os = "linux")]
const MAX_WORKERS: usize = 2;

/// Writes the manifest and all pieces.
///
/// # Errors
/// When the bundle is there already, a piece changed since it was verified, or
/// the disk says no. Nothing is left behind then.
pub(crate) fn write(
    to: &Path,
    form: Form,
    manifest: &[u8],
    pieces: &[Piece],
    roots: &Roots,
    jobs: usize,
) -> io::Result<()> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let part = part_name(to);
    let written = match form {
        Form::Folder => folder(&part, manifest, pieces, roots),
        Form::Tar => File::create_new(&part).and_then(|file| {
            let file = BufWriter::with_capacity(CHUNK, file);
            finish(archive(file, manifest, pieces, roots)?)
        }),
        Form::TarZst => {
            File::create_new(&part).and_then(|file| compressed(file, manifest, pieces, roots, jobs))
        }
    };
    let done = written.and_then(|()| fs::rename(&part, to));
    if done.is_err() {
        // The first error is the one to tell.
        let _ = match form {
            Form::Folder => fs::remove_dir_all(&part),
            Form::Tar | Form::TarZst => fs::remove_file(&part),
        };
    }
    done
}

fn part_name(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".part-{}", crate::parallel::process_id()));
    to.with_file_name(name)
}

fn finish(file: BufWriter<File>) -> io::Result<()> {
    file.into_inner()?;
    Ok(())
}

#[cfg(target_os = "linux")]
fn compressed(
    file: File,
    manifest: &[u8],
    pieces: &[Piece],
    roots: &Roots,
    jobs: usize,
) -> io::Result<()> {
    let file = BufWriter::with_capacity(CHUNK, file);
    let mut encoder = zstd::Encoder::new(file, LEVEL)?;
    encoder.include_checksum(true)?;
    // At least one, also on one core: without any the bytes would be others.
    let workers = u32::try_from(jobs.clamp(1, MAX_WORKERS)).unwrap_or(1);
    encoder.multithread(workers)?;
    finish(archive(encoder, manifest, pieces, roots)?.finish()?)
}

#[cfg(not(target_os = "linux"))]
fn compressed(_: File, _: &[u8], _: &[Piece], _: &Roots, _: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn archive<W: Write>(to: W, manifest: &[u8], pieces: &[Piece], roots: &Roots) -> io::Result<W> {
    let mut tar = tar::Builder::new(to);
    append(&mut tar, manifest::NAME, manifest.len() as u64, manifest)?;
    for piece in pieces {
        let mut content = Checked::open(piece, roots)?;
        append(
            &mut tar,
            &piece.listed.path,
            piece.listed.bytes,
            &mut content,
        )?;
        content.end()?;
    }
    tar.into_inner()
}

fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    path: &str,
    bytes: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(TIME);
    header.set_size(bytes);
    tar.append_data(
        &mut header,
        path,
        io::BufReader::with_capacity(CHUNK, content),
    )
}

fn folder(to: &Path, manifest: &[u8], pieces: &[Piece], roots: &Roots) -> io::Result<()> {
    fs::create_dir(to)?;
    let mut buffer = vec![0; CHUNK];
    let mut made = PathBuf::new();
    for piece in pieces {
        let path = to.join(&piece.listed.path);
        if let Some(parent) = path.parent().filter(|parent| *parent != made) {
            fs::create_dir_all(parent)?;
            made = parent.to_owned();
        }
        let mut content = Checked::open(piece, roots)?;
        let mut file = File::create_new(path)?;
        loop {
            match content.read(&mut buffer)? {
                0 => break,
                read => file.write_all(&buffer[..read])?,
            }
        }
        content.end()?;
    }
    fs::write(to.join(manifest::NAME), manifest)
}

/// A piece's content, hashed on its way: what was verified is what is written.
struct Checked<'a> {
    content: Box<dyn Read + 'a>,
    listed: &'a manifest::File,
    sha256: Sha256,
    bytes: u64,
}

impl<'a> Checked<'a> {
    fn open(piece: &'a Piece, roots: &Roots) -> io::Result<Checked<'a>> {
        let listed = &piece.listed;
        let content: Box<dyn Read> = match &piece.source {
            Source::Bytes(bytes) => Box::new(bytes.as_slice()),
            // One more than it should have, to tell a file that grew.
            Source::Cache(root, path) => Box::new(
                roots
                    .open(*root, path)?
                    .take(listed.bytes.saturating_add(1)),
            ),
        };
        Ok(Checked {
            content,
            listed,
            sha256: Sha256::new(),
            bytes: 0,
        })
    }

    fn end(self) -> io::Result<()> {
        let sha256: [u8; 32] = self.sha256.finalize().into();
        if self.bytes != self.listed.bytes || sha256 != self.listed.sha256 {
            let path = &self.listed.path;
            let message = format!("{path} changed while it was packed; nothing was written");
            return Err(io::Error::other(message));
        }
        Ok(())
    }
}

impl Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.sha256.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
