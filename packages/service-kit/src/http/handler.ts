import type { RequestHandler } from 'express'

/** Handles a request of a route, or passes it on with `next`; what it throws, or rejects with, becomes the answer. */
export type Handler = RequestHandler
