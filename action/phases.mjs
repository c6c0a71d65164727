// The two halves of the step: `before` the build, when the caches have just
// been restored, and `after` it, before they are saved.
//
// Policy is the program's: here its commands are put together, and its exit
// codes and JSON report handed back.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleKey } from './entries.mjs';
import { inPath } from './path.mjs';
import { cacheMode, findRemoteEntry, isGitHub, mayRestore, maySave } from './remote.mjs';
import { addSummary, annotate, fail, say, setOutput, withoutCommands, workspace } from './runner.mjs';
import { fetchNewest, place, recall, remember, restoredLines, saveUsed, whyNoSnapshots, whyNotSaved } from './snapshots.mjs';

const { env } = process;
const temp = env.RUNNER_TEMP || tmpdir();
/** The mark's state, for the other half, also where that is another step. */
const STATE = join(temp, 'gocachevet.mark');
/** Where the program alone finds the key that signs. */
const SEAL_KEY = 'GOCACHEVET_SEAL_KEY';
/** What was told of the snapshot, likewise. */
const TOLD = join(temp, 'gocachevet.snapshot');
// The program's exit codes.
const [PASSED, POLICY_FAILED, WRONG_USAGE] = [0, 1, 2];

/** Restores, or checks what was restored, before anything is built with it; and marks it. */
export async function before(program, inputs) {
  tell(program, inputs);
  const where = [...inputs.where, ...folders(inputs.where)];
  // A wrong limit is refused now, not after the build.
  const tried = run(program, ['trim', '--dry-run', '--verify=off', '--quiet', ...where, ...inputs.limits, ...inputs.retention], 'ignore');
  if (tried.code === WRONG_USAGE) return refused(tried, inputs);
  const moves = movesSnapshots(program, inputs);
  if (moves && areEmpty(where)) return restore(program, inputs, where);
  if (!(await isSound(program, inputs, where))) return undefined;
  return moves ? restore(program, inputs, where) : mark(program, inputs, where);
}

/** Whether the job may go on with what is in the caches. */
async function isSound(program, inputs, where) {
  let checked = report(program, ['check', ...where, ...inputs.verify]);
  if (checked.code > POLICY_FAILED) return refused(checked, inputs);
  setNumbers(checked.json);
  if (damage(checked.json, inputs).length === 0) return true;
  publish(checked, inputs);
  if (inputs.onCorrupt === 'fail') {
    return fail(
      'the restored cache is damaged, so the job stops before it builds with it. Nothing of it is saved again. ' +
        `To go on: \`on-corrupt: repair\` removes what is damaged, and Go downloads it anew; or delete the entry. ${await entry(inputs)}`,
    );
  }
  if (inputs.onCorrupt === 'repair') {
    // A plain repair: what else goes is decided when the build's use is known.
    checked = report(program, ['trim', '--repair', ...where, ...inputs.verify]);
    if (checked.code > POLICY_FAILED) return refused(checked, inputs);
    publish(checked, inputs);
    const left = damage(checked.json, inputs);
    if (left.length > 0) return fail(`${left.length} damaged units are left after the repair: ${left[0].subject}: ${left[0].message}`);
    notice(inputs, `the restored cache was damaged and has been repaired. ${await lasting(inputs)}`);
  } else {
    annotate('warning', 'the restored cache is damaged; the job goes on, since `on-corrupt` is `warn`');
  }
  return true;
}

function mark(program, inputs, where) {
  const marked = run(program, ['mark', `--state=${STATE}`, ...unjudged(where)], 'pipe');
  if (marked.code !== PASSED) return refused(marked, inputs);
  // Times that cannot be set are no reason to stop: what it means for the trim is told.
  for (const line of marked.stdout.split(/\r?\n/)) if (line.startsWith('warning: ')) annotate('warning', line.slice('warning: '.length));
}

// What a command takes that judges nothing.
const unjudged = (where) => where.filter((given) => !given.startsWith('--baseline='));

