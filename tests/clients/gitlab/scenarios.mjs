// The GitLab component in gitlab-ci-local, its cache carried from job to job by
// the archivers of GitLab's own runner: scenarios.mjs ARCHIVER [WORDS], with WORDS
// only the scenarios that have them in their names.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

const archiver = resolve(process.argv[2]);
const root = process.cwd();
const lab = join(root, 'target', 'test-clients', 'gitlab');
const seed = join(root, 'target', 'test-clients', 'modules');
const native = process.env.GOCACHEVET ?? join(root, 'target', 'debug', 'gocachevet');
const repository = join(lab, 'repository');
const remove = (dir) => {
  if (!existsSync(dir)) return;
  execFileSync('chmod', ['-R', 'u+w', dir]);
  rmSync(dir, { recursive: true });
};

function setUp() {
  remove(lab);
  for (const dir of ['home', 'bin', 'repository']) mkdirSync(join(lab, dir), { recursive: true });
  cpSync(join(root, 'tests/support/projects/hello'), repository, { recursive: true });
  // Where GitLab looks for the components of a project: nowhere else.
  cpSync(join(root, 'templates'), join(repository, 'templates'), { recursive: true });
  cpSync(native, join(lab, 'bin/gocachevet'));
  writeFileSync(join(repository, '.gitignore'), '.go\n.gocachevet\n.gitlab-ci-local\ngocachevet.json\ngl-*.json\ngocachevet-metrics.txt\n');
  writeJob({});
  const git = (...args) => execFileSync('git', ['-C', repository, '-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], { stdio: 'pipe' });
  git('init', '-q', '-b', 'main');
  git('config', 'user.name', 't');
  git('config', 'user.email', 't@example.com');
  git('remote', 'add', 'origin', 'git@gitlab.com:example/hello.git');
  git('add', '-A');
  git('commit', '-qm', 'all');
  git('update-ref', 'refs/remotes/origin/main', 'HEAD');
  git('symbolic-ref', 'refs/remotes/origin/HEAD', 'refs/remotes/origin/main');
  const env = { ...process.env, GOMODCACHE: seed, GOFLAGS: '-modcacherw', GOWORK: 'off', GOSUMDB: 'off', GOTOOLCHAIN: 'local' };
  for (const modules of [[], ['github.com/pkg/errors@v0.9.1']]) {
    execFileSync('go', ['mod', 'download', ...modules], { cwd: repository, env, stdio: 'inherit' });
  }
}

// JSON is YAML.
function writeJob({ component: name = 'gocachevet', ...inputs }) {
  // As a component, the way other projects include it: here from the project itself.
  const component = `$CI_SERVER_FQDN/$CI_PROJECT_PATH/${name}@$CI_COMMIT_SHA`;
  const include = [{ component, inputs: { script: ['go build -o /dev/null .'], ...inputs } }];
  writeFileSync(join(repository, '.gitlab-ci.yml'), `${JSON.stringify({ stages: ['test'], include }, null, 2)}\n`);
}

const caches = join(repository, '.gitlab-ci-local', 'cache');
/** The folder of the one cache there is that holds this. */
function cacheDir(what = '.go') {
  const found = readdirSync(caches).map((name) => join(caches, name)).filter((dir) => existsSync(join(dir, what)));
  assert.equal(found.length, 1, `one cache under ${caches}`);
  return found[0];
}

/** What happens to a cache between two jobs: packed, and unpacked on another machine. */
function carry(format, what) {
  const file = join(lab, `cache.${format}`);
  const dir = cacheDir(what);
  execFileSync(archiver, ['pack', format, file, dir]);
  remove(dir);
  mkdirSync(dir);
  execFileSync(archiver, ['unpack', format, file, dir]);
}

function job(inputs = {}, variables = {}, path = join(lab, 'bin'), secrets = []) {
  writeJob(inputs);
  const env = {
    ...process.env,
    ...Object.fromEntries(Object.keys(process.env).filter((name) => /^(CI|GITLAB|GITHUB|GO(?!GC|MEMLIMIT))/.test(name)).map((name) => [name, undefined])),
    HOME: join(lab, 'home'),
    PATH: [path, process.env.PATH].join(delimiter),
    GOPROXY: `file://${seed}/cache/download`,
    GOSUMDB: 'off',
    GOTOOLCHAIN: 'local',
    CGO_ENABLED: '0',
    ...variables,
  };
  const done = spawnSync('gitlab-ci-local', ['--force-shell-executor', '--shell-isolation', '--color=false', ...secrets.flatMap((secret) => ['--variable', secret]), 'go-test'], { cwd: repository, env, encoding: 'utf8', maxBuffer: 64 << 20 });
  const file = (name) => join(repository, '.gitlab-ci-local', 'artifacts', 'go-test', name);
  const text = `${done.stdout}\n${done.stderr}`;
  const artifact = (name) => {
    assert.ok(existsSync(file(name)), `no ${name}:\n${text}`);
    return readFileSync(file(name), 'utf8');
  };
  return {
    text,
    artifact,
    report: () => JSON.parse(artifact('gocachevet.json')),
    quality: () => JSON.parse(artifact('gl-code-quality-report.json')),
    ended(code) {
      assert.equal(done.status, code, `the exit code is not ${code}:\n${text}`);
      return this;
    },
  };
}

function scenario(name, run) {
  if (process.argv[3] && !name.includes(process.argv[3])) return;
  const start = performance.now();
  let result = 'ok';
  try {
    run();
  } catch (error) {
    result = 'FAILED';
    process.exitCode = 1;
    console.log(error);
  }
  console.log(`${result}: ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
}

setUp();
const built = ['go build -o /dev/null .'];

const stale = () => existsSync(join(cacheDir(), '.go/mod/github.com/pkg/errors@v0.9.1'));

scenario('cold: the job fills empty caches, and what it used is saved', () => {
  const run = job({ script: ['go mod download github.com/pkg/errors@v0.9.1', ...built] }).ended(0);
  const report = run.report();
  assert.equal(report.verdict, 'pass');
  assert.deepEqual([report.usage.modcache.hits, report.usage.modcache.misses], [0, 4]);
  assert.equal(stale(), true);
  assert.match(run.artifact('gocachevet-metrics.txt'), /# EOF\s*$/);
});

let left = 1; // the stale module, until the first trim that finds it idle
for (const format of ['fastzip', 'ziplegacy', 'tarzstd']) {
  scenario(`warm: after ${format}, whose times are whole seconds and whose access times are new, use is told right`, () => {
    carry(format);
    const sum = join(cacheDir(), '.go/mod/cache/download/github.com/cespare/xxhash/v2/@v/v2.3.0.zip');
    assert.equal(statSync(sum).mtimeMs % 1000, 0, 'the archiver kept more than seconds');
    // gitlab-ci-local adds to the cache it keeps, where GitLab saves a new one.
    const script = [`rm -rf '${cacheDir()}/.go'`, ...built];
    const report = job({ script, 'min-hit-rate': '90%', 'idle-runs': '0' }, { GOPROXY: 'off' }).ended(0).report();
    const { modcache, buildcache } = report.usage;
    assert.deepEqual([modcache.hits, modcache.misses, modcache.idle], [3, 0, left], JSON.stringify(report.usage));
    assert.ok(buildcache.hit_rate > 0.9, JSON.stringify(buildcache));
    if (left === 1) assert.ok(report.plan.removals.some(({ subject }) => subject === 'github.com/pkg/errors@v0.9.1'));
    assert.equal(stale(), false, 'what no job used was not removed');
    left = 0;
  });
}

scenario('warm, and nothing used: what no job used is not called unused', () => {
  carry('fastzip');
  const report = job({ script: ['true'], trim: 'unused' }).ended(0).report();
  for (const cache of ['modcache', 'buildcache']) {
    assert.equal(report.usage[cache], null);
    assert.match(report.usage_unknown[cache], /no hit and no miss|nothing/);
  }
  assert.deepEqual(report.plan.removals.filter(({ reason }) => /^unused/.test(reason)), []);
});

scenario('over a limit: the last line of the script fails the job', () => {
  const run = job({ 'max-size': '1MB' }).ended(1);
  assert.ok(run.text.includes('over-threshold'));
  assert.ok(run.quality().some(({ check_name }) => check_name === 'over-threshold'));
});

scenario('poisoned: the job stops before the build, and the finding keeps its fingerprint', () => {
  const tree = join(cacheDir(), '.go/mod/github.com/cespare/xxhash/v2@v2.3.0');
  execFileSync('chmod', ['-R', 'u+w', tree]);
  writeFileSync(join(tree, 'xxhash.go'), `${readFileSync(join(tree, 'xxhash.go'), 'utf8')}// poison\n`);
  carry('fastzip');
  const fingerprints = [1, 2].map(() => {
    const run = job({ script: ['echo the build runs'] }).ended(1);
    assert.equal(/> the build runs/.test(run.text), false, 'the build ran');
    const [finding] = run.quality();
    assert.equal(finding.check_name, 'extracted-hash-mismatch');
    for (const key of ['description', 'fingerprint', 'severity']) assert.equal(typeof finding[key], 'string');
    assert.equal(typeof finding.location.path, 'string');
    assert.ok(finding.location.lines.begin >= 1);
    return finding.fingerprint;
  });
  assert.equal(fingerprints[0], fingerprints[1]);
});

scenario('poisoned: a repair lets the job go on', () => {
  assert.equal(job({ 'on-corrupt': 'repair' }).ended(0).report().verdict, 'pass');
  assert.deepEqual(job().ended(0).report().findings.filter(({ level }) => level === 'deny'), []);
});

scenario('where it is not installed, the release archive is fetched, and only the one that was meant', () => {
  const archive = join(lab, 'gocachevet.tar.gz');
  execFileSync('tar', ['-czf', archive, '-C', lab, '--transform', 's,^bin,gocachevet-0.0.0,', 'bin']);
  const sha256 = createHash('sha256').update(readFileSync(archive)).digest('hex');
  const inputs = { 'binary-url': `file://${archive}`, 'binary-sha256': sha256 };
  const nowhere = join(lab, 'home');
  assert.equal(job(inputs, {}, nowhere).ended(0).report().verdict, 'pass');
  rmSync(join(repository, '.gocachevet'), { recursive: true, force: true });
  const run = job({ ...inputs, 'binary-sha256': '0'.repeat(64) }, {}, nowhere).ended(1);
  assert.ok(run.text.includes('FAILED'), run.text);
});

scenario("a program in the project's folder is not run, whatever PATH says", () => {
  const planted = join(repository, 'planted', 'gocachevet');
  mkdirSync(join(repository, 'planted'));
  writeFileSync(planted, `#!/bin/sh\ntouch '${join(lab, 'planted-ran')}'\n`, { mode: 0o755 });
  // Only what git knows comes into the job's folder.
  execFileSync('git', ['-C', repository, 'add', 'planted']);
  const run = job({}, {}, 'planted').ended(1);
  assert.equal(existsSync(join(lab, 'planted-ran')), false, run.text);
  assert.ok(run.text.includes("gocachevet lies in the project's folder: it is not run"), run.text);
  execFileSync('git', ['-C', repository, 'rm', '-rfq', 'planted']);
});

scenario('a wrong input is refused', () => {
  const run = job({ trim: 'everything' }).ended(1);
  assert.ok(run.text.includes('is not in the list of allowed options') || run.text.includes('cannot be used'), run.text);
});
const store = '.gocachevet/store';
const snapshot = { component: 'snapshots', script: ['go build -v -o /dev/null .'] };
const trimmed = { GOFLAGS: '-modcacherw -trimpath' };

scenario('snapshots, cold: what the job used is saved as a base', () => {
  const run = job(snapshot, trimmed).ended(0);
  assert.match(run.text, /there is no snapshot of "go-test" to restore/);
  assert.match(run.text, /saved a base of/);
  assert.equal(run.report().verdict, 'pass');
});

for (const format of ['fastzip', 'tarzstd']) {
  scenario(`snapshots, warm: after ${format} nothing is compiled or downloaded, and nothing is saved`, () => {
    carry(format, store);
    const run = job({ ...snapshot, 'min-hit-rate': '90%' }, { ...trimmed, GOPROXY: 'off' }).ended(0);
    assert.match(run.text, /restored [\d.]+ MB in /);
    assert.match(run.text, /saved nothing: nothing new was used/);
    assert.equal(/> gopkg\.in\/yaml/.test(run.text), false, run.text);
    assert.deepEqual([run.report().usage.modcache.hits, run.report().usage.modcache.misses], [3, 0]);
  });
}

scenario('snapshots, read only: with `policy: pull` nothing is saved', () => {
  const run = job({ ...snapshot, 'cache-policy': 'pull', script: ['go vet .'] }, trimmed).ended(0);
  assert.equal(/saved (a|nothing)/.test(run.text), false, run.text);
});

scenario('snapshots, tampered with: the job stops before the build, or goes on without what is damaged', () => {
  const bundles = join(cacheDir(store), store, 'bundles');
  const [name] = readdirSync(bundles);
  const bytes = readFileSync(join(bundles, name));
  bytes[bytes.length - 100] ^= 1;
  writeFileSync(join(bundles, name), bytes);
  const stopped = job({ ...snapshot, script: ['echo the build runs'] }, trimmed).ended(1);
  assert.equal(/> the build runs/.test(stopped.text), false, 'the build ran');
  assert.ok(stopped.quality().some(({ check_name }) => check_name === 'snapshot-damaged'), stopped.text);
  const run = job({ ...snapshot, 'on-corrupt': 'warn' }, trimmed).ended(0);
  assert.match(run.text, /saved a base of .*: a part of the snapshot was damaged/);
});

scenario('snapshots, sealed: the default branch seals with the key, and other jobs restore that and save nothing', () => {
  remove(cacheDir(store));
  const pair = (name) => {
    const file = join(lab, `${name}.key`);
    const made = execFileSync(native, ['seal', '--new-key', name, '--secret-file', file], { encoding: 'utf8' });
    return { open: made.trim(), secret: readFileSync(file, 'utf8').trim() };
  };
  const [key, other] = ['ci.example', 'other.example'].map(pair);
  const sealed = { ...snapshot, 'sealed-by': key.open };
  const first = job(sealed, trimmed, undefined, [`SEAL_KEY=${key.secret}`]).ended(0);
  assert.match(first.text, /saved a base of .*there is no base/);
  assert.ok(!first.text.includes(key.secret.split('+').at(-1)), 'the secret is in the log');
  const keyless = job({ ...sealed, script: ['go vet .'] }, trimmed).ended(0);
  assert.match(keyless.text, /restored [\d.]+ MB in /);
  assert.match(keyless.text, /saved nothing: .*SEAL_KEY/);
  const unsealed = { ...snapshot, 'sealed-by': `${other.open}` };
  const stopped = job({ ...unsealed, script: ['echo the build runs'] }, trimmed).ended(1);
  assert.equal(/> the build runs/.test(stopped.text), false, 'the build ran');
  assert.ok(stopped.quality().some(({ check_name }) => check_name === 'seal-invalid'), stopped.text);
  job({ ...unsealed, 'on-unsealed': 'skip', script: ['go list -deps .'] }, trimmed).ended(0);
});
console.log(`gitlab-ci-local's output is in ${repository}/.gitlab-ci-local`);
