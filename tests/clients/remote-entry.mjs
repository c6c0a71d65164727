// Which remote entry a job restored, asked of an API on loopback that answers
// well, badly, or not at all.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';

let answer;
const asked = [];
const server = createServer((request, response) => {
  asked.push({ url: new URL(request.url, 'http://api'), authorization: request.headers.authorization });
  answer(response);
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
Object.assign(process.env, {
  GITHUB_API_URL: `http://127.0.0.1:${server.address().port}`,
  GITHUB_REPOSITORY: 'example/project',
  GITHUB_REF: 'refs/heads/main',
});
const { findRemoteEntry } = await import('../../action/remote.mjs');

const entries = (...list) => (response) => response.end(JSON.stringify({ total_count: list.length, actions_caches: list }));
const entry = (id, key, ref) => ({ id, key, ref, size_in_bytes: 1 });

answer = entries(entry(1, 'go-1-abc', 'refs/heads/main'), entry(2, 'go-1', 'refs/heads/other'), entry(3, 'go-1', 'refs/heads/main'));
assert.deepEqual(await findRemoteEntry({ cacheKey: 'go-1', token: 'secret' }), { key: 'go-1', id: 3 });
const [{ url, authorization }] = asked;
assert.equal(url.pathname, '/repos/example/project/actions/caches');
assert.equal(url.searchParams.get('key'), 'go-1');
assert.equal(authorization, 'Bearer secret');
console.log('ok: the entry of this key and this ref, not one whose key only begins so');

answer = entries(entry(7, 'go-1', 'refs/heads/other'));
assert.deepEqual(await findRemoteEntry({ cacheKey: 'go-1', token: 'secret' }), { key: 'go-1', id: 7 });
console.log("ok: without one of its own ref, another ref's, which the job restored then");

answer = entries(entry(9, 'setup-go-Linux-x64-1', 'refs/heads/main'), entry(8, 'setup-go-Linux-x64-0', 'refs/heads/main'));
assert.deepEqual(await findRemoteEntry({ cacheKey: '', token: 'secret' }), { key: 'setup-go-Linux-x64-1', id: 9 });
assert.equal(asked.at(-1).url.searchParams.get('key'), 'setup-go-');
console.log('ok: without a key, the one of setup-go that was used last');

const before = asked.length;
assert.deepEqual(await findRemoteEntry({ cacheKey: 'go-1', token: '' }), { key: 'go-1' });
assert.equal(asked.length, before, 'nothing is asked without a token');
console.log('ok: without a token nothing is asked');

for (const [name, bad] of Object.entries({
  'a refusal': (response) => response.writeHead(403).end('{"message":"Resource not accessible by integration"}'),
  'no JSON': (response) => response.end('{"actions_caches": ['),
  'another type': (response) => response.end('{"actions_caches": {"a": 1}}'),
  'a broken connection': (response) => response.destroy(),
  'no entry': entries(),
})) {
  answer = bad;
  assert.deepEqual(await findRemoteEntry({ cacheKey: 'go-1', token: 'secret' }), { key: 'go-1' }, name);
  console.log(`ok: ${name} leaves the key alone`);
}
server.close();
