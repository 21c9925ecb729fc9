export { Changes } from './changes.ts'
export { WorkloadApi } from './workload-api.ts'
