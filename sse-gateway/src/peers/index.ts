export { GatewayPeers } from './gateway-peers.ts'
