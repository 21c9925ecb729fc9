import { describe, expect, it } from '@jest/globals'
import { currentTrace, runInTrace, traceFrom, traceparent } from './trace.ts'

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

describe('traceFrom', () => {
  it('continues the trace of the caller with a span of its own', () => {
    const trace = traceFrom(PARENT)
    expect(trace).toMatchObject({ traceId: '0af7651916cd43dd8448eb211c80319c', parentId: 'b7ad6b7169203331' })
    expect(trace.spanId).toMatch(/^[0-9a-f]{16}$/)
    expect(trace.spanId).not.toBe(trace.parentId)
  })

  it.each([
    ['absent', undefined],
    ['of zeros', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`],
    ['in capitals', PARENT.toUpperCase()],
    ['with more behind it', `${PARENT}-x`],
    ['with a line break', `${PARENT}\nx`],
  ])('starts a trace when the header is %s', (_, header) => {
    const trace = traceFrom(header)
    expect(trace.traceId).not.toBe('0af7651916cd43dd8448eb211c80319c')
    expect(trace.parentId).toBeUndefined()
  })
})

describe('traceparent', () => {
  it('names the current hop as the parent of the next', async () => {
    const trace = traceFrom(PARENT)
    await runInTrace(trace, async () => {
      await new Promise((resolve) => setImmediate(resolve))
      expect(traceparent()).toBe(`00-${trace.traceId}-${trace.spanId}-01`)
    })
    expect(currentTrace()).toBeUndefined()
  })
})
