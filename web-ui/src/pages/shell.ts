import { type Assets, type Content, html, type Markup } from '@hallpass/pages'
import type { Visitor } from '../sessions/index.ts'

/** What every page needs to know about the service. */
export interface Site {
  readonly assets: Assets
  /** The pages in the navigation. */
  readonly pages: readonly (readonly [path: string, label: string])[]
  /** Undefined if this service has no login. */
  readonly loginUrl: string | undefined
  /** The logout path of the gateway in front, if it handles the login. */
  readonly gatewayLogoutPath: string | undefined
}

export interface PageFrame {
  readonly title: string
  /** The path of the page in the navigation. */
  readonly current?: string
  readonly visitor: Visitor
  readonly content: Content
  /** Replaces the line about tokens. */
  readonly footer?: string | undefined
  /** Names of script files, loaded as modules. */
  readonly scripts?: readonly string[]
  /** Names of style sheets in addition to the shared one. */
  readonly styles?: readonly string[]
}

export function shell(
  site: Site,
  {
    title,
    current,
    visitor,
    content,
    footer = 'Your tokens stay on the server. No page contains one.',
    scripts = [],
    styles = [],
  }: PageFrame,
): Markup {
  const { assets } = site
  return html`<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${title} · Hallpass</title>
    <link rel="icon" href="${assets.url('mark.svg')}" type="image/svg+xml">
    <link rel="stylesheet" href="${assets.url('hallpass.css')}">
    ${styles.map((name) => html`<link rel="stylesheet" href="${assets.url(name)}">`)}
    ${scripts.map((name) => html`<script type="module" src="${assets.url(name)}"></script>`)}
  </head>
  <body>
    <a class="skip" href="#content">Skip to content</a>
    <header class="bar">
      <a class="brand" href="/"><img src="${assets.url('mark.svg')}" alt="" width="28" height="28"> Hallpass</a>
      <nav aria-label="Pages">
        ${site.pages.map(
          ([path, label]) =>
            html`<a href="${path}"${path === current && html` aria-current="page"`}>${label}</a>`,
        )}
      </nav>
      <div class="account">${account(site, visitor)}</div>
    </header>
    <main class="page" id="content">${content}</main>
    <footer class="foot">
      <span>${footer}</span>
    </footer>
  </body>
</html>`
}

function account(site: Site, { user, formToken }: Visitor): Content {
  if (!user) return site.loginUrl && html`<a class="button primary" href="${site.loginUrl}">Log in</a>`
  const who = html`<a href="/profile">${portrait(user.name, user.picture, 28)}<span>${user.name}</span></a>`
  if (formToken === undefined)
    return html`${who}${site.gatewayLogoutPath && html`<a class="button" href="${site.gatewayLogoutPath}">Log out</a>`}`
  return html`${who}
    <form method="post" action="/logout">
      <input type="hidden" name="form_token" value="${formToken}">
      <button>Log out</button>
    </form>`
}

/** Returns the user's picture, or the first letter of the name. Decorative: the name is next to it. */
export function portrait(name: string, picture: string | undefined, size: number): Markup {
  return picture === undefined
    ? html`<span class="initial" aria-hidden="true">${[...name][0]?.toUpperCase()}</span>`
    : html`<img src="${picture}" alt="" width="${size}" height="${size}" referrerpolicy="no-referrer">`
}
