import { X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import net from 'node:net'
import { join } from 'node:path'
import { quoted } from '@hallpass/private-files'
import { createLauncherClient, type LaunchedService, launcherSocketOf } from '@hallpass/service-kit/launcher'
import { lazyPeerClient } from '@hallpass/service-kit/peers'
import { socketHost } from '@hallpass/untrusted/address'
import type { SuiteProcess } from '../../../scripts/suite-builder.ts'
import { reasonOf } from '../failure.ts'
import { stateFolder } from '../state-folder.ts'
import type { Terminal } from '../terminal/index.ts'
import type { Finding } from './finding.ts'
import { loginFinding } from './login-finding.ts'
import { stateFindings } from './state-findings.ts'

const LEAST_NODE = [20, 19] as const
/** Below the verifiers' leeway of five seconds, because the `Date` header has whole seconds. */
const MAX_SKEW_MS = 3_000
const PROBE_TIMEOUT_MS = 2_000

/** Checks for common problems and yields the results. */
export async function* findings(
  terminal: Terminal,
  processes: readonly Pick<SuiteProcess, 'name' | 'readyz' | 'urls'>[],
): AsyncGenerator<Finding> {
  const folder = stateFolder(terminal)
  yield nodeVersion()
  yield await stateFolderOf(folder)
  yield* stateFindings(folder, terminal.clock())
  const ca = await readText(join(folder, 'certificates/ca.pem'))
  yield* await certificates(folder, ca, terminal.clock())
  const launched = await launchedServices(folder)
  const stateOf = (name: string) => launched?.find((service) => service.name === name)?.state
  const services = processes.map((service) => asLaunched(service, launched ?? []))
  const probed = await Promise.all(
    services.map((service) =>
      stateOf(service.name) === 'not answering' ? [frozen(service.name)] : probe(service, ca, terminal),
    ),
  )
  yield* probed.flatMap((found) => found ?? [])
  const webUi = services.find(({ name }, index) => name === 'web-ui' && probed[index] !== undefined)
  if (webUi?.urls.PORT) yield await loginFinding(webUi.urls.PORT)
  const missing = services.filter((_service, index) => probed[index] === undefined).map(({ name }) => name)
  const away = missing.filter((name) => /^(stopped|failed)$/.test(stateOf(name) ?? ''))
  const others = missing.filter((name) => !away.includes(name))
  if (away.length > 0)
    yield {
      state: 'note',
      what: `Not running: ${away.join(', ')}`,
      remedy: `npx hallpass service start ${away.join(' ')}`,
    }
  if (others.length > 0 && launched) yield { state: 'note', what: `Not ready yet: ${others.join(', ')}` }
  else if (others.length > 0)
    yield { state: 'note', what: `Not running: ${others.join(', ')}`, remedy: 'npm start' }
}

/** Returns the services of the suite that runs in a state folder, or undefined if none runs or its launcher does not answer. */
async function launchedServices(folder: string): Promise<readonly LaunchedService[] | undefined> {
  try {
    return (await createLauncherClient(launcherSocketOf(folder)).suite()).services
  } catch {
    return undefined
  }
}

/** Returns a service with its actual ports, which `--free-ports` changes. */
function asLaunched<S extends Pick<SuiteProcess, 'name' | 'readyz' | 'urls'>>(
  service: S,
  launched: readonly LaunchedService[],
): S {
  const urls = launched.find(({ name }) => name === service.name)?.urls
  if (!urls) return service
  const documented = Object.entries(service.urls)
  const { origin } = new URL(service.readyz)
  const health = documented.findIndex(([, url]) => url === origin)
  return {
    ...service,
    urls: Object.fromEntries(documented.map(([variable, url], index) => [variable, urls[index] ?? url])),
    readyz: `${urls[health] ?? origin}/readyz`,
  }
}

const frozen = (name: string): Finding => ({
  state: 'bad',
  what: `${name} does not answer`,
  remedy: `npx hallpass service restart ${name}`,
})

function nodeVersion(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const enough = major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1])
  return enough
    ? { state: 'good', what: `Node ${process.versions.node}` }
    : {
        state: 'bad',
        what: `Node ${process.versions.node} is too old`,
        remedy: `Install Node ${LEAST_NODE.join('.')} or later.`,
      }
}

async function stateFolderOf(folder: string): Promise<Finding> {
  const mode = await modeOf(folder)
  if (mode === undefined) return { state: 'note', what: `No state folder ${folder} yet`, remedy: 'npm start' }
  if (mode & 0o077)
    return {
      state: 'bad',
      what: `Other users can read the state folder ${folder}`,
      remedy: `chmod 700 ${folder}`,
    }
  return { state: 'good', what: `The state folder ${folder} is owner-only` }
}

