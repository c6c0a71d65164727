// Which programs the action runs, whose configuration counts, and where a release
// is fetched from: asked of the action's own code, with files laid where anybody
// can lay them.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

const lab = realpathSync(mkdtempSync(join(tmpdir(), 'programs-')));
const at = (...parts) => join(lab, ...parts);
const program = (...parts) => {
  const file = at(...parts);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, 0o755);
  return file;
};
for (const name of Object.keys(process.env)) if (/^(GO|GITHUB_|RUNNER_|INPUT_|ACTIONS_)/.test(name)) delete process.env[name];
Object.assign(process.env, {
  HOME: at('home'),
  GITHUB_WORKSPACE: at('workspace'),
  RUNNER_TEMP: at('temp'),
  GOPATH: [at('gopath'), at('gopath2')].join(delimiter),
  GOBIN: at('gobin'),
  GOMODCACHE: at('mod'),
  GOCACHE: at('build'),
  INPUT_MODCACHE: at('other-mod'),
});
for (const dir of ['home', 'workspace', 'temp']) mkdirSync(at(dir));
const { inPath, soundPath } = await import('../../action/path.mjs');
const { findBinary, releaseSource } = await import('../../action/binary.mjs');
const { mayBeFork } = await import('../../action/fork.mjs');
const look = (dirs, name = 'gocachevet', more) => {
  process.env.PATH = dirs.join(delimiter);
  return inPath(name, more);
};

const good = dirname(program('usr/bin/gocachevet'));
const planted = [
  'workspace/node_modules/.bin', 'workspace', 'temp/bin', 'gopath/bin', 'gopath2/bin', 'gobin', 'mod/bin', 'build', 'other-mod/x',
  'home/go/bin', 'home/.cache/go-build', 'home/.local/bin', 'home/.cargo/bin',
].map((dir) => dirname(program(dir, 'gocachevet')));
for (const dir of planted) {
  assert.deepEqual(look([dir]), { file: undefined, passedOver: [join(dir, 'gocachevet')] }, dir);
  assert.equal(look([dir, good]).file, join(good, 'gocachevet'), dir);
}
console.log(`ok: ${planted.length} folders that a checkout or a cache fills are passed over`);

// A folder that leads there, a program that does, and a workspace that is a link itself.
symlinkSync(at('workspace'), at('link-to-workspace'));
assert.equal(look([at('link-to-workspace')]).file, undefined);
mkdirSync(at('opt/bin'), { recursive: true });
symlinkSync(at('home/go/bin/gocachevet'), at('opt/bin/gocachevet'));
assert.equal(look([at('opt/bin')]).file, undefined);
// From there into a good folder: whoever made the link can lead it elsewhere.
mkdirSync(at('workspace/links'));
symlinkSync(join(good, 'gocachevet'), at('workspace/links/gocachevet'));
assert.equal(look([at('workspace/links')]).file, undefined);
symlinkSync(at('elsewhere'), at('linked'));
program('elsewhere/job/bin/gocachevet');
process.env.GITHUB_WORKSPACE = at('linked/job');
assert.equal(look([at('elsewhere/job/bin')]).file, undefined);
process.env.GITHUB_WORKSPACE = at('workspace');
console.log('ok: links change nothing about that');

assert.equal(look(['usr/bin', '.', '']).file, undefined, 'a relative folder');
writeFileSync(at('usr/bin/other'), '');
assert.equal(look([good], 'other').file, undefined, 'not executable');
// `go` may have been installed below the home folder, such as in ~/sdk, but not restored.
const sdk = dirname(program('home/sdk/go/bin/go'));
program('home/go/bin/go');
assert.equal(look([at('home/go/bin'), sdk], 'go', { home: true }).file, join(sdk, 'go'));
process.env.PATH = [at('workspace/node_modules/.bin'), at('home/go/bin'), '.', at('link-to-workspace'), sdk, good].join(delimiter);
assert.equal(soundPath(), [sdk, good].join(delimiter));
console.log('ok: go itself is found where it is installed, not where a cache lays it; and so is what others start');

const none = { version: null, files: {} };
const built = at('no-module.wasm');
process.env.PATH = at('home/go/bin');
await assert.rejects(findBinary('', { release: none, built }), /there is no gocachevet: .*home\/go\/bin\/gocachevet is passed over/);
process.env.PATH = [at('home/go/bin'), good].join(delimiter);
assert.equal((await findBinary('', { release: none, built })).file, join(good, 'gocachevet'));
// A pinned release is not replaced by whatever PATH has.
process.env.RUNNER_TOOL_CACHE = at('tools');
const pinned = { version: '1.2.3', files: { [`${process.platform}-${process.arch}`]: { name: 'a.tar.gz', sha256: '', program: '' } } };
await assert.rejects(findBinary('', { release: pinned, source: 'http://127.0.0.1:1' }), /cannot be fetched/);
console.log('ok: PATH is looked into only where no release is pinned');

for (const [repository, source] of [
  ['gocachevet/gocachevet', 'https://github.com/gocachevet/gocachevet'],
  ['somebody/fork', 'https://github.com/somebody/fork'],
  ['', 'https://github.com/gocachevet/gocachevet'],
  ['https://forge.example/mirrors/gocachevet.git', 'https://forge.example/mirrors/gocachevet'],
]) {
  Object.assign(process.env, { GITHUB_ACTION_REPOSITORY: repository, GITHUB_SERVER_URL: 'https://gitea.example', GITHUB_REPOSITORY: 'job/own' });
  assert.equal(releaseSource('1.2.3'), `${source}/releases/download/v1.2.3`);
}
console.log("ok: a release is fetched from where the action came from, not from the job's server");

const own = { full_name: 'a/b' };
const other = { full_name: 'c/b' };
for (const [name, event, expected] of [
  ['push', { repository: own }, false],
  ['schedule', {}, false],
  ['pull_request', { repository: own, pull_request: { head: { repo: own } } }, false],
  ['pull_request', { repository: own, pull_request: { head: { repo: other } } }, true],
  ['pull_request_target', { repository: own, pull_request: { head: { repo: other } } }, true],
  ['pull_request', { repository: own, pull_request: { head: { repo: null } } }, true],
  ['pull_request', {}, true],
  ['workflow_run', { repository: own, workflow_run: { head_repository: other } }, true],
  ['workflow_run', { repository: own, workflow_run: { head_repository: own } }, false],
  ['issue_comment', { repository: own, issue: { pull_request: {} } }, true],
  ['issue_comment', { repository: own, issue: {} }, false],
]) {
  writeFileSync(at('event.json'), JSON.stringify(event));
  Object.assign(process.env, { GITHUB_EVENT_NAME: name, GITHUB_EVENT_PATH: at('event.json') });
  assert.equal(mayBeFork(), expected, `${name} ${JSON.stringify(event)}`);
}
process.env.GITHUB_EVENT_PATH = at('none.json');
assert.equal(mayBeFork(), false);
console.log("ok: what may be a fork's pull request is told by the event");
