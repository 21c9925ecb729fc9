import type { IncomingMessage } from 'node:http'

/** Returns the documented HTML page for a blocked caller, unless the caller accepts JSON. */
export function forbiddenPage({ headers }: IncomingMessage): { type: string; text: string } | undefined {
  if (headers.accept?.includes('json')) return undefined
  return { type: 'text/html', text: PAGE }
}

const PAGE = `<html>
<head><title>403 Forbidden</title></head>
<body>
<center><h1>403 Forbidden</h1></center>
<hr><center>hallpass</center>
</body>
</html>
`
