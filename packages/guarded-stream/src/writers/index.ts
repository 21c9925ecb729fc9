export { Http2Writer } from './http2-writer.ts'
export type { AbortCause, StreamWriter } from './stream-writer.ts'
