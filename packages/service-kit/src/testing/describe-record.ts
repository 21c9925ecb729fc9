import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, it } from '@jest/globals'
import { type HopEvent, publishHopsTo } from '../observation/hops.ts'

/** The parts of a response that show the record. */
export interface RecordedAnswer {
  readonly status: number
  /** The value of `x-request-id`; a header that was sent twice would contain both values. */
  readonly requestId: unknown
}

type Headers = Readonly<Record<string, string>>

/** A real service whose records are tested, called over its own protocol. */
export interface RecordedSubject {
  readonly service: string
  /** The path that `ask` requests. */
  readonly path: string
  /** The label of the metric for that path. */
  readonly route: string
  /** Sends a GET that is answered 200, with `?q=hidden`. */
  readonly ask: (headers: Headers) => Promise<RecordedAnswer>
  /** Sends a request that is rejected for `reason`. */
  readonly beRefused: (headers: Headers) => Promise<RecordedAnswer>
  readonly reason: string
  /** Sends a request and disconnects before the response is complete. */
  readonly leave: (headers: Headers) => Promise<unknown>
  /** Returns everything that was logged. */
  readonly log: () => string
  readonly metrics: () => Promise<string>
}

const TRACE_ID = 'a'.repeat(32)
const PARENT_ID = 'b'.repeat(16)
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/

/** Tests the record of every request, for any service and protocol. */
export function describeRecord(name: string, subject: () => RecordedSubject): void {
  /** Returns the log line of a request, which is written a moment after its response. */
  async function lineOf(requestId: string): Promise<Record<string, unknown>> {
    const { log, service } = subject()
    for (let tries = 0; tries < 300; tries += 1) {
      const lines = log()
        .split('\n')
        .filter((line) => line.includes('"msg":"request"'))
        .map((line) => JSON.parse(line))
        .filter((line) => line.requestId === requestId && line.service === service)
      if (lines.length > 1) throw new Error(`Found ${lines.length} log lines of ${requestId}.`)
      if (lines[0]) return lines[0]
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    throw new Error(`No log line of ${requestId}: ${log().slice(-2000)}`)
  }

  describe(`the record of a request: ${name}`, () => {
    afterEach(() => publishHopsTo(undefined))

    it('uses the id of the caller and returns it once', async () => {
      expect(await subject().ask({ 'x-request-id': 'abc-123_4.5' })).toEqual({
        status: 200,
        requestId: 'abc-123_4.5',
      })
      const id = randomUUID()
      const refused = await subject().beRefused({ 'x-request-id': id })
      expect(refused.requestId).toBe(id)
      expect(await lineOf(id)).toMatchObject({ status: refused.status, reason: subject().reason })
    })

    it.each([
      ['longer than 64 characters', 'x'.repeat(65)],
      ['more than one word', 'two words'],
      ['two', 'one, two'],
    ])('creates an id if the caller’s is %s', async (_, given) => {
      const { status, requestId } = await subject().ask({ 'x-request-id': given })
      expect([status, requestId]).toEqual([200, expect.stringMatching(UUID)])
    })

    it('continues the caller’s trace, is logged without the query, and is counted by its route', async () => {
      const { ask, log, metrics, path, route, service } = subject()
      const id = randomUUID()
      await ask({ 'x-request-id': id, traceparent: `00-${TRACE_ID}-${PARENT_ID}-00` })
      const line = await lineOf(id)
      expect(line).toMatchObject({ method: 'GET', path, status: 200, service, traceId: TRACE_ID })
      expect(line.ms).toEqual(expect.any(Number))
      expect(line).not.toHaveProperty('aborted')
      expect(line).not.toHaveProperty('reason')
      expect(log()).not.toContain('hidden')
      const labels = `service="${service}",method="GET",route="${route}",status="200"`
      expect(await metrics()).toContain(`http_request_duration_seconds_count{${labels}}`)
    })

    it('marks the response as incomplete if the caller disconnects', async () => {
      const id = randomUUID()
      await subject().leave({ 'x-request-id': id })
      expect(await lineOf(id)).toMatchObject({ aborted: true })
    })

    it('becomes a hop if the trace is watched', async () => {
      const hops: HopEvent[] = []
      publishHopsTo((hop) => hops.push(hop))
      const { ask, path, service } = subject()
      const id = randomUUID()
      await ask({ 'x-request-id': id, traceparent: `00-${TRACE_ID}-${PARENT_ID}-01` })
      await lineOf(id)
      expect(hops.filter((hop) => hop.kind === 'request' && hop.service === service)).toMatchObject([
        { traceId: TRACE_ID, parentId: PARENT_ID, method: 'GET', path, status: 200 },
      ])
    })
  })
}
