import { constants } from 'node:http2'

/** The status codes of gRPC: https://grpc.io/docs/guides/status-codes/ */
export const status = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const

export type StatusCode = (typeof status)[keyof typeof status]

/** The names as other implementations print them, indexed by code. */
const NAMES = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
] as const

/** Returns the name of a code: `PermissionDenied` for 7, `Code(42)` for an unknown one. */
export function statusName(code: number): string {
  return NAMES[code] ?? `Code(${code})`
}

/** Reports a call that ended with a status other than OK. */
export class GrpcError extends Error {
  readonly code: StatusCode
  /** The message without the code. */
  readonly details: string

  constructor(code: StatusCode, details: string, options?: ErrorOptions) {
    super(`rpc error: code = ${statusName(code)} desc = ${details}`, options)
    this.name = 'GrpcError'
    this.code = code
    this.details = details
  }
}

/** Parses a status header; unknown numbers become Unknown, as the protocol requires. */
export function parseStatus(value: string): StatusCode {
  const code = /^\d{1,3}$/.test(value) ? Number(value) : status.unknown
  return code in NAMES ? (code as StatusCode) : status.unknown
}

/** Percent-encodes a `grpc-message`: everything except printable ASCII, and the percent sign itself, as UTF-8. */
export function encodeStatusMessage(message: string): string {
  let encoded = ''
  for (const byte of Buffer.from(message, 'utf8'))
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  return encoded
}

/** Decodes a `grpc-message`; a malformed escape is kept literally (gRPC over HTTP/2, "Responses"). */
export function decodeStatusMessage(encoded: string): string {
  const bytes: number[] = []
  for (let index = 0; index < encoded.length; index++) {
    const escaped = /^%[0-9A-Fa-f]{2}/.exec(encoded.slice(index, index + 3))
    if (escaped) {
      bytes.push(Number.parseInt(escaped[0].slice(1), 16))
      index += 2
    } else bytes.push(...Buffer.from(encoded[index] as string, 'utf8'))
  }
  return Buffer.from(bytes).toString('utf8')
}

/** Maps an HTTP status other than 200: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md */
export function statusOfHttp(httpStatus: number): StatusCode {
  if (httpStatus === 400) return status.internal
  if (httpStatus === 401) return status.unauthenticated
  if (httpStatus === 403) return status.permissionDenied
  if (httpStatus === 404) return status.unimplemented
  if ([429, 502, 503, 504].includes(httpStatus)) return status.unavailable
  return status.unknown
}

/** Maps the error code of a stream reset (gRPC over HTTP/2, "Errors"). */
export function statusOfReset(rstCode: number): StatusCode {
  if (rstCode === constants.NGHTTP2_REFUSED_STREAM) return status.unavailable
  if (rstCode === constants.NGHTTP2_CANCEL) return status.cancelled
  if (rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM) return status.resourceExhausted
  if (rstCode === constants.NGHTTP2_INADEQUATE_SECURITY) return status.permissionDenied
  return status.internal
}
