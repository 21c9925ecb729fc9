import { describe, expect, it } from '@jest/globals'
import { useClosedFactory, useFactory } from '../testing.ts'

describe('the audit log of a factory with authenticated callers', () => {
  const factory = useClosedFactory()
  const read = async (query = '') => {
    const authorization = await factory.as('operator')
    const { body } = await factory
      .get(`/utils/audit?limit=1000${query}`)
      .set('authorization', authorization)
      .expect(200)
    return body as { entries: Record<string, string>[]; brokenAt: unknown[] }
  }
  const asOperator = async (path: string, body?: object) =>
    factory.post(path, body).set('authorization', await factory.as('operator'))

  it('says who did what, for each operation, and contains no token', async () => {
    const token = await factory.issueAsA()
    await factory.postForm('/revoke', { token }, 'servicea')
    await asOperator('/keys/servicea').then(({ status }) => expect(status).toBe(200))
    await asOperator('/keys/servicea/withdraw').then(({ status }) => expect(status).toBe(200))
    await asOperator('/utils/dump').then(({ status }) => expect(status).toBe(200))
    const { entries, brokenAt } = await read()
    expect(brokenAt).toEqual([])
    expect(entries.map(({ action, actor, keyId }) => [action, actor, keyId])).toEqual([
      ['key-created', 'operator', 'servicea'],
      ['issued', 'servicea', 'servicea'],
      ['revoked', 'servicea', undefined],
      ['rotated', 'operator', 'servicea'],
      ['withdrawn', 'operator', 'servicea'],
      ['dumped', 'operator', undefined],
    ])
    expect(entries[1]).toMatchObject({
      kid: expect.stringMatching(/^servicea-/),
      jti: expect.stringMatching(/^[\w-]{36}$/),
      subject: 'servicea',
      audience: 'serviceb',
      client: '127.0.0.1',
      requestId: expect.any(String),
    })
    expect(entries[2]?.jti).toBe(entries[1]?.jti)
    expect(JSON.stringify(entries) + factory.lines.join()).not.toContain('eyJ')
    expect(factory.lines.filter((line) => JSON.parse(line).msg === 'audit')).toHaveLength(6)
  })

  it('says who was rejected, and why', async () => {
    await factory
      .post('/issueToken/serviceb', { aud: 'servicec' })
      .set('authorization', await factory.as('servicea'))
    await factory.post('/issueToken/serviceb', { aud: 'servicec' })
    await factory.post('/keys/servicea').set('authorization', await factory.as('servicea'))
    const { entries } = await read('&action=refused')
    expect(entries.map(({ actor, keyId, reason }) => [actor, keyId, reason])).toEqual([
      ['servicea', 'serviceb', 'not_your_key'],
      ['unknown', 'serviceb', 'invalid_client'],
      ['servicea', 'servicea', expect.any(String)],
    ])
  })

  it('is shown only to administrators', async () => {
    expect((await factory.get('/utils/audit')).status).toBe(401)
    const { status } = await factory.get('/utils/audit').set('authorization', await factory.as('servicea'))
    expect(status).toBe(403)
  })
})

describe('a factory with a schedule', () => {
  const factory = useFactory({ env: { ROTATE_EVERY: '10s', PUBLISH_AHEAD_SECONDS: '1' } })

  it('shows when the next key is published and signs, and rotates then', async () => {
    await factory.get('/keys/servicea').expect(200)
    const startedAt = Date.now()
    const first = (await factory.get('/utils/key-states').expect(200)).body.keyIds[0]
    expect(first.plan.rotateAtMs - first.plan.publishAtMs).toBeGreaterThanOrEqual(1_000)
    expect(first.plan.rotateAtMs - startedAt).toBeLessThanOrEqual(12_000)
    const old = await factory.issue('servicea')
    let states = first
    while (states.keys.every(({ state }: { state: string }) => state !== 'retired')) {
      await new Promise((resolve) => setTimeout(resolve, 200))
      states = (await factory.get('/utils/key-states').expect(200)).body.keyIds[0]
      expect(Date.now() - startedAt).toBeLessThan(18_000)
    }
    const { text } = await factory
      .post('/verify/servicea', { token: old, aud: 'serviceb', sub: 'servicea' })
      .expect(200)
    expect(text).toContain('"valid":true')
    const { body } = await factory.get('/utils/audit?keyId=servicea').expect(200)
    const done = body.entries.filter(({ actor }: { actor: string }) => actor === 'schedule')
    expect(done.map(({ action }: { action: string }) => action).slice(0, 2)).toEqual(['published', 'rotated'])
    expect(Date.parse(done[1].at) - Date.parse(done[0].at)).toBeGreaterThanOrEqual(1_000)
  })
})
