import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { TestAuthority } from './testing.ts'
import { readTrustFile } from './trust-file.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trust-file-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function read(text: string, options?: { requiresTls: boolean }) {
  const path = join(folder, 'callers.yaml')
  await writeFile(path, text)
  return readTrustFile(path, options)
}

const KUBERNETES = `callers:
  - method: kubernetes
    issuer: https://kubernetes.default.svc.cluster.local
    jwksUrl: https://kubernetes.default.svc/openid/v1/jwks
    subjects:
      system:serviceaccount:default:service-a: { keyId: servicea }
`

const authority = new TestAuthority('clients')
const certified = (names: object) =>
  JSON.stringify({ callers: [{ method: 'tls_client_auth', clientId: 'batch', caFile: 'ca.pem', ...names }] })

describe('readTrustFile', () => {
  it('reads clients with certificates, and the CA beside the file', async () => {
    await writeFile(join(folder, 'ca.pem'), authority.pem)
    expect(await read(certified({ subjectDn: 'CN=batch' }))).toMatchObject([
      { method: 'tls_client_auth', clientId: 'batch', subjectDn: 'CN=batch', ca: authority.pem },
    ])
  })

  it.each([
    ['no name', certified({}), 'needs exactly one of subjectDn, sanDns, sanUri, sanIp, sanEmail'],
    [
      'two names',
      certified({ sanDns: 'a', sanUri: 'b:c' }),
      'needs exactly one of subjectDn, sanDns, sanUri, sanIp, sanEmail',
    ],
    [
      'a subject that is not a name',
      certified({ subjectDn: 'batch' }),
      'is not a distinguished name (RFC 4514)',
    ],
    ['an address that is none', certified({ sanIp: '1.2.3' }), 'is not an IP address'],
    ['a CA that is missing', certified({ caFile: 'none.pem', sanDns: 'a' }), 'none.pem'],
    [
      'a CA file without certificates',
      certified({ caFile: 'callers.yaml', sanDns: 'a' }),
      'contains no certificate in PEM',
    ],
    [
      'a client twice',
      JSON.stringify({
        callers: [
          ...JSON.parse(certified({ sanDns: 'a' })).callers,
          ...JSON.parse(certified({ sanDns: 'b' })).callers,
        ],
      }),
      'a clientId has more than one tls_client_auth',
    ],
  ])('rejects clients with certificates that have %s', async (_what, text, message) => {
    await writeFile(join(folder, 'ca.pem'), authority.pem)
    await expect(read(text)).rejects.toThrow(message)
  })

  it('reads YAML and JSON, with file names relative to the file', async () => {
    const entry = { method: 'private_key_jwt', clientId: 'servicea', jwksFile: 'a.json', keyId: 'servicea' }
    const expected = [{ ...entry, jwksFile: join(folder, 'a.json'), admin: false, claims: [], scopes: [] }]
    expect(await read(JSON.stringify({ callers: [entry] }))).toEqual(expected)
    const yaml =
      'callers:\n  - method: private_key_jwt\n    clientId: servicea\n    jwksFile: a.json\n    keyId: servicea\n'
    expect(await read(yaml)).toEqual(expected)
    expect(await read(KUBERNETES)).toMatchObject([
      { subjects: { 'system:serviceaccount:default:service-a': { admin: false } } },
    ])
  })

  it.each([
    ['a misspelled right', KUBERNETES.replace('keyId', 'keyid'), 'keyid'],
    ['a key ID that is a path', KUBERNETES.replace('servicea }', '"../x" }'), 'keyId'],
    [
      'no keys to verify with',
      KUBERNETES.replace(/ *jwksUrl.*\n/, ''),
      'needs exactly one of jwksFile and jwksUrl',
    ],
    ['an unknown method', KUBERNETES.replace('method: kubernetes', 'method: password'), 'method'],
    ['no callers', 'callers: []', 'callers'],
    ['a duplicate member, of which most parsers would keep the last', `${KUBERNETES}callers: []\n`, 'unique'],
    [
      'keys from a file: URL',
      KUBERNETES.replace(/https:.*jwks/, 'file:///etc/jwks.json'),
      'callers.0.jwksUrl',
    ],
    ['a missing CA file', KUBERNETES.replace('subjects', 'caFile: none.pem\n    subjects'), 'ENOENT'],
  ])('rejects %s, and names it', async (_what, text, named) => {
    await expect(read(text)).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringContaining(named),
    })
  })

  it('rejects unencrypted keys where TLS is required, and names every such entry', async () => {
    const entry = (jwksUrl: string) => ({ method: 'private_key_jwt', clientId: 'servicea', jwksUrl })
    const urls = [
      'http://a.internal/jwks',
      'https://b.internal/jwks',
      'http://127.0.0.1:1/jwks',
      'http://c/jwks',
    ]
    const text = JSON.stringify({ callers: urls.map(entry) })
    await expect(read(text)).resolves.toHaveLength(4)
    await expect(read(text, { requiresTls: true })).rejects.toMatchObject({
      name: 'ConfigError',
      problems: [0, 3].map((index) =>
        expect.stringMatching(
          new RegExp(
            `callers\\.${index}\\.jwksUrl is not encrypted, which NODE_ENV=production does not allow: use an https URL, or set MESH`,
          ),
        ),
      ),
    })
  })

  it('rejects an issuer with an unencrypted URL where TLS is required', async () => {
    const text = KUBERNETES.replace('issuer: https:', 'issuer: http:')
    await expect(read(text)).resolves.toHaveLength(1)
    await expect(read(text, { requiresTls: true })).rejects.toThrow(
      /callers\.0\.issuer is not encrypted, which NODE_ENV=production does not allow/,
    )
  })

  it('names a missing file', async () => {
    await expect(readTrustFile('/no/such/callers.yaml')).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringContaining('/no/such/callers.yaml'),
    })
  })
})
