//! Still too large: the longest unused go until it fits.

use super::builds::{self, last_use};
use super::modules::{self, Drafts, age, part_bytes};
use super::{Cause, Fate, Inputs, Keep, Part, Plan};
use crate::formats::module::ModuleVersion;
use crate::report;
use crate::scan::Output;
use crate::verify::Proof;
use chrono::{DateTime, Utc};

/// Something that may go to make room.
struct Candidate<'a> {
    /// What keeps it goes last, and only by force.
    wanted: bool,
    /// What Go makes anew by itself goes before what it has to download.
    download: bool,
    last_use: DateTime<Utc>,
    what: What<'a>,
}

/// What it is.
#[derive(Clone, Copy)]
enum What<'a> {
    Version(&'a ModuleVersion, Part),
    /// The output at this place, with all the entries that name it.
    Output(usize),
}

/// Bytes left in each cache.
struct Left {
    modules: u64,
    builds: u64,
}

pub(super) fn fit(
    inputs: &Inputs<'_>,
    versions: &mut Drafts<'_>,
    builds: &mut builds::Draft<'_>,
    plan: &mut Plan<'_>,
) {
    let rules = inputs.rules;
    let limits = [rules.trim_to, rules.trim_modcache_to, rules.trim_gocache_to];
    if rules.all || limits.iter().all(Option::is_none) {
        return;
    }
    let mut left = left(inputs, versions, builds);
    let over = |left: &Left| {
        let total = rules
            .trim_to
            .filter(|&limit| left.modules + left.builds > limit);
        let mods = rules.trim_modcache_to.filter(|&limit| left.modules > limit);
        let build = rules.trim_gocache_to.filter(|&limit| left.builds > limit);
        // The limit that asks for a module version, and for a build output.
        (total.or(mods), total.or(build))
    };
    let mut candidates = version_candidates(inputs, versions);
    candidates.extend(output_candidates(inputs, builds));
    candidates.sort_by_key(|one| (one.wanted, one.download, one.last_use));
    for candidate in candidates {
        let (for_modules, for_builds) = over(&left);
        match candidate.what {
            What::Version(id, part) => {
                if let (Some(limit), Some(draft)) = (for_modules, versions.get_mut(id)) {
                    let freed = remove_version(draft, part, limit);
                    left.modules = left.modules.saturating_sub(freed);
                }
            }
            What::Output(place) => {
                if let Some(limit) = for_builds {
                    let freed = remove_output(builds, place, limit);
                    left.builds = left.builds.saturating_sub(freed);
                }
            }
        }
    }
    if over(&left) != (None, None) {
        plan.notes.push(
            "the caches cannot be shrunk to the size asked for: what is left is needed or was used within the grace".to_owned(),
        );
    }
}

fn left(inputs: &Inputs<'_>, versions: &Drafts<'_>, builds: &builds::Draft<'_>) -> Left {
    let modcache = inputs.inventory.modcache.as_ref();
    let buildcache = inputs.inventory.buildcache.as_ref();
    let of_versions = versions.values().map(|draft| match draft.fate {
        Fate::Remove(part, _) => part_bytes(draft.version, part),
        Fate::Keep(_) => 0,
    });
    let goes = |fate: Fate<'_>| matches!(fate, Fate::Remove(..));
    let of_entries = builds.entries.iter().filter(|(_, fate)| goes(*fate));
    let of_entries = of_entries.map(|(action, _)| action.bytes);
    let all_gone = |place| {
        let is_named = builds.naming(place).next().is_some();
        (is_named || inputs.rules.residue) && builds.fates(place).all(goes)
    };
    let of_outputs = builds.outputs.iter().enumerate();
    let of_outputs = of_outputs.filter(|(place, _)| all_gone(*place));
    let of_outputs = of_outputs.map(|(_, output)| output.bytes);
    Left {
        modules: modcache
            .map_or(0, |cache| report::ModCache::from(cache).bytes)
            .saturating_sub(of_versions.sum()),
        builds: buildcache
            .map_or(0, |cache| report::BuildCache::from(cache).bytes)
            .saturating_sub(of_entries.chain(of_outputs).sum()),
    }
}

fn version_candidates<'a>(inputs: &Inputs<'_>, versions: &Drafts<'a>) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for (&id, draft) in versions {
        let wanted = wanted(&draft.fate).filter(|&wanted| inputs.rules.force || !wanted);
        let Some(wanted) = wanted else {
            continue;
        };
        let mut add = |part, download| {
            candidates.push(Candidate {
                wanted,
                download,
                last_use: draft.last_use,
                what: What::Version(id, part),
            });
        };
        let (version, proof) = (draft.version, &draft.proof);
        let is_proven = matches!(proof.zip, Proof::Proven(_));
        if version.tree.is_some() && version.zip.is_some() && is_proven {
            add(Part::Tree, false);
        }
        if part_bytes(version, draft.most) > 0 {
            add(draft.most, true);
        }
    }
    candidates
}

fn output_candidates<'a>(inputs: &Inputs<'_>, builds: &builds::Draft<'_>) -> Vec<Candidate<'a>> {
    let candidate = |(place, output): (usize, &Output)| {
        if age(output.modified, inputs.now) < inputs.rules.grace {
            return None;
        }
        let (mut newest, mut is_wanted) = (None, false);
        for (action, fate) in builds.naming(place).filter_map(|at| builds.entries.get(at)) {
            if let Fate::Keep(_) = fate {
                newest = newest.max(Some(last_use(inputs, action)));
                is_wanted |= wanted(fate)?;
            }
        }
        let (last_use, wanted) = (newest?, is_wanted);
        (inputs.rules.force || !wanted).then_some(Candidate {
            wanted,
            download: false,
            last_use,
            what: What::Output(place),
        })
    };
    let outputs = builds.outputs.iter().enumerate();
    outputs.filter_map(candidate).collect()
}

/// Whether something keeps it that force can overrule; `None` if nothing can,
/// or it goes already.
fn wanted(fate: &Fate<'_>) -> Option<bool> {
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

fn remove_version(draft: &mut modules::Draft<'_>, part: Part, limit: u64) -> u64 {
    let already = match draft.fate {
        Fate::Remove(before, _) if before >= part => return 0,
        Fate::Remove(before, _) => part_bytes(draft.version, before),
        Fate::Keep(_) => 0,
    };
    draft.fate = Fate::Remove(part, Cause::Size(limit));
    part_bytes(draft.version, part).saturating_sub(already)
}

fn remove_output(builds: &mut builds::Draft<'_>, place: usize, limit: u64) -> u64 {
    let mut freed = builds.outputs.get(place).map_or(0, |output| output.bytes);
    let naming: Vec<usize> = builds.naming(place).collect();
    for entry in naming {
        if let Some((action, fate @ Fate::Keep(_))) = builds.entries.get_mut(entry) {
            *fate = Fate::Remove(Part::Whole, Cause::Size(limit));
            freed += action.bytes;
        }
    }
    freed
}
