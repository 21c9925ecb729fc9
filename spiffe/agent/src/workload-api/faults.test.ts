import type { ChildProcess } from 'node:child_process'
import { once, setMaxListeners } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type Service, silentLog } from '@hallpass/service-kit'
import { JwtSource, SourceError, WorkloadApiClient, X509Source } from '@hallpass/spiffe'
import { GrpcClient } from '@hallpass/spiffe/grpc'
import { fetchX509Svid } from '@hallpass/spiffe/workload-api'
import * as proxy from '@hallpass/spiffe-proxy/app'
import { openSpiffeProxyClient, type SpiffeProxyClient } from '@hallpass/spiffe-proxy/client'
import * as server from '@hallpass/spiffe-server/app'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { createSpiffeAgentClient, workloadAddress } from '../client.ts'
import { startAgent } from '../testing/agent.ts'
import { bundleServices, startAgentProcess } from '../testing/agent-process.ts'
import { until } from '../testing/sandbox.ts'

const AUDIENCE = 'spiffe://example.org/server'

let folder: string
const open: { close(): void }[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faults-'))
})
afterEach(async () => {
  for (const closable of open.splice(0)) closable.close()
  await rm(folder, { recursive: true, force: true })
})
const keep = <T extends { close(): void }>(closable: T): T => {
  open.push(closable)
  return closable
}

/** Starts client, proxy and server with the agent whose state is in the folder. */
async function startExample() {
  const env = { STATE_FOLDER: folder, PORT: '0', HEALTH_PORT: '0' }
  const services: Service[] = []
  const start = async (service: Service) => {
    services.unshift(service)
    return service.start()
  }
  const { https: SERVER_URL, http: health } = await start(
    await server.createApp(server.loadConfig(env), silentLog),
  )
  const { https: proxyUrl } = await start(
    await proxy.createApp(proxy.loadConfig({ ...env, SERVER_URL }), silentLog),
  )
  const client = await openSpiffeProxyClient({
    endpoint: workloadAddress(folder, 'client'),
    proxyUrl: proxyUrl as string,
    proxyId: AUDIENCE,
    timeoutMs: 2_000,
    agentTimeoutMs: 2_000,
  })
  return {
    client,
    health: `${health}/readyz`,
    async stop() {
      client.close()
      for (const service of services) await service.stop()
    },
  }
}

