// The action fetches a release from a server on loopback: release.mjs FOLDER

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBinary } from '../../action/binary.mjs';

const folder = process.argv[2];
const release = JSON.parse(readFileSync(join(folder, 'release.json'), 'utf8'));
const platform = `${process.platform}-${process.arch}`;
let served = 0;
const server = createServer((request, response) => {
  const file = join(folder, request.url.replace(/^.*\//, ''));
  served += 1;
  if (!existsSync(file)) return response.writeHead(404).end();
  response.end(readFileSync(file));
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const source = `http://127.0.0.1:${server.address().port}/download`;
process.env.PATH = '/usr/bin:/bin';
const fresh = () => {
  process.env.RUNNER_TOOL_CACHE = mkdtempSync(join(tmpdir(), 'tools-'));
  return process.env.RUNNER_TOOL_CACHE;
};
const changed = (change) => {
  const copy = structuredClone(release);
  change(copy);
  return copy;
};

fresh();
const found = await findBinary('', { release, source });
assert.match(execFileSync(found.file, ['--version'], { encoding: 'utf8' }), new RegExp(`^gocachevet ${release.version}`));
assert.equal(served, 1);
assert.deepEqual(await findBinary('', { release, source }), found);
assert.equal(served, 1, 'the second time it is in the tool cache');
console.log(`ok: fetched, checked, unpacked and run: ${found.file}`);

appendFileSync(found.file, 'planted');
assert.deepEqual(await findBinary('', { release, source }), found);
assert.equal(served, 2, 'what lies in the tool cache is taken by its hash alone');
execFileSync(found.file, ['--version']);
appendFileSync(found.file, 'planted');
await assert.rejects(findBinary('', { release, source: 'http://127.0.0.1:1' }), /cannot be fetched/);
console.log('ok: another program in the tool cache is fetched anew, and never run');

const tools = fresh();
const other = changed((copy) => (copy.files[platform].sha256 = '0'.repeat(64)));
await assert.rejects(findBinary('', { release: other, source }), /is not the file that was released: its SHA-256 is/);
assert.deepEqual(readdirSync(tools), [], 'nothing of it is kept');
const inner = changed((copy) => (copy.files[platform].program = '0'.repeat(64)));
await assert.rejects(findBinary('', { release: inner, source }), /does not hold the program that was released/);
assert.deepEqual(readdirSync(join(tools, 'gocachevet', release.version)), [], 'nothing of it is kept');
console.log('ok: another file than the pinned one is refused, and another program in it');

const gone = changed((copy) => (copy.files[platform].name = 'gocachevet-0.0.0.tar.gz'));
await assert.rejects(findBinary('', { release: gone, source }), /cannot be fetched: the answer was 404.*continue-on-error/);
await assert.rejects(findBinary('', { release, source: 'http://127.0.0.1:1' }), /cannot be fetched: .*Where there is no network/);
console.log('ok: a missing file and a missing network are told');

// As in a checkout where wasm/build never ran.
const built = join(tools, 'no-module.wasm');
const nowhere = changed((copy) => (copy.files = {}));
await assert.rejects(findBinary('', { release: nowhere, source, built }), /neither a binary for .* nor a WASI module/);
await assert.rejects(findBinary('', { release: { version: null, files: {} }, source, built }), /pins no release/);
await assert.rejects(findBinary('no/such/file'), /input binary: there is no file/);
console.log('ok: without a release there is an error');

const module = changed((copy) => (delete copy.files[platform]));
fresh();
const program = await findBinary('', { release: module, source, built });
assert.ok(program.wasi && program.before.at(-1).endsWith('.wasm'));
const version = execFileSync(program.file, [...program.before, '--version'], { encoding: 'utf8' });
assert.match(version, new RegExp(`^gocachevet ${release.version}`));
console.log('ok: a platform without a binary gets the WASI module');
server.close();
