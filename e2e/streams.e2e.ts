import { describe, expect, it } from '@jest/globals'
import { type ClientOptions, curl, eventSource, type StreamClient } from './stream-clients.ts'
import { optionsFor, until } from './stream-system.ts'
import { useStreamSystem } from './use-stream-system.ts'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const expiryOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).exp * 1_000

/** The documented flow, fifteen times faster; its times are whole seconds. */
const LIFETIME_SECONDS = 2
const WINDOW_SECONDS = 1
/** Includes the time to run curl on a busy machine; the gateway's own tests measure its precision. */
const BUSY_MS = 900

describe('T01: the documented flow in real time', () => {
  const system = useStreamSystem({ env: { CHALLENGE_WINDOW_SECONDS: `${WINDOW_SECONDS}` } })

  it('keeps its times exactly, and sends each event once to every client that answers challenges', async () => {
    const newToken = () => system.token({}, LIFETIME_SECONDS)
    const [mute, ...tokens] = await Promise.all([newToken(), newToken(), newToken(), newToken()])
    const silent = curl(optionsFor(system, mute as string), '--http2')
    const [one, two, three] = tokens.map((token) => ({ ...optionsFor(system, token), newToken }))
    const clients: StreamClient[] = [
      curl(one as ClientOptions, '--http2'),
      curl(two as ClientOptions, '--http1.1'),
      eventSource(three as ClientOptions),
    ]
    await until(() => [silent, ...clients].every(({ seen }) => seen.has('stream')))

    const sent: string[] = []
    const started = Date.now()
    while (Date.now() - started < 2 * LIFETIME_SECONDS * 1_000 + 500) {
      sent.push(`Hello, world ${sent.length}`)
      await system.publish({ data: sent.at(-1) })
      if (sent.length === 1) {
        await until(() => clients.every(({ data }) => data.length === 1))
        expect(Date.now() - started).toBeLessThan(BUSY_MS)
      }
      await pause(50)
    }
    await until(() => clients.every(({ data }) => data.length >= sent.length))
    for (const client of clients) client.close()

    for (const { name, data, challenges, seen } of clients)
      expect([name, data, challenges >= 2, seen.has('end')]).toEqual([name, sent, true, false])
    const expiry = expiryOf(mute as string)
    const challenged = (silent.seen.get('challenge') as number) - (expiry - WINDOW_SECONDS * 1_000)
    const ended = (silent.seen.get('end') as number) - expiry
    expect(challenged).toBeGreaterThanOrEqual(0)
    expect(challenged).toBeLessThan(BUSY_MS)
    expect(ended).toBeGreaterThanOrEqual(0)
    expect(ended).toBeLessThan(BUSY_MS)
    expect(silent.seen.has('exit 0')).toBe(true)
    expect(system.log).not.toContain('eyJ')
  }, 30_000)
})
