import { HttpError } from '../http/errors.ts'

/** A call to a peer that failed; 502 when the peer is not there or answers nonsense, 504 when it is too slow. */
export class PeerError extends HttpError {
  readonly peer: string

  constructor(peer: string, status: 502 | 504, code: string, message: string, cause?: unknown) {
    super(status, code, message, { cause })
    this.name = 'PeerError'
    this.peer = peer
  }
}

export interface FailedCall {
  /** The name that the error uses, e.g. `jwt-factory`. */
  readonly peer: string
  /** Its origin, or its socket. */
  readonly address: string
  /** How long the call could take. */
  readonly timeoutMs: number
}

/** Codes of undici, of Node, and of {@link AnswerTimeout}. */
const TOO_SLOW = /TIMEOUT|^ETIMEDOUT$/
/** Codes of OpenSSL's verification and of Node's TLS; `EPROTO` is a peer that speaks no TLS. */
const NOT_TRUSTED =
  /CERT|CRL|TLS|SSL|ALTNAME|SIGNATURE|^(EPROTO|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)$/
/** Of packages/spiffe: the peer's SVID is not one that is expected. */
const NOT_AUTHORIZED = /^(X509|Spiffe)/
/** The code of Node's parser, and the name of undici's error, which may have no code. */
const NOT_HTTP = /^(HPE_|HTTPParserError$)/
const TOO_LONG = 'UND_ERR_RES_EXCEEDED_MAX_SIZE'

/**
 * Returns what the failure of a call means: the one place where the codes of sockets, TLS and parsers become ours. The
 * table is in the README. A {@link PeerError} is returned as it is.
 */
export function peerFailure({ peer, address, timeoutMs }: FailedCall, cause: unknown): PeerError {
  if (cause instanceof PeerError) return cause
  const { code = '', name, message } = cause as { code?: string; name: string; message: string }
  const failed = (status: 502 | 504, ours: string, what: string) =>
    new PeerError(peer, status, ours, `${peer} at ${address} ${what}.`, cause)
  if (TOO_SLOW.test(code)) return failed(504, 'peer_timeout', `did not answer within ${timeoutMs} ms`)
  if (NOT_TRUSTED.test(code) || NOT_AUTHORIZED.test(name))
    return failed(502, 'peer_not_trusted', `is not trusted (${/^[A-Z0-9_]+$/.test(code) ? code : message})`)
  if (code === TOO_LONG) return failed(502, 'peer_answer_too_long', 'sent an answer that exceeds the limit')
  if (NOT_HTTP.test(code) || NOT_HTTP.test(name))
    return failed(502, 'peer_unexpected_answer', `sent an answer that is not HTTP (${code || message})`)
  return failed(502, 'peer_unreachable', `is not reachable (${code || message})`)
}

/** A call that is not made, because nobody would wait for its answer. */
export const deadlinePassed = (peer: string) =>
  new PeerError(peer, 504, 'deadline_exceeded', `${peer} was not called: the caller's deadline has passed.`)

/**
 * Returns an answer that a client did not expect as an error that names the peer. A 504 stays one: the peer says in
 * `detail` which of its own peers did not answer.
 */
export function unexpectedAnswer(peer: string, status: number, detail: string): PeerError {
  if (status === 504) return new PeerError(peer, 504, 'peer_timeout', `${peer} answered 504: ${detail}`)
  return new PeerError(peer, 502, 'peer_unexpected_answer', `${peer} answered ${status}: ${detail}`)
}
