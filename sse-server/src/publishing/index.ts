export { PublishListener } from './publish-listener.ts'
export { publishObjects } from './publish-objects.ts'
export { PublishSession } from './publish-session.ts'
export { Publisher } from './publisher.ts'
