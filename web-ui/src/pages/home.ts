import { type Content, html, type Markup } from '@hallpass/pages'
import type { BackendResult } from '../backends/index.ts'
import type { Visitor } from '../sessions/index.ts'
import { noTokenNotice } from './no-token.ts'
import { type Site, shell } from './shell.ts'

export function homePage(
  site: Site,
  visitor: Visitor,
  results: readonly BackendResult[],
  now: number,
  traceId?: string,
): Markup {
  return shell(site, {
    title: 'Home',
    current: '/',
    visitor,
    content: html`
      <section class="intro">
        <h1>${headline(visitor)}</h1>
        <p class="lede">
          Each time you open this page, the web UI calls two backends on your behalf. They accept a valid access token and
          explain every rejection.
        </p>
      </section>
      <section class="section" aria-labelledby="calls">
        <h2 id="calls">Calls made for this page</h2>
        ${
          visitor.access === undefined || visitor.access.noToken === undefined
            ? html`<div class="cards">${results.map(callCard)}</div>`
            : noTokenNotice(site, visitor.access, now, '/')
        }
        ${results.length > 0 && traceId !== undefined && html`<p class="meta">All logs contain these calls under the trace ID <code>${traceId}</code>.</p>`}
      </section>
      <section class="section" aria-labelledby="story">
        <h2 id="story">How login works</h2>
        <ol class="steps">
          <li><h3>You log in at the identity provider</h3><p>Only the identity provider sees your credentials.</p></li>
          <li><h3>It returns an authorization code</h3><p>The code works once, within a minute, and only with this login’s PKCE code verifier.</p></li>
          <li><h3>Tokens stay on this server</h3><p>Your browser gets only a session cookie. No script can read a token, because no page contains one.</p></li>
          <li><h3>The backends verify the access token</h3><p>They check issuer, audience, type, expiry and signature. They reject an ID token: it identifies you, but grants no access.</p></li>
        </ol>
      </section>`,
  })
}

const headline = ({ user }: Visitor) => (user ? `Hello, ${user.name}` : 'You are not logged in')

function callCard(result: BackendResult): Markup {
  const { tone, word } = verdict(result)
  return html`<article class="card call tone-${tone}" data-backend="${result.peer}">
    <header class="card-head">
      <h3>${result.title}</h3>
      <span class="status">${word}</span>
    </header>
    <p class="route"${tone !== 'good' && html` data-stopped`}><b>web-ui</b><i></i><b>${result.peer}</b></p>
    <p class="meta"><code>GET ${result.path}</code> · ${Math.round(result.milliseconds)} ms · ${
      result.withToken ? 'with your access token' : 'without a token'
    }</p>
    ${answer(result)}
  </article>`
}

function verdict(result: BackendResult): { tone: 'good' | 'bad' | 'warn'; word: string } {
  if ('failure' in result) return { tone: 'bad', word: 'no answer' }
  const { status } = result.answer
  if (status < 300) return { tone: 'good', word: String(status) }
  return { tone: status === 401 ? 'warn' : 'bad', word: String(status) }
}

function answer(result: BackendResult): Content {
  if ('failure' in result) return html`<p class="notice">${result.failure}</p>`
  const { status, body, challenge } = result.answer
  const text = typeof body === 'string' ? body : JSON.stringify(body, null, 2)
  return html`${status >= 300 && html`<p class="notice">${reason(result, status)}</p>`}
    <pre class="code" tabindex="0" aria-label="Answer of ${result.peer}">${text}</pre>
    ${challenge !== undefined && html`<p class="meta"><code>WWW-Authenticate: ${challenge}</code></p>`}`
}

function reason({ withToken }: BackendResult, status: number): string {
  if (status === 401)
    return withToken
      ? 'The backend rejected your token. Its reason is below.'
      : 'You are not logged in, so the call had no token.'
  if (status === 403)
    return withToken
      ? 'Your token is valid but lacks a scope that this backend requires.'
      : 'A mesh policy blocked the call.'
  return `The backend answered with the unexpected status ${status}.`
}
