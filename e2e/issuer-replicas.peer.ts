import { describeWith } from '@hallpass/service-kit/testing'
import { parseCompact } from '@hallpass/tokens'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { ReplicatedIssuer } from './issuer-replicas.ts'

/** `LONG=1` for a longer run. */
const SECONDS = process.env.LONG ? 40 : 14
const PER_SECOND = 200
const ROTATIONS = 10
/** How long after a revocation or a withdrawal no replica may accept the token any more. */
const MAX_SEEN_MS = 1_000
/** A failover takes Sentinel half a second to notice the loss and one or two to elect; a loaded machine, longer. */
const MAX_FAILOVER_MS = 8_000

/** A request fails only if the replica that repeats it is killed too, or does not answer in time. */
const MAX_FAILED_BY_KILLS = 2

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

interface Outcome {
  readonly at: number
  readonly what: string
  readonly status: number
  readonly text: string
}

describeWith('redis-server', 'apt-get install redis-server')('an issuer of three replicas', () => {
  const issuer = new ReplicatedIssuer()
  const started = performance.now()
  const seconds = (at: number) => ((at - started) / 1000).toFixed(2)
  beforeAll(() => issuer.start(), 60_000)
  afterAll(() => issuer.stop())

  async function ask(url: string, body?: object, method = body ? 'POST' : 'GET'): Promise<Outcome> {
    const at = performance.now()
    const what = new URL(url).pathname
    try {
      const response = await fetch(url, {
        method,
        ...(body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {}),
      })
      return { at, what, status: response.status, text: await response.text() }
    } catch (error) {
      return { at, what, status: 0, text: String((error as Error).cause ?? error) }
    }
  }
  const replica = (index: number) => (issuer.replicas[index % 3] as (typeof issuer.replicas)[0]).url
  const verify = (url: string, keyId: string, token: string) =>
    ask(`${url}/verify/${keyId}`, { token, aud: 'serviceb', sub: keyId })
  /** Repeats a request until the issuer has done it. */
  async function untilDone(request: () => Promise<Outcome>): Promise<Outcome> {
    for (;;) {
      const outcome = await request()
      if (outcome.status === 200) return outcome
      if (outcome.status !== 0 && outcome.status < 500) throw new Error(outcome.text)
      await wait(50)
    }
  }
  const issue = async (keyId: string) =>
    (await untilDone(() => ask(`${issuer.issuerUrl}/issueToken/${keyId}`, { aud: 'serviceb' }))).text

  it(
    'answers rightly and refuses no valid token while it rotates, replicas are killed and Redis fails over',
    async () => {
      const end = performance.now() + SECONDS * 1000
      const isRunning = () => performance.now() < end
      const answers: Outcome[] = []
      const wrong: string[] = []
      const refused: string[] = []
      const failures: Outcome[] = []
      const notes: string[] = []
      let failoverAt = 0
      const seenMs: Record<string, number[]> = { revocation: [], withdrawal: [] }
      /** Tokens that must be valid at the end, at every replica. */
      const valid: { readonly keyId: string; readonly token: string }[] = []

      async function scenario(number: number) {
        const isBad = number % 10 === 9
        const which = (number % 4) + 1
        const outcome = await ask(
          `${issuer.serviceAUrl}/scenario${which}${isBad ? '?fault=wrong-audience' : ''}`,
        )
        answers.push(outcome)
        if (outcome.status !== 200) {
          failures.push(outcome)
          return
        }
        const body = JSON.parse(outcome.text)
        const results = which % 2 === 1 ? [body] : Object.values(body as object)
        const verdicts = results.map(({ valid: isValid }) => isValid)
        // In scenario 2, only the second token has the fault.
        const expected = !isBad
          ? results.map(() => true)
          : which === 2
            ? [true, false]
            : results.map(() => false)
        verdicts.forEach((verdict, index) => {
          if (verdict === expected[index]) return
          ;(verdict ? wrong : refused).push(
            `${seconds(outcome.at)} ${outcome.what} ${outcome.text.slice(0, 300)}`,
          )
        })
      }

      const load = (async () => {
        const running: Promise<void>[] = []
        const begun = performance.now()
        for (let number = 0; isRunning(); number += 1) {
          const early = begun + (number * 1000) / PER_SECOND - performance.now()
          if (early > 1) await wait(early)
          running.push(scenario(number))
        }
        await Promise.all(running)
      })()

      let rotations = 0
      const rotate = (async () => {
        while (isRunning()) {
          const at = rotations
          const answer = await untilDone(() => ask(`${replica(at)}/keys/servicea`, undefined, 'POST'))
          rotations += 1
          valid.push({ keyId: 'servicea', token: await issue('servicea') })
          await wait(Math.max(0, (SECONDS * 1000) / (ROTATIONS + 2) - (performance.now() - answer.at)))
        }
      })()

      /** Ends the validity of a token through one replica, and measures until when any replica accepts it. */
      async function endValidity(
        kind: string,
        round: number,
        change: (url: string, token: string) => Promise<Outcome>,
      ) {
        const token = await issue('probe')
        for (const { url } of issuer.replicas) {
          const before = await verify(url, 'probe', token)
          if (before.status === 403) refused.push(`${seconds(before.at)} ${kind} ${before.text}`)
        }
        await untilDone(() => change(replica(round), token))
        const changedAt = performance.now()
        let lastAccepted = changedAt
        while (performance.now() < changedAt + MAX_SEEN_MS + 500) {
          const asked = await Promise.all(issuer.replicas.map(({ url }) => verify(url, 'probe', token)))
          for (const { at, status } of asked) if (status === 200) lastAccepted = Math.max(lastAccepted, at)
          await wait(5)
        }
        seenMs[kind]?.push(lastAccepted - changedAt)
      }
      const probes = (async () => {
        for (let round = 0; isRunning(); round += 1) {
          await endValidity('revocation', round, async (url, token) => {
            const at = performance.now()
            const body = new URLSearchParams({ token })
            try {
              const { status } = await fetch(`${url}/revoke`, { method: 'POST', body })
              return { at, what: '/revoke', status, text: '' }
            } catch {
              return { at, what: '/revoke', status: 0, text: '' }
            }
          })
          await endValidity('withdrawal', round + 1, (url, token) =>
            ask(`${url}/keys/probe/withdraw`, { kid: parseCompact(token).header.kid }),
          )
        }
      })()

      const kill = async (index: number) => {
        const { process } = issuer.replicas[index] as (typeof issuer.replicas)[0]
        notes.push(`${seconds(performance.now())} replica ${index} is killed`)
        await process.kill()
        await process.start()
        notes.push(`${seconds(performance.now())} replica ${index} is back`)
      }
      const faults = (async () => {
        const part = (SECONDS * 1000) / 7
        for (const index of [0, 1, 2]) {
          await wait(part)
          await kill(index)
        }
        await wait(part)
        failoverAt = performance.now()
        notes.push(`${seconds(failoverAt)} the master of Redis is killed`)
        await issuer.killMaster()
      })()

      await Promise.all([load, rotate, probes, faults])

      for (const { keyId, token } of valid)
        for (const { url } of issuer.replicas) {
          const outcome = await verify(url, keyId, token)
          if (outcome.status !== 200) refused.push(`at the end: ${outcome.status} ${outcome.text}`)
        }
      const spans = failures.map(({ at }) => at)
      const failed =
        failures.length === 0 ? 'none' : `${failures.length} from ${seconds(Math.min(...spans))} s`
      const kinds = new Map<string, number>()
      for (const { text } of failures) {
        const kind = text.replace(/localhost:\d+/g, 'localhost').slice(0, 160)
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
      }
      console.log(
        [
          `${answers.length} requests in ${SECONDS} s, ${rotations} rotations`,
          `wrong answers: ${wrong.length}, valid tokens refused: ${refused.length}, failed: ${failed}`,
          ...[...kinds].map(([kind, count]) => `  ${count} × ${kind}`),
          ...periods(spans).map(
            ([from, to, count]) => `  ${seconds(from)}–${seconds(to)} s: ${count} failed`,
          ),
          ...Object.entries(seenMs).map(
            ([kind, all]) => `${kind} seen by all within ${all.map((ms) => Math.round(ms)).join(', ')} ms`,
          ),
          ...notes,
          ...wrong,
          ...refused,
        ].join('\n'),
      )
      expect({ wrong, refused }).toEqual({ wrong: [], refused: [] })
      expect(rotations).toBeGreaterThanOrEqual(ROTATIONS)
      for (const all of Object.values(seenMs)) expect(Math.max(...all)).toBeLessThanOrEqual(MAX_SEEN_MS)
      const longest = Math.max(0, ...periods(spans).map(([from, to]) => to - from))
      expect(longest).toBeLessThan(MAX_FAILOVER_MS)
      // A second's requests are under way when the failover begins.
      const ofKills = failures.filter(({ at }) => at < failoverAt - 1_000)
      expect(ofKills.length).toBeLessThanOrEqual(MAX_FAILED_BY_KILLS)
    },
    (SECONDS + 60) * 1000,
  )
})

/** Groups times that are at most a second apart. */
function periods(times: readonly number[]): [from: number, to: number, count: number][] {
  const found: [number, number, number][] = []
  for (const time of times.toSorted((a, b) => a - b)) {
    const last = found.at(-1)
    if (last && time - last[1] < 1_000) {
      last[1] = time
      last[2] += 1
    } else found.push([time, time, 1])
  }
  return found
}
