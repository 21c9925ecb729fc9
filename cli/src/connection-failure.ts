import { CommandFailure, EXIT, reasonOf } from './failure.ts'

/** OpenSSL's and Node's codes of certificates that failed verification. */
const NOT_TRUSTED = /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO/
/** OpenSSL's codes of an answer that is not TLS. */
const NO_TLS =
  /^(EPROTO|ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNSUPPORTED_PROTOCOL))$/
/** Codes of a connection that the peer closed without an answer; the last is undici's. */
const CLOSED = /^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/
/** Codes of the HTTP parser for an answer that is not HTTP. */
const NO_HTTP = /^HPE_/

/** Turns a failed connection into a message with its cause and fix. */
export function connectionFailure(
  url: string,
  error: unknown,
  trust = 'Pass its CA with --ca file.pem.',
): CommandFailure {
  if (error instanceof CommandFailure) return error
  const reason = reasonOf(error)
  const failed = (text: string) => new CommandFailure(`${url} ${text}`, EXIT.unreachable)
  const other = (scheme: string) => `Try ${url.replace(/^https?:/, `${scheme}:`)}`
  // The Fetch standard blocks some ports: https://fetch.spec.whatwg.org/#port-blocking
  if (reason === 'bad port')
    return new CommandFailure(
      `${url} has a port that HTTP clients must not use. Choose another port.`,
      EXIT.usage,
    )
  if (NOT_TRUSTED.test(reason)) return failed(`failed TLS verification (${reason}). ${trust}`)
  if (url.startsWith('https:') && NO_TLS.test(reason))
    return failed(`does not speak TLS (${reason}). ${other('http')}`)
  if (url.startsWith('http:') && (CLOSED.test(reason) || NO_HTTP.test(reason)))
    return failed(`does not speak plain HTTP (${reason}). ${other('https')}`)
  if (CLOSED.test(reason) || NO_HTTP.test(reason))
    return failed(`closed the connection without a valid answer (${reason}). Check the port.`)
  return failed(`is not reachable (${reason}). Is the suite running? npm start`)
}