/** Checks that the two certificates belong together. Problems of one file are already reported by `stateFindings`. */
async function certificates(folder: string, ca: string | undefined, now: number): Promise<Finding[]> {
  const leaf = await readText(join(folder, 'certificates/localhost.pem'))
  if (ca === undefined || leaf === undefined)
    return [{ state: 'note', what: 'No development certificates yet', remedy: 'npm start' }]
  try {
    const [authority, certificate] = [new X509Certificate(ca), new X509Certificate(leaf)]
    const ends = Math.min(Date.parse(certificate.validTo), Date.parse(authority.validTo))
    if (!certificate.verify(authority.publicKey))
      return [
        {
          state: 'bad',
          what: `${join(folder, 'certificates/localhost.pem')}: not signed by ca.pem`,
          remedy: `rm -r ${quoted(join(folder, 'certificates'))} && npm start`,
        },
      ]
    if (ends < now) return []
    const day = new Date(ends).toISOString().slice(0, 10)
    return [{ state: 'good', what: `The development certificates are valid until ${day}` }]
  } catch {
    return []
  }
}

/**
 * Checks a process of the suite: whether it answers and is ready, whether its clock agrees, and whether another program
 * uses its port. Returns undefined if it does not run.
 */
async function probe(
  service: Pick<SuiteProcess, 'name' | 'readyz' | 'urls'>,
  ca: string | undefined,
  { clock }: Terminal,
): Promise<Finding[] | undefined> {
  const { name, readyz, urls } = service
  let answer: Answer
  try {
    answer = await get(name, readyz, ca)
  } catch (error) {
    const reason = reasonOf(error)
    if (reason !== 'ECONNREFUSED') return [stranger(name, readyz, reason)]
    const taken = await takenPorts(Object.values(urls))
    return taken.length === 0 ? undefined : taken.map((url) => stranger(name, url, 'not the service'))
  }
  return [readiness(name, readyz, answer), ...skew(name, answer, clock())]
}

function readiness(name: string, readyz: string, { status, text }: Answer): Finding {
  if (status === 200) return { state: 'good', what: `${name} is ready` }
  try {
    const { failed } = JSON.parse(text) as { failed: Record<string, string> }
    const reasons = Object.entries(failed).map(([check, reason]) => `${check}: ${reason}`)
    return {
      state: 'bad',
      what: `${name} is not ready: ${reasons.join('; ')}`,
      remedy: `curl --cacert .hallpass/certificates/ca.pem ${readyz}`,
    }
  } catch {
    return stranger(name, readyz, `answers ${status}`)
  }
}

function skew(name: string, { date }: Answer, now: number): Finding[] {
  const seconds = Math.round((Date.parse(date ?? '') - now) / 1000)
  if (Number.isNaN(seconds) || Math.abs(seconds) * 1000 <= MAX_SKEW_MS) return []
  const direction = seconds > 0 ? 'ahead of' : 'behind'
  return [
    {
      state: 'bad',
      what: `The clock of ${name} is ${Math.abs(seconds)} s ${direction} this one: tokens look expired or not valid yet`,
      remedy: 'timedatectl set-ntp true (on both machines)',
    },
  ]
}

function stranger(name: string, url: string, why: string): Finding {
  const { port } = new URL(url.replace(/^tcp:/, 'http:'))
  return {
    state: 'bad',
    what: `Port ${port} of ${name} is in use by another program (${why})`,
    remedy: `lsof -i :${port} finds it; stop it, or start with: npm start -- --free-ports`,
  }
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly date: string | undefined
}

async function get(name: string, url: string, ca: string | undefined): Promise<Answer> {
  const tls = ca === undefined ? {} : { tls: { ca } }
  const http = await lazyPeerClient({ peer: name, timeoutMs: PROBE_TIMEOUT_MS, ...tls })()
  const { status, data, headers } = await http.get<string>(url, { responseType: 'text' })
  return { status, text: data, date: headers.date as string | undefined }
}

async function takenPorts(urls: readonly string[]): Promise<string[]> {
  const taken = await Promise.all(urls.map(async (url) => ((await answers(url)) ? [url] : [])))
  return taken.flat()
}

function answers(url: string): Promise<boolean> {
  const address = new URL(url)
  return new Promise((resolve) => {
    const socket = net.connect({
      host: socketHost(address),
      port: Number(address.port),
      timeout: PROBE_TIMEOUT_MS,
    })
    const end = (taken: boolean) => {
      socket.destroy()
      resolve(taken)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(true))
    socket.once('error', () => end(false))
  })
}

const readText = (path: string): Promise<string | undefined> => readFile(path, 'utf8').catch(() => undefined)

async function modeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found && found.mode & 0o777
}
