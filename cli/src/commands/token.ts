import { randomUUID } from 'node:crypto'
import type { Algorithm } from '@hallpass/tokens'
import { JsonError, parseJson } from '@hallpass/untrusted/json'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { chooseKey, mintToken, STREAM_TOKEN } from '../credentials/index.ts'
import { CommandFailure, EXIT } from '../failure.ts'
import { argumentOrStdin, parseClaims, parseTime, type Terminal } from '../terminal/index.ts'

/** `false`: omitted on purpose (`--no-…`). */
type Claim = string | false | undefined

export interface TokenOptions {
  readonly alg: Algorithm
  readonly kid?: string
  readonly typ: string
  readonly iss: Claim
  readonly aud: Claim
  readonly sub: Claim
  readonly exp: Claim
  readonly nbf?: Claim
  readonly iat: boolean
  readonly jti?: Claim
  readonly payload: Readonly<Record<string, unknown>>
  readonly secret?: string
}

const EXAMPLES = `
Without options, the token opens a stream at the gateway and expires after 30 seconds. It is signed with the example key
of the state folder. The options are those of jwt-cli's "jwt encode".

  hallpass token
  hallpass token --exp=-1m                                 an expired token
  hallpass token --payload scope=other --no-sub            a token that the gateway rejects
  hallpass token --alg ES256 --exp 1h --payload scope=publish --aud sse-server
  hallpass token --secret @.hallpass/sse/private.pem --kid example --no-iat`

export function addToken(program: Command, terminal: Terminal): Command {
  const token = program
    .command('token')
    .description('Print a signed token.')
    .argument('[claims]', 'more claims as a JSON object, or - to read it from standard input')
  return addTokenOptions(token, STREAM_TOKEN)
    .addHelpText('after', EXAMPLES)
    .action(async (given: string | undefined, options: TokenOptions, command: Command) => {
      const more = given === undefined ? {} : parseClaims(await argumentOrStdin(given, 'claims', terminal))
      refuseContradiction(command, options, more)
      const now = terminal.clock()
      const iat = options.iat ? Math.floor(now / 1000) : undefined
      const defaults = { iat, jti: randomUUID(), scope: STREAM_TOKEN.scope }
      const claims = { ...claimsOf(options, now, defaults), ...more, ...options.payload }
      terminal.print(await mintToken(claims, await chooseKey(options, terminal), options.typ))
    })
}

/** Adds the options of `jwt encode`. `defaults` are the values of omitted options. */
export function addTokenOptions(command: Command, defaults: Partial<typeof STREAM_TOKEN>): Command {
  return command
    .addOption(
      new Option('-A, --alg <algorithm>', 'signature algorithm')
        .choices(['RS256', 'PS256', 'ES256', 'EdDSA'])
        .default('RS256')
        .argParser(parseAlgorithm),
    )
    .option(
      '-k, --kid <id>',
      'key ID (kid) (default: "example", "example_ec", or the thumbprint of --secret)',
    )
    .option('-t, --typ <type>', 'type of the token (typ)', 'JWT')
    .option('-i, --iss <iss>', 'issuer (iss)', defaults.iss)
    .option('-a, --aud <aud>', 'audience (aud)', defaults.aud)
    .option('-s, --sub <sub>', 'subject (sub)', defaults.sub)
    .option('-e, --exp <time>', 'expiry (exp): 30s, +30s, 1h, -1m, or seconds since 1970', defaults.lifetime)
    .option('-n, --nbf <time>', 'not valid before (nbf): 30s, 1h, -1m, or seconds since 1970')
    .option(
      '--jti <id>',
      defaults.lifetime === undefined ? 'token ID (jti)' : 'token ID (jti) (default: random)',
    )
    .option(
      '-P, --payload <claim=value>',
      'another claim; a value that is valid JSON keeps its type, any other is a string (repeatable)',
      collectClaim,
      {},
    )
    .option('-S, --secret <@file>', 'PEM file of the private key (default: the example key)')
    .option('--no-iat', 'omit the issue time (iat)')
    .option('--no-iss', 'omit the issuer (iss)')
    .option('--no-aud', 'omit the audience (aud)')
    .option('--no-sub', 'omit the subject (sub)')
    .option('--no-exp', 'omit the expiry (exp); every service rejects such a token')
    .option('--no-jti', 'omit the token ID (jti)')
}

interface ClaimDefaults {
  readonly iat?: number | undefined
  readonly jti?: string
  readonly scope?: string
}

/** Returns the claims of the options, with the defaults of omitted ones. */
export function claimsOf(
  { iss, aud, sub, exp, nbf, jti }: TokenOptions,
  now: number,
  { iat, jti: randomJti, scope }: ClaimDefaults = {},
): Record<string, unknown> {
  const time = (text: Claim) => (typeof text === 'string' ? parseTime(text, now) : text)
  const claims = { aud, exp: time(exp), iat, iss, jti: jti ?? randomJti, nbf: time(nbf), scope, sub }
  return Object.fromEntries(
    Object.entries(claims).filter(([, value]) => value !== undefined && value !== false),
  )
}

const CLAIM_OPTIONS = ['iss', 'aud', 'sub', 'exp', 'nbf', 'jti'] as const

/**
 * Rejects a claim that is given twice.
 * @throws {CommandFailure} 2 if several of an option, --payload and the JSON object set the claim
 */
export function refuseContradiction(
  command: Command,
  options: TokenOptions,
  claims: Readonly<Record<string, unknown>>,
): void {
  const optional = CLAIM_OPTIONS.filter(
    (name) => command.getOptionValueSource(name) === 'cli' && options[name] !== false,
  )
  const names = [...optional, ...Object.keys(options.payload), ...Object.keys(claims)]
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined)
    throw new CommandFailure(
      `The claim ${twice} is given twice. Give it once: as an option, with --payload or in the JSON object.`,
      EXIT.usage,
    )
}

function parseAlgorithm(text: string): string {
  if (/^HS\d+$/i.test(text))
    throw new InvalidArgumentError(
      'HMAC is not supported: anyone who can verify such a token can also sign one. Use RS256, PS256, ES256 or EdDSA.',
    )
  if (!['RS256', 'PS256', 'ES256', 'EdDSA'].includes(text))
    throw new InvalidArgumentError('Use RS256, PS256, ES256 or EdDSA.')
  return text
}

function collectClaim(text: string, claims: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError('Expected name=value.')
  if (Object.hasOwn(claims, name)) throw new InvalidArgumentError(`The claim ${name} is given twice.`)
  return { ...claims, [name]: valueIn(value) }
}

/** Parses a value as JSON. Any other value is a string, unless it starts like JSON. */
function valueIn(text: string): unknown {
  try {
    return parseJson(text)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    if (error.code === 'malformed_json' && !/^\s*[{[]/.test(text)) return text
    if (error.code === 'malformed_json') throw new InvalidArgumentError('The value is not valid JSON.')
    throw new InvalidArgumentError(error.message)
  }
}
