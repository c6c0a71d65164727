// Cuts what the tests need out of GitHub's published OpenAPI description:
//
//   npm install @octokit/openapi@23.0.2
//   node tests/remote/cut-openapi.mjs node_modules/@octokit/openapi/generated/api.github.com.json > tests/remote/openapi.json
//
// Kept are the paths below with every component they refer to; prose goes,
// and of the examples all but the first of each answer.
import fs from 'node:fs';

const wanted = [
  '/repos/{owner}/{repo}/actions/caches',
  '/repos/{owner}/{repo}/actions/caches/{cache_id}',
  '/repos/{owner}/{repo}/actions/cache/usage',
  '/repos/{owner}/{repo}/actions/cache/storage-limit',
  '/orgs/{org}/actions/cache/usage-by-repository',
  '/repos/{owner}/{repo}/pulls/{pull_number}',
  '/repos/{owner}/{repo}/git/matching-refs/{ref}',
];
const prose = new Set(['description', 'summary', 'externalDocs', 'x-github', 'x-octokit', 'tags', 'title', 'example']);

const source = JSON.parse(fs.readFileSync(process.argv[2]));
const result = { openapi: source.openapi, info: { title: source.info.title, version: source.info.version, license: source.info.license }, paths: {}, components: {} };

// A property may be called "description"; only the keyword of that name is prose.
const strip = (value, names = false) => {
  if (Array.isArray(value)) return value.map((item) => strip(item));
  if (!value || typeof value !== 'object') return value;
  const kept = {};
  for (const [key, item] of Object.entries(value)) {
    if (!names && prose.has(key) && !(key === 'description' && typeof item === 'object')) continue;
    if (!names && key === 'examples' && !Array.isArray(item)) {
      const [first] = Object.entries(item);
      if (first) kept.examples = Object.fromEntries([first]);
      continue;
    }
    kept[key] = key === 'value' ? item : strip(item, key === 'properties');
  }
  return kept;
};

const seen = new Set();
const follow = (value) => {
  if (Array.isArray(value)) return value.forEach(follow);
  if (!value || typeof value !== 'object') return;
  for (const [key, item] of Object.entries(value)) {
    if (key === '$ref' && typeof item === 'string' && !seen.has(item)) {
      seen.add(item);
      const [, , kind, name] = item.split('/');
      const component = strip(source.components[kind][name]);
      (result.components[kind] ??= {})[name] = component;
      follow(component);
    } else follow(item);
  }
};

for (const path of wanted) {
  const item = source.paths[path];
  if (!item) throw new Error(`${path} is not described`);
  result.paths[path] = strip(item);
  for (const method of ['put', 'post', 'patch']) delete result.paths[path][method];
}
follow(result.paths);
process.stdout.write(`${JSON.stringify(result)}\n`);
