//! Work that is split among parallel jobs, and put together again.

use super::Found;
use super::judge::{Judged, apply_policy};
use crate::error::CommandError;
use crate::findings::{Finding, display_path};
use crate::folder::ordinary;
use crate::judge::baseline::MAX_BYTES;
use crate::judge::{self, Numbers};
use crate::locate;
use crate::report::merge::{self, MergeError};
use crate::report::{CountLimit, Report, ShardPart};
use crate::scan::Inventory;
use crate::settings::{EffortOptions, Options, Settings, VerifyLevel};
use crate::values::Limit;
use sha2::{Digest, Sha256};

impl From<MergeError> for CommandError {
    fn from(error: MergeError) -> CommandError {
        CommandError::Usage(error.into())
    }
}

/// One report of the reports of all shards, each with its file's name, judged as
/// a whole.
pub fn whole(reports: Vec<(String, Report)>) -> Result<Report, CommandError> {
    let limit = reports.first().and_then(|(_, report)| {
        let limit = report.shard.as_ref()?.max_findings?;
        Some(Limit {
            warn: limit.warn,
            fail: limit.fail,
        })
    });
    let mut report = merge::merge(reports)?;
    // The other limits are about the caches, which every shard saw whole.
    let numbers = Numbers::of(None, None, None, &report.findings, report.generated_at);
    let mut options = Options::default();
    options.limits.max_findings = limit;
    for judged in judge::thresholds(&numbers, &options) {
        for threshold in &mut report.thresholds {
            if threshold.name == judged.name {
                *threshold = judged.clone();
            }
        }
    }
    let fuzz_bytes = report
        .buildcache
        .as_ref()
        .map_or(0, |cache| cache.fuzz_bytes);
    let crossed = judge::crossed(&report.thresholds, fuzz_bytes);
    report.findings.extend(crossed);
    report.findings.sort_by(merge::order);
    report.verdict = judge::verdict(&report.findings, &report.thresholds);
    Ok(report)
}

/// What a shard says of itself, but for the places of its findings.
pub(super) fn part(found: &Found, settings: &Settings) -> Result<Option<ShardPart>, CommandError> {
    let Some(shard) = settings.shard else {
        return Ok(None);
    };
    let max_findings = settings.options.limits.max_findings;
    Ok(Some(ShardPart {
        index: shard.index,
        count: shard.count,
        caches: caches(&found.inventory),
        asked: asked(found, settings)?,
        own: Vec::new(),
        silenced: 0,
        baselined: 0,
        max_findings: max_findings.map(|Limit { warn, fail }| CountLimit { warn, fail }),
    }))
}

/// Applies the policy to what is common to all shards and to what is this
/// part's own.
pub(super) fn apply_to_both(
    common: Vec<Finding>,
    own: Vec<Finding>,
    part: &mut ShardPart,
    settings: &Settings,
    now: chrono::DateTime<chrono::Utc>,
    notes: &mut Vec<String>,
) -> Result<(Vec<Judged>, crate::report::Policy), CommandError> {
    let (mut said, mut said_of_own) = (Vec::new(), Vec::new());
    let (common, mut policy) = apply_policy(common, settings, now, &mut said)?;
    let (own, own_policy) = apply_policy(own, settings, now, &mut said_of_own)?;
    // A silence that matches nothing in one of them may in the other.
    said.retain(|note| said_of_own.contains(note));
    notes.append(&mut said);
    let own = own.into_iter().map(|finding| Judged {
        finding,
        is_own: true,
    });
    let findings = common.into_iter().map(Judged::common).chain(own).collect();
    (part.silenced, part.baselined) = (own_policy.silenced, own_policy.baselined);
    policy.silenced += own_policy.silenced;
    policy.baselined += own_policy.baselined;
    Ok((findings, policy))
}

/// SHA-256 of names and sizes in both caches.
fn caches(inventory: &Inventory) -> String {
    let mut hash = Sha256::new();
    let mut number = |number: u64| hash.update(number.to_be_bytes());
    if let Some(cache) = &inventory.modcache {
        for version in &cache.versions {
            number(u64::from(version.tree.is_some()));
            version.pieces().for_each(|piece| number(piece.bytes));
        }
    }
    if let Some(cache) = &inventory.buildcache {
        cache.outputs.iter().for_each(|output| number(output.bytes));
    }
    let modules = inventory.modcache.iter().flat_map(|cache| &cache.versions);
    for version in modules {
        hash.update(version.id.to_string());
        hash.update([0]);
    }
    if let Some(cache) = &inventory.buildcache {
        cache
            .actions
            .iter()
            .for_each(|action| hash.update(action.id.0));
        cache
            .outputs
            .iter()
            .for_each(|output| hash.update(output.id.0));
    }
    hex(hash)
}

/// SHA-256 of whatever bears on the verdict beside the caches, but for paths,
/// which may differ from machine to machine.
fn asked(found: &Found, settings: &Settings) -> Result<String, CommandError> {
    let given = &settings.options;
    let options = Options {
        effort: EffortOptions {
            verify: Some(given.effort.verify.unwrap_or(VerifyLevel::Full)),
            ..given.effort
        },
        caches: Default::default(),
        projects: Default::default(),
        mark: Default::default(),
        go: Default::default(),
        mounts: Default::default(),
        known: Default::default(),
        form: Default::default(),
        outputs: Default::default(),
        inside: Default::default(),
        policy: Default::default(),
        retention: Default::default(),
        ..given.clone()
    };
    let text = serde_json::to_vec(&(options, &settings.rules, &settings.silence))
        .map_err(|error| CommandError::Usage(error.into()))?;
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    add(&text);
    if let Some(file) = &given.known.baseline {
        let file = settings.environment.resolve(file);
        let baseline =
            ordinary::read(&file, MAX_BYTES).map_err(CommandError::input(display_path(&file)))?;
        add(&baseline);
    }
    let sums = found.projects.iter().flat_map(|project| &project.go_sum);
    sums.for_each(|file| add(&file.bytes));
    let go = locate::go_settings(&settings.environment);
    for setting in ["GOSUMDB", "GONOSUMDB"] {
        add(go.get(setting).0.as_encoded_bytes());
    }
    Ok(hex(hash))
}

fn hex(hash: Sha256) -> String {
    let bytes = hash.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
