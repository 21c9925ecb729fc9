import { beforeAll, describe, expect, it } from '@jest/globals'
import { ALGORITHMS, libraries, type SigningKey, staticKeys, TokenError, verifyToken } from '../index.ts'
import { forgeToken, testKey, type WrongToken, wrongTokens } from '../testing.ts'

const NOW = 1_800_000_000
const claims = { iss: 'https://issuer/', aud: 'serviceb', sub: 'servicea' }

const rules = (key: SigningKey) => ({
  issuer: claims.iss,
  audience: claims.aud,
  subject: claims.sub,
  keys: staticKeys(claims.iss, [key]),
  maxLifetimeSeconds: 300,
  clock: () => NOW * 1000,
})

let refused = 0

describe.each(ALGORITHMS)('a wrong token of a key for %s', (alg) => {
  let key: SigningKey
  let all: WrongToken[]
  beforeAll(async () => {
    key = testKey(alg, 'Key-1')
    all = wrongTokens({ key, claims, now: NOW, maxLifetimeSeconds: 300 })
  })

  it('would be valid without its fault', async () => {
    const header = { alg, typ: 'JWT', kid: key.kid }
    const token = forgeToken({ header, claims: { ...claims, exp: NOW + 1 }, key, alg })
    await expect(verifyToken(token, rules(key))).resolves.toMatchObject({ claims })
  })

  it('is rejected, for the expected reason, by every library that supports the algorithm', async () => {
    const mistakes: unknown[] = []
    for (const library of Object.values(libraries).filter(({ algorithms }) => algorithms.includes(alg)))
      for (const { attack, name, token, reason, message } of all) {
        const outcome = await verifyToken(token, { ...rules(key), library }).then(
          () => 'accepted',
          (error: unknown) => error,
        )
        const right =
          outcome instanceof TokenError &&
          outcome.reason === reason &&
          outcome.message === message &&
          outcome.checks.length > 0 &&
          outcome.checks.every(({ passed }, index) => passed === index < outcome.checks.length - 1)
        if (right) refused += 1
        else mistakes.push({ library: library.name, attack, name, reason, message, outcome })
      }
    expect(mistakes).toEqual([])
    // For the reader of the log only.
    process.stdout.write(`${alg}: ${all.length} wrong tokens, rejected ${refused} times so far\n`)
    expect(all.length).toBeGreaterThan(120)
  })

  it('results from changing any single character', async () => {
    const header = { alg, typ: 'JWT', kid: key.kid }
    const good = forgeToken({ header, claims: { ...claims, exp: NOW + 1 }, key, alg })
    for (let index = 0; index < good.length; index += 1)
      for (const other of [good[index] === 'A' ? 'B' : 'A', '.']) {
        const changed = `${good.slice(0, index)}${other}${good.slice(index + 1)}`
        if (changed !== good)
          await expect(verifyToken(changed, rules(key))).rejects.toBeInstanceOf(TokenError)
      }
  })

  it('is never quoted in the rejection', async () => {
    for (const { token } of all) {
      const error = await verifyToken(token, rules(key)).catch((thrown: TokenError) => thrown)
      const said = JSON.stringify([error, (error as TokenError).checks])
      const signature = token.split('.')[2]
      if (signature && signature.length > 20) expect(said).not.toContain(signature)
    }
  })
})
