//! `gocachevet doctor`.

use crate::cli::{BaselineArgs, Reporting, Takes, Where};
#[cfg(feature = "remote")]
use crate::doctor::online::Online;
use crate::doctor::{self, Gathered};
use crate::error::CommandError;
use crate::formats::gosum::MergedSums;
use crate::needs;
use crate::report::Verdict;
use crate::run::{self as steps, Found};
use crate::settings::{BaselineOptions, Settings, VerifyLevel};
use crate::values::Age;
use crate::verify::Evidence;
use chrono::Utc;
use clap::Args;
use std::io::Write;

/// Options of `doctor`.
#[derive(Args, Clone, Debug, Default)]
pub struct DoctorArgs {
    /// What is looked at, and how what was found is judged.
    #[command(flatten)]
    pub shared: Takes<Where, Reporting, BaselineOptions, BaselineArgs>,
    /// Ask the checksum database and the proxies what the caches cannot tell
    #[arg(long)]
    pub online: bool,
    /// How many versions to ask every proxy for [default: 5]
    #[arg(long, value_name = "N", requires = "online")]
    pub sample: Option<usize>,
    /// How long one answer may take [default: 10s]
    #[arg(long, value_name = "AGE", requires = "online")]
    pub timeout: Option<Age>,
    /// How long to ask in all [default: 2m]
    #[arg(long, value_name = "AGE", requires = "online")]
    pub patience: Option<Age>,
}

/// Tells Go's settings and what is wrong with them. It hashes nothing: what is in
/// the caches is the matter of `check`.
pub fn run(
    settings: &Settings,
    args: &DoctorArgs,
    out: &mut dyn Write,
) -> Result<Verdict, CommandError> {
    let now = Utc::now();
    let jobs = steps::jobs(settings);
    let gathered = doctor::gather(&settings.environment, &settings.options, jobs)?;
    let sums = needs::sums_of(&gathered.projects);
    let mut findings = doctor::diagnose(&gathered.situation);
    let (mut drift, mut notes) = (None, Vec::new());
    if args.online {
        let online = ask(&gathered, &sums, args)?;
        findings.extend(online.findings);
        notes.extend(online.notes);
        drift = online.table;
    }
    let told = doctor::settings(&gathered, &settings.options);
    findings.extend(gathered.findings);
    let mut inventory = gathered.inventory;
    inventory.findings.clear();
    let mut evidence = Evidence::default();
    evidence.verification.level = VerifyLevel::Off.name().to_owned();
    let found = Found {
        caches: gathered.caches,
        unread: Vec::new(),
        projects: gathered.projects,
        sums,
        inventory,
        evidence,
        observed: None,
        ledger: None,
        findings,
        drift,
        notes,
    };
    let mut report = steps::report(&found, settings, now)?;
    report.settings = told;
    // It verified nothing.
    report.verification = None;
    steps::write_report(&report, settings, out)?;
    Ok(report.verdict)
}

#[cfg(feature = "remote")]
fn ask(gathered: &Gathered, sums: &MergedSums, args: &DoctorArgs) -> Result<Online, CommandError> {
    use crate::doctor::online;
    use std::time::Duration;
    let wait =
        |age: Option<Age>, default: u64| age.map_or(Duration::from_secs(default), |age| age.0);
    let effort = online::Effort {
        timeout: wait(args.timeout, 10),
        patience: wait(args.patience, 120),
        sample: args.sample.unwrap_or(5),
    };
    let cache = gathered.inventory.modcache.as_ref();
    let go = &gathered.situation.go;
    let cached = cache.map(|cache| steps::cached_sumdb(cache, go));
    online::ask(gathered, sums, &cached.unwrap_or_default(), effort)
}

/// What asking would bring, in a build that cannot ask.
#[cfg(not(feature = "remote"))]
struct Online {
    findings: Vec<crate::findings::Finding>,
    notes: Vec<String>,
    table: Option<crate::report::DriftTable>,
}

#[cfg(not(feature = "remote"))]
fn ask(_: &Gathered, _: &MergedSums, _: &DoctorArgs) -> Result<Online, CommandError> {
    Err(CommandError::Usage(
        "--online: this build has no network; use one with the feature `remote`".into(),
    ))
}
