// Finds the program: the `binary` input, PATH, the runner's tool cache, the
// release archive for this platform (pinned by SHA-256 in release.json), or the
// WASI module, which Node runs: the one that wasm/build made beside the action,
// or the released one.

import { spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const WASI_HOST = join(here, '..', 'wasm', 'run.mjs');
const MODULE = join(here, '..', 'wasm', 'gocachevet.wasm');
const NAME = process.platform === 'win32' ? 'gocachevet.exe' : 'gocachevet';
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
export async function findBinary(given, { release = pinnedRelease(), source = releaseSource(release), built = MODULE } = {}) {
  if (given !== '') {
    const file = isAbsolute(given) ? given : resolve(process.env.GITHUB_WORKSPACE ?? '.', given);
    if (!existsSync(file)) throw new BinaryError(`input binary: there is no file ${file}`);
    return command(file);
  }
  const onPath = inPath();
  if (onPath) return command(onPath);
  const platform = `${process.platform}-${process.arch}`;
  const native = release.version === null ? undefined : release.files[platform];
  if (!native && existsSync(built)) return command(built);
  if (release.version === null) {
    throw new BinaryError(
      'there is no gocachevet: it is not in PATH, the input `binary` is not set, and this version of the action ' +
        'pins no release. Build it (cargo build --release) and give its path as `binary`.',
    );
  }
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

function inPath() {
  for (const dir of (process.env.PATH ?? '').split(delimiter)) {
    if (!isAbsolute(dir)) continue; // such as `.`: the checked-out tree does not choose the program
    const file = join(dir, NAME);
    try {
      if (statSync(file).isFile()) {
        accessSync(file, constants.X_OK);
        return file;
      }
    } catch {
      // not there
    }
  }
  return undefined;
}

/** Where the release's files lie: in the repository that this action comes from. */
function releaseSource(release) {
  const { GITHUB_SERVER_URL = 'https://github.com', GITHUB_ACTION_REPOSITORY, GITHUB_REPOSITORY } = process.env;
  return `${GITHUB_SERVER_URL}/${GITHUB_ACTION_REPOSITORY || GITHUB_REPOSITORY}/releases/download/v${release.version}`;
}

// The tool cache's own layout, so that a self-hosted runner can be given it beforehand.
async function fromRelease(pinned, version, source) {
  const root = process.env.RUNNER_TOOL_CACHE || process.env.RUNNER_TEMP;
  if (!root) throw new BinaryError('neither RUNNER_TOOL_CACHE nor RUNNER_TEMP is set: this is no runner');
  const home = join(root, 'gocachevet', version, process.arch);
  const file = join(home, pinned.name.endsWith('.wasm') ? 'gocachevet.wasm' : NAME);
  if (existsSync(`${home}.complete`) && existsSync(file)) return file;

  const bytes = await download(`${source}/${pinned.name}`);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== pinned.sha256) {
    throw new BinaryError(`${pinned.name} is not the file that was released: its SHA-256 is ${sha256}, not ${pinned.sha256}`);
  }
  // Made aside and then renamed: jobs on one runner may do this at the same time.
  const aside = `${home}.${randomUUID()}`;
  mkdirSync(aside, { recursive: true });
  if (pinned.name.endsWith('.wasm')) {
    writeFileSync(join(aside, basename(file)), bytes);
  } else {
    const archive = join(aside, 'archive.tar.gz');
    writeFileSync(archive, bytes);
    const tar = spawnSync('tar', ['-xzf', 'archive.tar.gz', '--strip-components=1'], { cwd: aside, encoding: 'utf8' });
    if (tar.status !== 0) throw new BinaryError(`${pinned.name} cannot be unpacked: ${tar.error?.message ?? tar.stderr}`);
    rmSync(archive);
  }
  rmSync(home, { recursive: true, force: true });
  renameSync(aside, home);
  writeFileSync(`${home}.complete`, '');
  return file;
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
        'Where there is no network, install gocachevet in PATH or give its path as `binary`; ' +
        '`continue-on-error: true` on this step lets the job go on without the check.',
    );
  }
}
