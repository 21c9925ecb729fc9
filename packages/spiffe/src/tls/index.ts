export {
  type Authorizer,
  authorizeAny,
  authorizeId,
  authorizeMemberOf,
  authorizeOneOf,
} from './authorizer.ts'
export {
  type ClientSecurity,
  type ClientSecurityOptions,
  mtlsClient,
  mtlsWebClient,
  tlsClient,
} from './client.ts'
export { SpiffeTlsError, type TlsErrorCode } from './errors.ts'
export { SpiffeAgent, type SpiffeAgentOptions } from './https-agent.ts'
export { peerOf } from './peer.ts'
export {
  mtlsServer,
  mtlsWebServer,
  type ServerSecurity,
  type ServerSecurityOptions,
  tlsServer,
} from './server.ts'
export { type UndiciConnector, undiciConnector } from './undici-connector.ts'
