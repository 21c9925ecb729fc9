import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseCompact } from '@hallpass/tokens'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { CallersFile } from './callers-file.ts'
import { clientSecret, startOpenidProvider } from './testing.ts'

const AUDIENCE = 'https://jwt-factory/'

let provider: Awaited<ReturnType<typeof startOpenidProvider>>
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'openid-provider-'))
  provider = await startOpenidProvider({ scope: 'keys', clients: ['batch', 'other'] })
})
afterAll(async () => {
  await provider.stop()
  await rm(folder, { recursive: true })
})

/** Requests a token as a client does (RFC 6749 §4.4, RFC 8707 §2). */
async function tokenOf(client: string, resource = AUDIENCE): Promise<string> {
  const answer = await fetch(`${provider.issuer}/token`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${client}:${encodeURIComponent(clientSecret(client))}`).toString('base64')}`,
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
    `callers:\n  - method: oidc\n    issuer: ${provider.issuer}\n    clients:\n      batch: { keyId: servicea }\n`,
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
