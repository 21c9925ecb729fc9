import { sendPage } from '@hallpass/pages'
import { currentTrace, type Logger, logFailure, toHttpError } from '@hallpass/service-kit'
import type { ErrorRequestHandler } from 'express'
import type { Site } from '../pages/index.ts'
import { type Problem, problemPage } from '../pages/index.ts'
import { LoginRefused } from '../provider/index.ts'

/** Renders every error as a page for browsers; other clients get JSON from the service kit. */
export function renderProblem(site: Site, log: Logger): ErrorRequestHandler {
  return (thrown: unknown, request, response, next) => {
    if (response.headersSent || request.accepts(['json', 'html']) !== 'html') return next(thrown)
    const problem = describe(thrown)
    response.set(toHttpError(thrown).headers)
    if (thrown instanceof LoginRefused) log.warn({ code: problem.code }, `login rejected: ${thrown.message}`)
    else if (problem.status >= 500) logFailure(log, toHttpError(thrown), { traceId: currentTrace()?.traceId })
    sendPage(response, problemPage(site, problem), { status: problem.status })
  }
}

function describe(thrown: unknown): Problem {
  if (thrown instanceof LoginRefused) return describeRefusal(thrown)
  const { status, code, message } = toHttpError(thrown)
  return {
    status,
    code,
    title: TITLES[code] ?? titleOf(status),
    message,
    offer: OFFERS[code],
  }
}

/** The errors with which a provider says that it is in trouble, not that it declines (RFC 6749 §4.1.2.1). */
const TEMPORARY: readonly string[] = ['temporarily_unavailable', 'server_error']

function describeRefusal({ code, message, declined }: LoginRefused): Problem {
  if (declined && TEMPORARY.includes(code))
    return {
      status: 503,
      code,
      title: 'The identity provider is unavailable',
      message: `The identity provider cannot log you in at the moment: ${message.replace(/\.$/, '')}. Try again in a minute.`,
      offer: 'login',
    }
  return {
    status: declined ? 401 : 400,
    code,
    title: declined ? 'You were not logged in' : 'Login could not be verified',
    message: declined
      ? `The identity provider declined: ${message}`
      : `The provider’s response failed verification: ${message}. You were not logged in.`,
    offer: 'login',
  }
}

const OFFERS: Readonly<Record<string, Problem['offer']>> = {
  no_login_attempt: 'login',
  form_token_missing: 'logout',
}

const TITLES: Readonly<Record<string, string>> = {
  no_login_attempt: 'Login expired or was not started in this browser',
  identity_not_verified: 'Identity headers could not be verified',
  client_credential_unavailable: 'Login is not available',
  state_unavailable: 'Sessions are not available',
  foreign_origin: 'Request from another origin',
  no_such_endpoint: 'Page not found',
}

function titleOf(status: number): string {
  if (status === 502 || status === 504) return 'A required service is unavailable'
  return status >= 500 ? 'Internal error' : 'Request failed'
}
