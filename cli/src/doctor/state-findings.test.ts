import { generateKeyPairSync } from 'node:crypto'
import { chmod, cp, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { LmdbStore } from '@hallpass/token-store'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { stateFindings } from './state-findings.ts'

const newKeys = () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    jwk: { ...privateKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256', use: 'sig' },
  }
}

describe('stateFindings', () => {
  let good: string
  let folder: string
  beforeAll(async () => {
    good = await mkdtemp(join(tmpdir(), 'hallpass-state-'))
    await ensureDevelopmentCertificates(good)
    const store = new LmdbStore({ folder: join(good, 'token-cache') })
    await store.open()
    await store.zone('tokens').replace('a', undefined, { value: 'x', endsAt: Date.now() + 60_000 })
    await store.close()
    const { privatePem, publicPem, jwk } = newKeys()
    const certificate = await readFile(join(good, 'certificates/ca.pem'), 'utf8')
    const privateKey = await readFile(join(good, 'certificates/ca-key.pem'), 'utf8')
    for (const [file, text] of Object.entries({
      version: '1\n',
      'keys/servicea-private.pem': privatePem,
      'keys/servicea-public.pem': publicPem,
      'identity-provider/keys.json': JSON.stringify({ keys: [jwk] }),
      'identity-provider/cookie-secret': 'x'.repeat(43),
      'key-encryption.key': `${Buffer.alloc(32, 1).toString('base64')}\n`,
      'spiffe/authorities.json': JSON.stringify({ x509: [{ authority: { certificate, privateKey } }] }),
      'spiffe/entries.yaml': 'entries: []\n',
    })) {
      await mkdir(dirname(join(good, file)), { recursive: true, mode: 0o700 })
      await writeFile(join(good, file), text, { mode: 0o600 })
    }
  })
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass-state-'))
    await cp(good, folder, { recursive: true })
  })
  afterAll(() => rm(good, { recursive: true }))

  async function look() {
    const found: string[] = []
    for await (const { state, what, remedy } of stateFindings(folder, Date.now()))
      found.push(`${state}: ${what.replace(`${folder}/`, '')}${remedy ? ` => ${remedy}` : ''}`)
    return found
  }

  it('finds no problem in the state of a fresh start', async () => {
    expect(await look()).toEqual([
      'good: 15 state files are readable and valid: 5 private keys, 4 certificates',
    ])
  })

  it.each([
    ['certificates/ca-key.pem', 'not a PEM key or certificate'],
    ['certificates/test-ca.crt', 'not a PEM key or certificate'],
    ['keys/servicea-private.pem', 'not a PEM key or certificate'],
    ['keys/servicea-public.pem', 'not a PEM key or certificate'],
    ['identity-provider/keys.json', 'not JSON with usable keys'],
    ['identity-provider/cookie-secret', 'not a secret of at least 22 characters'],
    ['spiffe/authorities.json', 'not JSON with usable keys'],
    ['spiffe/entries.yaml', 'not YAML'],
    ['version', 'not a version number'],
    ['key-encryption.key', 'not a key-encryption key'],
    ['token-cache/store/data.mdb', 'not a token store (lmdb)'],
  ])('reports a corrupt %s with a fix', async (file, reason) => {
    await writeFile(join(folder, file), 'entries: [')
    const found = await look()
    expect(found).toEqual([expect.stringMatching(/ => ./)])
    expect(found[0]).toContain(`bad: ${file}: ${reason} => `)
    await writeFile(join(folder, file), '')
    if (!file.endsWith('.mdb'))
      expect(await look()).toContainEqual(expect.stringContaining(`bad: ${file}: empty =>`))
  })

  it('reports a truncated key, an invalid JSON key and a truncated store', async () => {
    const key = join(folder, 'keys/servicea-private.pem')
    await truncate(key, 100)
    await writeFile(
      join(folder, 'identity-provider/keys.json'),
      '{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}',
    )
    await truncate(join(folder, 'token-cache/store/data.mdb'), 12_000)
    expect(await look()).toEqual([
      expect.stringContaining('bad: identity-provider/keys.json: not JSON with usable keys => '),
      expect.stringContaining('bad: keys/servicea-private.pem: not a PEM key or certificate => '),
      expect.stringContaining(
        'bad: token-cache/store/data.mdb: a token store (lmdb) that was truncated: 12000 of ',
      ),
    ])
  })

  it('reports keys that do not match the files next to them', async () => {
    const other = newKeys()
    await writeFile(join(folder, 'keys/servicea-public.pem'), other.publicPem)
    await writeFile(join(folder, 'certificates/localhost-key.pem'), other.privatePem)
    const file = join(folder, 'spiffe/authorities.json')
    await writeFile(
      file,
      (await readFile(file, 'utf8')).replace(
        /("privateKey":)"[^"]*"/,
        `$1${JSON.stringify(other.privatePem)}`,
      ),
    )
    expect(await look()).toEqual([
      expect.stringContaining('bad: spiffe/authorities.json: not JSON with usable keys => '),
      expect.stringContaining(
        'bad: certificates/localhost-key.pem: not the private key of localhost.pem => rm -r ',
      ),
      expect.stringContaining(
        'bad: keys/servicea-public.pem: not the public half of servicea-private.pem => openssl ',
      ),
    ])
  })

  it('reports secrets of every kind that other users can read', async () => {
    for (const file of [
      'keys/servicea-private.pem',
      'identity-provider/keys.json',
      'identity-provider/cookie-secret',
    ])
      await chmod(join(folder, file), 0o640)
    expect(await look()).toEqual([
      expect.stringContaining(
        'bad: Other users can read the secret identity-provider/cookie-secret => chmod 600 ',
      ),
      expect.stringContaining(
        'bad: Other users can read the private key identity-provider/keys.json => chmod 600 ',
      ),
      expect.stringContaining(
        'bad: Other users can read the private key keys/servicea-private.pem => chmod 600 ',
      ),
    ])
  })

  it('ignores a file that a process is writing, and reports one whose process has ended', async () => {
    await writeFile(join(folder, `keys/a.${process.pid}.0123abcd.part`), 'half')
    expect(await look()).toHaveLength(1)
    // Larger than any process ID of the system.
    await writeFile(join(folder, 'keys/a.4999999.0123abcd.part'), 'half')
    expect(await look()).toContainEqual(
      expect.stringMatching(
        /^note: keys\/a\.4999999\.0123abcd\.part was left by an interrupted write => rm /,
      ),
    )
  })
})
