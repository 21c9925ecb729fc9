import type { IncomingMessage } from 'node:http'
import { bearerToken, type Clock, type Handler, HttpError } from '@hallpass/service-kit'
import type { CallersConfig } from './config.ts'
import type { Caller, TrustedCallers } from './trusted-callers.ts'

/** What stands before the routes of a service that not everybody may use. */
export interface CallerGuard {
  /** Reads the trust file. To be awaited before the service listens. */
  load(): Promise<void>
  /** Lets trusted callers pass; {@link callerOf} then tells which one it is. */
  readonly known: Handler
  /** Lets callers pass that may administer the service. */
  readonly admin: Handler
}

const callers = new WeakMap<IncomingMessage, Caller>()

/** The caller of a guarded request, or `undefined` where the service is open to everybody. */
export const callerOf = (request: IncomingMessage): Caller | undefined => callers.get(request)

/** @param audience this service's own name, which a caller's proof must be made for. */
export function callerGuard(config: CallersConfig, audience: string, clock?: Clock): CallerGuard {
  if (config.mode === 'open') return { load: () => Promise.resolve(), known: refuseLinks, admin: refuseLinks }
  if (config.mode === 'closed') return { load: () => Promise.resolve(), known: refuseAll, admin: refuseAll }
  let trusted: TrustedCallers | undefined
  const identify = async (request: IncomingMessage): Promise<Caller> => {
    if (!trusted) throw new Error('The guard is used before it has loaded its trust file.')
    const caller = await trusted.identify(proofOf(request, audience))
    callers.set(request, caller)
    return caller
  }
  return {
    load: async () => {
      // With its YAML reader, schema and SPIFFE it takes 50 ms and 8 MB, which an open service should not pay.
      const { TrustedCallers } = await import('./trusted-callers.ts')
      trusted = await TrustedCallers.load(config.trustFile, audience, clock)
    },
    known: async (request, _response, next) => {
      await identify(request)
      next()
    },
    admin: async (request, _response, next) => {
      const caller = await identify(request)
      if (!caller.admin)
        throw new HttpError(403, 'not_an_administrator', `${caller.subject} may not administer this service.`)
      next()
    },
  }
}

/** The listener keeps the pages of other sites out; a link on one of them must not do here what a caller does either. */
const refuseLinks: Handler = (request, _response, next) => {
  if (request.headers['sec-fetch-site'] === 'cross-site')
    throw new HttpError(403, 'foreign_origin', 'A link on another site must not use this endpoint.')
  next()
}

const refuseAll: Handler = () => {
  throw new HttpError(403, 'closed', 'Nobody may do this here; TRUSTED_CALLERS_FILE names who may.')
}

function proofOf(request: IncomingMessage, realm: string): string {
  try {
    return bearerToken(request, realm)
  } catch (error) {
    if (!(error instanceof HttpError) || error.status !== 401) throw error
    throw new HttpError(401, 'invalid_client', 'The caller must prove who it is with a signed assertion.', {
      headers: error.headers,
    })
  }
}
