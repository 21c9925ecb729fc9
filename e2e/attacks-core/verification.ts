/**
 * Section B of the attack catalog, AL-10 to AL-26, against service B, which calls the factory in one case and has A's public
 * key in the other. The attacker has the signing keys, so that no token is rejected only for its signature.
 *
 * AL-20 and AL-21 concern fetching key sets. B reads A's keys from a file; the factory fetches key sets if its
 * trusted-callers file contains URLs, so they are tested there. AL-26 concerns a user's identity in headers, which only the
 * web UI reads; here it tests that only the Authorization header counts.
 */
import { constants, createPublicKey, sign } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { publicJwks, type SigningKey, signToken } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterAll, describe, expect, it } from '@jest/globals'
import { type Answer, forge, hmac, publicForms, rsa, send, type Target } from './lab.ts'
import { useScenarioSuite } from './scenario-suite.ts'
import { lab } from './targets.ts'

/** Runs each attack at each verifier. The answer must be a rejection as in RFC 6750 §3.1. */
async function refuse(attack: (target: Target) => string, message: string | RegExp): Promise<void> {
  for (const target of lab.targets) {
    const answer = await target.present(attack(target))
    expectRefusal(target, answer, message)
  }
}

function expectRefusal(target: Target, { status, headers, body }: Answer, message: string | RegExp) {
  expect({ target: target.name, status, body }).toMatchObject({
    status: 401,
    body: { valid: false, error: { message: expect.stringMatching(message) }, claims: {} },
  })
  expect(headers['www-authenticate']).toMatch(
    /^Bearer realm="serviceb", error="invalid_token", error_description="/,
  )
}

const now = () => Math.floor(Date.now() / 1000)
const rs =
  (digest: string, padding = constants.RSA_PKCS1_PADDING) =>
  (target: Target) =>
  (input: string) =>
    sign(digest, Buffer.from(input), {
      key: target.key,
      padding,
      saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
    })

