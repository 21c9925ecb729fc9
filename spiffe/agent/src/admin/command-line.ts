import { parseArgs } from 'node:util'
import type { Environment } from '@hallpass/service-kit'

export const HELP = `spiffe-agent: a development Workload API

  npm run spiffe:agent                                 start the agent
  npm run spiffe:agent -- --help                       show this
  npm run spiffe:agent -- --insecure-any=ID,…          give these identities to every process that opens the shared socket

With an agent running:

  npm run spiffe:agent -- entry list
  npm run spiffe:agent -- entry add spiffe://example.org/worker --selector socket:worker
      [--id ID] [--ttl SECONDS] [--jwt-ttl SECONDS] [--hint TEXT] [--dns NAME] [--federates-with DOMAIN] [--socket-owner USER]
  npm run spiffe:agent -- entry remove ID
  npm run spiffe:agent -- revoke ID                    issue nothing for this entry and end its streams; the entry stays in the file
  npm run spiffe:agent -- restore ID
  npm run spiffe:agent -- rotate x509|jwt              publish a new authority; it signs after the overlap
  npm run spiffe:agent -- retire x509|jwt              stop trusting the old authorities
  npm run spiffe:agent -- authorities
  npm run spiffe:agent -- bundle show
`

/** Reports wrong command-line arguments; the message contains the usage. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/**
 * Parses the command line: help, a command for a running agent, or starting the agent with additional environment variables.
 * @throws {UsageError}
 */
export function readCommandLine(
  words: readonly string[],
): { help: true } | { verb: readonly string[] } | { env: Environment } {
  if (words.length === 0) return { env: {} }
  if (words[0] === 'help' || words.includes('--help') || words.includes('-h')) return { help: true }
  if (!words[0]?.startsWith('-')) return { verb: words }
  const { values, positionals } = parseWords(words, { 'insecure-any': { type: 'string' } })
  if (positionals.length > 0) throw new UsageError(`Unexpected argument '${positionals[0]}'.\n\n${HELP}`)
  const ids = values['insecure-any']
  return { env: ids ? { ATTESTATION: 'insecure-any', INSECURE_ANY_IDS: String(ids) } : {} }
}

/** @throws {UsageError} */
export function parseWords(
  words: readonly string[],
  options: NonNullable<Parameters<typeof parseArgs>[0]>['options'],
) {
  try {
    return parseArgs({ args: [...words], allowPositionals: true, options: options ?? {} })
  } catch (error) {
    // Drop Node's hint about arguments that start with a hyphen, which no command of the agent accepts.
    const [problem] = (error as Error).message.split(/\. |\n/, 1)
    throw new UsageError(`${problem}.\n\n${HELP}`)
  }
}
