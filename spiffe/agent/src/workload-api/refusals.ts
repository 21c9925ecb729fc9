/** Part of what the agent answers to a workload whose entry is revoked, by which its clients know it. */
export const ENTRY_REVOKED = 'the entry of this workload is revoked'

/** Returns what gives a revoked entry its identity back. */
export const restoreCommand = (id: string) => `npm run spiffe:agent -- restore ${id}`
