import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { ManualClock } from '@hallpass/service-kit/testing'
import { publicJwks, signToken } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { CallersFile } from './callers-file.ts'

const AUDIENCE = 'https://jwt-factory/'
const POD = 'system:serviceaccount:default:service-a'
const clock = new ManualClock()
const key = testKey('RS256', 'cluster')

/** An API server: discovery and keys, to authenticated clients only if it demands a token. */
const server = {
  demands: undefined as string | undefined,
  jwksUri: '',
  asked: [] as (string | undefined)[],
  keys: [key],
}
let folder: string
let ca: string
let issuer: string
let listener: Server
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'discovery-'))
  const files = await ensureDevelopmentCertificates(folder)
  ca = files.caFile
  const tls = { cert: await readFile(files.certFile), key: await readFile(files.keyFile) }
  listener = createServer(tls, (request, response) => {
    server.asked.push(request.headers.authorization)
    if (server.demands !== undefined && request.headers.authorization !== `Bearer ${server.demands}`)
      return void response.writeHead(401).end()
    const answers: Record<string, object> = {
      '/.well-known/openid-configuration': { issuer, jwks_uri: server.jwksUri },
      '/openid/v1/jwks': publicJwks(server.keys),
    }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(answers[request.url as string]))
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  issuer = `https://localhost:${(listener.address() as AddressInfo).port}`
})
afterAll(async () => {
  listener.closeAllConnections()
  await new Promise((resolve) => listener.close(resolve))
  await rm(folder, { recursive: true })
})
beforeEach(() => {
  Object.assign(server, { demands: undefined, jwksUri: `${issuer}/openid/v1/jwks`, asked: [], keys: [key] })
})

async function open(entry: object): Promise<CallersFile> {
  const trustFile = join(folder, 'callers.json')
  const subjects = { [POD]: { keyId: 'servicea' } }
  await writeFile(
    trustFile,
    JSON.stringify({ callers: [{ method: 'kubernetes', issuer, subjects, ...entry }] }),
  )
  const config = { mode: 'authenticated', trustFile, leewaySeconds: 5 } as const
  const callers = new CallersFile(config, AUDIENCE, { clock: clock.now })
  await callers.load()
  return callers
}
const podToken = () =>
  signToken({ iss: issuer, sub: POD, aud: [AUDIENCE] }, key, { lifetimeSeconds: 3600, clock: clock.now })

describe('a Kubernetes cluster without jwksFile and jwksUrl', () => {
  it('has its keys discovered at its issuer, as managed clusters publish them', async () => {
    const callers = await open({ caFile: ca })
    expect(await callers.identify(await podToken())).toMatchObject({ subject: POD, keyId: 'servicea' })
    expect(server.asked).toEqual([undefined, undefined])
  })

  it('gets the token of the service account, which the kubelet renews, if its API server demands one', async () => {
    const tokenFile = join(folder, 'token')
    await writeFile(tokenFile, 'first\n')
    server.demands = 'first'
    const callers = await open({ caFile: ca, tokenFile })
    expect((await callers.identify(await podToken())).subject).toBe(POD)
    await writeFile(tokenFile, 'second\n')
    server.demands = 'second'
    clock.advance(61_000)
    expect((await callers.identify(await podToken())).subject).toBe(POD)
    expect(server.asked).toEqual(['Bearer first', 'Bearer first', 'Bearer second', 'Bearer second'])
  })

  it('gets no token without tokenFile; the refusal names the answer', async () => {
    server.demands = 'token'
    const callers = await open({ caFile: ca })
    await expect(callers.identify(await podToken())).rejects.toMatchObject({
      status: 502,
      code: 'peer_unexpected_answer',
      message: `issuer answered 401: GET ${issuer}/.well-known/openid-configuration`,
    })
  })

  it('is not trusted with another CA, nor with keys over http', async () => {
    await expect((await open({})).identify(await podToken())).rejects.toMatchObject({
      status: 502,
      code: 'peer_not_trusted',
    })
    await writeFile(join(folder, 'token'), 'secret')
    server.jwksUri = 'http://127.0.0.1:1/jwks'
    const callers = await open({ caFile: ca, tokenFile: join(folder, 'token') })
    await expect(callers.identify(await podToken())).rejects.toMatchObject({
      code: 'peer_not_trusted',
      message: expect.stringContaining('http://127.0.0.1:1/jwks is not an https URL'),
    })
  })

  it('is trusted with its new CA within a second after caFile has changed', async () => {
    const caFile = join(folder, 'rotating-ca.pem')
    const other = await ensureDevelopmentCertificates(join(folder, 'other'))
    await writeFile(caFile, await readFile(other.caFile))
    const callers = await open({ caFile })
    await expect(callers.identify(await podToken())).rejects.toMatchObject({ code: 'peer_not_trusted' })
    await writeFile(caFile, await readFile(ca))
    clock.advance(1_000)
    expect((await callers.identify(await podToken())).subject).toBe(POD)
  })

  it('is unavailable while its token cannot be read', async () => {
    const tokenFile = join(folder, 'passing-token')
    await writeFile(tokenFile, 'token')
    const callers = await open({ caFile: ca, tokenFile })
    await rm(tokenFile)
    await expect(callers.identify(await podToken())).rejects.toMatchObject({
      status: 503,
      code: 'keys_unusable',
      message: `The token for the API server cannot be read (${tokenFile}).`,
    })
  })
})

describe('keys from a URL', () => {
  const another = testKey('RS256', 'another')
  const openByUrl = () => open({ jwksUrl: `${issuer}/openid/v1/jwks`, caFile: ca })

  it('are distrusted within a minute after they were removed', async () => {
    const callers = await openByUrl()
    await callers.identify(await podToken())
    server.keys = [another]
    clock.advance(60_001)
    await expect(callers.identify(await podToken())).rejects.toMatchObject({
      status: 401,
      code: 'invalid_client',
      message: 'Client authentication failed: invalid signature.',
    })
  })

  it('are used for an hour while the URL cannot be reached, then distrusted', async () => {
    const callers = await openByUrl()
    await callers.identify(await podToken())
    server.demands = 'a token'
    clock.advance(3_599_999)
    expect((await callers.identify(await podToken())).subject).toBe(POD)
    clock.advance(2)
    await expect(callers.identify(await podToken())).rejects.toMatchObject({
      status: 502,
      code: 'peer_unexpected_answer',
    })
  })
})
