// The step's inputs become the program's flags. What a value means is the
// program's business; only what the action itself decides on is looked at here.

import { resolve } from 'node:path';
import { mayBeFork } from './fork.mjs';
import { input, secretInput, workspace } from './runner.mjs';

/** A wrong input, named. */
export class InputError extends Error {}

const CHOICES = {
  cache: ['true', 'false'],
  phase: ['auto', 'before', 'after'],
  'on-corrupt': ['fail', 'repair', 'warn'],
  trim: ['off', 'unused', 'tiers'],
  'pull-requests': ['check', 'trim', 'save'],
  'on-unsealed': ['fail', 'skip', 'warn'],
  'fail-on': ['deny', 'warn', 'never'],
  'project-config': ['auto', 'true', 'false'],
  'job-summary': ['true', 'false'],
  annotations: ['true', 'false'],
};

// Inputs that are handed on under their own name, as `--name=value`.
const WHERE = ['modcache', 'gocache', 'config', 'baseline'];
const LISTS = ['project', 'projects-under'];
const LIMITS = [
  'max-size', 'max-modcache-size', 'max-gocache-size', 'max-age', 'max-findings', 'min-hit-rate',
  'min-modcache-hit-rate', 'min-gocache-hit-rate', 'max-idle', 'max-growth',
];
const SEAL = ['sealed-ref', 'seal-max-age', 'seal-min-counter'];
const RETENTION = ['slim', 'keep-since', 'idle-runs', 'min-ref-count', 'trim-to'];

const flag = (name, value) => (value === '' ? [] : [`--${name}=${value}`]);
const flags = (names) => names.flatMap((name) => flag(name, input(name)));
const lines = (name) => input(name).split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
// Paths are meant from the workspace, whatever folder the program starts in.
const path = (name, value) => (value === '' ? [] : flag(name, resolve(workspace(), value)));
const output = (line) => line.replace(/^(\w+=)(.+)$/, (_, format, file) => format + resolve(workspace(), file));

/** Reads all inputs; throws an InputError that names the wrong one. */
export function readInputs() {
  const chosen = {};
  for (const [name, values] of Object.entries(CHOICES)) {
    const value = input(name) || values[0];
    if (!values.includes(value)) throw new InputError(`input ${name}: \`${value}\` is none of ${values.join(', ')}`);
    chosen[name] = value;
  }
  if (chosen.trim === 'tiers' && input('tiers') === '') throw new InputError('input tiers: empty, while trim is `tiers`');
  const cache = chosen.cache === 'true';
  if (cache && chosen.trim !== 'off') {
    throw new InputError(`input trim: \`${chosen.trim}\` is for caches that another step saves (\`cache: false\`); this one saves what jobs use, and nothing else`);
  }
  const sealedBy = lines('sealed-by');
  const sealKey = secretInput('seal-key');
  if (!cache && sealedBy.length > 0) throw new InputError('input sealed-by: a seal is held against what this step restores, which `cache: false` leaves to another');
  if (sealKey && sealedBy.length === 0) {
    throw new InputError('input seal-key: needs `sealed-by`, its public key: a job that restores what nobody sealed cannot answer for what it saves');
  }
  // Whoever can open a pull request can change the project's own configuration.
  const foreign = chosen['project-config'] === 'auto' && input('config') === '' && mayBeFork();
  return {
    foreign,
    cache,
    key: input('key'),
    sealKey,
    // Which seals count.
    seal: sealedBy.length > 0 ? [...sealedBy.flatMap((key) => flag('sealed-by', key)), ...flags(SEAL), ...flag('on-unsealed', chosen['on-unsealed'])] : [],
    // What a snapshot may hold.
    room: flag('max-size', input('trim-to')),
    savePullRequests: chosen['pull-requests'] === 'save',
    phase: chosen.phase,
    onCorrupt: chosen['on-corrupt'],
    failOn: chosen['fail-on'],
    trim: chosen.trim,
    trimPullRequests: chosen['pull-requests'] === 'trim',
    jobSummary: chosen['job-summary'] === 'true',
    annotations: chosen.annotations === 'true',
    exactHit: input('cache-hit') === 'true',
    cacheKey: input('cache-key'),
    binary: input('binary'),
    token: input('token'),
    where: [
      ...WHERE.flatMap((name) => path(name, input(name))),
      ...LISTS.flatMap((name) => lines(name).flatMap((line) => path(name, line))),
      ...(foreign || chosen['project-config'] === 'false' ? ['--no-project-config'] : []),
    ],
    verify: flag('verify', input('verify')),
    verifyAfter: flag('verify', input('verify-after')),
    limits: flags(LIMITS),
    retention: [
      ...(chosen.trim === 'unused' ? ['--unused'] : []),
      ...(chosen.trim === 'tiers' ? flag('tier', input('tiers')) : []),
      ...flags(RETENTION),
      ...lines('keep').flatMap((line) => flag('keep', line)),
      ...grace(),
      ...(chosen['on-corrupt'] === 'repair' ? ['--repair'] : []),
    ],
    outputs: lines('output').flatMap((line) => flag('output', output(line))),
  };
}

// On a runner that serves one job and is thrown away, nobody else can be using the caches.
function grace() {
  const given = input('grace');
  if (given !== '' && given !== 'auto') return flag('grace', given);
  return process.env.RUNNER_ENVIRONMENT === 'github-hosted' ? flag('grace', '0') : [];
}
