import { html, type Markup } from '@hallpass/pages'
import type { Visitor } from '../sessions/index.ts'
import { type Site, shell } from './shell.ts'

export interface ExplorerParts {
  /** Whether the page can stop and start services. */
  readonly services: boolean
}

/** Returns the explorer's page; `explorer.js` draws the hops as they arrive. */
export function explorerPage(site: Site, visitor: Visitor, { services }: ExplorerParts): Markup {
  return shell(site, {
    title: 'Explorer',
    current: '/explorer',
    visitor,
    styles: ['explorer.css', ...(services ? ['explorer-services.css'] : [])],
    scripts: ['explorer.js', ...(services ? ['explorer-services.js'] : [])],
    content: html`
      <section class="intro">
        <h1>Follow a token through the services</h1>
        <p class="lede">
          Run a scenario. Each service reports its requests, calls and verified tokens; the diagram shows them live. Then
          run it with a bad token and see which service rejects it, and by which rule.
        </p>
      </section>
      <div class="explorer" id="explorer">
        <noscript><p class="notice">The explorer needs JavaScript. Without it, run the scenarios with curl; see the README.</p></noscript>
      </div>
      ${services && html`<section class="services" id="services" aria-labelledby="services-title"></section>`}`,
  })
}
