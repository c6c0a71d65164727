#!/usr/bin/env node
// Runs a WASI module under Node: run.mjs [--dir HOST[::GUEST]]... [--env NAME[=VALUE]]... MODULE [ARGUMENT]...
//
// `--env NAME` hands on the value that the variable has here.
// The exit code is the module's own; 3 where it could not be run or crashed.
// Node's WASI keeps nothing out: a folder given by --dir can be written to, and
// links in it are followed. Give it only what the module may change.

import { readFile, realpath } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const COULD_NOT_RUN = 3;

/**
 * Runs the module in `file` and returns its exit code.
 * @param {string} file
 * @param {{args?: string[], dirs?: Record<string, string>, env?: Record<string, string>, stdin?: number, stdout?: number, stderr?: number}} [given]
 *   `dirs`: the name in the module to the folder here; `stdin` and the others: file descriptors.
 * @returns {Promise<number>}
 */
export async function run(file, { args = [], dirs = {}, env = {}, stdin = 0, stdout = 1, stderr = 2 } = {}) {
  const { WASI } = await quietly(() => import('node:wasi'));
  const wasi = new WASI({
    version: 'preview1',
    args: [basename(file, '.wasm'), ...args],
    preopens: dirs,
    env,
    stdin,
    stdout,
    stderr,
    returnOnExit: true,
  });
  const { instance } = await WebAssembly.instantiate(await readFile(file), wasi.getImportObject());
  try {
    return wasi.start(instance);
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    console.error(`${basename(file)} crashed: ${error.message}`);
    return COULD_NOT_RUN;
  }
}

/** Node warns, on standard error and at the first use, that its WASI is experimental. */
async function quietly(load) {
  const emitWarning = process.emitWarning;
  process.emitWarning = (warning, ...rest) => {
    if (!/\bWASI\b/.test(String(warning))) emitWarning.call(process, warning, ...rest);
  };
  try {
    return await load();
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** Splits the command line; `undefined` if it is not one. */
function parse(argv) {
  const dirs = {};
  const env = {};
  let at = 0;
  for (; at < argv.length && argv[at].startsWith('--'); at += 2) {
    const value = argv[at + 1];
    if (value === undefined) return undefined;
    if (argv[at] === '--dir') {
      const [host, guest = host] = value.split('::');
      dirs[guest] = resolve(host);
    } else if (argv[at] === '--env') {
      const [name, ...rest] = value.split('=');
      const handed = rest.length > 0 ? rest.join('=') : process.env[name];
      if (handed !== undefined) env[name] = handed;
    } else {
      return undefined;
    }
  }
  const [file, ...args] = argv.slice(at);
  return file === undefined ? undefined : { file, args, dirs, env };
}

if (process.argv[1] && import.meta.url === pathToFileURL(await realpath(process.argv[1])).href) {
  const given = parse(process.argv.slice(2));
  if (given === undefined) {
    console.error('usage: run.mjs [--dir HOST[::GUEST]]... [--env NAME[=VALUE]]... MODULE [ARGUMENT]...');
    process.exitCode = 2;
  } else {
    process.exitCode = await run(given.file, given).catch((error) => {
      console.error(`${basename(given.file)} could not be run: ${error.message}`);
      return COULD_NOT_RUN;
    });
  }
}
