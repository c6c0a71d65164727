//! `gocachevet list`.

use super::why;
use crate::cli::{Takes, Use, Where, progress, text_or_json};
use crate::error::CommandError;
use crate::locate;
use crate::render;
use crate::report::Verdict;
use crate::report::list::{ListReport, Rows};
use crate::run as steps;
use crate::scan::{self, Scan};
use crate::settings::{
    EffortOptions, FormOptions, GoalOptions, RetentionOptions, Settings, VerifyLevel,
};
use crate::text::escape;
use crate::verify::provenance;
use chrono::Utc;
use clap::{Arg, Args, Command, ValueEnum};
use std::io::Write;

/// What changes the answer to `--why`, and nothing else of a list.
type OfWhy = Takes<EffortOptions, GoalOptions, RetentionOptions>;

fn of_why(arg: Arg) -> Arg {
    let those = OfWhy::augment_args(Command::new("why"));
    match those.get_arguments().any(|of| of.get_id() == arg.get_id()) {
        true => arg.requires("why").hide_short_help(true),
        false => arg,
    }
}

/// Options of `list`.
#[derive(Args, Clone, Debug, Default)]
#[command(mut_arg("format", text_or_json), mut_args(of_why))]
pub struct ListArgs {
    /// How many to show
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,
    /// What to add up
    #[arg(long, value_enum, default_value_t)]
    pub by: ListBy,
    /// Why this module is kept or removed, and which project requires it; or where a build output
    /// comes from (its ID, or its file)
    #[arg(long, value_name = "MODULE[@VERSION]|OUTPUT")]
    pub why: Option<String>,
    /// What is looked at, and how `--why` is answered.
    #[command(flatten)]
    pub shared: Takes<Where, Use, FormOptions, OfWhy>,
}

/// What a line of the list stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ListBy {
    /// A module with all its versions.
    #[default]
    Module,
    /// A module version.
    Version,
    /// A build output.
    Output,
}

/// Where a build output comes from, if `text` names one: by its ID, by an
/// action's, or by a file of the build cache.
fn trace_output(settings: &Settings, text: &str) -> Result<Option<String>, CommandError> {
    let name = text
        .rsplit(['/', '\\'])
        .find(|part| part.len() >= ID_DIGITS)
        .unwrap_or(text);
    let is_id = name
        .get(..ID_DIGITS)
        .is_some_and(|id| id.bytes().all(|b| b.is_ascii_hexdigit()));
    if !is_id {
        return Ok(None); // a module's path has a dot there
    }
    let caches = locate::caches(&settings.environment, &settings.options)?;
    let Some(gocache) = caches.gocache else {
        return Err(CommandError::Work("there is no build cache here".into()));
    };
    let inventory = scan::scan(Scan {
        modcache: None,
        gocache: Some(&gocache.path),
        jobs: steps::jobs(settings),
        read_actions: true,
    });
    let unknown = || CommandError::Usage(format!("the build cache has no output `{text}`").into());
    let cache = inventory.buildcache.as_ref().ok_or_else(unknown)?;
    let output = provenance::find(cache, text).ok_or_else(unknown)?;
    let trace =
        provenance::trace(cache, output).map_err(CommandError::failed(output.id.to_string()))?;
    let text = match settings.options.form.wants_json()? {
        false => {
            let lines = provenance::lines(&trace, Utc::now());
            let lines = lines
                .iter()
                .map(|line| format!("{}\n", escape::terminal(line)));
            lines.collect()
        }
        true => render::json(&trace),
    };
    Ok(Some(text))
}

/// Hexadecimal digits of an output's or an action's ID.
const ID_DIGITS: usize = 64;

/// Lists what takes the space.
pub fn run(
    settings: &Settings,
    args: &ListArgs,
    out: &mut dyn Write,
) -> Result<Verdict, CommandError> {
    if let Some(asked) = &args.why {
        if let Some(output) = trace_output(settings, asked)? {
            out.write_all(output.as_bytes())?;
            return Ok(Verdict::Pass);
        }
        return why::why(settings, asked, out);
    }
    let watch = progress::watch(settings.quiet);
    let found = steps::look(settings, VerifyLevel::Off, &*watch)?;
    drop(watch);
    let (inventory, now) = (&found.inventory, Utc::now());
    let (modcache, buildcache) = (inventory.modcache.as_ref(), inventory.buildcache.as_ref());
    let mut list = match args.by {
        ListBy::Module => ListReport::modules(modcache, args.top, now),
        ListBy::Version => ListReport::versions(modcache, args.top, now),
        ListBy::Output => ListReport::outputs(buildcache, args.top, now),
    };
    list.usage = found
        .observed
        .as_ref()
        .map(|observed| observed.usage.clone());
    // Node's WASI crashes on its way out once some megabytes of a file were read
    // at once, and the package's name may stand at an object's end.
    let readable = cfg!(not(target_family = "wasm"));
    if let (Rows::Outputs(rows), Some(cache), true) = (&mut list.rows, buildcache, readable) {
        for row in rows {
            // What cannot be read is a matter of `check`.
            let output = provenance::find(cache, &row.id);
            if let Some(Ok(known)) = output.map(|output| provenance::describe(cache, output)) {
                (row.kind, row.of) = (Some(known.kind.to_owned()), known.of);
            }
        }
    }
    let text = match settings.options.form.wants_json()? {
        false => render::list_text(&list),
        true => render::json(&list),
    };
    out.write_all(text.as_bytes())?;
    Ok(Verdict::Pass)
}
