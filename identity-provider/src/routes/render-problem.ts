import { type Assets, sendPage } from '@hallpass/pages'
import type { ErrorRequestHandler } from 'express'
import { problemPage } from '../pages/problem.ts'

/** A failed page for a person; what is thrown elsewhere is for the service kit to answer. */
export function renderProblem(assets: Assets): ErrorRequestHandler {
  return (error: { status?: number; error?: string; message: string }, request, response, next) => {
    const expected = error.status !== undefined && error.status < 500 && typeof error.error === 'string'
    if (!expected || !request.accepts('html')) return next(error)
    const description =
      error.error === 'invalid_request' && /session/i.test(error.message)
        ? 'This sign-in has ended, or it was begun in another browser.'
        : error.message
    sendPage(response, problemPage(assets, String(error.error), description), {
      status: error.status as number,
    })
  }
}
