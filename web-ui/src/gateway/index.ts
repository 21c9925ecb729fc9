export { GATEWAY, GatewayDoor, refusalIn } from './gateway-door.ts'
export { GatewayStreams, TOO_MANY_WATCHERS } from './gateway-streams.ts'
export { HEARTBEAT_MS, type Missing, PathWatch, SERVER } from './path-watch.ts'
export { WatcherTokens } from './watcher-tokens.ts'
