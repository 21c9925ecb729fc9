import { type Assets, sendPage } from '@hallpass/pages'
import type { ErrorRequestHandler } from 'express'
import { problemPage } from '../pages/index.ts'

/** Shows the library's errors to browsers as a page; passes all other errors on to the service kit. */
export function renderProblem(assets: Assets, webUiUrl: string): ErrorRequestHandler {
  return (error: ProviderError, request, response, next) => {
    const expected =
      error.status !== undefined && (error.status < 500 || error.status === 503) && error.error !== undefined
    if (!expected || request.accepts(['json', 'html']) !== 'html') return next(error)
    const { name, message, error_description = message } = error
    const description =
      name === 'SessionNotFound'
        ? 'This login has expired, or it was started in another browser. Start again from the application.'
        : error_description
    sendPage(response, problemPage(assets, webUiUrl, error.error as string, description), {
      status: error.status as number,
    })
  }
}

/** An error of oidc-provider, or any other error. */
interface ProviderError extends Error {
  readonly status?: number
  readonly error?: string
  readonly error_description?: string
}
