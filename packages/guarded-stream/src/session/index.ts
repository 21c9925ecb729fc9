export type { Extension } from './extension.ts'
export { ownerOf, type StreamGrant } from './stream-grant.ts'
export { type EndedStream, StreamRegistry } from './stream-registry.ts'
export { type EndReason, type StreamLimits, StreamSession } from './stream-session.ts'
