//! The times of source files, by which Go tells whether it has seen them.

use super::situation::SourceTimes;
use super::{ProjectSite, Situation};
use crate::findings::{Finding, Rule};
use crate::text::human;

/// One identical time says nothing of so few files.
const FEW: usize = 2;

/// All files with one time that was given to them. Go looks a package's sources
/// up in an index by the files' names, sizes and times
/// (`cmd/go/internal/modindex/read.go:dirHash`).
pub(super) fn one_time(situation: &Situation) -> Vec<Finding> {
    let told = with_times(situation).filter(|(_, times)| is_one_time(times));
    let told = told.map(|(project, times)| {
        let message = format!(
            "all {} source files carry the one time {}: Go tells by name, size and time whether it knows a file, so that a change of equal length goes unseen and builds fail with `could not import …: open : no such file or directory` (GODEBUG=goindex=0 shows it) or build the old imports",
            human::count(times.files as u64),
            times.newest
        );
        let help = "Leave the times as the checkout makes them; what went stale goes with the build cache: `find . -name '*.go' -exec touch {} + && go clean -cache`";
        Finding::new(Rule::SourceTimes, project.name(), message)
            .at(&project.dir)
            .advise(help)
    });
    told.collect()
}

/// Test results that a checkout's new times make useless: one counts only while
/// the files that the test read have the times they had
/// (`cmd/go/internal/test/test.go:hashStat`).
pub(super) fn checkout_times(situation: &Situation) -> Vec<Finding> {
    let Some((tests, ran)) = situation.tests_with_files.filter(|_| situation.in_ci()) else {
        return Vec::new();
    };
    let told = with_times(situation).filter(|(_, times)| !is_one_time(times) && times.oldest > ran);
    let told = told.map(|(project, times)| {
        let message = format!(
            "{} in the build cache read files of their module, and this checkout gave every file a new time ({}): Go takes the files for changed and runs these tests again in every job",
            human::counted(tests as u64, "test result", "test results"),
            times.oldest
        );
        let help = "Give each file the time of its last commit after the checkout (with the whole history, `fetch-depth: 0`): `git ls-files | while read -r file; do touch -d \"@$(git log -1 --format=%ct -- \"$file\")\" \"$file\"; done`";
        Finding::new(Rule::CheckoutTimes, project.name(), message)
            .at(&project.dir)
            .advise(help)
    });
    told.collect()
}

fn with_times(situation: &Situation) -> impl Iterator<Item = (&ProjectSite, SourceTimes)> {
    let projects = situation.projects.iter();
    projects.filter_map(|project| Some((project, project.sources?)))
}

fn is_one_time(times: &SourceTimes) -> bool {
    times.files > FEW && times.oldest == times.newest && times.were_set
}
