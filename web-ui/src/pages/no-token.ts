import { html, type Markup } from '@hallpass/pages'
import type { AccessSummary } from '../sessions/index.ts'
import type { Site } from './shell.ts'

/**
 * Refusals that do not pass with time: the provider wants to see the user, or does not let this client renew (RFC 6749 §5.2,
 * OpenID Connect Core §3.1.2.6).
 */
const LASTING: readonly string[] = [
  'consent_required',
  'interaction_required',
  'login_required',
  'unauthorized_client',
]

/** Returns the notice for a user who is logged in but has no valid access token now; undefined if there is one. */
export function noTokenNotice(
  site: Site,
  { noToken, failure, nextAttemptAt }: AccessSummary,
  now: number,
  path: string,
): Markup | undefined {
  if (noToken === undefined) return undefined
  const loginAgain =
    site.loginUrl && html`<a class="button" href="${site.loginUrl}?returnTo=${path}">Log in again</a>`
  if (noToken === 'expired')
    return html`<div class="notice tone-warn stack" role="status">
      <p><b>Your access token has expired.</b> You are still logged in here, but the identity provider issued no refresh
        token, so the web UI cannot renew it and does not call the backends. Log in again to get a new one.</p>
      ${loginAgain && html`<p class="actions">${loginAgain}</p>`}
    </div>`
  const isLasting = failure !== undefined && LASTING.includes(failure.code)
  const waitS = Math.ceil(((nextAttemptAt ?? now) - now) / 1000)
  return html`<div class="notice tone-warn stack" role="status">
    <p><b>${causeOf(failure)}</b> You are still logged in here. But your access token has expired and only the provider can renew it, so the web UI
      does not call the backends now.${failure && html` Reason: <code>${failure.code}</code>.`}</p>
    <p>The web UI retries when you open a page${
      waitS > 0 ? `, the next time in ${waitS} s at the earliest` : ''
    }. ${
      isLasting
        ? 'This refusal usually lasts until you log in again.'
        : 'When the provider has renewed the token, everything works again without a new login.'
    }</p>
    <p class="actions"><a class="button" href="${path}">Try again</a>${isLasting && loginAgain}</p>
  </div>`
}

function causeOf(failure: AccessSummary['failure']): string {
  if (failure?.code === 'client_credential_unavailable')
    return 'The web UI cannot authenticate to the identity provider.'
  return failure?.isAnswered
    ? 'The identity provider does not renew your access token.'
    : 'The identity provider does not answer.'
}
