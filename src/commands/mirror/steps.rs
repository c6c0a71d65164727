//! What the `mirror` commands do, step by step: read, weigh, remove, say.

use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use super::{MirrorArgs, MirrorCommand, MirrorTrimArgs};
use crate::error::CommandError;
use crate::findings::{Finding, Level, Rule, display_path};
use crate::folder::ordinary;
use crate::formats::gosum::MergedSums;
use crate::locate::{self};
use crate::report::{Tool, Verdict};
use crate::services::eviction::{EvictionPlan, UseRules};
use crate::services::heat::Heat;
use crate::services::mirror::access::Accesses;
use crate::services::mirror::plan::{self, MirrorNeeds, MirrorRules};
use crate::services::mirror::report::{self, MirrorReport, SCHEMA, Verified};
use crate::services::mirror::{Layout, Mirror, StoredVersion, remove, scan, verify};
use crate::services::report::{Name, PlanReport, TrimOutcome, TrimReport};
use crate::settings::{Environment, Options, VerifyLevel};
use crate::usage::ledger::{self, Ledger};

/// Where the versions lie, and how they go.
enum Storage {
    Disk {
        root: PathBuf,
        layout: Layout,
    },
    #[cfg(feature = "remote")]
    Artifactory {
        server: Box<crate::services::mirror::artifactory::Artifactory>,
        downloads: crate::services::mirror::artifactory::Downloads,
        name: String,
    },
}

/// Runs a mirror command. No configuration counts: the limits in one are meant for
/// the caches on disk.
pub(crate) fn run(
    command: &MirrorCommand,
    options: &Options,
    environment: &Environment,
    out: &mut dyn Write,
) -> Result<Verdict, CommandError> {
    let now = Utc::now();
    let (args, trim) = match command {
        MirrorCommand::List(args) => (&args.mirror, None),
        MirrorCommand::Trim(args) => (&args.mirror, Some(args)),
    };
    let as_json = options.form.wants_json()?;
    let (storage, mirror) = open(args, environment)?;
    tracing::debug!(
        "{}: {} versions, laid out as {}",
        storage.name(),
        mirror.versions.len(),
        storage.layout()
    );
    let known = known(environment, options)?;
    if trim.is_some() {
        known.refuse_gaps()?;
    }
    let (mut findings, mut notes) = (known.findings, Vec::new());
    if known.sums.is_empty() {
        notes.push(
            "no project is known: no go.sum keeps anything (see --project, --projects-under)"
                .to_owned(),
        );
    }
    findings.extend(oddities(&mirror, &storage, &mut notes));
    let accesses = read_logs(args, environment, &mirror, now, &mut notes)?;
    let heat_of = |version: &StoredVersion| storage.heat(version, &accesses, now);
    let level = args.verify.unwrap_or(match trim {
        Some(_) => VerifyLevel::Off,
        None => VerifyLevel::Full,
    });
    let verified = match &storage {
        Storage::Disk { root, .. } if level != VerifyLevel::Off => {
            Some(verified(root, &mirror, &known.sums, &mut findings))
        }
        _ => None,
    };
    let plan = trim.map(|args| {
        let policy = policy(args, environment);
        plan::plan(&mirror, heat_of, &known.needs, &policy, now)
    });
    let outcome = match (&plan, trim) {
        (Some(plan), Some(args)) if args.yes => Some(storage.remove(&mirror, plan)),
        _ => None,
    };
    let trim = TrimReport {
        plan: (plan.as_ref()).map(|plan| PlanReport::new(plan, mirror.bytes())),
        outcome,
    };
    let report = MirrorReport {
        schema: SCHEMA,
        tool: Tool::this(),
        generated_at: now,
        verdict: verdict(&findings, &trim),
        storage: storage.name(),
        layout: storage.layout(),
        bytes: mirror.bytes(),
        versions: report::versions(&mirror, heat_of, &known.needs, plan.as_ref(), now),
        findings,
        verified,
        trim,
        notes,
    };
    let text = match (as_json, command) {
        (true, _) => crate::render::json(&report),
        (false, MirrorCommand::List(args)) => report::text(&report, args.top),
        (false, MirrorCommand::Trim(_)) => report::text(&report, 0),
    };
    out.write_all(text.as_bytes())?;
    if report.trim.is_incomplete() {
        out.flush()?;
        return Err(CommandError::Work(
            "not everything could be judged or removed; see above".into(),
        ));
    }
    Ok(report.verdict)
}

