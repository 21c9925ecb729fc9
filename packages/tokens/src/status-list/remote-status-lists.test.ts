import { randomBytes } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from '@jest/globals'
import {
  generateSigningKey,
  remoteStatusLists,
  type SigningKey,
  StatusList,
  type StatusListsOptions,
  signStatusList,
  signToken,
  staticKeys,
  statusListClaims,
  TokenError,
  verifyToken,
} from '../index.ts'

const ISSUER = 'https://issuer.example'
const PREFIX = `${ISSUER}/status-lists/`
const URI = `${PREFIX}1`
const TTL = 10
const SECOND = 1_000

let key: SigningKey
let stranger: SigningKey
beforeAll(async () => {
  key = await generateSigningKey('ES256', 'key')
  stranger = await generateSigningKey('ES256', 'key')
})

/** An issuer with one list, and a verifier of its tokens. */
function setUp(options: Partial<StatusListsOptions> = {}) {
  const list = StatusList.ofSize(64, 2)
  const state = {
    list,
    now: 1_800_000_000_000,
    loads: 0,
    publish: undefined as unknown as () => Promise<string>,
    hold: undefined as Promise<void> | undefined,
  }
  const clock = () => state.now
  const publish = (changes: object = {}, by = key, typ = 'statuslist+jwt') =>
    signToken({ ...statusListClaims(list, { issuer: ISSUER, uri: URI, ttlSeconds: TTL }), ...changes }, by, {
      lifetimeSeconds: 3_600,
      typ,
      clock,
    })
  state.publish = () => publish()
  const keys = staticKeys(ISSUER, [key])
  const rules = {
    issuer: ISSUER,
    audience: 'b',
    subject: 'a',
    keys,
    maxLifetimeSeconds: 100_000,
    clock,
    statusList: remoteStatusLists({
      issuer: ISSUER,
      keys,
      prefix: PREFIX,
      whenUnavailable: 'reject',
      maxAgeSeconds: 60,
      clock,
      load: async () => {
        state.loads += 1
        await state.hold
        return state.publish()
      },
      ...options,
    }),
  }
  const token = (status: unknown) =>
    signToken({ iss: ISSUER, aud: 'b', sub: 'a', ...(status === undefined ? {} : { status }) }, key, {
      lifetimeSeconds: 100_000,
      clock,
    })
  const outcomeOf = (text: string) =>
    verifyToken(text, rules).then(
      () => 'valid',
      (error: unknown) => {
        if (!(error instanceof TokenError)) throw error
        return error.reason
      },
    )
  return {
    state,
    publish,
    rules,
    token,
    verify: async (status: unknown) => outcomeOf(await token(status)),
    ofIndex: async (idx: number, uri = URI) => outcomeOf(await token({ status_list: { idx, uri } })),
  }
}

describe('a token whose issuer publishes a status list', () => {
  it('is rejected with the status of its index', async () => {
    const { state, ofIndex, rules, token } = setUp()
    state.list.set(1, 1)
    state.list.set(2, 2)
    state.list.set(3, 3)
    expect([await ofIndex(0), await ofIndex(1), await ofIndex(2), await ofIndex(3)]).toEqual([
      'valid',
      'revoked',
      'suspended',
      'status_invalid',
    ])
    expect(state.loads).toBe(1)
    const revoked = await token({ status_list: { idx: 1, uri: URI } })
    await expect(verifyToken(revoked, rules)).rejects.toMatchObject({
      message: 'jwt revoked',
      checks: expect.arrayContaining([
        { name: 'token status', passed: false, rule: 'Token Status List §8.3' },
      ]),
    })
  })

  it('is rejected without a status, unless that is allowed', async () => {
    expect(await setUp().verify(undefined)).toBe('status_missing')
    expect(await setUp({ required: false }).verify(undefined)).toBe('valid')
  })

  it.each([
    null,
    'valid',
    {},
    { status_list: null },
    { status_list: { uri: URI } },
    { status_list: { idx: '0', uri: URI } },
    { status_list: { idx: -1, uri: URI } },
    { status_list: { idx: 0.5, uri: URI } },
    { status_list: { idx: 0 } },
    { status_list: { idx: 64, uri: URI } },
  ])('is rejected with the status claim %j, even if no status is required', async (status) => {
    expect(await setUp({ required: false, whenUnavailable: 'accept' }).verify(status)).toBe('status_invalid')
  })

  it.each([
    'https://evil.example/status-lists/1',
    'https://issuer.example.evil.example/status-lists/1',
    'https://issuer.example/other/1',
    'https://issuer.example/status-lists/../admin',
    'https://issuer.example/status-lists/%2e%2e/admin',
    'https://issuer.example/status-lists/..%2fadmin',
    'https://issuer.example/status-lists/1?next=http://169.254.169.254/',
    'https://issuer.example/status-lists/1#x',
    'https://issuer.example/status-lists/',
    'https://issuer.example/status-lists/a b',
    'https://ISSUER.example/status-lists/1',
    'file:///etc/passwd',
  ])('AL-29 cannot make the verifier load %s', async (uri) => {
    const { state, ofIndex } = setUp()
    expect(await ofIndex(0, uri)).toBe('status_invalid')
    expect(state.loads).toBe(0)
  })

  it('causes no load if it is not valid otherwise', async () => {
    const { state, rules } = setUp()
    const claims = { iss: ISSUER, aud: 'b', sub: 'a', status: { status_list: { idx: 0, uri: URI } } }
    const forged = await signToken(claims, stranger, { lifetimeSeconds: 60, clock: () => state.now })
    await expect(verifyToken(forged, rules)).rejects.toMatchObject({ reason: 'signature_invalid' })
    expect(state.loads).toBe(0)
  })
})

