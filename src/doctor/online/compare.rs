//! The same module versions asked of every proxy in the chain.

use super::source::{Fault, Source};
use crate::doctor::proxies::Proxy;
use crate::drift::Account;
use crate::formats::h1::h1_of_go_mod;
use crate::formats::info::{MAX_INFO_BYTES, RevInfo};
use crate::formats::module::{ModuleVersion, escape_path, escape_version};
use crate::formats::modzip::MAX_GO_MOD_BYTES;
use crate::verify::zip_h1_of;

/// Longest zip that is asked for: this is a sample, not a download.
pub(super) const MAX_ZIP: u64 = 16 << 20;

/// What one proxy says of one version.
pub(super) struct Statement {
    /// The proxy's address.
    pub(super) by: String,
    pub(super) account: Account,
}

/// What all proxies say of a version.
#[derive(Default)]
pub(super) struct Statements {
    pub(super) said: Vec<Statement>,
    /// Proxies that do not have it.
    pub(super) absent: Vec<String>,
    /// Proxies that failed, and how.
    pub(super) faults: Vec<(String, Fault)>,
    /// Answers that are none, by proxy.
    pub(super) odd: Vec<(String, String)>,
}

/// Asks every proxy for `.info`, `.mod` and `.zip` of a version.
pub(super) fn ask(module: &ModuleVersion, proxies: &[(Proxy, Source)]) -> Statements {
    let mut statements = Statements::default();
    let (Ok(path), Ok(version)) = (escape_path(&module.path), escape_version(&module.version))
    else {
        return statements;
    };
    let name = format!("{path}/@v/{version}");
    for (_, source) in proxies {
        match one(module, &name, source) {
            Ok(account) => statements.said.push(Statement {
                by: source.shown.clone(),
                account,
            }),
            Err(Refusal::Fault(Fault::NotFound)) => statements.absent.push(source.shown.clone()),
            Err(Refusal::Fault(fault)) => {
                statements.faults.push((source.shown.clone(), fault));
            }
            Err(Refusal::Odd(message)) => statements.odd.push((source.shown.clone(), message)),
        }
    }
    statements
}

enum Refusal {
    Fault(Fault),
    Odd(String),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal::Fault(fault)
    }
}

fn one(module: &ModuleVersion, name: &str, source: &Source) -> Result<Account, Refusal> {
    let info = source.get(&format!("{name}.info"), MAX_INFO_BYTES as u64)?;
    let info = RevInfo::parse_for(&module.version, &info)
        .map_err(|error| Refusal::Odd(format!(".info: {error}")))?;
    let go_mod = source.get(&format!("{name}.mod"), MAX_GO_MOD_BYTES)?;
    let zip = source.get(&format!("{name}.zip"), MAX_ZIP)?;
    let zip_bytes = zip.len() as u64;
    let zip = zip_h1_of(module, zip).map_err(|error| Refusal::Odd(format!(".zip: {error}")))?;
    Ok(Account {
        zip: Some(zip),
        go_mod: Some(h1_of_go_mod(&go_mod)),
        zip_bytes: Some(zip_bytes),
        commit: info.origin.and_then(|origin| origin.hash),
        time: info.time,
    })
}
