//! What the `remote` commands do, step by step: ask, weigh, delete, say.

use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use super::{RemoteArgs, RemoteCommand, RemoteTrimArgs};
use crate::error::CommandError;
use crate::findings::display_path;
use crate::folder::ordinary;
use crate::net::Limits;
use crate::report::{Tool, Verdict};
use crate::run as steps;
use crate::services::eviction::{EvictionPlan, UseRules};
use crate::services::remote::client::{
    Client, Fault, Http, Replies, Token, USUAL, valid_name, valid_repository,
};
use crate::services::remote::entry::{CacheEntry, Repository};
use crate::services::remote::history::{self, History};
use crate::services::remote::plan::{self, RemoteRules};
use crate::services::remote::prefix::KeyPrefix;
use crate::services::remote::report::{self, RemoteReport, RepositoryReport, SCHEMA};
use crate::services::remote::{summary, workflow};
use crate::services::report::{Name, PlanReport, TrimOutcome, TrimReport};
use crate::settings::{Environment, Options};
use crate::usage::state;
use crate::values::{Age, Share};

/// The variables a token may come in, the first that is set wins. Only from
/// there: what is typed ends up in logs and histories.
const TOKENS: [&str; 3] = ["GOCACHEVET_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"];

/// Runs a remote command. No configuration counts: the limits in one are meant for
/// the caches on disk.
pub(crate) fn run(
    command: &RemoteCommand,
    options: &Options,
    environment: &Environment,
    out: &mut dyn Write,
) -> Result<Verdict, CommandError> {
    let now = Utc::now();
    let as_json = options.form.wants_json()?;
    let (args, trim) = match command {
        RemoteCommand::List(args) => (args, None),
        RemoteCommand::Usage(args) => (&args.remote, None),
        RemoteCommand::Trim(args) => (&args.remote, Some(args)),
    };
    let (bytes, share) = match command {
        RemoteCommand::List(_) => (None, None),
        RemoteCommand::Usage(args) => (args.max_size, args.quota_share),
        RemoteCommand::Trim(args) => (args.max_size, args.quota_share),
    };
    let bytes = bytes.and_then(|limit| limit.fail.or(limit.warn));
    let limit = bytes.map(Share::Bytes).or(share.map(Share::Part));
    let mut history = read_history(args, environment)?;
    let (client, api) = connect(args, environment, std::mem::take(&mut history.replies))?;
    let (names, mut unknown) = repositories(args, environment, &client)?;
    let prefixes = prefixes(args, environment, &names, &mut unknown)?;
    tracing::debug!("{} key prefixes tell what supersedes what", prefixes.len());
    let policy = trim
        .map(|args| policy(args, limit, &prefixes))
        .transpose()?;

    let run = Run {
        command,
        limit,
        policy,
        client,
        prefixes,
        now,
    };
    let mut failed = !unknown.is_empty() && names.is_empty();
    let mut verdict = Verdict::Pass;
    let mut reports = Vec::new();
    for name in &names {
        let done = run.repository(name, &mut history);
        failed |= done.failed;
        if done.over {
            verdict = Verdict::Fail;
        }
        reports.push(done.report);
    }
    history.replies = run.client.into_http().into_store();
    let report = RemoteReport {
        schema: SCHEMA,
        tool: Tool::this(),
        generated_at: now,
        verdict,
        api,
        dry_run: trim.map(|args| !args.yes),
        repositories: reports,
        unknown,
    };
    match as_json {
        true => out.write_all(crate::render::json(&report).as_bytes())?,
        false => out.write_all(report::text(&report).as_bytes())?,
    }
    write_history(args, environment, &history)?;
    if failed {
        out.flush()?;
        return Err(CommandError::Work(
            "not everything could be learnt or done; see above".into(),
        ));
    }
    Ok(verdict)
}

/// A command on every repository.
struct Run<'a> {
    command: &'a RemoteCommand,
    limit: Option<Share>,
    /// What goes, if anything may.
    policy: Option<RemoteRules>,
    client: Client,
    prefixes: Vec<KeyPrefix>,
    now: DateTime<Utc>,
}

/// What came of one repository.
struct Done {
    report: RepositoryReport,
    /// Something could not be learnt or done.
    failed: bool,
    /// It holds more than it may.
    over: bool,
}

