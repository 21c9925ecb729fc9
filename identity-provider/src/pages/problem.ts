import { type Assets, html, type Markup } from '@hallpass/pages'
import { shell } from './shell.ts'

/** What went wrong, by the name that OAuth has for it, and in words. */
export function problemPage(assets: Assets, code: string, description: string): Markup {
  return shell(
    assets,
    'That did not work',
    html`<h1>That did not work</h1>
      <p class="lede">${description}</p>
      <p><code>${code}</code></p>
      <p>Go back to where you came from and start again.</p>`,
  )
}
