import type { IncomingMessage } from 'node:http'
import { bearerToken, type Handler } from '@hallpass/service-kit'
import { parseCompact } from '@hallpass/tokens'

interface Guards {
  readonly realm: string
  readonly issuer: string
  /** The guard for tokens of this issuer. */
  readonly guard: Handler
  /** The guard for all other requests, also those without a token that can be read. */
  readonly otherwise: Handler
}

/**
 * Returns a guard that selects the guard of the token's issuer. The issuer is not verified here: it only selects who verifies,
 * and each guard accepts only its own issuer, with that issuer's keys.
 */
export function byTokenIssuer({ realm, issuer, guard, otherwise }: Guards): Handler {
  return (request, response, next) => {
    const selected = unverifiedIssuer(request, realm) === issuer ? guard : otherwise
    return selected(request, response, next)
  }
}

function unverifiedIssuer(request: IncomingMessage, realm: string): unknown {
  try {
    return parseCompact(bearerToken(request, realm)).payload.iss
  } catch {
    // The guard reports what is wrong.
    return undefined
  }
}
