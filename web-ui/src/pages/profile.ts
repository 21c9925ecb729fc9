import { type Content, html, type Markup } from '@hallpass/pages'
import type { AccessSummary, User, Visitor } from '../sessions/index.ts'
import { noTokenNotice } from './no-token.ts'
import { portrait, type Site, shell } from './shell.ts'

/** What the registered claims of an ID token mean (OpenID Connect Core §2, §5.1). */
const MEANINGS: Readonly<Record<string, string>> = {
  iss: 'issuer',
  sub: 'your permanent user ID',
  aud: 'intended recipient (audience)',
  exp: 'expires at',
  iat: 'issued at',
  auth_time: 'logged in at',
  nonce: 'bound to this login',
  at_hash: 'bound to the access token',
  sid: 'session ID at the provider',
  azp: 'requesting client',
}

const TIMES = new Set(['exp', 'iat', 'auth_time', 'nbf', 'updated_at'])

export function profilePage(site: Site, visitor: Visitor & { user: User }, now: number): Markup {
  const { user, access } = visitor
  return shell(site, {
    title: user.name,
    current: '/profile',
    visitor,
    content: html`
      <div class="beside"><section class="pass" aria-label="Your pass">
        <div class="pass-who">
          ${portrait(user.name, user.picture, 88)}
          <div>
            <h1>${user.name}</h1>
            ${user.nickname !== undefined && html`<p>${user.nickname}</p>`}
            ${typeof user.claims.email === 'string' && html`<p>${user.claims.email}</p>`}
          </div>
        </div>
        <p class="pass-stub"><span>issued by<b>${host(user.claims.iss)}</b></span><span>subject ${user.sub}</span></p>
      </section>
      ${access && accessSection(access, now)}</div>
      ${access && noTokenNotice(site, access, now, '/profile')}
      ${visitor.formToken !== undefined && html`<p class="actions"><a class="button" href="/sessions">Your sessions</a></p>`}
      <section class="section" aria-labelledby="claims">
        <h2 id="claims">Your ID token claims</h2>
        <p>The web UI verified the token’s signature. No page contains the token itself.</p>
        <dl class="facts card">
          ${Object.entries(user.claims).map(
            ([claim, value]) =>
              html`<dt><code>${claim}</code>${MEANINGS[claim] !== undefined && html`<small>${MEANINGS[claim]}</small>`}</dt>
              <dd>${shown(claim, value)}</dd>`,
          )}
        </dl>
      </section>`,
  })
}

function accessSection(access: AccessSummary, now: number): Markup {
  const { expiresAt, scope, canRefresh, refreshes, noToken, failure } = access
  return html`<section class="card" aria-labelledby="access">
    <h2 id="access">Your access token</h2>
    <p class="meta">The web UI sends it to the backends. It stays on the server.</p>
    <dl class="facts">
      <dt>Valid for</dt>
      <dd>${noToken === undefined ? validity(expiresAt, now) : 'expired'}</dd>
      <dt>Renewed</dt>
      <dd>${refreshes === 1 ? 'once' : `${refreshes} times`} in this session${canRefresh ? '' : '; without a refresh token you have to log in again'}${
        failure && html`; the last attempt failed: <code>${failure.code}</code>`
      }</dd>
      <dt>Scope</dt>
      <dd><code>${scope ?? 'as requested'}</code></dd>
    </dl>
  </section>`
}

const validity = (expiresAt: number | undefined, now: number) =>
  expiresAt === undefined ? 'an unknown time' : `another ${seconds(expiresAt - now)}`

const seconds = (milliseconds: number) => {
  const total = Math.max(0, Math.round(milliseconds / 1000))
  return total < 120 ? `${total} s` : `${Math.round(total / 60)} min`
}

const host = (issuer: unknown) =>
  typeof issuer === 'string' && URL.canParse(issuer) ? new URL(issuer).host : String(issuer)

function shown(claim: string, value: unknown): Content {
  if (TIMES.has(claim) && typeof value === 'number') {
    const iso = new Date(value * 1000).toISOString()
    return html`<time datetime="${iso}">${iso.replace('T', ' ').replace('.000Z', ' UTC')}</time>`
  }
  return typeof value === 'string' ? value : html`<code>${JSON.stringify(value)}</code>`
}
