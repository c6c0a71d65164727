// The action moves the caches itself, in act with its cache server: jobs one after
// the other, each on a runner that knows only what was saved. They build on each
// other. Of GitHub's API there is a stand-in, which notes what is deleted.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { lab, scenario, setUp } from './fixture.mjs';
import { api, archiveOf, compiled, deleted, entries, offline, on } from './server.mjs';

/** Changes a byte near the end of a bundle, in what the server has. */
function tamper(digest) {
  const archive = archiveOf(digest);
  const dir = mkdtempSync(join(tmpdir(), 'tamper-'));
  const file = execFileSync('tar', ['--zstd', '-Ptf', archive], { encoding: 'utf8' }).split('\n').find((name) => name.includes(`bundles/${digest}`));
  execFileSync('tar', ['--zstd', '-Pxf', archive, '--transform', 's,.*gocachevet/store/,store/,', '-C', dir]);
  const bundle = join(dir, 'store/bundles', basename(file));
  const bytes = readFileSync(bundle);
  bytes[bytes.length - 100] ^= 1;
  writeFileSync(bundle, bytes);
  const top = file.slice(0, file.indexOf('.gocachevet/store'));
  execFileSync('tar', ['--zstd', '-Pcf', archive, '--transform', `s,^store,${top}.gocachevet/store,`, '-C', dir, 'store']);
  rmSync(dir, { recursive: true });
}

const baseOf = (run) => /saved as \S+-head-\S+-([0-9a-f]{16})(?![0-9a-f-])/.exec(run.text)?.[1];
const bundlesOf = ({ key }) => key.split('-').pop().split('.');
const ofMain = (kind) => entries.filter(({ key, ref }) => ref === 'refs/heads/main' && key.includes(`-${kind}-`));
/** The first and the last bundle of main's newest head. */
function newest() {
  const bundles = bundlesOf(ofMain('head').at(-1));
  return { base: bundles[0], delta: bundles.slice(1).at(-1) };
}
setUp();

await scenario('cold: nothing is restored, and what was used is saved as a base', async () => {
  const run = (await on({})).ended(0);
  assert.match(run.summary('Post'), /^\*\*Restored nothing\*\*: there is no snapshot of this key yet\. The job started cold\.$/m);
  assert.match(run.summary('Post'), /^\*\*Saved\*\* a base of [\d.]+ [kM]B with \d+ units: there is no base\.$/m);
  assert.ok(compiled(run) > 10);
});

await scenario('warm: nothing is compiled or downloaded, and nothing is saved', async () => {
  const run = (await on({}, offline)).ended(0);
  assert.equal(compiled(run), 0, run.text);
  assert.match(run.summary('Post'), /^\*\*Restored\*\* [\d.]+ MB in [\d,]+ files in .* s \(.*\/s, proven on the way\); saved \d+ s ago on `main`; (9\d|100) % of it was used\.$/m);
  assert.match(run.summary('Post'), /^\*\*Saved nothing\*\*: nothing new was used\.$/m);
  assert.equal(run.outputs('Post')['modcache-hit-rate'], '1');
});

