import { isIP } from 'node:net'
import type { GrpcTarget } from '../grpc/client.ts'

/** The variable that tells workloads where the Workload API is (Workload Endpoint §4). */
export const ENDPOINT_VARIABLE = 'SPIFFE_ENDPOINT_SOCKET'

/** An address of the Workload API that is missing or not of the form that the standard allows. */
export class AddressError extends Error {
  readonly code: 'address_missing' | 'malformed_address'

  constructor(code: AddressError['code'], message: string) {
    super(message)
    this.name = 'AddressError'
    this.code = code
  }
}

/**
 * The address that was given, else the one in the environment.
 *
 * @throws AddressError
 */
export function resolveAddress(
  address: string | undefined,
  // biome-ignore lint/style/noProcessEnv: the standard makes this variable a part of every SPIFFE library.
  environment: Readonly<Record<string, string | undefined>> = process.env,
): GrpcTarget {
  const given = address ?? environment[ENDPOINT_VARIABLE]
  if (given === undefined || given === '')
    throw new AddressError('address_missing', 'workload endpoint socket address is not configured')
  return parseAddress(given)
}

/**
 * Makes the URI of a unix socket. The path is percent-encoded, so any folder name works: with a space, `%`, `#`, `?` or a letter
 * beyond ASCII. {@link parseAddress} and go-spiffe decode it.
 *
 * @param path absolute
 */
export const socketUri = (path: string): string =>
  `unix://${path.split('/').map(encodeURIComponent).join('/')}`

/** `sun_path` of unix(7) has 108 bytes on Linux, 104 on macOS and the BSDs; the last of them is zero. */
export const MAX_SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103

/** Says what is wrong with the path of a unix socket that is too long for the operating system; `undefined` if it is not. */
export function explainLongSocketPath(path: string): string | undefined {
  const bytes = Buffer.byteLength(path)
  if (bytes <= MAX_SOCKET_PATH_BYTES) return undefined
  return `path has ${bytes} bytes; this system allows ${MAX_SOCKET_PATH_BYTES}: ${JSON.stringify(path)}`
}

/** RFC 3986 Appendix B, for a URI that has a scheme. */
const URI =
  /^(?<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?:\/\/(?<authority>[^/?#]*))?(?<path>[^?#]*)(?<query>\?[^#]*)?(?<fragment>#.*)?$/s

interface UriParts {
  readonly authority: string | undefined
  readonly path: string
  readonly query: string | undefined
  readonly fragment: string | undefined
}

/**
 * Reads `unix:///path/of/socket` or `tcp://127.0.0.1:8000`. What has more parts is refused before anything is
 * connected: an address that two programs read differently leads one of them to a stranger.
 *
 * @throws AddressError
 */
export function parseAddress(address: string): GrpcTarget {
  if (!/^[\x21-\x7e]*$/.test(address) || /%(?![0-9A-Fa-f]{2})/.test(address) || address.startsWith(':'))
    refuse(`is not a valid URI: ${JSON.stringify(address)}${encodedForm(address)}`)
  const match = URI.exec(address)?.groups
  const scheme = match?.scheme?.toLowerCase()
  const parts = match as unknown as UriParts
  if (scheme === 'unix') return parseUnix(parts)
  if (scheme === 'tcp') return parseTcp(parts)
  return refuse('URI must have a "tcp" or "unix" scheme')
}

/** The remedy for the commonest of them, a path that was pasted as it is. */
const encodedForm = (address: string): string =>
  address.startsWith('unix:///')
    ? `; percent-encoded it is ${socketUri(address.slice('unix://'.length))}`
    : ''

function parseUnix({ authority, path, query, fragment }: UriParts): GrpcTarget {
  const must = (rule: string) => refuse(rule, 'unix socket URI')
  if (authority === undefined && !path.startsWith('/')) must('must not be opaque')
  if (authority?.includes('@')) must('must not include user info')
  if (!authority && path === '') must('must include a path')
  // Other libraries let it pass and connect to something else than was meant.
  if (authority) must('must not include an authority')
  if (query !== undefined) must('must not include query values')
  if (fragment !== undefined) must('must not include a fragment')
  const decoded = decodeURIComponent(path)
  if (decoded.includes('\0')) must('must not include a zero byte')
  // libuv would cut the path off and connect to another one.
  const tooLong = explainLongSocketPath(decoded)
  if (tooLong !== undefined) must(tooLong)
  return { path: decoded }
}

function parseTcp({ authority, path, query, fragment }: UriParts): GrpcTarget {
  const must = (rule: string) => refuse(rule, 'tcp socket URI')
  if (authority === undefined && path !== '' && !path.startsWith('/')) must('must not be opaque')
  if (authority?.includes('@')) must('must not include user info')
  if (!authority) return must('must include a host')
  if (path !== '') must('must not include a path')
  if (query !== undefined) must('must not include query values')
  if (fragment !== undefined) must('must not include a fragment')
  const match = /^(?:\[(?<ipv6>[^\]]*)\]|(?<host>[^:]*))(?::(?<port>\d*))?$/.exec(authority)?.groups
  const host = match?.ipv6 ?? match?.host ?? ''
  if (isIP(host) === 0) must('host component must be an IP:port')
  const port = Number(match?.port || 0)
  if (port < 1 || port > 65_535) must('host component must include a port')
  return { host, port }
}

function refuse(rule: string, what = ''): never {
  throw new AddressError('malformed_address', `workload endpoint ${what || 'socket'} ${rule}`)
}
