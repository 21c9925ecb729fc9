import { isIP } from 'node:net'
import type { GrpcTarget } from '../grpc/index.ts'

/** The environment variable with the address of the Workload API (Workload Endpoint §4). */
export const ENDPOINT_VARIABLE = 'SPIFFE_ENDPOINT_SOCKET'

/** Reports a missing or malformed address of the Workload API. */
export class AddressError extends Error {
  readonly code: 'address_missing' | 'malformed_address'

  constructor(code: AddressError['code'], message: string) {
    super(message)
    this.name = 'AddressError'
    this.code = code
  }
}

/**
 * Resolves the address: the given one, otherwise the one in the environment.
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
 * Makes the URI of a unix socket. The path is percent-encoded, so any folder name works, even with a space, `%`, `#`, `?` or a letter
 * beyond ASCII. {@link parseAddress} and go-spiffe decode it.
 *
 * @param path absolute
 */
export const socketUri = (path: string): string =>
  `unix://${path.split('/').map(encodeURIComponent).join('/')}`

/** `sun_path` of unix(7) has 108 bytes on Linux, 104 on macOS and the BSDs, including the terminating zero byte. */
export const MAX_SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103

/** Returns an explanation if a unix socket path is too long for the operating system; otherwise undefined. */
export function explainLongSocketPath(path: string): string | undefined {
  const bytes = Buffer.byteLength(path)
  if (bytes <= MAX_SOCKET_PATH_BYTES) return undefined
  return `path has ${bytes} bytes; this system allows ${MAX_SOCKET_PATH_BYTES}: ${JSON.stringify(path)}`
}

/** RFC 3986 Appendix B, for a URI with a scheme. */
const URI =
  /^(?<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?:\/\/(?<authority>[^/?#]*))?(?<path>[^?#]*)(?<query>\?[^#]*)?(?<fragment>#.*)?$/s

interface UriParts {
  readonly authority: string | undefined
  readonly path: string
  readonly query: string | undefined
  readonly fragment: string | undefined
}

/**
 * Parses `unix:///path/of/socket` or `tcp://127.0.0.1:8000`. Rejects all other URI parts before connecting: if two programs
 * read an address differently, one of them would connect to the wrong server.
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

/** Suggests the encoded form for the most common mistake, an unencoded path. */
const encodedForm = (address: string): string =>
  address.startsWith('unix:///')
    ? `; percent-encoded it is ${socketUri(address.slice('unix://'.length))}`
    : ''

function parseUnix({ authority, path, query, fragment }: UriParts): GrpcTarget {
  const must = (rule: string) => refuse(rule, 'unix socket URI')
  if (authority === undefined && !path.startsWith('/')) must('must not be opaque')
  if (authority?.includes('@')) must('must not include user info')
  if (!authority && path === '') must('must include a path')
  // Other libraries ignore it and connect to an unintended socket.
  if (authority) must('must not include an authority')
  if (query !== undefined) must('must not include query values')
  if (fragment !== undefined) must('must not include a fragment')
  const decoded = decodeURIComponent(path)
  if (decoded.includes('\0')) must('must not include a zero byte')
  // libuv would truncate the path and connect to another socket.
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
