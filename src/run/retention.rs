//! What was found, weighed by the retention rules; and what is left after a trim.

use super::Found;
use crate::act;
use crate::error::CommandError;
use crate::findings::{Finding, Rule, display_path};
use crate::folder::ordinary;
use crate::formats::action::OutputId;
use crate::formats::modindex::parse_go_version_file;
use crate::graph;
use crate::locate::{self, Project};
use crate::plan::{self, Inputs, Needs, Part, Plan, Policy, Target, Uses};
use crate::report;
use crate::scan::{BuildCache, Inventory};
use crate::settings::{Live, Settings};
use crate::values::{Age, Size};
use crate::verify;
use chrono::{DateTime, Utc};
use std::collections::HashSet;
use std::path::Path;

/// A plan and what it was made of.
#[derive(Debug)]
pub struct Weighed {
    /// The plan.
    pub plan: Plan,
    /// What the projects need.
    pub needs: Vec<Needs>,
}

/// Weighs everything found. Fails where the answer would be a guess: `unused`
/// without any project.
pub fn weigh(
    found: &Found,
    settings: &Settings,
    mut uses: Uses,
    now: DateTime<Utc>,
) -> Result<Weighed, CommandError> {
    let policy = Policy::new(&settings.retention, &settings.options);
    let mut notes = Vec::new();
    let mut needs = match &found.inventory.modcache {
        Some(cache) => plan::needs_of(
            &found.projects,
            settings.options.live.unwrap_or(Live::GoSum),
            &graph::ModCache::of(cache.folders.clone()),
            &mut notes,
        ),
        None => Vec::new(),
    };
    needs.extend(found.unread.iter().map(|unread| Needs {
        project: display_path(&unread.dir),
        unknown: Some(unread.gap.to_string()),
        ..Needs::default()
    }));
    needs.append(&mut uses.projects);
    let has_modules = found.inventory.modcache.is_some();
    if policy.unused && !policy.all && has_modules && needs.is_empty() {
        return Err(CommandError::Usage(
            "`unused` removes what no project needs, and no project is known: run this in a project, or name it with --project DIR or --projects-under DIR".into(),
        ));
    }
    if let (Some(modules), Some(builds)) = (&found.inventory.modcache, &found.inventory.buildcache)
    {
        let go_versions = go_versions(&found.inventory, &found.projects, settings);
        if policy.repair && go_versions.is_empty() {
            notes.push(NO_INDEXES.to_owned());
        }
        for (id, actions) in plan::indexes(modules, builds, &go_versions) {
            if let Some(time) = actions.iter().map(|action| action.modified).max() {
                let slot = uses.version_times.entry(id.clone()).or_insert(time);
                *slot = time.max(*slot);
            }
            let actions = actions.iter().map(|action| action.id);
            uses.indexes.insert(id, actions.collect());
        }
    }
    let mut plan = plan::plan(&Inputs {
        inventory: &found.inventory,
        evidence: &found.evidence,
        needs: &needs,
        uses: &uses,
        policy: &policy,
        now,
    });
    notes.append(&mut plan.notes);
    plan.notes = notes;
    Ok(Weighed { plan, needs })
}

/// What a repair cannot do where nobody says which Go the caches serve.
const NO_INDEXES: &str = "no Go installation was found, so Go's indexes of repaired trees stay in the build cache; if a build then says that a file is not there, run `go clean -cache`";

/// The Go versions that may have made the module indexes: the installed one, the
/// toolchains in the cache, and those that the projects name.
pub(crate) fn go_versions(
    inventory: &Inventory,
    projects: &[Project],
    settings: &Settings,
) -> Vec<String> {
    let mut versions = Vec::new();
    let goroot = match &settings.options.goroot {
        Some(goroot) => Some(settings.environment.resolve(goroot)),
        None => locate::go_settings(&settings.environment).goroot,
    };
    if let Some(goroot) = goroot
        && let Ok(content) = ordinary::read(&goroot.join("VERSION"), 4096)
        && let Some(version) = parse_go_version_file(&content)
    {
        versions.push(version.to_owned());
    }
    let cached = inventory
        .modcache
        .iter()
        .flat_map(|cache| &cache.versions)
        .filter(|version| version.id.is_toolchain())
        .filter_map(|version| version.id.version.strip_prefix("v0.0.1-")?.rsplit_once('.'))
        .map(|(name, _)| name.to_owned());
    versions.extend(cached);
    let named = projects.iter().flat_map(|project| &project.toolchains);
    versions.extend(named.cloned());
    versions.sort();
    versions.dedup();
    versions
}