/** Brings the newest snapshot back, proven while it is unpacked, and marks. */
async function restore(program, inputs, where) {
  const told = await fetchNewest(inputs, goEnv(['GOVERSION']).GOVERSION ?? 'unknown');
  const onCorrupt = inputs.onCorrupt === 'fail' ? 'fail' : 'warn';
  const done = report(program, ['restore', ...place(told), `--on-corrupt=${onCorrupt}`, `--state=${STATE}`, ...inputs.seal, ...where]);
  if (done.code === WRONG_USAGE) return refused(done, inputs);
  remember(TOLD, { ...told, restored: done.json?.snapshot?.restored });
  if (done.code > POLICY_FAILED) {
    annotate('warning', `the snapshot could not be restored, and the job goes on with what is there: ${done.stderr.trim().slice(0, 2000)}`);
    return mark(program, inputs, where);
  }
  setNumbers(done.json);
  if (done.json.verdict !== 'pass') publish(done, inputs);
  if (done.code !== POLICY_FAILED) return undefined;
  return fail(
    'the snapshot is damaged, or not proven or sealed as it should be, so the job stops before it builds with the rest of it. To go on: `on-corrupt: repair` leaves out what is damaged, and the end of the job saves it anew; ' +
      `or delete its base. ${await entry(inputs)}`,
  );
}

/** Computes the use since the mark, trims or saves, judges what is left and reports. */
export async function after(program, inputs) {
  const where = [...inputs.where, ...folders(inputs.where)];
  const common = [`--state=${STATE}`, ...where, ...inputs.limits, ...inputs.verifyAfter, ...inputs.outputs];
  const command = [...trimOrCheck(inputs), ...common];
  const judged = report(program, command);
  if (judged.code > POLICY_FAILED) return refused(judged, inputs);
  setNumbers(judged.json);
  const told = recall(TOLD);
  if (movesSnapshots(program, inputs) && told) {
    const lines = [...restoredLines(told, judged.json), ...(await save(program, inputs, told, where, judged.json))];
    for (const line of lines) say(line);
    if (inputs.jobSummary) addSummary(`${lines.join('\n\n')}\n`);
  }
  publish(judged, inputs);
  const unsaved = notSaved(inputs);
  if (command[0] === 'trim' && unsaved) notice(inputs, `the trim was only tried out: ${unsaved}`);
  for (const [cache, name] of [['modcache', 'module'], ['buildcache', 'build']]) {
    const why = judged.json?.usage_unknown?.[cache];
    if (command[0] === 'trim' && why) notice(inputs, `nothing of the ${name} cache goes for being unused: what this job used of it is not known (${why}).`);
  }
  const failed = judged.code === POLICY_FAILED || (inputs.failOn === 'warn' && judged.json?.verdict === 'warn');
  if (!failed) return;
  const message = await failure(judged.json, inputs);
  if (inputs.failOn === 'never') annotate('warning', message);
  else fail(message);
}

// What only crosses a limit is saved all the same: a snapshot holds no more than jobs use.
async function save(program, inputs, told, where, json) {
  const why = damage(json, inputs).length > 0 ? 'the caches are damaged' : whyNotSaved(inputs);
  const [signs, secret] = inputs.sealKey ? [[`--seal-key-env=${SEAL_KEY}`], { [SEAL_KEY]: inputs.sealKey }] : [[], {}];
  return saveUsed(inputs, told, why, (args) => report(program, ['save', ...args, ...signs, `--state=${STATE}`, ...unjudged(where)], secret));
}

function trimOrCheck(inputs) {
  const { trim, trimPullRequests, retention } = inputs;
  const pullRequest = /^pull_request/.test(env.GITHUB_EVENT_NAME ?? '');
  if (trim === 'off' || (pullRequest && !trimPullRequests)) return ['check'];
  return ['trim', ...(notSaved(inputs) ? ['--dry-run'] : []), ...retention];
}

const movesSnapshots = (program, { cache }) => cache && whyNoSnapshots(program) === undefined;

/** What the step does otherwise than its inputs say, and why. */
function tell(program, { cache, foreign, trim }) {
  if (cache && !movesSnapshots(program, { cache })) {
    annotate('notice', `nothing is restored or saved: ${whyNoSnapshots(program)} has no snapshots. Put \`cache: false\` and actions/cache in its place.`);
  }
  if (foreign && ['gocachevet.toml', '.github/gocachevet.toml'].some((file) => existsSync(join(workspace(), file)))) {
    annotate('notice', 'this may be the pull request of a fork, so the configuration file in it does not count: `project-config: true` lets it, `config` names another.');
  }
  const mode = cacheMode();
  if (!mayRestore()) annotate('notice', `\`cache-mode\` is \`${mode}\`: no cache is restored into this job, so that what it finds was on the runner before.`);
  if (!maySave()) annotate('notice', `\`cache-mode\` is \`${mode}\`: this job saves no cache${trim === 'off' ? '' : ', so that the trim is only tried out'}.`);
}

