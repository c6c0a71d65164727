//! `gocachevet list --why`: why a module version stays or goes, and by which path
//! projects require it.

use crate::error::CommandError;
use crate::formats::module::ModuleVersion;
use crate::graph::{self, Graph, Standing};
use crate::needs;
use crate::plan::{Fate, Keep, Plan, RetentionRules};
use crate::report::Verdict;
use crate::run::{self, Found, Unwatched};
use crate::settings::{Format, Settings, VerifyLevel};
use crate::text::escape::terminal;
use chrono::Utc;
use serde::Serialize;
use std::io::Write;

/// What there is to say of one version.
#[derive(Debug, Serialize)]
struct Answer {
    version: String,
    /// Whether it stays, goes, or is not in the cache.
    fate: &'static str,
    reason: String,
    /// A shortest path of requirements, for each project that has one.
    required_by: Vec<Vec<String>>,
}

/// Explains every version of a module, or the one named.
pub(super) fn why(
    settings: &Settings,
    asked: &str,
    out: &mut dyn Write,
) -> Result<Verdict, CommandError> {
    let (path, version) = match asked.split_once('@') {
        Some((path, version)) => (path, Some(version)),
        None => (asked, None),
    };
    let level = settings.options.effort.verify.unwrap_or(VerifyLevel::Quick);
    let found = run::look(settings, level.max(VerifyLevel::Quick), &Unwatched)?;
    let now = Utc::now();
    let rules = RetentionRules::new(&settings.options);
    let weights = run::weights(&found, settings, rules, now)?;
    let plan = weights.plan(&found.inventory, &found.evidence);
    let graphs = graphs(&found);
    let mut ids: Vec<ModuleVersion> = found
        .inventory
        .modcache
        .iter()
        .flat_map(|cache| &cache.versions)
        .map(|version| &version.id)
        .chain(graphs.iter().flat_map(Graph::modules))
        .filter(|id| id.path == path && version.is_none_or(|version| id.version == version))
        .filter(|id| !id.version.is_empty())
        .cloned()
        .collect();
    ids.sort();
    ids.dedup();
    let answers: Vec<Answer> = ids.iter().map(|id| answer(id, &plan, &graphs)).collect();
    if settings.options.form.format == Some(Format::Json) {
        out.write_all(crate::render::json(&answers).as_bytes())?;
        return Ok(Verdict::Pass);
    }
    if answers.is_empty() {
        writeln!(
            out,
            "{}: neither in the cache nor in a project's module graph",
            terminal(asked)
        )?;
    }
    for answer in &answers {
        writeln!(
            out,
            "{}  {}: {}",
            terminal(&answer.version),
            answer.fate,
            terminal(&answer.reason)
        )?;
        for path in &answer.required_by {
            writeln!(out, "    {}", terminal(&path.join(" -> ")))?;
        }
    }
    for note in &plan.notes {
        writeln!(out, "note: {}", terminal(note))?;
    }
    Ok(Verdict::Pass)
}

fn answer(id: &ModuleVersion, plan: &Plan<'_>, graphs: &[Graph]) -> Answer {
    let mut fates = plan.versions.iter();
    let fate = fates.find_map(|(version, fate)| (version.id == *id).then_some(fate));
    let (fate, reason) = match fate {
        None => ("not in the cache", standing(id, graphs)),
        Some(Fate::Remove(_, cause)) => ("goes", cause.to_string()),
        Some(Fate::Keep(keep)) => {
            let more = match keep {
                Keep::Needed(by) | Keep::GoModNeeded(by) | Keep::Pattern(by) => format!(" ({by})"),
                _ => String::new(),
            };
            ("stays", format!("{keep}{more}"))
        }
    };
    let required_by = graphs
        .iter()
        .filter_map(|graph| graph.why(&id.path, Some(&id.version)))
        .map(|path| path.into_iter().map(name).collect())
        .collect();
    Answer {
        version: id.to_string(),
        fate,
        reason,
        required_by,
    }
}

fn standing(id: &ModuleVersion, graphs: &[Graph]) -> String {
    let found = graphs.iter().find_map(|graph| match graph.standing(id) {
        Standing::Selected => Some("a project's build list has it".to_owned()),
        Standing::Superseded { by } => Some(format!("required, but {by} is selected")),
        Standing::Main | Standing::Absent => None,
    });
    found.unwrap_or_else(|| "no project requires it".to_owned())
}

fn name(module: &ModuleVersion) -> String {
    match module.version.is_empty() {
        true => module.path.clone(),
        false => module.to_string(),
    }
}

/// The projects' graphs, a workspace's once. What cannot be loaded is left out.
fn graphs(found: &Found) -> Vec<Graph> {
    let Some(cache) = &found.inventory.modcache else {
        return Vec::new();
    };
    let files = graph::CachedGoMods::of(cache.folders.clone());
    let groups = needs::groups(&found.projects).into_iter();
    groups
        .filter_map(|group| group.graph(&files).ok())
        .collect()
}
