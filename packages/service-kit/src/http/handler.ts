import type { RequestHandler } from 'express'

/**
 * Handles a request, or calls `next` to leave it to the next handler; an error that it throws or rejects with is sent.
 */
export type Handler = RequestHandler