describe('a status list', () => {
  it('is loaded once for many tokens, and again after its ttl', async () => {
    const { state, ofIndex } = setUp()
    expect(new Set(await Promise.all(Array.from({ length: 50 }, () => ofIndex(5))))).toEqual(
      new Set(['valid']),
    )
    expect(state.loads).toBe(1)
    state.list.set(5, 1)
    state.now += 7 * SECOND
    expect(await ofIndex(5)).toBe('valid')
    expect(state.loads).toBe(1)
    state.now += 3 * SECOND
    expect(await ofIndex(5)).toBe('revoked')
    expect(state.loads).toBe(2)
  })

  it('is refreshed in the background before that, without delaying a token', async () => {
    const { state, ofIndex } = setUp()
    await ofIndex(5)
    state.list.set(5, 1)
    state.now += 8 * SECOND
    let release = () => {}
    state.hold = new Promise((resolve) => {
      release = resolve
    })
    expect(await ofIndex(5)).toBe('valid')
    release()
    await new Promise(setImmediate)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await ofIndex(5)).toBe('revoked')
  })

  it('that cannot be reloaded stays in use to its maximum age, and its tokens are rejected then', async () => {
    const { state, ofIndex } = setUp()
    await ofIndex(5)
    state.publish = async () => {
      throw new Error('the issuer is down')
    }
    state.now += 59 * SECOND
    expect(await ofIndex(5)).toBe('valid')
    expect(state.loads).toBe(2)
    state.now += 1 * SECOND
    expect(await ofIndex(5)).toBe('status_unavailable')
  })

  it('that cannot be loaded is tried once a second', async () => {
    const { state, publish, ofIndex, rules, token } = setUp()
    state.publish = async () => {
      throw new Error('the issuer is down')
    }
    for (let n = 0; n < 20; n += 1) expect(await ofIndex(0)).toBe('status_unavailable')
    expect(state.loads).toBe(1)
    await expect(
      verifyToken(await token({ status_list: { idx: 0, uri: URI } }), rules),
    ).rejects.toMatchObject({
      message: 'jwt status unavailable',
      checks: expect.arrayContaining([expect.objectContaining({ detail: 'the issuer is down' })]),
    })
    state.now += SECOND
    state.publish = () => publish()
    expect(await ofIndex(0)).toBe('valid')
  })

  it('that cannot be loaded lets tokens pass only if the verifier chose so', async () => {
    const { state, ofIndex } = setUp({ whenUnavailable: 'accept' })
    state.publish = async () => {
      throw new Error('the issuer is down')
    }
    expect(await ofIndex(0)).toBe('valid')
  })

  it('that is older than the one in use does not undo a revocation', async () => {
    const { state, publish, ofIndex } = setUp()
    const before = await publish()
    state.now += 2 * SECOND
    state.list.set(5, 1)
    expect(await ofIndex(5)).toBe('revoked')
    state.publish = async () => before
    state.now += 20 * SECOND
    expect(await ofIndex(5)).toBe('revoked')
    expect(state.loads).toBe(2)
  })

  it.each<[string, (publish: ReturnType<typeof setUp>['publish']) => Promise<string>]>([
    ['is signed by another key', (publish) => publish({}, stranger)],
    ['is a plain JWT', (publish) => publish({}, key, 'JWT')],
    ['is of another issuer', (publish) => publish({ iss: 'https://other.example' })],
    ['has another URI', (publish) => publish({ sub: `${PREFIX}2` })],
    ['has no list', (publish) => publish({ status_list: {} })],
    ['has a ttl of 0', (publish) => publish({ ttl: 0 })],
    ['has a ttl that is no number', (publish) => publish({ ttl: '10' })],
    [
      'is a zip bomb',
      (publish) =>
        publish({
          status_list: { bits: 1, lst: deflateSync(new Uint8Array(3 * 1024 * 1024)).toString('base64url') },
        }),
    ],
    ['is not a token', async () => '<html>'],
    ['is longer than 1 MiB', async () => 'a'.repeat(1024 * 1024 + 1)],
  ])('AL-29 that %s is not used', async (_, publishing) => {
    const { state, publish, ofIndex } = setUp()
    state.publish = () => publishing(publish)
    expect(await ofIndex(0)).toBe('status_unavailable')
  })

  it('can be larger than a token', async () => {
    const clock = () => 1_800_000_000_000
    const list = StatusList.ofSize(2 ** 17)
    // Incompressible: half of the tokens are revoked, at random.
    for (const [byte, bits] of randomBytes(list.size / 8).entries())
      for (let bit = 0; bit < 8; bit += 1) list.set(byte * 8 + bit, (bits >> bit) & 1)
    list.set(3, 1)
    const options = { issuer: ISSUER, uri: URI, ttlSeconds: 10, lifetimeSeconds: 60, clock }
    const token = await signStatusList(list, key, options)
    expect(token.length).toBeGreaterThan(8 * 1024)
    const { state, ofIndex } = setUp()
    state.publish = async () => token
    expect(await ofIndex(3)).toBe('revoked')
  })

  it.each(['https://issuer.example/lists', 'issuer', 'https://issuer.example/a/../lists/'])(
    'needs a prefix, not %s',
    (prefix) => {
      expect(() => setUp({ prefix })).toThrow(
        new TypeError('The prefix of status lists must be a URL that ends with a slash.'),
      )
    },
  )
})
