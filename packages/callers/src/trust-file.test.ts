import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportPrivatePem, publicJwks, SIGNATURE_ALGORITHMS } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { TestAuthority } from './testing.ts'
import { readTrustFile } from './trust-file.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trust-file-'))
  const key = testKey('ES256', 'a')
  const privateJwk = { ...key.privateKey.export({ format: 'jwk' }), kid: 'a', alg: 'ES256' }
  for (const [file, content] of Object.entries({
    'a.json': JSON.stringify(publicJwks([key])),
    'empty.json': '\n',
    'text.json': 'keys',
    'array.json': '[]',
    'private.json': JSON.stringify({ keys: [privateJwk] }),
    'private-jwk.json': JSON.stringify(privateJwk),
    'private.pem': exportPrivatePem(key),
  }))
    await writeFile(join(folder, file), content)
  await writeFile(join(folder, 'shared.json'), JSON.stringify(publicJwks([key])))
  await chmod(join(folder, 'shared.json'), 0o666)
})
afterAll(() => rm(folder, { recursive: true }))

async function read(text: string, options?: { inMesh: boolean }) {
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
const CLIENT = { method: 'private_key_jwt', clientId: 'servicea', jwksFile: 'a.json' }
const SPIFFE = { method: 'spiffe', trustDomain: 'example.org', jwksFile: 'a.json', subjects: {} }
const OIDC = { method: 'oidc', issuer: 'https://login.example/', clients: { batch: { keyId: 'batch' } } }
const callers = (...entries: object[]) => JSON.stringify({ callers: entries })

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
      'contains no certificate (PEM)',
    ],
    [
      'a client that also has another method',
      JSON.stringify({
        callers: [CLIENT, { ...JSON.parse(certified({ sanDns: 'a' })).callers[0], clientId: 'servicea' }],
      }),
      'callers.1.clientId servicea is already the name of callers.0',
    ],
    [
      'a client twice',
      JSON.stringify({
        callers: [
          ...JSON.parse(certified({ sanDns: 'a' })).callers,
          ...JSON.parse(certified({ sanDns: 'b' })).callers,
        ],
      }),
      'callers.1.clientId batch is already the name of callers.0',
    ],
  ])('rejects clients with certificates that have %s', async (_what, text, message) => {
    await writeFile(join(folder, 'ca.pem'), authority.pem)
    await expect(read(text)).rejects.toThrow(message)
  })

  it('reads YAML and JSON, with file names relative to the file', async () => {
    const entry = { ...CLIENT, keyId: 'servicea' }
    const expected = [{ ...entry, jwksFile: join(folder, 'a.json'), admin: false, claims: [], scopes: [] }]
    expect(await read(callers(entry))).toEqual(expected)
    const yaml =
      'callers:\n  - method: private_key_jwt\n    clientId: servicea\n    jwksFile: a.json\n    keyId: servicea\n'
    expect(await read(yaml)).toEqual(expected)
    expect(await read(KUBERNETES)).toMatchObject([
      { subjects: { 'system:serviceaccount:default:service-a': { admin: false } } },
    ])
  })

  it('lets a Kubernetes cluster’s keys be discovered, but no others', async () => {
    expect(await read(KUBERNETES.replace(/ *jwksUrl.*\n/, ''))).toMatchObject([
      { issuer: 'https://kubernetes.default.svc.cluster.local' },
    ])
    const withoutKeys = [
      { ...CLIENT, jwksFile: undefined },
      { ...SPIFFE, jwksFile: undefined },
    ]
    for (const entry of withoutKeys)
      await expect(read(callers(entry))).rejects.toThrow('needs exactly one of jwksFile and jwksUrl')
  })

  it('reads an OpenID provider, with defaults that accept only tokens of the clients themselves', async () => {
    expect(await read(callers(OIDC))).toEqual([
      {
        ...OIDC,
        audienceList: 'single',
        clientIdClaim: 'client_id',
        tokenUse: 'scoped',
        algorithms: SIGNATURE_ALGORITHMS,
        allowUserTokens: false,
        maxLifetimeSeconds: 5_400,
        clients: { batch: { keyId: 'batch', admin: false, claims: [], scopes: [] } },
      },
    ])
  })

  it.each([
    ['a misspelled right', KUBERNETES.replace('keyId', 'keyid'), 'keyid'],
    ['a key ID that is a path', KUBERNETES.replace('servicea }', '"../x" }'), 'keyId'],
    [
      'two sources of keys',
      KUBERNETES.replace('subjects', 'jwksFile: a.json\n    subjects'),
      'needs at most one of jwksFile and jwksUrl',
    ],
    [
      'a cluster whose keys cannot be discovered',
      KUBERNETES.replace(/ *jwksUrl.*\n/, '').replace(/issuer: .*/, 'issuer: my-cluster'),
      'because the keys are discovered at it, unless jwksUrl or jwksFile is set, but is "my-cluster"',
    ],
    [
      'a token for any server',
      KUBERNETES.replace('subjects', 'tokenFile: a.json\n    subjects'),
      'callers.0.tokenFile needs caFile',
    ],
    [
      'a CA for a file',
      callers({ ...CLIENT, caFile: 'ca.pem' }),
      'callers.0.caFile is for keys from the network',
    ],
    [
      'an OpenID provider whose keys cannot be discovered',
      callers({ ...OIDC, issuer: 'login.example' }),
      'callers.0.issuer must be an http or https URL without query',
    ],
    [
      'an OpenID provider with two sources of keys',
      callers({ ...OIDC, jwksFile: 'a.json', jwksUrl: 'https://login.example/keys' }),
      'callers.0 needs at most one of jwksFile and jwksUrl',
    ],
    ['an OpenID provider without clients', callers({ ...OIDC, clients: {} }), 'callers.0.clients must list'],
    [
      'an OpenID provider with subjects instead of clients',
      callers({ ...OIDC, clients: undefined, subjects: {} }),
      'callers.0.clients',
    ],
    [
      'clients with a subject where any subject is accepted',
      callers({ ...OIDC, allowUserTokens: true, clients: { batch: { subject: 'a' } } }),
      'callers.0.allowUserTokens accepts any subject; remove it, or the subject of the clients',
    ],
    [
      'a kind of token that is none',
      callers({ ...OIDC, tokenUse: 'access' }),
      'callers.0.tokenUse must be at+jwt, scoped, any, or a claim and its value',
    ],
    ['ID tokens as credentials', callers({ ...OIDC, tokenUse: 'id' }), 'callers.0.tokenUse must be at+jwt'],
    [
      'an algorithm with secrets',
      callers({ ...OIDC, algorithms: ['HS256'] }),
      'callers.0.algorithms HS256 is not one of',
    ],
    ['no algorithm', callers({ ...OIDC, algorithms: [] }), 'callers.0.algorithms must be one or more of'],
    [
      'tokens that are valid for two days',
      callers({ ...OIDC, maxLifetimeSeconds: 172_800 }),
      'callers.0.maxLifetimeSeconds',
    ],
    [
      'an issuer that is a cluster and an OpenID provider',
      callers({ ...SPIFFE, method: 'kubernetes', issuer: OIDC.issuer, trustDomain: undefined }, OIDC),
      'callers.1.issuer https://login.example/ is already the name of callers.0; a client or an issuer has one method, so remove one',
    ],
    ['an unknown method', KUBERNETES.replace('method: kubernetes', 'method: password'), 'method'],
    ['no callers', 'callers: []', 'callers'],
    ['an empty file', '\n', 'callers.yaml: is empty'],
    ['a duplicate member, of which most parsers would keep the last', `${KUBERNETES}callers: []\n`, 'unique'],
    [
      'keys from a file: URL',
      KUBERNETES.replace(/https:.*jwks/, 'file:///etc/jwks.json'),
      'callers.0.jwksUrl',
    ],
    [
      'a missing CA file',
      KUBERNETES.replace('subjects', 'caFile: none.pem\n    subjects'),
      'none.pem does not exist; create it or correct the name',
    ],
    [
      'a CA file without a certificate',
      KUBERNETES.replace('subjects', 'caFile: a.json\n    subjects'),
      'a.json contains no certificate (PEM)',
    ],
    [
      'a trust domain that is none',
      callers({ ...SPIFFE, trustDomain: 'spiffe://a' }),
      'must be a trust domain',
    ],
    [
      'a duplicate client',
      callers(CLIENT, CLIENT),
      'callers.1.clientId servicea is already the name of callers.0',
    ],
    [
      'a duplicate issuer',
      callers({ ...SPIFFE, method: 'kubernetes', issuer: 'i', trustDomain: undefined }, CLIENT, {
        ...SPIFFE,
        method: 'kubernetes',
        issuer: 'i',
        trustDomain: undefined,
      }),
      'callers.2.issuer i is already the name of callers.0',
    ],
    [
      'a client with the name of an issuer',
      callers(
        { ...CLIENT, clientId: 'i' },
        { ...SPIFFE, method: 'kubernetes', issuer: 'i', trustDomain: undefined },
      ),
      'callers.1.issuer i is already the name of callers.0',
    ],
    ['a duplicate trust domain', callers(SPIFFE, SPIFFE), 'callers.1.trustDomain example.org is already'],
    ['a missing key file', callers({ ...CLIENT, jwksFile: 'b.json' }), 'b.json does not exist'],
    ['a folder of keys', callers({ ...CLIENT, jwksFile: '.' }), 'is a folder, not a file'],
    ['an empty key file', callers({ ...CLIENT, jwksFile: 'empty.json' }), 'empty.json is empty'],
    [
      'a key file that any user can change',
      callers({ ...CLIENT, jwksFile: 'shared.json' }),
      'must not be used: any user of this machine can change it. Run: chmod o-w',
    ],
    ['a key file that is not JSON', callers({ ...CLIENT, jwksFile: 'text.json' }), 'is not valid JSON'],
    ['a key file that is not a JWKS', callers({ ...CLIENT, jwksFile: 'array.json' }), 'is not a usable JWKS'],
    ['a bundle that is not a JWKS', callers({ ...SPIFFE, jwksFile: 'array.json' }), 'is not a SPIFFE bundle'],
    ...['private.json', 'private-jwk.json', 'private.pem'].flatMap((file) =>
      [CLIENT, SPIFFE].map(
        (entry) =>
          [
            `${file} as the keys of ${entry.method}`,
            callers({ ...entry, jwksFile: file }),
            `${file} contains a private key; publish only its public half here, and replace the key`,
          ] as const,
      ),
    ),
  ])('rejects %s, and names it', async (_what, text, named) => {
    await expect(read(text)).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringContaining(named),
    })
  })

  it('rejects unencrypted keys beyond this machine without a mesh, and names every such entry', async () => {
    const entry = (jwksUrl: string) => ({ method: 'private_key_jwt', clientId: jwksUrl, jwksUrl })
    const urls = [
      'http://a.internal/jwks',
      'https://b.internal/jwks',
      'http://127.0.0.1:1/jwks',
      'http://c/jwks',
    ]
    const text = JSON.stringify({ callers: urls.map(entry) })
    await expect(read(text, { inMesh: true })).resolves.toHaveLength(4)
    await expect(read(text)).rejects.toMatchObject({
      name: 'ConfigError',
      problems: [0, 3].map((index) =>
        expect.stringMatching(
          new RegExp(
            `callers\\.${index}\\.jwksUrl is not encrypted, so anyone on the network can replace its keys and sign tokens: use an https URL, or set MESH`,
          ),
        ),
      ),
    })
  })

  it('rejects an issuer with an unencrypted URL without a mesh', async () => {
    const text = KUBERNETES.replace('issuer: https:', 'issuer: http:')
    await expect(read(text, { inMesh: true })).resolves.toHaveLength(1)
    await expect(read(text)).rejects.toThrow(
      'callers.0.issuer is not encrypted, so anyone on the network can replace its keys and sign tokens',
    )
  })

  it('rejects http for the keys of an https issuer, in a mesh too', async () => {
    const text = callers({ ...OIDC, issuer: 'https://login.example/', jwksUrl: 'http://localhost:1/jwks' })
    for (const inMesh of [false, true])
      await expect(read(text, { inMesh })).rejects.toThrow(
        /callers\.0\.jwksUrl must be an https URL, because the issuer is one \("https:\/\/login\.example\/"\), but is "http:\/\/localhost:1\/jwks"/,
      )
  })

  it('rejects the discovery of keys at an unencrypted issuer without a mesh', async () => {
    const text = KUBERNETES.replace(/ *jwksUrl.*\n/, '')
    await expect(read(text)).resolves.toHaveLength(1)
    for (const plain of [
      text.replace('https:', 'http:'),
      callers({ ...OIDC, issuer: 'http://login.example/' }),
    ])
      await expect(read(plain)).rejects.toThrow(
        'callers.0.issuer is not encrypted, so anyone on the network can replace its keys and sign tokens',
      )
  })

  it('names all problems together, and quotes no file', async () => {
    const text = callers(
      { ...CLIENT, jwksFile: 'b.json' },
      { ...CLIENT, clientId: 'serviceb', jwksFile: 'private.json' },
      { ...SPIFFE, jwksFile: 'empty.json' },
    )
    const { problems } = await read(text).catch((error) => error)
    expect(problems).toEqual([
      expect.stringContaining('callers.0.jwksFile'),
      expect.stringContaining('callers.1.jwksFile'),
      expect.stringContaining('callers.2.jwksFile'),
    ])
    const pem = await read('-----BEGIN PRIVATE KEY-----\nMIGHAg: : secret\n').catch((error) => error)
    expect(pem.message).not.toContain('MIGHAg')
  })

  it('names a missing file', async () => {
    await expect(readTrustFile('/no/such/callers.yaml')).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringContaining('/no/such/callers.yaml'),
    })
  })
})
