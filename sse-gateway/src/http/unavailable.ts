import { HttpError } from '@hallpass/service-kit'

/** Clients that were refused together should not come back together. */
const jitteredSeconds = () => 1 + Math.floor(Math.random() * 4)

/** Returns the refusal of what is not there now, with `Retry-After`: by default one to four seconds, for each another. */
export const unavailable = (
  status: 502 | 503 | 504,
  code: string,
  message: string,
  cause?: unknown,
  retryAfterSeconds = jitteredSeconds(),
) => new HttpError(status, code, message, { cause, headers: { 'retry-after': `${retryAfterSeconds}` } })