/// Whether anything was used within the grace.
pub fn used_within_grace(found: &Found, policy: &Policy, now: DateTime<Utc>) -> bool {
    let recent = |time: DateTime<Utc>| (now - time).to_std().unwrap_or_default() < policy.grace;
    let modcache = found.inventory.modcache.as_ref();
    let buildcache = found.inventory.buildcache.as_ref();
    let mut versions = modcache.iter().flat_map(|cache| &cache.versions);
    let mut actions = buildcache.iter().flat_map(|cache| &cache.actions);
    versions.any(|version| version.has_source() && version.last_use().is_some_and(recent))
        || actions.any(|action| recent(action.modified))
}

/// The units whose removal failed.
pub fn kept<'a>(inventory: &'a Inventory, plan: &Plan, results: &[act::Result]) -> act::Kept<'a> {
    let versions = inventory.modcache.as_ref().map(|cache| &cache.versions);
    let mut kept = act::Kept::default();
    let failed = plan.steps.iter().zip(results);
    for (step, _) in failed.filter(|(_, result)| result.is_err()) {
        if let Target::Version(index, _) = step.target {
            let version = versions.and_then(|versions| versions.get(index));
            kept.versions.extend(version.map(|version| &version.id));
        }
        kept.paths.extend(plan.path_of(step.target, inventory));
    }
    kept
}