impl Run<'_> {
    fn repository(&self, name: &str, history: &mut History) -> Done {
        let mut repository = self.client.repository(name);
        // One request for each ref: only where the answer is used.
        let wants_refs = match self.command {
            RemoteCommand::List(_) => false,
            RemoteCommand::Usage(_) => true,
            RemoteCommand::Trim(args) => args.closed_prs,
        };
        if wants_refs {
            self.client.look_at_refs(&mut repository);
        }
        tracing::debug!(
            "{name}: {} entries, {}",
            repository.entries.len(),
            match repository.complete {
                true => "the whole list",
                false => "not the whole list: nothing goes for its size",
            }
        );
        history.sample(&repository, self.now);
        let plan = self.policy.as_ref();
        let plan = plan.map(|policy| plan::plan(&repository, history, policy, self.now));
        let outcome = match (&plan, self.command) {
            (Some(plan), RemoteCommand::Trim(args)) if args.yes => {
                Some(delete(&self.client, &repository, plan))
            }
            _ => None,
        };
        let trim = TrimReport {
            plan: (plan.as_ref()).map(|plan| PlanReport::new(plan, repository.bytes())),
            outcome,
        };
        let mut failed = !repository.complete || trim.is_incomplete();
        let mut over = trim.is_over();
        let is_usage = matches!(self.command, RemoteCommand::Usage(_));
        if let (true, Some(limit)) = (is_usage, self.limit) {
            match plan::resolve(limit, &repository) {
                Ok(limit) => over |= repository.bytes() > limit,
                Err(_) => failed = true,
            }
        }
        let entries = || report::entries(&repository, history, plan.as_ref(), self.now);
        let report = RepositoryReport {
            summary: summary::summary(&repository, &self.prefixes),
            entries: (!is_usage).then(entries),
            trim,
        };
        Done {
            report,
            failed,
            over,
        }
    }
}

/// What is said of one repository in the report of the local check.
pub(crate) fn for_check(
    name: &str,
    key: Option<&str>,
    local_bytes: u64,
    environment: &Environment,
) -> Result<crate::report::remote::RemoteSummary, CommandError> {
    let args = RemoteArgs {
        repos: vec![name.to_owned()],
        ..RemoteArgs::default()
    };
    let (client, api) = connect(&args, environment, Replies::new())?;
    let (names, mut unknown) = repositories(&args, environment, &client)?;
    let prefixes = prefixes(&args, environment, &names, &mut unknown)?;
    let repository = client.repository(name);
    let mut summary = summary::summary(&repository, &prefixes);
    summary.next_save = repository
        .complete
        .then(|| summary::next_save(&repository, key, &prefixes, local_bytes));
    summary.unknown.extend(unknown);
    Ok(crate::report::remote::RemoteSummary {
        api,
        repositories: vec![summary],
    })
}

fn policy(
    args: &RemoteTrimArgs,
    max_size: Option<Share>,
    prefixes: &[KeyPrefix],
) -> Result<RemoteRules, CommandError> {
    if args.superseded && prefixes.is_empty() {
        return Err(CommandError::Usage(
            "--superseded needs a --prefix, or workflows with restore-keys: \
             without one every key is restored by its full name"
                .into(),
        ));
    }
    Ok(RemoteRules {
        keep: args.keep.clone(),
        keep_refs: args.keep_refs.clone(),
        superseded: match args.superseded {
            true => prefixes.to_vec(),
            false => Vec::new(),
        },
        closed_prs: args.closed_prs,
        uses: UseRules {
            keep_since: args.keep_since.map(span),
            cutoff: args.cutoff_days.map(|days| TimeDelta::days(days.into())),
            min_hit_count: args.min_hit_count,
        },
        max_size,
    })
}

fn span(age: Age) -> TimeDelta {
    TimeDelta::from_std(age.0).unwrap_or(TimeDelta::MAX)
}

fn connect(
    args: &RemoteArgs,
    environment: &Environment,
    store: Replies,
) -> Result<(Client, String), CommandError> {
    let api = match &args.api_url {
        Some(url) => url.clone(),
        None => text(environment, "GITHUB_API_URL")
            .unwrap_or("https://api.github.com")
            .to_owned(),
    };
    let limits = Limits {
        timeout: args.timeout.map_or(USUAL.timeout, |age| age.0),
        patience: args.patience.map_or(USUAL.patience, |age| age.0),
        ..USUAL
    };
    let http = Http::new(&api, token(environment, &TOKENS)?, limits)?;
    tracing::debug!("asking {api}");
    Ok((Client::new(http.with_store(store)), api))
}

/// The first of these variables that holds a token.
pub(crate) fn token(
    environment: &Environment,
    names: &[&str],
) -> Result<Option<Token>, CommandError> {
    for name in names {
        if let Some(value) = text(environment, name) {
            let token = Token::new(value);
            return token.map(Some).map_err(CommandError::input(*name));
        }
    }
    Ok(None)
}

fn text<'e>(environment: &'e Environment, name: &str) -> Option<&'e str> {
    environment
        .var(name)
        .and_then(|value| value.to_str())
        .filter(|value| !value.is_empty())
}

