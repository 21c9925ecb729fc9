import { readFileSync } from 'node:fs'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { join } from 'node:path'

/** Exits with 0 if the service of this container is ready, else with 1. Calls HEALTH_URL, by default /readyz on PORT. */
const url = process.env.HEALTH_URL ?? `http://localhost:${process.env.PORT}/readyz`
const done = (response: IncomingMessage) => process.exit(response.statusCode === 200 ? 0 : 1)
const request = url.startsWith('https:')
  ? https.get(url, { ...ownCertificate(), timeout: 2_000 }, done)
  : http.get(url, { timeout: 2_000 }, done)
request.on('timeout', () => request.destroy(new Error('no answer within 2 s')))
request.on('error', (error) => {
  console.error(error.message)
  process.exit(1)
})

/** Returns the service's own certificate, which also serves as the client certificate where the service requires one. */
function ownCertificate() {
  const read = (name: string) =>
    readFileSync(join(process.env.STATE_FOLDER ?? '/state', 'certificates', name), 'utf8')
  return { ca: read('ca.pem'), cert: read('localhost.pem'), key: read('localhost-key.pem') }
}
