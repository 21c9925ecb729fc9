import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { freePorts } from '@hallpass/free-ports'
import { ensurePrivateFolder, writePrivateFile, writePublicFile } from '@hallpass/private-files'
import { exportPrivatePem, exportPublicPem, publicJwks, type SigningKey } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { assignFreePorts } from './free-ports.ts'
import { Launcher } from './launcher.ts'
import { LauncherSocket } from './launcher-socket.ts'
import { provision } from './provision.ts'
import { wireSuite } from './suite.ts'
import type { SuiteProcess } from './suite-builder.ts'

export interface TestSuite {
  readonly processes: readonly SuiteProcess[]
  readonly stateFolder: string
  readonly launcher: Launcher
  /** The log lines of all services so far. */
  readonly lines: readonly string[]
  /** Returns the URL of a listener, e.g. `url('service-b', 'HTTPS_PORT')`. */
  url(service: string, listener?: string): string
  stop(): Promise<void>
}

export interface TestSuiteOptions {
  /** The services to start; all of them by default. */
  readonly only?: readonly string[]
  readonly env?: Environment
  /** `false`: services report no hops, as in production. */
  readonly tellHops?: boolean
  /** `false`: the state folder is empty, without the keys of the documented commands. */
  readonly keys?: boolean
  /** Changes the wiring before any service starts, e.g. with {@link withEnv}; can also prepare the state folder. */
  readonly arrange?: (
    processes: readonly SuiteProcess[],
    stateFolder: string,
  ) => readonly SuiteProcess[] | Promise<readonly SuiteProcess[]>
}

export type Environment = Readonly<Record<string, string>>

/** Adds environment variables to services, or replaces those of the wiring. */
export const withEnv = (
  processes: readonly SuiteProcess[],
  envOf: Readonly<Record<string, Environment>>,
): readonly SuiteProcess[] =>
  processes.map((service) => ({ ...service, env: { ...service.env, ...envOf[service.name] } }))

/** Returns a second instance of a service, with another name and other ports. */
export async function another(
  service: SuiteProcess,
  name: string,
  env: Environment = {},
): Promise<SuiteProcess> {
  const listeners = Object.keys(service.urls)
  const ports = await freePorts(listeners.length)
  const urls = Object.fromEntries(
    listeners.map((variable, index) => {
      const [scheme] = (service.urls[variable] as string).split(':')
      return [variable, `${scheme}://localhost:${ports[index]}`]
    }),
  )
  const port = Object.fromEntries(listeners.map((variable, index) => [variable, `${ports[index]}`]))
  const [ready] = Object.entries(service.urls).find(([, url]) => service.readyz.startsWith(url)) as [
    string,
    string,
  ]
  return { ...service, name, urls, readyz: `${urls[ready]}/readyz`, env: { ...service.env, ...port, ...env } }
}

/**
 * Starts the suite as `npm start` does (same wiring, bundles and processes), on free ports and in a temporary state folder.
 * The state folder already contains keys, because creating them takes longer than starting the processes.
 */
export async function startTestSuite(
  root: string,
  { only, env = {}, tellHops = true, keys = true, arrange = (processes) => processes }: TestSuiteOptions = {},
): Promise<TestSuite> {
  const stateFolder = await mkdtemp(join(tmpdir(), 'hallpass-'))
  const all = wireSuite({ stateFolder, port: await assignFreePorts() })
  const chosen = (only ? all.filter(({ name }) => only.includes(name)) : all).map((service) =>
    tellHops ? service : { ...service, env: { ...service.env, HOPS_URL: '' } },
  )

  if (keys) {
    await useTestKeys(stateFolder)
  }
  await ensureDevelopmentCertificates(stateFolder)
  const processes = await arrange(chosen, stateFolder)
  const socket = await LauncherSocket.claim(stateFolder)
  const lines: string[] = []
  const launcher = new Launcher({
    root,
    stateFolder,
    env,
    onLine: (service, line) => lines.push(`${service} ${line}`),
  })
  socket.serve(launcher)
  // SIGKILL, because in a graceful stop each service waits a second for clients, and tests have none.
  const stop = async () => {
    await launcher.stop('SIGKILL')
    await socket.close()
    await rm(stateFolder, { recursive: true, force: true })
  }
  try {
    await launcher.start(processes)
    if (keys) await provision(processes)
  } catch (error) {
    await stop()
    throw new Error(`${(error as Error).message}\n${lines.slice(-20).join('\n')}`, { cause: error })
  }
  return {
    processes,
    stateFolder,
    launcher,
    lines,
    url(service, listener = 'PORT') {
      const url = processes.find(({ name }) => name === service)?.urls[listener]
      if (url === undefined) throw new Error(`${service} has no listener ${listener}`)
      return url
    },
    stop,
  }
}

/**
 * Writes the keys that a first start creates to a new state folder, each a {@link testKey}: the factory's current and next
 * keys, service A's own key, and the example keys of the documented SSE commands.
 */
export async function useTestKeys(stateFolder: string): Promise<void> {
  const writeKey = (file: string, key: SigningKey) =>
    writePrivateFile(join(stateFolder, file), exportPrivatePem(key))
  for (const folder of ['keys', 'scenario-3-keys', 'sse'])
    await ensurePrivateFolder(join(stateFolder, folder))
  for (const keyId of ['servicea', 'serviceb', 'token-cache-auth'])
    for (const name of [keyId, `${keyId}.next`]) {
      const key = testKey('RS256', name)
      await writeKey(`keys/${name}-private.pem`, key)
      await writePublicFile(join(stateFolder, `keys/${name}-public.pem`), exportPublicPem(key))
    }
  await writeKey('scenario-3-keys/jwt-private.pem', testKey('RS256', 'scenario-3'))
  const examples = [testKey('RS256', 'example'), testKey('ES256', 'example_ec')] as const
  await writeKey('sse/private.pem', examples[0])
  await writeKey('sse/private-ec.pem', examples[1])
  await writePublicFile(join(stateFolder, 'sse/jwks.json'), JSON.stringify(publicJwks(examples)))
}