fn repositories(
    args: &RemoteArgs,
    environment: &Environment,
    client: &Client,
) -> Result<(Vec<String>, Vec<String>), CommandError> {
    let mut names = args.repos.clone();
    let mut unknown = Vec::new();
    if let Some(org) = &args.org {
        if !valid_name(org) {
            return Err(CommandError::Usage(
                format!("{org:?} names no organisation").into(),
            ));
        }
        match client.organisation(org) {
            Ok(found) => names.extend(found),
            Err(fault) => unknown.push(format!("repositories of {org}: {fault}")),
        }
    } else if names.is_empty() {
        names.extend(text(environment, "GITHUB_REPOSITORY").map(str::to_owned));
        if names.is_empty() {
            return Err(CommandError::Usage(
                "which repository? Give --repo OWNER/NAME or --org NAME".into(),
            ));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    if let Some(wrong) = names.iter().find(|name| !valid_repository(name)) {
        return Err(CommandError::Usage(
            format!("{wrong:?} is not a repository's name; write OWNER/NAME").into(),
        ));
    }
    Ok((names, unknown))
}

/// Prefixes given, and those in the workflow files. The workflows here are
/// those of one repository and say nothing of others.
fn prefixes(
    args: &RemoteArgs,
    environment: &Environment,
    names: &[String],
    unknown: &mut Vec<String>,
) -> Result<Vec<KeyPrefix>, CommandError> {
    let mut prefixes = Vec::new();
    for text in &args.prefixes {
        let prefix = KeyPrefix::parse(text);
        prefixes.push(prefix.ok_or_else(|| {
            CommandError::Usage(
                format!("{text:?} would match every key; give some literal text").into(),
            )
        })?);
    }
    let folder = match &args.workflows {
        Some(folder) => environment.resolve(folder),
        None if names.len() == 1 && args.org.is_none() => {
            environment.resolve(Path::new(".github/workflows"))
        }
        None => return Ok(prefixes),
    };
    let files = match workflow_files(&folder) {
        Ok(files) => files,
        Err(error) if args.workflows.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(prefixes);
        }
        Err(error) => {
            return Err(CommandError::file(&folder)(error));
        }
    };
    for file in files {
        tracing::trace!("reading {}", display_path(&file));
        match ordinary::read(&file, workflow::MAX_BYTES) {
            Ok(bytes) => {
                let (found, error) = workflow::restore_keys(&String::from_utf8_lossy(&bytes));
                prefixes.extend(found);
                unknown.extend(error.map(|error| format!("{}: {error}", display_path(&file))));
            }
            Err(error) => unknown.push(format!("{}: {error}", display_path(&file))),
        }
    }
    Ok(prefixes)
}

fn workflow_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|ending| ending == "yml" || ending == "yaml")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_history(args: &RemoteArgs, environment: &Environment) -> Result<History, CommandError> {
    let Some(file) = &args.history else {
        return Ok(History::default());
    };
    let path = environment.resolve(file);
    let name = display_path(&path);
    match ordinary::read(&path, history::MAX_BYTES) {
        Ok(bytes) => History::parse(&bytes).map_err(CommandError::input(name)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(History::default()),
        Err(error) => Err(CommandError::input(name)(error)),
    }
}

/// Replaces the history in one step, so that a run cut off leaves the old one.
fn write_history(
    args: &RemoteArgs,
    environment: &Environment,
    history: &History,
) -> Result<(), CommandError> {
    let Some(file) = &args.history else {
        return Ok(());
    };
    let path = environment.resolve(file);
    steps::refuse_links(environment, &path)?;
    state::replace(&path, history.to_json().as_bytes()).map_err(CommandError::file(&path))
}

/// Deletes what the plan lists, by id. Where it is the token that is refused, that
/// would be so every time: nothing more is asked.
fn delete(client: &Client, repository: &Repository, plan: &EvictionPlan) -> TrimOutcome {
    let mut hopeless: Option<Fault> = None;
    let mut outcome = TrimOutcome {
        vanished: Some(0),
        ..TrimOutcome::default()
    };
    let name = |entry: &CacheEntry| Name::Entry {
        id: entry.id,
        key: entry.key.clone(),
    };
    outcome.remove(&repository.entries, plan, name, |entry, _| {
        let result = match &hopeless {
            Some(fault) => Err(fault.clone()),
            None => client.delete(&repository.name, entry.id),
        };
        match result {
            Ok(()) => Ok(true),
            Err(Fault::NotFound) => Ok(false),
            Err(fault) => {
                if matches!(
                    fault,
                    Fault::Forbidden { needs: Some(_), .. } | Fault::RateLimited(_)
                ) {
                    hopeless = Some(fault.clone());
                }
                Err(fault.into())
            }
        }
    });
    outcome
}
