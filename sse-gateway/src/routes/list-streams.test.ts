import { beforeEach, describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'

const gateway = useGateway()
beforeEach(() => gateway.start())

const list = async (scope: string) =>
  gateway.request('/streams', {
    headers: { authorization: `Bearer ${await gateway.token({ sub: 'operator', scope })}` },
  })

describe('GET /streams', () => {
  it('lists open streams with their close time, and why the last ones closed', async () => {
    const first = await gateway.open(await gateway.token({ sub: 'alice' }))
    await gateway.open(await gateway.token({ sub: 'bob' }))
    const answer = await list('stream:revoke')
    expect(answer.json).toMatchObject({
      count: 2,
      open: [
        { path: '/events', subject: 'alice', state: 'open', challenges: 0, answers: 0 },
        { subject: 'bob' },
      ],
      ended: [],
    })
    await gateway.request('/revocations', {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await gateway.token({ sub: 'operator', scope: 'stream:revoke' })}`,
      },
      body: '{"sub":"alice"}',
    })
    await first.end()
    expect((await list('stream:revoke')).json).toMatchObject({
      count: 1,
      ended: [{ subject: 'alice', reason: 'token_revoked' }],
    })
  })

  it('rejects tokens that are not allowed to revoke, and shows no handles', async () => {
    const stream = await gateway.open(await gateway.token())
    expect((await list('proxy:stream')).json).toMatchObject({ error: { code: 'insufficient_scope' } })
    expect((await gateway.request('/streams')).status).toBe(401)
    expect(JSON.stringify((await list('stream:revoke')).json)).not.toContain(stream.headers['stream-handle'])
  })
})
