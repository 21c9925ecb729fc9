import { type Assets, type Content, html, type Markup } from '@hallpass/pages'

/** Returns the frame of every page of this provider: one centered card in the shared design. */
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
    <p class="lone-note">For development only: this provider has no passwords.</p>
  </body>
</html>`
}
