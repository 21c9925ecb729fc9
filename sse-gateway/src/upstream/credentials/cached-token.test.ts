import { describe, expect, it } from '@jest/globals'
import { CachedToken } from './cached-token.ts'

/** A cache whose clock and issuer the test controls. */
function cached(lifetimeMs: number | undefined) {
  const issuer = { calls: 0, fails: false, lifetimeMs }
  const time = { now: 1_000 }
  const tokens = new CachedToken(
    async () => {
      issuer.calls += 1
      await Promise.resolve()
      if (issuer.fails) throw new Error(`failure ${issuer.calls}`)
      return { value: `token ${issuer.calls}`, lifetimeMs: issuer.lifetimeMs }
    },
    () => time.now,
  )
  const value = async () => (await tokens.get()).value
  return { issuer, time, tokens, value }
}

describe('a cached token', () => {
  it('is requested once for all that wait, and used again', async () => {
    const { issuer, value } = cached(3_600_000)
    expect(await Promise.all([value(), value(), value()])).toEqual(['token 1', 'token 1', 'token 1'])
    expect([await value(), issuer.calls]).toEqual(['token 1', 1])
  })

  it.each([
    [3_600_000, 3_540_000],
    [120_000, 90_000],
    [2_000, 1_500],
  ])('of %d ms is replaced after %d ms', async (lifetimeMs, after) => {
    const { time, value } = cached(lifetimeMs)
    await value()
    time.now += after - 1
    expect(await value()).toBe('token 1')
    time.now += 1
    expect(await value()).toBe('token 2')
  })

  it('without a lifetime is used until it is rejected', async () => {
    const { time, tokens, value } = cached(undefined)
    const token = await tokens.get()
    time.now += 1e12
    expect(await value()).toBe('token 1')
    expect((await tokens.after(token))?.value).toBe('token 2')
  })

  it('is used until it expires if the next one cannot be had; then the error is thrown', async () => {
    const { issuer, time, value } = cached(120_000)
    await value()
    issuer.fails = true
    time.now += 90_000
    expect([await value(), issuer.calls]).toEqual(['token 1', 2])
    time.now += 29_999
    expect(await value()).toBe('token 1')
    time.now += 1
    await expect(value()).rejects.toThrow('failure 3')
    issuer.fails = false
    time.now += 1_000
    expect(await value()).toBe('token 4')
  })

  it('that cannot be had is requested once in a second, however many ask', async () => {
    const { issuer, time, value } = cached(120_000)
    issuer.fails = true
    for (let count = 0; count < 5; count += 1) await expect(value()).rejects.toThrow('failure 1')
    time.now += 999
    await expect(value()).rejects.toThrow('failure 1')
    time.now += 1
    await expect(value()).rejects.toThrow('failure 2')
  })
})

describe('a token that the upstream rejects', () => {
  it('is replaced once, for all connections, unless it is new', async () => {
    const { issuer, time, tokens } = cached(3_600_000)
    const first = await tokens.get()
    expect([await tokens.after(first), issuer.calls]).toEqual([undefined, 1])
    time.now += 10_000
    const [one, two] = await Promise.all([tokens.after(first), tokens.after(first)])
    expect([one?.value, two, issuer.calls]).toEqual(['token 2', one, 2])
    // A connection that was rejected with the first one meanwhile gets the second, which was not tried.
    expect([await tokens.after(first), issuer.calls]).toEqual([one, 2])
    expect([await tokens.after(one as NonNullable<typeof one>), issuer.calls]).toEqual([undefined, 2])
  })

  it('stays in use if no other can be had', async () => {
    const { issuer, time, tokens, value } = cached(3_600_000)
    const first = await tokens.get()
    issuer.fails = true
    time.now += 10_000
    await expect(tokens.after(first)).rejects.toThrow('failure 2')
    expect(await value()).toBe('token 1')
  })
})
