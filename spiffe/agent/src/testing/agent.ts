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
  /** The path of a workload's own socket, and its address. */
  socket(name: string): string
  address(name: string): string
  stop(): Promise<void>
}

/** A test waits for what is due no longer than it must. */
const TICK_MS = 20

/** A whole agent on free ports, with its state in a folder of its own unless one is given. */
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
