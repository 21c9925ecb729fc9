import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { httpService, silentLog } from '@hallpass/service-kit'
import { developmentConfig, useService } from '@hallpass/service-kit/testing'
import { LmdbStore } from '@hallpass/token-store'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { AuditLog } from '../audit/index.ts'
import { showAudit } from './show-audit.ts'

describe('GET /utils/audit', () => {
  let folder: string
  let store: LmdbStore
  let audit: AuditLog
  const service = useService(async () => {
    folder = await mkdtemp(join(tmpdir(), 'audit-route-'))
    store = new LmdbStore({ folder })
    await store.open()
    audit = new AuditLog({ zone: store.zone('audit', { pinned: true }), clock: Date.now, log: silentLog })
    return httpService({
      name: 'jwt-factory',
      log: silentLog,
      config: developmentConfig,
      listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
      routes: (app) => void app.get('/utils/audit', showAudit(audit)),
    })
  })
  beforeAll(async () => {
    for (const keyId of ['a', 'b', 'c', 'a'])
      await audit.record({ action: 'rotated', actor: 'operator', keyId })
    void audit.record({ action: 'issued', actor: 'a', keyId: 'a', jti: 'j1' })
  })
  afterAll(async () => {
    await audit.stop()
    await store.close()
    await rm(folder, { recursive: true })
  })
  const get = (path: string) => request(service.url()).get(path)

  it('returns all entries in pages that are linked', async () => {
    const seen: string[] = []
    let path: string | undefined = '/utils/audit?limit=2'
    let last: { next?: string } = {}
    while (path) {
      const { body, headers }: request.Response = await get(path).expect(200)
      seen.push(...body.entries.map(({ action, keyId }: Record<string, string>) => `${action} ${keyId}`))
      last = body
      path = /^<([^>]+)>; rel="next"$/.exec(headers.link ?? '')?.[1]
    }
    expect(seen).toEqual(['rotated a', 'rotated b', 'rotated c', 'rotated a', 'issued a'])
    await audit.record({ action: 'dumped', actor: 'operator' })
    const { body } = await get(`/utils/audit?after=${last.next}`).expect(200)
    expect(body.entries.map(({ action }: Record<string, string>) => action)).toEqual(['dumped'])
    expect(body.brokenAt).toEqual([])
  })

  it('keeps the filter in the link', async () => {
    const { body, headers } = await get('/utils/audit?action=rotated&keyId=a&limit=1').expect(200)
    expect(body.entries).toHaveLength(1)
    expect(headers.link).toMatch(
      /^<\/utils\/audit\?after=1000.0&limit=1&action=rotated&keyId=a>; rel="next"$/,
    )
  })

  it.each([
    ['after=x', 'after must be the member next of an earlier page'],
    ['after=1.2&after=3.4', 'after must be the member next of an earlier page'],
    ['limit=0', 'limit must be an integer from 1 to 1000'],
    ['limit=1001', 'limit must be an integer from 1 to 1000'],
    ['limit=1e3', 'limit must be an integer from 1 to 1000'],
    ['action=constructor', 'action is not one that is recorded'],
    ['keyId=../x', 'keyId is not a key ID'],
  ])('rejects ?%s', async (query, why) => {
    const { status, body } = await get(`/utils/audit?${query}`)
    expect([status, body.error]).toEqual([
      400,
      { code: 'invalid_page', message: `The query is not valid: ${why}.` },
    ])
  })
})
