import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from '@jest/globals'
import { requireOperator } from './operator.ts'
import { startTier, type TestTier } from './testing/tier.ts'

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

describe('an operator', () => {
  // As whoever comes from another machine, through something that says so.
  const elsewhere = { 'x-forwarded-for': '192.0.2.1' }
  const ZONE = '/api/8/http/keyvals/tokens'

  it('is whoever sits at this machine, or shows the admin token, and nobody else', async () => {
    tier = await startTier({ proxies: 1, env: { ADMIN_TOKEN_FILE: fileWith(`${TOKEN}\n`) } })
    const statusWith = async (headers: Record<string, string>) =>
      (await tier?.operate(0, ZONE, { headers }))?.status
    expect(await statusWith({})).toBe(200)
    expect(await statusWith(elsewhere)).toBe(401)
    expect(await statusWith({ ...elsewhere, authorization: `Bearer ${TOKEN}` })).toBe(200)
    expect(await statusWith({ ...elsewhere, authorization: `Bearer ${TOKEN}x` })).toBe(401)
    // A wrong token is refused at this machine, too: whoever shows one means to be asked for it.
    expect(await statusWith({ authorization: 'Bearer another-token-of-that-length' })).toBe(401)
  })

  it('has no token that can be guessed', () => {
    expect(() => requireOperator(fileWith('short'))).toThrow('is shorter than 22 characters')
  })
})
