// Jobs in act whose action moves the caches itself: act's own cache server, and a
// stand-in for GitHub's API, which lists what was saved and notes what is deleted.

import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';
import { job, lab } from './fixture.mjs';

/** What was saved, as GitHub lists it. */
export const entries = [];
export const deleted = [];
export const api = createServer((request, response) => {
  const url = new URL(request.url, 'http://api');
  if (api.refuses) return response.writeHead(403).end('{"message":"Resource not accessible by integration"}');
  if (request.method === 'DELETE') {
    deleted.push(Number(url.pathname.split('/').at(-1)));
    return response.writeHead(204).end();
  }
  const found = entries.filter(({ key }) => key.startsWith(url.searchParams.get('key')));
  return response.end(JSON.stringify({ total_count: found.length, actions_caches: url.searchParams.get('page') === '1' ? found : [] }));
});
await new Promise((ready) => api.listen(0, '127.0.0.1', ready));

const server = join(lab, 'act-server', 'cache');
/** The server's files, oldest first, with what they hold: `bundles/DIGEST`, `keys/KEY/BRANCH`. */
export const stored = () =>
  readdirSync(server, { recursive: true }).filter((name) => statSync(join(server, name)).isFile()).sort((a, b) => basename(a) - basename(b)).map((name) => {
    const path = join(server, name);
    const names = execFileSync('tar', ['--zstd', '-Ptf', path], { encoding: 'utf8' }).split('\n');
    const inside = names.map((name) => name.split('.gocachevet/store/')[1]).filter((name) => name && !name.endsWith('/'));
    return { path, inside };
  });
export const archiveOf = (digest) => stored().find(({ inside }) => inside.some((name) => name.startsWith(`bundles/${digest}`))).path;

export const compiled = (run) => Number(/compiled: (\d+)/.exec(run.text)?.[1]);

/** Runs the job on a branch, `main` if it is not said. */
export async function on(event, more = {}) {
  const ref = event.ref ?? 'refs/heads/main';
  const env = {
    GOFLAGS: '-buildvcs=false -trimpath',
    GITHUB_API_URL: `http://127.0.0.1:${api.address().port}`,
    ...more.env,
  };
  const run = await job({ repository: { full_name: 'example/hello', default_branch: 'main' }, ...event, ref }, { workflow: 'snapshots.yml', ...more, env });
  for (const [, key, bundles] of run.text.matchAll(/saved as (\S+-head-\S+-([0-9a-f.]+))/g)) {
    const bundleKeys = bundles.split('.').map((digest) => `${key.slice(0, key.indexOf('-head-'))}-bundle-${digest}`);
    for (const each of [key, ...bundleKeys]) if (!entries.some((entry) => entry.key === each)) entries.push({ id: entries.length + 1, key: each, ref });
  }
  return run;
}
export const offline = { env: { GOPROXY: 'off' } };

