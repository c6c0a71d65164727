// The caches' way from job to job: restored before the build, what was used saved
// after it. What goes wrong on the way is a warning: the job builds without.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { branches, clearStore, fetchSnapshot, findNewest, loadToolkit, snapshotKey, STORE, uploadSnapshot } from './entries.mjs';
import { mayBeFork } from './fork.mjs';
import { cacheMode, deleteSuperseded, mayRestore, maySave } from './remote.mjs';
import { annotate, event, say } from './runner.mjs';
import { age, code, count, duration, percent, size } from './words.mjs';

const { env } = process;

/** Why this program on this machine cannot move snapshots; undefined if it can. */
export function whyNoSnapshots({ wasi }) {
  if (wasi) return 'the WASI module';
  return process.platform === 'linux' ? undefined : `a program for ${process.platform}`;
}

/** Fetches the newest snapshot into the store; what is told of it. */
export async function fetchNewest({ key: more, seal }, go) {
  // Jobs that ask for seals do not meet what others save.
  const told = { key: snapshotKey(seal.length > 0 ? `${more} sealed` : more), go, default: branches().at(-1) };
  const start = performance.now();
  clearStore();
  try {
    told.cold = await fetchInto(told);
  } catch (error) {
    annotate('warning', `the snapshot could not be fetched: ${error.message}`);
    told.cold = 'it could not be fetched';
  }
  told.seconds = (performance.now() - start) / 1000;
  return told;
}

// Why there is nothing to restore, if so.
async function fetchInto(told) {
  if (!mayRestore()) return `\`cache-mode\` is \`${cacheMode()}\``;
  const { toolkit, why } = await loadToolkit();
  if (!toolkit) {
    annotate('warning', `no snapshot is restored or saved: ${why}`);
    return why;
  }
  const newest = await findNewest(toolkit, told.key, told.go);
  if (!newest) return 'there is no snapshot of this key yet';
  Object.assign(told, { entry: newest.key, bundles: newest.bundles, default: newest.branch });
  const there = await fetchSnapshot(toolkit, told.key, newest);
  if (!there.bundles) return 'a part of the newest snapshot is gone: the service evicted it';
  return there.head ? undefined : 'the newest snapshot could not be fetched';
}

/** What the program is told of a snapshot's place. */
export const place = ({ key, default: from }) => [`--store=${STORE}`, `--key=${key}`, `--ref=${branches()[0] ?? 'main'}`, `--default-ref=${from ?? 'main'}`];

/** Keeps what was told for the end of the job, which may be another step; and gives it then, if there is any. */
export const remember = (file, told) => writeFileSync(file, JSON.stringify(told));
export const recall = (file) => (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined);

/** Why this job saves nothing, whatever it used; undefined if it may. */
export function whyNotSaved({ savePullRequests, seal, sealKey }) {
  const name = env.GITHUB_EVENT_NAME ?? '';
  if (!maySave()) return `\`cache-mode\` is \`${cacheMode()}\``;
  if (/^pull_request/.test(name) && !savePullRequests) return 'this is a pull request (`pull-requests: save` changes that)';
  // A pull request's own entries are seen by itself alone; those of these events by everybody.
  if (name !== 'pull_request' && mayBeFork()) return "this job may have checked out a fork's pull request";
  if (env.GITHUB_REF_TYPE === 'tag' || name === 'merge_group') return 'no other job sees what is saved for a tag or a merge queue';
  if (seal.length === 0) return undefined;
  if (!sealKey) return 'this job restores what is sealed, and has no `seal-key` to seal it again';
  const main = event().repository?.default_branch;
  return name === 'schedule' || (main && env.GITHUB_REF_NAME === main) ? undefined : 'what is sealed is saved on the default branch alone';
}

/**
 * Saves what pays, unless it is known `why` nothing is saved: `run` runs the program's
 * `save`, told the snapshot's place. Gives lines for the summary; the store is gone then.
 */
