import { type Assets, html, sendPage } from '@hallpass/pages'
import type { Handler } from '@hallpass/service-kit'

/** The page's own files, and the shared ones. */
export interface DashboardAssets {
  readonly own: Assets
  readonly house: Assets
}

/** The figures of the whole tier, each with its meaning. */
const FIGURES = [
  ['hits', 'Hits', 'used a cached token'],
  ['misses', 'Misses', 'waited for a new token'],
  ['issuerCalls', 'Issuer calls', 'tokens requested, renewals included'],
  ['entries', 'Entries', 'in the shared store'],
  ['stale', 'Stale', 'used an older token: no new one was available'],
  ['blocked', 'Blocked', 'requests of blocked callers'],
  ['limited', 'Limited', 'requests over a user’s token limit'],
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
  'Copies in memory',
] as const

/** Handles `GET /dashboard.html`; the page's script fills in the figures from `/status`. */
export function showDashboard({ own, house }: DashboardAssets): Handler {
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
    <a class="skip" href="#content">Skip to content</a>
    <header class="bar">
      <a class="brand" href="/dashboard.html"><img src="${house.url('mark.svg')}" alt="" width="28" height="28"> Hallpass <span>token cache</span></a>
    </header>
    <main class="page" id="content">
      <section class="intro">
        <h1>One cache, several proxies</h1>
        <p class="lede">Each request is forwarded with a token of its user. A token is issued once and shared by all proxies.</p>
        <p id="state" class="status tone-info" role="status">Connecting to the proxy</p>
        <noscript><p class="notice tone-warn">This page needs JavaScript. <a href="/status">/status</a> has the same figures as JSON.</p></noscript>
      </section>

      <section class="section" aria-labelledby="tier">
        <h2 id="tier">All proxies together</h2>
        <dl class="figures">
          ${FIGURES.map(
            ([id, name, meaning]) =>
              html`<div><dt>${name}</dt><dd id="tier-${id}">–</dd><dd class="meta">${meaning}</dd></div>`,
          )}
        </dl>
        <figure class="card chart">
          <figcaption class="card-head"><h3>Requests per second</h3><span class="legend"><i class="hit"></i> hits <i class="miss"></i> misses</span></figcaption>
          <svg id="chart" viewBox="0 0 600 120" preserveAspectRatio="none" role="img" aria-label="No requests yet"></svg>
          <p class="meta" id="chart-words">Requests in each second of the last minute.</p>
        </figure>
      </section>

      <section class="section" aria-labelledby="proxies">
        <h2 id="proxies">Proxies</h2>
        <div class="scroll" tabindex="0" role="region" aria-labelledby="proxies">
          <table class="table">
            <thead><tr>${PROXY_COLUMNS.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
            <tbody id="peers"></tbody>
          </table>
        </div>
      </section>

      <section class="section" aria-labelledby="users">
        <h2 id="users">Block a user</h2>
        <p>Blocks every client of the user at every proxy for five minutes. To block a user for longer, deny it at the auth tier.</p>
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
        <h2 id="keys">Block one client of a user</h2>
        <p>Enter a key from the list of <a href="/api/8/http/keyvals/tokens">all pairs</a>, for example <code>user1:curl/7.86.0</code>. Other clients of the user (with another <code>user-agent</code>) are not blocked.</p>
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
    <footer class="foot"><span>Tokens are shown only by their <code>jti</code>.</span><a href="/metrics">Metrics</a><a href="/api/8/http/keyvals/tokens">All pairs as JSON</a></footer>
  </body>
</html>`
  return (_request, response) => sendPage(response, page, { policy: { scripts: true, connect: ["'self'"] } })
}