describe('service B', () => {
  it('accepts a valid token, so that every rejection below has its own reason', async () => {
    for (const target of lab.targets) {
      const { status, body } = await target.present(target.token())
      expect([target.name, status, body.valid]).toEqual([target.name, 200, true])
    }
  })

  it('AL-10 rejects alg none in every spelling', async () => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', null, 0, undefined]) {
      await refuse(
        (target) => forge({ ...target.header, alg }, target.claims(), () => ''),
        /^jwt signature is required$/,
      )
      await refuse(
        (target) => forge({ ...target.header, alg }, target.claims(), rsa(target.key)),
        /^invalid algorithm$/,
      )
    }
    await refuse((target) => target.token().replace(/[^.]+$/, ''), /^jwt signature is required$/)
  })

  it('AL-11 rejects HMAC with the public key as the secret', async () => {
    for (const [index] of publicForms((lab.targets[0] as Target).key).entries())
      for (const alg of ['HS256', 'HS384', 'HS512'])
        await refuse(
          (target) =>
            forge({ ...target.header, alg }, target.claims(), hmac(publicForms(target.key)[index] as Buffer)),
          /^invalid algorithm$/,
        )
  })

  it('AL-12 rejects every algorithm except that of the key', async () => {
    const others: [string, ReturnType<typeof rs>][] = [
      ['PS256', rs('sha256', constants.RSA_PKCS1_PSS_PADDING)],
      ['RS384', rs('sha384')],
      ['RS512', rs('sha512')],
      ['rs256', rs('sha256')],
      ['RS256 ', rs('sha256')],
      ['ES256', rs('sha256')],
      ['ES384', rs('sha256')],
      ['EdDSA', rs('sha256')],
      ['Ed25519', rs('sha256')],
    ]
    for (const [alg, signer] of others)
      await refuse(
        (target) => forge({ ...target.header, alg }, target.claims(), signer(target)),
        /^invalid algorithm$/,
      )
  })

  it('AL-13 rejects a token that never expires', async () => {
    await refuse((target) => target.token({ claims: { exp: undefined } }), /^jwt exp required$/)
  })

  it('AL-14 rejects impossible times', async () => {
    const year = 365 * 24 * 3600
    const attempts: [object, RegExp][] = [
      [{ exp: now() + 10 * year }, /^jwt lifetime too long$/],
      [{ exp: now() + 10 * year, iat: undefined }, /^jwt lifetime too long$/],
      [{ iat: now() + 24 * 3600, exp: now() + 24 * 3600 + 30 }, /^jwt issued in the future$/],
      [{ nbf: now() + 3600 }, /^jwt not active$/],
      [{ exp: String(now() + 30) }, /^invalid exp value$/],
      [{ exp: -1 }, /^invalid exp value$/],
      [{ exp: 1e20 }, /^invalid exp value$/],
      [{ exp: null }, /^invalid exp value$/],
      [{ iat: 'now' }, /^invalid iat value$/],
      [{ nbf: '0' }, /^invalid nbf value$/],
      [{ exp: now() - 60, iat: now() - 90 }, /^jwt expired$/],
    ]
    for (const [claims, message] of attempts) await refuse((target) => target.token({ claims }), message)
  })

  it('AL-15 rejects critical extensions, none of which it supports', async () => {
    const headers: object[] = [
      { crit: ['x-foo'], 'x-foo': 1 },
      { crit: [] },
      { crit: ['exp'] },
      { crit: ['alg'] },
    ]
    for (const header of [...headers, { crit: 'x' }, { crit: ['b64'], b64: false }])
      await refuse((target) => target.token({ header }), /^jwt header has unknown critical parameters$/)
    await refuse((target) => target.token({ header: { b64: false } }), /^jwt payload must be encoded$/)
  })

  it('AL-16 rejects tokens of every other kind, even if signed with the same key', async () => {
    const kinds = [
      'logout+jwt',
      'client-authentication+jwt',
      'wit+jwt',
      'wpt+jwt',
      'txntoken+jwt',
      'dpop+jwt',
      'secevent+jwt',
      'token-introspection+jwt',
      'JWE',
      '',
      5,
    ]
    for (const typ of kinds)
      await refuse(
        (target) => target.token({ header: { typ } }),
        /^jwt type invalid. expected: JWT or at\+jwt$/,
      )
    const [central, own] = lab.targets
    expectRefusal(own, await own.present(central.token()), /^jwt issuer invalid/)
    expectRefusal(central, await central.present(own.token()), /^jwt issuer invalid/)
  })

  it('AL-17 rejects every audience that is not exactly its own name', async () => {
    const audiences = [
      undefined,
      null,
      '',
      'ServiceB',
      'serviceb/',
      ' serviceb',
      'service',
      'servicebb',
      ['serviceb'],
      ['serviceb', 'servicec'],
      [],
      { serviceb: true },
      0,
    ]
    for (const aud of audiences)
      await refuse(
        (target) => target.token({ claims: { aud } }),
        /^jwt audience invalid. expected: serviceb$/,
      )
  })

  it('AL-18 rejects the key of one issuer for another issuer', async () => {
    const [central, own] = lab.targets
    const crossed: [Target, Target][] = [
      [central, own],
      [own, central],
    ]
    for (const [target, other] of crossed)
      for (const kid of [target.kid, other.kid]) {
        const token = forge({ ...target.header, kid }, target.claims(), rsa(other.key))
        expectRefusal(target, await target.present(token), /^invalid signature$/)
      }
    for (const iss of [
      undefined,
      '',
      'https://jwt-factory',
      'https://jwt-factory/x',
      ['https://jwt-factory/'],
    ])
      await refuse((target) => target.token({ claims: { iss } }), /^jwt issuer invalid/)
    for (const sub of [undefined, '', 'serviceb', 'ServiceA', ['servicea']])
      await refuse((target) => target.token({ claims: { sub } }), /^jwt subject invalid. expected: servicea$/)
  })

  it('AL-19 uses a kid only to look up a key, and ignores URLs in a header', async () => {
    const kids = [
      '../../etc/passwd',
      '/dev/null',
      "' OR 1=1 --",
      '__proto__',
      'constructor',
      '',
      'x'.repeat(257),
      5,
      {},
    ]
    for (const kid of kids)
      await refuse((target) => target.token({ header: { kid } }), /^invalid (signature|token)$/)
    await refuse((target) => target.token({ header: { kid: 'x'.repeat(4096) } }), /^invalid token$/)

    let fetched = 0
    const server = createServer((_request, response) => {
      fetched += 1
      response.end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
    const intruder = testKey('RS256', 'intruder')
    const jwk = createPublicKey(intruder.privateKey).export({ format: 'jwk' })
    const embedded: object[] = [{ jku: url }, { x5u: url }, { jwk }, { x5c: ['MIIB'] }]
    for (const header of embedded)
      await refuse(
        (target) => forge({ ...target.header, ...header }, target.claims(), rsa(intruder.privateKey)),
        /^jwt header must not contain a key$/,
      )
    server.close()
    expect(fetched).toBe(0)
  })

  it('AL-22 rejects non-canonical encodings of an otherwise valid token', async () => {
    const part = (token: string, index: number) => token.split('.')[index] as string
    const replace = (token: string, index: number, change: (part: string) => string) =>
      token
        .split('.')
        .map((text, at) => (at === index ? change(text) : text))
        .join('.')
    // In a request header a space would end the token, so these are sent to the factory in JSON.
    const [central] = lab.targets
    const atFactory = async (token: string) =>
      (
        await lab.services.post('jwt-factory', '/verify/servicea', {
          token,
          aud: 'serviceb',
          sub: 'servicea',
        })
      ).body
    for (const index of [0, 1, 2])
      for (const change of [
        (text: string) => `${text}=`,
        (text: string) => `${text} `,
        (text: string) => ` ${text}`,
        (text: string) => `${text}\n`,
        (text: string) => `${text.slice(0, 4)}\r\n${text.slice(4)}`,
        (text: string) => `${text}A`,
        (text: string) => `${text}*`,
      ]) {
        const body = await atFactory(replace(central.token(), index, change))
        expect(body).toEqual({
          valid: false,
          error: { name: 'JsonWebTokenError', message: expect.any(String) },
          claims: {},
        })
      }
    // The last character of 256 bytes uses only 2 bits. The other 4 must be zero, or a token would have 16 encodings.
    const last = /(.)$/
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const trailing = (text: string) =>
      text.replace(last, (character) => alphabet[(alphabet.indexOf(character) & 0b110000) + 5] as string)
    await refuse((target) => replace(target.token(), 2, trailing), /^invalid (token|signature)$/)
    const standard = (target: Target) => {
      for (;;) {
        const token = target.token()
        if (/[-_]/.test(part(token, 2)))
          return replace(token, 2, (text) => text.replace(/-/g, '+').replace(/_/g, '/'))
      }
    }
    await refuse(standard, /^invalid (token|signature)$/)
    const texts: ((claims: string) => string)[] = [
      (claims) => claims.replace('{', '{"sub":"operator",'),
      (claims) => `\ufeff${claims}`,
      (claims) => `[${claims}]`,
      (claims) => `${claims}x`,
      () => '',
      () => 'null',
      () => '"text"',
    ]
    for (const change of texts)
      await refuse(
        (target) => forge(target.header, change(JSON.stringify(target.claims())), rsa(target.key)),
        /^invalid token$/,
      )
    await refuse(
      (target) =>
        forge(JSON.stringify(target.header).replace('{', '{"alg":"none",'), target.claims(), rsa(target.key)),
      /^invalid token$/,
    )
  })

  it('AL-23 rejects expensive input before processing it', async () => {
    const jwe = (header: object) =>
      `${Buffer.from(JSON.stringify(header)).toString('base64url')}.AAAA.AAAA.AAAA.AAAA`
    await refuse(() => jwe({ alg: 'RSA-OAEP', enc: 'A256GCM', zip: 'DEF' }), /^jwt malformed$/)
    await refuse(
      () => jwe({ alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 10_000_000, p2s: 'AAAA' }),
      /^jwt malformed$/,
    )
    const large = 'A'.repeat(1024 * 1024)
    const deep = `${'{"a":'.repeat(1500)}1${'}'.repeat(1500)}`
    const started = performance.now()
    for (const target of lab.targets)
      expect([431, 401]).toContain(
        (await target.present(`${large}.${large}.${large}`).catch(() => ({ status: 431 }))).status,
      )
    const { status } = await lab.services.post('jwt-factory', '/verify/servicea', {
      token: large,
      aud: 'b',
      sub: 'a',
    })
    expect(status).toBe(413)
    await refuse((target) => forge(target.header, deep, rsa(target.key)), /^(invalid token|jwt too large)$/)
    expect(performance.now() - started).toBeLessThan(5_000)
    for (const service of ['jwt-factory', 'service-b'] as const)
      await lab.services.get(service, '/healthz').expect(200)
  })

  it('AL-24 accepts a token only in one Authorization header with the scheme Bearer', async () => {
    const token = lab.targets[0].token()
    const url = `${lab.services.url('service-b')}/scenario1-server`
    const attempts: [string, string[], number, string | undefined][] = [
      [url, ['authorization', `Basic ${token}`], 401, undefined],
      [url, ['authorization', `DPoP ${token}`], 401, undefined],
      [url, ['authorization', token], 401, undefined],
      [url, ['authorization', `Bearer ${token} junk`], 401, undefined],
      [url, ['authorization', 'Bearer'], 401, undefined],
      [url, ['authorization', `Bearer\t${token}`], 401, undefined],
      [url, ['authorization', `Bearer ${token}`, 'authorization', `Bearer ${token}`], 400, 'invalid_request'],
      [`${url}?access_token=${token}`, [], 400, 'invalid_request'],
      [`${url}?access_token=${token}`, ['authorization', `Bearer ${token}`], 400, 'invalid_request'],
    ]
    for (const [to, headers, status, code] of attempts) {
      const answer = await send(to, { headers })
      expect([headers[1]?.slice(0, 8), answer.status, answer.body.error?.code]).toEqual([
        headers[1]?.slice(0, 8),
        status,
        code,
      ])
    }
    expect((await send(url, { headers: ['authorization', `bearer  ${token}`] })).status).toBe(200)
  })

  it('AL-25 answers 401 with a bare challenge without a token, and with invalid_token for a bad one, never 200', async () => {
    for (const path of ['/scenario1-server', '/scenario2-server']) {
      const { status, headers, body } = await send(`${lab.services.url('service-b')}${path}`)
      expect([status, headers['www-authenticate'], body]).toEqual([
        401,
        'Bearer realm="serviceb"',
        { message: 'no token provided' },
      ])
    }
    await refuse(() => 'a.b.c', /^invalid token$/)
    await refuse(() => 'abc', /^jwt malformed$/)
  })

  it('AL-26 ignores headers that claim an identity', async () => {
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"servicea"}').toString('base64url')}.`
    const headers = [
      'jwt',
      unsigned,
      'x-name',
      'Mallory',
      'x-forwarded-user',
      'servicea',
      'x-forwarded-client-cert',
      'By=servicea',
    ]
    for (const path of ['/scenario1-server', '/scenario2-server'])
      expect((await send(`${lab.services.url('service-b')}${path}`, { headers })).status).toBe(401)
  })
})

