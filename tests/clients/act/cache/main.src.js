// Restores as actions/cache does.
const cache = require('@actions/cache');
const core = require('@actions/core');

(async () => {
  const key = core.getInput('key');
  const matched = await cache.restoreCache(core.getMultilineInput('path'), key, core.getMultilineInput('restore-keys'));
  // act's server gives keys back in lower case.
  const exact = matched !== undefined && matched.toLowerCase() === key.toLowerCase();
  core.setOutput('cache-hit', String(exact));
  core.setOutput('cache-matched-key', matched ?? '');
  core.saveState('exact', String(exact));
  core.info(`restored: ${matched ?? 'nothing'}`);
})().catch((error) => core.setFailed(error.message));
