import { html, type Markup } from '@hallpass/pages'
import type { Visitor } from '../sessions/index.ts'
import { type Site, shell } from './shell.ts'

/** Returns the page of a source file with an anchor for each line, so that a check can link to its line. */
export function sourcePage(site: Site, visitor: Visitor, file: string, lines: readonly string[]): Markup {
  return shell(site, {
    title: file,
    visitor,
    styles: ['explorer.css'],
    content: html`
      <section class="intro">
        <h1 class="path">${file}</h1>
        <p class="lede">The line that made the decision is marked. The file is from your checkout as it is now, or, in a container image, from the build.</p>
      </section>
      <ol class="source" tabindex="0" aria-label="${file}">
        ${lines.map((line, index) => html`<li id="L${index + 1}"><code>${line || ' '}</code></li>`)}
      </ol>`,
  })
}