/** Why what the step leaves is not saved, and what changes that; undefined if it is. */
function notSaved({ exactHit }) {
  if (!maySave()) return `\`cache-mode\` is \`${cacheMode()}\`, so this job saves no cache.`;
  if (exactHit) return `the cache was restored by its exact key, and what has that key already is not saved again. ${ROLLING}`;
  return undefined;
}

// A key made of go.sum alone is the cause of a cache that stays as it is, and no cure for it.
const PREFIX = `go-${env.GITHUB_JOB || 'job'}-`;
const ROLLING =
  `A cache that every run saves has the run in its key: \`key: ${PREFIX}\${{ github.run_id }}-\${{ github.run_attempt }}\` ` +
  `with \`restore-keys: ${PREFIX}\`, one prefix a job.`;

/** What failed, what follows from it, and what makes the next run pass. */
async function failure(json, inputs) {
  const crossed = (json?.thresholds ?? []).filter((limit) => limit.status === 'fail').map((limit) => limit.name);
  const damaged = damage(json, inputs);
  const parts = [];
  if (maySave() && !inputs.cache) parts.push('A step that fails now keeps the cache from being saved: the next run restores the same entry.');
  if (crossed.length > 0) parts.push(`Crossed: ${crossed.join(', ')}.`);
  if (crossed.some((name) => /size|age|idle|growth/.test(name))) {
    parts.push(`${inputs.cache ? 'Save less (`trim-to`)' : 'Let the trim remove more (`trim: unused`, `trim-to`)'}, raise the limit, or start from an empty cache.`);
  }
  if (crossed.some((name) => name.includes('hit-rate'))) {
    parts.push(inputs.exactHit ? ROLLING : `Lower the limit, or give jobs that build other things ${inputs.cache ? 'a `key` of their own' : "a prefix of their own in the cache's key"}.`);
  }
  if (damaged.length > 0) parts.push(`${damaged.length} findings: \`on-corrupt: repair\` removes what is damaged.`);
  return `the policy failed. ${parts.join(' ')} ${await entry(inputs)}`;
}

// Where nothing is saved, the entry stays as it is until somebody deletes it.
async function lasting(inputs) {
  const unsaved = notSaved(inputs);
  if (!unsaved) return 'The repaired cache is saved at the end of the job.';
  return `The repaired cache is not saved, and the next job finds the damage again: ${unsaved} ${await entry(inputs)}`;
}

async function entry(inputs) {
  const told = inputs.cache ? recall(TOLD) : undefined;
  if (!mayRestore() || (inputs.cache && !told?.bundles)) return 'No entry was restored.';
  const { key, id } = await findRemoteEntry(told ? { ...inputs, cacheKey: bundleKey(told.key, told.bundles[0]) } : inputs);
  if (!isGitHub()) return `${key ? `The entry is \`${key}\`: it` : 'The entry'} lies on the runner's own cache server; under another prefix for the key the next job starts from an empty cache.`;
  const page = `${env.GITHUB_SERVER_URL ?? 'https://github.com'}/${env.GITHUB_REPOSITORY}/actions/caches`;
  if (!key) return `Entries are listed by \`gh cache list\` and at ${page}; \`gh cache delete KEY\` deletes one.`;
  // This goes into a code span of the job summary, and others choose the keys.
  const shown = key.replace(/[^ -_a-~]/g, '?');
  const target = id ?? (shown === key ? shellWord(key) : 'KEY');
  return `The entry is \`${shown}\`: \`gh cache delete ${target}\` deletes it, or use ${page}.`;
}

