import type { IncomingMessage } from 'node:http'
import { HttpError } from '@hallpass/service-kit'

/** Returns the documented HTML page for a blocked caller, unless the caller accepts JSON. */
export function asPage(error: HttpError, { headers }: IncomingMessage): HttpError {
  const { status, code, message } = error
  if (code !== 'blocked' || headers.accept?.includes('json')) return error
  return new HttpError(status, code, message, { headers: { 'content-type': 'text/html' }, body: PAGE })
}

const PAGE = `<html>
<head><title>403 Forbidden</title></head>
<body>
<center><h1>403 Forbidden</h1></center>
<hr><center>hallpass</center>
</body>
</html>
`
