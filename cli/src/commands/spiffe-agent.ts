import { PeerError } from '@hallpass/service-kit/peers'
import {
  type AgentEntry,
  agentAdminSocket,
  createSpiffeAgentClient,
  type SpiffeAgentClient,
} from '@hallpass/spiffe-agent/client'
import { Argument, type Command } from 'commander'
import { parseSeconds } from '../arguments.ts'
import { CommandFailure, EXIT } from '../failure.ts'
import { stateFolder } from '../state-folder.ts'
import type { Terminal } from '../terminal.ts'

const KINDS = ['x509', 'jwt'] as const
type Kind = (typeof KINDS)[number]

interface NewEntry {
  readonly id?: string
  readonly selector: string[]
  readonly ttl?: number
  readonly jwtTtl?: number
  readonly hint?: string
  readonly dns?: string[]
  readonly federatesWith?: string[]
  readonly socketOwner?: string
}

/** The verbs of whoever owns the development agent, through its admin socket in the state folder. */
export function addAgentVerbs(spiffe: Command, terminal: Terminal): Command {
  const { print } = terminal
  const agent = <T>(call: (client: SpiffeAgentClient) => Promise<T>) => callAgent(terminal, call)

  spiffe
    .command('entries')
    .description('List who gets which SPIFFE ID.')
    .action(() =>
      agent(async (client) => {
        for (const { id, spiffeId, selectors, revoked } of await client.entries())
          print(
            `${id.padEnd(14)} ${spiffeId.padEnd(38)} ${selectors.join(' ')}${revoked ? '  (revoked)' : ''}`,
          )
      }),
    )
  spiffe
    .command('add')
    .description('Add an entry: a workload with these selectors gets this SPIFFE ID.')
    .argument('<spiffe-id>')
    .requiredOption('--selector <selector...>', 'socket:NAME, unix:uid:N, unix:user:NAME, …; all must hold')
    .option('--id <id>', 'the name of the entry (default: the last part of the path)')
    .option('--ttl <duration>', 'the life of its X.509-SVIDs: 60, 60s, 5m, 1h', parseSeconds)
    .option('--jwt-ttl <duration>', 'the life of its JWT-SVIDs: 60, 60s, 5m, 1h', parseSeconds)
    .option('--hint <text>', 'tells several identities of a workload apart')
    .option('--dns <name...>', 'DNS names in its X.509-SVID')
    .option('--federates-with <domain...>', 'trust domains whose bundles it gets')
    .option('--socket-owner <user>', 'who may open its socket')
    .action((spiffeId: string, options: NewEntry) =>
      agent(async (client) => {
        const entry = toEntry(spiffeId, options)
        await client.addEntry(entry)
        print(`added ${entry.id}`)
      }),
    )

  const onEntry = (name: 'remove' | 'revoke' | 'restore', description: string, past: string) =>
    spiffe
      .command(name)
      .description(description)
      .argument('<entry>', 'the name of the entry')
      .action((id: string) =>
        agent(async (client) => {
          await { remove: client.removeEntry, revoke: client.revoke, restore: client.restore }[name](id)
          print(`${past} ${id}`)
        }),
      )
  onEntry('remove', 'Remove an entry.', 'removed')
  onEntry(
    'revoke',
    'Give an entry nothing any more, and end its open streams; it stays in the file.',
    'revoked',
  )
  onEntry('restore', 'Take a revocation back.', 'restored')

  const kind = () => new Argument('<kind>', 'of which authority').choices(KINDS)
  spiffe
    .command('rotate')
    .description('Publish a new authority; it signs after the overlap.')
    .addArgument(kind())
    .action((of: Kind) =>
      agent(async (client) => {
        const { id, activeAfterSeconds } = await client.rotate(of)
        print(`${of} authority ${id} is published and signs in ${activeAfterSeconds} s`)
      }),
    )
  spiffe
    .command('retire')
    .description('Trust the old authorities no more.')
    .addArgument(kind())
    .action((of: Kind) =>
      agent(async (client) => {
        const { ids } = await client.retire(of)
        print(ids.length > 0 ? `no longer trusted: ${ids.join(', ')}` : `there is no old ${of} authority`)
      }),
    )
  spiffe
    .command('authorities')
    .description('List the authorities, and when each signs and ends.')
    .action(() =>
      agent(async (client) => {
        const all = await client.authorities()
        for (const of of KINDS)
          for (const { id, state, expiresAt } of all[of])
            print(`${of.padEnd(5)} ${state.padEnd(9)} until ${expiresAt}  ${id}`)
      }),
    )
  return spiffe
}

async function callAgent<T>(terminal: Terminal, call: (client: SpiffeAgentClient) => Promise<T>): Promise<T> {
  const adminSocket = agentAdminSocket(stateFolder(terminal))
  try {
    return await call(createSpiffeAgentClient({ adminSocket }))
  } catch (error) {
    if (!(error instanceof PeerError)) throw error
    throw /_(unreachable|timeout|not_trusted)$/.test(error.code)
      ? new CommandFailure(`${error.message} Is the agent running? npm run spiffe:agent`, EXIT.unreachable)
      : new CommandFailure(error.message)
  }
}

function toEntry(spiffeId: string, options: NewEntry): AgentEntry {
  const entry = {
    // The last part of the path is what people call a workload.
    id: options.id ?? (spiffeId.split('/').at(-1) ?? '').replaceAll('.', '-'),
    spiffeId,
    selectors: options.selector,
    dnsNames: options.dns,
    x509TtlSeconds: options.ttl,
    jwtTtlSeconds: options.jwtTtl,
    hint: options.hint,
    federatesWith: options.federatesWith,
    socketOwner: options.socketOwner,
  }
  // The agent writes the entry into its file as it comes: only what was said.
  return JSON.parse(JSON.stringify(entry)) as AgentEntry
}
