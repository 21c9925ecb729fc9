import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasProgram } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { useBrowser } from './browser.ts'
import { Firefox, missingFirefox } from './firefox.ts'
import {
  type ClientEnvironment,
  type ClientPage,
  type RunningClient,
  startInPage,
} from './foreign-clients/client.ts'
import { LIFETIME_SECONDS, useClientsSystem, WINDOW_SECONDS } from './foreign-clients/clients-system.ts'
import {
  AFTER_EXPIRY,
  BEFORE_CHALLENGE,
  describeAnswer,
  describeEnd,
  describeReceived,
  describeRejection,
  eventsOf,
  GOES_ON,
  hasAnswered,
} from './foreign-clients/observation.ts'
import { programs, versionOf } from './foreign-clients/programs.ts'
import type { OtherBrowser } from './other-browser.ts'
import { trustCertificate } from './trust-certificate.ts'
import { missingWebKit, WebKit } from './webkit.ts'

/** Enough for a browser or a JVM to do a step on a busy machine, and for three reconnections with back-off. */
const STEP_MS = 60_000
const README = join(import.meta.dirname, '../sse-gateway/README.md')

interface Client {
  readonly name: string
  readonly language: string
  readonly version: string
  /** Whether this repository decides the version; else it is that of the machine. */
  readonly isPinned: boolean
  readonly start: (environment: ClientEnvironment) => RunningClient | Promise<RunningClient>
}

type Row = readonly string[]
const HEADER: Row = ['client', 'language', 'version', 'receives', 'answers', 'end', 'after 401']

describe('foreign clients of the gateway', () => {
  const browsers: OtherBrowser[] = []
  const running: RunningClient[] = []
  const rows: Row[] = []

  const otherBrowser = (name: string, version: string, begin: () => Promise<OtherBrowser>): Client => ({
    name,
    language: 'browser',
    version,
    isPinned: false,
    async start(environment) {
      const browser = await begin()
      browsers.push(browser)
      await browser.open(`${system.url}/index.html`)
      return startInPage(browser, environment)
    },
  })

  const clients: Client[] = programs
    .filter(({ file }) => hasProgram(file, '.ci/install-peers clients'))
    .map((program) => ({ ...program, isPinned: program.language !== 'C' }))
  if (hasProgram('chromium', 'apt-get install chromium'))
    clients.push({
      name: 'Chromium, `EventSource`',
      language: 'browser',
      version: versionOf('chromium', '--version'),
      isPinned: false,
      async start(environment) {
        const page = await chromium.newPage()
        await page.goto(`${system.url}/index.html`)
        return startInPage(page as ClientPage, environment)
      },
    })
  // Not every Debian has them.
  const noFirefox = missingFirefox()
  if (noFirefox) console.warn(`skipped: ${noFirefox}`)
  else
    clients.push(
      otherBrowser('Firefox, `EventSource`', versionOf('firefox-esr', '--version'), () =>
        Firefox.start('light'),
      ),
    )
  const noWebKit = missingWebKit()
  if (noWebKit) console.warn(`skipped: ${noWebKit}`)
  else
    clients.push(
      otherBrowser('WebKit, `EventSource`', versionOf('dpkg-query', '--show', 'webkit2gtk-driver'), () =>
        WebKit.start('light'),
      ),
    )

  const system = useClientsSystem(clients.length)
  const chromium = useBrowser(() => [trustCertificate(system.certificate)])

  beforeAll(async () => {
    // One after another: the start of a browser or a JVM takes both cores.
    for (const [index, client] of clients.entries())
      running.push(await client.start(await system.environmentOf(index)))
    const everyClient = (condition: (client: RunningClient) => boolean) =>
      settled(() => running.every((client) => client.isClosed || condition(client)))

    await everyClient((client) => eventsOf(client, 'stream').length > 0)
    await system.publish(BEFORE_CHALLENGE)
    const last = BEFORE_CHALLENGE.at(-1)?.data as string
    await everyClient((client) => eventsOf(client, 'message').includes(last))
    system.advance(LIFETIME_SECONDS - WINDOW_SECONDS)
    await everyClient(hasAnswered)
    system.advance(WINDOW_SECONDS)
    await system.publish([AFTER_EXPIRY])
    await everyClient((client) => eventsOf(client, 'message').includes(AFTER_EXPIRY.data))
    const interrupted = clients.map((_, index) => system.endedStreams(index))
    system.advance(LIFETIME_SECONDS)
    await everyClient((client) => eventsOf(client, 'end').length > 0)
    await settled(() =>
      running.every((client, index) => client.isClosed || system.rejections(index) >= GOES_ON),
    )
    for (const [index, { name, language, version }] of clients.entries()) {
      const client = running[index] as RunningClient
      rows.push([
        name,
        language,
        version,
        describeReceived(client.records, interrupted[index] as number),
        describeAnswer(client.records),
        describeEnd(client),
        describeRejection(client, system.rejections(index)),
      ])
    }
    console.log([HEADER, HEADER.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n'))
  }, 300_000)
  afterAll(async () => {
    await Promise.all(running.map((client) => client.stop()))
    await Promise.all(browsers.map((browser) => browser.stop()))
  })

  it.each(clients.map(({ name, isPinned }, index) => [name, isPinned, index] as const))(
    '%s: does what the table of the README says',
    (name, isPinned, index) => {
      const measured = rows[index] as Row
      const documented = documentedRows().find(([first]) => first === name)
      const shown = (row: Row | undefined) =>
        row?.filter((_, column) => isPinned || HEADER[column] !== 'version')
      expect(shown(documented)).toEqual(shown(measured))
    },
  )

  it('the README names no other client', () => {
    const known = clients.map(({ name }) => name)
    const others = documentedRows().filter(([name]) => !known.includes(name as string))
    expect(process.env.CI === 'true' ? others : []).toEqual([])
  })
})

function documentedRows(): Row[] {
  const section = /\n## Foreign clients\n([\s\S]*?)\n## /.exec(readFileSync(README, 'utf8'))?.[1] ?? ''
  const lines = section.split('\n').filter((line) => line.startsWith('|'))
  return lines.slice(2).map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )
}

/** Waits for a state that some clients may never reach: what they did then is what the table shows. */
async function settled(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + STEP_MS
  while (!condition() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50))
}
