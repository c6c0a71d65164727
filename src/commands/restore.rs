//! `gocachevet restore`.

use super::save::{builds_with, unlimited};
use crate::act;
use crate::cli::{Reporting, Takes, Where, progress};
use crate::error::CommandError;
use crate::findings::{Finding, Level, Rule, display_path};
use crate::folder::Root;
use crate::formats::action::OutputId;
use crate::formats::module::MOVABLE;
use crate::locate;
use crate::needs;
use crate::report::{self, Difference, ProvenBy, Verdict, Verification};
use crate::run::{self as steps, Found};
use crate::settings::{
    BaselineOptions, Environment, GoOptions, MarkOptions, Settings, StrictnessOptions,
};
use crate::snapshot::place::Destination;
use crate::snapshot::restore::{Restored, Take, restore};
use crate::snapshot::save::{open, same_go};
use crate::snapshot::seal::Terms;
use crate::snapshot::store::{Head, Store};
use crate::snapshot::trust::Trust;
use crate::snapshot::{RECORD, RestoreRecord, Snapshot, beside, held};
use crate::sumdb::note::Verifier;
use crate::text::human;
use crate::usage::state::replace;
use crate::values::Age;
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

/// How a report names what differs: Go's version, and the folder of the job.
const GO: &str = "go";
const DIRECTORY: &str = "directory";

/// Where a snapshot lies.
#[derive(Args, Clone, Debug, Default)]
pub struct StoreArgs {
    /// Where snapshots lie: a folder, or s3://BUCKET/PREFIX, gs://… or azblob://…
    #[arg(long, value_name = "DIR|URL")]
    pub store: PathBuf,
    /// Whose snapshot: jobs that use the same things share one
    #[arg(long, value_name = "KEY")]
    pub key: String,
    /// The branch [default: as CI says, else `main`]
    #[arg(long = "ref", value_name = "REF", hide_short_help = true)]
    pub branch: Option<String>,
    /// The branch whose snapshot serves one that has none [default: as CI says, else `main`]
    #[arg(long = "default-ref", value_name = "REF", hide_short_help = true)]
    pub default_branch: Option<String>,
}

impl StoreArgs {
    pub(super) fn store(&self, settings: &Settings) -> Result<Store, CommandError> {
        let environment = &settings.environment;
        let url = self.store.to_str().filter(|store| store.contains("://"));
        match url {
            Some(url) => {
                let spool = beside(&steps::state_path(settings)?, ".bundles");
                Store::at(url, environment, spool)
            }
            None => Ok(Store::new(environment.resolve(&self.store))),
        }
    }

    pub(super) fn branch(&self, environment: &Environment) -> String {
        let names = ["GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "BUILDKITE_BRANCH"];
        said(&self.branch, environment, &names)
    }

    pub(super) fn default_branch(&self, environment: &Environment) -> String {
        let names = ["CI_DEFAULT_BRANCH", "BUILDKITE_PIPELINE_DEFAULT_BRANCH"];
        said(&self.default_branch, environment, &names)
    }
}

fn said(option: &Option<String>, environment: &Environment, names: &[&str]) -> String {
    let by_ci = || names.iter().find_map(|name| environment.var(name));
    let named = option
        .clone()
        .or_else(|| Some(by_ci()?.to_string_lossy().into_owned()));
    named.unwrap_or_else(|| "main".to_owned())
}

/// Which seals count. They are checked before anything is unpacked.
#[derive(Args, Clone, Debug, Default)]
pub struct SealedArgs {
    /// Restore what this public key has sealed; several may be named
    #[arg(long, value_name = "PUBLIC-KEY", value_parser = Verifier::parse)]
    pub sealed_by: Vec<Verifier>,
    /// The branches that may have sealed it; `*` and `**` stand for parts
    #[arg(long, value_name = "PATTERN", requires = "sealed_by")]
    pub sealed_ref: Option<String>,
    /// How old a seal may be
    #[arg(long, value_name = "AGE", requires = "sealed_by")]
    pub seal_max_age: Option<Age>,
    /// The least counter of a seal: an older one was rolled back
    #[arg(long, value_name = "N", requires = "sealed_by")]
    pub seal_min_counter: Option<u64>,
    /// What to do where no seal counts
    #[arg(long, value_enum, default_value_t, requires = "sealed_by")]
    pub on_unsealed: OnUnsealed,
    /// Restore the bundle of this digest, with its base, and nothing else
    #[arg(long, value_name = "DIGEST", conflicts_with = "sealed_by")]
    pub digest: Option<OutputId>,
}

/// What to do where no seal counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnUnsealed {
    /// Nothing is restored, and the job fails.
    #[default]
    Fail,
    /// Only modules are restored that go.sum or the checksum database proves.
    Skip,
    /// All is restored, as if no seal were asked for.
    Warn,
}

