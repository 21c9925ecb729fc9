import { type Assets, html, type Markup } from '@hallpass/pages'
import { shell } from './shell.ts'

/** What went wrong, by the name that OAuth has for it, and in words; and the way to the application, which is behind whoever came here by Back. */
export function problemPage(assets: Assets, webUiUrl: string, code: string, description: string): Markup {
  return shell(
    assets,
    'That did not work',
    html`<h1>That did not work</h1>
      <p class="lede">${description}</p>
      <p><code>${code}</code></p>
      <p class="actions"><a class="button primary" href="${webUiUrl}">Back to the web UI</a></p>`,
  )
}
