//! Writing a bundle: a folder or an archive, first under another name, so that
//! a bundle that has its name is whole.

use super::BundleError;
#[cfg(target_os = "linux")]
use super::frames::{self, Carried};
use super::gather::{CHUNK, Piece, Roots, Source};
use super::layout;
use super::manifest::{self, Manifest};
use crate::error::CommandError;
#[cfg(target_os = "linux")]
use crate::sumdb::note::Signer;
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

/// What goes into a bundle.
pub(crate) struct Contents<'a> {
    pub(crate) pieces: &'a [Piece],
    /// Where they come from.
    pub(crate) roots: &'a Roots,
    /// Frames of other bundles, for one of frames.
    #[cfg(target_os = "linux")]
    pub(crate) carried: &'a [Carried<'a>],
    /// Who seals it, if it is one of frames.
    #[cfg(target_os = "linux")]
    pub(crate) signer: Option<&'a Signer>,
}

/// Every file's time in an archive: 1980-01-01, before which some tools
/// complain.
const TIME: u64 = 315_532_800;

/// Writes the manifest and all pieces, which it lists first; gives the manifest
/// as it is then, and its digest.
///
/// # Errors
/// When the bundle is there already, a piece changed since it was verified, or
/// the disk says no. Nothing is left behind then.
pub(crate) fn write(
    to: &Path,
    form: Form,
    manifest: Manifest,
    contents: &Contents<'_>,
    jobs: usize,
) -> io::Result<(Manifest, String)> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let part = part_name(to);
    let written = match form {
        Form::TarZst => compressed(&part, manifest, contents, jobs),
        Form::Folder | Form::Tar => plain(&part, form, manifest, contents),
    };
    let done = written.and_then(|manifest| {
        let digest = readable(&manifest)
            .map_err(CommandError::failed("the bundle's own manifest"))
            .map_err(io::Error::other)?;
        fs::rename(&part, to)?;
        Ok((manifest, digest))
    });
    if done.is_err() {
        // The first error is the one to tell.
        let _ = match form {
            Form::Folder => fs::remove_dir_all(&part),
            Form::Tar | Form::TarZst => fs::remove_file(&part),
        };
    }
    done
}

/// What cannot be read again is not written.
fn readable(manifest: &Manifest) -> Result<String, BundleError> {
    let (manifest, digest) = Manifest::read(manifest.to_bytes()?.as_slice())?;
    layout::roles(&manifest)?;
    Ok(digest)
}

fn plain(
    part: &Path,
    form: Form,
    mut manifest: Manifest,
    contents: &Contents<'_>,
) -> io::Result<Manifest> {
    let listed = contents.pieces.iter().map(|piece| piece.listed.clone());
    manifest.files = listed.collect();
    let bytes = manifest.to_bytes()?;
    if form == Form::Folder {
        folder(part, &bytes, contents)?;
    } else {
        let file = BufWriter::with_capacity(CHUNK, File::create_new(part)?);
        archive(file, &bytes, contents)?.into_inner()?;
    }
    Ok(manifest)
}

fn part_name(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".part-{}", crate::parallel::process_id()));
    to.with_file_name(name)
}

#[cfg(target_os = "linux")]
fn compressed(
    part: &Path,
    mut manifest: Manifest,
    contents: &Contents<'_>,
    jobs: usize,
) -> io::Result<Manifest> {
    let file = File::create_new(part)?;
    let mut name = part.as_os_str().to_owned();
    name.push(".frames");
    let mut options = File::options();
    let spool = options
        .read(true)
        .write(true)
        .create_new(true)
        .open(&name)?;
    // Without a name, nothing is left of it whatever happens.
    fs::remove_file(&name)?;
    frames::write(file, spool, &mut manifest, contents, jobs)?;
    Ok(manifest)
}

#[cfg(not(target_os = "linux"))]
fn compressed(_: &Path, _: Manifest, _: &Contents<'_>, _: usize) -> io::Result<Manifest> {
    Err(io::ErrorKind::Unsupported.into())
}

fn archive<W: Write>(to: W, manifest: &[u8], contents: &Contents<'_>) -> io::Result<W> {
    let mut tar = tar::Builder::new(to);
    append(&mut tar, manifest::NAME, manifest.len() as u64, manifest)?;
    for piece in contents.pieces {
        let mut content = Checked::open(piece, contents.roots)?;
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

pub(super) fn append<W: Write>(
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

fn folder(to: &Path, manifest: &[u8], contents: &Contents<'_>) -> io::Result<()> {
    fs::create_dir(to)?;
    let mut buffer = vec![0; CHUNK];
    let mut made = PathBuf::new();
    for piece in contents.pieces {
        let path = to.join(&piece.listed.path);
        if let Some(parent) = path.parent().filter(|parent| *parent != made) {
            fs::create_dir_all(parent)?;
            made = parent.to_owned();
        }
        let mut content = Checked::open(piece, contents.roots)?;
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
pub(super) struct Checked<'a> {
    content: Box<dyn Read + 'a>,
    listed: &'a manifest::File,
    sha256: Sha256,
    bytes: u64,
}

impl<'a> Checked<'a> {
    pub(super) fn open(piece: &'a Piece, roots: &Roots) -> io::Result<Checked<'a>> {
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

    pub(super) fn end(self) -> io::Result<()> {
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