impl SealedArgs {
    fn terms(&self, key: &str, environment: &Environment) -> Option<Terms> {
        (!self.sealed_by.is_empty()).then(|| Terms {
            keys: self.sealed_by.iter().map(Verifier::to_string).collect(),
            refs: self.sealed_ref.clone(),
            max_age: self.seal_max_age.map(|age| age.0.as_secs()),
            min_counter: self.seal_min_counter,
            key: key.to_owned(),
            repository: repository(environment),
        })
    }
}

/// Bring back what `gocachevet save` kept, proven while it is unpacked.
///
/// Nothing gets its name in a cache before it is proven, and nothing that is
/// there is replaced. What is damaged is left out and reported. It also marks the
/// start of the job, so that `gocachevet mark` is not needed.
#[derive(Args, Clone, Debug, Default)]
pub struct RestoreArgs {
    /// Where it goes, and how it is judged.
    #[command(flatten)]
    pub shared:
        Takes<Where, MarkOptions, GoOptions, Reporting, Takes<StrictnessOptions, BaselineOptions>>,
    /// Where the snapshot lies.
    #[command(flatten)]
    pub store: StoreArgs,
    /// What damage that was left out does to the verdict
    #[arg(long, value_enum, default_value_t)]
    pub on_corrupt: OnCorrupt,
    /// Which seals count.
    #[command(flatten)]
    pub seal: SealedArgs,
}

/// What damage that was left out does to the verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnCorrupt {
    /// A warning: the caches are sound without it.
    #[default]
    Warn,
    /// The job fails.
    Fail,
}

/// Restores, marks, and reports.
pub fn run(
    settings: &Settings,
    args: &RestoreArgs,
    out: &mut dyn Write,
) -> Result<Verdict, CommandError> {
    let start = Instant::now();
    let now = Utc::now();
    let watch = progress::watch(settings.quiet);
    let caches = prepared(settings, now)?;
    let store = args.store.store(settings)?;
    store.forget()?;
    let mut found = looked(settings)?;
    let mut notes = Vec::new();
    let terms = args.seal.terms(&args.store.key, &settings.environment);
    let search = Search {
        store: &store,
        args,
        settings,
        terms: terms.as_ref(),
        now: now.timestamp(),
    };
    let located = search.newest(&mut found.findings, &mut notes)?;
    let mut record = RestoreRecord {
        key: args.store.key.clone(),
        run: this_run(&settings.environment),
        terms,
        ..RestoreRecord::default()
    };
    let mut told = report::Snapshot::default();
    let mut heads = Vec::new();
    if let Some(located) = &located {
        let Located {
            head,
            snapshot,
            take,
            ..
        } = located;
        let (caches, differences) = fitting(caches, snapshot, settings, &found, &mut notes);
        let go = locate::go_settings(&settings.environment);
        let exempt = go.get("GONOSUMDB").0.to_string_lossy().into_owned();
        let keys = steps::sumdb_setting(&go).keys();
        let trust = Trust::of(snapshot, found.sums.clone(), &keys, exempt);
        let jobs = steps::jobs(settings);
        let mut restored = restore(snapshot, &caches, &trust, *take, jobs, &*watch)
            .map_err(CommandError::failed("restoring"))?;
        record.bundles.clone_from(&head.bundles);
        record.left_out.clone_from(&restored.left_out);
        record.vouched = std::mem::take(&mut restored.vouched);
        if *take == Take::Sealed {
            record.counter = Some(snapshot.newest().said.counter);
            let all = snapshot.bundles().map(|bundle| bundle.frames.head());
            heads = all
                .collect::<Result<_, _>>()
                .map_err(CommandError::failed("the sealed manifest"))?;
        }
        let seconds = start.elapsed().as_secs_f64();
        let age = now.timestamp().saturating_sub(head.saved);
        told.restored = Some(report::Restored {
            key: args.store.key.clone(),
            seconds,
            age_seconds: u64::try_from(age).unwrap_or_default(),
            ..restored_of(&restored, located, differences)
        });
        found.evidence.verification = verification(&restored, seconds);
        found.findings.extend(findings(restored, args.on_corrupt));
    }
    drop(watch);
    let marked = steps::set_mark(settings, now)?;
    record.since = marked.state.head.since;
    let json = serde_json::to_vec(&record).map_err(CommandError::failed("this job's record"))?;
    let path = beside(&marked.path, RECORD);
    replace(&path, &json).map_err(CommandError::file(path))?;
    held::keep(&marked.path, &heads).map_err(CommandError::file(&marked.path))?;
    found.notes.append(&mut notes);
    let mut report = steps::report(&found, &unlimited(settings), now)?;
    report.snapshot = Some(told);
    steps::write_report(&report, settings, out)?;
    Ok(report.verdict)
}

