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
    if (problem.status >= 500) logFailure(log, toHttpError(thrown), { traceId: currentTrace()?.traceId })
    else if (thrown instanceof LoginRefused)
      log.warn({ code: problem.code }, `login rejected: ${thrown.message}`)
    sendPage(response, problemPage(site, problem), { status: problem.status })
  }
}

function describe(thrown: unknown): Problem {
  if (thrown instanceof LoginRefused)
    return {
      status: thrown.declined ? 401 : 400,
      code: thrown.code,
      title: thrown.declined ? 'You were not logged in' : 'Login could not be verified',
      message: thrown.declined
        ? `The identity provider declined: ${thrown.message}`
        : `The provider’s response failed verification: ${thrown.message}. You were not logged in.`,
      offer: 'login',
    }
  const { status, code, message } = toHttpError(thrown)
  return {
    status,
    code,
    title: TITLES[code] ?? titleOf(status),
    message,
    offer: OFFERS[code],
  }
}

const OFFERS: Readonly<Record<string, Problem['offer']>> = {
  no_login_attempt: 'login',
  form_token_missing: 'logout',
}

const TITLES: Readonly<Record<string, string>> = {
  no_login_attempt: 'Login expired or was not started in this browser',
  identity_not_verified: 'Identity headers could not be verified',
  state_unavailable: 'Sessions are not available',
  foreign_origin: 'Request from another origin',
  no_such_endpoint: 'Page not found',
}

function titleOf(status: number): string {
  if (status === 502 || status === 504) return 'A required service is unavailable'
  return status >= 500 ? 'Internal error' : 'Request failed'
}
