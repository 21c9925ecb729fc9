import { expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'

const gateway = useGateway()

const WELL_KNOWN = '/.well-known/oauth-protected-resource'
const RESPONSE = { 'content-type': 'application/x-challenge-response' }

it.each([
  ['GET', '/events'],
  ['POST', '/events'],
  ['GET', '/streams'],
  ['POST', '/revocations'],
])('the rejection of %s %s names a document of that resource', async (method, path) => {
  await gateway.start({ PUBLIC_URL: 'https://events.example.com/' })
  const headers = { ...RESPONSE, authorization: `Bearer ${await gateway.token({ scope: 'other' })}` }
  for (const [sent, status] of [
    [RESPONSE, 401],
    [{ ...RESPONSE, authorization: 'Bearer x' }, 401],
    [headers, path === '/revocations' ? 400 : 403],
  ] as const) {
    const rejected = await gateway.request(path, { method, headers: sent })
    expect(rejected.status).toBe(status)
    if (status === 400) continue
    expect(rejected.headers['www-authenticate']).toContain(
      `resource_metadata="https://events.example.com${WELL_KNOWN}${path}"`,
    )
  }
  const document = await gateway.request(WELL_KNOWN + path)
  expect(document.json).toMatchObject({
    resource: `https://events.example.com${path}`,
    authorization_servers: ['https://auth.example.com'],
  })
})

it('the 403 of a revocation without the scope names the document, too', async () => {
  await gateway.start({ PUBLIC_URL: 'https://events.example.com' })
  const { status, headers } = await gateway.request('/revocations', {
    method: 'POST',
    headers: { authorization: `Bearer ${await gateway.token()}` },
    body: '{"sub":"example"}',
  })
  expect([status, headers['www-authenticate']]).toEqual([
    403,
    'Bearer realm="sse-gateway", error="insufficient_scope", scope="stream:revoke", ' +
      'resource_metadata="https://events.example.com/.well-known/oauth-protected-resource/revocations"',
  ])
})

it('a document says where to get a token and how to send it, never with the host of the request', async () => {
  await gateway.start({ PUBLIC_URL: 'https://events.example.com', QUERY_TOKENS: 'off' })
  const headers = { host: '127.0.0.1:1', origin: 'https://page.example' }
  const document = await gateway.request(`${WELL_KNOWN}/events`, { headers }, 'http/1.1')
  expect([document.status, document.json]).toEqual([
    200,
    {
      resource: 'https://events.example.com/events',
      resource_name: 'sse-gateway',
      authorization_servers: ['https://auth.example.com'],
      scopes_supported: ['proxy:stream'],
      bearer_methods_supported: ['header'],
    },
  ])
  expect(document.headers).toMatchObject({
    'cache-control': 'public, max-age=600',
    'access-control-allow-origin': '*',
  })
  const whole = await gateway.request(WELL_KNOWN)
  expect(whole.json).toMatchObject({
    resource: 'https://events.example.com',
    scopes_supported: ['proxy:stream', 'stream:revoke'],
  })
})

it('without PUBLIC_URL, the resource is the gateway’s own port on this machine', async () => {
  const url = await gateway.start()
  const { json } = await gateway.request(`${WELL_KNOWN}/events`)
  expect([json.resource, json.bearer_methods_supported]).toEqual([`${url}/events`, ['header', 'query']])
})
