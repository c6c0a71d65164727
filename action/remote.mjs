// What GitHub's API tells of its cache: which entry the job restored, whose name
// is what a person needs to delete it. Of what is there only snapshots are deleted.

import { bundleKey, ofGo, ofKey, parseHead } from './entries.mjs';

const { env } = process;

/** What the job may do with GitHub's cache: none, read, write (both), write-only; '' where nothing says it. */
export const cacheMode = () => env.ACTIONS_CACHE_MODE ?? '';
export const mayRestore = () => !['none', 'write-only'].includes(cacheMode());
export const maySave = () => !['none', 'read'].includes(cacheMode());

/** Gitea's and Forgejo's runners call everything as GitHub's do, but have their own cache servers. */
export const isGitHub = () => !['GITEA_ACTIONS', 'FORGEJO_ACTIONS'].some((name) => env[name] === 'true');

// What the API answers to a request about the repository's caches.
async function ask({ token }, below, query, method = 'GET') {
  const response = await fetch(`${env.GITHUB_API_URL}/repos/${env.GITHUB_REPOSITORY}/actions/caches${below}?${new URLSearchParams(query)}`, {
    method,
    headers: { accept: 'application/vnd.github+json', authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return response;
}

const list = async (inputs, query) => (await (await ask(inputs, '', query)).json()).actions_caches ?? [];
const canAsk = ({ token }) => token !== '' && isGitHub() && Boolean(env.GITHUB_API_URL && env.GITHUB_REPOSITORY);

/**
 * The entry's key, and its id where it is known. The key is the input
 * `cache-key`; without it, the entry that was used last, if the token may read
 * caches (`actions: read`) and it is one that setup-go saved.
 */
export async function findRemoteEntry(inputs) {
  const { cacheKey } = inputs;
  if (!canAsk(inputs)) return { key: cacheKey };
  try {
    const entries = await list(inputs, { key: cacheKey || 'setup-go-', sort: 'last_accessed_at', direction: 'desc', per_page: '10' });
    // The query finds prefixes; and several refs may have an entry of one key.
    const found = entries.find((each) => (cacheKey === '' || each.key === cacheKey) && each.ref === env.GITHUB_REF) ??
      entries.find((each) => cacheKey === '' || each.key === cacheKey);
    return found ? { key: String(found.key), id: Number(found.id) } : { key: cacheKey };
  } catch {
    // A message without an id is better than none.
    return { key: cacheKey };
  }
}

/**
 * Deletes this branch's heads of `key` and `go` that two newer ones have replaced,
 * and the bundles that only they name. Gives why it could not, if so.
 */
export async function deleteSuperseded(inputs, key, branch, go) {
  if (!canAsk(inputs)) return undefined;
  try {
    const entries = [];
    for (let page = 1, more = true; more; page += 1) {
      const found = await list(inputs, { key: ofKey(key), per_page: '100', page: String(page) });
      entries.push(...found);
      more = found.length === 100;
    }
    for (const { id } of superseded(entries, key, branch, go)) await ask(inputs, `/${Number(id)}`, {}, 'DELETE');
    return undefined;
  } catch (error) {
    return error.cause?.message ?? error.message;
  }
}

/** Those of the entries that nobody reads any more: the head before the newest may be being read. */
export function superseded(entries, key, branch, go, ref = env.GITHUB_REF) {
  const heads = entries.flatMap((entry) => {
    const said = parseHead(entry.key);
    return said && entry.key.startsWith(ofKey(key)) ? [{ ...said, entry }] : [];
  });
  const own = heads.filter(({ entry }) => entry.ref === ref && entry.key.startsWith(ofGo(key, branch, go)));
  const old = own.sort((a, b) => b.time - a.time).slice(2);
  // A bundle that no head names yet is being uploaded, so that only those of old heads are looked at.
  const keys = (heads) => new Set(heads.flatMap(({ bundles }) => bundles.map((digest) => bundleKey(key, digest))));
  const named = keys(heads.filter((head) => !old.includes(head)));
  const unnamed = new Set([...keys(old)].filter((each) => !named.has(each)));
  return [...old.map(({ entry }) => entry), ...entries.filter((entry) => entry.ref === ref && unnamed.has(entry.key))];
}
