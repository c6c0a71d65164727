// Which entry of GitHub's cache the job restored: its name is what a person
// needs to delete it. Nothing is changed.

const { env } = process;

/** What the job may do with GitHub's cache: none, read, write (both), write-only; '' where nothing says it. */
export const cacheMode = () => env.ACTIONS_CACHE_MODE ?? '';
export const mayRestore = () => !['none', 'write-only'].includes(cacheMode());
export const maySave = () => !['none', 'read'].includes(cacheMode());

/** Gitea's and Forgejo's runners call everything as GitHub's do, but have their own cache servers. */
export const isGitHub = () => !['GITEA_ACTIONS', 'FORGEJO_ACTIONS'].some((name) => env[name] === 'true');

/**
 * The entry's key, and its id where it is known. The key is the input
 * `cache-key`; without it, the entry that was used last, if the token may read
 * caches (`actions: read`) and it is one that setup-go saved.
 */
export async function findRemoteEntry({ cacheKey, token }) {
  if (token === '' || !isGitHub() || !env.GITHUB_API_URL || !env.GITHUB_REPOSITORY) return { key: cacheKey };
  const query = new URLSearchParams({ key: cacheKey || 'setup-go-', sort: 'last_accessed_at', direction: 'desc', per_page: '10' });
  try {
    const response = await fetch(`${env.GITHUB_API_URL}/repos/${env.GITHUB_REPOSITORY}/actions/caches?${query}`, {
      headers: { accept: 'application/vnd.github+json', authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) return { key: cacheKey };
    const entries = (await response.json()).actions_caches ?? [];
    // The query finds prefixes; and several refs may have an entry of one key.
    const found = entries.find((each) => (cacheKey === '' || each.key === cacheKey) && each.ref === env.GITHUB_REF) ??
      entries.find((each) => cacheKey === '' || each.key === cacheKey);
    return found ? { key: String(found.key), id: Number(found.id) } : { key: cacheKey };
  } catch {
    // A message without an id is better than none.
    return { key: cacheKey };
  }
}