describe('the factory, fetching the keys of its callers', () => {
  let key: SigningKey
  let answer: (request: IncomingMessage, response: ServerResponse) => void
  let fetched: string[] = []
  const issuer = createServer((request, response) => {
    fetched.push(request.url ?? '')
    answer(request, response)
  })
  const services = useScenarioSuite({
    only: ['jwt-factory'],
    keys: false,
    prepare: async (stateFolder) => {
      key = testKey('ES256', 'known')
      answer = (_request, response) => response.end(JSON.stringify(publicJwks([key])))
      await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve))
      const url = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`
      const folder = join(stateFolder, 'callers')
      await mkdir(folder)
      const callers = ['servicea', 'redirected', 'oversized'].map((clientId) => ({
        method: 'private_key_jwt',
        clientId,
        jwksUrl: `${url}/${clientId}.json`,
        keyId: 'servicea',
      }))
      await writeFile(join(folder, 'callers.json'), JSON.stringify({ callers }))
      return {
        'jwt-factory': { CALLERS: 'authenticated', TRUSTED_CALLERS_FILE: join(folder, 'callers.json') },
      }
    },
  })
  afterAll(() => {
    issuer.closeAllConnections()
    issuer.close()
  })

  const show = async (clientId = 'servicea', by = key) => {
    const claims = { iss: clientId, sub: clientId, aud: 'https://jwt-factory/' }
    const assertion = await signToken(claims, by, { lifetimeSeconds: 30 })
    return services
      .post('jwt-factory', '/introspect')
      .type('form')
      .set('authorization', `Bearer ${assertion}`)
      .send({ token: 'x' })
  }

  it('AL-20 fetches at most five times more for a flood of invented kids, without effect on valid callers', async () => {
    expect((await show()).status).toBe(200)
    const flood = await Promise.all(
      Array.from({ length: 200 }, (_, index) => show('servicea', { ...key, kid: `invented-${index}` })),
    )
    // 503: it is unknown whether the kid is made up or new.
    expect(flood.filter(({ status }) => status !== 401 && status !== 503)).toEqual([])
    expect((await show()).status).toBe(200)
    expect(fetched.length).toBeLessThanOrEqual(6)
  })

  it('AL-21 follows no redirects to other hosts, and limits the size of a key set', async () => {
    fetched = []
    answer = (request, response) => {
      if (request.url === '/redirected.json') response.writeHead(302, { location: '/servicea.json' }).end()
      else response.end(JSON.stringify({ keys: [], filler: 'x'.repeat(2 * 1024 * 1024) }))
    }
    for (const clientId of ['redirected', 'oversized']) {
      const { status, body } = await show(clientId)
      expect([clientId, status, body.error.code]).toEqual([clientId, 502, expect.stringMatching(/^peer_/)])
    }
    expect(fetched).toEqual(['/redirected.json', '/oversized.json'])
  })
})
