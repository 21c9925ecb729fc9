import { parseCompact, TokenError } from '@hallpass/tokens'
import type { Command } from 'commander'
import { fromNow } from '../expiry.ts'
import { CommandFailure, EXIT } from '../failure.ts'
import { readStdin, type Terminal } from '../terminal.ts'

const TIMES = ['exp', 'iat', 'nbf', 'auth_time']
/** Enough to tell two signatures apart, too little to use one. */
const SIGNATURE_START = 8

export function addTokenDecode(token: Command, terminal: Terminal): Command {
  return token
    .command('decode')
    .description('Show what is in a token. Nothing is verified, and the signature is not shown in full.')
    .argument('[token]', 'the token, or - to read it from standard input', '-')
    .option('--json', 'header and claims as one JSON object')
    .option('--signature', 'show the whole signature')
    .action(async (given: string, { json, signature }: { json?: boolean; signature?: boolean }) => {
      if (given === '-' && terminal.stdin.isTTY)
        throw new CommandFailure(
          'Give a token, or pipe one in: hallpass token | hallpass token decode.',
          EXIT.usage,
        )
      const text = (given === '-' ? await readStdin(terminal) : given).trim().replace(/^bearer\s+/i, '')
      const parsed = parse(text)
      const { header, payload } = parsed
      const encoded = text.slice(text.lastIndexOf('.') + 1)
      if (json)
        return terminal.print(
          JSON.stringify({ header, claims: payload, ...(signature ? { signature: encoded } : {}) }, null, 2),
        )
      const { print, style } = terminal
      print(style('bold', 'header'))
      for (const [name, value] of Object.entries(header)) print(`  ${row(name, value, terminal)}`)
      print(style('bold', 'claims'))
      for (const [name, value] of Object.entries(payload)) print(`  ${row(name, value, terminal)}`)
      print(style('bold', 'signature'))
      print(
        `  ${signature ? encoded : `${encoded.slice(0, SIGNATURE_START)}… (${parsed.signature.length} bytes, not verified)`}`,
      )
    })
}

function parse(text: string) {
  try {
    return parseCompact(text)
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    const detail = error.checks.find(({ passed }) => !passed)?.detail
    throw new CommandFailure(`This is not a JWT: ${error.message}${detail ? ` (${detail})` : ''}.`)
  }
}

function row(name: string, value: unknown, { style, clock }: Terminal): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
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

/** What Date can show. */
const isDate = (seconds: number) => Math.abs(seconds) <= 8_640_000_000_000
