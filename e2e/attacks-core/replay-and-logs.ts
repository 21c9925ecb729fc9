/**
 * Section C of the attack catalog, as far as it concerns these services: a token that is replayed, taken from a log,
 * forwarded by a callee, or revoked, and a misused client assertion.
 *
 * AL-32, AL-33 and AL-35 to AL-37 are about proof of possession, token exchange, transaction tokens and workload
 * identity tokens, and AL-39 is about a user's login: these services have none of them, so there is nothing to attack.
 */

import { signToken } from '@hallpass/tokens'
import { describe, expect, it } from '@jest/globals'
import { callers, guarded, lab } from './targets.ts'

describe('a stolen token', () => {
  it('AL-30 can be used until it expires: a bearer token is not bound to its holder', async () => {
    for (const target of lab.targets) {
      const token = target.token()
      for (let time = 0; time < 3; time += 1) expect((await target.present(token)).status).toBe(200)
    }
  })

  it('AL-34 is rejected by another service, no matter who forwards it', async () => {
    for (const path of ['/scenario1-server', '/scenario2-server']) {
      const token = lab.targets[0].token()
      expect((await lab.atB(path, token)).status).toBe(200)
      const { status, body } = await lab.atB(path, token, 'service-c')
      expect([status, body.error.message]).toEqual([401, 'jwt audience invalid. expected: servicec'])
    }
  })

  it('AL-40 is rejected immediately after revocation if the factory verifies it, and otherwise at its expiry', async () => {
    const [central, own] = lab.targets
    const [revoked, other] = [central.token(), central.token()]
    await lab.services.post('jwt-factory', '/revoke').type('form').send({ token: revoked }).expect(200)
    const { status, body } = await central.present(revoked)
    expect([status, body.error.message]).toEqual([401, 'jwt revoked'])
    expect((await central.present(other)).status).toBe(200)
    // A local verifier does not learn of revocations; therefore A's own tokens expire after 30 seconds.
    const { claims } = (await lab.services.get('service-a', '/scenario3')).body
    expect(claims.exp - claims.iat).toBe(30)
    expect((await own.present(own.token())).status).toBe(200)
  })

  it('AL-31 is in no log, after attacks on every service and regular requests', async () => {
    for (const path of ['/scenario1', '/scenario2', '/scenario3', '/scenario4'])
      for (const query of ['', '?expired=1']) await lab.services.get('service-a', path + query).expect(200)
    const token = lab.targets[0].token()
    await lab.services.get('service-b', `/scenario1-server?access_token=${token}`).expect(400)
    await lab.services.get('service-b', `/${token}`).expect(404)
    await lab.services.get('jwt-factory', `/keys/${token}`).expect(400)
    await lab.services.get('service-a', `/scenario1?expired=${token}`).expect(200)
    await lab.services.get('service-b', '/hello').set('x-request-id', token.slice(0, 60)).expect(200)
    await lab.services.get('service-b', '/hello').set('traceparent', token).expect(200)
    const text = lab.services.lines.join('\n')
    expect(text).toContain('"/scenario3-server"')
    expect(text).not.toContain('eyJ')
  })
})

describe('a client assertion', () => {
  const mint = (authorization: string) =>
    guarded
      .post('jwt-factory', '/issueToken/servicea', { aud: 'serviceb' })
      .set('authorization', authorization)

  it('AL-38 is valid only for this issuer, and works once', async () => {
    const once = await callers.as('servicea')
    expect((await mint(once)).status).toBe(200)
    const again = await mint(once)
    expect([again.status, again.body.error]).toEqual([
      401,
      {
        code: 'invalid_client',
        message: 'Client authentication failed: the assertion was already used.',
      },
    ])
    const elsewhere = [
      'https://other/',
      'https://jwt-factory',
      `${guarded.url('jwt-factory')}/issueToken/servicea`,
    ]
    for (const audience of elsewhere) {
      const { status, body } = await mint(await callers.as('servicea', audience))
      expect([status, body.error.code]).toEqual([401, 'invalid_client'])
    }
    const two = await signToken(
      { iss: 'servicea', sub: 'servicea', aud: ['https://jwt-factory/', 'https://other/'] },
      callers.key('servicea'),
      { lifetimeSeconds: 30 },
    )
    expect((await mint(`Bearer ${two}`)).status).toBe(401)
  })

  it('AL-16 is not accepted as a token, nor a token as an assertion', async () => {
    const assertion = (await callers.as('servicea', 'serviceb')).replace('Bearer ', '')
    const atB = await guarded
      .get('service-b', '/scenario1-server')
      .set('authorization', `Bearer ${assertion}`)
    expect(atB.status).toBe(401)
    const token = (await mint(await callers.as('servicea'))).text
    const atFactory = await mint(`Bearer ${token}`)
    expect([atFactory.status, atFactory.body.error.code]).toEqual([401, 'invalid_client'])
  })

  it('AL-31 is in no log', () => {
    expect(guarded.lines.length).toBeGreaterThan(10)
    expect(guarded.lines.join('\n')).not.toContain('eyJ')
  })
})
