import { lazyPeerClient } from '@hallpass/service-kit/peers'
import { parseJson, readJson, writeJson } from '@hallpass/untrusted/json'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { connectionFailure } from '../connection-failure.ts'
import { CommandFailure, EXIT } from '../failure.ts'
import { stateFolder } from '../state-folder.ts'
import { fromNow, parseHttpUrl, printJson, type Terminal } from '../terminal/index.ts'

const TITLES = [
  'A calls B with a token signed by jwt-factory. B calls jwt-factory to verify it.',
  'A calls B and C, each with its own token from jwt-factory.',
  'A signs its own token and calls B over TLS. B needs only the public key.',
  'A signs its own tokens and calls B and C over TLS.',
  'A workload gets a JWT-SVID from its agent and calls a server through a proxy that terminates TLS.',
] as const

/** One callee's answer, as service A returns it. */
interface Outcome {
  readonly valid?: boolean
  readonly message?: string
  readonly claims?: Readonly<Record<string, unknown>>
  readonly error?: { readonly name: string; readonly message: string }
}

interface ScenarioOptions {
  readonly expired?: boolean
  readonly fault?: string
  readonly audience?: string
  readonly url?: string
  readonly json?: boolean
}

/** The faults that service A can put into a token. */
const FAULTS = ['expired', 'wrong-audience', 'wrong-key', 'tampered', 'no-token'] as const

/** Longer than two calls of at most five seconds each. */
const TIMEOUT_MS = 12_000
/** For each step of scenario 5: the agent's response, and the call through the proxy. */
const STEP_TIMEOUT_MS = 5_000

const DETAILS = `
${TITLES.map((title, index) => `  ${index + 1}  ${title}`).join('\n')}

With --expired or --fault, the token is bad and the command succeeds if it is rejected. Scenario 5 supports only the fault
wrong-audience: the agent does not sign other bad SVIDs.

  hallpass scenario 1 --expired
  hallpass scenario 3 --fault tampered
  hallpass scenario 5 --fault wrong-audience`

export function addScenario(program: Command, terminal: Terminal): Command {
  return program
    .command('scenario')
    .description('Run a scenario and print the result.')
    .argument('<number>', 'number of the scenario, 1 to 5', parseNumber)
    .option('--expired', 'use an expired token (1 to 4)')
    .addOption(new Option('--fault <name>', 'use a bad token').choices(FAULTS))
    .option('--audience <aud>', 'audience (aud) of the JWT-SVID (5)')
    .option('--url <url>', 'URL of service A (1 to 4) or of the proxy (5)', parseHttpUrl)
    .option('--json', 'print the answer as JSON (1 to 4)')
    .addHelpText('after', DETAILS)
    .action(async (number: number, options: ScenarioOptions) => {
      refuseForeignOptions(number, options)
      const {
        expired,
        fault = expired ? 'expired' : undefined,
        url = 'http://localhost:3000',
        json,
      } = options
      const started = performance.now()
      if (number === 5) {
        const { accepted, text, audience } = await callThroughProxy(fault, options, terminal)
        heading(number, performance.now() - started, terminal)
        terminal.print(
          accepted
            ? `${terminal.style('green', '✓')} ${text}`
            : `${terminal.style('red', '✗')} the server rejected the call: ${text}`,
        )
        terminal.print(`    aud  ${audience}`)
        if (accepted === (fault === undefined)) return
        throw new CommandFailure(
          accepted ? `The server accepted a bad token (${fault}).` : 'The server rejected the token.',
        )
      }
      const query = fault === undefined ? '' : `?fault=${encodeURIComponent(fault)}`
      const text = await call(`${url.replace(/\/$/, '')}/scenario${number}${query}`)
      const outcomes = outcomesIn(url, text)
      if (json) printJson(terminal, writeJson(readJson(text)))
      else show(number, outcomes, performance.now() - started, terminal)
      // In scenario 2 only the token for C has the fault; service A documents this.
      const mayPass = (callee: string) => fault === undefined || (number === 2 && callee === 'service B')
      const wrong = outcomes.find(({ callee, outcome }) => (outcome.valid === true) !== mayPass(callee))
      if (wrong)
        throw new CommandFailure(
          wrong.outcome.valid
            ? `A bad token (${fault}) was accepted by ${wrong.callee}.`
            : `A valid token was rejected by ${wrong.callee}.`,
        )
    })
}

async function call(url: string): Promise<string> {
  let text: string
  let status: number
  try {
    const http = await lazyPeerClient({ peer: 'service-a', timeoutMs: TIMEOUT_MS })()
    const answer = await http.get<string>(url, { responseType: 'text' })
    status = answer.status
    text = answer.data
  } catch (error) {
    throw connectionFailure(url, error, 'Pass its CA with NODE_EXTRA_CA_CERTS=file.pem.')
  }
  if (status === 200) return text
  const { message = text.slice(0, 200), step, code = '' } = errorIn(text)
  throw new CommandFailure(
    `${url} answered ${status}: ${message}`,
    // Service A could not reach B, C, the factory or the agent.
    /_(unreachable|timeout|not_trusted)$/.test(code) ? EXIT.unreachable : EXIT.failed,
    step === undefined ? [] : [step],
  )
}

function errorIn(text: string): { message?: string; step?: string; code?: string } {
  try {
    const { error = {} } = parseJson(text) as { error?: Record<string, unknown> }
    return Object.fromEntries(Object.entries(error).map(([name, value]) => [name, String(value)]))
  } catch {
    return {}
  }
}

