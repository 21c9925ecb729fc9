export { type CallOptions, GrpcClient, type GrpcClientOptions, type GrpcTarget } from './client.ts'
export { DEFAULT_MAX_MESSAGE_BYTES } from './framing.ts'
export { Metadata } from './metadata.ts'
export type { Method } from './method.ts'
export {
  GrpcServer,
  type GrpcServerOptions,
  type ServerCall,
  type StreamHandler,
  type UnaryHandler,
} from './server.ts'
export { GrpcError, type StatusCode, status, statusName } from './status.ts'
