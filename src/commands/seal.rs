//! `gocachevet seal`.

use crate::error::CommandError;
use crate::report::Verdict;
use crate::settings::Environment;
use crate::sumdb::note::Signer;
use crate::text::escape::terminal;
use clap::Args;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A pair of keys for sealed snapshots.
///
/// The secret key goes to standard output and the public one to standard error, so
/// that the secret can be handed on: `gocachevet seal --new-key ci.example.com | gh
/// secret set SEAL_KEY`. Both have the form that Go's checksum database uses.
#[derive(Args, Clone, Debug, Default)]
pub struct SealArgs {
    /// Make a new pair of this name, such as `ci.example.com/2026`
    #[arg(long, value_name = "NAME", required = true)]
    pub new_key: String,
    /// Write the secret key to this new file, which only this user may read
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
}

/// Makes a pair of keys.
pub fn run(
    args: &SealArgs,
    environment: &Environment,
    out: &mut dyn Write,
) -> Result<Verdict, CommandError> {
    let mut seed = Zeroizing::new([0; 32]);
    rustix::rand::getrandom(&mut seed[..], rustix::rand::GetRandomFlags::empty())
        .map_err(|error| CommandError::failed("random numbers")(io::Error::from(error)))?;
    let signer = Signer::new(&args.new_key, &seed).map_err(|_| {
        CommandError::Usage("a key's name has no spaces and no `+`: `ci.example.com/2026`".into())
    })?;
    let public = signer.verifier().to_string();
    match &args.secret_file {
        Some(path) => {
            let path = environment.resolve(path);
            keep(&path, &signer.secret()).map_err(CommandError::file(&path))?;
            writeln!(out, "{public}")?;
        }
        None => {
            writeln!(out, "{}", *signer.secret())?;
            writeln!(io::stderr(), "the public key is {}", terminal(&public))?;
        }
    }
    Ok(Verdict::Pass)
}

/// A file that is there already stays as it is.
fn keep(path: &Path, secret: &str) -> io::Result<()> {
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{secret}")
}
