//! Bundles for builds without a network: made from the cache alone, carried,
//! verified, unpacked.
//!
//! - `choose`: which module versions the projects' builds read, by module graph
//!   and go.sum.
//! - `reach`, `imports`: which of these the builds for some systems get to.
//! - `gather`: where each piece of them lies, and whether it is there and right.
//! - `records`: what of the checksum database goes along.
//! - [`manifest`]: the list of everything in a bundle, and what names may stand in it.
//! - `layout`: what each file has to be, by the modules that the manifest lists.
//! - `sbom`: the same for others' tools, as CycloneDX.
//! - `frames`: how archives are packed on all cores, and read so.
//! - `seal`: who made an archive, signed.
//! - `write`: the folder or the archive. `read`: a bundle held against its manifest.
//! - `error`: why a bundle, or a file of one, is not what it has to be.
//!
//! A bundle is a folder, or a tar archive of one:
//!
//! ```text
//! gocachevet-pack.json     the manifest: every file, its length and SHA-256
//! sbom.cdx.json
//! modcache/cache/download/ for GOMODCACHE: as Go itself lays it out
//! proxy/                   or for GOPROXY=file://…: the same tree
//! gocache/                 for GOCACHE, if asked for
//! ```
//!
//! Who wrote the manifest can write anything into it. So its own SHA-256, the
//! bundle's digest, is told when it is packed, to be carried another way; and
//! go.sum, which comes with the sources, has the last word when Go builds.

pub(crate) mod choose;
#[cfg(target_os = "linux")]
pub(crate) mod frames;
pub(crate) mod gather;
mod imports;
pub(crate) mod layout;
pub mod manifest;
mod reach;
pub(crate) mod read;
mod records;
pub(crate) mod report;
pub(crate) mod sbom;
#[cfg(target_os = "linux")]
pub(crate) mod seal;
mod spool;
pub(crate) mod write;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a bundle, or a file of one, is not what it has to be. The text follows its name.
pub(crate) type BundleError = crate::error::Source;

/// What builds find in a bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// A module cache, to be named as `GOMODCACHE`; Go unpacks sources from its
    /// zips when it first needs them.
    #[default]
    Modcache,
    /// A tree of files, to be named as `GOPROXY=file://…`.
    Proxy,
}

impl Shape {
    /// The folder of the bundle that holds modules, with the slash behind it.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Shape::Modcache => "modcache/cache/download/",
            Shape::Proxy => "proxy/",
        }
    }
}

/// A system to build for, such as `linux/amd64`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// `GOOS`
    pub os: String,
    /// `GOARCH`
    pub arch: String,
}

impl Platform {
    /// The one that this program runs on, in Go's words.
    pub(crate) fn of_this_machine() -> Platform {
        let os = match std::env::consts::OS {
            "macos" => "darwin",
            os => os,
        };
        Platform {
            os: os.to_owned(),
            arch: crate::settings::go_arch().to_owned(),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.arch)
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Platform, String> {
        let word = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        match text.split_once('/') {
            Some((os, arch)) if word(os) && word(arch) => Ok(Platform {
                os: os.to_owned(),
                arch: arch.to_owned(),
            }),
            _ => Err(format!(
                "`{text}` is not a valid platform; write `linux/amd64`"
            )),
        }
    }
}
