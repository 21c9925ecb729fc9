import { PeerError } from '@hallpass/service-kit/peers'
import {
  type AgentEntry,
  agentAdminSocket,
  createSpiffeAgentClient,
  type SpiffeAgentClient,
} from '@hallpass/spiffe-agent/client'
import { Argument, type Command } from 'commander'
import { CommandFailure, EXIT } from '../failure.ts'
import { stateFolder } from '../state-folder.ts'
import { parseSeconds, type Terminal } from '../terminal/index.ts'

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

/** Adds the commands that administer the development agent through its admin socket in the state folder. */
export function addAgentVerbs(spiffe: Command, terminal: Terminal): Command {
  const { print } = terminal
  const agent = <T>(call: (client: SpiffeAgentClient) => Promise<T>) => callAgent(terminal, call)

  spiffe
    .command('entries')
    .description('List the entries: which workload gets which SPIFFE ID.')
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
    .argument('<spiffe-id>', 'SPIFFE ID of the workload')
    .requiredOption(
      '--selector <selector...>',
      'socket:NAME, unix:uid:N, unix:user:NAME, …; a workload must match all',
    )
    .option('--id <id>', 'name of the entry (default: the last part of the path)')
    .option('--ttl <duration>', 'lifetime of its X.509-SVIDs: 60, 60s, 5m, 1h', parseSeconds)
    .option('--jwt-ttl <duration>', 'lifetime of its JWT-SVIDs: 60, 60s, 5m, 1h', parseSeconds)
    .option('--hint <text>', 'hint that distinguishes identities of one workload')
    .option('--dns <name...>', 'DNS names in its X.509-SVID')
    .option('--federates-with <domain...>', 'trust domains whose bundles the workload gets')
    .option('--socket-owner <user>', 'user who is allowed to open its socket')
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
      .argument('<entry>', 'name of the entry')
      .action((id: string) =>
        agent(async (client) => {
          await { remove: client.removeEntry, revoke: client.revoke, restore: client.restore }[name](id)
          print(`${past} ${id}`)
        }),
      )
  onEntry('remove', 'Remove an entry.', 'removed')
  onEntry(
    'revoke',
    'Stop issuing SVIDs for an entry and close its streams. The entry stays in the file.',
    'revoked',
  )
  onEntry('restore', 'Undo the revocation of an entry.', 'restored')

  const kind = () => new Argument('<kind>', 'kind of authority').choices(KINDS)
  spiffe
    .command('rotate')
    .description('Publish a new authority, which signs after the overlap.')
    .addArgument(kind())
    .action((of: Kind) =>
      agent(async (client) => {
        const { id, activeAfterSeconds } = await client.rotate(of)
        print(`${of} authority ${id} is published and signs in ${activeAfterSeconds} s`)
      }),
    )
  spiffe
    .command('retire')
    .description('Stop trusting old authorities.')
    .addArgument(kind())
    .action((of: Kind) =>
      agent(async (client) => {
        const { ids } = await client.retire(of)
        print(ids.length > 0 ? `no longer trusted: ${ids.join(', ')}` : `no old ${of} authority to retire`)
      }),
    )
  spiffe
    .command('authorities')
    .description('List the authorities with their states and expiry.')
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
    // Workloads are usually named by the last part of the path.
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
  // Removes undefined members: the agent writes the entry into its file as received.
  return JSON.parse(JSON.stringify(entry)) as AgentEntry
}
