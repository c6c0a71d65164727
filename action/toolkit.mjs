// What is bundled of GitHub's own cache client: release/dist makes dist/toolkit.mjs of it.

export { isFeatureAvailable, restoreCache, saveCache } from '@actions/cache';
