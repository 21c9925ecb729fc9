import { type Assets, sendPage } from '@hallpass/pages'
import type { ErrorRequestHandler } from 'express'
import { problemPage } from '../pages/problem.ts'

/** A failed page for a person; what is thrown elsewhere is for the service kit to answer. */
export function renderProblem(assets: Assets, webUiUrl: string): ErrorRequestHandler {
  return (error: ProviderError, request, response, next) => {
    const expected = error.status !== undefined && error.status < 500 && error.error !== undefined
    if (!expected || request.accepts(['json', 'html']) !== 'html') return next(error)
    const { name, message, error_description = message } = error
    const description =
      name === 'SessionNotFound'
        ? 'This login has ended, or it was begun in another browser.'
        : error_description
    sendPage(response, problemPage(assets, webUiUrl, error.error as string, description), {
      status: error.status as number,
    })
  }
}

/** What oidc-provider throws, and anything else. */
interface ProviderError extends Error {
  readonly status?: number
  readonly error?: string
  readonly error_description?: string
}
