import type { JwtFactoryClient } from '@hallpass/jwt-factory/client'
import type { Fault } from './fault.ts'
import { SERVICE_A } from './identity.ts'
import type { SigningKeys } from './signing-keys.ts'

/** Makes a token of service A for one callee, or one with a fault that only its issuer can produce. */
export type TokenSource = (audience: string, fault: Fault | undefined) => Promise<string>

/** The key of another service, with which the factory never signs service A's tokens. */
const ANOTHER_KEY = 'serviceb'

/** Scenarios 1 and 2: the factory holds the keys and signs. */
export const factoryTokens =
  (factory: JwtFactoryClient): TokenSource =>
  (aud, fault) => {
    const expired = fault === 'expired'
    return fault === 'wrong-key'
      ? factory.issueToken(ANOTHER_KEY, { aud, sub: SERVICE_A }, { expired })
      : factory.issueToken(SERVICE_A, { aud }, { expired })
  }

/** Scenarios 3 and 4: service A signs its own tokens. */
export const ownTokens =
  (keys: SigningKeys): TokenSource =>
  (audience, fault) =>
    keys.sign(audience, { expired: fault === 'expired', strangerKey: fault === 'wrong-key' })
