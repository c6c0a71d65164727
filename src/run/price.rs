//! What restoring the caches costs.

use crate::judge::Numbers;
use crate::report;
use crate::scan::Inventory;
use crate::settings::Settings;
use crate::usage::Observed;
use crate::values::{Age, Size};

/// Bytes per second at which a restore is priced unless the user says.
const RESTORE_RATE: u64 = 100_000_000;

/// Bytes per second at which a restore is priced.
pub fn restore_rate(settings: &Settings) -> u64 {
    let given = settings.options.price.restore_rate;
    given.map_or(RESTORE_RATE, |rate| rate.0)
}

/// The settings with the rate at which `restored` bytes came in, if
/// `--restore-took` tells how long that took.
pub fn with_measured_rate(settings: &Settings, restored: u64) -> Settings {
    let mut settings = settings.clone();
    if let Some(Age(took)) = settings.options.price.restore_took {
        let seconds = took.as_secs_f64().max(0.001);
        settings.options.price.restore_rate = Some(Size((restored as f64 / seconds) as u64));
    }
    settings
}

/// Bytes that were in the caches before this job added to them, as far as it
/// is known what it added.
pub fn restored(inventory: &Inventory, observed: Option<&Observed>) -> u64 {
    let growth = observed.map_or(0, |observed| observed.growth);
    report::bytes(inventory).saturating_sub(growth.max(0).unsigned_abs())
}

/// What one restore costs, and what of it brings what nobody used. A price that
/// nobody asked for says something only where use is known.
pub(super) fn note(numbers: &Numbers, settings: &Settings) -> Option<String> {
    if settings.options.price.restore_rate.is_none() && numbers.idle_bytes.is_none() {
        return None;
    }
    let caches = [numbers.modcache_bytes, numbers.gocache_bytes];
    let bytes = caches.into_iter().flatten().fold(0, u64::saturating_add);
    let rate = restore_rate(settings);
    let seconds = |bytes: u64| bytes as f64 / rate.max(1) as f64;
    let idle = numbers.idle_bytes.map(|idle| {
        let seconds = seconds(idle);
        format!(", {seconds:.1} s of it for what this job did not use")
    });
    Some(format!(
        "one restore of the caches costs about {:.1} s{}, at {} per second",
        seconds(bytes),
        idle.unwrap_or_default(),
        bytesize::ByteSize(rate).display().si()
    ))
}

/// What a smaller cache saves, at the restore rate.
pub fn saved_per_restore(bytes: u64, rate: u64) -> String {
    let seconds = bytes as f64 / rate.max(1) as f64;
    let rate = bytesize::ByteSize(rate).display().si();
    format!("about {seconds:.1} s less per restore, at {rate} per second")
}
