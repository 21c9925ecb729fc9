import { type Assets, type Content, html, type Markup } from '@hallpass/pages'

/** The frame of every page of this provider: one card in the middle, in the design of the house. */
export function shell(assets: Assets, title: string, content: Content): Markup {
  return html`<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${title} · Hallpass identity provider</title>
    <link rel="icon" href="${assets.url('mark.svg')}" type="image/svg+xml">
    <link rel="stylesheet" href="${assets.url('hallpass.css')}">
  </head>
  <body class="lone">
    <main class="sheet">
      <p class="brand"><img src="${assets.url('mark.svg')}" alt="" width="28" height="28"> Hallpass <span>identity provider</span></p>
      ${content}
    </main>
    <p class="lone-note">For development: there are no passwords here, and nothing that needs one.</p>
  </body>
</html>`
}
