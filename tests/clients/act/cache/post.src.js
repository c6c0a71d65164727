// Saves as actions/cache does: not after an exact hit.
const cache = require('@actions/cache');
const core = require('@actions/core');

(async () => {
  if (core.getState('exact') === 'true') {
    core.info('not saved: exact hit');
    return;
  }
  const key = core.getInput('key');
  await cache.saveCache(core.getMultilineInput('path'), key);
  core.info(`saved: ${key}`);
})().catch((error) => core.setFailed(error.message));
