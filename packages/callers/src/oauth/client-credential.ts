import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { badRequest, bearerToken, HttpError } from '@hallpass/service-kit'

/** The kinds of assertion that a form may contain: RFC 7523 §2.2, and draft-ietf-oauth-spiffe-client-auth §3.1. */
export const AssertionType = {
  jwtBearer: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  jwtSpiffe: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
} as const
export type AssertionType = (typeof AssertionType)[keyof typeof AssertionType]

/** What a request to an OAuth endpoint proves its client with. */
export interface ClientCredential {
  /** The assertion, from the form or the header. */
  readonly token?: string
  /** Undefined for an assertion in the header, which may be of any kind. */
  readonly type?: AssertionType
  /** The form's `client_id`. */
  readonly clientId?: string
  /** The client's certificate and those that it sent with it, as DER; empty without TLS. */
  readonly certificates: readonly Buffer[]
}

/** Longer chains do not occur in practice. */
const MAX_CHAIN = 8

/**
 * Returns the one credential of a request whose form is in `request.body`: an assertion in the form (RFC 7523 §2.2) or in
 * `Authorization: Bearer`, or else the certificate of its TLS connection (RFC 8705 §2).
 * @throws {HttpError} 400 `invalid_request` for several methods in one request (RFC 6749 §2.3) or an incomplete assertion,
 *   401 `invalid_client` without a credential or with an unsupported one
 */
export function clientCredential(request: IncomingMessage, realm: string): ClientCredential {
  const parameter = formOf(request)
  const { authorization } = request.headers
  const assertion = parameter('client_assertion')
  const type = parameter('client_assertion_type')
  const methods = [
    ...(authorization === undefined ? [] : ['the Authorization header']),
    ...(assertion === undefined && type === undefined ? [] : ['client_assertion']),
    ...(parameter('client_secret') === undefined ? [] : ['client_secret']),
  ]
  if (methods.length > 1) throw severalMethods(methods)

  const clientId = parameter('client_id')
  const shared = {
    ...(clientId === undefined ? {} : { clientId }),
    certificates: certificatesOf(request.socket as TLSSocket),
  }
  if (authorization !== undefined) return { ...shared, token: headerToken(request, realm) }
  if (parameter('client_secret') !== undefined)
    throw unsupported('this server has no client secrets', `Bearer realm="${realm}"`)
  if (assertion !== undefined && type !== undefined) {
    if (type !== AssertionType.jwtBearer && type !== AssertionType.jwtSpiffe)
      throw unsupported('the client_assertion_type is not supported', `Bearer realm="${realm}"`)
    return { ...shared, token: assertion, type }
  }
  if (assertion !== undefined || type !== undefined)
    throw badRequest(
      'invalid_request',
      'client_assertion and client_assertion_type must be sent together (RFC 7521 §4.2).',
    )
  if (shared.certificates.length > 0 && clientId !== undefined) return shared
  throw new HttpError(
    401,
    'invalid_client',
    shared.certificates.length > 0
      ? 'Client authentication with a certificate needs the client_id in the form (RFC 8705 §2.1).'
      : 'Client authentication is required. Send a client_assertion, or a signed assertion as the bearer token.',
    { headers: { 'www-authenticate': `Bearer realm="${realm}"` } },
  )
}

/** Creates the error of a request that authenticates its client twice. */
export const severalMethods = (methods: readonly string[]) =>
  badRequest(
    'invalid_request',
    `The request authenticates its client with ${methods.join(' and ')}. Use one method (RFC 6749 §2.3).`,
  )

/** Returns a reader of the form's parameters; one without a value counts as omitted (RFC 6749 §3.2). */
function formOf(request: IncomingMessage): (name: string) => string | undefined {
  const { body } = request as IncomingMessage & { body?: Readonly<Record<string, unknown>> }
  if (body === undefined) throw new Error('The form must be read before its client can be authenticated.')
  return (name) => {
    const value = Object.hasOwn(body, name) ? body[name] : undefined
    return typeof value === 'string' && value !== '' ? value : undefined
  }
}

/** Returns the assertion of the header; a challenge has the scheme that the client used (RFC 6749 §5.2). */
function headerToken(request: IncomingMessage, realm: string): string {
  try {
    return bearerToken(request, realm)
  } catch (error) {
    if (!(error instanceof HttpError) || error.status !== 401) throw error
    const isBasic = /^basic( |$)/i.test(request.headers.authorization ?? '')
    throw unsupported(
      isBasic
        ? 'this server has no client secrets'
        : 'the Authorization header must be Bearer with a signed assertion',
      `${isBasic ? 'Basic' : 'Bearer'} realm="${realm}"`,
    )
  }
}

const unsupported = (why: string, challenge: string) =>
  new HttpError(401, 'invalid_client', `Client authentication failed: ${why}.`, {
    headers: { 'www-authenticate': challenge },
  })

/**
 * Returns what the client sent in the TLS handshake, which proves that it has the key of the first certificate. Nothing
 * about the chain is verified yet.
 */
function certificatesOf(socket: Partial<Pick<TLSSocket, 'getPeerCertificate'>>): Buffer[] {
  const certificates: Buffer[] = []
  let next = socket.getPeerCertificate?.(true)
  while (next?.raw && certificates.length < MAX_CHAIN) {
    const { raw } = next
    // A self-signed certificate is its own issuer.
    if (certificates.some((certificate) => certificate.equals(raw))) break
    certificates.push(raw)
    next = next.issuerCertificate
  }
  return certificates
}
