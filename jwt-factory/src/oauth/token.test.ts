import { readFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { AssertionType } from '@hallpass/callers'
import { parseCompact } from '@hallpass/tokens'
import { describe, expect, it } from '@jest/globals'
import { useOAuthServer, WORKLOAD } from './testing.ts'

const server = useOAuthServer()
const GRANT = { grant_type: 'client_credentials' }
const NO_REALM = 'Bearer error="invalid_client"'
const realm = (scheme: string) => `${scheme} realm="${server.issuer()}"`

/** Sends a form to /token with an assertion of a client. */
const ask = async (
  form: Record<string, string> | [string, string][],
  client: 'servicea' | 'serviceb' | 'operator' = 'servicea',
) =>
  server.send('/token', [
    ...Object.entries(await server.asserting(client)),
    ...(Array.isArray(form) ? form : Object.entries(form)),
  ])

describe('POST /token', () => {
  it('answers as RFC 6749 §5.1 says, and no cache stores it', async () => {
    const { status, headers, body } = await ask({ ...GRANT, audience: 'serviceb', scope: 'orders:read' })
    expect([status, body]).toEqual([
      200,
      { access_token: expect.any(String), token_type: 'Bearer', expires_in: 3600, scope: 'orders:read' },
    ])
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect([headers.get('cache-control'), headers.get('pragma')]).toEqual(['no-store', 'no-cache'])
    expect(parseCompact(body.access_token)).toMatchObject({
      header: { typ: 'at+jwt' },
      payload: { scope: 'orders:read', aud: 'serviceb', client_id: 'servicea' },
    })
  })

  it('accepts the assertion in the Authorization header as well', async () => {
    const { status } = await server.send(
      '/token',
      { ...GRANT, audience: 'serviceb' },
      { headers: { authorization: `Bearer ${await server.assertion('servicea')}` } },
    )
    expect(status).toBe(200)
  })

  it('is accepted by /verify, like the tokens of /issueToken', async () => {
    const { body } = await ask({ ...GRANT, audience: 'serviceb' })
    const verified = await server.fetch(`${server.url()}/verify/servicea`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${await server.assertion('serviceb')}`,
      },
      body: JSON.stringify({ token: body.access_token, aud: 'serviceb', sub: 'servicea' }),
    })
    expect([verified.status, await verified.json()]).toMatchObject([200, { valid: true }])
  })

  it('uses the only audience that a caller may have, and ignores empty and unknown parameters', async () => {
    const { status, body } = await ask(
      { ...GRANT, resource: '', scope: '', client_id: '', client_secret: '', unknown: 'x' },
      'serviceb',
    )
    expect([status, body]).toEqual([200, expect.not.objectContaining({ scope: expect.anything() })])
    expect(parseCompact(body.access_token).payload).toMatchObject({ aud: 'servicec', sub: 'serviceb' })
  })

  it.each([
    [{ audience: 'serviceb' }],
    [{ resource: 'serviceb' }],
    [{ resource: 'https://orders.example/api' }],
    [{ audience: 'https://orders.example/api' }],
  ])('issues a token for the audience of %j', async (target) => {
    const { body } = await ask({ ...GRANT, ...target })
    expect(parseCompact(body.access_token).payload.aud).toBe(Object.values(target)[0])
  })
})

const TARGET = { ...GRANT, audience: 'serviceb' }
const ONE_AUDIENCE = 'A token has exactly one audience. Send one resource or one audience.'
const MALFORMED_RESOURCE =
  'resource must be an absolute URI without a fragment (RFC 8707 section 2), or the key ID of a service.'
const MALFORMED_SCOPE = 'scope must be a list of names, separated by single spaces.'

describe('POST /token rejects an authenticated client', () => {
  it.each<[what: string, form: Record<string, string> | [string, string][], error: string, why: string]>([
    [
      'without a grant type',
      { audience: 'serviceb' },
      'invalid_request',
      'The form must contain a grant_type.',
    ],
    [
      'with another grant type',
      { ...TARGET, grant_type: 'authorization_code' },
      'unsupported_grant_type',
      'The only grant_type is client_credentials.',
    ],
    [
      'without an audience',
      GRANT,
      'invalid_target',
      'The token needs an audience: send resource or audience.',
    ],
    [
      'with an audience that it may not have',
      { ...GRANT, audience: 'servicec' },
      'invalid_target',
      'servicea is not allowed to get tokens for the audience servicec.',
    ],
    [
      'with two resources',
      [...Object.entries(GRANT), ['resource', 'serviceb'], ['resource', 'https://orders.example/api']],
      'invalid_target',
      ONE_AUDIENCE,
    ],
    ['with a resource and an audience', { ...TARGET, resource: 'serviceb' }, 'invalid_target', ONE_AUDIENCE],
    [
      'with a resource with a fragment',
      { ...GRANT, resource: 'https://orders.example/api#x' },
      'invalid_target',
      MALFORMED_RESOURCE,
    ],
    ['with a relative resource', { ...GRANT, resource: '/api' }, 'invalid_target', MALFORMED_RESOURCE],
    [
      'with a resource with a space',
      { ...GRANT, resource: 'https://a b' },
      'invalid_target',
      MALFORMED_RESOURCE,
    ],
    [
      'with a scope that it may not have',
      { ...TARGET, scope: 'orders:read admin' },
      'invalid_scope',
      'servicea is not allowed to get this scope.',
    ],
    ['with two spaces in the scope', { ...TARGET, scope: 'a  b' }, 'invalid_scope', MALFORMED_SCOPE],
    ['with a quote in the scope', { ...TARGET, scope: 'a"' }, 'invalid_scope', MALFORMED_SCOPE],
    [
      'with a repeated parameter',
      [...Object.entries(TARGET), ['scope', 'a'], ['scope', 'a']],
      'invalid_request',
      'The form repeats a parameter or uses a reserved name.',
    ],
  ])('%s', async (_what, form, error, why) => {
    const { status, body, headers } = await ask(form)
    expect([status, body]).toEqual([400, { error, error_description: why }])
    expect(headers.get('cache-control')).toBe('no-store')
  })

  it('that gets no tokens, or whose key does not exist yet', async () => {
    const { status, body } = await ask(TARGET, 'operator')
    expect([status, body]).toEqual([
      400,
      {
        error: 'unauthorized_client',
        error_description: 'operator gets no tokens. Give it a keyId in TRUSTED_CALLERS_FILE.',
      },
    ])
    const withoutKey = await server.send('/token', {
      ...TARGET,
      client_assertion_type: AssertionType.jwtSpiffe,
      client_assertion: await server.svid({ sub: 'spiffe://example.org/new' }),
    })
    expect([withoutKey.status, withoutKey.body]).toEqual([
      400,
      {
        error: 'unauthorized_client',
        error_description: 'Key new not found. GET /keys/new creates it.',
      },
    ])
  })
})

describe('client authentication', () => {
  const failed = (why: string) => ({
    error: 'invalid_client',
    error_description: `Client authentication failed: ${why}.`,
  })

  /** The same for all three endpoints. */
  async function rejected(
    form: Record<string, string>,
    options: Parameters<typeof server.send>[2] = {},
    endpoint = '/token',
  ) {
    const { status, body, headers } = await server.send(endpoint, { ...TARGET, token: 'x', ...form }, options)
    return [status, body, headers.get('www-authenticate')]
  }

  it.each(['/token', '/introspect', '/revoke'])('is required at %s', async (endpoint) => {
    const required =
      'Client authentication is required. Send a client_assertion, or a signed assertion as the bearer token.'
    expect(await rejected({}, {}, endpoint)).toEqual([
      401,
      { error: 'invalid_client', error_description: required },
      realm('Bearer'),
    ])
  })

  it('AL-38 accepts an assertion once, whether it came by form or by header', async () => {
    const assertion = await server.assertion('servicea')
    const form = { client_assertion_type: AssertionType.jwtBearer, client_assertion: assertion }
    expect((await server.send('/introspect', { token: 'x', ...form })).status).toBe(200)
    const used = [401, failed('the assertion was already used'), NO_REALM]
    expect(await rejected(form)).toEqual(used)
    expect(await rejected({}, { headers: { authorization: `Bearer ${assertion}` } })).toEqual(used)
  })

  it('AL-38 rejects an assertion for another audience, also for the URL of the endpoint', async () => {
    const wrong = failed(`jwt audience invalid. expected: ${server.issuer()}`)
    for (const aud of [
      'https://other.example/',
      `${server.url()}/token`,
      [server.issuer(), 'https://other.example/'],
    ])
      expect(await rejected(await server.asserting('servicea', { aud }))).toEqual([401, wrong, NO_REALM])
  })

  it('AL-42 rejects an assertion of one client in the name of another', async () => {
    expect(await rejected({ ...(await server.asserting('servicea')), client_id: 'serviceb' })).toEqual([
      401,
      failed('client_id is not the client of the assertion'),
      NO_REALM,
    ])
    expect(await rejected(await server.asserting('servicea', { sub: 'serviceb' }))).toEqual([
      401,
      failed('iss and sub of the assertion must both be the client ID'),
      NO_REALM,
    ])
    for (const client_id of ['serviceb', 'spiffe://example.org/other'])
      expect(
        await rejected({
          client_id,
          client_assertion_type: AssertionType.jwtSpiffe,
          client_assertion: await server.svid(),
        }),
      ).toEqual([401, failed('client_id is not the client of the assertion'), NO_REALM])
  })

  it.each<[string, string, string]>([
    ['the Authorization header and client_assertion', 'header', 'form'],
    ['the Authorization header and client_secret', 'header', 'secret'],
    ['client_assertion and client_secret', 'form', 'secret'],
    ['the Authorization header and client_assertion', 'basic', 'form'],
    ['a signed assertion and the certificate of a client', 'certificate', 'form'],
    ['a signed assertion and the certificate of a client', 'certificate', 'header'],
  ])('AL-41 rejects a request with %s', async (methods, ...used) => {
    const has = (method: string) => used.includes(method)
    const headers = {
      ...(has('header') ? { authorization: `Bearer ${await server.assertion('servicea')}` } : {}),
      ...(has('basic') ? { authorization: 'Basic c2VydmljZWE6eA==' } : {}),
    }
    const form = {
      ...(has('form') ? await server.asserting('servicea') : {}),
      ...(has('secret') ? { client_secret: 'x' } : {}),
    }
    const options = { headers, ...(has('certificate') ? { certificate: server.certificates.batch } : {}) }
    expect(await rejected(form, options)).toEqual([
      400,
      {
        error: 'invalid_request',
        error_description: `The request authenticates its client with ${methods}. Use one method (RFC 6749 section 2.3).`,
      },
      null,
    ])
  })

  it('accepts an assertion over a connection with a certificate that is no client’s, as in a mesh', async () => {
    const form = { ...TARGET, ...(await server.asserting('servicea')) }
    const { status } = await server.send('/token', form, { certificate: server.certificates.stranger })
    expect(status).toBe(200)
  })

  it('rejects half an assertion, and an assertion of an unknown or another kind', async () => {
    const { client_assertion } = await server.asserting('servicea')
    const together = {
      error: 'invalid_request',
      error_description:
        'client_assertion and client_assertion_type must be sent together (RFC 7521 section 4.2).',
    }
    expect(await rejected({ client_assertion })).toEqual([400, together, null])
    expect(await rejected({ client_assertion_type: AssertionType.jwtBearer })).toEqual([400, together, null])
    const saml = 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer'
    expect(await rejected({ client_assertion, client_assertion_type: saml })).toEqual([
      401,
      failed('the client_assertion_type is not supported'),
      realm('Bearer'),
    ])
    expect(await rejected({ client_assertion, client_assertion_type: AssertionType.jwtSpiffe })).toEqual([
      401,
      failed(`the client_assertion_type of this assertion is ${AssertionType.jwtBearer}`),
      NO_REALM,
    ])
    const svid = { client_assertion: await server.svid(), client_assertion_type: AssertionType.jwtBearer }
    expect(await rejected(svid)).toEqual([
      401,
      failed(`the client_assertion_type of this assertion is ${AssertionType.jwtSpiffe}`),
      NO_REALM,
    ])
  })

  it('rejects secrets and other schemes, with a challenge of the scheme that was used', async () => {
    const noSecrets = failed('this server has no client secrets')
    expect(await rejected({ client_id: 'servicea', client_secret: 'x' })).toEqual([
      401,
      noSecrets,
      realm('Bearer'),
    ])
    expect(await rejected({}, { headers: { authorization: 'Basic c2VydmljZWE6eA==' } })).toEqual([
      401,
      noSecrets,
      realm('Basic'),
    ])
    expect(await rejected({}, { headers: { authorization: 'DPoP abc' } })).toEqual([
      401,
      failed('the Authorization header must be Bearer with a signed assertion'),
      realm('Bearer'),
    ])
  })

  it('rejects a workload that no entry lists', async () => {
    const unknown = {
      client_assertion_type: AssertionType.jwtSpiffe,
      client_assertion: await server.svid({ sub: 'spiffe://example.org/other' }),
    }
    expect(await rejected(unknown)).toEqual([
      401,
      {
        error: 'invalid_client',
        error_description:
          'spiffe://example.org/other is not a trusted caller. Add it to TRUSTED_CALLERS_FILE.',
      },
      NO_REALM,
    ])
  })

  it('accepts the SPIFFE ID as the client ID of a JWT-SVID', async () => {
    const form = {
      ...TARGET,
      client_id: WORKLOAD,
      client_assertion_type: AssertionType.jwtSpiffe,
      client_assertion: await server.svid(),
    }
    expect((await server.send('/token', form)).status).toBe(200)
  })

  it('accepts a certificate of an intermediate CA, also when the client resumes its TLS session', async () => {
    const ca = await readFile(join(server.folder(), 'servers.pem'))
    const agent = new Agent({ keepAlive: false, ca, ...server.certificates.chained })
    const answer = () =>
      new Promise<unknown[]>((resolve, reject) => {
        const sent = request(`${server.url()}/token`, { agent, method: 'POST' }, (response) => {
          const { socket } = sent
          response.resume().on('end', () =>
            // The session of TLS 1.3 arrives after the response.
            setTimeout(resolve, 20, [response.statusCode, (socket as TLSSocket).isSessionReused()]),
          )
        })
        sent.on('error', reject)
        sent.setHeader('content-type', 'application/x-www-form-urlencoded')
        sent.end(new URLSearchParams({ ...TARGET, client_id: 'batch' }).toString())
      })
    expect([await answer(), await answer()]).toEqual([
      [200, false],
      [200, true],
    ])
    agent.destroy()
  })

  it('AL-43 accepts a certificate only from the client’s CA, for its own client ID', async () => {
    const { batch, stranger } = server.certificates
    expect(await rejected({ client_id: 'batch' }, { certificate: stranger })).toEqual([
      401,
      failed('x509: certificate signed by unknown authority'),
      NO_REALM,
    ])
    expect(await rejected({ client_id: 'servicea' }, { certificate: batch })).toEqual([
      401,
      failed('no client with this client_id uses a certificate'),
      NO_REALM,
    ])
    expect(await rejected({}, { certificate: batch })).toEqual([
      401,
      {
        error: 'invalid_client',
        error_description:
          'Client authentication with a certificate needs the client_id in the form (RFC 8705 section 2.1).',
      },
      realm('Bearer'),
    ])
  })
})

describe.each(['/token', '/introspect', '/revoke'])('a request to %s that is not a form', (endpoint) => {
  it.each<[what: string, status: number, why: string, text: string, headers: Record<string, string>]>([
    [
      'JSON',
      400,
      'The body must be application/x-www-form-urlencoded.',
      '{}',
      { 'content-type': 'application/json' },
    ],
    ['a compressed body', 400, 'The body must not be compressed.', 'a=b', { 'content-encoding': 'gzip' }],
    ['a body that is too large', 413, 'The body is larger than 65536 bytes.', `a=${'b'.repeat(65_536)}`, {}],
    ['bytes that are not UTF-8', 400, 'The form is not percent-encoded UTF-8.', 'token=%FF', {}],
    [
      'a parameter twice',
      400,
      'The form repeats a parameter or uses a reserved name.',
      'token=a&token=b',
      {},
    ],
  ])('is answered as RFC 6749 §5.2 says: %s', async (_what, status, why, text, headers) => {
    const answer = await server.send(endpoint, text, { headers })
    expect([answer.status, answer.body]).toEqual([
      status,
      { error: 'invalid_request', error_description: why },
    ])
  })

  it('is answered with 405 if it is not a POST', async () => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const answer = await server.fetch(`${server.url()}${endpoint}?token=abc`, { method })
      expect([answer.status, answer.headers.get('allow'), await answer.json()]).toEqual([
        405,
        'POST',
        { error: 'invalid_request', error_description: `${endpoint} accepts only POST.` },
      ])
    }
  })

  it.each(['token', 'client_assertion', 'client_secret', 'access_token'])(
    'AL-44 is rejected with %s in the URL, which ends up in logs',
    async (name) => {
      const answer = await server.send(`${endpoint}?${name}=abc`, await server.asserting('servicea'))
      expect([answer.status, answer.body]).toEqual([
        400,
        {
          error: 'invalid_request',
          error_description: `The parameter ${name} must be in the form, not in the URL.`,
        },
      ])
    },
  )
})

describe('POST /token in development mode', () => {
  const open = useOAuthServer({ env: { CALLERS: 'open' } })
  const unknown = (why: string) => [401, { error: 'invalid_client', error_description: why }, 'Bearer']

  it.each([
    [{}, 'In development mode, the form must contain a client_id: the key ID.'],
    [{ client_id: '../x' }, 'In development mode, the form must contain a client_id: the key ID.'],
    [{ client_id: 'nobody' }, 'Key nobody not found. GET /keys/nobody creates it.'],
  ])('rejects an unknown client: %j', async (client, why) => {
    const { status, body, headers } = await open.send('/token', { ...TARGET, ...client })
    expect([status, body, headers.get('www-authenticate')]).toEqual(unknown(why))
  })

  it('lets any client have any audience and scope, and clients that authenticate are not rejected', async () => {
    await open.fetch(`${open.url()}/keys/servicea`)
    const form = { ...GRANT, client_id: 'servicea', audience: 'any', scope: 'any' }
    for (const more of [{}, await open.asserting('servicea')]) {
      const { status, body } = await open.send('/token', { ...form, ...more })
      expect([status, parseCompact(body.access_token).payload]).toMatchObject([
        200,
        { sub: 'servicea', client_id: 'servicea', aud: 'any', scope: 'any' },
      ])
    }
  })
})
