/**
 * Section C of the table of attacks as far as these services have to do with it: a token that is shown again, one that
 * is taken from a log, one that a callee passes on, a caller's assertion that is misused, and a token that was revoked.
 *
 * AL-32, AL-33 and AL-35 to AL-37 are about proof of possession, token exchange, transaction tokens and workload
 * identity tokens, and AL-39 is about a user's login: these services have none of them, so there is nothing to attack.
 */

import { signToken } from '@hallpass/tokens'
import { describe, expect, it } from '@jest/globals'
import { callers, guarded, lab } from './targets.ts'

describe('a token that somebody else has got', () => {
  it('AL-30 is good again and again until it expires: a bearer token is not bound to its bearer', async () => {
    for (const target of lab.targets) {
      const token = target.token()
      for (let time = 0; time < 3; time += 1) expect((await target.present(token)).status).toBe(200)
    }
  })

  it('AL-34 is of no use at another service, whoever passes it on', async () => {
    for (const path of ['/scenario1-server', '/scenario2-server']) {
      const token = lab.targets[0].token()
      expect((await lab.atB(path, token)).status).toBe(200)
      const { status, body } = await lab.atB(path, token, 'service-c')
      expect([status, body.error.message]).toEqual([401, 'jwt audience invalid. expected: servicec'])
    }
  })

  it('AL-40 ends at once when it is revoked, wherever the factory is asked, and by its expiry elsewhere', async () => {
    const [central, own] = lab.targets
    const [revoked, other] = [central.token(), central.token()]
    await lab.services.post('jwt-factory', '/revoke').type('form').send({ token: revoked }).expect(200)
    const { status, body } = await central.present(revoked)
    expect([status, body.error.message]).toEqual([401, 'jwt revoked'])
    expect((await central.present(other)).status).toBe(200)
    // Who verifies offline cannot know; that is why A's own tokens live for half a minute.
    const { claims } = (await lab.services.get('service-a', '/scenario3')).body
    expect(claims.exp - claims.iat).toBe(30)
    expect((await own.present(own.token())).status).toBe(200)
  })

  it('AL-31 is not to be found in a log, though every service has been attacked and served', async () => {
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

describe('a caller’s assertion', () => {
  const mint = (authorization: string) =>
    guarded
      .post('jwt-factory', '/issueToken/servicea', { aud: 'serviceb' })
      .set('authorization', authorization)

  it('AL-38 is for this issuer alone, and serves once', async () => {
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

  it('AL-16 is not a token, and a token is not an assertion', async () => {
    const assertion = (await callers.as('servicea', 'serviceb')).replace('Bearer ', '')
    const atB = await guarded
      .get('service-b', '/scenario1-server')
      .set('authorization', `Bearer ${assertion}`)
    expect(atB.status).toBe(401)
    const token = (await mint(await callers.as('servicea'))).text
    const atFactory = await mint(`Bearer ${token}`)
    expect([atFactory.status, atFactory.body.error.code]).toEqual([401, 'invalid_client'])
  })

  it('AL-31 is not to be found in a log either', () => {
    expect(guarded.lines.length).toBeGreaterThan(10)
    expect(guarded.lines.join('\n')).not.toContain('eyJ')
  })
})