/// What is known of the projects that the storage serves.
#[derive(Default)]
struct Known {
    needs: MirrorNeeds,
    sums: MergedSums,
    findings: Vec<Finding>,
    /// Why it is not known what all of them need.
    gaps: Vec<String>,
}

impl Known {
    /// A trim cannot do without knowing what all projects need.
    fn refuse_gaps(&self) -> Result<(), CommandError> {
        if self.gaps.is_empty() {
            return Ok(());
        }
        let gaps = self.gaps.join("; ");
        Err(CommandError::Usage(
            format!("it is not known what all projects need, so that nothing is trimmed: {gaps}")
                .into(),
        ))
    }
}

fn verified(
    root: &Path,
    mirror: &Mirror,
    sums: &MergedSums,
    findings: &mut Vec<Finding>,
) -> Verified {
    let evidence = verify::verify(root, mirror, sums);
    findings.extend(evidence.findings);
    Verified {
        proven: evidence.proven,
        unproven: evidence.sound,
    }
}

fn known(environment: &Environment, options: &Options) -> Result<Known, CommandError> {
    let located = locate::projects(environment, options)?;
    let mut known = Known {
        findings: located.findings,
        ..Known::default()
    };
    for file in located.list.iter().flat_map(|project| &project.go_sum) {
        known.needs.add(&file.sums);
        known.sums.add(display_path(&file.path), &file.sums);
    }
    let projects = located.list.iter();
    let gaps = projects.filter_map(|project| Some((&project.dir, project.gap.as_ref()?)));
    let unread = located.unread.iter();
    let gaps = gaps.chain(unread.map(|unread| (&unread.dir, &unread.gap)));
    known.gaps = gaps
        .map(|(dir, gap)| format!("{}: {gap}", display_path(dir)))
        .collect();
    Ok(known)
}

fn policy(args: &MirrorTrimArgs, environment: &Environment) -> MirrorRules {
    let private = args.mirror.private.clone();
    let max_size = args.max_size.and_then(|limit| limit.fail.or(limit.warn));
    MirrorRules {
        keep: args.keep.clone(),
        uses: UseRules {
            keep_since: args
                .keep_since
                .and_then(|age| TimeDelta::from_std(age.0).ok()),
            cutoff: args.cutoff_days.map(|days| TimeDelta::days(days.into())),
            min_hit_count: args.min_hit_count,
        },
        max_bytes: max_size.map(|size| size.0),
        private: private.unwrap_or_else(|| go_private(environment)),
        force: args.force,
    }
}

fn verdict(findings: &[Finding], trim: &TrimReport) -> Verdict {
    let worst = findings.iter().map(|finding| finding.level).max();
    match worst {
        _ if trim.is_over() => Verdict::Fail,
        Some(Level::Deny) => Verdict::Fail,
        Some(Level::Warn) => Verdict::Warn,
        _ => Verdict::Pass,
    }
}

fn open(args: &MirrorArgs, environment: &Environment) -> Result<(Storage, Mirror), CommandError> {
    if let Some(url) = &args.artifactory {
        let name = args.artifactory_repo.as_deref().unwrap_or_default();
        return open_artifactory(url, name, environment);
    }
    let Some(storage) = &args.storage else {
        return Err(CommandError::Usage("which storage? Give its folder".into()));
    };
    let root = environment.resolve(storage);
    let wrong = CommandError::file(&root);
    // An empty storage is an empty storage in either layout.
    let layout = args
        .layout
        .or_else(|| scan::detect(&root))
        .unwrap_or(Layout::Goproxy);
    let mirror = scan::scan(&root, layout).map_err(wrong)?;
    Ok((Storage::Disk { root, layout }, mirror))
}

#[cfg(feature = "remote")]
fn open_artifactory(
    url: &str,
    name: &str,
    environment: &Environment,
) -> Result<(Storage, Mirror), CommandError> {
    use crate::services::remote::client::{Http, USUAL};
    let token =
        crate::commands::remote::token(environment, &["ARTIFACTORY_TOKEN", "JFROG_ACCESS_TOKEN"])?;
    let http = Http::new(url, token, USUAL)?;
    let server = crate::services::mirror::artifactory::Artifactory::new(http, name)?;
    let (mirror, downloads) = server.list().map_err(CommandError::failed(name))?;
    let name = format!("{}/{name}", url.trim_end_matches('/'));
    Ok((
        Storage::Artifactory {
            server: Box::new(server),
            downloads,
            name,
        },
        mirror,
    ))
}

