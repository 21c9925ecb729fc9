import { readdir } from 'node:fs/promises'
import {
  AddressError,
  GrpcError,
  JwtSvidError,
  parseAndValidate,
  status,
  WorkloadApiClient,
  type X509Svid,
} from '@hallpass/spiffe'
import { workloadAddress, workloadSocketFolder } from '@hallpass/spiffe-agent/client'
import { escapeJsonForTerminal } from '@hallpass/untrusted/terminal'
import type { Command } from 'commander'
import { clockTolerance } from '../clock-tolerance.ts'
import { CommandFailure, EXIT } from '../failure.ts'
import { stateFolder } from '../state-folder.ts'
import { argumentOrStdin, fromNow, printJson, type Terminal, withoutBearer } from '../terminal/index.ts'
import { addAgentVerbs } from './spiffe-agent.ts'

const EXAMPLES = `
--as selects a workload by the name of its socket; SPIFFE_ENDPOINT_SOCKET selects any other agent.

  hallpass spiffe show --as client
  hallpass spiffe token spiffe://example.org/server | hallpass spiffe validate --audience spiffe://example.org/server
  hallpass spiffe entries
  hallpass spiffe rotate x509`

interface Who {
  readonly as?: string
}

/** Adds the commands of a workload (Workload API) and those that administer the development agent. */
export function addSpiffe(program: Command, terminal: Terminal): Command {
  const spiffe = program
    .command('spiffe')
    .description(
      'Show the SVIDs of a workload, fetch and validate JWT-SVIDs, and administer the development agent.',
    )
    .addHelpText('after', EXAMPLES)

  const asWorkload = (name: string, description: string) =>
    spiffe
      .command(name)
      .description(description)
      .option('--as <workload>', 'name of the workload (default: SPIFFE_ENDPOINT_SOCKET, or client)')

  asWorkload('show', 'Show the X.509-SVIDs of a workload and the trust domains that it trusts.')
    .option('--json', 'print JSON')
    .action(({ as, json }: Who & { readonly json?: boolean }) =>
      ask({ as }, terminal, async (client) => {
        const { svids, bundles } = await client.fetchX509Context()
        const trusted = bundles.x509Bundles.map(({ trustDomain, authorities }) => ({
          trustDomain: trustDomain.name,
          authorities: authorities.length,
        }))
        if (json) return printJson(terminal, JSON.stringify({ svids: svids.map(toJson), trusted }, null, 2))
        for (const svid of svids) {
          const { id, expiresAt, hint, serialNumber } = toJson(svid)
          const until = `until ${expiresAt.replace('.000', '')}, ${fromNow(svid.expiresAt / 1000, terminal.clock())}`
          terminal.print(
            [id, until, `serial ${serialNumber}`, hint && `hint ${hint}`].filter(Boolean).join('  '),
          )
        }
        for (const { trustDomain, authorities } of trusted)
          terminal.print(
            `trusts ${trustDomain} (${authorities} ${authorities === 1 ? 'authority' : 'authorities'})`,
          )
      }),
    )

  asWorkload('token', 'Fetch a JWT-SVID and print only the token to stdout.')
    .argument('<audience...>', 'audience (aud) of the token')
    .option('--id <spiffe-id>', "one of the workload's SPIFFE IDs (default: the first)")
    .action((audience: string[], { as, id }: Who & { readonly id?: string }) =>
      ask({ as }, terminal, async (client) => {
        const svid = await client.fetchJwtSvid({ audience, ...(id && { subject: id }) })
        terminal.print(svid.marshal())
        terminal.note(
          `${svid.id}, for ${svid.audience.join(', ')}, ${fromNow(svid.expiresAt / 1000, terminal.clock())}`,
        )
      }),
    )

  asWorkload('validate', 'Validate a JWT-SVID with the trust bundles of a workload.')
    .argument('[token]', 'the token, or - to read it from standard input', '-')
    .requiredOption('--audience <aud>', 'expected audience (aud)')
    .option('--by-agent', 'let the agent validate the token')
    .action((given: string, { as, audience, byAgent }: Who & { audience: string; byAgent?: boolean }) =>
      ask({ as }, terminal, async (client) => {
        const token = withoutBearer(await argumentOrStdin(given, 'a token', terminal))
        const { id, claims } = byAgent
          ? await client.validateJwtSvid(token, audience)
          : parseAndValidate(token, await client.fetchJwtBundles(), audience, {
              clock: terminal.clock,
              leewaySeconds: clockTolerance(terminal),
            })
        terminal.print(`${id}`)
        terminal.note(escapeJsonForTerminal(JSON.stringify(claims)))
      }),
    )
  return addAgentVerbs(spiffe, terminal)
}

/** Runs a call as a workload. Turns its errors into messages and exit codes. */
async function ask(
  { as }: { readonly as: string | undefined },
  terminal: Terminal,
  call: (client: WorkloadApiClient) => Promise<void>,
): Promise<void> {
  if (as !== undefined) await requireWorkload(as, stateFolder(terminal))
  const configured = as === undefined ? terminal.env.SPIFFE_ENDPOINT_SOCKET : undefined
  const address = configured || workloadAddress(stateFolder(terminal), as ?? 'client')
  let client: WorkloadApiClient | undefined
  try {
    client = new WorkloadApiClient({ address, clock: terminal.clock })
    await call(client)
  } catch (error) {
    if (error instanceof AddressError) throw new CommandFailure(error.message, EXIT.usage)
    if (error instanceof JwtSvidError) throw new CommandFailure(error.message)
    if (!(error instanceof GrpcError)) throw error
    const unreachable =
      (error.cause as { code?: string } | undefined)?.code !== undefined ||
      error.code === status.deadlineExceeded
    throw unreachable
      ? new CommandFailure(`${error.details}. Is the agent running? npm run spiffe:agent`, EXIT.unreachable)
      : new CommandFailure(error.message)
  } finally {
    client?.close()
  }
}

/** Valid names in a selector `socket:NAME` (spiffe/agent/src/entries/entries.ts): a folder name, never a path. */
const WORKLOAD = /^[A-Za-z0-9_-]{1,32}$/

/** Rejects a workload without a socket of the agent. Without an agent, the later call reports that. */
async function requireWorkload(name: string, folder: string): Promise<void> {
  if (!WORKLOAD.test(name))
    throw new CommandFailure(
      `--as requires the name of a workload (1 to 32 letters, digits, - and _), not ${JSON.stringify(name)}.`,
      EXIT.usage,
    )
  const names = await readdir(workloadSocketFolder(folder)).catch((): string[] => [])
  if (names.length > 0 && !names.includes(name))
    throw new CommandFailure(
      `Workload not found: ${name}. The workloads are: ${names.sort().join(', ')}`,
      EXIT.usage,
    )
}

const toJson = ({ id, expiresAt, hint, leaf }: X509Svid) => ({
  id: id.toString(),
  expiresAt: new Date(expiresAt).toISOString(),
  serialNumber: leaf.x509.serialNumber.toLowerCase(),
  hint,
})