export async function saveUsed(inputs, told, known, run) {
  try {
    const { toolkit, why } = known ? { why: known } : await loadToolkit();
    if (!toolkit) return [`**Saved nothing**: ${why}.`];
    // Another job may have saved meanwhile: to its snapshot this one's use is added.
    const newest = await findNewest(toolkit, told.key, told.go);
    if (newest && newest.key !== told.entry) {
      await fetchSnapshot(toolkit, told.key, newest);
      told.default = newest.branch;
    }
    const done = run([...place(told), ...inputs.room]);
    const saved = done.json?.snapshot?.saved;
    if (!saved) throw new Error(done.stderr.trim().slice(0, 2000) || 'see the log');
    if (saved.kind === 'none') return [`**Saved nothing**: ${saved.reason}.`];
    const branch = branches()[0] ?? 'main';
    const entry = await uploadSnapshot(toolkit, told.key, { branch, go: told.go, time: Date.now() });
    if (!entry) return ['**Saved nothing**: the upload failed, as the log says.'];
    say(`saved as ${entry}`);
    const sealed = saved.sealed_by ? `, sealed by ${code(saved.sealed_by)}` : '';
    const lines = [`**Saved** a ${saved.kind} of ${size(saved.bytes)} with ${count(saved.units)} units${sealed}: ${saved.reason}.`];
    const stay = await deleteSuperseded(inputs, told.key, branch, told.go);
    if (stay) lines.push(`Superseded entries stay until GitHub evicts them: deleting them needs \`permissions: { actions: write }\` (${code(stay)}).`);
    return lines;
  } catch (error) {
    annotate('warning', `what this job used could not be saved: ${error.message}`);
    return ['**Saved nothing**: it failed, as the log says.'];
  } finally {
    clearStore();
  }
}

/** What the restore brought, and what the build made of it, in lines for the summary. */
export function restoredLines(told, json) {
  const { restored, cold } = told;
  if (!restored) return [`**Restored nothing**: ${cold ?? 'the snapshot could not be used, as the log says'}. The job started cold.`];
  const seconds = told.seconds + restored.seconds;
  const parts = [
    `**Restored** ${size(restored.bytes)} in ${count(restored.files)} files in ${duration(seconds)} (${size(restored.bytes / seconds)}/s, proven on the way)`,
    `saved ${age(restored.age_seconds)} ago on ${code(restored.ref)}`,
  ];
  if (restored.sealed_by) parts.push(`sealed by ${code(restored.sealed_by)}`);
  if (restored.skipped > 0) parts.push(`${count(restored.skipped)} damaged files left out`);
  const caches = [json?.usage?.modcache, json?.usage?.buildcache];
  if (restored.bytes > 0 && caches.every((cache) => typeof cache?.idle_bytes === 'number')) {
    const idle = caches.reduce((sum, cache) => sum + cache.idle_bytes, 0);
    parts.push(`${percent(1 - Math.min(1, idle / restored.bytes))} of it was used`);
  }
  // Every checkout makes some entries anew; what costs is what was compiled.
  const missed = [caches[0]?.misses ?? 0, caches[1]?.archives?.misses ?? 0];
  return [`${parts.join('; ')}.`, ...(missed.some((misses) => misses > 0) ? [missedLine(missed, restored.differences ?? [])] : [])];
}

function missedLine([modules, packages], differences) {
  const what = `Missed: ${count(modules)} module versions were downloaded, ${count(packages)} packages compiled.`;
  const named = differences.map(({ name, then, now }) => `${name === 'go' ? 'the Go version' : name === 'directory' ? 'the folder' : name} was ${code(then)} and is ${code(now)}`);
  if (named.length > 0) return `${what} In the job that saved, ${named.join('; ')}.`;
  return `${what} Go's version, settings and paths are those of the job that saved: sources, requirements or flags such as \`-tags\` changed.`;
}
