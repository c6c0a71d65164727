//! What Go's caches look like on disk: pure parsing of names and bytes.
//!
//! Nothing here touches the file system or knows about policy.

pub mod action;
pub mod clone;
mod directives;
pub mod goenv;
pub mod gomod;
pub mod gosum;
pub mod gover;
pub mod gowork;
pub mod h1;
mod hex;
pub mod info;
pub mod modindex;
pub mod module;
pub mod modzip;
pub mod output_kind;
pub mod semver;
pub mod trim_marker;
pub mod zip;
pub mod ziphash;
