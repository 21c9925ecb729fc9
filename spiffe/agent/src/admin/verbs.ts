import { type AgentEntry, createSpiffeAgentClient, type SpiffeAgentClient } from '../client.ts'
import { HELP, parseWords, UsageError } from './command-line.ts'

/**
 * Runs a command against a running agent and returns the output to print.
 * @throws {UsageError} for an unknown command, {@link PeerError} if the agent is unreachable or rejects the request.
 */
export async function runVerb(words: readonly string[], adminSocket: string): Promise<string> {
  const client = createSpiffeAgentClient({ adminSocket })
  const [verb = '', object = ''] = words
  const { values, positionals } = parseWords(words, ENTRY_OPTIONS)
  const command = VERBS[`${verb} ${object}`] ?? VERBS[verb]
  if (!command) throw new UsageError(`Unknown command '${words.slice(0, 2).join(' ')}'.\n\n${HELP}`)
  return command(client, positionals, values)
}

type Values = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>
type Verb = (client: SpiffeAgentClient, words: readonly string[], values: Values) => Promise<string>

const ENTRY_OPTIONS = {
  id: { type: 'string' },
  selector: { type: 'string', multiple: true },
  ttl: { type: 'string' },
  'jwt-ttl': { type: 'string' },
  hint: { type: 'string' },
  dns: { type: 'string', multiple: true },
  'federates-with': { type: 'string', multiple: true },
  'socket-owner': { type: 'string' },
} as const

const VERBS: Readonly<Record<string, Verb>> = {
  'entry list': async (client) => table(await client.entries()),
  'entry add': async (client, words, values) => {
    const entry = entryFrom(required(words[2], 'entry add SPIFFE_ID --selector SELECTOR'), values)
    await client.addEntry(entry)
    return `added ${entry.id}\n`
  },
  'entry remove': async (client, words) => {
    const id = required(words[2], 'entry remove ID')
    await client.removeEntry(id)
    return `removed ${id}\n`
  },
  revoke: async (client, words) => {
    const id = required(words[1], 'revoke ID')
    await client.revoke(id)
    return `revoked ${id}\n`
  },
  restore: async (client, words) => {
    const id = required(words[1], 'restore ID')
    await client.restore(id)
    return `restored ${id}\n`
  },
  rotate: async (client, words) => {
    const kind = kindFrom(words[1], 'rotate')
    const { id, activeAfterSeconds } = await client.rotate(kind)
    return `${kind} authority ${id} is published and signs in ${activeAfterSeconds} s\n`
  },
  retire: async (client, words) => {
    const kind = kindFrom(words[1], 'retire')
    const { ids } = await client.retire(kind)
    return ids.length > 0 ? `no longer trusted: ${ids.join(', ')}\n` : `no old ${kind} authority to retire\n`
  },
  authorities: async (client) => `${JSON.stringify(await client.authorities(), null, 2)}\n`,
  'bundle show': async (client) => `${JSON.stringify(await client.bundle(), null, 2)}\n`,
}

function entryFrom(spiffeId: string, values: Values): AgentEntry {
  const seconds = (name: string) => (values[name] === undefined ? undefined : Number(values[name]))
  const texts = (name: string) => values[name] as readonly string[] | undefined
  const entry = {
    // Workloads are commonly named by the last part of the path.
    id: (values.id as string | undefined) ?? (spiffeId.split('/').at(-1) ?? '').replaceAll('.', '-'),
    spiffeId,
    selectors: texts('selector') ?? [],
    dnsNames: texts('dns'),
    x509TtlSeconds: seconds('ttl'),
    jwtTtlSeconds: seconds('jwt-ttl'),
    hint: values.hint,
    federatesWith: texts('federates-with'),
    socketOwner: values['socket-owner'],
  }
  // The agent writes the entry to its file unchanged, so drop undefined members.
  return JSON.parse(JSON.stringify(entry)) as AgentEntry
}

function kindFrom(word: string | undefined, verb: string): 'x509' | 'jwt' {
  if (word === 'x509' || word === 'jwt') return word
  throw new UsageError(`Usage: ${verb} x509 or ${verb} jwt`)
}

function required(word: string | undefined, usage: string): string {
  if (word) return word
  throw new UsageError(`Usage: ${usage}`)
}

const table = (entries: readonly AgentEntry[]) =>
  entries
    .map(({ id, spiffeId, selectors, revoked }) =>
      [id.padEnd(20), spiffeId.padEnd(40), selectors.join(' '), revoked ? '(revoked)' : '']
        .join(' ')
        .trimEnd(),
    )
    .join('\n')
    .concat('\n')
