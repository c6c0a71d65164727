//! What a JSON report says.

use serde_json::Value;

/// The findings but for the note on `.info` files, which every cache has in
/// which Go looked a module up.
pub fn complaints(report: &Value) -> Vec<Value> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["rule"] != "info-unproven")
        .cloned()
        .collect()
}
