import { type Assets, html, sendPage } from '@hallpass/pages'
import type { RequestHandler } from 'express'

/** The page's own files, and those of the house. */
export interface DashboardAssets {
  readonly own: Assets
  readonly house: Assets
}

/** The figures of the whole tier: which one, and what it says. */
const FIGURES = [
  ['hits', 'Hits', 'found a token'],
  ['misses', 'Misses', 'waited for a new token'],
  ['issuerCalls', 'Issuer calls', 'tokens asked for, renewals included'],
  ['entries', 'Entries', 'in the shared store'],
  ['stale', 'Stale', 'sent an older token, for want of a new one'],
  ['blocked', 'Blocked', 'requests of blocked callers'],
  ['limited', 'Limited', 'requests over a user’s limit of tokens'],
] as const

const PROXY_COLUMNS = [
  'Proxy',
  'Up for',
  'Hits',
  'Misses',
  'Issuer calls',
  'Stale',
  'Blocked',
  'Limited',
  'Blocks known',
  'Copies here',
] as const

/** `GET /dashboard.html`: the tier as it is now; the page's script keeps it so from `/status`. */
export function showDashboard({ own, house }: DashboardAssets): RequestHandler {
  const page = html`<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Token cache · Hallpass</title>
    <link rel="icon" href="${house.url('mark.svg')}" type="image/svg+xml">
    <link rel="stylesheet" href="${house.url('hallpass.css')}">
    <link rel="stylesheet" href="${own.url('dashboard.css')}">
    <script type="module" src="${own.url('dashboard.js')}"></script>
  </head>
  <body>
    <a class="skip" href="#content">Skip to the content</a>
    <header class="bar">
      <a class="brand" href="/dashboard.html"><img src="${house.url('mark.svg')}" alt="" width="28" height="28"> Hallpass <span>token cache</span></a>
    </header>
    <main class="page" id="content">
      <section class="intro">
        <h1>One cache, several proxies</h1>
        <p class="lede">Every request leaves with the token of its user. A token is made once, and all proxies share it.</p>
        <p id="state" class="status tone-info" role="status">Asking the proxy</p>
        <noscript><p class="notice tone-warn">The figures come by a script. Without it, <a href="/status">/status</a> has them as JSON.</p></noscript>
      </section>

      <section class="section" aria-labelledby="tier">
        <h2 id="tier">The tier</h2>
        <dl class="figures">
          ${FIGURES.map(
            ([id, name, meaning]) =>
              html`<div><dt>${name}</dt><dd id="tier-${id}">–</dd><dd class="meta">${meaning}</dd></div>`,
          )}
        </dl>
        <figure class="card chart">
          <figcaption class="card-head"><h3>Requests per second</h3><span class="legend"><i class="hit"></i> hits <i class="miss"></i> misses</span></figcaption>
          <svg id="chart" viewBox="0 0 600 120" preserveAspectRatio="none" role="img" aria-label="No requests yet"></svg>
          <p class="meta" id="chart-words">The last minute, by the second.</p>
        </figure>
      </section>

      <section class="section" aria-labelledby="proxies">
        <h2 id="proxies">The proxies</h2>
        <div class="scroll" tabindex="0" role="region" aria-labelledby="proxies">
          <table class="table">
            <thead><tr>${PROXY_COLUMNS.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
            <tbody id="peers"></tbody>
          </table>
        </div>
      </section>

      <section class="section" aria-labelledby="users">
        <h2 id="users">Block a user</h2>
        <p>Blocks every client of the user, at every proxy, for five minutes. Deny the user at the auth tier for longer.</p>
        <form id="user-form" class="card key" data-confirm="${house.url('confirm-action.js')}">
          <label for="user">User</label>
          <input id="user" name="user" autocomplete="off" spellcheck="false" required maxlength="128" placeholder="user1">
          <div class="actions">
            <button name="what" value="block" class="button">Block user</button>
            <button name="what" value="unblock" class="button">Unblock user</button>
            <button name="what" value="show" class="button">Look up user</button>
          </div>
          <p id="user-answer" class="code" role="status" hidden></p>
        </form>
      </section>

      <section class="section" aria-labelledby="keys">
        <h2 id="keys">One client of a user</h2>
        <p>A key as <a href="/api/8/http/keyvals/tokens">all pairs</a> list it, as in <code>user1:curl/7.86.0</code>. The user may go on with another <code>user-agent</code>.</p>
        <form id="key-form" class="card key" data-confirm="${house.url('confirm-action.js')}">
          <label for="key">Key</label>
          <input id="key" name="key" autocomplete="off" spellcheck="false" required placeholder="user1:curl/7.86.0">
          <div class="actions">
            <button name="what" value="show" class="button">Look up</button>
            <button name="what" value="block" class="button">Block</button>
            <button name="what" value="unblock" class="button">Unblock</button>
          </div>
          <p id="key-answer" class="code" role="status" hidden></p>
        </form>
      </section>
    </main>
    <footer class="foot"><span>Tokens are shown by their <code>jti</code>, never as such.</span><a href="/metrics">Metrics</a><a href="/api/8/http/keyvals/tokens">All pairs as JSON</a></footer>
  </body>
</html>`
  return (_request, response) => sendPage(response, page, { policy: { scripts: true, connect: ["'self'"] } })
}
