export { type BackendResult, Backends } from './backends.ts'
export { traceHeaders } from './trace-headers.ts'
