//! Go's settings, as rows.

use crate::report::GoSetting;

/// A setting's columns.
pub(super) const TITLES: [&str; 4] = ["Setting", "Value", "Where from", "What it does"];

/// `GOPROXY=off (from the environment)`.
pub(super) fn line(setting: &GoSetting) -> String {
    let GoSetting {
        name,
        value,
        source,
        ..
    } = setting;
    format!("{name}={value} ({source})")
}

/// A setting's cells; each goes through `code` or `prose` for its medium.
pub(super) fn row(
    setting: &GoSetting,
    code: impl Fn(&str) -> String,
    prose: impl Fn(&str) -> String,
) -> [String; 4] {
    let value = match setting.value.as_str() {
        "" => prose("none"),
        value => code(value),
    };
    [
        code(&setting.name),
        value,
        prose(&setting.source),
        prose(&setting.effect),
    ]
}
