import { type Content, html, type Markup } from '@hallpass/pages'
import type { BackendResult } from '../backends.ts'
import type { Visitor } from '../visitor.ts'
import { type Site, shell } from './shell.ts'

export function homePage(
  site: Site,
  visitor: Visitor,
  results: readonly BackendResult[],
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
          Each time you open this page, the web UI calls two backends on your behalf. They let in whoever holds a good
          access token, and say plainly why they let nobody else in.
        </p>
      </section>
      <section class="section" aria-labelledby="calls">
        <h2 id="calls">The calls made for this page</h2>
        <div class="cards">${results.map(callCard)}</div>
        ${traceId !== undefined && html`<p class="meta">Both calls, and this page, are trace <code>${traceId}</code> in every log.</p>`}
      </section>
      <section class="section" aria-labelledby="story">
        <h2 id="story">What happens between your click and an answer</h2>
        <ol class="steps">
          <li><h3>You log in elsewhere</h3><p>The identity provider learns who you are. This service never sees how.</p></li>
          <li><h3>A code comes back</h3><p>It is good once, for a minute, and only together with the secret that this browser’s login began with (PKCE).</p></li>
          <li><h3>Tokens stay here</h3><p>Your browser gets a cookie that means nothing elsewhere. No script can read a token, because no page holds one.</p></li>
          <li><h3>The backends verify</h3><p>Issuer, audience, type, expiry, signature. An ID token is refused: it says who you are, not what you may do.</p></li>
        </ol>
      </section>`,
  })
}

const headline = ({ user }: Visitor) => (user ? `Hello, ${user.name}.` : 'Nobody gets past without a pass.')

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
    <pre class="code" tabindex="0" aria-label="The answer of ${result.peer}">${text}</pre>
    ${challenge !== undefined && html`<p class="meta"><code>WWW-Authenticate: ${challenge}</code></p>`}`
}

function reason({ withToken }: BackendResult, status: number): string {
  if (status === 401)
    return withToken
      ? 'The backend does not accept your token. Below it says why.'
      : 'You are not logged in, so the call carried no token.'
  if (status === 403)
    return withToken
      ? 'It knows who you are, and you may not. Your token lacks what this backend asks for.'
      : 'The way to the backend is closed: a policy on the way refused the call.'
  return `The backend answered ${status}, which is not what was asked for.`
}
