export { entriesOf, revokedEntryOf, type Workload } from './workload.ts'
export { removeStale, WorkloadSockets } from './workload-sockets.ts'
