//! Still too large: the longest unused go until it fits.

use super::modules::{Draft as Modules, part_bytes};
use super::{Cause, Fate, Inputs, Keep, Part, Plan, builds};
use crate::report;
use crate::verify::Proof;
use chrono::{DateTime, Utc};

/// Something that may go to make room.
struct Candidate {
    /// What keeps it goes last, and only by force.
    wanted: bool,
    /// What Go makes anew by itself goes before what it has to download.
    download: bool,
    last_use: DateTime<Utc>,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Version(usize, Part),
    /// An output with all the entries that name it, by its index.
    Output(usize),
}

/// Bytes left in each cache.
struct Left {
    modules: u64,
    builds: u64,
}

pub(super) fn fit(
    inputs: &Inputs<'_>,
    modules: &mut Modules,
    builds: &mut builds::Draft,
    plan: &mut Plan,
) {
    let policy = inputs.policy;
    let limits = [
        policy.trim_to,
        policy.trim_modcache_to,
        policy.trim_gocache_to,
    ];
    if policy.all || limits.iter().all(Option::is_none) {
        return;
    }
    let groups = groups(inputs, builds);
    let mut left = left(inputs, modules, builds, &groups);
    let over = |left: &Left| {
        let total = policy
            .trim_to
            .filter(|&limit| left.modules + left.builds > limit);
        let mods = policy
            .trim_modcache_to
            .filter(|&limit| left.modules > limit);
        let build = policy.trim_gocache_to.filter(|&limit| left.builds > limit);
        // The limit that asks for a module version, and for a build output.
        (total.or(mods), total.or(build))
    };
    let mut candidates = candidates(inputs, modules, builds, &groups);
    candidates.sort_by_key(|one| (one.wanted, one.download, one.last_use));
    for candidate in candidates {
        let (for_modules, for_builds) = over(&left);
        match candidate.what {
            What::Version(index, part) => {
                let Some(limit) = for_modules else { continue };
                let freed = remove_version(inputs, modules, index, part, limit);
                left.modules = left.modules.saturating_sub(freed);
            }
            What::Output(index) => {
                let Some(limit) = for_builds else { continue };
                let freed = remove_group(inputs, builds, &groups, index, limit);
                left.builds = left.builds.saturating_sub(freed);
            }
        }
    }
    if over(&left) != (None, None) {
        plan.notes.push(
            "the caches cannot be shrunk to the size asked for: what is left is needed or was used within the grace".to_owned(),
        );
    }
}

/// The entries that name each output.
fn groups(inputs: &Inputs<'_>, builds: &builds::Draft) -> Vec<Vec<usize>> {
    let outputs = inputs
        .inventory
        .buildcache
        .as_ref()
        .map_or(0, |cache| cache.outputs.len());
    let mut groups = vec![Vec::new(); outputs];
    for (action, named) in builds.named.iter().enumerate() {
        if let Some(group) = named.and_then(|named| groups.get_mut(named)) {
            group.push(action);
        }
    }
    groups
}

fn left(
    inputs: &Inputs<'_>,
    modules: &Modules,
    builds: &builds::Draft,
    groups: &[Vec<usize>],
) -> Left {
    let mut left = Left {
        modules: 0,
        builds: 0,
    };
    if let Some(cache) = &inputs.inventory.modcache {
        let removed: u64 = cache
            .versions
            .iter()
            .zip(&modules.fates)
            .map(|(version, fate)| match fate {
                Fate::Remove(part, _) => part_bytes(version, *part),
                Fate::Keep(_) => 0,
            })
            .sum();
        left.modules = report::ModCache::from(cache).bytes.saturating_sub(removed);
    }
    if let Some(cache) = &inputs.inventory.buildcache {
        let mut removed = 0;
        for (action, fate) in cache.actions.iter().zip(&builds.fates) {
            if matches!(fate, Fate::Remove(..)) {
                removed += action.bytes;
            }
        }
        for (output, group) in cache.outputs.iter().zip(groups) {
            let all_gone = group
                .iter()
                .all(|&action| matches!(builds.fates.get(action), Some(Fate::Remove(..))));
            if all_gone && (!group.is_empty() || inputs.policy.residue) {
                removed += output.bytes;
            }
        }
        left.builds = report::BuildCache::from(cache)
            .bytes
            .saturating_sub(removed);
    }
    left
}

