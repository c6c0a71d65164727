//! What one witness says.

use super::Accounts;
use crate::error::Source;
use crate::formats::gosum::GoSum;
use crate::formats::h1::{H1, h1_of_go_mod};
use crate::formats::info::{MAX_INFO_BYTES, RevInfo};
use crate::formats::module::{ModuleVersion, PieceKind};
use crate::formats::ziphash::{MAX_ZIPHASH_BYTES, ZipHash, parse_ziphash};
use crate::report::VersionAccount;
use crate::scan::{ModCache, Version};
use chrono::{DateTime, Utc};

/// Go refuses longer go.mod files (`x/mod/zip.MaxGoMod`).
const MAX_GO_MOD: u64 = 16 << 20;

/// What a witness says of a module version; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The h1 of zip and tree, as its `.ziphash` or go.sum has it.
    pub zip: Option<H1>,
    /// The h1 of its go.mod.
    pub go_mod: Option<H1>,
    /// Length of the zip.
    pub zip_bytes: Option<u64>,
    /// The commit it was made from.
    pub commit: Option<String>,
    /// When that commit was made.
    pub time: Option<DateTime<Utc>>,
}

/// What a module cache says. Reads the small files of each version; what
/// cannot be read says nothing here (`check` has a finding for it).
#[must_use]
pub fn of_cache(cache: &ModCache) -> Accounts {
    let versions = cache.versions.iter();
    versions
        .map(|version| (version.id.clone(), account(cache, version)))
        .collect()
}

fn account(cache: &ModCache, version: &Version) -> Account {
    let pieces = cache.pieces(&version.id);
    let read = |piece, limit| pieces.read(piece, limit).ok();
    let ziphash = version
        .ziphash
        .and_then(|_| read(PieceKind::ZipHash, MAX_ZIPHASH_BYTES));
    let go_mod = version
        .go_mod
        .and_then(|_| read(PieceKind::Mod, MAX_GO_MOD));
    let info = version
        .info
        .and_then(|_| read(PieceKind::Info, MAX_INFO_BYTES as u64));
    let info = info.and_then(|info| RevInfo::parse(&info).ok());
    Account {
        zip: ziphash.and_then(|content| match parse_ziphash(&content) {
            ZipHash::Sum(h1) => Some(h1),
            _ => None,
        }),
        go_mod: go_mod.map(|content| h1_of_go_mod(&content)),
        zip_bytes: version.zip.map(|zip| zip.bytes),
        commit: info
            .as_ref()
            .and_then(|info| info.origin.as_ref()?.hash.clone()),
        time: info.and_then(|info| info.time),
    }
}

/// What a go.sum file says.
#[must_use]
pub fn of_go_sum(sums: &GoSum) -> Accounts {
    let mut accounts = Accounts::new();
    for (module, hashes) in &sums.zips {
        accounts.entry(module.clone()).or_default().zip = hashes.first().map(|sum| sum.h1);
    }
    for (module, hashes) in &sums.go_mods {
        accounts.entry(module.clone()).or_default().go_mod = hashes.first().map(|sum| sum.h1);
    }
    accounts
}

/// An account as a report has it.
#[must_use]
pub fn for_report(module: &ModuleVersion, account: &Account) -> VersionAccount {
    VersionAccount {
        module: module.to_string(),
        zip: account.zip.map(|h1| h1.to_string()),
        go_mod: account.go_mod.map(|h1| h1.to_string()),
        zip_bytes: account.zip_bytes,
        commit: account.commit.clone(),
        time: account.time,
    }
}

/// What a saved report says.
///
/// # Errors
/// When a name or a hash in it is none.
pub fn of_report(saved: &[VersionAccount]) -> Result<Accounts, Source> {
    let hash = |text: &Option<String>| text.as_ref().map(|text| text.parse()).transpose();
    let mut accounts = Accounts::new();
    for said in saved {
        let module: ModuleVersion = said
            .module
            .parse()
            .map_err(|_| format!("{:?} is not a module version", said.module))?;
        let account = Account {
            zip: hash(&said.zip)?,
            go_mod: hash(&said.go_mod)?,
            zip_bytes: said.zip_bytes,
            commit: said.commit.clone(),
            time: said.time,
        };
        accounts.insert(module, account);
    }
    Ok(accounts)
}