/** Reads the outcomes: scenarios 1 and 3 answer with one, 2 and 4 with one for each callee. */
function outcomesIn(url: string, text: string): { callee: string; outcome: Outcome }[] {
  const body = objectIn(text) as Outcome | Readonly<Record<string, Outcome>> | undefined
  if (body === undefined)
    throw new CommandFailure(`The server at ${url} is not service A. It answered: ${text.slice(0, 100)}`)
  if ('valid' in body || 'message' in body) return [{ callee: 'service B', outcome: body as Outcome }]
  return Object.entries(body as Readonly<Record<string, Outcome>>).map(([name, outcome]) => ({
    // `serviceb` in scenario 2, `serviceB` in scenario 4.
    callee: name.replace(/^service(\w)$/i, (_name, letter: string) => `service ${letter.toUpperCase()}`),
    outcome,
  }))
}

/** Returns the body if it has the form of service A's answers: one outcome, or an object of outcomes. */
function objectIn(text: string): object | undefined {
  const isObject = (value: unknown): value is object =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
  try {
    const body = readJson(text)
    if (!isObject(body)) return undefined
    return 'valid' in body || 'message' in body || Object.values(body).every(isObject) ? body : undefined
  } catch {
    return undefined
  }
}

function heading(number: number, ms: number, { print, style }: Terminal) {
  print(style('bold', `Scenario ${number}`) + style('dim', `  ${Math.round(ms)} ms`))
  print(`  ${TITLES[number - 1]}`)
}

function show(number: number, outcomes: ReturnType<typeof outcomesIn>, ms: number, terminal: Terminal) {
  const { print, style, clock } = terminal
  heading(number, ms, terminal)
  for (const { callee, outcome } of outcomes) {
    const { valid = false, claims = {}, error } = outcome
    const reason = error?.message ?? outcome.message
    print(
      `${style(valid ? 'green' : 'red', valid ? '✓' : '✗')} ${callee} ${valid ? 'accepted the call' : `rejected the call: ${reason}`}`,
    )
    for (const [name, value] of Object.entries(claims)) {
      const text = typeof value === 'string' ? value : writeJson(value)
      const when =
        (name === 'exp' || name === 'iat') && typeof value === 'number' ? `  ${fromNow(value, clock())}` : ''
      print(`    ${name.padEnd(4)} ${text}${style('dim', when)}`)
    }
  }
}

/** Rejects options that the scenario would ignore. */
function refuseForeignOptions(number: number, { expired, fault, audience, json }: ScenarioOptions) {
  if (expired && fault !== undefined && fault !== 'expired')
    throw new CommandFailure('--expired is a fault. Give either --expired or --fault.', EXIT.usage)
  if (number !== 5) {
    if (audience !== undefined)
      throw new CommandFailure(
        '--audience is only for scenario 5. For this scenario use --fault wrong-audience.',
        EXIT.usage,
      )
    return
  }
  if (json)
    throw new CommandFailure(
      'Scenario 5 answers with plain text. --json is only for scenarios 1 to 4.',
      EXIT.usage,
    )
  const asked = expired ? 'expired' : fault
  if (asked !== undefined && asked !== 'wrong-audience')
    throw new CommandFailure(
      asked === 'expired'
        ? 'The agent does not issue expired SVIDs. Scenario 5 supports only the fault wrong-audience.'
        : `The agent does not issue such SVIDs (${asked}). Scenario 5 supports only the fault wrong-audience.`,
      EXIT.usage,
    )
  if (asked !== undefined && audience !== undefined)
    throw new CommandFailure(
      '--audience and --fault wrong-audience both set the audience. Give only one of them.',
      EXIT.usage,
    )
}

/** The wrong audience of scenario 5. */
const SOMEBODY_ELSE = 'spiffe://example.org/somebody-else'

async function callThroughProxy(
  fault: string | undefined,
  { audience = fault === undefined ? undefined : SOMEBODY_ELSE, url }: ScenarioOptions,
  terminal: Terminal,
): Promise<{ accepted: boolean; text: string; audience: string }> {
  // Loaded here because gRPC loads slowly and only this scenario needs it.
  const { callServer, loadConfig, UnexpectedStatus } = await import('@hallpass/spiffe-client/app')
  const env = {
    ...terminal.env,
    STATE_FOLDER: stateFolder(terminal),
    ...(url === undefined ? {} : { PROXY_URL: url }),
    TIMEOUT_MS: `${STEP_TIMEOUT_MS}`,
  }
  let asked = audience ?? ''
  try {
    const config = loadConfig(env)
    asked = audience ?? config.serverId
    return { accepted: true, text: (await callServer(config, asked)).trim(), audience: asked }
  } catch (error) {
    const { name, message } = error as Error
    if (name === 'ConfigError') throw new CommandFailure(message.replaceAll(/\n */g, ' '), EXIT.usage)
    if (!(error instanceof UnexpectedStatus))
      // The agent answers an unknown workload with PermissionDenied. Any other failure without an answer is a failed connection.
      throw new CommandFailure(message, /PermissionDenied/.test(message) ? EXIT.failed : EXIT.unreachable)
    if (error.status === 401 || error.status === 403)
      return { accepted: false, text: message, audience: asked }
    throw new CommandFailure(message, error.status >= 502 ? EXIT.unreachable : EXIT.failed)
  }
}

function parseNumber(text: string): number {
  if (!/^[1-5]$/.test(text)) throw new InvalidArgumentError('Expected a scenario number from 1 to 5.')
  return Number(text)
}