// To be copied into a shell by a person.
const shellWord = (text) => (/^[\w.\/@:=+-]+$/.test(text) ? text : `'${text.replace(/'/g, `'\\''`)}'`);

/** Findings that stop a job; limits are judged at its end. */
function damage(json, { failOn }) {
  const levels = failOn === 'warn' ? ['deny', 'warn'] : ['deny'];
  return (json?.findings ?? []).filter((finding) => finding.rule !== 'over-threshold' && levels.includes(finding.level));
}

// Where there is no cache yet, Go is about to make it: an empty folder is an empty
// cache, while one that is not there would be none. Go itself says where.
function folders(where) {
  const wanted = [['GOMODCACHE', '--modcache'], ['GOCACHE', '--gocache']].filter(([, flag]) => !where.some((given) => given.startsWith(`${flag}=`)));
  const places = goEnv(wanted.map(([name]) => name));
  return wanted.flatMap(([name, flag]) => {
    if (!places[name] || places[name] === 'off') return [];
    mkdirSync(places[name], { recursive: true });
    return [`${flag}=${places[name]}`];
  });
}

/** Whether both caches are known, and nothing is in them. */
function areEmpty(where) {
  const dirs = where.flatMap((given) => /^--(?:modcache|gocache)=(.*)$/s.exec(given)?.[1] ?? []);
  return dirs.length === 2 && dirs.every((dir) => !existsSync(dir) || readdirSync(dir).length === 0);
}

/** These settings, as Go has them; none if there is no Go. */
function goEnv(names) {
  // The one that setup-go or the image brought, not one that a restored cache did.
  const { file } = inPath('go', { home: true });
  if (!file) return {};
  const go = spawnSync(file, ['env', '-json', ...names], {
    cwd: temp, // away from any go.mod, which could make it fetch another toolchain
    env: { ...env, GOTOOLCHAIN: 'local', GOWORK: 'off' },
    encoding: 'utf8',
  });
  return go.status === 0 ? JSON.parse(go.stdout) : {};
}

/** Runs a command that reports; adds its JSON and the files of the other formats. */
function report(program, args, secret) {
  const dir = mkdtempSync(join(temp, 'gocachevet-'));
  const files = { json: join(dir, 'report.json'), markdown: join(dir, 'summary.md'), github: join(dir, 'annotations') };
  const done = run(program, [...args, ...Object.entries(files).map(([format, path]) => `--output=${format}=${path}`)], 'inherit', secret);
  // A report may be there also where a removal failed.
  if (!existsSync(files.json)) return done;
  setOutput('report', files.json);
  return { ...done, files, json: JSON.parse(readFileSync(files.json, 'utf8')) };
}

// No shell: whatever an input holds, it is one argument.
function run({ file, before: first, wasi }, args, stdout = 'inherit', secret = {}) {
  const all = [...first, ...args, ...(wasi ? projectForWasi(args) : [])];
  say(`[command]gocachevet ${args.join(' ').replace(/[\r\n]/g, ' ')}`);
  const result = withoutCommands(() => {
    const child = spawnSync(file, all, { stdio: ['ignore', stdout, 'pipe'], encoding: 'utf8', maxBuffer: 64 << 20, cwd: workspace(), env: { ...env, ...secret } });
    for (const text of [child.stdout, child.stderr]) if (text) say(text.trimEnd());
    return child;
  });
  const stderr = result.error ? `${file} cannot be run: ${result.error.message}` : (result.stderr ?? '');
  // A signal is no exit code.
  return { code: result.status ?? 3, stdout: result.stdout ?? '', stderr, args };
}

// A WASI module starts in no folder.
const projectForWasi = (args) => (args.some((arg) => /^--projects?(-under)?=/.test(arg)) ? [] : [`--project=${workspace()}`]);

/** Wrong usage, or the work could not be done: the program said why. */
function refused(done, inputs) {
  const { code, stderr } = done;
  if (done.json) publish(done, inputs);
  const why = code === WRONG_USAGE ? 'refuses its inputs' : 'could not do its work';
  fail(`gocachevet ${why} (exit code ${code}): ${stderr.trim().slice(0, 4000) || 'see the log'}`);
}

function publish({ files }, { jobSummary, annotations }) {
  if (annotations) say(readFileSync(files.github, 'utf8').trimEnd());
  if (jobSummary) addSummary(readFileSync(files.markdown, 'utf8'));
}

function notice({ jobSummary }, message) {
  annotate('notice', message);
  if (jobSummary) addSummary(`> **Note:** ${message}\n`);
}

function setNumbers(json) {
  const caches = [json.modcache, json.buildcache].filter(Boolean);
  const size = caches.length > 0 ? caches.reduce((sum, cache) => sum + cache.bytes, 0) : undefined;
  const saved = json.outcome?.bytes ?? 0;
  const sizeBefore = json.plan ? json.plan.bytes + json.plan.kept_bytes : size;
  const numbers = {
    verdict: json.verdict,
    findings: json.findings.length,
    'size-before': sizeBefore,
    'size-after': sizeBefore && sizeBefore - saved,
    'bytes-saved': saved,
    'modcache-hit-rate': json.usage?.modcache?.hit_rate,
    'gocache-hit-rate': json.usage?.buildcache?.hit_rate,
  };
  // What is not known is empty, never 0.
  for (const [name, value] of Object.entries(numbers)) setOutput(name, value ?? '');
}
