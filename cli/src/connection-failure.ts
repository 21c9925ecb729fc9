import { peerFailure } from '@hallpass/service-kit/peers'
import { CommandFailure, EXIT, reasonOf } from './failure.ts'

/** OpenSSL's codes of an answer that is not TLS. */
export const NO_TLS =
  /^(EPROTO|ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNSUPPORTED_PROTOCOL))$/
/** Codes of a connection that the peer closed without an answer; the last is undici's. */
export const CLOSED = /^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/

/** Turns a failed connection into a message with its cause and fix. */
export function connectionFailure(
  url: string,
  error: unknown,
  trust = 'Pass its CA with --ca file.pem.',
): CommandFailure {
  if (error instanceof CommandFailure) return error
  const { code } = peerFailure({ peer: url, address: url, timeoutMs: 0 }, error)
  const reason = code === 'peer_timeout' ? 'no answer in time' : reasonOf(error)
  const failed = (text: string) => new CommandFailure(`${url} ${text}`, EXIT.unreachable)
  const other = (scheme: string) => `Try ${url.replace(/^https?:/, `${scheme}:`)}`
  const noHttp = CLOSED.test(reason) || code === 'peer_unexpected_answer'
  if (url.startsWith('https:') && NO_TLS.test(reason))
    return failed(`does not speak TLS (${reason}). ${other('http')}`)
  if (code === 'peer_not_trusted') return failed(`failed TLS verification (${reason}). ${trust}`)
  if (url.startsWith('http:') && noHttp)
    return failed(`does not speak plain HTTP (${reason}). ${other('https')}`)
  if (noHttp) return failed(`closed the connection without a valid answer (${reason}). Check the port.`)
  return failed(`is not reachable (${reason}). Is the suite running? npm start`)
}
