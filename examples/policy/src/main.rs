//! A policy for release jobs: whatever was checked must be proven by something
//! outside the cache.
//!
//! A `.ziphash` lies beside the zip it speaks for. Who can change the one can
//! change the other, so a version that only its `.ziphash` proves is intact,
//! but perhaps not authentic. No option of `gocachevet` says "not in a release".
//!
//! ```sh
//! cargo build --release --target wasm32-wasip1
//! gocachevet check --policy target/wasm32-wasip1/release/policy.wasm
//! ```

use serde::{Deserialize, Serialize};
use std::io::{Read, Write};

/// The part of the report (`gocachevet.report/1`) that this policy looks at.
#[derive(Deserialize)]
struct Report {
    schema: String,
    verification: Option<Verification>,
}

#[derive(Deserialize)]
struct Verification {
    level: String,
    versions_checked: u64,
    proven_by: ProvenBy,
}

#[derive(Deserialize)]
struct ProvenBy {
    ziphash: u64,
}

/// What the policy answers.
#[derive(Serialize)]
struct Ruling {
    /// `pass`, `warn` or `fail`.
    status: &'static str,
    messages: Vec<String>,
}

fn rule(report: &Report) -> Ruling {
    let mut messages = Vec::new();
    match &report.verification {
        Some(done) if done.level == "full" || done.level == "used" => {
            if done.proven_by.ziphash > 0 {
                messages.push(format!(
                    "{} of {} module versions are proven by nothing but the cache itself",
                    done.proven_by.ziphash, done.versions_checked
                ));
            }
        }
        _ => messages.push("a release needs --verify used or full".to_owned()),
    }
    Ruling {
        status: if messages.is_empty() { "pass" } else { "fail" },
        messages,
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let report: Report = serde_json::from_str(&input)?;
    if report.schema != "gocachevet.report/1" {
        return Err(format!("this policy does not know {}", report.schema).into());
    }
    let ruling = serde_json::to_string(&rule(&report))?;
    std::io::stdout().write_all(ruling.as_bytes())?;
    Ok(())
}
