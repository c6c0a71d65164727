//! What the projects ask of Go: toolchains, and sums.

use super::Situation;
use super::situation::WorkspaceSite;
use super::trust::counted;
use crate::findings::{Finding, Rule, display_path};
use crate::formats::gover;
use crate::formats::module::ModuleVersion;
use crate::text::human;
use std::cmp::Ordering;

pub(super) fn cached_toolchains(situation: &Situation) -> Option<Finding> {
    let toolchains = &situation.toolchains;
    if toolchains.names.is_empty() {
        return None;
    }
    let share = match toolchains.bytes * 2 >= toolchains.of_bytes {
        true => ", more than half of it",
        false => "",
    };
    let number = toolchains.names.len() as u64;
    let message = format!(
        "the module cache holds {} ({}): {} of {}{share}; each is saved and restored with the cache",
        human::counted(number, "Go toolchain", "Go toolchains"),
        toolchains.names.join(", "),
        human::size(toolchains.bytes),
        human::size(toolchains.of_bytes),
    );
    // A trim keeps the toolchains that go.mod names.
    let help = "Install the Go that go.mod asks for (setup-go takes it from `go-version-file: go.mod`), then empty the module cache once: `go clean -modcache`";
    Some(Finding::new(Rule::ToolchainDownload, "golang.org/toolchain", message).advise(help))
}

/// Whether the next `go` command downloads a toolchain that is not cached.
pub(super) fn downloads_toolchain(situation: &Situation) -> bool {
    let cached = |name: &str| {
        let names = &situation.toolchains.names;
        names
            .iter()
            .any(|known| known.starts_with(&format!("{name}.")))
    };
    situation.value("GOTOOLCHAIN") != "local"
        && switching(situation).is_some_and(|finding| !cached(&finding.subject))
}

/// Does a `go` command here run another Go than the one installed?
pub(super) fn switching(situation: &Situation) -> Option<Finding> {
    let installed = situation.installed.as_deref()?;
    let (setting, shown) = (
        situation.value("GOTOOLCHAIN"),
        situation.shown("GOTOOLCHAIN"),
    );
    let wanted = situation
        .projects
        .iter()
        .flat_map(|project| project.toolchains.iter().map(move |name| (project, name)));
    let newest = wanted.max_by(|(_, a), (_, b)| gover::compare_toolchains(a, b));
    let newer =
        newest.filter(|(_, name)| gover::compare_toolchains(name, installed) == Ordering::Greater);
    let fixed = setting.split('+').next().unwrap_or_default();
    if let Some((project, name)) = newer {
        let dir = display_path(&project.dir);
        let message = match setting.as_str() {
            "local" => format!(
                "{dir} asks for {name}, installed is {installed}, and {shown} forbids a switch: every `go` command fails"
            ),
            _ => format!(
                "{dir} asks for {name}, installed is {installed}, and {shown} lets Go switch: it downloads that toolchain (some 80 MB, 250 MB unpacked) into the module cache, and shares no build output with {installed}"
            ),
        };
        let help = format!(
            "Install {name} in the job, or lower the `go` and `toolchain` lines of go.mod to what {installed} has"
        );
        return Some(Finding::new(Rule::ToolchainSwitch, name.clone(), message).advise(help));
    }
    if gover::of_toolchain(fixed).is_some()
        && gover::compare_toolchains(fixed, installed) != Ordering::Equal
    {
        let message = format!(
            "{shown}, installed is {installed}: Go downloads {fixed} (some 80 MB, 250 MB unpacked) into the module cache and runs that instead"
        );
        let help = format!(
            "Install {fixed} in the job, or use what is installed: {}",
            situation.set("GOTOOLCHAIN", "local")
        );
        return Some(Finding::new(Rule::ToolchainSwitch, fixed, message).advise(help));
    }
    None
}

pub(super) fn sum_lines(situation: &Situation) -> Vec<Finding> {
    let mut findings = Vec::new();
    for project in &situation.projects {
        let Some(lines) = &project.sum_lines else {
            continue;
        };
        let mut find = |rule, modules, what| {
            let help = "In the project: `go mod tidy`, then commit go.sum";
            let finding = sum_finding(rule, project.name(), modules, what);
            findings.extend(finding.map(|f| f.at(&project.dir.join("go.sum")).advise(help)));
        };
        find(
            Rule::GoSumMissing,
            &lines.missing,
            "go.sum has no go.mod hash for %: builds stop with `missing go.sum entry`, or with -mod=mod take whatever the proxy serves",
        );
        find(
            Rule::GoSumUnused,
            &lines.unused,
            "go.sum lists %, which the module graph does not know: they keep old versions alive in the cache",
        );
    }
    findings
}

/// Where a member's go.sum would stop a build, a workspace goes on: Go fetches
/// what is missing and writes go.work.sum
/// (`cmd/go/internal/modload/init.go:mustHaveSums`).
pub(super) fn workspace_sums(situation: &Situation) -> Vec<Finding> {
    let mut findings = Vec::new();
    for WorkspaceSite { file, sum_lines } in &situation.workspaces {
        let sums = file.with_extension("work.sum");
        let mut find = |rule, modules, what, help: &str| {
            let finding = sum_finding(rule, display_path(file), modules, what);
            findings.extend(finding.map(|finding| finding.at(&sums).advise(help)));
        };
        find(
            Rule::GoSumMissing,
            &sum_lines.missing,
            "neither go.work.sum nor a member's go.sum has a go.mod hash for %: in a workspace no build stops for that, Go asks the checksum database, if any, and adds the line on each machine anew",
            "In the workspace: `go mod download`, then commit go.work.sum",
        );
        find(
            Rule::GoSumUnused,
            &sum_lines.unused,
            "go.work.sum lists %, which the workspace's module graph does not know: they keep old versions alive in the cache",
            "In the workspace: `rm go.work.sum && go mod download`, then commit go.work.sum",
        );
    }
    findings
}

/// What is wrong with the lines of some modules, who stand for `%`.
fn sum_finding(rule: Rule, subject: String, of: &[ModuleVersion], what: &str) -> Option<Finding> {
    let modules: Vec<&ModuleVersion> = of.iter().collect();
    let message = what.replace('%', &counted(&modules));
    (!modules.is_empty()).then(|| Finding::new(rule, subject, message))
}

/// Modules below a project that this run does not count: a trim that goes by
/// what the projects need would remove what they need.
pub(super) fn uncounted(situation: &Situation) -> Vec<Finding> {
    let with_some = situation
        .projects
        .iter()
        .filter(|project| !project.uncounted.is_empty());
    with_some
        .map(|project| {
            let names: Vec<String> = project
                .uncounted
                .iter()
                .take(3)
                .map(|dir| display_path(&dir.join("go.mod")))
                .collect();
            let more = match project.uncounted.len().saturating_sub(names.len()) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let message = format!(
                "{}{more} lie below this project and are not counted: `unused` would remove what only they need, and `check` does not hold the cache against their go.sum",
                names.join(", ")
            );
            let dir = crate::findings::shell_word(&display_path(&project.dir));
            let help = format!(
                "Give `--projects-under {dir}` to every command, or set `projects-under` in the configuration"
            );
            Finding::new(Rule::ProjectUncounted, display_path(&project.dir), message)
                .at(&project.dir)
                .advise(help)
        })
        .collect()
}
