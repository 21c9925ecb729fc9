import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { describe, expect, it } from '@jest/globals'
import { readBounded } from './read-bounded.ts'

const of = (...chunks: string[]) => {
  const body = new PassThrough()
  for (const chunk of chunks) body.write(chunk)
  return body
}
const TOO_LARGE = {
  status: 413,
  body: { error: { code: 'body_too_large', message: 'The body is larger than 3 bytes.' } },
}

describe('readBounded', () => {
  it('reads a body of at most the size, also one that has ended', async () => {
    expect(String(await readBounded(of('ab', 'c').end(), {}, 3))).toBe('abc')
    const ended = of().end()
    ended.resume()
    await once(ended, 'end')
    expect(await readBounded(ended, {}, 3)).toHaveLength(0)
  })

  it('rejects a larger one before it ends, and by its declared length before it begins', async () => {
    await expect(readBounded(of('ab', 'cd'), {}, 3)).rejects.toMatchObject(TOO_LARGE)
    await expect(readBounded(of(), { 'content-length': '4' }, 3)).rejects.toMatchObject(TOO_LARGE)
  })

  it('waits no longer than the deadline', async () => {
    await expect(readBounded(of('a'), {}, 3, 20)).rejects.toMatchObject({
      status: 408,
      body: { error: { code: 'body_too_slow', message: 'The body was sent too slowly.' } },
    })
  })

  it('rejects a body that the client does not complete', async () => {
    const body = of('a')
    const reading = readBounded(body, {}, 3)
    body.destroy()
    await expect(reading).rejects.toMatchObject({
      status: 400,
      body: {
        error: { code: 'request_aborted', message: 'The request ended before its body was complete.' },
      },
    })
  })
})
