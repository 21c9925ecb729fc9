import { parseArgs } from 'node:util'
import type { Environment } from '@hallpass/service-kit'

export const HELP = `spiffe-agent: a development Workload API

  npm run spiffe:agent                                 start it
  npm run spiffe:agent -- --help                       show this
  npm run spiffe:agent -- --insecure-any=ID,…          give these identities to whoever opens the shared socket

With an agent running:

  npm run spiffe:agent -- entry list
  npm run spiffe:agent -- entry add spiffe://example.org/worker --selector socket:worker
      [--id ID] [--ttl SECONDS] [--jwt-ttl SECONDS] [--hint TEXT] [--dns NAME] [--federates-with DOMAIN] [--socket-owner USER]
  npm run spiffe:agent -- entry remove ID
  npm run spiffe:agent -- revoke ID                    it gets nothing, open streams end; the entry stays in the file
  npm run spiffe:agent -- restore ID
  npm run spiffe:agent -- rotate x509|jwt              publish a new authority; it signs after the overlap
  npm run spiffe:agent -- retire x509|jwt              trust the old authorities no more
  npm run spiffe:agent -- authorities
  npm run spiffe:agent -- bundle show
`

/** What was typed after the command's name is wrong; the message says how it is right. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/**
 * What the words ask for: help, a verb for a running agent, or the agent itself with more environment.
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
    // Node's advice about arguments that begin with a hyphen fits no command of the agent.
    const [problem] = (error as Error).message.split(/\. |\n/, 1)
    throw new UsageError(`${problem}.\n\n${HELP}`)
  }
}
