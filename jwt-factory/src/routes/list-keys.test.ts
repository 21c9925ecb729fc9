import { beforeAll, describe, expect, it } from '@jest/globals'
import type { Response } from 'supertest'
import { useFactory } from '../testing.ts'

describe('GET /utils/keys', () => {
  const factory = useFactory()
  beforeAll(async () => {
    for (const keyId of ['c', 'a', 'e', 'b', 'd']) await factory.get(`/keys/${keyId}`).expect(200)
  })

  it('lists the key IDs as a plain array', async () => {
    const { body, headers } = await factory.get('/utils/keys').expect(200)
    expect(body).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(headers).not.toHaveProperty('link')
  })

  it.each(['/utils/keys', '/utils/key-states'])('%s pages, and names the next page', async (path) => {
    const pages: unknown[] = []
    for (let next: string | undefined = `${path}?limit=2`; next; ) {
      const { body, headers }: Response = await factory.get(next).expect(200)
      pages.push(body.keyIds?.map(({ keyId }: { keyId: string }) => keyId) ?? body)
      next = /^<([^>]+)>; rel="next"$/.exec(headers.link ?? '')?.[1]
    }
    expect(pages).toEqual([['a', 'b'], ['c', 'd'], ['e']])
    expect((await factory.get('/utils/keys?after=e')).body).toEqual([])
    expect((await factory.get('/utils/keys?after=bb&limit=1')).body).toEqual(['c'])
  })

  it.each(['limit=0', 'limit=x', 'limit=10001', 'limit=1&limit=2', 'after=a&after=b'])(
    'rejects %s',
    async (query) => {
      const { status, body } = await factory.get(`/utils/keys?${query}`)
      expect([status, body.error.code]).toEqual([400, 'invalid_page'])
    },
  )
})
