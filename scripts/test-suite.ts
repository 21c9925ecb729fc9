import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { assignFreePorts, freePorts } from './free-ports.ts'
import { Launcher } from './launcher.ts'
import { LauncherSocket } from './launcher-socket.ts'
import { provision, provisionFiles } from './provision.ts'
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

/** The keys in a state folder. */
const KEYS = ['keys', 'scenario-3-keys', 'sse', 'identity-provider']

/**
 * The suite as `npm start` runs it (the same wiring, bundles and processes), on free ports and in a state folder of its
 * own that goes away with it. It starts as a second `npm start` does, with the keys that the first one has made: nine RSA keys
 * take longer to make than the processes to start.
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
    await useKeptKeys(root, stateFolder)
    await provisionFiles(stateFolder)
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
    if (keys) {
      await provision(processes)
      await keepKeys(root, stateFolder, processes)
    }
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

const keptIn = (root: string) => join(root, '.hallpass/test-keys/suite')

/** Gives a new state folder the keys of the first test suite that ran in this clone. */
export async function useKeptKeys(root: string, stateFolder: string): Promise<void> {
  await copyKeys(keptIn(root), stateFolder)
}

/** The first time, the factory may still be making the keys that will sign next. */
async function keepKeys(root: string, stateFolder: string, processes: readonly SuiteProcess[]) {
  const factory = processes.find(({ name }) => name === 'jwt-factory')?.urls.PORT
  for (let tries = 0; factory && !existsSync(join(keptIn(root), 'keys')) && tries < 100; tries += 1) {
    await fetch(`${factory}/utils/dump`, { method: 'POST' })
    const saved = (await readdir(join(stateFolder, 'keys'))).filter((name) => name.endsWith('-private.pem'))
    if (
      saved.every(
        (name) => name.includes('.next-') || saved.includes(name.replace('-private', '.next-private')),
      )
    )
      break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await copyKeys(stateFolder, keptIn(root))
}

/** Copies the folders with keys that `to` has not, each of them whole or not at all. */
async function copyKeys(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 })
  const copies = KEYS.filter((name) => existsSync(join(from, name)) && !existsSync(join(to, name)))
  await Promise.all(
    copies.map(async (name) => {
      const copy = await mkdtemp(join(to, `${name}-`))
      await cp(join(from, name), copy, { recursive: true })
      await rename(copy, join(to, name)).catch(() => rm(copy, { recursive: true }))
    }),
  )
}
