export { lastEventIdOf } from './last-event-id.ts'
export { PathEvents, type Place, type UpstreamEnd } from './path-events.ts'
