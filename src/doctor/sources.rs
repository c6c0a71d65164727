//! The times of source files, by which Go tells whether it has seen them.

use super::Situation;
use crate::findings::{Finding, Rule, display_path};
use crate::text::human;

/// One identical time says nothing of so few files.
const FEW: usize = 2;

pub(super) fn diagnose(situation: &Situation) -> Vec<Finding> {
    let mut findings = Vec::new();
    for project in &situation.projects {
        let Some(sources) = project.sources else {
            continue;
        };
        let subject = project
            .module
            .clone()
            .unwrap_or_else(|| display_path(&project.dir));
        // Go looks a package's sources up in an index by the files' names,
        // sizes and times (`cmd/go/internal/modindex/read.go:dirHash`).
        if sources.files > FEW && sources.oldest == sources.newest && sources.were_set {
            let message = format!(
                "all {} source files carry the one time {}: Go tells by name, size and time whether it knows a file, so that a change of equal length goes unseen and builds fail with `could not import …: open : no such file or directory` (GODEBUG=goindex=0 shows it) or build the old imports",
                human::count(sources.files as u64),
                sources.newest
            );
            let help = "Leave the times as the checkout makes them; what went stale goes with the build cache: `find . -name '*.go' -exec touch {} + && go clean -cache`";
            findings.push(
                Finding::new(Rule::SourceTimes, subject, message)
                    .at(&project.dir)
                    .advise(help),
            );
            continue;
        }
        // A cached result counts only while the files that the test read have
        // the times they had (`cmd/go/internal/test/test.go:hashStat`).
        if let Some((tests, ran)) = situation.tests_with_files
            && situation.in_ci()
            && sources.oldest > ran
        {
            let message = format!(
                "{} in the build cache read files of their module, and this checkout gave every file a new time ({}): Go takes the files for changed and runs these tests again in every job",
                human::counted(tests as u64, "test result", "test results"),
                sources.oldest
            );
            let help = "Give each file the time of its last commit after the checkout (with the whole history, `fetch-depth: 0`): `git ls-files | while read -r file; do touch -d \"@$(git log -1 --format=%ct -- \"$file\")\" \"$file\"; done`";
            findings.push(
                Finding::new(Rule::CheckoutTimes, subject, message)
                    .at(&project.dir)
                    .advise(help),
            );
        }
    }
    findings
}
