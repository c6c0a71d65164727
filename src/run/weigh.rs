//! What was found, weighed by the retention rules.

use super::{Found, usage};
use crate::error::CommandError;
use crate::folder::ordinary;
use crate::formats::modindex::parse_go_version_file;
use crate::graph;
use crate::locate::{self, Project};
use crate::needs::{self, Needs};
use crate::plan::{self, Inputs, Plan, RetentionRules, Uses};
use crate::scan::Inventory;
use crate::settings::{Live, Settings};
use crate::verify::Evidence;
use chrono::{DateTime, Utc};

/// What decides beside the caches what goes.
#[derive(Debug)]
pub struct Weights {
    rules: RetentionRules,
    needs: Vec<Needs>,
    uses: Uses,
    now: DateTime<Utc>,
    notes: Vec<String>,
}

/// Gathers what projects need and jobs used. Fails where the answer would be a
/// guess: `unused` without any project.
pub fn weights(
    found: &Found,
    settings: &Settings,
    rules: RetentionRules,
    now: DateTime<Utc>,
) -> Result<Weights, CommandError> {
    let mut notes = Vec::new();
    let mut needs = match &found.inventory.modcache {
        Some(cache) => needs::of_each(
            &found.projects,
            settings.options.effort.live.unwrap_or(Live::GoSum),
            &graph::CachedGoMods::of(cache.folders.clone()),
            &mut notes,
        ),
        None => Vec::new(),
    };
    needs.extend(found.unread.iter().map(Needs::from));
    needs.extend(usage::needs_of_others(
        found.ledger.as_ref(),
        &found.projects,
    ));
    let has_modules = found.inventory.modcache.is_some();
    if rules.unused && !rules.all && has_modules && needs.is_empty() {
        return Err(CommandError::Usage(
            "`unused` removes what no project needs, and no project is known: run this in a project, or name it with --project DIR or --projects-under DIR".into(),
        ));
    }
    let mut uses = usage::uses(found.observed.as_ref(), found.ledger.as_ref(), &rules, now);
    if let (Some(modules), Some(builds)) = (&found.inventory.modcache, &found.inventory.buildcache)
    {
        let go_versions = go_versions(&found.inventory, &found.projects, settings);
        if rules.repair && go_versions.is_empty() {
            notes.push(NO_INDEXES.to_owned());
        }
        uses.take_indexes(modules, builds, &go_versions);
    }
    Ok(Weights {
        rules,
        needs,
        uses,
        now,
        notes,
    })
}

impl Weights {
    /// What goes and what stays.
    pub fn plan<'a>(&'a self, inventory: &'a Inventory, evidence: &'a Evidence) -> Plan<'a> {
        let mut plan = plan::plan(&Inputs {
            inventory,
            evidence,
            needs: &self.needs,
            uses: &self.uses,
            rules: &self.rules,
            now: self.now,
        });
        plan.notes.splice(0..0, self.notes.iter().cloned());
        plan
    }
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
    let goroot = match &settings.options.go.goroot {
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
        .filter_map(|version| version.id.toolchain_name().map(str::to_owned));
    versions.extend(cached);
    let named = projects.iter().flat_map(|project| &project.toolchains);
    versions.extend(named.cloned());
    versions.sort();
    versions.dedup();
    versions
}

/// Whether anything was used within the grace.
pub fn used_within_grace(
    inventory: &Inventory,
    rules: &RetentionRules,
    now: DateTime<Utc>,
) -> bool {
    let recent = |time: DateTime<Utc>| (now - time).to_std().unwrap_or_default() < rules.grace;
    let modcache = inventory.modcache.as_ref();
    let buildcache = inventory.buildcache.as_ref();
    let mut versions = modcache.iter().flat_map(|cache| &cache.versions);
    let mut actions = buildcache.iter().flat_map(|cache| &cache.actions);
    versions.any(|version| version.has_source() && version.last_use().is_some_and(recent))
        || actions.any(|action| recent(action.modified))
}
