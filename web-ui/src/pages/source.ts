import { html, type Markup } from '@hallpass/pages'
import type { Visitor } from '../visitor.ts'
import { type Site, shell } from './shell.ts'

/** A file of the checkout with an anchor for each line, so that a check can link to the one that decided. */
export function sourcePage(site: Site, visitor: Visitor, file: string, lines: readonly string[]): Markup {
  return shell(site, {
    title: file,
    visitor,
    styles: ['explorer.css'],
    content: html`
      <section class="intro">
        <h1 class="path">${file}</h1>
        <p class="lede">The line that decided is marked. This is the file of your checkout as it stands now, or in an image the one that it was made from.</p>
      </section>
      <ol class="source" tabindex="0" aria-label="${file}">
        ${lines.map((line, index) => html`<li id="L${index + 1}"><code>${line || ' '}</code></li>`)}
      </ol>`,
  })
}
