import type { Logger } from '@hallpass/service-kit'
import type { OpenidClient } from '../provider/index.ts'
import type { Session } from '../sessions/index.ts'

/**
 * Revokes the refresh tokens of ended sessions at the provider, in the background: a failure there must not delay the end of
 * a session here. One after another, and not after a failure, so that a provider in trouble gets no burst.
 */
export function revokeTokens(provider: OpenidClient, ended: readonly Session[], log: Logger): void {
  const revokeAll = async () => {
    for (const { tokens } of ended)
      if (tokens.refreshToken !== undefined) await provider.revoke(tokens.refreshToken)
  }
  void revokeAll().catch((error: Error) => log.warn(`refresh token not revoked: ${error.message}`))
}
