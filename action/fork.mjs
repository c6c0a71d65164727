// Whether the job may have checked out what somebody wrote who has no rights in
// this repository.

import { readFileSync } from 'node:fs';

const { env } = process;

function payload() {
  try {
    return JSON.parse(readFileSync(env.GITHUB_EVENT_PATH, 'utf8')) ?? {};
  } catch {
    return {};
  }
}

/** What cannot be told from a fork's is taken for one. */
export function mayBeFork() {
  const event = payload();
  const own = event.repository?.full_name;
  const foreign = (repository) => own === undefined || repository?.full_name !== own;
  if (event.pull_request) return foreign(event.pull_request.head?.repo);
  if (event.workflow_run) return foreign(event.workflow_run.head_repository);
  // A comment on a pull request does not say whose it is.
  if (event.issue?.pull_request) return true;
  return /^pull_request/.test(env.GITHUB_EVENT_NAME ?? '');
}
