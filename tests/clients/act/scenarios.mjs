// The action in act, with act's cache server behind GitHub's own cache client:
// jobs one after the other, each on a runner that knows only what was saved.
// scenarios.mjs [WORDS]: only the scenarios that have these in their names, which
// have to work on their own then.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { job, lab, modcache, read, scenario, setUp, withModule } from './fixture.mjs';

const stale = join(modcache, 'github.com/pkg/errors@v0.9.1');
setUp();

await scenario('a first job, on empty caches, saves what it used', async () => {
  const run = (await job({ key: '1', trim: 'unused', stale: true })).ended(0);
  assert.equal(run.step('build'), 'success');
  assert.ok(run.has('restored: nothing') && run.has('saved: go-1'));
  assert.equal(existsSync(stale), true, 'what the job itself downloaded stays');
  assert.equal(run.outputs('Post').verdict, 'pass');
  assert.match(run.summary('Post'), /^## ✅ Go caches: pass$/m);
  assert.equal(run.summary('Main'), '', 'nothing was wrong, so the first half has nothing to tell');
});

await scenario('after an exact hit a trim is only tried out, and says why', async () => {
  const run = (await job({ key: '1', trim: 'unused', 'idle-runs': '0' })).ended(0);
  assert.ok(run.has('restored: go-1') && run.has('not saved: exact hit'));
  assert.equal(run.outputs('Post')['bytes-saved'], '0');
  assert.equal(existsSync(stale), true);
  const notice = run.annotations('notice').find(({ text }) => text.includes('the trim was only tried out'))?.text ?? '';
  // What helps, as it is written into a workflow.
  assert.ok(notice.includes('`key: go-build-${{ github.run_id }}-${{ github.run_attempt }}` with `restore-keys: go-build-`'), notice);
  assert.match(run.summary('Post'), /\*\*Note:\*\* the trim was only tried out/);
});

await scenario('on a pull request nothing is trimmed', async () => {
  const run = (await job({ key: '1-pr', trim: 'unused', 'idle-runs': '0' }, { on: 'pull_request' })).ended(0);
  assert.equal(existsSync(stale), true);
  assert.equal(run.outputs('Post')['bytes-saved'], '0');
});

await scenario('under a cache-mode that saves nothing a trim is only tried out, and both are told', async () => {
  const event = { key: '1-mode', trim: 'unused', 'idle-runs': '0' };
  for (const mode of ['read', 'none']) {
    const run = (await job(event, { env: { ACTIONS_CACHE_MODE: mode } })).ended(0);
    assert.equal(run.outputs('Post')['bytes-saved'], '0', mode);
    assert.equal(existsSync(stale), true, mode);
    const notices = run.annotations('notice').map(({ text }) => text);
    assert.ok(notices.some((text) => text.includes(`\`cache-mode\` is \`${mode}\`: this job saves no cache, so that the trim is only tried out`)), run.text);
    assert.ok(notices.some((text) => text.startsWith(`the trim was only tried out: \`cache-mode\` is \`${mode}\``)), run.text);
    assert.equal(notices.some((text) => text.includes('no cache is restored into this job')), mode === 'none');
  }
});

await scenario('a second job builds from what the first saved, trims what it did not use and saves that', async () => {
  const run = (await job({ key: '2', trim: 'unused', 'idle-runs': '0' }, { env: { GOPROXY: 'off' } })).ended(0);
  assert.equal(run.step('build'), 'success');
  assert.ok(run.has('restored: go-1') && run.has('saved: go-2'));
  assert.equal(existsSync(stale), false, 'the unused module was not removed');
  assert.equal(run.outputs('Main').verdict, 'pass');
  const outputs = run.outputs('Post');
  assert.ok(Number(outputs['bytes-saved']) > 0);
  assert.equal(Number(outputs['size-before']) - Number(outputs['size-after']), Number(outputs['bytes-saved']));
  assert.equal(outputs['modcache-hit-rate'], '1');
  assert.ok(Number(outputs['gocache-hit-rate']) > 0.9, JSON.stringify(outputs));
  assert.equal(JSON.parse(read('out/findings.sarif')).version, '2.1.0');
});

await scenario('a third job restores what the second trimmed, and builds from it alone', async () => {
  const run = (await job({ key: '3', trim: 'unused', 'idle-runs': '0' }, { env: { GOPROXY: 'off' } })).ended(0);
  assert.equal(run.step('build'), 'success');
  assert.ok(run.has('restored: go-2'));
  assert.equal(existsSync(stale), false);
  assert.ok(Number(run.outputs('Post')['gocache-hit-rate']) > 0.9);
});

await scenario('a job that builds nothing loses nothing, and says why', async () => {
  (await job({ key: '3-full', trim: 'unused' })).ended(0);
  const run = (await job({ key: '3-idle', trim: 'unused', 'idle-runs': '0', idle: true })).ended(0);
  assert.equal(run.step('build'), undefined);
  assert.equal(run.outputs('Post')['bytes-saved'], '0');
  assert.ok(run.annotations('notice').some(({ text }) => text.startsWith('nothing of the build cache goes for being unused')), run.text);
  const next = (await job({ key: '3-next', trim: 'off' }, { env: { GOPROXY: 'off' } })).ended(0);
  assert.ok(next.has('restored: go-3-idle'));
  assert.ok(Number(next.outputs('Post')['gocache-hit-rate']) > 0.9, JSON.stringify(next.outputs('Post')));
});

await scenario('limits that nobody set fail nothing, on a cold cache either', async () => {
  const run = (await job({ key: 'cold', 'fail-on': 'warn', restore: 'none-' })).ended(0);
  assert.ok(run.has('restored: nothing'));
  assert.equal(run.outputs('Post').verdict, 'pass');
});

await scenario('a crossed limit fails the job before the save, and says what helps', async () => {
  const run = (await job({ key: '4', 'max-size': '1MB' })).ended(1);
  assert.equal(run.step('build'), 'success');
  // GitHub's runner skips the save after that; act does not look at posts' results.
  assert.ok(run.text.indexOf('the policy failed') < run.text.indexOf('saved: go-4'), 'judged before the save');
  assert.equal(run.outputs('Post').verdict, 'fail');
  const message = run.annotations('error').find(({ text }) => text.startsWith('the policy failed'));
  assert.match(message?.text ?? '', /keeps the cache from being saved.*Crossed: max-size.*trim: unused/);
  assert.match(run.summary('Post'), /^## ❌ Go caches: fail$/m);
  assert.match(run.summary('Post'), /max-size/);
});

await scenario('the same limit only warns if asked to', async () => {
  const run = (await job({ key: '5', 'max-size': '1MB', 'fail-on': 'never' })).ended(0);
  assert.ok(run.has('saved: go-5'));
  assert.ok(run.annotations('warning').some(({ text }) => text.startsWith('the policy failed')));
});

await scenario('a wrong value is refused by name before the build', async () => {
  for (const [event, words] of [
    [{ key: '6', 'max-size': 'large; touch /tmp/x' }, /--max-size/],
    [{ key: '6', trim: 'all' }, /input trim: `all` is none of off, unused, tiers/],
    [{ key: '6', binary: '/nowhere/gocachevet' }, /input binary: there is no file \/nowhere\/gocachevet/],
  ]) {
    const run = (await job(event)).ended(1);
    assert.equal(run.step('build'), undefined);
    assert.match(run.annotations('error').map(({ text }) => text).join('\n'), words);
  }
});

await scenario('a program that a checkout or a cache laid into PATH is not run', async () => {
  const run = (await job({ key: '6-plant', plant: true })).ended(0);
  assert.equal(existsSync(join(lab, 'out/planted-ran')), false, 'a planted program ran');
  assert.equal(run.outputs('Post').verdict, 'pass');
  const alone = (await job({ key: '6-plant', plant: true }, { noBinary: true })).ended(1);
  assert.equal(existsSync(join(lab, 'out/planted-ran')), false, 'a planted program ran');
  assert.match(alone.annotations('error')[0].text, /node_modules\/\.bin\/gocachevet.*is passed over/);
});

await scenario('the configuration of a fork does not count, unless the workflow says so', async () => {
  const repository = { full_name: 'example/hello' };
  const fork = { head: { repo: { full_name: 'somebody/hello' } } };
  const config = 'max-size = "fail=1kB"';
  const own = (await job({ key: '6-own', config, repository }, { on: 'push' })).ended(1);
  assert.ok(own.has('Crossed: max-size'));
  const foreign = (await job({ key: '6-fork', config, repository, pull_request: fork }, { on: 'pull_request' })).ended(0);
  assert.equal(foreign.outputs('Post').verdict, 'pass');
  assert.ok(foreign.annotations('notice').some(({ text }) => text.includes('the configuration file in it does not count')), foreign.text);
  const said = (await job({ key: '6-said', config, repository, pull_request: fork, 'project-config': 'true' }, { on: 'pull_request' })).ended(1);
  assert.ok(said.has('Crossed: max-size'));
});

await scenario('times that cannot be set are a warning, and the job goes on', async () => {
  const binary = join(lab, 'out/warns');
  writeFileSync(binary, `#!/bin/sh\n'${join(lab, 'bin/gocachevet')}' "$@" || exit\nif [ "$1" = mark ]; then echo 'warning: the use of 3 of these entries will not be seen'; fi\n`);
  chmodSync(binary, 0o755);
  const run = (await job({ key: '6-warn', binary })).ended(0);
  assert.equal(run.step('build'), 'success');
  assert.deepEqual(run.annotations('warning').map(({ text }) => text), ['the use of 3 of these entries will not be seen']);
});

await scenario('no binary anywhere is a clear error', async () => {
  const run = (await job({ key: '6' }, { noBinary: true })).ended(1);
  assert.match(run.annotations('error')[0].text, /there is no gocachevet: .* pins no release/);
});

await scenario('where there is no binary, Node runs the WASI module, before the build and after it', async () => {
  withModule(true);
  const first = (await job({ key: 'wasi-1', trim: 'unused', stale: true }, { noBinary: true })).ended(0);
  assert.ok(first.annotations('notice').some(({ text }) => /runs as a WASI module in Node.*read-only/.test(text)), first.text);
  assert.equal(first.step('build'), 'success');
  const run = (await job({ key: 'wasi-2', trim: 'unused', 'idle-runs': '0' }, { noBinary: true, env: { GOPROXY: 'off' } })).ended(0);
  assert.ok(run.has('restored: go-wasi-1') && run.has('saved: go-wasi-2'));
  const outputs = run.outputs('Post');
  assert.ok(Number(outputs['bytes-saved']) > 0, JSON.stringify(outputs));
  assert.equal(outputs['modcache-hit-rate'], '1');
  assert.ok(Number(outputs['gocache-hit-rate']) > 0.9, JSON.stringify(outputs));
  assert.equal(existsSync(stale), false, 'the unused module was not removed');
  assert.equal(JSON.parse(read('out/findings.sarif')).version, '2.1.0');
  assert.match(run.summary('Post'), /^## ✅ Go caches: pass$/m);
  const failed = (await job({ key: 'wasi-3', 'max-size': '1MB' }, { noBinary: true })).ended(1);
  assert.match(failed.annotations('error').map(({ text }) => text).join('\n'), /the policy failed.*Crossed: max-size/);
  withModule(false);
});

await scenario('a poisoned cache stops the job before the build', async () => {
  // Saved before anybody looks: the module tree is not verified again after the build.
  const poisoned = (await job({ key: '7', poison: true })).ended(0);
  assert.ok(poisoned.has('saved: go-7'));
  const run = (await job({ key: '7' })).ended(1);
  assert.equal(run.step('build'), undefined, 'the build ran on a poisoned cache');
  const texts = run.annotations('error');
  assert.ok(texts.some(({ title, text }) => title === 'extracted-hash-mismatch' && text.includes('github.com/cespare/xxhash/v2@v2.3.0')), run.text);
  assert.ok(texts.some(({ text }) => text.startsWith('the restored cache is damaged') && text.includes('gh cache delete go-7')));
  assert.match(run.summary('Main'), /^## ❌ Go caches: fail$/m);
  assert.equal(run.outputs('Main').verdict, 'fail');
});

await scenario('a repair lets it go on, and names the entry that stays as it is', async () => {
  const run = (await job({ key: '7', 'on-corrupt': 'repair' })).ended(0);
  assert.equal(run.step('build'), 'success');
  assert.equal(run.outputs('Post').verdict, 'pass');
  const notice = run.annotations('notice').find(({ text }) => text.includes('has been repaired'));
  assert.match(notice?.text ?? '', /The repaired cache is not saved.*restored by its exact key.*github\.run_id.*gh cache delete go-7/);
});

await scenario('under a new key the repaired cache is saved, and the next job is content', async () => {
  const repaired = (await job({ key: '7-new', 'on-corrupt': 'repair' })).ended(0);
  assert.ok(repaired.has('restored: go-7') && repaired.has('saved: go-7-new'));
  const run = (await job({ key: '7-new' })).ended(0);
  assert.equal(run.outputs('Main').verdict, 'pass');
});

await scenario('damage only warns if asked to', async () => {
  const run = (await job({ key: '7', 'on-corrupt': 'warn' })).ended(0);
  assert.equal(run.step('build'), 'success');
  assert.ok(run.annotations('warning').some(({ text }) => text.startsWith('the restored cache is damaged')));
});

await scenario('the end can be a step of its own, whose outputs later steps see', async () => {
  const run = (await job({ key: '8', split: true })).ended(0);
  assert.ok(Number(run.outputs('Main', 'vet2')['size-after']) > 0);
  assert.ok(run.has('saved: go-8'));
  const failed = (await job({ key: '9', split: true, limit: '1MB' })).ended(1);
  assert.equal(failed.has('saved: go-9'), false, 'what failed was saved');
});

await scenario("on the engine of Gitea's runner all is as on GitHub, but for the words about its cache", async () => {
  const gitea = { engine: 'gitea-act', env: { GITEA_ACTIONS: 'true', GITHUB_SERVER_URL: 'https://gitea.example' } };
  const first = (await job({ key: 'gitea-1', trim: 'unused', stale: true }, gitea)).ended(0);
  assert.ok(first.has('saved: go-gitea-1'));
  const run = (await job({ key: 'gitea-2', trim: 'unused', 'idle-runs': '0' }, { ...gitea, env: { ...gitea.env, GOPROXY: 'off' } })).ended(0);
  assert.ok(run.has('restored: go-gitea-1') && run.has('saved: go-gitea-2'));
  // Its log has commands as text.
  assert.match(run.text, /::set-output:: bytes-saved=[1-9]/);
  assert.equal(existsSync(stale), false);
  const failed = (await job({ key: 'gitea-3', 'max-size': '1MB' }, gitea)).ended(1);
  const said = failed.text.split('\n').filter((line) => line.startsWith('::error ')).join('\n');
  assert.match(said, /Crossed: max-size.*lies on the runner's own cache server/);
  assert.equal(/gh cache|gitea\.example/.test(said), false, said);
});

console.log(`act's output is in ${lab}`);
