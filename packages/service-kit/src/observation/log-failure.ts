import type { HttpError } from '../errors.ts'
import type { Logger } from './log.ts'

/**
 * Logs why a request got a 5xx. An expected failure (keys not created yet, an unavailable peer, too many requests) is a
 * warning with its code; anything else is a bug and is logged with its stack.
 */
export function logFailure(
  log: Logger,
  error: HttpError,
  fields: Readonly<Record<string, unknown>> = {},
): void {
  const { code, message, cause } = error
  if (code === UNFORESEEN) log.error({ err: cause ?? error, code, ...fields }, message)
  else log.warn({ code, ...reasonOf(cause), ...fields }, message)
}

/** The code that `toHttpError` gives to any other thrown value. */
const UNFORESEEN = 'internal_error'

/** Returns the message of the cause, if it has one: it may come from a peer, a file or the system. */
function reasonOf(cause: unknown): { cause?: string } {
  const { code, message } = (cause ?? {}) as { code?: unknown; message?: unknown }
  const words = message || code
  return words === undefined ? {} : { cause: String(words) }
}