fn candidates(
    inputs: &Inputs<'_>,
    modules: &Modules,
    builds: &builds::Draft,
    groups: &[Vec<usize>],
) -> Vec<Candidate> {
    let force = inputs.policy.force;
    let mut candidates = Vec::new();
    if let Some(cache) = &inputs.inventory.modcache {
        for (index, version) in cache.versions.iter().enumerate() {
            let (Some(fate), Some(&last_use)) =
                (modules.fates.get(index), modules.last_uses.get(index))
            else {
                continue;
            };
            let Some(wanted) = wanted(fate).filter(|&wanted| force || !wanted) else {
                continue;
            };
            let mut add = |part, download| {
                candidates.push(Candidate {
                    wanted,
                    download,
                    last_use,
                    what: What::Version(index, part),
                });
            };
            let proven = inputs
                .evidence
                .versions
                .get(index)
                .is_some_and(|proof| matches!(proof.zip, Proof::Proven(_)));
            if version.tree.is_some() && version.zip.is_some() && proven {
                add(Part::Tree, false);
            }
            let most = modules.most.get(index).copied().unwrap_or(Part::Source);
            if part_bytes(version, most) > 0 {
                add(most, true);
            }
        }
    }
    if let Some(cache) = &inputs.inventory.buildcache {
        for (index, (output, group)) in cache.outputs.iter().zip(groups).enumerate() {
            let mut last_use = None;
            let mut all_wanted = Some(false);
            for &action in group {
                match builds.fates.get(action) {
                    Some(Fate::Remove(..)) | None => continue,
                    Some(fate) => {
                        all_wanted = match (all_wanted, wanted(fate)) {
                            (Some(so_far), Some(this)) => Some(so_far || this),
                            _ => None,
                        };
                    }
                }
                last_use = last_use.max(builds.last_uses.get(action).copied());
            }
            let in_grace = super::modules::age(output.modified, inputs.now) < inputs.policy.grace;
            if let (Some(last_use), Some(wanted), false) = (last_use, all_wanted, in_grace)
                && (force || !wanted)
            {
                candidates.push(Candidate {
                    wanted,
                    download: false,
                    last_use,
                    what: What::Output(index),
                });
            }
        }
    }
    candidates
}

/// Whether something keeps it that force can overrule; `None` if nothing can,
/// or it goes already.
fn wanted(fate: &Fate) -> Option<bool> {
    match fate {
        Fate::Remove(Part::Tree, _) => Some(false),
        Fate::Remove(..) | Fate::Keep(Keep::Pattern(_) | Keep::Grace(_)) => None,
        Fate::Keep(
            Keep::NotAsked
            | Keep::Young(_)
            | Keep::NoMark
            | Keep::UseUnknown
            | Keep::NeedsUnknown
            | Keep::Unproven,
        ) => Some(false),
        Fate::Keep(_) => Some(true),
    }
}

fn remove_version(
    inputs: &Inputs<'_>,
    modules: &mut Modules,
    index: usize,
    part: Part,
    limit: u64,
) -> u64 {
    let version = inputs
        .inventory
        .modcache
        .as_ref()
        .and_then(|cache| cache.versions.get(index));
    let (Some(version), Some(fate)) = (version, modules.fates.get_mut(index)) else {
        return 0;
    };
    let already = match fate {
        Fate::Remove(before, _) if *before >= part => return 0,
        Fate::Remove(before, _) => part_bytes(version, *before),
        Fate::Keep(_) => 0,
    };
    *fate = Fate::Remove(part, Cause::Size(limit));
    part_bytes(version, part).saturating_sub(already)
}

fn remove_group(
    inputs: &Inputs<'_>,
    builds: &mut builds::Draft,
    groups: &[Vec<usize>],
    index: usize,
    limit: u64,
) -> u64 {
    let Some(cache) = &inputs.inventory.buildcache else {
        return 0;
    };
    let mut freed = cache.outputs.get(index).map_or(0, |output| output.bytes);
    for &action in groups.get(index).into_iter().flatten() {
        if let Some(fate @ Fate::Keep(_)) = builds.fates.get_mut(action) {
            *fate = Fate::Remove(Part::Whole, Cause::Size(limit));
            freed += cache.actions.get(action).map_or(0, |action| action.bytes);
        }
    }
    freed
}
