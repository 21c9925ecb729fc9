import { html, type Markup } from '@hallpass/pages'
import type { Visitor } from '../visitor.ts'
import { type Site, shell } from './shell.ts'

/** The explorer: its picture is drawn by `explorer.js` from the hops that arrive. */
export function explorerPage(site: Site, visitor: Visitor): Markup {
  return shell(site, {
    title: 'Explorer',
    current: '/explorer',
    visitor,
    styles: ['explorer.css'],
    scripts: ['explorer.js'],
    content: html`
      <section class="intro">
        <h1>Watch a token at work.</h1>
        <p class="lede">
          Run a scenario. Each service tells of the request it took, the call it made and the token it checked, and the
          picture draws itself from what they say. Then run it with a bad token, and see who stops it, and by which rule.
        </p>
      </section>
      <div class="explorer" id="explorer">
        <noscript><p class="notice">The picture is drawn by a script. Without one, run the scenarios with curl; the README shows how.</p></noscript>
      </div>`,
  })
}
