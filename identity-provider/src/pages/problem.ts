import { type Assets, html, type Markup } from '@hallpass/pages'
import { shell } from './shell.ts'

/**
 * Returns a page with an OAuth error code, its description, and a link to the application for users who came here with the
 * Back button.
 */
export function problemPage(assets: Assets, webUiUrl: string, code: string, description: string): Markup {
  return shell(
    assets,
    'Request failed',
    html`<h1>Request failed</h1>
      <p class="lede">${description}</p>
      <p><code>${code}</code></p>
      <p class="actions"><a class="button primary" href="${webUiUrl}">Back to the web UI</a></p>`,
  )
}
