//! `doctor --online`: asks the checksum database and the proxies what the
//! caches cannot tell.
//!
//! It asks what Go would ask, where Go would ask it, and nothing about private
//! modules: names that `GOPRIVATE` and its like cover, and names that look
//! private though nothing covers them, stay on this machine.

mod compare;
mod database;
mod source;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use self::compare::Statements;
use self::source::{Fault, Source};
use super::proxies::{Proxy, Separator, chain};
use super::{Gathered, Situation, privacy};
use crate::drift::{self, Account, Accounts, Comparison, Testimony};
use crate::error::CommandError;
use crate::findings::{Finding, Rule};
use crate::formats::gosum::MergedSums;
use crate::formats::h1::H1;
use crate::formats::module::{ModuleVersion, match_prefix_patterns};
use crate::net::Limits;
use crate::parallel;
use crate::report::DriftTable;
use crate::scan::VersionKind;
use crate::sumdb::database::Sums;
use crate::sumdb::setting::{self, GoSumdb};
use crate::sumdb::{RecordProof, Sumdb};

/// How much to ask, and how long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// For one answer.
    pub timeout: Duration,
    /// For all of them.
    pub patience: Duration,
    /// How many versions to ask every proxy for.
    pub sample: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Online {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What was asked, and what is unknown.
    pub notes: Vec<String>,
    /// Who says what of the sampled versions.
    pub table: Option<DriftTable>,
}

/// Asks. `sums` are the projects' go.sum files, `cached` what the checksum
/// database's cached files show.
///
/// # Errors
///
/// When nothing that was asked answered at all.
pub fn ask(
    gathered: &Gathered,
    sums: &MergedSums,
    cached: &Sumdb,
    effort: Effort,
) -> Result<Online, CommandError> {
    let situation = &gathered.situation;
    let limits = Limits {
        timeout: effort.timeout,
        patience: effort.patience,
        until: Some(Instant::now() + effort.patience),
        tries: 3,
    };
    let known = Known {
        accounts: gathered
            .inventory
            .modcache
            .as_ref()
            .map(drift::of_cache)
            .unwrap_or_default(),
        sums,
        cached,
    };
    let mut online = Online::default();
    let private = Private::new(situation);
    let proxies = online.proxies(situation, limits);
    let mut asked: Vec<(String, Option<Fault>)> = online.reach(&proxies);

    let all: BTreeSet<ModuleVersion> = versions(gathered, sums);
    let kept = all.iter().filter(|m| private.is_private(&m.path)).count();
    if kept > 0 {
        online.notes.push(format!(
            "{kept} private module versions are not asked about: their names stay here"
        ));
    }
    let setting = GoSumdb::parse(&situation.value("GOSUMDB"));
    let mut records = BTreeMap::new();
    match setting {
        Ok(GoSumdb::Use(setting)) => {
            match database::find(&setting, &proxies, limits, &situation.environment) {
                Ok(base) => {
                    let fault = online.records(&setting, &base, &all, &private, &known, &mut records);
                    asked.push((base.source.shown, fault));
                }
                Err(why) => online.findings.push(
                    Finding::new(
                        Rule::ProxyFailed,
                        setting.verifier.name(),
                        format!("Go finds no way to the checksum database, nor goes on without it: {why}"),
                    )
                    .advise("Let that proxy answer `404` where it does not serve the database, or give an address in GOSUMDB."),
                ),
            }
        }
        Ok(GoSumdb::Off) => online
            .notes
            .push("no checksum database is asked: GOSUMDB=off".to_owned()),
        Err(_) => {} // a finding of its own
    }
    if !asked.is_empty()
        && asked
            .iter()
            .all(|(_, fault)| fault.as_ref().is_some_and(Fault::is_silence))
    {
        let all: Vec<String> = asked
            .iter()
            .filter_map(|(shown, fault)| Some(format!("{shown} {}", fault.as_ref()?)))
            .collect();
        let all = all.join("; ");
        return Err(CommandError::Work(
            format!("--online: nothing answers ({all}); is there a network, or a web proxy to name in HTTPS_PROXY?").into(),
        ));
    }
    let sample = sample(gathered, &private, effort.sample);
    online.sampled(&sample, &proxies, &known, &records);
    Ok(online)
}

