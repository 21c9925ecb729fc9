import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { ensurePrivateFolder, writePrivateFile, writePublicFile } from '@hallpass/private-files'
import { exportPrivatePem, exportPublicPem, publicJwks, type SigningKey } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { assignFreePorts, freePorts } from './free-ports.ts'
import { Launcher } from './launcher.ts'
import { LauncherSocket } from './launcher-socket.ts'
import { provision } from './provision.ts'
import { wireSuite } from './suite.ts'
import type { SuiteProcess } from './suite-builder.ts'

export interface TestSuite {
  readonly processes: readonly SuiteProcess[]
  readonly stateFolder: string
  readonly launcher: Launcher
  /** Every line that the services have written so far. */
  readonly lines: readonly string[]
  /** The URL of a listener of a service, e.g. `url('service-b', 'HTTPS_PORT')`. */
  url(service: string, listener?: string): string
  stop(): Promise<void>
}

export interface TestSuiteOptions {
  /** The services to start; all of them by default. */
  readonly only?: readonly string[]
  readonly env?: Environment
  /** `false`: nobody tells of hops, as in production. */
  readonly tellHops?: boolean
  /** `false`: the state folder is empty, and nobody makes the keys of the documented commands. */
  readonly keys?: boolean
  /** Changes the wiring before anything starts, e.g. {@link withEnv}; may also prepare the state folder. */
  readonly arrange?: (
    processes: readonly SuiteProcess[],
    stateFolder: string,
  ) => readonly SuiteProcess[] | Promise<readonly SuiteProcess[]>
}

export type Environment = Readonly<Record<string, string>>

/** Adds variables to those that the wiring gives to a service; of the same name, these count. */
export const withEnv = (
  processes: readonly SuiteProcess[],
  envOf: Readonly<Record<string, Environment>>,
): readonly SuiteProcess[] =>
  processes.map((service) => ({ ...service, env: { ...service.env, ...envOf[service.name] } }))

/** The same service once more, under another name and on ports of its own. */
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
 * The suite as `npm start` runs it (the same wiring, bundles and processes), on free ports and in a state folder of its
 * own that goes away with it. It starts as a second `npm start` does, with keys that are there: those of a suite take longer
 * to make than its processes to start.
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
  const stop = async () => {
    await launcher.stop()
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
 * Gives a new state folder the keys that a first start makes, each a {@link testKey}: the factory's, those that will sign
 * next among them, service A's own, and those of the documented SSE commands.
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
