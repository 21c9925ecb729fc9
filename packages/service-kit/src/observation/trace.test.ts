import { afterEach, describe, expect, it } from '@jest/globals'
import { publishHopsTo } from './hops.ts'
import { currentTrace, nextHop, runInTrace, traceFrom } from './trace.ts'

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

describe('traceFrom', () => {
  it('continues the trace of the caller with a new span', () => {
    const trace = traceFrom(PARENT)
    expect(trace).toMatchObject({ traceId: '0af7651916cd43dd8448eb211c80319c', parentId: 'b7ad6b7169203331' })
    expect(trace.spanId).toMatch(/^[0-9a-f]{16}$/)
    expect(trace.spanId).not.toBe(trace.parentId)
  })

  it.each([
    ['absent', undefined],
    ['of zeros', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`],
    ['in capitals', PARENT.toUpperCase()],
    ['with trailing characters', `${PARENT}-x`],
    ['with a line break', `${PARENT}\nx`],
  ])('starts a trace if the header is %s', (_, header) => {
    const trace = traceFrom(header)
    expect(trace.traceId).not.toBe('0af7651916cd43dd8448eb211c80319c')
    expect(trace.parentId).toBeUndefined()
  })
})

describe('nextHop', () => {
  it('gives each call a new span under the current one', async () => {
    const trace = traceFrom(PARENT, 'service-a')
    await runInTrace(trace, async () => {
      await new Promise((resolve) => setImmediate(resolve))
      const [first, second] = [nextHop(), nextHop()]
      expect(first.trace).toMatchObject({
        traceId: trace.traceId,
        parentId: trace.spanId,
        service: 'service-a',
      })
      expect(first.trace.spanId).not.toBe(second.trace.spanId)
      expect(first.traceparent).toBe(`00-${trace.traceId}-${first.trace.spanId}-01`)
    })
    expect(currentTrace()).toBeUndefined()
  })

  it('keeps the caller’s sampling decision', () => {
    const trace = traceFrom(PARENT.replace(/01$/, '00'))
    expect(runInTrace(trace, nextHop).traceparent).toMatch(/-00$/)
  })
})

describe('sampling', () => {
  afterEach(() => publishHopsTo(undefined))

  it('samples no new trace while no publisher is set', () => {
    expect(traceFrom(undefined).sampled).toBe(false)
  })

  it('samples the first new traces, and a few per second under load', () => {
    publishHopsTo(() => {})
    const sampled = Array.from({ length: 1000 }, () => traceFrom(undefined)).filter((trace) => trace.sampled)
    expect(sampled.length).toBeGreaterThanOrEqual(20)
    expect(sampled.length).toBeLessThan(40)
  })
})
