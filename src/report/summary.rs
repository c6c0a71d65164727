//! From what the scan found to the report's figures.

use super::{BuildCache, ModCache, ModuleSize};
use crate::findings::display_path;
use crate::scan::{self, Measure, VersionKind};
use std::collections::BTreeSet;

/// Modules that the report names.
const LARGEST: usize = 10;

impl From<&scan::ModCache> for ModCache {
    fn from(cache: &scan::ModCache) -> ModCache {
        let mut download = cache.other_download;
        let mut extracted = Measure::default();
        let mut toolchain = Measure::default();
        for version in &cache.versions {
            for piece in version.pieces() {
                let file = Measure {
                    files: 1,
                    bytes: piece.bytes,
                };
                match version.kind {
                    VersionKind::Toolchain => toolchain += file,
                    _ => download += file,
                }
            }
            match version.kind {
                VersionKind::Toolchain => toolchain += version.tree_measure(),
                _ => extracted += version.tree_measure(),
            }
        }
        let mut vcs = Measure::default();
        cache.vcs.iter().for_each(|clone| vcs += clone.measure);
        let mut residue = Measure::default();
        cache
            .residue
            .iter()
            .for_each(|left| residue += left.measure);
        let mut total = cache.other;
        for region in [download, extracted, toolchain, vcs, residue, cache.sumdb] {
            total += region;
        }
        let with_source = || cache.versions.iter().filter(|version| version.has_source());
        let uses = || with_source().filter_map(scan::Version::last_use);
        let modules: BTreeSet<&str> = with_source()
            .map(|version| version.id.path.as_str())
            .collect();
        ModCache {
            path: display_path(&cache.root),
            bytes: total.bytes,
            files: total.files,
            modules: modules.len() as u64,
            versions: with_source().count() as u64,
            download_bytes: download.bytes,
            extracted_bytes: extracted.bytes,
            vcs_bytes: vcs.bytes,
            sumdb_bytes: cache.sumdb.bytes,
            residue_bytes: residue.bytes,
            toolchain_bytes: toolchain.bytes,
            oldest: uses().min(),
            newest: uses().max(),
        }
    }
}

impl From<&scan::BuildCache> for BuildCache {
    fn from(cache: &scan::BuildCache) -> BuildCache {
        let mut total = cache.other;
        total += cache.fuzz;
        for bytes in cache
            .actions
            .iter()
            .map(|action| action.bytes)
            .chain(cache.outputs.iter().map(|output| output.bytes))
        {
            total += Measure { files: 1, bytes };
        }
        let executables = cache
            .outputs
            .iter()
            .filter(|output| output.executable)
            .count();
        let uses = || cache.actions.iter().map(|action| action.modified);
        BuildCache {
            path: display_path(&cache.root),
            bytes: total.bytes,
            files: total.files,
            actions: cache.actions.len() as u64,
            outputs: (cache.outputs.len() - executables) as u64,
            executables: executables as u64,
            fuzz_bytes: cache.fuzz.bytes,
            oldest: uses().min(),
            newest: uses().max(),
        }
    }
}

/// Bytes in both caches, as far as they were measured.
pub fn bytes(inventory: &scan::Inventory) -> u64 {
    let modcache = inventory.modcache.as_ref();
    let buildcache = inventory.buildcache.as_ref();
    modcache.map_or(0, |cache| ModCache::from(cache).bytes)
        + buildcache.map_or(0, |cache| BuildCache::from(cache).bytes)
}

/// The modules that take the most space.
pub fn largest(cache: &scan::ModCache) -> Vec<ModuleSize> {
    // Of many modules only a `.mod` is there, which takes no space to speak of.
    let modules = super::list::modules(cache).into_iter();
    let mut modules: Vec<ModuleSize> = modules
        .filter(|row| row.versions > 0)
        .map(|row| ModuleSize {
            module: row.module,
            versions: row.versions,
            bytes: row.bytes,
        })
        .collect();
    // Stable: modules of one size stay in the order of their names.
    modules.sort_by_key(|module| std::cmp::Reverse(module.bytes));
    modules.truncate(LARGEST);
    modules
}
