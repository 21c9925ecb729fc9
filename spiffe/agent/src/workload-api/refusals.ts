/** Part of the error message for a workload with a revoked entry. Clients detect revocation by this string. */
export const ENTRY_REVOKED = 'the entry of this workload is revoked'

/** Returns the command that restores a revoked entry. */
export const restoreCommand = (id: string) => `npm run spiffe:agent -- restore ${id}`
