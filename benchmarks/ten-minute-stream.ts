/**
 * Runs the documented flow for ten minutes of real time: streams with 30-second tokens that answer each challenge, read with
 * curl over HTTP/2 and HTTP/1.1, npm's eventsource and Chromium; and one stream that answers none and is closed.
 *
 *   npx tsx benchmarks/ten-minute-stream.ts [seconds]
 */
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { curl, eventSource, type StreamClient } from '../e2e/stream-clients.ts'
import { optionsFor, StreamSystem, until } from '../e2e/stream-system.ts'
import { trustCertificate } from '../e2e/trust-certificate.ts'

const LIFETIME_SECONDS = 30
const WINDOW_SECONDS = 10
const EVENT_EVERY_MS = 500

const { positionals } = parseArgs({ allowPositionals: true })
const seconds = Number(positionals[0] ?? 600)

const system = new StreamSystem({
  env: {
    CHALLENGE_WINDOW_SECONDS: `${WINDOW_SECONDS}`,
    DEVELOPMENT_TOKEN_SECONDS: `${LIFETIME_SECONDS}`,
  },
})
await system.start()
const newToken = () => system.token({}, LIFETIME_SECONDS)
const expiryOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).exp * 1_000

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-background-networking',
    trustCertificate(system.certificate),
  ],
})
const mute = await newToken()
const silent = curl(optionsFor(system, mute), '--http2')
const clients = [
  curl({ ...optionsFor(system, await newToken()), newToken }, '--http2'),
  curl({ ...optionsFor(system, await newToken()), newToken }, '--http1.1'),
  eventSource({ ...optionsFor(system, await newToken()), newToken }),
  await chromiumPage(),
]
await until(() => [silent, ...clients].every(({ seen }) => seen.has('stream')), 20_000)

const sent: string[] = []
const started = Date.now()
while (Date.now() - started < seconds * 1_000) {
  sent.push(`${sent.length}`)
  await system.publish({ data: sent.at(-1) })
  const next = started + sent.length * EVENT_EVERY_MS
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - Date.now())))
}
await new Promise((resolve) => setTimeout(resolve, 1_000))

const rows = clients.map(({ name, data, challenges, seen }) => ({
  client: name,
  'seconds open': seconds,
  sent: sent.length,
  lost: sent.filter((text) => !data.includes(text)).length,
  duplicate: data.length - new Set(data).size,
  'in order': data.join() === [...data].sort((a, b) => Number(a) - Number(b)).join(),
  challenges,
  ended: seen.has('end'),
}))
console.table(rows)
const expiry = expiryOf(mute)
const late = (event: string, due: number) => (silent.seen.get(event) ?? Number.NaN) - due
console.log(
  `without a response: challenge ${late('challenge', expiry - WINDOW_SECONDS * 1_000)} ms after expiry − ${WINDOW_SECONDS} s, end ${late('end', expiry)} ms after expiry`,
)
for (const client of [silent, ...clients]) client.close()
await browser.close()
await system.stop()
const good = rows.every(({ lost, duplicate, ended }) => lost === 0 && duplicate === 0 && !ended)
console.log(good ? 'every client received every event exactly once' : 'FAILED')
process.exit(good ? 0 : 1)

/** Opens a stream with the page's own client in Chromium. */
async function chromiumPage(): Promise<StreamClient> {
  const page = await browser.newPage()
  page.on('console', (message) => {
    if (message.type() === 'error') console.log(`Chromium, ${new Date().toISOString()}: ${message.text()}`)
  })
  await page.goto(`${system.url}/index.html`)
  const notes = {
    name: 'Chromium',
    data: [] as string[],
    seen: new Map<string, number>(),
    challenges: 0,
    answers: 0,
  }
  await page.exposeFunction('note', (kind: string, text: string) => {
    if (kind === 'event') notes.data.push(text)
    else if (!notes.seen.has(kind)) notes.seen.set(kind, Date.now())
    if (kind === 'challenge') notes.challenges += 1
    if (kind === 'answer') notes.answers += 1
    if (kind === 'end' || kind === 'error')
      console.log(`Chromium, ${new Date().toISOString()}: ${kind}, ${text}`)
  })
  await page.evaluate(`import('/guarded-stream.js').then(({ GuardedStream }) =>
    new GuardedStream(new URL('/events', location.href).href, { onMessage: window.note, onToken() {}, onClosed() {} }).open())`)
  return Object.assign(notes, { close: () => void page.close() })
}