/// Takes what was removed out of what was found, so that the report is about
/// what is left.
pub fn forget_removed(found: &mut Found, plan: &Plan, results: &[act::Result]) {
    let done: Vec<Target> = plan
        .steps
        .iter()
        .zip(results)
        .filter(|(_, result)| result.is_ok())
        .map(|(step, _)| step.target)
        .collect();
    let mut gone = Gone::default();
    if let Some(cache) = &mut found.inventory.modcache {
        // What looks half extracted while a go command holds its lock is being
        // extracted.
        for (step, result) in plan.steps.iter().zip(results) {
            if let (Target::Version(index, _), Err(act::Fault::Busy)) = (step.target, result)
                && let Some(version) = cache.versions.get(index)
            {
                gone.parts.push((version.id.to_string(), Part::HalfTree));
            }
        }
        for target in &done {
            match *target {
                Target::Version(index, part) => {
                    let Some(version) = cache.versions.get_mut(index) else {
                        continue;
                    };
                    gone.parts.push((version.id.to_string(), part));
                    if part == Part::Tree || part == Part::HalfTree || part >= Part::Source {
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
                Target::Vcs(index) => {
                    if let Some(clone) = cache.vcs.get_mut(index) {
                        gone.clones.push(display_path(&clone.path));
                        clone.measure = Default::default();
                    }
                }
                Target::Residue(index) => {
                    if let Some(left) = cache.residue.get_mut(index) {
                        gone.paths.insert(display_path(&left.path));
                        left.measure = Default::default();
                    }
                }
                Target::Sumdb(index) => {
                    if let Some(path) = plan.sumdb.get(index) {
                        gone.paths.insert(display_path(path));
                    }
                }
                Target::ModuleLink(index) => {
                    let link = cache.links.get(index);
                    gone.paths.extend(link.map(|link| display_path(link)));
                }
                Target::Action(_) | Target::Output(_) | Target::BuildLink(_) => {}
            }
        }
    }
    if let Some(cache) = &mut found.inventory.buildcache {
        let mut actions = vec![false; cache.actions.len()];
        let mut outputs = vec![false; cache.outputs.len()];
        for target in &done {
            let (slot, id) = match *target {
                Target::Action(index) => (
                    actions.get_mut(index),
                    cache.actions.get(index).map(|action| action.id.to_string()),
                ),
                Target::Output(index) => (
                    outputs.get_mut(index),
                    cache.outputs.get(index).map(|output| output.id.to_string()),
                ),
                Target::BuildLink(index) => {
                    let link = cache.links.get(index);
                    gone.paths.extend(link.map(|link| display_path(link)));
                    continue;
                }
                _ => continue,
            };
            if let Some(slot) = slot {
                *slot = true;
            }
            gone.ids.extend(id);
        }
        retain_unmarked(&mut cache.actions, &actions);
        retain_unmarked(&mut cache.outputs, &outputs);
        gone.settle(cache);
    }
    let lists = [
        &mut found.findings,
        &mut found.inventory.findings,
        &mut found.evidence.findings,
        &mut found.evidence.overall,
    ];
    for list in lists {
        list.retain(|finding| !gone.explains(finding));
    }
    if let Some(cache) = &found.inventory.modcache
        && !gone.clones.is_empty()
    {
        let overall = &mut found.evidence.overall;
        overall.retain(|finding| finding.rule != Rule::VcsUnproven);
        overall.extend(verify::unproven_clones(cache));
    }
}

fn retain_unmarked<T>(list: &mut Vec<T>, marked: &[bool]) {
    let mut marks = marked.iter();
    list.retain(|_| !marks.next().copied().unwrap_or(false));
}

#[derive(Default)]
struct Gone {
    parts: Vec<(String, Part)>,
    paths: HashSet<String>,
    ids: HashSet<String>,
    /// Folders that went with all that was in them.
    clones: Vec<String>,
    no_orphans: bool,
    none_missing: bool,
}

impl Gone {
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
        if finding
            .path
            .as_ref()
            .is_some_and(|path| self.paths.contains(path))
        {
            return true;
        }
        let is_below = |path: &str, folder: &String| {
            path.strip_prefix(folder.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(std::path::MAIN_SEPARATOR))
        };
        if let Some(path) = &finding.path
            && self.clones.iter().any(|clone| is_below(path, clone))
        {
            return true;
        }
        match finding.rule {
            Rule::OutputOrphan => return self.no_orphans,
            Rule::OutputMissing => return self.none_missing,
            Rule::OutputHashMismatch | Rule::OutputSizeMismatch | Rule::ActionInvalid => {
                return self.ids.contains(&finding.subject);
            }
            _ => {}
        }
        let part = self
            .parts
            .iter()
            .find(|(subject, _)| *subject == finding.subject)
            .map(|(_, part)| *part);
        let about_mod = matches!(finding.rule, Rule::ModHashMismatch | Rule::InfoInvalid);
        match part {
            None => false,
            Some(Part::Whole) => true,
            Some(Part::Source) => !about_mod,
            Some(Part::HalfTree) => matches!(
                finding.rule,
                Rule::ExtractedIncomplete | Rule::PartialDownload
            ),
            Some(Part::ZipHash) => matches!(finding.rule, Rule::OrphanFile | Rule::ZiphashMismatch),
            Some(Part::Tree) => matches!(
                finding.rule,
                Rule::ExtractedHashMismatch | Rule::LinkInCache
            ),
            Some(Part::Zip) => matches!(finding.rule, Rule::ZipHashMismatch | Rule::ZipInvalid),
        }
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

/// Bytes per second at which a restore is priced unless the user says.
const RESTORE_RATE: u64 = 100_000_000;

/// Bytes per second at which a restore is priced.
pub fn restore_rate(settings: &Settings) -> u64 {
    let given = settings.options.restore_rate;
    given.map_or(RESTORE_RATE, |rate| rate.0)
}

/// The settings with the rate at which `restored` bytes came in, if
/// `--restore-took` tells how long that took.
pub fn with_measured_rate(settings: &Settings, restored: u64) -> Settings {
    let mut settings = settings.clone();
    if let Some(Age(took)) = settings.options.restore_took {
        let seconds = took.as_secs_f64().max(0.001);
        settings.options.restore_rate = Some(Size((restored as f64 / seconds) as u64));
    }
    settings
}

/// Bytes that were in the caches before this job added to them, as far as it
/// is known what it added.
pub fn restored(found: &Found) -> u64 {
    let growth = found
        .observed
        .as_ref()
        .map_or(0, |observed| observed.growth);
    report::bytes(&found.inventory).saturating_sub(growth.max(0).unsigned_abs())
}

/// What one restore of so many bytes costs, and what it brings that nobody used.
pub(super) fn cost_of_restore(bytes: u64, idle: Option<u64>, rate: u64) -> String {
    let seconds = |bytes: u64| bytes as f64 / rate.max(1) as f64;
    let idle = idle.map(|idle| {
        format!(
            ", {:.1} s of it for what this job did not use",
            seconds(idle)
        )
    });
    format!(
        "one restore of the caches costs about {:.1} s{}, at {} per second",
        seconds(bytes),
        idle.unwrap_or_default(),
        bytesize::ByteSize(rate).display().si()
    )
}

/// What a smaller cache saves, at the restore rate.
pub fn saved_per_restore(bytes: u64, rate: u64) -> String {
    let seconds = bytes as f64 / rate.max(1) as f64;
    let rate = bytesize::ByteSize(rate).display().si();
    format!("about {seconds:.1} s less per restore, at {rate} per second")
}

/// The path of a cache, as a plain one.
pub(crate) fn root_of(located: Option<&locate::Located>) -> Option<&Path> {
    located.map(|located| located.path.as_path())
}
