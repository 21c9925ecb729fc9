import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, type Environment, silentLog } from '@hallpass/service-kit'
import { socketUri } from '@hallpass/spiffe/address'
import { createApp } from '../app.ts'
import { createSpiffeAgentClient, type SpiffeAgentClient } from '../client.ts'
import { loadConfig } from '../config.ts'

export interface RunningAgent {
  readonly folder: string
  readonly urls: Readonly<Record<string, string>>
  readonly admin: SpiffeAgentClient
  /** Returns the path of a workload's own socket; `address` returns its URI. */
  socket(name: string): string
  address(name: string): string
  stop(): Promise<void>
}

/** Short, so that tests do not wait for what is due. */
const TICK_MS = 20

/** Starts an agent on free ports, with its state in the given or a new folder. */
export async function startAgent(
  env: Environment = {},
  { clock = Date.now as Clock, folder = undefined as string | undefined } = {},
): Promise<RunningAgent> {
  const stateFolder = folder ?? (await mkdtemp(join(tmpdir(), 'agent-')))
  const config = loadConfig({
    STATE_FOLDER: stateFolder,
    PORT: '0',
    BUNDLE_ENDPOINT_PORT: '0',
    SHARED_SOCKET: join(stateFolder, 'shared.sock'),
    ROTATION_OVERLAP_SECONDS: '1',
    ...env,
  })
  const service = await createApp(config, silentLog, clock, { tickMs: TICK_MS })
  const urls = await service.start()
  const socket = (name: string) => join(config.socketFolder, name, 'agent.sock')
  return {
    folder: stateFolder,
    urls,
    admin: createSpiffeAgentClient({ adminSocket: config.adminSocket }),
    socket,
    address: (name) => socketUri(socket(name)),
    async stop() {
      await service.stop()
      if (folder === undefined) await rm(stateFolder, { recursive: true, force: true })
    },
  }
}