/// The caches' folders, made if need be, and opened.
fn prepared(settings: &Settings, now: DateTime<Utc>) -> Result<Destination, CommandError> {
    let environment = &settings.environment;
    let (modcache, gocache) = locate::expected(environment, &settings.options)?;
    let (modcache, gocache) = (modcache.ok(), gocache.ok());
    for path in [&modcache, &gocache].into_iter().flatten() {
        steps::refuse_links(environment, path)?;
        fs::create_dir_all(path).map_err(CommandError::file(path))?;
    }
    act::refuse(environment, modcache.as_deref(), gocache.as_deref()).map_err(|refusal| {
        let path = display_path(&refusal.path);
        CommandError::Usage(format!("{path}: {}; nothing was restored", refusal.why).into())
    })?;
    let open = |path: &PathBuf, movable: &[&'static str]| {
        Root::open(path, movable).map_err(CommandError::file(path))
    };
    let flags = locate::go_settings(environment).get("GOFLAGS").0;
    let mut flags = flags.to_str().unwrap_or_default().split_whitespace();
    Ok(Destination {
        modules: modcache.map(|path| open(&path, MOVABLE)).transpose()?,
        builds: gocache.map(|path| open(&path, &[])).transpose()?,
        writable: flags.any(|flag| flag.trim_start_matches('-') == "modcacherw"),
        now,
    })
}

/// The projects, and caches in which nothing was looked at.
fn looked(settings: &Settings) -> Result<Found, CommandError> {
    let projects = locate::projects(&settings.environment, &settings.options)?;
    let sums = needs::sums_of(&projects.list);
    Ok(Found {
        projects: projects.list,
        unread: projects.unread,
        sums,
        findings: projects.findings,
        inventory: Default::default(),
        ..steps::look_briefly(settings)?
    })
}

/// A snapshot to restore.
struct Located {
    branch: String,
    head: Head,
    snapshot: Snapshot,
    take: Take,
    /// The name of the key that sealed it.
    sealed_by: Option<String>,
}

/// What to look for, and where.
struct Search<'a> {
    store: &'a Store,
    args: &'a RestoreArgs,
    settings: &'a Settings,
    terms: Option<&'a Terms>,
    now: i64,
}

