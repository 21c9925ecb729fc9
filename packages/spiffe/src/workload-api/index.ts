export * from './messages.ts'
export * from './methods.ts'
export { type Codec, ProtobufError } from './protobuf.ts'
export { type Json, type JsonObject, struct } from './struct.ts'
