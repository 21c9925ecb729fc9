import { describeToken } from '@hallpass/tokens'
import { writeJson } from '@hallpass/untrusted/json'
import type { Command } from 'commander'
import { CommandFailure } from '../failure.ts'
import {
  argumentOrStdin,
  fromNow,
  isDate,
  printJson,
  type Terminal,
  withoutBearer,
} from '../terminal/index.ts'

const TIMES = ['exp', 'iat', 'nbf', 'auth_time']
/** Enough to distinguish two signatures, too little to use one. */
const SIGNATURE_START = 8

export function addTokenDecode(token: Command, terminal: Terminal): Command {
  return token
    .command('decode')
    .description('Print the header and claims of a token, without verifying it.')
    .argument('[token]', 'the token, or - to read it from standard input', '-')
    .option('--json', 'print header and claims as one JSON object')
    .option('--signature', 'print the whole signature')
    .action(async (given: string, { json, signature }: { json?: boolean; signature?: boolean }) => {
      const text = withoutBearer(await argumentOrStdin(given, 'a token', terminal))
      const { header, claims, problem } = describeToken(text)
      const why = problem && `${problem.message}${problem.detail ? ` (${problem.detail})` : ''}`
      if (header === undefined || claims === undefined || text.split('.').length !== 3)
        throw new CommandFailure(`This is not a JWT: ${why ?? 'jwt malformed'}.`)
      const { print, note, style } = terminal
      const encoded = text.slice(text.lastIndexOf('.') + 1)
      if (json)
        printJson(terminal, writeJson({ header, claims, ...(signature ? { signature: encoded } : {}) }, 2))
      else {
        print(style('bold', 'header'))
        for (const line of rows(header, terminal)) print(`  ${line}`)
        print(style('bold', 'claims'))
        for (const line of rows(claims, terminal)) print(`  ${line}`)
        print(style('bold', 'signature'))
        const size = Buffer.from(encoded, 'base64url').length
        print(
          `  ${signature ? encoded : `${encoded.slice(0, SIGNATURE_START)}… (${size} bytes, not verified)`}`,
        )
      }
      // A bad token is still shown: people decode tokens to find out what is wrong.
      if (why !== undefined) note(style('yellow', `The verifiers of the suite reject this token: ${why}`))
    })
}

/** Returns one line for each member, or one line for a value that is not an object. */
function rows(part: unknown, terminal: Terminal): string[] {
  if (typeof part === 'string') return [part]
  if (typeof part !== 'object' || part === null || Array.isArray(part)) return [writeJson(part)]
  return Object.entries(part).map(([name, value]) => row(name, value, terminal))
}

function row(name: string, value: unknown, { style, clock }: Terminal): string {
  const text = typeof value === 'string' ? value : writeJson(value)
  if (!TIMES.includes(name) || typeof value !== 'number' || !isDate(value))
    return `${name.padEnd(10)} ${text}`
  const when = fromNow(value, clock())
  const past = value <= clock() / 1000
  const remark =
    name === 'exp' && past
      ? style('red', `expired ${when}`)
      : name === 'nbf' && !past
        ? style('yellow', when)
        : when
  return `${name.padEnd(10)} ${text}  ${new Date(value * 1000).toISOString().replace('.000', '')}  ${remark}`
}