/// What is known without asking.
struct Known<'a> {
    accounts: Accounts,
    sums: &'a MergedSums,
    cached: &'a Sumdb,
}

impl Known<'_> {
    fn go_sum(&self, module: &ModuleVersion) -> [Vec<H1>; 2] {
        let (zip, go_mod) = (self.sums.zip(module), self.sums.go_mod(module));
        [zip, go_mod].map(|claims| claims.iter().map(|claim| claim.h1).collect())
    }
}

impl Online {
    /// The chain's proxies, as far as Go would ask them.
    fn proxies(&mut self, situation: &Situation, limits: Limits) -> Vec<(Proxy, Source)> {
        let mut proxies = Vec::new();
        for proxy in chain(&situation.value("GOPROXY")) {
            if proxy.ends_chain() {
                break;
            }
            match Source::new(&proxy.name, limits, &situation.environment) {
                Ok(source) => proxies.push((proxy, source)),
                Err(error) => {
                    let message = error.to_string();
                    self.findings
                        .push(Finding::new(Rule::SettingInvalid, "GOPROXY", message));
                }
            }
        }
        proxies
    }

    /// Asks each proxy something that names no module.
    fn reach(&mut self, proxies: &[(Proxy, Source)]) -> Vec<(String, Option<Fault>)> {
        let ask = |_: &mut (), index: usize| {
            let (_, source) = &proxies[index];
            let answer = source.get("sumdb/sum.golang.org/supported", 1 << 16);
            answer.err().filter(|fault| *fault != Fault::NotFound)
        };
        let faults = parallel::map(proxies.len(), proxies.len(), || (), ask);
        let mut asked = Vec::new();
        for ((proxy, source), fault) in proxies.iter().zip(faults) {
            match &fault {
                None => self.notes.push(format!("{} answers", source.shown)),
                Some(fault) => self.failed(proxy, source, &fault.to_string()),
            }
            asked.push((source.shown.clone(), fault));
        }
        asked
    }

    fn failed(&mut self, proxy: &Proxy, source: &Source, why: &str) {
        let harm = match proxy.then {
            Some(Separator::AnyError) => "Go goes on to the next entry without a word",
            Some(Separator::NotFound) => {
                "Go stops there, since only `404` and `410` send it on to the next entry"
            }
            None => "downloads stop there",
        };
        let message = format!("{} {why}: {harm}", source.shown);
        let finding = Finding::new(Rule::ProxyFailed, &source.shown, message);
        self.findings.push(finding);
    }

    /// Asks the checksum database for what is not proven yet. Returns the
    /// fault after which it was asked no further.
    fn records(
        &mut self,
        setting: &setting::Database,
        base: &database::Base,
        all: &BTreeSet<ModuleVersion>,
        private: &Private,
        known: &Known<'_>,
        records: &mut BTreeMap<ModuleVersion, Sums>,
    ) -> Option<Fault> {
        let lacking = |module: &&ModuleVersion| {
            !matches!(
                known.cached.check(module, None, None),
                RecordProof::Proven(_)
            )
        };
        let may_go = |module: &&ModuleVersion| private.lets_database(&module.path, base.by_proxy);
        let wanted: Vec<ModuleVersion> =
            all.iter().filter(may_go).filter(lacking).cloned().collect();
        let name = setting.verifier.name();
        let seen = known.cached.newest_note(name);
        let told = database::ask(&base.source, &setting.verifier, seen.as_deref(), &wanted);
        let mut note = format!(
            "{}: of {} records that the cache lacks, {} are proven",
            base.source.shown,
            wanted.len(),
            told.proven.len()
        );
        for (count, what) in [
            (told.absent.len(), "it does not know"),
            (told.unknown, "are unknown"),
        ] {
            if count > 0 {
                note.push_str(&format!(", {count} {what}"));
            }
        }
        match (told.newest, told.continues) {
            (Some(head), Some(true)) => note.push_str(&format!(
                "; its log of {} records continues the one that Go saw",
                head.size
            )),
            (Some(head), None) => note.push_str(&format!("; its log has {} records", head.size)),
            _ => {}
        }
        self.notes.push(note);
        if let Some(fault) = &told.fault {
            let message = format!(
                "{} {fault}: what it says of these versions is unknown",
                base.source.shown
            );
            self.findings
                .push(Finding::new(Rule::ProxyFailed, name, message));
        }
        for module in &told.absent {
            if module.is_toolchain() {
                let message = format!("{}: has no record of it", base.source.shown);
                let finding = Finding::new(Rule::ToolchainUnproven, module.to_string(), message);
                self.findings.push(finding);
                continue;
            }
            let message = format!(
                "{}: has no record of it: unless it is withdrawn, it was never public, and Go cannot add it to a go.sum",
                base.source.shown
            );
            let help = format!("If it is private: `go env -w GOPRIVATE={}`", module.path);
            self.findings
                .push(Finding::new(Rule::SumdbUnproven, module.to_string(), message).advise(help));
        }
        self.findings.extend(told.findings);
        for (module, sums) in &told.proven {
            self.findings
                .extend(contradicted(module, *sums, known, &base.source.shown));
        }
        records.extend(told.proven);
        // Without an answer to anything, it was not reached.
        told.fault.filter(|_| told.newest.is_none())
    }

