import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from '@jest/globals'
import { startTier, type TestTier } from '../testing/tier.ts'
import { requireOperator } from './operator.ts'

const TOKEN = 'a-token-that-nobody-guesses'
const folder = mkdtempSync(join(tmpdir(), 'operator-'))
afterAll(() => rmSync(folder, { recursive: true }))
const fileWith = (text: string) => {
  const file = join(folder, `${text.length}`)
  writeFileSync(file, text, { mode: 0o600 })
  return file
}

let tier: TestTier | undefined
afterEach(() => tier?.stop())

/** Sends a GET without `fetch`, which would set `sec-fetch-mode` itself. */
const send = (url: string, path: string, headers: Record<string, string>) =>
  new Promise<{ status: number | undefined }>((resolve, reject) => {
    http
      .get(`${url}${path}`, { headers }, (response) => {
        response.resume()
        resolve({ status: response.statusCode })
      })
      .on('error', reject)
  })

describe('an operator', () => {
  // As sent by a caller on another machine, through a proxy.
  const elsewhere = { 'x-forwarded-for': '192.0.2.1' }
  const ZONE = '/api/8/http/keyvals/tokens'

  it('is only a caller on this machine or with the admin token', async () => {
    tier = await startTier({ proxies: 1, env: { ADMIN_TOKEN_FILE: fileWith(`${TOKEN}\n`) } })
    const statusWith = async (headers: Record<string, string>) =>
      (await tier?.operate(0, ZONE, { headers }))?.status
    expect(await statusWith({})).toBe(200)
    expect(await statusWith(elsewhere)).toBe(401)
    expect(await statusWith({ ...elsewhere, authorization: `Bearer ${TOKEN}` })).toBe(200)
    expect(await statusWith({ ...elsewhere, authorization: `Bearer ${TOKEN}x` })).toBe(401)
    // A wrong token is rejected even from this machine.
    expect(await statusWith({ authorization: 'Bearer another-token-of-that-length' })).toBe(401)
  })

  it('is not a page on another port of this machine, which is only allowed to link here', async () => {
    tier = await startTier({ proxies: 1 })
    const own = tier.proxies[0]?.url as string
    const write = async (headers: Record<string, string>) => {
      const response = await tier?.operate(0, ZONE, { method: 'POST', body: '{"user1":"0"}', headers })
      const { error } = response?.status === 403 ? ((await response.json()) as { error: unknown }) : {}
      return [response?.status, error]
    }
    const refusal = [403, expect.objectContaining({ code: 'foreign_origin' })]
    expect(await write({ origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' })).toEqual(refusal)
    expect(await write({ origin: 'http://localhost:3000' })).toEqual(refusal)
    expect(await write({ origin: 'null' })).toEqual(refusal)
    expect(await write({ 'sec-fetch-site': 'same-site' })).toEqual(refusal)
    expect(await write({ origin: own, 'sec-fetch-site': 'same-origin' })).toEqual([201, undefined])
    const read = async (dest: string) =>
      (
        await send(own, '/dashboard.html', {
          'sec-fetch-site': 'same-site',
          'sec-fetch-mode': 'navigate',
          'sec-fetch-dest': dest,
        })
      ).status
    expect([await read('document'), await read('iframe')]).toEqual([200, 403])
  })

  it('must not have a token that is easy to guess', () => {
    expect(() => requireOperator(fileWith('short'))).toThrow('is shorter than 22 characters')
  })
})
