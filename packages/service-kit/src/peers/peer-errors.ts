import { HttpError } from '../errors.ts'

/** A failed call to a peer: 502 if it is unreachable or its response is invalid, 504 if it times out. */
export class PeerError extends HttpError {
  readonly peer: string

  constructor(peer: string, status: 502 | 504, code: string, message: string, cause?: unknown) {
    super(status, code, message, { cause })
    this.name = 'PeerError'
    this.peer = peer
  }
}

export interface FailedCall {
  /** The name used in the message, e.g. `jwt-factory`. */
  readonly peer: string
  /** Its origin or its socket. */
  readonly address: string
  /** The time limit of the call. */
  readonly timeoutMs: number
}

/** Codes of undici, of Node, and of {@link AnswerTimeout}. */
const TOO_SLOW = /TIMEOUT|^ETIMEDOUT$/
/** Codes of OpenSSL's verification and of Node's TLS; `EPROTO` is a peer that does not use TLS. */
const NOT_TRUSTED =
  /CERT|CRL|TLS|SSL|ALTNAME|SIGNATURE|^(EPROTO|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)$/
/** Of packages/spiffe: the peer's SVID is not an expected one. */
const NOT_AUTHORIZED = /^(X509|Spiffe)/
/** The code of Node's parser, and the name of undici's error, which may lack a code. */
const NOT_HTTP = /^(HPE_|HTTPParserError$)/
const TOO_LONG = 'UND_ERR_RES_EXCEEDED_MAX_SIZE'

/**
 * Maps the failure of a call to a {@link PeerError}. Every code of sockets, TLS and parsers is mapped here; the README
 * has the table. A PeerError is returned unchanged.
 */
export function peerFailure({ peer, address, timeoutMs }: FailedCall, cause: unknown): PeerError {
  if (cause instanceof PeerError) return cause
  const { code = '', name, message } = cause as { code?: string; name: string; message: string }
  const failed = (status: 502 | 504, ours: string, what: string) =>
    new PeerError(peer, status, ours, `${peer} at ${address} ${what}.`, cause)
  if (TOO_SLOW.test(code)) return failed(504, 'peer_timeout', `did not answer within ${timeoutMs} ms`)
  if (NOT_TRUSTED.test(code) || NOT_AUTHORIZED.test(name))
    return failed(
      502,
      'peer_not_trusted',
      `failed TLS verification (${/^[A-Z0-9_]+$/.test(code) ? code : message})`,
    )
  if (code === TOO_LONG)
    return failed(502, 'peer_answer_too_long', 'sent a response that exceeds the size limit')
  if (NOT_HTTP.test(code) || NOT_HTTP.test(name))
    return failed(502, 'peer_unexpected_answer', `sent a response that is not HTTP (${code || message})`)
  return failed(502, 'peer_unreachable', `is not reachable (${code || message})`)
}

/** Creates the error of a call that is not made because the caller has stopped waiting. */
export const deadlinePassed = (peer: string) =>
  new PeerError(peer, 504, 'deadline_exceeded', `${peer} was not called: the caller's deadline has passed.`)

/**
 * Creates the error for a response that the client did not expect; it names the peer. A 504 stays a 504: in `detail`
 * the peer names which of its own peers timed out.
 */
export function unexpectedAnswer(peer: string, status: number, detail: string): PeerError {
  if (status === 504) return new PeerError(peer, 504, 'peer_timeout', `${peer} answered 504: ${detail}`)
  return new PeerError(peer, 502, 'peer_unexpected_answer', `${peer} answered ${status}: ${detail}`)
}