let firstBase;
await scenario('edited: what changed is compiled and saved as a delta, and the next job compiles nothing', async () => {
  const run = (await on({ edit: 'one' }, offline)).ended(0);
  assert.equal(compiled(run), 2, run.text);
  assert.match(run.summary('Post'), /^Missed: 0 module versions were downloaded, 2 packages compiled\. Go's version, .* sources, requirements or flags such as `-tags` changed\.$/m);
  assert.match(run.summary('Post'), /^\*\*Saved\*\* a delta of [\d.]+ kB with \d+ units: new units were used\.$/m);
  firstBase = baseOf(run);
  const next = (await on({ edit: 'one' }, offline)).ended(0);
  assert.equal(compiled(next), 0, next.text);
});

await scenario('on a pull request it is restored and nothing saved, unless that is asked for', async () => {
  const pull = { edit: 'two', pull_request: { number: 5, head: { ref: 'two', repo: { full_name: 'example/hello' } }, base: { ref: 'main' } } };
  const more = { ...offline, on: 'pull_request' };
  const run = (await on({ ...pull, ref: 'refs/pull/5/merge' }, more)).ended(0);
  assert.match(run.summary('Post'), /saved \d+ s ago on `main`/);
  assert.match(run.summary('Post'), /^\*\*Saved nothing\*\*: this is a pull request/m);
  assert.equal(existsSync(join(lab, 'home/.gocachevet/store')), false, 'the store stays on the machine');
  assert.equal(compiled(run), 2, run.text);
  const asked = (await on({ ...pull, ref: 'refs/pull/5/merge', 'pull-requests': 'save' }, more)).ended(0);
  assert.match(asked.summary('Post'), /^\*\*Saved\*\* a delta/m);
});

await scenario("a branch begins with the default branch's snapshot, and takes the newer of both", async () => {
  const feature = { ref: 'refs/heads/feature' };
  const own = (await on({ ...feature, edit: 'three' }, offline)).ended(0);
  assert.match(own.summary('Post'), /saved \d+ s ago on `main`/);
  assert.equal(baseOf(own), firstBase, 'its delta is on the base that is there');
  const again = (await on({ ...feature, edit: 'three' }, offline)).ended(0);
  assert.match(again.summary('Post'), /saved \d+ s ago on `feature`/);
  (await on({ edit: 'four' }, offline)).ended(0);
  const newer = (await on({ ...feature, edit: 'four' }, offline)).ended(0);
  assert.match(newer.summary('Post'), /saved \d+ s ago on `main`/);
  assert.equal(compiled(newer), 0, newer.text);
});

await scenario('two jobs that save at the same time add up', async () => {
  const wait = join(lab, 'out', 'other-ended');
  let waits = true;
  const first = on({ edit: 'first', wait }).finally(() => (waits = false));
  while (waits && !existsSync(`${wait}.started`)) await new Promise((later) => setTimeout(later, 200));
  const second = await on({ edit: 'second' }, { runner: 'second' });
  writeFileSync(wait, '');
  for (const run of [await first, second]) assert.match(run.ended(0).summary('Post'), /^\*\*Saved\*\* a delta/m);
  for (const edit of ['first', 'second']) assert.equal(compiled((await on({ edit }, offline)).ended(0)), 0, edit);
});

await scenario('a crossed limit fails the job, and what it used is saved all the same', async () => {
  const run = (await on({ edit: 'large', 'max-size': '1MB' }, offline)).ended(1);
  assert.match(run.summary('Post'), /^\*\*Saved\*\* a delta/m);
  assert.match(run.annotations('error').map(({ text }) => text).join('\n'), /^the policy failed\. Crossed: max-size\. Save less \(`trim-to`\)/m);
});

await scenario('the end can be a step of its own', async () => {
  const run = (await on({ edit: 'split', phase: 'before' }, offline)).ended(0);
  assert.match(run.summary('Main'), /^\*\*Restored\*\* .*% of it was used/m);
  assert.match(run.summary('Main'), /^\*\*Saved\*\* a delta/m);
  assert.equal(run.summary('Post'), '');
});

await scenario('what was there before the step is checked', async () => {
  const run = (await on({ prefill: true })).ended(1);
  assert.equal(run.step('build'), undefined, 'the build ran');
  assert.ok(run.annotations('error').some(({ title }) => title === 'extracted-hash-mismatch'), run.text);
});

await scenario('superseded heads are deleted, but one generation; and where that is refused it is said', async () => {
  deleted.length = 0;
  api.refuses = true;
  const refused = (await on({ edit: 'five' }, offline)).ended(0);
  assert.match(refused.summary('Post'), /^Superseded entries stay until GitHub evicts them: .*actions: write.*403/m);
  api.refuses = false;
  (await on({ edit: 'six' }, offline)).ended(0);
  const heads = ofMain('head');
  // What this job itself saved was not listed yet.
  const old = heads.slice(0, -3);
  assert.ok(old.length > 0);
  const named = new Set(entries.filter((entry) => entry.key.includes('-head-') && !old.includes(entry)).flatMap(bundlesOf));
  const taken = ofMain('bundle').filter((entry) => bundlesOf(entry).every((digest) => !named.has(digest) && old.flatMap(bundlesOf).includes(digest)));
  assert.deepEqual([...deleted].sort(), [...old, ...taken].map(({ id }) => id).sort(), 'the older heads of this branch, and deltas that newer ones took up');
  assert.ok(!taken.flatMap(bundlesOf).includes(newest().base));
});

await scenario('a tampered delta stops the job before the build, or is left out and made anew', async () => {
  const { delta } = newest();
  tamper(delta);
  const run = (await on({ edit: 'six' }, offline)).ended(1);
  assert.equal(run.step('build'), undefined, 'the build ran');
  const said = run.annotations('error').map(({ text }) => text);
  assert.ok(said.some((text) => /^the snapshot is damaged, or not proven or sealed as it should be, .*`on-corrupt: repair`.*-bundle-[0-9a-f]{16}`: `gh cache delete/.test(text)), run.text);
  const repaired = (await on({ edit: 'six', 'on-corrupt': 'repair' }, offline)).ended(0);
  assert.match(repaired.summary('Post'), /damaged files left out/);
  assert.match(repaired.summary('Post'), /^\*\*Saved\*\* a base .*: a part of the snapshot was damaged\.$/m);
  const next = (await on({ edit: 'six' }, offline)).ended(0);
  assert.equal(compiled(next), 0, next.text);
});

await scenario('a tampered base does so too, and what is left of it serves', async () => {
  const { base } = newest();
  tamper(base);
  const run = (await on({ edit: 'six' }, offline)).ended(1);
  assert.equal(run.step('build'), undefined, 'the build ran');
  const repaired = (await on({ edit: 'six', 'on-corrupt': 'warn' })).ended(0);
  assert.match(repaired.summary('Post'), /damaged files left out/);
  assert.notEqual(baseOf(repaired), base);
  assert.equal(compiled((await on({ edit: 'six' }, offline)).ended(0)), 0);
});

await scenario('what an entry has beside the store is written nowhere else', async () => {
  const archive = archiveOf(newest().base);
  const dir = mkdtempSync(join(tmpdir(), 'planted-'));
  cpSync(archive, join(lab, 'archive'));
  execFileSync('zstd', ['-qdf', archive, '-o', join(dir, 'a.tar')]);
  writeFileSync(join(dir, 'planted'), 'planted');
  const add = (name) => execFileSync('tar', ['-Prf', join(dir, 'a.tar'), '--transform', `s,.*,${name},`, '-C', dir, 'planted']);
  for (const name of ['planted', '../planted', '../../planted', join(lab, 'planted'), 'x/.gocachevet/store./planted', '../../../../.gocachevet/store/../../planted']) add(name);
  execFileSync('zstd', ['-qf', join(dir, 'a.tar'), '-o', archive]);
  const run = (await on({ edit: 'six' }, offline)).ended(0);
  cpSync(join(lab, 'archive'), archive);
  assert.equal(compiled(run), 0, run.text);
  const found = execFileSync('find', [lab, '-name', 'planted'], { encoding: 'utf8' });
  assert.equal(found, '', 'and the store is removed at the end');
  rmSync(dir, { recursive: true });
});

await scenario('an evicted base is a cold start, which is said, and a new base', async () => {
  rmSync(archiveOf(newest().base));
  const run = (await on({ edit: 'six' })).ended(0);
  assert.match(run.summary('Post'), /^\*\*Restored nothing\*\*: a part of the newest snapshot is gone/m);
  assert.match(run.summary('Post'), /^\*\*Saved\*\* a base/m);
});

await scenario('another Go version gets the modules, and a snapshot of its own', async () => {
  const other = join(lab, 'other-go');
  const real = execFileSync('go', ['env', 'GOROOT'], { encoding: 'utf8' }).trim();
  mkdirSync(join(other, 'bin'), { recursive: true });
  writeFileSync(join(other, 'VERSION'), 'go1.99.1\n');
  const version = `case $* in *GOVERSION*) echo '{"GOVERSION": "go1.99.1"}' ;; *) exec '${real}/bin/go' "$@" ;; esac`;
  writeFileSync(join(other, 'bin/go'), `#!/bin/sh\n${version}\n`);
  chmodSync(join(other, 'bin/go'), 0o755);
  const run = (await on({ edit: 'six' }, { ...offline, path: [join(other, 'bin')] })).ended(0);
  assert.ok(compiled(run) > 10);
  assert.equal(run.outputs('Post')['modcache-hit-rate'], '1');
  assert.match(run.summary('Post'), /^Missed: .*In the job that saved, the Go version was `go[\d.]+` and is `go1\.99\.1`/m);
  assert.match(run.text, /saved as \S+-go1\.99\.1-\d{13}-/);
  // The jobs of the old one go on with theirs.
  assert.equal(compiled((await on({ edit: 'six' }, offline)).ended(0)), 0);
});

await scenario("on the engine of Gitea's runner it is the same, without GitHub's API", async () => {
  deleted.length = 0;
  const gitea = (env = {}) => ({ engine: 'gitea-act', env: { GITEA_ACTIONS: 'true', ...env } });
  assert.match((await on({}, gitea())).ended(0).text, /\*\*Saved\*\* a base/);
  const run = (await on({}, gitea({ GOPROXY: 'off' }))).ended(0);
  assert.equal(compiled(run), 0, run.text);
  assert.match(run.text, /\*\*Saved nothing\*\*: nothing new was used/);
  assert.deepEqual(deleted, []);
});

await scenario('without the bundled toolkit the job builds cold, and says why', async () => {
  const dist = join(lab, 'repository/gocachevet/action/dist');
  renameSync(dist, `${dist}-away`);
  const run = (await on({ idle: true })).ended(0);
  renameSync(`${dist}-away`, dist);
  assert.match(run.summary('Post'), /^\*\*Restored nothing\*\*: this checkout of the action has no `action\/dist`/m);
  assert.ok(run.annotations('warning').some(({ text }) => text.startsWith('no snapshot is restored or saved')), run.text);
});

await scenario('a trim is refused, since another step would have to save it', async () => {
  const run = (await on({ trim: 'unused' })).ended(1);
  assert.match(run.annotations('error').map(({ text }) => text).join('\n'), /input trim: `unused` is for caches that another step saves/);
});
api.close();
