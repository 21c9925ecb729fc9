import type { Entry } from '../entries/index.ts'

/** The result of attesting the process at the other end of a connection. */
export interface Workload {
  readonly selectors: readonly string[]
  /** `--insecure-any`: identities that the socket gives to every process. */
  readonly given?: readonly string[]
}

/** Returns the entries that match a workload, in file order: the first is its default identity. */
export function entriesOf(workload: Workload, entries: readonly Entry[]): Entry[] {
  const holds = new Set(workload.selectors)
  const found = new Map<string, Entry>()
  for (const entry of entries) {
    const entitled = workload.given
      ? workload.given.includes(entry.spiffeId)
      : entry.selectors.length > 0 && entry.selectors.every((selector) => holds.has(selector))
    // Return an identity only once if several entries match; hints must not repeat in a response (Workload API §5.1).
    const key = entry.hint ? `hint ${entry.hint}` : entry.spiffeId
    if (entitled && !entry.revoked && !found.has(key)) found.set(key, entry)
  }
  return [...found.values()]
}

/** Returns the first entry that would give a workload an identity if it were not revoked. */
export const revokedEntryOf = (workload: Workload, entries: readonly Entry[]): Entry | undefined =>
  entriesOf(
    workload,
    entries.filter(({ revoked }) => revoked).map((entry) => ({ ...entry, revoked: false })),
  )[0]
