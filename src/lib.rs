//! Checks Go's module cache and build cache: size, age, hit rate and
//! checksum health, judged and trimmed by policy.
//!
//! The floors, from the top down. `docs/architecture.md` draws them.

// Where zstd is not built in there are no snapshots, and the WASI module has no commands that need
// a network: what serves only those is unused there.
#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

// One file a command: its options, its steps, its words.
mod commands;

// What commands share: grammar, exit codes, terminal.
mod cli;

// What is looked after past this machine's caches.
#[cfg(not(target_family = "wasm"))]
mod services;

mod bundle;
#[cfg(not(target_family = "wasm"))]
mod doctor;
#[cfg(all(feature = "sandbox", not(target_family = "wasm")))]
mod sandbox;
#[cfg(target_os = "linux")]
mod snapshot;

// The steps in order.
mod run;

#[cfg(target_os = "linux")]
mod stores;

// One step a room.
mod act;
mod drift;
mod judge;
mod locate;
mod needs;
mod plan;
mod render;
mod report;
mod scan;
mod usage;
mod verify;

// Go's own formats and proofs.
mod formats;
mod graph;
mod sumdb;

// The one HTTP client.
#[cfg(all(feature = "remote", not(target_family = "wasm")))]
mod net;

// What was typed and configured, as typed values.
mod settings;

// The ground.
mod error;
mod findings;
mod folder;
mod parallel;
mod text;
mod values;

#[cfg(test)]
#[path = "../tests/fuzz/mod.rs"]
mod fuzz;

pub use commands::run;

/// What this project's own tests hold against Go. No interface: it follows the code.
#[doc(hidden)]
pub mod tested {
    pub use crate::findings::Rule;
    pub use crate::folder::Folder;
    pub use crate::report::Report;
    pub use crate::settings::ConfigFile;
    pub use crate::usage::State;
    pub use crate::verify::{reads, zip_h1};

    /// Whether this machine has a Go cache, for the first look (`src/tour.rs`).
    #[cfg(feature = "tour")]
    pub fn finds_a_cache() -> bool {
        let environment = crate::settings::Environment::of_process();
        let own = crate::locate::caches(&environment, &crate::settings::Options::default());
        own.is_ok_and(|caches| caches.modcache.is_some() || caches.gocache.is_some())
    }

    pub mod formats {
        pub use crate::formats::action::{
            ActionEntry, ActionId, EntryName, parse_entry_name, parse_shard_name,
        };
        pub use crate::formats::gomod;
        pub use crate::formats::gosum::GoSum;
        pub use crate::formats::h1::{h1_of, h1_of_go_mod};
        pub use crate::formats::info::RevInfo;
        pub use crate::formats::modindex::{module_index_action, parse_go_version_file};
        pub use crate::formats::module::{
            AtVName, ModuleVersion, PieceKind, TreeDir, check as check_module, check_file_path,
            escape_path, escape_version, parse_at_v_name, parse_tree_dir, tree_dir_name,
            unescape_path,
        };
        pub use crate::formats::output_kind::{HEAD_BYTES, OutputKind, TAIL_BYTES, output_kind};
        pub use crate::formats::semver::canonical_module_version;
        pub use crate::formats::trim_marker::parse_trim_txt;
        pub use crate::formats::ziphash::{ZipHash, parse_ziphash};
    }

    pub mod graph {
        pub use crate::graph::{CachedGoMods, Graph, MainModules, Selected, Standing, load};
    }

    pub mod sumdb {
        pub use crate::sumdb::database::{Database, HeadStanding, Standpoint, examine};
        pub use crate::sumdb::files::{Files, Listing, SumdbFolder};
        pub use crate::sumdb::setting::GoSumdb;
        pub use crate::sumdb::{RecordProof, Sumdb};
    }

    #[cfg(feature = "remote")]
    pub mod remote {
        pub use crate::net::{Fault as NetFault, Limits};
        pub use crate::services::remote::client::{Client, Fault, Http, Token};
        pub use crate::services::remote::entry::{Quota, RefState};
    }

    #[cfg(not(target_family = "wasm"))]
    pub mod heat {
        pub use crate::services::heat::{Candidate, Heat, WINDOW, coldest};
    }

    #[cfg(all(feature = "sandbox", not(target_family = "wasm")))]
    pub mod sandbox {
        pub use crate::sandbox::{Bounds, Guest, run};
    }
}
