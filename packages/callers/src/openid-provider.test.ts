import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseCompact } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { CallersFile } from './callers-file.ts'

const AUDIENCE = 'https://jwt-factory/'
const key = testKey('ES256', 'provider')

let listener: Server
let folder: string
let issuer: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'openid-provider-'))
  let answer: RequestListener = (_request, response) => response.writeHead(503).end()
  listener = createServer((request, response) => answer(request, response))
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`
  const jwk = { ...key.privateKey.export({ format: 'jwk' }), kid: key.kid, alg: 'ES256', use: 'sig' }
  const client = {
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials'],
    id_token_signed_response_alg: 'ES256',
  }
  // It warns of Node 20 and of its store in memory, which a test may use.
  const { warn } = console
  console.warn = () => {}
  const { Provider } = await import('oidc-provider')
  answer = new Provider(issuer, {
    scopes: ['keys'],
    clients: [
      { ...client, client_id: 'batch', client_secret: 'secret-of-batch' },
      { ...client, client_id: 'other', client_secret: 'secret-of-other' },
    ] as never,
    jwks: { keys: [jwk] } as never,
    ttl: { ClientCredentials: 600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, audience) => ({
          audience,
          scope: 'keys',
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  }).callback()
  console.warn = warn
})
afterAll(async () => {
  listener.closeAllConnections()
  await new Promise((resolve) => listener.close(resolve))
  await rm(folder, { recursive: true })
})

/** Requests a token as a client does (RFC 6749 §4.4, RFC 8707 §2). */
async function tokenOf(client: string, resource = AUDIENCE): Promise<string> {
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${client}:secret-of-${client}`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource, scope: 'keys' }),
  })
  const body = (await answer.json()) as { access_token: string }
  expect(body).toEqual(expect.objectContaining({ token_type: 'Bearer' }))
  return body.access_token
}

it('accepts the tokens that a client gets from an OpenID provider, without settings of that provider', async () => {
  const trustFile = join(folder, 'callers.yaml')
  await writeFile(
    trustFile,
    `callers:\n  - method: oidc\n    issuer: ${issuer}\n    clients:\n      batch: { keyId: servicea }\n`,
  )
  const callers = new CallersFile({ mode: 'authenticated', trustFile, leewaySeconds: 5 }, AUDIENCE)
  await callers.load()
  const token = await tokenOf('batch')
  expect(parseCompact(token).header).toMatchObject({ typ: 'at+jwt', alg: 'ES256' })
  expect(parseCompact(token).payload).toMatchObject({ sub: 'batch', client_id: 'batch', aud: AUDIENCE })
  expect(await callers.identify(token)).toMatchObject({ subject: 'batch', keyId: 'servicea' })
  await expect(callers.identify(await tokenOf('other'))).rejects.toMatchObject({
    status: 403,
    code: 'caller_not_listed',
    message: 'other is not a trusted caller. Add it to TRUSTED_CALLERS_FILE.',
  })
  await expect(callers.identify(await tokenOf('batch', 'https://other.example/'))).rejects.toMatchObject({
    status: 401,
    code: 'invalid_client',
    message: `Client authentication failed: jwt audience invalid. expected: ${AUDIENCE}.`,
  })
})
