import { type Assets, html, sendPage } from '@hallpass/pages'
import type { RequestHandler } from 'express'

/** `GET /dashboard.html`: the tier as it is now; a script keeps it up to date from `/status`. */
export function showDashboard(assets: Assets): RequestHandler {
  const page = html`<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Token cache</title>
<link rel="stylesheet" href="${assets.url('dashboard.css')}">
<script type="module" src="${assets.url('dashboard.js')}"></script>
</head>
<body></body>
</html>`
  return (_request, response) => sendPage(response, page, { policy: { scripts: true, connect: ["'self'"] } })
}
