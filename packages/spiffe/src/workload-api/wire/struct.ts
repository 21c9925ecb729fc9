import {
  type MessageType,
  message,
  messageMap,
  messages,
  oneOfNumber,
  oneOfString,
  oneOfVarint,
  optional,
} from './protobuf.ts'

/** A JSON value; ValidateJWTSVID returns claims in this form. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }
export type JsonObject = { readonly [name: string]: Json }

interface Value {
  readonly nullValue?: number | undefined
  readonly numberValue?: number | undefined
  readonly stringValue?: string | undefined
  readonly boolValue?: number | undefined
  readonly structValue?: StructMessage | undefined
  readonly listValue?: ListValue | undefined
}
interface StructMessage {
  readonly fields: ReadonlyMap<string, Value>
}
interface ListValue {
  readonly values: readonly Value[]
}

const value: MessageType<Value> = message({
  nullValue: oneOfVarint(1),
  numberValue: oneOfNumber(2),
  stringValue: oneOfString(3),
  boolValue: oneOfVarint(4),
  structValue: optional<StructMessage>(5, () => structMessage),
  listValue: optional<ListValue>(6, () => listValue),
}) as MessageType<Value>

/** `google.protobuf.Struct`, the wire format of a JSON object. */
const structMessage: MessageType<StructMessage> = message({
  fields: messageMap<Value>(1, () => value, {}),
}) as MessageType<StructMessage>

const listValue: MessageType<ListValue> = message({
  values: messages<Value>(
    1,
    lazily(() => value),
  ),
}) as MessageType<ListValue>

function lazily<T>(type: () => MessageType<T>): MessageType<T> {
  return {
    encode: (message) => type().encode(message),
    decode: (bytes) => type().decode(bytes),
    decodeFrom: (reader) => type().decodeFrom(reader),
    toBytes: (message) => type().toBytes(message),
    fromReader: (reader) => type().fromReader(reader),
  }
}

function toValue(json: Json): Value {
  if (json === null) return { nullValue: 0 }
  if (typeof json === 'number') return { numberValue: json }
  if (typeof json === 'string') return { stringValue: json }
  if (typeof json === 'boolean') return { boolValue: json ? 1 : 0 }
  if (Array.isArray(json)) return { listValue: { values: json.map(toValue) } }
  return { structValue: toStruct(json as JsonObject) }
}

function toStruct(json: JsonObject): StructMessage {
  // As in JSON, omit undefined members.
  const members = Object.entries(json).filter(([, member]) => member !== undefined)
  return { fields: new Map(members.map(([name, member]) => [name, toValue(member)])) }
}

function fromValue(value: Value): Json {
  if (value.structValue) return fromStruct(value.structValue)
  if (value.listValue) return value.listValue.values.map(fromValue)
  if (value.stringValue !== undefined) return value.stringValue
  if (value.numberValue !== undefined) return value.numberValue
  if (value.boolValue !== undefined) return value.boolValue !== 0
  return null
}

function fromStruct(struct: StructMessage): JsonObject {
  return Object.fromEntries([...struct.fields].map(([name, member]) => [name, fromValue(member)]))
}

/** Encodes and decodes a `google.protobuf.Struct` as a JSON object. */
export const struct: MessageType<JsonObject> = {
  encode: (json) => structMessage.encode(toStruct(json)),
  decode: (bytes) => fromStruct(structMessage.decode(bytes)),
  decodeFrom: (reader) => fromStruct(structMessage.decodeFrom(reader)),
  toBytes: (json) => structMessage.toBytes(toStruct(json)),
  fromReader: (reader) => fromStruct(structMessage.fromReader(reader)),
}
