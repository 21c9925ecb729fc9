export { UpstreamCredentials } from './credentials/index.ts'
export { lastEventIdOf } from './last-event-id.ts'
export { PathEvents, type Place } from './path-events.ts'
export { Publisher } from './publisher.ts'
