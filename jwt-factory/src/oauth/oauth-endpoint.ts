import { formBody, type Handler, HttpError, toHttpError } from '@hallpass/service-kit'
import type { ErrorRequestHandler, Request } from 'express'

/** The endpoints whose requests are forms of authenticated clients, and whose errors are those of RFC 6749 §5.2. */
export const OAUTH_ENDPOINTS = ['/token', '/introspect', '/revoke']

/** The parameters of `/token` that may be repeated (RFC 8707 §2, RFC 8693 §2.1). */
const REPEATABLE = ['resource', 'audience']
/** Parameters that no URL may contain, because URLs end up in logs (RFC 6749 §2.3.1, RFC 7662 §2.1). */
const SECRETS = ['token', 'client_assertion', 'client_secret', 'access_token']

/** Reads the form of an OAuth endpoint. */
export const oauthForm: Handler = (request, response, next) => {
  const secret = SECRETS.find((name) => request.query[name] !== undefined)
  if (secret !== undefined)
    throw new HttpError(
      400,
      'invalid_request',
      `The parameter ${secret} must be in the form, not in the URL.`,
    )
  return readForm(request, response, next)
}
const readForm = formBody({ repeatable: REPEATABLE })

/** Returns a parameter of the form; one without a value counts as omitted (RFC 6749 §3.2). */
export function parameter(request: Request, name: string): string | undefined {
  const form = request.body as Readonly<Record<string, unknown>>
  const value = Object.hasOwn(form, name) ? form[name] : undefined
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Returns the values of a parameter that may be repeated. */
export function parameters(request: Request, name: string): string[] {
  const form = request.body as Readonly<Record<string, unknown>>
  const values = Object.hasOwn(form, name) ? form[name] : []
  return Array.isArray(values) ? values.filter((value) => value !== '') : []
}

/** RFC 6749 §3.2, RFC 7662 §2.1, RFC 7009 §2.1: clients must use POST. */
export const postOnly: Handler = (request) => {
  throw new HttpError(405, 'method_not_allowed', `${request.path} accepts only POST.`, {
    headers: { allow: 'POST' },
  })
}

/** The errors of RFC 6749 §5.2, RFC 8707 §2 and RFC 7009 §2.2.1 that the handlers throw as they are. */
const ERRORS: ReadonlySet<string> = new Set([
  'invalid_client',
  'invalid_request',
  'invalid_scope',
  'invalid_target',
  'unauthorized_client',
  'unsupported_grant_type',
])

/**
 * Renders the errors of a client's request as RFC 6749 §5.2 says; the log keeps the more specific code. Failures of the
 * service (5xx) have no form there, so they stay as they are everywhere: their code names what failed.
 */
export const oauthErrors: ErrorRequestHandler = (thrown, _request, _response, next) => {
  const error = toHttpError(thrown)
  if (error.status >= 500) return next(error)
  const { code, message } = error
  // An unknown client failed to authenticate, although its issuer is trusted.
  const isUnknown = code === 'caller_not_listed'
  next(
    new HttpError(isUnknown ? 401 : error.status, code, message, {
      cause: error.cause,
      headers: isUnknown ? { 'www-authenticate': 'Bearer error="invalid_client"' } : error.headers,
      body: { error: isUnknown ? 'invalid_client' : nameOf(error), error_description: description(message) },
    }),
  )
}

function nameOf({ code, status }: HttpError): string {
  if (ERRORS.has(code)) return code
  // RFC 6749 §4.1.2.1 has a name for it, although not for these endpoints.
  return status === 429 ? 'temporarily_unavailable' : 'invalid_request'
}

/** Replaces the characters that RFC 6749 §5.2 does not allow in a description. */
const description = (message: string) =>
  message
    .replaceAll('§', 'section ')
    .replace(/["’“”]/g, "'")
    .replace(/[^\x20-\x5b\x5d-\x7e]/g, '?')
