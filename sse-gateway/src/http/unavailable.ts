import { HttpError } from '@hallpass/service-kit'

/** Clients that are rejected together should not retry together. */
const jitteredSeconds = () => 1 + Math.floor(Math.random() * 4)

/** Returns an error for something temporarily unavailable, with `Retry-After`: by default a random one to four seconds. */
export const unavailable = (
  status: 502 | 503 | 504,
  code: string,
  message: string,
  cause?: unknown,
  retryAfterSeconds = jitteredSeconds(),
) => new HttpError(status, code, message, { cause, headers: { 'retry-after': `${retryAfterSeconds}` } })