#[cfg(not(feature = "remote"))]
fn open_artifactory(_: &str, _: &str, _: &Environment) -> Result<(Storage, Mirror), CommandError> {
    Err(CommandError::Usage(
        "this build has no network: --artifactory needs the feature `remote`".into(),
    ))
}

impl Storage {
    fn name(&self) -> String {
        match self {
            Self::Disk { root, .. } => display_path(root),
            #[cfg(feature = "remote")]
            Self::Artifactory { name, .. } => name.clone(),
        }
    }

    fn layout(&self) -> &'static str {
        match self {
            Self::Disk {
                layout: Layout::Goproxy,
                ..
            } => "goproxy",
            Self::Disk {
                layout: Layout::Athens,
                ..
            } => "athens",
            #[cfg(feature = "remote")]
            Self::Artifactory { .. } => "artifactory",
        }
    }

    /// Access logs tell more than a server's counters; either is better than
    /// the time of storing alone.
    fn heat(&self, version: &StoredVersion, logs: &Accesses, now: DateTime<Utc>) -> Heat {
        match self {
            #[cfg(feature = "remote")]
            Self::Artifactory { downloads, .. } if logs.is_empty() => downloads.heat(version, now),
            _ => logs.heat(&version.id, version.stored, now),
        }
    }

    fn remove(&self, mirror: &Mirror, plan: &EvictionPlan) -> TrimOutcome {
        let mut outcome = TrimOutcome::default();
        let name = |version: &StoredVersion| Name::Version {
            subject: version.id.to_string(),
        };
        outcome.remove(&mirror.versions, plan, name, |version, part| {
            match self {
                Self::Disk { root, layout } => remove::remove(root, *layout, version, part)?,
                #[cfg(feature = "remote")]
                Self::Artifactory { server, .. } => server.delete(version, part)?,
            }
            Ok(true)
        });
        outcome
    }
}

/// What could not be read is a finding; what is merely alien is counted.
fn oddities(mirror: &Mirror, storage: &Storage, notes: &mut Vec<String>) -> Vec<Finding> {
    let alien: Vec<_> = mirror
        .oddities
        .iter()
        .filter(|odd| !odd.unreadable)
        .collect();
    if let Some(first) = alien.first() {
        notes.push(format!(
            "{} files or folders belong to no version, such as {} ({})",
            alien.len(),
            display_path(&first.path),
            first.what
        ));
    }
    let unreadable = mirror.oddities.iter().filter(|odd| odd.unreadable);
    unreadable
        .map(|odd| {
            let path = display_path(&odd.path);
            let mut finding = Finding::new(Rule::Unreadable, path.clone(), odd.what.clone());
            finding.path = Some(format!("{}/{path}", storage.name()));
            finding
        })
        .collect()
}

fn read_logs(
    args: &MirrorArgs,
    environment: &Environment,
    mirror: &Mirror,
    now: DateTime<Utc>,
    notes: &mut Vec<String>,
) -> Result<Accesses, CommandError> {
    let mut accesses = Accesses::default();
    for log in &args.access_logs {
        let path = environment.resolve(log);
        tracing::debug!("reading accesses from {}", display_path(&path));
        let wrong = CommandError::file(&path);
        let file = ordinary::open(&path).map_err(&wrong)?;
        accesses
            .read(BufReader::new(file), mirror, now)
            .map_err(&wrong)?;
    }
    for ledger in &args.ledgers {
        let path = environment.resolve(ledger);
        let bytes = ordinary::read(&path, ledger::MAX_BYTES).map_err(CommandError::file(&path))?;
        let ledger = Ledger::parse(&bytes).map_err(CommandError::failed(display_path(&path)))?;
        accesses.add(&ledger, now);
    }
    if accesses.odd > 0 {
        notes.push(format!(
            "{} of {} log lines were not understood",
            accesses.odd, accesses.lines
        ));
    }
    Ok(accesses)
}

fn go_private(environment: &Environment) -> String {
    let (value, _) = locate::go_settings(environment).get("GOPRIVATE");
    value.to_string_lossy().into_owned()
}
