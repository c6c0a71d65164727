// Snapshots as entries of GitHub's cache, asked of the action's own code, with a
// stand-in for the toolkit: which is found, which goes, and what a second job that
// saves at the same time adds to.

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const lab = mkdtempSync(join(tmpdir(), 'entries-'));
writeFileSync(join(lab, 'event.json'), JSON.stringify({ repository: { default_branch: 'main' } }));
for (const name of Object.keys(process.env)) if (/^(GITHUB_|RUNNER_|INPUT_|ACTIONS_)/.test(name)) delete process.env[name];
Object.assign(process.env, {
  HOME: lab, GITHUB_EVENT_PATH: join(lab, 'event.json'), GITHUB_REF_NAME: 'feature', GITHUB_REF: 'refs/heads/feature',
  GITHUB_WORKFLOW: 'CI, all of it', GITHUB_JOB: 'build',
});
const entries = await import('../../action/entries.mjs');
const { superseded } = await import('../../action/remote.mjs');
const { whyNotSaved } = await import('../../action/snapshots.mjs');
const { STORE, bundleKey, fetchSnapshot, findNewest, ofBranch, ofGo, parseHead, snapshotKey, uploadSnapshot } = entries;

const KEY = snapshotKey('');
const [A, B, C] = ['a', 'b', 'c'].map((digit) => digit.repeat(64));
const short = (...digests) => digests.map((digest) => digest.slice(0, 16));
const head = (branch, go, time, ...bundles) => `${ofGo(KEY, branch, go)}${String(time).padStart(13, '1')}-${short(...bundles).join('.')}`;

/** Keeps folders by key, and finds them by prefix, the newest first, as the service does. */
class Toolkit {
  saved = [];
  async restoreCache(paths, key, more = [], { lookupOnly } = {}) {
    const newest = [...this.saved].reverse();
    const found = [key, ...more].flatMap((wanted) => [newest.find((each) => each.key === wanted), newest.find((each) => each.key.startsWith(wanted))]).find(Boolean);
    if (found && !lookupOnly) cpSync(found.dir, STORE, { recursive: true });
    return found?.key;
  }
  async saveCache(paths, key) {
    assert.deepEqual(paths, ['~/.gocachevet/store']);
    if (this.fails || this.saved.some((each) => each.key === key)) return -1;
    const dir = join(lab, 'service', String(this.saved.length));
    cpSync(STORE, dir, { recursive: true });
    this.saved.push({ key, dir });
    return this.saved.length;
  }
  has(...keys) {
    for (const key of keys) this.saved.push({ key, dir: lab });
    return this;
  }
}

assert.match(KEY, /^[a-z0-9.-]+-ci-all-of-it-build-[0-9a-f]{8}$/);
assert.notEqual(snapshotKey('1.25'), KEY);
assert.notEqual(snapshotKey('a b'), snapshotKey('a/b'), 'what looks alike is told apart');
assert.ok(head('main', 'go1.26.8', 1, A, B, C, A, B, C, A).length < 512 && !KEY.includes(','));
console.log('ok: keys are what the service takes, and none is two jobs’');

assert.deepEqual(parseHead(head('main', 'go1.26rc1', 5, A)), { time: 1111111111115, bundles: short(A) });
assert.deepEqual(parseHead(head('main', 'go1.26rc1', 5, A, B, C)).bundles, short(A, B, C));
for (const bad of [undefined, '', bundleKey(KEY, A), `${head('main', 'go1', 5, A)}0`, `${head('main', 'go1', 5, A)}.`, `${ofBranch(KEY, 'main')}go1-5-${A}`]) assert.equal(parseHead(bad), undefined);
console.log('ok: a head tells its bundles and its time by its key; what is none tells nothing');

const find = async (...keys) => (await findNewest(new Toolkit().has(...keys), KEY, 'go2'))?.key;
const [own, ownNext, main, mainNext, ownOld] = [
  head('feature', 'go2', 10, A), head('feature', 'go2', 30, A), head('main', 'go2', 20, B), head('main', 'go2', 40, B), head('feature', 'go1', 50, C),
];
assert.equal(await find(own, main), main, "the default branch's is newer");
assert.equal(await find(main, ownNext), ownNext);
assert.equal(await find(own, ownNext, main, mainNext), mainNext);
assert.equal(await find(ownOld, main), main, 'this Go version before another');
assert.equal(await find(ownOld), ownOld, 'another one rather than nothing');
assert.equal(await find(head('other', 'go2', 90, A), `${ofGo(KEY, 'main', 'go2')}strange`), undefined);
console.log('ok: the newest of the branch and the default branch is found, of this Go version if there is one');

