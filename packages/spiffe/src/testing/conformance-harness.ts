import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, isIP, type Server } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { GrpcError, status } from '../grpc/status.ts'
import { JwtSvidError } from '../jwt-svid/errors.ts'
import { parseAndValidate } from '../jwt-svid/parse.ts'
import { JwtSource } from '../sources/jwt-source.ts'
import { X509Source } from '../sources/x509-source.ts'
import { authorizeAny } from '../tls/authorizer.ts'
import { mtlsClient } from '../tls/client.ts'
import { peerOf } from '../tls/peer.ts'
import { mtlsServer } from '../tls/server.ts'

/*
 * The harness that spiffe-conformance-test-suite requires (its HARNESS_CONTRACT, version 1): it exposes the library over the
 * network and decides nothing itself. Like any program, it finds the Workload API through SPIFFE_ENDPOINT_SOCKET.
 */

export interface Harness {
  readonly x509Port: number
  readonly controlPort: number
  /** Resolves when an SVID is available. */
  readonly ready: Promise<void>
  close(): Promise<void>
}

const READY_TIMEOUT_MS = 30_000

/** How long validation waits for the first bundles. */
const BUNDLES_TIMEOUT_MS = 5000

export async function startHarness(): Promise<Harness> {
  const x509 = new X509Source()
  const jwt = new JwtSource()
  const security = mtlsServer(x509, authorizeAny())
  const server = security.guard(
    createTlsServer(security.options, (socket) => {
      socket.on('error', () => {})
      const peer = peerOf(socket)
      if (peer) socket.end(`${peer.id}\n`)
      else socket.destroy()
    }),
  )
  const control = createServer((request, response) => void answer(request, response, { x509, jwt }))
  const [x509Port, controlPort] = [await listen(server), await listen(control)]
  const ready = x509.ready({ timeoutMs: READY_TIMEOUT_MS })
  ready.catch(() => {})
  return {
    x509Port,
    controlPort,
    ready,
    async close() {
      x509.close()
      jwt.close()
      control.closeAllConnections()
      server.close()
      control.close()
      await Promise.all([once(server, 'close'), once(control, 'close')])
    },
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

interface Sources {
  readonly x509: X509Source
  readonly jwt: JwtSource
}

type Reply = readonly [status: number, body: Readonly<Record<string, unknown>>]

async function answer(request: IncomingMessage, response: ServerResponse, sources: Sources): Promise<void> {
  const [code, body] = await reply(request, sources)
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function reply(request: IncomingMessage, sources: Sources): Promise<Reply> {
  try {
    if (request.url === '/v1/info') return [200, { sdk: '@hallpass/spiffe', language: 'TypeScript' }]
    let text = ''
    for await (const chunk of request) text += chunk
    const body = JSON.parse(text)
    if (request.url === '/v1/jwt/validate') return await validate(sources, body)
    if (request.url === '/v1/jwt/fetch') return await fetch(sources, body)
    if (request.url === '/v1/x509/dial') return await dial(sources, body)
    return [501, { status: 'unsupported' }]
  } catch (error) {
    const { message } = error as Error
    return isRefusal(error) ? [422, { status: 'rejected', message }] : [500, { status: 'error', message }]
  }
}

/** Distinguishes a rejection by the library from other failures. */
function isRefusal(error: unknown): boolean {
  if (error instanceof JwtSvidError) return true
  if (error instanceof GrpcError) return error.code === status.permissionDenied
  const { name, code = '' } = error as { name?: string; code?: string }
  return name === 'X509SvidError' || /CERT|ISSUER|SIGNATURE|PURPOSE|^ERR_SSL/.test(code)
}

async function validate(
  { jwt }: Sources,
  { token, audience }: { token: string; audience: string },
): Promise<Reply> {
  await jwt.ready({ timeoutMs: BUNDLES_TIMEOUT_MS })
  const { id, claims } = parseAndValidate(token, jwt, audience)
  return [200, { status: 'ok', spiffe_id: id.toString(), claims }]
}

async function fetch({ jwt }: Sources, body: { audience: string[]; spiffe_id?: string }): Promise<Reply> {
  const svids = await jwt.fetchJwtSvids({
    audience: body.audience,
    ...(body.spiffe_id && { subject: body.spiffe_id }),
  })
  const told = svids.map((svid) => ({
    spiffe_id: svid.id.toString(),
    token: svid.marshal(),
    hint: svid.hint,
  }))
  return [200, { status: 'ok', svids: told }]
}

async function dial({ x509 }: Sources, { address }: { address: string }): Promise<Reply> {
  const { hostname, port } = new URL(`tcp://${address}`)
  const host = hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) === 0 && host !== 'localhost') throw new TypeError('an address on this machine is expected')
  const socket = mtlsClient(x509, authorizeAny()).connect({ host, port: Number(port) })
  try {
    await once(socket, 'secureConnect')
    return [200, { status: 'ok', spiffe_id: peerOf(socket)?.id.toString() }]
  } finally {
    socket.on('error', () => {})
    socket.destroy()
  }
}
