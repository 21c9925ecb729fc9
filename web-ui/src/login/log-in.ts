import type { Handler } from '@hallpass/service-kit'
import type { OpenidClient } from '../provider/index.ts'
import type { LoginAttempts } from './login-attempt.ts'
import { safeReturnTo } from './return-to.ts'

/** Handles `GET /login?returnTo=/path`: redirects to the provider; what the callback must match is in a sealed cookie. */
export function logIn(provider: OpenidClient, attempts: LoginAttempts, baseUrl: string): Handler {
  return async (request, response) => {
    const { url, attempt } = await provider.begin(safeReturnTo(request.query.returnTo, baseUrl))
    await attempts.begin(request, response, attempt)
    response.set('cache-control', 'no-store').redirect(303, url.href)
  }
}
