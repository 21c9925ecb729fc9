import { mkdtempSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { loadSigningKeys } from './signing-keys.ts'

describe('loadSigningKeys', () => {
  it('creates one key per algorithm, owner-only, and loads the same ones again', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'keys-')), 'identity-provider/keys.json')
    const [first, again] = await Promise.all([loadSigningKeys(file), loadSigningKeys(file)])
    expect(first.map(({ alg, use, kty }) => [alg, use, kty])).toEqual([
      ['RS256', 'sig', 'RSA'],
      ['ES256', 'sig', 'EC'],
    ])
    expect(again).toEqual(first)
    expect(await loadSigningKeys(file)).toEqual(first)
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  it.each(['', '{}', '{"keys":[]}', '{"keys":[{"kty":"RSA"}]}', 'null', '{"keys":'])(
    'names the file when it contains %j',
    async (text) => {
      const file = join(mkdtempSync(join(tmpdir(), 'keys-')), 'keys.json')
      writeFileSync(file, text, { mode: 0o600 })
      await expect(loadSigningKeys(file)).rejects.toThrow(
        `${file}: ${text === '' ? 'empty' : 'not a set of private keys (RS256 and ES256)'}. Restore it, or delete it`,
      )
    },
  )
})
