// Sealed snapshots in act: a trusted job seals what it saves; then others, who can
// write to the cache server, plant what they like; and jobs that ask for the seal are
// stopped before they build, or build the same program bit for bit. Every fourth
// planting by default, all of them with GOCACHEVET_CAMPAIGN=full; tests/seals.rs tries
// all of them on the program itself.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lab, root, scenario, setUp } from './fixture.mjs';
import { api, compiled, on, stored } from './server.mjs';

setUp();

/** A pair of keys, as the program makes it. */
function pair(name) {
  const file = join(lab, `${name}.key`);
  const made = execFileSync(join(lab, 'bin/gocachevet'), ['seal', '--new-key', name, '--secret-file', file], { encoding: 'utf8' });
  return { secret: readFileSync(file, 'utf8').trim(), public: made.trim() };
}
const keys = pair('ci.example');
const holder = { secrets: { SEAL_KEY: keys.secret } };
const asked = { 'sealed-by': keys.public, 'sealed-ref': 'main' };
const program = (run) => /program: ([0-9a-f]{64})/.exec(run.text)?.[1];
const rules = (run) => run.annotations('error').map(({ title }) => title);

let good;
await scenario('a job that holds the key seals what it saves, and its secret shows nowhere', async () => {
  const run = (await on(asked, holder)).ended(0);
  assert.match(run.summary('Post'), /^\*\*Saved\*\* a base of .* units, sealed by `ci\.example`: there is no base\.$/m);
  assert.ok(!run.text.includes(keys.secret.split('+').at(-1)), 'the secret is in the log');
  good = program(run);
  assert.ok(good, run.text);
});

await scenario('jobs without the key restore what is sealed, and save nothing', async () => {
  const pull = { pull_request: { number: 5, head: { ref: 'two', repo: { full_name: 'example/hello' } }, base: { ref: 'main' } }, ref: 'refs/pull/5/merge', 'pull-requests': 'save' };
  for (const [event, more] of [[asked, {}], [{ ...asked, ...pull }, { on: 'pull_request' }]]) {
    const run = (await on({ ...event, edit: 'more' }, more)).ended(0);
    assert.match(run.summary('Post'), /^\*\*Restored\*\* .*; sealed by `ci\.example`/m);
    assert.match(run.summary('Post'), /^\*\*Saved nothing\*\*: this job restores what is sealed, and has no `seal-key`/m);
    assert.equal(compiled(run), 2, run.text);
  }
});

await scenario('with the key, another branch saves nothing', async () => {
  const run = (await on({ ...asked, edit: 'branch', ref: 'refs/heads/feature' }, holder)).ended(0);
  assert.match(run.summary('Post'), /^\*\*Saved nothing\*\*: what is sealed is saved on the default branch alone\.$/m);
});

await scenario('inputs that seal nothing are refused', async () => {
  const alone = (await on({}, holder)).ended(1);
  assert.match(alone.annotations('error')[0].text, /^input seal-key: needs `sealed-by`/);
  const broken = (await on({ 'sealed-by': 'nonsense' })).ended(1);
  assert.match(broken.annotations('error')[0].text, /malformed key/);
});

// What the trusted job saved, in the cache server's files.
const [base, head] = stored();
const key = /^keys\/([^/]+)\/main$/.exec(head.inside.find((name) => name.startsWith('keys/')))[1];
const names = execFileSync('tar', ['--zstd', '-Ptf', head.path], { encoding: 'utf8' }).split('\n');
const top = names.find((name) => name.endsWith('/main')).split('.gocachevet/store/')[0];
const folder = (name) => {
  const dir = join(lab, 'stores', name);
  mkdirSync(dir, { recursive: true });
  return dir;
};
const trusted = folder('trusted');
for (const { path } of [base, head]) {
  copyFileSync(path, `${path}.good`);
  execFileSync('tar', ['--zstd', '-Pxf', path, '--transform', 's,.*gocachevet/store/,,', '-C', trusted]);
}

/** Gives the server's files other contents: all bundles of a store, and its head. */
function serve(store) {
  const pack = (path, what) => execFileSync('tar', ['--zstd', '-Pcf', path, '--transform', `s,^,${top}.gocachevet/store/,`, '-C', store, what]);
  pack(base.path, 'bundles');
  pack(head.path, 'keys');
}

const out = folder('planted');
const env = { ...process.env, SEAL_KEY: keys.secret, SEALED_BY: keys.public, GITHUB_REPOSITORY: 'example/hello' };
const told = execFileSync('cargo', ['test', '--quiet', '--locked', '--test', 'plant', '--', trusted, key, out], { cwd: root, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
const plantings = told.trim().split('\n');
assert.equal(plantings.length, 13);

const linked = 'an output and the entry that names it';
const full = process.env.GOCACHEVET_CAMPAIGN === 'full';
for (const [number, name] of plantings.entries()) {
  if (!full && number % 4 && name !== linked) continue;
  await scenario(`planted: ${name}`, async () => {
    serve(join(out, String(number + 1)));
    // What is older than one that was seen is told by its counter alone.
    const least = name === 'an older sealed snapshot' ? '1' : '0';
    const event = { ...asked, 'seal-min-counter': least };
    const run = await on(event);
    if (run.code === 1) {
      assert.equal(run.step('build'), undefined, `the build ran:\n${run.text}`);
      assert.ok(rules(run).some((rule) => /^(seal|snapshot)-/.test(rule)), run.text);
    } else {
      assert.match(run.ended(0).summary('Post'), /^\*\*Restored nothing\*\*|damaged files left out/m);
      assert.equal(program(run), good, run.text);
    }
    if (name === linked) {
      const skipped = (await on({ ...event, 'on-unsealed': 'skip' })).ended(0);
      assert.equal(program(skipped), good, skipped.text);
      assert.equal(skipped.outputs('Post')['modcache-hit-rate'], '1', 'modules that go.sum proves come');
      // This shows that it was planted well.
      const blind = (await on({ ...event, 'on-unsealed': 'warn' })).ended(0);
      assert.notEqual(program(blind), good, blind.text);
    }
  });
}

await scenario('the next job that holds the key does not sign what was planted', async () => {
  serve(join(out, String(plantings.indexOf('an unsealed snapshot') + 1)));
  const run = (await on({ ...asked, 'on-unsealed': 'skip' }, holder)).ended(0);
  assert.equal(program(run), good, run.text);
  assert.match(run.summary('Post'), /^\*\*Saved\*\* a base of .*, sealed by `ci\.example`/m);
  const next = (await on(asked, { env: { GOPROXY: 'off' } })).ended(0);
  assert.match(next.summary('Post'), /^\*\*Restored\*\* .*; sealed by `ci\.example`/m);
  assert.equal(compiled(next), 0, next.text);
  assert.equal(program(next), good);
});
api.close();