/** As the program leaves its store. */
function programSaves(bundles, branch) {
  const files = { [`keys/${KEY}/${branch}`]: JSON.stringify({ bundles }), ...Object.fromEntries(bundles.map((digest) => [`bundles/${digest}`, digest])) };
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(STORE, file)), { recursive: true });
    writeFileSync(join(STORE, file), content);
  }
}
const service = new Toolkit();
const has = (file) => existsSync(join(STORE, file));
programSaves([A], 'feature%2Fone');
const first = await uploadSnapshot(service, KEY, { branch: 'feature/one', go: 'go2', time: 1111111111111 });
assert.deepEqual(service.saved.map(({ key }) => key), [bundleKey(KEY, A), first], 'the base is there before anything names it');
assert.deepEqual([service.saved[0], service.saved[1]].map(({ dir }) => [`bundles/${A}`, 'keys'].map((file) => existsSync(join(dir, file)))), [[true, false], [false, true]]);
rmSync(STORE, { recursive: true });
programSaves([A, B], 'feature%2Fone');
const second = await uploadSnapshot(service, KEY, { branch: 'feature/one', go: 'go2', time: 1111111111112 });
assert.deepEqual(service.saved.slice(2).map(({ key }) => key), [bundleKey(KEY, B), second], 'the base is there already');
// The other job had restored the first.
rmSync(STORE, { recursive: true });
assert.deepEqual(await fetchSnapshot(service, KEY, { key: first, bundles: short(A) }), { head: true, bundles: true });
assert.ok(has(`bundles/${A}`) && !has(`bundles/${B}`));
process.env.GITHUB_REF_NAME = 'feature/one';
const newer = await findNewest(service, KEY, 'go2');
assert.equal(newer.key, second);
await fetchSnapshot(service, KEY, newer);
assert.ok(has(`bundles/${A}`) && has(`bundles/${B}`));
assert.deepEqual(JSON.parse(readFileSync(join(STORE, `keys/${KEY}/feature%2Fone`), 'utf8')).bundles, [A, B]);
console.log('ok: a job that finds a newer head than it restored adds to that');

service.fails = true;
programSaves([C], 'feature%2Fone');
assert.equal(await uploadSnapshot(service, KEY, { branch: 'feature/one', go: 'go2', time: 1111111111113 }), undefined);
assert.equal(service.saved.length, 4, 'no head names a base that did not arrive');
console.log('ok: an upload that fails leaves nothing that names it');

const listed = [
  [head('feature', 'go2', 10, A)], [head('feature', 'go2', 20, B)], [head('feature', 'go2', 30, C)], [head('feature', 'go2', 40, C)],
  [head('feature', 'go1', 5, A)], [head('main', 'go2', 5, B), 'refs/heads/main'], [head('feature', 'go2', 6, A), 'refs/heads/main'],
  [bundleKey(KEY, A)], [bundleKey(KEY, B)], [bundleKey(KEY, C)], [bundleKey(KEY, 'd'.repeat(64))], [bundleKey(KEY, A), 'refs/heads/main'], [`${ofBranch(KEY, 'feature')}other`], ['setup-go-1'],
].map(([key, ref = 'refs/heads/feature'], id) => ({ id, key, ref }));
const gone = (without = []) => superseded(listed.filter(({ id }) => !without.includes(id)), KEY, 'feature', 'go2', 'refs/heads/feature').map(({ id }) => id);
assert.deepEqual(gone(), [1, 0], 'the bases are named by another Go version, and by another branch');
assert.deepEqual(gone([4, 6]), [1, 0, 7], 'one that only old heads name goes; another branch’s, and one that none names yet, stay');
assert.deepEqual(gone([0, 1]), [], 'one generation stays');
const chained = [[head('feature', 'go2', 10, A, B)], [head('feature', 'go2', 20, A, C)], [head('feature', 'go2', 30, A, C)], [bundleKey(KEY, A)], [bundleKey(KEY, B)], [bundleKey(KEY, C)]]
  .map(([key], id) => ({ id, key, ref: 'refs/heads/feature' }));
assert.deepEqual(superseded(chained, KEY, 'feature', 'go2', 'refs/heads/feature').map(({ id }) => id), [0, 4], 'a delta that a newer one took up goes with its head');
console.log('ok: of superseded entries only those go that nobody reads');

const why = (event, more = {}, inputs = {}) => {
  writeFileSync(join(lab, 'event.json'), JSON.stringify(event));
  Object.assign(process.env, { GITHUB_EVENT_NAME: 'push', GITHUB_REF_TYPE: 'branch', ACTIONS_CACHE_MODE: '' }, more);
  return whyNotSaved({ savePullRequests: false, seal: [], sealKey: '', ...inputs }) ?? 'saved';
};
const fork = { repository: { full_name: 'a/b' }, pull_request: { head: { repo: { full_name: 'c/b' } } } };
assert.equal(why({}), 'saved');
assert.match(why({}, { ACTIONS_CACHE_MODE: 'read' }), /cache-mode/);
assert.match(why(fork, { GITHUB_EVENT_NAME: 'pull_request' }), /pull request/);
assert.equal(why(fork, { GITHUB_EVENT_NAME: 'pull_request' }, { savePullRequests: true }), 'saved', 'seen by itself alone');
assert.match(why(fork, { GITHUB_EVENT_NAME: 'pull_request_target' }, { savePullRequests: true }), /fork/);
assert.match(why({ issue: { pull_request: {} } }, { GITHUB_EVENT_NAME: 'issue_comment' }), /fork/);
assert.match(why({}, { GITHUB_REF_TYPE: 'tag' }), /tag/);
const signs = { seal: ['--sealed-by=k'], sealKey: 'secret' };
const ofMain = { repository: { full_name: 'a/b', default_branch: 'main' } };
assert.equal(why(ofMain, { GITHUB_REF_NAME: 'main' }, signs), 'saved');
assert.match(why(ofMain, { GITHUB_REF_NAME: 'feature' }, signs), /default branch alone/);
assert.match(why({}, { GITHUB_REF_NAME: 'main' }, signs), /default branch alone/, 'where it is not told which one that is');
assert.equal(why({}, { GITHUB_EVENT_NAME: 'schedule' }, signs), 'saved', 'that runs on no other branch');
assert.match(why(ofMain, { GITHUB_REF_NAME: 'main' }, { ...signs, sealKey: '' }), /no `seal-key`/);
console.log('ok: nothing is saved where others would read what a fork left, and where nobody would read it');
rmSync(lab, { recursive: true });
