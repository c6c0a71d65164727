// Snapshots as entries of GitHub's cache, moved by its own toolkit:
//
//   gocachevet-KEY-bundle-DIGEST                 a base, or a delta
//   gocachevet-KEY-head-BRANCH-GO-TIME-DIGESTS   the head of a branch; DIGESTS are its bundles', the base's first
//
// So one look-up by prefix finds the newest head, and tells its bundles as well: all
// are fetched side by side. Of digests the beginnings stand in keys, whose length is
// bounded; the head has them whole, and the program takes no other bundle. Branch, Go
// version and time stand in the key since the
// service would take any entry of the branch's own before a newer one of the
// default branch: asked for each of them, it tells all three.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { soundPath } from './path.mjs';
import { event } from './runner.mjs';

const { env } = process;

// The text is a part of what the service knows an entry by, so that it is the same
// on every machine.
const PATH = '~/.gocachevet/store';
/** The store, as the program has it. */
export const STORE = join(homedir(), '.gocachevet', 'store');
const SAVED = join(homedir(), '.gocachevet', 'saved');

const hash = (text, length) => createHash('sha256').update(text).digest('hex').slice(0, length);
const plain = (text) => text.toLowerCase().replace(/[^a-z0-9.]+/g, '-').replace(/^[-.]+|-+$/g, '').slice(0, 40);

/** The key of this job's snapshots: jobs that build other things have another. `more` tells those of a matrix apart. */
export function snapshotKey(more) {
  const parts = [env.RUNNER_OS || process.platform, env.RUNNER_ARCH || process.arch, env.GITHUB_WORKFLOW ?? '', env.GITHUB_JOB ?? '', more];
  return [...parts.map(plain).filter(Boolean), hash(JSON.stringify(parts), 8)].join('-');
}

/** The branches whose snapshots this job can see, its own first. */
export function branches() {
  const all = [env.GITHUB_REF_NAME, env.GITHUB_BASE_REF, event().repository?.default_branch];
  return [...new Set(all.filter(Boolean))];
}

/** What all keys of a snapshot begin with; and those of a branch's heads, of all Go versions or of one. */
export const ofKey = (key) => `gocachevet-${key}-`;
export const ofBranch = (key, branch) => `${ofKey(key)}head-${hash(branch, 8)}-`;
export const ofGo = (key, branch, go) => `${ofBranch(key, branch)}${plain(go)}-`;
const inKey = (digest) => digest.slice(0, 16);
export const bundleKey = (key, digest) => `${ofKey(key)}bundle-${inKey(digest)}`;
const HEAD = /-head-[0-9a-f]{8}-[a-z0-9.-]+-(\d{13})-([0-9a-f]{16}(?:\.[0-9a-f]{16})*)$/;

/** What a head's entry says of it by its key alone; undefined if it is none. */
export function parseHead(key) {
  const [, time, bundles] = HEAD.exec(key ?? '') ?? [];
  return time && { time: Number(time), bundles: bundles.split('.') };
}

/** The toolkit; or `why` nothing can be moved. */
export async function loadToolkit() {
  const file = new URL('./dist/toolkit.mjs', import.meta.url);
  if (!existsSync(file)) return { why: 'this checkout of the action has no `action/dist`, which `release/dist` makes' };
  const toolkit = await import(file);
  if (!toolkit.isFeatureAvailable()) return { why: 'the runner has no cache service' };
  if (!/^[\w./-]+$/.test(STORE)) return { why: `the home folder has a name that tar may misread: ${STORE}` };
  // The toolkit starts tar and zstd by their names.
  env.PATH = soundPath();
  const tar = spawnSync('tar', ['--version'], { encoding: 'utf8' });
  return tar.stdout?.includes('GNU tar') ? { toolkit } : { why: 'there is no GNU tar, which keeps what it unpacks in one folder' };
}

/** The newest head: of those of this Go version, if there are any. */
export async function findNewest(toolkit, key, go) {
  const found = await Promise.all(
    branches().map(async (branch) => {
      const [own, any] = [ofGo(key, branch, go), ofBranch(key, branch)];
      const entry = await toolkit.restoreCache([PATH], own, [any], { lookupOnly: true });
      const said = parseHead(entry);
      return said && entry.startsWith(any) ? [{ ...said, key: entry, branch, sameGo: entry.startsWith(own) }] : [];
    }),
  );
  return found.flat().sort((a, b) => b.sameGo - a.sameGo || b.time - a.time)[0];
}

/** Brings a head and its bundles into the store, which has no other head then; whether the head was there, and all bundles. */
export async function fetchSnapshot(toolkit, key, { key: entry, bundles }) {
  rmSync(join(STORE, 'keys'), { recursive: true, force: true });
  const dir = join(STORE, 'bundles');
  const there = new Set((existsSync(dir) ? readdirSync(dir) : []).map(inKey));
  const wanted = [entry, ...bundles.filter((digest) => !there.has(digest)).map((digest) => bundleKey(key, digest))];
  const [head, ...found] = await confined(() => Promise.all(wanted.map((each) => toolkit.restoreCache([PATH], each))));
  return { head: head !== undefined, bundles: found.every(Boolean) };
}

// The toolkit lets tar write to any path that an entry names. So tar is told to take
// each name in it, and what a link leads to, for one in the store.
async function confined(unpack) {
  const given = env.TAR_OPTIONS;
  env.TAR_OPTIONS = ['^.*[.]gocachevet/store,.,', '[.][.],_,g', `^/*,${STORE}/,`].map((rule) => `--transform=s,${rule}`).join(' ');
  try {
    return await unpack();
  } finally {
    if (given === undefined) delete env.TAR_OPTIONS;
    else env.TAR_OPTIONS = given;
  }
}

// As the program names a head's file.
const fileName = (text) =>
  encodeURIComponent(text).replace(/[!'()*~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`).replace(/^\./, '%2E');

/** Uploads what the program saved: the new bundle first, so that no head names one that is not there. Whether all arrived. */
export async function uploadSnapshot(toolkit, key, { branch, go, time }) {
  const file = join('keys', fileName(key), fileName(branch));
  const { bundles } = JSON.parse(readFileSync(join(STORE, file), 'utf8'));
  rmSync(SAVED, { recursive: true, force: true });
  renameSync(STORE, SAVED);
  const saved = bundles.at(-1);
  const entry = `${ofGo(key, branch, go)}${time}-${bundles.map(inKey).join('.')}`;
  const arrived = (await upload(toolkit, bundleKey(key, saved), join('bundles', saved))) && (await upload(toolkit, entry, file));
  rmSync(SAVED, { recursive: true, force: true });
  return arrived ? entry : undefined;
}

// The toolkit takes all that lies at the path.
async function upload(toolkit, key, file) {
  rmSync(STORE, { recursive: true, force: true });
  mkdirSync(dirname(join(STORE, file)), { recursive: true });
  linkSync(join(SAVED, file), join(STORE, file));
  // It tells what went wrong itself. Another job may have been quicker with the same bundle.
  const id = await toolkit.saveCache([PATH], key);
  return id !== -1 || (await toolkit.restoreCache([PATH], key, [], { lookupOnly: true })) === key;
}

/** An empty store. */
export function clearStore() {
  for (const dir of [STORE, SAVED]) rmSync(dir, { recursive: true, force: true });
}
