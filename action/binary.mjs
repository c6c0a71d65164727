// Finds the program: the `binary` input; else the pinned release, by its SHA-256
// from the runner's tool cache or fetched; for a platform that has none, the WASI
// module, which Node runs: the one that wasm/build made beside the action, or the
// released one. Only a version of the action that pins no release looks into PATH.

import { spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inPath } from './path.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const WASI_HOST = join(here, '..', 'wasm', 'run.mjs');
const MODULE = join(here, '..', 'wasm', 'gocachevet.wasm');
const NAME = process.platform === 'win32' ? 'gocachevet.exe' : 'gocachevet';
const HOME_REPOSITORY = 'gocachevet/gocachevet';
// Far above what a release has; a wrong answer must not fill the memory.
const MOST_BYTES = 200_000_000;
const MAY_HOLD_PASSWORDS = /TOKEN|SECRET|^GO(AUTH|CACHEPROG|PROXY)$/;

/** Why there is no program, and what can be done. */
export class BinaryError extends Error {}

/** The release this version of the action was published with. */
export const pinnedRelease = () => JSON.parse(readFileSync(join(here, 'release.json'), 'utf8'));

/**
 * A command to run: `file`, and the arguments that go before the program's own.
 * @param {string} given the input `binary`: a path, native or `.wasm`, or ''
 */
export async function findBinary(given, { release = pinnedRelease(), source = releaseSource(release.version), built = MODULE } = {}) {
  if (given !== '') {
    const file = isAbsolute(given) ? given : resolve(process.env.GITHUB_WORKSPACE ?? '.', given);
    if (!existsSync(file)) throw new BinaryError(`input binary: there is no file ${file}`);
    return command(file);
  }
  const platform = `${process.platform}-${process.arch}`;
  if (release.version === null) return command(unreleased(built));
  const native = release.files[platform];
  if (!native && existsSync(built)) return command(built);
  const pinned = native ?? release.files.wasi;
  if (!pinned) throw new BinaryError(`gocachevet ${release.version} has neither a binary for ${platform} nor a WASI module`);
  return command(await fromRelease(pinned, release.version, source));
}

function command(file) {
  if (!file.endsWith('.wasm')) return { file, before: [] };
  if (process.platform === 'win32') throw new BinaryError('the WASI module does not run on Windows: give a native `binary`');
  // Paths keep their names. Node's WASI is no sandbox, and none is claimed.
  const env = Object.keys(process.env)
    .filter((name) => /^(GO[A-Z]*|HOME|XDG_[A-Z_]+|RUNNER_[A-Z_]+|GITHUB_[A-Z_]+|CI|NO_COLOR)$/.test(name) && !MAY_HOLD_PASSWORDS.test(name))
    .flatMap((name) => ['--env', name]);
  return { file: process.execPath, before: [WASI_HOST, '--dir', '/::/', ...env, file], wasi: true };
}

function unreleased(built) {
  const { file, passedOver } = inPath('gocachevet');
  if (file) return file;
  if (existsSync(built)) return built;
  const others = passedOver.length > 0 ? ` (${passedOver.join(', ')} is passed over: a checkout or a cache can have laid it there)` : '';
  throw new BinaryError(
    `there is no gocachevet: it is not in PATH${others}, the input \`binary\` is not set, and this version of the action ` +
      'pins no release. Build it (cargo build --release) and give its path as `binary`.',
  );
}

/**
 * Where the release's files lie: with the repository that this action comes
 * from, on github.com. GITHUB_SERVER_URL is the job's own server, and that is
 * another one on Gitea, Forgejo and GitHub Enterprise.
 */
export function releaseSource(version) {
  const from = process.env.GITHUB_ACTION_REPOSITORY || HOME_REPOSITORY;
  const repository = /^https?:/.test(from) ? from.replace(/(\.git)?\/*$/, '') : `https://github.com/${from}`;
  return `${repository}/releases/download/v${version}`;
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

const isThere = (file, program) => existsSync(file) && sha256(readFileSync(file)) === program;

// The tool cache's own layout, so that a self-hosted runner can be given it
// beforehand. Whatever lies there is taken by its hash alone.
async function fromRelease(pinned, version, source) {
  const root = process.env.RUNNER_TOOL_CACHE || process.env.RUNNER_TEMP;
  if (!root) throw new BinaryError('neither RUNNER_TOOL_CACHE nor RUNNER_TEMP is set: this is no runner');
  const home = join(root, 'gocachevet', version, process.arch);
  const file = join(home, pinned.name.endsWith('.wasm') ? 'gocachevet.wasm' : NAME);
  if (isThere(file, pinned.program)) return file;

  const bytes = await download(`${source}/${pinned.name}`);
  const actual = sha256(bytes);
  if (actual !== pinned.sha256) {
    throw new BinaryError(`${pinned.name} is not the file that was released: its SHA-256 is ${actual}, not ${pinned.sha256}`);
  }
  // Made aside and then renamed: jobs on one runner may do this at the same time.
  const aside = `${home}.${randomUUID()}`;
  mkdirSync(aside, { recursive: true });
  try {
    unpack(bytes, pinned, aside);
    if (!isThere(join(aside, basename(file)), pinned.program)) throw new BinaryError(`${pinned.name} does not hold the program that was released`);
    rmSync(home, { recursive: true, force: true });
    renameSync(aside, home);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    // Another job was quicker.
    if (!isThere(file, pinned.program)) throw error;
  }
  return file;
}

function unpack(bytes, { name }, to) {
  if (name.endsWith('.wasm')) return writeFileSync(join(to, 'gocachevet.wasm'), bytes);
  const { file: tar } = inPath('tar');
  if (!tar) throw new BinaryError(`${name} cannot be unpacked: there is no \`tar\` in PATH`);
  writeFileSync(join(to, 'archive.tar.gz'), bytes);
  const done = spawnSync(tar, ['-xzf', 'archive.tar.gz', '--strip-components=1'], { cwd: to, encoding: 'utf8' });
  if (done.status !== 0) throw new BinaryError(`${name} cannot be unpacked: ${done.error?.message ?? done.stderr}`);
  rmSync(join(to, 'archive.tar.gz'));
}

async function download(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(120_000) });
    if (!response.ok) throw new Error(`the answer was ${response.status} ${response.statusText}`);
    const parts = [];
    let length = 0;
    for await (const part of response.body) {
      length += part.length;
      if (length > MOST_BYTES) throw new Error(`it has more than ${MOST_BYTES} bytes`);
      parts.push(part);
    }
    return Buffer.concat(parts);
  } catch (error) {
    throw new BinaryError(
      `${url} cannot be fetched: ${error.cause?.message ?? error.message}. ` +
        'Where there is no network, install gocachevet on the runner and give its path as `binary`; ' +
        '`continue-on-error: true` on this step lets the job go on without the check.',
    );
  }
}
