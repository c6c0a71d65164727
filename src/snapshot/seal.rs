//! Sealed snapshots: which seals count, and what a job may seal itself.

use super::store::Bundle;
use super::{RestoreRecord, Snapshot, action_path, version_path};
use crate::bundle::manifest::Manifest;
use crate::bundle::seal::{Seal, SealError};
use crate::findings::{Finding, Rule};
use crate::formats::action::ActionId;
use crate::formats::module::ModuleVersion;
use crate::sumdb::note::{Signer, Verifier};
use crate::text::human;
use crate::usage::{Observed, State};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};

/// What a seal has to be, so that it counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Terms {
    /// The public keys, one of which has to have signed each bundle.
    pub(crate) keys: Vec<String>,
    /// The branches that may have saved it; any if there is none. `*` and `**` stand
    /// for parts.
    pub(crate) refs: Option<String>,
    /// How old it may be, in seconds.
    pub(crate) max_age: Option<u64>,
    /// The least counter.
    pub(crate) min_counter: Option<u64>,
    /// The key of the snapshot.
    pub(crate) key: String,
    /// The repository, if CI names it.
    pub(crate) repository: Option<String>,
}

/// A bundle, or what was kept of one, as far as its seal goes.
pub(crate) struct Sealed<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) digest: &'a str,
    pub(crate) seal: Option<&'a Seal>,
}

impl Terms {
    /// The name of the key that sealed the newest of these bundles, the base and the
    /// deltas on it.
    ///
    /// # Errors
    /// Why the seals do not count.
    pub(crate) fn check(&self, bundles: &[Sealed<'_>], now: i64) -> Result<String, Box<Finding>> {
        let keys = self.keys.iter().filter_map(|key| Verifier::parse(key).ok());
        let keys: Vec<Verifier> = keys.collect();
        let mut by = None;
        for bundle in bundles {
            let told = |rule, why: &str| {
                Box::new(Finding::new(rule, format!("bundle {}", bundle.digest), why))
            };
            let seal = bundle.seal;
            let seal = seal.ok_or_else(|| told(Rule::SealMissing, "has no seal"))?;
            let opened = seal.open(&keys, bundle.manifest, bundle.digest);
            by = Some(opened.map_err(|error: SealError| {
                told(Rule::SealInvalid, &format!("its seal {error}"))
            })?);
            let said = bundle.manifest.snapshot.as_ref();
            if said.is_none_or(|said| said.key != self.key) {
                let why = format!("is sealed for another key than {:?}", self.key);
                return Err(told(Rule::SealInvalid, &why));
            }
        }
        let newest = bundles.last();
        let said = newest.and_then(|newest| newest.manifest.snapshot.as_ref());
        let (Some(newest), Some(said), Some(by)) = (newest, said, by) else {
            let why = "no sealed snapshot is there";
            return Err(Box::new(Finding::new(Rule::SealMissing, &self.key, why)));
        };
        let told = |rule, why: String| {
            Err(Box::new(Finding::new(
                rule,
                format!("bundle {}", newest.digest),
                why,
            )))
        };
        let repository = said.job.get("repository");
        if let (Some(here), Some(there)) = (&self.repository, repository)
            && here != there
        {
            let why = format!("was sealed in the repository {there}, and this is {here}");
            return told(Rule::SealWrongRef, why);
        }
        if let Some(pattern) = &self.refs
            && !fast_glob::glob_match(pattern, &said.branch)
        {
            let why = format!("was sealed on {}, which is not {pattern}", said.branch);
            return told(Rule::SealWrongRef, why);
        }
        let age = u64::try_from(now.saturating_sub(said.saved)).unwrap_or_default();
        if let Some(most) = self.max_age.filter(|most| age > *most) {
            let [age, most] = [age, most].map(|it| human::duration(it as f64));
            let why = format!("was sealed {age} ago, and {most} is the most");
            return told(Rule::SealExpired, why);
        }
        if let Some(least) = self.min_counter.filter(|least| said.counter < *least) {
            let why = format!("has the counter {}, and {least} is the least", said.counter);
            return told(Rule::SealRolledBack, why);
        }
        Ok(by.to_owned())
    }

    /// The same of a snapshot, before anything of it is unpacked.
    ///
    /// # Errors
    /// Likewise.
    pub(crate) fn check_snapshot(
        &self,
        snapshot: &Snapshot,
        now: i64,
    ) -> Result<String, Box<Finding>> {
        let bundles: Vec<Sealed<'_>> = snapshot.bundles().map(Bundle::sealed).collect();
        let by = self.check(&bundles, now)?;
        for bundle in snapshot.bundles() {
            bundle.check_end()?;
        }
        Ok(by)
    }
}

impl Bundle {
    pub(crate) fn sealed(&self) -> Sealed<'_> {
        Sealed {
            manifest: &self.manifest,
            digest: &self.digest,
            seal: self.frames.seal.as_ref(),
        }
    }

    /// The last frame, which ends the tar and of which nothing is restored.
    fn check_end(&self) -> Result<(), Box<Finding>> {
        let last = self.manifest.frames.len().saturating_sub(1);
        match self.frames.content(last, &self.manifest) {
            Ok(_) => Ok(()),
            Err(error) => Err(Box::new(Finding::new(
                Rule::SealInvalid,
                format!("bundle {}", self.digest),
                format!("is not what was sealed: {error}"),
            ))),
        }
    }
}

/// What a job has that seals what it saves.
pub(crate) struct Sealing {
    pub(crate) signer: Box<Signer>,
    /// What the snapshot has to be that is added to.
    pub(crate) terms: Terms,
    /// The counter of the snapshot that was restored.
    pub(crate) counter: Option<u64>,
    /// Action entries that were there before and that nothing vouches for.
    pub(crate) foreign: HashSet<ActionId>,
}

/// What was in the caches before a build that nothing vouches for, and that the build
/// may have used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Tainted {
    #[error("the module version {0} was in the cache before the build")]
    Version(String),
    #[error("the action entry {0} was in the cache before the build, and may have been used")]
    Action(ActionId),
}

/// The action entries that were in the caches when this job began to build and did
/// not come from a sealed restore. None of them was used.
///
/// # Errors
/// When one of them, or a module version like that, may have been used. Then what
/// this job made may have been made of it, and Go may find it under the very names
/// that an untouched job's would have.
pub(crate) fn foreign(
    state: &State,
    record: &RestoreRecord,
    observed: &Observed,
) -> Result<HashSet<ActionId>, Tainted> {
    let vouched: HashSet<&str> = record.vouched.iter().map(String::as_str).collect();
    let is_foreign = |path: &str| !vouched.contains(path);
    for (name, there) in &state.head.versions {
        let Some((path, version)) = name.rsplit_once('@') else {
            continue;
        };
        let id = ModuleVersion::new(path, version);
        let has_source = there.zip || there.tree;
        if has_source && is_foreign(&version_path(&id, "zip"))
            || there.go_mod && is_foreign(&version_path(&id, "mod"))
        {
            return Err(Tainted::Version(name.clone()));
        }
    }
    let actions = state.actions.iter().map(|marked| marked.id);
    let foreign: HashSet<ActionId> = actions.filter(|id| is_foreign(&action_path(*id))).collect();
    let known = observed.unknown.buildcache.is_none();
    let may_be_used: BTreeSet<&ActionId> =
        observed.actions.iter().chain(&observed.unseen).collect();
    let used = foreign
        .iter()
        .filter(|id| !known || may_be_used.contains(id));
    match used.min() {
        Some(id) => Err(Tainted::Action(*id)),
        None => Ok(foreign),
    }
}