/** Calls repeatedly until stopped; returns the outcomes. */
function callOn(client: SpiffeProxyClient) {
  const outcomes: { startedAt: number; ok: boolean; why: string }[] = []
  let going = true
  const loop = (async () => {
    while (going) {
      const startedAt = Date.now()
      const outcome = await client.get(AUDIENCE).then(
        ({ status }) => ({ ok: status === 200, why: String(status) }),
        (error: Error) => ({ ok: false, why: error.message }),
      )
      outcomes.push({ startedAt, ...outcome })
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  return {
    outcomes,
    async stop() {
      going = false
      await loop
      return outcomes
    },
  }
}

describe('when the agent is killed', () => {
  let agent: ChildProcess | undefined
  beforeAll(bundleServices, 120_000)
  afterAll(() => {
    agent?.kill('SIGKILL')
  })

  it('requests succeed until the SVIDs expire, then fail closed, and recover within 2 s of its restart', async () => {
    const env = { STATE_FOLDER: folder, X509_TTL_SECONDS: '3' }
    agent = await startAgentProcess(env)
    const example = await startExample()
    const source = keep(await X509Source.open({ address: workloadAddress(folder, 'server') }))
    const calls = callOn(example.client)
    await until('traffic', async () => calls.outcomes.length > 5)

    agent.kill('SIGKILL')
    await once(agent, 'exit')
    const killedAt = Date.now()
    const { expiresAt } = source.getX509Svid()
    await until('the end', async () => calls.outcomes.at(-1)?.ok === false)
    // The SVIDs of the proxy and the server were issued within about a second.
    const failedAt = calls.outcomes.find(({ ok }) => !ok)?.startedAt as number
    expect(failedAt).toBeGreaterThan(expiresAt - 1_500)
    const goodAfter = calls.outcomes.filter(({ ok, startedAt }) => ok && startedAt > killedAt)
    expect(goodAfter.length).toBeGreaterThan(0)
    expect(Math.max(...goodAfter.map(({ startedAt }) => startedAt))).toBeLessThan(expiresAt + 1_000)
    await until('the expiry', async () => Date.now() > expiresAt)
    expect(() => source.getX509Svid()).toThrow(SourceError)
    const readiness = (await (await fetch(example.health)).json()) as { failed: Record<string, string> }
    expect(readiness.failed['X.509-SVID']).toMatch(
      /^x509source: the SVID of spiffe:\/\/example\.org\/server expired at \S+; the agent has not renewed it: .*ECONNREFUSED/,
    )

    agent = await startAgentProcess(env)
    const back = Date.now()
    const lag = monitorEventLoopDelay({ resolution: 10 })
    lag.enable()
    await until('the recovery', async () => calls.outcomes.at(-1)?.ok === true)
    // On a busy machine, everything is delayed as much as our own timers.
    expect(Date.now() - back).toBeLessThan(2_000 + 10 * (lag.max / 1e6))
    await calls.stop()
    expect((await fetch(example.health)).status).toBe(200)
    await example.stop()
    agent.kill('SIGTERM')
    expect((await once(agent, 'exit'))[0]).toBe(0)
  }, 120_000)
})

describe('while everything rotates every two seconds', () => {
  it('no request fails: SVIDs, then both authorities, then retiring the old ones', async () => {
    const agent = await startAgent({ X509_TTL_SECONDS: '4', JWT_TTL_SECONDS: '4' }, { folder })
    const example = await startExample()
    const calls = callOn(example.client)
    for (const kind of ['x509', 'jwt'] as const) {
      await agent.admin.rotate(kind)
      await until('the new authority to sign', async () =>
        (await agent.admin.authorities())[kind].some(({ state }) => state === 'old'),
      )
    }
    // By now all SVIDs of the old authority are renewed: workloads get the change together with the new SVID.
    await agent.admin.retire('x509')
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    const outcomes = await calls.stop()
    expect(outcomes.length).toBeGreaterThan(5)
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([])
    expect((await agent.admin.authorities()).x509.map(({ state }) => state)).toEqual(['active'])
    await example.stop()
    await agent.stop()
  }, 120_000)
})

describe('when the agent restarts', () => {
  it('workloads keep their identity, and reconnect soon', async () => {
    const first = await startAgent({}, { folder })
    const source = keep(await X509Source.open({ address: first.address('client') }))
    const tokens = keep(await JwtSource.open({ address: first.address('client') }))
    const token = await tokens.fetchJwtSvid({ audience: 'a' })
    await first.stop()
    expect(source.getX509Svid().id.path).toBe('/client')
    const second = await startAgent({}, { folder })
    await until('both to be current', async () =>
      [source.health(), tokens.health()].every(({ state }) => state === 'current'),
    )
    const client = keep(new WorkloadApiClient({ address: second.address('server') }))
    expect((await client.validateJwtSvid(token.marshal(), 'a')).id.path).toBe('/client')
    await second.stop()
  })

  it('workloads whose entry was revoked lose their identity', async () => {
    const first = await startAgent({}, { folder })
    const source = keep(await X509Source.open({ address: first.address('client') }))
    const withdrawn = once(source, 'withdraw')
    const admin = createSpiffeAgentClient({ adminSocket: join(folder, 'spiffe/admin.sock') })
    await first.stop()
    const second = await startAgent({}, { folder })
    await admin.revoke('client')
    await withdrawn
    expect(() => source.getX509Svid()).toThrow('x509source: the identity was withdrawn')
    await second.stop()
  })
})

describe('a thousand concurrent streams', () => {
  it('all get their SVID and its rotation', async () => {
    let ahead = 0
    const agent = await startAgent({}, { folder, clock: () => Date.now() + ahead })
    const names = ['server', 'proxy', 'client', 'service-a', 'stranger']
    const clients = Array.from({ length: 50 }, (_, index) => {
      const path = agent.socket(names[index % names.length] as string)
      return keep(new GrpcClient({ path }, { connectTimeoutMs: 60_000 }))
    })
    const stop = new AbortController()
    setMaxListeners(0, stop.signal)
    const serials = Array.from({ length: 1000 }, () => new Set<string>())
    const read = async (client: GrpcClient, seen: Set<string>) => {
      const options = { metadata: { 'workload.spiffe.io': 'true' }, signal: stop.signal }
      for await (const { svids } of client.stream(fetchX509Svid, {}, options))
        seen.add(Buffer.from(svids[0]?.x509Svid ?? []).toString('base64'))
    }
    const reading = serials.map((seen, index) =>
      read(clients[index % 50] as GrpcClient, seen).catch((error) => error),
    )
    await until('the first SVID of all', async () => serials.every(({ size }) => size === 1))
    const { activeAfterSeconds } = await agent.admin.rotate('x509')
    ahead = activeAfterSeconds * 1000
    await until('the next SVID of all', async () => serials.every(({ size }) => size === 2))
    // All streams of a workload received the same two SVIDs.
    expect(new Set(serials.flatMap((seen) => [...seen])).size).toBe(2 * names.length)
    stop.abort()
    await Promise.all(reading)
    expect((await fetch(`${agent.urls.http}/readyz`)).status).toBe(200)
    await agent.stop()
  }, 120_000)
})
