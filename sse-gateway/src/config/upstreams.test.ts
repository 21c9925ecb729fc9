import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from '@hallpass/service-kit'
import { exportPrivatePem } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { loadConfig } from './index.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gateway-upstreams-'))
  for (const name of ['secret.txt', 'api-key.txt', 'client.pem', 'client-key.pem'])
    await write(name, 'secret')
  await write('open.txt', 'secret')
  await chmod(join(folder, 'open.txt'), 0o644)
  await write('es256.pem', exportPrivatePem(testKey('ES256', 'gateway')))
})
afterAll(() => rm(folder, { recursive: true }))

const write = (name: string, text: string) => writeFile(join(folder, name), text, { mode: 0o600 })

async function load(upstream: unknown, env: Readonly<Record<string, string>> = {}) {
  const issuers = [{ issuer: 'https://one.example.com', audience: 'api', jwksFile: 'keys.json' }]
  const rule = { upstream, scopes: ['a'], issuers }
  await write('gateway.yaml', JSON.stringify({ paths: { '/a': rule } }))
  return loadConfig({ GATEWAY_CONFIG: join(folder, 'gateway.yaml'), ...env }).paths['/a']?.upstream
}

async function problems(upstream: unknown, env?: Readonly<Record<string, string>>) {
  try {
    await load(upstream, env)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map((problem) =>
      problem.replace('GATEWAY_CONFIG paths./a.upstream', '…').replaceAll(folder, '~'),
    )
  }
}

const url = 'https://events.example.com/stream'
const client = { url: 'https://login.example.com/token', clientId: 'gateway' }

describe('the upstream of a path', () => {
  it('is a URL, or an object whose files are relative to the configuration', async () => {
    expect(await load(url)).toEqual({ url })
    expect(
      await load({
        url,
        certFile: 'client.pem',
        keyFile: 'client-key.pem',
        headers: { 'X-Tenant': 'acme' },
        headerFiles: { 'X-Api-Key': 'api-key.txt' },
        token: {
          ...client,
          method: 'private_key_jwt',
          issuer: 'https://login.example.com',
          keyFile: 'es256.pem',
        },
      }),
    ).toEqual({
      url,
      certFile: join(folder, 'client.pem'),
      keyFile: join(folder, 'client-key.pem'),
      headers: { 'x-tenant': 'acme' },
      headerFiles: { 'x-api-key': join(folder, 'api-key.txt') },
      token: {
        ...client,
        method: 'private_key_jwt',
        issuer: 'https://login.example.com',
        keyFile: join(folder, 'es256.pem'),
        algorithm: 'ES256',
      },
    })
  })

  it.each<[unknown, readonly string[]]>([
    ['ftp://x', ['….url: Invalid URL']],
    [{ url, certFile: 'client.pem' }, ['…: needs certFile and keyFile together']],
    [
      { url: 'http://localhost/', certFile: 'client.pem', keyFile: 'client-key.pem' },
      ['…: needs an https url for a certificate'],
    ],
    [
      { url, headers: { Authorization: 'Bearer x' } },
      ['….headers.authorization: is a secret: use headerFiles'],
    ],
    [
      { url, headers: { a: 'x' }, headerFiles: { A: 'api-key.txt' } },
      ['….headerFiles.a: is in headers, too'],
    ],
    [
      { url, headers: { Host: 'x' } },
      ['….headers.host: must be the name of a header that the gateway does not set itself'],
    ],
    [
      { url, headers: { 'a b': 'x' } },
      ['….headers.a b: must be the name of a header that the gateway does not set itself'],
    ],
    [{ url, headers: { a: 'x\ny' } }, ['….headers.a: must be the value of a header']],
    [
      {
        url,
        headerFiles: { authorization: 'api-key.txt' },
        token: { ...client, method: 'client_secret_basic', secretFile: 'secret.txt' },
      },
      ['….headerFiles.authorization: is the header of the token'],
    ],
    [
      { url, headerFiles: { a: 'open.txt', b: 'missing.txt' } },
      [
        expect.stringMatching(
          /^….headerFiles.a ~\/open.txt: other users have access to it \(mode 0644\)\. Run: /,
        ),
        '….headerFiles.b ~/missing.txt: does not exist. Write the value of the header to it.',
      ] as never,
    ],
    [
      { url, token: { ...client, method: 'client_secret_basic', secretFile: 'missing.txt' } },
      ['….token.secretFile ~/missing.txt: does not exist. Write the client secret to it.'],
    ],
    [
      {
        url,
        token: {
          ...client,
          method: 'private_key_jwt',
          issuer: 'x',
          keyFile: 'es256.pem',
          algorithm: 'RS256',
        },
      },
      [expect.stringContaining('….token.keyFile ~/es256.pem: ')] as never,
    ],
    [
      {
        url,
        token: {
          ...client,
          url: 'http://localhost/token',
          method: 'tls_client_auth',
          certFile: 'client.pem',
          keyFile: 'client-key.pem',
        },
      },
      ['….token.url must be https for tls_client_auth'],
    ],
    [
      { url: 'http://events.example/', headerFiles: { a: 'api-key.txt' } },
      [
        expect.stringContaining(
          '….url is not encrypted, so anyone on the network can read its credentials: ',
        ),
      ] as never,
    ],
    [
      {
        url,
        token: {
          ...client,
          url: 'http://login.example/token',
          method: 'client_secret_basic',
          secretFile: 'secret.txt',
        },
      },
      [
        expect.stringContaining(
          '….token.url is not encrypted, so anyone on the network can read its tokens: ',
        ),
      ] as never,
    ],
  ])('%j is rejected', async (upstream, expected) => {
    expect(await problems(upstream)).toEqual(expected)
  })

  it('is not encrypted only in a mesh', async () => {
    const upstream = { url: 'http://events.example/', headerFiles: { a: 'api-key.txt' } }
    expect(await problems(upstream, { MESH: 'istio' })).toEqual([])
  })
})
