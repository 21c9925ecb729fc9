export * from './encode-event.ts'
export * from './event-stream-parser.ts'
export * from './read-events.ts'
