import type { HttpError } from '../http/errors.ts'
import type { Logger } from './log.ts'

/**
 * Logs why a request got a 5xx. What the service has foreseen (keys that are not made yet, a peer that is away, too many
 * requests) is a warning with its code; anything else is a bug, with the stack.
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

/** What `toHttpError` makes of whatever is thrown and is no answer. */
const UNFORESEEN = 'internal_error'

/** The cause's own words, where it has any: it may be a peer's, a file's, the system's. */
function reasonOf(cause: unknown): { cause?: string } {
  const { code, message } = (cause ?? {}) as { code?: unknown; message?: unknown }
  const words = message || code
  return words === undefined ? {} : { cause: String(words) }
}
