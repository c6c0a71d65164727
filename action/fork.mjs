// Whether the job may have checked out what somebody wrote who has no rights in
// this repository.

import { event } from './runner.mjs';

const { env } = process;

/** What cannot be told from a fork's is taken for one. */
export function mayBeFork() {
  const { repository, pull_request: pullRequest, workflow_run: run, issue } = event();
  const own = repository?.full_name;
  const foreign = (other) => own === undefined || other?.full_name !== own;
  if (pullRequest) return foreign(pullRequest.head?.repo);
  if (run) return foreign(run.head_repository);
  // A comment on a pull request does not say whose it is.
  if (issue?.pull_request) return true;
  return /^pull_request/.test(env.GITHUB_EVENT_NAME ?? '');
}
