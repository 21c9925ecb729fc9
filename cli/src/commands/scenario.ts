import { type Command, InvalidArgumentError } from 'commander'
import { fromNow } from '../expiry.ts'
import { CommandFailure, EXIT } from '../failure.ts'
import { stateFolder } from '../state-folder.ts'
import type { Terminal } from '../terminal.ts'

const TITLES = [
  'A calls B with a token that the jwt-factory signed; B asks the factory.',
  'A calls B and C with a token each from the jwt-factory.',
  'A signs for itself and calls B over TLS; B needs the public key alone.',
  'A signs for itself and calls B and C over TLS.',
  'A workload gets a JWT-SVID from its agent and calls a server through a proxy that ends TLS.',
] as const

/** What service A shows of one callee's answer. */
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

/** Two calls of five seconds each, at the most. */
const TIMEOUT_MS = 12_000

const DETAILS = `
${TITLES.map((title, index) => `  ${index + 1}  ${title}`).join('\n')}

With --expired or another --fault the token is a bad one, and being refused is the success.

  hallpass scenario 1 --expired
  hallpass scenario 3 --fault tampered`

export function addScenario(program: Command, terminal: Terminal): Command {
  return program
    .command('scenario')
    .description('Run a scenario and show what came of it.')
    .argument('<number>', '1 to 5', parseNumber)
    .option('--expired', 'with a token that has expired (1 to 4)')
    .option('--fault <name>', 'expired, wrong-audience, wrong-key, tampered or no-token (1 to 4)')
    .option('--audience <id>', 'for whom the JWT-SVID is made (5)')
    .option('--url <url>', 'service A (1 to 4), the proxy (5)')
    .option('--json', 'the answer as it is (1 to 4)')
    .addHelpText('after', DETAILS)
    .action(async (number: number, options: ScenarioOptions) => {
      const {
        expired,
        fault = expired ? 'expired' : undefined,
        url = 'http://localhost:3000',
        json,
      } = options
      const started = performance.now()
      if (number === 5) {
        const answer = await callThroughProxy(options, terminal)
        heading(number, performance.now() - started, terminal)
        return terminal.print(`${terminal.style('green', '✓')} ${answer}`)
      }
      const query = fault === undefined ? '' : `?fault=${encodeURIComponent(fault)}`
      const text = await call(`${url.replace(/\/$/, '')}/scenario${number}${query}`)
      const outcomes = outcomesIn(text)
      if (json) terminal.print(text)
      else show(number, outcomes, performance.now() - started, terminal)
      // Of the two tokens of scenario 2 that of C alone is a bad one, as documented.
      const mayPass = (callee: string) => fault === undefined || (number === 2 && callee === 'service B')
      const wrong = outcomes.find(({ callee, outcome }) => (outcome.valid === true) !== mayPass(callee))
      if (wrong)
        throw new CommandFailure(
          wrong.outcome.valid
            ? `A bad token (${fault}) was accepted by ${wrong.callee}.`
            : `A token was refused by ${wrong.callee} that should be good.`,
        )
    })
}

async function call(url: string): Promise<string> {
  let response: Response
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) })
  } catch (error) {
    const { code, message } = ((error as Error).cause ?? error) as { code?: string; message?: string }
    throw new CommandFailure(
      `${url} is not reachable (${code ?? message}). Is the suite running? npm start`,
      EXIT.unreachable,
    )
  }
  const text = await response.text()
  if (response.status === 200) return text
  const { message = text.slice(0, 200), step } = errorIn(text)
  throw new CommandFailure(`${url} answered ${response.status}: ${message}${step ? `\n  ${step}` : ''}`)
}

function errorIn(text: string): { message?: string; step?: string } {
  try {
    return (JSON.parse(text) as { error?: { message?: string; step?: string } }).error ?? {}
  } catch {
    return {}
  }
}

/** Scenarios 1 and 3 answer with the outcome itself, 2 and 4 with one for each callee. */
function outcomesIn(text: string): { callee: string; outcome: Outcome }[] {
  const body = JSON.parse(text) as Outcome | Readonly<Record<string, Outcome>>
  if ('valid' in body || 'message' in body) return [{ callee: 'service B', outcome: body as Outcome }]
  return Object.entries(body as Readonly<Record<string, Outcome>>).map(([name, outcome]) => ({
    // `serviceb` in scenario 2, `serviceB` in scenario 4.
    callee: name.replace(/^service(\w)$/i, (_name, letter: string) => `service ${letter.toUpperCase()}`),
    outcome,
  }))
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
      `${style(valid ? 'green' : 'red', valid ? '✓' : '✗')} ${callee} ${valid ? 'let it in' : `refused it: ${reason}`}`,
    )
    for (const [name, value] of Object.entries(claims)) {
      const text = typeof value === 'string' ? value : JSON.stringify(value)
      const when =
        (name === 'exp' || name === 'iat') && typeof value === 'number' ? `  ${fromNow(value, clock())}` : ''
      print(`    ${name.padEnd(4)} ${text}${style('dim', when)}`)
    }
  }
}

async function callThroughProxy(
  { expired, audience, url }: ScenarioOptions,
  terminal: Terminal,
): Promise<string> {
  if (expired)
    throw new CommandFailure(
      'The agent makes no SVID that has expired; try --audience spiffe://example.org/other.',
      EXIT.usage,
    )
  // gRPC takes a while to load, and the other scenarios do not need it.
  const { callServer, loadConfig } = await import('@hallpass/spiffe-client/app')
  const env = {
    ...terminal.env,
    STATE_FOLDER: stateFolder(terminal),
    ...(url === undefined ? {} : { PROXY_URL: url }),
    TIMEOUT_MS: `${TIMEOUT_MS}`,
  }
  try {
    return (await callServer(loadConfig(env), audience)).trim()
  } catch (error) {
    throw new CommandFailure((error as Error).message)
  }
}

function parseNumber(text: string): number {
  if (!/^[1-5]$/.test(text)) throw new InvalidArgumentError('There are scenarios 1 to 5.')
  return Number(text)
}
