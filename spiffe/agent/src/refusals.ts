/** Part of what the agent answers to a workload whose entry is revoked, by which its clients know it. */
export const ENTRY_REVOKED = 'the entry of this workload is revoked'
