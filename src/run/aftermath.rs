//! What is left after a trim.

use crate::act::{Done, StepError};
use crate::findings::{Finding, Rule, display_path};
use crate::formats::action::{ActionId, OutputId};
use crate::plan::{InBuilds, InModules, Part, Target};
use crate::scan::{BuildCache, Inventory, Version};
use crate::verify::{self, Evidence};
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};

/// What a trim removed.
#[derive(Debug, Default)]
pub struct Gone {
    versions: HashMap<String, Part>,
    /// Versions whose locks a go command holds: what looks half extracted there
    /// is being extracted.
    busy: HashSet<String>,
    clones: HashSet<String>,
    actions: HashSet<ActionId>,
    outputs: HashSet<OutputId>,
    /// Where the rest lay.
    paths: HashSet<String>,
    /// No output is left that no entry names.
    no_orphans: bool,
    /// No entry is left that names an output which is not there.
    none_missing: bool,
}

impl Gone {
    /// What these steps removed.
    pub fn of(done: &[Done<'_>]) -> Gone {
        let mut gone = Gone::default();
        for Done { step, result } in done {
            let went = result.is_ok();
            match step.target {
                Target::Modules(_, InModules::Version(version, part)) if went => {
                    gone.versions.insert(version.id.to_string(), part);
                }
                Target::Modules(_, InModules::Version(version, _)) => {
                    if matches!(result, Err(StepError::Busy)) {
                        gone.busy.insert(version.id.to_string());
                    }
                }
                _ if !went => {}
                Target::Modules(_, InModules::Vcs(clone)) => {
                    gone.clones.insert(display_path(&clone.path));
                }
                Target::Builds(_, InBuilds::Action(action)) => {
                    gone.actions.insert(action.id);
                }
                Target::Builds(_, InBuilds::Output(output)) => {
                    gone.outputs.insert(output.id);
                }
                _ => gone
                    .paths
                    .extend(step.path().map(|path| display_path(&path))),
            }
        }
        gone
    }

    /// Takes it out of what was found, so that the report is about what is left.
    pub fn take_from(
        mut self,
        inventory: &mut Inventory,
        evidence: &mut Evidence,
        findings: &mut Vec<Finding>,
    ) {
        if let Some(cache) = &mut inventory.modcache {
            for version in &mut cache.versions {
                if let Some(part) = self.versions.get(&version.id.to_string()) {
                    strip(version, *part);
                }
            }
            for clone in &mut cache.vcs {
                if self.clones.contains(&display_path(&clone.path)) {
                    clone.measure = Default::default();
                }
            }
            for left in &mut cache.residue {
                if self.paths.contains(&display_path(&left.path)) {
                    left.measure = Default::default();
                }
            }
        }
        if let Some(cache) = &mut inventory.buildcache {
            cache.actions.retain(|it| !self.actions.contains(&it.id));
            cache.outputs.retain(|it| !self.outputs.contains(&it.id));
            self.settle(cache);
        }
        let Evidence {
            findings: of_evidence,
            overall,
            ..
        } = evidence;
        for list in [
            findings,
            &mut inventory.findings,
            of_evidence,
            &mut *overall,
        ] {
            list.retain(|finding| !self.explains(finding));
        }
        if let Some(cache) = &inventory.modcache
            && !self.clones.is_empty()
        {
            overall.retain(|finding| finding.rule != Rule::VcsUnproven);
            overall.extend(verify::unproven_clones(cache));
        }
    }

    fn settle(&mut self, cache: &BuildCache) {
        let named: HashSet<OutputId> = cache
            .actions
            .iter()
            .filter_map(|action| Some(action.entry?.output))
            .collect();
        let there: HashSet<OutputId> = cache.outputs.iter().map(|output| output.id).collect();
        self.no_orphans = there.is_subset(&named);
        self.none_missing = named.is_subset(&there);
    }

    fn explains(&self, finding: &Finding) -> bool {
        if let Some(path) = &finding.path {
            let is_below = |folder: &String| {
                let rest = path.strip_prefix(folder.as_str());
                rest.is_some_and(|rest| {
                    rest.is_empty() || rest.starts_with(std::path::MAIN_SEPARATOR)
                })
            };
            if self.paths.contains(path) || self.clones.iter().any(is_below) {
                return true;
            }
        }
        let subject = &finding.subject;
        match finding.rule {
            Rule::OutputOrphan => return self.no_orphans,
            Rule::OutputMissing => return self.none_missing,
            Rule::OutputHashMismatch | Rule::OutputSizeMismatch => {
                return subject.parse().is_ok_and(|id| self.outputs.contains(&id));
            }
            Rule::ActionInvalid => {
                return subject.parse().is_ok_and(|id| self.actions.contains(&id));
            }
            _ => {}
        }
        let extracted = self.busy.contains(subject).then_some(&Part::HalfTree);
        let Some(part) = self.versions.get(subject).or(extracted) else {
            return false;
        };
        match part {
            Part::Whole => true,
            Part::Source => !matches!(finding.rule, Rule::ModHashMismatch | Rule::InfoInvalid),
            Part::HalfTree => matches!(
                finding.rule,
                Rule::ExtractedIncomplete | Rule::PartialDownload
            ),
            Part::ZipHash => matches!(finding.rule, Rule::OrphanFile | Rule::ZiphashMismatch),
            Part::Tree => matches!(
                finding.rule,
                Rule::ExtractedHashMismatch | Rule::LinkInCache
            ),
            Part::Zip => matches!(finding.rule, Rule::ZipHashMismatch | Rule::ZipInvalid),
        }
    }
}

fn strip(version: &mut Version, part: Part) {
    if matches!(part, Part::Tree | Part::HalfTree) || part >= Part::Source {
        version.tree = None;
    }
    if part == Part::HalfTree || part >= Part::Source {
        version.partial = None;
    }
    if part >= Part::Zip {
        version.zip = None;
    }
    if part == Part::ZipHash || part >= Part::Source {
        version.ziphash = None;
    }
    if part == Part::Whole {
        version.info = None;
        version.go_mod = None;
    }
}

/// What Go's own next trim of the build cache will remove: its time, entries
/// and outputs older than five days and an hour (`cache.go:Trim`).
pub fn next_go_trim(cache: &BuildCache, now: DateTime<Utc>) -> String {
    let due = match cache.trimmed {
        Some(last) => last + chrono::TimeDelta::hours(24),
        None => now,
    };
    let at = due.max(now);
    let cutoff = at - chrono::TimeDelta::hours(5 * 24 + 1);
    let old = cache
        .actions
        .iter()
        .map(|action| (action.modified, action.bytes))
        .chain(
            cache
                .outputs
                .iter()
                .map(|output| (output.modified, output.bytes)),
        )
        .filter(|(modified, _)| *modified < cutoff);
    let (count, bytes) = old.fold((0_u64, 0_u64), |(count, sum), (_, bytes)| {
        (count + 1, sum.saturating_add(bytes))
    });
    let when = match due > now {
        true => format!("after {}", due.format("%Y-%m-%d %H:%M UTC")),
        false => "at the next build".to_owned(),
    };
    let size = bytesize::ByteSize(bytes).display().si();
    format!(
        "Go's own next trim of the build cache runs {when}; of what is left it would remove {count} entries and outputs ({size}) not used for 5 days"
    )
}