    /// Asks every proxy for the same versions and compares.
    fn sampled(
        &mut self,
        sample: &[ModuleVersion],
        proxies: &[(Proxy, Source)],
        known: &Known<'_>,
        records: &BTreeMap<ModuleVersion, Sums>,
    ) {
        if sample.is_empty() || proxies.is_empty() {
            return;
        }
        let mut comparison = Comparison::default();
        let mut told = BTreeSet::new();
        let mut silent = 0;
        for module in sample {
            let statements = compare::ask(module, proxies);
            self.faults(module, &statements, proxies, &mut told);
            if statements.said.is_empty() {
                silent += 1;
                continue;
            }
            let [go_sum, go_sum_mod] = known.go_sum(module);
            let record = records.get(module).copied();
            let record = record.or(match known.cached.check(module, None, None) {
                RecordProof::Proven(sums) => Some(sums),
                _ => None,
            });
            let nothing = Account::default();
            let said = Testimony {
                ours: known.accounts.get(module).unwrap_or(&nothing),
                others: statements
                    .said
                    .iter()
                    .map(|statement| (statement.by.as_str(), &statement.account))
                    .collect(),
                by_proxies: true,
                go_sum,
                go_sum_mod,
                sumdb: record.and_then(|sums| sums.zip),
                sumdb_mod: record.and_then(|sums| sums.go_mod),
            };
            comparison.add(module, &said);
        }
        let table = comparison.table;
        let mut note = format!(
            "of {} sampled versions, {} are the same wherever they are, {} are not",
            sample.len(),
            table.consistent,
            table.rows.len()
        );
        if silent > 0 {
            note.push_str(&format!(", {silent} no proxy has"));
        }
        self.notes.push(note);
        self.findings.extend(comparison.findings);
        self.table = Some(table);
    }

    /// A finding for each proxy that failed, once.
    fn faults(
        &mut self,
        module: &ModuleVersion,
        statements: &Statements,
        proxies: &[(Proxy, Source)],
        told: &mut BTreeSet<String>,
    ) {
        let faults = statements
            .faults
            .iter()
            .map(|(by, fault)| (by, fault.to_string()));
        let odd = statements.odd.iter().map(|(by, why)| {
            (
                by,
                format!("answers with what is not a module version ({why})"),
            )
        });
        for (by, why) in faults.chain(odd) {
            let already = self
                .findings
                .iter()
                .any(|finding| finding.rule == Rule::ProxyFailed && finding.subject == *by);
            let found = proxies.iter().find(|(_, source)| source.shown == *by);
            if let (false, true, Some((proxy, source))) = (already, told.insert(by.clone()), found)
            {
                self.failed(proxy, source, &format!("{why} for {module}"));
            }
        }
        for by in &statements.absent {
            self.notes.push(format!("{by} does not have {module}"));
        }
    }
}