impl Search<'_> {
    /// The newest snapshot of the key: the branch's own, else the default branch's;
    /// the first whose seals count, if they are asked for.
    fn newest(
        &self,
        findings: &mut Vec<Finding>,
        notes: &mut Vec<String>,
    ) -> Result<Option<Located>, CommandError> {
        if let Some(digest) = self.args.seal.digest {
            return self.of_digest(&digest.to_string(), findings, notes);
        }
        let StoreArgs { key, .. } = &self.args.store;
        let environment = &self.settings.environment;
        let mut branches = vec![
            self.args.store.branch(environment),
            self.args.store.default_branch(environment),
        ];
        branches.dedup();
        let (mut refused, mut first) = (Vec::new(), None);
        for branch in branches {
            let Some(head) = self.store.head(key, &branch)? else {
                tracing::debug!("no snapshot of {key} on {branch}");
                continue;
            };
            let Some(snapshot) = open(self.store, &head, notes)? else {
                continue;
            };
            let mut located = Located {
                branch,
                head,
                snapshot,
                take: Take::All,
                sealed_by: None,
            };
            let Some(terms) = self.terms else {
                return Ok(Some(located));
            };
            match terms.check_snapshot(&located.snapshot, self.now) {
                Ok(by) => {
                    located.take = Take::Sealed;
                    located.sealed_by = Some(by);
                    findings.extend(at_most(Level::Warn, refused));
                    return Ok(Some(located));
                }
                Err(why) => {
                    refused.push(*why);
                    first.get_or_insert(located);
                }
            }
        }
        let on_unsealed = self.args.seal.on_unsealed;
        let level = match on_unsealed {
            OnUnsealed::Fail => Level::Deny,
            OnUnsealed::Skip | OnUnsealed::Warn => Level::Warn,
        };
        findings.extend(at_most(level, refused));
        let first = first.and_then(|mut first| {
            first.take = match on_unsealed {
                OnUnsealed::Fail => return None,
                OnUnsealed::Skip => Take::Proven,
                OnUnsealed::Warn => Take::All,
            };
            Some(first)
        });
        if first.is_none() {
            notes.push(format!(
                "there is no snapshot of {key:?} to restore: this job starts cold"
            ));
        }
        Ok(first)
    }

    /// The snapshot whose newest bundle has this digest. That names all of it: its
    /// manifest has the digests of those below, and each the SHA-256 of every file.
    fn of_digest(
        &self,
        digest: &str,
        findings: &mut Vec<Finding>,
        notes: &mut Vec<String>,
    ) -> Result<Option<Located>, CommandError> {
        let mut bundles = vec![digest.to_owned()];
        let (mut branch, mut saved) = (String::new(), self.now);
        self.store.fetch(&bundles)?;
        if let Ok(newest) = self.store.bundle(digest) {
            (branch, saved) = (newest.said.branch, newest.said.saved);
            let below = newest.said.below.into_iter();
            bundles.splice(..0, below.map(|below| below.digest));
        }
        let head = Head::new(bundles, None, saved);
        let Some(snapshot) = open(self.store, &head, notes)? else {
            let why = "cannot be restored, and nothing else was: this job starts cold";
            let subject = format!("bundle {digest}");
            findings.push(Finding::new(Rule::SealMissing, subject, why));
            return Ok(None);
        };
        Ok(Some(Located {
            branch,
            head,
            snapshot,
            take: Take::Sealed,
            sealed_by: None,
        }))
    }
}

fn at_most(level: Level, findings: Vec<Finding>) -> impl Iterator<Item = Finding> {
    findings.into_iter().map(move |finding| Finding {
        level: finding.level.min(level),
        ..finding
    })
}

/// The repository, as CI names it.
pub(super) fn repository(environment: &Environment) -> Option<String> {
    let names = ["GITHUB_REPOSITORY", "CI_PROJECT_PATH", "BUILDKITE_REPO"];
    let named = names.iter().find_map(|name| environment.var(name));
    named.map(|name| name.to_string_lossy().into_owned())
}

/// What CI calls this run of this job, and no other; empty outside of CI.
pub(super) fn this_run(environment: &Environment) -> String {
    const NAMES: [&str; 5] = [
        "GITHUB_RUN_ID",
        "GITHUB_RUN_ATTEMPT",
        "GITHUB_JOB",
        "CI_JOB_ID",
        "BUILDKITE_JOB_ID",
    ];
    let named = NAMES.iter().filter_map(|name| environment.var(name));
    let named: Vec<_> = named.map(|value| value.to_string_lossy()).collect();
    named.join(" ")
}

