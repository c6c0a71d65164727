//! `gocachevet doctor`.

use super::{CliError, Settings};
use crate::config::VerifyLevel;
use crate::doctor;
use crate::flow::{self, Found};
use crate::formats::gosum::MergedSums;
use crate::report::Verdict;
use crate::verify::Evidence;
use chrono::Utc;
use clap::Args;
use std::io::Write;

/// Options of `doctor`.
#[derive(Args, Clone, Debug, Default)]
pub struct DoctorArgs {}

/// Diagnoses Go's settings and writes the report. It hashes nothing: what is in
/// the caches is the matter of `check`.
pub fn run(
    settings: &Settings,
    _args: &DoctorArgs,
    out: &mut dyn Write,
) -> Result<Verdict, CliError> {
    let now = Utc::now();
    let jobs = flow::jobs(settings);
    let gathered = doctor::gather(&settings.environment, &settings.options, jobs)?;
    let mut findings = gathered.findings;
    findings.extend(doctor::diagnose(&gathered.situation, now));
    let mut inventory = gathered.inventory;
    inventory.findings.clear();
    let mut evidence = Evidence::default();
    evidence.verification.level = VerifyLevel::Off.name().to_owned();
    let found = Found {
        caches: gathered.caches,
        projects: gathered.projects,
        sums: MergedSums::new(),
        inventory,
        evidence,
        observed: None,
        ledger: None,
        findings,
        notes: Vec::new(),
    };
    let report = flow::report(&found, settings, now)?;
    flow::write_report(&report, settings, out)?;
    Ok(report.verdict)
}
