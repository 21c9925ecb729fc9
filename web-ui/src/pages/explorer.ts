import { html, type Markup } from '@hallpass/pages'
import type { Visitor } from '../visitor.ts'
import { type Site, shell } from './shell.ts'

export interface ExplorerParts {
  /** Whether services can be stopped and started here. */
  readonly services: boolean
}

/** The explorer: its picture is drawn by `explorer.js` from the hops that arrive. */
export function explorerPage(site: Site, visitor: Visitor, { services }: ExplorerParts): Markup {
  return shell(site, {
    title: 'Explorer',
    current: '/explorer',
    visitor,
    styles: ['explorer.css', ...(services ? ['explorer-services.css'] : [])],
    scripts: ['explorer.js', ...(services ? ['explorer-services.js'] : [])],
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
      </div>
      ${services && html`<section class="services" id="services" aria-labelledby="services-title"></section>`}`,
  })
}
