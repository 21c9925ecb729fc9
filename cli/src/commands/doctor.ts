import { algorithmsIn } from '@hallpass/tokens'
import { type Command, InvalidArgumentError } from 'commander'
import { wireSuite } from '../../../scripts/suite.ts'
import { clockTolerance } from '../clock-tolerance.ts'
import { readAuthority } from '../credentials/index.ts'
import { examineIssuer, type Finding, findings, type IssuerReport } from '../doctor/index.ts'
import { CommandFailure, EXIT } from '../failure.ts'
import { stateFolder } from '../state-folder.ts'
import { parseHttpUrl, printJson, type Terminal } from '../terminal/index.ts'

const MARKS = { good: ['green', '✓'], note: ['yellow', '·'], bad: ['red', '✗'] } as const
/** Before a URL, because a copied one is often the document instead of the issuer. */
const WELL_KNOWN = /\/\.well-known\/(openid-configuration|oauth-authorization-server).*$/

const HELP = `
With --issuer it checks an OpenID provider or another issuer of tokens instead: its discovery document and its keys. It sends at
most three GET requests, without credentials, and follows no redirect. Give the issuer exactly as in ISSUER_BASE_URL and ISSUER.
CLOCK_TOLERANCE_SECONDS and TOKEN_ALGORITHMS are read as the services read them.

  hallpass doctor --issuer https://YOUR_TENANT.auth0.com/ --client-id ID --audience https://api.example.com
  hallpass doctor --issuer https://keycloak.example/realms/main --ca ca.pem --json

The exit code is 1 if there is a problem (✗), and 0 if there are only notes (·).`

interface Options {
  readonly issuer?: string
  readonly audience?: string
  readonly clientId?: string
  readonly ca?: string
  readonly json?: boolean
}

export function addDoctor(program: Command, terminal: Terminal): Command {
  return program
    .command('doctor')
    .description('Check this machine, or an issuer of tokens, for common problems and print fixes.')
    .option('--issuer <url>', 'check this OpenID provider or OAuth issuer', parseIssuer)
    .option('--audience <audience>', 'the audience of its access tokens, for the suggested settings')
    .option('--client-id <id>', 'the client of the web UI: users are to log in at this issuer')
    .option('--ca <file>', 'a CA of the issuer, as PEM, in addition to the usual ones')
    .option('--json', 'print one JSON object')
    .addHelpText('after', HELP)
    .action(async ({ issuer, ...options }: Options) => {
      if (issuer !== undefined) return examine(issuer, options, terminal)
      for (const [name, value] of Object.entries(options))
        if (name !== 'json' && value !== undefined)
          throw new CommandFailure(`--${name.replace('I', '-i')} requires --issuer.`, EXIT.usage, [
            'Try --help.',
          ])
      const processes = wireSuite({ port: (documented) => documented, stateFolder: stateFolder(terminal) })
      const found: Finding[] = []
      for await (const finding of findings(terminal, processes)) {
        found.push(finding)
        if (!options.json) printFinding(finding, terminal)
      }
      if (options.json) printJson(terminal, JSON.stringify({ findings: found }, null, 2))
      failIfBad(found)
    })
}

async function examine(issuer: string, options: Omit<Options, 'issuer'>, terminal: Terminal): Promise<void> {
  const { ca: caFile, json, audience, clientId } = options
  const report = await examineIssuer({
    issuer,
    audience,
    clientId,
    caFile,
    ca: caFile === undefined ? undefined : await readAuthority(caFile, terminal),
    toleranceSeconds: clockTolerance(terminal),
    algorithms: tokenAlgorithms(terminal),
    clock: terminal.clock,
    env: terminal.env,
  })
  if (json) printJson(terminal, JSON.stringify({ issuer, ...report }, null, 2))
  else printReport(report, terminal)
  failIfBad(report.findings)
}

function printReport(
  { findings, requests, endpoints, keys, settings }: IssuerReport,
  terminal: Terminal,
): void {
  const { print, style } = terminal
  for (const finding of findings) printFinding(finding, terminal)
  const table = (title: string, rows: readonly (readonly string[])[]) => {
    if (rows.length === 0) return
    print('')
    print(style('bold', title))
    const width = Math.max(...rows.map(([name = '']) => name.length))
    for (const [name = '', ...values] of rows) print(`  ${name.padEnd(width)}  ${values.join('  ')}`)
  }
  table('Endpoints', Object.entries(endpoints))
  table(
    'Keys',
    keys.map(({ kid, alg, size }) => [kid, alg, size]),
  )
  for (const [service, lines] of Object.entries(settings)) {
    print('')
    print(style('bold', `Settings of ${service}`))
    for (const line of lines) print(`  ${line}`)
  }
  print('')
  print(`${requests} ${requests === 1 ? 'GET request was' : 'GET requests were'} sent, without credentials.`)
}

function printFinding({ state, what, remedy }: Finding, { print, style }: Terminal): void {
  const [colour, mark] = MARKS[state]
  print(`${style(colour, mark)} ${what}`)
  if (remedy !== undefined) print(`    ${style('bold', remedy)}`)
}

function failIfBad(found: readonly Finding[]): void {
  const bad = found.filter(({ state }) => state === 'bad').length
  if (bad > 0) throw new CommandFailure(`${bad} ${bad === 1 ? 'problem' : 'problems'} found.`)
}

/** Returns the algorithms that the services are to accept; the services read the same variable. */
function tokenAlgorithms({ env: { TOKEN_ALGORITHMS } }: Terminal) {
  if (!TOKEN_ALGORITHMS) return undefined
  try {
    return algorithmsIn(TOKEN_ALGORITHMS)
  } catch (error) {
    throw new CommandFailure(`TOKEN_ALGORITHMS: ${(error as Error).message}.`, EXIT.usage)
  }
}

/** Parses an issuer (RFC 8414 §2). @throws {InvalidArgumentError} */
function parseIssuer(text: string): string {
  parseHttpUrl(text)
  if (!/^https?:\/\/[^\s\\?#]+$/i.test(text))
    throw new InvalidArgumentError('An issuer is a URL without query, fragment and spaces (RFC 8414 §2).')
  if (WELL_KNOWN.test(text))
    throw new InvalidArgumentError(
      `This is the discovery document, not the issuer. Try --issuer ${text.replace(WELL_KNOWN, '')}`,
    )
  return text
}
