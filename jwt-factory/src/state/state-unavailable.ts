import { HttpError } from '@hallpass/service-kit'
import { StoreUnavailableError } from '@hallpass/token-store'

/** A store fails over within seconds, and a full disk needs an operator; either way, a call now and then is enough. */
const RETRY_AFTER_SECONDS = 2

/** Makes the response for a request that could not read or change the state: nothing was changed or signed. */
export const stateUnavailable = (message: string, cause?: unknown) =>
  new HttpError(503, 'state_unavailable', message, {
    cause,
    headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
  })

/** Runs work on the state. @throws {HttpError} 503 `state_unavailable` if the store does not answer. */
export async function onState<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof StoreUnavailableError) throw stateUnavailable(error.message, error)
    throw error
  }
}
