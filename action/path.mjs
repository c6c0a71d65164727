// A program by its name, looked up in PATH; but never where a checkout, a
// restored cache or an earlier step may have laid one of that name.

import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, delimiter, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { input, workspace } from './runner.mjs';

const { env } = process;

// Folders whose content is chosen by whoever opens a pull request or fills a cache.
function anyones() {
  const listed = ['GOPATH', 'GOBIN', 'GOMODCACHE', 'GOCACHE', 'RUNNER_TEMP'].flatMap((name) => (env[name] ?? '').split(delimiter));
  const given = [input('modcache'), input('gocache')].filter(Boolean).map((path) => resolve(workspace(), path));
  return [workspace(), ...listed.filter(isAbsolute), ...given, join(homedir(), 'go'), join(homedir(), '.cache/go-build')];
}

const inside = (path, root) => {
  const way = relative(root, path);
  return way === '' || !(way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way));
};

// Where a path leads; itself, if nowhere.
function real(path) {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

const rootsOf = (home) => {
  const named = [...anyones(), ...(home ? [] : [homedir()])];
  return [...new Set([...named.map((root) => resolve(root)), ...named.map(real)])];
};
const liesIn = (paths, roots) => paths.some((path) => roots.some((root) => inside(path, root)));

/** PATH for what others start: without the folders that are passed over, but for the rest of the home folder. */
export function soundPath() {
  const roots = rootsOf(true);
  return (env.PATH ?? '').split(delimiter).filter((dir) => isAbsolute(dir) && !liesIn([dir, real(dir)], roots)).join(delimiter);
}

/**
 * The first program of this name that is not passed over, and those that were.
 * `home`: whether it may lie in the rest of the home folder, which caches
 * restore as well (`~/.local/bin`, `~/.cargo/bin`).
 */
export function inPath(name, { home = false } = {}) {
  const roots = rootsOf(home);
  const passedOver = [];
  for (const dir of (env.PATH ?? '').split(delimiter)) {
    if (!isAbsolute(dir)) continue; // such as `.`
    const file = join(dir, process.platform === 'win32' ? `${name}.exe` : name);
    if (!isProgram(file)) continue;
    // As it is named, by its folder's real name, and what it leads to in the end.
    if (!liesIn([file, join(real(dirname(file)), basename(file)), real(file)], roots)) return { file, passedOver };
    passedOver.push(file);
  }
  return { file: undefined, passedOver };
}
