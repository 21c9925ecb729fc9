import { CommandFailure, EXIT, reasonOf } from './failure.ts'

/** Refused certificates have codes of OpenSSL and codes of Node; these are how they look. */
const NOT_TRUSTED = /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO/
/** OpenSSL was answered with something that is no TLS. */
const NO_TLS =
  /^(EPROTO|ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNSUPPORTED_PROTOCOL))$/
/** The peer accepted the connection and closed it without an answer; undici has its own code for it. */
const CLOSED = /^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/
/** What answers is not HTTP: the codes of the parser. */
const NO_HTTP = /^HPE_/

/** A failed connection as a message: the cause, and what mends it. */
export function connectionFailure(
  url: string,
  error: unknown,
  trust = 'Give its authority with --ca file.pem.',
): CommandFailure {
  if (error instanceof CommandFailure) return error
  const reason = reasonOf(error)
  const failed = (text: string) => new CommandFailure(`${url} ${text}`, EXIT.unreachable)
  const other = (scheme: string) => `Try ${url.replace(/^https?:/, `${scheme}:`)}`
  // The Fetch standard keeps clients away from some ports: https://fetch.spec.whatwg.org/#port-blocking
  if (reason === 'bad port')
    return new CommandFailure(`${url} has a port that HTTP clients must not use; give another.`, EXIT.usage)
  if (NOT_TRUSTED.test(reason)) return failed(`is not trusted (${reason}). ${trust}`)
  if (url.startsWith('https:') && NO_TLS.test(reason))
    return failed(`is answered by a port that speaks no TLS (${reason}). ${other('http')}`)
  if (url.startsWith('http:') && (CLOSED.test(reason) || NO_HTTP.test(reason)))
    return failed(`is answered by a port that speaks no plain HTTP (${reason}). ${other('https')}`)
  if (CLOSED.test(reason) || NO_HTTP.test(reason))
    return failed(`was answered and then closed (${reason}). Is it the right port?`)
  return failed(`is not reachable (${reason}). Is the suite running? npm start`)
}
