import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { useFactory } from './testing.ts'

describe('jwt-factory', () => {
  const factory = useFactory()

  it('logs a warning in development mode', () => {
    expect(factory.lines.map((line) => JSON.parse(line).msg)).toContainEqual(
      expect.stringMatching(
        /^OPEN: callers are not authenticated; anyone who reaches this address can get any service’s tokens/,
      ),
    )
  })

  it('logs no token', async () => {
    await factory.get('/keys/servicea')
    const token = await factory.issue('servicea')
    await factory.post('/verify/servicea', { token, aud: 'serviceb', sub: 'servicea' })
    await factory.get(`/utils/publicKey/${token}`).expect(400)
    expect(factory.lines.join()).toContain('/verify/servicea')
    expect(factory.lines.join()).not.toContain('eyJ')
  })

  it('counts issued tokens, and verified tokens by outcome', async () => {
    await factory.get('/keys/counted')
    const token = await factory.issue('counted')
    for (const sub of ['counted', 'counted', 'other'])
      await factory.post('/verify/counted', { token, aud: 'serviceb', sub })
    const { text } = await factory.get('/metrics').expect(200)
    expect(text).toContain('tokens_issued_total{key_id="counted",service="jwt-factory"} 1')
    expect(text).toMatch(/token_verifications_total{outcome="valid",service="jwt-factory"} [2-9]/)
    expect(text).toContain('token_verifications_total{outcome="subject_mismatch",service="jwt-factory"} 1')
  })

  it('answers 404 for other paths, in JSON', async () => {
    const { status, body } = await factory.get('/nowhere')
    expect([status, body.error.code]).toEqual([404, 'no_such_endpoint'])
  })
})

describe('a request that is not valid', () => {
  const factory = useFactory()
  const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')
  const json = { 'content-type': 'application/json' }
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const issue = '/issueToken/servicea'

  it.each<[string, string, Record<string, string>, string]>([
    ['malformed_json', issue, json, '{'],
    ['duplicate_member', issue, json, '{"aud":"b","aud":"c"}'],
    ['inexact_number', issue, json, '{"aud":"b","n":12345678901234567890}'],
    ['forbidden_member', issue, json, '{"constructor":1}'],
    ['not_an_object', issue, json, '[]'],
    ['json_too_deep', issue, json, `{"a":${'['.repeat(20)}${']'.repeat(20)}}`],
    ['wrong_content_type', issue, form, 'aud=b'],
    ['unsupported_encoding', issue, { ...json, 'content-encoding': 'gzip' }, '{}'],
    ['invalid_key_id', '/keys/a.b', json, '{}'],
    ['malformed_path', '/keys/%zz', json, '{}'],
  ])('gets a 400 that the README has: %s', async (code, path, headers, text) => {
    const body = Buffer.from(text, 'latin1')
    const response = await fetch(factory.url() + path, { method: 'POST', headers, body })
    expect([response.status, await response.json()]).toMatchObject([400, { error: { code } }])
    expect(readme).toContain(`\`${code}\``)
  })
})
