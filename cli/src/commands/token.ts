import { randomUUID } from 'node:crypto'
import type { Algorithm } from '@hallpass/tokens'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseTime } from '../expiry.ts'
import { chooseKey, mintToken, STREAM_TOKEN } from '../mint-token.ts'
import type { Terminal } from '../terminal.ts'

type Claim = string | false

interface TokenOptions {
  readonly alg: Algorithm
  readonly kid?: string
  readonly typ: string
  readonly iss: Claim
  readonly aud: Claim
  readonly sub: Claim
  readonly exp: Claim
  readonly nbf?: string
  readonly iat: boolean
  readonly jti?: Claim
  readonly payload: Readonly<Record<string, unknown>>
  readonly secret?: string
}

const EXAMPLES = `
Without options it is a token that opens a stream at the gateway for 30 seconds, signed with the example key of
the state folder. The options are those of jwt-cli's "jwt encode".

  hallpass token
  hallpass token --exp=-1m                                 one that has expired
  hallpass token --payload scope=other --no-sub            one that the gateway refuses
  hallpass token --alg ES256 --exp 1h --payload scope=publish --aud sse-server
  hallpass token --secret @.hallpass/sse/private.pem --kid example --no-iat`

export function addToken(program: Command, terminal: Terminal): Command {
  return program
    .command('token')
    .description('Print a signed token.')
    .argument('[claims]', 'more claims, as a JSON object', parseClaims)
    .addOption(
      new Option('-A, --alg <algorithm>', 'signature algorithm')
        .choices(['RS256', 'PS256', 'ES256', 'EdDSA'])
        .default('RS256')
        .argParser(parseAlgorithm),
    )
    .option(
      '-k, --kid <id>',
      'name of the key (default: "example", "example_ec", or the thumbprint of --secret)',
    )
    .option('-t, --typ <type>', 'type of the token', 'JWT')
    .option('-i, --iss <issuer>', 'who issues it', STREAM_TOKEN.iss)
    .option('-a, --aud <audience>', 'whom it is for', STREAM_TOKEN.aud)
    .option('-s, --sub <subject>', 'whom it speaks for', STREAM_TOKEN.sub)
    .option(
      '-e, --exp <time>',
      'when it expires: 30s, +30s, 1h, -1m, or seconds since 1970',
      STREAM_TOKEN.lifetime,
    )
    .option('-n, --nbf <time>', 'before when it is not good')
    .option('--jti <id>', 'its own id (default: random)')
    .option(
      '-P, --payload <claim=value>',
      'another claim; numbers, true, false and JSON stay what they are (repeatable)',
      collectClaim,
      {},
    )
    .option('-S, --secret <@file>', 'private key, PEM (default: the example key)')
    .option('--no-iat', 'without the time of issue')
    .option('--no-iss', 'without an issuer')
    .option('--no-aud', 'without an audience')
    .option('--no-sub', 'without a subject')
    .option('--no-exp', 'without an expiry: refused everywhere')
    .option('--no-jti', 'without an id')
    .addHelpText('after', EXAMPLES)
    .action(async (claims: Record<string, unknown> | undefined, options: TokenOptions) => {
      const key = await chooseKey(options, terminal)
      terminal.print(await mintToken(claimsOf(options, claims, terminal.clock()), key, options.typ))
    })
}

function claimsOf(options: TokenOptions, more: Readonly<Record<string, unknown>> = {}, now: number) {
  const { iss, aud, sub, exp, nbf, iat, jti, payload } = options
  const claims: Record<string, unknown> = {
    aud,
    exp: exp !== false && parseTime(exp, now),
    iat: iat && Math.floor(now / 1000),
    iss,
    jti: jti ?? randomUUID(),
    nbf: nbf !== undefined && parseTime(nbf, now),
    scope: STREAM_TOKEN.scope,
    sub,
  }
  const asked = Object.entries(claims).filter(([, value]) => value !== false)
  return { ...Object.fromEntries(asked), ...more, ...payload }
}

function parseAlgorithm(text: string): string {
  if (/^HS\d+$/i.test(text))
    throw new InvalidArgumentError(
      'With HMAC whoever verifies could also sign, so services never use it: RS256, PS256, ES256 or EdDSA.',
    )
  if (!['RS256', 'PS256', 'ES256', 'EdDSA'].includes(text))
    throw new InvalidArgumentError('It is one of RS256, PS256, ES256 and EdDSA.')
  return text
}

function parseClaims(text: string): Record<string, unknown> {
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidArgumentError('Claims are a JSON object.')
  return value as Record<string, unknown>
}

function collectClaim(text: string, claims: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError('It is written name=value.')
  return { ...claims, [name]: parseJson(value) ?? value }
}

/** `undefined` for what is not JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