/// Where this job differs from the one that saved, in what decides whether Go
/// finds the outputs. Those of another Go version are not restored.
fn fitting(
    mut caches: Destination,
    snapshot: &Snapshot,
    settings: &Settings,
    found: &Found,
    notes: &mut Vec<String>,
) -> (Destination, Vec<Difference>) {
    let saver = &snapshot.newest().said;
    let mut differences = Vec::new();
    let here = builds_with(settings, &found.projects);
    if !same_go(&saver.go, &here) {
        caches.builds = None;
        let (then, now) = (saver.go.join(", "), here.join(", "));
        notes.push(format!(
            "only modules are restored: the build outputs are of {then}, and this job runs {now}"
        ));
        differences.push(Difference::new(GO, then, now));
    }
    let settings = go_settings(settings);
    // Then Go leaves it out of what it knows a package by.
    let is_trimmed = settings
        .get("GOFLAGS")
        .is_some_and(|flags| flags.contains("-trimpath"));
    for (name, now) in settings {
        let then = saver.settings.get(&name).cloned().unwrap_or_default();
        if then == now || (is_trimmed && name == DIRECTORY) {
            continue;
        }
        notes.push(format!(
            "{name} is {now:?}, and was {then:?} in the job that saved: Go may not find its build outputs"
        ));
        differences.push(Difference::new(&name, then, now));
    }
    (caches, differences)
}

/// The settings that decide whether Go finds build outputs again.
pub(super) fn go_settings(settings: &Settings) -> BTreeMap<String, String> {
    const NAMES: [&str; 9] = [
        "GOOS",
        "GOARCH",
        "GOFLAGS",
        "GOEXPERIMENT",
        "CGO_ENABLED",
        "GOAMD64",
        "GOARM64",
        "GODEBUG",
        "GOMODCACHE",
    ];
    let go = locate::go_settings(&settings.environment);
    let value = |name: &str| match name {
        "GOMODCACHE" => {
            let expected = locate::expected(&settings.environment, &settings.options);
            let path = expected.ok().and_then(|(modcache, _)| modcache.ok());
            path.map(|path| display_path(&path)).unwrap_or_default()
        }
        name => go.get(name).0.to_string_lossy().into_owned(),
    };
    let mut all: BTreeMap<String, String> = NAMES
        .iter()
        .map(|name| ((*name).to_owned(), value(name)))
        .collect();
    let directory = display_path(&settings.environment.cwd);
    all.insert(DIRECTORY.to_owned(), directory);
    all
}

/// What the report says of a restore, but for its circumstances.
fn restored_of(
    restored: &Restored,
    located: &Located,
    differences: Vec<Difference>,
) -> report::Restored {
    let head = &located.head;
    report::Restored {
        branch: located.branch.clone(),
        sealed_by: located.sealed_by.clone(),
        base: head.bundles.first().cloned().unwrap_or_default(),
        delta: head.bundles.get(1..).and_then(<[_]>::last).cloned(),
        bytes: restored.bytes,
        files: restored.files,
        skipped: restored.left_out.len() as u64,
        present: restored.present,
        modules_only: differences.iter().any(|it| it.name == GO),
        differences,
        ..report::Restored::default()
    }
}

/// What was damaged, and what nothing vouches for.
fn findings(restored: Restored, on_corrupt: OnCorrupt) -> Vec<Finding> {
    let most = match on_corrupt {
        OnCorrupt::Warn => Level::Warn,
        OnCorrupt::Fail => Level::Deny,
    };
    let mut findings: Vec<Finding> = at_most(most, restored.findings).collect();
    let unproven = restored.unproven.len() as u64;
    if unproven > 0 {
        let subject = human::counted(unproven, "module version", "module versions");
        let message = "nothing outside the snapshot vouches for: no go.sum and no record of the checksum database lists them";
        findings.push(Finding::new(Rule::Unproven, subject, message));
    }
    findings
}

fn verification(restored: &Restored, seconds: f64) -> Verification {
    Verification {
        level: "full".to_owned(),
        versions_checked: restored.versions,
        outputs_checked: restored.outputs,
        bytes_hashed: restored.hashed,
        bytes_proven: restored.proven,
        bytes_consistent: restored.consistent,
        unproven: restored.unproven.len() as u64,
        failed: restored.left_out.len() as u64,
        seconds,
        proven_by: ProvenBy {
            go_sum: restored.by_go_sum,
            sumdb: restored.by_sumdb,
            seal: restored.by_seal,
            ..ProvenBy::default()
        },
        ..Verification::default()
    }
}
