use super::{Bounds, Guest, SandboxError, run};
use std::path::PathBuf;

/// The checker itself, as `wasm/build` made it.
const CHECKER: &[u8] = include_bytes!(env!("GOCACHEVET_WASM_FILE"));

/// The same over all folders and findings; a larger report is a flood.
const MAX_OUTPUT: usize = 512 << 20;

/// What the checker in the sandbox came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// A JSON report.
    Report(Vec<u8>),
    /// It ended with this exit code and message, as it would have outside.
    Failed(i32, String),
}

/// Runs `gocachevet check` in the sandbox, with `settings` as handed over and
/// `folders` to read under their own names.
///
/// # Errors
/// The module breaches a bound or traps.
pub fn check(
    settings: Vec<u8>,
    folders: Vec<PathBuf>,
    bounds: &Bounds,
) -> Result<Checked, SandboxError> {
    let named = |folder: PathBuf| match folder.to_str() {
        Some(name) => Ok((folder.clone(), name.to_owned())),
        None => Err(SandboxError::Setup(format!(
            "{}: the name is not UTF-8",
            crate::findings::display_path(&folder)
        ))),
    };
    let guest = Guest {
        args: ["gocachevet", "check", "--handover"]
            .map(str::to_owned)
            .to_vec(),
        folders: folders.into_iter().map(named).collect::<Result<_, _>>()?,
        stdin: settings,
    };
    let bounds = Bounds {
        output: MAX_OUTPUT.min(bounds.output),
        ..*bounds
    };
    let finished = run(CHECKER, guest, &bounds)?;
    Ok(match finished.status {
        0 | 1 => Checked::Report(finished.stdout),
        status => {
            // Written inside: text like any from a cache.
            let text = String::from_utf8_lossy(&finished.stderr);
            let text: String = text
                .chars()
                .filter(|c| *c == '\n' || !c.is_control())
                .take(10_000)
                .collect();
            let text = text.trim();
            Checked::Failed(
                status,
                text.strip_prefix("gocachevet: ").unwrap_or(text).to_owned(),
            )
        }
    })
}
