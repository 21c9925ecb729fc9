import type { IncomingMessage } from 'node:http'
import {
  bearerToken,
  type Handler,
  HttpError,
  refusePlainTransport,
  silentLog,
  UnusableKeys,
  type Warnings,
} from '@hallpass/service-kit'
import type { CallersFile, CallersFileOptions } from './callers-file.ts'
import type { CallersConfig } from './config.ts'
import { clientCredential } from './oauth/index.ts'
import type { Caller, ClientAuthentication } from './trusted-callers.ts'

/** The guard in front of a service's routes. */
export interface CallerGuard {
  /** Reads the trusted-callers file. Must be awaited before the service listens. @throws {ConfigError} */
  load(): Promise<void>
  /** Accepts only trusted callers; {@link callerOf} then returns the caller. */
  readonly known: Handler
  /** Accepts only callers with the `admin` right. */
  readonly admin: Handler
  /**
   * Accepts only trusted callers, as OAuth clients of an endpoint whose form is in `request.body`: with an assertion in
   * the form or the header, or with the certificate of the connection.
   */
  readonly client: Handler
  /** Returns how clients can authenticate now. */
  authentication(): ClientAuthentication
  /** For the `warnings` of the service: reports a changed trusted-callers file that was refused, and unusable keys. */
  readonly warnings: Warnings
}

const callers = new WeakMap<IncomingMessage, Caller>()

/** Returns the caller of a guarded request, or undefined if the service is unauthenticated. */
export const callerOf = (request: IncomingMessage): Caller | undefined => callers.get(request)

/** Creates a guard. @param audience this service's own name, which must be the audience of a caller's credential. */
export function callerGuard(
  config: CallersConfig,
  audience: string,
  options: CallersFileOptions = {},
): CallerGuard {
  if (config.mode === 'open') return sameForAll(rejectLinks, ['none'])
  if (config.mode === 'closed') return sameForAll(rejectAll, [])
  const unusable = new UnusableKeys(options.log ?? silentLog)
  let trusted: CallersFile | undefined
  const loaded = (): CallersFile => {
    if (!trusted) throw new Error('The guard was used before load() had read the trusted-callers file.')
    return trusted
  }
  const identify = async (request: IncomingMessage): Promise<Caller> => {
    if (config.requiresTls) refusePlainTransport(request)
    const caller = await loaded().identify(credentialOf(request, audience))
    callers.set(request, caller)
    return caller
  }
  return {
    load: async () => {
      // Imported only here: its YAML parser, schema and SPIFFE take 50 ms and 8 MB, which an open service does not need.
      const { CallersFile } = await import('./callers-file.ts')
      const file = new CallersFile(config, audience, { ...options, unusable })
      await file.load()
      trusted = file
    },
    warnings: { TRUSTED_CALLERS_FILE: () => trusted?.warning(), ...unusable.warnings },
    known: async (request, _response, next) => {
      await identify(request)
      next()
    },
    admin: async (request, _response, next) => {
      const caller = await identify(request)
      if (!caller.admin)
        throw new HttpError(
          403,
          'not_an_administrator',
          `${caller.subject} is not allowed to administer this service.`,
        )
      next()
    },
    client: async (request, _response, next) => {
      if (config.requiresTls) refusePlainTransport(request)
      callers.set(request, await loaded().identifyClient(clientCredential(request, audience)))
      next()
    },
    authentication: () => loaded().authentication,
  }
}

const sameForAll = (handler: Handler, methods: readonly string[]): CallerGuard => ({
  load: () => Promise.resolve(),
  warnings: {},
  known: handler,
  admin: handler,
  client: handler,
  authentication: () => ({ methods, scopes: [] }),
})

/** The listener already rejects requests from other sites' pages; this also rejects navigation by a link on one of them. */
const rejectLinks: Handler = (request, _response, next) => {
  if (request.headers['sec-fetch-site'] === 'cross-site')
    throw new HttpError(
      403,
      'foreign_origin',
      'This endpoint does not accept requests from links on other sites.',
    )
  next()
}

const rejectAll: Handler = () => {
  throw new HttpError(
    403,
    'closed',
    'This operation is disabled. List allowed callers in TRUSTED_CALLERS_FILE.',
  )
}

function credentialOf(request: IncomingMessage, realm: string): string {
  try {
    return bearerToken(request, realm)
  } catch (error) {
    if (!(error instanceof HttpError) || error.status !== 401) throw error
    throw new HttpError(
      401,
      'invalid_client',
      'Client authentication is required. Send a signed assertion as the bearer token.',
      {
        headers: error.headers,
      },
    )
  }
}
