// A project in a git repository of its own, with the action beside it, and act
// to run its workflow: everything on loopback and below one folder.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export const root = process.cwd();
export const lab = join(root, 'target', 'test-clients', 'act');
export const modcache = join(lab, 'caches', 'mod');
export const gocache = join(lab, 'caches', 'build');
const repository = join(lab, 'repository');
const seed = join(root, 'target', 'test-clients', 'modules');
const native = process.env.GOCACHEVET ?? join(root, 'target', 'debug', 'gocachevet');

/** Runs it, if its name has the words that were asked for, and says how it ended. */
export const scenario = async (name, run) => {
  if (process.argv[2] && !name.includes(process.argv[2])) return;
  const start = performance.now();
  let result = 'ok';
  try {
    await run();
  } catch (error) {
    result = 'FAILED';
    process.exitCode = 1;
    console.log(error);
  }
  console.log(`${result}: ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
};

/** Makes it all anew. */
export function setUp() {
  removeTree(lab);
  for (const dir of ['home', 'bin', 'out', 'repository/.github/workflows']) mkdirSync(join(lab, dir), { recursive: true });
  cpSync(join(root, 'tests/support/projects/hello'), repository, { recursive: true });
  execFileSync(join(root, 'release/dist'), { stdio: 'inherit' });
  for (const part of ['action.yml', 'action', 'wasm/run.mjs']) {
    cpSync(join(root, part), join(repository, 'gocachevet', part), { recursive: true, filter: (file) => !file.endsWith('node_modules') });
  }
  const client = join(root, 'tests/clients/act');
  mkdirSync(join(repository, 'cache'));
  cpSync(join(client, 'cache/action.yml'), join(repository, 'cache/action.yml'));
  for (const half of ['main', 'post']) {
    const bundle = ['--bundle', '--platform=node', '--log-level=warning', `--outfile=${join(repository, 'cache', `${half}.js`)}`];
    execFileSync('esbuild', [join(client, 'cache', `${half}.src.js`), ...bundle], { stdio: 'inherit' });
  }
  for (const file of ['ci.yml', 'snapshots.yml']) cpSync(join(client, file), join(repository, '.github/workflows', file));
  cpSync(native, join(lab, 'bin/gocachevet'));
  const git = (...args) => execFileSync('git', ['-C', repository, '-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], { stdio: 'pipe' });
  git('init', '-q', '-b', 'main');
  git('remote', 'add', 'origin', 'https://github.com/example/hello.git');
  git('add', '-A');
  git('commit', '-qm', 'all');
  fetchModules();
}

/** Lays the WASI module beside the action, where wasm/build puts it; or takes it away. */
export function withModule(there) {
  const beside = join(repository, 'gocachevet/wasm/gocachevet.wasm');
  if (there) cpSync(join(root, 'wasm/gocachevet.wasm'), beside);
  else rmSync(beside);
}

// Once, so that the jobs need no network: their proxy is this folder.
function fetchModules() {
  const env = { ...process.env, GOMODCACHE: seed, GOFLAGS: '-modcacherw', GOWORK: 'off', GOSUMDB: 'off', GOTOOLCHAIN: 'local' };
  for (const modules of [[], ['github.com/pkg/errors@v0.9.1']]) {
    execFileSync('go', ['mod', 'download', ...modules], { cwd: repository, env, stdio: 'inherit' });
  }
}

/** Go makes the folders of its module cache read-only. */
export function removeTree(dir) {
  if (!existsSync(dir)) return;
  execFileSync('chmod', ['-R', 'u+w', dir]);
  rmSync(dir, { recursive: true });
}

/** Runs the job, on a runner that has nothing: what it knows comes from the cache. `runner`: another one than that. */
export async function job(event, more = {}) {
  const engine = more.engine ?? 'act';
  const runner = join(lab, more.runner ?? '');
  for (const dir of ['caches', 'home/.gocachevet']) removeTree(join(runner, dir));
  mkdirSync(join(runner, 'home'), { recursive: true });
  const eventFile = join(runner, 'event.json');
  writeFileSync(eventFile, JSON.stringify({ paths: `${modcache}\n${gocache}`, out: join(lab, 'out'), ref: 'refs/heads/main', ...event }));
  const env = {
    GITHUB_REPOSITORY: 'example/hello',
    RUNNER_ENVIRONMENT: 'github-hosted',
    GOMODCACHE: join(runner, 'caches', 'mod'),
    GOCACHE: join(runner, 'caches', 'build'),
    GOPROXY: `file://${seed}/cache/download`,
    GOSUMDB: 'off',
    GOTOOLCHAIN: 'local',
    GOFLAGS: '-buildvcs=false',
    CGO_ENABLED: '0',
    GOGC: 'off',
    GOMEMLIMIT: '1GiB',
    ...more.env,
  };
  const args = [
    more.on ?? 'push', '--json', '-P', 'ubuntu-latest=-self-hosted', '-W', `.github/workflows/${more.workflow ?? 'ci.yml'}`, '-e', eventFile, '-s', 'GITHUB_TOKEN=none',
    '--action-cache-path', join(lab, 'actions'),
    '--cache-server-path', join(lab, `${engine}-server`), '--cache-server-addr', '127.0.0.1',
    '--artifact-server-path', join(lab, 'artifacts'), '--artifact-server-addr', '127.0.0.1', '--artifact-server-port', String(more.runner ? 34600 : 34599),
    ...Object.entries(more.secrets ?? {}).flatMap(([name, value]) => ['-s', `${name}=${value}`]),
    ...Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
  ];
  const path = [...(more.path ?? []), ...(more.noBinary ? [] : [join(lab, 'bin')]), process.env.PATH].join(delimiter);
  const act = spawn(engine, args, { cwd: repository, env: { ...process.env, HOME: join(runner, 'home'), PATH: path }, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  act.stdout.on('data', (data) => (out += data));
  act.stderr.on('data', (data) => (err += data));
  const code = await new Promise((resolve, reject) => act.on('error', reject).on('close', resolve));
  writeFileSync(join(runner, `act-${event.key ?? 'run'}.log`), out + err);
  return new Run(code, out, err);
}

/** What act said. */
class Run {
  constructor(code, out, err) {
    this.code = code;
    this.lines = out.split('\n').filter(Boolean).map((line) => {
      try {
        return JSON.parse(line);
      } catch {
        return { msg: line };
      }
    });
    this.text = `${this.lines.map((line) => line.msg ?? '').join('\n')}\n${err}`;
  }

  /** Fails, showing everything, unless the job ended so. */
  ended(code) {
    assert.equal(this.code, code, `act's exit code is not ${code}:\n${this.text}`);
    return this;
  }

  commands = (name) => this.lines.filter((line) => line.command === name);
  /** Annotations: `level` is error, warning or notice. */
  annotations = (level) => this.commands(level).map((line) => ({ ...line.kvPairs, text: line.arg }));
  /** Job summaries: `stage` is Main or Post. */
  summary = (stage) => this.commands('summary').filter((line) => line.stage === stage).map((line) => line.content).join('\n');
  /** Outputs of the step with this id. */
  outputs = (stage, id = 'vet') =>
    Object.fromEntries(this.commands('set-output').filter((line) => line.stage === stage && line.stepID?.at(-1) === id).map((line) => [line.name, line.arg]));
  /** `success`, `failure`, or undefined if the step of this name did not run. */
  step = (name) => this.lines.find((line) => line.stepResult && line.stage === 'Main' && line.step === name)?.stepResult;
  has = (text) => this.text.includes(text);
}

export const read = (file) => readFileSync(join(lab, file), 'utf8');
