import { sendPage } from '@hallpass/pages'
import { currentTrace, type Logger, logFailure, toHttpError } from '@hallpass/service-kit'
import type { ErrorRequestHandler } from 'express'
import { LoginRefused } from '../openid-client.ts'
import { type Problem, problemPage } from '../pages/problem.ts'
import type { Site } from '../pages/shell.ts'

/** Every failure as a page for a person; programs get JSON, from the service kit. */
export function renderProblem(site: Site, log: Logger): ErrorRequestHandler {
  return (thrown: unknown, request, response, next) => {
    if (response.headersSent || request.accepts(['json', 'html']) !== 'html') return next(thrown)
    const problem = describe(thrown)
    if (problem.status >= 500) logFailure(log, toHttpError(thrown), { traceId: currentTrace()?.traceId })
    else if (thrown instanceof LoginRefused)
      log.warn({ code: problem.code }, `login refused: ${thrown.message}`)
    sendPage(response, problemPage(site, problem), { status: problem.status })
  }
}

function describe(thrown: unknown): Problem {
  if (thrown instanceof LoginRefused)
    return {
      status: thrown.declined ? 401 : 400,
      code: thrown.code,
      title: thrown.declined ? 'You were not logged in.' : 'This login cannot be trusted.',
      message: thrown.declined
        ? `The identity provider says: ${thrown.message}`
        : `What came back does not belong to the login that began here: ${thrown.message}. You were not logged in.`,
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
  no_login_attempt: 'This login has no beginning.',
  identity_not_verified: 'You are not who the headers say.',
  foreign_origin: 'That came from somewhere else.',
  no_such_endpoint: 'There is no such page.',
}

function titleOf(status: number): string {
  if (status === 502 || status === 504) return 'Somebody we need is away.'
  return status >= 500 ? 'Something went wrong here.' : 'That did not work.'
}