/// What the caches and go.sum say against a proven record.
fn contradicted(
    module: &ModuleVersion,
    sums: Sums,
    known: &Known<'_>,
    shown: &str,
) -> Vec<Finding> {
    let account = known.accounts.get(module).cloned().unwrap_or_default();
    let mut findings = Vec::new();
    for (what, record, listed, cached) in [
        ("module", sums.zip, known.sums.zip(module), account.zip),
        (
            "go.mod",
            sums.go_mod,
            known.sums.go_mod(module),
            account.go_mod,
        ),
    ] {
        let Some(record) = record else { continue };
        let lines = listed
            .iter()
            .map(|claim| (known.sums.places(claim), claim.h1));
        let cached = cached.map(|h1| ("this cache".to_owned(), h1));
        for (who, claim) in lines.chain(cached).filter(|(_, h1)| *h1 != record) {
            let message = format!(
                "{who}: not the hash of the {what} in the checksum database's proven record ({shown})"
            );
            let finding = Finding::new(Rule::SumdbMismatch, module.to_string(), message);
            findings.push(finding.differs(record, claim));
        }
    }
    findings
}

/// Every module version in the cache, toolchains too, and in a line of go.sum.
fn versions(gathered: &Gathered, sums: &MergedSums) -> BTreeSet<ModuleVersion> {
    let caches = gathered.inventory.modcache.iter();
    let cached = caches
        .flat_map(|cache| &cache.versions)
        // Go unpacks that from its own installation.
        .filter(|version| version.kind != VersionKind::Fips140);
    let listed = sums.zips().chain(sums.go_mods());
    cached
        .map(|version| &version.id)
        .chain(listed.map(|(module, _)| module))
        .cloned()
        .collect()
}

/// Cached versions to compare, spread over all that are small enough.
fn sample(gathered: &Gathered, private: &Private, count: usize) -> Vec<ModuleVersion> {
    let versions = gathered
        .inventory
        .modcache
        .iter()
        .flat_map(|cache| &cache.versions);
    let fit: Vec<&ModuleVersion> = versions
        .filter(|version| {
            version.kind == VersionKind::Module
                && version.zip.is_some_and(|zip| zip.bytes <= compare::MAX_ZIP)
                && private.lets_proxies(&version.id.path)
        })
        .map(|version| &version.id)
        .collect();
    let count = count.min(fit.len());
    (0..count)
        .filter_map(|n| fit.get(n * fit.len() / count).copied().cloned())
        .collect()
}

/// Whose names stay here.
struct Private {
    /// `GOPRIVATE`, whatever the other two say.
    always: String,
    no_proxy: String,
    no_sumdb: String,
    /// What looks private, though no setting says so.
    seeming: BTreeSet<String>,
}

impl Private {
    fn new(situation: &Situation) -> Self {
        Self {
            always: situation.value("GOPRIVATE"),
            no_proxy: situation.value("GONOPROXY"),
            no_sumdb: situation.value("GONOSUMDB"),
            seeming: privacy::seeming(situation),
        }
    }

    fn is_private(&self, path: &str) -> bool {
        match_prefix_patterns(&self.always, path)
            || match_prefix_patterns(&self.no_proxy, path)
            || match_prefix_patterns(&self.no_sumdb, path)
            || self.seems(path)
    }

    fn lets_proxies(&self, path: &str) -> bool {
        !(match_prefix_patterns(&self.always, path)
            || match_prefix_patterns(&self.no_proxy, path)
            || self.seems(path))
    }

    fn lets_database(&self, path: &str, by_proxy: bool) -> bool {
        !(match_prefix_patterns(&self.always, path)
            || match_prefix_patterns(&self.no_sumdb, path)
            || by_proxy && match_prefix_patterns(&self.no_proxy, path)
            || self.seems(path))
    }

    fn seems(&self, path: &str) -> bool {
        // No public module is on a host without a domain.
        let host = path.split('/').next().unwrap_or_default();
        !host.contains('.') || self.seeming.contains(path)
    }
}
